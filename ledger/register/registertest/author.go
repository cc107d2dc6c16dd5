package registertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Author writes random records of every kind, most of them properly signed, many of them
// against the rules. The same seed writes the same, as long as the same is admitted.
type Author struct {
	*Fixture
	Rand     *rand.Rand
	Admitted map[record.Kind]int

	parties   []string
	keys      []string       // every key that was ever made
	periods   record.Periods // of the newest charter
	registrar []string       // who sign as registrars
	orders    int            // designations of which it has heard
	newcomers int            // who asked to be enrolled
	requests  int            // to disclose
	timed     []timedKey
	until     map[record.Thread]record.Date // the last days of orders, as first said or extended
	suspended record.Thread                 // the designation that was suspended last, and not reinstated
	seen      []seenRecord                  // on threads of designations, oldest first
	licensed  int                           // licences that were asked for
	asked     map[string]string             // whom each request asks
	opens     map[string]*record.RequestOpen
	logs      map[string]*committedLog
	said      *PrivateLog // that of the newest customer-log, admitted or not
}

// seenRecord is one that a response may be about.
type seenRecord struct {
	thread record.Thread
	id     record.ID
}

// timedKey is one that has a last day.
type timedKey struct {
	name  string
	until record.Date
}

// committedLog is a provider's private log, and what the ledger knows of it.
type committedLog struct {
	*PrivateLog
	size uint64 // that was committed to
}

// proposal is a record on its way: on which thread, by whom, and who should sign it.
type proposal struct {
	thread record.Thread
	issuer string
	record.Predicate
	keys []string
}

// NewAuthor is an author with two providers, a reseller and an auditor. Its charter has short
// periods, so that a life is soon over.
func NewAuthor(now time.Time, seed uint64) *Author {
	w := &Author{
		Fixture: NewFixture(now, "acme-cloud", "borealis"), Rand: rand.New(rand.NewPCG(seed, 1)),
		parties: []string{"acme-cloud", "borealis"}, Admitted: make(map[record.Kind]int), logs: make(map[string]*committedLog),
		asked: make(map[string]string), opens: make(map[string]*record.RequestOpen), until: make(map[record.Thread]record.Date), registrar: []string{"authority/officer-1", "authority/registrar"},
		keys: []string{"root/root-1", "root/root-2", "root/root-3", "authority/officer-1", "authority/officer-1#2", "authority/officer-2", "authority/officer-3", "authority/registrar", "authority/nightly-import"},
	}
	for _, p := range w.parties {
		w.keys = append(w.keys, p+"/compliance", p+"/ci", p+"/safe")
	}
	c := w.newCharter()
	c.Thresholds.Registrar = 1 // until there is a second
	w.Must(w.Sign(w.Statement("charter", record.Authority, c), "root/root-1", "root/root-2"))
	w.periods = c.Periods
	second := &record.Keys{Add: []record.PartyKey{
		w.Officer("authority/registrar", record.FuncRegistrar, record.FuncLicensing, record.FuncImporter),
		w.Officer("authority/officer-1#2", record.FuncDesignator, record.FuncRegistrar), // one holder more there is not
	}}
	w.Must(w.Sign(w.Statement("party/authority", record.Authority, second), "root/root-1", "root/root-2", "authority/registrar", "authority/officer-1#2"))
	lumen := &record.Enrolment{LegalName: "Lumen", Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{w.Officer("lumen/desk")}}
	w.Must(w.Sign(w.Statement("party/lumen", "lumen", lumen), "lumen/desk", "acme-cloud/compliance"))
	w.keys = append(w.keys, "lumen/desk")
	w.Must(w.Auditor("north-audit"))
	return w
}

// newCharter is one whose periods are short, and whose thresholds are any.
func (w *Author) newCharter() *record.Charter {
	c := w.CharterPredicate
	c.RootKeys = slices.Clone(c.RootKeys)
	c.TimeZone = w.pick("America/New_York", "America/New_York", "Pacific/Kiritimati")
	c.Thresholds.Registrar, c.Thresholds.Designation = 1+w.Rand.Int64N(2), 1+w.Rand.Int64N(2)
	c.Thresholds.Licensing, c.Thresholds.Import = 1+w.Rand.Int64N(2), 1+w.Rand.Int64N(2)
	within := func(from, n int) record.Period { return record.Period{Days: from + w.Rand.IntN(n)} }
	c.Periods = record.Periods{
		Notice: within(3, 5), Term: within(60, 30), Response: within(7, 6), Certification: record.Period{Months: 1 + w.Rand.IntN(3), Days: w.Rand.IntN(5)},
		ResellerBreach: within(5, 20), AIReport: within(5, 15), Commitment: within(10, 25), Draft: within(28, 4), Recovery: within(3, 6),
	}
	return &c
}

// pick is one of the words.
func (w *Author) pick(words ...string) string { return words[w.Rand.IntN(len(words))] }

// one in n.
func (w *Author) one(n int) bool { return w.Rand.IntN(n) == 0 }

// day is a date around today.
func (w *Author) day(from, n int) record.Date { return w.Today().AddDays(from + w.Rand.IntN(n)) }

// anybody is one of those who were enrolled first, or a newcomer.
func (w *Author) anybody() string {
	return w.pick(append(slices.Clone(w.parties), "lumen", "north-audit", w.newest("newcomer-", w.newcomers))...)
}

// newest is the name of one of the newest of a series of that many.
func (w *Author) newest(series string, n int) string {
	return fmt.Sprintf("%s%d", series, max(0, n-1-w.Rand.IntN(3)))
}

// provider is one, seldom a newcomer that may be none.
func (w *Author) provider() string {
	if w.one(8) {
		return w.newest("newcomer-", w.newcomers)
	}
	return w.pick(w.parties...)
}

// officer of a party: often by a key whose last day is near.
func (w *Author) officer(party string) string {
	for _, k := range w.timed {
		if near := w.Today().DaysSince(k.until); strings.HasPrefix(k.name, party+"/") && near >= -1 && near <= 1 && w.one(2) {
			return k.name
		}
	}
	switch party {
	case "lumen":
		return "lumen/desk"
	case "north-audit":
		return "north-audit/lead"
	case "acme-cloud", "borealis":
		return party + "/compliance"
	}
	return party + "/k-0"
}

// filer of a provider's.
func (w *Author) filer(party string) string {
	if key := w.officer(party); key != party+"/compliance" || w.one(3) {
		return key
	}
	return party + "/ci"
}

// randomRecord is one random record and those who should sign it.
func (w *Author) randomRecord() proposal {
	switch n := w.Rand.IntN(100); {
	case n < 9:
		return w.designation()
	case n < 15:
		return w.listed()
	case n < 29:
		return w.later()
	case n < 40:
		return w.response()
	case n < 49:
		return w.licence()
	case n < 50:
		return proposal{"charter", record.Authority, w.newCharter(), []string{"root/root-1", "root/root-2", "root/root-3"}}
	case n < 60:
		return w.someKeys()
	case n < 67:
		return w.enrolment()
	case n < 74:
		return w.standing()
	case n < 79:
		return w.reseller()
	case n < 90:
		return w.filed()
	case n < 97:
		return w.disclosure()
	}
	return w.assessment()
}

// Propose lets time go by, and says one thing and whose keys sign it: nil where it is none
// that a record can say.
func (w *Author) Propose() (st *record.Statement, keys []string) {
	hours := int64(20)
	if w.one(20) {
		hours = 15 * 24
	}
	w.Now = w.Now.Add(time.Duration(w.Rand.Int64N(hours * int64(time.Hour)))).Truncate(time.Millisecond)
	p := w.randomRecord()
	keys = p.keys
	if w.one(6) { // somebody else signs too, or instead
		keys[w.Rand.IntN(len(keys))] = w.keys[w.Rand.IntN(len(w.keys))]
	}
	st = w.Statement(p.thread, p.issuer, p.Predicate)
	if about := w.seenOn(p.thread.About()); p.Kind() == record.KindResponse && len(about) > 0 && w.one(3) {
		st.Subject.SHA256 = about[w.Rand.IntN(len(about))]
	}
	if st.Kind == record.KindStanding && w.one(6) {
		st.Subject.SHA256 = w.Head(p.thread) // its newest enrolment, perhaps
	}
	switch w.Rand.IntN(100) {
	case 0, 1, 2:
		st.Follows = record.ID{byte(w.Rand.Int())}
	case 3:
		st.Ledger[0] ^= 1
	case 4:
		st.IssuedAt = w.Now.Add(time.Duration(w.Rand.IntN(600)) * time.Second)
	case 5:
		st.IssuedAt = w.Now.Add(-time.Duration(27*24+w.Rand.IntN(96)) * time.Hour)
	case 6:
		st.Subject.SHA256[0] ^= 1
	case 7:
		st.Issuer = w.pick("nobody", st.Issuer)
	}
	if _, err := record.EncodeStatement(st); err != nil {
		return nil, nil
	}
	return st, keys
}

// seenOn are the records that were seen on a designation's thread.
func (w *Author) seenOn(thread record.Thread) (ids []record.ID) {
	for _, s := range w.seen {
		if s.thread == thread {
			ids = append(ids, s.id)
		}
	}
	return ids
}

// Admit is [World.NoteAdmitted] of what the author proposed last.
func (w *Author) Admit(st *record.Statement, env record.Envelope) {
	w.NoteAdmitted(env)
	if st.Thread.Family() == record.FamilyDesignation {
		w.seen = append(w.seen, seenRecord{st.Thread, w.Head(st.Thread)})
	}
	if st.Kind == record.KindDesignation && st.Thread == record.DesignationThread(fmt.Sprintf("2026-%d", w.orders)) {
		w.orders++
	}
	if st.Kind == record.KindCustomerLog {
		w.logs[st.Issuer] = &committedLog{w.said, w.said.Tree().Size}
	}
	switch p := st.Predicate.(type) {
	case *record.Designation:
		if p.EffectiveUntil != nil {
			w.until[st.Thread] = *p.EffectiveUntil
		}
	case *record.Amendment:
		if text, ok := p.Set.Lookup("effectiveUntil").(string); ok {
			w.until[st.Thread], _ = record.ParseDate(text)
		}
	}
	switch st.Kind {
	case record.KindSuspension:
		w.suspended = st.Thread
	case record.KindReinstatement:
		w.suspended = ""
	}
	if c, ok := st.Predicate.(*record.Charter); ok {
		w.periods = c.Periods
	}
	w.Admitted[st.Kind]++
}

func ptr[T any](v T) *T { return &v }
