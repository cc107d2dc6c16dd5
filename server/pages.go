package server

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// frame is what every page has.
type frame struct {
	Title  string
	Ledger ledgerTitle
	AsOf   *asOf
}

// ledgerTitle says which ledger this is.
type ledgerTitle struct {
	Name, Origin, ID string
}

func (s *Server) title() ledgerTitle {
	view, err := s.cfg.Register.At(s.published())
	if err != nil {
		return ledgerTitle{Name: "Docket"}
	}
	return titleOf(view)
}

func titleOf(v *register.View) ledgerTitle {
	c, err := v.Charter()
	if err != nil {
		return ledgerTitle{Name: "Docket"}
	}
	return ledgerTitle{Name: c.Charter.Name, Origin: c.Charter.Origin, ID: c.Records[0].String()}
}

func (q *question) frame(title string) frame {
	return frame{Title: title, Ledger: titleOf(q.view), AsOf: &q.asOf}
}

type homePage struct {
	frame
	Counts       []count
	Statuses     []register.Status
	Status       string
	Name         string
	Country      string
	Designations []listedDesignation
	Next         string
	Checkpoint   string
}

type count struct {
	N    int
	What string
}

type listedDesignation struct {
	ID, Name, Country string
	Status            register.Status
	Error             bool
	From, Until       string
}

// homePage says what this ledger is and whom it restricts today.
func (s *Server) homePage(x *exchange) error {
	q, err := s.askPage(x, listDesignations, "status", "name", "country")
	if err != nil {
		return err
	}
	q.blank("status", "name", "country") // a form sends its empty fields too
	q.values.Set("country", strings.ToUpper(q.text("country")))
	answer, err := designationsOf(q)
	if err != nil {
		return err
	}
	page := homePage{
		frame:    q.frame("Designations"),
		Counts:   s.tally.of(q),
		Statuses: register.Statuses, Status: q.text("status"), Name: q.text("name"), Country: q.text("country"),
	}
	for _, d := range answer.Designations {
		page.Designations = append(page.Designations, listedDesignation{
			ID: designationID(d.Thread), Name: d.Name, Country: d.Country, Status: d.Status, Error: d.Error,
			From: d.EffectiveFrom.String(), Until: dateOrNone(d.EffectiveUntil),
		})
	}
	if answer.Next != "" {
		next := url.Values{"after": {answer.Next}}
		for _, name := range []string{"status", "name", "country"} {
			if v := q.text(name); v != "" {
				next.Set(name, v)
			}
		}
		page.Next = "/?" + next.Encode()
	}
	if p := s.cfg.Ledger.Published(); p != nil {
		page.Checkpoint = string(p.Note())
	}
	return x.page(http.StatusOK, "home", page)
}

// blank forgets parameters that are given and empty.
func (q *query) blank(names ...string) {
	if q.values == nil {
		q.values = url.Values{}
	}
	for _, name := range names {
		if q.values.Get(name) == "" {
			q.values.Del(name)
		}
	}
}

// tally counts the designations by status for the home page, at most every few
// seconds: the count reads them all. mu guards what is below it.
type tally struct {
	mu      sync.Mutex
	size    uint64
	day     record.Date
	counted time.Time
	counts  []count
}

const tallyFor = 5 * time.Second

func (t *tally) of(q *question) []count {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, day := time.Now(), q.view.Today(q.asOf.At)
	if !t.counted.IsZero() && (t.size == q.asOf.Size && t.day == day || now.Sub(t.counted) < tallyFor) {
		return t.counts
	}
	by := make(map[register.Status]int)
	err := q.view.Designations(register.DesignationFilter{}, q.asOf.At, func(d register.Designation) bool {
		by[d.Status]++
		return true
	})
	if err != nil {
		return nil // the list below it says what is wrong
	}
	t.size, t.day, t.counted, t.counts = q.asOf.Size, day, now, nil
	for _, status := range register.Statuses {
		if n := by[status]; n > 0 {
			t.counts = append(t.counts, count{n, string(status)})
		}
	}
	return t.counts
}
