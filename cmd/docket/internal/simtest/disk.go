package simtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// crashedDisk is a disk as a crash of this machine leaves it: all that was synced,
// and of the rest every block of 4,096 bytes and the names of every directory with
// the chance keep, in percent. 100 is a process that was killed while its machine
// went on. The disk given is of no use afterwards.
//
// A directory keeps its new names together or not at all: Pebble's manifest and the
// marker that names it have only their order, which journals of file systems keep.
//
// Pebble's own CrashClone decides in the order of a map, so that two runs with one
// seed would find two disks. Here its two extremes are mixed, by dice for each path.
func crashedDisk(fs *vfs.MemFS, keep int, seed uint64) *vfs.MemFS {
	if keep == 0 {
		return durableDisk(fs)
	}
	all := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rngOf(seed, "", 0)}) // all are below 100
	if keep == 100 {
		return all
	}
	m := crashMixer{keep: keep, seed: seed, all: all, out: vfs.NewCrashableMem()}
	must(m.findDurable(fs))
	must(m.mixDir("/", 0))
	return m.out
}

// crashMixer puts the disk together.
type crashMixer struct {
	keep int
	seed uint64

	all *vfs.MemFS // everything
	out *vfs.MemFS

	// durable[d] has, in directories of depth d, the names that were synced there,
	// as if all directories above them were; the last one has every name. All have
	// the bytes that were synced and no other.
	durable []*vfs.MemFS
}

func (m *crashMixer) draw(rng *rand.Rand) bool { return rng.IntN(100) < m.keep }

// durableDisk is what was synced.
func durableDisk(fs *vfs.MemFS) *vfs.MemFS { return fs.CrashClone(vfs.CrashCloneCfg{}) }

// findDurable finds what is durable at each depth, by making the names above it so.
func (m *crashMixer) findDurable(fs *vfs.MemFS) error {
	for dirs := []string{"/"}; len(dirs) > 0; {
		m.durable = append(m.durable, durableDisk(fs))
		var below []string
		for _, dir := range dirs {
			names, err := fs.List(dir)
			if err != nil {
				return err
			}
			for _, name := range names {
				path := fs.PathJoin(dir, name)
				info, err := fs.Stat(path)
				if errors.Is(err, os.ErrNotExist) {
					continue // Pebble cleans up in the background
				} else if err != nil {
					return err
				}
				if info.IsDir() {
					below = append(below, path)
				}
			}
			if err := syncDir(fs, dir); err != nil {
				return err
			}
		}
		dirs = below
	}
	m.durable = append(m.durable, durableDisk(fs))
	return nil
}

// mixDir decides name by name. What all has, durable may lack; never the reverse.
func (m *crashMixer) mixDir(dir string, depth int) error {
	names, err := m.all.List(dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	keeps := m.draw(rngOf(m.seed, dir, 0))
	for _, name := range names {
		path := m.all.PathJoin(dir, name)
		info, err := m.all.Stat(path)
		if err != nil {
			return err
		}
		rng := rngOf(m.seed, path, 1)
		if _, err := m.durable[depth].Stat(path); err != nil && !keeps {
			continue
		}
		if !info.IsDir() {
			if err := m.mixFile(path, depth, keeps, rng); err != nil {
				return err
			}
			continue
		}
		if err := m.out.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if _, gone := m.durable[len(m.durable)-1].Stat(path); gone != nil { // removed, and nobody had synced that
			err = m.restoreDir(m.durable[depth], path)
		} else {
			err = m.mixDir(path, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return syncDir(m.out, dir)
}

// restoreDir is a directory whole as it was.
func (m *crashMixer) restoreDir(from *vfs.MemFS, dir string) error {
	if ok, err := vfs.Clone(from, m.out, dir, dir, vfs.CloneSync); err != nil || !ok {
		return fmt.Errorf("bringing back %s: %v, %v", dir, ok, err)
	}
	return nil
}

// mixFile decides block by block. A name that was renamed over is of the old file or
// of the new one.
func (m *crashMixer) mixFile(path string, depth int, keeps bool, rng *rand.Rand) error {
	durable, named := readAll(m.durable[depth], path)
	synced, present := readAll(m.durable[len(m.durable)-1], path)
	data := durable
	if !named || bytes.HasPrefix(synced, durable) || present && keeps {
		data = m.mixBlocks(path, synced, rng)
	}
	f, err := m.out.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func (m *crashMixer) mixBlocks(path string, synced []byte, rng *rand.Rand) []byte {
	const block = 4096
	data := bytes.Clone(synced)
	all, _ := readAll(m.all, path)
	for i := 0; i < len(all); i += block {
		if !m.draw(rng) {
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
