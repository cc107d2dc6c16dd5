package customers

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// OpenRequest is a public request to the party that is neither answered nor withdrawn.
type OpenRequest struct {
	Thread record.Thread
	Status string
	Due    record.Date // the last day to answer on
	Sealed bool        // whom it asks is not public yet: it keeps whom a disclosure on it names, and nobody else
}

// EraseQuery erases customers: those named, or all that may be erased by now.
type EraseQuery struct {
	Handles []string        `json:"handles,omitempty"`
	Due     bool            `json:"due,omitempty"`
	Despite []record.Thread `json:"despite,omitempty"` // open requests that concern none of them, as whoever asks says
	DryRun  bool            `json:"dryRun,omitempty"`
	Reason  string          `json:"reason,omitempty"`
}

// Erasure is what became of one customer.
type Erasure struct {
	Handle event.Handle `json:"handle"`
	Detail string       `json:"detail,omitempty"` // why not; "" erased, or to be
}

// Erased is the answer.
type Erased struct {
	Customers []Erasure `json:"customers"`
}

func (s *Server) erase(x *request) error {
	var q EraseQuery
	if err := x.decode(&q); err != nil {
		return err
	}
	if q.Due == (len(q.Handles) > 0) {
		return newProblem(problemMalformed, "want handles, or due: true for all that may be erased")
	}
	var handles []event.Handle
	for _, text := range q.Handles {
		h, err := event.ParseHandle(text)
		if err != nil {
			return newProblem(problemMalformed, "%v", err)
		}
		handles = append(handles, h)
	}
	kept, err := x.keptByRequests(q.Despite)
	if err != nil {
		return err
	}
	ctx, now := x.req.Context(), time.Now()
	if q.Due {
		for st, err := range states(ctx, x.log, event.Act{}) {
			if err != nil {
				return err
			}
			if x.log.Erasable(*st, now) == nil {
				handles = append(handles, st.Handle)
			}
		}
	}
	out := Erased{Customers: make([]Erasure, 0, len(handles))}
	handles = slices.DeleteFunc(handles, func(h event.Handle) bool {
		why := kept[h]
		if why != "" {
			out.Customers = append(out.Customers, Erasure{h, why})
		}
		return why != ""
	})
	errs := make([]error, len(handles))
	switch {
	case q.DryRun:
		for i, h := range handles {
			st, err := x.log.Customer(ctx, x.who(Purpose{Reason: "whether it may be erased"}, Compliance), h)
			if err == nil {
				err = x.log.Erasable(st, now)
			}
			errs[i] = err
		}
	case len(handles) > 0:
		if len(q.Despite) > 0 {
			var threads []string
			for _, t := range q.Despite {
				threads = append(threads, string(t))
			}
			q.Reason = cmp.Or(q.Reason, "the retention has passed") + "; " + strings.Join(threads, ", ") + " concerns none of them"
		}
		errs, err = x.log.Erase(ctx, x.who(Purpose{Reason: q.Reason}, Compliance), handles...)
		s.watched.forget() // whatever became of it
		if err != nil {
			return err
		}
	}
	for i, h := range handles {
		one := Erasure{Handle: h}
		if errs[i] != nil {
			p := problemOf(errs[i])
			if p.kind == problemInternal || p.status() >= http.StatusInternalServerError {
				return errs[i]
			}
			one.Detail = p.detail
		}
		out.Customers = append(out.Customers, one)
	}
	return x.answer(out)
}

// keptByRequests are the customers whom a disclosure on an open request names, and why each is
// kept. Where nothing was prepared on one yet, nobody knows whom it concerns, so that it keeps
// everybody but where despite says that it concerns none of them.
func (x *request) keptByRequests(despite []record.Thread) (map[event.Handle]string, error) {
	ctx := x.req.Context()
	if x.server.cfg.OpenRequests == nil {
		return nil, newProblem(problemConflict, "nobody was erased: no copy of the ledger is here that says which requests wait for an answer; docket customers serve --trust names one")
	}
	open, err := x.server.cfg.OpenRequests(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	} else if err != nil {
		return nil, newProblem(problemConflict, "nobody was erased: the copy of the ledger, which says which requests wait for an answer, cannot be read: %v", err)
	}
	for _, thread := range despite {
		if !slices.ContainsFunc(open, func(r OpenRequest) bool { return r.Thread == thread }) {
			return nil, newProblem(problemMalformed, "despite %s: it is no request that waits for an answer; docket list requests shows how they stand", thread)
		}
	}
	prepared, err := x.log.Disclosures(ctx)
	if err != nil {
		return nil, err
	}
	kept := make(map[event.Handle]string)
	var unnamed []string
	for _, r := range open {
		names := false
		for _, d := range prepared {
			if d.Thread != r.Thread || d.Withdrawn != nil {
				continue
			}
			names = true
			for _, h := range d.Handles {
				kept[h] = fmt.Sprintf("disclosure %d names it, and %s is %s: no disclosure-receipt in the copy of the ledger answers it", d.Number, d.Thread, r.Status)
			}
		}
		if !names && !r.Sealed && !slices.Contains(despite, r.Thread) {
			unnamed = append(unnamed, fmt.Sprintf("%s (%s, due %s)", r.Thread, r.Status, r.Due))
		}
	}
	if len(unnamed) > 0 {
		first, _, _ := strings.Cut(unnamed[0], " ")
		return nil, newProblem(problemConflict, "nobody was erased: nothing says who is meant by %s. Prepare the answer that it waits for (docket customers disclose %s), which keeps whom it names; or say that it concerns none of them: --despite %[2]s", strings.Join(unnamed, ", "), first)
	}
	return kept, nil
}
