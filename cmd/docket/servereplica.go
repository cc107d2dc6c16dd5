package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/replica"
	"github.com/seed-53cf897a/docket/ledger/disk"
)

// replicaFlags are the flags of serve --replica.
type replicaFlags struct {
	on      bool
	trust   *trustFlags
	charter string
	from    string
}

// writerOnly are the flags of serve that say something of a writer.
var writerOnly = []string{"dir", "min-free", "publish-interval", "heartbeat", "witness-timeout", "witness-interval", "auditor", "new-log", "allow-rollback", "issuer-rate", "issuer-burst"}

func (r *replicaFlags) flags(a *app, c *cobra.Command) {
	r.trust = a.trustFlags(c)
	c.Flags().BoolVar(&r.on, "replica", false, "serve what another process writes, from a replayed copy of one's own")
	c.Flags().StringVar(&r.charter, "charter", "", "of a replica whose trust directory is new: the charter's record ID, or its envelope or receipt")
	c.Flags().StringVar(&r.from, "from", "", "of a replica: URL of the writer, or of another replica; default the trust directory's")
}

// check refuses flags that go together with no writer, or with no replica.
func (r *replicaFlags) check(c *cobra.Command) error {
	if r.on {
		return idle(c, "with --replica, which writes nothing", writerOnly...)
	}
	if err := idle(c, "without --replica", "trust", "charter", "from"); err != nil {
		return err
	}
	if !c.Flags().Changed("dir") {
		return usageErrorOf(c, "no directory of a ledger").hint("name it with --dir; --replica serves another's ledger, from a trust directory")
	}
	return nil
}

// stoppedFile, in a trust directory, says why a replica of it has ended for good.
const stoppedFile = "replica-stopped.txt"

// serveReplica is serve --replica.
func (a *app) serveReplica(c *cobra.Command, s *serveFlags, r *replicaFlags) (err error) {
	log := a.eventLog(s.verbose)
	_, sc, err := s.configs(log)
	if err != nil {
		return err
	}
	trust, source, err := r.open(c, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, trust.Close()) }()
	stopped := filepath.Join(trust.Dir(), stoppedFile)
	if words, err := os.ReadFile(stopped); err == nil {
		return refusal("this replica has ended for good: %s", strings.TrimSpace(string(words))).
			hint("trust neither history until it is explained; then remove %s", stopped)
	}
	trust.Health = disk.NewHealth(disk.Config{Log: log, WaitForSpace: true, Fatal: endFailed})
	forked := func(err error) {
		text := err.Error() + "\n"
		if err := errors.Join(a.saveEvidence(trust, err), replaceFile(stopped, []byte(text), 0o644)); err != nil {
			log.Error("what shows it", "dir", filepath.Join(trust.Dir(), evidenceDir), "err", err)
		}
	}
	copied, err := replica.Open(c.Context(), replica.Config{Trust: trust, Source: source, Health: trust.Health, Log: log, Forked: forked})
	if c.Context().Err() != nil {
		return nil // it was told to end while it made its first copy
	} else if err != nil {
		return a.saveEvidence(trust, err)
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
	} else if err != nil {
		return err
	}
	log.Info("ended", "origin", copied.Origin(), "size", copied.Size())
	return nil
}

// open opens the trust directory, or makes it, and says whom it follows.
func (r *replicaFlags) open(c *cobra.Command, log *slog.Logger) (*client.Trust, *client.Client, error) {
	a := r.trust.app
	if r.trust.dir == "" {
		return nil, nil, usageError("no trust directory for the replica").hint("name one with --trust DIR or $%s; with --charter ID and --from URL it is made", trustEnv)
	}
	if _, err := os.Stat(filepath.Join(r.trust.dir, "trust.json")); errors.Is(err, os.ErrNotExist) && r.charter != "" {
		if r.from == "" {
			return nil, nil, usageError("a replica whose trust directory is new follows whom?").hint("name the writer with --from URL")
		}
		id, err := a.charterID(r.charter)
		if err != nil {
			return nil, nil, err
		}
		source, err := client.New(r.from, nil)
		if err != nil {
			return nil, nil, usageError("--from: %w", err)
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
	r.trust.ledgers = []string{r.from}
	source, err := r.trust.connect(trust)
	if err != nil {
		return nil, nil, errors.Join(err, trust.Close())
	}
	return trust, source, nil
}
