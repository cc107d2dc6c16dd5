package e2e

import (
	"math/rand/v2"
	"testing"

	"github.com/seed-53cf897a/docket/client"
)

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
