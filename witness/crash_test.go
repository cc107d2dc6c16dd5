package witness_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

var crashRuns = flag.Int("crash.runs", 300, "how many seeded runs TestCrashes makes")

// crashing is what the runs share: a log with two histories, and every request that
// it can make, signed once.
type crashing struct {
	key  []witness.Key
	logs witness.LogList
	asks [2][][]wire.AddCheckpoint // by history, old size, size
	root [2][]proof.Hash

	made *vfs.MemFS // a disk with the state of a witness that has cosigned nothing
}

const crashSizes = 12 // the histories part at 4

func newCrashing() *crashing {
	c := &crashing{key: players().witness["w1.example"][:1], logs: listed(origin, players().log[0])}
	for i, branch := range []string{"A", "B"} {
		h := newHistory(&cast{log: players().log[:1]}, crashSizes, 4, branch)
		for m := range uint64(crashSizes) {
			c.asks[i] = append(c.asks[i], make([]wire.AddCheckpoint, crashSizes))
			for n := m; n < crashSizes; n++ {
				c.asks[i][m][n] = h.ask(m, n)
			}
			c.root[i] = append(c.root[i], h.mth(0, m))
		}
	}
	return c
}

// told is what left the witness: of each size at most one root, and no size after a
// larger one.
type told struct {
	roots map[uint64]proof.Hash
	last  uint64
}

func (w *told) note(cp proof.Checkpoint) error {
	if cp.Size < w.last {
		return fmt.Errorf("size %d cosigned after %d", cp.Size, w.last)
	}
	if root, ok := w.roots[cp.Size]; ok && root != cp.Root {
		return fmt.Errorf("two roots cosigned at %d", cp.Size)
	}
	w.roots[cp.Size], w.last = cp.Root, cp.Size
	return nil
}

// onOne tells whether all that was cosigned lies on one of the histories.
func (w *told) onOne(c *crashing) bool {
	for _, roots := range c.root {
		fits := true
		for n, root := range w.roots {
			fits = fits && roots[n] == root
		}
		if fits {
			return true
		}
	}
	return false
}

// A log that serves two histories asks a witness that crashes, at a write of its own
// to the disk, again and again, losing what was not synced, in whole or in part.
func TestCrashes(t *testing.T) {
	c := newCrashing()
	p := newPower(0)
	must(begin(p.config(c))).Close()
	c.made = p.disk
	t.Run("seeds", func(t *testing.T) {
		const shards = 4
		for shard := range uint64(shards) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for seed := shard; seed < uint64(*crashRuns); seed += shards {
					if err := c.run(t, seed); err != nil {
						t.Fatalf("%v (seed %d)", err, seed)
					}
				}
			})
		}
	})
}

func (c *crashing) run(t *testing.T, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	disk := c.made.CrashClone(vfs.CrashCloneCfg{})
	if seed%5 == 0 { // making the state can be interrupted too
		disk = vfs.NewCrashableMem()
	}
	seen := &told{roots: map[uint64]proof.Hash{}}
	for life := range 3 {
		p := &power{disk: disk, left: 3 + rng.IntN(40), rng: rand.New(rand.NewPCG(rng.Uint64(), 4))}
		if life == 2 {
			p.left = 1 << 30
		}
		if err := c.live(t, p, rng, seen); err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
		if disk = p.found(); disk == nil {
			break
		}
	}
	if !seen.onOne(c) {
		return fmt.Errorf("what was cosigned lies on neither history: %v", seen.roots)
	}
	return nil
}

// power fails before one of the writes: what the disk is after that is taken then,
// and what the process still does no longer counts.
type power struct {
	disk *vfs.MemFS
	rng  *rand.Rand

	mu    sync.Mutex
	left  int // writes until then
	after *vfs.MemFS
}

func (p *power) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left--; p.left == 0 {
		cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * p.rng.IntN(3), RNG: p.rng}
		p.after = p.disk.CrashClone(cfg)
	}
	return nil
}

func newPower(seed uint64) *power {
	return &power{disk: vfs.NewCrashableMem(), left: 1 << 30, rng: rand.New(rand.NewPCG(seed, 3))}
}

// config is a witness on that power.
func (p *power) config(c *crashing) witness.Config {
	return witness.Config{
		Keys: c.key, FS: errorfs.Wrap(p.disk, p), Dir: "w", Logs: c.logs,
		Fatal: func(reason string) { panic(reason) },
	}
}

func (p *power) String() string { return "power" }

// failAt has the power fail at so many writes from now.
func (p *power) failAt(writes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = writes
}

// found is the disk after the failure; nil before it.
func (p *power) found() *vfs.MemFS {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.after
}

func (p *power) failed() bool { return p.found() != nil }

// live opens the witness and lets the log ask until the power fails, or it has asked
// enough.
func (c *crashing) live(t *testing.T, p *power, rng *rand.Rand, seen *told) error {
	open := begin
	if len(seen.roots) > 0 {
		open = witness.Open // no crash takes what was made before the first cosignature
	}
	w, err := open(p.config(c))
	if err != nil {
		return err
	}
	defer w.Close()
	// What was told before must be known now, whatever the crash took.
	at := uint64(0)
	for range 10 {
		n := min(at+rng.Uint64N(3), crashSizes-1)
		q := c.asks[rng.IntN(2)][at][n]
		_, err := w.Cosign(t.Context(), q)
		if p.failed() {
			return nil
		}
		var stale *witness.StaleError
		switch {
		case err == nil:
			cp, _, err := proof.ParseCheckpoint(q.Note)
			if err == nil {
				err = seen.note(cp)
			}
			if err != nil {
				return err
			}
			at = n
		case errors.As(err, &stale):
			if stale.Size < seen.last {
				return fmt.Errorf("rolled back from %d to %d", seen.last, stale.Size)
			}
			at = stale.Size
		}
		if halted := new(witness.HaltedError); errors.As(err, &halted) {
			if err := release(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// release acknowledges all evidence, so that a run goes on past a halt.
func release(w *witness.Witness) error {
	all, err := w.Evidence().List()
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.Acknowledged == nil {
			err = errors.Join(err, w.Evidence().Acknowledge(k.ID, witness.Acknowledgement{By: "test", Reason: "to go on"}))
		}
	}
	return err
}

// The power fails before each single write, synced or not, while evidence is found
// and acknowledged: a log that was halted stays so, and evidence is whole or absent.
func TestCrashAtEachWriteOfEvidence(t *testing.T) {
	c := newCrashing()
	for left := 1; ; left++ {
		p := newPower(uint64(left))
		p.failAt(left)
		cfg := p.config(c)
		w := must(begin(cfg))
		must(w.Cosign(t.Context(), c.asks[0][0][6]))
		cosigned := !p.failed()
		_, err := w.Cosign(t.Context(), c.asks[1][6][6])
		wantErr(t, err, witness.ErrInconsistent)
		convicted := !p.failed()
		w.Close()
		if p.found() == nil {
			break
		}
		cfg.FS = p.found()
		w = open(t, cfg)
		all := must(w.Evidence().List())
		if convicted && len(all) != 1 {
			t.Fatalf("%d pieces of evidence after a crash (write %d)", len(all), left)
		}
		_, err = w.Cosign(t.Context(), c.asks[0][6][7])
		halted := new(witness.HaltedError)
		stale := new(witness.StaleError)
		switch {
		case len(all) > 0 && errors.As(err, &halted), !cosigned && errors.As(err, &stale), !convicted && err == nil:
		default:
			t.Fatalf("after a crash: %v (write %d, %d pieces of evidence)", err, left, len(all))
		}
	}
}

// A write that is reported as failed, applied or not: nothing is signed any more, by
// anyone, until the witness is opened again; then it goes on from what the disk has.
func TestFailedWrites(t *testing.T) {
	c := newCrashing()
	mem := vfs.NewMem()
	broken := false
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.Contains(op.Path, "evidence") {
			return os.ErrPermission
		}
		return nil
	}))
	cfg := witness.Config{Keys: c.key, FS: fs, Dir: "w", Logs: c.logs}
	w := must(begin(cfg))
	must(w.Cosign(t.Context(), c.asks[0][0][6]))
	broken = true
	_, err := w.Cosign(t.Context(), c.asks[1][6][6])
	wantErr(t, err, witness.ErrBroken)
	_, err = w.Cosign(t.Context(), c.asks[0][6][7])
	wantErr(t, err, witness.ErrBroken)
	w.Close()
	broken = false
	w = open(t, cfg)
	must(w.Cosign(t.Context(), c.asks[0][6][7]))
}

// The state cannot be written at all: Pebble ends the process, and no signature
// leaves it.
func TestFailedSyncEndsTheProcess(t *testing.T) {
	c := newCrashing()
	mem := vfs.NewMem()
	broken := make(chan struct{})
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		select {
		case <-broken:
			if op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo {
				return os.ErrPermission
			}
		default:
		}
		return nil
	}))
	ended := make(chan string, 1)
	w := must(begin(witness.Config{Keys: c.key, FS: fs, Dir: "w", Logs: c.logs, Fatal: func(reason string) {
		ended <- reason
		select {} // the process is no more
	}}))
	must(w.Cosign(t.Context(), c.asks[0][0][6]))
	close(broken)
	signed := make(chan error, 1)
	go func() {
		_, err := w.Cosign(t.Context(), c.asks[0][6][7])
		signed <- err
	}()
	select {
	case <-ended:
	case err := <-signed:
		t.Fatalf("an answer (%v) though nothing could be synced", err)
	}
}
