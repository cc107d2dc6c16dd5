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
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

// committedItem is a planned record that the server admitted.
type committedItem struct {
	listimport.Item
	client.UnverifiedCommit
}

// send signs and sends the plan, many records at once: no two are on one thread.
// Then it waits until the copy, synced and replayed, has them all.
func (m *importRun) send(ctx context.Context, g *baseState, lists []*listimport.List, p *importPlan, signers []*draft.Signer) error {
	server, err := m.trust.connect(g.trust)
	if err != nil {
		return err
	}
	all, p, err := m.sendAll(ctx, server, g, lists, p, signers)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		m.app.logf("nothing to do: the register says what the list says")
		return m.printResult(p, g.trust, nil)
	}
	last := slices.MaxFunc(all, func(a, b committedItem) int { return cmp.Compare(a.Index, b.Index) }).Index
	there, err := m.awaitInCopy(ctx, g, server, func() (bool, error) { return g.trust.CoveredSize() > last, nil })
	if err != nil {
		return m.interruptedError(ctx, len(all), len(all), err)
	}
	if !there {
		return notYet("all %d records are committed, and not all published yet", len(all)).hint("run the same command again, or docket sync, to see them published")
	}
	if err := m.writeReceipts(ctx, g.trust, all); err != nil {
		return err
	}
	return m.printResult(p, g.trust, all)
}

// sendAll sends the plan. Where the ledger knows more than the copy, as after an
// earlier run whose records are not published yet, it waits for that, and plans anew.
// It returns all that was sent, and the newest plan.
func (m *importRun) sendAll(ctx context.Context, server *client.Client, g *baseState, lists []*listimport.List, p *importPlan, signers []*draft.Signer) ([]committedItem, *importPlan, error) {
	var all []committedItem
	for len(p.items) > 0 {
		of := len(all) + len(p.items)
		admitted, err := m.commitItems(ctx, server, g.ledger, p, signers)
		all = append(all, admitted...)
		if err == nil {
			break
		}
		newer := newerThanCopy(g, err)
		if newer.IsZero() {
			return nil, nil, m.interruptedError(ctx, len(all), of, err)
		}
		m.app.logf("the ledger has records that are not published yet: waiting for them")
		there, err := m.awaitInCopy(ctx, g, server, func() (bool, error) { _, ok, err := g.register.Lookup(newer); return ok, err })
		if err == nil && !there {
			err = notYet("the ledger has records on these threads that are not published yet")
		}
		if err != nil {
			return nil, nil, m.interruptedError(ctx, len(all), of, err)
		}
		if p, err = m.plan(g, lists); err != nil {
			return nil, nil, m.interruptedError(ctx, len(all), of, err)
		}
		m.printPlan(p)
	}
	return all, p, nil
}

// newerThanCopy is the record that the server has on a thread, and the copy has not:
// why it refused one that follows an older. Zero if it refused for any other reason.
func newerThanCopy(g *baseState, err error) record.ID {
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

// commitItems sends every item and returns those that the server admitted. After an
// error nothing more is sent; it waits for the requests in flight, so that their
// outcome is known.
func (m *importRun) commitItems(ctx context.Context, server *client.Client, ledger record.ID, p *importPlan, signers []*draft.Signer) (admitted []committedItem, err error) {
	bar := m.app.progress("sending", int64(len(p.items)))
	defer bar.Finish()
	var mu sync.Mutex // guards admitted
	var failed atomic.Bool
	one := func(item listimport.Item) error {
		env, err := m.sign(ctx, ledger, item, signers)
		if err != nil {
			return err
		}
		a, err := server.Commit(ctx, env.Marshal(), client.Retry{MaxElapsed: m.wait})
		if err != nil {
			return fmt.Errorf("%s: %w", item.Thread, err)
		}
		bar.Add(1)
		mu.Lock()
		defer mu.Unlock()
		admitted = append(admitted, committedItem{item, *a})
		return nil
	}
	var g errgroup.Group
	g.SetLimit(m.parallel)
	for _, item := range p.items {
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

// interruptedError says how far an import came.
func (m *importRun) interruptedError(ctx context.Context, sent, of int, err error) error {
	status, next := exitStatusOf(err)
	if ctx.Err() != nil {
		status, err = exitNotYet, ctx.Err()
	}
	if status == exitNotYet {
		next = "run the same command again: it goes on where it was"
	}
	return &failure{status: status, err: fmt.Errorf("%d of %d records were sent: %w", sent, of, err), nextStep: next}
}

// awaitInCopy syncs the copy until something is there, for as long as --wait says.
func (m *importRun) awaitInCopy(ctx context.Context, g *baseState, server *client.Client, something func() (bool, error)) (there bool, err error) {
	end := time.Now().Add(m.wait)
	for {
		if err := m.app.syncTrust(ctx, g.trust, server); err != nil {
			return false, err
		}
		if g.register, err = g.trust.Register(); err != nil {
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

// writeReceipts makes a receipt of each record from the copy, which is proven by now.
func (m *importRun) writeReceipts(ctx context.Context, trust *client.Trust, all []committedItem) error {
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
		name := fmt.Sprintf("%s-%d%s", strings.ReplaceAll(string(s.Thread), "/", "-"), s.Index, receiptSuffix)
		if err := writeReceipt(filepath.Join(m.receipts, name), text, s.ID, disk.SyncLater); err != nil {
			kept := refusal("every record is published; docket receipt ID fetches each receipt that is missing; keeping them: %w", err)
			if ofMachine(err) {
				return kept
			}
			return kept.hint("files are never overwritten: move it away")
		}
		bar.Add(1)
	}
	return nil
}

// printResult says what was sent, and what the list has beside that.
func (m *importRun) printResult(p *importPlan, trust *client.Trust, all []committedItem) error {
	cp := trust.Checkpoint()
	if cp == nil {
		return errors.New("the trust directory has no checkpoint")
	}
	if m.asJSON {
		kinds := make(map[record.Kind]int)
		for _, s := range all {
			kinds[s.Predicate.Kind()]++
		}
		unchanged, skipped := 0, 0
		for _, plan := range p.plans {
			unchanged += plan.Unchanged
			skipped += plan.Skipped
		}
		return m.app.printJSON(map[string]any{
			"designations": kinds[record.KindDesignation], "amendments": kinds[record.KindAmendment], "revocations": kinds[record.KindRevocation],
			"unchanged": unchanged, "outside": skipped, "sent": len(all), "size": cp.Checkpoint().Size,
		})
	}
	m.app.printf("%s published; %s\n", plural(len(all), "record"), asOf(cp))
	return nil
}

// sign makes the envelope of one planned record.
func (m *importRun) sign(ctx context.Context, ledger record.ID, item listimport.Item, signers []*draft.Signer) (record.Envelope, error) {
	payload, err := record.EncodeStatement(item.Statement(ledger, record.Authority, time.Now()))
	env := record.Envelope{PayloadType: record.PayloadType, Payload: payload}
	if err == nil {
		env, err = signAll(ctx, env, signers)
	}
	if err != nil {
		return env, refusal("%s: %w", item.Thread, err)
	}
	return env, nil
}
