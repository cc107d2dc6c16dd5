package objectstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Head implements [ledger.Store].
func (s *Store) Head(ctx context.Context) (ledger.Head, error) {
	h, err := s.readHead(ctx)
	return h.body.tree(), err
}

// Epoch implements [ledger.Shared].
func (s *Store) Epoch(ctx context.Context) (uint64, error) {
	h, err := s.readHead(ctx)
	return h.body.Epoch, err
}

// Sealed implements [ledger.Sealer].
func (s *Store) Sealed(ctx context.Context) (string, error) {
	h, err := s.readHead(ctx)
	return h.body.Sealed, err
}

// Tiles implements [ledger.Store].
func (s *Store) Tiles(ctx context.Context, ids []proof.TileID) (rows [][]byte, err error) {
	err = s.reading(ctx, func(ctx context.Context, h head) error {
		rows = make([][]byte, len(ids))
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(maxConcurrent)
		for i, id := range ids {
			g.Go(func() (err error) {
				rows[i], err = s.readTile(ctx, h, id)
				return err
			})
		}
		return g.Wait()
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// Entries implements [ledger.Store].
func (s *Store) Entries(ctx context.Context, start, end uint64) (entries [][]byte, err error) {
	if err := ctx.Err(); err != nil || start >= end {
		return nil, err
	}
	err = s.reading(ctx, func(ctx context.Context, h head) error {
		entries, err = s.readEntries(ctx, h, start, end)
		return err
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// reading reads by the head that is known, and where something is missing, by the one that is
// there now: it has grown, or what a stage held lies under public paths meanwhile.
func (s *Store) reading(ctx context.Context, read func(ctx context.Context, h head) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	h := s.view
	s.mu.Unlock()
	err := ledger.ErrMissing
	if h.exists {
		err = read(ctx, h.body)
	}
	for errors.Is(err, ledger.ErrMissing) {
		now, headErr := s.readHead(ctx)
		if headErr != nil {
			return headErr
		}
		if h.exists && now.body.Nonce == h.body.Nonce || !now.exists {
			if !h.exists {
				err = read(ctx, now.body)
			}
			return err
		}
		h = now
		err = read(ctx, h.body)
	}
	return err
}

// readTile reads one tile, of the width that is asked for.
func (s *Store) readTile(ctx context.Context, h head, id proof.TileID) ([]byte, error) {
	if !id.In(h.Size) {
		return nil, fmt.Errorf("%w: %s of a tree of %d", ledger.ErrMissing, id, h.Size)
	}
	want := id.Width * len(proof.Hash{})
	row, err := s.findTile(ctx, h, id)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", id, err)
	}
	if len(row) < want {
		return nil, fmt.Errorf("%w: %s, of which %d bytes are there", ledger.ErrMissing, id, len(row))
	}
	return append(make([]byte, 0, want), row[:want]...), nil
}

func (s *Store) findTile(ctx context.Context, h head, id proof.TileID) ([]byte, error) {
	public := tileWidth(h.Public, id.Level, id.Index)
	if id.Width <= public && (public == proof.TileWidth || h.Partials) {
		return s.readPublic(ctx, proof.TileID{Level: id.Level, Index: id.Index, Width: public}.Path(), id.Full().Path())
	}
	for _, n := range h.Stages {
		if n.has(id.Level, id.Index) && tileWidth(n.Size, id.Level, id.Index) >= id.Width {
			st, err := s.readStage(ctx, n)
			if err != nil {
				return nil, err
			}
			return st.tile(id.Level, id.Index), nil
		}
	}
	return nil, fmt.Errorf("%w: it is in none of %d stages", ledger.ErrMissing, len(h.Stages))
}

// readPublic reads what lies under a public path, or what grew of it: partial tiles may be deleted
// once the full one is there.
func (s *Store) readPublic(ctx context.Context, path, full string) ([]byte, error) {
	o, err := s.bucket.read(ctx, s.public(path), maxBundleBytes)
	if errors.Is(err, errNoObject) && path != full {
		o, err = s.bucket.read(ctx, s.public(full), maxBundleBytes)
	}
	if errors.Is(err, errNoObject) {
		err = fmt.Errorf("%w: %w", ledger.ErrMissing, err)
	}
	return o.data, err
}

// readStage reads a stage that a head names, once as long as it does, whoever asks for it.
func (s *Store) readStage(ctx context.Context, n stageName) (*stage, error) {
	key := n.key()
	for {
		s.mu.Lock()
		st, loading := s.stages[key], s.loading[key]
		if st == nil && loading == nil {
			s.loading[key] = make(chan struct{})
		}
		s.mu.Unlock()
		switch {
		case st != nil:
			return st, nil
		case loading == nil:
			return s.loadStage(ctx, n)
		}
		select {
		case <-loading:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Store) loadStage(ctx context.Context, n stageName) (st *stage, err error) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		close(s.loading[n.key()])
		delete(s.loading, n.key())
		if err == nil && slices.Contains(s.view.body.Stages, n) {
			s.stages[n.key()] = st
		}
	}()
	o, err := s.bucket.read(ctx, s.stageKey(n), maxStageBytes)
	if errors.Is(err, errNoObject) {
		return nil, fmt.Errorf("%w: %w", ledger.ErrMissing, err)
	}
	if err != nil {
		return nil, err
	}
	return parseStage(n, o.data)
}

// span is where some entries lie: in a stage, or in a bundle.
type span struct {
	start, end uint64
	stage      *stageName // nil: the bundle of start
}

func (s *Store) readEntries(ctx context.Context, h head, start, end uint64) ([][]byte, error) {
	if end > h.Size {
		return nil, fmt.Errorf("%w: entries [%d, %d) of %d", ledger.ErrMissing, start, end, h.Size)
	}
	spans := spansOf(h, start, end)
	entries := make([][]byte, end-start)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxConcurrent)
	for _, at := range spans {
		g.Go(func() error { return s.readSpan(ctx, h, at, entries[at.start-start:at.end-start]) })
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("reading the entries [%d, %d): %w", start, end, err)
	}
	return entries, nil
}

func spansOf(h head, start, end uint64) (spans []span) {
	next := 0 // the first stage that ends after start
	for start < end {
		for next < len(h.Stages) && h.Stages[next].Size <= start {
			next++
		}
		at := span{start: start}
		if next < len(h.Stages) && h.Stages[next].From <= start {
			at.stage, at.end = &h.Stages[next], min(end, h.Stages[next].Size)
		} else {
			at.end = min(end, (start/proof.TileWidth+1)*proof.TileWidth)
			if next < len(h.Stages) {
				at.end = min(at.end, h.Stages[next].From)
			}
		}
		spans = append(spans, at)
		start = at.end
	}
	return spans
}

// readSpan puts copies of entries into their places.
func (s *Store) readSpan(ctx context.Context, h head, at span, to [][]byte) error {
	var found [][]byte
	var first uint64
	if at.stage != nil {
		st, err := s.readStage(ctx, *at.stage)
		if err != nil {
			return err
		}
		found, first = st.Entries, at.stage.From
	} else {
		id := proof.EntryBundleID{Index: at.start / proof.TileWidth}
		first = id.Index * proof.TileWidth
		var err error
		if found, err = s.readBundle(ctx, h, id, int(at.end-first)); err != nil {
			return err
		}
	}
	size := 0
	for _, e := range found[at.start-first : at.end-first] {
		size += len(e)
	}
	all := make([]byte, 0, size)
	for i, e := range found[at.start-first : at.end-first] {
		from := len(all)
		all = append(all, e...)
		to[i] = all[from:len(all):len(all)]
	}
	return nil
}

// readBundle reads at least the first entries of a bundle under its public path.
func (s *Store) readBundle(ctx context.Context, h head, id proof.EntryBundleID, atLeast int) ([][]byte, error) {
	id.Width = tileWidth(h.Public, 0, id.Index)
	if id.Width < atLeast || id.Width < proof.TileWidth && !h.Partials {
		return nil, fmt.Errorf("%w: %s has %d entries, and no stage has more", ledger.ErrMissing, id, id.Width)
	}
	key := id.Full().Path()
	data, ok := s.bundles.Get(key)
	if ok {
		id.Width = proof.TileWidth
	} else {
		var err error
		if data, err = s.readPublic(ctx, id.Path(), key); err != nil {
			return nil, fmt.Errorf("reading %s: %w", id, err)
		}
	}
	entries, err := proof.ParseEntryBundle(data, id.Width)
	if err != nil && id.Width < proof.TileWidth { // it has grown meanwhile
		if full, fullErr := proof.ParseEntryBundle(data, proof.TileWidth); fullErr == nil {
			entries, err, id.Width = full, nil, proof.TileWidth
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ledger.ErrCorrupt, id, err)
	}
	if id.Width == proof.TileWidth && len(data) <= cachedBundleBytes {
		s.bundles.Add(key, data)
	}
	return entries, nil
}
