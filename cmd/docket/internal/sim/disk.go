package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// afterCrash is a disk as a crash of this machine leaves it: all that was synced,
// and of the rest every file, every name and every block of 4,096 bytes with the
// chance keep, in percent. 100 is a process that was killed while its machine
// went on. The disk given is of no use afterwards.
//
// Pebble's own CrashClone decides in the order of a map, so that two runs with one
// seed would find two disks. Here its two extremes are mixed in the order of names.
func afterCrash(fs *vfs.MemFS, keep int, rng *rand.Rand) *vfs.MemFS {
	if keep == 0 || keep == 100 { // with rng, since all must be drawn below 100
		return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng})
	}
	m := mixer{keep: keep, rng: rng, out: vfs.NewCrashableMem()}
	m.all = fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
	must(m.layers(fs))
	must(m.directory("/", 0))
	return m.out
}

// mixer puts the disk together.
type mixer struct {
	keep int
	rng  *rand.Rand

	all *vfs.MemFS // everything
	out *vfs.MemFS

	// durable[d] has, in directories of depth d, the names that were synced there,
	// as if all directories above them were; the last one has every name. All have
	// the bytes that were synced and no other.
	durable []*vfs.MemFS
}

func (m *mixer) lucky() bool { return m.rng.IntN(100) < m.keep }

// layers finds what is durable at each depth, by making the names above it so.
func (m *mixer) layers(fs *vfs.MemFS) error {
	for dirs := []string{"/"}; len(dirs) > 0; {
		m.durable = append(m.durable, fs.CrashClone(vfs.CrashCloneCfg{}))
		var below []string
		for _, dir := range dirs {
			names, err := fs.List(dir)
			if err != nil {
				return err
			}
			for _, name := range names {
				path := fs.PathJoin(dir, name)
				if info, err := fs.Stat(path); err != nil {
					return err
				} else if info.IsDir() {
					below = append(below, path)
				}
			}
			if err := syncDir(fs, dir); err != nil {
				return err
			}
		}
		dirs = below
	}
	m.durable = append(m.durable, fs.CrashClone(vfs.CrashCloneCfg{}))
	return nil
}

// directory decides name by name. What all has, durable may lack; never the reverse.
func (m *mixer) directory(dir string, depth int) error {
	names, err := m.all.List(dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		path := m.all.PathJoin(dir, name)
		info, err := m.all.Stat(path)
		if err != nil {
			return err
		}
		_, err = m.durable[depth].Stat(path)
		if lucky := m.lucky(); err != nil && !lucky {
			continue
		}
		if !info.IsDir() {
			if err := m.file(path, depth); err != nil {
				return err
			}
			continue
		}
		if err := m.out.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if _, gone := m.durable[len(m.durable)-1].Stat(path); gone != nil { // removed, and nobody had synced that
			err = m.back(m.durable[depth], path)
		} else {
			err = m.directory(path, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return syncDir(m.out, dir)
}

// back is a directory whole as it was.
func (m *mixer) back(from *vfs.MemFS, dir string) error {
	if ok, err := vfs.Clone(from, m.out, dir, dir, vfs.CloneSync); err != nil || !ok {
		return fmt.Errorf("bringing back %s: %v, %w", dir, ok, errors.Join(err))
	}
	return nil
}

// file decides block by block. A name that was renamed over is of the old file or
// of the new one.
func (m *mixer) file(path string, depth int) error {
	durable, named := readAll(m.durable[depth], path)
	synced, present := readAll(m.durable[len(m.durable)-1], path)
	data := durable
	if !named || bytes.HasPrefix(synced, durable) || present && m.lucky() {
		data = m.blocks(path, synced)
	}
	f, err := m.out.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func (m *mixer) blocks(path string, synced []byte) []byte {
	const block = 4096
	data := bytes.Clone(synced)
	all, _ := readAll(m.all, path)
	for i := 0; i < len(all); i += block {
		if !m.lucky() {
			continue
		}
		part := all[i:min(i+block, len(all))]
		if missing := i + len(part) - len(data); missing > 0 {
			data = append(data, make([]byte, missing)...)
		}
		copy(data[i:], part)
	}
	return data
}

func readAll(fs *vfs.MemFS, path string) (data []byte, ok bool) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	data, err = io.ReadAll(f)
	must(err)
	return data, true
}

func syncDir(fs *vfs.MemFS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// must is for what cannot fail in a world that lies in memory.
func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("sim: %v", err))
	}
}
