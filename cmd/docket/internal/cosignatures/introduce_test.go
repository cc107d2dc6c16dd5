package cosignatures_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// refuseEmptyTree is honest, but refuses the empty tree as malformed, whatever it has
// cosigned: tlog-witness does not say so, but it may happen.
func (s *testWitness) refuseEmptyTree(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	a, bad := wire.ParseAddCheckpoint(body)
	if r.Method == http.MethodPost && err == nil && bad == nil {
		if cp, _, err := proof.ParseCheckpoint(a.Note); err == nil && cp.Size == 0 {
			http.Error(out, "a checkpoint of nothing", http.StatusBadRequest)
			return
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.serveHonestly(out, r)
}

// hideCheckpoint is honest, and shows nothing at its monitoring prefix.
func (s *testWitness) hideCheckpoint(out http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		http.NotFound(out, r)
		return
	}
	s.serveHonestly(out, r)
}

// The store is lost, and all that was derived from it; the keys are still there. The
// witnesses see nothing of a second history, and when the store is back the first one
// goes on.
func TestLostStore(t *testing.T) {
	for name, c := range map[string]struct {
		witnesses func(*testWitness) http.HandlerFunc
		want      error
	}{
		"as this project's":              {func(s *testWitness) http.HandlerFunc { return s.serveHonestly }, ledger.ErrRollback},
		"they refuse the empty tree":     {func(s *testWitness) http.HandlerFunc { return s.refuseEmptyTree }, ledger.ErrRollback},
		"they show nothing":              {func(s *testWitness) http.HandlerFunc { return s.hideCheckpoint }, ledger.ErrUnprovenClaim},
		"the log is not on their lists":  {func(*testWitness) http.HandlerFunc { return http.NotFound }, ledger.ErrNoQuorum},
		"they are down":                  {func(*testWitness) http.HandlerFunc { return unavailableHandler }, ledger.ErrNoQuorum},
		"only one of them, and it is ok": {nil, ledger.ErrNoQuorum},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTestNetwork(t, 3, 0)
				if c.witnesses != nil {
					for _, s := range w.witnesses {
						s.setHandler(s.refuseEmptyTree) // all begin with a log all the same
					}
				}
				w.mustAdd(5)
				synctest.Wait()
				disk := w.fs
				w.close()

				w.fs = vfs.NewMem()
				w.open()
				for i, s := range w.witnesses {
					if c.witnesses != nil {
						s.setHandler(c.witnesses(s))
					} else if i > 0 {
						s.setHandler(hangingHandler)
					} else { // it never heard of the log
						s.setHandler(func(out http.ResponseWriter, r *http.Request) {
							if r.Method == http.MethodPost {
								http.Error(out, "a checkpoint of nothing", http.StatusUnprocessableEntity)
								return
							}
							http.NotFound(out, r)
						})
					}
				}
				w.commit(3)
				err := w.l.Publish(t.Context())
				synctest.Wait()
				if err := errors.Join(err, w.l.MergeLate(t.Context())); !errors.Is(err, c.want) {
					t.Errorf("publishing a second history: %v, want %v", err, c.want)
				}
				w.close()

				w.fs = disk
				w.open()
				for _, s := range w.witnesses {
					s.setHandler(nil)
				}
				w.mustAdd(1)
				synctest.Wait()
				for i, s := range w.witnesses {
					if kept, err := s.witness.Evidence().List(); err != nil || len(kept) > 0 {
						t.Errorf("witness %d has evidence: %v, %v", i, kept, err)
					}
				}
			})
		})
	}
}

// Of three witnesses two are enough, and have never heard of the log. The third has
// cosigned what was never published, before the store was lost: it is heard, though it
// is the slowest.
func TestOneWitnessKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		note := must(proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: 1, Root: proof.LeafHash(nil)}, w.signers...)).Note()
		must(w.witnesses[2].witness.Cosign(t.Context(), wire.AddCheckpoint{Note: note}))
		w.witnesses[2].setHandler(w.witnesses[2].slow(4 * time.Second))
		if err := w.add(3); !errors.Is(err, ledger.ErrRollback) {
			t.Errorf("publishing a second history: %v", err)
		}
		synctest.Wait()
		if kept, err := w.witnesses[2].witness.Evidence().List(); err != nil || len(kept) > 0 {
			t.Errorf("it has evidence: %v, %v", kept, err)
		}
	})
}

// A witness that hangs holds up the first checkpoint once, and not for long.
func TestOneWitnessHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTestNetwork(t, 3, 0)
		w.witnesses[2].setHandler(hangingHandler)
		begun := time.Now()
		w.mustAdd(1)
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("the first checkpoint took %s", took)
		}
		begun = time.Now()
		w.mustAdd(1)
		if took := time.Since(begun); took > 0 {
			t.Errorf("the second one %s", took)
		}
	})
}
