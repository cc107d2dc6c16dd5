package view

import (
	"cmp"
	"container/heap"
	"fmt"
	"math"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// DutyKind says what is owed (RECORDS.md "Duties").
type DutyKind string

const (
	DutyRespond  DutyKind = "respond"  // answer a designation
	DutyConclude DutyKind = "conclude" // finish what an answer began
	DutyCertify  DutyKind = "certify"  // certify the customer identification programme
	DutyReseller DutyKind = "reseller" // verify a reseller anew, or end it after a breach
	DutyDisclose DutyKind = "disclose" // answer a request to disclose

	DutyCustomerLog      DutyKind = "customer-log"       // commit to the private customer log again
	DutyAbuseReport      DutyKind = "abuse-report"       // commit to the next batch of abuse reports
	DutyAITrainingReport DutyKind = "ai-training-report" // report a training run: known by the report alone, in time or late
)

// ResellerTask is what a provider owes about a reseller.
type ResellerTask string

const (
	TaskVerify    ResellerTask = "verify"    // anew
	TaskTerminate ResellerTask = "terminate" // after a breach
)

// Words are what is to be done, as in "to respond".
func (k DutyKind) Words() string {
	switch k {
	case DutyCustomerLog:
		return "commit to the customer log"
	case DutyAbuseReport:
		return "report abuse"
	case DutyAITrainingReport:
		return "report the training run"
	}
	return string(k)
}

// DutyState is how a duty stands at the instant asked for.
type DutyState string

const (
	DutyOpen    DutyState = "open"
	DutyMet     DutyState = "met"
	DutyLate    DutyState = "late" // met after the due date
	DutyOverdue DutyState = "overdue"
	DutyPaused  DutyState = "paused" // it would fall due in a pause that has no last day yet
	DutyLapsed  DutyState = "lapsed" // the designation ended before it was due
)

// Shown is the state as it is shown to people. For a day to come, no due date is missed
// yet: such a duty is open.
func (s DutyState) Shown(ahead bool) DutyState {
	if ahead && s == DutyOverdue {
		return DutyOpen
	}
	return s
}

// Words is the state as people are told it. Of a duty that is not overdue yet on a day to
// come it is only known that its due date comes before.
func (s DutyState) Words(ahead bool) string {
	if s.Shown(ahead) != s {
		return "due by then"
	}
	return string(s)
}

// DutyKinds and DutyStates are all of them, for parsers of filters.
var (
	DutyKinds  = []DutyKind{DutyRespond, DutyConclude, DutyCertify, DutyCustomerLog, DutyAbuseReport, DutyReseller, DutyAITrainingReport, DutyDisclose}
	DutyStates = []DutyState{DutyOpen, DutyMet, DutyLate, DutyOverdue, DutyPaused, DutyLapsed}
)

// Duty is one thing that a provider owes or owed, as it stands at one instant.
// Duties are computed when asked, never stored. Due is inclusive, in the charter's
// time zone, with what a pause adds; absent, the duty has no date: nothing sets one, or
// it is paused.
type Duty struct {
	Party       string        `json:"party"`
	Kind        DutyKind      `json:"kind"`
	Designation record.Thread `json:"designation,omitempty"`
	Target      string        `json:"target,omitempty"`   // of the designation: its name, with every amendment
	Reseller    record.Thread `json:"reseller,omitempty"` // reseller: the thread on which it is owed
	Task        ResellerTask  `json:"task,omitempty"`     // reseller: what is
	Thread      record.Thread `json:"thread,omitempty"`   // ai-training-report: the run's
	Request     record.Thread `json:"request,omitempty"`  // disclose
	State       DutyState     `json:"state"`
	Due         *record.Date  `json:"due,omitempty"`
	From        *record.Date  `json:"from,omitempty"` // certify, customer-log, abuse-report: the first day not covered
	OpenedBy    record.ID     `json:"openedBy"`
	MetBy       *record.ID    `json:"metBy,omitempty"`
	MetOn       *record.Date  `json:"metOn,omitempty"`
	Answer      string        `json:"answer,omitempty"` // the status of the response, or of the word on a reseller, that met it
	// Error says that the designation was published in error.
	Error   bool        `json:"publishedInError,omitempty"`
	Records []record.ID `json:"records"` // every record that this rests on

	position string
}

// About is what the duty is about, for people: its designation, its training run, its request,
// or its reseller and what is to be done; "" of the provider itself.
func (d Duty) About() string {
	if d.Reseller != "" {
		return fmt.Sprintf("%s, to %s", d.Reseller, d.Task)
	}
	return string(cmp.Or(d.Designation, d.Thread, d.Request))
}

// Position is where the duty stands in the list of [View.Duties].
func (d Duty) Position() string { return d.position }

// dueDateOrNil is a due date; none is later than the last that can be written (RFC 3339).
func dueDateOrNil(date record.Date) *record.Date {
	if date.Year > 9999 {
		return nil
	}
	return &date
}

// setMet notes the record that met the duty, with the state that this gives it.
func (d *Duty) setMet(by register.RecordRef, c asOf) {
	id, on := by.ID, c.admissionDate(by)
	d.MetBy, d.MetOn, d.State = &id, &on, DutyMet
	if d.Due != nil && on.After(*d.Due) {
		d.State = DutyLate
	}
	d.Records = append(d.Records, id)
}

// setOpenOrOverdue gives a duty that is not met its state, or false where nothing is
// owed: the party was withdrawn before the due date.
func (d *Duty) setOpenOrOverdue(c asOf, p *partyTimeline) bool {
	if gone := c.withdrawn(p); gone != nil && (d.Due == nil || gone.Before(*d.Due)) {
		return false
	}
	switch {
	case d.State != "": // paused or lapsed
	case d.Due != nil && c.today().After(*d.Due):
		d.State = DutyOverdue
	default:
		d.State = DutyOpen
	}
	return true
}

// applyEndAndPauses applies RECORDS.md "Pauses" and "Ends" to a duty that comes from a
// designation, and returns nil if nothing is owed. It also completes the records that
// the duty rests on. opened is when the duty began; by is the response that meets it,
// nil if none does.
//
// What was met before the end stays met; what was overdue by then stays, and may still
// be met late; all else lapsed. A due date is as it was known when the duty was met.
func (d *Duty) applyEndAndPauses(c asOf, row *designationTimeline, p *partyTimeline, opened effectTime, by *responseAt) *Duty {
	if e := row.Revoked; e != nil && e.Cause == causeError {
		d.Error = true
		d.Records = append(d.Records, e.ID)
	}
	end, over := c.designationEnd(row)
	if by != nil && (!over || c.admittedAt(by.RecordRef).before(end)) {
		d.postpone(c, row.dutyPausesBelow(by.Index, c))
		d.setMetByResponse(by, c)
		return d
	}
	paused := d.postpone(c, row.dutyPausesBelow(math.MaxUint64, c))
	switch {
	case over && (d.Due == nil || !d.Due.Before(end.day) || !opened.before(end)):
		d.State = DutyLapsed
	case by != nil:
		d.setMetByResponse(by, c)
		return d
	case paused:
		d.State = DutyPaused
	}
	if !d.setOpenOrOverdue(c, p) {
		return nil
	}
	return d
}

// setMetByResponse notes the response that met the duty.
func (d *Duty) setMetByResponse(by *responseAt, c asOf) {
	d.setMet(by.RecordRef, c)
	d.Answer = by.Status
}

// postpone moves a due date that falls into a pause to a response period after the
// pause's last day, again where it then falls into another. It reports whether the pause
// has no last day yet: then there is no date.
func (d *Duty) postpone(c asOf, pauses []register.Pause) (endless bool) {
	for d.Due != nil {
		i := slices.IndexFunc(pauses, func(p register.Pause) bool { return p.Contains(*d.Due) })
		if i < 0 {
			return false
		}
		p := pauses[i]
		if p.Of != nil {
			d.addRecord(*p.Of)
		}
		d.Records = append(d.Records, p.By.ID)
		if p.Resume == nil {
			d.Due = nil
			return true
		}
		if d.Due = dueDateOrNil(p.Resume.Add(c.periods(p.By.Index).Response)); d.Due == nil {
			return true
		}
	}
	return false
}

// responseAt is one response on a thread response/D/P.
type responseAt struct {
	register.RecordRef
	*register.ResponseRow
}

// answers are a provider's responses to one life of a designation, admitted by the
// instant asked for; nil if there are none.
type answers struct {
	newest *responseAt
	below  func(index uint64) (*responseAt, error) // the newest of the thread below an index, nil if there is none

	read map[uint64]*responseAt // by at
}

// at is the response of an index, nil for 0.
func (a *answers) at(index uint64) (*responseAt, error) {
	if a.read == nil {
		a.read = map[uint64]*responseAt{0: nil, a.newest.Index: a.newest}
	}
	if found, ok := a.read[index]; ok {
		return found, nil
	}
	found, err := a.below(index + 1)
	if err == nil && (found == nil || found.Index != index) {
		err = fmt.Errorf("no response at %d: %w", index, register.ErrDamaged)
	}
	a.read[index] = found
	return found, err
}

// since is the first response about what asks from an index on or a later record, nil if
// there is none. It halves the run of indexes in which that one must lie: it is at most
// the first about a record that late, and more than the record itself.
func (a *answers) since(asked uint64) (*responseAt, error) {
	if a == nil || a.newest.Answers.Asked < asked {
		return nil, nil
	}
	sum := a.newest.Answers
	for low := asked; sum.Before >= asked; {
		if low >= sum.First {
			return nil, fmt.Errorf("the responses up to %d do not add up: %w", a.newest.Index, register.ErrDamaged)
		}
		middle := low + (sum.First-low+1)/2
		earlier, err := a.below(middle)
		if err != nil {
			return nil, err
		}
		if earlier != nil && earlier.Answers.Life == sum.Life && earlier.Answers.Asked >= asked {
			sum = earlier.Answers
		} else {
			low = middle
		}
	}
	return a.at(sum.First)
}

// respondDuty is a provider's duty to respond to a designation, nil if it owes nothing. given
// are its responses admitted by the instant asked for; of the designation's openings and
// events row has those.
func (c asOf) respondDuty(thread record.Thread, row *designationTimeline, p *partyTimeline, given *answers) (*Duty, error) {
	asked, owes, due := c.owedOpening(row, p)
	if asked == nil {
		return nil, nil
	}
	d := &Duty{Party: p.ID, Kind: DutyRespond, Designation: thread, Target: row.Current.Target.Name, OpenedBy: asked.ID, Due: dueDateOrNil(due), Records: []record.ID{row.Opened.ID}}
	d.addRecord(asked.RecordRef)
	if asked.Moved != nil {
		d.addRecord(*asked.Moved)
	}
	d.addRecord(p.Enrolled)
	d.addRecord(owes)
	by, err := given.since(asked.Index) // one about an older record meets nothing
	if err != nil {
		return nil, err
	}
	return d.applyEndAndPauses(c, row, p, c.admittedAt(asked.RecordRef), by), nil
}

// addRecord adds a record that the duty rests on, once.
func (d *Duty) addRecord(s register.RecordRef) {
	if !slices.Contains(d.Records, s.ID) {
		d.Records = append(d.Records, s.ID)
	}
}

// owedOpening finds what a provider owes an answer to (RECORDS.md "Who owes"): the newest record
// that opened or re-opened the duty while it was active, or before it became active with
// the designation not yet ended; nil if there is none. by is the record that made it owe, due
// the day without what pauses add. A suspension ends no duty: who was suspended at
// a re-opening owes still what was asked before, until it is active again.
func (c asOf) owedOpening(row *designationTimeline, p *partyTimeline) (asked *register.DutyOpening, by register.RecordRef, due record.Date) {
	end, over := c.designationEnd(row)
	acts := c.standingPeriods(p)
	for i := len(row.Openings) - 1; i >= 0; i-- {
		o := &row.Openings[i]
		if o.ResponseDue == nil {
			continue // a correction took the day back
		}
		since, ok := activeFrom(acts, c.admittedAt(o.RecordRef))
		switch {
		case !ok || since.day.After(c.today()) || over && !since.before(end):
			continue
		case since.before(c.admittedAt(o.RecordRef)):
			return o, o.RecordRef, *o.ResponseDue
		}
		due := since.day.Add(c.periods(since.Index).Response)
		if o.ResponseDue.After(due) {
			due = *o.ResponseDue
		}
		return o, since.RecordRef, due
	}
	return nil, register.RecordRef{}, record.Date{}
}

// concludeDuty is the duty to finish what a response began, nil if none began anything, or
// the newest is `answered`. It is open from the first response that began it; of several
// days by which the provider said it would have concluded the earliest counts.
func (c asOf) concludeDuty(thread record.Thread, row *designationTimeline, p *partyTimeline, given *answers) (*Duty, error) {
	if given == nil || given.newest.Answers.Began == 0 {
		return nil, nil
	}
	sum := given.newest.Answers
	began, err := given.at(sum.Began)
	if err != nil {
		return nil, err
	}
	promised, err := given.at(sum.Promised)
	if err != nil {
		return nil, err
	}
	met, err := given.at(sum.Met)
	if err != nil {
		return nil, err
	}
	d := &Duty{Party: p.ID, Kind: DutyConclude, Designation: thread, Target: row.Current.Target.Name, OpenedBy: began.ID, Records: []record.ID{row.Opened.ID, p.Enrolled.ID, began.ID}}
	switch {
	case promised != nil:
		d.Due = dueDateOrNil(*promised.WindDownBy)
		d.addRecord(promised.RecordRef)
	case row.Current.EffectiveFrom != nil:
		d.Due = dueDateOrNil(*row.Current.EffectiveFrom)
		if row.Amended != nil {
			d.addRecord(*row.Amended)
		}
	}
	return d.applyEndAndPauses(c, row, p, c.admittedAt(began.RecordRef), met), nil
}

// upTo is the life as duties see it at an instant: of what opened, paused and ended it
// that which had been admitted by then, with everything known of its terms. So a deadline
// amended later holds for earlier instants too.
func (d *designationTimeline) upTo(c asOf) *designationTimeline {
	return &designationTimeline{
		DesignationRow: d.DesignationRow,
		Openings:       slices.DeleteFunc(slices.Clone(d.Openings), func(o register.DutyOpening) bool { return !c.includes(o.RecordRef) }),
		Events:         slices.DeleteFunc(slices.Clone(d.Events), func(e register.LifecycleEvent) bool { return !c.includes(e.RecordRef) }),
		Licences:       d.Licences,
	}
}

// periodicDuty is a duty to file again and again, each time for the days up to a later one.
type periodicDuty struct {
	kind   DutyKind
	thread func(party string) record.Thread
	period func(record.Periods) record.Period

	// fromEnrolment: the first is owed that long after the enrolment, and no day from there
	// on is left out. Else it begins with the first record that is filed, and the newest
	// day alone counts.
	fromEnrolment bool

	// exempted: an exemption from the identification programme pauses it.
	exempted bool
}

// periodicDuties are all of them, in the order of [View.Duties].
var periodicDuties = []periodicDuty{
	{DutyCertify, record.CertificationThread, func(p record.Periods) record.Period { return p.Certification }, true, true},
	{DutyCustomerLog, record.CustomerLogThread, func(p record.Periods) record.Period { return p.Commitment }, false, true},
	{DutyAbuseReport, record.AbuseThread, func(p record.Periods) record.Period { return p.Commitment }, false, false},
}

// filingAt is one record on the thread of a periodic duty: up to which day, and from which
// where that matters.
type filingAt struct {
	register.RecordRef
	from, until record.Date
}

// periodicDuties yields a provider's duties of a kind, oldest first: one met or late for each
// record that covered days not yet covered (to certify, without a gap), then the one that
// stands; until yield returns false. Each is due a period after the last day covered; to
// certify, the first is due that long after enrolment, as are those of which that day
// lies before. filed are the records admitted by the instant asked for, oldest first;
// licences are those that pause the duty.
func (c asOf) periodicDuties(o *periodicDuty, p *partyTimeline, filed []filingAt, licences []register.LicenceStep, yield func(Duty) bool) {
	enrolled := c.admissionDate(p.Enrolled)
	var d *Duty
	if o.fromEnrolment {
		d = &Duty{Party: p.ID, Kind: o.kind, OpenedBy: p.Enrolled.ID, Records: []record.ID{p.Enrolled.ID}}
		d.Due = dueDateOrNil(enrolled.Add(o.period(c.periods(p.Enrolled.Index))))
	} else {
		enrolled = record.Date{} // judges nothing
	}
	var covered coverage
	for _, f := range filed {
		if !covered.extend(f.from, f.until, enrolled) {
			continue // within what was covered, or beyond a gap
		}
		if d != nil {
			d.postpone(c, c.licencePauses(licences, f.Index))
			d.setMet(f.RecordRef, c)
			if !yield(*d) {
				return
			}
		}
		from := covered.nextUncovered(enrolled)
		base := covered.until
		if base.Before(enrolled) {
			base = enrolled
		}
		d = &Duty{Party: p.ID, Kind: o.kind, From: &from, OpenedBy: f.ID, Records: []record.ID{p.Enrolled.ID, f.ID}}
		d.Due = dueDateOrNil(base.Add(o.period(c.periods(f.Index))))
	}
	if d == nil {
		return
	}
	if d.postpone(c, c.licencePauses(licences, math.MaxUint64)) {
		d.State = DutyPaused
	}
	if d.setOpenOrOverdue(c, p) {
		yield(*d)
	}
}

// aiTrainingDuty is the duty to report a training run, which the reports on its thread
// alone make known: first is the first of them, known the first that names the earliest day.
func (c asOf) aiTrainingDuty(thread record.Thread, p *partyTimeline, first, known register.RecordRef, knownOn record.Date) Duty {
	d := Duty{Party: p.ID, Kind: DutyAITrainingReport, Thread: thread, OpenedBy: known.ID, Records: []record.ID{p.Enrolled.ID}}
	d.Due = dueDateOrNil(knownOn.Add(c.periods(known.Index).AIReport))
	d.setMet(first, c)
	d.addRecord(known)
	return d
}

// coverage is how far certifications reach without a gap, from the first one's period on.
type coverage struct {
	until     record.Date
	beyondGap dateRangeHeap // beyond a gap
}

// dateRange are days, the last inclusive.
type dateRange struct{ from, until record.Date }

// dateRangeHeap are a heap, the earliest first day on top: a provider may file as many as it
// likes, in any order.
type dateRangeHeap []dateRange

func (s dateRangeHeap) Len() int           { return len(s) }
func (s dateRangeHeap) Less(i, j int) bool { return s[i].from.Before(s[j].from) }
func (s dateRangeHeap) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *dateRangeHeap) Push(x any)        { *s = append(*s, x.(dateRange)) }
func (s *dateRangeHeap) Pop() any {
	n := len(*s) - 1
	last := (*s)[n]
	*s = (*s)[:n]
	return last
}

// nextUncovered is the first day that is not covered; none is before the enrolment.
func (c *coverage) nextUncovered(enrolled record.Date) record.Date {
	if next := c.until.AddDays(1); next.After(enrolled) {
		return next
	}
	return enrolled
}

// extend adds a period, and reports whether more is covered now.
func (c *coverage) extend(from, until, enrolled record.Date) bool {
	switch {
	case c.until.IsZero():
		c.until = until
		return true
	case !until.After(c.until):
		return false
	case from.After(c.nextUncovered(enrolled)):
		heap.Push(&c.beyondGap, dateRange{from, until})
		return false
	}
	c.until = until
	for len(c.beyondGap) > 0 && !c.beyondGap[0].from.After(c.nextUncovered(enrolled)) {
		if s := heap.Pop(&c.beyondGap).(dateRange); s.until.After(c.until) {
			c.until = s.until
		}
	}
	return true
}

// resellerAt is one record on a thread reseller/R/P.
type resellerAt struct {
	register.RecordRef
	*register.ResellerRow
}

// resellerDuties are a provider's duties by one reseller, oldest first, until yield returns
// false: to verify it anew a certification period after it was last verified, and to end a
// breach within the charter's time. What ends it meets the latter; of the former, what was
// not due by then lapses, and what was overdue is late. said are the records of the thread
// admitted by the instant asked for, oldest first.
func (c asOf) resellerDuties(thread record.Thread, p *partyTimeline, said []resellerAt, yield func(Duty) bool) {
	var verify, terminate *Duty
	open := func(task ResellerTask, by register.RecordRef, due record.Date) *Duty {
		return &Duty{Party: p.ID, Kind: DutyReseller, Reseller: thread, Task: task, OpenedBy: by.ID, Due: dueDateOrNil(due), Records: []record.ID{p.Enrolled.ID, by.ID}}
	}
	verified := record.Date{}
	for _, r := range said {
		switch r.Status {
		case record.ResellerActive:
			if verify != nil {
				if !r.VerifiedAt.After(verified) {
					continue // said again
				}
				verify.setMet(r.RecordRef, c)
				verify.Answer = string(r.Status)
				if !yield(*verify) {
					return
				}
			}
			verified = *r.VerifiedAt
			verify = open(TaskVerify, r.RecordRef, verified.Add(c.periods(r.Index).Certification))
		case record.ResellerBreach:
			terminate = open(TaskTerminate, r.RecordRef, c.admissionDate(r.RecordRef).Add(c.periods(r.Index).ResellerBreach))
		case record.ResellerTerminated:
			for _, d := range []*Duty{verify, terminate} {
				if d == nil {
					continue
				}
				d.setMet(r.RecordRef, c)
				d.Answer = string(r.Status)
				if d == verify && d.State == DutyMet {
					d.State, d.MetBy, d.MetOn, d.Answer = DutyLapsed, nil, nil, ""
				}
				if !yield(*d) {
					return
				}
			}
			verify, terminate = nil, nil
		}
	}
	for _, d := range []*Duty{verify, terminate} {
		if d != nil && d.setOpenOrOverdue(c, p) && !yield(*d) {
			return
		}
	}
}
