package ledger_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
)

// refusingFold refuses the blobs that it is told to, and fails on one.
type refusingFold struct {
	*pebblestore.BlobFold
	refuse map[ledger.ID]bool
	broken ledger.ID
}

type refusingDraft struct {
	ledger.Draft[pebblestore.Blob]
	fold *refusingFold
}

func (p *refusingFold) Begin(at time.Time) ledger.Draft[pebblestore.Blob] {
	return refusingDraft{p.BlobFold.Begin(at), p}
}

func (d refusingDraft) Next(at time.Time) ledger.Draft[pebblestore.Blob] { return d.fold.Begin(at) }

func (d refusingDraft) Judge(b pebblestore.Blob) ([]byte, error) {
	switch {
	case d.fold.refuse[b.ID()]:
		return nil, errUnsigned
	case d.fold.broken == b.ID():
		return nil, errors.New("the index is gone")
	}
	return d.Draft.Judge(b)
}

// errUnsigned is the refusal of a refusingFold.
var errUnsigned = refusal("one signature is missing")

type refusal string

func (r refusal) Error() string { return string(r) }
func (r refusal) RefusesItem()  {}

func newRefusingEnv(t *testing.T) (*testEnv, *refusingFold) {
	w := newTestEnv(t)
	p := &refusingFold{refuse: make(map[ledger.ID]bool)}
	w.wrapFold = func(x *pebblestore.BlobFold) ledger.Fold[pebblestore.Blob] { p.BlobFold = x; return p }
	return w, p
}

// A refusal concerns one item alone and leaves no trace.
func TestRefusal(t *testing.T) {
	w, p := newRefusingEnv(t)
	n := w.mustOpen(t)
	defer n.close()
	blobs := numberedBlobs(0, 5)
	p.refuse[blobs[2].ID()] = true
	tickets := n.appendAll(t, blobs...)
	n.commitAndPublish(t)
	for i, want := range []uint64{0, 1, 99, 2, 3} {
		a, err := tickets[i].AwaitCommitted(t.Context())
		if i == 2 {
			if !errors.Is(err, errUnsigned) {
				t.Errorf("the refused blob got %v", err)
			}
			continue
		}
		if err != nil || a.Index != want {
			t.Errorf("blob %d: %+v, %v; want index %d", i, a, err, want)
		}
	}
	if len(w.checkPublished(t, n)) != 4 {
		t.Error("the refused blob left an entry")
	}
	// The same payload is judged again: it may bear another signature by now.
	p.refuse = nil
	if a := n.addAll(t, blobs...); a[2] != (ledger.Admission{Index: 4}) || a[3] != (ledger.Admission{Index: 2, Duplicate: true}) {
		t.Errorf("sent again: %+v", a)
	}
	// A batch of refusals alone extends nothing.
	more := numberedBlobs(10, 12)
	p.refuse = map[ledger.ID]bool{more[0].ID(): true, more[1].ID(): true}
	n.appendAll(t, more...)
	n.commitAndPublish(t)
	if n.Head().Size != 5 {
		t.Errorf("size %d after refusals", n.Head().Size)
	}
}

// Equal items in one commit, in two that overlap, and later, are one entry.
func TestDuplicateAppend(t *testing.T) {
	w := newTestEnv(t)
	w.config.MaxBatchItems = 4
	n := w.mustOpen(t)
	defer n.close()
	blobs := append(numberedBlobs(0, 6), append(numberedBlobs(0, 6), numberedBlobs(3, 9)...)...)
	for i, a := range n.addAll(t, blobs...) {
		want := ledger.Admission{Index: uint64(i), Duplicate: false}
		switch {
		case i >= 15:
			want.Index = uint64(i - 9)
		case i >= 12:
			want = ledger.Admission{Index: uint64(i - 9), Duplicate: true}
		case i >= 6:
			want = ledger.Admission{Index: uint64(i - 6), Duplicate: true}
		}
		if a != want {
			t.Errorf("blob %d is admitted as %+v, want %+v", i, a, want)
		}
	}
	w.checkPublished(t, n)
}

// A fault of the fold writes nothing and stops the ledger.
func TestBrokenFold(t *testing.T) {
	w, p := newRefusingEnv(t)
	n := w.mustOpen(t)
	defer n.close()
	n.addAll(t, numberedBlobs(0, 3)...)
	blobs := numberedBlobs(3, 6)
	p.broken = blobs[1].ID()
	tickets := n.appendAll(t, blobs...)
	if err := n.Commit(t.Context()); err == nil || n.Err() == nil {
		t.Error("a broken fold was not noticed")
	}
	for i, ticket := range tickets {
		if _, err := ticket.AwaitCommitted(t.Context()); !errors.Is(err, ledger.ErrStopped) || !strings.Contains(err.Error(), "the index is gone") {
			t.Errorf("ticket %d got %v", i, err)
		}
	}
	if h, err := n.store.Head(t.Context()); err != nil || h.Size != 3 {
		t.Errorf("the store is at %d, %v", h.Size, err)
	}
}

// The pool is bounded, and so is what waits for the quorum.
func TestBusyAndBacklog(t *testing.T) {
	w := newTestEnv(t)
	w.config.MaxPoolItems, w.config.MaxBacklog = 3, 5
	n := w.mustOpen(t)
	defer n.close()
	n.appendAll(t, numberedBlobs(0, 3)...)
	if _, err := n.Append(t.Context(), numberedBlobs(3, 4)[0]); !errors.Is(err, ledger.ErrBusy) {
		t.Errorf("a full pool: %v", err)
	}
	if err := n.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.appendAll(t, numberedBlobs(3, 6)...)
	if err := n.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Append(t.Context(), numberedBlobs(20, 21)[0]); !errors.Is(err, ledger.ErrBacklog) {
		t.Errorf("backlog of %d: %v", n.Backlog(), err)
	}
	if ticket, err := n.Append(t.Context(), numberedBlobs(4, 5)[0]); err != nil {
		t.Errorf("a known item with a full backlog: %v", err)
	} else if a, err := ticket.AwaitCommitted(t.Context()); err != nil || !a.Duplicate || a.Index != 4 {
		t.Errorf("a known item with a full backlog: %+v, %v", a, err)
	}
	n.commitAndPublish(t)
	n.addAll(t, numberedBlobs(20, 21)...)
}

// The clock of the next start is behind the newest entry: nothing is admitted, and
// reads go on.
func TestClockBehind(t *testing.T) {
	w := newTestEnv(t)
	n := w.mustOpen(t)
	n.addAll(t, numberedBlobs(0, 3)...)
	n.close()
	synctest.Test(t, func(t *testing.T) { // where it is the year 2000
		n := w.mustOpen(t)
		defer n.close()
		tickets := n.appendAll(t, numberedBlobs(3, 4)...)
		if err := n.Commit(t.Context()); !errors.Is(err, ledger.ErrClock) {
			t.Errorf("committing in the past: %v", err)
		}
		if _, err := tickets[0].AwaitCommitted(t.Context()); !errors.Is(err, ledger.ErrClock) {
			t.Errorf("the waiter got %v", err)
		}
		if n.Err() != nil {
			t.Errorf("stopped: %v", n.Err())
		}
		must(n.Receipt(t.Context(), 2))
	})
	n = w.mustOpen(t)
	defer n.close()
	n.addAll(t, numberedBlobs(3, 4)...)
	w.checkPublished(t, n)
}

// Run under load, then told to end: whatever was accepted is published.
func TestRunUnderLoad(t *testing.T) {
	w := newTestEnv(t)
	w.config.MaxBatchItems = 16
	n := w.mustOpen(t)
	defer n.close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	var senders sync.WaitGroup
	var mu sync.Mutex
	accepted := 0
	for s := range 8 {
		senders.Go(func() {
			for i := range 200 {
				blob := numberedBlobs(s*150+i, s*150+i+1)[0] // neighbours send some of the same
				ticket, err := n.Append(t.Context(), blob)
				if errors.Is(err, ledger.ErrStopped) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				if i == 120 && s == 3 {
					cancel()
				}
				a, err := ticket.AwaitCommitted(t.Context())
				if err != nil {
					t.Errorf("accepted, then: %v", err)
					return
				}
				if i%10 == 0 || ctx.Err() != nil {
					if _, err := n.AwaitPublished(t.Context(), a.Index); err != nil {
						t.Errorf("accepted at %d, then: %v", a.Index, err)
					}
				}
				mu.Lock()
				accepted++
				mu.Unlock()
			}
		})
	}
	senders.Wait()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if n.Backlog() != 0 || n.Head().Size == 0 {
		t.Errorf("ended at size %d with a backlog of %d", n.Head().Size, n.Backlog())
	}
	w.checkPublished(t, n)
}

// When idle, one record is committed and published at once: no timer is involved.
func TestIdlePublishesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestEnv(t)
		n := w.mustOpen(t)
		defer n.close()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.Run(ctx) }()
		for i := range 3 {
			time.Sleep(time.Hour)
			before := time.Now()
			ticket := n.appendAll(t, numberedBlobs(i, i+1)...)[0]
			a := must(ticket.AwaitCommitted(t.Context()))
			must(n.AwaitPublished(t.Context(), a.Index))
			if took := time.Since(before); took != 0 {
				t.Errorf("record %d took %v of the bubble's time", i, took)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
