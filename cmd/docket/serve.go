package main

import (
	"errors"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/server"
)

func (a *app) serve() *cobra.Command {
	var (
		dir       string
		verbose   bool
		listen    listenFlags
		lc        ledger.Config
		nc        node.Config
		sc        server.Config
		files     tlsFlags
		minFree   int64
		intervals map[string]string
		back      = rollback{app: a}
	)
	c := &cobra.Command{
		Use:   "serve --dir D [--listen ADDRESS]",
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

Where the policy is "quorum none" there is no witness to ask: the register in D, and
whoever answers at the log's URL, are all that may know more than the store. If one of
them does, it ends likewise. If the newer store is lost for ever, --allow-rollback goes
on without what it held; readers who have seen that will call it a second history.`,
		Example: `  docket serve --dir ledger
  docket serve --dir ledger --listen :443 --tls-cert fullchain.pem --tls-key key.pem`,
		Args: cobra.NoArgs,
		PreRunE: func(c *cobra.Command, _ []string) error {
			if sc.IssuerRate.PerSecond < 0 {
				return idle(c, "with a negative --issuer-rate, which is no limit", "issuer-burst")
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			log := a.eventLog(verbose)
			var err error
			if sc.TLS, err = files.config(log); err != nil {
				return err
			}
			if _, err := listen.proxyPrefixes(); err != nil {
				return err
			}
			sc.Proxies, sc.MaxConnections, sc.MaxPerAddress = listen.proxies, listen.allowedConnections(log), listen.maxPerAddress
			if err := sc.IssuerRate.Check(); err != nil {
				return usageError("--issuer-rate, --issuer-burst: %w", err)
			}
			if minFree < 0 {
				return usageError("--min-free %d: want a number of megabytes", minFree)
			}
			if err := notNegative(c, "publish-wait", "publish-interval", "witness-timeout"); err != nil {
				return err
			}
			nc.MinFree = uint64(minFree) << 20
			nc.Cosignatures.MinInterval = make(map[string]time.Duration)
			for name, text := range intervals {
				every, err := time.ParseDuration(text)
				if err != nil || every < 0 {
					return usageError("--witness-interval %s=%s: want a duration like 10s", name, text)
				}
				nc.Cosignatures.MinInterval[name] = every
			}
			keys, err := a.logKeys(dir)
			if err != nil {
				return err
			}
			if err := checkFreeSpace(vfs.Default, dir); err != nil {
				return err
			}
			n, err := back.open(c, node.Config{Dir: dir, Keys: keys, Ledger: lc, Cosignatures: nc.Cosignatures, MinFree: nc.MinFree, Log: log})
			if err != nil {
				return err
			}
			defer n.Close()
			if n.Ledger.Head().Size == 0 {
				return usageError("the ledger in %s has no charter yet", dir).hint("docket init --dir %s --charter ENVELOPE", dir)
			}
			if err := n.CheckKeys(); errors.Is(err, ledger.ErrNoLogKey) {
				return refusal("nothing could be published: %w", err).hint("bring back the files that were in %s/keys, from the backup; if they are lost for ever, the root keys sign a charter that names these keys, and docket init --dir %[1]s --charter ENVELOPE admits it", dir)
			} else if err != nil {
				return err
			}
			if err := back.check(c.Context(), n, log); err != nil {
				return err
			}
			l, metrics, err := listen.open()
			if err != nil {
				return err
			}
			sc.MetricsListener = metrics
			url := urlOf(l, sc.TLS)
			a.printf("%s\n", url)
			if metrics != nil {
				log.Info("metrics", "url", urlOf(metrics, nil)+"/metrics")
			}
			log.Info("serving", "origin", keys.Origin, "size", n.Ledger.Head().Size, "url", url, "pid", os.Getpid())
			if err := n.Serve(c.Context(), l, sc); err != nil {
				return explainOpenError(err, dir)
			}
			log.Info("ended", "origin", keys.Origin, "size", n.Ledger.Head().Size)
			return n.Close()
		},
	}
	listen.flags(c, "127.0.0.1:8470", 4096)
	files.flags(c)
	f := c.Flags()
	f.StringVar(&dir, "dir", "", "directory of the ledger")
	f.Int64Var(&minFree, "min-free", 1024, "megabytes that must be free on the disk for a record to be accepted; 0 means 1024")
	f.Float64Var(&sc.IssuerRate.PerSecond, "issuer-rate", 50, "records that one issuer may submit each second; below 0 means no limit")
	f.IntVar(&sc.IssuerRate.Burst, "issuer-burst", 500, "records that one issuer may submit at once")
	f.DurationVar(&sc.PublishWait, "publish-wait", 10*time.Second, "how long a submitter waits for the quorum before the answer is 202; 0 means 10s")
	f.DurationVar(&lc.PublishInterval, "publish-interval", 0, "least time between two checkpoints")
	f.DurationVar(&lc.RecosignInterval, "heartbeat", 10*time.Minute, "after how long without a new checkpoint the witnesses cosign the newest again; below 0: never")
	f.DurationVar(&nc.Cosignatures.Timeout, "witness-timeout", 10*time.Second, "how long one witness is waited for")
	f.StringToStringVar(&intervals, "witness-interval", nil, "NAME=DURATION, the least time between two new checkpoints for that witness of the policy; may be repeated")
	f.BoolVar(&lc.NewLog, "new-log", false, "before the first checkpoint: the keys have signed nothing elsewhere; who claims a larger log of this name knows another one, and the others make a quorum")
	f.BoolVar(&back.allowed, "allow-rollback", false, "with quorum none: the store is older than what this log has shown, and what it lacks is lost for ever")
	f.BoolVar(&verbose, "verbose", false, "log what the database does too")
	c.MarkFlagRequired("dir")
	return c
}
