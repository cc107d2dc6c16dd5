package customers

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/server/web"
)

// periodView is a period that is over.
type periodView struct {
	private.Period
	Closed      time.Time // where days begin
	State, Says string
}

type periodsView struct {
	pageHeader
	Periods     []periodView // the newest first
	Unpublished int
	Stats       statsView
	Dir         string
}

// periodsPage shows how much the log holds, and what of it is fixed and published.
func (s *Server) periodsPage(x *request) error {
	v := periodsView{pageHeader: x.header("Periods", "periods"), Dir: s.directory()}
	var err error
	if v.Stats, err = x.stats(); err != nil {
		return err
	}
	for _, p := range slices.Backward(x.log.Periods()) {
		one := periodView{Period: p, Closed: x.here(p.ClosedAt), State: "met", Says: "published"}
		switch {
		case p.Checkpoint == nil:
			one.State, one.Says = "overdue", "not signed yet"
			v.Unpublished++
		case p.Record.IsZero():
			one.State, one.Says = "open", "not published yet"
			v.Unpublished++
		}
		v.Periods = append(v.Periods, one)
	}
	return x.answerPage(http.StatusOK, "periods", v)
}

// actView is one act of the house.
type actView struct {
	At       time.Time
	By       string
	Did      string
	Quoted   string // what was searched for
	Customer string // handle
	Reason   string
	Request  string
	Digest   string
	Record   string
	Index    uint64
}

type houseView struct {
	pageHeader
	Acts    []actView
	Earlier string
	First   bool
}

// housePage shows who searched for what, whom was shown, what was published and what left the
// house: the log's own record of its use.
func (s *Server) housePage(x *request) error {
	before := uint64(0)
	if text := x.req.URL.Query().Get("before"); text != "" {
		var err error
		if before, err = strconv.ParseUint(text, 10, 64); err != nil {
			return newProblem(problemMalformed, "before: want the index of a leaf")
		}
	}
	events, more, err := x.log.House(x.req.Context(), before, pageEvents)
	if err != nil {
		return err
	}
	v := houseView{pageHeader: x.header("The house's own record", "house"), First: before == 0}
	for _, e := range events {
		v.Acts = append(v.Acts, x.act(e))
	}
	if n := len(events); more && n > 0 {
		v.Earlier = "/house?before=" + strconv.FormatUint(events[n-1].Index, 10)
	}
	return x.answerPage(http.StatusOK, "house", v)
}

func (x *request) act(e private.Logged) actView {
	v := actView{At: x.here(e.Time), Index: e.Index, Did: string(e.Kind)}
	a, ok := e.Content.(*event.Act)
	if !ok {
		return v
	}
	v.By, v.Customer, v.Reason, v.Request, v.Digest = a.By, a.Customer, a.Reason, a.Request, a.Digest
	if !a.Record.IsZero() {
		v.Record = a.Record.String()
	}
	count := func(noun string) string {
		if a.Count == nil {
			return ""
		}
		return web.Count(*a.Count, noun)
	}
	switch e.Kind {
	case event.KindSearched:
		v.Did, v.Quoted = "searched, and found "+count("customer"), a.Query
	case event.KindShown:
		v.Did = "was shown a customer"
		if a.Customer == "" {
			v.Did = "was shown a list"
			if a.Count != nil {
				v.Did += " with " + count("row")
			}
		}
	case event.KindExported:
		v.Did = "read all customers"
	case event.KindScreened:
		v.Did = "screened all customers"
		if a.Count != nil {
			v.Did += ": " + count("hit")
		}
	case event.KindPrepared:
		v.Did = "prepared a disclosure of " + count("event")
	case event.KindApproved:
		v.Did = "approved a disclosure of " + count("event")
	case event.KindDisclosed:
		v.Did = "let a disclosure leave the house: " + count("event")
	case event.KindPublished:
		v.Did = "published a period"
		if a.Until != nil {
			v.Did = "published the period until " + a.Until.String()
		}
	case event.KindRotated:
		v.Did = "gave the vault a new key"
	case event.KindProgramme:
		v.Did = "used a version of the programme that was not used before"
		if a.From != nil {
			v.Did += ", in force from " + a.From.String()
		}
	case event.KindUnlocked:
		v.Did = "unlocked the vault"
	case event.KindLocked:
		v.Did = "locked the vault"
	}
	return v
}
