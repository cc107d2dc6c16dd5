package customers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Purpose is what every read may say besides: it is logged with it.
type Purpose struct {
	Request string `json:"request,omitempty"` // thread of a disclosure request
	Reason  string `json:"reason,omitempty"`
}

// who is who reads, in which role, and what for.
func (x *request) who(p Purpose, roles ...Role) private.Who {
	return private.Who{By: x.client.Name, Role: x.client.role(roles...), Request: p.Request, Reason: p.Reason}
}

// Customer is a customer as far as the log knows.
type Customer struct {
	Handle     event.Handle `json:"handle"`
	Events     uint64       `json:"events"`
	Accesses   uint64       `json:"accesses"`
	LastAccess *time.Time   `json:"lastAccess,omitempty"`
	ClosedAt   *time.Time   `json:"closedAt,omitempty"`
	event.Life
	Due []programme.Due `json:"due,omitempty"` // of one customer that is shown
	// Erasable says from when on, or why not, in words; "" now.
	NotErasable string `json:"notErasable,omitempty"`
	// Matched says why a search found the customer.
	Matched []string `json:"matched,omitempty"`
}

func customerOf(s event.State) Customer {
	c := Customer{Handle: s.Handle, Events: s.Leaves, Accesses: s.Accesses, Life: s.Life}
	if !s.LastAccess.IsZero() {
		c.LastAccess = &s.LastAccess
	}
	if !s.ClosedAt.IsZero() {
		c.ClosedAt = &s.ClosedAt
	}
	return c
}

// State is what the log's programme and screening read of a customer.
func (c *Customer) State() event.State {
	s := event.State{Handle: c.Handle, Life: c.Life}
	s.Leaves, s.Accesses = c.Events, c.Accesses
	if c.LastAccess != nil {
		s.LastAccess = *c.LastAccess
	}
	if c.ClosedAt != nil {
		s.ClosedAt = *c.ClosedAt
	}
	return s
}

// Logged is an event as it is shown.
type Logged struct {
	Index   uint64          `json:"index"`
	ID      string          `json:"id,omitempty"` // the provider's
	Kind    event.Kind      `json:"kind"`
	Time    time.Time       `json:"time"`
	Logged  time.Time       `json:"logged"`
	Number  uint64          `json:"number"`
	Content json.RawMessage `json:"content"`
}

func loggedOf(all []private.Logged) []Logged {
	out := make([]Logged, len(all))
	for i, e := range all {
		out[i] = Logged{e.Index, e.ID, e.Kind, e.Time, e.Logged, e.Number, event.AppendContent(nil, e.Content)}
	}
	return out
}

const (
	defaultLimit = 50
	maxLimit     = 1000
)

func limitOf(asked int) (int, error) {
	if asked < 0 || asked > maxLimit {
		return 0, newProblem(problemMalformed, "limit %d: want 1 to %d", asked, maxLimit)
	}
	return cmp.Or(asked, defaultLimit), nil
}

// FindQuery asks for customers.
type FindQuery struct {
	Query string `json:"query"` // müller email:desk@marsh.example ip:10.1.2.0/24 …
	Limit int    `json:"limit,omitempty"`
	Purpose
}

// Found is the answer.
type Found struct {
	Customers []Customer `json:"customers"` // the best first
	More      bool       `json:"more,omitempty"`
}

func (s *Server) find(x *request) error {
	var q FindQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	limit, err := limitOf(q.Limit)
	if err != nil {
		return err
	}
	if len(q.Query) > 1000 {
		return newProblem(problemMalformed, "query: at most 1000 bytes")
	}
	found, err := s.Find(x.req.Context(), x.log, x.who(q.Purpose, Reader, Compliance, Discloser), q.Query, limit)
	if err != nil {
		return err
	}
	return x.answer(found)
}

// Find is what [Server] answers to a search, for pages too. A query that cannot be read is a
// problem of the client's.
func (s *Server) Find(ctx context.Context, l *private.Log, who private.Who, query string, limit int) (Found, error) {
	if err := checkQuery(query); err != nil {
		return Found{}, err
	}
	states, more, err := l.Find(ctx, who, query, limit)
	if err != nil {
		return Found{}, err
	}
	out := Found{Customers: []Customer{}, More: more}
	for _, st := range states {
		c := customerOf(st)
		c.Matched = private.Matched(&st, query)
		out.Customers = append(out.Customers, c)
	}
	return out, nil
}

// ShowQuery asks for one customer, by handle or account.
type ShowQuery struct {
	Handle  string `json:"handle,omitempty"`
	Account string `json:"account,omitempty"`
	Before  uint64 `json:"before,omitempty"` // leaf index: the events before it; 0: from the newest
	Limit   int    `json:"limit,omitempty"`  // of events
	Purpose
}

// Shown is the answer.
type Shown struct {
	Customer *Customer `json:"customer,omitempty"` // on the first page
	Events   []Logged  `json:"events"`             // the newest first
	More     bool      `json:"more,omitempty"`
}

func (s *Server) show(x *request) error {
	var q ShowQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	limit, err := limitOf(q.Limit)
	if err != nil {
		return err
	}
	h, err := handleOf(x.req.Context(), x.log, q.Handle, q.Account)
	if err != nil {
		return err
	}
	shown, err := s.Show(x.req.Context(), x.log, x.who(q.Purpose, Reader, Compliance, Discloser), h, q.Before, limit)
	if err != nil {
		return err
	}
	return x.answer(shown)
}

// Show is a customer and a page of the events.
func (s *Server) Show(ctx context.Context, l *private.Log, who private.Who, h event.Handle, before uint64, limit int) (shown Shown, err error) {
	if before == 0 {
		st, err := l.Customer(ctx, who, h)
		if err != nil {
			return shown, err
		}
		history, err := s.programme(ctx, l)
		if err != nil {
			return shown, err
		}
		c := customerOf(st)
		c.Due = history.Due(&st, s.cfg.Zone, s.today())
		if err := l.Erasable(st, time.Now()); err != nil {
			c.NotErasable = problemOf(err).detail
		}
		shown.Customer = &c
		events, more, err := l.EventsOf(ctx, h, 0, limit) // that it is shown is logged by now
		shown.Events, shown.More = loggedOf(events), more
		return shown, err
	}
	events, more, err := l.Events(ctx, who, h, before, limit)
	shown.Events, shown.More = loggedOf(events), more
	return shown, err
}

// handleOf finds a customer's handle by what the request names.
func handleOf(ctx context.Context, l *private.Log, handle, account string) (event.Handle, error) {
	switch {
	case (handle == "") == (account == ""):
		return event.Handle{}, newProblem(problemMalformed, "want a handle or an account, one of them")
	case handle != "":
		h, err := event.ParseHandle(handle)
		if err != nil {
			return h, newProblem(problemMalformed, "%v", err)
		}
		if h == event.House {
			return h, newProblem(problemMalformed, "that is the handle of the house's own events: /v1/customers/house shows them")
		}
		return h, nil
	}
	return l.Handle(ctx, account)
}

// HouseQuery asks for the acts of the house: who searched, what was published.
type HouseQuery struct {
	Before uint64 `json:"before,omitempty"`
	Limit  int    `json:"limit,omitempty"`
}

func (s *Server) house(x *request) error {
	var q HouseQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	limit, err := limitOf(q.Limit)
	if err != nil {
		return err
	}
	events, more, err := x.log.House(x.req.Context(), q.Before, limit)
	if err != nil {
		return err
	}
	return x.answer(Shown{Events: loggedOf(events), More: more})
}

// QueueQuery asks what is due.
type QueueQuery struct {
	Late  bool             `json:"late,omitempty"` // only what is late
	Duty  programme.Duty   `json:"duty,omitempty"`
	Day   *record.Date     `json:"day,omitempty"` // as of which; today
	After programme.Cursor `json:"after,omitempty"`
	Limit int              `json:"limit,omitempty"`
}

func (s *Server) queue(x *request) error {
	var q QueueQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	page, err := x.due(q)
	if err != nil {
		return err
	}
	return x.answer(page)
}

// due is a page of what is due. That it is shown is logged before.
func (x *request) due(q QueueQuery) (programme.Page, error) {
	page, err := x.server.Queue(x.req.Context(), x.log, q)
	if err != nil {
		return page, err
	}
	return page, x.shows(x.shownAct("the queue of what is due"), len(page.Rows))
}

// shows logs that so many rows of a list are shown.
func (x *request) shows(a event.Act, rows int) error {
	n := int64(rows)
	a.What, a.By, a.Count = event.KindShown, x.client.Name, &n
	_, err := x.log.Act(x.req.Context(), a)
	return err
}

// shownAct is that a list of customers is shown.
func (x *request) shownAct(what string) event.Act {
	return event.Act{What: event.KindShown, By: x.client.Name, Reason: x.client.role(Compliance, Reader) + ": " + what}
}

// Queue is a page of what is due of all customers. Whoever shows it logs that.
func (s *Server) Queue(ctx context.Context, l *private.Log, q QueueQuery) (programme.Page, error) {
	limit, err := limitOf(q.Limit)
	if err != nil {
		return programme.Page{}, err
	}
	history, err := s.programme(ctx, l)
	if err != nil {
		return programme.Page{}, err
	}
	ask := programme.Ask{Day: s.today(), Zone: s.cfg.Zone, LateOnly: q.Late, Duty: q.Duty, After: q.After, Limit: limit}
	if q.Day != nil {
		ask.Day = *q.Day
	}
	if ask.Day != s.today() {
		return history.Queue(states(ctx, l, event.Act{}), ask)
	}
	var page programme.Page
	err = s.eachWatched(ctx, l, history, func(all iter.Seq2[*event.State, error]) error {
		page, err = history.Queue(all, ask)
		return err
	})
	return page, err
}

// states are all customers; what they are read for is logged before if the act has a kind.
func states(ctx context.Context, l *private.Log, a event.Act) iter.Seq2[*event.State, error] {
	return func(yield func(*event.State, error) bool) {
		err := l.Each(ctx, a, func(st event.State) error {
			if !yield(&st, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && err != errEnough {
			yield(nil, err)
		}
	}
}

var errEnough = fmt.Errorf("no more is wanted")

func (s *Server) today() record.Date { return record.DateOf(time.Now(), s.cfg.Zone) }

// programmeFault is that the programme's files cannot be read: whoever asks is told what to
// mend, which is no customer's.
func programmeFault(err error) error {
	return newProblem(problemConflict, "the programme cannot be read: %v", err)
}
