package register_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// A growthCase is one way in which a thread can be made long. next writes its nth record, at
// the world's time, which it may move; nil means that the law lets no more stand there
// at any time, and what it refuses is checked by next itself.
type growthCase struct {
	name  string
	begin func(*registertest.Fixture)
	next  func(b *registertest.Fixture, n int) *record.Statement
	limit bool // the law ends it: the record after the last is a conflict
}

// growthCases are all of them: each kind of rules 1 stands in one.
var growthCases = []growthCase{
	{name: "charters", next: func(b *registertest.Fixture, n int) *record.Statement {
		c := b.CharterPredicate
		c.Periods.Response = record.Period{Days: 30 + n%2}
		return b.Statement("charter", "authority", &c)
	}},
	{name: "keys of a party, replaced one by one", begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		if n%64 == 63 {
			b.Now = b.Now.AddDate(1, 0, 0)
		}
		k := &record.Keys{Add: []record.PartyKey{b.Automation(fmt.Sprintf("acme-cloud/k-%d", n))}}
		if n > 0 {
			k.Revoke = revoke(b, fmt.Sprintf("acme-cloud/k-%d", n-1)).Revoke
		}
		return b.Statement("party/acme-cloud", "acme-cloud", k)
	}},
	{name: "keys of a party, each outdated", begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		if b.Now = b.Now.AddDate(0, 0, 1); n%64 == 63 {
			b.Now = b.Now.AddDate(1, 0, 0)
		}
		key := b.Automation(fmt.Sprintf("acme-cloud/o-%d", n))
		key.NotAfter = ptr(today(b))
		return b.Statement("party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{key}})
	}},
	{name: "keys added by the registrar", begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		k := &record.Keys{Add: []record.PartyKey{b.Officer(fmt.Sprintf("acme-cloud/r-%d", n))}}
		if n > 0 {
			k.Revoke = revoke(b, fmt.Sprintf("acme-cloud/r-%d", n-1)).Revoke
		}
		return b.Statement("party/acme-cloud", "authority", k)
	}},
	{name: "standing", begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		b.Now = b.Now.Add(days(1))
		return b.Statement("party/acme-cloud", "authority", &record.Standing{
			Status: []string{"suspended", "active"}[n%2], EffectiveOn: today(b), Reason: strings.Repeat("r", 200),
		})
	}},
	{name: "standing, announced", limit: true, begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		return b.Statement("party/acme-cloud", "authority", &record.Standing{
			Status: []string{"suspended", "active"}[n%2], EffectiveOn: today(b).AddDays(1 + n), Reason: "r",
		})
	}},
	{name: "standing, announced and replaced", begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		return b.Statement("party/acme-cloud", "authority", &record.Standing{
			Status: []string{"suspended", "active"}[n%2], EffectiveOn: today(b).AddDays(10), Reason: "r",
		})
	}},
	{name: "enrolments anew, each of another name", begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		return b.Statement("party/acme-cloud", "acme-cloud", &record.Enrolment{
			LegalName: fmt.Sprintf("Acme %d", n), Country: "US", Roles: []record.Role{record.RoleProvider},
		})
	}},
	{name: "amendments that re-open the duty", begin: ordered, next: func(b *registertest.Fixture, n int) *record.Statement {
		return b.Statement("designation/1", "authority", &record.Amendment{
			Type: "scope", Reason: strings.Repeat("r", 200), Set: setMember("scope", setMember("successors", n%2 == 0)), ResponseDue: ptr(today(b).AddDays(60)),
		})
	}},
	{name: "amendments that add aliases", limit: true, begin: ordered, next: func(b *registertest.Fixture, n int) *record.Statement {
		return b.Statement("designation/1", "authority", &record.Amendment{Type: "alias", Reason: "r", Add: addAlias(fmt.Sprintf("%04d %s", n, strings.Repeat("<", 180)))})
	}},
	{name: "amendments of a list's entity, each of another name", begin: listed, next: func(b *registertest.Fixture, n int) *record.Statement {
		return b.Statement("designation/ofac-sdn-36", "authority", &record.Amendment{
			Type: "correction", Reason: "r", Set: setMember("target", setMember("name", fmt.Sprintf("Aerocaribbean %d", n))),
		})
	}},
	{name: "a list's entity, delisted and listed again", begin: listed, next: func(b *registertest.Fixture, n int) *record.Statement {
		if n%2 == 0 {
			return b.Statement("designation/ofac-sdn-36", "authority", revocation(b, "delisted"))
		}
		return b.Statement("designation/ofac-sdn-36", "authority", b.NewListedDesignation("36", fmt.Sprintf("Aerocaribbean %d", n)))
	}},
	{name: "suspensions and reinstatements", begin: ordered, next: func(b *registertest.Fixture, n int) *record.Statement {
		if n%2 == 0 {
			return b.Statement("designation/1", "authority", suspend(b, 0, nil))
		}
		return b.Statement("designation/1", "authority", reinstate(b, 0))
	}},
	{name: "reinstatements for a day each, announced", limit: true, begin: ordered, next: func(b *registertest.Fixture, n int) *record.Statement {
		if n == 0 {
			return b.Statement("designation/1", "authority", suspend(b, 0, nil))
		}
		r := reinstate(b, 2*n)
		r.Until = &r.EffectiveOn
		return b.Statement("designation/1", "authority", r)
	}},
	{name: "responses", begin: ordered, next: func(b *registertest.Fixture, n int) *record.Statement {
		return b.Statement("response/1/acme-cloud", "acme-cloud", &record.Response{Status: "acknowledged", Conditions: []string{"c1"}})
	}},
	{name: "certifications", begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		day := today(b).AddDays(-30_000 + 2*n)
		return b.Statement("cip/acme-cloud", "acme-cloud", &record.CIPCertification{PeriodFrom: day, PeriodUntil: day.AddDays(1), Initial: n == 0})
	}},
	{name: "a reseller, verified anew", begin: resold, next: func(b *registertest.Fixture, n int) *record.Statement {
		b.Now = b.Now.Add(days(1))
		return b.Statement("reseller/lumen/acme-cloud", "acme-cloud", &record.ResellerReport{Provider: "acme-cloud", Status: "active", VerifiedAt: ptr(today(b)), Attempts: []record.Date{today(b)}})
	}},
	{name: "licences of one holder for one designation", begin: ordered, next: func(b *registertest.Fixture, n int) *record.Statement {
		return b.Statement(record.LicenceThread(fmt.Sprint(n)), "authority", licenceOf(b, "acme-cloud", "1"))
	}},
	{name: "a licence for 100 designations, revoked", limit: true, begin: orderedOften, next: func(b *registertest.Fixture, n int) *record.Statement {
		if n == 0 {
			return b.Statement("licence/1", "authority", licenceOf(b, "acme-cloud", hundred...))
		}
		return b.Statement("licence/1", "authority", revocation(b, "superseded"))
	}},
	{name: "customer logs, each of another key", begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		l := registertest.NewPrivateLog("acme-cloud.example/customers")
		l.Rotate(fmt.Sprint(n))
		c := l.Commit(today(b))
		return b.Statement("customer-log/acme-cloud", "acme-cloud", c)
	}},
	{name: "customer logs, each lost at once", begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		c := registertest.NewPrivateLog(fmt.Sprintf("acme-cloud.example/customers-%d", n)).Commit(today(b))
		if n > 0 {
			c.Restart = &record.LogRestart{Reason: "r"}
		}
		return b.Statement("customer-log/acme-cloud", "acme-cloud", c)
	}},
	{name: "reports of training runs", begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		return b.Statement("ai/2027-03/acme-cloud", "acme-cloud", &record.AITrainingReport{KnownOn: today(b).AddDays(-n), Threshold: "t"})
	}},
	{name: "abuse reports", begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		day := today(b).AddDays(-30_000 + 2*n)
		return b.Statement("abuse/acme-cloud", "acme-cloud", &record.AbuseReport{PeriodFrom: day, PeriodUntil: day.AddDays(1), Band: "0"})
	}},
	{name: "receipts", begin: asked, next: func(b *registertest.Fixture, n int) *record.Statement {
		return b.Statement("disclosure/1/acme-cloud", "acme-cloud", &record.DisclosureReceipt{Request: b.Head("disclosure/1"), Entries: ptr(int64(n)), LogSize: ptr(int64(20_000))})
	}},
	{name: "what becomes of a request", limit: true, begin: asked, next: func(b *registertest.Fixture, n int) *record.Statement {
		b.Now = b.Now.Add(days(31))
		return b.Statement("disclosure/1", "authority", &record.DisclosureRequest{Status: []string{"challenged", "unanswered", "withdrawn", "challenged"}[n%4]})
	}},
	{name: "assessments", begin: enrolled, next: func(b *registertest.Fixture, n int) *record.Statement {
		if n == 0 {
			b.Must(b.Auditor("north-audit"))
		}
		return b.Statement("assessment/1/north-audit", "north-audit", b.NewAssessment("acme-cloud"))
	}},
}

// hundred are the names of as many designations as one licence may name.
var hundred = func() (names []string) {
	for n := range 100 {
		names = append(names, fmt.Sprintf("%064d", n))
	}
	return names
}()

func orderedOften(b *registertest.Fixture) {
	enrolled(b)
	for _, name := range hundred {
		b.Must(b.Designate(name, b.NewDesignation("Kestrel")))
	}
}

func resold(b *registertest.Fixture) {
	enrolled(b)
	e := &record.Enrolment{LegalName: "Lumen", Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{b.Officer("lumen/desk")}}
	b.Must(b.Sign(b.Statement("party/lumen", "lumen", e), "lumen/desk", "acme-cloud/compliance"))
}

// licenceOf is one of ten days from today on: specific, or general without a holder.
func licenceOf(b *registertest.Fixture, holder string, designations ...string) *record.Licence {
	l := &record.Licence{Type: record.LicenceSpecific, Holder: holder, Designations: designations, From: today(b), Until: today(b).AddDays(9)}
	if holder == "" {
		l.Type = record.LicenceGeneral
	}
	return l
}

func asked(b *registertest.Fixture) {
	enrolled(b)
	b.Must(b.Request("1", b.NewRequest("acme-cloud")))
}

func enrolled(b *registertest.Fixture) { b.Must(b.Provider("acme-cloud")) }

func ordered(b *registertest.Fixture) {
	enrolled(b)
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
}

func listed(b *registertest.Fixture) {
	b.Must(b.ImportListed("36", b.NewListedDesignation("36", "Aerocaribbean")))
}

// maxRecordBytes bounds what one record of a case writes: what it says itself and the
// state after it, which is no more than a whole designation, twice for its keys,
// identifiers and what stands around them.
const maxRecordBytes = 2 * 48_000

// TestRecordCostIsIndependentOfThreadLength: however many records stand on a thread, as many as the law lets
// or 10,000, the next one costs what the first ones did: in bytes written, in rows read,
// in memory asked for. So nobody makes a register dear with the right to add to one
// thread.
func TestRecordCostIsIndependentOfThreadLength(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, and long: run without -short")
	}
	const records = 10_000
	for _, f := range growthCases {
		t.Run(f.name, func(t *testing.T) {
			first, last := f.grow(t, records)
			t.Logf("a record of the first tenth: %v; of the last: %v", first, last)
			if !f.limit && !last.atMost(first) { // one that the law ends grows up to what it allows
				t.Errorf("a record cost %v in the first tenth of the thread, %v in the last", first, last)
			}
		})
	}
}

// TestEveryKindHasAGrowthCase: a kind that stands in none fails, and so does a new one.
func TestEveryKindHasAGrowthCase(t *testing.T) {
	said := make(map[record.Kind]bool)
	for _, f := range growthCases {
		b := f.book(t)
		for n := range 4 {
			st := f.next(b, n)
			b.NoteAdmitted(b.Sign(st))
			said[st.Kind] = true
		}
	}
	for _, k := range register.Kinds() {
		if !said[k] {
			t.Errorf("no growth case makes a thread long with records of kind %s", k)
		}
	}
}

// book is a world in which the case may begin.
func (f *growthCase) book(t *testing.T) *registertest.Fixture {
	o := registertest.SmallOptions()
	o.MemTableBytes = 64 << 20
	r, err := register.Open(vfs.NewMem(), "register", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	b := &registertest.Fixture{World: registertest.New(start, "docket.example/test", "any"), Register: r}
	b.Must(b.Charter())
	b.Must(b.Authority())
	if f.begin != nil {
		f.begin(b)
	}
	return b
}

// cost is what one record costs, on average.
type cost struct{ written, read, allocated, allocations float64 }

func (c cost) String() string {
	return fmt.Sprintf("%.0f bytes written, %.1f rows read, %.0f bytes in %.0f allocations", c.written, c.read, c.allocated, c.allocations)
}

// atMost allows for numbers that get longer, and for a memtable of Pebble's, of at most
// 64 MiB, that is made in that tenth: what grows with the thread comes to megabytes.
func (c cost) atMost(first cost) bool {
	return c.written <= 1.1*first.written+64 && c.read <= first.read+2 &&
		c.allocated <= 1.5*first.allocated+80<<10 && c.allocations <= 1.5*first.allocations+32
}

// grow makes one thread long, n records or as many as the law lets stand, and measures
// its first and last tenth. Signatures are supposed: what they cost is bounded by
// their number.
func (f *growthCase) grow(t *testing.T, n int) (first, last cost) {
	b := f.book(t)
	const batch = 100
	for done := 0; done < n; done += batch {
		measured := done < n/10 || done >= n-n/10
		c, ended := f.batch(t, b, done, batch, measured)
		if ended {
			if !f.limit {
				t.Fatalf("refused after %d records", done)
			}
			return first, last
		}
		if done < n/10 {
			first = first.plus(c, float64(batch)/float64(n/10))
		}
		if done >= n-n/10 {
			last = last.plus(c, float64(batch)/float64(n/10))
		}
	}
	if f.limit {
		t.Errorf("%d records stand, and nothing ends it", n)
	}
	return first, last
}

func (c cost) plus(more cost, weight float64) cost {
	return cost{c.written + weight*more.written, c.read + weight*more.read, c.allocated + weight*more.allocated, c.allocations + weight*more.allocations}
}

// batch admits so many records, each at its own time, and says what one cost; cold, with
// nothing in memory of the thread.
func (f *growthCase) batch(t *testing.T, b *registertest.Fixture, from, n int, cold bool) (c cost, ended bool) {
	type due struct {
		id record.ID
		st *record.Statement
		at time.Time
	}
	var list []due
	for i := range n {
		st := f.next(b, from+i)
		env := b.Sign(st)
		b.NoteAdmitted(env)
		list = append(list, due{record.IDOf(env.Payload), st, b.Now})
	}
	var before, after runtime.MemStats
	written, read := 0, b.Register.RowsRead()
	runtime.ReadMemStats(&before)
	for i, x := range list {
		if cold {
			b.Register.EmptyCaches()
		}
		d := b.Register.Begin(x.at)
		if err := d.AdmitUnsigned(x.id, x.st); err != nil {
			var refusal *record.Refusal
			if !errors.As(err, &refusal) || !f.limit {
				t.Fatalf("record %d: %v", from+i, err)
			}
			t.Logf("the law: %v", err)
			return cost{}, true
		}
		if written += d.BatchBytes(); d.BatchBytes() > maxRecordBytes {
			t.Fatalf("record %d wrote %d bytes, want at most %d", from+i, d.BatchBytes(), maxRecordBytes)
		}
		if err := b.Register.Advance(d, [32]byte{}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	per := float64(n)
	return cost{
		float64(written) / per, float64(b.Register.RowsRead()-read) / per,
		float64(after.TotalAlloc-before.TotalAlloc) / per, float64(after.Mallocs-before.Mallocs) / per,
	}, false
}

// TestRowsPerRecord: five rows say what a record is and did (record, ID, thread,
// kind, issuer), and what a party or a designation is then is a sixth; keys and
// identifiers add theirs. The bulk of a ledger, responses, must not cost more than six. What a
// thing is searched by has rows of its own, which nothing that is filed about it adds to.
func TestRowsPerRecord(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	rows := func() (rows, searched int) {
		text := dump(t, b.Register)
		searched = strings.Count(text, "\n\"w")
		return strings.Count(text, "\n") - searched, searched
	}
	for _, c := range []struct {
		say  func() record.Envelope
		want int
	}{
		{func() record.Envelope { return b.Provider("borealis") }, 6 + 3 + 2},                                      // three keys, a name, one more provider
		{func() record.Envelope { return b.Designate("1", b.NewDesignation("Kestrel")) }, 6 + 3},                   // a name, a domain, an ASN
		{func() record.Envelope { return b.ImportListed("36", b.NewListedDesignation("36", "AEROCARIBBEAN")) }, 7}, // a name
		{func() record.Envelope { return b.Respond("1", "acme-cloud", acknowledged) }, 5},
		{func() record.Envelope { return b.Respond("1", "acme-cloud", noRelationship) }, 5},
		{func() record.Envelope { return b.ImportListed("36", revocation(b, "delisted")) }, 6},
	} {
		before, searchedBefore := rows()
		e := b.Must(c.say())
		after, searched := rows()
		kind := mustParse(t, e.Envelope).Kind
		if got := after - before; got != c.want {
			t.Errorf("%s: %d rows, want %d", kind, got, c.want)
		}
		if named := kind == record.KindEnrolment || kind == record.KindDesignation; named != (searched > searchedBefore) {
			t.Errorf("%s: %d rows for search", kind, searched-searchedBefore)
		}
	}
}

// BenchmarkResponses folds responses whose signatures were verified beforehand,
// in batches of 1,024, Advance included: each answers on a thread of its own.
func BenchmarkResponses(b *testing.B) {
	const providers, batch, pool = 16, 1024, 32 << 10
	w := registertest.New(start, "docket.example/test", "any")
	o := registertest.SmallOptions()
	o.CacheBytes, o.MemTableBytes, o.CachedThreads = 0, 0, 0
	r, err := register.Open(vfs.NewMem(), "register", o)
	if err != nil {
		b.Fatal(err)
	}
	book := &registertest.Fixture{World: w, Register: r}
	book.Must(w.Charter())
	book.Must(w.Authority())
	for i := range providers {
		book.Must(w.Provider(fmt.Sprintf("provider-%d", i)))
	}
	for i := range pool / providers {
		name := fmt.Sprintf("2026-%05d", i)
		book.Must(w.Designate(name, w.NewDesignation("Kestrel "+name)))
	}
	verified := make([]record.Verified, 0, pool)
	for i := range pool {
		env := w.Respond(fmt.Sprintf("2026-%05d", i/providers), fmt.Sprintf("provider-%d", i%providers),
			&record.Response{Status: "acknowledged", Conditions: []string{"c1"}})
		v, err := record.Open(env, r.CandidateKeys)
		if err != nil {
			b.Fatal(err)
		}
		verified = append(verified, v)
	}
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for b.Loop() {
		if n == pool { // begin again on a copy of nothing: delete what was answered
			b.StopTimer()
			b.Fatal("pool exhausted: raise it, or lower -benchtime")
		}
		d := r.Begin(w.Now)
		for range batch {
			if _, err := d.Judge(verified[n]); err != nil {
				b.Fatal(err)
			}
			n++
		}
		if err := r.Advance(d, [32]byte{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/1000, "µs/record")
}
