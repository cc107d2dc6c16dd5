package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// requestedSizes are those that the panel was asked about.
func (p *witnessPanel) requestedSizes() (all []uint64) {
	for _, a := range p.requests {
		all = append(all, a.Tree().Size)
	}
	return all
}

// withEmptyDisk is the world after its store, and all that was derived from it, is gone.
func (w *testEnv) withEmptyDisk() *testEnv { return w.onDisk(vfs.NewCrashableMem()) }

// Before its first signature over an entry a ledger shows the empty tree, and its keys
// bear their mark. Once something is published nobody is asked again.
func TestProbeBeforeFirstPublication(t *testing.T) {
	w, p := newWitnessedEnv(t)
	var marked []int // after so many questions
	w.config.MarkKeys = func() error { marked = append(marked, len(p.requests)); return nil }
	n := w.mustOpen(t)
	if err := n.Publish(t.Context()); err != nil || len(p.requests) > 0 {
		t.Errorf("with no entry: %v, asked about %v", err, p.requestedSizes())
	}
	n.addAll(t, numberedBlobs(0, 3)...)
	n.addAll(t, numberedBlobs(3, 5)...)
	if got := p.requestedSizes(); !slices.Equal(got, []uint64{0, 3, 5}) || !slices.Equal(marked, []int{1}) {
		t.Errorf("asked about %v, the keys were marked after %v", got, marked)
	}
	p.requests = nil
	n = w.reopen(t, n)
	defer func() { n.close() }()
	n.addAll(t, numberedBlobs(5, 6)...)
	if got := p.requestedSizes(); !slices.Equal(got, []uint64{5, 6}) {
		t.Errorf("after a publication asked about %v", got)
	}
}

// A mark that cannot be made durable: nothing with an entry is signed.
func TestMarkKeysFails(t *testing.T) {
	w, p := newWitnessedEnv(t)
	full := errors.New("no space left on device")
	w.config.MarkKeys = func() error { return full }
	n := w.mustOpen(t)
	defer n.close()
	n.appendAll(t, numberedBlobs(0, 3)...)
	if err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context())); !errors.Is(err, full) {
		t.Errorf("publishing: %v", err)
	}
	if got := p.requestedSizes(); !slices.Equal(got, []uint64{0}) {
		t.Errorf("asked about %v", got)
	}
}

// Marked keys beside an empty store: it was lost.
func TestEmptyStoreWithMarkedKeys(t *testing.T) {
	w, p := newWitnessedEnv(t)
	w.config.KeysMarked = true
	if _, err := w.open(t); !errors.Is(err, ledger.ErrRollback) || len(p.requests) > 0 {
		t.Errorf("opening: %v", err)
	}
}

// The store is lost, and nothing at home knows it: the keys are from a backup of
// before they signed. What the witnesses know keeps the second history unsigned.
func TestLostStoreSignsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		tell func(p *witnessPanel, old *proof.Signed, a *ledger.CosignResponse)
		want error // nil: it is no reason not to begin
	}{
		"a witness shows what this log signed": {func(p *witnessPanel, old *proof.Signed, a *ledger.CosignResponse) {
			a.Claims, a.Checkpoints = []ledger.SizeClaim{{Witness: "w2", Size: 3}}, [][]byte{old.Note()}
		}, ledger.ErrRollback},
		"the log's URL shows it": {func(p *witnessPanel, old *proof.Signed, a *ledger.CosignResponse) {
			a.Checkpoints = [][]byte{old.Note()}
		}, ledger.ErrRollback},
		"a witness says a size, and nobody shows it": {func(p *witnessPanel, old *proof.Signed, a *ledger.CosignResponse) {
			a.Claims = []ledger.SizeClaim{{Witness: "w2", Size: 3}}
		}, ledger.ErrUnprovenClaim},
		"somebody shows what this log did not sign": {func(p *witnessPanel, old *proof.Signed, a *ledger.CosignResponse) {
			other, _ := storetest.NewLogKey(p.t, testOrigin)
			a.Checkpoints = [][]byte{must(proof.SignCheckpoint(old.Checkpoint(), other)).Note(), []byte("9")}
		}, nil},
		"a witness says that it never cosigned": {func(p *witnessPanel, old *proof.Signed, a *ledger.CosignResponse) {
			a.Claims = []ledger.SizeClaim{{Witness: "w1"}, {Witness: "w2"}}
			a.Cosignatures = nil
		}, nil},
		"too few answer": {func(p *witnessPanel, old *proof.Signed, a *ledger.CosignResponse) {
			a.Claims, a.Cosignatures = []ledger.SizeClaim{{Witness: "w2"}}, nil
		}, ledger.ErrNoQuorum},
		"they repeat what they cosigned when the log was new": {func(p *witnessPanel, old *proof.Signed, a *ledger.CosignResponse) {
			empty := proof.Checkpoint{Origin: testOrigin, Root: proof.EmptyRoot()}
			a.Cosignatures = []proof.Signature{p.cosignatureAt(0, empty, time.Now().Add(-time.Hour)), p.cosignatureAt(1, empty, time.Now())}
		}, ledger.ErrClock}, // or it is the clock here
		"they cosign something else": {func(p *witnessPanel, old *proof.Signed, a *ledger.CosignResponse) {
			a.Cosignatures = []proof.Signature{p.cosignatureAt(0, old.Checkpoint(), time.Now()), p.cosignatureAt(1, old.Checkpoint(), time.Now())}
		}, ledger.ErrNoQuorum},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := newWitnessedEnv(t)
				n := w.mustOpen(t)
				n.addAll(t, numberedBlobs(0, 3)...)
				old := n.Published().Signed()
				n.close()

				w = w.withEmptyDisk()
				p = &witnessPanel{t: t, keys: p.keys, secrets: p.secrets, seen: []proof.Tree{{Root: proof.EmptyRoot()}, {Root: proof.EmptyRoot()}, {Root: proof.EmptyRoot()}},
					unresponsive: []bool{false, false, true}, wrongSignature: make([]bool, 3), clockOffset: make([]time.Duration, 3)}
				w.config.Cosign = func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
					a, err := p.cosign(ctx, ask)
					if ask.ProbesNewLog() {
						c.tell(p, old, &a)
					}
					return a, err
				}
				n = w.mustOpen(t)
				defer func() { n.close() }()
				n.appendAll(t, numberedBlobs(100, 101)...)
				err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context()))
				if c.want == nil {
					if err != nil || n.Published() == nil {
						t.Errorf("publishing: %v", err)
					}
					return
				}
				if !errors.Is(err, c.want) || !slices.Equal(p.requestedSizes(), []uint64{0}) {
					t.Errorf("publishing: %v, want %v; asked about %v", err, c.want, p.requestedSizes())
				}
				if c.want != ledger.ErrNoQuorum && c.want != ledger.ErrClock && !errors.Is(n.Err(), c.want) {
					t.Errorf("it goes on after %v", err)
				}
				p.requests = nil
				w.config.NewLog = true // the operator's word goes for what nobody shows, and no further
				n = w.reopen(t, n)
				err = n.Publish(t.Context())
				if went := err == nil && n.Published() != nil; went != (c.want == ledger.ErrUnprovenClaim) {
					t.Errorf("with the operator's word that the log is new: %v", err)
				}
			})
		})
	}
}

// A witness that knows another log by this name cosigns nothing of this one, whatever the
// operator says, and calls the two a fork where it trusts the keys of both: nothing is
// signed for its eyes unless the others make a quorum.
func TestNewLogNeedsQuorum(t *testing.T) {
	for _, others := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			w, p := newWitnessedEnv(t)
			p.unresponsive = []bool{false, others < 2, true}
			w.config.NewLog = true
			marked := false
			w.config.MarkKeys = func() error { marked = true; return nil }
			w.config.Cosign = func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
				a, err := p.cosign(ctx, ask)
				if ask.ProbesNewLog() {
					a.Claims = []ledger.SizeClaim{{Witness: "w2", Size: 3}}
				}
				return a, err
			}
			n := w.mustOpen(t)
			defer n.close()
			n.appendAll(t, numberedBlobs(0, 1)...)
			err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context()))
			if others == 2 {
				if err != nil || n.Published() == nil {
					t.Errorf("with a quorum of others: %v", err)
				}
				return
			}
			if !errors.Is(err, ledger.ErrUnprovenClaim) || !errors.Is(err, ledger.ErrNoQuorum) || marked || n.Err() != nil {
				t.Errorf("without: %v; marked: %t; it stopped: %v", err, marked, n.Err())
			}
		})
	}
}

// Whoever is about to commit the first entry can ask before; that is asking once.
func TestProbeNewLogBeforeFirstEntry(t *testing.T) {
	w, p := newWitnessedEnv(t)
	n := w.mustOpen(t)
	defer n.close()
	if silent, err := n.ProbeNewLog(t.Context(), w.policy); err != nil || len(silent) > 0 {
		t.Fatal(silent, err)
	}
	n.addAll(t, numberedBlobs(0, 3)...)
	if got := p.requestedSizes(); !slices.Equal(got, []uint64{0, 3}) {
		t.Errorf("asked about %v", got)
	}
}

// A ledger ends after one witness has cosigned its first checkpoint, and before it is
// published. That witness stands further than the empty tree; it is where this store
// leads, so that is no loss, whether it shows what it cosigned or only says the size
// and the keys are known to have signed for this store.
func TestFirstPublicationInterrupted(t *testing.T) {
	for _, shows := range []bool{true, false} {
		w, p := newWitnessedEnv(t)
		w.config.MarkKeys = func() error { w.config.KeysMarked = !shows; return nil }
		p.unresponsive[1], p.unresponsive[2] = true, true
		w.config.Cosign = func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
			if ask.ProbesNewLog() && p.seen[0].Size == 0 { // they answer, and then are gone
				return ledger.CosignResponse{Claims: []ledger.SizeClaim{{Witness: "w0"}, {Witness: "w1"}}}, nil
			}
			return p.cosign(ctx, ask)
		}
		n := w.mustOpen(t)
		n.appendAll(t, numberedBlobs(0, 3)...)
		if err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context())); !errors.Is(err, ledger.ErrNoQuorum) || p.seen[0].Size != 3 {
			t.Fatalf("%v; it stands at %v", err, p.seen[0])
		}
		old := p.requests[len(p.requests)-1].Signed.Note()
		clear(p.unresponsive)
		w.config.Cosign = func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
			p.unresponsive[0] = ask.ProbesNewLog()
			a, err := p.cosign(ctx, ask)
			if ask.ProbesNewLog() {
				a.Claims = []ledger.SizeClaim{{Witness: "w0", Size: 3}}
				if shows {
					a.Checkpoints = [][]byte{old}
				}
			}
			return a, err
		}
		n = w.reopen(t, n)
		n.addAll(t, numberedBlobs(3, 4)...)
		w.checkPublished(t, n)
		n.close()
	}
}

// Where the quorum is none the log's URL alone is asked, and its silence is told.
func TestProbeWithoutWitnesses(t *testing.T) {
	w := newTestEnv(t)
	asked := 0
	w.config.Cosign = func(_ context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
		asked++
		return ledger.CosignResponse{Unresponsive: []error{errors.New("no connection")}}, nil
	}
	n := w.mustOpen(t)
	silent, err := n.ProbeNewLog(t.Context(), w.policy)
	if err != nil || asked != 1 || !strings.Contains(fmt.Sprint(silent), "no connection") {
		t.Errorf("asked %d times: %v, %v", asked, silent, err)
	}
	n.addAll(t, numberedBlobs(0, 3)...)
	old := n.Published().Note()
	n.close()
	w = w.withEmptyDisk()
	w.config.Cosign = func(context.Context, ledger.CosignRequest) (ledger.CosignResponse, error) {
		return ledger.CosignResponse{Checkpoints: [][]byte{old}}, nil
	}
	n = w.mustOpen(t)
	defer n.close()
	if _, err := n.ProbeNewLog(t.Context(), w.policy); !errors.Is(err, ledger.ErrRollback) {
		t.Errorf("its URL shows what it signed: %v", err)
	}
}

// A checkpoint of this log that is larger than what this process has written, and not
// than the store as read anew: another writer went on. That is no rollback.
func TestAnotherWriterExtended(t *testing.T) {
	w, p := newWitnessedEnv(t)
	n := w.mustOpen(t)
	defer n.close()
	n.addAll(t, numberedBlobs(0, 3)...)
	index := must(openIndex(t, w))
	defer index.Close()
	c := w.config
	c.Origin, c.Signers = testOrigin, []*proof.Signer{w.signer}
	other := &testLedger{store: n.store, index: index}
	other.Ledger = must(ledger.Open(t.Context(), n.store, ledger.Fold[blob](index), c))
	other.addAll(t, numberedBlobs(3, 6)...)
	p.shownNotes = [][]byte{other.Published().Note()}
	p.unresponsive = []bool{true, true, true}
	err := n.Recosign(t.Context())
	if !errors.Is(err, ledger.ErrConflict) || errors.Is(err, ledger.ErrRollback) || n.Err() == nil {
		t.Errorf("shown what another writer signed: %v", err)
	}
}

type blob = pebblestore.Blob

// openIndex opens a second index, of another directory.
func openIndex(t *testing.T, w *testEnv) (*pebblestore.BlobFold, error) {
	t.Helper()
	return pebblestore.OpenBlobFold(w.fs, "other", w.policy, smallOptions)
}
