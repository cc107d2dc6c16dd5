// Package client is the other side of a ledger: it submits records, keeps trust
// directories, follows a log into a replayed copy, verifies receipts and audits.
// Nothing that it returns is the server's word alone: receipts are verified,
// checkpoints satisfy their policy, and copies are replayed entry by entry.
//
// It opens no file but in the directories it is given, and starts no goroutine
// that outlives a call.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// maxResponse bounds what a server may answer, in bytes: a chain is the largest.
const maxResponse = proof.MaxChainBytes

// Client talks to the servers of one ledger: where one is away, or behind what was seen,
// with the next ([wire.Servers]).
type Client struct {
	servers *wire.Servers
	log     *wire.Log
}

// New talks to the server at base, through transport (http.DefaultTransport if nil).
func New(base string, transport http.RoundTripper) (*Client, error) {
	servers, err := wire.NewServers(transport, base)
	if err != nil {
		return nil, err
	}
	return At(servers), nil
}

// At talks to these servers.
func At(servers *wire.Servers) *Client { return &Client{servers, wire.LogAt(servers)} }

// URL is the server's, of several that of the one which is asked first now.
func (c *Client) URL() string { return c.log.URL() }

// ask makes an attempt at one server after the other, as [wire.Servers.Ask] does, each of
// which is a client of its own. What one lacks is looked for at the others.
func ask[T any](ctx context.Context, c *Client, attempt func(*Client) (T, error)) (v T, err error) {
	err = c.servers.Ask(ctx, lacks, func(one *wire.Servers) error {
		v, err = attempt(At(one))
		return err
	})
	return v, err
}

// lacks is [wire.Lacks] of what this package's calls return: a record that is not published
// yet by one server's word may be by another's.
func lacks(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.get && (wire.LacksStatus(p.Status) || p.Status == http.StatusConflict) || errors.Is(err, ErrUnpublished) || wire.Lacks(err)
}

// RegisterOptions are those under which every copy and audit replays: the charter's
// policy is judged as a ledger judges it.
func RegisterOptions() register.Options {
	return register.Options{CheckPolicy: proof.CheckCharterPolicy, PolicyKeys: proof.PolicyEd25519Keys, CacheBytes: 64 << 20}
}

// registerOptions are those of a register on a disk.
func registerOptions(fatal func(reason string)) register.Options {
	o := RegisterOptions()
	o.Health = disk.NewHealth(disk.Config{Fatal: fatal})
	return o
}

func (t *Trust) registerOptions() register.Options {
	o := registerOptions(t.Fatal)
	if t.Health != nil {
		o.Health = t.Health
	}
	return o
}

// Problem is a server's refusal (RFC 9457, DESIGN.md section 7). Its text is the
// server's claim; what it signed of it, once that is verified, is in Refusal. The server cannot prove that nothing was written.
type Problem struct {
	Status     int            `json:"status"`
	Type       string         `json:"type"`
	Title      string         `json:"title"`
	Detail     string         `json:"detail"`
	Faults     []record.Fault `json:"faults"`
	Current    string         `json:"current"`
	Earliest   string         `json:"earliest"`
	RetryAt    string         `json:"retryAt"`
	RetryAfter time.Duration  `json:"-"` // 0 if the server named none

	// Refusal is what proves that the ledger has refused the record that was submitted; nil
	// if none came, or only a policy is at hand. RefusalFault is why one that came does
	// not count.
	Refusal      *SignedRefusal `json:"-"`
	RefusalFault error          `json:"-"`

	refusal string // as it came
	get     bool   // of a read, which changes nothing
}

func (p *Problem) Error() string {
	switch {
	case p.Detail != "":
		return p.Detail
	case p.Title != "":
		return p.Title
	}
	return fmt.Sprintf("the server answered %d %s", p.Status, http.StatusText(p.Status))
}

// Retryable tells whether the same request may be fine later: a server that fails, or a
// proxy before it, refuses nothing, and may even have written what it was sent. One that
// does not know the method (501) has not.
func (p *Problem) Retryable() bool {
	return p.Status >= 500 && p.Status != http.StatusNotImplemented || p.Status == http.StatusTooManyRequests
}

// Elsewhere reports whether another server of the ledger is to be asked ([wire.Servers]):
// this one, or what stands before it, fails or is busy. What is refused is refused.
func (p *Problem) Elsewhere() bool {
	return p.Status >= http.StatusInternalServerError && p.Status != http.StatusNotImplemented
}

// NoRecordsError says that a server takes no records: it hands out a log, perhaps, and no
// ledger stands behind it. Nothing was written.
type NoRecordsError struct {
	URL string
	Err error // its answer
}

func (e *NoRecordsError) Error() string {
	return fmt.Sprintf("%s takes no records (a mirror?): %v", e.URL, e.Err)
}

func (e *NoRecordsError) Unwrap() error { return e.Err }

// Elsewhere is true: the ledger's own server takes them.
func (e *NoRecordsError) Elsewhere() bool { return true }

// post sends an envelope. What answers as no ledger does, that it has no such path or
// method, is a *[NoRecordsError].
func (c *Client) post(ctx context.Context, query string, envelope []byte) (*answer, error) {
	return ask(ctx, c, func(c *Client) (*answer, error) {
		a, err := c.callOne(ctx, http.MethodPost, "/v1/records"+query, "application/json", envelope)
		var p *Problem
		if errors.As(err, &p) && p.Type == "" {
			switch p.Status {
			case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
				return nil, &NoRecordsError{URL: c.URL(), Err: err}
			}
		}
		return a, err
	})
}

// ErrUnpublished: the ledger has published nothing yet, or not yet this record.
var ErrUnpublished = errors.New("not published yet")

// checkpoint fetches the newest checkpoint. A 404 is [ErrUnpublished] only where a ledger
// answers: it names its witnesses before they have cosigned anything. Anywhere else, a
// path beside a ledger's among them, it is a *[NoLedgerError].
func (c *Client) checkpoint(ctx context.Context) ([]byte, error) {
	return ask(ctx, c, func(c *Client) ([]byte, error) {
		note, err := c.log.Checkpoint(ctx)
		if !wire.IsNotFound(err) {
			return note, err
		}
		if _, other := c.GetUnverified(ctx, "/v1/witnesses"); other != nil && !isTransient(ctx, other) {
			return nil, &NoLedgerError{URL: c.URL(), What: "no checkpoint is handed out there", Err: err}
		}
		return nil, fmt.Errorf("%w: %w", ErrUnpublished, err)
	})
}

// ChainUnverified fetches the chain of a record: all charters, the records that made its
// signers' keys, the record itself; unverified.
func (c *Client) ChainUnverified(ctx context.Context, id record.ID) ([]byte, error) {
	body, err := c.GetUnverified(ctx, "/v1/records/"+id.String()+"/receipt?chain=true")
	return body, recordError(id, err)
}

// Receipt fetches a record's receipt against the newest published checkpoint and
// verifies it. One that does not continue what a trust directory trusts is a
// *[InconsistencyError].
func (c *Client) Receipt(ctx context.Context, id record.ID, p Policies) (*Receipt, error) {
	return ask(ctx, c, func(c *Client) (*Receipt, error) {
		body, err := c.GetUnverified(ctx, "/v1/records/"+id.String()+"/receipt")
		if err != nil {
			return nil, recordError(id, err)
		}
		return c.readReceipt(ctx, body, id, p)
	})
}

func recordError(id record.ID, err error) error {
	var p *Problem
	if errors.As(err, &p) && p.Status == http.StatusConflict {
		return fmt.Errorf("record %s: %w", id, ErrUnpublished)
	}
	return err
}

// GetUnverified fetches any read route as JSON: the server's word, UNVERIFIED.
func (c *Client) GetUnverified(ctx context.Context, path string) (json.RawMessage, error) {
	a, err := c.call(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

// SearchPage is a page of what a server's search finds.
type SearchPage struct {
	view.Found
	AsOf struct {
		Size uint64 `json:"size"`
		Root string `json:"root"` // of the tree of that size, as a checkpoint writes it
	} `json:"asOf"`
	Next string `json:"next"` // cursor of the next page; "" if this is the last
}

// SearchUnverified asks the server whom a name, a part of one or an identifier means: its word,
// UNVERIFIED. after is the Next of the page before, or "". A copy's own answer is that of
// [view.View.Search] on [Trust.ViewAt].
func (c *Client) SearchUnverified(ctx context.Context, query string, f view.SearchFilter, after string) (page SearchPage, err error) {
	q := url.Values{"q": {query}}
	for name, value := range map[string]string{"kind": f.Kind, "status": f.Status, "country": f.Country, "after": after} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	body, err := c.GetUnverified(ctx, "/v1/register/search?"+q.Encode())
	if err != nil {
		return page, err
	}
	if err := json.Unmarshal(body, &page); err != nil {
		return page, fmt.Errorf("the server's answer to a search: %w", err)
	}
	return page, nil
}

// answer is a server's, of a status below 300.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call makes one request. An answer beyond 299 is a *[Problem]; none at all is an error
// of [wire.CallError].
func (c *Client) call(ctx context.Context, method, path, mediaType string, body []byte) (*answer, error) {
	return ask(ctx, c, func(c *Client) (*answer, error) { return c.callOne(ctx, method, path, mediaType, body) })
}

func (c *Client) callOne(ctx context.Context, method, path, mediaType string, body []byte) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	wire.MarkIdempotent(req)
	res, err := c.servers.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.URL(), wire.CallError(err))
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		p := readProblem(res)
		p.get = method == http.MethodGet
		return nil, p
	}
	if err := wire.CheckNoPage(res); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxResponse+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", c.URL(), &wire.UnreachableError{Err: err})
	}
	if len(text) > maxResponse {
		return nil, fmt.Errorf("the answer of %s is longer than %d bytes", c.URL(), maxResponse)
	}
	return &answer{res.StatusCode, res.Header, text}, nil
}

func readProblem(res *http.Response) *Problem {
	s := wire.ReadStatus(res)
	p := &Problem{}
	var signed struct {
		Refusal string `json:"refusal"`
	}
	if json.Unmarshal(s.Body, p) != nil || json.Unmarshal(s.Body, &signed) != nil {
		p = &Problem{}
	}
	if p.Detail == "" && p.Title == "" {
		p.Detail = s.Error() // no problem of ours: a proxy's, or another program's
	}
	p.Status, p.RetryAfter, p.refusal = s.Code, s.RetryAfter, signed.Refusal
	// These go into commands that people are told to run.
	if _, err := record.ParseID(p.Current); err != nil {
		p.Current = ""
	}
	if _, err := time.Parse(time.DateOnly, p.Earliest); err != nil {
		p.Earliest = ""
	}
	if _, err := time.Parse(time.RFC3339, p.RetryAt); err != nil {
		p.RetryAt = ""
	}
	return p
}

// Receipt is a verified receipt of the record that was asked for.
type Receipt struct {
	*proof.VerifiedReceipt
	ID   record.ID
	Text []byte // the file
}

// readReceipt verifies what the server handed out for a record as the newest.
func (c *Client) readReceipt(ctx context.Context, text []byte, id record.ID, p Policies) (*Receipt, error) {
	r, err := c.verifyReceipt(ctx, text, id, p)
	if err != nil {
		return nil, err
	}
	if t, ok := p.(*Trust); ok {
		if err := t.checkNewest(ctx, c, r.Published()); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// verifyReceipt verifies it, against whichever checkpoint of this ledger.
func (c *Client) verifyReceipt(ctx context.Context, text []byte, id record.ID, p Policies) (*Receipt, error) {
	r, err := proof.ParseReceipt(text)
	if err != nil {
		return nil, fmt.Errorf("the server's receipt: %w", err)
	}
	v, err := verifyReceipt(ctx, c, r, p, time.Now())
	if err != nil {
		return nil, fmt.Errorf("the server's receipt: %w", err)
	}
	e, err := record.ParseEntry(v.Entry())
	if err != nil {
		return nil, fmt.Errorf("the server's receipt: %w", err)
	}
	if got := record.IDOf(e.Envelope.Payload); got != id {
		return nil, fmt.Errorf("the server's receipt is of record %s, not %s", got, id)
	}
	return &Receipt{v, id, text}, nil
}

// Submission is what became of a record.
type Submission struct {
	ID      record.ID
	Receipt *Receipt // nil: committed, says the server, and not published yet
	Existed bool     // it was on the ledger before
}

// Retry says how a submission is repeated. Sending a record again is sending
// it once, so repeating is always safe.
type Retry struct {
	MaxElapsed time.Duration                       // how long to go on, a call under way included; 0 = one try, as long as a call may take
	Notify     func(err error, next time.Duration) // told before each wait; may be nil
}

// Submit sends an envelope or bundle, repeats while the server is busy or out of
// reach, and verifies the receipt. A refusal is a *[Problem].
func (c *Client) Submit(ctx context.Context, envelope []byte, p Policies, retry Retry) (*Submission, error) {
	env, err := record.ParseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	id := record.IDOf(env.Payload)
	return withRetry(ctx, retry, func(ctx context.Context) (*Submission, error) { return c.submit(ctx, id, envelope, p) })
}

// UnverifiedCommit is the server's word that a record is durable at an index. It is
// UNVERIFIED: a [Trust.Sync] beyond the index shows that it is true.
type UnverifiedCommit struct {
	ID      record.ID
	Index   uint64
	Existed bool // it was published before
}

// Commit is Submit for bulk senders: it waits until the record is durable, and verifies
// nothing.
func (c *Client) Commit(ctx context.Context, envelope []byte, retry Retry) (*UnverifiedCommit, error) {
	env, err := record.ParseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	return withRetry(ctx, retry, func(ctx context.Context) (*UnverifiedCommit, error) {
		a, err := c.post(ctx, "?wait=committed", envelope)
		if err != nil {
			return nil, err
		}
		index, err := strconv.ParseUint(a.header.Get("Docket-Index"), 10, 63)
		if err != nil {
			return nil, fmt.Errorf("the server's answer names no index: %w", err)
		}
		return &UnverifiedCommit{ID: record.IDOf(env.Payload), Index: index, Existed: a.status == http.StatusOK}, nil
	})
}

// withRetry repeats what may pass, with growing pauses or those that the server asks for.
func withRetry[T any](ctx context.Context, retry Retry, attempt func(context.Context) (T, error)) (T, error) {
	begun := time.Now()
	operation := func() (T, error) {
		call := ctx
		if retry.MaxElapsed > 0 {
			var cancel context.CancelFunc
			call, cancel = context.WithTimeout(ctx, retry.MaxElapsed-time.Since(begun))
			defer cancel()
		}
		v, err := attempt(call)
		if ctx.Err() == nil && errors.Is(call.Err(), context.DeadlineExceeded) && errors.Is(err, context.DeadlineExceeded) {
			err = &wire.UnreachableError{Err: fmt.Errorf("no answer within %s", retry.MaxElapsed)} // what came of it is not known
		}
		return v, markPermanent(err)
	}
	options := []backoff.RetryOption{backoff.WithMaxElapsedTime(retry.MaxElapsed), backoff.WithBackOff(backoff.NewExponentialBackOff())}
	if retry.MaxElapsed == 0 {
		options = append(options, backoff.WithMaxTries(1))
	}
	if retry.Notify != nil {
		options = append(options, backoff.WithNotify(retry.Notify))
	}
	v, err := backoff.Retry(ctx, operation, options...)
	var stop *backoff.PermanentError
	if errors.As(err, &stop) {
		err = stop.Err
	}
	var wait *pauseRequested
	if errors.As(err, &wait) {
		err = wait.Unwrap()
	}
	return v, err
}

func (c *Client) submit(ctx context.Context, id record.ID, envelope []byte, p Policies) (*Submission, error) {
	return ask(ctx, c, func(c *Client) (*Submission, error) { return c.submitToOne(ctx, id, envelope, p) })
}

func (c *Client) submitToOne(ctx context.Context, id record.ID, envelope []byte, p Policies) (*Submission, error) {
	a, err := c.post(ctx, "", envelope)
	if err != nil {
		if refused := (*Problem)(nil); errors.As(err, &refused) {
			refused.readRefusal(ctx, c, id, p)
		}
		return nil, err
	}
	s := &Submission{ID: id, Existed: a.status == http.StatusOK}
	if a.status == http.StatusAccepted {
		return s, nil
	}
	if s.Receipt, err = c.readReceipt(ctx, a.body, id, p); err != nil {
		return nil, err
	}
	// A new record has an index beyond the trusted size. The status code is the
	// server's claim; the signed index is not.
	if t, ok := p.(*Trust); ok && !s.Existed && s.Receipt.Index() < t.size() {
		if err := t.checkExtends(ctx, c, s.Receipt.Published()); err != nil {
			return nil, err
		}
		s.Existed = true
	}
	return s, nil
}

// pauseRequested is an error after which the server asked for a pause.
type pauseRequested struct {
	error
	retryAfter error // *backoff.RetryAfterError
}

func (w *pauseRequested) Unwrap() error { return w.error }
func (w *pauseRequested) As(target any) bool {
	return errors.As(w.retryAfter, target)
}

// markPermanent marks errors that a retry cannot change, and adds the pause that the
// server asked for to the others.
func markPermanent(err error) error {
	var p *Problem
	var u *wire.UnreachableError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p) && p.Retryable() && p.RetryAfter > 0:
		return &pauseRequested{err, backoff.RetryAfter(int(p.RetryAfter / time.Second))}
	case errors.As(err, &p) && p.Retryable(), errors.As(err, &u):
		return err
	}
	return backoff.Permanent(err)
}

// DryRunResult is a dry run's answer: the server's word on what would happen now.
type DryRunResult struct {
	ID      record.ID `json:"record"`
	Existed bool      `json:"known,omitempty"` // it is on the ledger already: nothing would
	Effects []string  `json:"effects"`
}

// DryRun asks what would become of an envelope; nothing is written.
func (c *Client) DryRun(ctx context.Context, envelope []byte) (*DryRunResult, error) {
	a, err := c.post(ctx, "?dry-run=true", envelope)
	if err != nil {
		return nil, err
	}
	v := &DryRunResult{}
	if err := json.NewDecoder(bytes.NewReader(a.body)).Decode(v); err != nil {
		return nil, fmt.Errorf("the server's verdict: %w", err)
	}
	return v, nil
}
