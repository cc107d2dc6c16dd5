package event

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Flagged is an event of now about a customer whose ID is derived of texts: the same texts are
// the same event. The prefix tells kinds of them apart.
func (s *State) Flagged(f *Flagged, now time.Time, prefix string, texts ...string) Input {
	var b []byte
	for _, text := range texts {
		b = append(schema.AppendString(b, text), '\n')
	}
	sum := sha256.Sum256(b)
	return Input{Account: s.Customer.Account, ID: prefix + hex.EncodeToString(sum[:]), Kind: KindFlagged, Time: now.UTC().Truncate(time.Millisecond), Content: f}
}

// Decide is somebody's decision about a flag of a customer, as an event of now. The same
// decision about the same hit, sent twice, is one.
func (s *State) Decide(flag Flag, outcome, by, reason string, now time.Time) (Input, []schema.Fault) {
	f := &Flagged{What: "decision", Record: flag.Record, Thread: flag.Thread, Matched: flag.Matched, Outcome: outcome, By: by, Reason: reason}
	in := s.Flagged(f, now, "decision:", f.Thread, f.Record.String(), f.Matched, flag.At.String(), flag.DecidedAt.String(), outcome, by, reason)
	return in, in.Check()
}

// SameHit tells whether another event's content is this very hit, found on another day: of the
// same record and thread, by the same element with the same score. The day of a hit is the
// first on which it was found. Owners change their places: which of them it was is in the hit's ID.
func (f *Flagged) SameHit(before Content) bool {
	b, ok := before.(*Flagged)
	if !ok || f.What != "hit" || b.What != "hit" || f.Outcome != b.Outcome || f.By != b.By || f.Reason != b.Reason {
		return false
	}
	return f.Record == b.Record && f.Thread == b.Thread && path.Base(f.Matched) == path.Base(b.Matched) && sameScore(f.Score, b.Score)
}

func sameScore(a, b *int64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
