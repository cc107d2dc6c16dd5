package server

import (
	"fmt"
	"net/http"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// dryRunAnswer is what a dry run answers for a record that would be admitted. One
// that would not is answered like the real submission: with its problem.
type dryRunAnswer struct {
	Admissible bool           `json:"admissible"`
	Record     record.ID      `json:"record"`
	Index      uint64         `json:"index"` // that it would take, or has
	Known      bool           `json:"known,omitempty"`
	Signatures []dryRunSigner `json:"signatures,omitempty"`
	Effects    []string       `json:"effects"`
	Size       int            `json:"size,omitempty"` // bytes of the entry
	Limit      int            `json:"limit,omitempty"`
	AsOf       dryRunAsOf     `json:"asOf"`
}

type dryRunAsOf struct {
	Size uint64 `json:"size"`
	At   string `json:"at"`
}

type dryRunSigner struct {
	KeyID  string `json:"keyid"`
	Owner  string `json:"owner,omitempty"`
	Holder string `json:"holder,omitempty"`
}

// dryRun is the dry run: the register judges on a draft that is then dropped, so
// nothing is written, and another record may still come in between. Its effects are
// found in long histories, so it waits for its turn as a question does.
func (s *Server) dryRun(x *request, v record.Verified) error {
	if err := x.acquire(s.queryLimiter); err != nil {
		return err
	}
	defer x.release()
	draft, now := s.newDraft()
	index := draft.NextIndex()
	entry, err := draft.Judge(v)
	if err != nil {
		return err
	}
	effects, err := draft.Effects()
	if err != nil {
		return fmt.Errorf("working out the effects of %s: %w", v.ID(), err)
	}
	answer := dryRunAnswer{
		Admissible: true,
		Record:     v.ID(),
		Index:      index,
		Effects:    effects,
		Size:       len(entry.Marshal()),
		Limit:      record.MaxEntryBytes,
		AsOf:       dryRunAsOf{index, now.UTC().Format(timeFormat)},
	}
	for _, sig := range entry.Envelope.Signatures {
		by := dryRunSigner{KeyID: sig.KeyID}
		by.Owner, by.Holder, _, err = s.cfg.Register.KeyOwner(sig.KeyID)
		if err != nil {
			return err
		}
		answer.Signatures = append(answer.Signatures, by)
	}
	s.metrics.countOutcome(outcomeDryRun)
	return x.answerJSON(http.StatusOK, answer)
}

// newDraft is one to judge on and drop, and when what it judges would be admitted.
func (s *Server) newDraft() (*register.Draft, time.Time) {
	now := time.Now()
	if last := s.cfg.Register.LastAdmitted(); now.Before(last) {
		now = last // admission times never go back
	}
	return s.cfg.Register.Begin(now), now
}

// answerKnownDryRun is the dry run of what is on the ledger already.
func (s *Server) answerKnownDryRun(x *request, id record.ID, index uint64) error {
	x.setIndex(index)
	s.metrics.countOutcome(outcomeDryRun)
	return x.answerJSON(http.StatusOK, dryRunAnswer{
		Admissible: true,
		Record:     id,
		Index:      index,
		Known:      true,
		Effects:    []string{fmt.Sprintf("is already on the ledger at index %d; nothing would be added", index)},
		AsOf:       dryRunAsOf{s.cfg.Register.Size(), time.Now().UTC().Format(timeFormat)},
	})
}
