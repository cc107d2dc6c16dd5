package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/asking"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/server"
)

// machine is the one that a ledger runs on: a disk, and a process while it is up.
// It does not run the ledger: the simulation calls its steps.
type machine struct {
	net  *network
	name string
	keys node.Keys
	ask  asking.Config

	disk *vfs.MemFS
	node *node.Node // nil while the process is down
	life context.Context
	end  context.CancelFunc // of the process: its connections break off
	cry  cries

	trouble trouble
}

// trouble is one misfortune of a disk that is to come, or that came.
type trouble struct {
	mu     sync.Mutex // Pebble writes in the background too; guards what follows
	armed  bool
	after  int        // writes before it comes
	fails  bool       // the write fails; otherwise the power does
	keep   int        // percent of what was not synced that survives
	seed   uint64     // decides which
	broken bool       // every further write of the ledger's store fails
	left   *vfs.MemFS // the disk as it was left; nil while nothing came
}

// errDisk is what a broken disk says.
var errDisk = errors.New("input/output error")

// death is the panic with which a process ends that cannot go on.
type death struct{ reason string }

// up starts the process, which recovers from whatever became of its disk. It is
// false if the power failed once more meanwhile.
func (m *machine) up(ctx context.Context) (bool, error) {
	m.life, m.end = context.WithCancel(ctx)
	n, err := m.open(ctx)
	m.settle()
	if left := m.trouble.end(); left != nil {
		m.end()
		if err == nil {
			err = n.Close()
		} else {
			err = nil // the write that failed, or what came of it
		}
		m.disk = left
		return false, err
	}
	if err != nil {
		m.end()
		return false, fmt.Errorf("opening after a crash: %w", err)
	}
	s, err := server.New(server.Config{Ledger: n.Ledger, Register: n.Register})
	if err != nil {
		return false, errors.Join(err, n.Close())
	}
	m.node = n
	m.net.up(m.name, m.life, s.Handler())
	return true, nil
}

func (m *machine) open(ctx context.Context) (n *node.Node, err error) {
	defer dies(&err)
	fs := errorfs.Wrap(m.disk, errorfs.InjectorFunc(func(op errorfs.Op) error { return m.write(op) }))
	return node.Open(ctx, node.Config{
		Files: fs, Dir: "ledger", Keys: m.keys, Ledger: m.config(), Asking: m.ask,
		Log:   slog.New(slog.NewTextHandler(&m.cry, &slog.HandlerOptions{Level: slog.LevelError})),
		Fatal: func(reason string) { panic(death{reason}) },
	})
}

// config has the operator's word that the log is new, against witnesses that lie.
func (m *machine) config() ledger.Config {
	return ledger.Config{BatchItems: 3, PoolItems: 40, Backlog: 60, NewLog: true}
}

// cries are what the ledger says that a person must hear.
type cries struct {
	mu   sync.Mutex
	said bytes.Buffer
}

// Write implements [io.Writer].
func (c *cries) Write(line []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said.Write(line)
}

// cried tells whether the ledger has said that loudly.
func (m *machine) cried(what string) bool {
	m.cry.mu.Lock()
	defer m.cry.mu.Unlock()
	return strings.Contains(m.cry.said.String(), what)
}

// step lets the ledger take one. Whether it died of it is to be asked of fell.
func (m *machine) step(ctx context.Context, take func(context.Context) error) (err error) {
	defer dies(&err)
	return take(ctx)
}

// dies turns the end of the process into an error.
func dies(err *error) {
	switch r := recover().(type) {
	case nil:
	case death:
		*err = fmt.Errorf("the process ended: %s", r.reason)
	default:
		panic(r)
	}
}

// fell says whether the machine has lost its power or its disk, or the ledger has
// stopped: then it is to be taken down.
func (m *machine) fell() bool {
	m.trouble.mu.Lock()
	defer m.trouble.mu.Unlock()
	return m.trouble.left != nil || m.node.Ledger.Err() != nil
}

// crash ends the process where it stands, and its machine too if not all that it
// wrote is kept.
func (m *machine) crash(keep int, seed uint64) {
	left := m.trouble.end()
	if left == nil {
		left = afterCrash(m.disk, keep, seed)
	}
	m.end()
	m.settle()
	m.node.Close() // of a process that is dead: only its goroutines are to end
	m.node, m.disk = nil, left
}

// down ends the process as an operator does.
func (m *machine) down() error {
	m.trouble.end()
	m.end()
	m.settle()
	err := m.node.Close()
	m.node = nil
	return err
}

// write is asked before each operation on the disk.
func (m *machine) write(op errorfs.Op) error {
	log := strings.HasPrefix(op.Path, "ledger/store/") && strings.HasSuffix(op.Path, ".log")
	if !m.counts(op, log) {
		return nil
	}
	comes, err := m.trouble.next(log)
	if !comes {
		return err
	}
	if m.node != nil {
		synctest.Wait() // what can be told before it comes is told
	}
	m.end() // nothing that happens now is
	return m.trouble.came(m.disk)
}

// counts leaves out what Pebble does in the background, whose order is another one
// in each run: while the ledger is up, all but its writes to the store's log.
func (m *machine) counts(op errorfs.Op, log bool) bool {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpRemove || strings.HasSuffix(op.Path, ".sst") {
		return false
	}
	return log || m.node == nil
}

// next counts one operation: whether the trouble comes with it, and otherwise what
// becomes of it.
func (t *trouble) next(log bool) (comes bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.broken && log:
		return false, errDisk
	case !t.armed || t.fails && !log:
		return false, nil
	case t.after > 0:
		t.after--
		return false, nil
	}
	t.armed, t.broken = false, t.fails
	return true, nil
}

// came takes the disk as it is now.
func (t *trouble) came(disk *vfs.MemFS) error {
	left := afterCrash(disk, t.keep, t.seed)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = left
	if t.fails {
		return errDisk
	}
	return nil
}

// arm prepares a misfortune.
func (t *trouble) arm(fails bool, after, keep int, seed uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed, t.fails, t.after, t.keep, t.seed = true, fails, after, keep, seed
}

// end is the end of all trouble: with what it left of the disk, if it came.
func (t *trouble) end() *vfs.MemFS {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.left
	t.armed, t.broken, t.left = false, false, nil
	return left
}
