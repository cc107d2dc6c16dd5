package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/server"
)

// serveFlags are the flags of serve. What they say of the node and of its server stands in
// its place at once, as far as it needs no check.
type serveFlags struct {
	verbose   bool
	listen    listenFlags
	tls       tlsFlags
	node      node.Config
	server    server.Config
	minFree   int64 // megabytes
	intervals map[string]string
	auditors  []string
	store     string // --store
	lease     leaseFlags
}

func (s *serveFlags) flags(c *cobra.Command) {
	s.listen.flags(c, "127.0.0.1:8470", 4096)
	s.tls.flags(c)
	f := c.Flags()
	f.StringVar(&s.node.Dir, "dir", "", "directory of the ledger")
	f.StringVar(&s.store, "store", "", storeFlagHelp)
	s.lease.flags(c)
	f.Int64Var(&s.minFree, "min-free", 1024, "megabytes that must be free on the disk for a record to be accepted; 0 means 1024")
	f.Float64Var(&s.server.IssuerRate.PerSecond, "issuer-rate", 50, "records that one issuer may submit each second; below 0 means no limit")
	f.IntVar(&s.server.IssuerRate.Burst, "issuer-burst", 500, "records that one issuer may submit at once")
	f.DurationVar(&s.server.PublishWait, "publish-wait", 10*time.Second, "how long a submitter waits for the quorum before the answer is 202; 0 means 10s")
	f.DurationVar(&s.node.Ledger.PublishInterval, "publish-interval", 0, "least time between two checkpoints")
	f.DurationVar(&s.node.Ledger.CommitInterval, "commit-interval", 0, "least time between two commits: fewer writes to a store that counts them, such as 125ms in a bucket")
	f.DurationVar(&s.node.Ledger.RecosignInterval, "heartbeat", 10*time.Minute, "after how long without a new checkpoint the witnesses cosign the newest again; below 0: never")
	f.DurationVar(&s.node.Cosignatures.Timeout, "witness-timeout", 10*time.Second, "how long one witness is waited for")
	f.StringToStringVar(&s.intervals, "witness-interval", nil, "NAME=DURATION, the least time between two new checkpoints for that witness of the policy; may be repeated")
	f.StringArrayVar(&s.auditors, "auditor", nil, `"VKEY [URL]": take the cosignatures of that auditor, and ask for them where it gives a URL; may be repeated`)
	f.BoolVar(&s.node.Ledger.NewLog, "new-log", false, "before the first checkpoint: the keys have signed nothing elsewhere; who claims a larger log of this name knows another one, and the others make a quorum")
	f.BoolVar(&s.verbose, "verbose", false, "log what the database does too")
}

// configs are the node and its server as the flags have them. Who serves adds the keys and
// the listener of the metrics.
func (s *serveFlags) configs(log *slog.Logger) (node.Config, server.Config, error) {
	n, h := s.node, s.server
	n.Log = log
	var err error
	if h.TLS, err = s.tls.config(log); err != nil {
		return n, h, err
	}
	if _, err := s.listen.proxyPrefixes(); err != nil {
		return n, h, err
	}
	h.Proxies, h.MaxConnections, h.MaxPerAddress = s.listen.proxies, s.listen.allowedConnections(log), s.listen.maxPerAddress
	if err := h.IssuerRate.Check(); err != nil {
		return n, h, usageError("--issuer-rate, --issuer-burst: %w", err)
	}
	if s.minFree < 0 {
		return n, h, usageError("--min-free %d: want a number of megabytes", s.minFree)
	}
	n.MinFree = uint64(s.minFree) << 20
	n.Cosignatures.MinInterval = make(map[string]time.Duration)
	for name, text := range s.intervals {
		every, err := time.ParseDuration(text)
		if err != nil || every < 0 {
			return n, h, usageError("--witness-interval %s=%s: want a duration like 10s", name, text)
		}
		n.Cosignatures.MinInterval[name] = every
	}
	n.Auditors, err = parseAuditors(s.auditors)
	return n, h, err
}

// parseAuditors reads what --auditor names: a vkey, and perhaps a URL after a space.
func parseAuditors(given []string) (all []auditors.Named, err error) {
	for _, text := range given {
		vkey, url, _ := strings.Cut(strings.TrimSpace(text), " ")
		a := auditors.Named{URL: strings.TrimSpace(url)}
		if a.Key, err = proof.ParseAuditorKey(vkey); err != nil {
			return nil, usageError("--auditor: %w", err).hint(`docket keygen --cosigner NAME prints an auditor's vkey; a URL stands behind it, after a space: --auditor "VKEY https://audit.example"`)
		}
		if a.URL != "" {
			if _, err := wire.NewWitness(a.URL, nil); err != nil {
				return nil, usageError("--auditor %s: %w", a.Key.Label(), err)
			}
		}
		if slices.ContainsFunc(all, func(b auditors.Named) bool { return b.Key.SamePublicKey(a.Key) || b.Key.Label() == a.Key.Label() }) {
			return nil, usageError("--auditor %s is given twice", a.Key.Label())
		}
		all = append(all, a)
	}
	return all, nil
}

func (a *app) serve() *cobra.Command {
	var s serveFlags
	var r replicaFlags
	var snapshots snapshotFlags
	back := rollbackGuard{app: a}
	c := &cobra.Command{
		Use:   "serve (--dir D | --replica --trust D) [--listen ADDRESS]",
		Short: "Run the ledger server",
		Long: `Serves the ledger in D over HTTP: records in, receipts out; checkpoints, tiles and
entries as C2SP tlog-tiles writes them; the register as JSON and as pages.

The log of requests and events goes to stderr, one JSON object a line; /healthz and
/readyz are for whoever supervises, and answered even where all connections are in
use. Metrics are served only with --metrics-listen, at /metrics of that address, for
Prometheus: strangers should not reach it. On SIGINT or SIGTERM it finishes the
requests at work, commits and publishes what it has accepted, and ends with status 0.
If a write fails it ends with status 1: start it again, the next start recovers. A full
disk is waited for, unless it is told to end: reads go on, records get 503. What is
damaged on the disk is answered with 500 and named by /readyz, and the rest goes on; a
damaged register is made anew from the entries.

With --tls-cert and --tls-key it speaks TLS, and takes up renewed files within a
minute; without, plain HTTP: bind it to loopback, or put a proxy that speaks TLS
before it, and name that with --trusted-proxy: what is refused counts against the
address that it came from, as the proxy says in X-Forwarded-For.

It signs with every key in D/keys. It does not start where the newest charter's
policy names none of them, and warns where the two differ. Where they are of two
generations (docket init --next), it asks each witness from time to time to cosign what
it cosigned last with the newer keys' signatures alone, and says who is not ready for
the older ones to go: in its log, at /v1/witnesses, and as metrics.

Before it signs anything new it shows its witnesses what it published last, or the
empty tree if it has published nothing. If they know more of this log, the store was
lost or rolled back, or D is a copy of a directory that runs elsewhere: it signs
nothing, and ends with status 1. Only one process may run on D or on any copy of it:
two that do not know of each other sign two histories, and every witness that sees
both halts the log.

Where the ledger is kept in a bucket or a database (docket init --store, docket store copy),
--store names it, the first time: D/store.url notes it without a password, and D keeps the
keys, their marks and what is derived. Each start probes it, and refuses one that breaks a
promise that a ledger rests on.

Such a ledger can have a standby: another machine, with the keys copied to a D of its own, and
the same command with --standby; both may be started so. The writer renews a lease in the
store. The standby keeps its register up to what is published, and serves that as a replica
does: what is sent to it goes on to the writer (--url there, which names that machine). It
takes over once the lease has not changed for --lease and a quorum of witnesses answers it,
and answers 503 while it does: within 15 s of a writer that was killed, frozen or cut off from the
store, not of one that is cut off from witnesses alone; at once where the writer ended by
itself. It does not hand back. The writer before, if it lives, signs nothing more that is
published, says "another writer took over", and ends with status 0; what it had taken and not
committed got 503. Of several standbys one takes over. Without --standby it refuses to start
while another one renews the lease. Give all the same --lease. With --snapshot-key an empty
register begins with a snapshot that the writer hands out (--node-key there): the standby
answers within seconds, and takes over once it has replayed the log behind it.

With --auditor it takes the cosignatures of an auditor (docket audit --cosign) on any
checkpoint that it published, keeps the newest, and gives receipts against it. They
count to no quorum, and nothing waits for them. At a URL, it asks for
<SHA-256 of the origin>/checkpoint there every 10 minutes, as witnesses show it.

Where the policy is "quorum none" there is no witness to ask: the register in D, and
whoever answers at the log's URL, are all that may know more than the store. If one of
them does, it ends likewise. If the newer store is lost for ever, --allow-rollback goes
on without what it held; readers who have seen that will call it a second history.

--replica serves a ledger that another process writes, from a trust directory (--trust),
which --charter makes: any number of them run beside one writer, and anybody may run one.
It follows what is published at --from, verifies and replays all of it as docket sync
does, and answers all that can be read; records that are sent to it, and the little that
only the writer knows, are sent on. --store in place of --from follows the bucket or
the database that the writer shares, for which reading it is enough, and sends on to whoever
renews the lease there. It has no keys of the log. How far behind it may be
each answer says (Docket-Replica), and its pages, /readyz and metrics. Where the writer is
away it serves what it has, and says as of when. If the log shows two histories it serves
nothing more, keeps what shows it in the trust directory, and ends with status 1. While it
runs, the directory is its own.`,
		Example: `  docket serve --dir ledger
  docket serve --dir ledger --listen :443 --tls-cert fullchain.pem --tls-key key.pem
  docket serve --dir ledger --store 's3://records/cip?region=eu-central-1'
  docket serve --replica --trust replica --charter 6f1c…9e --from https://docket.ocr.example
  docket serve --replica --trust replica --charter 6f1c…9e --store 's3://records/cip?region=eu-central-1'`,
		Args: cobra.NoArgs,
		PreRunE: func(c *cobra.Command, _ []string) error {
			if err := errors.Join(r.check(c, s.lease.standby), snapshots.check(c)); err != nil {
				return err
			}
			if s.server.IssuerRate.PerSecond < 0 {
				return idle(c, "with a negative --issuer-rate, which is no limit", "issuer-burst")
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			if err := notNegative(c, "publish-wait", "publish-interval", "commit-interval", "witness-timeout"); err != nil {
				return err
			}
			if err := s.lease.check(); err != nil {
				return err
			}
			if r.on {
				return a.serveReplica(c, &s, &r, &snapshots)
			}
			log, dir := a.eventLog(s.verbose), s.node.Dir
			config, sc, err := s.configs(log)
			if err != nil {
				return err
			}
			keys, err := a.logKeys(dir)
			if err != nil {
				return err
			}
			config.Keys, config.Fatal = keys, endFailed
			if err := checkFreeSpace(vfs.Default, dir); err != nil {
				return err
			}
			made, err := snapshots.open(a, dir) // before a store is waited for, or taken
			if err != nil {
				return err
			}
			store, err := a.openStore(c.Context(), dir, s.store, log)
			if err != nil {
				return err
			}
			var shared *sharedLedger
			open := back.open
			if store == nil {
				if err := s.lease.idleOn(c, dir); err != nil {
					return err
				}
			} else {
				defer store.Close()
				config.Store = store
				begin, err := r.snapshotKeys()
				if err != nil {
					return err
				}
				if shared, err = s.sharedLedger(a, store, &sc, begin.Own, keys.Origin, log); err != nil {
					return err
				}
				defer shared.close(c.Context())
				open = func(c *cobra.Command, config node.Config) (*node.Node, error) {
					return shared.open(c, config, back.open)
				}
			}
			n, err := open(c, config)
			if err != nil && c.Context().Err() != nil {
				log.Info("ended", "origin", keys.Origin)
				return nil
			}
			if err != nil {
				return err
			}
			defer n.Close()
			if n.Ledger.Head().Size == 0 {
				return noCharter(dir)
			}
			if err := n.CheckKeys(); errors.Is(err, ledger.ErrNoLogKey) {
				return refusal("nothing could be published: %w", err).hint("bring back the files that were in %s/keys, from the backup; if they are lost for ever, the root keys sign a charter that names these keys, and docket init --dir %[1]s --charter ENVELOPE admits it", dir)
			} else if err != nil {
				return err
			}
			if err := n.CheckAuditors(); errors.Is(err, auditors.ErrOtherRole) {
				return usageError("--auditor: %w", err).hint("docket keygen --cosigner NAME makes an auditor a key of its own")
			} else if err != nil {
				return err
			}
			if err := back.check(c.Context(), n, log); err != nil {
				return err
			}
			sc.Snapshots = made
			if shared != nil {
				log.Info("serving", "origin", keys.Origin, "size", n.Ledger.Head().Size, "url", shared.url, "epoch", shared.held.Taken(), "pid", os.Getpid())
				err = snapshots.during(c.Context(), n, keys.Origin, sc.Snapshots, log, func() error { return shared.serve(c.Context(), n, sc) })
				if err != nil {
					return explainOpenError(err, dir)
				}
			} else {
				l, url, err := s.openListeners(a, &sc, log)
				if err != nil {
					return err
				}
				log.Info("serving", "origin", keys.Origin, "size", n.Ledger.Head().Size, "url", url, "pid", os.Getpid())
				err = snapshots.during(c.Context(), n, keys.Origin, sc.Snapshots, log, func() error { return n.Serve(c.Context(), l, sc) })
				if err != nil {
					return explainOpenError(err, dir)
				}
			}
			log.Info("ended", "origin", keys.Origin, "size", n.Ledger.Head().Size)
			return n.Close()
		},
	}
	s.flags(c)
	r.flags(a, c)
	snapshots.flags(c)
	c.Flags().BoolVar(&back.allowed, "allow-rollback", false, "with quorum none: the store is older than what this log has shown, and what it lacks is lost for ever")
	return c
}

// openListeners opens them, and says where.
func (s *serveFlags) openListeners(a *app, sc *server.Config, log *slog.Logger) (l net.Listener, url string, err error) {
	if l, sc.MetricsListener, err = s.listen.open(); err != nil {
		return nil, "", err
	}
	url = urlOf(l, sc.TLS)
	a.printf("%s\n", url)
	if sc.MetricsListener != nil {
		log.Info("metrics", "url", urlOf(sc.MetricsListener, nil)+"/metrics")
	}
	return l, url, nil
}

func noCharter(dir string) error {
	return usageError("the ledger in %s has no charter yet", dir).hint("docket init --dir %s --charter ENVELOPE", dir)
}

// rollbackGuard is what serve does about a store that is older than what is known of its
// log. With witnesses nothing but the newest backup helps. Without any, a rollback
// would go unnoticed: so it is refused too, unless the operator accepts the loss.
type rollbackGuard struct {
	app     *app
	allowed bool // --allow-rollback
	met     bool // the store was found to be older
}

// open opens a ledger's directory. If its register is ahead of its store, and that is
// allowed, the register is set aside until it is known that there are no witnesses.
func (r *rollbackGuard) open(c *cobra.Command, config node.Config) (*node.Node, error) {
	n, err := r.app.openNode(c, config)
	register, aside := filepath.Join(config.Dir, "register"), filepath.Join(config.Dir, "register.ahead")
	if _, none := os.Stat(aside); none == nil && !errors.Is(err, node.ErrInUse) {
		// An earlier start was cut off while the register that knows more was set aside.
		if n != nil {
			n.Close() // nothing was written
		}
		if err := errors.Join(os.RemoveAll(register), disk.Rename(vfs.Default, aside, register)); err != nil {
			return nil, err
		}
		n, err = r.app.openNode(c, config)
	}
	if !r.allowed || !errors.Is(err, ledger.ErrRollback) {
		return n, err
	}
	if disk.Rename(vfs.Default, register, aside) != nil {
		return nil, err // it is not the register that knows more
	}
	config.Log.Warn("the store is older than the register; going on with the store, since the operator allows it", "err", err)
	r.met = true
	n, err = r.app.openNode(c, config)
	if err == nil {
		if err = r.unwatched(n); err != nil {
			err = errors.Join(err, n.Close())
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(register), disk.Rename(vfs.Default, aside, register))
	}
	return n, os.RemoveAll(aside)
}

// unwatched refuses to roll back a log that has witnesses: they hold the history that the
// store lacks.
func (r *rollbackGuard) unwatched(n *node.Node) error {
	policy, err := n.Policy()
	if err != nil || policy == nil || policy.QuorumIsNone() {
		return err
	}
	return refusal("--allow-rollback is for a log without witnesses, and this one's would call what it signs next a second history").
		hint("bring back the newest backup of the store; nothing was signed, and the directory is as it was")
}

// check asks at the log's own URL, where there are no witnesses, before anything is signed.
func (r *rollbackGuard) check(ctx context.Context, n *node.Node, log *slog.Logger) error {
	policy, err := n.Policy()
	if err != nil {
		return err
	}
	if policy.QuorumIsNone() {
		err = n.Ahead(ctx, policy)
		if errors.Is(err, ledger.ErrRollback) && r.allowed {
			log.Warn("the store is older than what is served at the log's URL; going on, since the operator allows it", "err", err)
			r.met, err = true, nil
		}
	}
	if err == nil && r.allowed && !r.met {
		log.Warn("nothing is known to be ahead of this store; leave out --allow-rollback from the next start on")
	}
	if errors.Is(err, ledger.ErrRollback) {
		return refusal("%w", err).hint("whoever serves there has the newer store: let that one go on, or bring its store here; if it is lost for ever, --allow-rollback goes on without what it held, and whoever has seen that will call this a second history")
	}
	return err
}

// eventLog is the log of what serves: one JSON object a line, to stderr.
func (a *app) eventLog(verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewJSONHandler(a.err, &slog.HandlerOptions{Level: level}))
}
