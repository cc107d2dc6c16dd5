package public_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// A ledger that began without witnesses gets some by a charter amendment, and others
// later, when the first are gone for ever. Every charter has a receipt under its own
// policy, for ever.
func TestArchiveAcrossWitnessRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newPublicLedger(t, vfs.NewMem(), "")
		first, firstLines := newWitnessPanel(t, "first-")
		second, secondLines := newWitnessPanel(t, "second-")
		third, thirdLines := newWitnessPanel(t, "third-")
		log := "log " + o.signer.Key().String() + "\n"
		panels := map[string]*witnessPanel{log + firstLines: first, log + secondLines: second, log + thirdLines: third}
		cosign := func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
			p := panels[ask.Policy.Text()]
			if p == nil {
				return ledger.CosignResponse{}, fmt.Errorf("no such witnesses:\n%s", ask.Policy.Text())
			}
			return p.cosign(ctx, ask)
		}
		restart := func() {
			o.close(t)
			o.open(t, "", ledger.Config{Cosign: cosign})
		}
		amend := func(lines string) uint64 {
			t.Helper()
			time.Sleep(24 * time.Hour)
			o.Now, o.CharterPredicate.Policy = time.Now(), log+lines
			return o.mustSubmit(t, o.Charter()).Index
		}
		add := func(name string) {
			t.Helper()
			time.Sleep(time.Hour)
			o.Now = time.Now()
			o.mustSubmit(t, o.Provider(name))
		}
		restart()
		o.mustSubmit(t, o.Charter())
		o.mustSubmit(t, o.Authority())
		add("acme-cloud")
		if _, err := o.l.CheckpointAt(t.Context(), time.Now()); !errors.Is(err, ledger.ErrNotArchived) {
			t.Errorf("under quorum none nothing proves a time: %v", err)
		}
		charters := []uint64{0, amend(firstLines)}
		if got := o.l.Published(); got.Policy().QuorumIsNone() || got.ExistedBy().IsZero() {
			t.Error("the first checkpoint after the amendment is not under its policy")
		}
		add("borealis")
		restart()
		add("cirrus")
		first.unresponsive = true // for ever
		charters = append(charters, amend(secondLines))
		add("dune")
		second.unresponsive = true
		restart()
		charters = append(charters, amend(thirdLines))
		add("ember")

		policies := []string{"quorum none\n", firstLines, secondLines, thirdLines}
		for i, c := range charters {
			next := o.l.Published().Checkpoint().Size
			if i+1 < len(charters) {
				next = charters[i+1]
			}
			r, err := o.l.ReceiptUpTo(t.Context(), c, next)
			if err != nil {
				t.Fatalf("charter at %d: %v", c, err)
			}
			v, err := r.Verify(must(proof.ParsePolicy([]byte(log+policies[i]))), time.Now())
			if err != nil {
				t.Fatalf("charter at %d: %v", c, err)
			}
			if size := v.Published().Checkpoint().Size; size <= c || size > next {
				t.Errorf("charter at %d is proven at size %d, the next is at %d", c, size, next)
			}
		}
		if _, err := o.l.ReceiptUpTo(t.Context(), 5, 5); !errors.Is(err, ledger.ErrNotArchived) {
			t.Errorf("a receipt under a size without the entry: %v", err)
		}
		o.close(t)
	})
}

// Two charters in one backlog: the first is shown under its own witnesses before the
// second; if they do not answer, the ledger goes on.
func TestPolicyChangeBetweenPublications(t *testing.T) {
	for _, gone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o := newPublicLedger(t, vfs.NewMem(), "")
			first, firstLines := newWitnessPanel(t, "first-")
			second, secondLines := newWitnessPanel(t, "second-")
			first.unresponsive = gone
			log := "log " + o.signer.Key().String() + "\n"
			o.close(t)
			o.open(t, "", ledger.Config{Cosign: func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
				if ask.Policy.Text() == log+firstLines {
					return first.cosign(ctx, ask)
				}
				return second.cosign(ctx, ask)
			}})
			o.mustSubmit(t, o.Charter())
			o.mustSubmit(t, o.Authority())
			publish := o.commitAndPublish
			o.commitAndPublish = func() {
				if err := o.l.Commit(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			o.CharterPredicate.Policy = log + firstLines
			o.mustSubmit(t, o.Charter()) // index 2
			o.mustSubmit(t, o.Provider("acme-cloud"))
			o.CharterPredicate.Policy = log + secondLines
			o.mustSubmit(t, o.Charter()) // index 4
			o.mustSubmit(t, o.Provider("borealis"))
			publish()
			if got := o.l.Published(); got.Checkpoint().Size != 6 || got.Policy().Text() != log+secondLines {
				t.Errorf("published %v", got.Checkpoint().Tree())
			}
			r, err := o.l.ReceiptUpTo(t.Context(), 2, 4)
			if gone {
				if !errors.Is(err, ledger.ErrNotArchived) {
					t.Errorf("nobody cosigned under the first policy: %v", err)
				}
			} else if _, err := r.Verify(must(proof.ParsePolicy([]byte(log+firstLines))), time.Now()); err != nil {
				t.Error(err)
			}
			o.close(t)
		})
	}
}

// witnessPanel is three witnesses in the ledger's process, each of which checks that a
// checkpoint leads on from what it saw.
type witnessPanel struct {
	t            *testing.T
	keys         []*proof.Cosigner
	seen         []proof.Tree
	unresponsive bool // none of them answers
}

// newWitnessPanel makes three witnesses and the lines of a policy that wants two of
// them. The names of two panels differ by their prefix.
func newWitnessPanel(t *testing.T, prefix string) (*witnessPanel, string) {
	p := &witnessPanel{t: t}
	text := ""
	for i := range 3 {
		skey, vkey, err := proof.GenerateKey(proof.CosignatureEd25519, fmt.Sprintf("%sw%d.example", prefix, i))
		if err != nil {
			t.Fatal(err)
		}
		p.keys = append(p.keys, must(proof.ParseCosigner(skey)))
		p.seen = append(p.seen, proof.Tree{Root: proof.EmptyRoot()})
		text += fmt.Sprintf("witness w%d %s\n", i, vkey)
	}
	return p, text + "group all 2 w0 w1 w2\nquorum all\n"
}

func (p *witnessPanel) cosign(ctx context.Context, ask ledger.CosignRequest) (a ledger.CosignResponse, err error) {
	if p.unresponsive {
		return a, nil
	}
	for i, k := range p.keys {
		path, err := ask.ConsistencyProof(ctx, p.seen[i].Size)
		if err != nil {
			p.t.Errorf("no consistency proof from %d to %d: %v", p.seen[i].Size, ask.Tree().Size, err)
		}
		if err := proof.VerifyConsistency(p.seen[i], ask.Tree(), path); err != nil {
			p.t.Errorf("witness %d: %v", i, err)
			continue
		}
		p.seen[i] = ask.Tree()
		s, err := k.Cosign(ask.Signed.Checkpoint())
		if err != nil {
			return a, err
		}
		a.Cosignatures = append(a.Cosignatures, s)
	}
	return a, nil
}
