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
)

// sizes are those that the panel was asked about.
func (p *panel) sizes() (all []uint64) {
	for _, a := range p.asks {
		all = append(all, a.Tree().Size)
	}
	return all
}

// lost is the world after its store, and all that was derived from it, is gone.
func (w *world) lost() *world { return w.at(vfs.NewCrashableMem()) }

// Before its first signature over an entry a ledger shows the empty tree, and its keys
// bear their mark. Once something is published nobody is asked again.
func TestEmptyTreeGoesFirst(t *testing.T) {
	w, p := newPanel(t)
	var marked []int // after so many questions
	w.config.Mark = func() error { marked = append(marked, len(p.asks)); return nil }
	n := w.mustOpen(t)
	if err := n.Publish(t.Context()); err != nil || len(p.asks) > 0 {
		t.Errorf("with no entry: %v, asked about %v", err, p.sizes())
	}
	n.add(t, numbered(0, 3)...)
	n.add(t, numbered(3, 5)...)
	if got := p.sizes(); !slices.Equal(got, []uint64{0, 3, 5}) || !slices.Equal(marked, []int{1}) {
		t.Errorf("asked about %v, the keys were marked after %v", got, marked)
	}
	p.asks = nil
	n = w.reopen(t, n)
	defer func() { n.close() }()
	n.add(t, numbered(5, 6)...)
	if got := p.sizes(); !slices.Equal(got, []uint64{5, 6}) {
		t.Errorf("after a publication asked about %v", got)
	}
}

// A mark that cannot be made durable: nothing with an entry is signed.
func TestMarkFails(t *testing.T) {
	w, p := newPanel(t)
	full := errors.New("no space left on device")
	w.config.Mark = func() error { return full }
	n := w.mustOpen(t)
	defer n.close()
	n.appendAll(t, numbered(0, 3)...)
	if err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context())); !errors.Is(err, full) {
		t.Errorf("publishing: %v", err)
	}
	if got := p.sizes(); !slices.Equal(got, []uint64{0}) {
		t.Errorf("asked about %v", got)
	}
}

// Marked keys beside an empty store: it was lost.
func TestEmptyStoreBesideMarkedKeys(t *testing.T) {
	w, p := newPanel(t)
	w.config.Signed = true
	if _, err := w.open(t); !errors.Is(err, ledger.ErrRollback) || len(p.asks) > 0 {
		t.Errorf("opening: %v", err)
	}
}

// The store is lost, and nothing at home knows it: the keys are from a backup of
// before they signed. What the witnesses know keeps the second history unsigned.
func TestLostStoreSignsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		tell func(p *panel, old *proof.Signed, a *ledger.Answer)
		want error // nil: it is no reason not to begin
	}{
		"a witness shows what this log signed": {func(p *panel, old *proof.Signed, a *ledger.Answer) {
			a.Claims, a.Seen = []ledger.Claim{{Witness: "w2", Size: 3}}, [][]byte{old.Note()}
		}, ledger.ErrRollback},
		"the log's URL shows it": {func(p *panel, old *proof.Signed, a *ledger.Answer) {
			a.Seen = [][]byte{old.Note()}
		}, ledger.ErrRollback},
		"a witness says a size, and nobody shows it": {func(p *panel, old *proof.Signed, a *ledger.Answer) {
			a.Claims = []ledger.Claim{{Witness: "w2", Size: 3}}
		}, ledger.ErrClaimed},
		"somebody shows what this log did not sign": {func(p *panel, old *proof.Signed, a *ledger.Answer) {
			other, _ := logKey(p.t)
			a.Seen = [][]byte{must(proof.SignCheckpoint(old.Checkpoint(), other)).Note(), []byte("9")}
		}, nil},
		"a witness says that it never cosigned": {func(p *panel, old *proof.Signed, a *ledger.Answer) {
			a.Claims = []ledger.Claim{{Witness: "w1"}, {Witness: "w2"}}
			a.Cosignatures = nil
		}, nil},
		"too few answer": {func(p *panel, old *proof.Signed, a *ledger.Answer) {
			a.Claims, a.Cosignatures = []ledger.Claim{{Witness: "w2"}}, nil
		}, ledger.ErrNoQuorum},
		"they repeat what they cosigned when the log was new": {func(p *panel, old *proof.Signed, a *ledger.Answer) {
			empty := proof.Checkpoint{Origin: origin, Root: proof.EmptyRoot()}
			a.Cosignatures = []proof.Signature{p.stamped(0, empty, time.Now().Add(-time.Hour)), p.stamped(1, empty, time.Now())}
		}, ledger.ErrClock}, // or it is the clock here
		"they cosign something else": {func(p *panel, old *proof.Signed, a *ledger.Answer) {
			a.Cosignatures = []proof.Signature{p.stamped(0, old.Checkpoint(), time.Now()), p.stamped(1, old.Checkpoint(), time.Now())}
		}, ledger.ErrNoQuorum},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := newPanel(t)
				n := w.mustOpen(t)
				n.add(t, numbered(0, 3)...)
				old := n.Published().Signed()
				n.close()

				w = w.lost()
				p = &panel{t: t, keys: p.keys, secrets: p.secrets, seen: []proof.Tree{{Root: proof.EmptyRoot()}, {Root: proof.EmptyRoot()}, {Root: proof.EmptyRoot()}},
					deaf: []bool{false, false, true}, fake: make([]bool, 3), off: make([]time.Duration, 3)}
				w.config.Cosign = func(ctx context.Context, ask ledger.Ask) (ledger.Answer, error) {
					a, err := p.cosign(ctx, ask)
					if ask.Introduces() {
						c.tell(p, old, &a)
					}
					return a, err
				}
				n = w.mustOpen(t)
				defer func() { n.close() }()
				n.appendAll(t, numbered(100, 101)...)
				err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context()))
				if c.want == nil {
					if err != nil || n.Published() == nil {
						t.Errorf("publishing: %v", err)
					}
					return
				}
				if !errors.Is(err, c.want) || !slices.Equal(p.sizes(), []uint64{0}) {
					t.Errorf("publishing: %v, want %v; asked about %v", err, c.want, p.sizes())
				}
				if c.want != ledger.ErrNoQuorum && c.want != ledger.ErrClock && !errors.Is(n.Err(), c.want) {
					t.Errorf("it goes on after %v", err)
				}
				p.asks = nil
				w.config.NewLog = true // the operator's word goes for what nobody shows, and no further
				n = w.reopen(t, n)
				err = n.Publish(t.Context())
				if went := err == nil && n.Published() != nil; went != (c.want == ledger.ErrClaimed) {
					t.Errorf("with the operator's word that the log is new: %v", err)
				}
			})
		})
	}
}

// A witness that knows another log by this name cosigns nothing of this one, whatever the
// operator says, and calls the two a fork where it trusts the keys of both: nothing is
// signed for its eyes unless the others make a quorum.
func TestNewLogNeedsTheOthers(t *testing.T) {
	for _, others := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			w, p := newPanel(t)
			p.deaf = []bool{false, others < 2, true}
			w.config.NewLog = true
			marked := false
			w.config.Mark = func() error { marked = true; return nil }
			w.config.Cosign = func(ctx context.Context, ask ledger.Ask) (ledger.Answer, error) {
				a, err := p.cosign(ctx, ask)
				if ask.Introduces() {
					a.Claims = []ledger.Claim{{Witness: "w2", Size: 3}}
				}
				return a, err
			}
			n := w.mustOpen(t)
			defer n.close()
			n.appendAll(t, numbered(0, 1)...)
			err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context()))
			if others == 2 {
				if err != nil || n.Published() == nil {
					t.Errorf("with a quorum of others: %v", err)
				}
				return
			}
			if !errors.Is(err, ledger.ErrClaimed) || !errors.Is(err, ledger.ErrNoQuorum) || marked || n.Err() != nil {
				t.Errorf("without: %v; marked: %t; it stopped: %v", err, marked, n.Err())
			}
		})
	}
}

// Whoever is about to commit the first entry can ask before; that is asking once.
func TestIntroduceBeforeTheFirstEntry(t *testing.T) {
	w, p := newPanel(t)
	n := w.mustOpen(t)
	defer n.close()
	if silent, err := n.Introduce(t.Context(), w.policy); err != nil || len(silent) > 0 {
		t.Fatal(silent, err)
	}
	n.add(t, numbered(0, 3)...)
	if got := p.sizes(); !slices.Equal(got, []uint64{0, 3}) {
		t.Errorf("asked about %v", got)
	}
}

// A ledger ends after one witness has cosigned its first checkpoint, and before it is
// published. That witness stands further than the empty tree; it is where this store
// leads, so that is no loss, whether it shows what it cosigned or only says the size
// and the keys are known to have signed for this store.
func TestFirstPublicationInterrupted(t *testing.T) {
	for _, shows := range []bool{true, false} {
		w, p := newPanel(t)
		w.config.Mark = func() error { w.config.Signed = !shows; return nil }
		p.deaf[1], p.deaf[2] = true, true
		w.config.Cosign = func(ctx context.Context, ask ledger.Ask) (ledger.Answer, error) {
			if ask.Introduces() && p.seen[0].Size == 0 { // they answer, and then are gone
				return ledger.Answer{Claims: []ledger.Claim{{Witness: "w0"}, {Witness: "w1"}}}, nil
			}
			return p.cosign(ctx, ask)
		}
		n := w.mustOpen(t)
		n.appendAll(t, numbered(0, 3)...)
		if err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context())); !errors.Is(err, ledger.ErrNoQuorum) || p.seen[0].Size != 3 {
			t.Fatalf("%v; it stands at %v", err, p.seen[0])
		}
		old := p.asks[len(p.asks)-1].Signed.Note()
		clear(p.deaf)
		w.config.Cosign = func(ctx context.Context, ask ledger.Ask) (ledger.Answer, error) {
			p.deaf[0] = ask.Introduces()
			a, err := p.cosign(ctx, ask)
			if ask.Introduces() {
				a.Claims = []ledger.Claim{{Witness: "w0", Size: 3}}
				if shows {
					a.Seen = [][]byte{old}
				}
			}
			return a, err
		}
		n = w.reopen(t, n)
		n.add(t, numbered(3, 4)...)
		w.checkLaws(t, n)
		n.close()
	}
}

// Where the quorum is none the log's URL alone is asked, and its silence is told.
func TestNobodyToAsk(t *testing.T) {
	w := newWorld(t)
	asked := 0
	w.config.Cosign = func(_ context.Context, ask ledger.Ask) (ledger.Answer, error) {
		asked++
		return ledger.Answer{Silent: []error{errors.New("no connection")}}, nil
	}
	n := w.mustOpen(t)
	silent, err := n.Introduce(t.Context(), w.policy)
	if err != nil || asked != 1 || !strings.Contains(fmt.Sprint(silent), "no connection") {
		t.Errorf("asked %d times: %v, %v", asked, silent, err)
	}
	n.add(t, numbered(0, 3)...)
	old := n.Published().Note()
	n.close()
	w = w.lost()
	w.config.Cosign = func(context.Context, ledger.Ask) (ledger.Answer, error) {
		return ledger.Answer{Seen: [][]byte{old}}, nil
	}
	n = w.mustOpen(t)
	defer n.close()
	if _, err := n.Introduce(t.Context(), w.policy); !errors.Is(err, ledger.ErrRollback) {
		t.Errorf("its URL shows what it signed: %v", err)
	}
}

// A checkpoint of this log that is larger than what this process has written, and not
// than the store as read anew: another writer went on. That is no rollback.
func TestAnotherWriterWentOn(t *testing.T) {
	w, p := newPanel(t)
	n := w.mustOpen(t)
	defer n.close()
	n.add(t, numbered(0, 3)...)
	index := must(openIndex(t, w))
	defer index.Close()
	c := w.config
	c.Origin, c.Signers = origin, []*proof.Signer{w.signer}
	other := &node{store: n.store, index: index}
	other.Ledger = must(ledger.Open(t.Context(), n.store, ledger.Fold[blob](index), c))
	other.add(t, numbered(3, 6)...)
	p.shows = [][]byte{other.Published().Note()}
	p.deaf = []bool{true, true, true}
	err := n.Recosign(t.Context())
	if !errors.Is(err, ledger.ErrConflict) || errors.Is(err, ledger.ErrRollback) || n.Err() == nil {
		t.Errorf("shown what another writer signed: %v", err)
	}
}

type blob = pebblestore.Blob

// openIndex opens a second index, of another directory.
func openIndex(t *testing.T, w *world) (*pebblestore.Index, error) {
	t.Helper()
	return pebblestore.OpenIndex(w.fs, "other", w.policy, small)
}
