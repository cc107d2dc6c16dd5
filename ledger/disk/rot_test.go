package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// rows is how many a full database of these tests has.
const rows = 400

func key(i int) []byte   { return fmt.Appendf(nil, "key %06d", i) }
func value(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "value %06d ", i), 20) }

// options are those of a database like the ledger's store, with values apart.
func options(fs vfs.FS, h *disk.Health) disk.Options {
	return disk.Options{FS: fs, Dir: "db", Name: "test", Health: h, Tune: func(p *pebble.Options) {
		p.MemTableSize, p.CacheSize = 64<<10, 64<<10
		p.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
			return pebble.ValueSeparationPolicy{Enabled: true, MinimumSize: 128, MaxBlobReferenceDepth: 16, TargetGarbageRatio: 1}
		}
		p.Experimental.EnableColumnarBlocks = func() bool { return true }
	}}
}

// filled is the file system of a database that was written and closed, or cut off.
func filled(t *testing.T) *vfs.MemFS {
	fs := vfs.NewCrashableMem()
	db, err := disk.Open(options(fs, panics()))
	check(t, err)
	for i := range rows {
		check(t, db.Set(key(i), value(i), pebble.Sync))
		if i == rows/2 {
			check(t, db.Flush())
		}
	}
	cut := fs.CrashClone(vfs.CrashCloneCfg{})
	check(t, db.Close())
	return cut
}

// panics is the health of databases where nothing may end the process.
func panics() *disk.Health {
	return disk.NewHealth(disk.Config{Fatal: func(reason string) { panic("the process ends: " + reason) }})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A bit flips in any file of a database: it opens and has its rows, or says what is
// damaged. It never panics, never ends the process, and never holds another row than was
// written. A write-ahead log that was cut off may end sooner: Pebble cannot always tell
// rot from a write that was cut off, and whoever owns the database knows how far it was.
// A value that is kept apart may be another one: Pebble does not check the whole of a blob
// file, and the entries that the store keeps there are checked against the tree.
func TestFlippedBitsAreErrors(t *testing.T) {
	whole := filled(t)
	names, err := whole.List("db")
	check(t, err)
	kinds := make(map[string]int)
	for _, name := range names {
		path := whole.PathJoin("db", name)
		size := len(content(t, whole, path))
		if size == 0 {
			continue
		}
		kind := strings.TrimLeft(name, "0123456789")
		if name == kind {
			kind, _, _ = strings.Cut(name, "-")
		}
		step := 1 + size/80
		if testing.Short() { // as where the race detector slows everything
			step = 1 + size/8
		}
		for at := int(rand.Uint32N(uint32(step))); at < size; at += step {
			bit := byte(1) << rand.Uint32N(8)
			fs := whole.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
			data := content(t, fs, path)
			data[at] ^= bit
			write(t, fs, path, data)
			if found := tryAll(fs, kind == ".log", kind == ".blob"); found != "" {
				t.Errorf("bit %08b of byte %d of %d in %s: %s", bit, at, size, name, found)
			}
			kinds[kind]++
		}
	}
	for _, kind := range []string{".sst", ".blob", ".log", "MANIFEST", "OPTIONS"} {
		if kinds[kind] == 0 {
			t.Errorf("no bit flipped in any %s: %v", kind, kinds)
		}
	}
}

// tryAll opens the database and reads all of it, by key and in order; it says what is
// wrong with the answers.
func tryAll(fs vfs.FS, ends, apart bool) (wrong string) {
	defer func() {
		if r := recover(); r != nil {
			wrong = fmt.Sprint("panic: ", r)
		}
	}()
	h := panics()
	db, err := disk.Open(options(fs, h))
	if err != nil {
		if !disk.Damaged(err) {
			return fmt.Sprint("opening: ", err)
		}
		if len(h.Damage()) != 1 || h.Events("test") == 0 {
			return fmt.Sprintf("it does not open, and nobody is told: %v", h.Damage())
		}
		return ""
	}
	defer func() {
		if err := db.Close(); err != nil && !disk.Damaged(err) {
			wrong = fmt.Sprint("closing: ", err)
		}
	}()
	damaged, there := 0, rows
	for i := range there {
		v, closer, err := db.Get(key(i))
		switch {
		case disk.Damaged(err):
			if damaged++; damaged == 3 { // while compactions fail, each pauses
				return ""
			}
			continue
		case errors.Is(err, pebble.ErrNotFound) && ends:
			there = min(there, i)
			continue
		case err == nil && i > there:
			return fmt.Sprintf("row %d is missing, and row %d is not", there, i)
		case err != nil:
			return fmt.Sprintf("row %d: %v", i, err)
		case !bytes.Equal(v, value(i)) && !apart:
			return fmt.Sprintf("row %d is another one", i)
		}
		closer.Close()
	}
	it, err := db.NewIter(nil)
	if err != nil {
		return err.Error()
	}
	n := 0
	err = func() (err error) {
		defer db.Rescue(&err)
		for ok := it.First(); ok; ok = it.Next() {
			v, err := it.ValueAndErr()
			if err != nil {
				return errors.Join(err, it.Close())
			}
			if !bytes.Equal(it.Key(), key(n)) || !bytes.Equal(v, value(n)) && !apart {
				return errors.Join(fmt.Errorf("row %d is another one", n), it.Close())
			}
			n++
		}
		return it.Close()
	}()
	if err != nil && !disk.Damaged(err) {
		return fmt.Sprint("in order: ", err)
	}
	if err == nil && n != there && damaged == 0 {
		return fmt.Sprintf("%d rows, and no error", n)
	}
	if (damaged > 0) != (len(h.Damage()) > 0) && err == nil {
		return fmt.Sprintf("%d rows are damaged, and what is told is %v", damaged, h.Damage())
	}
	return ""
}

func content(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	check(t, err)
	defer f.Close()
	data, err := io.ReadAll(f)
	check(t, err)
	return data
}

func write(t *testing.T, fs vfs.FS, path string, data []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	check(t, err)
	_, err = f.Write(data)
	check(t, err)
	check(t, f.Sync())
	check(t, f.Close())
}
