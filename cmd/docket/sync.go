package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
)

func (a *app) sync() *cobra.Command {
	var asJSON, verify bool
	var with []string
	c := &cobra.Command{
		Use:   "sync --trust DIR",
		Short: "Bring a trust directory's replayed copy to the newest checkpoint",
		Long: `Fetches every entry that the copy does not have yet, hashes it, verifies its
signatures and judges it by the rules, as the ledger had to; then compares the root
with the newest published checkpoint, which must continue the one trusted before, and
satisfy the policy of the newest charter among the entries. Any mirror of the log will do
that serves it as C2SP tlog-tiles.

It also learns how much a quorum of witnesses had cosigned when, from that checkpoint
and from those that the ledger has kept since the last sync, which must be of the same
history: docket show --at says by it what was knowable then.

It can be interrupted at any point and goes on where it was; until it is through, the
copy that was there answers. Others read meanwhile as they like; of two syncs of one
directory the second waits for the first, half a minute at most.

Where the server withholds an entry (docket withhold), the copy goes up to it: its hashes go
on to the newest checkpoint, by which receipts verify, and nothing from that index on is
judged. Whoever had the entry before goes on with it. --with names another server, mirror
or directory that has it; nothing it gives is believed but what the log has signed.

--verify reads the copy's own files anew from the first entry on, and fetches what is
damaged in them or missing. A copy whose newest files are damaged is mended so by any
sync.

A ledger that went back, or that shows another history than before, is refused: both
checkpoints are kept in the trust directory, since they are the evidence.

Exit status 3: an entry is withheld, and the copy cannot judge from it on; what is shown is older than what the copy has, as a mirror may be behind;
or the newest checkpoint is older than --max-age. The copy is brought to
it all the same; what came after it, if anything did, is not there.`,
		Example: "  docket sync --trust trust",
		Args:    cobra.NoArgs,
	}
	t := a.trustFlags(c).addLedgerFlag(c).withMaxAgeFlag(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&verify, "verify", false, "check every file of the copy, and mend what is damaged")
	c.Flags().StringArrayVar(&with, "with", nil, "URL of a server or mirror, or a directory, that may have what the server withholds; may be repeated")
	c.RunE = func(c *cobra.Command, _ []string) error {
		trust, err := t.open()
		if err != nil {
			return err
		}
		defer trust.Close()
		server, err := t.connect(trust)
		if err != nil {
			return err
		}
		if trust.With, err = a.sources(with); err != nil {
			return err
		}
		before := trust.CoveredSize()
		follow := trust.Sync
		if verify {
			follow = func(ctx context.Context, c *client.Client, progress func(reached, size uint64)) error {
				mended, err := trust.VerifyCopy(ctx, c, progress)
				if err == nil && mended > 0 {
					a.logf("docket: warning: %s of entries in %s were damaged or missing, and are fetched again: look after that disk", plural(mended, "bundle"), trust.Dir())
				}
				return err
			}
		}
		if err := a.syncWith(c.Context(), trust, server, follow); err != nil {
			return err
		}
		if err := a.printCopy(trust, before, asJSON); err != nil {
			return err
		}
		if withheld := trust.Withheld(); withheld != nil {
			return notYet("%w", withheld).hint("receipts verify as before; docket sync --with URL-or-DIR completes the copy from whoever has the entry")
		}
		return checkAge(trust.Checkpoint(), t.maxAge)
	}
	return c
}

// sources are other places of the log: URLs, and directories, of a backup the log in it.
func (a *app) sources(names []string) (all []client.Source, err error) {
	for _, name := range names {
		if strings.Contains(name, "://") {
			c, err := client.New(name, nil)
			if err != nil {
				return nil, usageError("--with: %w", err)
			}
			all = append(all, c.Source())
			continue
		}
		if _, err := os.Stat(filepath.Join(name, node.BackupFile)); err == nil {
			name = filepath.Join(name, "log")
		}
		if info, err := os.Stat(filepath.Join(name, "tile")); err != nil || !info.IsDir() {
			return nil, usageError("--with %s: there are no tiles in it", name).hint("want a URL, a synced trust directory, a mirror in the layout of C2SP tlog-tiles, or a backup")
		}
		all = append(all, client.Directory(vfs.Default, name))
	}
	return all, nil
}

// syncTrust syncs a copy, with a bar on a terminal, and keeps the evidence of a fork.
func (a *app) syncTrust(ctx context.Context, trust *client.Trust, server *client.Client) error {
	return a.syncWith(ctx, trust, server, trust.Sync)
}

func (a *app) syncWith(ctx context.Context, trust *client.Trust, server *client.Client, follow func(context.Context, *client.Client, func(reached, size uint64)) error) error {
	var bar *progressbar.ProgressBar
	err := follow(ctx, server, func(reached, size uint64) {
		if bar == nil {
			bar = a.progress("replaying", int64(size))
		}
		bar.Set64(int64(reached))
	})
	if bar != nil {
		bar.Finish()
	}
	if err == nil {
		a.warnPolicies(trust) // a charter among the entries may have brought another one
	}
	if why := trust.TimesErr(); err == nil && why != nil {
		a.logf("docket: warning: %v; the next sync asks again", why)
	}
	return a.saveEvidence(trust, err)
}

// saveEvidence writes what a log signed against itself beside the copy.
func (a *app) saveEvidence(trust *client.Trust, err error) error {
	var fork *client.InconsistencyError
	if !errors.As(err, &fork) || trust == nil {
		return err
	}
	dir := filepath.Join(trust.Dir(), evidenceDir)
	next, bad := writeForkEvidence(dir, fork)
	if bad != nil {
		return errors.Join(err, bad)
	}
	return refusal("%w", err).hint("%s, and trust neither history until it is explained", next)
}

// writeForkEvidence writes what a log signed against itself, and says what to do with it.
// Each file is named by its content: the same tree may come with other cosignatures
// the next time.
func writeForkEvidence(dir string, fork *client.InconsistencyError) (next string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	var notes []string
	for _, note := range [][]byte{fork.TrustedNote, fork.ShownNote} {
		if note == nil {
			continue // only the entries show it
		}
		name, err := writeNote(dir, note)
		if err != nil {
			return "", err
		}
		notes = append(notes, name)
	}
	if fork.Evidence == nil {
		return "show the witnesses what the log signed: docket witness gossip --to URL " + strings.Join(notes, " "), nil
	}
	name := filepath.Join(dir, evidenceName(fork.Shown.Size, fork.Evidence, proof.EvidenceSuffix))
	return "this proves it to anybody who has the log's key; hand it to the witnesses: docket witness gossip --to URL " + name, writeNew(name, fork.Evidence, 0o644)
}

// writeNote keeps a checkpoint in a directory, which it makes.
func writeNote(dir string, note []byte) (name string, err error) {
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	name = filepath.Join(dir, evidenceName(cp.Size, note, ".checkpoint"))
	return name, writeNew(name, note, 0o644)
}

// evidenceDir is where a trust directory keeps what a log signed against itself.
const evidenceDir = "evidence"

// evidenceName names a file by what is in it: the same tree may come with other
// cosignatures the next time.
func evidenceName(size uint64, data []byte, suffix string) string {
	sum := sha256.Sum256(data)
	return fmt.Sprintf("evidence-%d-%x%s", size, sum[:6], suffix)
}

// printCopy says how far a copy goes.
func (a *app) printCopy(trust *client.Trust, before uint64, asJSON bool) error {
	p, withheld := trust.Checkpoint(), trust.Withheld()
	cp := p.Checkpoint()
	judged := cp.Size
	if withheld != nil {
		judged = withheld.Index
	}
	if asJSON {
		out := map[string]any{"ledger": trust.Ledger(), "origin": cp.Origin, "size": cp.Size, "root": cp.Root.String(), "new": judged - before}
		if withheld != nil {
			out["withheld"], out["judged"] = withheld, judged
		}
		if at := p.LastCosignedAt(); !at.IsZero() {
			out["cosignedAt"] = at
		}
		return a.printJSON(out)
	}
	if withheld != nil {
		a.logf("%s: %s replayed and judged, %d of them new; the hashes of the other %d make the signed tree", trust.Dir(), register.FormatEntryCount(judged), judged-before, cp.Size-judged)
	} else {
		a.logf("%s: every entry replayed and judged, %d of them new", trust.Dir(), cp.Size-before)
	}
	a.printf("%s %s\n", cp.Origin, asOf(p))
	return nil
}

// renewTrust brings a trust directory to the newest checkpoint, its copy too if it has one:
// a copy that is behind its checkpoint answers nothing.
func (a *app) renewTrust(ctx context.Context, trust *client.Trust, server *client.Client) error {
	switch _, err := trust.Register(); {
	case errors.Is(err, client.ErrNoCopy):
		return a.saveEvidence(trust, trust.Refresh(ctx, server))
	case err != nil:
		return err // such as one that another process has open
	}
	return a.syncTrust(ctx, trust, server)
}

// withRenewal calls ask, and once more after a sync of the trust directory if the
// result does not verify: a new charter may have replaced the known policies. Evidence
// of a fork is saved. With a policy alone (trust nil) there is one call.
func withRenewal[T any](ctx context.Context, a *app, trust *client.Trust, server *client.Client, ask func() (T, error)) (T, error) {
	answer, err := ask()
	status, _ := exitStatusOf(err)
	var fork *client.InconsistencyError
	switch {
	case err == nil, trust == nil, status == exitNotYet, isProblem(err):
		return answer, err
	case !errors.As(err, &fork):
		if fresh := a.renewTrust(ctx, trust, server); fresh != nil {
			return answer, errors.Join(err, fresh)
		}
		answer, err = ask()
	}
	return answer, a.saveEvidence(trust, err)
}

func isProblem(err error) bool {
	var p *client.Problem
	return errors.As(err, &p)
}
