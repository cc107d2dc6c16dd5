package disk

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Config says who is told of what happens to databases.
type Config struct {
	Log *slog.Logger // nil discards

	// WaitForSpace says that a full disk is waited for: reads go on meanwhile, and writes once
	// there is space again. Otherwise it ends the process at once.
	WaitForSpace bool

	// Fatal ends the process when the state of the disk is unknown; the log was told why.
	// If it returns, or is nil, a panic does: as a rule on a goroutine of Pebble's, where
	// nobody recovers.
	Fatal func(reason string)
}

// Health is how the databases of one process are. All that it opens may share one.
type Health struct {
	Config
	news  chan struct{} // something was damaged
	ended chan struct{} // closed by GiveUp
	end   sync.Once

	stalled  atomic.Int64 // writes that wait for space
	flushing atomic.Int64 // flushes that have failed since the last good one

	mu     sync.Mutex
	found  map[string]*Damage // by database; guarded by mu
	events map[string]uint64  // by database, since the start; guarded by mu
	said   time.Time          // when what fails in the background was last logged; guarded by mu
	unsaid int                // how often it failed since; guarded by mu
}

// Damage is what was found damaged in one database.
type Damage struct {
	Name  string   // of the database
	Files []string // as far as they are known, without their directory
	Err   error    // of the first
}

// String tells no detail that is not public; the log has more.
func (d Damage) String() string {
	if len(d.Files) == 0 {
		return fmt.Sprintf("the %s is damaged", d.Name)
	}
	return fmt.Sprintf("the %s is damaged: %s", d.Name, strings.Join(d.Files, ", "))
}

// maxDamaged is how many files are named; beyond that damage is only counted.
const maxDamaged = 16

// NewHealth is that of databases that are well.
func NewHealth(c Config) *Health {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Health{Config: c, news: make(chan struct{}, 1), ended: make(chan struct{}), found: make(map[string]*Damage), events: make(map[string]uint64)}
}

// GiveUp says that the process is to end: what waits for space ends it at once, and
// nothing waits any more.
func (h *Health) GiveUp() { h.end.Do(func() { close(h.ended) }) }

// News receives after each new damage.
func (h *Health) News() <-chan struct{} { return h.news }

// Damage is what is damaged, by database.
func (h *Health) Damage() []Damage {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []Damage
	for _, name := range slices.Sorted(maps.Keys(h.found)) {
		d := *h.found[name]
		d.Files = slices.Clone(d.Files)
		all = append(all, d)
	}
	return all
}

// Events is how often damage was met in a database since the start.
func (h *Health) Events(name string) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events[name]
}

// Mended says that a database holds no damage any more.
func (h *Health) Mended(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.found, name)
}

// Failing says why what is to be written does not get onto the disk; nil if it does.
func (h *Health) Failing() error {
	switch {
	case h.stalled.Load() > 0:
		return errors.New("the disk is full")
	case h.flushing.Load() > 0:
		return errors.New("the disk fails to write")
	}
	return nil
}

// watch is what is told of one database.
type watch struct {
	*Health
	name, remedy string
	dir          string
	opened       atomic.Bool
	busy         atomic.Bool // something was begun in the background
	retired      atomic.Bool

	done  chan struct{} // closed by close
	dying atomic.Bool

	stopped atomic.Bool // writes wait for a flush or a compaction

	flush, compaction attempts
	flushed           error // what the last flush ended with; guarded by Pebble's mutex
}

// attempts is how often what runs in the background has failed since it went well.
type attempts struct{ failed atomic.Int64 }

func (a *attempts) pause() time.Duration {
	n := a.failed.Load()
	if n == 0 {
		return 0
	}
	return min(firstPause<<min(n-1, 16), maxPause)
}

// listener is told by Pebble, with its mutex held as a rule: it must not wait.
func (w *watch) listener() *pebble.EventListener {
	return &pebble.EventListener{
		FlushBegin:      func(pebble.FlushInfo) { w.busy.Store(true) },
		CompactionBegin: func(pebble.CompactionInfo) { w.busy.Store(true) },
		// A failed flush and a failed compaction end, and are then told as an error.
		FlushEnd: func(i pebble.FlushInfo) {
			if w.flushed = i.Err; i.Err == nil {
				w.flushing.Add(-w.flush.failed.Swap(0))
			}
		},
		WriteStallBegin: func(pebble.WriteStallBeginInfo) { w.stopped.Store(true) },
		WriteStallEnd:   func() { w.stopped.Store(false) },
		CompactionEnd: func(i pebble.CompactionInfo) {
			if i.Err == nil {
				w.compaction.failed.Store(0)
			}
		},
		BackgroundError: func(err error) {
			if w.flushed != nil && errors.Is(err, w.flushed) {
				w.flush.failed.Add(1)
				w.flushing.Add(1)
			} else {
				w.compaction.failed.Add(1)
			}
			w.Errorf("%v", err)
		},
		// Of any block that does not have its checksum, and of a table that is gone. No lock
		// is held. A compaction that meets it begins again at once.
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			w.damaged(i.Path, i.Details)
			w.pause(min(w.compaction.pause(), firstPause))
		},
	}
}

// turn waits until a table may be begun. Where writes wait for a flush that fails, a
// process that is told to end ends here, and one without [Config.WaitForSpace] after a few
// tries.
func (w *watch) turn(category vfs.DiskWriteCategory) {
	if category != "pebble-memtable-flush" {
		w.pause(w.compaction.pause())
		return
	}
	failed := w.flush.failed.Load()
	var ended chan struct{}
	if failed > 0 && w.stopped.Load() {
		ended = w.ended
	}
	if failed > maxFlushes && !w.WaitForSpace {
		w.die(fmt.Sprintf("what was written cannot be written out after %d tries: %v", failed, w.flushed))
	}
	select {
	case <-ended:
		w.die("it was told to end while what was written could not be written out")
	case <-w.done:
	case <-time.After(w.flush.pause()):
	}
}

// maxFlushes is how often a flush may fail in a row without [Config.WaitForSpace].
const maxFlushes = 3

// pause waits before what has failed is tried again; not while the database is closed.
func (w *watch) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-w.done:
	case <-time.After(d):
	}
}

// damaged tells of damage: in the log once for each file.
func (w *watch) damaged(file string, err error) {
	if w.retired.Load() {
		return
	}
	w.mu.Lock()
	w.events[w.name]++
	d := w.found[w.name]
	first := d == nil
	if first {
		d = &Damage{Name: w.name, Err: err}
		w.found[w.name] = d
	}
	if base := filepath.Base(file); file != w.dir && len(d.Files) < maxDamaged && !slices.Contains(d.Files, base) {
		d.Files, first = append(d.Files, base), true
	}
	w.mu.Unlock()
	if first {
		w.Log.Error("damage on the disk", "database", w.name, "file", file, "err", err, "do", cmp.Or(w.remedy, "bring back the backup"))
	}
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// stalls tells that a write waits for space; what it returns, that it does no more.
func (w *watch) stalls(err error) (over func()) {
	if w.stalled.Add(1) == 1 {
		w.Log.Error("the disk is full; what is to be written waits for space, and reads go on", "database", w.name, "err", err)
	}
	return func() {
		if w.stalled.Add(-1) == 0 {
			w.Log.Info("there is space on the disk again", "database", w.name)
		}
	}
}

// close lets nothing wait any more.
func (w *watch) close() {
	close(w.done)
	w.flushing.Add(-w.flush.failed.Swap(0))
}

// ends ends the process where Pebble panics: that is what it does with some writes that
// failed.
func (w *watch) ends() {
	if r := recover(); r != nil && w.dying.Load() {
		panic(r)
	} else if r != nil {
		w.die(fmt.Sprint(r))
	}
}

func (w *watch) die(reason string) {
	w.dying.Store(true)
	w.Log.Error("the disk failed; the process ends here, and the next start recovers", "database", w.name, "err", reason)
	if reason = "the disk failed: " + reason; w.Fatal != nil {
		w.Fatal(reason)
	}
	panic(reason)
}

// Infof is what Pebble does, for the curious.
func (w *watch) Infof(format string, args ...any) {
	w.Log.Debug("pebble", "database", w.name, "msg", fmt.Sprintf(format, args...))
}

// Errorf is what fails in the background, and is tried again: logged once a minute.
func (w *watch) Errorf(format string, args ...any) {
	if w.retired.Load() {
		return
	}
	w.mu.Lock()
	now := time.Now()
	quiet := now.Sub(w.said) < time.Minute
	w.unsaid++
	n := w.unsaid
	if !quiet {
		w.said, w.unsaid = now, 0
	}
	w.mu.Unlock()
	if !quiet {
		w.Log.Error("what the database does in the background fails, and is tried again", "database", w.name, "times", n, "err", fmt.Sprintf(format, args...))
	}
}

// Fatalf is what Pebble calls when the state of the disk is unknown.
func (w *watch) Fatalf(format string, args ...any) { w.die(fmt.Sprintf(format, args...)) }
