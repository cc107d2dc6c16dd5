package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/server"
)

// leaseFlags say how a writer shows that it lives, and who waits for its death.
type leaseFlags struct {
	standby bool
	lease   time.Duration
	url     string
}

func (f *leaseFlags) flags(c *cobra.Command) {
	c.Flags().BoolVar(&f.standby, "standby", false, "wait until the writer's lease has lapsed and a quorum of witnesses answers, then take its place")
	c.Flags().DurationVar(&f.lease, "lease", standby.DefaultLease, "of a ledger in a bucket or a database: how long its writer must be silent to be taken for dead")
	c.Flags().StringVar(&f.url, "url", "", "of a ledger in a bucket or a database: where others reach this server, for a standby and replicas to send records on (default: the address it listens on, if other machines reach that)")
}

// check refuses what no lease can be.
func (f *leaseFlags) check() error {
	if f.lease < standby.MinLease || f.lease > standby.MaxLease {
		return usageError("--lease %s: want %s to %s", f.lease, standby.MinLease, standby.MaxLease)
	}
	if err := standby.CheckURL(f.url); err != nil {
		return usageError("--url %w", err)
	}
	return nil
}

// idleOn refuses them on a ledger that only its own machine reaches.
func (f *leaseFlags) idleOn(c *cobra.Command, dir string) error {
	if f.standby {
		return usageError("--standby: the ledger is kept in %s itself, which no other machine reaches: there is nobody to stand by for", dir).
			hint("docket store copy %s URL moves it to a bucket or a database", dir)
	}
	return idle(c, "on a ledger that is kept in its own directory", "lease", "url")
}

// sharedLedger is a ledger that is kept where several machines reach it, as one of them serves
// it.
type sharedLedger struct {
	flags     leaseFlags
	store     stores.Shared
	origin    string
	url       string // where it listens
	config    standby.Config
	listener  net.Listener
	server    server.Config // while it stands by; with the listener of the metrics, if there is one
	snapshots []proof.Key   // of nodes with whose snapshot it may begin then
	log       *slog.Logger

	held *standby.Holder // once it is taken
}

// sharedLedger opens the listeners first: a port that another process has is to take nothing
// from a writer, and the lease says where this one listens.
func (s *serveFlags) sharedLedger(a *app, store stores.Shared, sc *server.Config, snapshots []proof.Key, origin string, log *slog.Logger) (*sharedLedger, error) {
	l, url, err := s.openListeners(a, sc, log)
	if err != nil {
		return nil, err
	}
	return &sharedLedger{
		flags: s.lease, store: store, origin: origin, url: url, listener: l, server: *sc, snapshots: snapshots, log: log,
		config: standby.Config{URL: s.offered(url, log), Lease: s.lease.lease, Log: log},
	}, nil
}

// offered is where the lease says that this server is: no address that other machines do not reach, since
// those would send records to themselves.
func (s *serveFlags) offered(listens string, log *slog.Logger) string {
	if s.lease.url != "" {
		return s.lease.url
	}
	at, err := node.StoreURL(vfs.Default, s.node.Dir)
	local := err == nil && at.IsLocal()
	if u, err := url.Parse(listens); err == nil {
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && (ip.IsUnspecified() || ip.IsLoopback() && !local) {
			log.Warn("the lease does not say where this server is, since other machines do not reach the address that it listens on: name it with --url, or replicas on the store send no records on", "listens", listens)
			return ""
		}
	}
	return listens
}

// open opens the ledger for writing: at once if nobody writes, or once this process is to take
// the writer's place. open is [rollbackGuard.open].
func (s *sharedLedger) open(c *cobra.Command, config node.Config, open func(*cobra.Command, node.Config) (*node.Node, error)) (*node.Node, error) {
	if s.flags.standby {
		n, err := s.standBy(c.Context(), config)
		return n, s.explain(err, config.Dir)
	}
	epoch, err := standby.NewWatcher(s.store, s.config).AwaitFree(c.Context())
	if alive := (*standby.AliveError)(nil); errors.As(err, &alive) {
		return nil, refusal("%w", err).hint("--standby waits until that one is gone; to serve from here now, end that one first")
	} else if err != nil {
		return nil, explainOpenError(err, config.Dir)
	}
	s.held = standby.NewHolder(s.store, epoch, s.config)
	config.Ledger.Take = s.held.Take
	return open(c, config)
}

// standBy waits, and serves meanwhile what the writer publishes.
func (s *sharedLedger) standBy(ctx context.Context, config node.Config) (n *node.Node, err error) {
	// A database says itself whether a second one has all that the first has told of.
	if db, ok := s.store.(interface{ CheckStandby(context.Context) error }); ok {
		if err := db.CheckStandby(ctx); err != nil {
			return nil, fmt.Errorf("--standby: %w", err)
		}
	}
	head, err := s.store.Head(ctx)
	if err != nil {
		return nil, err
	}
	if head.Size == 0 {
		return nil, noCharter(config.Dir)
	}
	at, err := node.StoreURL(vfs.Default, config.Dir)
	if err != nil {
		return nil, err
	}
	by := standby.New(s.store, s.config)
	over := followStore(s.store, at, s.config)
	f, err := node.Follow(ctx, config, node.FollowConfig{
		Reads: s.flags.lease, Source: over.Client(), URL: at.Name().String(), Snapshots: s.snapshots,
		Standby: func() server.StandbyState {
			st := by.Status()
			return server.StandbyState{Epoch: st.Epoch, Writer: st.Writer, Able: st.Cannot == nil}
		},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := by.Look(ctx); err != nil { // before anybody asks
		return nil, err
	}
	serving, stop := context.WithCancel(ctx)
	waiting, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	var answering sync.WaitGroup
	defer answering.Wait()
	defer stop()
	answering.Go(func() {
		if err := s.answer(serving, f, by); err != nil && serving.Err() == nil {
			failed(err)
		}
	})
	s.log.Info("standing by", "origin", s.origin, "size", head.Size, "epoch", by.Status().Epoch, "writer", by.Status().Writer, "lease", s.flags.lease.String())
	s.held, err = by.Become(waiting, f, func(ctx context.Context, h *standby.Holder) (err error) {
		n, err = f.Open(ctx, h.Take)
		return err
	})
	if cause := context.Cause(waiting); err != nil && cause != nil {
		err = cause
	}
	return n, err
}

// answer serves while it stands by, and leaves the ports open for the ledger.
func (s *sharedLedger) answer(ctx context.Context, f *node.Follower, by *standby.Standby) error {
	c, lent := s.server, []*standby.Lent{standby.Lend(s.listener)}
	if c.MetricsListener != nil {
		lent = append(lent, standby.Lend(c.MetricsListener))
		c.MetricsListener = lent[1]
	}
	c.Collectors = []prometheus.Collector{by.Metrics()}
	err := f.Serve(ctx, lent[0], c)
	for _, l := range lent {
		err = errors.Join(err, l.GiveBack())
	}
	return err
}

func (s *sharedLedger) explain(err error, dir string) error {
	var sealed *ledger.SealedError
	if errors.As(err, &sealed) {
		return explainStoreError(err, dir)
	}
	if wrong := (*client.SnapshotError)(nil); errors.As(err, &wrong) {
		return explainWrongSnapshot(err, wrong)
	}
	return explainOpenError(err, dir)
}

// serve serves the ledger until it is told to end, or another writer has taken over: that is
// nil, since nothing is wrong, and nothing was lost.
func (s *sharedLedger) serve(ctx context.Context, n *node.Node, c server.Config) error {
	c.Collectors = append(c.Collectors, s.held.Metrics())
	err := s.held.Run(ctx, func(ctx context.Context) error { return n.Serve(ctx, s.listener, c) })
	var over *standby.OverError
	if errors.As(err, &over) {
		// All that this one signed is a beginning of what the other signs.
		s.log.Warn("another writer took over", "origin", s.origin, "size", n.Ledger.Head().Size, "epoch", over.Epoch, "writer", over.URL)
		return nil
	}
	return err
}

// close gives the lease back, and the ports.
func (s *sharedLedger) close(ctx context.Context) {
	if s.held != nil {
		s.held.End(ctx)
	}
	s.listener.Close()
	if s.server.MetricsListener != nil {
		s.server.MetricsListener.Close()
	}
}
