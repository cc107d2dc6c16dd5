package register

import (
	"github.com/seed-53cf897a/docket/ledger/record"
)

// amendmentExtension is the one type that is judged in its own way.
const amendmentExtension = "extension"

// judgeAmendment applies RECORDS.md "Amendments": the change itself is the record
// package's; here are the dates, which depend on the charter and on today.
func (j *judgment) judgeAmendment() error {
	a := j.st.Predicate.(*record.Amendment)
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

// openingAfter is what opened the duty to respond last, once the amendment is made: the
// amendment itself where it re-opens the duty, or gives it a day that it had not.
func (j *judgment) openingAfter(row *DesignationRow, a *record.Amendment, due *record.Date) *DutyOpening {
	old, step := row.Current.ResponseDue, j.ref()
	switch {
	case due != nil && (old == nil || a.ReopensDuty()):
		return &DutyOpening{RecordRef: step, ResponseDue: due}
	case old != nil && (due == nil || *due != *old):
		moved := *row.Opening
		moved.ResponseDue, moved.Moved = due, &step
		return &moved
	}
	return row.Opening
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
