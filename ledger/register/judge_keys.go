package register

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

const (
	// maxLiveKeys bounds a party's keys, and with them what one signature may cost
	// to verify.
	maxLiveKeys = 16
	// maxYearlyKeys bounds how many a party adds in a civil year, so that whoever holds
	// one officer key cannot fill the ledger with keys.
	maxYearlyKeys = 64
)

// judgeKeys adds and revokes a party's keys. Each added key signs; who else
// signs depends on whose keys they are (RECORDS.md "Keys and who may sign").
func (j *judgment) judgeKeys() error {
	k := j.st.Predicate.(*record.Keys)
	if j.head == nil {
		return invalid("/predicate/thread", "nobody was enrolled on %s", j.st.Thread)
	}
	if j.head.isUnshown() {
		return j.judgeKeysUnshown()
	}
	p := *j.head.State.(*PartyRow)
	if p.StandingOn(j.today) == standingWithdrawn {
		return record.Refuse(record.Forbidden, "%s is withdrawn: its keys change no more", p.ID)
	}
	added, err := record.ListedKeys(j.st)
	if err != nil {
		return err
	}
	if err := j.checkKeysSubject(&p, added); err != nil {
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
			return record.Refuse(record.Forbidden, "key %s of %s was not added by a registrar: only %s revokes it (/predicate/revoke/%d)", shortKeyID(r.KeyID), row.Holder, p.ID, i)
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
			return invalid(fmt.Sprintf("/predicate/revoke/%d/keyid", i), "key %s is none of %s", shortKeyID(r.KeyID), p.ID)
		case row.Revoked != 0:
			return j.conflict("key %s of %s was revoked at index %d already", shortKeyID(r.KeyID), row.Holder, row.Revoked)
		case r.CompromisedSince != nil && (r.CompromisedSince.Before(row.AddedAt) || r.CompromisedSince.After(j.admitted)):
			return invalidForNow(fmt.Sprintf("/predicate/revoke/%d/compromisedSince", i), "%s: wanted between %s, when the key was added, and now",
				*r.CompromisedSince, record.Instant{Time: row.AddedAt})
		}
		revoked, at := *row, j.admitted
		revoked.Revoked, revoked.RevokedAt, revoked.CompromisedSince = j.index, &at, r.CompromisedSince
		j.keys = append(j.keys, &revoked)
	}
	p.Keys = slices.DeleteFunc(slices.Clone(p.Keys), func(k KeyRow) bool {
		return slices.ContainsFunc(list, func(r record.KeyRevocation) bool { return r.KeyID == k.ID })
	})
	return nil
}

// addKeys gives keys to a party: each is nobody else's and never was, and no more
// than 16 live at a time.
func (j *judgment) addKeys(p *PartyRow, pointer string, list []record.PartyKey, keys []*record.Key, byRegistrar bool) error {
	for i, k := range list {
		id, at := keys[i].ID(), fmt.Sprintf("%s/%d/key", pointer, i)
		old, err := j.partyKey(p, id)
		if err != nil {
			return err
		}
		if old != nil {
			if old.Revoked != 0 {
				return invalid(at, "key %s was revoked at index %d: it never comes back; make a new one", shortKeyID(id), old.Revoked)
			}
			return invalid(at, "key %s is %s's already", shortKeyID(id), p.ID)
		}
		row := KeyRow{
			ID: id, Owner: "party/" + p.ID, PEM: k.Key, Use: k.Use, Holder: k.Holder, Functions: k.Functions, NotAfter: k.NotAfter,
			Added: j.index, AddedAt: j.admitted, ByRegistrar: byRegistrar, key: keys[i],
		}
		if byRegistrar {
			row.UsableFrom = j.usableAfterRecovery()
		}
		if err := j.assignKey(at, row); err != nil {
			return err
		}
		p.Keys = append(p.Keys, row)
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
