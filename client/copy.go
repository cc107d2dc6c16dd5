package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// copyDir is a local copy of a log in the layout of C2SP tlog-tiles: tiles and
// entry bundles as files, which any static web server could hand on. What is read
// from it is checked against a trusted root by whoever reads.
type copyDir struct {
	files    vfs.FS
	dir      string
	unsynced map[string]bool // files that were kept, and are to be synced before they count
}

func (c copyDir) path(p string) string { return c.files.PathJoin(c.dir, p) }

// tiles reads tiles, each of at least the width asked, cut to it. A partial tile
// may have grown since: then the wider one begins with it.
func (c copyDir) tiles(_ context.Context, ids []proof.TileID) ([][]byte, error) {
	rows := make([][]byte, len(ids))
	for i, id := range ids {
		data, err := c.readWidest(id.Path(), id.Full().Path())
		if err != nil {
			return nil, err
		}
		if len(data) < id.Width*sha256.Size {
			return nil, fmt.Errorf("%s: %d bytes, want %d hashes: the copy is damaged", id, len(data), id.Width)
		}
		rows[i] = data[:id.Width*sha256.Size]
	}
	return rows, nil
}

// bundle reads the entries of one bundle.
func (c copyDir) bundle(_ context.Context, id proof.EntryBundleID) ([][]byte, error) {
	data, err := c.readWidest(id.Path(), id.Full().Path())
	if err != nil {
		return nil, err
	}
	// A wider file than asked begins with what was asked: count as it is read.
	for width := id.Width; width <= proof.TileWidth; width++ {
		if entries, err := proof.ParseEntryBundle(data, width); err == nil {
			return entries[:id.Width], nil
		} else if id.Width == proof.TileWidth {
			return nil, fmt.Errorf("%s: %w: the copy is damaged", id, err)
		}
	}
	return nil, fmt.Errorf("%s: the copy is damaged", id)
}

// readWidest reads the file of a partial tile or bundle, or else the full one, or else
// any partial one beside it.
func (c copyDir) readWidest(partial, full string) ([]byte, error) {
	for _, name := range []string{partial, full} {
		if data, err := readFile(c.files, c.path(name)); err == nil || !missing(err) {
			return data, err
		}
	}
	widths, err := c.files.List(c.path(full + ".p"))
	if err != nil && !missing(err) {
		return nil, err
	}
	best, name := 0, ""
	for _, w := range widths {
		var n int
		if _, err := fmt.Sscan(w, &n); err == nil && n > best && fmt.Sprint(n) == w {
			best, name = n, w
		}
	}
	if best == 0 {
		return nil, fmt.Errorf("%s is not in the copy", partial)
	}
	return readFile(c.files, c.path(full+".p/"+name))
}

// writeRun writes what one run of a follower brings. Partial files of an earlier run
// are removed once what they grew into is there.
func (c *copyDir) writeRun(r *entryRun) error {
	for _, b := range r.bundles {
		data, err := proof.FormatEntryBundle(b.entries)
		if err != nil {
			return err
		}
		if err := c.put(b.id.Path(), b.id.Full().Path(), b.id.Width, data); err != nil {
			return err
		}
	}
	for _, t := range append(r.full, r.partial...) {
		if err := c.put(t.id.Path(), t.id.Full().Path(), t.id.Width, t.data); err != nil {
			return err
		}
	}
	return nil
}

func (c *copyDir) put(name, full string, width int, data []byte) error {
	p := c.path(name)
	if err := c.files.MkdirAll(c.files.PathDir(p), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := writeFile(c.files, p, data, false); err != nil {
		return err
	}
	if c.unsynced == nil {
		c.unsynced = make(map[string]bool)
	}
	c.unsynced[p] = true
	narrower, err := c.files.List(c.path(full + ".p"))
	if missing(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("looking beside %s: %w", name, err)
	}
	for _, w := range narrower {
		if n, err := strconv.Atoi(w); err == nil && n >= width {
			continue // a wider one is of what was trusted already
		}
		delete(c.unsynced, c.path(full+".p/"+w))
		if err := c.files.Remove(c.path(full + ".p/" + w)); err != nil && !missing(err) {
			return fmt.Errorf("removing what %s replaces: %w", name, err)
		}
	}
	return nil
}

// sync makes durable what was kept.
func (c *copyDir) sync() error {
	dirs := make(map[string]bool)
	for name := range c.unsynced {
		f, err := c.files.Open(name)
		if err != nil {
			return fmt.Errorf("syncing the copy: %w", err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("syncing %s: %w", name, err)
		}
		for dir := c.files.PathDir(name); !dirs[dir]; dir = c.files.PathDir(dir) {
			dirs[dir] = true
			if dir == c.dir {
				break
			}
		}
	}
	for dir := range dirs {
		if err := syncDir(c.files, dir); err != nil {
			return fmt.Errorf("syncing %s: %w", dir, err)
		}
	}
	c.unsynced = nil
	return nil
}

// resume finds how far a register and the files beside it go together: the tree of
// the register's size, if the files at its right edge make the register's root.
// Otherwise the register begins anew, and the files are written again as it goes.
func (c copyDir) resume(r *register.Register) (*merkleTree, error) {
	cursor := r.Cursor()
	if cursor.Size == 0 {
		return newMerkleTree(), nil
	}
	t, err := loadMerkleTree(cursor.Size, func(ids []proof.TileID) ([][]byte, error) { return c.tiles(context.Background(), ids) })
	if err == nil {
		var head proof.Tree
		if head, err = t.head(); err == nil && head.Root == proof.Hash(cursor.Root) {
			return t, nil
		}
	}
	if err := r.Reset(); err != nil {
		return nil, err
	}
	return newMerkleTree(), nil
}
