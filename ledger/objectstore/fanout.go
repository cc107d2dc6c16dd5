package objectstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// The headers of what is public. Tiles never change; a checkpoint is asked for anew each time.
var (
	tileHeaders       = headers{"application/octet-stream", "public, max-age=31536000, immutable"}
	checkpointHeaders = headers{"text/plain; charset=utf-8", "no-cache"}
)

// fanOut writes behind the writer what the stages hold under its public paths: full tiles and
// bundles as soon as they are committed; the partial ones of a published size, and then the
// checkpoint. All it writes is the same whoever writes it, but for the checkpoint, which is
// swapped and never goes back: so a writer that was taken over does no harm.
type fanOut struct {
	s    *Store
	stop func() // ends the loop and waits for it
	last func() // fans out what is left, once

	step lock        // held by who fans out
	idle *time.Timer // held with step: ends a round that comes no further

	mu       sync.Mutex // guards what follows
	changed  chan struct{}
	through  chan struct{} // closed at the end of each round
	load     *head         // behind which the edge is read before the next step: as it was taken, or recalled; nil: it was read
	waiting  []*stage      // committed since, not looked at yet
	lag      int           // stages committed and not wholly fanned out, as far as they are full
	latest   published     // the newest that is published
	archived uint64        // blobs that have objects of their own
	size     uint64        // published size of which all is public
	failed   error         // of the newest round

	edge edge // held with step
}

// edge is what lies between what is public and what is committed.
type edge struct {
	first   uint64   // index of entries[0]: where a bundle begins
	entries [][]byte // up to the committed size
	full    uint64   // a size of which all full tiles and bundles are public
	public  uint64   // a published size of which all is public
	tiles   map[tilePlace]*edgeTile
	shown   []byte // the checkpoint as it is public
}

type tilePlace struct {
	level uint8
	index uint64
}

type edgeTile struct {
	hashes []byte
	public int // a width at which it is public
}

func (e *edge) size() uint64 { return e.first + uint64(len(e.entries)) }

// newFanOut begins behind a taking.
func (s *Store) newFanOut(ctx context.Context, w *writer) *fanOut {
	taken := w.head.body
	f := &fanOut{s: s, changed: make(chan struct{}, 1), through: make(chan struct{}), load: &taken, latest: w.published.body, lag: len(w.head.body.Stages), stop: func() {}, last: func() {}, step: newLock()}
	if w.head.body.Partials {
		f.size = w.head.body.Public
	}
	f.archived = f.latest.Archived - uint64(len(f.latest.Pending))
	if s.config.Manual {
		return f
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { f.run(ctx) })
	running.Go(func() { s.keepClean(ctx) })
	f.stop = func() { cancel(); running.Wait() }
	f.last = func() { f.finish(ctx, s.config.RequestTimeout) }
	f.wake()
	return f
}

func (f *fanOut) close() { f.stop() }

// finish fans out what is left, after the loop has ended.
func (f *fanOut) finish(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	if err := f.round(ctx); err != nil {
		f.s.config.Log.Warn("not all is under its public paths; the next writer goes on", "err", err)
	}
}

func (f *fanOut) wake() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// committed takes a stage over that the head names now.
func (f *fanOut) committed(st *stage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = append(f.waiting, st)
	f.lag++
	f.wake()
}

// recalled takes over a head that was read after a commit of unknown outcome: its stages are read
// where they lie.
func (f *fanOut) recalled(h head) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.load, f.waiting, f.lag = &h, nil, len(h.Stages)
	f.wake()
}

func (f *fanOut) publishedNow(p published) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latest = p
	f.wake()
}

// public is a published size of which all is public.
func (f *fanOut) public() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.size
}

func (f *fanOut) archivedUpTo() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.archived
}

// waitForRoom waits while too much has piled up.
func (f *fanOut) waitForRoom(ctx context.Context) error {
	for {
		f.mu.Lock()
		lag, through, failed := f.lag, f.through, f.failed
		f.mu.Unlock()
		switch {
		case lag < maxLag:
			return nil
		case f.s.config.Manual:
			if err := f.round(ctx); err != nil {
				return err
			}
			continue
		}
		select {
		case <-through:
		case <-ctx.Done():
			if failed != nil { // not as an error: what is wrong with the fan-out says nothing of the log
				return fmt.Errorf("waiting until what was committed is under its public paths: %w: %v", ctx.Err(), failed)
			}
			return fmt.Errorf("waiting until what was committed is under its public paths: %w", ctx.Err())
		}
	}
}

// run fans out whatever comes, until ctx ends.
func (f *fanOut) run(ctx context.Context) {
	p, complained := pause{}, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.changed:
		}
		err := f.round(ctx)
		if err == nil {
			p = pause{}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if time.Since(complained) > time.Minute {
			complained = time.Now()
			f.s.config.Log.Warn("what was committed is not under its public paths yet", "err", err)
		}
		if !p.wait(ctx) {
			return
		}
		f.wake()
	}
}

// FanOut writes what is committed and published by now under its public paths. Where Config is not Manual,
// it happens by itself.
func (s *Store) FanOut(ctx context.Context) error {
	w, err := s.everWriter()
	if err != nil {
		return err
	}
	return w.fan.round(ctx)
}

// roundPatience is how long a round goes on that writes nothing: then it has failed, is told so, and begins anew.
const roundPatience = time.Minute

// round is one step: whatever there is to fan out by now.
func (f *fanOut) round(ctx context.Context) (err error) {
	if err := f.step.take(ctx); err != nil {
		return err
	}
	defer f.step.release()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.idle = time.AfterFunc(roundPatience, cancel)
	defer f.idle.Stop()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.failed = err
		close(f.through)
		f.through = make(chan struct{})
	}()
	latest, err := f.lookAtWaiting(ctx)
	if err != nil {
		return err
	}
	if err := f.writeArchived(ctx, latest); err != nil {
		return err
	}
	if err := f.writeFull(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	f.lag = len(f.waiting)
	f.mu.Unlock()
	return f.writePublished(ctx, latest)
}

// lookAtWaiting brings the edge to what is committed, and returns what is published.
func (f *fanOut) lookAtWaiting(ctx context.Context) (published, error) {
	for {
		f.mu.Lock()
		load := f.load
		f.mu.Unlock()
		if load == nil {
			break
		}
		if err := f.loadEdge(ctx, *load); err != nil {
			return published{}, fmt.Errorf("reading what is not public yet: %w", err)
		}
		f.mu.Lock()
		if f.load == load {
			f.load = nil
		}
		f.mu.Unlock()
	}
	f.mu.Lock()
	waiting, latest := f.waiting, f.latest
	f.waiting = nil
	f.mu.Unlock()
	for _, st := range waiting {
		f.edge.absorb(st)
	}
	return latest, nil
}

// standIn is a stage of an extension that takes the place of all that are named: it begins where full
// tiles and bundles are public, and has all partial ones. nil if it would be none.
func (f *fanOut) standIn(ctx context.Context, x ledger.Extension) (*stage, error) {
	if err := f.step.take(ctx); err != nil {
		return nil, err
	}
	defer f.step.release()
	if _, err := f.lookAtWaiting(ctx); err != nil {
		return nil, err
	}
	e := &f.edge
	from := e.full / proof.TileWidth * proof.TileWidth
	if e.size() != x.Old.Size || from >= x.Old.Size { // the one before is on its way
		return nil, nil
	}
	name := stageName{From: from, Old: x.Old.Size, Size: x.New.Size, Root: root(x.New.Root)}
	st := newStage(name, slices.Concat(e.entries[from-e.first:], x.Entries), x.Tiles)
	for at, t := range e.tiles {
		if name.has(at.level, at.index) && st.tile(at.level, at.index) == nil {
			st.Tiles = append(st.Tiles, stageTile{Level: at.level, Index: at.index, Hashes: t.hashes})
		}
	}
	slices.SortFunc(st.Tiles, func(a, b stageTile) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Index, b.Index))
	})
	return st, nil
}

// loadEdge reads what lies between what is public and a head.
func (f *fanOut) loadEdge(ctx context.Context, h head) error {
	e := edge{first: h.Public / proof.TileWidth * proof.TileWidth, full: h.Public, public: h.Public, tiles: map[tilePlace]*edgeTile{}}
	if h.Partials && h.Public > 0 {
		entries, err := f.s.readEntries(ctx, h, e.first, h.Public)
		if err != nil {
			return err
		}
		e.entries = entries
		for level := uint8(0); h.Public>>(uint(level)*proof.TileHeight) > 0; level++ {
			hashes := h.Public >> (uint(level) * proof.TileHeight)
			id := proof.TileID{Level: level, Index: hashes / proof.TileWidth, Width: int(hashes % proof.TileWidth)}
			if id.Width == 0 {
				continue
			}
			row, err := f.s.readTile(ctx, h, id)
			if err != nil {
				return err
			}
			e.tiles[tilePlace{id.Level, id.Index}] = &edgeTile{row, id.Width}
		}
	} else if !h.Partials {
		e.public = 0
	}
	for _, n := range h.Stages {
		st, err := f.s.readStage(ctx, n)
		if err != nil {
			return err
		}
		e.absorb(st)
	}
	if e.size() != h.Size {
		return fmt.Errorf("%w: the stages of the head go up to %d, and it to %d", ledger.ErrCorrupt, e.size(), h.Size)
	}
	f.edge = e
	return nil
}

// absorb adds what a stage has beyond what is there.
func (e *edge) absorb(st *stage) {
	if have := e.size() - st.name.From; e.size() >= st.name.From && have < uint64(len(st.Entries)) {
		e.entries = append(e.entries, st.Entries[have:]...)
	}
	for _, t := range st.Tiles {
		at := e.tiles[tilePlace{t.Level, t.Index}]
		if at == nil {
			at = &edgeTile{}
			e.tiles[tilePlace{t.Level, t.Index}] = at
		}
		if len(t.Hashes) > len(at.hashes) {
			at.hashes = t.Hashes
		}
	}
}

// writer writes public objects side by side.
func (f *fanOut) writer(ctx context.Context) (*errgroup.Group, func(path string, data []byte)) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxConcurrent)
	return g, func(path string, data []byte) {
		g.Go(func() error {
			err := f.s.bucket.write(ctx, f.s.public(path), data, tileHeaders)
			if err == nil {
				f.idle.Reset(roundPatience)
			}
			return err
		})
	}
}

// writeFull writes the tiles and bundles that are full.
func (f *fanOut) writeFull(ctx context.Context) error {
	e := &f.edge
	size := e.size()
	g, write := f.writer(ctx)
	const full = proof.TileWidth * len(proof.Hash{})
	for at, t := range e.tiles {
		if len(t.hashes) == full && t.public < proof.TileWidth {
			write(proof.TileID{Level: at.level, Index: at.index, Width: proof.TileWidth}.Path(), t.hashes)
		}
	}
	for index := e.full / proof.TileWidth; index < size/proof.TileWidth; index++ {
		bundle, err := proof.FormatEntryBundle(e.entries[index*proof.TileWidth-e.first:][:proof.TileWidth])
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		write(proof.EntryBundleID{Index: index, Width: proof.TileWidth}.Path(), bundle)
	}
	if err := g.Wait(); err != nil {
		return err
	}
	e.full = size
	e.forget(size)
	return nil
}

// writePublished writes the partial tiles of the published size, and then the checkpoint.
func (f *fanOut) writePublished(ctx context.Context, p published) error {
	note := p.Note
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil || bytes.Equal(note, f.edge.shown) {
		return nil // nothing is published, or what is no checkpoint
	}
	e := &f.edge
	if cp.Size > e.full || cp.Size < e.public {
		return nil // it is of a commit to come, or an older one than was fanned out
	}
	if e.shown == nil { // the first time: another writer may have come that far
		switch now, err := f.s.bucket.read(ctx, f.s.public("checkpoint"), maxCellBytes); {
		case err != nil && !errors.Is(err, errNoObject):
			return fmt.Errorf("reading the public checkpoint: %w", err)
		case bytes.Equal(now.data, note):
			f.shown(note, cp.Size)
			return nil
		}
	}
	g, write := f.writer(ctx)
	for level := uint8(0); cp.Size>>(uint(level)*proof.TileHeight) > 0; level++ {
		hashes := cp.Size >> (uint(level) * proof.TileHeight)
		id := proof.TileID{Level: level, Index: hashes / proof.TileWidth, Width: int(hashes % proof.TileWidth)}
		if id.Width == 0 {
			continue
		}
		t := e.tiles[tilePlace{id.Level, id.Index}]
		if t != nil && t.public == id.Width {
			continue // it has not grown since
		}
		row, err := f.tile(ctx, t, id)
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		write(id.Path(), row)
	}
	if id := (proof.EntryBundleID{Index: cp.Size / proof.TileWidth, Width: int(cp.Size % proof.TileWidth)}); id.Width > 0 && cp.Size > e.public {
		bundle, err := f.bundle(ctx, id)
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		write(id.Path(), bundle)
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := f.s.showCheckpoint(ctx, p, cp.Size); err != nil {
		return fmt.Errorf("copying the checkpoint: %w", err)
	}
	f.shown(note, cp.Size)
	return nil
}

// shown says that a checkpoint and all below it are public.
func (f *fanOut) shown(note []byte, size uint64) {
	f.edge.shown, f.edge.public = note, size
	for at, t := range f.edge.tiles {
		if width := tileWidth(size, at.level, at.index); width > 0 {
			t.public = width
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size = size
}

// tile is a tile of a published size. Where that is far behind what is committed, it has grown
// and is full and public.
func (f *fanOut) tile(ctx context.Context, t *edgeTile, id proof.TileID) ([]byte, error) {
	if want := id.Width * len(proof.Hash{}); t != nil && len(t.hashes) >= want {
		return t.hashes[:want], nil
	}
	rows, err := f.s.Tiles(ctx, []proof.TileID{id})
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}

// bundle is as tile, of entries.
func (f *fanOut) bundle(ctx context.Context, id proof.EntryBundleID) ([]byte, error) {
	start, e := id.Index*proof.TileWidth, &f.edge
	if start >= e.first {
		return proof.FormatEntryBundle(e.entries[start-e.first:][:id.Width])
	}
	entries, err := f.s.Entries(ctx, start, start+uint64(id.Width))
	if err != nil {
		return nil, err
	}
	return proof.FormatEntryBundle(entries)
}

// forget leaves out the tiles and the bundles that are full at a size, and public. Whoever needs one of
// them, for what is published later, reads it where it lies.
func (e *edge) forget(size uint64) {
	if first := size / proof.TileWidth * proof.TileWidth; first > e.first {
		e.entries = slices.Clone(e.entries[first-e.first:])
		e.first = first
	}
	for at := range e.tiles {
		if tileWidth(size, at.level, at.index) == proof.TileWidth {
			delete(e.tiles, at)
		}
	}
}

// writeArchived gives archived blobs objects of their own.
func (f *fanOut) writeArchived(ctx context.Context, p published) error {
	for _, a := range p.Pending {
		f.mu.Lock()
		there := a.Number < f.archived
		f.mu.Unlock()
		if there {
			continue
		}
		if err := f.s.bucket.write(ctx, f.s.archiveKey(a.Number), a.Blob, headers{}); err != nil {
			return fmt.Errorf("archiving %s: %w", strconv.FormatUint(a.Number, 10), err)
		}
		f.mu.Lock()
		f.archived = a.Number + 1
		f.mu.Unlock()
	}
	return nil
}

// showCheckpoint makes the public checkpoint that of what is published, all of which is public,
// unless a larger one is there; and where its size is the same, or what is there cannot be read,
// unless another writer has published since: a zombie's note is older.
func (s *Store) showCheckpoint(ctx context.Context, p published, size uint64) error {
	key, note := s.public("checkpoint"), p.Note
	for again := (pause{}); ; {
		now, err := s.bucket.readTagged(ctx, key, maxCellBytes)
		when := condition{etag: now.etag}
		switch {
		case errors.Is(err, errNoObject):
			when = condition{absent: true}
		case err != nil:
			return err
		case bytes.Equal(now.data, note):
			return nil
		default:
			cp, _, err := proof.ParseCheckpoint(now.data)
			if err == nil && cp.Size > size {
				return nil // another writer came further
			}
			if err != nil || cp.Size == size { // spoilt, or cut off on the way
				newest, err := s.readPublished(ctx) // after the checkpoint, on whose swap it rests
				if err != nil {
					return err
				}
				if newest.Epoch > p.Epoch {
					return nil // whoever publishes now shows it
				}
			}
		}
		_, err = s.bucket.put(ctx, key, note, when, checkpointHeaders)
		if err == nil || !errors.Is(err, errUnmet) && !errors.Is(err, errPassing) {
			return err
		}
		if !again.wait(ctx) {
			return errors.Join(ctx.Err(), err)
		}
	}
}
