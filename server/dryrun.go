package server

import (
	"fmt"
	"net/http"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// verdict is what a dry run answers for a record that would be admitted. One
// that would not is answered like the real submission: with its problem.
type verdict struct {
	Admissible bool        `json:"admissible"`
	Record     record.ID   `json:"record"`
	Index      uint64      `json:"index"` // that it would take, or has
	Known      bool        `json:"known,omitempty"`
	Signatures []signedBy  `json:"signatures,omitempty"`
	Effects    []string    `json:"effects"`
	Size       int         `json:"size,omitempty"` // bytes of the entry
	Limit      int         `json:"limit,omitempty"`
	AsOf       verdictAsOf `json:"asOf"`
}

type verdictAsOf struct {
	Size uint64 `json:"size"`
	At   string `json:"at"`
}

type signedBy struct {
	KeyID  string `json:"keyid"`
	Owner  string `json:"owner,omitempty"`
	Holder string `json:"holder,omitempty"`
}

// judge is the dry run: the register judges on a draft that is then dropped, so
// nothing is written, and another record may still come in between. Its effects are
// found in long histories, so it waits for its turn as a question does.
func (s *Server) judge(x *exchange, v record.Verified) error {
	if err := x.enter(s.queries); err != nil {
		return err
	}
	defer x.leave()
	draft, now := s.draft()
	index := draft.NextIndex()
	entry, err := draft.Judge(v)
	if err != nil {
		return err
	}
	effects, err := draft.Effects()
	if err != nil {
		return fmt.Errorf("working out the effects of %s: %w", v.ID(), err)
	}
	answer := verdict{
		Admissible: true,
		Record:     v.ID(),
		Index:      index,
		Effects:    effects,
		Size:       len(entry.Marshal()),
		Limit:      record.MaxEntry,
		AsOf:       verdictAsOf{index, now.UTC().Format(instant)},
	}
	for _, sig := range entry.Envelope.Signatures {
		by := signedBy{KeyID: sig.KeyID}
		by.Owner, by.Holder, _, err = s.cfg.Register.Owner(sig.KeyID)
		if err != nil {
			return err
		}
		answer.Signatures = append(answer.Signatures, by)
	}
	s.metrics.taken(outcomeJudged)
	return x.json(http.StatusOK, answer)
}

// draft is one to judge on and drop, and when what it judges would be admitted.
func (s *Server) draft() (*register.Draft, time.Time) {
	now := time.Now()
	if last := s.cfg.Register.LastAdmitted(); now.Before(last) {
		now = last // admission times never go back
	}
	return s.cfg.Register.Begin(now), now
}

// knownVerdict is the dry run of what is on the ledger already.
func (s *Server) knownVerdict(x *exchange, id record.ID, index uint64) error {
	x.about(index)
	s.metrics.taken(outcomeJudged)
	return x.json(http.StatusOK, verdict{
		Admissible: true,
		Record:     id,
		Index:      index,
		Known:      true,
		Effects:    []string{fmt.Sprintf("is already on the ledger at index %d; nothing would be added", index)},
		AsOf:       verdictAsOf{s.cfg.Register.Size(), time.Now().UTC().Format(instant)},
	})
}
