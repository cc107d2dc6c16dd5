package customers

import (
	"errors"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// PrepareQuery prepares a disclosure.
type PrepareQuery struct {
	Request   PublicRecord   `json:"request"`
	Chain     []byte         `json:"chain,omitempty"` // receipts from the charter to the request, for those who have no copy of the ledger
	Logs      []PublicRecord `json:"logs"`            // customer-log records of the party
	Recipient string         `json:"recipient"`       // as the request names it
	Handles   []string       `json:"handles,omitempty"`
	Asked     bundle.Asked   `json:"asked"`
	Period    uint64         `json:"period,omitempty"` // 0: the newest that is published
	Reason    string         `json:"reason,omitempty"`
}

// Disclosure is one as it is shown: with its state in a word, and what approves it.
type Disclosure struct {
	private.Disclosure
	State   string `json:"state"`
	Message []byte `json:"message"` // what a holder signs
}

// Disclosures are all of them, the earliest first.
type Disclosures struct {
	Disclosures []Disclosure `json:"disclosures"`
}

func (x *request) disclosure(d *private.Disclosure) Disclosure {
	out := Disclosure{*d, d.State(), x.log.Message(d)}
	out.Chains = nil
	return out
}

func (s *Server) prepare(x *request) error {
	var q PrepareQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	ask := private.Ask{Recipient: q.Recipient, Asked: q.Asked, Period: q.Period}
	var err error
	if ask.Public.Request, err = q.Request.Record(); err != nil {
		return err
	}
	for _, l := range q.Logs {
		r, err := l.Record()
		if err != nil {
			return err
		}
		ask.Public.Logs = append(ask.Public.Logs, r)
	}
	for _, text := range q.Handles {
		h, err := event.ParseHandle(text)
		if err != nil {
			return newProblem(problemMalformed, "%v", err)
		}
		ask.Handles = append(ask.Handles, h)
	}
	if ask.Chains, err = chainsOf(x.log, &ask.Period); err != nil {
		return err
	}
	if q.Chain != nil {
		if err := endsIn(q.Chain, ask.Public.Request.ID); err != nil { // it leaves the house
			return newProblem(problemMalformed, "chain: %v", err)
		}
		ask.Chains = append(ask.Chains, q.Chain)
	}
	d, err := x.log.Prepare(x.req.Context(), x.who(Purpose{Reason: q.Reason}, Discloser), ask)
	if err != nil {
		return err
	}
	return x.answer(x.disclosure(d))
}

// endsIn tells whether receipts are a chain to a record. Whoever is given it verifies it.
func endsIn(chain []byte, id record.ID) error {
	all, err := proof.ParseChain(chain)
	if err != nil {
		return err
	}
	e, err := record.ParseEntry(all[len(all)-1].Entry)
	if err == nil && record.IDOf(e.Envelope.Payload) != id {
		err = errors.New("its last receipt is not the request's")
	}
	return err
}

// chainsOf are the kept receipts of the period that a disclosure rests on: the newest
// published one where none is named.
func chainsOf(l *private.Log, period *uint64) ([][]byte, error) {
	if *period == 0 {
		for _, p := range l.Periods() {
			if !p.Record.IsZero() {
				*period = p.Number
			}
		}
	}
	if *period == 0 {
		return nil, nil
	}
	chain, err := l.Receipt(*period)
	if err != nil {
		return nil, newProblem(problemConflict, "the receipt of period %d is not in receipts/: docket customers publish fetches it", *period)
	}
	return [][]byte{chain}, nil
}

func (s *Server) disclosures(x *request) error {
	all, err := x.log.Disclosures(x.req.Context())
	if err != nil {
		return err
	}
	out := Disclosures{Disclosures: []Disclosure{}}
	for i := range all {
		out.Disclosures = append(out.Disclosures, x.disclosure(&all[i]))
	}
	return x.answer(out)
}

// NumberQuery names a disclosure.
type NumberQuery struct {
	Number    uint64 `json:"number"`
	KeyID     string `json:"keyID,omitempty"`     // to approve it: whose signature
	Signature []byte `json:"signature,omitempty"` // over its message
	Reason    string `json:"reason,omitempty"`
}

// Review is the bundle as it would leave the house.
type Review struct {
	Disclosure Disclosure `json:"disclosure"`
	Bundle     []byte     `json:"bundle"`
}

func (s *Server) review(x *request) error {
	var q NumberQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	d, err := x.log.Disclosure(x.req.Context(), q.Number)
	if err != nil {
		return err
	}
	raw, err := x.log.Review(x.req.Context(), x.who(Purpose{Reason: q.Reason}, Discloser, Compliance), q.Number)
	if err != nil {
		return err
	}
	return x.answer(Review{x.disclosure(d), raw})
}

func (s *Server) approve(x *request) error {
	var q NumberQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	d, err := x.log.Approve(x.req.Context(), x.who(Purpose{Reason: q.Reason}, Discloser), q.Number, q.KeyID, q.Signature)
	if err != nil {
		return err
	}
	return x.answer(x.disclosure(d))
}

func (s *Server) withdraw(x *request) error {
	var q NumberQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	d, err := x.log.Withdraw(x.req.Context(), x.who(Purpose{Reason: q.Reason}, Discloser), q.Number)
	if err != nil {
		return err
	}
	return x.answer(x.disclosure(d))
}

// HandedOut is an encrypted bundle, which has left the house with this answer.
type HandedOut struct {
	File    []byte        `json:"file"`
	SHA256  string        `json:"sha256"`
	Of      record.ID     `json:"request"`
	Thread  record.Thread `json:"thread"`  // of the request
	Entries int           `json:"entries"` // with the next one, what the public receipt says
	LogSize uint64        `json:"logSize"`
	Sealed  *record.Date  `json:"sealed,omitempty"` // no receipt is taken before the request is opened, from this day on
}

func (s *Server) handOut(x *request) error {
	var q NumberQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	d, err := x.log.Disclosure(x.req.Context(), q.Number)
	if err != nil {
		return err
	}
	file, digest, err := x.log.HandOut(x.req.Context(), x.who(Purpose{Reason: q.Reason}, Discloser), q.Number)
	if err != nil {
		return err
	}
	return x.answer(HandedOut{file, digest, d.Request, d.Thread, d.Events, d.LogSize, d.Sealed})
}

// disclosureProblem are the errors of disclosures that are the client's to know.
func disclosureProblem(err error) *problem {
	switch {
	case errors.Is(err, private.ErrNoDisclosure):
		return newProblem(problemNotFound, "%v", private.ErrNoDisclosure)
	case errors.Is(err, private.ErrChanged):
		return newProblem(problemConflict, "%v", private.ErrChanged)
	}
	return nil
}
