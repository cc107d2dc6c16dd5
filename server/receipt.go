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
func (s *Server) receipt(x *request) error {
	q := x.parseParams("chain")
	chain := q.flag("chain")
	if err := q.firstFault(); err != nil {
		return err
	}
	id, index, err := s.findRecord(x)
	if err != nil {
		return err
	}
	x.setRecordHeaders(id, index)
	x.Writer.Header().Set("Cache-Control", cacheRevalidate)
	if chain {
		return s.queryLimiter.limit(func(x *request) error { return s.answerChain(x, index) })(x)
	}
	return s.answerReceipt(x.Request.Context(), x, index, http.StatusOK)
}

// findRecord reads the path's record ID and looks it up: 404 for what the ledger does
// not know, 409 for what it has committed and not published yet.
func (s *Server) findRecord(x *request) (record.ID, uint64, error) {
	id, err := record.ParseID(x.Param("id"))
	if err != nil {
		return record.ID{}, 0, newProblem(problemNotFound, "a record ID is 64 lower-case hexadecimal digits")
	}
	index, known, err := s.cfg.Register.Lookup(id)
	if err != nil {
		return record.ID{}, 0, fmt.Errorf("looking up %s: %w", id, err)
	}
	if !known {
		return record.ID{}, 0, newProblem(problemNotFound, "no record on this ledger has the ID %s", id)
	}
	x.setIndex(index)
	if index >= s.publishedSize() {
		p := newProblem(problemUnpublished, "the record is committed at index %d, and not published yet; ask again in a moment", index)
		p.index = &index
		return record.ID{}, 0, p
	}
	return id, index, nil
}

// answerReceipt writes the receipt of a published entry.
func (s *Server) answerReceipt(ctx context.Context, x *request, index uint64, status int) error {
	receipt, err := s.cfg.Ledger.Receipt(ctx, index)
	if err != nil {
		return err
	}
	text, err := receipt.Format()
	if err != nil {
		return fmt.Errorf("writing the receipt of entry %d: %w", index, err)
	}
	return x.answerBytes(status, typeText, text)
}

// setRecordHeaders puts into the headers which record the answer is about.
func (x *request) setRecordHeaders(id record.ID, index uint64) {
	x.setIndex(index)
	h := x.Writer.Header()
	h["Location"] = []string{recordPath(id)}
	h["Docket-Record"] = []string{id.String()}
	h["Docket-Index"] = []string{strconv.FormatUint(index, 10)}
}

func recordPath(id record.ID) string { return "/v1/records/" + id.String() }
