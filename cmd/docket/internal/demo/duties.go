package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// printDuties holds that there is a duty of each kind, as it should stand, tells of those that the story turns on,
// and what is in force.
func (s *scenario) printDuties(ctx context.Context) error {
	s.printChapter("who owes what, and by when")
	return s.ask(ctx, func(v *view.View) error {
		now := time.Now()
		var others []string
		for _, t := range []struct {
			kind  view.DutyKind
			party string
			about string // of a designation: its name
			state view.DutyState
			words string // as it is told; "": it is only counted in
		}{
			{view.DutyRespond, "cirrus-hosting", "2026-014", view.DutyOpen, "2026-014"},
			{view.DutyConclude, "acme-cloud", "2026-014", view.DutyOpen, ""},
			{view.DutyCertify, "acme-cloud", "", view.DutyOpen, ""},
			{view.DutyCustomerLog, "acme-cloud", "", view.DutyOpen, ""},
			{view.DutyAbuseReport, "borealis-compute", "", view.DutyOpen, ""},
			{view.DutyReseller, "acme-cloud", "", view.DutyOpen, ""},
			{view.DutyAITrainingReport, "acme-cloud", "", view.DutyMet, ""},
			{view.DutyDisclose, "cirrus-hosting", "", view.DutyOverdue, "request 2026-002"},
		} {
			state := "NOT " + string(t.state)
			err := v.Duties(view.DutyFilter{Party: t.party, Designation: t.about, Kind: t.kind, State: t.state}, now, func(d view.Duty) bool {
				switch {
				case d.State == view.DutyMet:
					state = fmt.Sprintf("met %s", d.MetOn)
				case d.State == view.DutyOpen:
					state = fmt.Sprintf("by %s", d.Due)
				default:
					state = string(d.State)
				}
				return false
			})
			if err != nil {
				return err
			}
			if state == "NOT "+string(t.state) {
				s.unexpected++
			}
			if t.words == "" {
				others = append(others, string(t.kind))
				continue
			}
			s.printDuty(string(t.kind), t.party, state, t.words)
		}
		s.printWrapped("  and more            ", strings.Join(others, ", ")+": docket duties lists them all")

		inForce, announced, err := countDesignations(v, now)
		if err != nil {
			return err
		}
		later := now.AddDate(0, 0, 191) // when the last of the orders takes effect
		then, _, err := countDesignations(v, later)
		if err != nil {
			return err
		}
		s.printLine("  in force: %d of %d orders today, %d on %s", inForce, inForce+announced, then, s.datesAfterMove.from)
		if inForce != 0 || announced != 4 || then != 4 {
			s.unexpected++
		}
		return nil
	})
}

// printDuty prints a row of the table of duties, which fits into 80 columns.
func (s *scenario) printDuty(kind, party, state, words string) {
	s.printWrapped(fmt.Sprintf("  %-20s%-18s%-16s", kind, party, state), words)
}

func countDesignations(v *view.View, at time.Time) (inForce, announced int, err error) {
	err = v.Designations(view.DesignationFilter{}, at, func(d view.Designation) bool {
		switch d.Status {
		case view.StatusInForce:
			inForce++
		case view.StatusAnnounced:
			announced++
		}
		return true
	})
	return inForce, announced, err
}
