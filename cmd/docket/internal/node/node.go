// Package node puts one ledger together: its keys, its store, its register and
// its server, in one directory. It promises that at most one process has the
// directory open, and that a directory which was closed in any way opens again.
//
//	D/keys/log-ed25519.key, D/keys/log-mldsa44.key       the log's signing keys
//	D/keys/log-ed25519-2.key, D/keys/log-mldsa44-2.key   their successors, and so on
//	D/keys/log-refusals.key                              signs what is refused
//	D/keys/retired/                                      those that sign no more
//	D/keys/log-*.signed                                  marks of those that have signed entries
//	D/store/                                             entries, tiles, head, published checkpoint; or
//	D/store.url                                          the bucket or the database that has them
//	D/register/1                                         derived: may be deleted at any time; made anew as 2 where it is damaged
//	D/begun/                                             the snapshot that the register began with, until the log was replayed behind it
//	D/auditors/                                          the newest cosignature of each auditor
//	D/withheld.json                                      entries whose bytes are not served, and why
//	D/backup.sock                                        where who has it open answers docket backup
package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/server"
)

// Config says where a ledger is and who signs for it.
type Config struct {
	Files        vfs.FS // the disk; vfs.Default
	Dir          string
	Keys         Keys
	Store        ledger.Store        // which [OpenStore] opened, perhaps with something before it; it stays the caller's to close. nil: Pebble's, in Dir
	Ledger       ledger.Config       // Origin, Signers, Signed, Mark and Log are filled in; Cosign too if it is nil
	Cosignatures cosignatures.Config // how witnesses are asked; Log is filled in
	Log          *slog.Logger        // nil discards

	Auditors  []auditors.Named  // whose cosignatures are taken, beside those whom assessments name
	Transport http.RoundTripper // to auditors that give a URL; http.DefaultTransport if nil

	// MinFree is how much of the disk must be free for a record to be accepted; 1 GiB
	// if zero.
	MinFree uint64 // bytes

	// Fatal ends the process when the state of the disk is unknown; Log was told why.
	// If it returns, or is nil, a panic does.
	Fatal func(reason string)
}

// Node is one open ledger.
type Node struct {
	Ledger    *public.Ledger
	Register  *register.Register
	Auditors  *auditors.Words
	assessed  assessed
	config    Config
	collector *cosignatures.Collector
	store     ledger.Store
	pebble    io.Closer // the store, if it is Pebble's
	health    *disk.Health
	lock      io.Closer
}

// ErrInUse: another process has the directory open.
var ErrInUse = errors.New("the ledger is open in another process")

// BackupFile says of a directory that has it that it is a backup (package backup), which no
// ledger is opened in: what was signed since it was made is not in it.
const BackupFile = "backup.json"

// RestoringDir says of a directory that has it, and no store, that docket restore was cut off
// there: its keys have signed more than is there.
const RestoringDir = "restoring"

// AuditorsDir is where a ledger's directory, or its backup, has the newest cosignature of each
// auditor.
const AuditorsDir = "auditors"

var (
	// ErrBackup: the directory is a backup.
	ErrBackup = errors.New("this is a backup of a ledger, and no ledger")

	// ErrRestoring: what is in the directory was not restored to the end.
	ErrRestoring = errors.New("a restore was cut off here")
)

// requireLedger refuses a backup, and what was not restored to the end.
func requireLedger(files vfs.FS, dir string) error {
	has := func(name string) bool {
		_, err := files.Stat(files.PathJoin(dir, name))
		return err == nil
	}
	if has(BackupFile) {
		return fmt.Errorf("%s: %w", dir, ErrBackup)
	}
	if has(RestoringDir) && !has(storeDir) && !has(storeFile) {
		return fmt.Errorf("%s: %w", dir, ErrRestoring)
	}
	return nil
}

// Open opens the ledger in a directory, an empty one included unless its keys have
// signed entries. The caller closes it. [ErrInUse] if another process has it open;
// [ledger.ErrRollback] if its store has lost something.
func Open(ctx context.Context, c Config) (*Node, error) {
	n, lc, err := begin(ctx, c)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, n.health.GiveUp)() // what waits for a full disk does not keep it from ending
	if err := n.open(ctx, lc); err != nil {
		return nil, errors.Join(err, n.release())
	}
	return n, nil
}

// open opens the register and the ledger over it; once more, with another register, where the first was
// found to be damaged.
func (n *Node) open(ctx context.Context, lc ledger.Config) error {
	if err := n.dropUnreplayed(); err != nil {
		return err
	}
	for anew := false; ; anew = true {
		reg, err := n.openRegister(anew)
		if err != nil {
			return err
		}
		n.Register = reg
		if err = n.openLedger(ctx, lc); err == nil {
			return nil
		}
		n.Register = nil
		if closed := reg.Close(); !errors.Is(err, ledger.ErrFold) || anew {
			return errors.Join(err, closed)
		}
	}
}

// begin makes a node that has the directory, and its store, and has taken nothing yet. It has no
// ledger; what that is opened with is the other result. The caller releases it.
func begin(ctx context.Context, c Config) (n *Node, lc ledger.Config, err error) {
	if c.Files == nil {
		c.Files = vfs.Default
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := requireLedger(c.Files, c.Dir); err != nil {
		return nil, lc, err
	}
	if err := disk.MakeDir(c.Files, c.Dir, 0o755); err != nil {
		return nil, lc, fmt.Errorf("making %s: %w", c.Dir, err)
	}
	lock, err := Lock(c.Files, c.Dir)
	if err != nil {
		return nil, lc, err
	}
	n = &Node{config: c, health: disk.NewHealth(disk.Config{Log: c.Log, WaitForSpace: true, Fatal: c.Fatal}), lock: lock}
	c.Cosignatures.Log = c.Log
	n.collector = cosignatures.New(c.Cosignatures)
	defer func() {
		if err != nil {
			n, err = nil, errors.Join(err, n.release())
		}
	}()
	defer context.AfterFunc(ctx, n.health.GiveUp)()
	marks := signedMarks{c.Files, c.Files.PathJoin(c.Dir, "keys")}
	signed, err := marks.anyMarked(c.Keys.Signers)
	if err != nil {
		return n, lc, err
	}
	if err := n.useStore(ctx, signed); err != nil {
		return n, lc, err
	}
	lc = c.Ledger
	lc.Origin, lc.Signers, lc.Log = c.Keys.Origin, c.Keys.Signers, c.Log
	lc.KeysMarked, lc.MarkKeys = signed, func() error { return marks.markAll(c.Keys.Signers) }
	if lc.Cosign == nil {
		lc.Cosign = n.collector.Cosign // whatever the policy: an amendment may bring witnesses
	}
	if err := n.dropRegisters(); err != nil {
		return n, lc, fmt.Errorf("removing old registers: %w", err)
	}
	return n, lc, nil
}

// useStore has the node use its store. An empty one beside keys that have signed entries is
// one that was lost: nothing is made in its place, where the backup is to go.
func (n *Node) useStore(ctx context.Context, signed bool) error {
	c := n.config
	at, err := StoreURL(c.Files, c.Dir)
	if err != nil {
		return err
	}
	if c.Store != nil {
		n.store = c.Store
		head, err := c.Store.Head(ctx)
		if err == nil && signed && head.Size == 0 {
			err = lostStore(at.String())
		}
		return err
	}
	if at.IsShared() {
		return fmt.Errorf("the ledger is kept in %s, which was not opened", at)
	}
	path := c.Files.PathJoin(c.Dir, storeDir)
	if _, err := c.Files.Stat(path); signed && errors.Is(err, fs.ErrNotExist) {
		return lostStore(path)
	}
	s, err := pebblestore.Open(c.Files, path, pebblestore.Options{Health: n.health})
	if err != nil {
		return err
	}
	n.store, n.pebble = s, s
	return nil
}

// release gives up what begin has taken.
func (n *Node) release() error {
	n.health.GiveUp()
	n.collector.Close() // it reads proofs from the store
	var err error
	if n.Register != nil {
		err = n.Register.Close()
	}
	if n.pebble != nil {
		err = errors.Join(err, n.pebble.Close())
	}
	err = errors.Join(err, n.lock.Close())
	n.lock = nil
	return err
}

// openLedger opens the ledger over the register. After an error there is none.
func (n *Node) openLedger(ctx context.Context, lc ledger.Config) error {
	l, err := ledger.Open(ctx, n.store, public.Fold(n.Register), lc)
	if err != nil {
		return err
	}
	n.Ledger = l
	n.Auditors = auditors.New(auditors.Config{
		Files: n.config.Files, Dir: n.config.Files.PathJoin(n.config.Dir, AuditorsDir),
		Named: n.namedAuditors, Checkpoint: l.CheckpointOf, Log: n.config.Log,
	})
	return nil
}

// Close releases the directory. The ledger must not be running. Closing twice is
// closing once.
func (n *Node) Close() error {
	if n.lock == nil {
		return nil
	}
	return n.release()
}

// Reopen closes the node and opens its directory anew: a ledger that has run does
// not run again.
func (n *Node) Reopen(ctx context.Context) (*Node, error) {
	if err := n.Close(); err != nil {
		return nil, err
	}
	return Open(ctx, n.config)
}

// Admit appends one record and commits it, and publishes it where the policy's
// quorum is none. A record that is there already may be published already. It is for a
// ledger that is not running.
func (n *Node) Admit(ctx context.Context, env record.Envelope) (index uint64, published bool, err error) {
	v, err := record.Open(env, n.Register.CandidateKeysFor(env))
	if err != nil {
		return 0, false, err
	}
	ticket, err := n.Ledger.Append(ctx, v)
	if err != nil {
		return 0, false, err
	}
	if err := n.Ledger.Commit(ctx); err != nil {
		return 0, false, err
	}
	at, err := ticket.AwaitCommitted(ctx)
	if err != nil {
		return 0, false, err
	}
	switch err := n.Ledger.Publish(ctx); {
	case errors.Is(err, ledger.ErrNoQuorum):
		newest := n.Ledger.Published()
		return at.Index, newest != nil && newest.Checkpoint().Size > at.Index, nil
	case err != nil:
		return at.Index, false, err
	}
	return at.Index, true, nil
}

// Serve runs the ledger and answers HTTP on l until ctx ends, then loses nothing
// that was accepted: the server finishes its requests, after that the ledger
// commits and publishes what it has. It closes l. A return before ctx ends is
// why the ledger stopped.
func (n *Node) Serve(ctx context.Context, l net.Listener, c server.Config) error {
	c.Ledger, c.Register, c.Log, c.Refusals = n.Ledger, n.Register, n.config.Log, n.config.Keys.Refusals
	c.PublishInterval = n.config.Ledger.PublishInterval
	if c.Room == nil {
		room := &disk.Room{FS: n.config.Files, Dir: n.config.Dir, Min: cmp.Or(n.config.MinFree, 1<<30), Health: n.health}
		c.Room = room.Check
	}
	c.Damage, c.Auditors = n.damage, n.Auditors
	withheld, err := newWithheldReader(n.config.Files, n.config.Dir, n.config.Log)
	if err == nil {
		c.Withheld = withheld.current
	}
	if c.Witnesses == nil {
		c.Witnesses = n.witnesses
	}
	if c.NextKeys == nil && n.config.Keys.Older > 0 {
		c.NextKeys = n.nextKeys
	}
	var s *server.Server
	if err == nil {
		s, err = server.New(c)
	}
	if err != nil {
		return c.Abandon(l, err)
	}
	defer context.AfterFunc(ctx, n.health.GiveUp)()
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	running, stopRunning := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRunning()
	var mending sync.WaitGroup // and whoever reads beside this process, and auditors
	mending.Go(func() { n.askAuditors(running) })
	mending.Go(func() { n.mend(running) })
	mending.Go(func() { n.serveBeside(running) })
	ran := make(chan error, 1)
	go func() {
		err := n.Ledger.Run(running)
		if !errors.Is(err, ledger.ErrCorrupt) {
			stopServing() // the process must be restarted once the ledger has stopped
		}
		ran <- err // where its disk is damaged a restart does not help: reads go on
	}()
	rehearsing := make(chan struct{})
	go func() { defer close(rehearsing); n.rehearsals(serving) }()
	served := s.Serve(serving, l)
	stopServing()
	stopRunning()
	mending.Wait()
	err = errors.Join(served, <-ran)
	<-rehearsing
	return err
}

// Failing is why what is to be written does not get onto the disk; nil if it does.
func (n *Node) Failing() error { return n.health.Failing() }

func (n *Node) witnesses() []server.Witness {
	var all []server.Witness
	for _, w := range n.collector.Status() {
		all = append(all, server.Witness(w))
	}
	return all
}

func (n *Node) nextKeys() server.NextKeys {
	r := n.collector.Rehearsed()
	next := server.NextKeys{AskedAt: r.At, Quorum: r.Quorum}
	for _, w := range r.Witnesses {
		next.Witnesses = append(next.Witnesses, server.Readiness{Name: w.Name, Ready: w.Ready, Error: w.Error})
	}
	return next
}
