package server

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// overview is what is counted over the whole register, for the home page and the choices above the lists.
// Counting reads all designations and all duties, so that of the present it is done at most once in
// overviewTTL, and ends early where there are too many. Of a moment that a reader chose it is done for him, with the
// work of one question. mu guards what is below it; a request that finds it locked takes what was counted last.
type overview struct {
	mu      sync.Mutex
	counted time.Time

	last struct {
		sync.Mutex // held for no longer than it takes to look
		day        record.Date
		facts      *overviewFacts
	}
}

const overviewTTL = 10 * time.Second

// overviewBudgetFactor is how many budgets of a question each of the two counts may take: with the defaults
// 50,000 designations, in half a second of one core.
const overviewBudgetFactor = 10

// maxLate bounds the duties that an overview holds.
const maxLate = 1000

// overviewFacts are what an overview counted.
type overviewFacts struct {
	Size         uint64
	Designations []designationMarks
	Whole        bool        // those are all
	Late         []view.Duty // overdue, the one that is late for longest first
	LateWhole    bool        // those are all

	withheld *[]Withheld // whoever asks under another list is not told
}

// designationMarks are the members by which designations are counted.
type designationMarks struct {
	Status  view.Status
	Country string
	Program []string
	List    string
}

// get returns what is counted as of the moment of a question; nil where nothing could be.
func (o *overview) get(q *registerQuery, work register.ReadBudget) *overviewFacts {
	if q.has("at") || q.has("size") || q.has("after") {
		return countOverview(q, work)
	}
	day := q.view.LocalDate(q.asOf.At)
	o.last.Lock()
	facts := o.last.facts
	if o.last.day != day || facts != nil && facts.withheld != q.withheld {
		facts = nil
	}
	o.last.Unlock()
	if facts != nil && facts.Size == q.asOf.Size || !o.mu.TryLock() {
		return facts // others count: what they counted last
	}
	defer o.mu.Unlock()
	if facts != nil && time.Since(o.counted) < overviewTTL {
		return facts
	}
	facts = countOverview(q, register.ReadBudget{Rows: overviewBudgetFactor * work.Rows, Bytes: overviewBudgetFactor * work.Bytes})
	o.counted = time.Now()
	o.last.Lock()
	o.last.day, o.last.facts = day, facts
	o.last.Unlock()
	return facts
}

func countOverview(q *registerQuery, work register.ReadBudget) *overviewFacts {
	f := &overviewFacts{Size: q.asOf.Size, withheld: q.withheld}
	var partial *view.PartialListError
	err := q.view.WithBudget(work).Designations(view.DesignationFilter{}, q.asOf.At, func(d view.Designation) bool {
		if d.Status != view.StatusNone {
			facts := designationMarks{Status: d.Status, Country: d.Country, Program: d.Program}
			if d.Source != nil {
				facts.List = d.Source.List
			}
			f.Designations = append(f.Designations, facts)
		}
		return true
	})
	if err != nil && !errors.As(err, &partial) {
		return nil // the list itself says what is wrong
	}
	f.Whole = err == nil
	full := false
	err = q.view.WithBudget(work).Duties(view.DutyFilter{State: view.DutyOverdue}, q.asOf.At, func(d view.Duty) bool {
		f.Late = append(f.Late, d)
		full = len(f.Late) == maxLate
		return !full
	})
	if err != nil && !errors.As(err, &partial) {
		return nil
	}
	f.LateWhole = err == nil && !full
	slices.SortStableFunc(f.Late, byLateness)
	return f
}

// byLateness sorts what is late first, then what is due soonest; what is done comes last.
func byLateness(a, b view.Duty) int {
	rank := func(d view.Duty) int {
		return slices.Index([]view.DutyState{view.DutyOverdue, view.DutyOpen, view.DutyPaused, view.DutyLate, view.DutyMet, view.DutyLapsed}, d.State)
	}
	due := func(d view.Duty) record.Date {
		if d.Due == nil {
			return record.Date{Year: 9999, Month: 12, Day: 31}
		}
		return *d.Due
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), due(a).Compare(due(b)))
}

// designationMembers are the parameters by which designations are chosen and counted.
var designationMembers = []struct {
	name string
	of   func(designationMarks) []string
}{
	{"status", func(d designationMarks) []string { return []string{string(d.Status)} }},
	{"country", func(d designationMarks) []string { return nonEmpty(d.Country) }},
	{"program", func(d designationMarks) []string { return d.Program }},
	{"list", func(d designationMarks) []string { return nonEmpty(d.List) }},
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// countDesignations counts, by each member, those that the question chooses by the others, and those that it
// chooses by all.
func (f *overviewFacts) countDesignations(q *registerQuery) (by map[string]map[string]int, total int) {
	by = make(map[string]map[string]int)
	for _, m := range designationMembers {
		by[m.name] = make(map[string]int)
	}
	for _, d := range f.Designations {
		misses, missed := 0, ""
		for _, m := range designationMembers {
			if q.has(m.name) && !slices.Contains(m.of(d), q.text(m.name)) {
				misses, missed = misses+1, m.name
			}
		}
		if misses == 0 {
			total++
		}
		for _, m := range designationMembers {
			if misses == 0 || misses == 1 && missed == m.name {
				for _, value := range m.of(d) {
					by[m.name][value]++
				}
			}
		}
	}
	return by, total
}

type statusCount struct {
	N      int
	Status view.Status
}

// byStatus are the numbers of designations: those in force first, then in the order of a designation's life.
func (f *overviewFacts) byStatus() (counts []statusCount) {
	if f == nil || !f.Whole {
		return nil
	}
	by := make(map[view.Status]int)
	for _, d := range f.Designations {
		by[d.Status]++
	}
	order := append([]view.Status{view.StatusInForce}, slices.DeleteFunc(slices.Clone(view.Statuses), func(s view.Status) bool { return s == view.StatusInForce })...)
	for _, status := range order {
		if n := by[status]; n > 0 || status == view.StatusInForce && len(f.Designations) > 0 {
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
	Overdue []view.Duty // the first of them
	Facts   *overviewFacts
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
	page := homePage{pageHeader: s.pageHeader(q, "Home"), Facts: s.overview.get(q, s.cfg.QueryBudget)}
	page.About = "A public, append-only ledger of restrictions on cloud infrastructure: whom an authority restricts, and what providers, signed, did about it."
	page.Data = []dataLink{{"Designations (JSON)", "/v1/register/designations"}, {"Changes (Atom)", "/v1/register/changes.atom"}, {"Due dates (calendar)", "/v1/register/duties.ics"}}
	page.Prove = "docket sync"
	if page.Ledger.Name != "" && page.Ledger.ID != "" {
		page.Title = page.Ledger.Name
	}
	page.Counts = page.Facts.byStatus()
	if page.Facts != nil {
		page.Overdue = page.Facts.Late[:min(homeItems, len(page.Facts.Late))]
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
