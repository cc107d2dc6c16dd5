package client

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// era is the time of one policy: the log's keys, and two witnesses, both needed.
type era struct {
	signers   []*proof.Signer
	witnesses []*proof.Cosigner
	policy    string
}

func newEra(t *testing.T, name string) *era {
	t.Helper()
	e := new(era)
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

func (e *era) parsed(t *testing.T) *proof.Policy {
	t.Helper()
	p, err := proof.ParsePolicy([]byte(e.policy))
	must(t, err)
	return p
}

// publish signs and cosigns a tree, whatever it holds.
func (e *era) publish(t *testing.T, cp proof.Checkpoint) []byte {
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

// operator runs a log as it pleases: what it admits, nobody judges. Its witnesses do
// their duty, which is not to judge either.
type operator struct {
	*registertest.World
	t       *testing.T
	entries []record.Entry
	eras    []*era // the newest last
	at      time.Time
}

// newOperator begins a log with the charter, the authority and these providers.
func newOperator(t *testing.T, providers ...string) *operator {
	return operatorIn(t, newEra(t, "first"), providers...)
}

func operatorIn(t *testing.T, first *era, providers ...string) *operator {
	o := &operator{t: t, eras: []*era{first}, at: began}
	o.World = registertest.New(began, origin, o.eras[0].policy)
	o.admit(o.Charter(), "root/root-1", "root/root-2", "root/root-3")
	o.admit(o.Authority(), "root/root-1", "root/root-2")
	for _, p := range providers {
		o.admit(o.Provider(p), "authority/officer-1")
	}
	return o
}

// admit appends the entry of a record as these keys, and those that it lists, signed it.
func (o *operator) admit(env record.Envelope, keys ...string) uint64 {
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
	o.Note(env)
	return uint64(len(o.entries) - 1)
}

// say admits a statement, signed by these keys.
func (o *operator) say(thread, issuer string, p record.Predicate, keys ...string) uint64 {
	o.t.Helper()
	return o.admit(o.Sign(o.Statement(thread, issuer, p), keys...), keys...)
}

// receipt is that of an entry in the tree of the first size ones, published in an era.
func (o *operator) receipt(index, size uint64, e *era) proof.Receipt {
	o.t.Helper()
	source := published(o.t, o.entries[:size])
	note, err := source.Checkpoint(o.t.Context())
	must(o.t, err)
	cp, _, err := proof.ParseCheckpoint(note)
	must(o.t, err)
	in, err := proof.NewBuilder(source.Tiles, -1).InclusionProof(o.t.Context(), index, cp.Tree())
	must(o.t, err)
	return proof.Receipt{Entry: o.entries[index].Marshal(), Index: index, Path: in.Path, Checkpoint: e.publish(o.t, cp)}
}

// chain are the receipts of these entries in the newest tree.
func (o *operator) chain(indexes ...uint64) []proof.Receipt {
	o.t.Helper()
	var all []proof.Receipt
	for _, i := range indexes {
		all = append(all, o.receipt(i, uint64(len(o.entries)), o.eras[len(o.eras)-1]))
	}
	return all
}

func formatted(t *testing.T, chain []proof.Receipt) []byte {
	t.Helper()
	text, err := proof.FormatChain(chain)
	must(t, err)
	return text
}

// trusting is a trust directory that knows the charters of a chain, and nothing else.
func (o *operator) trusting(chain []proof.Receipt) *Trust {
	o.t.Helper()
	trust := &Trust{files: vfs.NewMem(), dir: "trust", now: time.Now, pin: pin{Charter: o.Ledger}}
	must(o.t, trust.readCharters(formatted(o.t, chain)))
	return trust
}

// everybody verifies a chain by the policy alone, by the charter's ID alone, and by a
// trust directory, and wants the same of all.
func (o *operator) everybody(chain []proof.Receipt, check func(*testing.T, *Report, error)) {
	o.t.Helper()
	text := formatted(o.t, chain)
	first := slices.IndexFunc(chain, func(r proof.Receipt) bool { return r.Index == 0 })
	for name, p := range map[string]Policies{
		"policy": Fixed{o.eras[len(o.eras)-1].parsed(o.t)}, "pinned": Pinned{o.Ledger}, "trust": o.trusting(chain[first:][:1]),
	} {
		o.t.Run(name, func(t *testing.T) {
			r, err := Verify(t.Context(), text, p, time.Now())
			check(t, r, err)
		})
	}
}

func refusedWith(words string) func(*testing.T, *Report, error) {
	return func(t *testing.T, _ *Report, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("got %v, want a refusal that says %q", err, words)
		}
	}
}

func byChain(holders ...string) func(*testing.T, *Report, error) {
	return func(t *testing.T, r *Report, err error) {
		t.Helper()
		must(t, err)
		var got []string
		for _, h := range r.Signers {
			got = append(got, h.Party+"/"+h.Holder)
		}
		slices.Sort(got)
		if r.Authorship != ByChain || !slices.Equal(got, holders) || r.Chain.NotShown != "" {
			t.Errorf("authorship %d, signed by %q, want by the chain, by %q (%+v)", r.Authorship, got, holders, r.Chain)
		}
	}
}

func notShown(words string) func(*testing.T, *Report, error) {
	return func(t *testing.T, r *Report, err error) {
		t.Helper()
		must(t, err)
		if r.Authorship != NotChecked || !strings.Contains(r.Chain.NotShown, words) {
			t.Errorf("authorship %d, %q; want it not checked, since %q", r.Authorship, r.Chain.NotShown, words)
		}
	}
}

// A ledger that admits what nobody had the right to sign gives it receipts that verify:
// a chain does not make them look right. What a chain leaves out is not checked, and
// said.
func TestChainOfDishonestLedger(t *testing.T) {
	self := func(o *operator) *record.Keys {
		return &record.Keys{Add: []record.PartyKey{o.Officer("authority/self", record.FuncDesignator, record.FuncRegistrar)}}
	}
	for _, c := range []struct {
		name  string
		chain func(o *operator) []proof.Receipt
		want  func(*testing.T, *Report, error)
	}{
		{"an honest order", func(o *operator) []proof.Receipt {
			return o.chain(0, 1, o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2"))
		}, byChain("authority/officer-1", "authority/officer-2")},
		{"an order with one officer's signature", func(o *operator) []proof.Receipt {
			return o.chain(0, 1, o.say("designation/1", "authority", o.Order("K"), "authority/officer-1"))
		}, refusedWith("2 officers needed, 1 signed (officer-1)")},
		{"an order signed by a provider", func(o *operator) []proof.Receipt {
			return o.chain(0, 1, 2, o.say("designation/1", "authority", o.Order("K"), "acme-cloud/compliance", "acme-cloud/ci"))
		}, refusedWith("2 officers needed, none signed; key SHA256:")},
		{"an order by the automatic importer", func(o *operator) []proof.Receipt {
			return o.chain(0, 1, o.say("designation/1", "authority", o.Order("K"), "authority/nightly-import"))
		}, refusedWith("2 officers needed")},
		{"one party's answer signed by another", func(o *operator) []proof.Receipt {
			o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, 2, 3, o.say("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "delta-racks/ci"))
		}, refusedWith("belongs to delta-racks")},
		{"one party's answer signed by another, the signer's records alone", func(o *operator) []proof.Receipt {
			o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, 3, o.say("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "delta-racks/ci"))
		}, refusedWith("belongs to delta-racks, and may not sign for acme-cloud")},
		{"an authority key that enrolled itself", func(o *operator) []proof.Receipt {
			at := o.say("party/authority", "authority", self(o), "authority/self")
			return o.chain(0, 1, at, o.say("designation/1", "authority", o.Order("K"), "authority/self", "authority/officer-1"))
		}, refusedWith("the keys on party/authority (index 4) is wrong: entry 4 must not be in this ledger: 2 root keys needed")},
		{"an authority key that one officer added", func(o *operator) []proof.Receipt {
			at := o.say("party/authority", "authority", self(o), "authority/officer-1", "authority/self")
			return o.chain(0, 1, at, o.say("designation/1", "authority", o.Order("K"), "authority/self", "authority/officer-2"))
		}, refusedWith("2 root keys needed")},
		{"the same, and the chain leaves it out", func(o *operator) []proof.Receipt {
			o.say("party/authority", "authority", self(o), "authority/officer-1", "authority/self")
			return o.chain(0, 1, o.say("designation/1", "authority", o.Order("K"), "authority/self", "authority/officer-2"))
		}, notShown("the record that lists key SHA256:")},
		{"a key that was revoked", func(o *operator) []proof.Receipt {
			gone := o.say("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: o.KeyID("acme-cloud/ci")}}}, "acme-cloud/compliance")
			o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, 2, gone, o.say("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci"))
		}, refusedWith("was revoked at index 4")},
		{"a key that was revoked, and the chain leaves that out", func(o *operator) []proof.Receipt {
			o.say("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: o.KeyID("acme-cloud/ci")}}}, "acme-cloud/compliance")
			o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, 2, o.say("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci"))
		}, byChain("acme-cloud/ci")},
		{"a revocation that is left out of the middle", func(o *operator) []proof.Receipt {
			o.say("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: o.KeyID("acme-cloud/ci")}}}, "acme-cloud/compliance")
			later := o.say("party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{o.Officer("acme-cloud/second")}}, "acme-cloud/compliance", "acme-cloud/second")
			o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, 2, later, o.say("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci"))
		}, notShown("index 5 cannot be judged: what stands on party/acme-cloud before it is not shown")},
		{"a revocation that came later is shown with the key", func(o *operator) []proof.Receipt {
			o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
			at := o.say("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci")
			gone := o.say("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: o.KeyID("acme-cloud/ci")}}}, "acme-cloud/compliance")
			return o.chain(0, 1, 2, gone, at)
		}, func(t *testing.T, r *Report, err error) {
			byChain("acme-cloud/ci")(t, r, err)
			if err == nil && r.Signers[0].Revoked != 6 {
				t.Errorf("revoked at %d", r.Signers[0].Revoked)
			}
		}},
		{"a party that is suspended", func(o *operator) []proof.Receipt {
			zone, err := time.LoadLocation("America/New_York")
			must(o.t, err)
			day := record.DateOf(o.at, zone)
			stop := o.say("party/acme-cloud", "authority", &record.Standing{Status: "suspended", EffectiveOn: day, Reason: "r"}, "authority/officer-1")
			return o.chain(0, 1, 2, stop, o.say("cip/acme-cloud", "acme-cloud", &record.CIPCertification{PeriodFrom: day, PeriodUntil: day, Initial: true}, "acme-cloud/compliance"))
		}, refusedWith("acme-cloud is suspended")},
		{"a good record on another thread in the middle", func(o *operator) []proof.Receipt {
			order := o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, 2, 3, order, o.say("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci"))
		}, byChain("acme-cloud/ci")},
		{"a bad record on another thread in the middle", func(o *operator) []proof.Receipt {
			order := o.say("designation/1", "authority", o.Order("K"), "authority/officer-1")
			return o.chain(0, 1, 2, order, o.say("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci"))
		}, refusedWith("the designation on designation/1 (index 4) is wrong: entry 4 must not be in this ledger: 2 officers needed")},
		{"out of order", func(o *operator) []proof.Receipt {
			return o.chain(0, 2, 1, o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2"))
		}, refusedWith("goes in the order of the log")},
		{"a record twice", func(o *operator) []proof.Receipt {
			return o.chain(0, 1, 1, o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2"))
		}, refusedWith("each record once")},
		{"the record itself twice", func(o *operator) []proof.Receipt {
			at := o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, at, at)
		}, refusedWith("each record once")},
		{"two records at one index", func(o *operator) []proof.Receipt {
			at := o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
			one := o.chain(0, 1, at)
			o.entries[at].Admitted = o.entries[at].Admitted.Add(time.Second)
			o.say("designation/2", "authority", o.Order("L"), "authority/officer-1", "authority/officer-2")
			return append(one, o.chain(at)...)
		}, refusedWith("the chain is of two histories")},
		{"a record of another ledger", func(o *operator) []proof.Receipt {
			other := newOperator(o.t)
			other.Rules.Name = "Another"
			other.entries, other.World = nil, registertest.New(began.Add(time.Second), origin, "log x\n")
			other.Rules.Policy = o.eras[0].policy
			other.admit(other.Charter(), "root/root-1", "root/root-2", "root/root-3")
			e := o.admit(other.Sign(other.Statement("designation/1", "authority", other.Order("K")), "authority/officer-1", "authority/officer-2"), "authority/officer-1", "authority/officer-2")
			return o.chain(0, 1, e)
		}, refusedWith("signed for ")},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOperator(t, "acme-cloud", "delta-racks")
			o.t = t
			o.everybody(c.chain(o), c.want)
		})
	}
}

// Charters that were forged make no chain, whoever published them.
func TestChainOfForgedCharters(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*operator)
		keys   []string
		words  string
	}{
		{"one root key of two", func(o *operator) {}, []string{"root/root-1"}, "2 of the old root keys' holders needed, 1 signed"},
		{"a root set of its own", func(o *operator) { o.Rules.RootKeys = []record.RootKey{o.RootKey("mallory"), o.RootKey("mallet")} },
			[]string{"root/mallory", "root/mallet"}, "2 of the old root keys' holders needed, 0 signed"},
		{"a new root key that did not sign", func(o *operator) { o.Rules.RootKeys = append(o.Rules.RootKeys[:2:2], o.RootKey("root-4")) },
			[]string{"root/root-1", "root/root-2"}, "is new and did not sign"},
		{"another origin", func(o *operator) { o.Rules.Origin = "other.example" }, []string{"root/root-1", "root/root-2"}, "it changes the origin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOperator(t)
			o.t = t
			c.change(o)
			charter := o.Rules
			second := o.say("charter", "authority", &charter, c.keys...)
			order := o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
			o.everybody(o.chain(0, 1, second, order), refusedWith(c.words))
		})
	}
}

// rotated is a log whose log keys, witnesses and root keys were all replaced twice, at
// the indexes 4 and 7; an answer is at 8. Its chain is as a server makes it: each charter
// that is not the newest proven under its own policy.
func rotated(t *testing.T) (o *operator, chain []proof.Receipt) {
	o = newOperator(t, "acme-cloud")
	o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
	first := o.receipt(0, 4, o.eras[0])
	next := func(old, fresh []string) uint64 {
		o.eras = append(o.eras, newEra(t, fmt.Sprintf("era%d", len(o.eras))))
		c := o.Rules
		c.Policy, c.RootKeys = o.eras[len(o.eras)-1].policy, nil
		keys := slices.Clone(old[:2])
		for _, k := range fresh {
			c.RootKeys = append(c.RootKeys, o.RootKey(strings.TrimPrefix(k, "root/")))
			keys = append(keys, k)
		}
		return o.say("charter", "authority", &c, keys...)
	}
	roots := [][]string{{"root/root-1", "root/root-2"}, {"root/root-4", "root/root-5", "root/root-6"}, {"root/root-7", "root/root-8", "root/root-9"}}
	at4 := next(roots[0], roots[1])
	o.say("party/authority", "authority", &record.Keys{Add: []record.PartyKey{o.Officer("authority/fresh", record.FuncDesignator)}}, "root/root-4", "root/root-5", "authority/fresh")
	o.say("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "acknowledged"}, "acme-cloud/ci")
	second := o.receipt(at4, 6, o.eras[1])
	at7 := next(roots[1], roots[2])
	o.say("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}, "acme-cloud/ci")
	chain = append([]proof.Receipt{first}, o.chain(1, 2)...)
	chain = append(append(chain, second), o.chain(5, at7, 8)...)
	return o, chain
}

// After everything was rotated twice, the charter's ID alone verifies a chain. It says
// under whose policy, and which trees were shown to go together.
func TestChainAfterRotations(t *testing.T) {
	o, chain := rotated(t)
	o.everybody(chain, byChain("acme-cloud/ci"))
	text := formatted(t, chain)
	r, err := Verify(t.Context(), text, Pinned{o.Ledger}, time.Now())
	must(t, err)
	if c := r.Chain; c.Ledger != o.Ledger || c.Charter != 7 || c.Known != 7 || len(c.Trees.Continued) != 2 || len(c.Trees.Unproven) != 0 {
		t.Errorf("%+v", c)
	}
	if !slices.Equal(r.Chain.Shown, []uint64{0, 1, 2, 4, 5, 7}) {
		t.Errorf("shown %v", r.Chain.Shown)
	}
	if r, err = Verify(t.Context(), text, o.trusting(chain), time.Now()); err != nil || r.Chain.Known != 7 {
		t.Errorf("with a trust directory that knows these charters: %+v, %v", r, err)
	}

	if r, err = Verify(t.Context(), text, o.trusting(chain[:1]), time.Now()); err != nil || r.Chain.Known != 0 || r.Chain.Charter != 7 {
		t.Errorf("with one that knows the first alone: %+v, %v", r, err)
	}

	verify := func(name string, p Policies, chain []proof.Receipt, words string) {
		t.Helper()
		_, err := Verify(t.Context(), formatted(t, chain), p, time.Now())
		if words == "" {
			must(t, err)
		} else if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v, want one that says %q", name, err, words)
		}
	}
	pinned := Pinned{o.Ledger}
	verify("another ledger's ID", Pinned{record.ID{1}}, chain, "not with the pinned 0100")
	verify("a retired policy", Fixed{o.eras[0].parsed(t)}, chain, "no signature of the log")
	verify("a receipt alone", pinned, chain[6:], "that takes a chain")
	verify("without the first charter", pinned, chain[1:], "that takes a chain")
	verify("without the second", pinned, slices.Delete(slices.Clone(chain), 3, 4), "a charter is missing between")
	verify("without the third", pinned, slices.Delete(slices.Clone(chain), 5, 6), "no signature of the log")
	verify("the first charter itself", pinned, []proof.Receipt{chain[0]}, "")
	verify("the first charter, last", pinned, append(slices.Clone(chain[1:]), chain[0]), "")
	// Whoever has got hold of the retired keys proves nothing by them to who sees the newest
	// charter, whatever the size that they sign.
	old := slices.Clone(chain)
	old[6] = o.receipt(8, 9, o.eras[1])
	verify("proven under a retired policy", pinned, old, "no signature of the log")
	old = slices.Clone(chain)
	old[6] = o.receipt(6, 7, o.eras[1])
	verify("proven before the newest charter", pinned, old, "has replaced since")
	// With the newest charter left out it does, and a trust directory that knows it is not
	// deceived.
	mole := append(slices.Clone(chain[:1]), o.receipt(1, 9, o.eras[1]), o.receipt(2, 9, o.eras[1]), chain[3], o.receipt(5, 9, o.eras[1]), o.receipt(8, 9, o.eras[1]))
	verify("by retired keys, the newest charter left out", pinned, mole, "")
	verify("the same, for whoever knows it", o.trusting(chain), mole, "leaves out the charter at index 7")
	early := append(slices.Clone(chain[:1]), o.receipt(1, 6, o.eras[1]), o.receipt(2, 6, o.eras[1]), chain[3], o.receipt(5, 6, o.eras[1]))
	verify("of before the newest charter", o.trusting(chain), early, "")
	// Root keys that sign two successions deceive who knows neither.
	other := operatorIn(t, o.eras[0], "acme-cloud")
	other.say("designation/1", "authority", other.Order("K"), "authority/officer-1", "authority/officer-2")
	other.eras = o.eras
	c := other.Rules
	c.Policy = o.eras[2].policy
	other.say("designation/2", "authority", other.Order("K"), "authority/officer-1", "authority/officer-2")
	at := other.say("charter", "authority", &c, "root/root-1", "root/root-2")
	fork := append([]proof.Receipt{chain[0]}, other.chain(1, at, 3)...)
	verify("another succession", pinned, fork, "")
	verify("another succession, for whoever knows the true one", o.trusting(chain), fork, "leaves out the charter at index 4")
	trust := o.trusting(chain)
	o.entries = o.entries[:5]
	c.RootKeys = []record.RootKey{o.RootKey("root-4"), o.RootKey("root-5"), o.RootKey("root-6")}
	st := o.Statement("charter", "authority", &c)
	st.Follows = record.IDOf(o.entries[4].Envelope.Payload)
	at = o.admit(o.Sign(st, "root/root-4", "root/root-5"), "root/root-4", "root/root-5")
	fork = []proof.Receipt{chain[0], o.receipt(1, 6, o.eras[2]), o.receipt(4, 5, o.eras[1]), o.receipt(at, 6, o.eras[2]), o.receipt(3, 6, o.eras[2])}
	verify("a charter too many", pinned, fork, "")
	verify("a charter too many, for whoever knows that there is none", trust, fork, "of which trust knows that there is none")
}

// Checkpoints of which the paths do not show that one continues the other are said.
func TestChainTreesUnproven(t *testing.T) {
	o := newOperator(t, "acme-cloud")
	order := o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
	for i := range 4 {
		o.say(fmt.Sprintf("designation/%d", i+2), "authority", o.Order("L"), "authority/officer-1", "authority/officer-2")
	}
	chain := append([]proof.Receipt{o.receipt(0, 6, o.eras[0])}, o.chain(1, order)...)
	o.everybody(chain, func(t *testing.T, r *Report, err error) {
		must(t, err)
		if trees := r.Chain.Trees; trees.Newest.Size != 8 || len(trees.Unproven) != 1 || trees.Unproven[0].Size != 6 || trees.Continued != nil {
			t.Errorf("%+v", trees)
		}
	})
}

// An entry that claims to be admitted after a quorum says it existed is refused; one that
// is ahead by no more than clocks may differ is not.
func TestAdmittedAfterItExisted(t *testing.T) {
	for ahead, refused := range map[time.Duration]bool{0: false, 4 * time.Minute: false, 7 * time.Minute: true, 48 * time.Hour: true} {
		o := newOperator(t)
		o.at = time.Now().Add(ahead)
		o.Now = o.at.Truncate(time.Millisecond)
		order := o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
		words := "the ledger says that it was admitted at " + o.at.UTC().Format(time.RFC3339) + ", and a quorum had cosigned size 3"
		chain := o.chain(0, 1, order)
		for name, file := range map[string][]byte{"receipt": formatted(t, chain[2:]), "chain": formatted(t, chain)} {
			_, err := Verify(t.Context(), file, Fixed{o.eras[0].parsed(t)}, time.Now())
			if refused {
				refusedWith(words)(t, nil, err)
			} else if err != nil {
				t.Errorf("%s, ahead by %s: %v", name, ahead, err)
			}
		}
		if err := o.sync(); refused {
			refusedWith(words)(t, nil, err)
		} else if err != nil {
			t.Errorf("sync, ahead by %s: %v", ahead, err)
		}
	}
}

// sync is what a trust directory makes of the log, served as files.
func (o *operator) sync() error {
	o.t.Helper()
	newest := o.eras[len(o.eras)-1]
	source := published(o.t, o.entries).(directory)
	note, err := source.Checkpoint(o.t.Context())
	must(o.t, err)
	cp, _, err := proof.ParseCheckpoint(note)
	must(o.t, err)
	note = newest.publish(o.t, cp)
	charters := formatted(o.t, o.chain(0))
	c, err := New("http://ledger.example", &network{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/checkpoint":
			w.Write(note)
		case strings.HasSuffix(r.URL.Path, "/receipt"):
			w.Write(charters)
		default:
			data, err := readFile(source.files, source.path(strings.TrimPrefix(r.URL.Path, "/")))
			if err != nil {
				http.NotFound(w, r)
				return
			}
			w.Write(data)
		}
	})})
	must(o.t, err)
	trust, err := CreateTrust(o.t.Context(), vfs.NewMem(), "trust", c, o.Ledger)
	must(o.t, err)
	defer trust.Close()
	return trust.Sync(o.t.Context(), c, nil)
}

// What a replayed copy covers is judged by the replay, and the chain's own charters are
// held against those that it knows.
func TestChainAndCopy(t *testing.T) {
	w, id := answered(t)
	text, err := w.client().Chain(t.Context(), id)
	must(t, err)
	r, err := Verify(t.Context(), text, w.synced(), time.Now())
	must(t, err)
	if r.Authorship != ByReplay || r.Chain == nil || r.Chain.NotShown != "" || r.Signers[0].Holder != "ci" {
		t.Errorf("%+v", r)
	}
	var holder register.KeyHolder
	if r, err = Verify(t.Context(), text, Pinned{w.Ledger}, time.Now()); err == nil {
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
			o := newOperator(t, "acme-cloud")
			o.t = t
			o.say("designation/1", "authority", o.Order("K"), "authority/officer-1", "authority/officer-2")
			made := &operator{t: t, eras: []*era{newEra(t, "made-up")}, at: began}
			made.World = registertest.New(began, origin, made.eras[0].policy)
			made.admit(made.Charter(), "root/root-1", "root/root-2", "root/root-3")
			for len(made.entries) < int(size) {
				made.entries = append(made.entries, o.entries[1])
			}
			opening := made.receipt(0, size, made.eras[0])
			made.entries = slices.Clone(o.entries) // from here on into the log that others know
			next := made.Rules
			next.Policy = o.eras[0].policy
			authority := made.admit(made.Authority(), "root/root-1", "root/root-2")
			second := made.say("charter", "authority", &next, "root/root-1", "root/root-2")
			made.eras = o.eras
			order := made.say("designation/99", "authority", made.Order("M"), "authority/officer-1", "authority/officer-2")
			text := formatted(t, append([]proof.Receipt{opening}, made.chain(authority, second, order)...))
			r, err := Verify(t.Context(), text, Fixed{o.eras[0].parsed(t)}, time.Now())
			if size == 4 { // which the path of the authority's enrolment shows
				refusedWith("two histories")(t, r, err)
			} else {
				must(t, err)
				if !slices.Contains(r.Chain.Unchecked, "that the charter at index 0 is in the log of this policy") {
					t.Errorf("of ledger %s: %q", r.Chain.Ledger, r.Chain.Unchecked)
				}
			}
		})
	}
}
