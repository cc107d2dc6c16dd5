package register_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// A step of a story about a request to disclose: what is said, and how it is refused, "" if it
// is admitted.
type disclosureStep struct {
	name string
	say  func() record.Envelope
	want string
}

func tell(t *testing.T, b *registertest.Fixture, steps []disclosureStep) {
	t.Helper()
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			env := s.say()
			if s.want == "" {
				b.Must(env)
				return
			}
			wantRefusal(t, judgeRefused(t, b, env, "authority/officer-1", "acme-cloud/ci", "acme-cloud/compliance", "borealis/compliance", "north-audit/lead"), s.want)
		})
	}
}

// wait lets days go by, and says nothing.
func wait(b *registertest.Fixture, n int) { b.Now = b.Now.Add(days(n)) }

func later(b *registertest.Fixture, name string, r *record.DisclosureRequest) func() record.Envelope {
	return func() record.Envelope { return b.Request(name, r) }
}

// TestRequests tells the lives of open requests, and breaks each rule once.
func TestRequests(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "borealis")
	b.Must(b.Auditor("north-audit"))
	change := func(change func(*record.DisclosureRequest)) func() record.Envelope {
		return func() record.Envelope {
			r := b.NewRequest("acme-cloud")
			change(r)
			return b.Request("1", r)
		}
	}
	status := func(status string) func() record.Envelope {
		return func() record.Envelope { return b.Request("1", &record.DisclosureRequest{Status: status}) }
	}
	receipt := func(by string, r func() *record.DisclosureReceipt) func() record.Envelope {
		return func() record.Envelope { return b.Receipt("1", by, r()) }
	}
	answer := func() *record.DisclosureReceipt { return b.NewReceipt("1") }
	challenge := func() *record.DisclosureReceipt { return b.NewChallenge("1") }
	tell(t, b, []disclosureStep{
		{"an answer to nothing", func() record.Envelope {
			return b.Receipt("1", "acme-cloud", &record.DisclosureReceipt{Request: b.Ledger, Challenged: true, Reason: "r"})
		}, "invalid /predicate/thread"},
		{"of a provider misspelt", change(func(r *record.DisclosureRequest) { r.Provider.Text = "acme-clud" }), "invalid /predicate/provider"},
		{"of an auditor", change(func(r *record.DisclosureRequest) { r.Provider.Text = "north-audit" }), "invalid /predicate/provider"},
		{"of the authority", change(func(r *record.DisclosureRequest) { r.Provider.Text = "authority" }), "invalid /predicate/provider"},
		{"due yesterday", change(func(r *record.DisclosureRequest) { r.DueOn = ptr(today(b).AddDays(-1)) }), "invalid /predicate/dueOn"},
		{"for no country", change(func(r *record.DisclosureRequest) { r.Jurisdiction = "QQ" }), "invalid /predicate/jurisdiction"},
		{"by an officer without demands", func() record.Envelope {
			return b.Sign(b.Statement("disclosure/1", "authority", b.NewRequest("acme-cloud")), "authority/officer-1")
		}, "forbidden"},
		{"asked", change(func(*record.DisclosureRequest) {}), ""},
		{"by another's officer", func() record.Envelope {
			return b.Sign(b.Statement("disclosure/1/acme-cloud", "acme-cloud", answer()), "borealis/compliance")
		}, "forbidden"},
		{"by automation", func() record.Envelope {
			return b.Sign(b.Statement("disclosure/1/acme-cloud", "acme-cloud", answer()), "acme-cloud/ci")
		}, "forbidden"},
		{"answered by another", receipt("borealis", answer), "invalid /predicate/thread"},
		{"about another record", receipt("acme-cloud", func() *record.DisclosureReceipt {
			r := answer()
			r.Request = b.Ledger
			return r
		}), "invalid /predicate/request"},
		{"opened, and never sealed", later(b, "1", openOf(b, "1", "acme-cloud", "requested")), "invalid /predicate/open"},
		{"another provider", later(b, "1", &record.DisclosureRequest{Status: "challenged", Provider: record.Sealable{Text: "borealis"}}), "invalid /predicate/provider"},
		{"another type", later(b, "1", &record.DisclosureRequest{Status: "challenged", Type: record.Sealable{Text: "mlat"}}), "invalid /predicate/type"},
		{"a commitment to nothing that was sealed", later(b, "1", &record.DisclosureRequest{Status: "challenged",
			Type: record.Sealable{Commitment: &record.Commitment{Commit: strings.Repeat("ab", 32)}}, Provider: record.Sealable{Commitment: &record.Commitment{Commit: strings.Repeat("ab", 32)}}}), "invalid /predicate/type"},
		{"another jurisdiction", later(b, "1", &record.DisclosureRequest{Status: "challenged", Jurisdiction: "XC"}), "invalid /predicate/jurisdiction"},
		{"another day", later(b, "1", &record.DisclosureRequest{Status: "challenged", DueOn: ptr(today(b).AddDays(99))}), "invalid /predicate/dueOn"},
		{"another recipient", later(b, "1", &record.DisclosureRequest{Status: "challenged", Recipient: "age1pq1" + strings.Repeat("p", 1952)}), "invalid /predicate/recipient"},
		{"a seal afterwards", later(b, "1", &record.DisclosureRequest{Status: "challenged", SealedUntil: ptr(today(b))}), "invalid /predicate/sealedUntil"},
		{"unanswered on the last day", func() record.Envelope {
			wait(b, 30)
			return status("unanswered")()
		}, "invalid /predicate/status"},
		{"challenged by the provider", receipt("acme-cloud", challenge), ""},
		{"challenged twice by the provider", receipt("acme-cloud", challenge), "conflict"},
		{"challenged, as the authority says", status("challenged"), ""},
		{"challenged twice", status("challenged"), "conflict"},
		{"unanswered the day after, its terms said again", func() record.Envelope {
			wait(b, 1)
			return b.Request("1", &record.DisclosureRequest{Status: "unanswered", Type: record.Sealable{Text: "warrant"}, Provider: record.Sealable{Text: "acme-cloud"}, Jurisdiction: "XB"})
		}, ""},
		{"unanswered twice", status("unanswered"), "conflict"},
		{"challenged after all", status("challenged"), "conflict"},
		{"answered late", receipt("acme-cloud", answer), ""},
		{"more of the answer", receipt("acme-cloud", answer), ""},
		{"challenged after the answer", receipt("acme-cloud", challenge), "conflict"},
		{"withdrawn after the answer", status("withdrawn"), "conflict"},
		{"another asked", func() record.Envelope { return b.Request("2", b.NewRequest("borealis")) }, ""},
		{"and withdrawn", later(b, "2", &record.DisclosureRequest{Status: "withdrawn"}), ""},
		{"answered when withdrawn", func() record.Envelope { return b.Receipt("2", "borealis", b.NewReceipt("2")) }, "conflict"},
		{"withdrawn twice", later(b, "2", &record.DisclosureRequest{Status: "withdrawn"}), "conflict"},
		{"to another state without a recipient", func() record.Envelope {
			r := b.NewRequest("acme-cloud")
			r.Type.Text, r.Recipient = "mlat", ""
			return b.Request("3", r)
		}, ""},
	})
}

// openOf is a later record that opens a request that was sealed as [registertest.World.NewSealedRequest] seals.
func openOf(b *registertest.Fixture, name, provider, status string) *record.DisclosureRequest {
	_, open := b.NewSealedRequest(name, provider, today(b))
	return &record.DisclosureRequest{Status: status, Open: open}
}

// TestSealedRequests: what is sealed is told by nobody before it is opened, and then by what
// it was sealed with.
func TestSealedRequests(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "borealis")
	sealed := func(name, provider string, until int) func() record.Envelope {
		return func() record.Envelope {
			r, _ := b.NewSealedRequest(name, provider, today(b).AddDays(until))
			return b.Request(name, r)
		}
	}
	answered := func(by string) func() record.Envelope {
		return func() record.Envelope { return b.Receipt("1", by, b.NewReceipt("1")) }
	}
	opened := func(change func(*record.RequestOpen)) func() record.Envelope {
		return func() record.Envelope {
			r := openOf(b, "1", "acme-cloud", "requested")
			change(r.Open)
			return b.Request("1", r)
		}
	}
	tell(t, b, []disclosureStep{
		{"sealed until yesterday", sealed("1", "acme-cloud", -1), "invalid /predicate/sealedUntil"},
		{"sealed", sealed("1", "acme-cloud", 60), ""},
		{"sealed, and nobody is asked", sealed("2", "nobody", 0), ""},
		{"answered by whom it asks", answered("acme-cloud"), "conflict"},
		{"answered by another", answered("borealis"), "conflict"},
		{"named before it is opened", later(b, "1", &record.DisclosureRequest{Status: "challenged", Provider: record.Sealable{Text: "acme-cloud"}}), "invalid /predicate/provider"},
		{"typed before it is opened", later(b, "1", &record.DisclosureRequest{Status: "challenged", Type: record.Sealable{Text: "warrant"}}), "invalid /predicate/type"},
		{"a document before it is opened", func() record.Envelope {
			st := b.Statement("disclosure/1", "authority", &record.DisclosureRequest{Status: "challenged"})
			st.Document = &record.Document{Name: "acme-cloud.pdf"}
			return b.Sign(st, "authority/officer-3")
		}, "invalid /predicate/document"},
		{"a subject's name that tells", func() record.Envelope {
			st := b.Statement("disclosure/1", "authority", &record.DisclosureRequest{Status: "challenged"})
			st.Subject.Name = "motion of acme-cloud"
			return b.Sign(st, "authority/officer-3")
		}, "invalid /subject/0/name"},
		{"challenged under seal", later(b, "1", &record.DisclosureRequest{Status: "challenged"}), ""},
		{"opened the day before", func() record.Envelope {
			wait(b, 59)
			return opened(func(*record.RequestOpen) {})()
		}, "invalid /predicate/open"},
		{"unanswered under seal, long after dueOn", later(b, "1", &record.DisclosureRequest{Status: "unanswered"}), "conflict"},
		{"opened for another", func() record.Envelope {
			wait(b, 1)
			return opened(func(o *record.RequestOpen) { o.Provider = "borealis" })()
		}, "invalid /predicate/open/provider"},
		{"opened as another type", opened(func(o *record.RequestOpen) { o.Type = "subpoena" }), "invalid /predicate/open/type"},
		{"opened with the other's salt", opened(func(o *record.RequestOpen) { o.Salts.Type = o.Salts.Provider }), "invalid /predicate/open/type"},
		{"opened for nobody", later(b, "2", openOf(b, "2", "nobody", "requested")), "invalid /predicate/open/provider"},
		{"unanswered as it is opened", later(b, "1", openOf(b, "1", "acme-cloud", "unanswered")), "invalid /predicate/status"},
		{"opened", opened(func(*record.RequestOpen) {}), ""},
		{"opened twice", opened(func(*record.RequestOpen) {}), "conflict"},
		{"answered by another than it asks", answered("borealis"), "invalid /predicate/thread"},
		{"unanswered a response period later", func() record.Envelope {
			wait(b, 30)
			return b.Request("1", &record.DisclosureRequest{Status: "unanswered"})
		}, "invalid /predicate/status"},
		{"unanswered a day after that", func() record.Envelope {
			wait(b, 1)
			return b.Request("1", &record.DisclosureRequest{Status: "unanswered"})
		}, ""},
		{"withdrawn under seal", later(b, "2", &record.DisclosureRequest{Status: "withdrawn"}), ""},
		{"withdrawn, and requested anew", later(b, "2", openOf(b, "2", "nobody", "requested")), "invalid /predicate/open/provider"},
	})
	first := wantRefusalWords(t, b, "3", "acme-cloud")
	if other := wantRefusalWords(t, b, "3", "borealis"); first != other {
		t.Errorf("whom it asks is told %q, another %q", first, other)
	}
	b.Must(b.Request("3", &record.DisclosureRequest{Status: "withdrawn"}))
	wantRefusal(t, judgeRefused(t, b, b.Request("3", openOf(b, "3", "acme-cloud", "requested"))), "conflict")
	b.Must(b.Request("3", openOf(b, "3", "acme-cloud", "withdrawn")))
}

// wantRefusalWords asks under seal if nobody has yet, and gives the words with which an answer
// is refused, the party's own name taken out.
func wantRefusalWords(t *testing.T, b *registertest.Fixture, name, by string) string {
	t.Helper()
	if b.Head(record.RequestThread(name)).IsZero() {
		r, _ := b.NewSealedRequest(name, "acme-cloud", today(b))
		b.Must(b.Request(name, r))
	}
	err := judgeRefused(t, b, b.Receipt(name, by, b.NewReceipt(name)))
	return strings.ReplaceAll(wantRefusal(t, err, "conflict").Error(), by, "P")
}

// TestSealedRowsTellNothing: no row of the register tells whom a sealed request asks, or by what.
func TestSealedRowsTellNothing(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	before := dump(t, b.Register)
	r, _ := b.NewSealedRequest("1", "acme-cloud", today(b))
	b.Must(b.Request("1", r))
	b.Must(b.Request("1", &record.DisclosureRequest{Status: "challenged"}))
	known := make(map[string]bool)
	for line := range strings.Lines(before) {
		known[line] = true
	}
	for line := range strings.Lines(dump(t, b.Register)) {
		if !known[line] && (strings.Contains(line, "acme-cloud") || strings.Contains(line, "warrant")) {
			t.Errorf("a row tells it: %s", line)
		}
	}
	b.Must(b.Request("1", openOf(b, "1", "acme-cloud", "requested")))
	if !strings.Contains(dump(t, b.Register), `provider\x1facme-cloud`) {
		t.Error("once opened it is found by nobody's name: the search above would find nothing either")
	}
}

// newCosignerKey is the vkey of a new key.
func newCosignerKey(t *testing.T, alg proof.Algorithm, name string) string {
	t.Helper()
	_, vkey, err := proof.GenerateKey(alg, name)
	if err != nil {
		t.Fatal(err)
	}
	return vkey
}

// TestAssessments breaks each rule of an assessment once.
func TestAssessments(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Auditor("north-audit"))
	publicOf := func(l *registertest.PrivateLog) []byte {
		k, err := proof.ParseLogKey(l.VKey())
		if err != nil {
			t.Fatal(err)
		}
		return k.Public().(ed25519.PublicKey)
	}
	vkeyOf := func(name string, public []byte) string {
		k, err := proof.NewCosigner(name, public, nil)
		if err != nil {
			t.Fatal(err)
		}
		return k.Key().String()
	}
	vkey := func(name string) string { return vkeyOf("north.example/docket", rawKey(b.Signer(name))) }
	witness, log := newCosignerKey(t, proof.MLDSA44, "w1.example"), registertest.NewPrivateLog("docket.example/test")
	refusals, receipts := registertest.NewPrivateLog("refusals.example"), registertest.NewPrivateLog("receipts.example")
	b.Must(charterEnvelope(b, func(c *record.Charter) {
		c.RefusalsKey, c.ReceiptKey = refusals.VKey(), receipts.VKey()
		c.Policy = "log " + log.VKey() + "\nwitness w1 " + witness + " https://w1.example\nquorum w1\n"
	}, "root/root-1", "root/root-2"))
	say := func(issuer, key string, change func(*record.Assessment)) func() record.Envelope {
		return func() record.Envelope {
			a := b.NewAssessment("acme-cloud")
			change(a)
			return b.Sign(b.Statement(record.AssessmentThread("1", issuer), issuer, a), key)
		}
	}
	cosignsBy := func(vkey string) func(*record.Assessment) {
		return func(a *record.Assessment) { a.VKey, a.Statement = vkey, "Every entry was judged." }
	}
	cosigns := func(key string) func(*record.Assessment) {
		return cosignsBy(vkey(key))
	}
	tell(t, b, []disclosureStep{
		{"by a provider", say("acme-cloud", "acme-cloud/compliance", func(a *record.Assessment) { a.Auditee = "north-audit" }), "forbidden"},
		{"by another's key", say("north-audit", "authority/officer-1", func(*record.Assessment) {}), "forbidden"},
		{"of nobody", say("north-audit", "north-audit/lead", func(a *record.Assessment) { a.Auditee = "acme" }), "invalid /predicate/auditee"},
		{"a party's key to cosign by", say("north-audit", "north-audit/lead", cosigns("north-audit/lead")), "invalid /predicate/vkey"},
		{"a root key to cosign by", say("north-audit", "north-audit/lead", cosigns("root/root-1")), "invalid /predicate/vkey"},
		{"the refusals key to cosign by", say("north-audit", "north-audit/lead", cosignsBy(vkeyOf("north.example", publicOf(refusals)))), "invalid /predicate/vkey"},
		{"the receipts key to cosign by", say("north-audit", "north-audit/lead", cosignsBy(vkeyOf("north.example", publicOf(receipts)))), "invalid /predicate/vkey"},
		{"a witness's key of ML-DSA to cosign by", say("north-audit", "north-audit/lead", cosignsBy(witness)), "invalid /predicate/vkey"},
		{"a key under the log's name", say("north-audit", "north-audit/lead", cosignsBy(vkeyOf("docket.example/test", rawKey(b.Signer("cosigner/1"))))), "invalid /predicate/vkey"},
		{"a key of its own to cosign by", say("north-audit", "north-audit/lead", cosigns("cosigner/1")), ""},
		{"a key of ML-DSA of its own to cosign by", say("north-audit", "north-audit/lead", cosignsBy(newCosignerKey(t, proof.MLDSA44, "north.example"))), ""},
		{"an adverse one", say("north-audit", "north-audit/lead", func(a *record.Assessment) { a.Opinion = "adverse" }), ""},
		{"the auditor is suspended", func() record.Envelope {
			return b.Sign(b.Statement("party/north-audit", "authority", &record.Standing{Status: "suspended", EffectiveOn: today(b), Reason: "r"}), "authority/officer-1")
		}, ""},
		{"by a suspended auditor", say("north-audit", "north-audit/lead", func(*record.Assessment) {}), "forbidden"},
	})
}

// TestEvidence: what a finding rests on stands below it.
func TestEvidence(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Request("1", b.NewRequest("acme-cloud")))
	unknown := record.IDOf([]byte("unknown"))
	cites := func(ids ...record.ID) func() record.Envelope {
		return func() record.Envelope {
			d := b.NewDesignation("Kestrel")
			d.Evidence = ids
			return b.Designate("1", d)
		}
	}
	amends := func(a *record.Amendment) func() record.Envelope {
		a.Type, a.Reason = "correction", "r"
		return func() record.Envelope {
			return b.Sign(b.Statement("designation/1", "authority", a), "authority/officer-1", "authority/officer-2")
		}
	}
	list := func(ids ...record.ID) []any {
		items := make([]any, len(ids))
		for i, id := range ids {
			items[i] = id.String()
		}
		return items
	}
	asked, ledger := b.Head("disclosure/1"), b.Ledger
	tell(t, b, []disclosureStep{
		{"a record that is not there", cites(asked, unknown), "invalid /predicate/evidence/1"},
		{"records that are", cites(asked, ledger), ""},
		{"adds one that is not there", amends(&record.Amendment{Add: setMember("evidence", list(unknown))}), "invalid /predicate/add/evidence/0"},
		{"sets one that is not there", amends(&record.Amendment{Set: setMember("evidence", list(asked, unknown))}), "invalid /predicate/set/evidence/1"},
		{"adds one twice", amends(&record.Amendment{Add: setMember("evidence", list(asked))}), "invalid /predicate/add/evidence/0"},
		{"drops one", amends(&record.Amendment{Drop: setMember("evidence", list(ledger))}), ""},
		{"adds the designation itself, by its record", func() record.Envelope {
			return amends(&record.Amendment{Add: setMember("evidence", list(b.Head("designation/1")))})()
		}, ""},
		{"sets and adds", func() record.Envelope {
			return amends(&record.Amendment{Set: setMember("evidence", list(ledger)), Add: setMember("evidence", list(asked))})()
		}, ""},
		{"takes all back", amends(&record.Amendment{Unset: []string{"evidence"}}), ""},
	})
}

// TestRequestIsDueUntilMidnight: the last day ends in the charter's zone, to the millisecond.
func TestRequestIsDueUntilMidnight(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	r := b.NewRequest("acme-cloud")
	b.Must(b.Request("1", r))
	midnight := time.Date(r.DueOn.Year, r.DueOn.Month, r.DueOn.Day+1, 5, 0, 0, 0, time.UTC) // in New York
	b.Now = midnight.Add(-time.Millisecond)
	refused := wantRefusal(t, judgeRefused(t, b, b.Request("1", &record.DisclosureRequest{Status: "unanswered"})), "invalid /predicate/status")
	if want := r.DueOn.AddDays(1).String(); refused.Earliest != want || !refused.Transient {
		t.Errorf("the earliest day is %q (transient: %t), want %s", refused.Earliest, refused.Transient, want)
	}
	b.Now = midnight
	b.Must(b.Request("1", &record.DisclosureRequest{Status: "unanswered"}))
}

// A chain that shows a receipt and not its request says so, and accuses nobody.
func TestSparseReceipts(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Request("1", b.NewRequest("acme-cloud")))
	b.Must(b.Receipt("1", "acme-cloud", b.NewChallenge("1")))
	b.Must(b.Receipt("1", "acme-cloud", b.NewReceipt("1")))
	b.Must(b.Auditor("north-audit"))
	b.Must(b.Sign(b.Statement("assessment/1/north-audit", "north-audit", b.NewAssessment("acme-cloud")), "north-audit/lead"))
	d := b.NewDesignation("Kestrel")
	d.Evidence = []record.ID{b.Head("disclosure/1")}
	b.Must(b.Designate("1", d))
	for name, c := range map[string]struct {
		shown []int
		want  []string
	}{
		"all of it":                       {[]int{0, 1, 2, 3, 4, 5}, nil},
		"no request":                      {[]int{0, 1, 2, 4}, []string{"that disclosure/1 asks acme-cloud, and is neither sealed nor withdrawn"}},
		"a request, and not its provider": {[]int{0, 1, 3}, []string{"that acme-cloud, which it names, is enrolled"}},
		"an assessment alone":             {[]int{0, 1, 6, 7}, []string{"that acme-cloud, which it names, is enrolled"}},
		"evidence that is not shown":      {[]int{0, 1, 8}, []string{"that record " + b.Head("disclosure/1").String() + ", which is its evidence, stands below it"}},
	} {
		got, err := replaySparsely(t, b.Entries, c.shown...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(strings.Join(got, "\n"), want) {
				t.Errorf("%s: not checked is %q, want %q", name, got, want)
			}
		}
		if c.want == nil && len(got) > 0 {
			t.Errorf("%s: not checked is %q", name, got)
		}
	}
}
