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
			return errors.Join(err, l.land())
		}
		b := l.pool.take()
		if b == nil {
			return errors.Join(spoilt, l.land())
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
	for from := 0; from < len(b.waiting); {
		p, err := l.plan(b, from)
		if err == nil {
			err = l.extend(ctx, p)
		}
		if err := errors.Join(l.land(), err); err != nil {
			b.fail(verdict(err))
			return err
		}
		from = p.end
		l.flying = p
		go func() { p.landed <- l.advance(p) }()
		if !overlap || from < len(b.waiting) {
			if err := l.land(); err != nil {
				return err
			}
		}
	}
	return nil
}

// land waits until the fold has advanced over the plan in flight, if there is one.
func (l *Ledger[V]) land() error {
	if l.flying == nil {
		return nil
	}
	err := <-l.flying.landed
	l.flying = nil
	return err
}

// verdict is what those are told whose commit failed: that it may have happened,
// or surely did not.
func verdict(err error) error {
	if errors.Is(err, ErrUnknown) || errors.Is(err, ErrClock) || errors.Is(err, ErrFold) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrStopped, err)
}

// plan is one commit: decided, hashed, nothing written.
type plan[V Item] struct {
	begun    time.Time
	batch    *batch[V]
	end      int // tickets below it are decided once this is done
	draft    Draft[V]
	x        Extension
	ids      map[record.ID]uint64 // what it admits
	view     *view
	full     []touched // tiles that it completes
	refused  int
	known    int
	admitted time.Time
	landed   chan error // gets what advance returns
}

// plan judges a batch, or as much of it as one commit takes, and builds the
// extension. It fails before it has changed anything but the filter, which may
// know too much.
func (l *Ledger[V]) plan(b *batch[V], from int) (*plan[V], error) {
	p := &plan[V]{begun: time.Now(), batch: b, end: from, admitted: now(), landed: make(chan error, 1)}
	if err := l.clockErr(p.begun); err != nil {
		return nil, err
	}
	if err := l.keepPace(p); err != nil {
		return nil, err
	}
	if err := l.judge(p); err != nil {
		return nil, err
	}
	if len(p.x.Entries) == 0 {
		return p, nil
	}
	head, err := l.edge.append(p.x.Entries)
	if err != nil {
		return nil, l.stop(err)
	}
	p.x.Old, p.x.New = l.head, head
	for _, t := range l.edge.cut() {
		width := int(min(proof.TileWidth, head.Size>>(proof.TileHeight*t.level)-t.index*proof.TileWidth))
		p.x.Tiles = append(p.x.Tiles, Tile{proof.TileID{Level: t.level, Index: t.index, Width: width}, t.tile.row(width)})
		if width == proof.TileWidth {
			p.full = append(p.full, t)
		}
	}
	p.view = l.edge.view(head, p.admitted)
	return p, nil
}

// keepPace admits at the time of the newest entry where the clock says less, since
// admission times never go back: a clock that is set back by some seconds costs nobody
// anything. Beyond what verifiers grant it is a [ClockError].
func (l *Ledger[V]) keepPace(p *plan[V]) error {
	by := l.clock.Sub(p.admitted)
	if by <= 0 {
		return nil
	}
	if err := behind(p.admitted, l.clock); err != nil {
		return err
	}
	if l.behindSaid.due() {
		l.config.Log.Warn("the clock is behind the newest entry; records are admitted at that one's time until it has caught up", "origin", l.config.Origin, "size", l.head.Size, "behind", by.String())
	}
	p.admitted = l.clock
	return nil
}

// judge decides on items from the batch in order until it is through, or one
// commit is full.
func (l *Ledger[V]) judge(p *plan[V]) error {
	l.judging.Lock()
	defer l.judging.Unlock()
	todo := p.batch.waiting[p.end:]
	var below Draft[V]
	if l.flying != nil {
		below = l.flying.draft
	}
	p.draft = l.fold.Begin(below, p.admitted)
	p.ids = make(map[record.ID]uint64, len(todo))
	p.x.Entries = make([][]byte, 0, len(todo))
	size := 0
	for _, w := range todo {
		if size >= l.config.BatchBytes {
			break
		}
		p.end++
		id := w.item.ID()
		index, ok, err := l.find(p, id)
		if err != nil {
			return l.spoilt(fmt.Errorf("looking up %s: %w", id, err))
		}
		if ok {
			w.ticket.a = Admission{Index: index, Known: true}
			p.known++
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
		w.ticket.a = Admission{Index: l.head.Size + uint64(len(p.x.Entries))}
		p.ids[id] = w.ticket.a.Index
		l.known.add(id)
		p.x.Entries = append(p.x.Entries, entry)
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

// find is exact for everything admitted so far, this plan included. Whoever is
// found in a plan learns of it only once that plan is durable. Only what was
// admitted is found: an item that was refused is judged again each time, since
// another submission of it may bear more signatures.
func (l *Ledger[V]) find(p *plan[V], id record.ID) (uint64, bool, error) {
	if !l.known.has(id) {
		return 0, false, nil
	}
	if index, ok := p.ids[id]; ok {
		return index, true, nil
	}
	if l.flying != nil {
		if index, ok := l.flying.ids[id]; ok {
			return index, true, nil
		}
	}
	return l.fold.Lookup(id)
}

// extend makes p durable.
func (l *Ledger[V]) extend(ctx context.Context, p *plan[V]) error {
	if len(p.x.Entries) == 0 {
		return nil
	}
	err := l.store.Extend(context.WithoutCancel(ctx), p.x) // torn, its outcome would be unknown
	switch {
	case errors.Is(err, ErrConflict): // another writer, who is not supposed to be there
		return l.stop(fmt.Errorf("extending to %d: %w", p.x.New.Size, err))
	case err != nil:
		return l.stop(fmt.Errorf("extending to %d: %w: %w", p.x.New.Size, ErrUnknown, err))
	}
	l.head, l.clock = p.x.New, p.admitted
	return nil
}

// advance takes the fold over p, shows the new tree and gives the verdicts.
func (l *Ledger[V]) advance(p *plan[V]) error {
	if len(p.x.Entries) > 0 {
		if err := l.fold.Advance(p.draft, p.x.New); err != nil {
			// The entries are durable, and seen only after the reopening.
			err = l.stop(fmt.Errorf("advancing to %d: %w: %w", p.x.New.Size, ErrUnknown, err))
			p.batch.fail(err)
			return err
		}
		for _, t := range p.full {
			l.cache.put(tileKey{t.level, t.index}, t.tile)
		}
		l.view.Store(p.view)
		l.rouse()
	}
	p.batch.decided = p.end
	if p.end == len(p.batch.waiting) {
		close(p.batch.done)
	}
	if f := l.config.Watch.Committed; f != nil {
		f(len(p.x.Entries), p.refused, p.known, time.Since(p.begun))
	}
	return nil
}

func (l *Ledger[V]) rouse() {
	select {
	case l.fresh <- struct{}{}:
	default:
	}
}
