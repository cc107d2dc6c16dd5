package register

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// judgeEnrolment: every listed key signs, and registrars (of the authority: root
// keys). A later enrolment replaces what describes the party, and nothing else.
func (j *judgment) judgeEnrolment(e *record.Enrolment) error {
	if j.head.isUnshown() {
		return j.notShown("what stands on %s before it", j.st.Thread)
	}
	if j.head != nil {
		return j.judgeReEnrolment(e)
	}
	keys, err := record.ListedKeys(j.st)
	if err != nil {
		return err
	}
	p := &PartyRow{
		ID: j.st.Issuer, Roles: e.Roles, Enrolment: j.id,
		Enrolled: j.ref(),
	}
	p.setDescription(e)
	if err := j.needEveryKey(keys); err != nil {
		return err
	}
	others, err := j.checkEnrolmentSigners(p)
	if err != nil {
		return err
	}
	if err := j.checkEnrolmentSubject(keys); err != nil {
		return err
	}
	if most := record.MaxSignatures - int(others); len(keys) > most {
		return invalidForNow("/predicate/keys", "%d keys: an entry holds %d signatures, of which %d are others': list at most %d, and add the rest by a keys record",
			len(keys), record.MaxSignatures, others, most)
	}
	if err := j.addKeys(p, "/predicate/keys", e.Keys, keys, false); err != nil {
		return err
	}
	j.state = p
	return nil
}

// checkEnrolmentSigners refuses an enrolment that lacks the registrars' (of the
// authority: root keys', of a reseller: a sponsor's) signatures, and returns how many
// signatures beside the listed keys' it needs.
func (j *judgment) checkEnrolmentSigners(p *PartyRow) (others int64, err error) {
	t := j.charter.Thresholds
	if p.ID == record.Authority {
		return t.Root, j.needSigners(t.Root, "root key", j.charter.rootHolder)
	}
	auth, err := j.draft.partyRow(record.Authority)
	if err != nil {
		return 0, err
	}
	sponsor, err := j.findSponsor(p)
	if err != nil {
		return 0, err
	}
	var signed []string
	if err := j.checkStanding(auth); err == nil {
		signed = j.countSignatures(j.roleOf(auth, isRegistrar))
	} else if sponsor == "" && !(j.unsigned && p.sponsorable()) {
		return 0, err
	}
	switch {
	case j.unsigned && p.sponsorable(): // a provider will sign, whatever the authority's standing
		return 1, nil
	case int64(len(signed)) >= t.Registrar:
		return t.Registrar, nil
	case sponsor != "":
		p.Sponsor = sponsor
		return 1, nil
	}
	return t.Registrar, j.tooFewSigners(t.Registrar, "registrar", signed)
}

// sponsorable says whether a provider may introduce the party instead of registrars: one
// that is a reseller and nothing else.
func (p *PartyRow) sponsorable() bool {
	return slices.Equal(p.Roles, []record.Role{record.RoleReseller})
}

// findSponsor finds the provider whose officer signed the enrolment of a party that may be
// sponsored; "" if none did. Of several the first by ID is named.
func (j *judgment) findSponsor(p *PartyRow) (sponsor string, err error) {
	if !p.sponsorable() {
		return "", nil
	}
	for _, s := range j.signatures() {
		k, err := j.draft.keyRow(s.Key.ID())
		if err != nil {
			return "", err
		}
		if k == nil || k.party() == "" {
			continue
		}
		provider, err := j.draft.partyRow(k.party())
		if err != nil {
			return "", err
		}
		if provider == nil || !slices.Contains(provider.Roles, record.RoleProvider) || j.checkStanding(provider) != nil {
			continue
		}
		if len(j.countSignatures(onlyKey(s.Key.ID(), j.roleOf(provider, isOfficer)))) > 0 && (sponsor == "" || provider.ID < sponsor) {
			sponsor = provider.ID
		}
	}
	return sponsor, nil
}

// judgeReEnrolment: one officer key of the party, and registrars (of the
// authority: root keys). Roles and keys stand as they are.
func (j *judgment) judgeReEnrolment(e *record.Enrolment) error {
	old := j.head.party()
	if err := j.checkStanding(old); err != nil {
		return err
	}
	if err := j.needSigners(1, "officer", j.roleOf(old, isOfficer)); err != nil {
		return err
	}
	if err := j.checkReEnrolmentSigners(old); err != nil {
		return err
	}
	if !sameRoles(e.Roles, old.Roles) {
		return invalid("/predicate/roles", "%s was enrolled as %s: a later enrolment does not change that", old.ID, joinWords(old.Roles))
	}
	if len(e.Keys) > 0 {
		return invalid("/predicate/keys", "a later enrolment lists no keys: they come and go by a keys record")
	}
	if err := j.checkReEnrolmentSubjectDigest(old); err != nil {
		return err
	}
	p := *old
	p.Enrolment = j.id
	p.setDescription(e)
	if p.LegalName != old.LegalName {
		j.replacedName, p.Renamed = old.LegalName, true
	}
	j.state = &p
	return nil
}

func (j *judgment) checkReEnrolmentSigners(p *PartyRow) error {
	if p.ID == record.Authority {
		return j.needSigners(j.charter.Thresholds.Root, "root key", j.charter.rootHolder)
	}
	return j.needRegistrars(j.charter.Thresholds.Registrar)
}

// needRegistrars need to have signed, that many.
func (j *judgment) needRegistrars(n int64) error {
	auth, err := j.draft.partyRow(record.Authority)
	if err != nil {
		return err
	}
	if err := j.checkStanding(auth); err != nil {
		return err
	}
	return j.needSigners(n, "registrar", j.roleOf(auth, isRegistrar))
}

// ref names this record.
func (j *judgment) ref() RecordRef { return RecordRef{Index: j.index, ID: j.id, Admitted: j.admitted} }

// setDescription copies what a later enrolment may replace.
func (p *PartyRow) setDescription(e *record.Enrolment) {
	p.LegalName, p.Country, p.LEI, p.Website, p.Contact = e.LegalName, e.Country, e.LEI, e.Website, e.Contact
}

// HasRole says whether the party has a role.
func (p *PartyRow) HasRole(role record.Role) bool { return slices.Contains(p.Roles, role) }

// checkEnrolmentSubject: without a document, the subject of an enrolment is its first key.
func (j *judgment) checkEnrolmentSubject(keys []*record.Key) error {
	if j.st.Document != nil || j.st.Subject.SHA256 == sha256.Sum256(keys[0].DER()) {
		return nil
	}
	return invalid("/subject/0/digest/sha256", "without a document the subject is the first key's DER: its SHA-256 is %x", sha256.Sum256(keys[0].DER()))
}

// checkReEnrolmentSubjectDigest: without a document, a later enrolment is about the party's first.
func (j *judgment) checkReEnrolmentSubjectDigest(p *PartyRow) error {
	if j.st.Document != nil || j.st.Subject.SHA256 == p.Enrolled.ID {
		return nil
	}
	return invalid("/subject/0/digest/sha256", "without a document the subject of a later enrolment is the party's first enrolment record: %s", p.Enrolled.ID)
}

func sameRoles(a, b []record.Role) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// onlyKey is the role restricted to one key.
func onlyKey(keyid string, as signerRole) signerRole {
	return func(id string) (string, bool) {
		if id != keyid {
			return "", false
		}
		return as(id)
	}
}

// party is the ID of the party that owns the key, "" if none does.
func (k *KeyRow) party() string { return k.Owner.Party() }

const (
	// maxLiveKeys bounds a party's keys, and with them what one signature may cost
	// to verify.
	maxLiveKeys = 16
	// maxYearlyKeys bounds how many keys a party adds in a civil year, so that the
	// owner of one officer key cannot fill the ledger with keys.
	maxYearlyKeys = 64
)

// judgeKeys adds and revokes a party's keys. Each added key signs; who else
// signs depends on whose keys they are (RECORDS.md "Keys and who may sign").
func (j *judgment) judgeKeys(k *record.Keys) error {
	if j.head == nil {
		return invalid("/predicate/thread", "nobody was enrolled on %s", j.st.Thread)
	}
	if j.head.isUnshown() {
		return j.judgeKeysUnshown()
	}
	p := *j.head.party()
	if p.StandingOn(j.today) == StandingWithdrawn {
		return record.Refuse(record.Forbidden, "%s is withdrawn: its keys change no more", p.ID)
	}
	added, err := record.ListedKeys(j.st)
	if err != nil {
		return err
	}
	byRegistrar := false
	switch {
	case p.ID == record.Authority:
		err = j.checkAuthorityKeysSigners(&p, k)
	case j.st.Issuer == record.Authority:
		byRegistrar = true
		err = j.checkRegistrarKeysSigners(&p, k)
	default:
		err = j.checkPartySigners(&p, k)
	}
	if err != nil {
		return err
	}
	if err := j.needEveryKey(added); err != nil {
		return err
	}
	if err := j.checkKeysSubject(&p, added); err != nil {
		return err
	}
	if !byRegistrar {
		if err := j.checkYearlyKeys(&p, len(k.Add)); err != nil {
			return err
		}
	}
	if err := j.revokeKeys(&p, k.Revoke); err != nil {
		return err
	}
	if err := j.addKeys(&p, "/predicate/add", k.Add, added, byRegistrar); err != nil {
		return err
	}
	j.state = &p
	return nil
}

// checkPartySigners: an officer key of the party; or a recovery key, where all that
// is added and revoked are officer keys.
func (j *judgment) checkPartySigners(p *PartyRow, k *record.Keys) error {
	officers := j.countSignatures(j.roleOf(p, isOfficer))
	recovery := func(row *KeyRow) bool { return row.Use == record.UseRecovery }
	only, err := j.changesOnlyOfficers(p, k)
	if err != nil {
		return err
	}
	if only {
		officers = append(officers, j.countSignatures(j.roleOf(p, recovery))...)
	} else if !j.unsigned && len(officers) == 0 && len(j.signersInRole(j.roleOf(p, recovery))) > 0 {
		return record.Refuse(record.Forbidden, "a recovery key signs only for officer keys: 1 officer needed for what else this adds or revokes")
	}
	if len(officers) == 0 {
		return j.tooFewSigners(1, "officer", nil)
	}
	return nil
}

func (j *judgment) changesOnlyOfficers(p *PartyRow, k *record.Keys) (bool, error) {
	for _, a := range k.Add {
		if a.Use != record.UseOfficer {
			return false, nil
		}
	}
	for _, r := range k.Revoke {
		if row, err := j.partyKey(p, r.KeyID); err != nil || row != nil && row.Use != record.UseOfficer {
			return false, err
		}
	}
	return true, nil
}

// partyKey is the party's key with that key ID, live or not, as this record leaves it; nil
// if it never had it.
func (j *judgment) partyKey(p *PartyRow, keyid string) (*KeyRow, error) {
	k, err := j.keyRow(keyid)
	if err != nil || k == nil || k.party() != p.ID {
		return nil, err
	}
	return k, nil
}

// checkYearlyKeys holds a party to what it may add in a civil year of the charter's zone. What
// enrols it, and what a registrar adds for it, is not counted: others answer for that.
func (j *judgment) checkYearlyKeys(p *PartyRow, adds int) error {
	if p.KeysYear < j.today.Year {
		p.KeysYear, p.KeysAdded = j.today.Year, 0
	}
	if adds > 0 && p.KeysAdded+adds > maxYearlyKeys {
		again := record.Date{Year: p.KeysYear + 1, Month: time.January, Day: 1}
		r := j.conflict("%s has added %d keys in %d and may add %d more, this adds %d: again from %s on", p.ID, p.KeysAdded, p.KeysYear, maxYearlyKeys-p.KeysAdded, adds, again)
		r.Earliest = again.String()
		return r
	}
	p.KeysAdded += adds
	return nil
}

// checkAuthorityKeysSigners: adding to the authority's keys takes root keys, revoking one
// takes one registrar, and a record that does both takes both.
func (j *judgment) checkAuthorityKeysSigners(p *PartyRow, k *record.Keys) error {
	if len(k.Add) > 0 {
		if err := j.needSigners(j.charter.Thresholds.Root, "root key", j.charter.rootHolder); err != nil {
			return err
		}
	}
	if len(k.Revoke) > 0 {
		return j.needSigners(1, "registrar", j.roleOf(p, isRegistrar))
	}
	return nil
}

// checkRegistrarKeysSigners is for a party that lost its keys. Its officers, if there
// are any left, must be able to undo it: so registrars revoke no key of theirs,
// and what is added counts only after the charter's recovery period.
func (j *judgment) checkRegistrarKeysSigners(p *PartyRow, k *record.Keys) error {
	for i, r := range k.Revoke {
		row, err := j.partyKey(p, r.KeyID)
		if err != nil {
			return err
		}
		if row != nil && !row.ByRegistrar {
			return record.Refuse(record.Forbidden, "key %s of %s was not added by a registrar: only %s revokes it (/predicate/revoke/%d)", ShortKeyID(r.KeyID), j.shownHolder(row), p.ID, i)
		}
	}
	return j.needRegistrars(j.charter.Thresholds.Registrar)
}

// judgeKeysUnshown is what can be said of a registrar's record for a party that a sparse
// replay was not shown. Any other rests on the party's own keys.
func (j *judgment) judgeKeysUnshown() error {
	if j.st.Issuer != record.Authority || j.st.Party() == record.Authority {
		return j.notShown("what stands on %s before it", j.st.Thread)
	}
	added, err := record.ListedKeys(j.st)
	if err != nil {
		return err
	}
	if err := j.needRegistrars(j.charter.Thresholds.Registrar); err != nil {
		return err
	}
	return j.needEveryKey(added)
}

// revokeKeys takes keys from a party: live ones, and such as are past notAfter, of which
// something may still have to be said.
func (j *judgment) revokeKeys(p *PartyRow, list []record.KeyRevocation) error {
	for i, r := range list {
		row, err := j.partyKey(p, r.KeyID)
		switch {
		case err != nil:
			return err
		case row == nil:
			return invalid(fmt.Sprintf("/predicate/revoke/%d/keyid", i), "key %s is none of %s", ShortKeyID(r.KeyID), p.ID)
		case row.Revoked != 0:
			return j.conflict("key %s of %s was revoked at index %d already", ShortKeyID(r.KeyID), j.shownHolder(row), row.Revoked)
		case r.CompromisedSince != nil && (r.CompromisedSince.Before(row.AddedAt) || r.CompromisedSince.After(j.admitted)):
			return invalidForNow(fmt.Sprintf("/predicate/revoke/%d/compromisedSince", i), "%s: wanted between %s, when the key was added, and now",
				*r.CompromisedSince, record.Instant{Time: row.AddedAt})
		}
		revoked, at := *row, j.admitted
		revoked.Revoked, revoked.RevokedAt, revoked.CompromisedSince = j.index, &at, r.CompromisedSince
		j.keys = append(j.keys, &revoked)
		j.did.Revoked = append(j.did.Revoked, r.KeyID)
	}
	p.Keys = slices.DeleteFunc(slices.Clone(p.Keys), func(k KeyRow) bool {
		return slices.ContainsFunc(list, func(r record.KeyRevocation) bool { return r.KeyID == k.ID })
	})
	return nil
}

// addKeys assigns keys to a party: none has or had another owner, and no more than 16
// are live at a time.
func (j *judgment) addKeys(p *PartyRow, pointer string, list []record.PartyKey, keys []*record.Key, byRegistrar bool) error {
	for i, k := range list {
		id, at := keys[i].ID(), fmt.Sprintf("%s/%d/key", pointer, i)
		old, err := j.partyKey(p, id)
		if err != nil {
			return err
		}
		if old != nil {
			if old.Revoked != 0 {
				return invalid(at, "key %s was revoked at index %d: it never comes back; make a new one", ShortKeyID(id), old.Revoked)
			}
			return invalid(at, "key %s is %s's already", ShortKeyID(id), p.ID)
		}
		row := KeyRow{
			ID: id, Owner: record.PartyThread(p.ID), PEM: k.Key, Use: k.Use, Holder: k.Holder, Functions: k.Functions, NotAfter: k.NotAfter,
			Added: j.index, AddedAt: j.admitted, ByRegistrar: byRegistrar, key: keys[i],
		}
		if byRegistrar {
			row.UsableFrom = j.usableAfterRecovery()
		}
		if err := j.assignKey(at, row); err != nil {
			return err
		}
		p.Keys = append(p.Keys, row)
		j.did.Added = append(j.did.Added, id)
	}
	p.Keys = slices.DeleteFunc(p.Keys, func(k KeyRow) bool { return k.NotAfter != nil && j.today.After(*k.NotAfter) })
	if live := len(p.Keys); len(list) > 0 && live > maxLiveKeys {
		return invalidForNow(pointer, "%s would have %d live keys, at most %d are allowed: revoke some", p.ID, live, maxLiveKeys)
	}
	return nil
}

// usableAfterRecovery is when a key that a registrar adds now can sign. No entry is admitted
// after the year 9999, nor could a row hold such a time.
func (j *judgment) usableAfterRecovery() *time.Time {
	from := j.charter.Periods.Recovery.AddTo(j.admitted)
	if last := time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC); from.After(last) {
		from = last
	}
	return &from
}

// checkKeysSubject: the document, else the first added key, else the enrolment.
func (j *judgment) checkKeysSubject(p *PartyRow, added []*record.Key) error {
	switch {
	case j.st.Document != nil:
		return nil
	case len(added) > 0:
		if j.st.Subject.SHA256 == sha256.Sum256(added[0].DER()) {
			return nil
		}
		return invalid("/subject/0/digest/sha256", "without a document the subject is the first added key's DER: its SHA-256 is %x", sha256.Sum256(added[0].DER()))
	case j.st.Subject.SHA256 == p.Enrolment || j.st.Subject.SHA256 == p.Enrolled.ID:
		return nil
	}
	return invalid("/subject/0/digest/sha256", "without a document or added keys the subject is the party's enrolment: %s", p.Enrolment)
}

// StandingOn is the party's standing on a date from this version's own record on.
func (p *PartyRow) StandingOn(date record.Date) string { return StandingOn(p.Ahead, date) }

// StandingOn is the standing of a party on a date, given the changes of it, oldest first:
// that of the newest which is effective by then.
func StandingOn(steps []StandingChange, date record.Date) string {
	for _, s := range slices.Backward(steps) {
		if !s.EffectiveOn.After(date) {
			return s.Status
		}
	}
	return StandingActive
}

// maxAnnounced bounds what may be announced at a time on one thread: changes of a
// party's standing, suspensions and reinstatements of a designation. A state holds
// them all.
const maxAnnounced = 16

// addStandingChange returns the changes that decide the standing from today on once
// next is added: the one in force, and the announced ones that take effect before next.
func addStandingChange(ahead []StandingChange, next StandingChange, today record.Date) []StandingChange {
	next.Reason = ""
	var left []StandingChange
	for _, s := range ahead {
		if s.EffectiveOn.Before(next.EffectiveOn) {
			left = append(left, s)
		}
	}
	left = append(left, next)
	for len(left) > 1 && !left[1].EffectiveOn.After(today) {
		left = left[1:]
	}
	return left
}

// Standings of a party.
const (
	StandingActive    = "active"
	StandingSuspended = "suspended"
	StandingWithdrawn = "withdrawn"
)

// checkStanding refuses what the party's standing forbids: a suspended one signs
// only responses and keys, a withdrawn one nothing.
func (j *judgment) checkStanding(p *PartyRow) error {
	switch p.StandingOn(j.today) {
	case StandingWithdrawn:
		return record.Refuse(record.Forbidden, "%s is withdrawn: it signs nothing more", p.ID)
	case StandingSuspended:
		if !kinds[j.st.Kind].whileSuspended {
			return record.Refuse(record.Forbidden, "%s is suspended: it signs only responses and keys until it is active again", p.ID)
		}
	}
	return nil
}

// judgeStanding: active → suspended ⇄ active → withdrawn, by registrars; the
// authority's by root keys.
func (j *judgment) judgeStanding(s *record.Standing) error {
	j.did.Status, j.did.EffectiveOn, j.did.Reason = s.Status, &s.EffectiveOn, s.Reason
	if j.head == nil {
		return invalid("/predicate/thread", "nobody was enrolled on %s", j.st.Thread)
	}
	if j.head.isUnshown() {
		return j.checkStandingSigners()
	}
	old := j.head.party()
	if err := j.checkStandingSigners(); err != nil {
		return err
	}
	if j.st.Subject.SHA256 != old.Enrolment && j.st.Subject.SHA256 != old.Enrolled.ID {
		return invalid("/subject/0/digest/sha256", "a standing is about the party's enrolment: %s", old.Enrolment)
	}
	if err := j.checkNotPast("/predicate/effectiveOn", s.EffectiveOn); err != nil {
		return err
	}
	if err := j.checkStandingChange(old, s); err != nil {
		return err
	}
	p := *old
	p.Ahead = addStandingChange(old.Ahead, StandingChange{RecordRef: j.ref(), Status: s.Status, EffectiveOn: s.EffectiveOn}, j.today)
	if len(p.Ahead) > 1+maxAnnounced {
		return j.conflict("%d changes of %s's standing are announced already: wait until one of them holds, or announce an earlier day", maxAnnounced, p.ID)
	}
	j.state = &p
	return nil
}

// checkStandingChange refuses what would bring back a withdrawn party, and what changes
// nothing. An announced step of this day or later is replaced; what is effective before
// it stays.
func (j *judgment) checkStandingChange(old *PartyRow, s *record.Standing) error {
	if old.StandingOn(j.today) == StandingWithdrawn {
		return j.conflict("%s is withdrawn for good; its ID is never used again", old.ID)
	}
	changes := old.StandingOn(s.EffectiveOn) != s.Status
	for i := range old.Ahead {
		switch step := &old.Ahead[i]; {
		case step.EffectiveOn.After(s.EffectiveOn):
			changes = changes || old.StandingOn(step.EffectiveOn) != s.Status
		case step.EffectiveOn.Before(s.EffectiveOn) && old.StandingOn(step.EffectiveOn) == StandingWithdrawn && step.EffectiveOn.After(j.today):
			return j.conflict("%s is withdrawn from %s on: only what is effective by then replaces that", old.ID, step.EffectiveOn)
		}
	}
	if !changes {
		return j.conflict("%s is %s already", old.ID, s.Status)
	}
	return nil
}

func (j *judgment) checkStandingSigners() error {
	if j.st.Party() == record.Authority {
		return j.needSigners(j.charter.Thresholds.Root, "root key", j.charter.rootHolder)
	}
	return j.needRegistrars(j.charter.Thresholds.Registrar)
}
