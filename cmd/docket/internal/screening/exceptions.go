package screening

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/sheet"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// Exceptions are the hits that somebody has reviewed: of which customer, as its row was then,
// on which designation, as it stood then; who, when and why. An exception hides nothing. It
// marks its hit, and lapses once either side is another than what was reviewed.
type Exceptions struct {
	list   []*exception
	byID   map[string][]*exception
	byName map[string][]*exception // those without an ID

	// Blank is how many rows nobody has filled in yet: they count for nothing.
	Blank int
}

// exception is one row of the file.
type exception struct {
	row         int
	customer    Customer
	designation record.Thread
	record      record.ID
	by, why     string
	on          record.Date
	country     string // as the file has it, where only a designated jurisdiction may be called that
	amended     string // what became of the designation since; "" if nothing
}

// Applied is an exception on a hit.
type Applied struct {
	Row    int         `json:"row"` // in the file of exceptions
	By     string      `json:"by"`
	On     record.Date `json:"on"`
	Why    string      `json:"why"`
	Lapsed []string    `json:"lapsed,omitempty"` // what is another than what was reviewed; then the hit is open
}

// Unused is an exception that marks no hit.
type Unused struct {
	Row         int           `json:"row"` // in the file of exceptions
	Customer    string        `json:"customer"`
	Designation record.Thread `json:"designation"`
	Why         string        `json:"why"` // it marks none
}

// The columns of an exceptions file beside those of a customer.
const (
	columnDesignation = "designation"
	columnRecord      = "record"
	columnBy          = "by"
	columnOn          = "on"
	columnWhy         = "why"
	columnLapsed      = "lapsed" // of a template: who excepted the hit before, and why that is over
)

// exceptionColumns are all of its columns, in the order of the template.
var exceptionColumns = func() (all []string) {
	for _, f := range Fields {
		all = append(all, string(f))
	}
	return append(all, columnDesignation, columnRecord, columnBy, columnOn, columnWhy, columnLapsed)
}()

// maxFaults is how many faults of a file are told at once.
const maxFaults = 10

// ParseExceptions reads a file of exceptions, a table like a list of customers. Every row
// with by, on or why filled in has to be whole: one that is not is a fault, and the file is
// taken whole or not at all.
func ParseExceptions(r io.Reader) (*Exceptions, error) {
	l, err := NewList(r, nil)
	if err != nil {
		return nil, err
	}
	at := make(map[string]int)
	for _, name := range []string{columnDesignation, columnRecord, columnBy, columnOn, columnWhy} {
		if at[name], err = l.table.Find(name); err != nil {
			return nil, sheet.Errorf("an exceptions file needs the columns %s: %q: %v", strings.Join(exceptionColumns[len(Fields):len(exceptionColumns)-1], ", "), name, err)
		}
	}
	x := &Exceptions{byID: make(map[string][]*exception), byName: make(map[string][]*exception)}
	var faults []error
	for {
		raw, err := l.table.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		e, blank, fault := x.parse(l, raw, at)
		switch {
		case fault != nil && len(faults) == maxFaults:
			faults = append(faults, errors.New("and more"))
			return nil, sheet.Errorf("%v", errors.Join(faults...))
		case fault != nil:
			faults = append(faults, fault)
		case blank:
			x.Blank++
		default:
			x.add(e)
		}
	}
	if len(faults) > 0 {
		return nil, sheet.Errorf("%v", errors.Join(faults...))
	}
	return x, nil
}

// parse reads one row.
func (x *Exceptions) parse(l *List, raw sheet.Row, at map[string]int) (e *exception, blank bool, err error) {
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s", raw.Place(), fmt.Sprintf(format, args...))
	}
	if raw.Fault != "" {
		return nil, false, fault("%s", raw.Fault)
	}
	for i, cell := range raw.Cells {
		raw.Cells[i] = view.FromSpreadsheetText(cell)
	}
	row := Row{Number: raw.Number, Line: raw.Line}
	l.fill(&row, raw.Cells)
	cell := func(name string) string {
		if i := at[name]; i < len(raw.Cells) {
			return strings.TrimSpace(raw.Cells[i])
		}
		return ""
	}
	e = &exception{row: raw.Number, customer: row.Customer, country: row.unreadCountry, by: cell(columnBy), why: cell(columnWhy)}
	if e.by == "" && e.why == "" && cell(columnOn) == "" {
		return nil, true, nil
	}
	if row.NotScreened != "" {
		return nil, false, fault("%s", row.NotScreened)
	}
	for _, name := range []string{columnDesignation, columnRecord, columnBy, columnOn, columnWhy} {
		if cell(name) == "" {
			return nil, false, fault("column %s is empty: who reviewed the hit (by), when (on), and why it is none are all needed", name)
		}
	}
	for _, name := range []string{columnBy, columnWhy} {
		if n := utf8.RuneCountInString(cell(name)); n > maxCellChars {
			return nil, false, fault("column %s has %d characters, the limit is %d", name, n, maxCellChars)
		}
	}
	if e.on, err = parseDay(cell(columnOn)); err != nil {
		return nil, false, fault("column on: %v; a spreadsheet may have rewritten it: write it as 2027-06-01, or 1.6.2027", err)
	}
	thread := cell(columnDesignation)
	if !strings.Contains(thread, "/") {
		thread = record.FamilyDesignation.Prefix() + thread
	}
	if e.designation, err = record.ParseThread(thread); err != nil || e.designation.Family() != record.FamilyDesignation {
		return nil, false, fault("column designation: %q is no designation's thread, like designation/2026-014", cell(columnDesignation))
	}
	if e.record, err = record.ParseID(cell(columnRecord)); err != nil {
		return nil, false, fault("column record: %v: want the record ID that the hit named when it was reviewed", err)
	}
	return e, false, nil
}

// parseDay reads a day, also as 27.11.2026: with dots the day always comes first. With
// slashes that hangs on the country, and with two digits the century is not told.
func parseDay(text string) (record.Date, error) {
	if t, err := time.Parse("2.1.2006", text); err == nil {
		return record.ParseDate(t.Format(time.DateOnly))
	}
	return record.ParseDate(text)
}

func (x *Exceptions) add(e *exception) {
	x.list = append(x.list, e)
	if e.customer.ID != "" {
		x.byID[e.customer.ID] = append(x.byID[e.customer.ID], e)
	} else {
		x.byName[e.customer.Name] = append(x.byName[e.customer.Name], e)
	}
}

// Len is how many there are; of nil none.
func (x *Exceptions) Len() int {
	if x == nil {
		return 0
	}
	return len(x.list)
}

// Resolve holds the exceptions against the designations as they stand on the day of the
// report. A record that is on another thread than its exception says is a fault of the file,
// and so is a review that lies ahead of that day: nobody has made it.
func (x *Exceptions) Resolve(d *Designations, day record.Date) error {
	var faults []error
	for _, e := range x.list {
		if e.on.After(day) {
			if faults = append(faults, fmt.Errorf("row %d: column on: %s lies ahead of the day of the report, %s: whose copy is older than the review brings it up to date first (docket sync)", e.row, e.on, day)); len(faults) == maxFaults {
				return sheet.Errorf("%v", errors.Join(faults...))
			}
			continue
		}
		if e.country != "" {
			e.customer.Country = d.countryNamed(e.country)
		}
		rec, err := d.view.Record(e.record)
		var absent *view.AbsentError
		switch {
		case errors.As(err, &absent):
			e.amended = fmt.Sprintf("the record that was reviewed, %s, is not among the first %d entries", e.record, d.view.Size())
			continue
		case err != nil:
			return err
		case rec.Thread != e.designation:
			if faults = append(faults, fmt.Errorf("row %d: the record %s is on %s, and not on %s", e.row, e.record, rec.Thread, e.designation)); len(faults) == maxFaults {
				return sheet.Errorf("%v", errors.Join(faults...))
			}
			continue
		}
		if e.amended, err = d.since(rec.Thread, rec.Index); err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		return sheet.Errorf("%v", errors.Join(faults...))
	}
	return nil
}

// since says what came on a designation's thread after the record of an index; "" if nothing.
func (d *Designations) since(thread record.Thread, index uint64) (string, error) {
	ch, err := d.view.ChangeSince(thread, index+1, d.day)
	if err != nil || len(ch.Records) == 0 {
		return "", err
	}
	newest, err := d.view.Head(thread)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s has a newer record: %s at index %d", thread, newest.Kind, newest.Index)
	if len(ch.Changed) > 0 {
		text += ", which changed " + strings.Join(ch.Changed, ", ")
	}
	return text, nil
}

// of are the exceptions of a customer, in the order of the file.
func (x *Exceptions) of(c Customer) []*exception {
	if x == nil {
		return nil
	}
	own := x.byName[c.Name]
	if c.ID == "" || len(x.byID[c.ID]) == 0 {
		return own
	}
	own = append(slices.Clone(x.byID[c.ID]), own...)
	slices.SortFunc(own, func(a, b *exception) int { return a.row - b.row })
	return own
}

// Apply is the exception that covers a customer's hit on a designation; else the last that
// did and has lapsed; else nil.
func (x *Exceptions) Apply(c Customer, designation record.Thread) (applied *Applied) {
	for _, e := range x.of(c) {
		if e.designation != designation {
			continue
		}
		applied = &Applied{Row: e.row, By: e.by, On: e.on, Why: e.why, Lapsed: e.customer.changes(c)}
		if e.amended != "" {
			applied.Lapsed = append(applied.Lapsed, e.amended)
		}
		if len(applied.Lapsed) == 0 {
			return applied
		}
	}
	return applied
}

// changes says in which fields that are compared a customer is another than it was.
func (c Customer) changes(now Customer) (all []string) {
	was, is := c.cells(), now.cells()
	for i, f := range Fields {
		if f != FieldID && was[i] != is[i] {
			all = append(all, fmt.Sprintf("the customer's %s was %s and is %s", f, orNone(was[i]), orNone(is[i])))
		}
	}
	return all
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return strconv.Quote(text)
}

// cells are the fields of a customer, in the order of [Fields], as a list has them.
func (c Customer) cells() []string {
	asn := make([]string, len(c.ASN))
	for i, n := range c.ASN {
		asn[i] = strconv.FormatInt(n, 10)
	}
	return []string{c.ID, c.Name, strings.Join(c.Alias, "; "), c.Country, c.LEI, c.RegistrationNumber, strings.Join(asn, " "), strings.Join(c.Domain, " ")}
}

// label names a customer in one word, for people.
func (c Customer) label() string {
	for _, text := range c.cells() {
		if text != "" {
			return text
		}
	}
	return ""
}

// uses follows which exceptions rows and hits made use of. It belongs to one goroutine.
type uses struct {
	exceptions *Exceptions
	rows       map[int]int  // by exception's row: the newest row of the list that is its customer
	hits       map[int]bool // by exception's row
}

func newUses(x *Exceptions) *uses {
	return &uses{exceptions: x, rows: make(map[int]int), hits: make(map[int]bool)}
}

func (u *uses) note(row Row, hits []Hit) {
	for _, e := range u.exceptions.of(row.Customer) {
		u.rows[e.row] = row.Number
	}
	for _, h := range hits {
		if h.Exception != nil {
			u.hits[h.Exception.Row] = true
		}
	}
}

// unused are the exceptions that mark no hit, in the order of the file.
func (u *uses) unused() (all []Unused) {
	if u.exceptions == nil {
		return nil
	}
	for _, e := range u.exceptions.list {
		if u.hits[e.row] {
			continue
		}
		why := "no row of the list is this customer"
		if row, listed := u.rows[e.row]; listed {
			why = fmt.Sprintf("row %d of the list is this customer, and that designation does not hit it, or another exception marks the hit", row)
		}
		all = append(all, Unused{Row: e.row, Customer: e.customer.label(), Designation: e.designation, Why: why})
	}
	return all
}

// Template writes a file of exceptions to be filled in: those that there are, and a row for
// each open hit.
type Template struct{ w *csv.Writer }

// NewTemplate begins a template, with a [view.ByteOrderMark].
func NewTemplate(w io.Writer) (*Template, error) {
	if _, err := io.WriteString(w, view.ByteOrderMark); err != nil {
		return nil, err
	}
	t := &Template{csv.NewWriter(w)}
	t.w.UseCRLF = true
	return t, t.w.Write(exceptionColumns)
}

// Add writes what is to be reviewed of a row.
func (t *Template) Add(l Line) error {
	for _, h := range l.Hits {
		var by, on, why, lapsed string
		switch {
		case !h.Open():
			by, on, why = h.Exception.By, h.Exception.On.String(), h.Exception.Why
		case h.Exception != nil:
			lapsed = h.Exception.String() + "; " + strings.Join(h.Exception.Lapsed, "; ")
		}
		if err := t.row(l.Customer, h.Thread, h.Record, by, on, why, lapsed); err != nil {
			return err
		}
	}
	return nil
}

// Close writes the exceptions that marked no hit, as they are: whoever keeps the file decides
// about them.
func (t *Template) Close(x *Exceptions, unused []Unused) error {
	for _, u := range unused {
		for _, e := range x.list {
			if e.row == u.Row {
				if err := t.row(e.customer, e.designation, e.record, e.by, e.on.String(), e.why, ""); err != nil {
					return err
				}
			}
		}
	}
	t.w.Flush()
	return t.w.Error()
}

func (t *Template) row(c Customer, thread record.Thread, id record.ID, by, on, why, lapsed string) error {
	cells := append(c.cells(), string(thread), id.String(), by, on, why, lapsed)
	for i := range cells {
		cells[i] = view.SpreadsheetText(cells[i])
	}
	return t.w.Write(cells)
}
