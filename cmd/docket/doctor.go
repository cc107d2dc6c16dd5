package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/certificate"
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

// doctorTimeout is how long one server is waited for.
const doctorTimeout = 5 * time.Second

// maxDoctorAnswer bounds what is read of an answer.
const maxDoctorAnswer = 1 << 20

// probe is one answer.
type probe struct {
	status  int
	body    []byte
	skew    time.Duration // of the clock here against the server's; 0 if it does not say
	dated   bool
	expires time.Time // of the certificate; zero without TLS
}

// ask makes one request.
func (d *doctor) ask(ctx context.Context, url string) (p probe, err error) {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return p, err
	}
	begun := time.Now()
	res, err := wire.NewHTTP(nil).Do(req)
	if err != nil {
		return p, err
	}
	defer res.Body.Close()
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		half := time.Since(begun) / 2
		p.skew, p.dated = begun.Add(half).Sub(at.Add(time.Second/2)), true
	}
	if res.TLS != nil && len(res.TLS.PeerCertificates) > 0 {
		p.expires = res.TLS.PeerCertificates[0].NotAfter
	}
	p.status = res.StatusCode
	p.body, err = io.ReadAll(io.LimitReader(res.Body, maxDoctorAnswer))
	return p, err
}

// askPolicy takes the ledger's own word for its policy.
func (d *doctor) askPolicy(ctx context.Context) {
	p, err := d.ask(ctx, d.url+"/v1/register/policy")
	var answer struct{ Policy string }
	if err != nil || p.status != http.StatusOK || json.Unmarshal(p.body, &answer) != nil {
		return // lookAtServer says so
	}
	policy, err := proof.ParsePolicy([]byte(answer.Policy))
	if err != nil {
		d.say(pointFail, "policy", "the server is of another version, or something stands between", "what %s says is its policy is none: %v", d.url, err)
		return
	}
	d.policy = policy
	if d.origin == "" && len(policy.Origins()) > 0 {
		d.origin = policy.Origins()[0]
	}
}

// lookAround looks at the policy, and asks the ledger and the witnesses.
func (d *doctor) lookAround(ctx context.Context) {
	if d.policy == nil && d.url != "" {
		d.askPolicy(ctx)
	}
	if d.policy != nil {
		d.lookAtPolicy()
	}
	urls := []string{d.url}
	if d.url == "" && d.policy != nil {
		urls = nil
		for _, l := range d.policy.Logs() {
			if l.URL != "" && !slices.Contains(urls, l.URL) {
				urls = append(urls, l.URL)
			}
		}
	}
	var skews []time.Duration
	for _, url := range urls {
		if url != "" {
			skews = append(skews, d.lookAtServer(ctx, strings.TrimRight(url, "/"))...)
		}
	}
	if d.policy != nil {
		skews = append(skews, d.lookAtWitnesses(ctx)...)
	}
	d.lookAtClock(skews)
}

func (d *doctor) lookAtPolicy() {
	what := fmt.Sprintf("quorum %s; a fork needs %s", quorumText(d.policy), forkText(d.policy))
	switch {
	case d.policy.QuorumIsNone():
		d.say(pointWarn, "policy", "a charter that names witnesses of other people's", "%s", what)
	case d.policy.CheckQuorumsIntersect() != nil:
		d.say(pointFail, "policy", "a charter whose quorums have a witness in common", "%s", what)
	case d.policy.ForkCost() == 1:
		d.say(pointWarn, "policy", "a charter with more witnesses, or a larger quorum", "%s", what)
	default:
		d.say(pointOK, "policy", "", "%s", what)
	}
	if !d.policy.PostQuantum() {
		d.say(pointOK, "post-quantum", "", "no: some key of the log, or of its quorum, is not ML-DSA")
	} else {
		d.say(pointOK, "post-quantum", "", "yes: every log key and every key of the quorum is ML-DSA")
	}
}

// lookAtServer asks a ledger's server.
func (d *doctor) lookAtServer(ctx context.Context, url string) []time.Duration {
	p, err := d.ask(ctx, url+"/checkpoint")
	if err != nil {
		verdict := pointWarn
		if url == d.asked { // who names a URL expects it to answer
			verdict = pointFail
		}
		d.notReached(verdict, "ledger "+url, "look whether it runs, and whether this machine may reach it", err)
		return nil
	}
	d.lookAtCertificate("ledger "+url, p)
	cp, _, bad := proof.ParseCheckpoint(p.body)
	switch {
	case p.status == http.StatusNotFound:
		d.say(pointWarn, "ledger "+url, "if that is its URL, it has published nothing yet: see /v1/witnesses there", "it shows no checkpoint")
	case p.status != http.StatusOK || bad != nil:
		d.say(pointFail, "ledger "+url, "check the URL, and what stands between", "status %d to GET /checkpoint, and no checkpoint", p.status)
	case d.origin != "" && cp.Origin != d.origin:
		d.say(pointFail, "ledger "+url, "check the URL", "it serves %s, and not %s", printable(cp.Origin), d.origin)
	case d.dir != "" && d.published > 0 && cp.Size > d.published:
		d.say(pointFail, "ledger "+url, "do not start a docket serve on this directory: whoever serves there has the newer store", "it shows size %d, and the store here has published %d: this is an older copy", cp.Size, d.published)
	default:
		d.say(pointOK, "ledger "+url, "", "it shows size %d", cp.Size)
	}
	if bad == nil && cp.Size > d.published {
		d.published = cp.Size
	}
	if ready, err := d.ask(ctx, url+"/readyz"); err == nil && ready.status == http.StatusServiceUnavailable {
		var h struct{ Reasons []string }
		json.Unmarshal(ready.body, &h) // another server's: its status is enough
		d.say(pointFail, "ready "+url, "README \"Operate\" says what each reason is", "%s", cmp.Or(printable(strings.Join(h.Reasons, "; ")), "not ready"))
	} else if err == nil && ready.status == http.StatusOK {
		var h struct{ Damage []string }
		if json.Unmarshal(ready.body, &h); len(h.Damage) > 0 {
			d.say(pointFail, "ready "+url, "end docket serve, and docket fsck its directory", "%s", printable(strings.Join(h.Damage, "; ")))
		} else {
			d.say(pointOK, "ready "+url, "", "records are taken and published")
		}
	}
	return skewOf(p)
}

func skewOf(p probe) []time.Duration {
	if !p.dated {
		return nil
	}
	return []time.Duration{p.skew}
}

// notReached says why somebody did not answer; a certificate that has expired keeps everybody
// out.
func (d *doctor) notReached(verdict, subject, do string, err error) {
	if hasExpired(err) {
		verdict, do = pointFail, "whoever runs it renews the certificate: docket takes up renewed files within a minute"
	}
	d.say(verdict, subject, do, "not reached: %v", err)
}

func (d *doctor) lookAtCertificate(subject string, p probe) {
	if p.expires.IsZero() {
		return
	}
	verdict, do := pointOK, ""
	if time.Until(p.expires) < certificate.ExpiresSoon {
		verdict, do = pointWarn, "see to its renewal: docket takes up renewed files within a minute"
	}
	d.say(verdict, subject, do, "its certificate is good until %s", p.expires.UTC().Format(time.DateOnly))
}

// lookAtWitnesses asks all witnesses of the policy at once.
func (d *doctor) lookAtWitnesses(ctx context.Context) (skews []time.Duration) {
	type answer struct {
		probe
		err       error
		ready     probe
		readyErr  error
		name, url string
	}
	var all []*answer
	for _, w := range d.policy.Witnesses() {
		if w.URL == "" {
			d.say(pointWarn, "witness "+w.Name, "a charter whose policy has its URL, if docket serve is to ask it", "the policy gives no URL for it")
		} else if !slices.ContainsFunc(all, func(a *answer) bool { return a.url == strings.TrimRight(w.URL, "/") }) {
			all = append(all, &answer{name: w.Name, url: strings.TrimRight(w.URL, "/")})
		}
	}
	var g errgroup.Group
	g.SetLimit(16)
	for _, a := range all {
		g.Go(func() error {
			a.probe, a.err = d.ask(ctx, a.url+"/"+wire.OriginHash(d.origin)+"/checkpoint")
			if a.err == nil {
				a.ready, a.readyErr = d.ask(ctx, a.url+"/readyz")
			}
			return nil
		})
	}
	g.Wait() // no error is returned
	for _, a := range all {
		subject := "witness " + a.name
		if a.err != nil {
			d.notReached(pointWarn, subject, "ask its operator; without a quorum nothing is published", a.err)
			continue
		}
		d.lookAtCertificate(subject, a.probe)
		skews = append(skews, skewOf(a.probe)...)
		cp, _, bad := proof.ParseCheckpoint(a.body)
		switch {
		case a.readyErr == nil && a.ready.status == http.StatusServiceUnavailable:
			d.say(pointFail, subject, "ask its operator", "it cosigns nothing now: %s", printable(firstLineOf(a.ready.body)))
		case a.status == http.StatusNotFound:
			d.say(pointWarn, subject, "its operator puts the log on its list (docket init --contact prints the lines)", "it has cosigned nothing of %s", d.origin)
		case a.status != http.StatusOK || bad != nil:
			d.say(pointWarn, subject, "ask its operator", "status %d, and no checkpoint", a.status)
		case cp.Size < d.published:
			d.say(pointWarn, subject, "if that stays so, ask its operator", "it has cosigned size %d, %d entries behind", cp.Size, d.published-cp.Size)
		default:
			d.say(pointOK, subject, "", "it has cosigned size %d", cp.Size)
		}
	}
	return skews
}

func firstLineOf(text []byte) string {
	line, _, _ := strings.Cut(string(text[:min(len(text), 200)]), "\n")
	return line
}

// lookAtClock compares the clock here with those that were told; the middle one counts, so
// that one server that is wrong decides nothing.
func (d *doctor) lookAtClock(skews []time.Duration) {
	if len(skews) == 0 {
		d.say(pointWarn, "clock", "look whether it is kept right, as by NTP", "nobody was reached who tells the time")
		return
	}
	slices.Sort(skews)
	off := skews[len(skews)/2].Round(time.Second)
	direction := "ahead of"
	if off < 0 {
		direction = "behind"
	}
	switch {
	case off.Abs() > proof.MaxClockSkew:
		d.say(pointFail, "clock", "set it: no record is taken, and no cosignature believed, while it is so far off", "%v %s the others", off.Abs(), direction)
	case off.Abs() > 10*time.Second:
		d.say(pointWarn, "clock", "set it: up to 5 minutes cost nothing yet", "%v %s the others", off.Abs(), direction)
	default:
		d.say(pointOK, "clock", "", "within 10 s of the others (%d asked)", len(skews))
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
