package main

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

func (a *app) trust() *cobra.Command {
	var charter, dir string
	var noSync, asJSON bool
	var maxAge time.Duration
	c := &cobra.Command{
		Use:   "trust URL… --charter ID --to DIR",
		Short: "Pin a ledger by its charter: make a trust directory",
		Long: `Makes a trust directory, which is all that a verifier needs of a ledger: the pinned
charter, the charters after it, their policies, the newest checkpoint, and a
replayed copy of every entry. For all of it the URL of any mirror will do that serves
the log as C2SP tlog-tiles, such as a static web server: the charters are found among the
entries. Of several URLs of one ledger all are kept: where one is away or behind, the next
is asked, then as later. --no-sync leaves the entries for docket sync; then the server's own chain of
charters is asked for, which a mirror of tiles alone does not have.

The charter's record ID is the ledger's name. Take it from the authority by a way
that the server does not control: its gazette, its letterhead, a phone call.

What is cut off goes on with the same command, or with docket sync.

Exit status 3: the ledger has published nothing yet, and no directory is made; or
its newest checkpoint is older than --max-age, and the directory is there all the
same.`,
		Example: "  docket trust https://docket.ocr.example --charter 6f1c…9e --to trust",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := a.charterID(charter)
			if err != nil {
				return err
			}
			server, err := a.connect(0, args...)
			if err != nil {
				return err
			}
			if info, err := os.Stat(dir); errors.Is(err, syscall.ENOTDIR) || err == nil && !info.IsDir() {
				return usageError("--to %s: a file stands there, or in the way to it; want a directory that is not there yet, or is empty", dir)
			}
			t, err := client.CreateTrust(c.Context(), vfs.Default, dir, server, id)
			if errors.Is(err, client.ErrNotEmpty) {
				return refusal("%w", err).hint("name with --to a directory that is not there yet, or is empty")
			} else if errors.Is(err, client.ErrOtherCharter) {
				return refusal("%w", err).hint("name another directory with --to, or move %s away", dir)
			} else if err != nil {
				return explainNotPinned(server, err)
			}
			defer t.Close()
			t.MaxAge = maxAge
			before := t.CoveredSize()
			switch {
			case !noSync:
				err = a.syncTrust(c.Context(), t, server)
			case before == 0: // a copy must not fall behind its checkpoint
				err = a.saveEvidence(t, t.Refresh(c.Context(), server))
			}
			if err != nil {
				return err
			}
			a.printLedger(t)
			if noSync && before == 0 {
				a.logf("not synced: receipts verify, and who had the right to sign is NOT CHECKED until docket sync --trust %s", dir)
				err = a.printPinned(t, asJSON)
			} else {
				err = a.printCopy(t, before, asJSON)
			}
			if err != nil {
				return err
			}
			return checkAge(t.Checkpoint(), maxAge)
		},
	}
	f := c.Flags()
	maxAgeFlag(c, &maxAge)
	f.StringVar(&charter, "charter", "", "the charter's record ID, or its envelope or receipt")
	f.StringVar(&dir, "to", "", "directory to make")
	f.BoolVar(&noSync, "no-sync", false, "fetch no entries: charters, policies and checkpoint only; not from a mirror of tiles alone")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("charter")
	c.MarkFlagRequired("to")
	c.MarkFlagDirname("to")
	return c
}

// charterID reads what --charter names.
func (a *app) charterID(charter string) (record.ID, error) {
	if id, err := record.ParseID(charter); err == nil && !id.IsZero() {
		return id, nil
	}
	if err := requireFullID(charter); err != nil {
		return record.ID{}, err
	}
	id, _, err := a.resolveRecord(charter)
	if err != nil {
		return record.ID{}, usageError("--charter %s: want a record ID (64 hexadecimal digits), or the charter's envelope or receipt: %w", charter, err)
	}
	if st, _ := statementOfFile(charter); st != nil && st.Kind != record.KindCharter {
		return record.ID{}, usageError("--charter %s: this is %s %s; want the ledger's charter", charter, article(st.Kind), st.Kind)
	} else if st != nil && !st.Follows.IsZero() {
		return record.ID{}, usageError("--charter %s: this charter follows another one, %s; want the first, by which the ledger is named", charter, st.Follows).hint("if that one follows none itself, it is the first")
	}
	return id, nil
}

// requireFullID refuses a record ID that was shortened for people: what pins a ledger is all of it.
func requireFullID(id string) error {
	shown, _, cut := strings.Cut(strings.ReplaceAll(id, "...", "…"), "…")
	if !cut || shown == "" || strings.Trim(shown, "0123456789abcdef") != "" {
		return nil
	}
	return usageError("--charter %s is abbreviated; want all 64 hexadecimal digits of the record ID", id).hint("the authority gives it out; the charter's envelope or receipt will do, too")
}

// explainNotPinned says of a URL that shows no checkpoint whether a ledger is there, as far as
// its answers tell.
func explainNotPinned(server *client.Client, err error) error {
	var answer *wire.StatusError
	var none *client.NoLedgerError
	switch {
	case !errors.As(err, &answer):
		return err
	case errors.As(err, &none):
		return refusal("%s shows no checkpoint: %w", server.URL(), answer).hint("no ledger is served at this URL, as far as one can see; compare it with what the authority gives out")
	case errors.Is(err, client.ErrUnpublished):
		return notYet("%s shows no checkpoint", server.URL()).hint("if that is the ledger's URL, it has published nothing yet and waits for its witnesses, see %s/v1/witnesses; run the same command again when they have cosigned", server.URL())
	}
	return err
}

// printLedger says whose ledger it is, and what its policy is worth.
func (a *app) printLedger(t *client.Trust) {
	charter, index := t.Charter()
	a.logf("%s: %s, charter at #%d", printable(charter.Origin), printable(charter.Name), index)
	policy, err := proof.ParsePolicy([]byte(charter.Policy))
	if err != nil {
		return // it was parsed when the charter was judged
	}
	a.logf("policy %s: quorum %s", policy.Fingerprint(), quorumText(policy))
	a.warnPolicy(policy)
}

func (a *app) printPinned(t *client.Trust, asJSON bool) error {
	cp := t.Checkpoint().Checkpoint()
	if asJSON {
		return a.printJSON(map[string]any{"ledger": t.Ledger(), "origin": cp.Origin, "size": cp.Size, "root": cp.Root.String(), "synced": false})
	}
	a.printf("%s %s\n", cp.Origin, asOf(t.Checkpoint()))
	return nil
}
