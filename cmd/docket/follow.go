package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func (a *app) follow() *cobra.Command {
	var f follower
	var kind string
	var from uint64
	c := &cobra.Command{
		Use:   "follow --state FILE (--exec COMMAND | --webhook URL --secret FILE)",
		Short: "Tell a command or a web address of each new record, from the replayed copy",
		Long: `Follows the ledger: syncs the copy whenever the server's stream says that there is
something new, and tells of each record in it that the filters choose, in log order. Each
was fetched, verified and judged before anybody is told: the server need not be trusted.

A record is told at least once. FILE of --state holds how far that has gone; it is written
through to the disk after each record, so that the next run goes on there. Without
one the first run begins with what comes from now on, or at --from.

--exec runs COMMAND in a shell for each record, with one JSON object on its stdin, and
DOCKET_INDEX, DOCKET_RECORD, DOCKET_KIND and DOCKET_THREAD in its environment.
--webhook sends the same object by POST, signed as Standard Webhooks have it
(https://www.standardwebhooks.com): webhook-id is the record ID, which stays when it is
sent again, webhook-signature an HMAC-SHA256 with the secret in FILE of --secret, which is
made if there is none, and which the receiver needs too. A status of 200 to 299 takes it.

What fails (a status that is not 0, an answer that takes nothing) is tried again with
growing pauses up to 5 minutes; meanwhile nothing later is told. 410 Gone ends it. --once tells
what there is and ends: exit status 3 where something was not taken.`,
		Example: `  docket follow --trust trust --state follow.json --kind designation --exec './screen.sh'
  docket follow --trust trust --state hook.json --secret hook.secret --party acme-cloud --webhook https://hooks.example/docket
  docket follow --trust trust --state follow.json --once --exec ./notify.sh`,
		Args: cobra.NoArgs,
	}
	f.trust = a.trustFlags(c).addLedgerFlag(c).withDefaultMaxAge()
	c.Flags().StringVar(&f.state, "state", "", "file that holds how far it has told")
	c.Flags().StringVar(&f.command, "exec", "", "command to run for each record")
	c.Flags().StringVar(&f.webhook, "webhook", "", "URL to send each record to")
	c.Flags().StringVar(&f.secretFile, "secret", "", "file of the secret that signs what is sent; made if there is none")
	c.Flags().StringVar(&kind, "kind", "", "records of this kind")
	c.Flags().StringVar(&f.party, "party", "", "records by this party, or on its threads")
	c.Flags().StringVar(&f.designation, "designation", "", "records on this designation, and the answers to it")
	c.Flags().Uint64Var(&from, "from", 0, "index that the first run begins with; default what comes from now on")
	c.Flags().BoolVar(&f.once, "once", false, "tell what there is, and end")
	c.MarkFlagRequired("state")
	c.MarkFlagsOneRequired("exec", "webhook")
	c.MarkFlagsMutuallyExclusive("exec", "webhook")
	c.MarkFlagsRequiredTogether("webhook", "secret")
	c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(toStrings(record.Kinds()), cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		f.app = a
		if f.kind, err = oneOf("kind", kind, record.Kinds()); err != nil {
			return err
		}
		if named := f.designation; named != "" {
			if f.designation = record.NamedDesignation(named).Designation(); f.designation == "" {
				return usageError("--designation %q: want a designation like 2026-014", named)
			}
		}
		if c.Flags().Changed("from") {
			f.from = &from
		}
		return f.run(c.Context())
	}
	return c
}

// follower tells of new records.
type follower struct {
	app                *app
	trust              *trustFlags
	state              string // file
	command            string
	webhook            string
	secretFile         string
	kind               record.Kind
	party, designation string
	from               *uint64
	once               bool

	ledger record.ID
	next   uint64 // index of the record that is to be looked at next
	secret []byte
}

// followState is what the state file holds.
type followState struct {
	Format int       `json:"docketFollow"`
	Ledger record.ID `json:"ledger"`
	Next   uint64    `json:"next"`
}

func (f *follower) run(ctx context.Context) error {
	if err := f.openWebhook(); err != nil {
		return err
	}
	trust, err := f.trust.open()
	if err != nil {
		return err
	}
	defer trust.Close()
	server, err := f.trust.connect(trust)
	if err != nil {
		return err
	}
	lock, err := disk.Lock(vfs.Default, f.state+".lock")
	if errors.Is(err, disk.ErrLocked) {
		return refusal("%s: another docket follow goes on with it", f.state).hint("end that one, or name another file with --state")
	} else if err != nil {
		return err
	}
	defer lock.Close()
	began, err := f.readState(trust.Ledger())
	if err != nil {
		return err
	}
	tell := func() error {
		if !began {
			f.next = trust.CoveredSize()
			if f.from != nil {
				f.next = *f.from
			}
			if err := f.writeState(); err != nil {
				return err
			}
			began = true
		}
		return f.tellAll(ctx, trust)
	}
	if f.once {
		if err := f.app.syncTrust(ctx, trust, server); err != nil {
			return err
		}
		return tell()
	}
	err = trust.Follow(ctx, server, func(err error, next time.Duration) {
		f.app.logf("docket: %v; trying again in %s", err, next.Round(time.Second))
	}, tell)
	if ctx.Err() != nil {
		return nil // it was told to end, and nothing is lost: the state file says where it goes on
	}
	return f.app.saveEvidence(trust, err)
}

// readState reads how far an earlier run has told; began is false if there was none.
func (f *follower) readState(ledger record.ID) (began bool, err error) {
	f.ledger = ledger
	raw, err := disk.ReadFile(vfs.Default, f.state)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	var s followState
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	switch err := d.Decode(&s); {
	case err != nil || s.Format != 1:
		return false, usageError("%s does not hold how far docket follow has told", f.state).hint("name another file with --state, or another run's with --from")
	case s.Ledger != ledger:
		return false, usageError("%s is of the ledger %s, and %s of %s", f.state, s.Ledger, f.trust.dir, ledger).hint("each ledger has a file of its own: name another with --state")
	case f.from != nil:
		return false, usageError("--from has no effect: %s says that index %d is next", f.state, s.Next).hint("leave it out, or name another file with --state")
	}
	f.next = s.Next
	return true, nil
}

func (f *follower) writeState() error {
	raw, err := json.Marshal(followState{1, f.ledger, f.next})
	if err != nil {
		return err
	}
	return disk.WriteFile(vfs.Default, f.state, append(raw, '\n'), 0o644, disk.SyncNow)
}

// tellAll tells of all that the copy has and nobody was told of yet.
func (f *follower) tellAll(ctx context.Context, trust *client.Trust) error {
	size := trust.CoveredSize()
	if f.next > size {
		return refusal("%s says that index %d is next, and the ledger has %s", f.state, f.next, register.FormatEntryCount(size)).hint("it is of another copy, or --from was beyond the end: name another file with --state")
	}
	if f.next == size {
		return nil
	}
	v, err := trust.ViewAt(size)
	if err != nil {
		return err
	}
	checkpoint := trust.Checkpoint().Checkpoint()
	told := f.next
	for f.next < size {
		row, err := v.RecordAt(f.next)
		if err != nil {
			return err
		}
		if f.chooses(row) {
			raw, err := trust.Entry(ctx, row.Index)
			if err != nil {
				return err
			}
			e, err := record.ParseEntry(raw)
			if err != nil {
				return err
			}
			n := notice{Type: "record.published", Timestamp: row.Admitted, Data: noticeData{
				RecordRow: row, Summary: summaryOf(e.Envelope.Payload), Statement: e.Envelope.Payload, Ledger: f.ledger,
				Checkpoint: noticeCheckpoint{checkpoint.Origin, checkpoint.Size, checkpoint.Root.String()},
			}}
			if err := f.tell(ctx, row, n); err != nil {
				return err
			}
		}
		f.next++
		if f.chooses(row) {
			if err := f.writeState(); err != nil {
				return err
			}
			told = f.next
		}
	}
	if told == f.next {
		return nil
	}
	return f.writeState()
}

func summaryOf(payload []byte) string {
	st, err := record.ParseStatement(payload)
	if err != nil {
		return "" // it is on the ledger: it parses
	}
	return view.Summary(st)
}

// chooses reports whether the filters choose a record.
func (f *follower) chooses(r register.RecordRow) bool {
	return (f.kind == "" || f.kind == r.Kind) &&
		(f.party == "" || f.party == r.Issuer || f.party == r.Thread.Party()) &&
		(f.designation == "" || f.designation == r.Thread.Designation())
}

// notice is what is told of a record.
type notice struct {
	Type      string     `json:"type"`
	Timestamp time.Time  `json:"timestamp"` // when it was admitted
	Data      noticeData `json:"data"`
}

type noticeData struct {
	register.RecordRow
	Summary    string           `json:"summary"`
	Statement  json.RawMessage  `json:"statement"` // as it was signed, but for white space
	Ledger     record.ID        `json:"ledger"`
	Checkpoint noticeCheckpoint `json:"checkpoint"` // under which the copy was verified
}

type noticeCheckpoint struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   string `json:"root"`
}

// tell tells of one record, again and again until it is taken.
func (f *follower) tell(ctx context.Context, row register.RecordRow, n notice) error {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(n); err != nil {
		return err
	}
	text := bytes.TrimSuffix(body.Bytes(), []byte("\n"))
	pauses := backoff.NewExponentialBackOff()
	pauses.MaxInterval = 5 * time.Minute
	for {
		send := f.sendWebhook
		if f.command != "" {
			send = f.runCommand
		}
		err, wait := send(ctx, row, text), pauses.NextBackOff()
		var gone *goneError
		switch {
		case err == nil:
			f.app.printf("#%d %s on %s %s\n", row.Index, row.Kind, row.Thread, row.ID)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &gone):
			return refusal("#%d: %w", row.Index, err).hint("whoever had the address wants nothing more; %s keeps how far was told", f.state)
		case f.once:
			return notYet("not yet: #%d was not taken: %w", row.Index, err).hint("the same command goes on with it")
		}
		var asked *laterError
		if errors.As(err, &asked) {
			wait = max(wait, min(asked.after, 30*time.Minute))
		}
		f.app.logf("docket: #%d was not taken: %v; trying again in %s", row.Index, err, wait.Round(time.Second))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// runCommand runs the command for a record.
func (f *follower) runCommand(ctx context.Context, row register.RecordRow, text []byte) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", f.command)
	cmd.Stdin = bytes.NewReader(text)
	cmd.Stdout, cmd.Stderr = f.app.out, f.app.err
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), fmt.Sprintf("DOCKET_INDEX=%d", row.Index), "DOCKET_RECORD="+row.ID.String(), "DOCKET_KIND="+string(row.Kind), "DOCKET_THREAD="+string(row.Thread))
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // it has ended well; what it left behind holds its output
	}
	return err
}

// goneError: the address wants nothing more.
type goneError struct{}

func (*goneError) Error() string { return "the address answered 410 Gone" }

// laterError: the address wants to be left alone for a while.
type laterError struct {
	error
	after time.Duration
}

const (
	secretPrefix   = "whsec_" // of Standard Webhooks
	webhookTimeout = 20 * time.Second
)

// openWebhook checks the address, and reads the secret or makes one.
func (f *follower) openWebhook() error {
	if f.webhook == "" {
		return nil
	}
	u, err := url.Parse(f.webhook)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return usageError("--webhook %q is no address like https://hooks.example/docket", f.webhook)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
		return usageError("--webhook %s: without TLS anybody on the way reads it, and answers for it", f.webhook).hint("https:// (http:// to this machine alone)")
	}
	raw, err := disk.ReadFile(vfs.Default, f.secretFile)
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, 32)
		rand.Read(key)
		raw = []byte(secretPrefix + base64.StdEncoding.EncodeToString(key) + "\n")
		if err := disk.WriteNew(vfs.Default, f.secretFile, raw, 0o600, disk.SyncNow); err != nil {
			return err
		}
		f.app.logf("%s: a new secret, which the receiver needs too", f.secretFile)
	} else if err != nil {
		return err
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(string(raw)), secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return usageError("%s holds no secret of Standard Webhooks: want %s and 24 to 64 bytes in base64", f.secretFile, secretPrefix).hint("name a file that is not there: one is made")
	}
	f.secret = key
	return nil
}

// signWebhook is the signature of a message (Standard Webhooks 1.0, "Signature scheme",
// symmetric).
func signWebhook(secret []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// sendWebhook sends a record.
func (f *follower) sendWebhook(ctx context.Context, row register.RecordRow, text []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.webhook, bytes.NewReader(text))
	if err != nil {
		return err
	}
	now := time.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "docket")
	req.Header.Set("webhook-id", row.ID.String())
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", signWebhook(f.secret, row.ID.String(), now, text))
	poster := &http.Client{Timeout: webhookTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // what is signed for one address goes to no other
	}}
	res, err := poster.Do(req)
	if whole := (*url.Error)(nil); errors.As(err, &whole) {
		return fmt.Errorf("%s: %w", req.URL.Host, whole.Err) // the rest of an address may be a secret
	} else if err != nil {
		return err
	}
	defer res.Body.Close()
	answered := wire.ReadStatus(res)
	io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection serves again
	switch err := fmt.Errorf("%s answered %s", cmp.Or(req.URL.Host, f.webhook), res.Status); {
	case res.StatusCode/100 == 2:
		return nil
	case res.StatusCode == http.StatusGone:
		return &goneError{}
	case answered.RetryAfter > 0:
		return &laterError{err, answered.RetryAfter}
	default:
		return err
	}
}
