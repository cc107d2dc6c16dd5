// Package replica serves a ledger that another process writes: it follows what is published
// there, verifies and replays all of it as any client does, and answers whatever can be read.
// What only the writer answers is asked of it.
//
// It promises that nothing is shown which the copy's own replay has not judged, or that is said
// with it; that a source which is away leaves it serving what it has; and that a fork of the log
// ends it. It signs nothing and has no key of the log.
package replica

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
	"github.com/seed-53cf897a/docket/server"
)

// EndGrace is how long a replica that has ended for good goes on saying so, and nothing else.
const EndGrace = 3 * time.Second

// Config is what a replica stands on. All but Over and Health is needed.
type Config struct {
	Trust  *client.Trust // with whatever copy it has
	Source *client.Client
	Over   *Store       // that Source reads; nil where it reads servers
	Health *disk.Health // of the copy's databases
	Log    *slog.Logger

	// SnapshotEvery is how often a snapshot is made, where the server hands them out.
	SnapshotEvery time.Duration

	// Forked is told of a fork before anything else is done about it: the evidence is kept.
	Forked func(error)
}

// Replica is a live copy and how it is doing.
type Replica struct {
	config Config
	live   *client.Live
	behind *Behind
	ended  chan struct{} // closed once stopped is set

	mu      sync.Mutex
	stopped error // why nothing is served any more; guarded by mu
}

// errSynced ends the first sync.
var errSynced = errors.New("synced")

// Open opens the copy. Where there is none yet it makes one first, and waits for a source that
// is away.
func Open(ctx context.Context, c Config) (*Replica, error) {
	r := &Replica{config: c, ended: make(chan struct{})}
	live, err := c.Trust.OpenLive(ctx)
	if errors.Is(err, client.ErrNoCopy) && c.Trust.Snapshots.Any() && Start(ctx, c.Source, c.Log, func(progress func(done, all uint64)) error {
		return c.Trust.StartFromSnapshot(ctx, c.Source, c.Trust.Snapshots, progress)
	}) {
		live, err = c.Trust.OpenLive(ctx)
	} else if errors.Is(err, client.ErrNoCopy) {
		c.Log.Info("the first copy of the ledger is being made", "url", c.Source.URL())
		err = c.Trust.Follow(ctx, c.Source, r.notify, func() error { return errSynced })
		if err = errors.Join(err, ctx.Err()); errors.Is(err, errSynced) {
			live, err = c.Trust.OpenLive(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	r.live = live
	r.behind = &Behind{Unreplayed: live.Unreplayed, Log: c.Log, Replay: func(ctx context.Context, progress func(reached, size uint64)) error {
		return live.Replay(ctx, c.Source, progress)
	}}
	r.catchUp(ctx)
	return r, nil
}

// catchUpFor is how long a copy whose checkpoint covers more than it has judged goes on before it is
// served as it is.
const catchUpFor = 20 * time.Second

// catchUp judges what a copy that began with a snapshot shows a checkpoint of.
func (r *Replica) catchUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, catchUpFor)
	defer cancel()
	if r.live.State().Lag() == 0 {
		return
	}
	if err := r.live.Sync(ctx, r.config.Source); err != nil {
		r.notify(err, 0)
	}
}

// notify logs why the copy does not go on now.
func (r *Replica) notify(err error, next time.Duration) {
	attrs := []any{"url", r.config.Source.URL(), "again", next.Round(time.Second).String(), "err", err}
	if r.live != nil {
		attrs = append(attrs, "size", r.live.State().Size)
	}
	r.config.Log.Warn("the source is not followed now; what there is is served", attrs...)
}

// Size is how many entries are shown.
func (r *Replica) Size() uint64 { return r.live.State().Size }

// Next is the checkpoint that is shown, with a channel that is closed when another one is.
func (r *Replica) Next() (*proof.Published, <-chan struct{}) { return r.live.Reader().Next() }

// Origin is the log's.
func (r *Replica) Origin() string { return r.live.Reader().Published().Checkpoint().Origin }

// Close ends it, after Serve.
func (r *Replica) Close() error { return r.live.Close() }

// Serve follows and answers until ctx ends: then it returns nil. What no other try makes right ends it
// too, after [EndGrace]: a fork of the log, with a *[client.InconsistencyError], and a snapshot that was
// wrong, with a *[client.SnapshotError]. It closes l.
func (r *Replica) Serve(ctx context.Context, l net.Listener, c server.Config) error {
	c.Register, c.Log, c.Damage = r.live.Register(), r.config.Log, r.damage
	of := &server.Replica{URL: r.config.Source.URL, Send: r.config.Source.Forward, State: r.state, ReceiptUpTo: r.receiptUpTo, Verify: r.verify}
	if r.config.Over != nil {
		of.CheckpointAt = r.checkpointAt
	}
	c.Copy = &server.Copy{Reader: r.live.Reader(), Times: r.live.CosignedBy, Replica: of}
	s, err := server.New(c)
	if err != nil {
		return c.Abandon(l, err)
	}
	if r.config.Health != nil {
		defer context.AfterFunc(ctx, r.config.Health.GiveUp)()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var working sync.WaitGroup
	working.Go(func() { r.end(r.live.Follow(ctx, r.config.Source, r.notify)) })
	working.Go(func() { r.end(r.behind.Run(ctx)) })
	if c.Snapshots != nil {
		working.Go(func() { r.snapshots(c.Snapshots).Run(ctx) })
	}
	working.Go(func() {
		select {
		case <-r.ended:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(EndGrace):
			stop()
		case <-ctx.Done():
		}
	})
	served := s.Serve(ctx, l)
	stop()
	working.Wait()
	return errors.Join(served, r.why())
}

// snapshots makes those of the copy. Until the log was replayed behind the snapshot that it began with, its
// rows are another's word, which this node's key signs for nobody.
func (r *Replica) snapshots(dir *snapshot.Dir) Snapshots {
	return Snapshots{
		Dir: dir, Register: r.live.Register(), Origin: r.Origin(), Published: r.Size, Every: r.config.SnapshotEvery, Log: r.config.Log,
		May: func() bool { v, _ := r.live.Unreplayed(); return v == nil },
	}
}

// receiptUpTo is that by which the copy knows a charter; it keeps no other.
func (r *Replica) receiptUpTo(_ context.Context, index, _ uint64) (proof.Receipt, error) {
	if receipt, kept := r.live.CharterReceipt(index); kept {
		return receipt, nil
	}
	return proof.Receipt{}, ledger.ErrNotArchived
}

// verify judges what is handed out as a checkpoint of the past. What shows a fork is kept, as if it had come
// as the newest.
func (r *Replica) verify(ctx context.Context, note []byte) (*proof.Published, error) {
	p, err := r.live.Verify(ctx, note)
	r.end(err)
	return p, err
}

// checkpointTimeout is how long a store is waited for that keeps checkpoints of the past.
const checkpointTimeout = 10 * time.Second

func (r *Replica) checkpointAt(ctx context.Context, t time.Time) (*proof.Published, error) {
	ctx, cancel := context.WithTimeout(ctx, checkpointTimeout)
	defer cancel()
	note, err := r.config.Over.CheckpointAt(ctx, t)
	if err != nil {
		return nil, err
	}
	return r.verify(ctx, note)
}

// end has nothing be served any more where an error shows what no other try makes right.
func (r *Replica) end(err error) {
	var fork *client.InconsistencyError
	var wrong *client.SnapshotError
	if !errors.As(err, &fork) && !errors.As(err, &wrong) {
		return
	}
	r.mu.Lock()
	first := r.stopped == nil
	if first {
		r.stopped = err
	}
	r.mu.Unlock()
	if !first {
		return
	}
	if fork != nil {
		r.config.Log.Error("the log has shown two histories: nothing is served any more", "url", r.config.Source.URL(), "size", r.Size(), "err", err)
		r.config.Forked(err)
	} else {
		r.config.Log.Error("what is served from the snapshot is wrong: nothing is served any more", "err", err)
	}
	close(r.ended)
}

// why it has ended for good; nil if it has not.
func (r *Replica) why() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped
}

// state is what the server says of the replica.
func (r *Replica) state() server.ReplicaState {
	s := r.live.State()
	state := server.ReplicaState{Size: s.Size, Lag: s.Lag(), Reached: s.Reached, Away: cmp.Or(Away(s.Err), r.behind.Away()), Stopped: r.why()}
	v, own := r.live.Unreplayed()
	state.Verified = v == nil || own
	if p := r.live.Reader().Published(); p != nil {
		state.Cosigned = p.LastCosignedAt()
	}
	return state
}

// Away says to whoever asks why a copy does not go on: an error may name machines and files of the
// operator's, and is for the log.
func Away(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.As(err, new(*client.DamageError)):
		return "the copy is damaged"
	case errors.As(err, new(*client.BehindError)):
		return "the source shows less than it did before"
	case errors.As(err, new(*wire.WithheldError)), errors.As(err, new(*wire.MissingError)):
		return "the source does not give all that it shows"
	case errors.As(err, new(*wire.UnreachableError)), errors.As(err, new(*wire.StatusError)), errors.As(err, new(net.Error)):
		return "the source is out of reach, or busy"
	}
	return "what the source shows cannot be verified"
}

// damage is what was found damaged in the copy.
func (r *Replica) damage() []server.Damage {
	copied, rows := server.Damage{Database: "copy"}, server.Damage{Database: register.Name}
	if errors.As(r.live.State().Err, new(*client.DamageError)) {
		copied.Words, copied.Events = "the copy is damaged: end this replica, and docket sync --verify mends it", 1
	}
	if r.config.Health != nil {
		for _, d := range r.config.Health.Damage() {
			if d.Name == rows.Database {
				rows.Words = d.String() + ": end this replica, and docket sync --verify mends its copy"
			}
		}
		rows.Events = r.config.Health.Events(rows.Database)
	}
	return []server.Damage{copied, rows}
}
