package register

import (
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// judgeEnrolment: every listed key signs, and registrars (of the authority: root
// keys). A later enrolment replaces what describes the party, and nothing else.
func (j *judgment) judgeEnrolment() error {
	e := j.st.Predicate.(*record.Enrolment)
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
	if err := j.checkEnrolmentSubject(keys); err != nil {
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

// checkEnrolmentSigners refuses an enrolment that nobody entitled signed, and returns how
// many signatures beside the listed keys' it takes.
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
	old := j.head.State.(*PartyRow)
	if err := j.checkStanding(old); err != nil {
		return err
	}
	if !sameRoles(e.Roles, old.Roles) {
		return invalid("/predicate/roles", "%s was enrolled as %s: a later enrolment does not change that", old.ID, joinWords(old.Roles))
	}
	if len(e.Keys) > 0 {
		return invalid("/predicate/keys", "a later enrolment lists no keys: they come and go by a keys record")
	}
	if err := j.checkReEnrolmentSubject(old); err != nil {
		return err
	}
	if err := j.needSigners(1, "officer", j.roleOf(old, isOfficer)); err != nil {
		return err
	}
	if err := j.checkReEnrolmentSigners(old); err != nil {
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

// checkReEnrolmentSubject: without a document, a later enrolment is about the party's first.
func (j *judgment) checkReEnrolmentSubject(p *PartyRow) error {
	if j.st.Document != nil || j.st.Subject.SHA256 == p.Enrolled.ID {
		return nil
	}
	return invalid("/subject/0/digest/sha256", "without a document the subject of a later enrolment is the party's first enrolment record: %s", p.Enrolled.ID)
}

func sameRoles(a, b []record.Role) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// onlyKey is a capacity of one key alone.
func onlyKey(keyid string, as signerRole) signerRole {
	return func(id string) (string, bool) {
		if id != keyid {
			return "", false
		}
		return as(id)
	}
}

// party is the ID of the party that owns the key, "" if none does.
func (k *KeyRow) party() string {
	id, ok := strings.CutPrefix(k.Owner, "party/")
	if !ok {
		return ""
	}
	return id
}
