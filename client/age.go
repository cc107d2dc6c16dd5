package client

import (
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// StaleError is a newest checkpoint that a quorum cosigned long ago. What it proves
// stays proven; that nothing came after it, nobody says.
type StaleError struct {
	Size   uint64
	At     time.Time     // the newest moment since which a quorum has cosigned it
	Age    time.Duration // of that, at the time of asking
	MaxAge time.Duration
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("the ledger's newest checkpoint is %s old; the limit is %s: a quorum of witnesses last cosigned size %d at %s",
		e.Age.Round(time.Second), e.MaxAge, e.Size, e.At.Format(time.RFC3339))
}

// CheckAge is for a checkpoint that was just fetched as a ledger's newest: a
// *[StaleError] if no quorum cosigned it within maxAge. A ledger has its newest one
// cosigned again when it is idle, so an old one says that the ledger stands still or
// that newer ones are kept from whoever asks. Under quorum none, or with 0, any age
// is fine.
func CheckAge(newest *proof.Published, maxAge time.Duration, now time.Time) error {
	at := newestQuorumTime(newest)
	if age := now.Sub(at); maxAge > 0 && !at.IsZero() && age > maxAge {
		return &StaleError{Size: newest.Checkpoint().Size, At: at, Age: age, MaxAge: maxAge}
	}
	return nil
}

// newestQuorumTime is the greatest T such that the cosignatures stamped T or later
// satisfy the quorum: witnesses that are gone do not make a checkpoint old. Zero
// with quorum none.
func newestQuorumTime(p *proof.Published) time.Time {
	if p.Policy().QuorumIsNone() {
		return time.Time{}
	}
	var names []string
	cosignatures := p.Cosignatures()
	for i := len(cosignatures) - 1; i >= 0; i-- {
		if names = append(names, cosignatures[i].Witness); p.Policy().Satisfied(names...) {
			return cosignatures[i].Time
		}
	}
	return time.Time{} // not reached: a published checkpoint has a quorum
}
