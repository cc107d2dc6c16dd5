package view_test

import (
	"crypto/sha256"
	"maps"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// judged is a record on its way to an index, and what the text has against it.
type judged struct {
	*model
	st      *record.Statement
	env     record.Envelope
	at      time.Time
	day     int
	c       *record.Charter
	keys    []held
	signed  map[string]bool
	counted bool // a signature of somebody who may sign such a record counts
	step    step
	broken  map[step]map[record.RefusalClass][]string
}

// A step is one of those in which a record is judged (RECORDS.md "Which rule"): what is wrong in one is told
// before what is wrong in a later one.
type step int

const (
	stepRecord  step = iota // the record by itself
	stepClock               // issuedAt
	stepFollows             // its place on the thread
	stepThread              // whether the thread can have it
	stepSigners             // who signs
	stepKind                // all else that its kind asks
	stepSize                // the entry
)

// verdict is why a record may not stand next, by the class of the refusal; it may where there
// is no reason. Each signature of the envelope is a true one of the key that it names. Of the
// steps in which something is wrong the first tells; but where no signature counts that anybody
// could ask for, what no signature could cure may be told before.
func (m *model) verdict(st *record.Statement, env record.Envelope, at time.Time) map[record.RefusalClass][]string {
	j := m.judge(st, env, at)
	j.common()
	j.step = stepKind
	j.kind()
	for s := stepRecord; s <= stepSize; s++ {
		if told := j.broken[s]; told != nil && s == stepSigners && !j.counted {
			maps.Copy(told, j.broken[stepKind])
			return told
		} else if told != nil {
			return told
		}
	}
	return nil
}

// judge is a record on its way to the next index.
func (m *model) judge(st *record.Statement, env record.Envelope, at time.Time) *judged {
	n := len(m.log)
	j := &judged{model: m, st: st, env: env, at: at, day: dayOf(at, m.charter(n).zone), c: m.charterAt(n), keys: m.heldKeys(), signed: make(map[string]bool), broken: make(map[step]map[record.RefusalClass][]string)}
	for _, s := range env.Signatures {
		j.signed[s.KeyID] = true
	}
	return j
}

func (j *judged) refuse(when bool, class record.RefusalClass, why string) {
	at := j.step
	switch {
	case class == record.Forbidden:
		at = stepSigners
	case class == record.TooLarge:
		at = stepSize
	}
	j.refuseAt(at, when, class, why)
}

func (j *judged) refuseAt(at step, when bool, class record.RefusalClass, why string) {
	if !when {
		return
	}
	if j.broken[at] == nil {
		j.broken[at] = make(map[record.RefusalClass][]string)
	}
	j.broken[at][class] = append(j.broken[at][class], why)
}

func (j *judged) common() {
	st := j.st
	first := st.Kind == record.KindEnrolment && j.newest(st.Thread).st == nil
	_, known := j.enrolment(st.Issuer)
	j.refuse(st.Ledger != j.log[0].id, record.Invalid, "another ledger's")
	j.refuse(!known && !first, record.Invalid, "nobody enrolled the issuer")
	j.step = stepClock
	j.refuse(j.at.Before(st.IssuedAt.Add(-5*time.Minute)), record.TooEarly, "issued ahead")
	d := j.c.Periods.Draft
	j.refuse(j.at.After(st.IssuedAt.UTC().AddDate(d.Years, d.Months, d.Days)), record.Conflict, "an abandoned draft")
	j.step = stepFollows
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
	j.counted = j.counted || len(posts) > 0
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
	j.counted = j.counted || len(posts) > 0
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
			j.refuseAt(stepThread, l.st == nil, record.Invalid, "no licence is there")
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
		for _, e := range j.log {
			l, _ := e.predicate().(*record.CustomerLog)
			j.refuse(l != nil && samePublic(l.VKey, p.VKey), record.Invalid, "the key of a private log")
		}
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
		j.counted = j.counted || j.signed[id]
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
	standing, _ := j.status(party, len(j.log), j.day)
	j.refuse(standing == "withdrawn", record.Forbidden, "the keys of who is withdrawn change no more")
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
		j.counted = j.counted || j.signed[id]
		j.refuse(!j.signed[id], record.Forbidden, "an added key does not sign")
		j.refuse(j.everUsed(id) != "", record.Invalid, "a key has an owner")
		officersAlone = officersAlone && k.Use == record.UseOfficer
		if k.NotAfter == nil || dayNumber(k.NotAfter) >= j.day {
			live++
		}
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
		j.refuse(j.st.Document == nil && !j.isEnrolment(party), record.Invalid, "the subject is the enrolment")
	}
	j.refuse(live > 16 && len(p.Add) > 0, record.Invalid, "more than 16 live keys")
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

// isEnrolment says whether the record is about a party's first enrolment, or about its newest.
func (j *judged) isEnrolment(party string) bool {
	first, _ := j.enrolment(party)
	newest := j.newest(record.PartyThread(party), "enrol", "re-enrol")
	return j.st.Subject.SHA256 == first.id || j.st.Subject.SHA256 == newest.id
}

func (j *judged) standingRules(p *record.Standing) {
	party := j.st.Thread.Party()
	enough := j.enoughRegistrars()
	if party == "authority" {
		enough = j.enoughRoots()
	}
	_, ok := j.enrolment(party)
	j.refuseAt(stepThread, !ok, record.Invalid, "no such party")
	j.refuse(!enough, record.Forbidden, "registrars, of the authority root keys")
	j.refuse(dayNumber(&p.EffectiveOn) < j.day, record.Invalid, "effectiveOn is over")
	j.refuse(!j.isEnrolment(party), record.Invalid, "the subject is the enrolment")
	if !ok {
		return
	}
	now, _ := j.status(party, len(j.log), j.day)
	changes := false
	for day := dayNumber(&p.EffectiveOn); day <= dayNumber(&p.EffectiveOn)+100; day++ {
		then, _ := j.status(party, len(j.log), day)
		changes = changes || then != p.Status
	}
	before, _ := j.status(party, len(j.log), dayNumber(&p.EffectiveOn)-1)
	j.refuse(now == "withdrawn" || before == "withdrawn", record.Conflict, "withdrawn is final")
	j.refuse(!changes, record.Conflict, "it is so already")
	ahead := 0
	for _, e := range j.log {
		if e.kind == "standing" && e.party == party && e.on > j.day {
			ahead++
		}
	}
	j.refuse(ahead >= 16 && dayNumber(&p.EffectiveOn) > j.day, record.Conflict, "16 are announced")
}
