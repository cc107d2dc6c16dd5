package witness_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
	"github.com/seed-53cf897a/docket/witness/gossip"
)

var crashRuns = flag.Int("crash.runs", 300, "how many seeded runs TestCrashes makes")

// crashTest is what the runs share: a log with two histories, and every request that
// it can make, signed once.
type crashTest struct {
	key      []witness.Key
	logs     witness.LogList
	requests [2][][]wire.AddCheckpoint // by history, old size, size
	roots    [2][]proof.Hash

	initialDisk *vfs.MemFS // a disk with the state of a witness that has cosigned nothing
}

const crashSizes = 12 // the histories part at 4

func newCrashTest() *crashTest {
	c := &crashTest{key: sharedKeys().witness["w1.example"][:1], logs: logListOf(origin, sharedKeys().log[0])}
	for i, branch := range []string{"A", "B"} {
		h := newTestLog(&testKeys{log: sharedKeys().log[:1]}, crashSizes, 4, branch)
		for m := range uint64(crashSizes) {
			c.requests[i] = append(c.requests[i], make([]wire.AddCheckpoint, crashSizes))
			for n := m; n < crashSizes; n++ {
				c.requests[i][m][n] = h.request(m, n)
			}
			c.roots[i] = append(c.roots[i], h.subtreeHash(0, m))
		}
	}
	return c
}

// seenCosignatures is what left the witness: of each size at most one root, and no size after a
// larger one.
type seenCosignatures struct {
	roots map[uint64]proof.Hash
	last  uint64
}

func (w *seenCosignatures) add(cp proof.Checkpoint) error {
	if cp.Size < w.last {
		return fmt.Errorf("size %d cosigned after %d", cp.Size, w.last)
	}
	if root, ok := w.roots[cp.Size]; ok && root != cp.Root {
		return fmt.Errorf("two roots cosigned at %d", cp.Size)
	}
	w.roots[cp.Size], w.last = cp.Root, cp.Size
	return nil
}

// onOneBranch tells whether all that was cosigned lies on one of the histories.
func (w *seenCosignatures) onOneBranch(c *crashTest) bool {
	for _, roots := range c.roots {
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
	c := newCrashTest()
	p := newCrashInjector(0)
	must(createAndOpen(p.config(c))).Close()
	c.initialDisk = p.disk
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

func (c *crashTest) run(t *testing.T, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	disk := c.initialDisk.CrashClone(vfs.CrashCloneCfg{})
	if seed%5 == 0 { // making the state can be interrupted too
		disk = vfs.NewCrashableMem()
	}
	seen := &seenCosignatures{roots: map[uint64]proof.Hash{}}
	for life := range 3 {
		p := &crashInjector{disk: disk, writesLeft: 3 + rng.IntN(40), rng: rand.New(rand.NewPCG(rng.Uint64(), 4))}
		if life == 2 {
			p.writesLeft = 1 << 30
		}
		if err := c.runUntilCrash(t, p, rng, seen); err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
		if disk = p.diskAfterCrash(); disk == nil {
			break
		}
	}
	if !seen.onOneBranch(c) {
		return fmt.Errorf("what was cosigned lies on neither history: %v", seen.roots)
	}
	return nil
}

// crashInjector fails before one of the writes: what the disk is after that is taken then,
// and what the process still does no longer counts.
type crashInjector struct {
	disk *vfs.MemFS
	rng  *rand.Rand

	mu          sync.Mutex
	writesLeft  int // writes until then
	crashedDisk *vfs.MemFS
}

func (p *crashInjector) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writesLeft--; p.writesLeft == 0 {
		cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * p.rng.IntN(3), RNG: p.rng}
		p.crashedDisk = p.disk.CrashClone(cfg)
	}
	return nil
}

func newCrashInjector(seed uint64) *crashInjector {
	return &crashInjector{disk: vfs.NewCrashableMem(), writesLeft: 1 << 30, rng: rand.New(rand.NewPCG(seed, 3))}
}

// config is a witness on that power.
func (p *crashInjector) config(c *crashTest) witness.Config {
	return witness.Config{
		Keys: c.key, FS: errorfs.Wrap(p.disk, p), Dir: "w", Logs: c.logs,
		Fatal: func(reason string) { panic(reason) },
	}
}

func (p *crashInjector) String() string { return "power" }

// failAt has the power fail at so many writes from now.
func (p *crashInjector) failAt(writes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writesLeft = writes
}

// diskAfterCrash is the disk after the failure; nil before it.
func (p *crashInjector) diskAfterCrash() *vfs.MemFS {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.crashedDisk
}

func (p *crashInjector) failed() bool { return p.diskAfterCrash() != nil }

// runUntilCrash opens the witness and lets the log ask until the power fails, or it has asked
// enough.
func (c *crashTest) runUntilCrash(t *testing.T, p *crashInjector, rng *rand.Rand, seen *seenCosignatures) error {
	open := createAndOpen
	if len(seen.roots) > 0 {
		open = witness.Open // no crash takes what was made before the first cosignature
	}
	w, err := open(p.config(c))
	if err != nil {
		return err
	}
	defer w.Close()
	w.LookUp(t.Context()) // there is nobody to ask
	// What was told before must be known now, whatever the crash took.
	at := uint64(0)
	for range 10 {
		n := min(at+rng.Uint64N(3), crashSizes-1)
		q := c.requests[rng.IntN(2)][at][n]
		_, err := w.Cosign(t.Context(), q)
		if p.failed() {
			return nil
		}
		var stale *witness.ConflictError
		switch {
		case err == nil:
			cp, _, err := proof.ParseCheckpoint(q.Note)
			if err == nil {
				err = seen.add(cp)
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
			if err := closeWitness(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// closeWitness acknowledges all evidence, so that a run goes on past a halt.
func closeWitness(w *witness.Witness) error {
	all, err := w.Evidence().List()
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.Acknowledged == nil {
			err = errors.Join(err, w.Evidence().Acknowledge(k.ID, gossip.Acknowledgement{By: "test", Reason: "to go on"}))
		}
	}
	return err
}

// The power fails before each single write, synced or not, while evidence is found
// and acknowledged: a log that was halted stays so, and evidence is whole or absent.
func TestCrashAtEachWriteOfEvidence(t *testing.T) {
	c := newCrashTest()
	for left := 1; ; left++ {
		p := newCrashInjector(uint64(left))
		p.failAt(left)
		cfg := p.config(c)
		w := must(createAndOpen(cfg))
		must(w.Cosign(t.Context(), c.requests[0][0][6]))
		cosigned := !p.failed()
		_, err := w.Cosign(t.Context(), c.requests[1][6][6])
		wantErr(t, err, witness.ErrInconsistent)
		convicted := !p.failed()
		w.Close()
		if p.diskAfterCrash() == nil {
			break
		}
		cfg.FS = p.diskAfterCrash()
		w = mustOpen(t, cfg)
		w.LookUp(t.Context())
		all := must(w.Evidence().List())
		if convicted && len(all) != 1 {
			t.Fatalf("%d pieces of evidence after a crash (write %d)", len(all), left)
		}
		_, err = w.Cosign(t.Context(), c.requests[0][6][7])
		halted := new(witness.HaltedError)
		stale := new(witness.ConflictError)
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
	c := newCrashTest()
	mem := vfs.NewMem()
	var broken atomic.Bool // Pebble's own goroutines read it
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.Contains(op.Path, "evidence") {
			return os.ErrPermission
		}
		return nil
	}))
	cfg := witness.Config{Keys: c.key, FS: fs, Dir: "w", Logs: c.logs}
	w := must(createAndOpen(cfg))
	must(w.Cosign(t.Context(), c.requests[0][0][6]))
	broken.Store(true)
	_, err := w.Cosign(t.Context(), c.requests[1][6][6])
	wantErr(t, err, witness.ErrBroken)
	_, err = w.Cosign(t.Context(), c.requests[0][6][7])
	wantErr(t, err, witness.ErrBroken)
	w.Close()
	broken.Store(false)
	w = mustOpen(t, cfg)
	w.LookUp(t.Context())
	must(w.Cosign(t.Context(), c.requests[0][6][7]))
}

// The state cannot be written at all: Pebble ends the process, and no signature
// leaves it.
func TestFailedSyncEndsTheProcess(t *testing.T) {
	c := newCrashTest()
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
	w := must(createAndOpen(witness.Config{Keys: c.key, FS: fs, Dir: "w", Logs: c.logs, Fatal: func(reason string) {
		ended <- reason
		select {} // the process is no more
	}}))
	must(w.Cosign(t.Context(), c.requests[0][0][6]))
	close(broken)
	signed := make(chan error, 1)
	go func() {
		_, err := w.Cosign(t.Context(), c.requests[0][6][7])
		signed <- err
	}()
	select {
	case <-ended:
	case err := <-signed:
		t.Fatalf("an answer (%v) though nothing could be synced", err)
	}
}
