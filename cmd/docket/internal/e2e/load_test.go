package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// provider is one of those who answer without pause: each response follows the one
// before. What has no answer when a server dies is sent again, the same bytes.
type provider struct {
	id       string
	ledger   *ledger
	open     []byte // sent, and no receipt yet
	env      record.Envelope
	receipts []*client.Receipt
	answers  int
}

// next is the envelope to be sent now.
func (p *provider) next() []byte {
	if p.open == nil {
		l := p.ledger
		l.mu.Lock()
		defer l.mu.Unlock()
		l.world.Now = time.Now().UTC().Truncate(time.Millisecond)
		windDown := record.DateOf(l.world.Now, time.UTC).AddDays(20)
		st := l.world.Statement(record.ResponseThread("1", p.id), p.id, &record.Response{Status: "winding-down", WindDownBy: &windDown})
		st.Note = fmt.Sprintf("answer %d", p.answers)
		p.answers++
		p.env = l.world.Sign(st, p.id+"/ci")
		p.open = p.env.Marshal()
	}
	return p.open
}

// answer sends responses until the server is gone. told is called for each receipt.
func (p *provider) answer(ctx context.Context, c *client.Client, told func()) error {
	for {
		s, err := c.Submit(ctx, p.next(), client.SinglePolicy{Only: p.ledger.policy}, client.Retry{})
		var gone *wire.UnreachableError
		var later *client.Problem
		switch {
		case errors.As(err, &gone), errors.As(err, &later) && later.Retryable():
			return nil // it was killed, or is about to end
		case err != nil:
			return fmt.Errorf("%s, answer %d: %w", p.id, p.answers, err)
		case s.Receipt == nil:
			continue // committed, it says: ask again
		}
		p.receipts = append(p.receipts, s.Receipt)
		p.ledger.mu.Lock()
		p.ledger.world.NoteAdmitted(p.env)
		p.ledger.mu.Unlock()
		p.open = nil
		told()
	}
}

// load lets all providers answer until the server is gone, and calls enough, once,
// when that many receipts were handed out.
func load(t *testing.T, c *client.Client, providers []*provider, receipts int64, enough func()) {
	t.Helper()
	var told atomic.Int64
	var wg sync.WaitGroup
	for _, p := range providers {
		wg.Go(func() {
			err := p.answer(t.Context(), c, func() {
				if told.Add(1) == receipts {
					enough()
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// resubmitUnanswered sends what is still open to a server that goes on.
func resubmitUnanswered(t *testing.T, l *ledger, c *client.Client, providers []*provider) {
	t.Helper()
	for _, p := range providers {
		if p.open == nil {
			continue
		}
		p.receipts = append(p.receipts, l.mustSubmit(t.Context(), c, p.env))
		p.open = nil
	}
}

// enrolProviders enrols the authority and n providers, and gives an order to answer to.
func enrolProviders(t *testing.T, l *ledger, c *client.Client, n int) (all []*provider) {
	t.Helper()
	l.mustSubmit(t.Context(), c, l.world.Authority())
	for i := range n {
		p := &provider{id: fmt.Sprintf("cloud-%d", i), ledger: l}
		l.mustSubmit(t.Context(), c, l.world.Provider(p.id))
		all = append(all, p)
	}
	l.mustSubmit(t.Context(), c, l.world.Designate("1", l.world.NewDesignation("Kestrel Hosting")))
	return all
}

// checkReceipts holds every receipt against a copy that was replayed from the
// server: the entry stands at its index, and the tree of then is the beginning of
// the tree of now.
func checkReceipts(t *testing.T, l *ledger, c *client.Client, receipts []*client.Receipt) {
	t.Helper()
	trust, err := client.CreateTrust(t.Context(), vfs.NewMem(), "trust", c, l.id)
	if err != nil {
		t.Fatal(err)
	}
	defer trust.Close()
	if err := trust.Sync(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	var entries [][]byte
	for i := range trust.CoveredSize() {
		e, err := trust.Entry(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	log := storetest.NewReferenceLog(entries)
	if now := trust.Checkpoint().Checkpoint().Tree(); log.Head(len(entries)) != now {
		t.Fatalf("the checkpoint is of %v, the entries hash to %v", now, log.Head(len(entries)))
	}
	seen := make(map[uint64]record.ID)
	for _, r := range receipts {
		then := r.Published().Checkpoint().Tree()
		switch {
		case r.Index() >= uint64(len(entries)) || !bytes.Equal(entries[r.Index()], r.Entry()):
			t.Fatalf("the receipt of index %d is of an entry that is not there, among %d", r.Index(), len(entries))
		case log.Head(int(then.Size)) != then:
			t.Fatalf("the receipt of index %d is against %v, which was %v", r.Index(), then, log.Head(int(then.Size)))
		case seen[r.Index()] != record.ID{} && seen[r.Index()] != r.ID:
			t.Fatalf("two records were told that they are at index %d", r.Index())
		}
		seen[r.Index()] = r.ID
		report, err := client.Verify(t.Context(), r.Text, trust, time.Now())
		if err != nil || report.ID != r.ID || report.Authorship != client.AuthorshipByReplay {
			t.Fatalf("the receipt of index %d: %+v, %v", r.Index(), report, err)
		}
	}
	audit, err := client.Audit{Source: c.Source(), Charter: l.id, Trusted: trust.Checkpoint(), RegisterFiles: vfs.NewMem(), RegisterDir: "audit"}.Run(t.Context())
	if err != nil || len(audit.Findings) > 0 || audit.Checked != uint64(len(entries)) {
		t.Fatalf("the audit: %+v, %v", audit, err)
	}
}

// checkRegister compares the register that a server left behind with the one that
// a replay makes.
func checkRegister(t *testing.T, l *ledger) {
	t.Helper()
	keys, err := node.LoadKeys(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	dump := func() string {
		n, err := node.Open(t.Context(), node.Config{Dir: l.dir, Keys: keys})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		var b bytes.Buffer
		if err := n.Register.Dump(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	left := dump()
	if err := vfs.Default.RemoveAll(filepath.Join(l.dir, "register")); err != nil {
		t.Fatal(err)
	}
	if replayed := dump(); replayed != left {
		t.Error("the register differs from one that was replayed from zero")
	}
}

// newestTree is what a server has published.
func newestTree(t *testing.T, c *client.Client) proof.Tree {
	t.Helper()
	note, err := c.Source().Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		t.Fatal(err)
	}
	return cp.Tree()
}

// TestKillNine kills a server under load again and again, each time at another
// moment: with some number of receipts handed out, whatever else it is doing.
// Nothing that it ever told anybody is lost.
func TestKillNine(t *testing.T) {
	const kills, clouds = 24, 12
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 9))
	l := newLedger(t)
	p := l.serve()
	providers := enrolProviders(t, l, l.client(p), clouds)
	for range kills {
		load(t, l.client(p), providers, 1+rng.Int64N(60), p.kill)
		p = l.serve()
	}
	c := l.client(p)
	resubmitUnanswered(t, l, c, providers)

	var receipts []*client.Receipt
	for _, p := range providers {
		receipts = append(receipts, p.receipts...)
	}
	size := newestTree(t, c).Size
	if want := uint64(len(receipts) + clouds + 3); size != want { // each answer is there once
		t.Errorf("%d entries, want %d (seed %d)", size, want, seed)
	}
	checkReceipts(t, l, c, receipts)
	p.end(t)
	checkRegister(t, l)
	t.Logf("%d kills, %d receipts, %d entries (seed %d)", kills, len(receipts), size, seed)
}

// TestTerminate ends a server under load as its supervisor does: it ends with
// status 0, and whoever had an answer has an entry.
func TestTerminate(t *testing.T) {
	const rounds, clouds = 4, 12
	l := newLedger(t)
	p := l.serve()
	providers := enrolProviders(t, l, l.client(p), clouds)
	for range rounds {
		stopped := make(chan error, 1)
		load(t, l.client(p), providers, 40, func() { go func() { stopped <- p.terminate() }() })
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		p = l.serve()
	}
	c := l.client(p)
	resubmitUnanswered(t, l, c, providers)
	var receipts []*client.Receipt
	for _, p := range providers {
		receipts = append(receipts, p.receipts...)
	}
	checkReceipts(t, l, c, receipts)
	p.end(t)
	checkRegister(t, l)
}
