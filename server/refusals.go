package server

import (
	"errors"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// refusalNotes signs refusals (DESIGN.md section 4, "Refusal"). A verdict is always given
// anew; one that is the same but for its time gets the note of the first for a minute, so
// that who asks again and again costs no signatures.
type refusalNotes struct {
	signer *record.RefusalSigner
	recent *lru.Cache[string, record.RefusalNote] // by the text without its time
}

const (
	refusalNoteWindow = time.Minute
	maxRecentRefusals = 4096 // of at most 5 KiB
)

func newRefusalNotes(signer *record.RefusalSigner) (*refusalNotes, error) {
	if signer == nil {
		return nil, nil
	}
	recent, err := lru.New[string, record.RefusalNote](maxRecentRefusals)
	return &refusalNotes{signer, recent}, err
}

// note is a signed note that says what n says, at n's time or up to a minute before.
func (r *refusalNotes) note(n record.RefusalNote) (record.RefusalNote, error) {
	untimed := n
	untimed.Time = time.Time{}
	key := untimed.Text()
	if known, ok := r.recent.Get(key); ok {
		if age := n.Time.Sub(known.Time); age >= 0 && age < refusalNoteWindow {
			return known, nil
		}
	}
	signed, err := r.signer.Sign(n)
	if err == nil {
		r.recent.Add(key, signed)
	}
	return signed, err
}

// withSignedRefusal adds to a refusal what its sender can show: a note signed with the
// refusals key that the charter in force names. There is one only where the rules refuse the
// record, so that a replay can judge it, and an enrolled key signed that; whatever else
// keeps a server from taking a record, its load, its disk, its clock, is signed by nothing.
//
// The record is judged anew on what is durable: a verdict may have rested on records that
// were still being written. v is zero if the envelope could not be opened.
func (s *Server) withSignedRefusal(env record.Envelope, v record.Verified, err error) error {
	var refusal *record.Refusal
	if s.refusals == nil || !errors.As(err, &refusal) || refusal.Class == record.Unsupported || s.cfg.Config.Ledger.ClockErr() != nil {
		return err
	}
	draft, now := s.newDraft()
	if draft.RefusalsKey() != s.refusals.signer.Key().String() {
		return err
	}
	size, judge := draft.NextIndex(), func() (register.Verdict, error) { return draft.VerdictOn(v) }
	if v.ID().IsZero() {
		if signers, failed := draft.EnrolledSigners(env); failed != nil || len(signers) == 0 {
			return err // a stranger's is not judged twice
		}
		judge = func() (register.Verdict, error) { return draft.Verdict(env) }
	}
	verdict, failed := judge()
	if failed != nil || verdict.Refused == nil || verdict.Refused.Class == record.Unsupported || len(verdict.Signers) == 0 {
		return err
	}
	note, failed := s.refusals.note(record.RefusalNote{
		Ledger: s.cfg.Register.Ledger(), Record: record.IDOf(env.Payload), Keys: verdict.Signers,
		Size: size, Rule: verdict.Refused.Rule(), Time: now.UTC().Truncate(time.Millisecond),
	})
	if failed != nil {
		s.log.Error("signing a refusal", "size", size, "err", failed)
		return err
	}
	p := problemOfRefusal(verdict.Refused)
	p.refusal = string(note.Format())
	return p
}
