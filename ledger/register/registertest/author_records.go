package registertest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

var designators = []string{"authority/officer-1", "authority/officer-2", "authority/officer-3"}

// signingDesignators are those who sign: all, as many as are needed, or two keys of one holder.
func (w *Author) signingDesignators() []string {
	switch w.Rand.IntN(6) {
	case 0:
		return []string{"authority/officer-1", "authority/officer-1#2"}
	case 1:
		return []string{"authority/officer-2"}
	case 2:
		return []string{"authority/officer-3", "authority/officer-1#2"}
	}
	return slices.Clone(designators)
}

// order is one of the newest designations that are not imported.
func (w *Author) order() string { return w.newest("2026-", w.orders) }

// designation is an order, of any action, with days that the charter allows, or nearly.
func (w *Author) designation() proposal {
	d := w.NewDesignation(w.pick("Kestrel", "Lumen", "Кестрел", "Marrow"))
	d.Target.Country, d.Program = w.pick("XA", "XB", "XC"), []string{w.pick("CLOUD-1", "CLOUD-2")}
	d.DeterminedOn, d.EffectiveFrom = ptr(w.day(-3, 4)), ptr(w.day(w.periods.Notice.Days-1, 10))
	d.EffectiveUntil = ptr(d.EffectiveFrom.AddDays(10 + w.Rand.IntN(w.periods.Term.Days-9)))
	d.ResponseDue = ptr(w.day(w.periods.Response.Days-1, 20))
	switch w.Rand.IntN(5) {
	case 0:
		d.ResponseDue = nil
	case 1:
		d.Action, d.Conditions = "prohibit", nil
	case 2:
		d.Target.LEI, d.Target.ASN = "9999DOCKETDEMO000118", nil
	case 3:
		d.Evidence = []record.ID{w.Head(record.DesignationThread(w.order()))}
		if w.one(4) {
			d.Evidence = append(d.Evidence, record.ID{1})
		}
	}
	if w.one(3) {
		d.Target.Alias = []record.Alias{{Name: w.pick("K", "L"), Type: "aka", Weak: w.one(2)}}
	}
	name := fmt.Sprintf("2026-%d", w.orders-w.Rand.IntN(min(2, w.orders+1)))
	if w.one(12) {
		name = "ofac-sdn-36x"
	}
	return proposal{record.DesignationThread(name), record.Authority, d, w.signingDesignators()}
}

// listed is what an import says of an entity.
func (w *Author) listed() proposal {
	id := w.pick("36", "37", "38")
	p := proposal{thread: record.ImportThread("ofac-sdn", id), issuer: record.Authority, keys: []string{"authority/nightly-import"}}
	if w.one(2) {
		p.keys = []string{"authority/nightly-import", "authority/registrar"}
	}
	switch w.Rand.IntN(6) {
	case 0, 1, 2:
		d := w.NewListedDesignation(id, w.pick("AERO", "CARIBBEAN"))
		if w.one(3) {
			d.EffectiveFrom = ptr(w.day(-5, 15))
		}
		if w.one(3) {
			d.EffectiveUntil = ptr(w.day(10, 60))
		}
		if w.one(8) {
			d.Source.List = "no-list"
		}
		p.Predicate = d
	case 3, 4:
		p.Predicate = &record.Amendment{Type: "correction", Reason: "r", Set: setMember("target", setMember("name", w.pick("A", "B", "AERO")))}
	default:
		p.Predicate = w.revocation(w.pick("delisted", "delisted", "delisted", "error"))
	}
	if w.one(4) {
		p.keys = w.signingDesignators()
	}
	return p
}

// later is what comes after an order: amendments, suspensions, what ends them, its end.
func (w *Author) later() proposal {
	p := proposal{record.DesignationThread(w.order()), record.Authority, nil, w.signingDesignators()}
	if w.one(10) {
		p.thread = record.ImportThread("ofac-sdn", w.pick("36", "37", "38"))
	}
	switch w.Rand.IntN(12) {
	case 0, 1, 2:
		s := &record.Suspension{EffectiveOn: w.day(-1, 9), Reason: "talks"}
		if !w.one(3) {
			s.Until = ptr(s.EffectiveOn.AddDays(w.Rand.IntN(20)))
		}
		p.Predicate = s
	case 3, 4, 5:
		if w.suspended != "" && !w.one(3) {
			p.thread = w.suspended
		}
		r := &record.Reinstatement{EffectiveOn: w.day(-1, 9), Reason: "talks ended"}
		if w.one(3) {
			r.Until = ptr(r.EffectiveOn.AddDays(w.Rand.IntN(8)))
		}
		p.Predicate = r
	case 6:
		p.Predicate = w.revocation(w.pick("lifted", "superseded", "error", "delisted"))
		if !w.one(3) {
			p.Predicate = w.amendment(p.thread)
		}
	default:
		p.Predicate = w.amendment(p.thread)
	}
	return p
}

func (w *Author) amendment(of record.Thread) *record.Amendment {
	a := &record.Amendment{Type: w.pick("alias", "scope", "scope", "extension", "extension", "deadline", "correction", "correction", "correction", "target-detail"), Reason: "r"}
	soon := w.day(w.periods.Response.Days-1, 12)
	switch a.Type {
	case "alias":
		if a.Add = setAlias(w.pick("K", "L", "M", "N"), w.one(3)); w.one(4) {
			a.Add, a.Drop = nil, a.Add
		}
	case "scope":
		a.Set, a.ResponseDue = setMember("scope", setMember("successors", w.one(2))), &soon
		if w.one(3) {
			a.Set, a.Add = nil, setMember("conditions", []any{schema.Object{{Name: "id", Value: w.pick("c3", "c4")}, {Name: "text", Value: "t"}}})
		}
		if w.one(4) {
			a.ResponseDue = nil
		}
	case "extension":
		until := w.day(5, w.periods.Term.Days+40)
		if last, ok := w.until[of]; ok && !w.one(3) { // about as long as it may be
			until = last.AddDays(w.periods.Term.Days - w.Rand.IntN(3) + 1)
		}
		a.Set = setMember("effectiveUntil", until.String())
	case "deadline":
		a.Set = setMember("responseDue", soon.String())
	case "target-detail":
		a.Set = setMember("target", setMember(w.pick("lei", "registrationNumber"), w.pick("9999DOCKETDEMO000118", "0048213")))
		if w.one(2) {
			a.Set, a.Drop = nil, setMember("target", setMember("asn", []any{"64511"}))
		}
	case "correction":
		switch w.Rand.IntN(6) {
		case 0:
			a.Set = setMember("effectiveFrom", w.day(w.periods.Notice.Days-1, 10).String())
		case 1:
			a.Set = setMember("effectiveUntil", w.day(5, w.periods.Term.Days+10).String())
		case 2:
			a.Set = setMember("action", w.pick("prohibit", "prohibit", "condition"))
		case 3:
			a.Reopens, a.ResponseDue = true, &soon
		case 4:
			if a.Set = setMember("responseDue", soon.String()); w.one(2) {
				a.Set, a.Unset = nil, []string{"responseDue"}
			}
		default:
			a.Set = setMember("target", setMember("name", w.pick("Kestrel", "Marrow")))
		}
	}
	return a
}

// response is any answer to an order or to what is imported.
func (w *Author) response() proposal {
	party := w.provider()
	if w.one(12) {
		party = "lumen"
	}
	r := &record.Response{Status: w.pick("acknowledged", "winding-down", "winding-down", "no-relationship", "licensed", "conditions-met", "wound-down", "answered")}
	switch r.Status {
	case "winding-down":
		r.WindDownBy = ptr(w.day(-1, w.periods.Response.Days+4))
	case "conditions-met":
		r.Conditions = []string{w.pick("c1", "c2", "c3")}
	case "answered":
		r.Detail = &record.Commitment{Commit: strings.Repeat("ab", 32)}
	}
	order := w.order()
	if w.one(15) {
		order = w.pick("ofac-sdn-36", "none")
	}
	return proposal{record.ResponseThread(order, party), party, r, []string{w.filer(party)}}
}

// licence is one, or what revokes it.
func (w *Author) licence() proposal {
	licensing := []string{"authority/officer-2", "authority/registrar"}
	if w.one(4) {
		licensing = licensing[:1]
	}
	if w.one(3) {
		r := w.revocation(w.pick("lifted", "error", "superseded"))
		r.EffectiveOn = w.day(-5, 15)
		return proposal{record.LicenceThread(w.newest("l-", w.licensed)), record.Authority, r, licensing}
	}
	l := &record.Licence{Type: "general", Designations: []string{w.order()}, From: w.day(-5, 20)}
	l.Until = l.From.AddDays(w.Rand.IntN(30))
	switch w.Rand.IntN(6) {
	case 0, 1:
		l.Type, l.Holder = "specific", w.provider()
	case 2:
		l.Type, l.Holder, l.Designations = "adp-exemption", w.provider(), nil
	case 3:
		l.Type, l.Holder = "adp-exemption", w.anybody()
	case 4:
		l.Designations, l.Sections = nil, []string{"7.306"}
	}
	name := fmt.Sprintf("l-%d", w.licensed)
	if w.one(8) {
		name = w.newest("l-", w.licensed)
	} else {
		w.licensed++
	}
	return proposal{record.LicenceThread(name), record.Authority, l, licensing}
}

// someKeys adds and revokes keys, of a party by itself, of one that lost them by registrars.
func (w *Author) someKeys() proposal {
	party := w.pick(append(slices.Clone(w.parties), "acme-cloud", record.Authority)...)
	k, p := &record.Keys{}, proposal{record.PartyThread(party), party, nil, []string{w.officer(party)}}
	p.Predicate = k
	adds := 1
	if w.one(4) {
		adds = 1 + w.Rand.IntN(6)
	}
	revokes := w.one(4)
	if revokes && w.one(2) {
		adds = 0
	}
	for range adds {
		name := fmt.Sprintf("%s/k-%d", party, len(w.keys))
		w.keys = append(w.keys, name)
		added := w.Officer(name)
		switch {
		case w.one(5):
			added.NotAfter = ptr(w.day(-2, 20))
			w.timed = append(w.timed, timedKey{name, *added.NotAfter})
		case w.one(8) && party != record.Authority:
			added.Use = record.UseAutomation
		}
		k.Add, p.keys = append(k.Add, added), append(p.keys, name)
	}
	if revokes {
		for range 1 + w.Rand.IntN(3) {
			r := record.KeyRevocation{KeyID: w.KeyID(w.keys[len(w.keys)-1-w.Rand.IntN(min(len(w.keys), 25))])}
			if w.one(3) {
				r.CompromisedSince = &record.Instant{Time: w.Now.Add(time.Duration(w.Rand.IntN(400)-396) * time.Hour).Truncate(time.Second)}
			}
			if !slices.ContainsFunc(k.Revoke, func(o record.KeyRevocation) bool { return o.KeyID == r.KeyID }) {
				k.Revoke = append(k.Revoke, r)
			}
		}
	}
	switch {
	case party == record.Authority:
		p.keys = append([]string{"root/root-1", "root/root-3", "authority/officer-1"}, p.keys[1:]...)
	case w.one(4):
		p.issuer, p.keys = record.Authority, append(slices.Clone(w.registrar), p.keys[1:]...)
	case w.one(4):
		p.keys[0] = party + "/safe"
	case w.one(3) && len(w.keys) > 20: // with one of the newest keys
		p.keys[0] = w.keys[len(w.keys)-1-w.Rand.IntN(15)]
	}
	return p
}

// enrolment is what somebody says of itself anew, or a newcomer: a reseller by a sponsor or
// by registrars, a provider by registrars: of few providers, so that each of them can be
// tried as a sponsor. Where only a sponsor leaves room for a reseller's keys, one signs:
// whoever signs first is not told what another introducer would heal.
func (w *Author) enrolment() proposal {
	if w.one(3) {
		party := w.pick(append(slices.Clone(w.parties), record.Authority)...)
		e := &record.Enrolment{LegalName: w.pick("Acme", "Boreal"), Country: "US", Roles: []record.Role{record.RoleProvider}}
		if party == record.Authority && w.one(2) {
			e.Roles[0] = record.RoleAuthority
		}
		return proposal{record.PartyThread(party), party, e, append([]string{w.officer(party), "authority/officer-1", "root/root-1", "root/root-2"}, w.registrar...)}
	}
	id := fmt.Sprintf("newcomer-%d", w.newcomers)
	w.newcomers++
	e := &record.Enrolment{LegalName: id, Country: "XC", Roles: []record.Role{record.RoleReseller}}
	if w.one(4) && w.newcomers < 12 {
		e.Roles[0] = record.RoleProvider
	}
	var keys []string
	for i := range 1 + w.Rand.IntN(record.MaxSignatures) {
		keys = append(keys, fmt.Sprintf("%s/k-%d", id, i))
		e.Keys = append(e.Keys, w.Officer(keys[i]))
	}
	if e.Roles[0] == record.RoleReseller && (len(keys) > record.MaxSignatures-2 || w.one(2)) {
		return proposal{record.PartyThread(id), id, e, append(keys, w.pick("acme-cloud/compliance", "borealis/compliance", "lumen/desk"))}
	}
	return proposal{record.PartyThread(id), id, e, append(keys, w.registrar...)}
}

// standing suspends somebody, for good or for a while; the authority seldom, and not for long.
func (w *Author) standing() proposal {
	party, status := w.anybody(), w.pick("suspended", "active", "active")
	if strings.HasPrefix(party, "newcomer") {
		status = w.pick("withdrawn", "suspended", "active")
	}
	keys := slices.Clone(w.registrar)
	switch {
	case w.one(12):
		party, keys = record.Authority, []string{"root/root-1", "root/root-2"}
		status = w.pick("suspended", "active", "active", "active", "active")
	case w.one(25):
		status = "withdrawn"
	}
	return proposal{record.PartyThread(party), record.Authority, &record.Standing{Status: status, EffectiveOn: w.day(-1, 9), Reason: "r"}, keys}
}

func (w *Author) reseller() proposal {
	provider, reseller := w.provider(), w.pick("lumen", "lumen", "lumen", w.newest("newcomer-", w.newcomers), "nobody")
	r := &record.ResellerReport{Provider: provider, Status: record.ResellerStatus(w.pick("unconfirmed", "active", "active", "active", "breach", "terminated"))}
	if r.Status == record.ResellerActive {
		r.VerifiedAt = ptr(w.day(-8, 10))
	} else {
		r.Reseller = &record.Reseller{LegalName: "Lumen", Country: "XC"}
	}
	if w.one(5) {
		r.Attempts = []record.Date{w.day(-3, 5)}
	}
	return proposal{record.ResellerThread(reseller, provider), provider, r, []string{w.officer(provider), w.officer(reseller)}}
}

// filed is what providers file of themselves.
func (w *Author) filed() proposal {
	party := w.provider()
	p := proposal{issuer: party, keys: []string{w.filer(party)}}
	switch w.Rand.IntN(4) {
	case 0:
		c := &record.CIPCertification{PeriodFrom: w.day(-60, 50), Initial: w.Head(record.CertificationThread(party)).IsZero()}
		if c.PeriodUntil = c.PeriodFrom.AddDays(w.Rand.IntN(45)); w.one(10) {
			c.Initial = !c.Initial
		}
		p.thread, p.Predicate, p.keys = record.CertificationThread(party), c, []string{w.officer(party)}
	case 1:
		p.thread, p.Predicate = record.CustomerLogThread(party), w.customerLog(party)
	case 2:
		p.thread, p.Predicate = record.AbuseThread(party), &record.AbuseReport{PeriodFrom: w.day(-60, 30), PeriodUntil: w.day(-20, 22), Band: w.pick("0", "1-9", "10-99")}
	default:
		p.thread, p.Predicate = record.AITrainingThread(w.pick("a", "b"), party), &record.AITrainingReport{KnownOn: w.day(-40, 42), Threshold: "t"}
	}
	return p
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
	case w.one(12):
		w.said = fresh
		c := fresh.Commit(until)
		if c.Restart = (&record.LogRestart{Reason: "r"}); w.one(3) { // of the log that it was
			c.VKey = l.VKey()
		}
		return c
	}
	w.said = l.PrivateLog
	l.Grow(w.Rand.IntN(40))
	c := l.Commit(until, l.size)
	switch w.Rand.IntN(8) {
	case 0:
		other := *l.PrivateLog
		other.Rotate(fmt.Sprint(w.Rand.IntN(3))) // perhaps a key that it had before
		w.said, c = &other, other.Commit(until, l.size)
		c.VKey = other.VKey()
	case 1:
		if len(c.Consistency) > 0 {
			c.Consistency = c.Consistency[1:]
		}
	}
	return c
}

// disclosure asks a provider to disclose, openly or under seal, says what became of a request, or
// answers one.
func (w *Author) disclosure() proposal {
	name := w.newest("r-", w.requests)
	if w.Head(record.RequestThread(name)).IsZero() || w.one(3) {
		return w.request()
	}
	if w.one(2) {
		provider := w.asked[name]
		if w.one(8) {
			provider = w.provider()
		}
		receipt := w.NewReceipt(name)
		if w.one(3) {
			receipt = w.NewChallenge(name)
		}
		if w.one(10) {
			receipt.Request = w.Head("charter")
		}
		return proposal{record.ReceiptThread(name, provider), provider, receipt, []string{w.officer(provider)}}
	}
	r := &record.DisclosureRequest{Status: w.pick("challenged", "withdrawn", "unanswered", "unanswered", "requested")}
	if w.one(2) {
		if r.Open = w.opens[name]; r.Open != nil && !w.one(3) {
			r.Status = record.RequestRequested
		}
	}
	switch w.Rand.IntN(8) {
	case 0:
		r.Jurisdiction = w.pick("XB", "XC")
	case 1:
		r.DueOn = ptr(w.day(0, 9))
	}
	return proposal{record.RequestThread(name), record.Authority, r, []string{"authority/officer-3"}}
}

func (w *Author) request() proposal {
	name, provider := fmt.Sprintf("r-%d", w.requests), w.provider()
	w.requests++
	r := w.NewRequest(provider)
	if w.one(2) {
		r, w.opens[name] = w.NewSealedRequest(name, provider, w.day(-1, 9))
	}
	w.asked[name] = provider
	r.Jurisdiction, r.DueOn = w.pick("XA", "XB", "XC"), ptr(w.day(-1, 12))
	return proposal{record.RequestThread(name), record.Authority, r, []string{"authority/officer-3"}}
}

func (w *Author) assessment() proposal {
	by := w.pick("north-audit", "north-audit", "acme-cloud")
	a := w.NewAssessment(w.pick("acme-cloud", "borealis", "nobody", "lumen"))
	a.PeriodUntil = w.day(-3, 6)
	if w.one(3) {
		a.VKey, a.Statement = NewPrivateLog("auditor.example").VKey(), "Every entry below was judged."
		if l := w.logs[w.provider()]; l != nil && w.one(2) {
			a.VKey = l.VKey()
		}
	}
	return proposal{record.AssessmentThread(w.pick("1", "2"), by), by, a, []string{w.officer(by)}}
}

func (w *Author) revocation(cause string) *record.Revocation {
	return &record.Revocation{EffectiveOn: w.day(-2, 5), Cause: cause, Reason: "test"}
}

func setAlias(name string, weak bool) schema.Object {
	alias := schema.Object{{Name: "name", Value: name}, {Name: "type", Value: "aka"}}
	if weak {
		alias = append(alias, schema.Member{Name: "weak", Value: true})
	}
	return setMember("target", setMember("alias", []any{alias}))
}

func setMember(name string, value any) schema.Object {
	return schema.Object{{Name: name, Value: value}}
}
