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
	switch {
	case j.head.unshown() && d.Source == nil:
		return j.conflict("%s exists already: change it by an amendment; only an imported one that was delisted is designated again", j.st.Thread)
	case j.head.unshown(): // that it was delisted is what is not shown
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
			j.renamed, row.Renamed = old.Current.Target.Name, true
		}
	}
	if d.DeterminedOn != nil && d.DeterminedOn.After(j.today) {
		return notNow("/predicate/determinedOn", "%s is after today, %s in %s", *d.DeterminedOn, j.today, j.charter.TimeZone)
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
		row.Opening = &Opening{Step: j.step(), ResponseDue: d.ResponseDue}
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
	if !enough && int64(len(importers)) < t.Import && !j.unsigned {
		j.kept = 0 // a designator's signature does not count either, and that is told
		return j.tooFew(t.Import, "importer", j.sign(j.holder(auth, importer)))
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
			return notNow("/predicate/source/list", "%q stands in no charter's imports: amend the charter first", source.List)
		}
		return nil
	}
	if l := j.charter.fromList(j.st.Thread); l != nil {
		return notNow("/predicate/thread", "threads designation/%s-… are for what is imported from the list %s: choose another name", l.List, l.List)
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

// fromList says whether a thread is one of an imported list's, by its name.
func (c *CharterRow) fromList(thread string) *record.Source {
	name := strings.TrimPrefix(thread, "designation/")
	for _, l := range c.Imports {
		if id, ok := strings.CutPrefix(name, l.List+"-"); ok {
			return &record.Source{List: l.List, ID: id}
		}
	}
	return nil
}

// inTerm: the last day in force is before effectiveFrom + term.
func (j *judging) inTerm(d *record.Designation) error {
	if end := d.EffectiveFrom.Add(j.charter.Periods.Term); !d.EffectiveUntil.Before(end) {
		return notNow("/predicate/effectiveUntil", "%s: the term is %s, so %s is the latest; later by an extension", *d.EffectiveUntil, j.charter.Periods.Term, end.AddDays(-1))
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
