package demo

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// audit replays the whole ledger from the server's tiles, into memory.
func (s *scenario) audit(ctx context.Context, t *client.Trust) (*client.AuditReport, error) {
	return client.Audit{
		Source: s.client.Source(), Charter: t.Ledger(), Trusted: t.Checkpoint(), Files: vfs.NewMem(), Dir: "audit",
	}.Run(ctx)
}

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
	view, err := reg.LatestView()
	if err != nil {
		return err
	}
	now := time.Now()
	s.printLine("who has not answered 2026-014 (due %s)", s.dates.due)
	var open []string
	err = view.Duties(register.DutyFilter{Designation: "2026-014", Kind: register.DutyRespond, State: register.DutyOpen}, now, func(d register.Duty) bool {
		open = append(open, d.Party)
		return true
	})
	if err != nil {
		return err
	}
	s.printStep("", "open", strings.Join(open, ", "))
	inForce, announced, err := countDesignations(view, now)
	if err != nil {
		return err
	}
	then, _, err := countDesignations(view, time.Date(s.dates.from.Year, s.dates.from.Month, s.dates.from.Day, 17, 0, 0, 0, time.UTC))
	if err != nil {
		return err
	}
	s.printStep("", "in force", fmt.Sprintf("today %d (announced %d); on %s %d", inForce, announced, s.dates.from, then))
	if len(open) != 2 || inForce != 0 || announced != 3 || then != 3 {
		s.unexpected++
	}
	return t.Close()
}

func countDesignations(view *register.View, at time.Time) (inForce, announced int, err error) {
	err = view.Designations(register.DesignationFilter{}, at, func(d register.Designation) bool {
		switch d.Status {
		case register.StatusInForce:
			inForce++
		case register.StatusAnnounced:
			announced++
		}
		return true
	})
	return inForce, announced, err
}

// tamper changes one digit of the entry inside a receipt: what the record says, and
// nothing of the proof.
func tamper(receipt []byte) []byte {
	lines := bytes.SplitN(receipt, []byte("\n"), 3)
	entry, err := base64.StdEncoding.DecodeString(string(bytes.TrimPrefix(lines[1], []byte("extra "))))
	if err != nil {
		return nil
	}
	at := bytes.Index(entry, []byte(`"admitted":"2`)) + len(`"admitted":"2`)
	entry[at]++
	lines[1] = []byte("extra " + base64.StdEncoding.EncodeToString(entry))
	return bytes.Join(lines, []byte("\n"))
}
