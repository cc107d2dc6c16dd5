package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/replica"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
	"github.com/seed-53cf897a/docket/server"
)

// FollowConfig is what who stands by needs beside a node's Config.
type FollowConfig struct {
	Reads time.Duration // how long one call that reads the store may take

	// Source reads the store as a client does, and asks whoever writes to it for what it does not have;
	// URL names it to others.
	Source *client.Client
	URL    string

	// Snapshots are the keys of nodes of the same operator with whose snapshot an empty register may
	// begin.
	Snapshots []proof.Key

	// Standby is how it stands to the writer.
	Standby func() server.StandbyState
}

// Follower is a ledger's directory whose process stands by while another one writes to the
// ledger's shared store: it brings its register up, serves what is published as a replica does, and
// becomes a [Node] once it is to write. CatchUp, Show and Open are called one at a time.
type Follower struct {
	n      *Node
	lc     ledger.Config
	config FollowConfig
	follow *ledger.Follower[record.Verified]
	behind *replica.Behind
	tried  bool // to begin with a snapshot; owned by CatchUp

	mu      sync.Mutex // guards what follows
	begun   *begun     // what the register began with; nil once the log was replayed behind it
	wrong   bool       // that was not what the log says
	taking  bool       // it takes the writer's place
	reached time.Time  // when the store showed its newest checkpoint last
	away    error      // why the newest look at it failed; nil if it did not
	stopped error      // why nothing is served any more
}

// Follow opens a directory for who stands by. c.Store is read, and not taken. The caller closes
// it. Errors as of [Open].
func Follow(ctx context.Context, c Config, fc FollowConfig) (*Follower, error) {
	n, lc, err := begin(ctx, c)
	if err != nil {
		return nil, err
	}
	f := &Follower{n: n, lc: lc, config: fc}
	f.behind = &replica.Behind{Unreplayed: f.unreplayed, Replay: f.replay, Log: n.config.Log}
	if err := f.open(); err != nil {
		return nil, errors.Join(err, n.release())
	}
	return f, nil
}

func (f *Follower) open() (err error) {
	if f.begun, err = f.n.openBegun(f.config.Snapshots); err != nil {
		return err
	}
	reg, err := f.n.openRegister(false)
	if err != nil {
		return err
	}
	f.n.Register = reg
	lc := f.lc
	lc.StoreTimeout = f.config.Reads
	f.follow, err = ledger.Follow(f.n.config.Store, public.Fold(reg), lc)
	return err
}

// ErrUnreplayed: the register began with another node's snapshot, and the log was not replayed behind it
// yet. Who writes judges what is for ever: it has replayed.
var ErrUnreplayed = errors.New("the register began with a snapshot, and the log is still replayed behind it: until every row is the same nothing is written by it")

// CatchUp implements standby.Candidate. An empty register begins with a snapshot first, where that is
// allowed; one that is found to be damaged is made anew. Once it has caught up: [ErrUnreplayed], and
// [auditors.ErrOtherRole] as of [Node.CheckAuditors].
func (f *Follower) CatchUp(ctx context.Context) error {
	if !f.tried {
		f.tried = true
		if err := f.beginWithSnapshot(ctx); err != nil {
			return err
		}
	}
	err := f.follow.CatchUp(ctx)
	if errors.Is(err, ledger.ErrFold) {
		if err = f.renew(ctx, err); err == nil {
			err = f.follow.CatchUp(ctx)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away = err; err != nil {
		return err
	}
	f.reached = time.Now()
	if f.begun != nil {
		return ErrUnreplayed
	}
	return f.n.checkAuditors(f.n.Register.Size()) // who writes refuses to start
}

// renew makes the register anew, which is damaged.
func (f *Follower) renew(ctx context.Context, damage error) error {
	f.n.config.Log.Warn("the register is damaged, and is made anew from the entries", "origin", f.n.config.Keys.Origin, "err", damage)
	next, err := f.n.openRegister(true)
	if err != nil {
		return err
	}
	if err = f.follow.Refold(ctx, public.Fold(next)); err == nil {
		err = f.n.Register.Adopt(next)
	}
	if err != nil {
		return errors.Join(err, next.Reset(), next.Close())
	}
	return nil
}

// Show implements standby.Candidate.
func (f *Follower) Show(ctx context.Context) error { return f.follow.Show(ctx) }

// Published is what the register was brought to last; nil before the first.
func (f *Follower) Published() *proof.Published { return f.follow.Published() }

// Open opens the ledger with the register as it is. take takes the store. The node is the
// caller's to close then, and the Follower is over. After an error it goes on following.
// [ErrUnreplayed] before anything is taken.
func (f *Follower) Open(ctx context.Context, take func(context.Context) error) (*Node, error) {
	f.mu.Lock()
	unreplayed := f.begun != nil
	f.taking = !unreplayed
	f.mu.Unlock()
	if unreplayed {
		return nil, ErrUnreplayed
	}
	lc := f.lc
	lc.Take = take
	err := f.n.openLedger(ctx, lc)
	if errors.Is(err, ledger.ErrFold) {
		if err = f.renew(ctx, err); err == nil {
			err = f.n.openLedger(ctx, lc)
		}
	}
	if err == nil {
		return f.n, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taking = false
	return nil, err
}

// Close releases the directory, unless a node has it. A register that began with a snapshot which was
// wrong goes, and what was replayed behind it takes its place.
func (f *Follower) Close() error {
	if f.n.Ledger != nil {
		return nil
	}
	f.mu.Lock()
	wrong := f.wrong
	f.mu.Unlock()
	if !wrong {
		return f.n.Close()
	}
	err := f.n.Register.Close()
	f.n.Register = nil
	return errors.Join(err, f.n.dropUnreplayed(), f.n.Close())
}

// Serve answers what is read of the ledger, and sends on to the writer what only that one answers, until
// ctx ends: then it returns nil. It closes l. Before the first [Follower.CatchUp], and while [Follower.Open]
// works, it answers that it does. Behind a snapshot it replays the log: a *[client.SnapshotError] ends it.
func (f *Follower) Serve(ctx context.Context, l net.Listener, c server.Config) error {
	c.Register, c.Log, c.Damage = f.n.Register, f.n.config.Log, f.n.damage
	c.Copy = &server.Copy{Reader: f.follow.Reader(), Replica: &server.Replica{
		URL: func() string { return f.config.URL }, Send: f.config.Source.Forward, State: f.state,
		ReceiptUpTo: f.follow.ReceiptUpTo, CheckpointAt: f.follow.CheckpointAt, Verify: f.follow.CheckpointOf,
	}}
	c.ShutdownGrace = serveGrace
	withheld, err := newWithheldReader(f.n.config.Files, f.n.config.Dir, f.n.config.Log)
	var s *server.Server
	if err == nil {
		c.Withheld = withheld.current
		s, err = server.New(c)
	}
	if err != nil {
		return c.Abandon(l, err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	replayed := make(chan error, 1)
	go func() {
		err := f.replayBehind(ctx)
		if err != nil {
			stop()
		}
		replayed <- err
	}()
	served := s.Serve(ctx, l)
	stop()
	return errors.Join(served, <-replayed)
}

// serveGrace is how long requests at work have once the writer's place is taken: who was not answered in
// time asks again.
const serveGrace = time.Second

// replayBehind replays the log behind the snapshot that the register began with, once it follows.
func (f *Follower) replayBehind(ctx context.Context) error {
	for p, next := f.follow.Reader().Next(); p == nil; p, next = f.follow.Reader().Next() {
		select {
		case <-next:
		case <-ctx.Done():
			return nil
		}
	}
	err := f.behind.Run(ctx)
	if !errors.As(err, new(*client.SnapshotError)) {
		return nil // it was told to end
	}
	f.n.config.Log.Error("what is served from the snapshot is wrong: nothing is served any more", "err", err)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wrong, f.stopped = true, err
	return err
}

func (f *Follower) unreplayed() (v *snapshot.Verified, own bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun == nil {
		return nil, false
	}
	return f.begun.snapshot, true
}

// replay replays once, as far as it gets.
func (f *Follower) replay(ctx context.Context, _ func(reached, size uint64)) error {
	f.mu.Lock()
	b := f.begun
	f.mu.Unlock()
	if b != nil { // else only the directory was left
		if err := b.replay(ctx, f.follow); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun = nil
	return f.n.config.Files.RemoveAll(f.n.begunPath())
}

// state is what the server says of who stands by.
func (f *Follower) state() server.ReplicaState {
	p, source := f.follow.Published(), f.follow.Source()
	by := f.config.Standby()
	s := server.ReplicaState{Verified: true, Standby: &by}
	if p != nil {
		s.Size, s.Cosigned = p.Checkpoint().Size, p.LastCosignedAt()
	}
	s.Lag = max(source, s.Size) - s.Size
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Reached, s.Away, s.Stopped = f.reached, cmp.Or(replica.Away(f.away), f.behind.Away()), f.stopped
	by.Able = by.Able && p != nil && f.begun == nil
	at := ""
	if by.Writer != "" {
		at = ", at " + by.Writer
	}
	switch {
	case f.taking:
		s.Waits = errors.New("this server takes the place of the one that wrote this ledger" + at)
	case p == nil:
		s.Waits = fmt.Errorf("this server stands by for the one that writes this ledger%s, and answers once it has caught up", at)
	}
	return s
}
