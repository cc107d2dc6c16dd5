package register

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// clockSkew is how far ahead of the ledger's clock a signer's may be.
const clockSkew = 5 * time.Minute

// judging is one record before the bench: what is known before it, and what it
// will change if it is admitted. RECORDS.md is the law; each function names the
// part that it applies.
type judging struct {
	d        *Draft
	v        record.Verified
	st       *record.Statement
	id       record.ID // of the record; zero where nobody has signed it yet
	index    uint64
	admitted time.Time

	charter *CharterRow // in force: the newest below index; at index 0 the record itself
	today   record.Date // admission date
	head    *ThreadRow  // the thread so far, nil if this record opens it

	unsigned bool        // the record alone is judged, as if all had signed who must
	tried    *record.Key // whose signature is asked about; nil but in MaySign
	kept     uint64      // bit i: signature i counts

	state   State     // the thread after this record
	keys    []*KeyRow // keys that it adds or revokes
	renamed string    // the name that it replaces, which becomes a former one; "" if none
}

// rules is the catalogue of rules 1: what each kind needs of the ledger's state.
// What it needs of itself alone, the record package has seen to.
var rules = map[record.Kind]func(*judging) error{
	record.KindCharter:          (*judging).judgeCharter,
	record.KindEnrolment:        (*judging).judgeEnrolment,
	record.KindStanding:         (*judging).judgeStanding,
	record.KindKeys:             (*judging).judgeKeys,
	record.KindDesignation:      (*judging).judgeDesignation,
	record.KindAmendment:        (*judging).judgeAmendment,
	record.KindSuspension:       (*judging).judgeSuspension,
	record.KindReinstatement:    (*judging).judgeReinstatement,
	record.KindRevocation:       (*judging).judgeRevocation,
	record.KindResponse:         (*judging).judgeResponse,
	record.KindCIPCertification: (*judging).judgeCertification,
}

// judge applies what holds for every record, then the kind's own rules.
func (j *judging) judge() error {
	if err := j.preliminaries(); err != nil {
		return err
	}
	return rules[j.st.Kind](j)
}

// preliminaries applies RECORDS.md "Every record", "Dates" and "Threads": all
// that can be said without looking at the signatures.
func (j *judging) preliminaries() error {
	if err := j.setting(); err != nil {
		return err
	}
	if rules[j.st.Kind] == nil {
		return record.Refuse(record.Unsupported, "kind %s at index %d: upgrade", j.st.Kind, j.index)
	}
	if err := j.tables(); err != nil {
		return err
	}
	if err := j.opened(); err != nil {
		return err
	}
	head, err := j.d.thread(j.st.Thread)
	if err != nil {
		return err
	}
	j.head = head // every conflict names it
	if err := j.window(); err != nil {
		return err
	}
	return j.follows()
}

// setting finds the charter that judges: the newest below the index, and index 0
// by itself.
func (j *judging) setting() error {
	if j.index == 0 {
		c, ok := j.st.Predicate.(*record.Charter)
		if !ok {
			return record.Refuse(record.Conflict, "this ledger has no charter yet: nothing else is admitted before it")
		}
		row, err := newCharterRow(c)
		if err != nil {
			return err
		}
		j.charter = row
	} else {
		j.charter = j.d.charter.State.(*CharterRow)
	}
	if j.charter.Rules > Rules {
		return record.Refuse(record.Unsupported, "needs rules %d from index %d on: upgrade", j.charter.Rules, j.rulesSince())
	}
	j.today = rules1.DateIn(j.admitted, j.charter.zone)
	if j.st.Ledger != j.d.ledger {
		if j.index == 0 {
			return invalid("/predicate/ledger", "the charter that opens a ledger names none")
		}
		return invalid("/predicate/ledger", "signed for %s, this is %s", j.st.Ledger, j.d.ledger)
	}
	return nil
}

func (j *judging) rulesSince() uint64 {
	if j.index == 0 {
		return 0
	}
	return j.d.charter.Index + 1
}

// tables applies what the frozen tables say of single values.
func (j *judging) tables() error {
	if faults := rules1.Check(j.st); len(faults) > 0 {
		return &record.Refusal{Class: record.Invalid, Detail: fmt.Sprintf("the %s breaks rules %d", j.st.Kind, Rules), Faults: faults}
	}
	return nil
}

// opened applies "Threads" as far as the ledger's state decides: index 1 enrols
// the authority, and every issuer is enrolled. That thread and issuer go
// together, the record package has checked.
func (j *judging) opened() error {
	if j.index == 1 && (j.st.Kind != record.KindEnrolment || j.st.Issuer != record.Authority) {
		return record.Refuse(record.Conflict, "the authority is not enrolled yet: index 1 is its enrolment")
	}
	if j.index < 2 || j.st.Kind == record.KindEnrolment {
		return nil
	}
	p, err := j.d.party(j.st.Issuer)
	if hidden := (*NotShownError)(nil); errors.As(err, &hidden) {
		j.d.gaps.missed = nil
		return cmp.Or(j.foreign(), err)
	}
	if err != nil || p != nil {
		return err
	}
	hint, err := j.d.similarParty(j.st.Issuer)
	if err != nil {
		return err
	}
	return notNow("/predicate/issuer", "%s is not enrolled%s", j.st.Issuer, hint)
}

// window applies issuedAt: admitted within [issuedAt − 5 min, issuedAt + draft].
func (j *judging) window() error {
	if from := j.st.IssuedAt.Add(-clockSkew); j.admitted.Before(from) {
		r := record.Refuse(record.TooEarly, "issuedAt is %s, ahead of this ledger's clock: the same envelope is fine at %s",
			record.Instant{Time: j.st.IssuedAt}, record.Instant{Time: from})
		r.RetryAt = from.UTC()
		return r
	}
	if until := j.charter.Periods.Draft.AddTo(j.st.IssuedAt); j.admitted.After(until) {
		return j.conflict("draft period over: issued at %s, it could be admitted until %s: sign again",
			record.Instant{Time: j.st.IssuedAt}, record.Instant{Time: until})
	}
	return nil
}

// follows applies the law that two writers cannot overwrite each other.
func (j *judging) follows() error {
	if j.d.gaps != nil {
		return j.followsShown()
	}
	return j.followsHead()
}

func (j *judging) followsHead() error {
	switch follows := j.st.Follows; {
	case j.head == nil && !follows.IsZero():
		return j.conflict("nothing stands on %s yet, so there is nothing to follow: leave follows out and sign again", j.st.Thread)
	case j.head != nil && follows.IsZero():
		return j.conflict("%s exists: its newest record is %s at index %d; set follows to it and sign again", j.st.Thread, j.head.ID, j.head.Index)
	case j.head != nil && follows != j.head.ID:
		return j.conflict("%s has moved on: its newest record is now %s at index %d; look at it and sign again", j.st.Thread, j.head.ID, j.head.Index)
	}
	return nil
}

// conflict refuses a step that the thread does not allow, naming its newest record.
func (j *judging) conflict(format string, args ...any) *record.Refusal {
	r := record.Refuse(record.Conflict, format, args...)
	if j.head != nil {
		r.Current = j.head.ID
	}
	return r
}

// invalid refuses a field, by its JSON pointer, and for ever: it is at fault by itself,
// or against what never changes, or against its own thread, where a record that follows
// another is a conflict.
func invalid(pointer, format string, args ...any) *record.Refusal {
	return &record.Refusal{Class: record.Invalid, Detail: "not admissible", Faults: []record.Fault{{Pointer: pointer, Detail: fmt.Sprintf(format, args...)}}}
}

// notNow refuses a field that may be right another day, under another charter, or after
// a record on another thread.
func notNow(pointer, format string, args ...any) *record.Refusal {
	r := invalid(pointer, format, args...)
	r.Passing = true
	return r
}

// tooSoon refuses a date that is too early, with the earliest one allowed. Only a
// charter with other periods heals it.
func tooSoon(pointer string, earliest record.Date, format string, args ...any) *record.Refusal {
	r := notNow(pointer, format, args...)
	r.Detail, r.Earliest = "too early a date", earliest.String()
	return r
}
