package view_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// add tells the model of an admitted record and of the keys that signed it.
func (m *model) add(st *record.Statement, env record.Envelope, at time.Time) {
	e := entry{index: len(m.log), at: at, st: st, id: record.IDOf(env.Payload), kind: modelKinds[st.Kind]}
	if st.Thread.Family() == record.FamilyDesignation {
		e.order = st.Thread.Designation()
	}
	switch p := st.Predicate.(type) {
	case *record.Charter:
		e.zone, _ = time.LoadLocation(p.TimeZone)
		e.response, e.months = p.Periods.Response.Days, 12*p.Periods.Certification.Years+p.Periods.Certification.Months
		e.again, e.report, e.breach = p.Periods.Commitment.Days, p.Periods.AIReport.Days, p.Periods.ResellerBreach.Days
	case *record.Enrolment:
		if e.party = st.Issuer; !st.Follows.IsZero() {
			e.kind = "re-enrol"
		}
	case *record.Standing:
		e.party, e.status, e.on = st.Thread.Party(), p.Status, dayNumber(&p.EffectiveOn)
	case *record.Designation:
		e.reopens = true
		m.setTerms(&e, members(env)["predicate"].(map[string]any))
	case *record.Amendment:
		e.reopens = p.Reopens || p.Type == "scope"
		before := m.newest(st.Thread, "designate", "amend")
		now, _ := amended(before.terms, members(env)["predicate"].(map[string]any))
		if e.reopens && p.ResponseDue != nil {
			now["responseDue"] = p.ResponseDue.String()
		}
		e.reopens = e.reopens && p.ResponseDue != nil
		m.setTerms(&e, now)
	case *record.Suspension:
		e.on, e.until, e.endless = dayNumber(&p.EffectiveOn), dayNumber(p.Until), p.Until == nil
	case *record.Reinstatement:
		e.on, e.until, e.endless = dayNumber(&p.EffectiveOn), dayNumber(p.Until), p.Until == nil
	case *record.Revocation:
		if e.on, e.status = dayNumber(&p.EffectiveOn), p.Cause; e.order == "" {
			e.kind, e.licence = "unlicense", st.Thread.Name()
		}
	case *record.Licence:
		e.licence, e.status, e.party, e.orders = st.Thread.Name(), string(p.Type), p.Holder, p.Designations
		e.on, e.until = dayNumber(&p.From), dayNumber(&p.Until)
	case *record.Response:
		e.party, e.order, e.status, e.by = st.Issuer, st.Thread.Designation(), p.Status, dayNumber(p.WindDownBy)
		about, _ := m.byID(record.ID(st.Subject.SHA256))
		e.about = about.index
	case *record.CIPCertification:
		e.party, e.on, e.until = st.Issuer, dayNumber(&p.PeriodFrom), dayNumber(&p.PeriodUntil)
	case *record.ResellerReport:
		e.party, e.reseller, e.status, e.on = st.Issuer, st.Thread.Reseller(), string(p.Status), dayNumber(p.VerifiedAt)
	case *record.CustomerLog:
		e.party, e.until = st.Issuer, dayNumber(&p.PeriodUntil)
	case *record.AbuseReport:
		e.party, e.until = st.Issuer, dayNumber(&p.PeriodUntil)
	case *record.AITrainingReport:
		e.party, e.until = st.Issuer, dayNumber(&p.KnownOn)
		e.run, _, _ = strings.Cut(st.Thread.Name(), "/")
	case *record.DisclosureRequest:
		e.request, e.status, e.due, e.party = st.Thread.Request(), p.Status, dayNumber(p.DueOn), p.Provider.Text
		e.sealed, e.opens = p.Provider.Commitment != nil, p.Open != nil
		if p.Open != nil {
			e.party = p.Open.Provider
		}
	case *record.DisclosureReceipt:
		e.request, e.party, e.status = st.Thread.Request(), st.Issuer, "answered"
		if p.Challenged {
			e.status = "challenged"
		}
	}
	m.log = append(m.log, e)
	last := &m.log[e.index]
	last.day = dayOf(at, m.charter(e.index).zone)
	if e.kind == "designate" && last.from == 0 {
		last.from = last.day
	}
}

var modelKinds = map[record.Kind]string{
	record.KindCharter: "charter", record.KindEnrolment: "enrol", record.KindKeys: "keys", record.KindStanding: "standing",
	record.KindDesignation: "designate", record.KindAmendment: "amend", record.KindSuspension: "suspend", record.KindReinstatement: "reinstate",
	record.KindRevocation: "revoke", record.KindResponse: "respond", record.KindCIPCertification: "certify", record.KindReseller: "resell",
	record.KindLicence: "license", record.KindCustomerLog: "customer-log", record.KindAITrainingReport: "ai-training-report",
	record.KindAbuseReport: "abuse-report", record.KindDisclosureRequest: "ask", record.KindDisclosureReceipt: "receipt", record.KindAssessment: "assess",
}

// setTerms says how a designation stands from an entry on.
func (m *model) setTerms(e *entry, terms map[string]any) {
	e.terms = terms
	e.from, e.last, e.due = memberDay(terms, "effectiveFrom"), memberDay(terms, "effectiveUntil"), memberDay(terms, "responseDue")
	if before := m.newest(e.st.Thread, "designate"); e.from == 0 && e.kind == "amend" {
		e.from = before.from
	}
}

func members(env record.Envelope) (o map[string]any) {
	if err := json.Unmarshal(env.Payload, &o); err != nil {
		panic(err)
	}
	return o
}

func memberDay(terms map[string]any, name string) int {
	text, _ := terms[name].(string)
	if text == "" {
		return 0
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return int(t.Unix() / 86400)
}

func dayNumber(d *record.Date) int {
	if d == nil {
		return 0
	}
	return int(time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// later is a day and a period: years and months first, then days.
func later(day int, p record.Period) int {
	return monthsAfter(day, 12*p.Years+p.Months) + p.Days
}

// amended is a designation with an amendment's steps; why says what has no effect.
func amended(terms, amendment map[string]any) (now map[string]any, why string) {
	raw, _ := json.Marshal(terms)
	json.Unmarshal(raw, &now)
	now = clearMembers(now)
	fault := func(words string) {
		if why == "" {
			why = words
		}
	}
	var each func(at, steps map[string]any, act func(at map[string]any, name string, value any))
	each = func(at, steps map[string]any, act func(at map[string]any, name string, value any)) {
		for name, value := range steps {
			if inner, ok := value.(map[string]any); ok {
				if at[name] == nil {
					at[name] = map[string]any{}
				}
				each(at[name].(map[string]any), inner, act)
				continue
			}
			act(at, name, value)
		}
	}
	object := func(name string) map[string]any { o, _ := amendment[name].(map[string]any); return o }
	each(now, object("drop"), func(at map[string]any, name string, value any) {
		list, _ := at[name].([]any)
		for _, item := range value.([]any) {
			i := slices.IndexFunc(list, func(x any) bool { return reflect.DeepEqual(x, item) })
			if i < 0 {
				fault("an item that is dropped is not there")
				return
			}
			list = slices.Delete(slices.Clone(list), i, i+1)
		}
		if at[name] = list; len(list) == 0 {
			delete(at, name)
		}
	})
	unset, _ := amendment["unset"].([]any)
	for _, path := range unset {
		at, names := now, strings.Split(path.(string), ".")
		for _, name := range names[:len(names)-1] {
			at, _ = at[name].(map[string]any)
		}
		name := names[len(names)-1]
		if at[name] == nil {
			fault("a field that is unset is not there")
		}
		delete(at, name)
	}
	each(now, object("set"), func(at map[string]any, name string, value any) {
		if reflect.DeepEqual(at[name], value) {
			fault("what is set is so already")
		}
		at[name] = value
	})
	each(now, object("add"), func(at map[string]any, name string, value any) {
		list, _ := at[name].([]any)
		for _, item := range value.([]any) {
			if slices.ContainsFunc(list, func(x any) bool { return reflect.DeepEqual(x, item) }) {
				fault("an item that is added is there")
			}
			list = append(slices.Clone(list), item)
		}
		at[name] = list
	})
	return now, why
}

// clearMembers leaves out what is of the record and not of the designation.
func clearMembers(o map[string]any) map[string]any {
	for _, name := range []string{"ledger", "thread", "issuer", "issuedAt", "follows", "note", "document"} {
		delete(o, name)
	}
	return o
}

// newest entry of these kinds on a thread; its st is nil if there is none.
func (m *model) newest(thread record.Thread, kinds ...string) (found entry) {
	for _, e := range m.log {
		if e.st != nil && e.st.Thread == thread && (len(kinds) == 0 || slices.Contains(kinds, e.kind)) {
			found = e
		}
	}
	return found
}

func (m *model) byID(id record.ID) (entry, bool) {
	i := slices.IndexFunc(m.log, func(e entry) bool { return e.id == id })
	if i < 0 {
		return entry{}, false
	}
	return m.log[i], true
}

// terms that judge an index.
func (m *model) charterAt(index int) *record.Charter {
	return m.charter(index).st.Predicate.(*record.Charter)
}

func (m *model) hasRole(party string, role record.Role) bool {
	return slices.ContainsFunc(m.log, func(e entry) bool {
		return e.kind == "enrol" && e.party == party && slices.Contains(e.st.Predicate.(*record.Enrolment).Roles, role)
	})
}

func (m *model) enrolment(party string) (entry, bool) {
	i := slices.IndexFunc(m.log, func(e entry) bool { return e.kind == "enrol" && e.party == party })
	if i < 0 {
		return entry{}, false
	}
	return m.log[i], true
}

// held is a key that a party has or had.
type held struct {
	id, owner, holder string
	use               record.KeyUse
	functions         []record.KeyFunction
	notAfter          int
	added             entry
	registrars        bool // it was added by them
	usable            time.Time
	revoked           int // index, 0: it is not
}

func keyID(pem record.PEM) string {
	k, err := pem.Key()
	if err != nil {
		panic(err)
	}
	return k.ID()
}

// heldKeys are all keys that parties ever had, in the order in which they came.
func (m *model) heldKeys() (keys []held) {
	take := func(owner string, listed []record.PartyKey, e entry, registrars bool) {
		for _, k := range listed {
			h := held{id: keyID(k.Key), owner: owner, holder: k.Holder, use: k.Use, functions: k.Functions, notAfter: dayNumber(k.NotAfter), added: e, registrars: registrars}
			if registrars {
				p := m.charterAt(e.index).Periods.Recovery
				h.usable = e.at.AddDate(p.Years, p.Months, p.Days)
			}
			keys = append(keys, h)
		}
	}
	for _, e := range m.log {
		if e.st == nil {
			continue
		}
		switch p := e.st.Predicate.(type) {
		case *record.Enrolment:
			take(e.party, p.Keys, e, false)
		case *record.Keys:
			party := e.st.Thread.Party()
			take(party, p.Add, e, party != "authority" && e.st.Issuer == "authority")
			for _, r := range p.Revoke {
				for i := range keys {
					if keys[i].id == r.KeyID {
						keys[i].revoked = e.index
					}
				}
			}
		}
	}
	return keys
}

// everUsed says whether a key has any owner: a party, the root set, a private log.
func (m *model) everUsed(id string) (owner string) {
	for _, k := range m.heldKeys() {
		if k.id == id {
			return k.owner
		}
	}
	for _, e := range m.log {
		if c, ok := e.predicate().(*record.Charter); ok {
			for _, k := range c.RootKeys {
				if keyID(k.Key) == id {
					return "root"
				}
			}
		}
	}
	return ""
}

func (e entry) predicate() record.Predicate {
	if e.st == nil {
		return nil
	}
	return e.st.Predicate
}

// judged is a record on its way to an index, and what the text has against it.
type judged struct {
	*model
	st     *record.Statement
	env    record.Envelope
	at     time.Time
	day    int
	c      *record.Charter
	keys   []held
	signed map[string]bool
	broken map[record.RefusalClass][]string
}

// verdict is why a record may not stand next, by the class of the refusal; it may where there
// is no reason. Each signature of the envelope is a true one of the key that it names.
func (m *model) verdict(st *record.Statement, env record.Envelope, at time.Time) map[record.RefusalClass][]string {
	n := len(m.log)
	j := &judged{model: m, st: st, env: env, at: at, day: dayOf(at, m.charter(n).zone), c: m.charterAt(n), keys: m.heldKeys(), signed: make(map[string]bool), broken: make(map[record.RefusalClass][]string)}
	for _, s := range env.Signatures {
		j.signed[s.KeyID] = true
	}
	j.common()
	j.kind()
	return j.broken
}

func (j *judged) refuse(when bool, class record.RefusalClass, why string) {
	if when {
		j.broken[class] = append(j.broken[class], why)
	}
}

func (j *judged) common() {
	st := j.st
	first := st.Kind == record.KindEnrolment && j.newest(st.Thread).st == nil
	_, known := j.enrolment(st.Issuer)
	j.refuse(st.Ledger != j.log[0].id, record.Invalid, "another ledger's")
	j.refuse(!known && !first, record.Invalid, "nobody enrolled the issuer")
	j.refuse(j.at.Before(st.IssuedAt.Add(-5*time.Minute)), record.TooEarly, "issued ahead")
	d := j.c.Periods.Draft
	j.refuse(j.at.After(st.IssuedAt.UTC().AddDate(d.Years, d.Months, d.Days)), record.Conflict, "an abandoned draft")
	j.refuse(st.Follows != j.newest(st.Thread).id, record.Conflict, "does not follow the newest")
}

// counts says whether a party's key counts for a record now.
func (j *judged) counts(k held) bool {
	standing, _ := j.status(k.owner, len(j.log), j.day)
	if k.owner == j.st.Issuer && j.st.Kind == record.KindEnrolment && j.newest(j.st.Thread).st == nil {
		return false // it proves possession, nothing else
	}
	may := standing == "active" || standing == "suspended" && (j.st.Kind == record.KindResponse || j.st.Kind == record.KindKeys)
	return may && j.signed[k.id] && k.revoked == 0 && (k.notAfter == 0 || j.day <= k.notAfter) && !(k.registrars && j.at.Before(k.usable))
}

// holders are how many posts signed with keys that count and that are such.
func (j *judged) holders(owner string, such func(held) bool) int64 {
	posts := make(map[string]bool)
	for _, k := range j.keys {
		if k.owner == owner && j.counts(k) && such(k) {
			posts[k.holder] = true
		}
	}
	return int64(len(posts))
}

func officer(k held) bool { return k.use == record.UseOfficer }

func filer(k held) bool { return k.use != record.UseRecovery }

func (j *judged) officers(f record.KeyFunction) int64 {
	return j.holders("authority", func(k held) bool {
		return slices.Contains(k.functions, f) && (officer(k) || f == record.FuncImporter)
	})
}

// roots are how many posts of a root set signed.
func (j *judged) roots(set []record.RootKey) int64 {
	posts := make(map[string]bool)
	for _, k := range set {
		if j.signed[keyID(k.Key)] {
			posts[k.Holder] = true
		}
	}
	return int64(len(posts))
}

func (j *judged) enoughRoots() bool { return j.roots(j.c.RootKeys) >= j.c.Thresholds.Root }

func (j *judged) enoughRegistrars() bool {
	return j.officers(record.FuncRegistrar) >= j.c.Thresholds.Registrar
}

// filedBy wants a provider, and one of its keys that are such.
func (j *judged) filedBy(such func(held) bool) {
	j.refuse(!j.hasRole(j.st.Issuer, record.RoleProvider), record.Forbidden, "the issuer is no provider")
	j.refuse(j.holders(j.st.Issuer, such) < 1, record.Forbidden, "no key of the provider signed that may")
}

func (j *judged) kind() {
	switch p := j.st.Predicate.(type) {
	case *record.Charter:
		j.charterRules(p)
	case *record.Enrolment:
		j.enrolmentRules(p)
	case *record.Keys:
		j.keysRules(p)
	case *record.Standing:
		j.standingRules(p)
	case *record.Designation, *record.Amendment, *record.Suspension, *record.Reinstatement:
		j.designationRules()
	case *record.Revocation:
		if j.st.Thread.Family() == record.FamilyLicence {
			l := j.newest(j.st.Thread)
			j.refuse(j.officers(record.FuncLicensing) < j.c.Thresholds.Licensing, record.Forbidden, "licensing")
			j.refuse(l.st == nil, record.Invalid, "no licence is there")
			j.refuse(l.kind == "unlicense", record.Conflict, "it is revoked")
			j.refuse(!slices.Contains([]string{"lifted", "error", "superseded"}, p.Cause), record.Invalid, "no cause of a licence")
			return
		}
		j.designationRules()
	case *record.Licence:
		j.refuse(j.officers(record.FuncLicensing) < j.c.Thresholds.Licensing, record.Forbidden, "licensing")
		j.refuse(j.newest(j.st.Thread).st != nil, record.Conflict, "a thread has one licence")
		j.refuse(dayNumber(&p.Until) < j.day, record.Invalid, "over already")
		j.refuse(p.Holder != "" && !j.hasRole(p.Holder, record.RoleProvider), record.Invalid, "the holder is no provider")
		for _, name := range p.Designations {
			j.refuse(j.newest(record.DesignationThread(name)).st == nil, record.Invalid, "no such designation")
		}
	case *record.Response:
		j.filedBy(filer)
		about, ok := j.byID(record.ID(j.st.Subject.SHA256))
		order := j.st.Thread.Designation()
		j.refuse(!ok || about.st.Thread != record.DesignationThread(order), record.Invalid, "about no record of the designation")
		if newest := j.newest(record.DesignationThread(order), "designate", "amend"); newest.st != nil {
			conditions, _ := newest.terms["conditions"].([]any)
			for _, id := range p.Conditions {
				j.refuse(!slices.ContainsFunc(conditions, func(c any) bool { return c.(map[string]any)["id"] == id }), record.Invalid, "no such condition")
			}
			by := dayNumber(p.WindDownBy)
			j.refuse(by != 0 && (by < j.day || by > max(newest.from, later(j.day, j.c.Periods.Response))), record.Invalid, "windDownBy")
		}
	case *record.CIPCertification:
		j.filedBy(officer)
		j.refuse(dayNumber(&p.PeriodUntil) > j.day, record.Invalid, "not over yet")
		j.refuse(p.Initial != (j.newest(j.st.Thread).st == nil), record.Invalid, "initial is of the first alone")
	case *record.ResellerReport:
		j.resellerRules(p)
	case *record.CustomerLog:
		j.customerLogRules(p)
	case *record.AITrainingReport:
		j.filedBy(filer)
		j.refuse(dayNumber(&p.KnownOn) > j.day, record.Invalid, "known in days to come")
	case *record.AbuseReport:
		j.filedBy(filer)
		j.refuse(dayNumber(&p.PeriodUntil) > j.day, record.Invalid, "not over yet")
	case *record.DisclosureRequest:
		j.requestRules(p)
	case *record.DisclosureReceipt:
		j.receiptRules(p)
	case *record.Assessment:
		j.refuse(!j.hasRole(j.st.Issuer, record.RoleAuditor), record.Forbidden, "no auditor")
		j.refuse(j.holders(j.st.Issuer, officer) < 1, record.Forbidden, "no officer signed")
		_, ok := j.enrolment(p.Auditee)
		j.refuse(!ok, record.Invalid, "nobody enrolled the auditee")
		j.refuse(p.Auditee == j.st.Issuer, record.Invalid, "audits itself")
	}
}

func (j *judged) charterRules(p *record.Charter) {
	j.refuse(!j.enoughRoots() || j.roots(p.RootKeys) < p.Thresholds.Root, record.Forbidden, "too few root keys")
	for _, k := range p.RootKeys {
		old := slices.ContainsFunc(j.c.RootKeys, func(o record.RootKey) bool { return o.Key == k.Key })
		j.refuse(!old && !j.signed[keyID(k.Key)], record.Forbidden, "a new root key does not sign")
		owner := j.everUsed(keyID(k.Key))
		j.refuse(owner != "" && owner != "root", record.Invalid, "a root key is a party's")
	}
	j.refuse(p.Origin != j.c.Origin, record.Invalid, "the origin never changes")
	j.refuse(p.Rules < j.c.Rules, record.Invalid, "rules are only raised")
}

func (j *judged) enrolmentRules(p *record.Enrolment) {
	party := j.st.Issuer
	introduced := j.enoughRegistrars()
	if party == "authority" {
		introduced = j.enoughRoots()
	}
	if first, ok := j.enrolment(party); ok {
		j.refuse(!introduced, record.Forbidden, "registrars")
		j.refuse(j.holders(party, officer) < 1, record.Forbidden, "no officer of the party")
		e := first.st.Predicate.(*record.Enrolment)
		j.refuse(len(p.Keys) > 0, record.Invalid, "keys are of the first enrolment alone")
		j.refuse(!sameSet(p.Roles, e.Roles), record.Invalid, "roles do not change")
		j.refuse(j.st.Document == nil && j.st.Subject.SHA256 != first.id, record.Invalid, "the subject is the first enrolment")
		return
	}
	room := int64(0)
	if introduced {
		if room = record.MaxSignatures - j.c.Thresholds.Registrar; party == "authority" {
			room = record.MaxSignatures - j.c.Thresholds.Root
		}
	}
	others := j.officers(record.FuncRegistrar) // each has one key
	if slices.Equal(p.Roles, []record.Role{record.RoleReseller}) {
		sponsors := int64(0)
		for _, k := range j.keys {
			if officer(k) && j.counts(k) && j.hasRole(k.owner, record.RoleProvider) {
				sponsors++
			}
		}
		if sponsors > 0 {
			introduced, room = true, record.MaxSignatures-1
			others = max(others, sponsors)
		}
	}
	j.refuse(!introduced, record.Forbidden, "nobody introduces")
	j.refuse(int64(len(p.Keys)) > room, record.Invalid, "it lists more keys than can sign")
	j.refuse(int64(len(p.Keys))+others > record.MaxSignatures, record.TooLarge, "more signatures than an entry has")
	for i, k := range p.Keys {
		id := keyID(k.Key)
		if i == 0 {
			key, _ := k.Key.Key()
			j.refuse(j.st.Document == nil && j.st.Subject.SHA256 != sha256.Sum256(key.DER()), record.Invalid, "the subject is the first key")
		}
		j.refuse(!j.signed[id], record.Forbidden, "a listed key does not sign")
		j.refuse(j.everUsed(id) != "", record.Invalid, "a key has an owner")
	}
}

func sameSet[T ~string](a, b []T) bool {
	x, y := slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(x, y)
}

func (j *judged) keysRules(p *record.Keys) {
	party := j.st.Thread.Party()
	byRegistrar := j.st.Issuer == "authority" && party != "authority"
	officersAlone, live, thisYear := true, 0, 0
	year := func(day int) int { return dateOn(day).Year }
	for _, k := range j.keys {
		if k.owner == party && k.revoked == 0 && (k.notAfter == 0 || k.notAfter >= j.day) {
			live++
		}
		if k.owner == party && k.added.kind == "keys" && !k.registrars && year(k.added.day) == year(j.day) {
			thisYear++
		}
	}
	for i, k := range p.Add {
		id := keyID(k.Key)
		if i == 0 {
			key, _ := k.Key.Key()
			j.refuse(j.st.Document == nil && j.st.Subject.SHA256 != sha256.Sum256(key.DER()), record.Invalid, "the subject is the first added key")
		}
		j.refuse(!j.signed[id], record.Forbidden, "an added key does not sign")
		j.refuse(j.everUsed(id) != "", record.Invalid, "a key has an owner")
		officersAlone = officersAlone && k.Use == record.UseOfficer
		live++
	}
	for _, r := range p.Revoke {
		i := slices.IndexFunc(j.keys, func(k held) bool { return k.id == r.KeyID && k.owner == party })
		if i < 0 {
			j.refuse(true, record.Invalid, "revokes no key of the party")
			continue
		}
		k := j.keys[i]
		j.refuse(k.revoked > 0, record.Conflict, "it is revoked already")
		j.refuse(byRegistrar && !k.registrars, record.Forbidden, "registrars revoke what a registrar added")
		if r.CompromisedSince != nil {
			j.refuse(r.CompromisedSince.Before(k.added.at) || r.CompromisedSince.After(j.at), record.Invalid, "compromisedSince")
		}
		officersAlone = officersAlone && officer(k)
		live--
	}
	if len(p.Add) == 0 {
		first, _ := j.enrolment(party)
		j.refuse(j.st.Document == nil && j.st.Subject.SHA256 != first.id, record.Invalid, "the subject is the enrolment")
	}
	j.refuse(live > 16 && len(p.Add) > 0, record.Conflict, "more than 16 live keys")
	j.refuse(!byRegistrar && thisYear+len(p.Add) > 64 && len(p.Add) > 0, record.Conflict, "more than 64 keys in a year")
	switch {
	case party == "authority":
		j.refuse(len(p.Add) > 0 && !j.enoughRoots(), record.Forbidden, "root keys add to the authority's")
		j.refuse(len(p.Revoke) > 0 && j.officers(record.FuncRegistrar) < 1, record.Forbidden, "a registrar revokes the authority's")
	case byRegistrar:
		j.refuse(!j.enoughRegistrars(), record.Forbidden, "registrars")
	default:
		recovers := officersAlone && j.holders(party, func(k held) bool { return k.use == record.UseRecovery }) > 0
		// An officer revokes a registrar's key before that may sign, too.
		j.refuse(!recovers && j.holders(party, officer) < 1, record.Forbidden, "no officer, and no recovery key for officers")
	}
}

func (j *judged) standingRules(p *record.Standing) {
	party := j.st.Thread.Party()
	enough := j.enoughRegistrars()
	if party == "authority" {
		enough = j.enoughRoots()
	}
	first, ok := j.enrolment(party)
	j.refuse(!ok, record.Invalid, "no such party")
	j.refuse(!enough, record.Forbidden, "registrars, of the authority root keys")
	j.refuse(dayNumber(&p.EffectiveOn) < j.day, record.Invalid, "effectiveOn is over")
	j.refuse(j.st.Subject.SHA256 != first.id, record.Invalid, "the subject is the enrolment")
	if !ok {
		return
	}
	now, _ := j.status(party, len(j.log), j.day)
	then, _ := j.status(party, len(j.log), dayNumber(&p.EffectiveOn))
	before, _ := j.status(party, len(j.log), dayNumber(&p.EffectiveOn)-1)
	j.refuse(now == "withdrawn" || before == "withdrawn", record.Conflict, "withdrawn is final")
	j.refuse(then == p.Status, record.Conflict, "it is so already")
	ahead := 0
	for _, e := range j.log {
		if e.kind == "standing" && e.party == party && e.on > j.day {
			ahead++
		}
	}
	j.refuse(ahead >= 16 && dayNumber(&p.EffectiveOn) > j.day, record.Conflict, "16 are announced")
}

// lists whose threads a designation's name is of.
func (j *judged) listed(order string) bool {
	return slices.ContainsFunc(j.c.Imports, func(l record.ImportList) bool { return strings.HasPrefix(order, l.List+"-") })
}

// designationRules: what of a designation's thread may be said next.
func (j *judged) designationRules() {
	order := j.st.Thread.Designation()
	newest, first := j.newest(j.st.Thread, "designate", "amend"), j.newest(j.st.Thread, "designate")
	life := first
	d, isNew := j.st.Predicate.(*record.Designation)
	var imported bool
	if isNew {
		imported = d.Source != nil
	} else if first.st != nil {
		imported = first.st.Predicate.(*record.Designation).Source != nil
	}
	enough := j.officers(record.FuncDesignator) >= j.c.Thresholds.Designation
	if imported {
		enough = enough || j.officers(record.FuncImporter) >= j.c.Thresholds.Import
	}
	j.refuse(!enough, record.Forbidden, "designators, or importers")
	var revoked entry
	for _, e := range j.log {
		if e.order == order && e.kind == "revoke" && e.index > life.index {
			revoked = e
		}
	}
	if isNew {
		j.refuse(first.st != nil && !(revoked.status == "delisted" && imported), record.Conflict, "designated already")
		j.refuse(!imported && j.listed(order), record.Invalid, "a list's thread")
		j.refuse(imported && !slices.ContainsFunc(j.c.Imports, func(l record.ImportList) bool { return l.List == d.Source.List }), record.Invalid, "no list of the charter")
		j.refuse(dayNumber(d.DeterminedOn) > j.day, record.Invalid, "determined in days to come")
		for _, id := range d.Evidence {
			_, ok := j.byID(id)
			j.refuse(!ok, record.Invalid, "no such evidence")
		}
		if !imported {
			from := dayNumber(d.EffectiveFrom)
			j.refuse(from < later(j.day, j.c.Periods.Notice), record.Invalid, "notice")
			j.refuse(d.ResponseDue != nil && dayNumber(d.ResponseDue) < later(j.day, j.c.Periods.Response), record.Invalid, "response")
			j.refuse(dayNumber(d.EffectiveUntil) >= later(from, j.c.Periods.Term), record.Invalid, "term")
		}
		return
	}
	if first.st == nil {
		j.refuse(true, record.Invalid, "nothing is designated there")
		return
	}
	if revoked.st != nil {
		j.refuse(true, record.Conflict, "revocation is final")
	}
	expired := newest.last != 0 && j.day > newest.last
	switch p := j.st.Predicate.(type) {
	case *record.Revocation:
		j.refuse(p.Cause == "delisted" && !imported, record.Invalid, "delisted is of a list")
	case *record.Suspension:
		on := dayNumber(&p.EffectiveOn)
		j.refuse(expired, record.Conflict, "over")
		j.refuse(on < j.day, record.Invalid, "effectiveOn is over")
		_, _, stands := j.suspension(order)
		j.refuse(stands, record.Conflict, "not twice")
		j.refuse(newest.last != 0 && on > newest.last, record.Invalid, "it would begin after the end")
		j.refuse(j.deciding(order) >= 16, record.Conflict, "16 decide a day")
	case *record.Reinstatement:
		on := dayNumber(&p.EffectiveOn)
		j.refuse(expired, record.Conflict, "over")
		j.refuse(on < j.day, record.Invalid, "effectiveOn is over")
		_, last, stands := j.suspension(order)
		j.refuse(!stands, record.Conflict, "it is not suspended")
		j.refuse(stands && on > last, record.Invalid, "the suspension ends by itself")
		j.refuse(j.deciding(order) >= 16, record.Conflict, "16 decide a day")
	case *record.Amendment:
		j.refuse(expired, record.Conflict, "an amendment comes before the end")
		j.refuse(p.Type == "extension" && newest.last != 0 && j.day >= newest.last, record.Conflict, "an extension comes before effectiveUntil")
		j.amendmentRules(p, newest, imported)
	}
}

// suspension that has begun or is announced, and that no reinstatement was recorded for: its
// days, on which the designation is suspended without a break.
func (j *judged) suspension(order string) (first, last int, stands bool) {
	var newest entry
	for _, e := range j.log {
		if e.order == order && (e.kind == "suspend" || e.kind == "reinstate") {
			newest = e
		}
	}
	if newest.st == nil {
		return 0, 0, false
	}
	on := func(day int) bool { s, _ := j.suspendedOn(order, j.at, len(j.log), day); return s }
	for day := j.day; day < endOfTime; day++ {
		if !on(day) {
			continue
		}
		for first = day; on(first - 1); first-- {
		}
		for last = day; last < endOfTime && on(last+1); last++ {
		}
		if newest.kind != "reinstate" || first >= newest.on {
			return first, last, true
		}
		day = last
	}
	return 0, 0, false
}

// deciding are how many suspensions and reinstatements decide a day from today on.
func (j *judged) deciding(order string) int {
	decide := make(map[int]bool)
	for day := j.day; day < endOfTime; day++ {
		if _, e := j.suspendedOn(order, j.at, len(j.log), day); e.st != nil {
			decide[e.index] = true
		}
	}
	return len(decide)
}

func (j *judged) amendmentRules(p *record.Amendment, before entry, imported bool) {
	now, why := amended(before.terms, members(j.env)["predicate"].(map[string]any))
	j.refuse(why != "", record.Invalid, why)
	reopens := p.Reopens || p.Type == "scope"
	if reopens {
		j.refuse(p.Reopens && imported, record.Invalid, "what is imported has no duty to respond")
		had := before.due != 0
		j.refuse(p.ResponseDue == nil && (p.Reopens || had), record.Invalid, "re-opened, and no day by which to respond")
		if p.ResponseDue != nil {
			j.refuse(imported, record.Invalid, "what is imported has no duty to respond")
			now["responseDue"] = p.ResponseDue.String()
		}
	}
	from, until, due := memberDay(now, "effectiveFrom"), memberDay(now, "effectiveUntil"), memberDay(now, "responseDue")
	j.refuse(due != 0 && (due != before.due || p.ResponseDue != nil) && due < later(j.day, j.c.Periods.Response), record.Invalid, "response")
	j.refuse(p.Type == "deadline" && (before.due == 0 || due <= before.due), record.Invalid, "a deadline that is there is put off")
	if imported {
		return
	}
	stricter := now["action"] == "prohibit" && before.terms["action"] == "condition"
	j.refuse((from != before.from || stricter) && from < later(j.day, j.c.Periods.Notice), record.Invalid, "notice")
	if p.Type == "extension" {
		j.refuse(before.last == 0 || until <= before.last, record.Invalid, "an extension is to a later day")
		j.refuse(until >= later(before.last+1, j.c.Periods.Term), record.Invalid, "term of an extension")
	} else if until-from > before.last-before.from {
		j.refuse(until >= later(from, j.c.Periods.Term), record.Invalid, "term")
	}
	j.refuse(until < from, record.Invalid, "it ends before it begins")
	conditions, _ := now["conditions"].([]any)
	j.refuse(now["action"] == "condition" && len(conditions) == 0, record.Invalid, "conditions")
}

func (j *judged) resellerRules(p *record.ResellerReport) {
	j.filedBy(officer)
	reseller := j.st.Thread.Reseller()
	if p.Status == record.ResellerActive {
		j.refuse(!j.hasRole(reseller, record.RoleReseller), record.Forbidden, "R is no reseller")
		j.refuse(j.holders(reseller, officer) < 1, record.Forbidden, "no officer of the reseller")
	}
	before := j.newest(j.st.Thread)
	next := map[string][]record.ResellerStatus{
		"": {"unconfirmed", "active"}, "unconfirmed": {"unconfirmed", "active", "breach", "terminated"}, "active": {"active", "breach", "terminated"},
		"breach": {"terminated"}, "terminated": {"unconfirmed", "active"},
	}
	class := record.Conflict
	if before.st == nil {
		class = record.Invalid
	}
	j.refuse(!slices.Contains(next[before.status], p.Status), class, "no such step")
	verified := 0
	for _, e := range j.log {
		if e.kind == "resell" && e.st.Thread == j.st.Thread {
			verified = max(verified, e.on)
		}
	}
	j.refuse(p.VerifiedAt != nil && (dayNumber(p.VerifiedAt) > j.day || dayNumber(p.VerifiedAt) < verified), record.Invalid, "verifiedAt")
	for _, day := range p.Attempts {
		j.refuse(dayNumber(&day) > j.day, record.Invalid, "tried in days to come")
	}
}

func (j *judged) customerLogRules(p *record.CustomerLog) {
	j.filedBy(filer)
	j.refuse(dayNumber(&p.PeriodUntil) > j.day, record.Invalid, "not over yet")
	j.refuse(p.Origin == j.c.Origin, record.Invalid, "this ledger's origin")
	var before entry
	vkey := p.VKey
	for _, e := range j.log {
		if e.kind != "customer-log" {
			continue
		}
		l := e.st.Predicate.(*record.CustomerLog)
		j.refuse(p.VKey != "" && samePublic(p.VKey, l.VKey), record.Invalid, "a log's key is never used again")
		if e.st.Thread == j.st.Thread {
			if before = e; vkey == "" || p.VKey == "" && l.VKey != "" {
				vkey = l.VKey
			}
		}
	}
	if vkey != "" {
		v, err := note.NewVerifier(vkey)
		if err == nil {
			_, err = note.Open([]byte(p.Checkpoint), note.VerifierList(v))
		}
		j.refuse(err != nil, record.Invalid, "the checkpoint is not signed by the log")
	}
	if before.st == nil {
		j.refuse(p.VKey == "" || p.Restart != nil || len(p.Consistency) > 0, record.Invalid, "a first record")
		return
	}
	l := before.st.Predicate.(*record.CustomerLog)
	if p.Restart != nil {
		j.refuse(p.Origin == l.Origin || p.VKey == "" || len(p.Consistency) > 0, record.Invalid, "a log that begins anew")
		return
	}
	j.refuse(p.Origin != l.Origin, record.Invalid, "another log")
	var proof tlog.TreeProof
	for _, h := range p.Consistency {
		raw, _ := base64.StdEncoding.DecodeString(h)
		proof = append(proof, tlog.Hash(raw))
	}
	root, old := tlog.Hash(j.st.Subject.SHA256), tlog.Hash(before.st.Subject.SHA256)
	switch {
	case p.Size < l.Size:
		j.refuse(true, record.Invalid, "a log never shrinks")
	case p.Size == l.Size:
		j.refuse(root != old || len(proof) > 0, record.Invalid, "the same size, another log")
	case l.Size == 0:
		j.refuse(len(proof) > 0, record.Invalid, "nothing to prove")
	default:
		j.refuse(tlog.CheckTree(proof, p.Size, root, l.Size, old) != nil, record.Invalid, "no extension of the log before")
	}
}

// samePublic says whether two verifier keys are of one key, whatever they are called.
func samePublic(a, b string) bool {
	part := func(v string) []byte {
		fields := strings.SplitN(v, "+", 3)
		if len(fields) < 3 {
			return nil
		}
		raw, _ := base64.StdEncoding.DecodeString(fields[2])
		return raw
	}
	return b != "" && bytes.Equal(part(a), part(b))
}

// asking is a request to disclose as it stands.
type asking struct {
	first                           *record.DisclosureRequest
	provider                        string // "" while it is sealed
	sealed                          bool
	last                            int // day to answer on
	asked, opened                   entry
	answered, withdrawn, unanswered entry
	byAuthority, byProvider         entry // who challenged
}

func (m *model) request(name string, at time.Time) (a asking, ok bool) {
	for _, e := range m.log {
		if e.request != name || e.at.After(at) {
			continue
		}
		switch {
		case e.kind == "receipt" && e.status == "answered":
			if a.answered.st == nil {
				a.answered = e
			}
		case e.kind == "receipt":
			if a.byProvider.st == nil {
				a.byProvider = e
			}
		case a.first == nil:
			a.first, a.provider, a.sealed, a.last, a.asked, a.opened = e.st.Predicate.(*record.DisclosureRequest), e.party, e.sealed, e.due, e, e
		case e.opens:
			a.provider, a.sealed, a.opened = e.party, false, e
			a.last = max(a.last, later(e.day, m.charterAt(e.index).Periods.Response))
		}
		if e.kind == "ask" {
			switch e.status {
			case "withdrawn":
				a.withdrawn = e
			case "unanswered":
				a.unanswered = e
			case "challenged":
				a.byAuthority = e
			}
		}
	}
	return a, a.first != nil
}

// standing of a request, and the entry that says so.
func (a asking) standing() (string, entry) {
	switch {
	case a.withdrawn.st != nil:
		return "withdrawn", a.withdrawn
	case a.answered.st != nil:
		return "answered", a.answered
	case a.unanswered.st != nil:
		return "unanswered", a.unanswered
	case a.byProvider.st != nil:
		return "challenged", a.byProvider
	case a.byAuthority.st != nil:
		return "challenged", a.byAuthority
	}
	return "open", entry{}
}

func (j *judged) requestRules(p *record.DisclosureRequest) {
	j.refuse(j.officers(record.FuncDemands) < 1, record.Forbidden, "no officer who demands")
	a, ok := j.request(j.st.Thread.Request(), j.at)
	if !ok {
		j.refuse(dayNumber(p.DueOn) < j.day, record.Invalid, "due already")
		j.refuse(p.SealedUntil != nil && dayNumber(p.SealedUntil) < j.day, record.Invalid, "the seal is over already")
		j.refuse(p.Provider.Text != "" && !j.hasRole(p.Provider.Text, record.RoleProvider), record.Invalid, "no provider")
		return
	}
	status, _ := a.standing()
	if p.Open != nil {
		if !a.sealed {
			j.refuse(true, record.Conflict, "nothing is sealed")
		} else {
			j.refuse(dayNumber(a.first.SealedUntil) > j.day, record.Invalid, "the seal holds")
			j.refuse(!j.hasRole(p.Open.Provider, record.RoleProvider), record.Invalid, "no provider")
		}
	}
	for _, again := range []bool{
		p.DueOn != nil && *p.DueOn != *a.first.DueOn, p.Jurisdiction != "" && p.Jurisdiction != a.first.Jurisdiction,
		p.SealedUntil != nil && (a.first.SealedUntil == nil || *p.SealedUntil != *a.first.SealedUntil), p.Recipient != "" && p.Recipient != a.first.Recipient,
		p.Type.Text != "" && p.Type.Text != a.first.Type.Text, p.Provider.Text != "" && p.Provider.Text != a.first.Provider.Text,
	} {
		j.refuse(again, record.Invalid, "says a term otherwise")
	}
	j.refuse(status == "withdrawn", record.Conflict, "withdrawn is final")
	switch p.Status {
	case "requested":
		j.refuse(p.Open == nil, record.Conflict, "requested already")
	case "withdrawn":
		j.refuse(status == "answered", record.Conflict, "answered")
	case "challenged":
		j.refuse(status == "answered" || status == "unanswered" || a.byAuthority.st != nil, record.Conflict, "not challenged any more")
	case "unanswered":
		opened, last := p.Open != nil, a.last
		if opened {
			last = max(last, later(j.day, j.c.Periods.Response))
		}
		j.refuse(status == "answered" || status == "unanswered", record.Conflict, "said already")
		j.refuse(a.sealed && !opened, record.Conflict, "nobody could answer yet")
		j.refuse(j.day <= last, record.Invalid, "there is time to answer")
	}
}

func (j *judged) receiptRules(p *record.DisclosureReceipt) {
	j.filedBy(officer)
	name := j.st.Thread.Request()
	a, ok := j.request(name, j.at)
	if !ok {
		j.refuse(true, record.Invalid, "no such request")
		return
	}
	to, ok := j.byID(p.Request)
	j.refuse(!ok || to.st.Thread != record.RequestThread(name), record.Invalid, "names no record of the request")
	if a.sealed {
		j.refuse(true, record.Conflict, "sealed")
		return
	}
	status, _ := a.standing()
	j.refuse(a.provider != j.st.Issuer, record.Invalid, "another is asked")
	j.refuse(status == "withdrawn", record.Conflict, "withdrawn")
	j.refuse(p.Challenged && (status == "answered" || a.byProvider.st != nil), record.Conflict, "not challenged any more")
}
