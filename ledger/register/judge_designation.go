package register

import (
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// judgeDesignation: threshold designators; of a charter's list, importers too.
// A thread has one life, but an imported entity may come back after delisted.
func (j *judgment) judgeDesignation() error {
	d := j.st.Predicate.(*record.Designation)
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
		old := j.head.State.(*DesignationRow)
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
		row.Opening = &DutyOpening{RecordRef: j.ref(), ResponseDue: d.ResponseDue}
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
func (c *CharterRow) listOfThread(thread string) *record.Source {
	name := strings.TrimPrefix(thread, "designation/")
	for _, l := range c.Imports {
		if id, ok := strings.CutPrefix(name, l.List+"-"); ok {
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
