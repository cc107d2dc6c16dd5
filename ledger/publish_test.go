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

// panel is three witnesses in the ledger's process: keys that sign what the test
// lets them sign, after checking that it leads on from what they saw.
type panel struct {
	t    *testing.T
	keys []*proof.Cosigner

	secrets []string // of the keys

	mu    sync.Mutex      // guards what follows, where Run asks
	off   []time.Duration // by how much its clock is ahead
	seen  []proof.Tree
	deaf  []bool   // does not answer
	fake  []bool   // answers with a signature of something else
	shows [][]byte // checkpoints that they say they have seen
	asks  []ledger.Ask
}

// newPanel makes a world whose policy wants two of three witnesses.
func newPanel(t *testing.T) (*world, *panel) {
	w := newWorld(t)
	p, lines := witnessPanel(t, "")
	w.policy = must(proof.ParsePolicy([]byte("log " + w.signer.Key().String() + "\n" + lines)))
	w.config.Cosign = p.cosign
	return w, p
}

// witnessPanel makes three witnesses and the lines of a policy that wants two of
// them. The names of two panels differ by their prefix.
func witnessPanel(t *testing.T, prefix string) (*panel, string) {
	p := &panel{t: t, seen: make([]proof.Tree, 3), deaf: make([]bool, 3), fake: make([]bool, 3), off: make([]time.Duration, 3)}
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

// stamped is a cosignature by the i-th witness with a time of the test's choice
// (tlog-cosignature "Ed25519 signed message").
func (p *panel) stamped(i int, cp proof.Checkpoint, at time.Time) proof.Signature {
	raw := must(base64.StdEncoding.DecodeString(strings.SplitN(p.secrets[i], "+", 5)[4]))
	message := append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", at.Unix()), cp.Body()...)
	sig := ed25519.Sign(ed25519.NewKeyFromSeed(raw[1:]), message)
	k := p.keys[i].Key()
	return proof.Signature{Name: k.Name(), ID: k.ID(), Sig: append(binary.BigEndian.AppendUint64(nil, uint64(at.Unix())), sig...)}
}

func (p *panel) cosign(ctx context.Context, ask ledger.Ask) (a ledger.Answer, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asks = append(p.asks, ask)
	cp, _, err := proof.ParseCheckpoint(ask.Signed.Note())
	if err != nil || cp.Tree() != ask.Tree() {
		p.t.Errorf("asked for %v with a note of %v, %v", ask.Tree(), cp, err)
	}
	for i, k := range p.keys {
		if p.deaf[i] {
			continue
		}
		path, err := ask.Consistency(ctx, p.seen[i].Size)
		if err != nil {
			p.t.Errorf("no consistency proof from %d to %d: %v", p.seen[i].Size, ask.Tree().Size, err)
		}
		if err := proof.VerifyConsistency(p.seen[i], ask.Tree(), path); err != nil {
			p.t.Errorf("witness %d: %v", i, err)
			continue
		}
		p.seen[i] = ask.Tree()
		if p.fake[i] {
			cp.Root[0] ^= 1
		}
		s, err := k.Cosign(cp)
		if err != nil {
			return a, err
		}
		if p.off[i] != 0 {
			s = p.stamped(i, cp, time.Now().Add(p.off[i]))
		}
		if p.fake[i] {
			cp.Root[0] ^= 1
		}
		a.Cosignatures = append(a.Cosignatures, s)
	}
	a.Seen = p.shows
	return a, nil
}

// Without a quorum nothing new is published, and committing goes on; a witness who
// answers nonsense is as one who does not answer.
func TestPublishFailsClosed(t *testing.T) {
	w, p := newPanel(t)
	n := w.mustOpen(t)
	defer n.close()
	n.add(t, numbered(0, 3)...)
	w.checkReceipt(t, must(n.Receipt(t.Context(), 1)), 1)

	p.deaf[0] = true
	n.add(t, numbered(3, 5)...) // two of three are enough
	p.fake[1] = true
	n.appendAll(t, numbered(5, 7)...)
	if err := n.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := n.Publish(t.Context()); !errors.Is(err, ledger.ErrNoQuorum) {
		t.Fatalf("one honest witness of three: %v", err)
	}
	if n.Published().Checkpoint().Size != 5 || n.Head().Size != 7 || n.Err() != nil {
		t.Errorf("published %v, head %v, %v", n.Published().Checkpoint().Tree(), n.Head(), n.Err())
	}
	p.deaf[0] = false
	n.step(t)
	if n.Published().Checkpoint().Size != 7 {
		t.Error("not published once the quorum is there again")
	}
	w.checkLaws(t, n)
}

// On opening, the last published checkpoint is shown to a quorum before anything
// new is signed.
func TestShownAgainOnOpening(t *testing.T) {
	w, p := newPanel(t)
	n := w.mustOpen(t)
	n.add(t, numbered(0, 3)...)
	n = w.reopen(t, n)
	defer func() { n.close() }()
	p.asks = nil
	n.add(t, numbered(3, 5)...)
	got := make([]string, len(p.asks))
	for i, a := range p.asks {
		got[i] = fmt.Sprint(a.Tree().Size, a.Again)
	}
	if want := []string{"3 true", "5 false"}; !slices.Equal(got, want) {
		t.Errorf("the witnesses were asked %v, want %v", got, want)
	}
	p.asks = nil
	n.add(t, numbered(5, 6)...)
	if len(p.asks) != 1 || p.asks[0].Again {
		t.Errorf("once is enough: asked %d times", len(p.asks))
	}
	n = w.reopen(t, n)
	p.deaf[0], p.deaf[1] = true, true
	n.appendAll(t, numbered(6, 7)...)
	p.asks = nil
	if err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context())); !errors.Is(err, ledger.ErrNoQuorum) {
		t.Errorf("no quorum at the opening: %v", err)
	}
	if len(p.asks) != 1 || !p.asks[0].Again {
		t.Error("something new was signed before the quorum had seen the old")
	}
}

// One witness has cosigned what was not published before the ledger ended. The others
// would cosign the published checkpoint again, but one of these has a wrong clock: that
// keeps the ledger from nothing.
func TestOneIsAheadAndOneIsOff(t *testing.T) {
	w, p := newPanel(t)
	n := w.mustOpen(t)
	n.add(t, numbered(0, 3)...)
	n.appendAll(t, numbered(3, 5)...)
	p.deaf[1], p.deaf[2] = true, true
	if err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context())); !errors.Is(err, ledger.ErrNoQuorum) {
		t.Fatal(err)
	}
	p.shows = [][]byte{p.asks[len(p.asks)-1].Signed.Note()}
	n.close()
	clear(p.deaf)
	p.off[1] = time.Hour
	w.config.Cosign = func(ctx context.Context, ask ledger.Ask) (ledger.Answer, error) {
		p.deaf[0] = ask.Tree().Size < p.seen[0].Size
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
	other := newWorld(t)
	sign := func(s *proof.Signer, tree proof.Tree) []byte {
		return must(proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: tree.Size, Root: tree.Root}, s)).Note()
	}
	for name, c := range map[string]struct {
		seen     func(w *world, tree proof.Tree) []byte
		rollback bool
	}{
		"larger, signed by this log":       {func(w *world, tree proof.Tree) []byte { return sign(w.signer, proof.Tree{Size: 9}) }, true},
		"another root, signed by this log": {func(w *world, tree proof.Tree) []byte { return sign(w.signer, proof.Tree{Size: 2}) }, true},
		"larger, signed by somebody":       {func(w *world, tree proof.Tree) []byte { return sign(other.signer, proof.Tree{Size: 9}) }, false},
		"not a checkpoint":                 {func(w *world, tree proof.Tree) []byte { return []byte("9") }, false},
		"the same":                         {func(w *world, tree proof.Tree) []byte { return sign(w.signer, tree) }, false},
	} {
		w, p := newPanel(t)
		n := w.mustOpen(t)
		n.add(t, numbered(0, 3)...)
		tree := n.Published().Checkpoint().Tree()
		n = w.reopen(t, n)
		p.shows = [][]byte{c.seen(w, tree)}
		p.deaf[2] = true
		n.appendAll(t, numbered(3, 5)...)
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
func TestStoreBehindItsOwnCheckpoint(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	n.add(t, numbered(0, 3)...)
	ahead := must(proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: 4}, w.signer)).Note()
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
		w, p := newPanel(t)
		p.deaf[0], p.deaf[1] = true, true
		n := w.mustOpen(t)
		defer n.close()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- n.Run(ctx) }()
		ticket := n.appendAll(t, numbered(0, 1)...)[0]
		must(ticket.Committed(t.Context()))
		short, done := context.WithTimeout(t.Context(), time.Minute)
		defer done()
		if _, err := n.AwaitPublished(short, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting without a quorum: %v", err)
		}
		p.mu.Lock()
		if len(p.asks) < 4 || len(p.asks) > 20 {
			t.Errorf("the witnesses were asked %d times in a minute", len(p.asks))
		}
		p.deaf[0] = false
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
func TestRunTellsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newPanel(t)
		n := w.mustOpen(t)
		n.add(t, numbered(0, 3)...)
		p.deaf[0], p.deaf[1] = true, true
		var log bytes.Buffer
		w.config.Log = slog.New(slog.NewTextHandler(&log, nil))
		n = w.reopen(t, n)
		n.running(t)()
		if got := log.String(); !strings.Contains(got, "all that is committed is published") || strings.Contains(got, "not published") {
			t.Errorf("with nothing left: %s", got)
		}
		log.Reset()
		n = w.reopen(t, n)
		n.appendAll(t, numbered(3, 5)...)
		n.running(t)()
		if got := log.String(); !strings.Contains(got, "not published") || !strings.Contains(got, "entries=2") {
			t.Errorf("with two left: %s", got)
		}
		n.close()
	})
}
