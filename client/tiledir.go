package client

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
)

// TileDir is a log in a directory, in the layout of C2SP tlog-tiles: tiles and entry
// bundles as files, which any static web server could hand on. It is a [reader.Source]:
// what is read from it is checked by whoever reads, against a root that is trusted.
//
// What is written to it grows it at its end, and leaves whole what was there, whatever cuts
// it off: a file that others have grown into it is durable before it stands beside them, and
// they are removed by [TileDir.Prune] alone. All else that is new is durable after
// [TileDir.Sync]. One goroutine writes.
type TileDir struct {
	files    vfs.FS
	dir      string
	unsynced map[string]grownFile // what was written since the last Sync, by name
}

// grownFile is a tile or a bundle that was written.
type grownFile struct {
	full  string // the path that it has once it is full
	width int
}

// NewTileDir is the log in a directory, which need not be there yet.
func NewTileDir(files vfs.FS, dir string) *TileDir { return &TileDir{files: files, dir: dir} }

func (c *TileDir) path(p string) string { return c.files.PathJoin(c.dir, p) }

// Published reads the checkpoint; nil if there is none.
func (c *TileDir) Published(context.Context) ([]byte, error) {
	note, err := disk.ReadFile(c.files, c.path(checkpointFile))
	if missing(err) {
		return nil, nil
	}
	return note, err
}

// lostFile is [reader.ErrMissing] or [reader.ErrCorrupt] in words of its own.
type lostFile struct {
	words string
	kind  error
}

func (e *lostFile) Error() string        { return e.words }
func (e *lostFile) Is(target error) bool { return target == e.kind }

func damagedFile(format string, args ...any) error {
	return &lostFile{fmt.Sprintf(format, args...) + ": the copy is damaged", reader.ErrCorrupt}
}

// Tiles reads tiles, each of at least the width asked, cut to it. A partial tile
// may have grown since: then the wider one begins with it.
func (c *TileDir) Tiles(_ context.Context, ids []proof.TileID) ([][]byte, error) {
	rows := make([][]byte, len(ids))
	for i, id := range ids {
		data, _, err := c.readWidest(id.Path(), id.Width, id.Full().Path())
		if err != nil {
			return nil, err
		}
		if len(data) < id.Width*sha256.Size {
			return nil, damagedFile("%s: %d bytes, want %d hashes", id, len(data), id.Width)
		}
		rows[i] = data[:id.Width*sha256.Size]
	}
	return rows, nil
}

// Entries reads the entries [start, end).
func (c *TileDir) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	return EntriesOf(ctx, c.Bundle, start, end)
}

// EntriesOf reads the entries [start, end) bundle by bundle.
func EntriesOf(ctx context.Context, read func(context.Context, proof.EntryBundleID) ([][]byte, error), start, end uint64) ([][]byte, error) {
	var entries [][]byte
	for id := range proof.EntryBundles(start, end) {
		b, err := read(ctx, id)
		if err != nil {
			return nil, err
		}
		first := id.Index * proof.TileWidth
		entries = append(entries, b[max(start, first)-first:]...)
	}
	return entries, nil
}

// Bundle reads the entries of one bundle.
func (c *TileDir) Bundle(_ context.Context, id proof.EntryBundleID) ([][]byte, error) {
	data, width, err := c.readWidest(id.Path(), id.Width, id.Full().Path())
	if err != nil {
		return nil, err
	}
	entries, err := proof.ParseEntryBundle(data, width)
	if err == nil && width < id.Width {
		err = fmt.Errorf("there are %d entries", width)
	}
	if err != nil {
		return nil, damagedFile("%s: %v", id, err)
	}
	return entries[:id.Width], nil // a wider file than asked begins with what was asked
}

// readWidest reads the file of a tile or bundle of that width, or else the full one, or else
// the widest partial one beside it, and says how wide it is.
func (c *TileDir) readWidest(name string, width int, full string) (data []byte, widest int, err error) {
	if data, err = disk.ReadFile(c.files, c.path(name)); err == nil || !missing(err) {
		return data, width, err
	}
	if data, err = disk.ReadFile(c.files, c.path(full)); err == nil || !missing(err) {
		return data, proof.TileWidth, err
	}
	widths, err := c.files.List(c.path(full + ".p"))
	if err != nil && !missing(err) {
		return nil, 0, err
	}
	best, partial := 0, ""
	for _, w := range widths {
		var n int
		if _, err := fmt.Sscan(w, &n); err == nil && n > best && fmt.Sprint(n) == w {
			best, partial = n, w
		}
	}
	if best == 0 {
		return nil, 0, &lostFile{name + " is not in the copy", reader.ErrMissing}
	}
	data, err = disk.ReadFile(c.files, c.path(full+".p/"+partial))
	return data, best, err
}

// WriteBundle writes the entries of one bundle.
func (c *TileDir) WriteBundle(id proof.EntryBundleID, entries [][]byte) error {
	data, err := proof.FormatEntryBundle(entries)
	if err != nil {
		return err
	}
	return c.put(id.Path(), grownFile{id.Full().Path(), id.Width}, data)
}

// WriteTiles writes tiles.
func (c *TileDir) WriteTiles(tiles []proof.Tile) error {
	for _, t := range tiles {
		if err := c.put(t.ID.Path(), grownFile{t.ID.Full().Path(), t.ID.Width}, t.Hashes); err != nil {
			return err
		}
	}
	return nil
}

func (c *TileDir) put(name string, f grownFile, data []byte) error {
	p, durable := c.path(name), disk.SyncLater
	if _, err := c.files.Stat(c.path(f.full + ".p")); err == nil {
		durable = disk.SyncNow // whoever asks for less than it has reads it from now on
	}
	if err := c.files.MkdirAll(c.files.PathDir(p), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := rewriteFile(c.files, p, data, durable); err != nil {
		return err
	}
	if c.unsynced == nil {
		c.unsynced = make(map[string]grownFile)
	}
	c.unsynced[p] = f
	return nil
}

// Sync makes durable what was written. What it has grown out of is there still, for what
// names it, until [TileDir.Prune].
func (c *TileDir) Sync() error {
	if len(c.unsynced) == 0 {
		return nil
	}
	if err := disk.SyncTree(c.files, c.dir, slices.Collect(maps.Keys(c.unsynced))...); err != nil {
		return fmt.Errorf("syncing the copy: %w", err)
	}
	return nil
}

// Prune removes the partial files beside which a wider one was written and synced.
func (c *TileDir) Prune() error {
	widest := make(map[string]int)
	for _, f := range c.unsynced {
		widest[f.full] = max(widest[f.full], f.width)
	}
	for full, width := range widest {
		narrower, err := c.files.List(c.path(full + ".p"))
		if missing(err) {
			continue
		} else if err != nil {
			return fmt.Errorf("looking beside %s: %w", full, err)
		}
		for _, w := range narrower {
			if n, err := strconv.Atoi(w); err == nil && n >= width {
				continue // a wider one is of what was trusted already
			}
			if err := c.files.Remove(c.path(full + ".p/" + w)); err != nil && !missing(err) {
				return fmt.Errorf("removing what %s replaces: %w", full, err)
			}
		}
	}
	c.unsynced = nil
	return nil
}
