package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/customers"
)

// openRequests are the public requests to a provider, or to nobody knows whom as long as they are
// sealed, that are neither answered nor withdrawn, by the copy of the ledger.
func openRequests(ctx context.Context, trust *trustFlags, party string) (open []customers.OpenRequest, err error) {
	r, err := (&queryFlags{app: trust.app, trust: trust}).open()
	if err != nil {
		return nil, err
	}
	defer r.trust.Close()
	err = r.Requests(view.RequestFilter{}, r.at, func(one view.Request) bool {
		if (one.Provider == party || one.Sealed) && one.Status != view.RequestAnswered && one.Status != view.RequestWithdrawn {
			due := one.DueOn
			if one.Due != nil {
				due = *one.Due
			}
			open = append(open, customers.OpenRequest{Thread: one.Thread, Status: string(one.Status), Due: due, Sealed: one.Sealed})
		}
		return ctx.Err() == nil
	})
	return open, err
}

// tellAnswered says of a request that it was answered already, or that a bundle left the house
// and no receipt tells.
func (d *customersDisclose) tellAnswered(c *cobra.Command, s *customersServer, r *copyView, thread record.Thread) error {
	request, err := r.Request(thread, r.at)
	if err != nil {
		return err
	}
	if request.Provider != "" && request.Provider != s.settings.Party {
		return refusal("%s asks %s, and this is the log of %s", thread, request.Provider, s.settings.Party)
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
