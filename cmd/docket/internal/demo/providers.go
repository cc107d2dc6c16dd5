package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// respond lets two answer; one sends twice, one signs for another.
func (s *scenario) respond(ctx context.Context) error {
	s.printChapter("providers")
	windDown := s.dates.windDown
	acme := s.response("acme-cloud", &record.Response{Status: "winding-down", WindDownBy: &windDown, Conditions: []string{"c1"}})
	var err error
	if acme.Predicate.(*record.Response).Screening, err = s.commitScreening(acme.Thread); err != nil {
		return err
	}
	sent, err := s.submit(ctx, "response-2026-014-acme-cloud", acme, "acme-cloud-ci")
	if err != nil {
		return err
	}
	borealis := s.response("borealis-compute", &record.Response{Status: "no-relationship"})
	if _, err := s.submit(ctx, "response-2026-014-borealis-compute", borealis, "borealis-compute-ci"); err != nil {
		return err
	}
	s.printStep("#10-11", "responses", fmt.Sprintf("on 2026-014: acme-cloud winding-down by %s, and commits to that report; borealis-compute no-relationship", windDown))

	form := s.statement("cip/acme-cloud", "acme-cloud", s.certification("cip/acme-cloud"))
	if err := s.commitSubject(form, "the form stays private"); err != nil {
		return err
	}
	if err := s.witnessNodes[1].stop(); err != nil { // what follows goes without this witness
		return err
	}
	if s.sentWithoutW2, err = s.submit(ctx, "cip-certification-acme-cloud", form, "acme-cloud-compliance"); err != nil {
		return err
	}
	s.printStep("#12", "certification", fmt.Sprintf("acme-cloud for %d", s.dates.year))

	again, err := s.client.Submit(ctx, sent.envelope, client.SinglePolicy{Only: s.policy}, client.Retry{})
	switch {
	case err != nil:
		return err
	case again.Existed && again.Receipt.Index() == sent.receipt.Index():
		s.printOutcome("same again", "acme-cloud's response, sent twice", fmt.Sprintf("same index %d, same record", sent.receipt.Index()))
	default:
		s.unexpected++
		s.printOutcome("same again", "acme-cloud's response, sent twice", fmt.Sprintf("ANOTHER index, %d", again.Receipt.Index()))
	}

	forged := s.response("cirrus-hosting", &record.Response{Status: "no-relationship"})
	_, err = s.send(ctx, forged, "delta-racks-compliance")
	s.expectRefused("intruder", "delta-racks signs for cirrus-hosting", err)
	return nil
}

// response is a provider's response to the first order as it stands.
func (s *scenario) response(party string, r *record.Response) *record.Statement {
	st := s.statement(record.ResponseThread("2026-014", party), party, r)
	st.Subject = record.Subject{Name: "designation/2026-014", SHA256: s.heads["designation/2026-014"]}
	return st
}

// certification certifies a provider's programme for this year, as far as it is over.
func (s *scenario) certification(thread record.Thread) *record.CIPCertification {
	accounts := record.NewOpening("/counts/foreignAccounts", "1204")
	return &record.CIPCertification{
		PeriodFrom: record.Date{Year: s.dates.year, Month: time.January, Day: 1}, PeriodUntil: s.dates.today,
		Reviewed: true, UpdatedForServices: true, UpdatedForThreats: true, Compliant: true, UnverifiableResolved: true, Initial: true,
		Counts: map[string]record.Commitment{"foreignAccounts": accounts.Commit(s.ledger, thread)},
	}
}
