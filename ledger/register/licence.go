package register

import (
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// LicenceRow is the state of a thread licence/L: one licence, and what revoked it.
type LicenceRow struct {
	record.Licence `cbor:"1,keyasint"`
	Granted        RecordRef       `cbor:"2,keyasint"`           // the record that granted it
	Revoked        *LifecycleEvent `cbor:"3,keyasint,omitempty"` // final
}

// pausedThreads are the threads by which the duties that a licence pauses are found
// ([Snapshot.LicenceSteps]): a general one's designations, for everybody; a holder's own
// answers to a designation; and cip/P, of the holder who is exempt.
func (l *LicenceRow) pausedThreads() (threads []record.Thread) {
	for _, name := range l.Designations {
		if l.Type == record.LicenceGeneral {
			threads = append(threads, record.DesignationThread(name))
		} else {
			threads = append(threads, record.ResponseThread(name, l.Holder))
		}
	}
	if l.Type == record.LicenceADPExemption {
		threads = append(threads, record.CertificationThread(l.Holder))
	}
	return threads
}

// LicenceStep is a record that pauses duties by licence, or ends such a pause early. Each is
// listed under every thread whose duties it concerns.
type LicenceStep struct {
	RecordRef `cbor:"1,keyasint"`
	Licence   uint64      `cbor:"2,keyasint"` // index of the record that granted it: of a grant its own
	From      record.Date `cbor:"3,keyasint"` // first day of the licence; of what revokes it effectiveOn
	Until     record.Date `cbor:"4,keyasint"` // last day of the licence
}

// Grants says whether the step is a licence, and not a revocation.
func (s *LicenceStep) Grants() bool { return s.Licence == s.Index }

// licenceSteps are what the record listed: nothing but of a licence or its revocation.
func (row *ThreadRow) licenceSteps() (step LicenceStep, threads []record.Thread) {
	l := stateOf[*LicenceRow](row)
	if l == nil {
		return LicenceStep{}, nil
	}
	step = LicenceStep{RecordRef: row.Ref(), Licence: l.Granted.Index, From: l.From, Until: l.Until}
	if l.Revoked != nil {
		step.From = l.Revoked.EffectiveOn
	}
	return step, l.pausedThreads()
}

// writeLicenceSteps lists what pauses duties by licence, or no more.
func (d *Draft) writeLicenceSteps(row *ThreadRow) error {
	step, threads := row.licenceSteps()
	for _, thread := range threads {
		value, err := encodeRow(&step)
		if err != nil {
			return fmt.Errorf("encoding what %s pauses: %w", row.Thread, err)
		}
		d.put(appendListed(d.scratchKey(), tableLicence, thread, row.Index), value)
		d.licenceSteps[thread] = append(d.licenceSteps[thread], step)
	}
	return nil
}

// licenceSteps yields the steps below a size that are listed under a thread, oldest first.
func (r rowReader) licenceSteps(thread record.Thread, below uint64) (steps []LicenceStep, err error) {
	err = r.scan(appendListed(nil, tableLicence, thread, 0), appendListed(nil, tableLicence, thread, below), func(_, value []byte) (bool, error) {
		var s LicenceStep
		if err := decodeRow(value, &s); err != nil {
			return false, fmt.Errorf("what a licence pauses of %s: %w", thread, err)
		}
		steps = append(steps, s)
		return true, nil
	})
	return steps, err
}

// LicenceSteps are the licences that pause duties, and what revoked some of them, oldest
// first: by designation/D those for everybody, by response/D/P those for its provider, by
// cip/P the provider's exemptions from the identification programme.
func (s Snapshot) LicenceSteps(thread record.Thread) ([]LicenceStep, error) {
	return s.rows.licenceSteps(thread, s.size)
}

// LicencesOf are the indexes of the licences that name a designation, oldest first: general ones, and those of any
// holder.
func (s Snapshot) LicencesOf(designation record.Thread) (granted []uint64, err error) {
	visit := func(_, value []byte) (bool, error) {
		var step LicenceStep
		if err := decodeRow(value, &step); err != nil {
			return false, fmt.Errorf("which licences name %s: %w", designation, err)
		}
		if step.Index < s.size && step.Grants() {
			granted = append(granted, step.Index)
		}
		return true, nil
	}
	err = s.rows.scan(appendListed(nil, tableLicence, designation, 0), appendListed(nil, tableLicence, designation, s.size), visit)
	if err != nil {
		return nil, err
	}
	answers := append([]byte{tableLicence}, record.FamilyResponse.Prefix(designation.Name())...)
	end := append(answers[:len(answers)-1:len(answers)-1], answers[len(answers)-1]+1)
	if err = s.rows.scan(answers, end, visit); err != nil {
		return nil, err
	}
	slices.Sort(granted)
	return granted, nil
}

// LicenceSteps are those that the draft sees.
func (d *Draft) LicenceSteps(thread record.Thread) ([]LicenceStep, error) {
	steps, err := d.r.licenceSteps(thread, d.start)
	if err != nil {
		return nil, err
	}
	for _, b := range append(slices.Clip(d.earlier), d) {
		for _, s := range b.licenceSteps[thread] {
			if !slices.ContainsFunc(steps, func(have LicenceStep) bool { return have.Index == s.Index }) { // advanced over meanwhile
				steps = append(steps, s)
			}
		}
	}
	return steps, nil
}

// checkLicensing: threshold licensing officers.
func (j *judgment) checkLicensing() error {
	auth, err := j.draft.partyRow(record.Authority)
	if err != nil {
		return err
	}
	if err := j.checkStanding(auth); err != nil {
		return err
	}
	return j.needSigners(j.charter.Thresholds.Licensing, "licensing officer", j.roleOf(auth, isLicensing))
}

// judgeLicence: licensing officers, for days that are not over. A thread has one licence.
func (j *judgment) judgeLicence(l *record.Licence) error {
	if err := j.checkLicensing(); err != nil {
		return err
	}
	if j.head != nil {
		return j.conflict("%s exists already: revoke it, and grant another licence on a thread of its own", j.st.Thread)
	}
	if l.Until.Before(j.today) {
		return invalidForNow("/predicate/until", "%s is before today, %s in %s: a licence that is over permits nothing", l.Until, j.today, j.charter.TimeZone)
	}
	if err := j.checkHolder(l.Holder); err != nil {
		return err
	}
	for i, name := range l.Designations {
		if err := j.checkDesignationExists(fmt.Sprintf("/predicate/designations/%d", i), record.DesignationThread(name)); err != nil {
			return err
		}
	}
	j.did.From, j.did.Until = &l.From, &l.Until
	j.state = &LicenceRow{Licence: *l, Granted: j.ref()}
	return nil
}

// checkHolder: a licence that is not general is a provider's.
func (j *judgment) checkHolder(id string) error {
	if id == "" {
		return nil
	}
	row, err := j.draft.lookupThread(record.PartyThread(id))
	switch {
	case err != nil:
		return err
	case j.draft.gaps != nil && row.party() == nil:
		j.draft.gaps.notFound = nil
		j.addUnchecked("that its holder, %s, is a provider", id)
		return nil
	case row == nil:
		hint, err := j.draft.suggestParty(id)
		if err != nil {
			return err
		}
		return invalidForNow("/predicate/holder", "%s is not enrolled%s", id, hint)
	case !row.party().HasRole(record.RoleProvider):
		return invalidForNow("/predicate/holder", "%s is no provider (enrolled as %s)", id, joinWords(row.party().Roles))
	}
	return nil
}

// checkDesignationExists: what a record speaks of stands on the ledger.
func (j *judgment) checkDesignationExists(pointer string, thread record.Thread) error {
	row, err := j.draft.lookupThread(thread)
	switch {
	case err != nil:
		return err
	case row != nil:
		return nil
	case j.draft.gaps != nil:
		j.draft.gaps.notFound = nil
		j.addUnchecked("that there is a %s", thread)
		return nil
	}
	return invalidForNow(pointer, "there is no %s", thread)
}

// judgeLicenceRevocation: licensing officers; final. effectiveOn is free, as a
// designation's is.
func (j *judgment) judgeLicenceRevocation(r *record.Revocation) error {
	if j.head == nil {
		return invalid("/predicate/thread", "no licence was granted on %s", j.st.Thread)
	}
	if err := j.checkLicensing(); err != nil {
		return err
	}
	if j.head.isUnshown() {
		return nil
	}
	row := stateOf[*LicenceRow](j.head)
	if end := row.Revoked; end != nil {
		return j.conflict("%s was revoked (%s) at index %d: that is final", j.st.Thread, end.Cause, end.Index)
	}
	next := *row
	next.Revoked = &LifecycleEvent{RecordRef: j.ref(), Kind: j.st.Kind, EffectiveOn: r.EffectiveOn, Cause: r.Cause}
	j.state = &next
	return nil
}

func licenceCandidates(c *keyCollector, _ *record.Statement) {
	c.addParty(record.Authority, isLicensing)
}

// revocationCandidates: of a licence those who grant it, of a designation those who designate.
func revocationCandidates(c *keyCollector, st *record.Statement) {
	if st.Thread.Family() == record.FamilyLicence {
		licenceCandidates(c, st)
		return
	}
	designationCandidates(c, st)
}

// revokedState is the state of the thread on which a revocation stands.
func revokedState(thread record.Thread) State {
	if thread.Family() == record.FamilyLicence {
		return new(LicenceRow)
	}
	return new(DesignationRow)
}

func (*LicenceRow) prepare() error                                     { return nil }
func (*LicenceRow) identifiers(record.Thread) map[string]IdentifierUse { return nil }
func (*LicenceRow) renamed() bool                                      { return false }
