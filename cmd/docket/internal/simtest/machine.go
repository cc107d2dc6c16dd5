package simtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/server"
)

// ledgerNode is the one that a ledger runs on: a disk, and a process while it is up.
// It does not run the ledger: the simulation calls its steps.
type ledgerNode struct {
	net          *network
	name         string
	keys         node.Keys
	cosignConfig cosignatures.Config

	disk       *vfs.MemFS
	node       *node.Node // nil while the process is down
	processCtx context.Context
	kill       context.CancelFunc // of the process: its connections break off
	errorLog   logBuffer

	fault diskFault
}

// diskFault is one scheduled or triggered failure of a disk or of its power.
type diskFault struct {
	mu          sync.Mutex // Pebble writes in the background too; guards what follows
	armed       bool
	writesLeft  int        // writes before it comes
	writeFails  bool       // the write fails; otherwise the power does
	keepPercent int        // percent of what was not synced that survives
	seed        uint64     // decides which
	broken      bool       // every further write of the ledger's store fails
	diskAfter   *vfs.MemFS // the disk as it was left; nil while nothing came
}

// errDisk is what a broken disk says.
var errDisk = errors.New("input/output error")

// processExit is the panic with which a process ends that cannot go on.
type processExit struct{ reason string }

// start starts the process, which recovers from whatever became of its disk. It is
// false if the power failed once more meanwhile.
func (m *ledgerNode) start(ctx context.Context) (bool, error) {
	m.processCtx, m.kill = context.WithCancel(ctx)
	n, err := m.open(ctx)
	m.waitIdle()
	if left := m.fault.disarm(); left != nil {
		m.kill()
		if err == nil {
			err = n.Close()
		} else {
			err = nil // the write that failed, or what came of it
		}
		m.disk = left
		return false, err
	}
	if err != nil {
		m.kill()
		return false, fmt.Errorf("opening after a crash: %w", err)
	}
	s, err := server.New(server.Config{Ledger: n.Ledger, Register: n.Register})
	if err != nil {
		return false, errors.Join(err, n.Close())
	}
	m.node = n
	m.net.listen(m.name, m.processCtx, s.Handler())
	return true, nil
}

func (m *ledgerNode) open(ctx context.Context) (n *node.Node, err error) {
	defer recoverExit(&err)
	fs := errorfs.Wrap(m.disk, errorfs.InjectorFunc(func(op errorfs.Op) error { return m.onDiskOp(op) }))
	return node.Open(ctx, node.Config{
		Files: fs, Dir: "ledger", Keys: m.keys, Ledger: m.ledgerConfig(), Cosignatures: m.cosignConfig,
		Log:   slog.New(slog.NewTextHandler(&m.errorLog, &slog.HandlerOptions{Level: slog.LevelError})),
		Fatal: func(reason string) { panic(processExit{reason}) },
	})
}

// ledgerConfig has the operator's word that the log is new, against witnesses that lie.
func (m *ledgerNode) ledgerConfig() ledger.Config {
	return ledger.Config{MaxBatchItems: 3, MaxPoolItems: 40, MaxBacklog: 60, NewLog: true}
}

// logBuffer holds the ledger's log lines of level error.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements [io.Writer].
func (c *logBuffer) Write(line []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(line)
}

// logged tells whether the ledger has said that loudly.
func (m *ledgerNode) logged(what string) bool {
	m.errorLog.mu.Lock()
	defer m.errorLog.mu.Unlock()
	return strings.Contains(m.errorLog.text.String(), what)
}

// runStep lets the ledger take one. Whether it died of it is to be asked of fell.
func (m *ledgerNode) runStep(ctx context.Context, take func(context.Context) error) (err error) {
	defer recoverExit(&err)
	return take(ctx)
}

// recoverExit turns the end of the process into an error.
func recoverExit(err *error) {
	switch r := recover().(type) {
	case nil:
	case processExit:
		*err = fmt.Errorf("the process ended: %s", r.reason)
	default:
		panic(r)
	}
}

// failed says whether the machine has lost its power or its disk: then it is to be taken
// down.
func (m *ledgerNode) failed() bool {
	m.fault.mu.Lock()
	defer m.fault.mu.Unlock()
	return m.fault.diskAfter != nil
}

// crash ends the process where it stands, and its machine too if not all that it
// wrote is kept.
func (m *ledgerNode) crash(keep int, seed uint64) {
	left := m.fault.disarm()
	if left == nil {
		left = crashedDisk(m.disk, keep, seed)
	}
	m.kill()
	m.waitIdle()
	m.node.Close() // of a process that is dead: only its goroutines are to end
	m.node, m.disk = nil, left
}

// stop ends the process as an operator does.
func (m *ledgerNode) stop() error {
	m.fault.disarm()
	m.kill()
	m.waitIdle()
	err := m.node.Close()
	m.node = nil
	return err
}

// onDiskOp is asked before each operation on the disk.
func (m *ledgerNode) onDiskOp(op errorfs.Op) error {
	log := strings.HasPrefix(op.Path, "ledger/store/") && strings.HasSuffix(op.Path, ".log")
	if !m.isCounted(op, log) {
		return nil
	}
	comes, err := m.fault.countOp(log)
	if !comes {
		return err
	}
	if m.node != nil {
		synctest.Wait() // what can be told before it comes is told
	}
	m.kill() // nothing that happens now is
	return m.fault.trigger(m.disk)
}

// isCounted leaves out what Pebble does in the background, whose order is another one
// in each run: while the ledger is up, all but its writes to the store's log.
func (m *ledgerNode) isCounted(op errorfs.Op, log bool) bool {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpRemove || strings.HasSuffix(op.Path, ".sst") {
		return false
	}
	return log || m.node == nil
}

// countOp counts one operation: whether the trouble comes with it, and otherwise what
// becomes of it.
func (t *diskFault) countOp(log bool) (comes bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.broken && log:
		return false, errDisk
	case !t.armed || t.writeFails && !log:
		return false, nil
	case t.writesLeft > 0:
		t.writesLeft--
		return false, nil
	}
	t.armed, t.broken = false, t.writeFails
	return true, nil
}

// trigger takes the disk as it is now.
func (t *diskFault) trigger(disk *vfs.MemFS) error {
	left := crashedDisk(disk, t.keepPercent, t.seed)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.diskAfter = left
	if t.writeFails {
		return errDisk
	}
	return nil
}

// arm prepares a misfortune.
func (t *diskFault) arm(fails bool, after, keep int, seed uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed, t.writeFails, t.writesLeft, t.keepPercent, t.seed = true, fails, after, keep, seed
}

// disarm is the end of all trouble: with what it left of the disk, if it came.
func (t *diskFault) disarm() *vfs.MemFS {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.diskAfter
	t.armed, t.broken, t.diskAfter = false, false, nil
	return left
}

// crashedDisk returns the disk as a crash leaves it: all synced data, and of the rest
// each block of 4,096 bytes and each directory's names with probability keep percent.
// 100 is a killed process on a machine that goes on. The original disk must not be used
// afterwards.
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
			if err := disk.SyncDirs(fs, dir); err != nil {
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
		if _, gone := m.durable[len(m.durable)-1].Stat(path); gone != nil { // removed, and that was not synced
			err = m.restoreDir(m.durable[depth], path)
		} else {
			err = m.mixDir(path, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return disk.SyncDirs(m.out, dir)
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

// must is for what cannot fail in a world that lies in memory.
func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("sim: %v", err))
	}
}
