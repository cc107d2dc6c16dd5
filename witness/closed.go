package witness

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// closed is the file beside the state in which a witness notes, as the last thing that it
// does, the size that it has cosigned of each log. It is there while no witness runs:
//
//	closed/v1 2
//	17 log.example/2026
//	5 log.example/2027
//
// Pebble cannot always tell a write-ahead log that has rotted from one that was cut off,
// nor a manifest: a state that has lost its end opens, and would cosign a fork of what it
// forgot. After a stop of its own this file shows that. After any other, when it is not
// there, the logs are looked up.
type closed struct {
	fs  vfs.FS
	dir string // of the witness
}

const closedFormat = "closed/v1"

func (c closed) path() string { return c.fs.PathJoin(c.dir, "closed") }

// read is the size of each log, by origin; nil if it is not known.
func (c closed) read() (map[string]uint64, error) {
	text, err := disk.ReadFile(c.fs, c.path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil && !disk.Damaged(disk.AsDamaged(err)):
		return nil, fmt.Errorf("reading where the witness stood: %w", err)
	case err != nil:
		return nil, nil // it has rotted, like one that cannot be parsed
	}
	return parseClosed(string(text)), nil
}

// parseClosed is nil for what format did not make.
func parseClosed(text string) map[string]uint64 {
	head, rest, whole := strings.Cut(text, "\n")
	sizes := make(map[string]uint64)
	for line := range strings.Lines(rest) {
		number, origin, ok := strings.Cut(line, " ")
		size, err := strconv.ParseUint(number, 10, 64)
		if !ok || err != nil || !strings.HasSuffix(origin, "\n") {
			return nil
		}
		sizes[strings.TrimSuffix(origin, "\n")] = size
	}
	if !whole || head != fmt.Sprint(closedFormat, " ", len(sizes)) {
		return nil
	}
	return sizes
}

func formatClosed(sizes map[string]uint64) string {
	var text strings.Builder
	fmt.Fprintln(&text, closedFormat, len(sizes))
	for _, origin := range slices.Sorted(maps.Keys(sizes)) {
		fmt.Fprintln(&text, sizes[origin], origin)
	}
	return text.String()
}

// write makes the file, durably.
func (c closed) write(sizes map[string]uint64) error {
	return disk.WriteFile(c.fs, c.path(), []byte(formatClosed(sizes)), 0o644, disk.SyncNow)
}

// remove removes it, durably: what is cosigned from here on is not in it.
func (c closed) remove() error {
	if err := disk.Remove(c.fs, c.path()); err != nil {
		return fmt.Errorf("removing what the witness noted at its last stop: %w", err)
	}
	return nil
}

// resume holds the state against what was noted at the last stop: damage, if it has lost
// something. If nothing was noted, each log is looked up before anything of it is cosigned.
func (w *Witness) resume() error {
	noted, err := w.closed.read()
	if err != nil {
		return err
	}
	if noted == nil {
		w.log.Warn("this witness did not end by itself the last time; what it cosigned last is looked up before it goes on")
		return w.state.seek()
	}
	sizes, err := w.state.sizes()
	if err != nil {
		return err
	}
	for origin, size := range noted {
		if has, known := sizes[origin]; !known || has < size {
			return fmt.Errorf("%w: at the last stop %s was cosigned to size %d, and the state %s has forgotten that", disk.ErrDamaged, origin, size, w.state.dir)
		}
	}
	return nil
}

// note notes where the witness stands, if that is known. Otherwise the next start looks up
// the logs.
func (w *Witness) note(sizes map[string]uint64, err error) {
	if err == nil {
		err = w.closed.write(sizes)
	}
	if err != nil {
		w.log.Warn("where the witness stands could not be noted; the next start looks up what it cosigned", "err", err)
	}
}

// seek notes that all logs are to be looked up. When it returns nil, that is durable.
func (s *state) seek() error {
	b := s.db.NewBatch()
	defer b.Close()
	if err := forgetLookUps(b); err != nil {
		return err
	}
	return s.db.Apply(b, pebble.Sync)
}

// forgetLookUps has all logs looked up once more.
func forgetLookUps(b *pebble.Batch) error {
	return errors.Join(b.Set([]byte{keyUsedElsewhere}, nil, nil), b.DeleteRange([]byte{keyLookedUp}, []byte{keyLookedUp + 1}, nil))
}

// sizes is the size of the newest checkpoint of each log, by origin.
func (s *state) sizes() (sizes map[string]uint64, err error) {
	defer s.db.Rescue(&err)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyCheckpoint}, UpperBound: []byte{keyCheckpoint + 1}})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	sizes = make(map[string]uint64)
	for ok := it.First(); ok; {
		origin, _, found := bytes.Cut(it.Key()[1:], []byte{0})
		if !found {
			return nil, fmt.Errorf("%w: a checkpoint of no log in %s", disk.ErrDamaged, s.dir)
		}
		name := string(origin)
		above := stateKey(keyCheckpoint, name)
		above[len(above)-1] = 1
		it.SeekLT(above)
		cp, _, err := proof.ParseCheckpoint(it.Value())
		if err != nil {
			return nil, fmt.Errorf("%w: the newest checkpoint of %s: %w", disk.ErrDamaged, name, err)
		}
		sizes[name] = cp.Size
		ok = it.SeekGE(above)
	}
	return sizes, it.Error()
}
