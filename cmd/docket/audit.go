package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

func (a *app) audit() *cobra.Command {
	u := auditCmd{app: a}
	c := &cobra.Command{
		Use:   "audit URL… | DIR",
		Short: "Replay a whole ledger and judge everything in it",
		Long: `Replays a ledger from its first entry: every leaf is hashed, every signature verified,
every record judged by the rules in force at its index, every tile compared with
what the entries make, the checkpoint held against the charter's policy, admission
times against the witnesses' times on the checkpoints that the server kept. Whatever
does not add up is a finding, printed as it comes; with any, the exit status is 1. What
a mirror hands out that the log did not sign is the mirror's fault, and is called that.

The ledger is a server, or a directory in the layout of C2SP tlog-tiles, such as a
trust directory. Of several URLs of one ledger the next is asked where one is away, or
behind what was trusted. --trust or --charter says which ledger it must be, and --trust
also that it continues what was trusted before; with neither it is the ledger of
whoever wrote its charter, and the report says so.

--cosign KEY cosigns the checkpoint once all of that added up (tlog-cosignature): by this
key, every entry below was replayed and judged. docket keygen --cosigner NAME makes such a
key, which is no witness's and no party's. What it cosigned lies beside it, in
KEY.cosigned, durable before it signs: it never cosigns less, nor what does not continue
that, nor after the log was found at fault. KEY.cosigned/HASH/checkpoint is the result;
--submit hands it to the ledger, which gives receipts against it.`,
		Example: `  docket audit --trust trust https://docket.ocr.example
  docket audit --charter 6f1c…9e ./mirror
  docket audit --trust trust --cosign audit.key --submit https://docket.ocr.example`,
		Args: cobra.MinimumNArgs(1),
		PreRunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("charter") {
				if err := idle(c, "beside --charter, which says which ledger it must be", "trust"); err != nil {
					return err
				}
				u.trust.dir = ""
			}
			if u.key == "" {
				if err := idle(c, "without --cosign: there is nothing to hand in", "submit", "ledger"); err != nil {
					return err
				}
			}
			if !u.submit {
				if err := idle(c, "without --submit: it says where the cosignature goes", "ledger"); err != nil {
					return err
				}
			}
			if !strings.Contains(args[0], "://") {
				return idle(c, "on a directory: it is as old as it is", "max-age")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return u.run(c.Context(), args) },
	}
	u.trust = a.trustFlags(c).addLedgerFlag(c).withMaxAgeFlag(c)
	c.Flags().StringVar(&u.charter, "charter", "", "the charter's record ID, or its envelope or receipt")
	c.Flags().StringVar(&u.key, "cosign", "", "an auditor's key: cosign the checkpoint if everything adds up")
	c.Flags().BoolVar(&u.submit, "submit", false, "hand the cosignature to the ledger that was audited, or to --ledger")
	c.Flags().BoolVar(&u.asJSON, "json", false, "print JSON")
	return c
}

// auditCmd is one run of docket audit.
type auditCmd struct {
	app        *app
	targets    []string // what is audited, as it was named: URLs of one ledger, or a directory
	trust      *trustFlags
	isTrustDir bool // it is a trust directory
	charter    string
	key        string // that cosigns; "" if none does
	submit     bool
	asJSON     bool

	auditor  proof.Key     // of that key
	cosigned *cosignedJSON // what it has cosigned
}

func (u *auditCmd) run(ctx context.Context, targets []string) error {
	u.targets = targets
	where := targets[0]
	var audit client.Audit
	if err := u.openSource(&audit, targets); err != nil {
		return err
	}
	if err := u.pinLedger(&audit, where); err != nil {
		return err
	}
	var auditor *client.Auditor
	if u.key != "" {
		if audit.Charter.IsZero() {
			return usageError("--cosign: which ledger is it to be?").hint("pin it with --trust DIR or --charter ID: nothing is cosigned of anybody's ledger")
		}
		if u.submit {
			if _, err := u.submitTo(); err != nil {
				return err
			}
		}
		var err error
		if auditor, u.auditor, err = u.app.openAuditor(u.key); err != nil {
			return err
		}
		defer auditor.Close()
		audit.Cosigner = u.auditor
	}
	dir, err := os.MkdirTemp("", "docket-audit-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := client.Room(vfs.Default, dir, 0, 0); err != nil {
		return err
	}
	audit.RegisterFiles, audit.RegisterDir, audit.Fatal = vfs.Default, dir, u.app.diskFailed
	var bar *progressbar.ProgressBar
	audit.OnProgress = func(reached, size uint64) {
		if bar == nil {
			bar = u.app.progress("judging", int64(size))
		}
		bar.Set64(int64(reached))
	}
	if !u.asJSON {
		audit.OnFinding = func(finding string) {
			if bar != nil {
				bar.Clear()
			}
			u.app.printf("finding: %s\n", printable(finding))
		}
	}
	report, err := audit.Run(ctx)
	if bar != nil {
		bar.Finish()
	}
	if err != nil {
		return err
	}
	if report.Published != nil && strings.Contains(where, "://") {
		if old := client.CheckAge(report.Published, u.trust.maxAge, time.Now()); old != nil {
			report.Notes = append(report.Notes, old.Error())
		}
	}
	var failed error
	if auditor != nil {
		u.cosigned, failed = u.cosign(ctx, auditor, report)
	}
	if err := u.printReport(report); err != nil {
		return err
	}
	return failed
}

// openSource is the log: a server's, or a directory.
func (u *auditCmd) openSource(audit *client.Audit, targets []string) error {
	where := targets[0]
	if strings.Contains(where, "://") {
		server, err := u.app.connect(0, targets...)
		if err != nil {
			return err
		}
		audit.Source = server.Source()
		return nil
	} else if len(targets) > 1 {
		return usageError("want one directory, or the URLs of one ledger")
	}
	info, err := os.Stat(where)
	if ofMachine(err) {
		return refusal("%w", err)
	} else if err != nil || !info.IsDir() {
		return usageError("%s is neither a URL nor a directory", where)
	}
	if _, err := os.Stat(filepath.Join(where, "checkpoint")); errors.Is(err, fs.ErrNotExist) {
		return usageError("%s: no log to audit: there is no checkpoint in it", where).hint("want a trust directory that was synced, or a mirror in the layout of C2SP tlog-tiles; a ledger's own directory is audited through its server: docket audit URL")
	}
	audit.Source = client.Directory(vfs.Default, where)
	return u.requireCopy(where)
}

// requireCopy refuses a trust directory that holds no entries; any other directory may
// be a mirror.
func (u *auditCmd) requireCopy(dir string) error {
	trust, err := client.OpenTrust(vfs.Default, dir)
	if err != nil {
		return nil // it is none, or what is wrong with it is a finding
	}
	defer trust.Close()
	u.isTrustDir, trust.Fatal = true, u.app.diskFailed
	if err := u.app.rebuildCopy(u.trust.context(), trust); err != nil {
		return err
	}
	if trust.CoveredSize() == 0 {
		return refusal("%s has no replayed copy to audit", dir).hint("docket sync --trust %s makes one; docket audit URL --trust %[1]s replays the server's", dir)
	}
	return nil
}

// pinLedger says which ledger it must be. A trust directory that is audited itself is
// held against its own pin.
func (u *auditCmd) pinLedger(audit *client.Audit, where string) (err error) {
	if u.charter != "" {
		audit.Charter, err = u.app.charterID(u.charter)
		return err
	}
	dir := u.trust.dir
	if dir == "" {
		dir = where
	}
	trust, err := client.OpenTrust(vfs.Default, dir)
	switch {
	case errors.Is(err, client.ErrNoTrust) && u.trust.dir == "":
		return nil
	case errors.Is(err, client.ErrNoTrust):
		return usageError("%w", err)
	case err != nil:
		return err
	}
	audit.Charter, audit.Trusted, audit.TrustedTiles = trust.Ledger(), trust.Checkpoint(), client.Directory(vfs.Default, dir).Tiles
	audit.TrustedPolicies = trust
	return trust.Close()
}

// auditJSON is what audit prints as JSON.
type auditJSON struct {
	Ledger     record.ID        `json:"ledger"`
	Origin     string           `json:"origin,omitempty"`
	Size       uint64           `json:"size"`
	Root       string           `json:"root"`
	Judged     uint64           `json:"judged"`
	Signatures uint64           `json:"signatures"`
	Kept       int              `json:"keptCheckpoints"`
	Consistent bool             `json:"consistent"`
	Withheld   *client.Withheld `json:"withheld,omitempty"`
	Findings   []string         `json:"findings"`
	More       int              `json:"moreFindings,omitempty"` // beyond those listed
	Notes      []string         `json:"notes"`

	Cosigned *cosignedJSON `json:"cosigned,omitempty"`
}

func (u *auditCmd) printReport(r *client.AuditReport) error {
	out := auditJSON{
		Ledger: r.Ledger, Size: r.Tree.Size, Root: r.Tree.Root.String(), Judged: r.Checked, Signatures: r.Signatures, Kept: r.Archived,
		Consistent: len(r.Findings) == 0 && r.Withheld == nil, Withheld: r.Withheld, Findings: append([]string{}, r.Findings...), More: r.MoreFindings, Notes: append([]string{}, r.Notes...),
		Cosigned: u.cosigned,
	}
	if r.Published != nil {
		out.Origin = r.Published.Checkpoint().Origin
	}
	if u.asJSON {
		if err := u.app.printJSON(out); err != nil {
			return err
		}
	} else {
		u.printText(r, out)
	}
	if r.Fork != nil && u.trust.dir != "" {
		next, err := writeForkEvidence(filepath.Join(u.trust.dir, evidenceDir), r.Fork)
		if err != nil {
			return err
		}
		return refusal("%s does not add up: %s", u.targets[0], plural(len(r.Findings)+r.MoreFindings, "finding")).hint("%s", next)
	}
	if r.RootMismatch || r.SourceFindings > 0 && r.SourceFindings == len(r.Findings)+r.MoreFindings {
		f := refusal("%s does not add up: %s", u.targets[0], plural(len(r.Findings)+r.MoreFindings, "finding"))
		if u.isTrustDir {
			return f.hint("the copy is damaged, which says nothing about the ledger: docket sync --verify --trust %s mends it", u.targets[0])
		}
		return f.hint("this says nothing about the ledger: audit another server or mirror of it")
	}
	if n := len(r.Findings); n > 0 {
		return refusal("%s does not add up: %s", u.targets[0], plural(n+r.MoreFindings, "finding")).hint("keep the ledger's checkpoint and this report: they are the evidence")
	}
	if r.Withheld != nil {
		return notYet("%s: %w", u.targets[0], r.Withheld).hint("audit another server or mirror that has it; or docket sync --with URL-or-DIR brings a copy beyond it, which docket audit DIR judges")
	}
	if r.Behind != nil {
		return notYet("%s: %w", u.targets[0], r.Behind).hint("run the same command again later, or audit another server or mirror; if it stays so, ask the operator and another reader")
	}
	return nil
}

func (u *auditCmd) printText(r *client.AuditReport, out auditJSON) {
	for _, n := range r.Notes {
		u.app.logf("note: %s", printable(n))
	}
	if out.Ledger.IsZero() {
		u.app.printf("ledger unknown: no charter stood at index 0\n")
	} else {
		u.app.printf("ledger %s %s\n", out.Ledger, printable(out.Origin))
	}
	u.app.printf("%s, %d judged, %d signatures verified, root %s\n", register.FormatEntryCount(out.Size), out.Judged, out.Signatures, out.Root)
	if r.Published != nil && !r.Published.LastCosignedAt().IsZero() {
		u.app.printf("checkpoint cosigned %s\n", formatTime(r.Published.LastCosignedAt()))
	}
	if r.Archived > 0 {
		u.app.printf("admission times held against %s\n", plural(r.Archived, "kept checkpoint"))
	}
	if r.Withheld != nil {
		u.app.printf("withheld: entry %d; the %s from it on were not judged\n", r.Withheld.Index, register.FormatEntryCount(out.Size-out.Judged))
	}
	if out.Consistent {
		u.app.printf("consistent; 0 entries that should not be there\n")
	}
	if c := u.cosigned; c != nil {
		u.app.printf("cosigned by %s: %s\n", u.auditor.Name(), c.File)
		if c.SubmittedTo != "" {
			u.app.printf("taken by %s\n", c.SubmittedTo)
		}
	}
}
