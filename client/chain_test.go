package client

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// policyEpoch is the time of one policy: the log's keys, and two witnesses, both needed.
type policyEpoch struct {
	signers   []*proof.Signer
	witnesses []*proof.Cosigner
	policy    string
}

func newPolicyEpoch(t *testing.T, name string) *policyEpoch {
	t.Helper()
	e := new(policyEpoch)
	for _, alg := range []proof.Algorithm{proof.Ed25519, proof.MLDSA44} {
		skey, vkey, err := proof.GenerateKey(alg, origin)
		must(t, err)
		s, err := proof.ParseSigner(skey)
		must(t, err)
		e.signers = append(e.signers, s)
		e.policy += "log " + vkey + "\n"
	}
	for _, w := range []string{"a", "b"} {
		skey, vkey, err := proof.GenerateKey(proof.CosignatureEd25519, w+"."+name+".example")
		must(t, err)
		c, err := proof.ParseCosigner(skey)
		must(t, err)
		e.witnesses = append(e.witnesses, c)
		e.policy += "witness " + w + " " + vkey + "\n"
	}
	e.policy += "group both 2 a b\nquorum both\n"
	return e
}

func (e *policyEpoch) parsedPolicy(t *testing.T) *proof.Policy {
	t.Helper()
	p, err := proof.ParsePolicy([]byte(e.policy))
	must(t, err)
	return p
}

// publish signs and cosigns a tree, whatever it holds.
func (e *policyEpoch) publish(t *testing.T, cp proof.Checkpoint) []byte {
	t.Helper()
	signed, err := proof.SignCheckpoint(cp, e.signers...)
	must(t, err)
	var cosignatures []proof.Signature
	for _, w := range e.witnesses {
		s, err := w.Cosign(cp)
		must(t, err)
		cosignatures = append(cosignatures, s)
	}
	note, err := proof.AddSignatures(signed.Note(), cosignatures...)
	must(t, err)
	return note
}

// testOperator runs a log as it pleases: what it admits, nobody judges. Its witnesses do
// their duty, which is not to judge either.
type testOperator struct {
	*registertest.World
	t       *testing.T
	entries []record.Entry
	epochs  []*policyEpoch // the newest last
	at      time.Time
}

// newTestOperator begins a log with the charter, the authority and these providers.
func newTestOperator(t *testing.T, providers ...string) *testOperator {
	return newTestOperatorIn(t, newPolicyEpoch(t, "first"), providers...)
}

func newTestOperatorIn(t *testing.T, first *policyEpoch, providers ...string) *testOperator {
	o := &testOperator{t: t, epochs: []*policyEpoch{first}, at: worldStart}
	o.World = registertest.New(worldStart, origin, o.epochs[0].policy)
	o.admit(o.Charter(), "root/root-1", "root/root-2", "root/root-3")
	o.admit(o.Authority(), "root/root-1", "root/root-2")
	for _, p := range providers {
		o.admit(o.Provider(p), "authority/officer-1")
	}
	return o
}

// admit appends the entry of a record as these keys, and those that it lists, signed it.
func (o *testOperator) admit(env record.Envelope, keys ...string) uint64 {
	o.t.Helper()
	v, err := record.Open(env, func(*record.Statement) (all []*record.Key) {
		for _, name := range keys {
			all = append(all, o.Signer(name).Key())
		}
		return all
	})
	must(o.t, err)
	e, err := v.Entry(o.at, func(*record.Key) bool { return true })
	must(o.t, err)
	o.entries = append(o.entries, e)
	o.NoteAdmitted(env)
	return uint64(len(o.entries) - 1)
}

// admitPredicate admits a statement, signed by these keys.
func (o *testOperator) admitPredicate(thread record.Thread, issuer string, p record.Predicate, keys ...string) uint64 {
	o.t.Helper()
	return o.admit(o.Sign(o.Statement(thread, issuer, p), keys...), keys...)
}

// receipt is that of an entry in the tree of the first size ones, published in an era.
func (o *testOperator) receipt(index, size uint64, e *policyEpoch) proof.Receipt {
	o.t.Helper()
	source := sourceOf(o.t, o.entries[:size])
	note, err := source.Checkpoint(o.t.Context())
	must(o.t, err)
	cp, _, err := proof.ParseCheckpoint(note)
	must(o.t, err)
	in, err := proof.NewTileReader(source.Tiles, -1).At(cp.Tree()).InclusionProof(o.t.Context(), index)
	must(o.t, err)
	return proof.Receipt{Entry: o.entries[index].Marshal(), Index: index, Path: in.Path, Checkpoint: e.publish(o.t, cp)}
}

// chain are the receipts of these entries in the newest tree.
func (o *testOperator) chain(indexes ...uint64) []proof.Receipt {
	o.t.Helper()
	var all []proof.Receipt
	for _, i := range indexes {
		all = append(all, o.receipt(i, uint64(len(o.entries)), o.epochs[len(o.epochs)-1]))
	}
	return all
}

func formatted(t *testing.T, chain []proof.Receipt) []byte {
	t.Helper()
	text, err := proof.FormatChain(chain)
	must(t, err)
	return text
}

// trustOf is a trust directory that knows the charters of a chain, and nothing else.
func (o *testOperator) trustOf(chain []proof.Receipt) *Trust {
	o.t.Helper()
	trust := &Trust{files: vfs.NewMem(), dir: "trust", now: time.Now, pin: pinFileContent{Charter: o.Ledger}}
	must(o.t, trust.setCharters(formatted(o.t, chain)))
	return trust
}

// verifyEveryWay verifies a chain by the policy alone, by the charter's ID alone, and by a
// trust directory, and wants the same of all.
func (o *testOperator) verifyEveryWay(chain []proof.Receipt, check func(*testing.T, *VerifyReport, error)) {
	o.t.Helper()
	text := formatted(o.t, chain)
	first := slices.IndexFunc(chain, func(r proof.Receipt) bool { return r.Index == 0 })
	for name, p := range map[string]Policies{
		"policy": SinglePolicy{o.epochs[len(o.epochs)-1].parsedPolicy(o.t)}, "pinned": PinnedCharter{o.Ledger}, "trust": o.trustOf(chain[first:][:1]),
	} {
		o.t.Run(name, func(t *testing.T) {
			r, err := Verify(t.Context(), text, p, time.Now())
			check(t, r, err)
		})
	}
}

// refused wants the verification to be refused; see wantRefused.
func refused(want string) func(*testing.T, *VerifyReport, error) {
	return func(t *testing.T, _ *VerifyReport, err error) {
		t.Helper()
		wantRefused(t, err, want)
	}
}

func wantByChain(holders ...string) func(*testing.T, *VerifyReport, error) {
	return func(t *testing.T, r *VerifyReport, err error) {
		t.Helper()
		must(t, err)
		var got []string
		for _, h := range r.Signers {
			got = append(got, h.Party+"/"+h.Holder)
		}
		slices.Sort(got)
		if r.Authorship != AuthorshipByChain || !slices.Equal(got, holders) || r.Chain.NotShown != "" {
			t.Errorf("authorship %d, signed by %q, want by the chain, by %q (%+v)", r.Authorship, got, holders, r.Chain)
		}
	}
}

// notShown is a verification that cannot tell who may sign, for the reason that the golden
// file has.
func notShown(t *testing.T, r *VerifyReport, err error) {
	t.Helper()
	must(t, err)
	if r.Authorship != AuthorshipNotChecked || r.Chain.NotShown == "" {
		t.Errorf("authorship %d, %q; want it not checked, for a reason", r.Authorship, r.Chain.NotShown)
	}
	wantWords(t, r.Chain.NotShown)
}

// A ledger that admits what nobody had the right to sign gives it receipts that verify:
// a chain does not make them look right. What a chain leaves out is not checked, and
// said.
func TestChainOfDishonestLedger(t *testing.T) {
	self := func(o *testOperator) *record.Keys {
		return &record.Keys{Add: []record.PartyKey{o.Officer("authority/self", record.FuncDesignator, record.FuncRegistrar)}}
	}
	for _, c := range []struct {
		name  string
		chain func(o *testOperator) []proof.Receipt
		want  func(*testing.T, *VerifyReport, error)
	}{
		{"an honest order", func(o *testOperator) []proof.Receipt {
			return o.chain(0, 1, o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2"))
		}, wantByChain("authority/officer-1", "authority/officer-2")},
		{"an order with one officer's signature", func(o *testOperator) []proof.Receipt {
			return o.chain(0, 1, o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1"))
		}, refused("forbidden")},
		{"an order signed by a provider", func(o *testOperator) []proof.Receipt {
			return o.chain(0, 1, 2, o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "acme-cloud/compliance", "acme-cloud/ci"))
		}, refused("forbidden")},
		{"an order by the automatic importer", func(o *testOperator) []proof.Receipt {
			return o.chain(0, 1, o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/nightly-import"))
		}, refused("forbidden")},
		{"one party's answer signed by another", func(o *testOperator) []proof.Receipt {
			o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, 2, 3, o.admitPredicate("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "delta-racks/ci"))
		}, refused("forbidden")},
		{"one party's answer signed by another, the signer's records alone", func(o *testOperator) []proof.Receipt {
			o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, 3, o.admitPredicate("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "delta-racks/ci"))
		}, refused("forbidden")},
		{"an authority key that enrolled itself", func(o *testOperator) []proof.Receipt {
			at := o.admitPredicate("party/authority", "authority", self(o), "authority/self")
			return o.chain(0, 1, at, o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/self", "authority/officer-1"))
		}, refused("forbidden")},
		{"an authority key that one officer added", func(o *testOperator) []proof.Receipt {
			at := o.admitPredicate("party/authority", "authority", self(o), "authority/officer-1", "authority/self")
			return o.chain(0, 1, at, o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/self", "authority/officer-2"))
		}, refused("forbidden")},
		{"the same, and the chain leaves it out", func(o *testOperator) []proof.Receipt {
			o.admitPredicate("party/authority", "authority", self(o), "authority/officer-1", "authority/self")
			return o.chain(0, 1, o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/self", "authority/officer-2"))
		}, notShown},
		{"a key that was revoked", func(o *testOperator) []proof.Receipt {
			gone := o.admitPredicate("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: o.KeyID("acme-cloud/ci")}}}, "acme-cloud/compliance")
			o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, 2, gone, o.admitPredicate("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci"))
		}, refused("forbidden")},
		{"a key that was revoked, and the chain leaves that out", func(o *testOperator) []proof.Receipt {
			o.admitPredicate("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: o.KeyID("acme-cloud/ci")}}}, "acme-cloud/compliance")
			o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, 2, o.admitPredicate("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci"))
		}, wantByChain("acme-cloud/ci")},
		{"a revocation that is left out of the middle", func(o *testOperator) []proof.Receipt {
			o.admitPredicate("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: o.KeyID("acme-cloud/ci")}}}, "acme-cloud/compliance")
			later := o.admitPredicate("party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{o.Officer("acme-cloud/second")}}, "acme-cloud/compliance", "acme-cloud/second")
			o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, 2, later, o.admitPredicate("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci"))
		}, notShown},
		{"a revocation that came later is shown with the key", func(o *testOperator) []proof.Receipt {
			o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
			at := o.admitPredicate("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci")
			gone := o.admitPredicate("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: o.KeyID("acme-cloud/ci")}}}, "acme-cloud/compliance")
			return o.chain(0, 1, 2, gone, at)
		}, func(t *testing.T, r *VerifyReport, err error) {
			wantByChain("acme-cloud/ci")(t, r, err)
			if err == nil && r.Signers[0].Revoked != 6 {
				t.Errorf("revoked at %d", r.Signers[0].Revoked)
			}
		}},
		{"a party that is suspended", func(o *testOperator) []proof.Receipt {
			zone, err := time.LoadLocation("America/New_York")
			must(o.t, err)
			day := record.DateOf(o.at, zone)
			stop := o.admitPredicate("party/acme-cloud", "authority", &record.Standing{Status: "suspended", EffectiveOn: day, Reason: "r"}, "authority/officer-1")
			return o.chain(0, 1, 2, stop, o.admitPredicate("cip/acme-cloud", "acme-cloud", &record.CIPCertification{PeriodFrom: day, PeriodUntil: day, Initial: true}, "acme-cloud/compliance"))
		}, refused("forbidden")},
		{"a good record on another thread in the middle", func(o *testOperator) []proof.Receipt {
			order := o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, 2, 3, order, o.admitPredicate("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci"))
		}, wantByChain("acme-cloud/ci")},
		{"a bad record on another thread in the middle", func(o *testOperator) []proof.Receipt {
			order := o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1")
			return o.chain(0, 1, 2, order, o.admitPredicate("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci"))
		}, refused("forbidden")},
		{"out of order", func(o *testOperator) []proof.Receipt {
			return o.chain(0, 2, 1, o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2"))
		}, refused("error")},
		{"a record twice", func(o *testOperator) []proof.Receipt {
			return o.chain(0, 1, 1, o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2"))
		}, refused("error")},
		{"the record itself twice", func(o *testOperator) []proof.Receipt {
			at := o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, at, at)
		}, refused("error")},
		{"two records at one index", func(o *testOperator) []proof.Receipt {
			at := o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
			one := o.chain(0, 1, at)
			o.entries[at].Admitted = o.entries[at].Admitted.Add(time.Second)
			o.admitPredicate("designation/2", "authority", o.NewDesignation("L"), "authority/officer-1", "authority/officer-2")
			return append(one, o.chain(at)...)
		}, refused("fork")},
		{"a record of another ledger", func(o *testOperator) []proof.Receipt {
			other := newTestOperator(o.t)
			other.CharterPredicate.Name = "Another"
			other.entries, other.World = nil, registertest.New(worldStart.Add(time.Second), origin, "log x\n")
			other.CharterPredicate.Policy = o.epochs[0].policy
			other.admit(other.Charter(), "root/root-1", "root/root-2", "root/root-3")
			e := o.admit(other.Sign(other.Statement("designation/1", "authority", other.NewDesignation("K")), "authority/officer-1", "authority/officer-2"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, e)
		}, refused("invalid /predicate/ledger")},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newTestOperator(t, "acme-cloud", "delta-racks")
			o.t = t
			o.verifyEveryWay(c.chain(o), c.want)
		})
	}
}

// Charters that were forged make no chain, whoever published them.
func TestChainOfForgedCharters(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*testOperator)
		keys   []string
	}{
		{"one root key of two", func(o *testOperator) {}, []string{"root/root-1"}},
		{"a root set of its own", func(o *testOperator) {
			o.CharterPredicate.RootKeys = []record.RootKey{o.RootKey("mallory"), o.RootKey("mallet")}
		},
			[]string{"root/mallory", "root/mallet"}},
		{"a new root key that did not sign", func(o *testOperator) {
			o.CharterPredicate.RootKeys = append(o.CharterPredicate.RootKeys[:2:2], o.RootKey("root-4"))
		},
			[]string{"root/root-1", "root/root-2"}},
		{"another origin", func(o *testOperator) { o.CharterPredicate.Origin = "other.example" }, []string{"root/root-1", "root/root-2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newTestOperator(t)
			o.t = t
			c.change(o)
			charter := o.CharterPredicate
			second := o.admitPredicate("charter", "authority", &charter, c.keys...)
			order := o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
			o.verifyEveryWay(o.chain(0, 1, second, order), refused("error"))
		})
	}
}

// rotatedLog is a log whose log keys, witnesses and root keys were all replaced twice, at
// the indexes 4 and 7; an answer is at 8. Its chain is as a server makes it: each charter
// that is not the newest proven under its own policy.
func rotatedLog(t *testing.T) (o *testOperator, chain []proof.Receipt) {
	o = newTestOperator(t, "acme-cloud")
	o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
	first := o.receipt(0, 4, o.epochs[0])
	next := func(old, fresh []string) uint64 {
		o.epochs = append(o.epochs, newPolicyEpoch(t, fmt.Sprintf("era%d", len(o.epochs))))
		c := o.CharterPredicate
		c.Policy, c.RootKeys = o.epochs[len(o.epochs)-1].policy, nil
		keys := slices.Clone(old[:2])
		for _, k := range fresh {
			c.RootKeys = append(c.RootKeys, o.RootKey(strings.TrimPrefix(k, "root/")))
			keys = append(keys, k)
		}
		return o.admitPredicate("charter", "authority", &c, keys...)
	}
	roots := [][]string{{"root/root-1", "root/root-2"}, {"root/root-4", "root/root-5", "root/root-6"}, {"root/root-7", "root/root-8", "root/root-9"}}
	at4 := next(roots[0], roots[1])
	o.admitPredicate("party/authority", "authority", &record.Keys{Add: []record.PartyKey{o.Officer("authority/fresh", record.FuncDesignator)}}, "root/root-4", "root/root-5", "authority/fresh")
	o.admitPredicate("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "acknowledged"}, "acme-cloud/ci")
	second := o.receipt(at4, 6, o.epochs[1])
	at7 := next(roots[1], roots[2])
	o.admitPredicate("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci")
	chain = append([]proof.Receipt{first}, o.chain(1, 2)...)
	chain = append(append(chain, second), o.chain(5, at7, 8)...)
	return o, chain
}

// After everything was rotated twice, the charter's ID alone verifies a chain. It says
// under whose policy, and which trees were shown to go together.
func TestChainAfterRotations(t *testing.T) {
	o, chain := rotatedLog(t)
	o.verifyEveryWay(chain, wantByChain("acme-cloud/ci"))
	text := formatted(t, chain)
	r, err := Verify(t.Context(), text, PinnedCharter{o.Ledger}, time.Now())
	must(t, err)
	if c := r.Chain; c.Ledger != o.Ledger || c.NewestCharter != 7 || c.KnownCharter != 7 || len(c.Trees.Extended) != 2 || len(c.Trees.Unproven) != 0 {
		t.Errorf("%+v", c)
	}
	if !slices.Equal(r.Chain.Shown, []uint64{0, 1, 2, 4, 5, 7}) {
		t.Errorf("shown %v", r.Chain.Shown)
	}
	if r, err = Verify(t.Context(), text, o.trustOf(chain), time.Now()); err != nil || r.Chain.KnownCharter != 7 {
		t.Errorf("with a trust directory that knows these charters: %+v, %v", r, err)
	}

	if r, err = Verify(t.Context(), text, o.trustOf(chain[:1]), time.Now()); err != nil || r.Chain.KnownCharter != 0 || r.Chain.NewestCharter != 7 {
		t.Errorf("with one that knows the first alone: %+v, %v", r, err)
	}

	verify := func(name string, p Policies, chain []proof.Receipt, want string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			_, err := Verify(t.Context(), formatted(t, chain), p, time.Now())
			if want == "" {
				must(t, err)
			} else {
				wantRefused(t, err, want)
			}
		})
	}
	pinned := PinnedCharter{o.Ledger}
	verify("another ledger's ID", PinnedCharter{record.ID{1}}, chain, "error")
	verify("a retired policy", SinglePolicy{o.epochs[0].parsedPolicy(t)}, chain, "error")
	verify("a receipt alone", pinned, chain[6:], "error")
	verify("without the first charter", pinned, chain[1:], "error")
	verify("without the second", pinned, slices.Delete(slices.Clone(chain), 3, 4), "error")
	verify("without the third", pinned, slices.Delete(slices.Clone(chain), 5, 6), "error")
	verify("the first charter itself", pinned, []proof.Receipt{chain[0]}, "")
	verify("the first charter, last", pinned, append(slices.Clone(chain[1:]), chain[0]), "")
	// Whoever has got hold of the retired keys proves nothing by them to who sees the newest
	// charter, whatever the size that they sign.
	old := slices.Clone(chain)
	old[6] = o.receipt(8, 9, o.epochs[1])
	verify("proven under a retired policy", pinned, old, "error")
	old = slices.Clone(chain)
	old[6] = o.receipt(6, 7, o.epochs[1])
	verify("proven before the newest charter", pinned, old, "error")
	// With the newest charter left out it does, and a trust directory that knows it is not
	// deceived.
	mole := append(slices.Clone(chain[:1]), o.receipt(1, 9, o.epochs[1]), o.receipt(2, 9, o.epochs[1]), chain[3], o.receipt(5, 9, o.epochs[1]), o.receipt(8, 9, o.epochs[1]))
	verify("by retired keys, the newest charter left out", pinned, mole, "")
	verify("the same, for whoever knows it", o.trustOf(chain), mole, "error")
	early := append(slices.Clone(chain[:1]), o.receipt(1, 6, o.epochs[1]), o.receipt(2, 6, o.epochs[1]), chain[3], o.receipt(5, 6, o.epochs[1]))
	verify("of before the newest charter", o.trustOf(chain), early, "")
	// Root keys that sign two successions deceive who knows neither.
	other := newTestOperatorIn(t, o.epochs[0], "acme-cloud")
	other.admitPredicate("designation/1", "authority", other.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
	other.epochs = o.epochs
	c := other.CharterPredicate
	c.Policy = o.epochs[2].policy
	other.admitPredicate("designation/2", "authority", other.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
	at := other.admitPredicate("charter", "authority", &c, "root/root-1", "root/root-2")
	fork := append([]proof.Receipt{chain[0]}, other.chain(1, at, 3)...)
	verify("another succession", pinned, fork, "")
	verify("another succession, for whoever knows the true one", o.trustOf(chain), fork, "error")
	trust := o.trustOf(chain)
	o.entries = o.entries[:5]
	c.RootKeys = []record.RootKey{o.RootKey("root-4"), o.RootKey("root-5"), o.RootKey("root-6")}
	st := o.Statement("charter", "authority", &c)
	st.Follows = record.IDOf(o.entries[4].Envelope.Payload)
	at = o.admit(o.Sign(st, "root/root-4", "root/root-5"), "root/root-4", "root/root-5")
	fork = []proof.Receipt{chain[0], o.receipt(1, 6, o.epochs[2]), o.receipt(4, 5, o.epochs[1]), o.receipt(at, 6, o.epochs[2]), o.receipt(3, 6, o.epochs[2])}
	verify("a charter too many", pinned, fork, "")
	verify("a charter too many, for whoever knows that there is none", trust, fork, "error")
}

// Checkpoints of which the paths do not show that one continues the other are said.
func TestChainTreesUnproven(t *testing.T) {
	o := newTestOperator(t, "acme-cloud")
	order := o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
	for i := range 4 {
		o.admitPredicate(record.DesignationThread(fmt.Sprint(i+2)), "authority", o.NewDesignation("L"), "authority/officer-1", "authority/officer-2")
	}
	chain := append([]proof.Receipt{o.receipt(0, 6, o.epochs[0])}, o.chain(1, order)...)
	o.verifyEveryWay(chain, func(t *testing.T, r *VerifyReport, err error) {
		must(t, err)
		if trees := r.Chain.Trees; trees.Newest.Size != 8 || len(trees.Unproven) != 1 || trees.Unproven[0].Size != 6 || trees.Extended != nil {
			t.Errorf("%+v", trees)
		}
	})
}

// An entry that claims to be admitted after a quorum says it existed is refused; one that
// is ahead by no more than clocks may differ is not.
func TestAdmittedAfterItExisted(t *testing.T) {
	for _, ahead := range []time.Duration{0, 4 * time.Minute, 7 * time.Minute, 48 * time.Hour} {
		late := ahead > 5*time.Minute
		o := newTestOperator(t)
		o.at = time.Now().Add(ahead)
		o.Now = o.at.Truncate(time.Millisecond)
		order := o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
		chain := o.chain(0, 1, order)
		for _, shown := range [][]proof.Receipt{chain[2:], chain} {
			_, err := Verify(t.Context(), formatted(t, shown), SinglePolicy{o.epochs[0].parsedPolicy(t)}, time.Now())
			if late {
				wantRefused(t, err, "error")
			} else if err != nil {
				t.Errorf("%d receipts, ahead by %s: %v", len(shown), ahead, err)
			}
		}
		if err := o.sync(); late {
			wantRefused(t, err, "error")
		} else if err != nil {
			t.Errorf("sync, ahead by %s: %v", ahead, err)
		}
	}
}

// sync is what a trust directory makes of the log, served as files.
func (o *testOperator) sync() error {
	o.t.Helper()
	c := o.serve(o.chain(0))
	trust, err := CreateTrust(o.t.Context(), vfs.NewMem(), "trust", c, o.Ledger)
	must(o.t, err)
	defer trust.Close()
	return trust.Sync(o.t.Context(), c, nil)
}

// serve is a client of the log as it stands, published in its newest epoch, whose server
// gives this chain to who asks for any record's.
func (o *testOperator) serve(chain []proof.Receipt) *Client {
	o.t.Helper()
	newest := o.epochs[len(o.epochs)-1]
	source := sourceOf(o.t, o.entries).(directory)
	note, err := source.Checkpoint(o.t.Context())
	must(o.t, err)
	cp, _, err := proof.ParseCheckpoint(note)
	must(o.t, err)
	note = newest.publish(o.t, cp)
	charters := formatted(o.t, chain)
	c, err := New("http://ledger.example", &network{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/checkpoint":
			w.Write(note)
		case strings.HasSuffix(r.URL.Path, "/receipt"):
			w.Write(charters)
		default:
			data, err := disk.ReadFile(source.files, source.path(strings.TrimPrefix(r.URL.Path, "/")))
			if err != nil {
				http.NotFound(w, r)
				return
			}
			w.Write(data)
		}
	})})
	must(o.t, err)
	return c
}

// What a replayed copy covers is judged by the replay, and the chain's own charters are
// held against those that it knows.
func TestChainAndCopy(t *testing.T) {
	w, id := worldWithResponse(t)
	text, err := w.client().ChainUnverified(t.Context(), id)
	must(t, err)
	r, err := Verify(t.Context(), text, w.syncedTrust(), time.Now())
	must(t, err)
	if r.Authorship != AuthorshipByReplay || r.Chain == nil || r.Chain.NotShown != "" || r.Signers[0].Holder != "ci" {
		t.Errorf("%+v", r)
	}
	var holder register.KeyHolder
	if r, err = Verify(t.Context(), text, PinnedCharter{w.Ledger}, time.Now()); err == nil {
		holder = r.Signers[0]
	}
	if err != nil || holder.Party != "acme-cloud" || holder.Added != 2 {
		t.Errorf("by the charter's ID alone: %+v, %v", holder, err)
	}
}

// A policy alone knows no charter's ID. A dishonest log admits the second charter of a
// ledger that somebody made up, and the chain shows the first one of that in a tree of
// its own, by a policy of its own: it is not shown to be in the log at all.
func TestChainWithMadeUpOpening(t *testing.T) {
	for _, size := range []uint64{1, 2, 3, 4} { // of the tree that is made up
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			o := newTestOperator(t, "acme-cloud")
			o.t = t
			o.admitPredicate("designation/1", "authority", o.NewDesignation("K"), "authority/officer-1", "authority/officer-2")
			made := &testOperator{t: t, epochs: []*policyEpoch{newPolicyEpoch(t, "made-up")}, at: worldStart}
			made.World = registertest.New(worldStart, origin, made.epochs[0].policy)
			made.admit(made.Charter(), "root/root-1", "root/root-2", "root/root-3")
			for len(made.entries) < int(size) {
				made.entries = append(made.entries, o.entries[1])
			}
			opening := made.receipt(0, size, made.epochs[0])
			made.entries = slices.Clone(o.entries) // from here on into the log that others know
			next := made.CharterPredicate
			next.Policy = o.epochs[0].policy
			authority := made.admit(made.Authority(), "root/root-1", "root/root-2")
			second := made.admitPredicate("charter", "authority", &next, "root/root-1", "root/root-2")
			made.epochs = o.epochs
			order := made.admitPredicate("designation/99", "authority", made.NewDesignation("M"), "authority/officer-1", "authority/officer-2")
			text := formatted(t, append([]proof.Receipt{opening}, made.chain(authority, second, order)...))
			r, err := Verify(t.Context(), text, SinglePolicy{o.epochs[0].parsedPolicy(t)}, time.Now())
			if size == 4 { // which the path of the authority's enrolment shows
				refused("fork")(t, r, err)
			} else {
				must(t, err)
				if !slices.Contains(r.Chain.Unchecked, "that the charter at index 0 is in the log of this policy") {
					t.Errorf("of ledger %s: %q", r.Chain.Ledger, r.Chain.Unchecked)
				}
			}
		})
	}
}
