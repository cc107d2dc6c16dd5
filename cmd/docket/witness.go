package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/keydir"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/witnessnode"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/witness"
)

func (a *app) witness() *cobra.Command {
	c := &cobra.Command{
		Use:   "witness",
		Short: "Run a witness: cosign what is consistent, catch a split view",
		Long: `A witness watches logs for everybody else. It cosigns a checkpoint only if that
extends the one it cosigned before, compares what it has seen with other witnesses,
and keeps evidence if a log ever shows two histories. One small process serves any
number of C2SP logs, not only Docket's.`,
		Example: `  docket witness init --dir w1 --name w1.example/docket --url https://w1.example
  docket witness serve --dir w1 --logs logs.txt --listen 127.0.0.1:8471`,
	}
	c.AddCommand(a.witnessInit(), a.witnessServe(), a.witnessGossip(), a.witnessEvidence())
	return c
}

func (a *app) witnessInit() *cobra.Command {
	var dir, name, url, uri string
	c := &cobra.Command{
		Use:   "init --dir W --name NAME",
		Short: "Make a witness's keys and state, and print its lines for policies",
		Long: `Makes the witness's two keys (Ed25519 and ML-DSA-44, under one name) in W/keys, and
W/state, where what they cosign is kept; and prints the lines that a policy needs: two
witnesses, and the group that makes one of them.

Run again, it prints the lines of the keys that are there. It never makes a state for
them: they may have cosigned what a new one would not know. If one of the two keys is
gone, another is made in its place, and goes on from the state that is there.

With --kms the key is an Ed25519 key that a KMS keeps (sigstore's plugin of that name
must be on PATH); W/keys then holds only its URI. Whatever it has cosigned elsewhere is
looked up, as docket witness serve --new-state does.`,
		Example: `  docket witness init --dir w1 --name w1.example/docket --url https://w1.example
  docket witness init --dir w1 --name w1.example/docket --kms awskms:///alias/witness`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkFreeSpace(vfs.Default, dir); err != nil {
				return err
			}
			if url != "" {
				if _, err := wire.ParseBase(url); err != nil {
					return usageError("--url: %w", err)
				}
			}
			keys, err := witnessnode.Init(c.Context(), dir, name, uri, a.diskFailed)
			if errors.Is(err, witness.ErrNoState) {
				return noStateError(dir, err)
			} else if errors.Is(err, syscall.EAGAIN) {
				return err
			} else if err != nil {
				return refusal("%w", err)
			}
			if !witnessnode.HasState(dir) {
				a.logf("warning: %s holds these keys and no state: docket witness serve will say what to do", dir)
			}
			a.warnOfReadersIn(dir)
			if uri == "" {
				a.logf("the witness's keys are in %s/keys; whoever has them can cosign in its name", dir)
			}
			if url == "" {
				a.logf("no --url: docket serve asks only witnesses whose lines have one; write it behind both, or run this again with --url")
			}
			short, _, _ := strings.Cut(name, ".")
			short = strings.Map(func(r rune) rune {
				if r == '/' || r == ' ' {
					return '-'
				}
				return r
			}, short)
			var members []string
			for i, k := range keys {
				member := short + []string{"e", "m"}[i]
				members = append(members, member)
				a.printf("%s\n", strings.TrimSpace(fmt.Sprintf("witness %s %s %s", member, k.Key(), url)))
			}
			a.printf("group %s any %s\n", short, strings.Join(members, " "))
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "directory of the witness")
	c.Flags().StringVar(&name, "name", "", "the witness's name for ever, like w1.example/docket")
	c.Flags().StringVar(&url, "url", "", "where it will be reached, for the printed lines")
	c.Flags().StringVar(&uri, "kms", "", "URI of an Ed25519 key that a KMS keeps, instead of keys in files")
	c.MarkFlagRequired("dir")
	c.MarkFlagRequired("name")
	return c
}

// witnessFlags is what the flags of a witness's verbs say.
type witnessFlags struct {
	dir, logs string
	peers     []string
	sources   []string // ORIGIN=URL
	verbose   bool
	newState  bool
	minFree   uint64 // bytes; 0: that is not asked
}

func (p *witnessFlags) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&p.dir, "dir", "", "directory of the witness")
	f.StringVar(&p.logs, "logs", "", "file of the logs it serves, in the witness network's logs/v0 format")
	f.StringArrayVar(&p.peers, "peer", nil, "URL of another witness to compare notes with; repeat for more")
	f.StringArrayVar(&p.sources, "source", nil, "ORIGIN=URL: where a log can be read, without which only checkpoints of one size can be compared; repeat for more, also for one log")
	f.BoolVar(&p.verbose, "verbose", false, "log each comparison of a log with what others have seen of it")
}

// openWitness opens the witness's directory.
func (a *app) openWitness(ctx context.Context, p witnessFlags, log *slog.Logger, metrics prometheus.Registerer) (*witness.Witness, error) {
	keys, err := witnessnode.LoadKeys(ctx, p.dir)
	if errors.Is(err, keydir.ErrNoKeys) {
		return nil, usageError("%w", err).hint("docket witness init --dir %s --name NAME makes them", p.dir)
	} else if err != nil {
		return nil, err
	}
	a.warnOfReadersIn(p.dir)
	if err := checkFreeSpace(vfs.Default, p.dir); err != nil {
		return nil, err
	}
	list, err := a.readLogs(p.logs)
	if err != nil {
		return nil, err
	}
	sources := make(map[string][]string)
	for _, s := range p.sources {
		origin, url, ok := strings.Cut(s, "=")
		if !ok {
			return nil, usageError("--source %s: want ORIGIN=URL", s)
		}
		sources[origin] = append(sources[origin], url)
	}
	cfg := witness.Config{
		Keys: keys, FS: vfs.Default, Dir: p.dir, Logs: list, Peers: p.peers, Sources: sources, Log: log, Metrics: metrics,
		MinFree: p.minFree, Fatal: endFailed,
	}
	if p.newState {
		made, err := witness.RecreateState(cfg)
		if err != nil {
			return nil, err
		}
		if !made {
			log.Warn("there is a state, and it stays; leave out --new-state from the next start on", "dir", p.dir)
		}
	}
	w, err := witness.Open(cfg)
	switch {
	case errors.Is(err, witness.ErrConfig):
		return nil, usageError("%w", err)
	case errors.Is(err, witness.ErrNoState):
		return nil, noStateError(p.dir, err)
	case disk.Damaged(err):
		return nil, refusal("%w", err).hint("bring back %[1]s/state as it was last, never an older copy; else move it away, and docket witness serve --new-state asks the logs and the peers what these keys have cosigned", p.dir)
	}
	return w, err
}

// noStateError refuses to run with keys whose cosigned checkpoints are unknown.
func noStateError(dir string, err error) error {
	return refusal("%w", err).hint("bring back %s/state as it was last, never an older copy; if it is lost for ever: docket witness serve --new-state, which first asks the logs and the peers what these keys have cosigned, and forgets what none of them shows", dir)
}

func (a *app) readLogs(name string) (witness.LogList, error) {
	text, err := a.readFile(name)
	if err != nil {
		return nil, err
	}
	list, err := witness.ParseLogs(text)
	if err != nil {
		return nil, wrongFileError(name, text, "a list of logs", err).hint("docket witness serve --help shows such a list; a log's operator prints its entry with docket init --origin NAME --contact WHO --mldsa")
	}
	return list, nil
}

// witnessServeFlags are the flags of witness serve. What they say of the server stands in
// its place at once, as far as it needs no check.
type witnessServeFlags struct {
	witness witnessFlags
	listen  listenFlags
	tls     tlsFlags
	server  witnessnode.Server
	minFree int64 // megabytes
}

func (s *witnessServeFlags) flags(c *cobra.Command) {
	s.witness.flags(c)
	s.listen.flags(c, "127.0.0.1:8471", 1024)
	s.tls.flags(c)
	c.MarkFlagRequired("dir")
	c.MarkFlagRequired("logs")
	f := c.Flags()
	f.DurationVar(&s.server.GossipInterval, "gossip", time.Minute, "time between two rounds of gossip; 0: none")
	f.Int64Var(&s.minFree, "min-free", leastToCosign, "megabytes that must be free on the disk for a new checkpoint to be cosigned; 0 means 256")
	f.BoolVar(&s.witness.newState, "new-state", false, "the state is lost for ever: make another, and look up what these keys have cosigned")
}

// configs are the witness's directory and the server as the flags have them. Who serves
// adds the witness and the listener of the metrics.
func (s *witnessServeFlags) configs(log *slog.Logger) (p witnessFlags, server witnessnode.Server, err error) {
	p, server = s.witness, s.server
	server.Log, server.Metrics = log, prometheus.NewRegistry()
	if s.minFree < 0 {
		return p, server, usageError("--min-free %d: want a number of megabytes", s.minFree)
	}
	p.minFree = uint64(cmp.Or(s.minFree, leastToCosign)) << 20
	if server.Proxies, err = s.listen.proxyPrefixes(); err != nil {
		return p, server, err
	}
	server.MaxConnections, server.MaxPerAddress = s.listen.allowedConnections(log), s.listen.maxPerAddress
	server.TLS, err = s.tls.config(log)
	return p, server, err
}

func (a *app) witnessServe() *cobra.Command {
	var flags witnessServeFlags
	c := &cobra.Command{
		Use:   "serve --dir W --logs FILE [--listen ADDRESS]",
		Short: "Cosign for the logs of a list, and gossip",
		Long: `Serves C2SP tlog-witness: cosigns checkpoints of the logs in the list, shows the
newest of each, takes checkpoints and evidence that others saw. Every --gossip it
fetches what its peers and the logs' own URLs show, and compares.

The list is one file: a first line, then four lines for each key of each log. The
second may be missing; a log's operator prints them with docket init --contact WHO
--mldsa.

  logs/v0
  vkey docket.ocr.example/2026+5f1c0a92+AW3…
  origin docket.ocr.example/2026
  qpd 86400
  contact ops@ocr.example

The list is read again when it changes, at the next round of gossip, or at once on
SIGHUP. A log that vanishes from it gets no more cosignatures; what the witness
knows of it stays. A log's qpd bounds its new checkpoints, and nothing that others
send uses them up: whoever asks for the newest once more is given cosignatures of
the last ten seconds. What is handed in and says nothing new is bounded apart from
that: 64 of a kind, then one a second.

With --tls-cert and --tls-key it speaks TLS, and takes up renewed files within a
minute; without, plain HTTP: name the proxy before it with --trusted-proxy.

Each new checkpoint is on the disk before it is cosigned: below --min-free nothing new
is (503, with Retry-After), and what was cosigned last is still repeated and shown.

/healthz says that it lives, /readyz whether it cosigns, and what was found damaged on
its disk. Metrics are served only with
--metrics-listen, at /metrics of that address, for Prometheus.

W/state must never be deleted or restored from an old copy while the keys are in
use: a witness that forgets what it cosigned can be made to cosign a fork. Without it
serve refuses. If it is lost for ever, --new-state makes another, once: each log is
then looked up at its --source and at the peers, 30 s each at most, before anything of
it is cosigned (503 until then), and what bears this witness's own key and the log's
is what the witness has cosigned. What none of them shows stays forgotten, and who did
not answer is logged; a receipt that bears its cosignature reminds it too (docket
witness gossip --to URL FILE…). New keys, in a new directory and in a new policy, have
nothing to forget.

As it stops, it notes in W/closed what it has cosigned. A state that knows less has lost
something, and is refused as damaged. After a crash there is no such note: each log is
then looked up in the same way before anything of it is cosigned.`,
		Example: `  docket witness serve --dir w1 --logs logs.txt
  docket witness serve --dir w1 --logs logs.txt --listen :443 --tls-cert fullchain.pem --tls-key key.pem \
      --peer https://w2.example --source docket.ocr.example/2026=https://docket.ocr.example`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := notNegative(c, "gossip"); err != nil {
				return err
			}
			p, s, err := flags.configs(a.eventLog(flags.witness.verbose))
			if err != nil {
				return err
			}
			w, err := a.openWitness(c.Context(), p, s.Log, s.Metrics)
			if err != nil {
				return err
			}
			defer w.Close()
			s.Witness = w
			l, metrics, err := flags.listen.open()
			if err != nil {
				return err
			}
			s.MetricsListener = metrics
			url := urlOf(l, s.TLS)
			a.printf("%s\n", url)
			if metrics != nil {
				s.Log.Info("metrics", "url", urlOf(metrics, nil)+"/metrics")
			}
			s.Log.Info("witnessing", "name", w.Name(), "url", url, "pid", os.Getpid())
			ctx, stop := context.WithCancel(c.Context())
			watched := make(chan struct{})
			go func() { defer close(watched); a.watchLogs(ctx, w, p.logs, s.Log, s.GossipInterval) }()
			defer func() { stop(); <-watched }()
			if err := s.Serve(ctx, l); err != nil {
				return err
			}
			s.Log.Info("ended", "name", w.Name())
			return nil
		},
	}
	flags.flags(c)
	return c
}

// leastToCosign is far more than a witness writes, and more than its next start needs.
const leastToCosign = 256 // megabytes

// watchLogs puts a changed list in force: on SIGHUP at once, otherwise at the next
// round. A list that cannot be read changes nothing, and is told.
func (a *app) watchLogs(ctx context.Context, w *witness.Witness, name string, log *slog.Logger, every time.Duration) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	tick := time.NewTicker(max(every, time.Second))
	defer tick.Stop()
	last, _ := os.ReadFile(name)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
		case <-tick.C:
		}
		text, err := os.ReadFile(name)
		if err == nil && bytes.Equal(text, last) {
			continue
		}
		last = text
		var list witness.LogList
		if err == nil {
			list, err = witness.ParseLogs(text)
		}
		if err == nil {
			err = w.SetLogs(list)
		}
		if err != nil {
			log.Error("the list of logs is not taken; the old one stays in force", "file", name, "err", err)
			continue
		}
		log.Info("the list of logs changed", "file", name, "logs", len(list))
	}
}
