package register

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// DutyFilter chooses duties; what is empty chooses all.
type DutyFilter struct {
	Party       string
	Designation string // thread, or its name alone
	Kind        DutyKind
	State       DutyState
	After       string // [Duty.Place]: go on after it
}

func (f DutyFilter) chooses(d *Duty) bool { return f.State == "" || f.State == d.State }

func (f DutyFilter) wants(k DutyKind) bool { return f.Kind == "" || f.Kind == k }

// Duties yields the duties that a filter chooses, as they stand at an instant:
// those that come from designations, by designation and party, then those to
// certify, by party; until yield returns false. A party or a designation that the
// view does not know is an [AbsentError]: nobody knows what it owes. A [MoreError] names
// the place after which it goes on.
func (v *View) Duties(f DutyFilter, at time.Time, yield func(Duty) bool) error {
	from, err := parsePlace(f.After)
	if err != nil {
		return err
	}
	l := &dutyList{
		v: v, f: f, c: v.clock(at), from: from, yield: yield,
		providers: make(map[string]*partyLife), progress: progress{begun: f.After, passed: f.After},
	}
	if f.Party != "" {
		h, err := v.history("party/" + f.Party)
		if err == nil && h == nil {
			err = v.unknown("party", f.Party)
		}
		if err != nil {
			return err
		}
	}
	if f.Designation != "" {
		if l.about, err = v.designation(f.Designation); err != nil {
			return err
		}
	}
	if l.then, err = v.admittedBy(at); err != nil {
		return err
	}
	err = l.progress.more(l.list())
	var more *MoreError
	if errors.As(err, &more) && more.Skipped != "" {
		more.Skipped = strings.TrimSuffix(strings.TrimSuffix(more.Skipped, fmt.Sprintf(" %d", allDuties)), " "+allParties)
	}
	return err
}

// dutyPlace is where a list of duties stands: how many of those that a party has by one
// thread were passed.
type dutyPlace struct {
	thread string // designation/D, or cip/P
	party  string
	passed int
}

// Of a thread or a party that is passed whole.
const (
	allParties = "~" // sorts after each
	allDuties  = 1 << 30
)

// whole says that all duties of the party by the thread were passed.
func (p dutyPlace) whole() bool { return p.passed == allDuties }

func (p dutyPlace) String() string { return p.thread + " " + p.party + " " + strconv.Itoa(p.passed) }

func parsePlace(text string) (p dutyPlace, err error) {
	if text == "" {
		return p, nil
	}
	part := strings.Split(text, " ")
	if len(part) == 3 {
		p.thread, p.party = part[0], part[1]
		known := strings.HasPrefix(p.thread, "designation/") || p.thread == "cip/"+p.party
		if p.passed, err = strconv.Atoi(part[2]); known && err == nil && p.passed >= 0 && p.String() == text {
			return p, nil
		}
	}
	return p, fmt.Errorf("%w: %q", ErrPlace, text)
}

// ErrPlace: what a list is to go on after is no place in it.
var ErrPlace = errors.New("no place in this list")

// dutyList is one walk through the duties. It holds those of one party by one thread.
type dutyList struct {
	v     *View
	f     DutyFilter
	c     clock
	about *history // the one designation asked about, nil for all
	then  uint64   // the entries below it were admitted by the instant
	from  dutyPlace
	yield func(Duty) bool

	providers map[string]*partyLife // met before, by ID, nil for other parties; at most maxPartiesKept
	progress
}

// maxPartiesKept is how many parties one walk keeps in memory.
const maxPartiesKept = 1024

func (l *dutyList) list() error {
	certifying := strings.HasPrefix(l.from.thread, "cip/")
	if (l.f.wants(DutyRespond) || l.f.wants(DutyConclude)) && !certifying {
		if more, err := l.designations(); err != nil || !more {
			return err
		}
	}
	if l.about != nil || !l.f.wants(DutyCertify) {
		return nil
	}
	after := ""
	if certifying {
		after = l.from.party
	}
	_, err := l.eachProvider(func(id string) string { return "cip/" + id }, after, l.certify)
	return err
}

// designations visits the duties that come from designations.
func (l *dutyList) designations() (more bool, err error) {
	if l.about != nil {
		return l.designation(l.about)
	}
	if l.from.thread != "" {
		h, err := l.v.history(l.from.thread)
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
	err = l.v.histories("designation/", l.from.thread, func(h *history) (bool, error) {
		more, err = l.designation(h)
		return more, err
	})
	return more, err
}

// designation visits the duties that come from one designation.
func (l *dutyList) designation(h *history) (more bool, err error) {
	after := ""
	if h.thread == l.from.thread {
		if after = l.from.party; after == allParties {
			return true, nil
		}
	}
	l.at = dutyPlace{h.thread, allParties, allDuties}.String()
	life, err := h.life(l.c)
	if err != nil {
		return false, err
	}
	if life == nil || !l.c.passed(life.Opened) {
		return true, nil
	}
	life = life.asOf(l.c)
	by := func(string) string { return h.thread }
	find := func(p *partyLife) ([]Duty, error) { return l.owed(h.thread, life, p) }
	if len(life.Openings) > 0 {
		more, err = l.eachProvider(by, after, find)
	} else {
		more, err = l.eachAnswering(by, after, find)
	}
	if more && err == nil {
		l.passed = dutyPlace{h.thread, allParties, allDuties}.String()
	}
	return more, err
}

// eachProvider yields the duties that find gives of each provider that a filter asks
// about, by ID, from one on. by is the thread by which one has them.
func (l *dutyList) eachProvider(by func(id string) string, from string, find func(*partyLife) ([]Duty, error)) (more bool, err error) {
	return l.each(from, by, find, func(visit func(id string) (bool, error)) error {
		return l.v.r.providers(from, l.v.size, visit)
	})
}

// eachAnswering is eachProvider of those that have answered a designation.
func (l *dutyList) eachAnswering(by func(id string) string, from string, find func(*partyLife) ([]Duty, error)) (more bool, err error) {
	prefix, after := responsesTo(by("")), ""
	if from != "" {
		after = prefix + from
	}
	return l.each(from, by, find, func(visit func(id string) (bool, error)) error {
		return l.v.histories(prefix, after, func(h *history) (bool, error) { return visit(strings.TrimPrefix(h.thread, prefix)) })
	})
}

// each is eachProvider of those that after lists, which sort after from.
func (l *dutyList) each(from string, by func(id string) string, find func(*partyLife) ([]Duty, error), after func(visit func(id string) (bool, error)) error) (more bool, err error) {
	visit := func(id string) (bool, error) {
		more, err = l.party(by(id), id, find)
		return more, err
	}
	if l.f.Party != "" {
		if l.f.Party < from || l.f.Party == from && l.from.whole() {
			return true, nil
		}
		return visit(l.f.Party)
	}
	if from != "" && !l.from.whole() {
		if more, err := visit(from); err != nil || !more {
			return false, err
		}
	}
	more = true
	err = after(visit)
	return more, err
}

func responsesTo(thread string) string {
	return "response/" + strings.TrimPrefix(thread, "designation/") + "/"
}

// party yields the duties that one party has by one thread. It is at that place before it
// reads anything of the party: where that takes too much, the party alone is left out.
func (l *dutyList) party(thread, id string, find func(*partyLife) ([]Duty, error)) (more bool, err error) {
	l.at = dutyPlace{thread, id, allDuties}.String()
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
		d.place = dutyPlace{thread, id, i + 1}.String()
		if l.f.chooses(d) && !l.yield(*d) {
			return false, nil
		}
	}
	l.passed = l.at
	return true, nil
}

// provider is a party that is one and was enrolled by the instant, nil if it is not.
func (l *dutyList) provider(id string) (p *partyLife, err error) {
	p, known := l.providers[id]
	if known {
		return p, nil
	}
	h := &history{r: l.v.r, thread: "party/" + id, size: l.v.size}
	row, err := h.newest()
	if err != nil {
		return nil, err
	}
	if row != nil {
		if s := row.State.(*PartyRow); s.Has(record.RoleProvider) && l.c.passed(s.Enrolled) {
			if p, err = h.party(row); err != nil {
				return nil, err
			}
		}
	}
	if len(l.providers) < maxPartiesKept {
		l.providers[id] = p
	}
	return p, nil
}

// owed are the duties that a party has by one designation.
func (l *dutyList) owed(thread string, life *designationLife, p *partyLife) (duties []Duty, err error) {
	given, err := l.answers(responsesTo(thread)+p.ID, life.Opened.Index)
	if err != nil {
		return nil, err
	}
	if err := l.v.r.toil(len(life.Events) + len(life.Openings)*(1+len(p.Standing))); err != nil {
		return nil, err
	}
	for _, k := range []struct {
		kind DutyKind
		find func(string, *designationLife, *partyLife, *answers) (*Duty, error)
	}{{DutyRespond, l.c.respond}, {DutyConclude, l.c.conclude}} {
		if !l.f.wants(k.kind) {
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

// answers are the responses on a thread to the life that a record opened, nil if there
// are none.
func (l *dutyList) answers(thread string, life uint64) (*answers, error) {
	below := func(index uint64) (*answer, error) {
		row, err := l.v.r.newest(thread, index)
		if err != nil || row == nil {
			return nil, err
		}
		return &answer{row.step(), row.State.(*ResponseRow)}, nil
	}
	newest, err := below(l.then)
	if err != nil || newest == nil || newest.Answers.Life != life {
		return nil, err
	}
	return &answers{newest: newest, below: below}, nil
}

// certify are a party's duties to certify.
func (l *dutyList) certify(p *partyLife) (duties []Duty, err error) {
	var filed []certificate
	err = l.v.r.historyFrom("cip/"+p.ID, 0, l.then, func(row *ThreadRow) (bool, error) {
		if err := l.v.r.state(row); err != nil {
			return false, err
		}
		filed = append(filed, certificate{row.step(), row.State.(*CertificationRow)})
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	l.c.certify(p, filed, func(d Duty) bool {
		duties = append(duties, d)
		return true
	})
	return duties, nil
}
