package customers

import (
	"cmp"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/web"
)

// duties are what a provider owes, as people say it.
var duties = []struct {
	Duty        programme.Duty
	Short, Long string
}{
	{programme.DutyVerify, "verify", "Verify the identity"},
	{programme.DutyReverify, "verify again", "Verify the identity again"},
	{programme.DutyResolve, "unverifiable", "Verify after all, or close the account"},
	{programme.DutyElements, "missing data", "Ask for what is missing"},
	{programme.DutyDecide, "decide a hit", "Decide about a hit"},
	{programme.DutyClose, "close", "Close the account"},
}

func dutyWords(d programme.Duty) string {
	for _, of := range duties {
		if of.Duty == d {
			return of.Long
		}
	}
	return string(d)
}

// dueView is one thing that is due, of a customer.
type dueView struct {
	Handle  event.Handle
	Name    string
	Account string
	programme.Due
	State, When string // the class, and the words: "late by 3 days"
	Duty        string
}

func dueViewOf(d programme.Due, day record.Date) dueView {
	v := dueView{Due: d, Duty: dutyWords(d.Duty)}
	v.Why = periodText.ReplaceAllStringFunc(d.Why, periodWords)
	v.When, v.State = dueWords(d.By, day)
	return v
}

var periodText = regexp.MustCompile(`\bwithin P\d+[DWMY]\b`)

// periodWords say a period of the programme as people do: "within 30 days".
func periodWords(s string) string {
	n, unit := s[len("within P"):len(s)-1], s[len(s)-1:]
	if n == "0" {
		return "the same day"
	}
	return "within " + web.Count(n, map[string]string{"D": "day", "W": "week", "M": "month", "Y": "year"}[unit])
}

// How are the methods of which one verifies, as words.
func (v dueView) How() string {
	words := make([]string, len(v.Methods))
	for i, m := range v.Methods {
		words[i] = methodWords(m)
	}
	return strings.Join(words, ", or ")
}

// Names are the elements that are missing, as words.
func (v dueView) Names() string {
	names := make([]string, len(v.Elements))
	for i, name := range v.Elements {
		names[i] = elementWords(name)
	}
	return strings.Join(names, ", ")
}

// choice is one way to see a list.
type choice struct {
	Text   string
	URL    string
	Chosen bool
}

type queueView struct {
	pageHeader
	Day       record.Date
	Rows      []dueView
	Due, Late int
	Which     []choice
	What      []choice
	Next      string
	First     bool // the first page of the whole queue
	Nobody    bool // there is no customer yet
	Dir       string
}

// queuePage shows what is due, what was due first, first.
func (s *Server) queuePage(x *request) error {
	asked := x.req.URL.Query()
	q := QueueQuery{Late: asked.Get("late") != "", Duty: programme.Duty(asked.Get("duty")), After: programme.Cursor(asked.Get("after"))}
	page, err := x.due(q)
	if err != nil {
		return err
	}
	v := queueView{pageHeader: x.header("What is due", "due"), Day: page.Day, Due: page.Due, Late: page.Late, Dir: s.directory()}
	if q.Duty == programme.DutyDecide {
		v.Section = "hits"
	}
	for _, row := range page.Rows {
		one := dueViewOf(row.Due, page.Day)
		one.Handle, one.Name, one.Account = row.Handle, row.Name, row.Account
		v.Rows = append(v.Rows, one)
	}
	v.Which = []choice{{"all", queueURL(false, q.Duty, ""), !q.Late}, {"late only", queueURL(true, q.Duty, ""), q.Late}}
	v.What = []choice{{"everything", queueURL(q.Late, "", ""), q.Duty == ""}}
	for _, d := range duties {
		v.What = append(v.What, choice{d.Short, queueURL(q.Late, d.Duty, ""), q.Duty == d.Duty})
	}
	if page.Next != "" {
		v.Next = queueURL(q.Late, q.Duty, page.Next)
	}
	v.First = q == QueueQuery{}
	if len(page.Rows) == 0 {
		st, err := x.log.Stats()
		if err != nil {
			return err
		}
		v.Nobody = st.Customers == 0
	}
	return x.answerPage(http.StatusOK, "queue", v)
}

func queueURL(late bool, duty programme.Duty, after programme.Cursor) string {
	q := url.Values{}
	if late {
		q.Set("late", "only")
	}
	if duty != "" {
		q.Set("duty", string(duty))
	}
	if after != "" {
		q.Set("after", string(after))
	}
	if len(q) == 0 {
		return "/"
	}
	return "/?" + q.Encode()
}

// holdView is a hold of a customer.
type holdView struct {
	Handle  event.Handle
	Name    string
	Account string
	At      time.Time
	event.Held
}

type holdsView struct {
	pageHeader
	Holds []holdView
	More  bool
}

// maxHolds is how many holds the page shows.
const maxHolds = 500

// holdsPage shows whom nobody may erase.
func (s *Server) holdsPage(x *request) error {
	v := holdsView{pageHeader: x.header("Legal holds", "holds")}
	if _, err := x.log.Act(x.req.Context(), x.shownAct("the legal holds")); err != nil {
		return err
	}
	history, err := s.programme(x.req.Context(), x.log)
	if err != nil {
		return err
	}
	err = s.eachWatched(x.req.Context(), x.log, history, func(all iter.Seq2[*event.State, error]) error {
		for st, err := range all {
			if err != nil {
				return err
			}
			for _, h := range st.Holds {
				v.Holds = append(v.Holds, holdView{st.Handle, st.Customer.Name, st.Customer.Account, x.here(h.At), h.Held})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(v.Holds, func(a, b holdView) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Account, b.Account))
	})
	if v.More = len(v.Holds) > maxHolds; v.More {
		v.Holds = v.Holds[:maxHolds]
	}
	return x.answerPage(http.StatusOK, "holds", v)
}

// statsView is how much the log holds.
type statsView struct {
	Customers, Size, Fixed, Waiting uint64
	Disk                            string
}

func (x *request) stats() (statsView, error) {
	st, err := x.log.Stats()
	return statsView{st.Customers, st.Size, st.Published, st.Size - st.Published, byteWords(st.DataBytes + st.KeyBytes)}, err
}

func byteWords(n uint64) string {
	unit := 0
	for ; n >= 10<<10 && unit < 3; unit++ {
		n >>= 10
	}
	return fmt.Sprintf("%d %s", n, []string{"bytes", "KiB", "MiB", "GiB"}[unit])
}
