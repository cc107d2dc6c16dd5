package server

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// auditorJSON is how an auditor stands, as /v1/auditors says it.
type auditorJSON struct {
	Name       string `json:"name"` // of its key
	VKey       string `json:"vkey"`
	URL        string `json:"url,omitempty"`
	Statement  string `json:"statement,omitempty"`
	Assessment string `json:"assessment,omitempty"` // record ID of the one that names it; absent: the operator does
	Size       uint64 `json:"size"`                 // up to which it has judged; 0 if nothing came
	At         string `json:"at,omitempty"`
	Checkpoint string `json:"checkpoint,omitempty"` // with its cosignature
}

func auditorToJSON(w auditors.Word) auditorJSON {
	j := auditorJSON{Name: w.Key.Name(), VKey: w.Key.String(), URL: w.URL, Statement: w.Statement, Assessment: w.By}
	if w.Published != nil {
		j.Size, j.At, j.Checkpoint = w.Published.Checkpoint().Size, w.At.Format(time.RFC3339), string(w.Published.Note())
	}
	return j
}

// auditors is GET /v1/auditors: who is named, and the newest that each has cosigned.
func (s *Server) auditors(x *request) error {
	if err := x.parseParams().firstFault(); err != nil {
		return err
	}
	all := []auditorJSON{}
	if s.cfg.Auditors != nil {
		words, err := s.cfg.Auditors.All(x.Request.Context())
		if err != nil {
			return err
		}
		for _, w := range words {
			all = append(all, auditorToJSON(w))
		}
	}
	return x.answerJSON(http.StatusOK, map[string]any{"auditors": all})
}

// addCosignature is POST /v1/auditors: a checkpoint of this ledger with the cosignature of
// an auditor that is named. Each costs signatures to verify, so it takes a slot of the
// submissions, and of the allowance that an address has for what is refused.
func (s *Server) addCosignature(x *request) error {
	if err := x.parseParams().firstFault(); err != nil {
		return err
	}
	if x.Request.ContentLength > proof.MaxNoteBytes {
		p := newProblem(problemTooLarge, "the body has %d bytes, the limit is %d", x.Request.ContentLength, proof.MaxNoteBytes)
		p.limit, p.size = proof.MaxNoteBytes, int(x.Request.ContentLength)
		return p
	}
	bill := rateAccount{onRefusal: s.perAddress, address: s.address(x)}
	if err := bill.check(); err != nil {
		return err
	}
	body, err := s.bodyPool.read(x.Request)
	if err != nil {
		return err
	}
	defer s.bodyPool.put(body) // what is kept of it was copied
	if err := x.acquire(s.verifyLimiter); err != nil {
		return err
	}
	defer x.release()
	bill.onRefusal.take(bill.address, 1)
	if s.cfg.Auditors == nil {
		return problemOfCosignature(auditors.ErrNotNamed)
	}
	words, taken, err := s.cfg.Auditors.Take(x.Request.Context(), *body)
	if err != nil {
		return problemOfCosignature(err)
	}
	all := []auditorJSON{}
	for _, w := range words {
		all = append(all, auditorToJSON(*w))
	}
	status := http.StatusOK
	if taken {
		status = http.StatusCreated
	}
	return x.answerJSON(status, map[string]any{"auditors": all})
}

// problemOfCosignature words why one is not taken.
func problemOfCosignature(err error) error {
	var forged *proof.SignatureError
	switch {
	case errors.Is(err, auditors.ErrNotNamed):
		return newProblem(problemForbidden, "%v; it names those whose assessment on the ledger has their vkey, and those whom its operator adds (docket serve --auditor)", auditors.ErrNotNamed)
	case errors.Is(err, auditors.ErrOtherRole):
		return newProblem(problemForbidden, "%v", err)
	case errors.Is(err, ledger.ErrNotArchived):
		p := newProblem(problemNotFound, "no such checkpoint was published here, or it is not kept and the note lacks the witnesses' cosignatures that it had: send the whole note")
		p.cause = err
		return p
	case errors.Is(err, ledger.ErrOtherTree), errors.Is(err, proof.ErrNotCosigned), errors.As(err, &forged):
		return newProblem(problemCosignature, "%v", err)
	case errors.Is(err, auditors.ErrMalformed):
		return newProblem(problemMalformed, "%v", err)
	}
	return err
}

// answerAuditedReceipt writes the receipt of a published entry against the newest checkpoint
// that an auditor has cosigned.
func (s *Server) answerAuditedReceipt(x *request, index uint64, auditor string) error {
	if s.cfg.Auditors == nil {
		return newProblem(problemNotFound, "this ledger names no auditor")
	}
	word, err := s.cfg.Auditors.Newest(x.Request.Context(), auditor)
	switch {
	case errors.Is(err, auditors.ErrNotNamed):
		return newProblem(problemNotFound, "this ledger names no auditor %s; /v1/auditors lists those that it names", clipText(auditor))
	case err != nil:
		return err
	case word.Published == nil:
		return newProblem(problemUnpublished, "the auditor %s has cosigned nothing of this ledger yet", word.Key.Label())
	case word.Published.Checkpoint().Size <= index:
		p := newProblem(problemUnpublished, "the auditor %s has judged the entries below %d, and the record is at index %d: ask again once it has gone on", word.Key.Label(), word.Published.Checkpoint().Size, index)
		p.index = &index
		return p
	}
	r, err := s.cfg.Ledger.ReceiptAgainst(x.Request.Context(), index, word.Published)
	if err != nil {
		return err
	}
	text, err := r.Format()
	if err != nil {
		return fmt.Errorf("writing the receipt of entry %d: %w", index, err)
	}
	return x.answerBytes(http.StatusOK, typeText, text)
}
