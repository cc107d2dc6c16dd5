package ledger_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// Newer cosignatures replace older ones, and are persisted; a witness who does not
// answer keeps the one that it gave.
func TestRecosign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newPanel(t)
		n := w.mustOpen(t)
		if err := n.Recosign(t.Context()); err != nil {
			t.Errorf("nothing is published: %v", err)
		}
		n.add(t, numbered(0, 3)...)
		begun := n.Published().CosignedAt()
		time.Sleep(time.Hour)
		p.deaf[0] = true
		if err := n.Recosign(t.Context()); err != nil {
			t.Fatal(err)
		}
		n = w.reopen(t, n)
		defer func() { n.close() }()
		var stamps []time.Duration
		for _, c := range n.Published().Cosignatures() {
			stamps = append(stamps, c.Time.Sub(begun))
		}
		if want := []time.Duration{0, time.Hour, time.Hour}; !slices.Equal(stamps, want) {
			t.Errorf("cosigned after %v, want %v", stamps, want)
		}
		before := n.Published().Note()
		p.deaf[1] = true
		if err := n.Recosign(t.Context()); !errors.Is(err, ledger.ErrNoQuorum) || !bytes.Equal(n.Published().Note(), before) {
			t.Errorf("without a quorum: %v", err)
		}
	})
}

// What comes late is merged into the checkpoint that it is of, as long as that is
// the newest; what does not verify, or is nobody's, is not.
func TestAddCosignatures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newPanel(t)
		p.deaf[2] = true
		n := w.mustOpen(t)
		n.add(t, numbered(0, 3)...)
		cp := n.Published().Checkpoint()
		late := p.stamped(2, cp, time.Now())
		spoiled := p.stamped(2, proof.Checkpoint{Origin: origin, Size: 3}, time.Now())
		stranger, _ := witnessPanel(t, "stranger-")
		older := p.stamped(1, cp, time.Now().Add(-time.Hour))
		future := p.stamped(2, cp, time.Now().Add(time.Hour))
		own := proof.Signature{Name: origin, ID: w.signer.Key().ID(), Sig: make([]byte, 64)}
		before := n.Published().Note()
		for what, s := range map[string]proof.Signature{
			"of another tree": spoiled, "by a stranger": stranger.stamped(0, cp, time.Now()), "an older one": older,
			"of the future": future, "in the log's name": own,
		} {
			if err := n.AddCosignatures(t.Context(), 3, s); err != nil || !bytes.Equal(n.Published().Note(), before) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := n.AddCosignatures(t.Context(), 2, late); err != nil || !bytes.Equal(n.Published().Note(), before) {
			t.Errorf("of another size: %v", err)
		}
		if err := n.AddCosignatures(t.Context(), 3, spoiled, late, stranger.stamped(1, cp, time.Now())); err != nil {
			t.Fatal(err)
		}
		n = w.reopen(t, n)
		defer func() { n.close() }()
		if got := n.Published().Cosignatures(); len(got) != 3 || bytes.Contains(n.Published().Note(), []byte("stranger")) {
			t.Errorf("merged: %v", got)
		}
	})
}

// Each write of a re-cosigned checkpoint fails: the ledger stops, and reopened it
// shows the one or the other.
func TestRecosignWriteFails(t *testing.T) {
	for name, fault := range map[string]storetest.Fault{"lost": storetest.Lose, "a lie": storetest.Lie, "late": storetest.Hold} {
		for write := range 2 { // keeping the older one, publishing the newer
			synctest.Test(t, func(t *testing.T) {
				w, _ := newPanel(t)
				n := w.mustOpen(t)
				n.add(t, numbered(0, 3)...)
				n.close()
				f := &storetest.Faulty{Fault: func(n int) storetest.Fault {
					if n == write {
						return fault
					}
					return storetest.Pass
				}}
				w.wrap = func(s ledger.Store) ledger.Store { f.Store = s; return f }
				n = w.mustOpen(t)
				time.Sleep(time.Hour)
				if err := n.Recosign(t.Context()); !errors.Is(err, ledger.ErrUnknown) || !errors.Is(n.Err(), ledger.ErrUnknown) {
					t.Errorf("%s, write %d: %v, want ErrUnknown", name, write, err)
				}
				n.close()
				w.wrap = nil
				n = w.mustOpen(t)
				defer func() { n.close() }()
				if err := f.Release(t.Context(), n.store); err != nil {
					t.Errorf("%s, write %d: applied late: %v", name, write, err)
				}
				n = w.reopen(t, n)
				n.add(t, numbered(3, 5)...)
				w.checkLaws(t, n)
				if p, err := n.CheckpointUnder(t.Context(), 4); err != nil || p.Checkpoint().Size != 3 {
					t.Errorf("%s, write %d: kept under 4: %v", name, write, err)
				}
			})
		}
	}
}
