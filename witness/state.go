package witness

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// state is what must survive a crash. Pebble holds, for each origin,
//
//	c <origin> 00 <size> → the checkpoint of that size, with the log's signatures
//	s <origin> 00        → size, and the witness's signature lines on that checkpoint
//	p <origin> 00 <tree> → its room, and a checkpoint that is not yet compared
//
// with sizes big-endian, so that the newest checkpoint is the last of its range. An
// origin has no control characters, so 00 ends it. c is synced before anything is
// signed. s goes with the next c, so that it costs no write of its own, and alone only
// when a log is halted and at the end. s and p can be lost: s is made again, p comes
// again.
//
// Updates of different logs that arrive together share one sync: that is how
// Pebble's commit pipeline works (its log writer syncs once for all batches that are
// queued), so there is no other queue in front of it.
type state struct{ db *pebble.DB }

const (
	keyCheckpoint = 'c'
	keySignatures = 's'
	keyPending    = 'p'
)

func openState(fs vfs.FS, dir string, log *slog.Logger, fatal func(string)) (*state, error) {
	if err := makeDir(fs, dir); err != nil {
		return nil, fmt.Errorf("making the witness's state %s: %w", dir, err)
	}
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	if fatal == nil {
		fatal = func(string) { os.Exit(1) }
	}
	db, err := pebble.Open(dir, &pebble.Options{
		FS:                          inOrder{fs},
		Cache:                       cache,
		Logger:                      logger{log, fatal},
		FormatMajorVersion:          pebble.FormatValueSeparation,
		MemTableSize:                4 << 20,
		MemTableStopWritesThreshold: 4,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the witness's state %s: %w", dir, err)
	}
	return &state{db}, nil
}

// inOrder is a file system on which Pebble always finds its manifest after a crash.
// Pebble creates the manifest, then a marker that names it, removes the marker before,
// and syncs the directory once: enough where a journal keeps the order of names, as
// that of ext4 does. POSIX does not promise it. Where a marker comes back without its
// manifest, the state does not open; where both markers are gone, it opens empty, and
// the witness has forgotten all that it cosigned.
type inOrder struct{ vfs.FS }

func (f inOrder) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.settle(name); err != nil {
		return nil, err
	}
	return f.FS.Create(name, category)
}

func (f inOrder) Remove(name string) error {
	if err := f.settle(name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

// settle makes the names so far durable before a marker changes.
func (f inOrder) settle(name string) error {
	if !strings.HasPrefix(f.PathBase(name), "marker.") {
		return nil
	}
	return syncDir(f.FS, f.PathDir(name))
}

func (s *state) close() error { return s.db.Close() }

func stateKey(kind byte, origin string) []byte {
	return append(append([]byte{kind}, origin...), 0)
}

func sizeKey(origin string, size uint64) []byte {
	return binary.BigEndian.AppendUint64(stateKey(keyCheckpoint, origin), size)
}

func pendingKey(origin string, t proof.Tree) []byte {
	k := binary.BigEndian.AppendUint64(stateKey(keyPending, origin), t.Size)
	return append(k, t.Root[:]...)
}

// latest is the newest checkpoint that may have been cosigned; nil if there is none.
func (s *state) latest(origin string) ([]byte, error) {
	it, err := s.scan(keyCheckpoint, origin)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	if !it.Last() {
		return nil, it.Error()
	}
	return bytes.Clone(it.Value()), it.Error()
}

// at is the checkpoint of that size that may have been cosigned; nil if there is
// none, or it is long ago.
func (s *state) at(origin string, size uint64) ([]byte, error) {
	return s.get(sizeKey(origin, size))
}

// advance makes a checkpoint the newest one, and keeps the signature lines on the one
// before. When it returns nil, that is durable.
func (s *state) advance(origin string, size uint64, note []byte, before *given) error {
	b := s.db.NewBatch()
	defer b.Close()
	if err := b.Set(sizeKey(origin, size), note, nil); err != nil {
		return err
	}
	if before != nil {
		if err := b.Set(stateKey(keySignatures, origin), before.row(), nil); err != nil {
			return err
		}
	}
	return b.Commit(pebble.Sync)
}

// signed keeps the witness's last signature lines, if there are any.
func (s *state) signed(origin string, last *given, durably bool) error {
	if last == nil {
		return nil
	}
	return s.db.Set(stateKey(keySignatures, origin), last.row(), &pebble.WriteOptions{Sync: durably})
}

// signatures are the newest signature lines that were kept; nil if there are none.
func (s *state) signatures(origin string) (*given, error) {
	v, err := s.get(stateKey(keySignatures, origin))
	if err != nil || len(v) < 8 {
		return nil, err
	}
	return &given{binary.BigEndian.Uint64(v), v[8:]}, nil
}

func (g *given) row() []byte { return append(binary.BigEndian.AppendUint64(nil, g.size), g.lines...) }

func (s *state) hold(origin string, p pending) error {
	return s.db.Set(pendingKey(origin, p.tree), append([]byte{byte(p.in)}, p.note...), pebble.NoSync)
}

func (s *state) release(origin string, t proof.Tree) error {
	return s.db.Delete(pendingKey(origin, t), pebble.NoSync)
}

// pending are the checkpoints that are held.
func (s *state) pending(origin string) (held []*pending, err error) {
	it, err := s.scan(keyPending, origin)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value := bytes.Clone(it.Value())
		if len(value) == 0 || !slices.Contains(rooms, room(value[0])) {
			continue // of another form; what waits can be lost
		}
		in, note := room(value[0]), value[1:]
		cp, _, err := proof.ParseCheckpoint(note)
		if err != nil || cp.Origin != origin {
			continue
		}
		held = append(held, &pending{reference: reference{cp.Tree(), note}, in: in})
	}
	return held, it.Error()
}

// trim forgets all checkpoints of an origin but the newest keep.
func (s *state) trim(origin string, keep int) error {
	it, err := s.scan(keyCheckpoint, origin)
	if err != nil {
		return err
	}
	defer it.Close()
	ok := it.Last()
	for n := 1; ok && n < keep; n++ {
		ok = it.Prev()
	}
	if !ok {
		return it.Error()
	}
	return s.db.DeleteRange(stateKey(keyCheckpoint, origin), bytes.Clone(it.Key()), pebble.NoSync)
}

func (s *state) scan(kind byte, origin string) (*pebble.Iterator, error) {
	lower := stateKey(kind, origin)
	upper := bytes.Clone(lower)
	upper[len(upper)-1] = 1
	return s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
}

func (s *state) get(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return bytes.Clone(v), nil
}

// makeDir makes a directory, and those above it that are missing, so that a crash
// does not take it away again with all that was synced inside: a directory is
// durable once its parent is synced, which not even Pebble does for more than one.
func makeDir(fs vfs.FS, dir string) error {
	parent := fs.PathDir(dir)
	if _, err := fs.Stat(parent); err != nil && parent != dir {
		if err := makeDir(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncDir(fs, parent)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// logger passes on what Pebble reports, and ends the process when it must: Pebble
// does not return a failed sync, since nobody knows what the disk holds then.
type logger struct {
	log   *slog.Logger
	fatal func(string)
}

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.log.Error("the witness's state reports", "err", fmt.Sprintf(format, args...))
}

func (l logger) Fatalf(format string, args ...any) {
	reason := fmt.Sprintf(format, args...)
	l.log.Error("the witness's state cannot go on; the process ends, and its next start recovers", "err", reason)
	l.fatal(reason)
	panic(reason)
}
