package register

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// judgeDesignation: threshold designators; of a charter's list, importers too.
// A thread has one life, but an imported entity may come back after delisted.
func (j *judgment) judgeDesignation(d *record.Designation) error {
	if err := j.checkDesignators(d.Source); err != nil {
		return err
	}
	if err := j.checkListThread(d.Source); err != nil {
		return err
	}
	row := &DesignationRow{Current: *d, Opened: j.ref()}
	switch {
	case j.head.isUnshown() && d.Source == nil:
		return j.conflict("%s exists already: change it by an amendment; only an imported one that was delisted is designated again", j.st.Thread)
	case j.head.isUnshown(): // that it was delisted is what is not shown
	case j.head != nil:
		old := j.head.designation()
		if end := old.revocation(); end == nil || end.Cause != causeDelisted || !old.Imported() || d.Source == nil {
			return j.conflict("%s exists already: change it by an amendment; only an imported one that was delisted is designated again", j.st.Thread)
		}
		if was := old.Current.Source; d.Source.List != was.List || d.Source.ID != was.ID {
			return invalid("/predicate/source", "%s is %s of list %s for ever", j.st.Thread, was.ID, was.List)
		}
		row.Renamed = old.Renamed
		if old.Current.Target.Name != d.Target.Name {
			j.replacedName, row.Renamed = old.Current.Target.Name, true
		}
	}
	if err := j.checkEvidence(d.Evidence, nil, "/predicate/evidence"); err != nil {
		return err
	}
	if d.DeterminedOn != nil && d.DeterminedOn.After(j.today) {
		return invalidForNow("/predicate/determinedOn", "%s is after today, %s in %s", *d.DeterminedOn, j.today, j.charter.TimeZone)
	}
	if d.Source == nil {
		if err := j.checkNotice(*d.EffectiveFrom); err != nil {
			return err
		}
		if err := j.checkTerm(d); err != nil {
			return err
		}
	}
	if d.ResponseDue != nil {
		if err := j.checkResponseDue(*d.ResponseDue); err != nil {
			return err
		}
		row.Opening = j.opens(d.ResponseDue)
	}
	j.state = row
	return nil
}

// checkDesignators: thresholds.designation designators or, on the threads of
// a list that stands in the charter, thresholds.import importers.
func (j *judgment) checkDesignators(source *record.Source) error {
	auth, err := j.draft.partyRow(record.Authority)
	if err != nil {
		return err
	}
	if err := j.checkStanding(auth); err != nil {
		return err
	}
	t := j.charter.Thresholds
	designators := j.countSignatures(j.roleOf(auth, isDesignator))
	enough := int64(len(designators)) >= t.Designation
	if source == nil || !j.charter.importsList(source.List) {
		if !enough {
			return j.tooFewSigners(t.Designation, "officer", designators)
		}
		return nil
	}
	importers := j.countSignatures(j.roleOf(auth, isImporter))
	if !enough && int64(len(importers)) < t.Import && !j.unsigned {
		j.counted = 0 // a designator's signature does not count either, and that is told
		return j.tooFewSigners(t.Import, "importer", j.countSignatures(j.roleOf(auth, isImporter)))
	}
	return nil
}

// importsList says whether a list stands in the charter.
func (c *CharterRow) importsList(list string) bool {
	return slices.ContainsFunc(c.Imports, func(l record.ImportList) bool { return l.List == list })
}

// checkListThread: a list's designations stand on its threads, and no other does.
func (j *judgment) checkListThread(source *record.Source) error {
	if source != nil {
		if !j.charter.importsList(source.List) {
			return invalidForNow("/predicate/source/list", "%q stands in no charter's imports: amend the charter first", source.List)
		}
		return nil
	}
	if l := j.charter.listOfThread(j.st.Thread); l != nil {
		return invalidForNow("/predicate/thread", "threads designation/%s-… are for what is imported from the list %s: choose another name", l.List, l.List)
	}
	return nil
}

// checkNotice: in force no earlier than the charter's notice after admission.
func (j *judgment) checkNotice(from record.Date) error {
	if earliest := j.today.Add(j.charter.Periods.Notice); from.Before(earliest) {
		return dateTooEarly("/predicate/effectiveFrom", earliest, "%s: notice is %s from today, %s, so %s is the earliest", from, j.charter.Periods.Notice, j.today, earliest)
	}
	return nil
}

// checkResponseDue: providers have the charter's response period from admission.
func (j *judgment) checkResponseDue(due record.Date) error {
	if earliest := j.today.Add(j.charter.Periods.Response); due.Before(earliest) {
		return dateTooEarly("/predicate/responseDue", earliest, "%s: providers have %s from today, %s, so %s is the earliest", due, j.charter.Periods.Response, j.today, earliest)
	}
	return nil
}

// listOfThread says whether a thread is one of an imported list's, by its name.
func (c *CharterRow) listOfThread(thread record.Thread) *record.Source {
	for _, l := range c.Imports {
		if id, ok := strings.CutPrefix(thread.Designation(), l.List+"-"); ok {
			return &record.Source{List: l.List, ID: id}
		}
	}
	return nil
}

// checkTerm: the last day in force is before effectiveFrom + term.
func (j *judgment) checkTerm(d *record.Designation) error {
	if end := d.EffectiveFrom.Add(j.charter.Periods.Term); !d.EffectiveUntil.Before(end) {
		return invalidForNow("/predicate/effectiveUntil", "%s: the term is %s, so %s is the latest; later by an extension", *d.EffectiveUntil, j.charter.Periods.Term, end.AddDays(-1))
	}
	return nil
}

// checkTarget applies the frozen tables to a target that an amendment made.
func checkTarget(t *record.Target) error {
	if faults := rules1.CheckTarget(t); len(faults) > 0 {
		return &record.Refusal{Class: record.Invalid, Detail: "the amended designation would be invalid", Faults: faults}
	}
	return nil
}

// amendmentExtension is the one type that is judged in its own way.
const amendmentExtension = "extension"

// judgeAmendment applies RECORDS.md "Amendments": the change itself is the record
// package's; here are the dates, which depend on the charter and on today.
func (j *judgment) judgeAmendment(a *record.Amendment) error {
	row, err := j.openDesignation()
	if err != nil || row == nil {
		return err
	}
	if err := j.checkAmendedSource(row, a); err != nil {
		return err
	}
	old := &row.Current
	amended, _, err := record.Amend(old, a)
	if err != nil {
		return err
	}
	if err := j.checkPayloadSize(amended); err != nil {
		return err
	}
	if err := checkTarget(&amended.Target); err != nil {
		return err
	}
	if err := j.checkAmendedEvidence(a, old, amended); err != nil {
		return err
	}
	next := *row
	step := j.ref()
	next.Amended = &step
	next.Opening = j.openingAfter(row, a, amended.ResponseDue)
	if err := j.checkAmendedDates(a, old, amended); err != nil {
		return err
	}
	next.Current = *amended
	if row.Imported() && amended.Target.Name != old.Target.Name {
		j.replacedName, next.Renamed = old.Target.Name, true
	}
	j.state = &next
	return nil
}

// checkEvidence: what a designation rests on are records of this ledger below its own. known are
// those that it rested on before.
func (j *judgment) checkEvidence(evidence, known []record.ID, pointer string) error {
	for i, id := range evidence {
		if slices.Contains(known, id) {
			continue
		}
		_, found, err := j.draft.recordRow(id)
		switch {
		case err != nil:
			return err
		case found:
		case j.draft.gaps != nil:
			j.draft.gaps.notFound = nil
			j.addUnchecked("that record %s, which is its evidence, stands below it", id)
		default:
			return invalidForNow(fmt.Sprintf("%s/%d", pointer, i), "no record %s stands on this ledger below index %d", id, j.index)
		}
	}
	return nil
}

// checkAmendedEvidence is the same of the records that an amendment adds or sets.
func (j *judgment) checkAmendedEvidence(a *record.Amendment, old, amended *record.Designation) error {
	added, _ := a.Add.Lookup("evidence").([]any)
	if set, ok := a.Set.Lookup("evidence").([]any); ok {
		if err := j.checkEvidence(amended.Evidence[:len(amended.Evidence)-len(added)], old.Evidence, "/predicate/set/evidence"); err != nil || len(set) == 0 {
			return err
		}
	}
	return j.checkEvidence(amended.Evidence[len(amended.Evidence)-len(added):], old.Evidence, "/predicate/add/evidence")
}

// openingAfter is what opened the duty to respond last, once the amendment is made: the
// amendment itself where it re-opens the duty, or gives it a day that it had not.
func (j *judgment) openingAfter(row *DesignationRow, a *record.Amendment, due *record.Date) *DutyOpening {
	old, step := row.Current.ResponseDue, j.ref()
	switch {
	case due != nil && (old == nil || a.ReopensDuty()):
		return j.opens(due)
	case old != nil && (due == nil || *due != *old):
		j.did.Moves, j.did.ResponseDue = true, due
		moved := *row.Opening
		moved.ResponseDue, moved.Moved = due, &step
		return &moved
	}
	return row.Opening
}

// opens notes that the record opens or re-opens the duty to respond.
func (j *judgment) opens(due *record.Date) *DutyOpening {
	j.did.Opens, j.did.ResponseDue = true, due
	return &DutyOpening{RecordRef: j.ref(), ResponseDue: due}
}

// maxDesignationBytes bounds a designation with all its amendments, in bytes of the payload
// that would say it anew: whatever is added to it, its state stays a row that can be
// read and written.
const maxDesignationBytes = 48_000

func (j *judgment) checkPayloadSize(amended *record.Designation) error {
	anew := record.Statement{Kind: amended.Kind(), Predicate: amended, Common: record.Common{
		Ledger: j.st.Ledger, Thread: j.st.Thread, Issuer: j.st.Issuer, IssuedAt: j.st.IssuedAt,
	}}
	size, err := record.PayloadLen(&anew)
	if err != nil {
		return err
	}
	if size > maxDesignationBytes {
		return invalid("/predicate", "the designation would take %d bytes as a payload, at most %d are allowed: drop some of it in the same amendment", size, maxDesignationBytes)
	}
	return nil
}

// checkAmendedSource: an amendment's own source names the same entity, and what is
// imported has no duty to respond.
func (j *judgment) checkAmendedSource(row *DesignationRow, a *record.Amendment) error {
	own := row.Current.Source
	switch {
	case own == nil && a.Source != nil:
		return invalid("/predicate/source", "%s was not imported", j.st.Thread)
	case own != nil && a.Source != nil && (a.Source.List != own.List || a.Source.ID != own.ID):
		return invalid("/predicate/source", "%s is %s of list %s for ever", j.st.Thread, own.ID, own.List)
	case own != nil && (a.Reopens || a.ResponseDue != nil):
		return invalid("/predicate/reopens", "what was imported from a list has no duty to respond")
	}
	return nil
}

// checkAmendedDates judges what an amendment does to the dates. Nothing imported has
// notice, term or response period.
func (j *judgment) checkAmendedDates(a *record.Amendment, old, next *record.Designation) error {
	if next.DeterminedOn != nil && next.DeterminedOn.After(j.today) {
		return invalidForNow("/predicate/set/determinedOn", "%s is after today, %s in %s", *next.DeterminedOn, j.today, j.charter.TimeZone)
	}
	if a.Type == amendmentExtension && old.EffectiveUntil != nil && !j.today.Before(*old.EffectiveUntil) {
		return j.conflict("an extension comes before effectiveUntil, which is %s", *old.EffectiveUntil)
	}
	if old.Source != nil {
		return nil
	}
	moved := *next.EffectiveFrom != *old.EffectiveFrom
	if moved || isStricter(old.Action, next.Action) {
		if err := j.checkNotice(*next.EffectiveFrom); err != nil {
			return err
		}
	}
	if err := j.checkAmendedTerm(a, old, next); err != nil {
		return err
	}
	if next.ResponseDue != nil && (a.ReopensDuty() || old.ResponseDue == nil || *next.ResponseDue != *old.ResponseDue) {
		return j.checkResponseDue(*next.ResponseDue)
	}
	return nil
}

// checkAmendedTerm: by extension effectiveUntil < old + 1 day + term; any other
// amendment that makes the time in force longer is held to effectiveFrom + term.
func (j *judgment) checkAmendedTerm(a *record.Amendment, old, next *record.Designation) error {
	if a.Type == amendmentExtension {
		end := old.EffectiveUntil.AddDays(1).Add(j.charter.Periods.Term)
		if !next.EffectiveUntil.Before(end) {
			return invalidForNow("/predicate/set/effectiveUntil", "%s: an extension adds at most a term of %s, so %s is the latest", *next.EffectiveUntil, j.charter.Periods.Term, end.AddDays(-1))
		}
		return nil
	}
	if next.EffectiveFrom.Before(*old.EffectiveFrom) || next.EffectiveUntil.After(*old.EffectiveUntil) {
		return j.checkTerm(next)
	}
	return nil
}

func isStricter(old, next string) bool { return old == "condition" && next == "prohibit" }

const causeDelisted = "delisted"

// revocation is the event that ended the designation, nil if none did.
func (d *DesignationRow) revocation() *LifecycleEvent { return d.Revoked }

// suspensionOn is the pause that has begun or is announced on a date, nil if there
// is none: after its last day the clock alone ends it. A reinstatement ends the one
// that it was given for, though it may be announced itself; one that holds for a
// while leaves the rest of the pause to come.
func (d *DesignationRow) suspensionOn(date record.Date) *Pause {
	if len(d.Ahead) == 0 {
		return nil
	}
	last := d.Ahead[len(d.Ahead)-1]
	for _, p := range Pauses(d.Ahead) {
		over := p.Resume != nil && !date.Before(*p.Resume)
		ended := last.Kind == record.KindReinstatement && p.From.Before(last.EffectiveOn)
		if !over && !ended {
			return &p
		}
	}
	return nil
}

// unrevokedDesignation is the designation that a later record of its family is about; nil where a
// sparse replay was not shown it.
func (j *judgment) unrevokedDesignation() (*DesignationRow, error) {
	if j.head == nil {
		return nil, invalid("/predicate/thread", "nothing was designated on %s", j.st.Thread)
	}
	if j.head.isUnshown() { // what is on a list's thread was imported: no other is admitted there
		return nil, j.checkDesignators(j.charter.listOfThread(j.st.Thread))
	}
	row := j.head.designation()
	if err := j.checkDesignators(row.Current.Source); err != nil {
		return nil, err
	}
	if end := row.revocation(); end != nil {
		return nil, j.conflict("%s was revoked (%s) at index %d: that is final", j.st.Thread, end.Cause, end.Index)
	}
	return row, nil
}

// openDesignation is the same where the clock must not have ended it either.
func (j *judgment) openDesignation() (*DesignationRow, error) {
	row, err := j.unrevokedDesignation()
	if err != nil || row == nil {
		return nil, err
	}
	if until := row.Current.EffectiveUntil; until != nil && j.today.After(*until) {
		return nil, j.conflict("%s expired with %s: nothing but a revocation can follow", j.st.Thread, *until)
	}
	return row, nil
}

// judgeSuspension: announced or in force → suspended; not twice.
func (j *judgment) judgeSuspension(s *record.Suspension) error {
	j.did.EffectiveOn, j.did.Until, j.did.Reason = &s.EffectiveOn, s.Until, s.Reason
	row, err := j.openDesignation()
	if err != nil {
		return err
	}
	if row == nil {
		return j.checkNotPast("/predicate/effectiveOn", s.EffectiveOn)
	}
	if now := row.suspensionOn(j.today); now != nil {
		return j.conflict("%s is suspended already, by index %d: reinstate it first", j.st.Thread, now.By.Index)
	}
	if err := j.checkNotPast("/predicate/effectiveOn", s.EffectiveOn); err != nil {
		return err
	}
	if until := row.Current.EffectiveUntil; until != nil && s.EffectiveOn.After(*until) {
		return invalid("/predicate/effectiveOn", "%s: the designation ends with %s", s.EffectiveOn, *until)
	}
	return j.appendEvent(row, LifecycleEvent{EffectiveOn: s.EffectiveOn, Until: s.Until})
}

// judgeReinstatement: suspended → the state that the dates give.
func (j *judgment) judgeReinstatement(s *record.Reinstatement) error {
	j.did.EffectiveOn, j.did.Until, j.did.Reason = &s.EffectiveOn, s.Until, s.Reason
	row, err := j.openDesignation()
	if err != nil {
		return err
	}
	if row == nil {
		return j.checkNotPast("/predicate/effectiveOn", s.EffectiveOn)
	}
	now := row.suspensionOn(j.today)
	if now == nil {
		return j.conflict("%s is not suspended", j.st.Thread)
	}
	if err := j.checkNotPast("/predicate/effectiveOn", s.EffectiveOn); err != nil {
		return err
	}
	if now.Resume != nil && !s.EffectiveOn.Before(*now.Resume) {
		return invalid("/predicate/effectiveOn", "%s: the suspension ends by itself with %s", s.EffectiveOn, now.Resume.AddDays(-1))
	}
	return j.appendEvent(row, LifecycleEvent{EffectiveOn: s.EffectiveOn, Until: s.Until})
}

// judgeRevocation: final. effectiveOn is free, and shown as what it is.
func (j *judgment) judgeRevocation(r *record.Revocation) error {
	j.did.EffectiveOn, j.did.Cause, j.did.Reason = &r.EffectiveOn, r.Cause, r.Reason
	if j.st.Thread.Family() == record.FamilyLicence {
		return j.judgeLicenceRevocation(r)
	}
	row, err := j.unrevokedDesignation()
	if err != nil || row == nil {
		return err
	}
	if r.Cause == causeDelisted && !row.Imported() {
		return invalid("/predicate/cause", "delisted is for what was imported from a list; this was not")
	}
	j.setRevoked(row, LifecycleEvent{EffectiveOn: r.EffectiveOn, Cause: r.Cause})
	return nil
}

// checkNotPast: a date that binds others is not set back.
func (j *judgment) checkNotPast(pointer string, date record.Date) error {
	if date.Before(j.today) {
		return dateTooEarly(pointer, j.today, "%s is before today, %s in %s", date, j.today, j.charter.TimeZone)
	}
	return nil
}

// setRevoked ends the designation.
func (j *judgment) setRevoked(row *DesignationRow, e LifecycleEvent) {
	e.RecordRef, e.Kind = j.ref(), j.st.Kind
	next := *row
	next.Revoked = &e
	j.state = &next
}

// appendEvent adds a suspension or a reinstatement.
func (j *judgment) appendEvent(row *DesignationRow, e LifecycleEvent) error {
	e.RecordRef, e.Kind = j.ref(), j.st.Kind
	next := *row
	next.Ahead = relevantEvents(append(slices.Clip(row.Ahead), e), j.today)
	if len(next.Ahead) > maxAnnounced {
		return j.conflict("%d suspensions and reinstatements of %s are announced already: wait until one of them is over", maxAnnounced, j.st.Thread)
	}
	j.state = &next
	return nil
}

// relevantEvents returns the events that still decide, on some day from today on,
// whether the designation is suspended. Events whose days are over, or are all covered
// by newer events, are dropped.
func relevantEvents(events []LifecycleEvent, today record.Date) []LifecycleEvent {
	var left []LifecycleEvent
	for i, e := range events {
		span := e.days()
		if span.From.Before(today) {
			span.From = today
		}
		var shown []Pause
		if span.Resume == nil || span.From.Before(*span.Resume) {
			shown = []Pause{span}
		}
		for _, newer := range events[i+1:] {
			shown = subtractDays(shown, newer.days())
		}
		if len(shown) > 0 {
			left = append(left, e)
		}
	}
	return left
}
