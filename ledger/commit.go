package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Commit takes in everything that the pool holds: it judges in order, and makes
// what is admitted durable, one synced write a batch. When it returns, all those
// items have their verdict.
//
// An error means that the ledger has stopped, but for [ErrClock], [ErrFold] and ctx's
// own: then nothing was written, and it may be called again. A batch that is judged is
// also written, whatever ctx says meanwhile.
func (l *Ledger[V]) Commit(ctx context.Context) error { return l.commit(ctx, false) }

// commit is Commit. With overlap, the next batch is judged and written while the
// fold advances over the one before: Run gains by it a good part of the second
// core. The step alone does one thing after another, for whoever must be able to
// repeat what it did.
func (l *Ledger[V]) commit(ctx context.Context, overlap bool) error {
	l.sequencing.Lock()
	defer l.sequencing.Unlock()
	var spoilt error
	for {
		if err := errors.Join(ctx.Err(), l.Err()); err != nil {
			return errors.Join(err, l.waitInFlight())
		}
		b := l.pool.take()
		if b == nil {
			return errors.Join(spoilt, l.waitInFlight())
		}
		switch err := l.commitBatch(ctx, b, overlap); {
		case errors.Is(err, ErrFold): // another batch may not need what is damaged
			spoilt = err
		case err != nil:
			return err
		}
	}
}

// commitBatch commits a batch, in parts if it is too large for one commit. The
// parts share their tickets' channel, so that they never overlap.
func (l *Ledger[V]) commitBatch(ctx context.Context, b *batch[V], overlap bool) error {
	for from := 0; from < len(b.items); {
		p, err := l.prepareCommit(b, from)
		if err == nil {
			err = l.extendStore(ctx, p)
		}
		if err := errors.Join(l.waitInFlight(), err); err != nil {
			b.fail(commitError(err))
			return err
		}
		from = p.end
		l.inFlight = p
		go func() { p.done <- l.advanceFold(p) }()
		if !overlap || from < len(b.items) {
			if err := l.waitInFlight(); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitInFlight waits until the fold has advanced over the plan in flight, if there is one.
func (l *Ledger[V]) waitInFlight() error {
	if l.inFlight == nil {
		return nil
	}
	err := <-l.inFlight.done
	l.inFlight = nil
	return err
}

// commitError is what those are told whose commit failed: that it may have happened,
// or surely did not.
func commitError(err error) error {
	if errors.Is(err, ErrUnknown) || errors.Is(err, ErrClock) || errors.Is(err, ErrFold) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrStopped, err)
}

// pendingCommit is one commit: decided, hashed, nothing written.
type pendingCommit[V Item] struct {
	started    time.Time
	batch      *batch[V]
	end        int // tickets below it are decided once this is done
	draft      Draft[V]
	extension  Extension
	ids        map[record.ID]uint64 // what it admits
	tree       *treeSnapshot
	fullTiles  []dirtyTile // tiles that it completes
	refused    int
	duplicates int
	admitted   time.Time
	done       chan error // gets what advance returns
}

// prepareCommit judges a batch, or as much of it as one commit takes, and builds the
// extension. It fails before it has changed anything but the filter, which may
// know too much.
func (l *Ledger[V]) prepareCommit(b *batch[V], from int) (*pendingCommit[V], error) {
	p := &pendingCommit[V]{started: time.Now(), batch: b, end: from, admitted: admissionTime(), done: make(chan error, 1)}
	if err := l.clockErr(p.started); err != nil {
		return nil, err
	}
	if err := l.notBeforeNewest(p); err != nil {
		return nil, err
	}
	if err := l.judgeItems(p); err != nil {
		return nil, err
	}
	if len(p.extension.Entries) == 0 {
		return p, nil
	}
	head, err := l.edge.append(p.extension.Entries)
	if err != nil {
		return nil, l.stop(err)
	}
	p.extension.Old, p.extension.New = l.head, head
	for _, t := range l.edge.takeDirty() {
		width := int(min(proof.TileWidth, head.Size>>(proof.TileHeight*t.level)-t.index*proof.TileWidth))
		p.extension.Tiles = append(p.extension.Tiles, Tile{proof.TileID{Level: t.level, Index: t.index, Width: width}, t.tile.packed(width)})
		if width == proof.TileWidth {
			p.fullTiles = append(p.fullTiles, t)
		}
	}
	p.tree = l.edge.snapshot(head, p.admitted)
	return p, nil
}

// notBeforeNewest admits at the time of the newest entry where the clock says less, since
// admission times never go back: a clock that is set back by some seconds costs nobody
// anything. Beyond what verifiers grant it is a [ClockError].
func (l *Ledger[V]) notBeforeNewest(p *pendingCommit[V]) error {
	by := l.newestAdmitted.Sub(p.admitted)
	if by <= 0 {
		return nil
	}
	if err := checkNotBehind(p.admitted, l.newestAdmitted); err != nil {
		return err
	}
	if l.behindLog.allow() {
		l.config.Log.Warn("the clock is behind the newest entry; records are admitted at that one's time until it has caught up", "origin", l.config.Origin, "size", l.head.Size, "behind", by.String())
	}
	p.admitted = l.newestAdmitted
	return nil
}

// judgeItems decides on items from the batch in order until it is through, or one
// commit is full.
func (l *Ledger[V]) judgeItems(p *pendingCommit[V]) error {
	l.drafting.Lock()
	defer l.drafting.Unlock()
	todo := p.batch.items[p.end:]
	var previous Draft[V]
	if l.inFlight != nil {
		previous = l.inFlight.draft
	}
	p.draft = l.fold.Begin(previous, p.admitted)
	p.ids = make(map[record.ID]uint64, len(todo))
	p.extension.Entries = make([][]byte, 0, len(todo))
	size := 0
	for _, w := range todo {
		if size >= l.config.MaxBatchBytes {
			break
		}
		p.end++
		id := w.item.ID()
		index, ok, err := l.findAdmitted(p, id)
		if err != nil {
			return l.spoilt(fmt.Errorf("looking up %s: %w", id, err))
		}
		if ok {
			w.ticket.admission = Admission{Index: index, Duplicate: true}
			p.duplicates++
			continue
		}
		entry, err := p.draft.Judge(w.item)
		if refusal := (*record.Refusal)(nil); errors.As(err, &refusal) {
			w.ticket.err = err
			p.refused++
			continue
		}
		if err != nil {
			return l.spoilt(fmt.Errorf("judging %s: %w", id, err))
		}
		w.ticket.admission = Admission{Index: l.head.Size + uint64(len(p.extension.Entries))}
		p.ids[id] = w.ticket.admission.Index
		l.admittedIDs.add(id)
		p.extension.Entries = append(p.extension.Entries, entry)
		size += len(entry)
	}
	return nil
}

// spoilt is why nothing of a plan is written. A fold that is made anew judges again
// then; after anything else nobody can say what it would do.
func (l *Ledger[V]) spoilt(err error) error {
	if errors.Is(err, ErrFold) {
		return err
	}
	return l.stop(err)
}

// findAdmitted is exact for everything admitted so far, this plan included. Whoever is
// found in a plan learns of it only once that plan is durable. Only what was
// admitted is found: an item that was refused is judged again each time, since
// another submission of it may bear more signatures.
func (l *Ledger[V]) findAdmitted(p *pendingCommit[V], id record.ID) (uint64, bool, error) {
	if !l.admittedIDs.has(id) {
		return 0, false, nil
	}
	if index, ok := p.ids[id]; ok {
		return index, true, nil
	}
	if l.inFlight != nil {
		if index, ok := l.inFlight.ids[id]; ok {
			return index, true, nil
		}
	}
	return l.fold.Lookup(id)
}

// extendStore makes p durable.
func (l *Ledger[V]) extendStore(ctx context.Context, p *pendingCommit[V]) error {
	if len(p.extension.Entries) == 0 {
		return nil
	}
	err := l.store.Extend(context.WithoutCancel(ctx), p.extension) // torn, its outcome would be unknown
	switch {
	case errors.Is(err, ErrConflict): // another writer, who is not supposed to be there
		return l.stop(fmt.Errorf("extending to %d: %w", p.extension.New.Size, err))
	case err != nil:
		return l.stop(fmt.Errorf("extending to %d: %w: %w", p.extension.New.Size, ErrUnknown, err))
	}
	l.head, l.newestAdmitted = p.extension.New, p.admitted
	return nil
}

// advanceFold takes the fold over p, shows the new tree and gives the verdicts.
func (l *Ledger[V]) advanceFold(p *pendingCommit[V]) error {
	if len(p.extension.Entries) > 0 {
		if err := l.fold.Advance(p.draft, p.extension.New); err != nil {
			// The entries are durable, and seen only after the reopening.
			err = l.stop(fmt.Errorf("advancing to %d: %w: %w", p.extension.New.Size, ErrUnknown, err))
			p.batch.fail(err)
			return err
		}
		for _, t := range p.fullTiles {
			l.cache.put(tileKey{t.level, t.index}, t.tile)
		}
		l.tree.Store(p.tree)
		l.notifyCommit()
	}
	p.batch.decided = p.end
	if p.end == len(p.batch.items) {
		close(p.batch.done)
	}
	if f := l.config.Hooks.Committed; f != nil {
		f(len(p.extension.Entries), p.refused, p.duplicates, time.Since(p.started))
	}
	return nil
}

func (l *Ledger[V]) notifyCommit() {
	select {
	case l.commitWake <- struct{}{}:
	default:
	}
}
