package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// receipt is GET /v1/records/{id}/receipt: against the newest published
// checkpoint, so asking again later gives a newer one of the same entry.
func (s *Server) receipt(x *exchange) error {
	q := x.query("chain")
	chain := q.flag("chain")
	if err := q.done(); err != nil {
		return err
	}
	id, index, err := s.find(x)
	if err != nil {
		return err
	}
	x.name(id, index)
	x.Writer.Header().Set("Cache-Control", cacheNever)
	if chain {
		return s.queries.behind(func(x *exchange) error { return s.answerChain(x, index) })(x)
	}
	return s.answerReceipt(x.Request.Context(), x, index, http.StatusOK)
}

// find reads the path's record ID and looks it up: 404 for what the ledger does
// not know, 409 for what it has committed and not published yet.
func (s *Server) find(x *exchange) (record.ID, uint64, error) {
	id, err := record.ParseID(x.Param("id"))
	if err != nil {
		return record.ID{}, 0, refuse(notFound, "a record ID is 64 lower-case hexadecimal digits")
	}
	index, known, err := s.cfg.Register.Lookup(id)
	if err != nil {
		return record.ID{}, 0, fmt.Errorf("looking up %s: %w", id, err)
	}
	if !known {
		return record.ID{}, 0, refuse(notFound, "no record on this ledger has the ID %s", id)
	}
	x.about(index)
	if index >= s.published() {
		p := refuse(unpublished, "the record is committed at index %d, and not published yet; ask again in a moment", index)
		p.index = &index
		return record.ID{}, 0, p
	}
	return id, index, nil
}

// answerReceipt writes the receipt of a published entry.
func (s *Server) answerReceipt(ctx context.Context, x *exchange, index uint64, status int) error {
	receipt, err := s.cfg.Ledger.Receipt(ctx, index)
	if err != nil {
		return err
	}
	text, err := receipt.Format()
	if err != nil {
		return fmt.Errorf("writing the receipt of entry %d: %w", index, err)
	}
	return x.bytes(status, typeText, text)
}

// name puts into the headers which record the answer is about.
func (x *exchange) name(id record.ID, index uint64) {
	x.about(index)
	h := x.Writer.Header()
	h["Location"] = []string{recordPath(id)}
	h["Docket-Record"] = []string{id.String()}
	h["Docket-Index"] = []string{strconv.FormatUint(index, 10)}
}

func recordPath(id record.ID) string { return "/v1/records/" + id.String() }
