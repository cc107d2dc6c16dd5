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
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// maxResponse bounds what a server may answer, in bytes: a chain is the largest.
const maxResponse = proof.MaxChainBytes

// Client talks to one ledger server.
type Client struct {
	log  *wire.Log
	http *http.Client
}

// New talks to the server at base, through transport (http.DefaultTransport if nil).
func New(base string, transport http.RoundTripper) (*Client, error) {
	log, err := wire.NewLog(base, transport)
	if err != nil {
		return nil, err
	}
	return &Client{log: log, http: wire.NewHTTP(transport)}, nil
}

// URL is the server's.
func (c *Client) URL() string { return c.log.URL() }

// RegisterOptions are those under which every copy and audit replays: the charter's
// policy is judged as a ledger judges it.
func RegisterOptions() register.Options {
	return register.Options{CheckPolicy: proof.CheckCharterPolicy, PolicyKeys: proof.PolicyEd25519Keys, CacheBytes: 64 << 20}
}

// Problem is a server's refusal (RFC 9457, DESIGN.md section 7). Only its words are
// the server's; that nothing was written, it cannot prove.
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
// proxy before it, refuses nothing, and may even have written what it was sent.
func (p *Problem) Retryable() bool { return p.Status >= 500 || p.Status == http.StatusTooManyRequests }

// ErrUnpublished: the ledger has published nothing yet, or not yet this record.
var ErrUnpublished = errors.New("not published yet")

// asUnpublished turns the 404 of a checkpoint into what it means.
func asUnpublished(err error) error {
	if wire.IsNotFound(err) {
		return fmt.Errorf("%w: the ledger has no checkpoint", ErrUnpublished)
	}
	return err
}

// ChainUnverified fetches the chain of a record: all charters, the records that made its
// signers' keys, the record itself; unverified.
func (c *Client) ChainUnverified(ctx context.Context, id record.ID) ([]byte, error) {
	body, _, err := c.call(ctx, http.MethodGet, "/v1/records/"+id.String()+"/receipt?chain=true", "", nil)
	return body, recordError(id, err)
}

// Receipt fetches a record's receipt against the newest published checkpoint and
// verifies it. One that does not continue what a trust directory trusts is a
// *[ForkError].
func (c *Client) Receipt(ctx context.Context, id record.ID, p Policies) (*Receipt, error) {
	body, _, err := c.call(ctx, http.MethodGet, "/v1/records/"+id.String()+"/receipt", "", nil)
	if err != nil {
		return nil, recordError(id, err)
	}
	return c.readReceipt(ctx, body, id, p)
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
	body, _, err := c.call(ctx, http.MethodGet, path, "", nil)
	return body, err
}

// call makes one request. An answer beyond 299 is a *[Problem]; none at all is an error
// of [wire.CallError].
func (c *Client) call(ctx context.Context, method, path, mediaType string, body []byte) ([]byte, *http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	wire.MarkIdempotent(req)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("asking %s: %w", c.URL(), wire.CallError(err))
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return nil, res, readProblem(res)
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxResponse+1))
	if err != nil {
		return nil, res, fmt.Errorf("reading the answer of %s: %w", c.URL(), &wire.UnreachableError{Err: err})
	}
	if len(answer) > maxResponse {
		return nil, res, fmt.Errorf("the answer of %s is longer than %d bytes", c.URL(), maxResponse)
	}
	return answer, res, nil
}

func readProblem(res *http.Response) error {
	s := wire.ReadStatus(res)
	p := &Problem{}
	if json.Unmarshal(s.Body, p) != nil {
		p = &Problem{}
	}
	p.Status, p.RetryAfter = s.Code, s.RetryAfter
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
