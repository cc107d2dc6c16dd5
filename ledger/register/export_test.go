package register

import (
	"maps"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// PendingDrafts is how many drafts this one reads through, for tests.
func (d *Draft) PendingDrafts() int { return len(d.earlier) }

// AdmitUnsigned judges a record as if all had signed who must, and admits it: what a record
// costs beside its signatures, which are bounded.
func (d *Draft) AdmitUnsigned(id record.ID, st *record.Statement) error {
	j := judgment{draft: d, st: st, id: id, index: d.next, admitted: d.admitted, unsigned: true}
	if err := j.judge(); err != nil {
		return err
	}
	return d.writeRows(&j)
}

// BatchBytes are those of the rows that the draft would write.
func (d *Draft) BatchBytes() int { return d.batch.Len() }

// EmptyCaches empties the caches, so that what comes next is read from the rows.
func (r *Register) EmptyCaches() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.partyCache, r.threadCache = newRowCache(2, 1<<20), newRowCache(2, 1<<20)
}

// Kinds are those that the rules know.
func Kinds() []record.Kind { return slices.Sorted(maps.Keys(kinds)) }

// ListedKeys is how many keys the replay holds that the register does not have yet.
func (p *Replayer) ListedKeys() int { return len(p.listed) }
