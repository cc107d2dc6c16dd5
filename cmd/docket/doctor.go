package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/witnessnode"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

func (a *app) doctor() *cobra.Command {
	d := doctor{app: a}
	c := &cobra.Command{
		Use:   "doctor [--dir D | --trust DIR | --witness DIR] [URL]",
		Short: "Look whether all is as it should be around a ledger, a witness or a copy",
		Long: `Looks at what goes wrong around a ledger before it hurts, and says of each point OK, WARN
or FAIL, and what to do: the clock against the servers' and the witnesses'; the free disk;
who may read the keys; whether the formats are this binary's; whether the log's keys are
those of the charter; what the policy is worth; whether the ledger and each witness
answer, how far they are, and when their certificates expire; and whether somebody else
serves a ledger with the keys of this directory.

With none of the flags it looks at what is in the current directory. It runs beside a
docket serve: what that has open is not read, and the URL is asked instead. Nobody is
waited for longer than 5 seconds, and who does not answer is "not reached": a FAIL of the
URL that was given, and of a certificate that has expired. It changes nothing; docket fsck reads all that a directory holds.

Exit status: 0 without a FAIL, 1 with one.`,
		Example: `  docket doctor --dir ledger https://docket.ocr.example
  docket doctor --witness w1
  docket doctor --json https://docket.ocr.example`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				d.url = strings.TrimRight(args[0], "/")
				d.asked = d.url
			}
			return d.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&d.dir, "dir", "", "directory of a ledger")
	f.StringVar(&d.trust, "trust", "", "trust directory")
	f.StringVar(&d.witness, "witness", "", "directory of a witness")
	f.Int64Var(&d.minFree, "min-free", 0, "megabytes that must be free on the disk; 0 means what docket serve wants, 1024, or docket witness serve, 256")
	f.BoolVar(&d.asJSON, "json", false, "print JSON")
	for _, name := range []string{"dir", "trust", "witness"} {
		c.MarkFlagDirname(name)
	}
	c.MarkFlagsMutuallyExclusive("dir", "trust", "witness")
	return c
}

// doctor is one run of docket doctor.
type doctor struct {
	app                      *app
	dir, trust, witness, url string
	asked                    string // the URL that was given, which is to answer
	minFree                  int64  // megabytes
	asJSON                   bool

	policy    *proof.Policy // of the ledger's newest charter, as far as it is known
	origin    string
	published uint64 // the largest size that was shown, of this log
	points    []point
}

// Verdicts of a point.
const (
	pointOK   = "OK"
	pointWarn = "WARN"
	pointFail = "FAIL"
)

// point is one thing that was looked at.
type point struct {
	Verdict string `json:"verdict"` // OK, WARN or FAIL
	Subject string `json:"subject"`
	Detail  string `json:"detail"`
	Do      string `json:"do,omitempty"`
}

func (d *doctor) say(verdict, subject, do, format string, args ...any) {
	d.points = append(d.points, point{verdict, subject, fmt.Sprintf(format, args...), do})
}

func (d *doctor) run(ctx context.Context) error {
	if d.minFree < 0 {
		return usageError("--min-free %d: want a number of megabytes", d.minFree)
	}
	if d.url != "" {
		if _, err := wire.ParseBase(d.url); err != nil {
			return usageError("%w", err)
		}
	}
	if d.dir+d.trust+d.witness+d.url == "" && !d.findHere() {
		return usageError("there is no ledger, no witness and no trust directory here").hint("docket doctor --dir D, --witness DIR, --trust DIR, or the URL of a ledger")
	}
	var err error
	switch {
	case d.dir != "":
		err = d.lookAtLedger(ctx)
	case d.witness != "":
		err = d.lookAtWitness(ctx)
	case d.trust != "":
		err = d.lookAtTrust()
	}
	if err != nil {
		return err
	}
	d.lookAround(ctx)
	return d.print()
}

// findHere takes what the current directory is, or has in it.
func (d *doctor) findHere() bool {
	has := func(elements ...string) bool {
		_, err := os.Stat(filepath.Join(elements...))
		return err == nil
	}
	for _, dir := range []string{".", "ledger", "trust"} {
		switch {
		case has(dir, "trust.json"):
			d.trust = dir
		case witnessnode.Exists(dir):
			d.witness = dir
		case has(dir, "store"), has(dir, "store.url"), has(dir, "keys", "log-ed25519.key"):
			d.dir = dir
		default:
			continue
		}
		d.app.logf("looking at %s", dir)
		return true
	}
	if dir := d.app.getenv(trustEnv); dir != "" {
		d.trust = dir
		return true
	}
	return false
}

// lookAtLedger looks at a ledger's directory.
func (d *doctor) lookAtLedger(ctx context.Context) error {
	if info, err := os.Stat(d.dir); err != nil || !info.IsDir() {
		return usageError("--dir %s: there is no such directory", d.dir)
	}
	d.lookAtDisk(d.dir, cmp.Or(d.minFree, 1024))
	d.lookAtKeyFiles(d.dir)
	keys, err := node.LoadKeys(d.dir)
	if err != nil {
		d.say(pointFail, "log keys", "bring them back from the backup; those of a new ledger docket init makes", "%v", err)
	} else {
		d.origin = keys.Origin
		d.say(pointOK, "log keys", "", "%d of %s, not encrypted: whoever reads their files signs as the log", len(keys.Signers), keys.Origin)
	}
	at, bad := node.StoreURL(vfs.Default, d.dir)
	seen, err := node.Look(ctx, vfs.Default, d.dir)
	switch {
	case errors.Is(err, node.ErrInUse) && d.url == "":
		d.say(pointWarn, "store", fmt.Sprintf("docket doctor --dir %s URL asks it", d.dir), "a docket serve has it open, and it is not read beside that")
		return nil
	case errors.Is(err, node.ErrInUse):
		d.say(pointOK, "store", "", "a docket serve has it open: %s is asked instead", d.url)
	case errors.Is(err, node.ErrNoLedger):
		d.say(pointWarn, "store", fmt.Sprintf("of a new ledger: docket init --dir %s --charter ENVELOPE; otherwise bring back the newest backup", d.dir), "there is none")
	case err != nil && bad == nil && at.IsShared():
		d.say(pointFail, "store", fmt.Sprintf("see that it is reached from here, with credentials in the environment; docket store probe %s says more", at), "%v", err)
	case err != nil:
		d.say(pointFail, "store", fmt.Sprintf("docket fsck %s says more, unless it says to upgrade", d.dir), "%v", err)
	case seen.Sealed != "":
		d.say(pointFail, "store", doAboutSeal(seen.Sealed, d.dir), "no writer may open it: %s", seen.Sealed)
	case at.IsShared():
		d.say(pointOK, "store", "", "%d entries in %s, of its writer number %d", seen.Head.Size, at, seen.Epoch)
		d.lookAtSeen(seen)
	default:
		d.say(pointOK, "store", "", "%d entries, of formats that this docket reads", seen.Head.Size)
		d.lookAtSeen(seen)
	}
	if d.policy == nil && d.url != "" {
		d.askPolicy(ctx)
	}
	if err == nil || errors.Is(err, node.ErrInUse) || errors.Is(err, node.ErrNoLedger) {
		d.lookAtSigned(keys, seen.Head.Size > 0 || errors.Is(err, node.ErrInUse))
	}
	if d.policy == nil || len(keys.Signers) == 0 {
		return nil
	}
	switch missing, unnamed := keys.Agree(d.policy); {
	case len(unnamed) == len(keys.Signers):
		d.say(pointFail, "keys and charter", "bring back the keys that it names, from the backup; if they are lost for ever, the root keys sign a charter that names these", "the charter names none of the log's keys that are here, but %s", strings.Join(missing, ", "))
	case len(missing)+len(unnamed) > 0:
		d.say(pointWarn, "keys and charter", "in order while log keys rotate (docket init --next, --retire); otherwise bring back what is missing", "not here: %s; not named: %s", orNone(missing), orNone(unnamed))
	default:
		d.say(pointOK, "keys and charter", "", "the charter names the log's keys that are here, and no others")
	}
	return nil
}

func orNone(names []string) string { return cmp.Or(strings.Join(names, ", "), "none") }

// lookAtSeen takes what the store and the register say.
func (d *doctor) lookAtSeen(seen node.Seen) {
	d.policy = seen.Policy
	if seen.Head.Size == 0 {
		return
	}
	cp, _, err := proof.ParseCheckpoint(seen.Published)
	switch {
	case seen.Published == nil:
		d.say(pointWarn, "published", "docket serve publishes once its witnesses answer", "nothing yet, of %d entries", seen.Head.Size)
	case err != nil:
		d.say(pointFail, "published", "docket fsck says more", "%v", err)
	case cp.Size < seen.Head.Size:
		d.say(pointWarn, "published", "docket serve publishes the rest once its witnesses answer", "size %d, of %d entries", cp.Size, seen.Head.Size)
	default:
		d.say(pointOK, "published", "", "size %d", cp.Size)
	}
	if err == nil {
		d.published = cp.Size
	}
	if d.policy == nil {
		d.say(pointWarn, "register", "nothing: docket serve makes it anew from the entries", "it is missing, damaged or of an earlier version, so that the policy is not known")
	}
}

// lookAtSigned compares the keys' marks with whether there are entries.
func (d *doctor) lookAtSigned(keys node.Keys, entries bool) {
	if len(keys.Signers) == 0 {
		return
	}
	switch signed, err := keys.HaveSigned(vfs.Default, d.dir); {
	case err != nil:
		d.say(pointWarn, "marks", "", "%v", err)
	case signed && !entries:
		d.say(pointFail, "marks", "bring back the newest backup of the store, and do not remove the marks", "the log's keys have signed entries (keys/log-*.signed), and the store has none: it was lost")
	case signed:
		d.say(pointOK, "marks", "", "the log's keys bear the mark of having signed entries")
	default:
		d.say(pointOK, "marks", "", "the log's keys have signed no entry yet, by their marks")
	}
}

// lookAtWitness looks at a witness's directory.
func (d *doctor) lookAtWitness(ctx context.Context) error {
	if !witnessnode.Exists(d.witness) {
		return usageError("--witness %s: there is no witness", d.witness).hint("docket witness init --dir %s --name NAME makes one", d.witness)
	}
	d.lookAtDisk(d.witness, cmp.Or(d.minFree, 256))
	d.lookAtKeyFiles(d.witness)
	keys, err := witnessnode.LoadKeys(ctx, d.witness)
	switch {
	case err != nil:
		d.say(pointFail, "witness keys", "bring them back from the backup", "%v", err)
	default:
		d.say(pointOK, "witness keys", "", "%d of %s", len(keys), keys[0].Key().Name())
	}
	if !witnessnode.HasState(d.witness) {
		d.say(pointFail, "state", "bring back the state as it was last; if it is lost for ever: docket witness serve --new-state", "there is none, and these keys may have cosigned")
	} else if _, err := os.Stat(filepath.Join(d.witness, "closed")); err == nil {
		d.say(pointOK, "state", "", "it is there, and the witness ended by itself the last time")
	} else {
		d.say(pointOK, "state", "", "it is there; the witness runs, or did not end by itself: then its next start looks up what it cosigned")
	}
	return nil
}

// lookAtTrust looks at a trust directory.
func (d *doctor) lookAtTrust() error {
	trust, err := client.OpenTrust(vfs.Default, d.trust)
	if errors.Is(err, client.ErrNoTrust) {
		return usageError("%w", err)
	}
	d.lookAtDisk(d.trust, max(d.minFree, 64))
	if err != nil {
		_, next := exitStatusOf(err)
		d.say(pointFail, "trust directory", next, "%v", err)
		return nil
	}
	defer trust.Close()
	charter, _ := trust.Charter()
	d.origin = charter.Origin
	if d.policy, err = proof.ParsePolicy([]byte(charter.Policy)); err != nil {
		return err
	}
	if d.url == "" {
		d.url = trust.URL()
	}
	if p := trust.Checkpoint(); p != nil {
		d.published = p.Checkpoint().Size
		d.say(pointOK, "trust directory", "", "%s %s", d.origin, asOf(p))
	}
	if _, err := trust.Register(); err != nil {
		status, next := exitStatusOf(err)
		verdict := pointWarn
		if status == exitRefused && !errors.Is(err, client.ErrNoCopy) {
			verdict = pointFail
		}
		d.say(verdict, "copy", next, "%v", err)
	} else {
		d.say(pointOK, "copy", "", "it opens; docket sync --verify reads all of it")
	}
	return nil
}

// lookAtDisk compares the free space with what must be free, in megabytes.
func (d *doctor) lookAtDisk(dir string, least int64) {
	usage, err := vfs.Default.GetDiskUsage(dir)
	free := int64(usage.AvailBytes >> 20)
	const do = "make room on that disk: nothing is lost meanwhile"
	switch {
	case err != nil:
		d.say(pointWarn, "free disk", "", "%s: how much is free cannot be told: %v", dir, err)
	case free < least:
		d.say(pointFail, "free disk", do, "%s: %d MiB are free, and %d must be: what is new is refused", dir, free, least)
	case free < 4*least:
		d.say(pointWarn, "free disk", do, "%s: %d MiB are free, and %d must be", dir, free, least)
	default:
		d.say(pointOK, "free disk", "", "%s: %d MiB are free, and %d must be", dir, free, least)
	}
}

// lookAtKeyFiles finds private keys to which others than their owner have a right.
func (d *doctor) lookAtKeyFiles(dir string) {
	if runtime.GOOS == "windows" {
		return
	}
	names, _ := filepath.Glob(filepath.Join(dir, "keys", "*.key")) // the pattern is well formed
	open := 0
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.Mode().Perm()&0o077 != 0 {
			open++
			d.say(pointFail, "key files", fmt.Sprintf("chmod 600 %s, and if others may have read it, replace the key", name), "not its owner alone has a right to %s (mode %04o)", name, info.Mode().Perm())
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "keys")); err == nil && info.Mode().Perm()&0o022 != 0 {
		open++
		d.say(pointFail, "key files", fmt.Sprintf("chmod 700 %s", filepath.Join(dir, "keys")), "others may write into %s (mode %04o)", filepath.Join(dir, "keys"), info.Mode().Perm())
	}
	if open == 0 && len(names) > 0 {
		d.say(pointOK, "key files", "", "their owner alone may read them")
	}
}

func (d *doctor) print() error {
	failed, warned := 0, 0
	for _, p := range d.points {
		switch p.Verdict {
		case pointFail:
			failed++
		case pointWarn:
			warned++
		}
	}
	if d.asJSON {
		if err := d.app.printJSON(map[string]any{"points": d.points, "fail": failed, "warn": warned}); err != nil {
			return err
		}
	} else {
		for _, p := range d.points {
			d.app.printf("%-4s  %s: %s\n", p.Verdict, printable(p.Subject), printable(p.Detail))
			if p.Do != "" {
				d.app.printf("      do: %s\n", printable(p.Do))
			}
		}
	}
	if failed > 0 {
		return refusal("%s of %d failed", plural(failed, "point"), len(d.points)).hint("each FAIL above says what to do")
	}
	return nil
}
