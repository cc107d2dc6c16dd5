// Package customerfile reads what a provider takes into its private customer log in bulk:
// tables of customers or of accesses, as spreadsheets and databases export them (package
// sheet), and JSON Lines of events ([event.Input]). Each row becomes events or says, column
// by column, why it does not; nothing of a file is passed over in silence.
//
// An event is the same event when it comes again, by its account and its ID. A row that has
// no ID gets one: "sha256:" and the SHA-256 of the row, which is its understood cells in a
// fixed order as they are written, or the event without its ID. So the same file twice adds
// nothing, and two rows that say the same are one event.
package customerfile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/sheet"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
)

// Options say what a file itself does not.
type Options struct {
	Columns []string       // FIELD=HEADING, as account=Konto; #3: by number; FIELD= none
	Zone    *time.Location // of times that name none; the charter's
	Now     time.Time      // when an account was opened of which no column tells it
	Type    string         // person or entity, of whom no column tells it; "": a fault
	By      string         // who verified, where no column tells it; "": a fault

	// Encoding is that of a file that is no UTF-8, and Dates which comes first in 1/2/2027.
	// Neither is ever guessed.
	Encoding Encoding
	Dates    Dates
}

// Encoding is how a file writes letters.
type Encoding string

// The encodings. UTF-16 with a byte order mark is recognised under either.
const (
	UTF8        Encoding = "utf-8" // as ""
	Windows1252 Encoding = "windows-1252"
)

// Encodings are all of them.
func Encodings() []Encoding { return []Encoding{UTF8, Windows1252} }

// Dates is the order of day, month and year where slashes or dashes are between them.
type Dates string

// The orders.
const (
	DayFirst   Dates = "dmy"
	MonthFirst Dates = "mdy"
)

// AllDates are all orders.
func AllDates() []Dates { return []Dates{DayFirst, MonthFirst} }

// Row is one row of a file.
type Row struct {
	Number int // as a spreadsheet counts: the header is row 1; of JSON Lines the line
	Line   int // on which it begins, as an editor counts
	// Inputs are the events that it tells, none where there are faults: one, or of a customer
	// who is verified two.
	Inputs []event.Input
	Faults []Fault

	cells []string
	raw   string // of JSON Lines, and of a row that could not be taken apart
}

// Fault is what is wrong with a row, and where.
type Fault struct {
	Where  string // "column 3 (email)", or a JSON pointer; "" is the whole
	Detail string
}

func (f Fault) String() string {
	if f.Where == "" {
		return f.Detail
	}
	return f.Where + ": " + f.Detail
}

// Place names a row for people.
func (r *Row) Place() string { return sheet.Row{Number: r.Number, Line: r.Line}.Place() }

// Faulty is the row's faults in one line.
func (r *Row) Faulty() string {
	texts := make([]string, len(r.Faults))
	for i, f := range r.Faults {
		texts[i] = f.String()
	}
	return event.MaskCards(strings.Join(texts, "; "))
}

// Reader reads a file row by row, in the memory of one.
type Reader struct {
	options Options
	table   *sheet.Reader // nil: JSON Lines
	columns *columns
	lines   *bufio.Reader
	number  int

	assumed []string       // what was taken for granted so far, once each
	lengths map[int]length // of the rows of a table, by their cells
}

// Open begins to read a file, a table or JSON Lines by its first byte. A *[sheet.Error] says
// why it is neither.
func Open(r io.Reader, o Options) (*Reader, error) {
	if o.Encoding == Windows1252 {
		r = transform.NewReader(r, charmap.Windows1252.NewDecoder())
	}
	in := bufio.NewReaderSize(r, maxLineBytes+4096)
	start, err := in.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	start = bytes.TrimLeft(bytes.TrimPrefix(start, []byte("\ufeff")), " \t\r\n")
	if len(start) > 0 && start[0] == '{' {
		return &Reader{options: o, lines: in}, nil
	}
	if len(start) > 0 && start[0] == '[' {
		return nil, sheet.Errorf("this is a list of JSON: write one object a line (JSON Lines), without the brackets and commas around them")
	}
	t, err := sheet.New(in)
	var no *sheet.Error
	if errors.As(err, &no) {
		return nil, sheet.Errorf("%s", encodingHint(no.What))
	} else if err != nil {
		return nil, err
	}
	c, err := recognise(t, o.Columns)
	if err != nil {
		return nil, err
	}
	return &Reader{options: o, table: t, columns: c}, nil
}

// encodingHint adds to a fault what else helps where a file is no UTF-8.
func encodingHint(fault string) string {
	if strings.Contains(fault, "is no UTF-8") {
		fault += ", or say --encoding windows-1252 if a program on Windows wrote it"
	}
	return fault
}

// Kind is what the rows are, in words.
func (r *Reader) Kind() string {
	if r.table == nil {
		return "events"
	}
	return r.columns.layout.kind
}

// Columns say which columns are read as what, in order; none of JSON Lines.
func (r *Reader) Columns() (all []string) {
	if r.table == nil {
		return nil
	}
	for _, f := range r.columns.layout.fields {
		for _, i := range r.columns.at[f] {
			all = append(all, fmt.Sprintf("%s = %q", f, r.table.Header[i]))
		}
	}
	return all
}

// Unused are the headings of the columns that are not read.
func (r *Reader) Unused() (headings []string) {
	if r.table == nil {
		return nil
	}
	for i, h := range r.table.Header {
		used := h == faultColumn
		for _, at := range r.columns.at {
			used = used || slices.Contains(at, i)
		}
		if !used {
			headings = append(headings, h)
		}
	}
	return headings
}

// Assumed is what was taken for granted of the rows that were read, for people.
func (r *Reader) Assumed() []string { return append(slices.Clip(r.assumed), r.short()...) }

// length is how many rows have so many cells, and which is the first.
type length struct {
	rows  int
	first string
}

// short tells of the rows with fewer cells than the longest row and the header have: cells that
// all rows lack at their end are empty, but what one lacks may be lost.
func (r *Reader) short() (all []string) {
	most := 0
	for n := range r.lengths {
		most = max(most, n)
	}
	for _, n := range slices.Sorted(maps.Keys(r.lengths)) {
		if n < min(most, len(r.table.Header)) {
			l := r.lengths[n]
			all = append(all, fmt.Sprintf("where a row has %d cells and the header %d, the others are empty: %d so, the first is %s; was it cut off?", n, len(r.table.Header), l.rows, l.first))
		}
	}
	return all
}

func (r *Reader) assume(text string) {
	if !slices.Contains(r.assumed, text) {
		r.assumed = append(r.assumed, text)
	}
}

// Next reads the next row; io.EOF after the last. A row with faults is a row like any other.
func (r *Reader) Next() (Row, error) {
	if r.table == nil {
		return r.nextLine()
	}
	raw, err := r.table.Next()
	if err != nil {
		return Row{}, err
	}
	row := Row{Number: raw.Number, Line: raw.Line, cells: raw.Cells, raw: raw.Raw}
	if raw.Fault != "" {
		row.Faults = []Fault{{Detail: encodingHint(raw.Fault)}}
		return row, nil
	}
	if r.lengths == nil {
		r.lengths = make(map[int]length)
	}
	n := min(len(row.cells), len(r.table.Header))
	l := r.lengths[n]
	if l.rows++; l.rows == 1 {
		l.first = row.Place()
	}
	r.lengths[n] = l
	r.fill(&row)
	if len(row.Faults) > 0 {
		row.Inputs = nil
	}
	return row, nil
}

// derivedID is the ID of a row that has none.
func derivedID(canonical []byte) string {
	sum := sha256.Sum256(canonical)
	return "sha256:" + hex.EncodeToString(sum[:])
}
