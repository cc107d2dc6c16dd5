package ledger_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// twoPolicies is a fold whose policy changed once, at an index.
type twoPolicies struct {
	*pebblestore.BlobFold
	older, newer *proof.Policy
	since        uint64
}

func (e twoPolicies) Policy(size uint64) (*proof.Policy, uint64, error) {
	if size > e.since {
		return e.newer, e.since, nil
	}
	return e.older, 0, nil
}

// A log that lost its keys shows nothing under the old policy any more; a policy that
// names a key of its own lets it go on, the end of the old one's era unseen. No
// witness is asked about what could satisfy no policy.
func TestNoLogKey(t *testing.T) {
	w, p := newWitnessedEnv(t)
	old := w.policy
	w.signer, _ = newLogKey(t)
	n := w.mustOpen(t)
	n.appendAll(t, numberedBlobs(0, 3)...)
	if n.CanSign(old) {
		t.Error("the log says that it holds another's key")
	}
	if err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context())); !errors.Is(err, ledger.ErrNoLogKey) {
		t.Errorf("publishing: %v", err)
	}
	if n.Published() != nil || n.Err() != nil || len(p.requests) > 0 {
		t.Errorf("published %v, stopped %v, %d times asked", n.Published(), n.Err(), len(p.requests))
	}

	fresh, lines := newWitnessPanel(t, "")
	w.config.Cosign = fresh.cosign
	w.policy = must(proof.ParsePolicy([]byte("log " + w.signer.Key().String() + "\n" + lines)))
	w.wrapFold = func(x *pebblestore.BlobFold) ledger.Fold[pebblestore.Blob] { return twoPolicies{x, old, w.policy, 3} }
	n = w.reopen(t, n)
	defer func() { n.close() }()
	n.addAll(t, numberedBlobs(3, 4)...)
	w.checkReceipt(t, must(n.Receipt(t.Context(), 1)), 1)
}

// Of the log's own signatures on the published checkpoint, the witnesses are shown
// again those of its present keys and of the policy's, not those of a key that has
// retired: a third generation would be more than other witnesses take.
func TestRetiredKeyIsNotResubmitted(t *testing.T) {
	w, p := newWitnessedEnv(t)
	retired := w.signer
	present, _ := newLogKey(t)
	next, _ := newLogKey(t)
	line := func(s *proof.Signer) string { return "log " + s.Key().String() + "\n" }
	witnesses := w.policy.Text()[len(line(retired)):]
	older := must(proof.ParsePolicy([]byte(line(retired) + line(present) + witnesses)))
	newer := must(proof.ParsePolicy([]byte(line(present) + witnesses)))
	w.wrapFold = func(x *pebblestore.BlobFold) ledger.Fold[pebblestore.Blob] { return twoPolicies{x, older, newer, 2} }
	w.config.Signers = []*proof.Signer{present}
	n := w.mustOpen(t)
	n.addAll(t, numberedBlobs(0, 3)...)

	w.signer, w.config.Signers = present, []*proof.Signer{next}
	n = w.reopen(t, n)
	defer func() { n.close() }()
	if err := n.Recosign(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask := p.requests[len(p.requests)-1]
	_, sigs, err := proof.ParseCheckpoint(ask.Signed.Note())
	if err != nil || !ask.Resubmission {
		t.Fatalf("asked %+v, %v", ask, err)
	}
	var by []uint32
	for _, s := range sigs {
		by = append(by, s.ID)
	}
	want := []uint32{present.Key().ID(), next.Key().ID()}
	slices.Sort(by)
	slices.Sort(want)
	if !slices.Equal(by, want) {
		t.Errorf("shown again with signatures by %08x, want %08x", by, want)
	}
}

// The older keys go on signing beside the new ones under a policy that names the new
// ones alone, as long as they are there: a witness that knows only them cosigns, and
// whoever verifies by the newer policy does not mind.
func TestOlderKeySignsBesideThePolicys(t *testing.T) {
	w, p := newWitnessedEnv(t)
	older := w.signer
	next, _ := newLogKey(t)
	line := func(s *proof.Signer) string { return "log " + s.Key().String() + "\n" }
	before := w.policy
	after := must(proof.ParsePolicy([]byte(line(next) + before.Text()[len(line(older)):])))
	w.wrapFold = func(x *pebblestore.BlobFold) ledger.Fold[pebblestore.Blob] { return twoPolicies{x, before, after, 2} }
	w.config.Signers = []*proof.Signer{next}
	n := w.mustOpen(t)
	defer func() { n.close() }()
	n.addAll(t, numberedBlobs(0, 2)...)
	n.addAll(t, numberedBlobs(2, 5)...)
	for _, ask := range p.requests {
		if _, err := proof.VerifyLog(ask.Signed.Note(), testOrigin, older.Key()); err != nil {
			t.Errorf("size %d: who knows the older key alone is shown nothing of it: %v", ask.Tree().Size, err)
		}
	}
	w.policy = after
	w.checkReceipt(t, must(n.Receipt(t.Context(), 4)), 4)
}

// Show asks the witnesses of a policy that is not in force about what is published, and
// changes nothing.
func TestShow(t *testing.T) {
	w, p := newWitnessedEnv(t)
	n := w.mustOpen(t)
	defer func() { n.close() }()
	if err := n.Show(t.Context(), w.policy); err != nil || len(p.requests) > 0 {
		t.Errorf("before anything is published: %v, asked %d times", err, len(p.requests))
	}
	n.addAll(t, numberedBlobs(0, 3)...)
	note := n.Published().Note()
	n.appendAll(t, numberedBlobs(3, 5)...)
	if err := n.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}

	others, lines := newWitnessPanel(t, "other-")
	w.config.Cosign = others.cosign
	n = w.reopen(t, n)
	coming := must(proof.ParsePolicy([]byte("log " + w.signer.Key().String() + "\n" + lines)))
	if err := n.Show(t.Context(), coming); err != nil {
		t.Fatal(err)
	}
	if len(others.requests) != 1 || others.requests[0].Tree().Size != 3 || others.requests[0].Policy != coming {
		t.Errorf("asked %+v, want once about size 3", others.requests)
	}
	others.unresponsive = []bool{true, true, true}
	if err := n.Show(t.Context(), coming); !errors.Is(err, ledger.ErrNoQuorum) {
		t.Errorf("nobody answers: %v", err)
	}
	_, strange := newLogKey(t)
	strange = must(proof.ParsePolicy([]byte("log " + strange.LogKeys(testOrigin)[0].String() + "\n" + lines)))
	if err := n.Show(t.Context(), strange); !errors.Is(err, ledger.ErrNoLogKey) {
		t.Errorf("a policy of other keys: %v", err)
	}
	if !bytes.Equal(n.Published().Note(), note) {
		t.Error("the published checkpoint has changed")
	}
	others.unresponsive = make([]bool, 3)
	others.shownNotes = [][]byte{must(proof.SignCheckpoint(proof.Checkpoint{Origin: testOrigin, Size: 9, Root: proof.LeafHash(nil)}, w.signer)).Note()}
	if err := n.Show(t.Context(), coming); !errors.Is(err, ledger.ErrRollback) {
		t.Errorf("they show what was lost: %v", err)
	}
}
