package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Receipt is a verified receipt of the record that was asked for.
type Receipt struct {
	*proof.VerifiedReceipt
	ID   record.ID
	Text []byte // the file
}

// readReceipt verifies what the server handed out for a record.
func (c *Client) readReceipt(ctx context.Context, text []byte, id record.ID, p Policies) (*Receipt, error) {
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
	if t, ok := p.(*Trust); ok {
		if err := t.CheckNewest(ctx, v.Published()); err != nil {
			return nil, err
		}
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
	MaxElapsed time.Duration                       // how long to go on; 0 = one try
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
	return withRetry(ctx, retry, func() (*Submission, error) { return c.submit(ctx, id, envelope, p) })
}

// UnverifiedCommit is the server's word that a record is durable at an index. It is
// UNVERIFIED: a [Trust.Sync] beyond the index shows that it is true.
type UnverifiedCommit struct {
	ID      record.ID
	Index   uint64
	Existed bool // it was published before
}

// Commit is Submit for whoever has thousands to send: it waits only until the
// record is durable, and nothing is verified.
func (c *Client) Commit(ctx context.Context, envelope []byte, retry Retry) (*UnverifiedCommit, error) {
	env, err := record.ParseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	return withRetry(ctx, retry, func() (*UnverifiedCommit, error) {
		_, res, err := c.call(ctx, http.MethodPost, "/v1/records?wait=committed", "application/json", envelope)
		if err != nil {
			return nil, err
		}
		index, err := strconv.ParseUint(res.Header.Get("Docket-Index"), 10, 63)
		if err != nil {
			return nil, fmt.Errorf("the server's answer names no index: %w", err)
		}
		return &UnverifiedCommit{ID: record.IDOf(env.Payload), Index: index, Existed: res.StatusCode == http.StatusOK}, nil
	})
}

// withRetry repeats what may pass, with growing pauses or those that the server asks for.
func withRetry[T any](ctx context.Context, retry Retry, attempt func() (T, error)) (T, error) {
	operation := func() (T, error) {
		v, err := attempt()
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
	body, res, err := c.call(ctx, http.MethodPost, "/v1/records", "application/json", envelope)
	if err != nil {
		return nil, err
	}
	s := &Submission{ID: id, Existed: res.StatusCode == http.StatusOK}
	if res.StatusCode == http.StatusAccepted {
		return s, nil
	}
	if s.Receipt, err = c.readReceipt(ctx, body, id, p); err != nil {
		return nil, err
	}
	// What is new stands behind all that was published before. Only signatures show that it
	// does not: a status is the word of whoever answered.
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

// markPermanent sorts errors into those that pass and those that stay.
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
	body, _, err := c.call(ctx, http.MethodPost, "/v1/records?dry-run=true", "application/json", envelope)
	if err != nil {
		return nil, err
	}
	v := &DryRunResult{}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(v); err != nil {
		return nil, fmt.Errorf("the server's verdict: %w", err)
	}
	return v, nil
}
