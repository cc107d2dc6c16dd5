package screening

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// Table writes hits, and rows that were not screened, as a table for spreadsheets.
type Table struct {
	w          *csv.Writer
	checkpoint string
}

// NewTable begins a table (RFC 4180), a [view.ByteOrderMark] and a header first. A cell that
// a spreadsheet would take for a formula has an apostrophe before it.
func NewTable(w io.Writer, head Head) (*Table, error) {
	t := &Table{csv.NewWriter(w), fmt.Sprintf("%s %d %s", head.Origin, head.Size, head.Root)}
	t.w.UseCRLF = true
	return t, t.w.Write([]string{
		view.ByteOrderMark + "row", "id", "name", "match", "score", "ofacStyleScore", "designation", "designationName", "matchedName", "matchedUse", "queried",
		"status", "from", "until", "publishedInError", "record", "reasons", "exception", "lapsed", "notScreened", "screenedInPart", "warnings", "checkpoint",
	})
}

// Add writes the hits of a row, or why it was not screened, or what of it was not compared.
func (t *Table) Add(l Line) error {
	for i := range l.Hits {
		if err := t.row(l, &l.Hits[i]); err != nil {
			return err
		}
	}
	if len(l.Hits) == 0 && !l.silent() {
		return t.row(l, &Hit{})
	}
	return nil
}

func (t *Table) row(l Line, h *Hit) error {
	var score, ofac, matched, use, wrong, from, until, id, excepted, lapsed, inPart string
	if h.Score != nil {
		score, ofac = h.Score.String(), h.OFACStyle.String()
	}
	if h.Matched != nil {
		matched, use = h.Matched.Text, string(h.Matched.Use)
	}
	if l.InPart {
		inPart = "true"
	}
	if h.Error {
		wrong = "true"
	}
	if h.Thread != "" {
		from, id = h.From.String(), h.Record.String()
	}
	if h.Until != nil {
		until = h.Until.String()
	}
	if e := h.Exception; e != nil {
		excepted, lapsed = e.String(), strings.Join(e.Lapsed, "; ")
	}
	cells := []string{
		strconv.Itoa(l.Row), l.ID, l.Name, string(h.How), score, ofac, string(h.Thread), h.Standing.Name, matched, use, h.Queried,
		string(h.Status), from, until, wrong, id, h.Reasons(), excepted, lapsed, l.NotScreened, inPart, strings.Join(l.Warnings, "; "), t.checkpoint,
	}
	for i := range cells {
		cells[i] = view.SpreadsheetText(cells[i])
	}
	return t.w.Write(cells)
}

// Close ends the table. Its error is the first of all writes.
func (t *Table) Close() error {
	t.w.Flush()
	return t.w.Error()
}

// Reasons are the features of a hit on one line, as "words +420 (…); country -90 (…)".
func (h *Hit) Reasons() string {
	var all []string
	for _, f := range h.Features {
		text := fmt.Sprintf("%s %+d", f.Name, f.Points)
		if f.Detail != "" {
			text += " (" + f.Detail + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// String says who reviewed a hit, when and why.
func (a *Applied) String() string { return fmt.Sprintf("excepted by %s on %s: %s", a.By, a.On, a.Why) }
