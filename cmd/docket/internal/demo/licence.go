package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// license lets one provider go on for a while, which puts off what it owes.
func (s *scenario) license(ctx context.Context) error {
	s.printChapter("a licence")
	owed := view.DutyFilter{Party: "delta-racks", Designation: "2026-014", Kind: view.DutyRespond}
	before, err := s.dueDate(ctx, owed)
	if err != nil {
		return err
	}
	from, until := s.dates.today, s.dates.due.AddDays(30)
	st := s.statement(record.LicenceThread("2026-001"), record.Authority, &record.Licence{
		Type: record.LicenceSpecific, Holder: "delta-racks", Designations: []string{"2026-014"}, From: from, Until: until,
		Permits: "maintenance", Terms: "A hospital's existing servers only; no new accounts.",
	})
	if err := s.attachDocument(st, "licence-2026-001.txt", "LICENCE 2026-001 (fictional)\n"); err != nil {
		return err
	}
	if _, err := s.submit(ctx, "licence-2026-001", st, "authority-officer-2"); err != nil {
		return err
	}
	s.printStep("#18", "licence", fmt.Sprintf("2026-001: delta-racks may serve a hospital in spite of 2026-014, until %s", until))

	after, err := s.dueDate(ctx, owed)
	if err != nil {
		return err
	}
	if before != s.dates.due || after != until.AddDays(1).Add(s.newCharter(zoneAtFirst).Periods.Response) {
		s.unexpected++
	}
	s.printOutcome("pause", "its duty to respond waits for that", fmt.Sprintf("due %s instead of %s", after, before))
	return nil
}

// dueDate is the date by which something is owed, as the register says now.
func (s *scenario) dueDate(ctx context.Context, owed view.DutyFilter) (due record.Date, err error) {
	err = s.ask(ctx, func(v *view.View) error {
		return v.Duties(owed, time.Now(), func(d view.Duty) bool {
			if d.Due != nil {
				due = *d.Due
			}
			return false
		})
	})
	return due, err
}
