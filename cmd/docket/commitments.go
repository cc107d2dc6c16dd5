package main

import (
	"bufio"
	"errors"
	"path/filepath"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/sheet"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// printCommitments tells a signer what the file is that a response's screening commits to,
// and where the salts go that alone open a commitment.
func (a *app) printCommitments(m inputFile, g *baseState, salts []record.Opening) error {
	if m.envelope != nil {
		return nil
	}
	if name, ok := m.short.CommittedFiles["/screening"]; ok {
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(m.name), name)
		}
		if err := a.printScreening(name, g.ledger); err != nil {
			return err
		}
	}
	if len(salts) > 0 {
		a.logf("  salts        %s: keep it; nothing else opens what this commits to (docket commit open)", printable(m.stem+saltsSuffix))
	}
	return nil
}

// printScreening says what a screening report says. A digest may be of another system's
// report: what is none of docket's is warned of, and no more.
func (a *app) printScreening(name string, ledger record.ID) error {
	f, err := openNamed(name)
	if err != nil {
		return err
	}
	defer f.Close()
	head, totals, err := screening.ReadTotals(bufio.NewReader(f))
	var no *sheet.Error
	shown := printable(name)
	switch {
	case errors.As(err, &no):
		a.logf("docket: warning: screening: %s is no screening report that docket wrote: %s", shown, printable(err.Error()))
		return nil
	case errors.Is(err, screening.ErrNotWhole):
		a.logf("docket: warning: screening: %s is a report that is not whole, or was altered: docket screen --check tells", shown)
	case err != nil:
		return err
	default:
		open := plural(totals.Open, "open hit")
		if totals.NotScreened > 0 {
			open += ", " + plural(totals.NotScreened, "row") + " not screened"
		}
		if totals.InPart > 0 {
			open += ", " + plural(totals.InPart, "row") + " screened in part"
		}
		on := "ledger " + head.Ledger.String()
		if head.Ledger == ledger {
			on = "this ledger"
		}
		a.logf("  screening    %s: a report on %s as of size %d, for %s: %s", shown, on, head.Size, head.Day, open)
		if totals.Rows == 0 || head.Designations == 0 {
			a.logf("docket: warning: screening: %s compared %s with %s: nothing was screened", shown, plural(totals.Rows, "row"), plural(head.Designations, "designation"))
		}
	}
	if !ledger.IsZero() && head.Ledger != ledger {
		a.logf("docket: warning: screening: %s is a report on another ledger, %s", shown, head.Ledger)
	}
	return nil
}
