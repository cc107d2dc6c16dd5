package register

import (
	"maps"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Carried is how many drafts this one reads through, for tests.
func (d *Draft) Carried() int { return len(d.below) }

// Suppose judges a record as if all had signed who must, and admits it: what a record
// costs beside its signatures, which are bounded.
func (d *Draft) Suppose(id record.ID, st *record.Statement) error {
	j := judging{d: d, st: st, id: id, index: d.next, admitted: d.admitted, unsigned: true}
	if err := j.judge(); err != nil {
		return err
	}
	return d.admit(&j)
}

// Bytes are those of the rows that the draft would write.
func (d *Draft) Bytes() int { return d.batch.Len() }

// Forget empties the caches, so that what comes next is read from the rows.
func (r *Register) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parties, r.threads = newCache(2, 1<<20), newCache(2, 1<<20)
}

// Kinds are those that the rules know.
func Kinds() []record.Kind { return slices.Sorted(maps.Keys(rules)) }

// Listed is how many keys the replay holds that the register does not have yet.
func (p *Replayer) Listed() int { return len(p.listed) }
