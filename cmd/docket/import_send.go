package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// send signs and sends the plan, many records at once: no two are on one thread.
// Then it waits until the copy, synced and replayed, has them all.
func (m *importer) send(ctx context.Context, g *ground, p *listimport.Plan, signers []*record.Signer) error {
	if len(p.Items) == 0 {
		m.app.say("nothing to do: the register says what the list says")
		return m.result(p, g.trust, nil)
	}
	url := m.trust.ledger
	if url == "" {
		url = g.trust.URL()
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = m.parallel
	server, err := client.New(url, transport)
	if err != nil {
		return misuse("%w", err)
	}
	defer transport.CloseIdleConnections()
	sent, err := m.commit(ctx, server, g.ledger, p, signers)
	if err != nil {
		return m.stopped(ctx, len(sent), len(p.Items), err)
	}
	if err := m.awaitPublished(ctx, g.trust, server, sent); err != nil {
		return err
	}
	if err := m.keepReceipts(ctx, g.trust, p, sent); err != nil {
		return err
	}
	return m.result(p, g.trust, sent)
}

// commit sends every item and returns what the server admitted, by thread.
func (m *importer) commit(ctx context.Context, server *client.Client, ledger record.ID, p *listimport.Plan, signers []*record.Signer) (map[string]client.Admission, error) {
	bar := m.app.progress("sending", int64(len(p.Items)))
	defer bar.Finish()
	answers := make([]*client.Admission, len(p.Items))
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(m.parallel, len(p.Items)) {
		g.Go(func() error {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(p.Items) {
					return nil
				}
				env, err := m.sign(ctx, ledger, p.Items[i], signers)
				if err != nil {
					return err
				}
				if answers[i], err = server.Commit(ctx, env.Marshal(), client.Patience{For: m.wait}); err != nil {
					return fmt.Errorf("%s: %w", p.Items[i].Thread, err)
				}
				bar.Add(1)
			}
			return nil
		})
	}
	err := g.Wait()
	sent := make(map[string]client.Admission, len(p.Items))
	for i, a := range answers {
		if a != nil {
			sent[p.Items[i].Thread] = *a
		}
	}
	if err == nil {
		err = ctx.Err()
	}
	if len(sent) == len(p.Items) {
		return sent, nil
	}
	return sent, err
}

// stopped says how far an import came.
func (m *importer) stopped(ctx context.Context, sent, of int, err error) error {
	status, next := statusOf(err)
	if ctx.Err() != nil {
		status, err = statusNotYet, ctx.Err()
	}
	if status == statusNotYet {
		next = "run the same command again: it goes on where it was"
	}
	return &failure{status: status, err: fmt.Errorf("%d of %d records were sent: %w", sent, of, err), next: next}
}

// awaitPublished syncs until the copy covers all that was admitted.
func (m *importer) awaitPublished(ctx context.Context, trust *client.Trust, server *client.Client, sent map[string]client.Admission) error {
	var last uint64
	for _, a := range sent {
		last = max(last, a.Index)
	}
	end := time.Now().Add(m.wait)
	for {
		if err := m.app.sync1(ctx, trust, server); err != nil {
			return err
		}
		if trust.Covers() > last {
			return nil
		}
		if time.Now().After(end) {
			return notYet("all %d records are committed, and not all published yet", len(sent)).hint("docket sync tells when they are")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// keepReceipts makes a receipt of each record from the copy, which is proven by now.
func (m *importer) keepReceipts(ctx context.Context, trust *client.Trust, p *listimport.Plan, sent map[string]client.Admission) error {
	if m.receipts == "" {
		return nil
	}
	bar := m.app.progress("receipts", int64(len(sent)))
	defer bar.Finish()
	for _, item := range p.Items {
		a := sent[item.Thread]
		r, err := trust.Receipt(ctx, a.ID)
		if err != nil {
			return err
		}
		text, err := r.Format()
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s-%d%s", strings.ReplaceAll(item.Thread, "/", "-"), a.Index, receiptSuffix)
		if err := keepReceipt(filepath.Join(m.receipts, name), text, a.ID, false); err != nil {
			return refuse("every record is published; keeping their receipts: %w", err).hint("files are never overwritten: move it away; docket receipt ID fetches each that is missing")
		}
		bar.Add(1)
	}
	return nil
}

func (m *importer) result(p *listimport.Plan, trust *client.Trust, sent map[string]client.Admission) error {
	cp := trust.Checkpoint()
	if cp == nil {
		return errors.New("the trust directory has no checkpoint")
	}
	if m.asJSON {
		return m.app.printJSON(map[string]any{
			"designations": p.Designations, "amendments": p.Amendments, "revocations": p.Revocations,
			"unchanged": p.Unchanged, "outside": p.Outside, "sent": len(sent), "size": cp.Checkpoint().Size,
		})
	}
	m.app.printf("%s published; %s\n", count(len(sent), "record"), asOf(cp))
	return nil
}
