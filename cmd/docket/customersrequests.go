package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/customers"
)

// requestHolds are the public requests to a provider that no receipt answers yet, and whom they
// keep from being erased.
type requestHolds struct {
	open    []view.Request                 // neither answered nor withdrawn; a sealed one is nobody's before it is opened
	named   map[event.Handle]string        // of whom a disclosure on one of them names: why not
	unnamed []view.Request                 // on which nothing was prepared: nobody knows whom they concern
	all     map[record.Thread]view.Request // open, by their threads
}

// requestHolds reads the requests of the copy, and what was prepared on them.
func (a *app) requestHolds(c *cobra.Command, trust *trustFlags, s *customersServer) (*requestHolds, error) {
	r, err := (&queryFlags{app: a, trust: trust}).open()
	if err != nil {
		return nil, err
	}
	defer r.trust.Close()
	h := &requestHolds{named: make(map[event.Handle]string), all: make(map[record.Thread]view.Request)}
	err = r.Requests(view.RequestFilter{Provider: s.settings.Party}, r.at, func(one view.Request) bool {
		if one.Status != view.RequestAnswered && one.Status != view.RequestWithdrawn {
			h.open = append(h.open, one)
			h.all[one.Thread] = one
		}
		return true
	})
	if err != nil || len(h.open) == 0 {
		return h, err
	}
	var prepared customers.Disclosures
	if err := s.get(c.Context(), "disclosures", &prepared); err != nil {
		return nil, err
	}
	stands := make(map[record.Thread]bool)
	for _, d := range prepared.Disclosures {
		one, ok := h.all[d.Thread]
		if !ok || d.Withdrawn != nil {
			continue
		}
		stands[d.Thread] = true
		for _, handle := range d.Handles {
			h.named[handle] = fmt.Sprintf("disclosure %d names it, and %s is %s: no disclosure-receipt in the copy of the ledger answers it", d.Number, d.Thread, one.Status)
		}
	}
	for _, one := range h.open {
		if !stands[one.Thread] {
			h.unnamed = append(h.unnamed, one)
		}
	}
	return h, nil
}

// despite takes out requests of which a person says that they concern nobody who is erased.
func (h *requestHolds) despite(threads []string) error {
	for _, text := range threads {
		if _, ok := h.all[record.Thread(text)]; !ok {
			return usageError("--despite %s: it is no request that waits for an answer", text).hint("docket list requests shows how they stand")
		}
		h.unnamed = slices.DeleteFunc(h.unnamed, func(r view.Request) bool { return string(r.Thread) == text })
	}
	return nil
}

// err is the refusal where a request waits of which nobody said whom it concerns.
func (h *requestHolds) err() error {
	if len(h.unnamed) == 0 {
		return nil
	}
	var words []string
	for _, r := range h.unnamed {
		due := r.DueOn
		if r.Due != nil {
			due = *r.Due
		}
		words = append(words, fmt.Sprintf("%s (%s, due %s)", r.Thread, r.Status, due))
	}
	first := h.unnamed[0].Thread
	return refusal("nobody was erased: nothing says who is meant by %s", strings.Join(words, ", ")).
		hint("it waits for an answer: prepare that (docket customers disclose %s), which keeps whom it names; or say that it concerns none of them: --despite %[1]s", first)
}

// erase asks the server to erase whom no request keeps.
func (h *requestHolds) erase(c *cobra.Command, s *customersServer, q customers.EraseQuery) (out customers.Erased, err error) {
	if len(h.named) > 0 && q.Due {
		var due customers.Erased
		if err := s.post(c.Context(), "erase", customers.EraseQuery{Due: true, DryRun: true}, &due); err != nil {
			return out, err
		}
		q.Due = false
		for _, one := range due.Customers {
			q.Handles = append(q.Handles, one.Handle.String())
		}
	}
	var kept []customers.Erasure
	q.Handles = slices.DeleteFunc(slices.Clone(q.Handles), func(text string) bool {
		handle, err := event.ParseHandle(text) // what is no handle the server refuses
		why := h.named[handle]
		if err != nil || why == "" {
			return false
		}
		kept = append(kept, customers.Erasure{Handle: handle, Detail: why})
		return true
	})
	if q.Due || len(q.Handles) > 0 {
		err = s.post(c.Context(), "erase", q, &out)
	}
	out.Customers = append(out.Customers, kept...)
	return out, err
}

// tellAnswered says of a request that it was answered already, or that a bundle left the house
// and no receipt tells.
func (d *customersDisclose) tellAnswered(c *cobra.Command, s *customersServer, r *copyView, thread record.Thread) error {
	request, err := r.Request(thread, r.at)
	if err != nil {
		return err
	}
	if request.Status == view.RequestAnswered || request.Status == view.RequestWithdrawn {
		on := ""
		if request.Decided != nil {
			on = ", on " + request.Decided.String()
		}
		d.app.logf("%s is %s already%s: docket show %[1]s", thread, request.Status, on)
		return nil
	}
	var all customers.Disclosures
	if err := s.get(c.Context(), "disclosures", &all); err != nil {
		return err
	}
	for _, before := range all.Disclosures {
		if n := len(before.Disclosed); before.Thread == thread && n > 0 {
			d.app.logf("disclosure %d to it was handed out already, on %s, and no disclosure-receipt in the copy of the ledger says so", before.Number, before.Disclosed[n-1].At.Format(time.DateOnly))
		}
	}
	return nil
}
