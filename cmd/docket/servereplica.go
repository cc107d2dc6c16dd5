package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/replica"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
)

// replicaFlags are the flags of serve --replica.
type replicaFlags struct {
	on      bool
	trust   *trustFlags
	charter string
	from    string
	own     []string // vkeys of nodes of the same operator
	others  []string
}

// writerOnly are the flags of serve that say something of a writer.
var writerOnly = []string{"dir", "standby", "lease", "url", "min-free", "publish-interval", "commit-interval", "heartbeat", "witness-timeout", "witness-interval", "auditor", "new-log", "allow-rollback", "issuer-rate", "issuer-burst"}

func (r *replicaFlags) flags(a *app, c *cobra.Command) {
	r.trust = a.trustFlags(c).withDefaultMaxAge()
	c.Flags().BoolVar(&r.on, "replica", false, "serve what another process writes, from a replayed copy of one's own")
	c.Flags().StringVar(&r.charter, "charter", "", "of a replica whose trust directory is new: the charter's record ID, or its envelope or receipt")
	c.Flags().StringVar(&r.from, "from", "", "of a replica: URL of the writer, or of another replica; default the trust directory's")
	c.Flags().StringArrayVar(&r.own, "snapshot-key", nil, "of a replica or a standby: vkey of a node of the same operator, with whose snapshot a new copy may begin; may be repeated")
	c.Flags().StringArrayVar(&r.others, "other-snapshot-key", nil, "of a replica: likewise of another operator's node: what is shown stays unverified until the log is replayed; may be repeated")
}

// snapshotKeys are the keys that the flags name.
func (r *replicaFlags) snapshotKeys() (keys client.SnapshotKeys, err error) {
	var seen []proof.Key
	for flag, of := range map[string]struct {
		vkeys []string
		to    *[]proof.Key
	}{"snapshot-key": {r.own, &keys.Own}, "other-snapshot-key": {r.others, &keys.Others}} {
		for _, vkey := range of.vkeys {
			k, err := snapshot.ParseNodeKey(vkey)
			if err != nil {
				return keys, usageError("--%s: %w", flag, err).hint("docket keygen --node NAME prints the vkey of a node")
			}
			if slices.ContainsFunc(seen, func(s proof.Key) bool { return s.Name() == k.Name() && s.ID() == k.ID() }) {
				return keys, usageError("--%s %s: that key is given twice", flag, vkey).hint("a node is of the same operator or of another: leave one out")
			}
			seen = append(seen, k)
			*of.to = append(*of.to, k)
		}
	}
	return keys, nil
}

// snapshotFlags are the flags of a node that hands out snapshots of its register.
type snapshotFlags struct {
	key   string
	every time.Duration
}

func (s *snapshotFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.key, "node-key", "", "file of the key that signs snapshots of the register, with which replicas begin; they are handed out at /v1/snapshot (default: none)")
	c.Flags().DurationVar(&s.every, "snapshot-every", 6*time.Hour, "with --node-key: how often one is made")
	c.MarkFlagFilename("node-key")
}

func (s *snapshotFlags) check(c *cobra.Command) error {
	if s.key == "" {
		return idle(c, "without --node-key", "snapshot-every")
	}
	return notPositive(c, "snapshot-every", s.every)
}

func notPositive(c *cobra.Command, flag string, d time.Duration) error {
	if d <= 0 {
		return usageErrorOf(c, "--%s %s: want a duration like 6h", flag, d)
	}
	return nil
}

// open opens the directory of snapshots in that of the node; nil where it signs none.
func (s *snapshotFlags) open(a *app, dir string) (*snapshot.Dir, error) {
	if s.key == "" {
		return nil, nil
	}
	text, err := a.readFile(s.key)
	if err != nil {
		return nil, err
	}
	signer, err := snapshot.ParseSigner(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return nil, usageError("--node-key %s: %w", s.key, err).hint("docket keygen --out FILE --node NAME makes one")
	}
	return snapshot.OpenDir(vfs.Default, filepath.Join(dir, "snapshots"), signer)
}

// during makes snapshots of a writer's register while it serves.
func (s *snapshotFlags) during(ctx context.Context, n *node.Node, origin string, dir *snapshot.Dir, log *slog.Logger, serve func() error) error {
	if dir == nil {
		return serve()
	}
	ctx, stop := context.WithCancel(ctx)
	var making sync.WaitGroup
	making.Go(func() {
		replica.Snapshots{Dir: dir, Register: n.Register, Origin: origin, Published: n.Ledger.PublishedSize, Every: s.every, Log: log}.Run(ctx)
	})
	err := serve()
	stop()
	making.Wait()
	return err
}

// makeNodeKey makes the key of a node: out, and out.pub with its vkey.
func (a *app) makeNodeKey(out, name string) error {
	secret, vkey, err := proof.GenerateKey(proof.Ed25519, name)
	if err != nil {
		return usageError("--node: %w", err)
	}
	if err := writeNew(out, []byte(secret+"\n"), 0o600); err != nil {
		return err
	}
	if err := writeNew(out+".pub", []byte(vkey+"\n"), 0o644); err != nil {
		os.Remove(out)
		return err
	}
	a.logf("docket: warning: %s is not encrypted; anyone who reads it can sign", out)
	a.warnOfReaders(out)
	a.logf("wrote %s and %s.pub", out, out)
	a.printf("%s\n", vkey)
	return nil
}

// check refuses flags that go together with no writer, or with no replica.
func (r *replicaFlags) check(c *cobra.Command, standby bool) error {
	if r.on {
		return idle(c, "with --replica, which writes nothing", writerOnly...)
	}
	if err := idle(c, "without --replica", "trust", "charter", "from", "other-snapshot-key"); err != nil {
		return err
	}
	if !standby {
		if err := idle(c, "without --replica or --standby", "snapshot-key"); err != nil {
			return err
		}
	}
	if !c.Flags().Changed("dir") {
		return usageErrorOf(c, "no directory of a ledger").hint("name it with --dir; --replica serves another's ledger, from a trust directory")
	}
	return nil
}

// stoppedFile, in a trust directory, says why a replica of it has ended for good.
const stoppedFile = "replica-stopped.txt"

// serveReplica is serve --replica.
func (a *app) serveReplica(c *cobra.Command, s *serveFlags, r *replicaFlags, snapshots *snapshotFlags) (err error) {
	log := a.eventLog(s.verbose)
	_, sc, err := s.configs(log)
	if err != nil {
		return err
	}
	over, closeStore, err := r.openStore(c, s.store, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	trust, source, err := r.open(c, over)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, trust.Close()) }()
	config := replica.Config{Trust: trust, Source: source, Over: over, Log: log, SnapshotEvery: snapshots.every}
	stopped := filepath.Join(trust.Dir(), stoppedFile)
	if words, err := os.ReadFile(stopped); err == nil {
		return refusal("this replica has ended for good: %s", strings.TrimSpace(string(words))).
			hint("trust neither history until it is explained; then remove %s", stopped)
	}
	if trust.Snapshots, err = r.snapshotKeys(); err != nil {
		return err
	}
	trust.Remote = source
	if sc.Snapshots, err = snapshots.open(a, trust.Dir()); err != nil {
		return err
	}
	trust.Health = disk.NewHealth(disk.Config{Log: log, WaitForSpace: true, Fatal: endFailed})
	config.Health = trust.Health
	config.Forked = func(err error) {
		text := err.Error() + "\n"
		if err := errors.Join(a.saveEvidence(trust, err), replaceFile(stopped, []byte(text), 0o644)); err != nil {
			log.Error("what shows it", "dir", filepath.Join(trust.Dir(), evidenceDir), "err", err)
		}
	}
	copied, err := replica.Open(c.Context(), config)
	if c.Context().Err() != nil {
		return nil // it was told to end while it made its first copy
	} else if fork := (*client.InconsistencyError)(nil); errors.As(err, &fork) {
		evidence := a.saveEvidence(trust, err)
		if bad := replaceFile(stopped, []byte(err.Error()+"\n"), 0o644); bad != nil {
			return errors.Join(evidence, bad)
		}
		return evidence
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	l, metrics, err := s.listen.open()
	if err != nil {
		return err
	}
	sc.MetricsListener = metrics
	url := urlOf(l, sc.TLS)
	a.printf("%s\n", url)
	if metrics != nil {
		log.Info("metrics", "url", urlOf(metrics, nil)+"/metrics")
	}
	log.Info("serving a replica", "origin", copied.Origin(), "size", copied.Size(), "from", source.URL(), "url", url, "pid", os.Getpid())
	err = copied.Serve(c.Context(), l, sc)
	var fork *client.InconsistencyError
	if errors.As(err, &fork) {
		return refusal("%w", err).hint("what the log signed is in %s: hand it to the witnesses, and trust neither history until it is explained", filepath.Join(trust.Dir(), evidenceDir))
	} else if wrong := (*client.SnapshotError)(nil); errors.As(err, &wrong) {
		return explainWrongSnapshot(err, wrong)
	} else if err != nil {
		return err
	}
	log.Info("ended", "origin", copied.Origin(), "size", copied.Size())
	return nil
}

func explainWrongSnapshot(err error, wrong *client.SnapshotError) error {
	return refusal("%w", err).hint("nothing of its rows is left: the same command replays the log; ask whoever runs %s what is wrong with that machine", wrong.By.Name())
}

// openStore opens the store that is followed in place of a server; nil where none is.
func (r *replicaFlags) openStore(c *cobra.Command, name string, log *slog.Logger) (*replica.Store, func() error, error) {
	if name == "" {
		return nil, func() error { return nil }, nil
	}
	if r.from != "" {
		return nil, nil, usageErrorOf(c, "--from and --store both say what the replica follows: want one of them")
	}
	at, err := parseStore(name)
	if err != nil {
		return nil, nil, fmt.Errorf("--store: %w", err)
	}
	if !at.IsShared() {
		return nil, nil, usageError("--store %s is a directory, which its writer alone reads; want a bucket or a database", name).hint("--from URL follows the writer of a ledger that is kept in a directory")
	}
	store, err := stores.OpenShared(c.Context(), at, stores.Options{Log: log})
	if err != nil {
		return nil, nil, refusal("opening %s: %w", at, err).hint("see that it is reached from here, with credentials in the environment that may read")
	}
	return followStore(store, at, standby.Config{Log: log}), store.Close, nil
}

// followStore reads a store. The writer of one that is on this machine may be on it too.
func followStore(store ledger.Shared, at stores.URL, c standby.Config) *replica.Store {
	over := replica.NewStore(store, at.Name(), c)
	if at.IsLocal() {
		over.Ahead = http.DefaultTransport
	}
	return over
}

// open opens the trust directory, or makes it, and says whom it follows: the store, where there is
// one.
func (r *replicaFlags) open(c *cobra.Command, over *replica.Store) (*client.Trust, *client.Client, error) {
	a := r.trust.app
	if r.trust.dir == "" {
		return nil, nil, usageError("no trust directory for the replica").hint("name one with --trust DIR or $%s; with --charter ID and --from URL it is made", trustEnv)
	}
	if _, err := os.Stat(filepath.Join(r.trust.dir, "trust.json")); errors.Is(err, os.ErrNotExist) && r.charter != "" {
		if r.from == "" && over == nil {
			return nil, nil, usageError("a replica whose trust directory is new follows whom?").hint("name the writer with --from URL, or the bucket or database that it writes to with --store URL")
		}
		id, err := a.charterID(r.charter)
		if err != nil {
			return nil, nil, err
		}
		source, err := r.follow(over)
		if err != nil {
			return nil, nil, err
		}
		trust, err := client.CreateTrust(c.Context(), vfs.Default, r.trust.dir, source, id)
		if err != nil {
			return nil, nil, explainNotPinned(source, err)
		}
		return trust, source, nil
	}
	trust, err := r.trust.open()
	if err != nil {
		return nil, nil, err
	}
	if r.charter != "" {
		if id, err := a.charterID(r.charter); err != nil {
			return nil, nil, errors.Join(err, trust.Close())
		} else if id != trust.Ledger() {
			return nil, nil, errors.Join(usageError("--charter %s: %s pins another, %s", id, trust.Dir(), trust.Ledger()).hint("leave --charter out, or name another directory"), trust.Close())
		}
	}
	if over != nil {
		return trust, over.Client(), nil
	}
	if r.from != "" {
		r.trust.ledgers = []string{r.from}
	}
	source, err := r.trust.connect(trust)
	if err != nil {
		return nil, nil, errors.Join(err, trust.Close())
	}
	return trust, source, nil
}

// follow is the client of a source that the flags name.
func (r *replicaFlags) follow(over *replica.Store) (*client.Client, error) {
	if over != nil {
		return over.Client(), nil
	}
	source, err := client.New(r.from, nil)
	if err != nil {
		return nil, usageError("--from: %w", err)
	}
	return source, nil
}
