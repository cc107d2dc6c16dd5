package view

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// DutyFilter chooses duties; what is empty chooses all.
type DutyFilter struct {
	Party       string
	Designation string // thread, or its name alone
	Kind        DutyKind
	State       DutyState
	After       string // [Duty.Position]: go on after it
}

func (f DutyFilter) matches(d *Duty) bool { return f.State == "" || f.State == d.State }

func (f DutyFilter) includesKind(k DutyKind) bool { return f.Kind == "" || f.Kind == k }

// Duties yields the duties that a filter chooses, as they stand at an instant: those
// that come from designations, by designation and party, then the periodic ones, kind by
// kind, by party, then those by resellers, by party and reseller, then training runs, by
// name and party, then those to disclose, by request; until yield returns false. A party or a designation that the view does not
// know is an [AbsentError]: what it owes is not known. A [PartialListError] names the
// place after which it goes on.
func (v *View) Duties(f DutyFilter, at time.Time, yield func(Duty) bool) error {
	from, err := parseDutyPosition(f.After)
	if err != nil {
		return err
	}
	l := &dutyWalk{
		v: v, f: f, asOf: v.asOf(at), from: from, yield: yield,
		providers: make(map[string]*partyTimeline), listProgress: listProgress{startedAfter: f.After, passed: f.After},
	}
	if f.Party != "" {
		h, err := v.threadHistory(record.PartyThread(f.Party))
		if err == nil && h == nil {
			err = v.absentWithHint(record.PartyThread(f.Party))
		}
		if err != nil {
			return err
		}
	}
	if f.Designation != "" {
		if l.single, err = v.designationHistory(record.NamedDesignation(f.Designation)); err != nil {
			return err
		}
	}
	if l.then, err = v.entriesAdmittedBy(at); err != nil {
		return err
	}
	err = l.listProgress.partial(l.run())
	var more *PartialListError
	if errors.As(err, &more) && more.Skipped != "" {
		more.Skipped = strings.TrimSuffix(strings.TrimSuffix(more.Skipped, fmt.Sprintf(" %d", allDuties)), " "+allParties)
	}
	return err
}

// DutiesAt yields the duties of some positions ([Duty.Position]) that [View.Duties] had as of the same instant.
func (v *View) DutiesAt(positions []string, at time.Time, yield func(Duty) bool) error {
	l := &dutyWalk{v: v, asOf: v.asOf(at), providers: make(map[string]*partyTimeline)}
	then, err := v.entriesAdmittedBy(at)
	if err != nil {
		return err
	}
	l.then = then
	for _, text := range positions {
		p, err := parseDutyPosition(text)
		if err != nil {
			return err
		}
		p.passed--
		var first Duty
		l.from, l.yield = p, func(d Duty) bool {
			first = d
			return false
		}
		if err := l.run(); err != nil {
			return err
		}
		if first.position == text && !yield(first) {
			return nil
		}
	}
	return nil
}

// dutyPosition is where a list of duties stands: how many of those that a party has by one
// thread were passed.
type dutyPosition struct {
	thread record.Thread // designation/D, reseller/R/P, ai/N/P, disclosure/N, or that of a periodic duty, as cip/P
	party  string
	passed int
}

// Of a thread or a party that is passed whole.
const (
	allParties = "~" // sorts after each
	allDuties  = 1 << 30
)

// dutyGroup is one of the runs of which the list of duties is made, in their order: those
// that come from designations, one for each periodic duty, those by resellers, those of
// training runs, those of requests to disclose.
type dutyGroup int

const groupDesignations dutyGroup = 0

var (
	groupResellers    = dutyGroup(1 + len(periodicDuties))
	groupTrainingRuns = groupResellers + 1
	groupRequests     = groupTrainingRuns + 1
)

// group is that in which the place is, -1 where it is none.
func (p dutyPosition) group() dutyGroup {
	switch p.thread.Family() {
	case record.FamilyDesignation:
		return groupDesignations
	case record.FamilyReseller:
		if p.thread.Party() == p.party {
			return groupResellers
		}
	case record.FamilyAITraining:
		if p.thread.Party() == p.party {
			return groupTrainingRuns
		}
	case record.FamilyDisclosure:
		if p.thread.Party() == "" {
			return groupRequests
		}
	}
	for i := range periodicDuties {
		if p.thread == periodicDuties[i].thread(p.party) {
			return dutyGroup(1 + i)
		}
	}
	return -1
}

// passedAll says that all duties of the party by the thread were passed.
func (p dutyPosition) passedAll() bool { return p.passed == allDuties }

func (p dutyPosition) String() string {
	return string(p.thread) + " " + p.party + " " + strconv.Itoa(p.passed)
}

func parseDutyPosition(text string) (p dutyPosition, err error) {
	if text == "" {
		return p, nil
	}
	part := strings.Split(text, " ")
	if len(part) == 3 {
		p.thread, _ = record.ParseThread(part[0])
		p.party = part[1]
		if p.passed, err = strconv.Atoi(part[2]); p.group() >= 0 && err == nil && p.passed >= 0 && p.String() == text {
			return p, nil
		}
	}
	return p, fmt.Errorf("%w: %q", ErrBadPosition, text)
}

// ErrBadPosition: what a list is to go on after is no place in it.
var ErrBadPosition = errors.New("no place in this list")

// dutyWalk is one walk through the duties. It holds those of one party by one thread.
type dutyWalk struct {
	v      *View
	f      DutyFilter
	asOf   asOf
	single *threadHistory // the one designation asked about, nil for all
	then   uint64         // the entries below it were admitted by the instant
	from   dutyPosition
	yield  func(Duty) bool

	providers map[string]*partyTimeline // met before, by ID, nil for other parties; at most maxCachedParties
	listProgress
}

// maxCachedParties is how many parties one walk keeps in memory.
const maxCachedParties = 1024

func (l *dutyWalk) run() error {
	begin := groupDesignations
	if l.from.thread != "" {
		begin = l.from.group()
	}
	if (l.f.includesKind(DutyRespond) || l.f.includesKind(DutyConclude)) && begin == groupDesignations {
		if more, err := l.designations(); err != nil || !more {
			return err
		}
	}
	if l.single != nil {
		return nil
	}
	for i := range periodicDuties {
		o, group := &periodicDuties[i], dutyGroup(1+i)
		if !l.f.includesKind(o.kind) || group < begin {
			continue
		}
		after := ""
		if group == begin {
			after = l.from.party
		}
		more, err := l.eachProvider(o.thread, after, func(p *partyTimeline) ([]Duty, error) { return l.periodicDuties(o, p) })
		if err != nil || !more {
			return err
		}
	}
	if l.f.includesKind(DutyReseller) && begin <= groupResellers {
		if more, err := l.resellers(); err != nil || !more {
			return err
		}
	}
	if l.f.includesKind(DutyAITrainingReport) && begin <= groupTrainingRuns {
		if more, err := l.trainingRuns(begin == groupTrainingRuns); err != nil || !more {
			return err
		}
	}
	if !l.f.includesKind(DutyDisclose) {
		return nil
	}
	return l.disclosures()
}

// disclosures visits the duties that come from requests to disclose, each the one party's that
// it names.
func (l *dutyWalk) disclosures() error {
	after := ""
	if l.from.thread.Family() == record.FamilyDisclosure {
		if after = string(l.from.thread); !l.from.passedAll() {
			h, err := l.v.threadHistory(l.from.thread)
			if err == nil && h != nil {
				var more bool
				if more, err = l.disclosure(h); err == nil && !more {
					return nil
				}
			}
			if err != nil {
				return err
			}
		}
	}
	return l.v.eachRequest(l.f.Party, "", after, l.disclosure)
}

// disclosure visits the duty that comes from one request.
func (l *dutyWalk) disclosure(h *threadHistory) (more bool, err error) {
	whole := dutyPosition{h.thread, allParties, allDuties}.String()
	l.current = whole
	row, receipts, ok, err := l.v.request(h)
	if err != nil {
		return false, err
	}
	if ok && row.Provider != "" && (l.f.Party == "" || l.f.Party == row.Provider) {
		if r, asked := requestWithin(row, receipts, l.asOf.includes); asked {
			more, err := l.yieldParty(h.thread, row.Provider, func(p *partyTimeline) (duties []Duty, err error) {
				if d := l.asOf.discloseDuty(h.thread, &r, p); d != nil {
					duties = append(duties, *d)
				}
				return duties, nil
			})
			if err != nil || !more {
				return false, err
			}
		}
	}
	l.passed = whole
	return true, nil
}

// resellers visits the duties that come from resellers.
func (l *dutyWalk) resellers() (more bool, err error) {
	visit := func(thread record.Thread) (bool, error) {
		return l.yieldParty(thread, thread.Party(), func(p *partyTimeline) ([]Duty, error) { return l.resellerDuties(thread, p) })
	}
	var after record.Thread
	if at := l.from; at.thread.Family() == record.FamilyReseller {
		after = at.thread
		if !at.passedAll() && (l.f.Party == "" || l.f.Party == at.party) {
			if more, err := visit(after); err != nil || !more {
				return false, err
			}
		}
	}
	more = true
	err = l.v.rows.Resellers(l.f.Party, after, func(thread record.Thread) (bool, error) {
		more, err = visit(thread)
		return more, err
	})
	return more, err
}

// resellerDuties are the duties that a party has by one reseller.
func (l *dutyWalk) resellerDuties(thread record.Thread, p *partyTimeline) (duties []Duty, err error) {
	var said []resellerAt
	err = l.v.rows.At(l.then).Steps(thread, 0, func(row *register.ThreadRow) (bool, error) {
		if err := l.v.rows.LoadState(row); err != nil {
			return false, err
		}
		said = append(said, resellerAt{row.Ref(), row.State.(*register.ResellerRow)})
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	l.asOf.resellerDuties(thread, p, said, func(d Duty) bool {
		duties = append(duties, d)
		return true
	})
	return duties, nil
}

// designations visits the duties that come from designations.
func (l *dutyWalk) designations() (more bool, err error) {
	if l.single != nil {
		return l.designation(l.single)
	}
	if l.from.thread != "" {
		h, err := l.v.threadHistory(l.from.thread)
		if err != nil {
			return false, err
		}
		if h != nil {
			if more, err := l.designation(h); err != nil || !more {
				return false, err
			}
		}
	}
	more = true
	err = l.v.eachThread(record.FamilyDesignation.Prefix(), string(l.from.thread), func(h *threadHistory) (bool, error) {
		more, err = l.designation(h)
		return more, err
	})
	return more, err
}

// designation visits the duties that come from one designation.
func (l *dutyWalk) designation(h *threadHistory) (more bool, err error) {
	after := ""
	if h.thread == l.from.thread {
		if after = l.from.party; after == allParties {
			return true, nil
		}
	}
	l.current = dutyPosition{h.thread, allParties, allDuties}.String()
	life, err := h.admittedTimeline(l.asOf)
	if err != nil {
		return false, err
	}
	if life == nil {
		return true, nil
	}
	life = life.upTo(l.asOf)
	if life.Licences, err = l.v.rows.LicenceSteps(h.thread); err != nil {
		return false, err
	}
	by := func(string) record.Thread { return h.thread }
	find := func(p *partyTimeline) ([]Duty, error) { return l.dutiesUnder(h.thread, life, p) }
	if len(life.Openings) > 0 {
		more, err = l.eachProvider(by, after, find)
	} else {
		more, err = l.eachResponder(by, after, find)
	}
	if more && err == nil {
		l.passed = dutyPosition{h.thread, allParties, allDuties}.String()
	}
	return more, err
}

// eachProvider yields the duties that find gives of each provider that a filter asks
// about, by ID, from one on. by is the thread by which one has them.
func (l *dutyWalk) eachProvider(by func(id string) record.Thread, from string, find func(*partyTimeline) ([]Duty, error)) (more bool, err error) {
	return l.eachParty(from, by, find, func(visit func(id string) (bool, error)) error {
		return l.v.rows.Providers(from, visit)
	})
}

// eachResponder is eachProvider of those that have answered a designation.
func (l *dutyWalk) eachResponder(by func(id string) record.Thread, from string, find func(*partyTimeline) ([]Duty, error)) (more bool, err error) {
	designation := by("").Designation()
	prefix, after := record.FamilyResponse.Prefix(designation), ""
	if from != "" {
		after = string(record.ResponseThread(designation, from))
	}
	return l.eachParty(from, by, find, func(visit func(id string) (bool, error)) error {
		return l.v.eachThread(prefix, after, func(h *threadHistory) (bool, error) { return visit(h.thread.Party()) })
	})
}

// eachParty is eachProvider of those that after lists, which sort after from.
func (l *dutyWalk) eachParty(from string, by func(id string) record.Thread, find func(*partyTimeline) ([]Duty, error), after func(visit func(id string) (bool, error)) error) (more bool, err error) {
	visit := func(id string) (bool, error) {
		more, err = l.yieldParty(by(id), id, find)
		return more, err
	}
	if l.f.Party != "" {
		if l.f.Party < from || l.f.Party == from && l.from.passedAll() {
			return true, nil
		}
		return visit(l.f.Party)
	}
	if from != "" && !l.from.passedAll() {
		if more, err := visit(from); err != nil || !more {
			return false, err
		}
	}
	more = true
	err = after(visit)
	return more, err
}

// yieldParty yields the duties that one party has by one thread. It is at that place before it
// reads anything of the party: where that takes too much, the party alone is left out.
func (l *dutyWalk) yieldParty(thread record.Thread, id string, find func(*partyTimeline) ([]Duty, error)) (more bool, err error) {
	l.current = dutyPosition{thread, id, allDuties}.String()
	p, err := l.provider(id)
	if err != nil {
		return false, err
	}
	var all []Duty
	if p != nil {
		if all, err = find(p); err != nil {
			return false, err
		}
	}
	skip := 0
	if thread == l.from.thread && id == l.from.party {
		skip = l.from.passed
	}
	for i := range all {
		d := &all[i]
		if i < skip {
			continue
		}
		d.position = dutyPosition{thread, id, i + 1}.String()
		if l.f.matches(d) && !l.yield(*d) {
			return false, nil
		}
	}
	l.passed = l.current
	return true, nil
}

// provider is a party that is one and was enrolled by the instant, nil if it is not.
func (l *dutyWalk) provider(id string) (p *partyTimeline, err error) {
	p, known := l.providers[id]
	if known {
		return p, nil
	}
	h := &threadHistory{rows: l.v.rows, thread: record.PartyThread(id)}
	row, err := h.newest()
	if err != nil {
		return nil, err
	}
	if row != nil {
		if s := row.State.(*register.PartyRow); s.HasRole(record.RoleProvider) && l.asOf.includes(s.Enrolled) {
			if p, err = h.partyTimeline(row); err != nil {
				return nil, err
			}
		}
	}
	if len(l.providers) < maxCachedParties {
		l.providers[id] = p
	}
	return p, nil
}

// dutiesUnder are the duties that a party has by one designation.
func (l *dutyWalk) dutiesUnder(thread record.Thread, life *designationTimeline, p *partyTimeline) (duties []Duty, err error) {
	answering := record.ResponseThread(thread.Designation(), p.ID)
	given, err := l.responses(answering, life.Opened.Index)
	if err != nil {
		return nil, err
	}
	own, err := l.v.rows.LicenceSteps(answering)
	if err != nil {
		return nil, err
	}
	if len(own) > 0 {
		licensed := *life
		licensed.Licences = append(slices.Clip(life.Licences), own...)
		life = &licensed
	}
	if err := l.v.rows.Charge(len(life.Events) + len(life.Licences) + len(life.Openings)*(1+len(p.Standing))); err != nil {
		return nil, err
	}
	for _, k := range []struct {
		kind DutyKind
		find func(record.Thread, *designationTimeline, *partyTimeline, *answers) (*Duty, error)
	}{{DutyRespond, l.asOf.respondDuty}, {DutyConclude, l.asOf.concludeDuty}} {
		if !l.f.includesKind(k.kind) {
			continue
		}
		d, err := k.find(thread, life, p, given)
		if err != nil {
			return nil, err
		}
		if d != nil {
			duties = append(duties, *d)
		}
	}
	return duties, nil
}

// responses are the responses on a thread to the life that a record opened, nil if there
// are none.
func (l *dutyWalk) responses(thread record.Thread, life uint64) (*answers, error) {
	below := func(index uint64) (*responseAt, error) {
		row, err := l.v.rows.At(index).Thread(thread)
		if err != nil || row == nil {
			return nil, err
		}
		return &responseAt{row.Ref(), row.State.(*register.ResponseRow)}, nil
	}
	newest, err := below(l.then)
	if err != nil || newest == nil || newest.Answers.Life != life {
		return nil, err
	}
	return &answers{newest: newest, below: below}, nil
}

// periodicDuties are a party's duties of one kind.
func (l *dutyWalk) periodicDuties(o *periodicDuty, p *partyTimeline) (duties []Duty, err error) {
	var filed []filingAt
	err = l.v.rows.At(l.then).Steps(o.thread(p.ID), 0, func(row *register.ThreadRow) (bool, error) {
		f := filingAt{RecordRef: row.Ref()}
		if row.Delta.PeriodUntil == nil || o.fromEnrolment && row.Delta.PeriodFrom == nil {
			return false, fmt.Errorf("row of %s at %d: its period is missing: %w", row.Thread, row.Index, register.ErrDamaged)
		}
		if f.until = *row.Delta.PeriodUntil; o.fromEnrolment {
			f.from = *row.Delta.PeriodFrom
		}
		filed = append(filed, f)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	var exempt []register.LicenceStep
	if o.exempted && (o.fromEnrolment || len(filed) > 0) { // else nothing is owed
		if exempt, err = l.v.rows.LicenceSteps(record.CertificationThread(p.ID)); err != nil {
			return nil, err
		}
	}
	if err := l.v.rows.Charge(len(exempt) * len(filed)); err != nil {
		return nil, err
	}
	l.asOf.periodicDuties(o, p, filed, exempt, func(d Duty) bool {
		duties = append(duties, d)
		return true
	})
	return duties, nil
}

// trainingRuns visits the duties to report training runs. resume says that the walk goes
// on among them.
func (l *dutyWalk) trainingRuns(resume bool) (more bool, err error) {
	visit := func(h *threadHistory) (bool, error) {
		id := h.thread.Party()
		if l.f.Party != "" && id != l.f.Party {
			l.current = dutyPosition{h.thread, id, allDuties}.String()
			l.passed = l.current
			return true, nil
		}
		return l.yieldParty(h.thread, id, func(p *partyTimeline) ([]Duty, error) { return l.trainingRun(h.thread, p) })
	}
	after := ""
	if resume {
		after = string(l.from.thread)
		if !l.from.passedAll() {
			if more, err := visit(&threadHistory{rows: l.v.rows, thread: l.from.thread}); err != nil || !more {
				return false, err
			}
		}
	}
	more = true
	err = l.v.eachThread(record.FamilyAITraining.Prefix(), after, func(h *threadHistory) (bool, error) {
		more, err = visit(h)
		return more, err
	})
	return more, err
}

// trainingRun is the duty to report one training run, none before it was reported.
func (l *dutyWalk) trainingRun(thread record.Thread, p *partyTimeline) ([]Duty, error) {
	then := l.v.rows.At(l.then)
	newest, err := then.Thread(thread)
	if err != nil || newest == nil {
		return nil, err
	}
	state := newest.State.(*register.AITrainingRow)
	known, err := then.Step(thread, state.KnownBy)
	if err != nil {
		return nil, err
	}
	var first *register.ThreadRow
	err = then.Steps(thread, 0, func(row *register.ThreadRow) (bool, error) {
		first = row
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	return []Duty{l.asOf.aiTrainingDuty(thread, p, first.Ref(), known.Ref(), state.KnownOn)}, nil
}
