package customers

import (
	"errors"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// PublicRecord is a record of the public ledger, verified by whoever sends it: whoever has
// the role for that is believed about the ledger, and about nothing else.
type PublicRecord struct {
	Index    uint64    `json:"index"`
	Admitted time.Time `json:"admitted"`
	Payload  []byte    `json:"payload"` // the statement
}

// Record reads it.
func (r *PublicRecord) Record() (bundle.Record, error) {
	st, err := record.ParseStatement(r.Payload)
	if err != nil {
		return bundle.Record{}, newProblem(problemMalformed, "a record of the public ledger: %v", err)
	}
	return bundle.Record{ID: record.IDOf(r.Payload), Index: r.Index, Admitted: r.Admitted, Statement: st}, nil
}

// NextQuery asks for the public record that is due.
type NextQuery struct {
	Newest  *PublicRecord `json:"newest,omitempty"` // of the party's thread
	VKey    string        `json:"vkey,omitempty"`   // in force by it
	Restart string        `json:"restart,omitempty"`
}

// Next is the answer: the record as docket sign reads it. Number is 0 where all is published.
type Next struct {
	Number    uint64       `json:"number"`
	Until     *record.Date `json:"until,omitempty"`
	ShortForm string       `json:"shortForm,omitempty"`
	Left      int          `json:"left"` // periods behind it
}

func (s *Server) next(x *request) error {
	var q NextQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	public := private.PublicLog{VKey: q.VKey}
	if q.Newest != nil {
		var err error
		if public.Newest, err = q.Newest.Record(); err != nil {
			return err
		}
	}
	n, err := x.log.NextRecord(x.req.Context(), x.who(Purpose{}, Compliance), public, q.Restart)
	switch {
	case errors.Is(err, private.ErrAllPublished):
		return x.answer(Next{})
	case errors.Is(err, private.ErrNotLedUp):
		s.log.Error("the log does not lead up to its newest public record: a restored backup?", "client", x.client.Name)
		return newProblem(problemNotLedUp, "%v", err)
	case err != nil:
		return err
	}
	return x.answer(Next{n.Period.Number, &n.Period.Until, n.ShortForm(), n.Left})
}

// recorded takes the receipt of a period's public record, or the chain that ends in it.
func (s *Server) recorded(x *request) error {
	raw, err := x.body()
	if err != nil {
		return err
	}
	p, err := x.log.Recorded(x.req.Context(), x.who(Purpose{}, Compliance), raw)
	if err != nil {
		return err
	}
	out, err := s.periodOf(x, p, private.Period{})
	if err != nil {
		return err
	}
	return x.answer(out)
}
