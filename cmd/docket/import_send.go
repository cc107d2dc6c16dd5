package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// sent is a planned record that the server admitted.
type sent struct {
	listimport.Item
	client.Admission
}

// send signs and sends the plan, many records at once: no two are on one thread.
// Then it waits until the copy, synced and replayed, has them all.
func (m *importer) send(ctx context.Context, g *ground, list *listimport.List, p *listimport.Plan, signers []*record.Signer) error {
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
	all, p, err := m.carryOver(ctx, server, g, list, p, signers)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		m.app.say("nothing to do: the register says what the list says")
		return m.result(p, g.trust, nil)
	}
	last := slices.MaxFunc(all, func(a, b sent) int { return cmp.Compare(a.Index, b.Index) }).Index
	there, err := m.await(ctx, g, server, func() (bool, error) { return g.trust.Covers() > last, nil })
	if err != nil {
		return m.stopped(ctx, len(all), len(all), err)
	}
	if !there {
		return notYet("all %d records are committed, and not all published yet", len(all)).hint("run the same command again, or docket sync, to see them published")
	}
	if err := m.keepReceipts(ctx, g.trust, all); err != nil {
		return err
	}
	return m.result(p, g.trust, all)
}

// carryOver sends the plan. Where the ledger knows more than the copy, as after an
// earlier run whose records are not published yet, it waits for that, and plans anew.
// It returns all that was sent, and the newest plan.
func (m *importer) carryOver(ctx context.Context, server *client.Client, g *ground, list *listimport.List, p *listimport.Plan, signers []*record.Signer) ([]sent, *listimport.Plan, error) {
	var all []sent
	for len(p.Items) > 0 {
		of := len(all) + len(p.Items)
		admitted, err := m.commit(ctx, server, g.ledger, p, signers)
		all = append(all, admitted...)
		if err == nil {
			break
		}
		newer := unknownTo(g, err)
		if newer.IsZero() {
			return nil, nil, m.stopped(ctx, len(all), of, err)
		}
		m.app.say("the ledger has records that are not published yet: waiting for them")
		there, err := m.await(ctx, g, server, func() (bool, error) { _, ok, err := g.register.Lookup(newer); return ok, err })
		if err == nil && !there {
			err = notYet("the ledger has records on these threads that are not published yet")
		}
		if err != nil {
			return nil, nil, m.stopped(ctx, len(all), of, err)
		}
		if p, err = m.plan(g, list); err != nil {
			return nil, nil, m.stopped(ctx, len(all), of, err)
		}
		m.show(list, p)
	}
	return all, p, nil
}

// unknownTo is the record that the server has on a thread, and the copy has not:
// why it refused one that follows an older. Zero if it refused for any other reason.
func unknownTo(g *ground, err error) record.ID {
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != http.StatusConflict {
		return record.ID{}
	}
	newer, err := record.ParseID(p.Current)
	if err != nil {
		return record.ID{}
	}
	if _, known, err := g.register.Lookup(newer); known || err != nil {
		return record.ID{}
	}
	return newer
}

// commit sends every item and returns those that the server admitted. After an error
// nothing more is sent; what is under way is waited for, so that it is known.
func (m *importer) commit(ctx context.Context, server *client.Client, ledger record.ID, p *listimport.Plan, signers []*record.Signer) (admitted []sent, err error) {
	bar := m.app.progress("sending", int64(len(p.Items)))
	defer bar.Finish()
	var mu sync.Mutex // guards admitted
	var failed atomic.Bool
	one := func(item listimport.Item) error {
		env, err := m.sign(ctx, ledger, item, signers)
		if err != nil {
			return err
		}
		a, err := server.Commit(ctx, env.Marshal(), client.Patience{For: m.wait})
		if err != nil {
			return fmt.Errorf("%s: %w", item.Thread, err)
		}
		bar.Add(1)
		mu.Lock()
		defer mu.Unlock()
		admitted = append(admitted, sent{item, *a})
		return nil
	}
	var g errgroup.Group
	g.SetLimit(m.parallel)
	for _, item := range p.Items {
		if failed.Load() {
			break
		}
		g.Go(func() error {
			err := one(item)
			if err != nil {
				failed.Store(true)
			}
			return err
		})
	}
	err = g.Wait()
	return admitted, err
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

// await syncs the copy until something is there, for as long as --wait says.
func (m *importer) await(ctx context.Context, g *ground, server *client.Client, something func() (bool, error)) (there bool, err error) {
	end := time.Now().Add(m.wait)
	for {
		if err := m.app.sync1(ctx, g.trust, server); err != nil {
			return false, err
		}
		if g.register, err = g.trust.Copy(); err != nil {
			return false, err
		}
		if there, err := something(); there || err != nil || time.Now().After(end) {
			return there, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// keepReceipts makes a receipt of each record from the copy, which is proven by now.
func (m *importer) keepReceipts(ctx context.Context, trust *client.Trust, all []sent) error {
	if m.receipts == "" {
		return nil
	}
	bar := m.app.progress("receipts", int64(len(all)))
	defer bar.Finish()
	for _, s := range all {
		r, err := trust.Receipt(ctx, s.ID)
		if err != nil {
			return err
		}
		text, err := r.Format()
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s-%d%s", strings.ReplaceAll(s.Thread, "/", "-"), s.Index, receiptSuffix)
		if err := keepReceipt(filepath.Join(m.receipts, name), text, s.ID, false); err != nil {
			return refuse("every record is published; keeping their receipts: %w", err).hint("files are never overwritten: move it away; docket receipt ID fetches each that is missing")
		}
		bar.Add(1)
	}
	return nil
}

// result says what was sent, and what the list has beside that.
func (m *importer) result(p *listimport.Plan, trust *client.Trust, all []sent) error {
	cp := trust.Checkpoint()
	if cp == nil {
		return errors.New("the trust directory has no checkpoint")
	}
	if m.asJSON {
		kinds := make(map[record.Kind]int)
		for _, s := range all {
			kinds[s.Predicate.Kind()]++
		}
		return m.app.printJSON(map[string]any{
			"designations": kinds[record.KindDesignation], "amendments": kinds[record.KindAmendment], "revocations": kinds[record.KindRevocation],
			"unchanged": p.Unchanged, "outside": p.Outside, "sent": len(all), "size": cp.Checkpoint().Size,
		})
	}
	m.app.printf("%s published; %s\n", count(len(all), "record"), asOf(cp))
	return nil
}
