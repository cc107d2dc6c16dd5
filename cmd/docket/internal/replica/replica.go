// Package replica serves a ledger that another process writes: it follows what is published
// there, verifies and replays all of it as any client does, and answers whatever can be read.
// What only the writer answers is asked of it.
//
// It promises that nothing is shown which the copy's own replay has not judged, or that is said
// with it; that a source which is away leaves it serving what it has; and that a fork of the log
// ends it. It signs nothing and has no key of the log.
package replica

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/server"
)

// ForkGrace is how long a replica that has seen a fork goes on saying so, and nothing else,
// before it ends.
const ForkGrace = 3 * time.Second

// Config is what a replica stands on. All but Over and Health is needed.
type Config struct {
	Trust  *client.Trust // with whatever copy it has
	Source *client.Client
	Over   http.RoundTripper // to the source; nil: http.DefaultTransport
	Health *disk.Health      // of the copy's databases
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

	mu      sync.Mutex
	stopped error // why nothing is served any more; guarded by mu
}

// errSynced ends the first sync.
var errSynced = errors.New("synced")

// Open opens the copy. Where there is none yet it makes one first, and waits for a source that
// is away.
func Open(ctx context.Context, c Config) (*Replica, error) {
	r := &Replica{config: c}
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
	return r, nil
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

// Serve follows and answers until ctx ends: then it returns nil. A fork of the log ends it with
// a *[client.InconsistencyError]. It closes l.
func (r *Replica) Serve(ctx context.Context, l net.Listener, c server.Config) error {
	c.Register, c.Log, c.Damage = r.live.Register(), r.config.Log, r.damage
	c.Copy = &server.Copy{
		Reader: r.live.Reader(), Times: r.live.CosignedBy,
		Replica: &server.Replica{URL: r.config.Source.URL(), Transport: r.config.Over, State: r.state, ReceiptUpTo: r.receiptUpTo, Verify: r.live.Verify},
	}
	s, err := server.New(c)
	if err != nil {
		l.Close()
		if c.MetricsListener != nil {
			c.MetricsListener.Close()
		}
		return err
	}
	if r.config.Health != nil {
		defer context.AfterFunc(ctx, r.config.Health.GiveUp)()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	followed, replayed := make(chan error, 1), make(chan error, 1)
	go func() {
		err := r.follow(ctx)
		stop()
		followed <- err
	}()
	go func() {
		err := Behind{Unreplayed: r.live.Unreplayed, Log: r.config.Log, Replay: func(ctx context.Context, progress func(reached, size uint64)) error {
			return r.live.Replay(ctx, r.config.Source, progress)
		}}.Run(ctx)
		if err != nil && ctx.Err() == nil {
			r.config.Log.Error("what is served from the snapshot is wrong: nothing is served any more", "err", err)
			r.stopFor(err)
			stop()
		}
		replayed <- err
	}()
	var making sync.WaitGroup
	if c.Snapshots != nil {
		making.Go(func() {
			Snapshots{
				Dir: c.Snapshots, Register: r.live.Register(), Origin: r.Origin(), Published: r.Size, Every: r.config.SnapshotEvery, Log: r.config.Log,
				May: func() bool { v, own := r.live.Unreplayed(); return v == nil || own },
			}.Run(ctx)
		})
	}
	served := s.Serve(ctx, l)
	stop()
	making.Wait()
	err = errors.Join(served, <-followed)
	if wrong := (*client.SnapshotError)(nil); errors.As(<-replayed, &wrong) {
		err = errors.Join(err, wrong)
	}
	return err
}

// receiptUpTo is that by which the copy knows a charter; it keeps no other.
func (r *Replica) receiptUpTo(_ context.Context, index, _ uint64) (proof.Receipt, error) {
	if receipt, kept := r.live.CharterReceipt(index); kept {
		return receipt, nil
	}
	return proof.Receipt{}, ledger.ErrNotArchived
}

// stopFor has every answer say why nothing is served any more.
func (r *Replica) stopFor(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = err
}

// follow follows until ctx ends, or the log has forked: then it says so for a while.
func (r *Replica) follow(ctx context.Context) error {
	err := r.live.Follow(ctx, r.config.Source, r.notify)
	if ctx.Err() != nil {
		return nil
	}
	r.stopFor(err)
	r.config.Log.Error("the log has shown two histories: nothing is served any more", "url", r.config.Source.URL(), "size", r.Size(), "err", err)
	r.config.Forked(err)
	select {
	case <-time.After(ForkGrace):
	case <-ctx.Done():
	}
	return err
}

// state is what the server says of the replica.
func (r *Replica) state() server.ReplicaState {
	s := r.live.State()
	r.mu.Lock()
	defer r.mu.Unlock()
	state := server.ReplicaState{Size: s.Size, Lag: s.Lag(), Reached: s.Reached, Away: s.Err, Stopped: r.stopped}
	v, own := r.live.Unreplayed()
	state.Verified = v == nil || own
	if p := r.live.Reader().Published(); p != nil {
		state.Cosigned = p.LastCosignedAt()
	}
	return state
}

// damage is what was found damaged in the copy.
func (r *Replica) damage() []server.Damage {
	var all []server.Damage
	if r.config.Health != nil {
		for _, d := range r.config.Health.Damage() {
			all = append(all, server.Damage{Database: d.Name, Words: d.String() + ": end this replica, and docket sync --verify mends its copy", Events: r.config.Health.Events(d.Name)})
		}
	}
	if err := r.live.State().Err; errors.As(err, new(*client.DamageError)) {
		all = append(all, server.Damage{Database: "copy", Words: "the copy is damaged: end this replica, and docket sync --verify mends it", Events: 1})
	}
	if all == nil {
		all = []server.Damage{{Database: register.Name}}
	}
	return all
}
