package register

import (
	"fmt"
	"sort"
	"time"
)

// Knowable is how much of a ledger was knowable at an instant, and by whose word.
type Knowable struct {
	Size     uint64    `json:"size"`              // the entries below it
	Cosigned time.Time `json:"cosigned,omitzero"` // when a quorum of witnesses had; zero: by admission times, the ledger's own word
}

// String says by whose word, for people.
func (k Knowable) String() string {
	if k.Cosigned.IsZero() {
		return "by admission times, the ledger's own word: no cosigned checkpoint of that time is kept"
	}
	return fmt.Sprintf("below size %d, cosigned %s", k.Size, k.Cosigned.UTC().Format("2006-01-02 15:04:05Z"))
}

// CheckpointTimes says what a quorum of witnesses had cosigned by an instant: the size and
// time of the newest checkpoint that is stamped no later. Where no checkpoint is
// known that is so old, the time is zero, and the size is one that cannot have been
// exceeded yet. A register knows no checkpoints: a [View] is handed this.
type CheckpointTimes func(at time.Time) (Knowable, error)

// WithCheckpointTimes is the view that takes from cosigned how much was knowable at an instant; a
// view without goes by admission times alone.
func (v *View) WithCheckpointTimes(cosigned CheckpointTimes) *View {
	bounded := *v
	bounded.checkpointTimes = cosigned
	return &bounded
}

// Knowable is how many of the view's entries were knowable at an instant: the second
// meaning of "at T". What was admitted and not yet cosigned nobody could know, and
// nothing proves when it was admitted; where no checkpoint tells, admission times do.
func (v *View) Knowable(at time.Time) (Knowable, error) {
	k := Knowable{Size: v.size}
	if v.checkpointTimes != nil {
		var err error
		if k, err = v.checkpointTimes(at); err != nil {
			return Knowable{}, err
		}
		k.Size = min(k.Size, v.size)
	}
	if !k.Cosigned.IsZero() {
		return k, nil
	}
	admitted, err := v.entriesAdmittedBy(at)
	return Knowable{Size: min(k.Size, admitted)}, err
}

// entriesAdmittedBy is how many of the view's entries were admitted by an instant.
// Admission times never go back, so they can be searched.
func (v *View) entriesAdmittedBy(at time.Time) (uint64, error) {
	var failed error
	if v.size > 0 {
		switch newest, err := v.rows.recordRow(v.size - 1); {
		case err != nil:
			return 0, err
		case !newest.Admitted.After(at): // as a rule nobody asks about what is past
			return v.size, nil
		}
	}
	n := sort.Search(int(v.size), func(i int) bool {
		row, err := v.rows.recordRow(uint64(i))
		if err != nil {
			failed = err
		}
		return row.Admitted.After(at)
	})
	return uint64(n), failed
}

// moment is an instant with what was known at it.
type moment struct {
	current  asOf // everything known to the view
	knowable asOf // what was knowable at the instant
	extent   Knowable
}

func (v *View) momentAt(at time.Time) (moment, error) {
	k, err := v.Knowable(at)
	if err != nil {
		return moment{}, err
	}
	earlier, err := v.register.ViewAt(k.Size)
	if err != nil {
		return moment{}, err
	}
	return moment{current: v.asOf(at), knowable: earlier.asOfAll(at), extent: k}, nil
}
