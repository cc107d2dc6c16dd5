package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// printDuties says who has not answered, and what is in force.
func (s *scenario) printDuties(ctx context.Context) error {
	t, err := s.openTrust(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	reg, err := t.Register()
	if err != nil {
		return err
	}
	v, err := view.Latest(reg)
	if err != nil {
		return err
	}
	now := time.Now()
	s.printLine("who has not answered 2026-014 (due %s)", s.dates.due)
	var open []string
	err = v.Duties(view.DutyFilter{Designation: "2026-014", Kind: view.DutyRespond, State: view.DutyOpen}, now, func(d view.Duty) bool {
		open = append(open, d.Party)
		return true
	})
	if err != nil {
		return err
	}
	s.printStep("", "open", strings.Join(open, ", "))
	inForce, announced, err := countDesignations(v, now)
	if err != nil {
		return err
	}
	then, _, err := countDesignations(v, time.Date(s.dates.from.Year, s.dates.from.Month, s.dates.from.Day, 17, 0, 0, 0, time.UTC))
	if err != nil {
		return err
	}
	s.printStep("", "in force", fmt.Sprintf("today %d (announced %d); on %s %d", inForce, announced, s.dates.from, then))
	if len(open) != 2 || inForce != 0 || announced != 3 || then != 3 {
		s.unexpected++
	}
	return t.Close()
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
