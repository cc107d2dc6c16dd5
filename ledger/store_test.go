package ledger_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
)

// hangingStore answers some calls only when their context ends.
type hangingStore struct {
	ledger.Store
	reads, writes bool
}

func (h *hangingStore) hang(ctx context.Context, hang bool) error {
	if !hang {
		return nil
	}
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("a call without a deadline")
	}
	<-ctx.Done()
	return ctx.Err()
}

func (h *hangingStore) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	if err := h.hang(ctx, h.reads); err != nil {
		return nil, err
	}
	return h.Store.Entries(ctx, start, end)
}

func (h *hangingStore) Extend(ctx context.Context, x ledger.Extension) error {
	if err := h.hang(ctx, h.writes); err != nil {
		return err
	}
	return h.Store.Extend(ctx, x)
}

func (h *hangingStore) Publish(ctx context.Context, old, next []byte) error {
	if err := h.hang(ctx, h.writes); err != nil {
		return err
	}
	return h.Store.Publish(ctx, old, next)
}

// A store that hangs holds nothing up for longer than it may: a read fails, and the next
// one may succeed; a write is of unknown outcome, and the ledger is opened anew. The caller
// giving up changes neither.
func TestStoreTimeout(t *testing.T) {
	for _, what := range []string{"reading", "extending", "publishing"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTestEnv(t)
				w.config.StoreTimeout = 7 * time.Second
				store := &hangingStore{}
				w.wrapStore = func(s ledger.Store) ledger.Store { store.Store = s; return store }
				n := w.mustOpen(t)
				defer func() { n.close() }()
				n.addAll(t, numberedBlobs(0, 3)...)
				tickets := n.appendAll(t, numberedBlobs(3, 6)...)
				if what == "publishing" {
					if err := n.Commit(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				begun := time.Now()
				store.reads, store.writes = what == "reading", what != "reading"
				switch what {
				case "reading":
					if _, err := n.Entry(t.Context(), 1); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("reading an entry: %v", err)
					}
				case "extending":
					if err := n.Commit(t.Context()); !errors.Is(err, ledger.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("committing: %v, want ErrUnknown", err)
					}
					if _, err := tickets[0].AwaitCommitted(t.Context()); !errors.Is(err, ledger.ErrUnknown) {
						t.Errorf("the waiter got %v, want ErrUnknown", err)
					}
				case "publishing":
					if err := n.Publish(t.Context()); !errors.Is(err, ledger.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("publishing: %v, want ErrUnknown", err)
					}
				}
				if took := time.Since(begun); took != 7*time.Second {
					t.Errorf("it took %v, and it may take 7 s", took)
				}
				store.reads, store.writes = false, false
				if what == "reading" {
					if _, err := n.Entry(t.Context(), 1); err != nil || n.Err() != nil {
						t.Errorf("and then: %v, %v", err, n.Err())
					}
				} else if !errors.Is(n.Err(), ledger.ErrUnknown) {
					t.Errorf("the ledger goes on: %v", n.Err())
				}
				n = w.reopen(t, n)
				n.addAll(t, numberedBlobs(0, 6)...)
				if entries := w.checkPublished(t, n); len(entries) != 6 {
					t.Errorf("%d entries, want 6", len(entries))
				}
			})
		})
	}
}
