package customers

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/web"
)

// pageEvents is how many events one page shows.
const pageEvents = 200

// flagView is a hit of screening, and the form that decides about it.
type flagView struct {
	event.Flag
	Key     string // which of the flags: what the form sends
	What    string // the element that matched, in words
	Decided string // "" while it is open
	Typed   typed
}

// typed is what somebody wrote into a form that was refused: it stands there again.
type typed struct {
	Form, Flag               string
	Outcome, Reason, Request string
}

// customerView is a customer with the chain of events.
type customerView struct {
	pageHeader
	Handle   event.Handle
	Customer *Customer // nil on a page of earlier events
	Verified verifiedView
	Facts    []fact
	Due      []dueView
	Flags    []flagView // the open ones first
	Open     int        // flags that wait for a decision
	Holds    []holdView
	Moments  []moment
	Earlier  string // address of the page of earlier events
	Fault    string // why a form was refused
	Typed    typed
	Erasable bool
}

// verifiedView says in a word how far the identity is known.
type verifiedView struct{ State, Words string }

func verifiedOf(l *event.Life) verifiedView {
	if l.Customer.Foreign != nil && !*l.Customer.Foreign && len(l.Verifications) == 0 {
		return verifiedView{"ended", "not a foreign person"}
	}
	var newest event.Verification
	for _, v := range l.Verifications {
		if !v.At.Before(newest.At) {
			newest = v
		}
	}
	switch newest.Outcome {
	case "verified":
		return verifiedView{"met", "verified"}
	case "unverifiable":
		return verifiedView{"overdue", "could not be verified"}
	}
	return verifiedView{"open", "unverified"}
}

// customerPage shows a customer, or earlier events of one.
func (s *Server) customerPage(x *request) error {
	before := uint64(0)
	if text := x.req.URL.Query().Get("before"); text != "" {
		var err error
		if before, err = strconv.ParseUint(text, 10, 64); err != nil || before == 0 {
			return newProblem(problemMalformed, "before: want the index of a leaf")
		}
	}
	h, err := x.pageHandle()
	if err != nil {
		return err
	}
	return x.answerCustomer(http.StatusOK, h, before, "", typed{})
}

// pageHandle is the handle in a page's address.
func (x *request) pageHandle() (event.Handle, error) {
	return handleOf(x.req.Context(), x.log, x.req.PathValue("handle"), "")
}

func (x *request) answerCustomer(status int, h event.Handle, before uint64, fault string, back typed) error {
	s := x.server
	shown, err := s.Show(x.req.Context(), x.log, x.who(Purpose{}, Compliance, Reader, Discloser), h, before, pageEvents)
	if err != nil {
		return err
	}
	v := customerView{
		pageHeader: x.header("Customer "+h.String()[:12], ""), Handle: h, Customer: shown.Customer,
		Moments: x.moments(shown.Events), Fault: fault, Typed: back,
	}
	if n := len(shown.Events); shown.More && n > 0 {
		v.Earlier = "/customers/" + h.String() + "?before=" + strconv.FormatUint(shown.Events[n-1].Index, 10)
	}
	if c := shown.Customer; c != nil {
		today := s.today()
		v.Verified, v.Erasable = verifiedOf(&c.Life), c.NotErasable == ""
		v.Facts = factsOf(event.AppendContent(nil, &c.Life.Customer), "account", "name")
		for _, d := range c.Due {
			v.Due = append(v.Due, dueViewOf(d, today))
		}
		for _, f := range c.Flags {
			one := flagView{Flag: f, Key: flagKey(f), What: pointerWords(f.Matched)}
			if one.At = x.here(f.At); f.Outcome != "open" {
				one.Decided = decisionWords(f.Outcome)
				one.DecidedAt = x.here(f.DecidedAt)
				v.Flags = append(v.Flags, one)
				continue
			}
			if back.Flag == one.Key {
				one.Typed = back
			}
			v.Flags = append(v.Flags[:v.Open], append([]flagView{one}, v.Flags[v.Open:]...)...)
			v.Open++
		}
		for _, hold := range c.Holds {
			v.Holds = append(v.Holds, holdView{Handle: h, At: x.here(hold.At), Held: hold.Held})
		}
	}
	return x.answerPage(status, "customer", v)
}

// flagKey names a flag among a customer's, as it is now: one that was decided or hit again
// meanwhile has another.
func flagKey(f event.Flag) string {
	return strings.Join([]string{f.Thread, f.Matched, f.At.UTC().Format(time.RFC3339Nano), f.DecidedAt.UTC().Format(time.RFC3339Nano)}, " ")
}

// meaning is the event that a form on a customer's page means; errDone if it was logged before:
// a form that is sent twice is done once.
type meaning func(st *event.State, back typed) (event.Input, []record.Fault, error)

var errDone = errors.New("done already")

// decidePage takes a decision about a hit.
func (s *Server) decidePage(x *request) error {
	return x.change("decide", func(st *event.State, back typed) (event.Input, []record.Fault, error) {
		for _, f := range st.Flags {
			if flagKey(f) == back.Flag {
				in, faults := st.Decide(f, back.Outcome, x.client.Name, back.Reason, time.Now())
				return in, faults, nil
			}
			undecided := f
			if undecided.DecidedAt = (time.Time{}); flagKey(undecided) == back.Flag && f.Outcome == back.Outcome && f.By == x.client.Name && f.Reason == back.Reason {
				return event.Input{}, nil, errDone
			}
		}
		return event.Input{}, nil, newProblem(problemConflict, "the hit is another by now: it was decided, or screening found it again. Look at it as it is")
	})
}

// holdPage places a hold.
func (s *Server) holdPage(x *request) error {
	return x.change("hold", func(st *event.State, back typed) (event.Input, []record.Fault, error) {
		c := event.Held{Reason: back.Reason, Request: back.Request, By: x.client.Name}
		if slices.ContainsFunc(st.Holds, func(h event.Hold) bool { return h.Held == c }) {
			return event.Input{}, nil, errDone
		}
		return inputOf(st, &c)
	})
}

// releasePage ends the hold for a request, or the one for none.
func (s *Server) releasePage(x *request) error {
	return x.change("release", func(st *event.State, back typed) (event.Input, []record.Fault, error) {
		if !slices.ContainsFunc(st.Holds, func(h event.Hold) bool { return h.Request == back.Request }) {
			return event.Input{}, nil, errDone
		}
		return inputOf(st, &event.Released{Reason: back.Reason, Request: back.Request, By: x.client.Name})
	})
}

// inputOf is an event of now by somebody at a page.
func inputOf(st *event.State, c event.Content) (event.Input, []record.Fault, error) {
	in := event.Input{Account: st.Customer.Account, ID: "page:" + randomText(), Kind: c.Kind(), Time: time.Now().UTC().Truncate(time.Millisecond), Content: c}
	return in, in.Check(), nil
}

// change adds the event that a form on a customer's page means, and shows the customer again:
// with what was typed, where it was refused.
func (x *request) change(what string, mean meaning) error {
	form, err := x.form()
	if err != nil {
		return err
	}
	h, err := x.pageHandle()
	if err != nil {
		return err
	}
	back := typed{
		Form: what, Flag: form.Get("flag"), Outcome: form.Get("outcome"),
		Reason: plainLines(form.Get("reason")), Request: strings.TrimSpace(form.Get("request")),
	}
	st, err := x.log.Customer(x.req.Context(), x.who(Purpose{Reason: "to " + what}, Compliance), h)
	if err != nil {
		return err
	}
	in, faults, err := mean(&st, back)
	if err == nil && len(faults) > 0 {
		err = newProblem(problemInvalid, "%s", faultWords(faults))
	}
	if err == nil {
		var results []private.Result
		if results, err = x.log.Add(x.req.Context(), []event.Input{in}); err == nil {
			err = results[0].Err
		}
	}
	if err == nil || err == errDone {
		return x.see("/customers/" + h.String())
	}
	p := problemOf(err)
	if p.status() >= http.StatusInternalServerError {
		return err
	}
	x.failed = p
	detail := p.detail
	if len(p.faults) > 0 {
		detail = faultWords(p.faults)
	}
	return x.answerCustomer(p.status(), h, 0, web.Sentence(detail), back)
}

// plainLines are what was typed, with line ends as texts in the log have them.
func plainLines(s string) string {
	return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n"))
}

// faultWords are faults as people at a form read them.
func faultWords(faults []record.Fault) string {
	texts := make([]string, len(faults))
	for i, f := range faults {
		name := f.Pointer[strings.LastIndexByte(f.Pointer, '/')+1:]
		texts[i] = strings.TrimSpace(cmp.Or(elementWords(name), "it") + " " + f.Detail)
	}
	return "nothing was logged: " + strings.Join(texts, "; ")
}
