package register

import (
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// issuingProvider is the issuer, who must be one, in standing for this kind of record.
func (j *judgment) issuingProvider() (*PartyRow, error) {
	p, err := j.draft.partyRow(j.st.Issuer)
	if err != nil {
		return nil, err
	}
	if !p.HasRole(record.RoleProvider) {
		return nil, record.Refuse(record.Forbidden, "%s is no provider (enrolled as %s): only providers file a %s", p.ID, joinWords(p.Roles), j.st.Kind)
	}
	return p, j.checkStanding(p)
}

// judgeResponse: an officer or automation key of a provider. The subject is the
// record of the designation's thread that was seen; an older one is admitted,
// and meets no duty.
func (j *judgment) judgeResponse(r *record.Response) error {
	p, err := j.issuingProvider()
	if err != nil {
		return err
	}
	if err := j.needSigners(1, "officer or automation key", j.roleOf(p, isOfficerOrAutomation)); err != nil {
		return err
	}
	thread := j.st.Thread.About()
	head, err := j.draft.lookupThread(thread)
	if err != nil {
		return err
	}
	if j.draft.gaps != nil && !(j.draft.wholeThreads && head != nil && !head.isUnshown()) {
		return j.judgeResponseUnshown(thread, r)
	}
	if head == nil {
		return invalidForNow("/predicate/thread", "there is no %s to respond to", thread)
	}
	about, err := j.subjectIndex(head)
	if err != nil {
		return err
	}
	designation := head.designation()
	current := &designation.Current
	if r.WindDownBy != nil {
		if err := j.checkWindDownBy(*r.WindDownBy, current.EffectiveFrom); err != nil {
			return err
		}
	}
	for i, id := range r.Conditions {
		if !slices.ContainsFunc(current.Conditions, func(c record.Condition) bool { return c.ID == id }) {
			return invalidForNow(fmt.Sprintf("/predicate/conditions/%d", i), "%s has no condition %q", head.Thread, id)
		}
	}
	answer := &ResponseRow{Status: r.Status, WindDownBy: r.WindDownBy, About: about}
	var before Answers
	if last := stateOf[*ResponseRow](j.head); last != nil {
		before = last.Answers
	}
	answer.Answers = before.With(answer, j.index, designation)
	j.setAnswer(answer)
	return nil
}

// setAnswer sets what the response comes to. Its record says it all.
func (j *judgment) setAnswer(r *ResponseRow) {
	j.state = r
	j.did.Status, j.did.About, j.did.WindDownBy, j.did.Answers = r.Status, &r.About, r.WindDownBy, &r.Answers
}

func responseFromDelta(d *Delta) State {
	if d.About == nil || d.Answers == nil {
		return nil
	}
	return &ResponseRow{Status: d.Status, WindDownBy: d.WindDownBy, About: *d.About, Answers: *d.Answers}
}

// checkWindDownBy: no earlier than today, and no later than the day on which the
// designation takes effect or the last of a response period from today, whichever is
// later. More time than that is a licence, which a provider does not give itself.
func (j *judgment) checkWindDownBy(by record.Date, effectiveFrom *record.Date) error {
	if err := j.checkNotPast("/predicate/windDownBy", by); err != nil {
		return err
	}
	latest := j.today.Add(j.charter.Periods.Response)
	if effectiveFrom != nil && effectiveFrom.After(latest) {
		latest = *effectiveFrom
	}
	if by.After(latest) {
		return invalidForNow("/predicate/windDownBy", "%s: %s is the latest; more time takes a licence", by, latest)
	}
	return nil
}

// judgeResponseUnshown is for an answer in a sparse replay, which does not know how the
// designation stood: a record on its thread may be shown, and a later one not. What is
// shown of another thread is no designation's.
func (j *judgment) judgeResponseUnshown(thread record.Thread, r *record.Response) error {
	seen, shown, err := j.draft.recordRow(record.ID(j.st.Subject.SHA256))
	if err != nil {
		return err
	}
	j.draft.gaps.notFound = nil
	if shown && seen.Thread != thread {
		return invalid("/subject/0/digest/sha256", "record %s stands on %s: an answer is about a record on %s", seen.ID, seen.Thread, thread)
	}
	if !shown {
		j.addUnchecked("that record %x, which it answers, stands on %s", j.st.Subject.SHA256, thread)
	}
	if r.WindDownBy != nil {
		if err := j.checkNotPast("/predicate/windDownBy", *r.WindDownBy); err != nil {
			return err
		}
		if r.WindDownBy.After(j.today.Add(j.charter.Periods.Response)) {
			j.addUnchecked("that %s takes effect no earlier than %s, up to which it winds down", thread, r.WindDownBy)
		}
	}
	if len(r.Conditions) > 0 {
		j.addUnchecked("that %s has the conditions which it names", thread)
	}
	j.setAnswer(&ResponseRow{Status: r.Status, WindDownBy: r.WindDownBy, About: seen.Index})
	return nil
}

// subjectIndex is the index of the record that a response answers.
func (j *judgment) subjectIndex(head *ThreadRow) (uint64, error) {
	subject := record.ID(j.st.Subject.SHA256)
	if subject == head.ID {
		return head.Index, nil
	}
	seen, ok, err := j.draft.recordRow(subject)
	if err != nil {
		return 0, err
	}
	if !ok || seen.Thread != head.Thread {
		return 0, invalidForNow("/subject/0/digest/sha256", "no record %s stands on %s; its newest is %s", subject, head.Thread, head.ID)
	}
	return seen.Index, nil
}

// Statuses of a response (RECORDS.md "Kinds").
const (
	responseAcknowledged = "acknowledged"
	responseWindingDown  = "winding-down"
	responseAnswered     = "answered"
)

// OpensConclusion reports whether the answer begins something that must be concluded.
func (r *ResponseRow) OpensConclusion() bool {
	return r.Status == responseAcknowledged || r.Status == responseWindingDown
}

// With adds the next response to what those before it come to.
func (a Answers) With(r *ResponseRow, index uint64, d *DesignationRow) Answers {
	if a.Life != d.Opened.Index {
		a = Answers{Life: d.Opened.Index}
	}
	asked := d.Opened.Index
	if d.Opening != nil {
		asked = d.Opening.Index
	}
	// Whatever asks is asked about: one about a record behind what asked last answers no
	// more than that.
	if about := min(r.About, asked); about > a.Asked {
		a.Before, a.Asked, a.First = a.Asked, about, index
	}
	switch {
	case r.OpensConclusion():
		if a.Began == 0 || a.Met != 0 {
			a.Began, a.Promised, a.By, a.Met = index, 0, nil, 0
		}
		if r.WindDownBy != nil && (a.By == nil || r.WindDownBy.Before(*a.By)) {
			a.Promised, a.By = index, r.WindDownBy
		}
	case r.Status == responseAnswered:
		a.Began, a.Promised, a.By, a.Met = 0, 0, nil, 0
	case a.Began != 0 && a.Met == 0 && r.About >= asked: // one about an older record meets nothing
		a.Met = index
	}
	return a
}
