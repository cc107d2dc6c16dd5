package registertest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Author writes random records of every kind, most of them properly signed, many of them
// against the rules. The same seed writes the same, as long as the same is admitted.
type Author struct {
	*Fixture
	Rand     *rand.Rand
	Admitted map[record.Kind]int

	parties   []string
	keys      []string // every key that was ever made
	orders    int
	newcomers int               // who asked to be enrolled
	requests  int               // to disclose
	asked     map[string]string // whom each request asks
	opens     map[string]*record.RequestOpen
	logs      map[string]*committedLog
	said      *PrivateLog // that of the newest customer-log, admitted or not
}

// committedLog is a provider's private log, and what the ledger knows of it.
type committedLog struct {
	*PrivateLog
	size uint64 // that was committed to
}

// NewAuthor is an author with two providers, a reseller and an auditor.
func NewAuthor(now time.Time, seed uint64) *Author {
	w := &Author{
		Fixture: NewFixture(now, "acme-cloud", "borealis"), Rand: rand.New(rand.NewPCG(seed, 1)),
		parties: []string{"acme-cloud", "borealis", "authority"}, Admitted: make(map[record.Kind]int), logs: make(map[string]*committedLog),
		asked: make(map[string]string), opens: make(map[string]*record.RequestOpen),
		keys: []string{"root/root-1", "root/root-2", "root/root-3", "authority/officer-1", "authority/officer-2", "authority/officer-3", "authority/nightly-import"},
	}
	for _, p := range w.parties[:2] {
		w.keys = append(w.keys, p+"/compliance", p+"/ci", p+"/safe")
	}
	second := &record.Keys{Add: []record.PartyKey{w.Officer("authority/registrar", record.FuncRegistrar)}}
	w.Must(w.Sign(w.Statement("party/authority", "authority", second), "root/root-1", "root/root-2", "authority/registrar"))
	lumen := &record.Enrolment{LegalName: "Lumen", Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{w.Officer("lumen/desk")}}
	w.Must(w.Sign(w.Statement("party/lumen", "lumen", lumen), "lumen/desk", "acme-cloud/compliance"))
	w.keys = append(w.keys, "lumen/desk")
	w.Must(w.Auditor("north-audit"))
	return w
}

// pick is one of the words.
func (w *Author) pick(words ...string) string { return words[w.Rand.IntN(len(words))] }

// day is a date around today.
func (w *Author) day(from, n int) record.Date { return w.Today().AddDays(from + w.Rand.IntN(n)) }

// randomRecord is one random record and those who should sign it.
func (w *Author) randomRecord() (thread record.Thread, issuer string, p record.Predicate, keys []string) {
	n := max(0, w.orders-1-w.Rand.IntN(3)) // one of the newest orders
	order := record.DesignationThread(fmt.Sprintf("2026-%d", n))
	party := w.pick(w.parties...)
	provider := w.pick(w.parties[:2]...)
	officers := []string{"authority/officer-1", "authority/officer-2", "authority/officer-3"}
	switch w.Rand.IntN(34) {
	case 26: // what anybody says of itself anew
		e := &record.Enrolment{LegalName: w.pick("Acme", "Boreal"), Country: "US", Roles: []record.Role{record.RoleProvider}}
		return record.PartyThread(party), party, e, []string{party + "/compliance", "authority/officer-1", "authority/registrar"}
	case 27: // a registrar's keys, or what a recovery key may
		name := fmt.Sprintf("%s/k-%d", provider, len(w.keys))
		k := &record.Keys{Add: []record.PartyKey{w.Officer(name)}}
		w.keys = append(w.keys, name)
		if w.Rand.IntN(3) == 0 {
			k.Revoke = []record.KeyRevocation{{KeyID: w.KeyID(w.pick(w.keys...))}}
		}
		if w.Rand.IntN(2) == 0 {
			return record.PartyThread(provider), "authority", k, []string{"authority/officer-1", "authority/registrar", name}
		}
		if w.Rand.IntN(4) == 0 {
			k.Add[0].Use = record.UseAutomation
		}
		return record.PartyThread(provider), provider, k, []string{provider + "/safe", name}
	case 28: // revoked with a claim, or a key for a while
		k := &record.Keys{Revoke: []record.KeyRevocation{{KeyID: w.KeyID(w.pick(w.keys...)), CompromisedSince: &record.Instant{Time: w.Now.Add(time.Duration(w.Rand.IntN(400)-396) * time.Hour).Truncate(time.Second)}}}}
		if w.Rand.IntN(6) > 0 {
			name := fmt.Sprintf("%s/k-%d", party, len(w.keys))
			w.keys = append(w.keys, name)
			k.Revoke, k.Add = nil, []record.PartyKey{w.Officer(name)}
			k.Add[0].NotAfter = ptr(w.day(-3, 40))
			return record.PartyThread(party), party, k, []string{party + "/compliance", "root/root-1", "root/root-2", name}
		}
		return record.PartyThread(party), party, k, []string{party + "/compliance", "authority/registrar"}
	case 29:
		a := &record.Amendment{Type: w.pick("extension", "deadline", "correction", "target-detail"), Reason: "r"}
		switch a.Type {
		case "extension":
			a.Set = setMember("effectiveUntil", w.day(380, 400).String())
		case "deadline":
			a.Set = setMember("responseDue", w.day(28, 60).String())
		case "correction":
			a.Set = setMember(w.pick("effectiveFrom", "effectiveUntil"), w.day(170, 400).String())
			if w.Rand.IntN(4) == 0 {
				a.Set = setMember("action", w.pick("prohibit", "condition"))
			}
		default:
			a.Set = setMember("target", setMember(w.pick("lei", "registrationNumber"), w.pick("9999DOCKETDEMO000118", "0048213")))
			if w.Rand.IntN(2) == 0 {
				a.Set, a.Drop = nil, setMember("target", setMember("asn", []any{"64511"}))
			}
		}
		return order, "authority", a, officers
	case 30:
		st := w.pick("withdrawn", "withdrawn", "suspended", "active")
		id := fmt.Sprintf("newcomer-%d", w.Rand.IntN(max(1, w.newcomers)))
		return record.PartyThread(id), "authority", &record.Standing{Status: st, EffectiveOn: w.day(-1, 6), Reason: "r"}, []string{"authority/officer-1", "authority/registrar"}
	case 31: // by a newcomer, and about orders far back
		d := w.NewDesignation("Marrow")
		d.DeterminedOn, d.Evidence = ptr(w.day(-2, 4)), []record.ID{w.Head(order)}
		if w.Rand.IntN(3) == 0 {
			d.Evidence = []record.ID{{1}}
		}
		d.Action, d.Conditions = "prohibit", nil
		return record.DesignationThread(w.pick(fmt.Sprintf("2026-%d", w.orders), "ofac-sdn-36x")), "authority", d, officers
	case 32:
		r := &record.Response{Status: w.pick("conditions-met", "no-relationship", "wound-down"), Conditions: []string{w.pick("c1", "c2", "c3")}}
		if r.Status != "conditions-met" {
			r.Conditions = nil
		}
		p := w.pick(provider, fmt.Sprintf("newcomer-%d", w.Rand.IntN(max(1, w.newcomers))), "lumen")
		return record.ResponseThread(fmt.Sprintf("2026-%d", n), p), p, r, []string{p + "/compliance"}
	case 33:
		a := w.NewAssessment(w.pick("acme-cloud", "nobody", "lumen"))
		a.PeriodUntil = w.day(-3, 6)
		return record.AssessmentThread("2", provider), provider, a, []string{provider + "/compliance"}
	case 18:
		l := &record.Licence{Type: "general", Designations: []string{fmt.Sprintf("2026-%d", n)}, From: w.day(-3, 9), Until: w.day(6, 30)}
		switch w.Rand.IntN(4) {
		case 0:
			l.Type, l.Holder = "specific", provider
		case 1:
			l.Type, l.Holder, l.Designations = "adp-exemption", party, nil
		}
		return record.LicenceThread(fmt.Sprint(w.Rand.IntN(40))), "authority", l, []string{"authority/officer-2"}
	case 19:
		return record.LicenceThread(fmt.Sprint(w.Rand.IntN(40))), "authority", w.revocation(w.pick("lifted", "error")), []string{"authority/officer-2"}
	case 20:
		r := &record.ResellerReport{Provider: provider, Status: record.ResellerStatus(w.pick("unconfirmed", "active", "active", "breach", "terminated"))}
		if r.Status == record.ResellerActive {
			r.VerifiedAt = ptr(w.day(-5, 7))
		} else {
			r.Reseller = &record.Reseller{LegalName: "Lumen", Country: "XC"}
		}
		return record.ResellerThread("lumen", provider), provider, r, []string{provider + "/compliance", "lumen/desk"}
	case 0:
		d := w.NewDesignation(w.pick("Kestrel", "Lumen", "Кестрел"))
		d.ResponseDue, d.EffectiveFrom = ptr(w.day(28, 40)), ptr(w.day(179, 20))
		d.EffectiveUntil = ptr(d.EffectiveFrom.AddDays(200 + w.Rand.IntN(180)))
		return record.DesignationThread(fmt.Sprintf("2026-%d", w.orders-w.Rand.IntN(min(2, w.orders+1)))), "authority", d, officers
	case 1:
		id := w.pick("36", "37", "38")
		return record.ImportThread("ofac-sdn", id), "authority", w.NewListedDesignation(id, w.pick("AERO", "CARIBBEAN")), []string{"authority/nightly-import"}
	case 2:
		id := w.pick("36", "37", "38")
		return record.ImportThread("ofac-sdn", id), "authority", &record.Amendment{Type: "correction", Reason: "r", Set: setMember("target", setMember("name", w.pick("A", "B", "C")))}, []string{"authority/nightly-import"}
	case 3:
		id := w.pick("36", "37", "38")
		return record.ImportThread("ofac-sdn", id), "authority", w.revocation(w.pick("delisted", "delisted", "delisted", "error")), []string{"authority/nightly-import", "authority/officer-3"}
	case 4:
		return order, "authority", w.suspend(w.Rand.IntN(3), ptr(w.day(3, 30))), officers
	case 5:
		return order, "authority", w.reinstate(w.Rand.IntN(3)), officers
	case 6:
		if w.Rand.IntN(4) > 0 {
			return order, "authority", &record.Amendment{Type: "alias", Reason: "r", Add: addAlias(w.pick("K", "L", "M", "N"))}, officers
		}
		return order, "authority", w.revocation(w.pick("lifted", "superseded")), officers
	case 7:
		return order, "authority", &record.Amendment{Type: "scope", Reason: "r", Set: setMember("scope", setMember("successors", w.Rand.IntN(2) == 0)), ResponseDue: ptr(w.day(28, 9))}, officers
	case 8, 9:
		return record.ResponseThread(fmt.Sprintf("2026-%d", n), provider), provider,
			&record.Response{Status: w.pick("acknowledged", "winding-down", "licensed"), WindDownBy: ptr(w.day(10, 20))}, []string{provider + "/ci"}
	case 10:
		return record.CertificationThread(provider), provider, &record.CIPCertification{PeriodFrom: w.day(-400, 30), PeriodUntil: w.day(-35, 30), Initial: w.Head(record.CertificationThread(provider)).IsZero()}, []string{provider + "/compliance"}
	case 11:
		return record.PartyThread(party), "authority", &record.Standing{Status: w.pick("suspended", "active", "active"), EffectiveOn: w.day(-2, 4), Reason: "r"}, []string{"authority/officer-1", "authority/registrar", "root/root-1", "root/root-2"}
	case 12:
		c := w.CharterPredicate
		c.Thresholds.Registrar, c.Thresholds.Designation = 1+w.Rand.Int64N(2), 1+w.Rand.Int64N(2)
		return "charter", "authority", &c, []string{"root/root-1", "root/root-2", "root/root-3"}
	case 13:
		return w.newcomer()
	case 14, 15:
		return record.CustomerLogThread(provider), provider, w.customerLog(provider), []string{provider + "/ci"}
	case 16:
		return record.AbuseThread(provider), provider, &record.AbuseReport{PeriodFrom: w.day(-60, 30), PeriodUntil: w.day(-20, 22), Band: w.pick("0", "1-9", "10-99")}, []string{provider + "/ci"}
	case 17:
		return record.AITrainingThread(w.pick("a", "b"), provider), provider, &record.AITrainingReport{KnownOn: w.day(-40, 42), Threshold: "t"}, []string{provider + "/compliance"}
	case 21:
		return w.request(provider)
	case 22, 24:
		name := fmt.Sprintf("r-%d", max(0, w.requests-1-w.Rand.IntN(3)))
		if w.Head(record.RequestThread(name)).IsZero() {
			return w.request(provider)
		}
		if w.Rand.IntN(4) > 0 {
			provider = w.asked[name]
		}
		receipt := w.NewReceipt(name)
		if w.Rand.IntN(3) == 0 {
			receipt = w.NewChallenge(name)
		}
		return record.ReceiptThread(name, provider), provider, receipt, []string{provider + "/compliance"}
	case 23:
		return record.AssessmentThread("1", "north-audit"), "north-audit", w.NewAssessment(provider), []string{"north-audit/lead"}
	default:
		name := fmt.Sprintf("%s/k-%d", party, len(w.keys))
		k := &record.Keys{Add: []record.PartyKey{w.Officer(name)}}
		if w.Rand.IntN(6) == 0 {
			k.Revoke = append(k.Revoke, record.KeyRevocation{KeyID: w.KeyID(w.keys[w.Rand.IntN(len(w.keys))])})
		}
		w.keys = append(w.keys, name)
		return record.PartyThread(party), party, k, []string{party + "/compliance", "root/root-1", "root/root-3", "authority/officer-1", name}
	}
}

// customerLog is what a provider says next of its private log: grown, as it was, of another
// key, lost, or not what was committed to.
func (w *Author) customerLog(provider string) *record.CustomerLog {
	until, l := w.day(-20, 22), w.logs[provider]
	fresh := NewPrivateLog(fmt.Sprintf("%s.example/customers-%d", provider, w.Rand.Int()))
	fresh.Grow(w.Rand.IntN(40))
	switch {
	case l == nil:
		w.said = fresh
		return fresh.Commit(until)
	case w.Rand.IntN(12) == 0:
		w.said = fresh
		c := fresh.Commit(until)
		c.Restart = &record.LogRestart{Reason: "r"}
		return c
	}
	w.said = l.PrivateLog
	l.Grow(w.Rand.IntN(40))
	c := l.Commit(until, l.size)
	switch w.Rand.IntN(8) {
	case 0:
		other := *l.PrivateLog
		other.Rotate(fmt.Sprint(w.Rand.Int()))
		w.said, c = &other, other.Commit(until, l.size)
		c.VKey = other.VKey()
	case 1:
		if len(c.Consistency) > 0 {
			c.Consistency = c.Consistency[1:]
		}
	}
	return c
}

// request asks a provider to disclose, openly or under seal, or says what became of a request.
func (w *Author) request(provider string) (thread record.Thread, issuer string, p record.Predicate, keys []string) {
	name, keys := fmt.Sprintf("r-%d", max(0, w.requests-1-w.Rand.IntN(3))), []string{"authority/officer-3"}
	r := &record.DisclosureRequest{Status: w.pick("challenged", "withdrawn", "unanswered", "requested")}
	if w.Rand.IntN(2) == 0 || w.Head(record.RequestThread(name)).IsZero() {
		name = fmt.Sprintf("r-%d", w.requests)
		w.requests++
		w.asked[name] = provider
		if r = w.NewRequest(provider); w.Rand.IntN(2) == 0 {
			r, w.opens[name] = w.NewSealedRequest(name, provider, w.day(0, 9))
		}
	} else if w.Rand.IntN(2) == 0 {
		r.Open = w.opens[name]
	}
	return record.RequestThread(name), "authority", r, keys
}

// newcomer is an enrolment, of a reseller by a sponsor or by registrars, of a provider
// by registrars: of few providers, so that each of them can be tried as a sponsor. Where only a sponsor leaves room for a reseller's keys, one signs:
// whoever signs first is not told what another introducer would heal.
func (w *Author) newcomer() (thread record.Thread, issuer string, p record.Predicate, keys []string) {
	id := fmt.Sprintf("newcomer-%d", w.newcomers)
	w.newcomers++
	e := &record.Enrolment{LegalName: id, Country: "XC", Roles: []record.Role{record.RoleReseller}}
	if w.Rand.IntN(4) == 0 {
		e.Roles[0] = record.RoleProvider
	}
	for i := range 1 + w.Rand.IntN(record.MaxSignatures) {
		keys = append(keys, fmt.Sprintf("%s/k-%d", id, i))
		e.Keys = append(e.Keys, w.Officer(keys[i]))
	}
	if e.Roles[0] == record.RoleReseller && (len(keys) > record.MaxSignatures-2 || w.Rand.IntN(2) == 0) {
		return record.PartyThread(id), id, e, append(keys, w.pick(w.parties[:2]...)+"/compliance")
	}
	return record.PartyThread(id), id, e, append(keys, "authority/officer-1", "authority/registrar")
}

// Propose lets time go by, and says one thing and whose keys sign it: nil where it is none
// that a record can say.
func (w *Author) Propose() (st *record.Statement, keys []string) {
	w.Now = w.Now.Add(time.Duration(w.Rand.Int64N(int64(20 * time.Hour)))).Truncate(time.Millisecond)
	thread, issuer, p, keys := w.randomRecord()
	if w.Rand.IntN(5) == 0 { // somebody else signs too, or instead
		keys[w.Rand.IntN(len(keys))] = w.keys[w.Rand.IntN(len(w.keys))]
	}
	st = w.Statement(thread, issuer, p)
	switch w.Rand.IntN(100) {
	case 0, 1, 2, 3, 4:
		st.Follows = record.ID{byte(w.Rand.Int())}
	case 5:
		st.Ledger[0] ^= 1
	case 6:
		st.IssuedAt = w.Now.Add(time.Duration(w.Rand.IntN(600)) * time.Second)
	case 7:
		st.IssuedAt = w.Now.Add(-time.Duration(29*24+w.Rand.IntN(48)) * time.Hour)
	case 8:
		st.Subject.SHA256[0] ^= 1
	}
	if _, err := record.EncodeStatement(st); err != nil {
		return nil, nil
	}
	return st, keys
}

// Admit is [World.NoteAdmitted] of what the author proposed last.
func (w *Author) Admit(st *record.Statement, env record.Envelope) {
	w.NoteAdmitted(env)
	if st.Kind == record.KindDesignation && st.Thread == record.DesignationThread(fmt.Sprintf("2026-%d", w.orders)) {
		w.orders++
	}
	if st.Kind == record.KindCustomerLog {
		w.logs[st.Issuer] = &committedLog{w.said, w.said.Tree().Size}
	}
	w.Admitted[st.Kind]++
}

func ptr[T any](v T) *T { return &v }

func (w *Author) suspend(in int, until *record.Date) *record.Suspension {
	return &record.Suspension{EffectiveOn: w.Today().AddDays(in), Until: until, Reason: "talks"}
}

func (w *Author) reinstate(in int) *record.Reinstatement {
	return &record.Reinstatement{EffectiveOn: w.Today().AddDays(in), Reason: "talks ended"}
}

func (w *Author) revocation(cause string) *record.Revocation {
	return &record.Revocation{EffectiveOn: w.Today(), Cause: cause, Reason: "test"}
}

func addAlias(name string) schema.Object {
	return setMember("target", setMember("alias", []any{
		schema.Object{{Name: "name", Value: name}, {Name: "type", Value: "aka"}},
	}))
}

func setMember(name string, value any) schema.Object {
	return schema.Object{{Name: name, Value: value}}
}
