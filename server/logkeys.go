package server

import (
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// checkLogKeys refuses a charter under which this log could sign nothing: once that is
// admitted, nothing is published any more, the charter itself included. No rule of
// admission forbids it, and the root keys have the last word; but they have it with
// the same bytes as soon as the operator's directory holds one of those keys. What
// the register would refuse anyhow, it refuses in its own words.
func (s *Server) checkLogKeys(v record.Verified) error {
	c, ok := v.Statement().Predicate.(*record.Charter)
	if !ok {
		return nil
	}
	policy, err := proof.ParsePolicy([]byte(c.Policy))
	if err == nil && s.cfg.Ledger.CanSign(policy) {
		return nil
	}
	draft, _ := s.newDraft()
	if _, err := draft.Judge(v); err != nil {
		return err
	}
	return newProblem(problemLogKeys, "the policy names none of the keys that this log signs with, so nothing could be published under it; name one of them beside its successors, or let the operator make the successors (docket init --next) and start the server again: then the same bytes are fine")
}
