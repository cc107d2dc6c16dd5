package customers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
)

// Replay implements [ledger.Fold]: the sealed events beside the leaves say it all again.
func (f *fold) Replay(ctx context.Context, entries [][]byte, head ledger.Head) error {
	base := head.Size - uint64(len(entries))
	d := f.draft(nil, base, time.Time{})
	for i, leaf := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := d.replay(base+uint64(i), leaf); err != nil {
			return err
		}
	}
	return d.advance(head, head.Size > f.data.Size, head.Size > f.search.Size)
}

func (d *draft) replay(index uint64, leaf []byte) error {
	f := d.fold
	value, err := f.db.Row(numberKey(tableEvent, index))
	if err != nil {
		return err
	}
	if value == nil {
		salt, err := f.vault.Pad(index)
		if err != nil {
			return err
		}
		if err := f.scope.ShowPad(leaf, index, event.PadOpening(salt, index)); err != nil {
			return fmt.Errorf("%w: leaf %d has no event, and does not only fill up: the customers' data were lost or are older than the log", ledger.ErrCorrupt, index)
		}
		return nil
	}
	r, err := parseEventRow(value)
	if err != nil {
		return errRow(fmt.Sprintf("the event at leaf %d", index), err)
	}
	if r.sealer == byPeriod {
		return d.replayPeriod(index, leaf, r)
	}
	who, err := f.identityOf(r)
	if errors.Is(err, vault.ErrNoCustomer) {
		if _, noted := f.keyless[r.ref]; !noted {
			f.keyless[r.ref] = index
		}
		return nil
	} else if err != nil {
		return err
	}
	e, err := f.open(index, r, who)
	if err != nil {
		return err
	}
	if string(f.scope.Leaf(e)) != string(leaf) {
		return fmt.Errorf("%w: leaf %d is not that of its event", ledger.ErrCorrupt, index)
	}
	return d.replayEvent(index, who, e)
}

func (d *draft) replayEvent(index uint64, who *identity, e *event.Event) error {
	f := d.fold
	if e.Kind == event.KindErased {
		return d.replayErased(index, who, e)
	}
	was, err := d.state(who)
	if err != nil {
		return err
	}
	next := was
	if index >= f.data.Size {
		next, err = f.apply(was, who, e, index)
	}
	if err != nil {
		return fmt.Errorf("%w: the event at leaf %d: %w", ledger.ErrCorrupt, index, err)
	}
	if next.life == nil && who.handle != event.House { // taken in already; perhaps the search rows are not
		if next.life, err = f.readLife(who); err != nil {
			return err
		}
	}
	return d.take(index, who, e, next, who.itemIDOf(e))
}

// replayErased takes the chain from the event itself where the key is gone: what came before
// says nothing any more.
func (d *draft) replayErased(index uint64, who *identity, e *event.Event) error {
	f := d.fold
	who.handle = e.Handle
	delete(f.keyless, who.ref)
	f.erased = append(f.erased, who.ref)
	if index < f.data.Size {
		return nil // its chain says that it is erased
	}
	var was event.Chain
	mine, err := f.identities.of(f.keys, who.ref)
	switch {
	case err == nil:
		before, err := d.state(mine)
		if err != nil {
			return err
		}
		was = before.Chain
	case errors.Is(err, vault.ErrNoCustomer):
		if was, err = chainOf(e.Content.(*event.Erased), e); err != nil {
			return errRow(fmt.Sprintf("the event at leaf %d", index), err)
		}
	default:
		return err
	}
	next, err := was.Apply(e, index)
	if err != nil {
		return fmt.Errorf("%w: the event at leaf %d: %w", ledger.ErrCorrupt, index, err)
	}
	return d.take(index, who, e, state{Chain: next, life: new(event.Life)}, ledger.ID{})
}

// itemIDOf is the ID that an event was appended under.
func (w *identity) itemIDOf(e *event.Event) ledger.ID {
	if w.hash == nil || e.Kind == event.KindErased { // the house's own
		return ledger.ID{}
	}
	return w.itemID(e.ID)
}

// chainOf is the chain before an erased event, by its own word.
func chainOf(content *event.Erased, e *event.Event) (event.Chain, error) {
	filed, err := event.ParseFiled(fmt.Sprintf("%d %s", content.Events, content.Filed))
	return event.Chain{Filed: filed, Last: e.Before, ClosedAt: e.Time}, err
}

func (d *draft) replayPeriod(index uint64, leaf []byte, r eventRow) error {
	p, err := d.fold.openPeriod(index, r)
	if err != nil {
		return err
	}
	salt, err := d.fold.vault.Pad(index)
	if err != nil {
		return err
	}
	root, err := d.fold.scope.ShowMap(leaf, event.MapOpening(salt, p.MapRoot))
	if err != nil || root != p.MapRoot {
		return fmt.Errorf("%w: leaf %d is not that of its period", ledger.ErrCorrupt, index)
	}
	return d.takePeriod(index, p)
}

// checkKeys is called after the replay: whoever has no key was erased. Of the others it says
// how many there are and when the first came: that is all that can be read of them.
func (f *fold) checkKeys(periods []Period) error {
	lost, first := 0, uint64(math.MaxUint64)
	for ref, index := range f.keyless {
		_, _, err := f.readChain(ref, nil)
		if value, getErr := f.db.Row(refKey(tableChain, ref)); err != nil || getErr != nil || value == nil {
			lost, first = lost+1, min(first, index)
		}
	}
	if lost > 0 {
		since := "before the first period ended"
		for _, p := range periods {
			if p.Size <= first {
				since = "after the period that ended on " + p.Until.String()
			}
		}
		return fmt.Errorf("%w: the keys of %d customers are not in keys/, and no event says that they were erased; the first of them has leaf %d, %s. What was logged of them opens by no other key: if keys/ was made of a backup, it is older than they are; move keys/ away, then docket customers restore-keys makes it of a newer one", ErrLost, lost, first, since)
	}
	if len(f.keyless) > 0 {
		clear(f.keyless)
		f.searchable = vault.Cursor{Size: f.search.Size, Root: f.search.Root}
		if err := f.keys.Advance(f.searchable, nil); err != nil {
			return err
		}
	}
	stats, err := f.keys.Stats()
	if err != nil || stats.Customers > 0 {
		return err
	}
	return scan(f.db, []byte{tableLife}, func(_, _ []byte) (bool, error) {
		return false, fmt.Errorf("%w: keys/ holds no customer's key, and data/ holds customers who are not erased: move keys/ away, then docket customers restore-keys makes it of a backup of the keys", ErrLost)
	})
}
