package customers

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
)

// changes are the customers whose state is another since [Log.EachChanged] was called last: all
// at first, and where they became too many, or some were erased.
type changes struct {
	mu   sync.Mutex
	some bool // refs are all of them
	refs map[vault.Ref]struct{}
}

// maxChanges is how many are remembered: 16 bytes each.
const maxChanges = 1 << 16

func (c *changes) note(ref vault.Ref) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.some || ref == (vault.Ref{}): // the house is no customer
	case len(c.refs) == maxChanges:
		c.some, c.refs = false, nil
	default:
		c.refs[ref] = struct{}{}
	}
}

func (c *changes) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.some, c.refs = false, nil
}

// take begins anew. some is false where it is not known which they were.
func (c *changes) take() (refs []vault.Ref, some bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	refs, some = slices.Collect(maps.Keys(c.refs)), c.some
	c.some, c.refs = true, make(map[vault.Ref]struct{})
	return refs, some
}

// EachChanged calls f with each customer whose state has changed since the last call, whatever it
// was then; or, where that is not known or whole is set, calls begin and then f with all customers. So whoever keeps what it
// was given reads no customer twice for nothing; there is one who does, and nothing is logged. After an error the next call is of all.
func (l *Log) EachChanged(ctx context.Context, whole bool, begin func(), f func(event.State) error) (err error) {
	refs, some := l.fold.changes.take()
	defer func() {
		if err != nil {
			l.fold.changes.forget()
		}
	}()
	if whole || !some {
		begin()
		return l.Each(ctx, event.Act{}, f)
	}
	for page := range slices.Chunk(refs, eachPage) {
		all, err := l.states(ctx, func() ([]vault.Ref, error) { return page, nil })
		if err != nil {
			return err
		}
		for _, s := range all {
			if err := f(s); err != nil {
				return err
			}
		}
	}
	return nil
}
