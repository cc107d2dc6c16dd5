package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

// tell says on stderr what came of it, in words that promise no more than was done.
func (m *screenCmd) tell(head screening.Head, t screening.Totals) {
	m.app.logf("%s", summary(t))
	if t.Hits == 0 {
		m.app.logf("no hit at a score of %s or above means: compared were %s", head.Threshold, head.Compared())
	}
	for _, u := range t.Unused {
		m.app.logf("%s, row %d: the exception of %s on %s marks no hit: %s", m.exceptions, u.Row, u.Customer, u.Designation, u.Why)
	}
}

// summary is what came of a list, in a line.
func summary(t screening.Totals) string {
	text := fmt.Sprintf("%s screened", plural(t.Screened, "row"))
	if t.InPart > 0 {
		text += fmt.Sprintf(", %d of them in part", t.InPart)
	}
	if t.NotScreened > 0 {
		text += fmt.Sprintf(", %d NOT screened", t.NotScreened)
	}
	text += fmt.Sprintf("; %s", plural(t.Hits, "hit"))
	if t.Hits > 0 {
		text += fmt.Sprintf(" on %s: %d open", plural(t.RowsHit, "row"), t.Open)
		if t.Lapsed > 0 {
			text += fmt.Sprintf(" (%s)", beLapsed(t.Lapsed))
		}
		text += fmt.Sprintf(", %d excepted", t.Excepted)
	}
	return text
}

func beLapsed(n int) string {
	if n == 1 {
		return "1 exception has lapsed"
	}
	return fmt.Sprintf("%d exceptions have lapsed", n)
}

// somebodyHasToLook is exit 1; nil where nobody has to. What compared nobody with nothing is
// no clean bill.
func (m *screenCmd) somebodyHasToLook(head screening.Head, t screening.Totals) error {
	if t.Open == 0 && t.NotScreened == 0 && t.InPart == 0 && t.Rows > 0 && head.Designations > 0 {
		return nil
	}
	var what, next []string
	if t.Rows == 0 {
		what = append(what, "the list has a header and no rows")
		next = append(next, "nobody was screened: export the list again")
	}
	if head.Designations == 0 {
		what = append(what, "nothing was designated to compare with")
		next = append(next, "docket sync brings the copy up to date; --at and --size ask about what stood on another day")
	}
	if t.Open > 0 {
		what = append(what, plural(t.Open, "open hit"))
		next = append(next, "--explain shows why each is one; --exceptions-template --out FILE writes what is to be filled in once they are reviewed")
	}
	if t.NotScreened > 0 {
		what = append(what, plural(t.NotScreened, "row")+" not screened")
		next = append(next, "mend the rows that were not screened, and run the same command again")
	}
	if t.InPart > 0 {
		what = append(what, plural(t.InPart, "row")+" screened in part")
		next = append(next, "mend what could not be read of a row, or empty the cell if nothing is known")
	}
	return refusal("%s", strings.Join(what, ", ")).hint("%s", strings.Join(next, "; "))
}

// screenPrinter prints what a report says of each row.
type screenPrinter struct {
	add   func(screening.Line) error
	close func(screening.Totals) error
}

func (m *screenCmd) printer(run *screening.Run, out io.Writer) (p screenPrinter, err error) {
	none := func(screening.Totals) error { return nil }
	switch {
	case m.query.asJSON:
		return screenPrinter{func(screening.Line) error { return nil }, none}, nil
	case m.asTable:
		t, err := screening.NewTable(out, run.Head)
		return screenPrinter{t.Add, func(screening.Totals) error { return t.Close() }}, err
	case m.template:
		t, err := screening.NewTemplate(out)
		return screenPrinter{t.Add, func(totals screening.Totals) error { return t.Close(run.Screener.Exceptions, totals.Unused) }}, err
	case m.explain:
		return screenPrinter{m.printExplained, none}, nil
	}
	return m.tablePrinter(), nil
}

// tablePrinter prints a hit a line.
func (m *screenCmd) tablePrinter() screenPrinter {
	w, rows, headed := m.app.table(), 0, false
	width := m.app.terminalWidth()
	print := func(cells ...any) error {
		if !headed && width > 0 {
			fmt.Fprintln(w, strings.Join([]string{"ROW", "CUSTOMER", "SCORE", "OFAC-STYLE", "MATCH", "DESIGNATION", "NAME", "STATUS", "FROM", "UNTIL", "REMARK"}, "\t"))
		}
		if headed = true; !m.wide {
			w.width = width
		}
		printRow(w, cells...)
		if rows++; rows%maxTableRows == 0 {
			return w.Flush()
		}
		return nil
	}
	add := func(l screening.Line) error {
		if l.NotScreened != "" {
			if width > 0 && !m.wide { // where it may be cut
				m.app.logf("row %d: NOT SCREENED: %s", l.Row, l.NotScreened)
			}
			return print(l.Row, customerText(l.Customer), "", "", "NOT SCREENED", "", "", "", "", "", l.NotScreened)
		}
		if l.InPart {
			if err := print(l.Row, customerText(l.Customer), "", "", "IN PART", "", "", "", "", "", strings.Join(l.Warnings, "; ")); err != nil {
				return err
			}
		}
		for _, text := range l.Warnings {
			if l.InPart && (width == 0 || m.wide) {
				break // the line says it, uncut
			}
			m.app.logf("row %d: %s", l.Row, text)
		}
		for _, h := range l.Hits {
			score, ofac := "", ""
			if h.Score != nil {
				score, ofac = short(*h.Score), short(*h.OFACStyle)
			}
			if err := print(l.Row, customerText(l.Customer), score, ofac, h.How, h.Thread.Name(), h.Standing.Name, errorPrefix(h.Error)+string(h.Status), h.From, dateOrNone(h.Until), exceptionText(h)); err != nil {
				return err
			}
		}
		return nil
	}
	return screenPrinter{add, func(screening.Totals) error { return w.Flush() }}
}

// short is a score with three decimals, cut and never rounded: what is below the threshold
// does not look as if it were not.
func short(s screen.Score) string { return s.String()[:len("0.000")] }

func customerText(c screening.Customer) string {
	return strings.TrimSpace(c.ID + " " + cmp.Or(c.Name, strings.Join(c.Alias, ", ")))
}

func statusText(h screening.Hit) string {
	return fmt.Sprintf("%s%s, from %s%s", errorPrefix(h.Error), h.Status, h.From, withDate(" until ", h.Until))
}

func exceptionText(h screening.Hit) string {
	switch {
	case h.Exception == nil:
		return ""
	case h.Open():
		return "LAPSED: " + strings.Join(h.Exception.Lapsed, "; ")
	}
	return h.Exception.String()
}

// printExplained prints the hits of a row with all that makes them up.
func (m *screenCmd) printExplained(l screening.Line) error {
	if l.NotScreened == "" && len(l.Warnings) == 0 && len(l.Hits) == 0 {
		return nil
	}
	line := m.query.linePrinter()
	m.app.printf("row %d  %s\n", l.Row, printable(customerText(l.Customer)))
	if l.NotScreened != "" {
		line("NOT SCREENED", "%s", l.NotScreened)
	}
	warning := "warning"
	if l.InPart {
		warning = "IN PART"
	}
	for _, text := range l.Warnings {
		line(warning, "%s", text)
	}
	for _, h := range l.Hits {
		line(string(h.How), "%s  %s (%s)", h.Thread, h.Standing.Name, statusText(h))
		if h.Score != nil {
			line("score", "%s, of %d points; OFAC-style %s", h.Score, h.Points, h.OFACStyle)
		} else {
			line("country", "%s is the designated jurisdiction: no name was compared", l.Country)
		}
		if h.Matched != nil {
			by := l.Name
			if h.Queried != "" {
				by = h.Queried
			}
			line("compared", "%q with %q, its %s name", by, h.Matched.Text, h.Matched.Use)
		}
		for _, f := range h.Features {
			line("", "%+6d  %s  %s", f.Points, f.Name, f.Detail)
		}
		line("record", "%s", h.Record)
		if text := exceptionText(h); text != "" {
			line("exception", "%s", text)
		}
		if h.Exception != nil && h.Open() {
			line("", "%s", h.Exception)
		}
	}
	return nil
}
