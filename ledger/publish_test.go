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
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
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
