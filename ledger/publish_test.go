package ledger_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// witnessPanel is three witnesses in the ledger's process: keys that sign what the test
// lets them sign, after checking that it leads on from what they saw.
type witnessPanel struct {
	t    *testing.T
	keys []*proof.Cosigner

	secrets []string // of the keys

	mu             sync.Mutex      // guards what follows, where Run asks
	clockOffset    []time.Duration // by how much its clock is ahead
	seen           []proof.Tree
	unresponsive   []bool   // does not answer
	wrongSignature []bool   // answers with a signature of something else
	shownNotes     [][]byte // checkpoints that they say they have seen
	requests       []ledger.CosignRequest
}

// newWitnessedEnv makes a world whose policy wants two of three witnesses.
func newWitnessedEnv(t *testing.T) (*testEnv, *witnessPanel) {
	w := newTestEnv(t)
	p, lines := newWitnessPanel(t, "")
	w.policy = must(proof.ParsePolicy([]byte("log " + w.signer.Key().String() + "\n" + lines)))
	w.config.Cosign = p.cosign
	return w, p
}

// newWitnessPanel makes three witnesses and the lines of a policy that wants two of
// them. The names of two panels differ by their prefix.
func newWitnessPanel(t *testing.T, prefix string) (*witnessPanel, string) {
	p := &witnessPanel{t: t, seen: make([]proof.Tree, 3), unresponsive: make([]bool, 3), wrongSignature: make([]bool, 3), clockOffset: make([]time.Duration, 3)}
	text := ""
	for i := range 3 {
		skey, vkey, err := proof.GenerateKey(proof.CosignatureEd25519, fmt.Sprintf("%sw%d.example", prefix, i))
		if err != nil {
			t.Fatal(err)
		}
		p.secrets = append(p.secrets, skey)
		p.keys = append(p.keys, must(proof.ParseCosigner(skey)))
		p.seen[i].Root = proof.EmptyRoot()
		text += fmt.Sprintf("witness w%d %s\n", i, vkey)
	}
	return p, text + "group all 2 w0 w1 w2\nquorum all\n"
}

// cosignatureAt is a cosignature by the i-th witness with a time of the test's choice
// (tlog-cosignature "Ed25519 signed message").
func (p *witnessPanel) cosignatureAt(i int, cp proof.Checkpoint, at time.Time) proof.Signature {
	raw := must(base64.StdEncoding.DecodeString(strings.SplitN(p.secrets[i], "+", 5)[4]))
	message := append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at.Unix()), cp.Body()...)
	sig := ed25519.Sign(ed25519.NewKeyFromSeed(raw[1:]), message)
	k := p.keys[i].Key()
	return proof.Signature{Name: k.Name(), ID: k.ID(), Sig: append(binary.BigEndian.AppendUint64(nil, uint64(at.Unix())), sig...)}
}

func (p *witnessPanel) cosign(ctx context.Context, ask ledger.CosignRequest) (a ledger.CosignResponse, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, ask)
	cp, _, err := proof.ParseCheckpoint(ask.Signed.Note())
	if err != nil || cp.Tree() != ask.Tree() {
		p.t.Errorf("asked for %v with a note of %v, %v", ask.Tree(), cp, err)
	}
	for i, k := range p.keys {
		if p.unresponsive[i] {
			continue
		}
		path, err := ask.ConsistencyProof(ctx, p.seen[i].Size)
		if err != nil {
			p.t.Errorf("no consistency proof from %d to %d: %v", p.seen[i].Size, ask.Tree().Size, err)
		}
		if err := proof.VerifyConsistency(p.seen[i], ask.Tree(), path); err != nil {
			p.t.Errorf("witness %d: %v", i, err)
			continue
		}
		p.seen[i] = ask.Tree()
		if p.wrongSignature[i] {
			cp.Root[0] ^= 1
		}
		s, err := k.Cosign(cp)
		if err != nil {
			return a, err
		}
		if p.clockOffset[i] != 0 {
			s = p.cosignatureAt(i, cp, time.Now().Add(p.clockOffset[i]))
		}
		if p.wrongSignature[i] {
			cp.Root[0] ^= 1
		}
		a.Cosignatures = append(a.Cosignatures, s)
	}
	a.Checkpoints = p.shownNotes
	return a, nil
}

// Without a quorum nothing new is published, and committing goes on; a witness who
// answers nonsense is as one who does not answer.
func TestPublishFailsClosed(t *testing.T) {
	w, p := newWitnessedEnv(t)
	n := w.mustOpen(t)
	defer n.close()
	n.addAll(t, numberedBlobs(0, 3)...)
	w.checkReceipt(t, must(n.Receipt(t.Context(), 1)), 1)

	p.unresponsive[0] = true
	n.addAll(t, numberedBlobs(3, 5)...) // two of three are enough
	p.wrongSignature[1] = true
	n.appendAll(t, numberedBlobs(5, 7)...)
	if err := n.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := n.Publish(t.Context()); !errors.Is(err, ledger.ErrNoQuorum) {
		t.Fatalf("one honest witness of three: %v", err)
	}
	if n.Published().Checkpoint().Size != 5 || n.Head().Size != 7 || n.Err() != nil {
		t.Errorf("published %v, head %v, %v", n.Published().Checkpoint().Tree(), n.Head(), n.Err())
	}
	p.unresponsive[0] = false
	n.commitAndPublish(t)
	if n.Published().Checkpoint().Size != 7 {
		t.Error("not published once the quorum is there again")
	}
	w.checkPublished(t, n)
}

// On opening, the last published checkpoint is shown to a quorum before anything
// new is signed.
func TestResubmissionOnOpening(t *testing.T) {
	w, p := newWitnessedEnv(t)
	n := w.mustOpen(t)
	n.addAll(t, numberedBlobs(0, 3)...)
	n = w.reopen(t, n)
	defer func() { n.close() }()
	p.requests = nil
	n.addAll(t, numberedBlobs(3, 5)...)
	got := make([]string, len(p.requests))
	for i, a := range p.requests {
		got[i] = fmt.Sprint(a.Tree().Size, a.Resubmission)
	}
	if want := []string{"3 true", "5 false"}; !slices.Equal(got, want) {
		t.Errorf("the witnesses were asked %v, want %v", got, want)
	}
	p.requests = nil
	n.addAll(t, numberedBlobs(5, 6)...)
	if len(p.requests) != 1 || p.requests[0].Resubmission {
		t.Errorf("once is enough: asked %d times", len(p.requests))
	}
	n = w.reopen(t, n)
	p.unresponsive[0], p.unresponsive[1] = true, true
	n.appendAll(t, numberedBlobs(6, 7)...)
	p.requests = nil
	if err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context())); !errors.Is(err, ledger.ErrNoQuorum) {
		t.Errorf("no quorum at the opening: %v", err)
	}
	if len(p.requests) != 1 || !p.requests[0].Resubmission {
		t.Error("something new was signed before the quorum had seen the old")
	}
}

// One witness has cosigned what was not published before the ledger ended. The others
// would cosign the published checkpoint again, but one of these has a wrong clock: that
// keeps the ledger from nothing.
func TestOneWitnessAheadOneClockOff(t *testing.T) {
	w, p := newWitnessedEnv(t)
	n := w.mustOpen(t)
	n.addAll(t, numberedBlobs(0, 3)...)
	n.appendAll(t, numberedBlobs(3, 5)...)
	p.unresponsive[1], p.unresponsive[2] = true, true
	if err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context())); !errors.Is(err, ledger.ErrNoQuorum) {
		t.Fatal(err)
	}
	p.shownNotes = [][]byte{p.requests[len(p.requests)-1].Signed.Note()}
	n.close()
	clear(p.unresponsive)
	p.clockOffset[1] = time.Hour
	w.config.Cosign = func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
		p.unresponsive[0] = ask.Tree().Size < p.seen[0].Size
		return p.cosign(ctx, ask)
	}
	n = w.mustOpen(t)
	defer n.close()
	if err := n.Publish(t.Context()); err != nil || n.Published().Checkpoint().Size != 5 || n.ClockErr() != nil {
		t.Errorf("size %d, %v, %v", n.Published().Checkpoint().Size, err, n.ClockErr())
	}
}

// A witness's larger number is only a claim. A checkpoint with this log's own
// signature that the store does not lead up to is a rollback.
func TestRollback(t *testing.T) {
	other := newTestEnv(t)
	sign := func(s *proof.Signer, tree proof.Tree) []byte {
		return must(proof.SignCheckpoint(proof.Checkpoint{Origin: testOrigin, Size: tree.Size, Root: tree.Root}, s)).Note()
	}
	for name, c := range map[string]struct {
		seen     func(w *testEnv, tree proof.Tree) []byte
		rollback bool
	}{
		"larger, signed by this log":       {func(w *testEnv, tree proof.Tree) []byte { return sign(w.signer, proof.Tree{Size: 9}) }, true},
		"another root, signed by this log": {func(w *testEnv, tree proof.Tree) []byte { return sign(w.signer, proof.Tree{Size: 2}) }, true},
		"larger, signed by somebody":       {func(w *testEnv, tree proof.Tree) []byte { return sign(other.signer, proof.Tree{Size: 9}) }, false},
		"not a checkpoint":                 {func(w *testEnv, tree proof.Tree) []byte { return []byte("9") }, false},
		"the same":                         {func(w *testEnv, tree proof.Tree) []byte { return sign(w.signer, tree) }, false},
	} {
		w, p := newWitnessedEnv(t)
		n := w.mustOpen(t)
		n.addAll(t, numberedBlobs(0, 3)...)
		tree := n.Published().Checkpoint().Tree()
		n = w.reopen(t, n)
		p.shownNotes = [][]byte{c.seen(w, tree)}
		p.unresponsive[2] = true
		n.appendAll(t, numberedBlobs(3, 5)...)
		err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context()))
		if c.rollback {
			if !errors.Is(err, ledger.ErrRollback) || !errors.Is(n.Err(), ledger.ErrRollback) || n.Published().Checkpoint().Size != 3 {
				t.Errorf("%s: %v", name, err)
			}
		} else if err != nil || n.Published().Checkpoint().Size != 5 {
			t.Errorf("%s: %v", name, err)
		}
		n.close()
	}
}

// The store itself was put back to an older state, and knows what it published.
func TestStoreBehindPublishedCheckpoint(t *testing.T) {
	w := newTestEnv(t)
	n := w.mustOpen(t)
	n.addAll(t, numberedBlobs(0, 3)...)
	ahead := must(proof.SignCheckpoint(proof.Checkpoint{Origin: testOrigin, Size: 4}, w.signer)).Note()
	if err := n.store.Publish(t.Context(), n.Published().Note(), ahead); err != nil {
		t.Fatal(err)
	}
	n.close()
	if _, err := w.open(t); !errors.Is(err, ledger.ErrRollback) {
		t.Errorf("opening: %v", err)
	}
}

// Run asks again, ever more slowly, while there is no quorum, and goes on when
// there is one.
func TestRunAwaitsTheQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWitnessedEnv(t)
		p.unresponsive[0], p.unresponsive[1] = true, true
		n := w.mustOpen(t)
		defer n.close()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.Run(ctx) }()
		ticket := n.appendAll(t, numberedBlobs(0, 1)...)[0]
		must(ticket.AwaitCommitted(t.Context()))
		short, done := context.WithTimeout(t.Context(), time.Minute)
		defer done()
		if _, err := n.AwaitPublished(short, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting without a quorum: %v", err)
		}
		p.mu.Lock()
		if len(p.requests) < 4 || len(p.requests) > 20 {
			t.Errorf("the witnesses were asked %d times in a minute", len(p.requests))
		}
		p.unresponsive[0] = false
		p.mu.Unlock()
		must(n.AwaitPublished(t.Context(), 0))
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Run says at its end what was left undone, and nothing else: where the witnesses
// were only to be shown again what is published, all is published.
func TestRunLogsUnpublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWitnessedEnv(t)
		n := w.mustOpen(t)
		n.addAll(t, numberedBlobs(0, 3)...)
		p.unresponsive[0], p.unresponsive[1] = true, true
		var log bytes.Buffer
		w.config.Log = slog.New(slog.NewTextHandler(&log, nil))
		n = w.reopen(t, n)
		n.startRun(t)()
		if got := log.String(); !strings.Contains(got, "all that is committed is published") || strings.Contains(got, "not published") {
			t.Errorf("with nothing left: %s", got)
		}
		log.Reset()
		n = w.reopen(t, n)
		n.appendAll(t, numberedBlobs(3, 5)...)
		n.startRun(t)()
		if got := log.String(); !strings.Contains(got, "not published") || !strings.Contains(got, "entries=2") {
			t.Errorf("with two left: %s", got)
		}
		n.close()
	})
}

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
	w.signer, _ = storetest.NewLogKey(t, testOrigin)
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
	present, _ := storetest.NewLogKey(t, testOrigin)
	next, _ := storetest.NewLogKey(t, testOrigin)
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
	next, _ := storetest.NewLogKey(t, testOrigin)
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
	_, strange := storetest.NewLogKey(t, testOrigin)
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

// What is new is published at once while the witnesses do not cosign again what was
// published: whether they refuse, or one is waited for that does not answer.
func TestPublishPreemptsRecosign(t *testing.T) {
	for name, again := range map[string]func(context.Context) error{
		"refused": func(context.Context) error { return errors.New("too many requests") },
		"waiting": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := newWitnessedEnv(t)
				var beats atomic.Int64
				w.config.Cosign = func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
					if ask.Resubmission {
						beats.Add(1)
						return ledger.CosignResponse{}, again(ctx)
					}
					return p.cosign(ctx, ask)
				}
				n := w.mustOpen(t)
				defer n.close()
				defer n.startRun(t)()
				for i := range 4 {
					begun := time.Now()
					n.appendAll(t, numberedBlobs(i, i+1)...)
					must(n.AwaitPublished(t.Context(), uint64(i)))
					if took := time.Since(begun); took > 0 {
						t.Errorf("published after %s", took)
					}
					before := beats.Load()
					time.Sleep(10*time.Minute + 45*time.Second) // a heartbeat, and what it tries again
					if n := beats.Load() - before; n == 0 || name == "refused" && n < 3 {
						t.Errorf("%d heartbeats", n)
					}
				}
			})
		})
	}
}

// A cosignature from before the opening says nothing about what its witness has seen
// by now. Until a quorum gives later ones nothing new is signed; ten seconds before the
// opening are granted, since a witness may repeat what it gave then.
func TestResubmissionIgnoresOldCosignatures(t *testing.T) {
	for early, counts := range map[time.Duration]bool{0: true, proof.MaxCosignatureReuse: true, proof.MaxCosignatureReuse + time.Second: false, 4 * time.Minute: false} {
		t.Run(early.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := newWitnessedEnv(t)
				n := w.mustOpen(t)
				n.addAll(t, numberedBlobs(0, 3)...)
				time.Sleep(time.Hour)
				n = w.reopen(t, n)
				defer func() { n.close() }()
				p.clockOffset[0], p.clockOffset[1], p.unresponsive[2] = -early, -early, true
				p.requests = nil
				if err := n.CheckClock(t.Context()); err != nil {
					t.Errorf("it says what time it is all the same: %v", err)
				}
				n.appendAll(t, numberedBlobs(3, 5)...)
				err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context()))
				if counts != (err == nil) || !counts && !errors.Is(err, ledger.ErrNoQuorum) || n.Err() != nil {
					t.Errorf("published %d: %v, %v", n.Published().Checkpoint().Size, err, n.Err())
				}
				if a := p.requests[0]; !a.Resubmission || a.NotBefore.After(time.Now().Add(-proof.MaxCosignatureReuse)) || a.NotBefore.Before(time.Now().Add(-proof.MaxCosignatureReuse-time.Second)) {
					t.Errorf("asked first with %v, not before %v", a.Resubmission, a.NotBefore)
				}
				if !counts {
					for _, a := range p.requests {
						if !a.Resubmission {
							t.Error("something new was signed")
						}
					}
					time.Sleep(early) // by the witnesses' clocks it is after the opening now
					n.commitAndPublish(t)
				}
				p.clockOffset[0], p.clockOffset[1] = -4*time.Minute, -4*time.Minute
				if err := n.Recosign(t.Context()); err != nil {
					t.Errorf("once is enough: %v", err)
				}
			})
		})
	}
}

// Commits begin no sooner after each other than the interval says; what comes after a pause is
// committed at once, and who closes waits for no interval.
func TestCommitIntervalPacesCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWitnessedEnv(t)
		w.config.CommitInterval, w.config.RecosignInterval, w.config.Cosign = time.Minute, -1, p.cosign
		n := w.mustOpen(t)
		defer n.close()
		stop := n.startRun(t)
		time.Sleep(time.Hour)
		begun := time.Now()
		for i, want := range []time.Duration{0, time.Minute, 2 * time.Minute} {
			tickets := n.appendAll(t, numberedBlobs(2*i, 2*i+1)...)
			must(tickets[0].AwaitCommitted(t.Context()))
			if took := time.Since(begun).Truncate(time.Second); took != want {
				t.Errorf("commit %d came after %s, want %s", i, took, want)
			}
		}
		begun = time.Now()
		last := n.appendAll(t, numberedBlobs(7, 8)...)[0]
		synctest.Wait()
		stop()
		must(last.AwaitCommitted(t.Context()))
		if took := time.Since(begun); took > time.Second {
			t.Errorf("closed after %s", took)
		}
	})
}

// A record that comes after the interval is published at once, also where the wake-up for
// an earlier one is left over, because a publication that had failed took that one along.
func TestPublishIntervalBeginsOnlyWithAPublication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWitnessedEnv(t)
		var down atomic.Bool
		w.config.PublishInterval, w.config.RecosignInterval = time.Hour, -1
		w.config.Cosign = func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
			if down.Load() {
				return ledger.CosignResponse{}, errors.New("too many requests")
			}
			return p.cosign(ctx, ask)
		}
		n := w.mustOpen(t)
		defer n.close()
		defer n.startRun(t)()
		n.appendAll(t, numberedBlobs(0, 1)...)
		must(n.AwaitPublished(t.Context(), 0))
		time.Sleep(time.Hour + time.Minute)
		down.Store(true)
		for i := 1; i < 3; i++ { // the first of them fails, and what it tries again takes the other along
			must(n.appendAll(t, numberedBlobs(i, i+1)...)[0].AwaitCommitted(t.Context()))
			time.Sleep(time.Second)
		}
		down.Store(false)
		must(n.AwaitPublished(t.Context(), 2))
		time.Sleep(time.Hour + time.Minute)
		begun := time.Now()
		n.appendAll(t, numberedBlobs(3, 4)...)
		must(n.AwaitPublished(t.Context(), 3))
		if took := time.Since(begun); took > time.Second {
			t.Errorf("published %s after the interval was over", took)
		}
	})
}
