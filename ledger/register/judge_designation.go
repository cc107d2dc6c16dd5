package register

import (
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// judgeDesignation: threshold designators; of a charter's list, importers too.
// A thread has one life, but an imported entity may come back after delisted.
func (j *judging) judgeDesignation() error {
	d := j.st.Predicate.(*record.Designation)
	if err := j.signedByDesignators(d.Source); err != nil {
		return err
	}
	if err := j.ownThread(d.Source); err != nil {
		return err
	}
	row := &DesignationRow{Current: *d, Opened: j.step()}
	if j.head != nil {
		old := j.head.State.(*DesignationRow)
		if end := old.revocation(); end == nil || end.Cause != causeDelisted || !old.Imported() || d.Source == nil {
			return j.conflict("%s exists already: change it by an amendment; only an imported one that was delisted is designated again", j.st.Thread)
		}
		row.FormerName = formerNames(old.FormerName, old.Current.Target.Name, d.Target.Name)
	}
	if d.DeterminedOn != nil && d.DeterminedOn.After(j.today) {
		return invalid("/predicate/determinedOn", "%s is after today, %s in %s", *d.DeterminedOn, j.today, j.charter.TimeZone)
	}
	if d.Source == nil {
		if err := j.noticed(*d.EffectiveFrom); err != nil {
			return err
		}
		if err := j.inTerm(d); err != nil {
			return err
		}
	}
	if d.ResponseDue != nil {
		if err := j.timeToRespond(*d.ResponseDue); err != nil {
			return err
		}
		row.Openings = []Opening{{Step: j.step(), ResponseDue: *d.ResponseDue}}
	}
	j.state = row
	return nil
}

// signedByDesignators: thresholds.designation designators or, on the threads of
// a list that stands in the charter, thresholds.import importers.
func (j *judging) signedByDesignators(source *record.Source) error {
	auth, err := j.d.party(record.Authority)
	if err != nil {
		return err
	}
	if err := j.inStanding(auth); err != nil {
		return err
	}
	t := j.charter.Thresholds
	designators := j.sign(j.holder(auth, designator))
	enough := int64(len(designators)) >= t.Designation
	if source == nil || !j.charter.imports(source.List) {
		if !enough {
			return j.tooFew(t.Designation, "officer", designators)
		}
		return nil
	}
	importers := j.sign(j.holder(auth, importer))
	if !enough && int64(len(importers)) < t.Import {
		return j.tooFew(t.Import, "importer", importers)
	}
	return nil
}

// imports says whether a list stands in the charter.
func (c *CharterRow) imports(list string) bool {
	return slices.ContainsFunc(c.Imports, func(l record.ImportList) bool { return l.List == list })
}

// ownThread: a list's designations stand on its threads, and no other does.
func (j *judging) ownThread(source *record.Source) error {
	if source != nil {
		if !j.charter.imports(source.List) {
			return invalid("/predicate/source/list", "%q stands in no charter's imports: amend the charter first", source.List)
		}
		return nil
	}
	name := strings.TrimPrefix(j.st.Thread, "designation/")
	for _, l := range j.charter.Imports {
		if strings.HasPrefix(name, l.List+"-") {
			return invalid("/predicate/thread", "threads designation/%s-… are for what is imported from the list %s: choose another name", l.List, l.List)
		}
	}
	return nil
}

// noticed: in force no earlier than the charter's notice after admission.
func (j *judging) noticed(from record.Date) error {
	if earliest := j.today.Add(j.charter.Periods.Notice); from.Before(earliest) {
		return tooSoon("/predicate/effectiveFrom", earliest, "%s: notice is %s from today, %s, so %s is the earliest", from, j.charter.Periods.Notice, j.today, earliest)
	}
	return nil
}

// timeToRespond: providers have the charter's response period from admission.
func (j *judging) timeToRespond(due record.Date) error {
	if earliest := j.today.Add(j.charter.Periods.Response); due.Before(earliest) {
		return tooSoon("/predicate/responseDue", earliest, "%s: providers have %s from today, %s, so %s is the earliest", due, j.charter.Periods.Response, j.today, earliest)
	}
	return nil
}

// inTerm: the last day in force is before effectiveFrom + term.
func (j *judging) inTerm(d *record.Designation) error {
	if end := d.EffectiveFrom.Add(j.charter.Periods.Term); !d.EffectiveUntil.Before(end) {
		return invalid("/predicate/effectiveUntil", "%s: the term is %s, so %s is the latest; later by an extension", *d.EffectiveUntil, j.charter.Periods.Term, end.AddDays(-1))
	}
	return nil
}

const causeDelisted = "delisted"

// revocation is the event that ended the designation, nil if none did.
func (d *DesignationRow) revocation() *Event {
	if n := len(d.Events); n > 0 && d.Events[n-1].Kind == record.KindRevocation {
		return &d.Events[n-1]
	}
	return nil
}

// suspension is the suspension that has begun or is announced on a date, nil if
// there is none: after until the clock alone ends it.
func (d *DesignationRow) suspension(date record.Date) *Event {
	n := len(d.Events)
	if n == 0 || d.Events[n-1].Kind != record.KindSuspension {
		return nil
	}
	if e := &d.Events[n-1]; e.Until == nil || !date.After(*e.Until) {
		return e
	}
	return nil
}

// designated is the designation that a later record of its family is about.
func (j *judging) designated() (*DesignationRow, error) {
	if j.head == nil {
		return nil, invalid("/predicate/thread", "nothing was designated on %s", j.st.Thread)
	}
	row := j.head.State.(*DesignationRow)
	if err := j.signedByDesignators(row.Current.Source); err != nil {
		return nil, err
	}
	if end := row.revocation(); end != nil {
		return nil, j.conflict("%s was revoked (%s) at index %d: that is final", j.st.Thread, end.Cause, end.Index)
	}
	return row, nil
}

// running is the same where the clock must not have ended it either.
func (j *judging) running() (*DesignationRow, error) {
	row, err := j.designated()
	if err != nil {
		return nil, err
	}
	if until := row.Current.EffectiveUntil; until != nil && j.today.After(*until) {
		return nil, j.conflict("%s expired with %s: nothing but a revocation can follow", j.st.Thread, *until)
	}
	return row, nil
}

// judgeSuspension: announced or in force → suspended; not twice.
func (j *judging) judgeSuspension() error {
	s := j.st.Predicate.(*record.Suspension)
	row, err := j.running()
	if err != nil {
		return err
	}
	if now := row.suspension(j.today); now != nil {
		return j.conflict("%s is suspended already, by index %d: reinstate it first", j.st.Thread, now.Index)
	}
	if err := j.fromToday(s.EffectiveOn); err != nil {
		return err
	}
	if until := row.Current.EffectiveUntil; until != nil && s.EffectiveOn.After(*until) {
		return invalid("/predicate/effectiveOn", "%s: the designation ends with %s", s.EffectiveOn, *until)
	}
	j.happen(row, Event{EffectiveOn: s.EffectiveOn, Until: s.Until, Reason: s.Reason})
	return nil
}

// judgeReinstatement: suspended → the state that the dates give.
func (j *judging) judgeReinstatement() error {
	s := j.st.Predicate.(*record.Reinstatement)
	row, err := j.running()
	if err != nil {
		return err
	}
	now := row.suspension(j.today)
	if now == nil {
		return j.conflict("%s is not suspended", j.st.Thread)
	}
	if err := j.fromToday(s.EffectiveOn); err != nil {
		return err
	}
	if now.Until != nil && s.EffectiveOn.After(*now.Until) {
		return invalid("/predicate/effectiveOn", "%s: the suspension ends by itself with %s", s.EffectiveOn, *now.Until)
	}
	j.happen(row, Event{EffectiveOn: s.EffectiveOn, Until: s.Until, Reason: s.Reason})
	return nil
}

// judgeRevocation: final. effectiveOn is free, and shown as what it is.
func (j *judging) judgeRevocation() error {
	r := j.st.Predicate.(*record.Revocation)
	row, err := j.designated()
	if err != nil {
		return err
	}
	if r.Cause == causeDelisted && !row.Imported() {
		return invalid("/predicate/cause", "delisted is for what was imported from a list; this was not")
	}
	j.happen(row, Event{EffectiveOn: r.EffectiveOn, Cause: r.Cause, Reason: r.Reason})
	return nil
}

func (j *judging) fromToday(effectiveOn record.Date) error {
	if effectiveOn.Before(j.today) {
		return tooSoon("/predicate/effectiveOn", j.today, "%s is before today, %s in %s", effectiveOn, j.today, j.charter.TimeZone)
	}
	return nil
}

// happen adds an event of this record's kind.
func (j *judging) happen(row *DesignationRow, e Event) {
	e.Step, e.Kind = j.step(), j.st.Kind
	next := *row
	next.Events = append(slices.Clip(row.Events), e)
	j.state = &next
}

// formerNames are the names borne before, given that old was just replaced. A
// name that is borne again is a former one no more.
func formerNames(former []string, old, now string) []string {
	out := make([]string, 0, len(former)+1)
	for _, name := range append(slices.Clip(former), old) {
		if name != now && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// checkTarget applies the frozen tables to a target that an amendment made.
func checkTarget(t *record.Target) error {
	if faults := rules1.CheckTarget(t); len(faults) > 0 {
		return &record.Refusal{Class: record.Invalid, Detail: "the amended designation would be invalid", Faults: faults}
	}
	return nil
}
