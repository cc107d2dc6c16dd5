package demo

import (
	"context"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// report files what providers report beside their answers, one record of each kind. Each opens
// the duty to do it again, but for the training run, which was reported in time.
func (s *scenario) report(ctx context.Context) error {
	s.printChapter("what else they report (the papers stay private, only hashes are public)")
	if err := s.reportReseller(ctx); err != nil {
		return err
	}

	if err := s.beginCustomerLog(ctx); err != nil {
		return err
	}

	today := s.dates.today
	abuse := s.statement(record.AbuseThread("borealis-compute"), "borealis-compute", &record.AbuseReport{
		PeriodFrom: record.Date{Year: today.Year, Month: today.Month, Day: 1}, PeriodUntil: today, Band: "0",
	})
	abuse.Subject.SHA256 = record.IDOf(nil) // of an empty batch
	if _, err := s.submit(ctx, "abuse-report-borealis-compute", abuse, "borealis-compute-ci"); err != nil {
		return err
	}

	run := s.statement(record.AITrainingThread("run-1", "acme-cloud"), "acme-cloud", &record.AITrainingReport{KnownOn: today.AddDays(-3), Threshold: "more than 10^26 operations"})
	if err := s.commitSubject(run, "Report on training run 1 (fictional)\n"); err != nil {
		return err
	}
	if _, err := s.submit(ctx, "ai-training-report-run-1", run, "acme-cloud-ci"); err != nil {
		return err
	}
	s.printStep("#15-17", "reports", fmt.Sprintf("acme-cloud shows the root of its private customer log (%d leaves), and says that a customer trains a large model; borealis-compute, that no complaint came this month", s.customers.Periods()[0].Size))
	return nil
}

// reportReseller enrols a reseller, whom its provider sponsors, and says that its identity
// checks were verified today.
func (s *scenario) reportReseller(ctx context.Context) error {
	const reseller = "juniper-resale"
	joins := enrolment{
		party: reseller,
		says: &record.Enrolment{
			LegalName: "Juniper Resale SARL (fictional)", Country: "XC", Roles: []record.Role{record.RoleReseller},
			Keys: []record.PartyKey{s.keyring.officer(reseller, "compliance")}, Contact: "compliance@" + reseller + ".example",
		},
		sign: []string{reseller + "-compliance", "acme-cloud-compliance"},
	}
	if err := s.enrol(ctx, joins); err != nil {
		return err
	}

	today, yes := s.dates.today, true
	st := s.statement(record.ResellerThread(reseller, "acme-cloud"), "acme-cloud", &record.ResellerReport{
		Provider: "acme-cloud", Status: record.ResellerActive, CIPInPlace: &yes, VerifiedAt: &today,
	})
	if err := s.commitSubject(st, "How Juniper Resale identifies its customers (fictional)\n"); err != nil {
		return err
	}
	if _, err := s.submit(ctx, "reseller-"+reseller, st, "acme-cloud-compliance", reseller+"-compliance"); err != nil {
		return err
	}
	s.printStep("#13-14", "reseller", reseller+" joins, sponsored by acme-cloud, which verified how it identifies its customers; both sign")
	return nil
}
