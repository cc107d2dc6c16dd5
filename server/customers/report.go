package customers

import (
	"slices"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// ReportQuery asks for the counts of a period; both days are of it.
type ReportQuery struct {
	From  record.Date `json:"from"`
	Until record.Date `json:"until"`
}

func (s *Server) report(x *request) error {
	var q ReportQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	if q.From.IsZero() || q.Until.IsZero() || q.Until.Before(q.From) {
		return newProblem(problemMalformed, "want from and until, the first and the last day")
	}
	history, err := s.programme(x.req.Context(), x.log)
	if err != nil {
		return err
	}
	r, err := history.Report(s.chains(x), s.cfg.Zone, programme.Period{From: q.From, Until: q.Until})
	if err != nil {
		return err
	}
	return x.answer(r)
}

// chains are all customers' events. That they were read is logged once, before.
func (s *Server) chains(x *request) func(yield func(programme.Chain, error) bool) {
	ctx := x.req.Context()
	who := x.who(Purpose{Reason: "counted for a report"}, Compliance)
	return func(yield func(programme.Chain, error) bool) {
		for st, err := range states(ctx, x.log, event.Act{What: event.KindExported, By: who.By, Reason: "counted for a report"}) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(chainOf(x, st.Handle), nil) {
				return
			}
		}
	}
}

const chainPage = 10_000

// chainOf is one customer's events, the earliest first, in the memory of all of them.
func chainOf(x *request, h event.Handle) programme.Chain {
	return func(yield func(programme.Logged, error) bool) {
		var all []private.Logged
		for before, more := uint64(0), true; more; {
			var page []private.Logged
			var err error
			if page, more, err = x.log.EventsOf(x.req.Context(), h, before, chainPage); err == vault.ErrNoCustomer {
				return // erased meanwhile
			} else if err != nil {
				yield(programme.Logged{}, err)
				return
			}
			if all = append(all, page...); len(page) > 0 {
				before = page[len(page)-1].Index
			}
		}
		for _, e := range slices.Backward(all) {
			if !yield(programme.Logged{Event: e.Event, Index: e.Index}, nil) {
				return
			}
		}
	}
}

// Audit is what a replay of the whole log found.
type Audit struct {
	Size            uint64   `json:"size"`
	Root            string   `json:"root"`
	Events          uint64   `json:"events"`
	Pads            uint64   `json:"pads"`
	Periods         uint64   `json:"periods"`
	Customers       uint64   `json:"customers"`
	ErasedCustomers uint64   `json:"erasedCustomers"`
	ErasedEvents    uint64   `json:"erasedEvents"`
	Late            uint64   `json:"late"`
	Problems        []string `json:"problems,omitempty"`
}

func auditOf(r private.Report) Audit {
	return Audit{r.Size, r.Root.String(), r.Events, r.Padding, r.Periods, r.Customers, r.Gone, r.Erased, r.Late, r.Problems}
}

// checkQuery refuses a search that cannot be read.
func checkQuery(query string) error {
	if _, err := vault.ParseQuery(query); err != nil {
		return newProblem(problemMalformed, "query: %v", err)
	}
	return nil
}
