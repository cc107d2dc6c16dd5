package main

import (
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/record"
	server "github.com/seed-53cf897a/docket/server/customers"
)

// checkReview verifies what a server shows of a disclosure by the approver's own copy of the ledger,
// puts into it what the bundle itself says, and returns what the bundle shows and what is to be signed. A server that lies has
// nobody sign another bundle than the one shown, nor something else altogether.
func (a *app) checkReview(c *cobra.Command, t *trustFlags, s *customersServer, number uint64, review *server.Review) (*bundle.Table, []byte, error) {
	if t.dir == "" {
		t.dir = s.settings.Trust
	}
	b, err := bundle.Parse(review.Bundle)
	if err != nil {
		return nil, nil, refusal("disclosure %d: %w", number, err)
	}
	trust, err := t.open()
	if err != nil {
		return nil, nil, err
	}
	defer trust.Close()
	if trust.Ledger() != s.settings.Ledger {
		return nil, nil, usageError("%s is of another ledger than the log", trust.Dir()).hint("name the trust directory of ledger %.8s… with --trust", s.settings.Ledger)
	}
	public, err := publicOf(c, trust, b)
	if err != nil {
		return nil, nil, err
	}
	table, err := b.Verify(public)
	if err != nil {
		return nil, nil, refusal("disclosure %d: %w", number, err)
	}
	d := &review.Disclosure
	demand, _ := public.Request.Statement.Predicate.(*record.DisclosureRequest)
	if b.Head.Party != s.settings.Party || demand.Recipient != "" && demand.Recipient != d.Recipient {
		return nil, nil, refusal("disclosure %d is of another party, or would be encrypted to another key than the request names", number).
			hint("docket customers withdraw %d, and prepare it anew", number)
	}
	d.Number, d.Thread, d.Digest = number, public.Request.Statement.Thread, bundle.Digest(review.Bundle)
	d.Leaves, d.Proven, d.NotProven = table.Leaves(), table.Proven(), table.NotProven()
	signed := customers.Disclosure{Number: number, Request: b.Head.Request, Recipient: d.Recipient, Digest: d.Digest}
	return table, signed.Message(trust.Ledger(), s.settings.Party), nil
}
