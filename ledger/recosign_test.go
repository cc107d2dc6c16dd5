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
		w, p := newWitnessedEnv(t)
		n := w.mustOpen(t)
		if err := n.Recosign(t.Context()); err != nil {
			t.Errorf("nothing is published: %v", err)
		}
		n.addAll(t, numberedBlobs(0, 3)...)
		begun := n.Published().LastCosignedAt()
		time.Sleep(time.Hour)
		p.unresponsive[0] = true
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
		p.unresponsive[1] = true
		if err := n.Recosign(t.Context()); !errors.Is(err, ledger.ErrNoQuorum) || !bytes.Equal(n.Published().Note(), before) {
			t.Errorf("without a quorum: %v", err)
		}
	})
}

// What comes late is merged into the checkpoint that it is of, as long as that is
// the newest; what does not verify, or is nobody's, is not.
func TestAddCosignatures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWitnessedEnv(t)
		p.unresponsive[2] = true
		n := w.mustOpen(t)
		n.addAll(t, numberedBlobs(0, 3)...)
		cp := n.Published().Checkpoint()
		late := p.cosignatureAt(2, cp, time.Now())
		spoiled := p.cosignatureAt(2, proof.Checkpoint{Origin: testOrigin, Size: 3}, time.Now())
		stranger, _ := newWitnessPanel(t, "stranger-")
		older := p.cosignatureAt(1, cp, time.Now().Add(-time.Hour))
		future := p.cosignatureAt(2, cp, time.Now().Add(time.Hour))
		own := proof.Signature{Name: testOrigin, ID: w.signer.Key().ID(), Sig: make([]byte, 64)}
		before := n.Published().Note()
		for what, s := range map[string]proof.Signature{
			"of another tree": spoiled, "by a stranger": stranger.cosignatureAt(0, cp, time.Now()), "an older one": older,
			"of the future": future, "in the log's name": own,
		} {
			if err := n.AddCosignatures(t.Context(), 3, s); err != nil || !bytes.Equal(n.Published().Note(), before) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := n.AddCosignatures(t.Context(), 2, late); err != nil || !bytes.Equal(n.Published().Note(), before) {
			t.Errorf("of another size: %v", err)
		}
		if err := n.AddCosignatures(t.Context(), 3, spoiled, late, stranger.cosignatureAt(1, cp, time.Now())); err != nil {
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
	for name, fault := range map[string]storetest.Fault{"lost": storetest.WriteLost, "a lie": storetest.WriteUnreported, "late": storetest.WriteDelayed} {
		for write := range 2 { // keeping the older one, publishing the newer
			synctest.Test(t, func(t *testing.T) {
				w, _ := newWitnessedEnv(t)
				n := w.mustOpen(t)
				n.addAll(t, numberedBlobs(0, 3)...)
				n.close()
				f := &storetest.FaultyStore{FaultOf: func(n int) storetest.Fault {
					if n == write {
						return fault
					}
					return storetest.NoFault
				}}
				w.wrapStore = func(s ledger.Store) ledger.Store { f.Store = s; return f }
				n = w.mustOpen(t)
				time.Sleep(time.Hour)
				if err := n.Recosign(t.Context()); !errors.Is(err, ledger.ErrUnknown) || !errors.Is(n.Err(), ledger.ErrUnknown) {
					t.Errorf("%s, write %d: %v, want ErrUnknown", name, write, err)
				}
				n.close()
				w.wrapStore = nil
				n = w.mustOpen(t)
				defer func() { n.close() }()
				if err := f.ApplyDelayed(t.Context(), n.store); err != nil {
					t.Errorf("%s, write %d: applied late: %v", name, write, err)
				}
				n = w.reopen(t, n)
				n.addAll(t, numberedBlobs(3, 5)...)
				w.checkPublished(t, n)
				if p, err := n.CheckpointUpTo(t.Context(), 4); err != nil || p.Checkpoint().Size != 3 {
					t.Errorf("%s, write %d: kept under 4: %v", name, write, err)
				}
			})
		}
	}
}
