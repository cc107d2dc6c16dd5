package server

import (
	"cmp"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// What pages keep of the lists, each as few words as the numbers above it need.

// designationMark has the members by which designations are counted and chosen.
type designationMark struct {
	Thread  record.Thread
	Status  view.Status
	Country string
	Program []string
	List    string
}

// byStatus are the numbers of designations: those in force first, then in the order of a designation's life.
type byStatus []statusCount

func newDesignationList() keptList[designationMark, byStatus] {
	return keptList[designationMark, byStatus]{most: 100_000, index: countByStatus, read: func(v *view.View, at time.Time, yield func(designationMark) bool) error {
		return markDesignations(v, view.DesignationFilter{}, at, yield)
	}}
}

func markDesignations(v *view.View, f view.DesignationFilter, at time.Time, yield func(designationMark) bool) error {
	return v.Designations(f, at, func(d view.Designation) bool {
		m := designationMark{Thread: d.Thread, Status: d.Status, Country: d.Country, Program: d.Program}
		if d.Source != nil {
			m.List = d.Source.List
		}
		return yield(m)
	})
}

// dutyMark is one duty: 48 bytes, since there are as many as designations times providers. Its texts are shared.
type dutyMark struct {
	Thread      record.Thread // by which it is owed, as its position has it
	Party       string
	place       int32 // among those of the party by the thread
	kind, state uint8 // in view.DutyKinds and view.DutyStates
	due         int32 // days since a day long ago; for ever where there is none
}

func (m dutyMark) Kind() view.DutyKind   { return view.DutyKinds[m.kind] }
func (m dutyMark) State() view.DutyState { return view.DutyStates[m.state] }

// position is that of the duty in the list of all.
func (m dutyMark) position() string {
	return string(m.Thread) + " " + m.Party + " " + strconv.Itoa(int(m.place))
}

// dutyIndex finds duties, which are sorted by lateness.
type dutyIndex struct {
	of    map[string][]int32 // by party and by thread
	count map[[2]uint8]int   // by kind and state
}

func newDutyList() keptList[dutyMark, dutyIndex] {
	return keptList[dutyMark, dutyIndex]{most: 1 << 20, index: indexDuties, read: markDuties(view.DutyFilter{})}
}

// markDuties reads the marks of those that a filter chooses.
func markDuties(f view.DutyFilter) func(*view.View, time.Time, func(dutyMark) bool) error {
	longAgo := record.Date{Year: 1900, Month: 1, Day: 1}
	return func(v *view.View, at time.Time, yield func(dutyMark) bool) error {
		shared := make(map[string]string)
		share := func(s string) string {
			if _, known := shared[s]; !known {
				s = strings.Clone(s)
				shared[s] = s
			}
			return shared[s]
		}
		return v.Duties(f, at, func(d view.Duty) bool {
			part := strings.Split(d.Position(), " ")
			place, err := strconv.ParseInt(part[len(part)-1], 10, 32)
			if len(part) != 3 || err != nil {
				panic("server: the position of a duty is not as the view makes it: " + d.Position())
			}
			m := dutyMark{
				Thread: record.Thread(share(part[0])), Party: share(part[1]), place: int32(place), due: math.MaxInt32,
				kind: uint8(slices.Index(view.DutyKinds, d.Kind)), state: uint8(slices.Index(view.DutyStates, d.State)),
			}
			if d.Due != nil {
				m.due = int32(d.Due.DaysSince(longAgo))
			}
			return yield(m)
		})
	}
}

// lateness is the order of duties' states: what is late first, what is done last.
var lateness = []view.DutyState{view.DutyOverdue, view.DutyOpen, view.DutyPaused, view.DutyLate, view.DutyMet, view.DutyLapsed}

// indexDuties sorts what is late first, then what is due soonest.
func indexDuties(marks []dutyMark) dutyIndex {
	rank := make([]int, len(view.DutyStates))
	for i, s := range view.DutyStates {
		rank[i] = slices.Index(lateness, s)
	}
	slices.SortStableFunc(marks, func(a, b dutyMark) int { return cmp.Or(rank[a.state]-rank[b.state], cmp.Compare(a.due, b.due)) })
	x := dutyIndex{make(map[string][]int32), make(map[[2]uint8]int)}
	for i, m := range marks {
		x.of[m.Party] = append(x.of[m.Party], int32(i))
		x.of[string(m.Thread)] = append(x.of[string(m.Thread)], int32(i))
		x.count[[2]uint8{m.kind, m.state}]++
	}
	return x
}

type licenceMark struct {
	Thread        record.Thread
	Status, Party string
}

func newLicenceList() keptList[licenceMark, struct{}] {
	return keptList[licenceMark, struct{}]{most: 100_000, index: func([]licenceMark) struct{} { return struct{}{} }, read: func(v *view.View, at time.Time, yield func(licenceMark) bool) error {
		return v.Licences(view.LicenceFilter{}, at, func(l view.Licence) bool { return yield(licenceMark{l.Thread, string(l.Status), l.Current.Holder}) })
	}}
}

// Requests are kept with what they are counted by, and how each jurisdiction let them be answered.
func newRequestList() keptList[view.Request, []view.Cooperation] {
	return keptList[view.Request, []view.Cooperation]{most: 50_000, index: view.CountCooperation, read: func(v *view.View, at time.Time, yield func(view.Request) bool) error {
		return v.Requests(view.RequestFilter{}, at, func(r view.Request) bool {
			r.Records, r.Recipient = nil, "" // the page of each has them
			return yield(r)
		})
	}}
}

// designationMembers are the parameters by which designations are chosen and counted.
var designationMembers = []listMember[designationMark]{
	{name: "status", one: func(d designationMark) string { return string(d.Status) }},
	{name: "country", one: func(d designationMark) string { return d.Country }},
	{name: "program", many: func(d designationMark) []string { return d.Program }},
	{name: "list", one: func(d designationMark) string { return d.List }},
}

type statusCount struct {
	N      int
	Status view.Status
}

func countByStatus(marks []designationMark) (counts byStatus) {
	by := make(map[view.Status]int)
	for _, d := range marks {
		by[d.Status]++
	}
	order := append([]view.Status{view.StatusInForce}, slices.DeleteFunc(slices.Clone(view.Statuses), func(s view.Status) bool { return s == view.StatusInForce })...)
	for _, status := range order {
		if n := by[status]; status != view.StatusNone && n > 0 || status == view.StatusInForce && len(marks) > by[view.StatusNone] {
			counts = append(counts, statusCount{n, status})
		}
	}
	return counts
}

type homePage struct {
	pageHeader
	Counts  []statusCount
	Newest  []view.Designation
	Last    []recordLine
	Counted bool         // all designations
	Overdue []view.Duty  // the first of them
	Late    int          // how many there are
	AllLate bool         // as many at least, where not all duties were read
	Health  *healthFacts // nil on a page of another moment
}

// Lists on the home page are short: each leads to the whole one.
const (
	homeItems = 6
	homeReach = 400 // how far back the home page looks for new designations, in records
)

// homePage says what this ledger is, whom it restricts, what came last, who is late, and whether all is well.
func (s *Server) homePage(x *request) error {
	q, err := s.parseQuery(x)
	if err != nil {
		return err
	}
	designations, err := s.designationList.follow(s, x, q)
	if err != nil {
		return err
	}
	duties, err := s.dutyList.get(s, q)
	if err != nil {
		return err
	}
	page := homePage{pageHeader: s.pageHeader(q, "Home"), Counted: designations.Whole, AllLate: duties.Whole}
	page.About = "A public, append-only ledger of restrictions on cloud infrastructure: whom an authority restricts, and what providers, signed, did about it."
	page.take("docket sync", dataLink{"Designations (JSON)", "/v1/register/designations"}, dataLink{"Designations (CSV)", "/v1/register/designations.csv"},
		dataLink{"Changes (Atom)", "/v1/register/changes.atom"}, dataLink{"Due dates (calendar)", "/v1/register/duties.ics"})
	if page.Ledger.Name != "" && page.Ledger.ID != "" {
		page.Title = page.Ledger.Name
	}
	if page.Counted {
		page.Counts = designations.Index
	}
	first := []int32{} // they are sorted: what is late comes first
	for place := range min(homeItems, len(duties.Items)) {
		if duties.Items[place].State() == view.DutyOverdue {
			first = append(first, int32(place))
		}
	}
	for what, n := range duties.Index.count {
		if view.DutyStates[what[1]] == view.DutyOverdue {
			page.Late += n
		}
	}
	if page.Overdue, err = q.dutiesAt(duties, first); err != nil {
		return err
	}
	if err := s.fillNews(q, x, &page); err != nil {
		return err
	}
	if !page.Chosen() {
		h := s.healthFacts()
		page.Health = &h
	}
	return x.answerPage(http.StatusOK, "home", page)
}

// fillNews takes from the end of the log what came last, and the newest designations.
func (s *Server) fillNews(q *registerQuery, x *request, page *homePage) (err error) {
	var last []register.RecordRow
	for n := uint64(0); n < min(homeReach, q.asOf.Size) && (len(page.Newest) < homeItems || len(last) < homeItems); n++ {
		r, err := q.view.RecordAt(q.asOf.Size - 1 - n)
		if errors.Is(err, register.ErrOverBudget) {
			break
		}
		if err != nil {
			return err
		}
		if len(last) < homeItems {
			last = append(last, r)
		}
		if r.Kind != record.KindDesignation || len(page.Newest) == homeItems {
			continue
		}
		d, err := q.view.DesignationSummary(r.Thread, q.asOf.At)
		if errors.Is(err, register.ErrOverBudget) {
			break
		}
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(page.Newest, func(o view.Designation) bool { return o.Thread == d.Thread }) {
			page.Newest = append(page.Newest, d)
		}
	}
	page.Last, err = s.sayings(x, last)
	return err
}
