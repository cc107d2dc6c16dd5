package server

import (
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// pageHeader is what every page has.
type pageHeader struct {
	Title       string
	Ledger      ledgerTitle
	AsOf        *asOf
	Today       string // the civil date there that is asked about; "" without a charter, which says where
	When        string // "today", or "on 2027-07-01" where another day is asked about
	Ahead       bool   // that is a day to come: what nobody has filed yet counts as not filed
	Unpublished string // why there is nothing to show; "" if there is
}

// ledgerTitle says which ledger this is.
type ledgerTitle struct {
	Name, Origin, ID, Zone string
}

func (s *Server) ledgerTitle() ledgerTitle {
	view, err := s.cfg.Register.ViewAt(s.publishedSize())
	if err != nil {
		return ledgerTitle{Name: "Docket"}
	}
	return ledgerTitleOf(view)
}

func ledgerTitleOf(v *register.View) ledgerTitle {
	c, err := v.Charter()
	if err != nil {
		return ledgerTitle{Name: "Docket"}
	}
	return ledgerTitle{Name: c.Charter.Name, Origin: c.Charter.Origin, ID: c.Records[0].String(), Zone: c.Charter.TimeZone}
}

func (s *Server) pageHeader(q *registerQuery, title string) pageHeader {
	f := pageHeader{Title: title, Ledger: ledgerTitleOf(q.view), AsOf: &q.asOf}
	if f.Ledger.Zone != "" {
		now, asked := q.view.LocalDate(time.Now()), q.view.LocalDate(q.asOf.At)
		f.Today, f.When, f.Ahead = asked.String(), "today", q.view.Ahead(q.asOf.At, time.Now())
		if asked != now {
			f.When = "on " + f.Today
		}
	}
	switch {
	case s.publishedSize() > 0:
	case s.cfg.Ledger.Head().Size > 0:
		f.Unpublished = "Nothing is published yet: the witnesses have not cosigned."
	default:
		f.Unpublished = "Nothing is published yet: no record has come."
	}
	return f
}

type homePage struct {
	pageHeader
	designationList
	Counts     []statusCount
	Checkpoint string
}

type statusCount struct {
	N    int
	What string
}

// homePage says what this ledger is and whom it restricts today.
func (s *Server) homePage(x *request) error {
	q, list, err := s.queryDesignationList(x)
	if err != nil {
		return err
	}
	page := homePage{pageHeader: s.pageHeader(q, "Designations"), designationList: list, Counts: s.statusCounts.get(q, s.cfg.QueryBudget)}
	if p := s.cfg.Ledger.Published(); p != nil {
		page.Checkpoint = string(p.Note())
	}
	return x.answerPage(http.StatusOK, "home", page)
}

// statusCounts counts the designations by status for the home page. The count reads them all,
// so it is done at most once in a few seconds, for everybody, and left out where there
// are too many. It is of the present alone: a page of another moment shows it only if it
// is the same, or whoever asks for a moment would choose what everybody else is shown.
// mu guards what is below it; nobody waits for it.
type statusCounts struct {
	mu      sync.Mutex
	size    uint64
	day     record.Date
	counted time.Time
	counts  []statusCount
}

const statusCountsTTL = 10 * time.Second

// statusCountsBudgetFactor is how many questions' work a count may take: with the defaults it counts
// 50,000 designations, in half a second of one core.
const statusCountsBudgetFactor = 10

func (t *statusCounts) get(q *registerQuery, work register.ReadBudget) []statusCount {
	if !t.mu.TryLock() {
		return nil // someone counts
	}
	defer t.mu.Unlock()
	now, day := time.Now(), q.view.LocalDate(q.asOf.At)
	present := !q.has("at") && !q.has("size") && !q.has("after")
	switch {
	case t.day == day && (t.size == q.asOf.Size || present && now.Sub(t.counted) < statusCountsTTL):
		return t.counts
	case !present:
		return nil
	}
	by, err := q.view.WithBudget(register.ReadBudget{Rows: statusCountsBudgetFactor * work.Rows, Bytes: statusCountsBudgetFactor * work.Bytes}).CountByStatus(q.asOf.At)
	if err != nil && !errors.Is(err, register.ErrOverBudget) {
		return nil // the list below it says what is wrong
	}
	t.size, t.day, t.counted, t.counts = q.asOf.Size, day, now, nil
	for _, status := range register.Statuses {
		if n := by[status]; n > 0 {
			t.counts = append(t.counts, statusCount{n, string(status)})
		}
	}
	return t.counts
}
