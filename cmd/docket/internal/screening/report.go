package screening

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/plain"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/sheet"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// A report is lines of JSON (DESIGN.md section 4, "Screening report"), in this order:
//
//	Head     what it rests on; it alone has a member docketScreening
//	Line     a row of the list that was hit, was not screened, or was screened in part
//	Mark     after each [markEvery] rows: how far it has come, and the SHA-256 of all before
//	Totals   the last line; without it a report is not whole
//
// The same head gives the same bytes, on any machine and with any number of workers.
const reportFormat = 1

// Head is the first line of a report: all that the others follow from.
type Head struct {
	Format int `json:"docketScreening"`

	Ledger record.ID   `json:"ledger"`
	Origin string      `json:"origin"`
	Size   uint64      `json:"size"` // of the tree whose entries the designations are from
	Root   string      `json:"root"` // its root, base64, as a checkpoint has it
	Day    record.Date `json:"day"`  // in the charter's time zone, at whose end statuses are told

	Algorithm    int           `json:"algorithm"` // screen.Version
	Tables       string        `json:"tables"`    // screen.TablesDigest
	Threshold    screen.Score  `json:"threshold"`
	Statuses     []view.Status `json:"statuses"`     // of the designations that customers are compared with
	Designations int           `json:"designations"` // how many these are

	Input      InputHead       `json:"input"`
	Exceptions *ExceptionsHead `json:"exceptions,omitempty"`
}

// InputHead names the list that was screened.
type InputHead struct {
	SHA256  string   `json:"sha256"`
	Bytes   int64    `json:"bytes"`
	Columns Columns  `json:"columns"`
	Unused  []string `json:"unused,omitempty"` // headings of the other columns
}

// String says what the columns are taken for, for people.
func (h InputHead) String() string {
	text := columnsText(h.Columns)
	if len(h.Unused) > 0 {
		text += "; not used: " + sheet.Quoted(h.Unused)
	}
	return text
}

// ExceptionsHead names the file of exceptions.
type ExceptionsHead struct {
	SHA256 string `json:"sha256"`
	Count  int    `json:"count"`
	Blank  int    `json:"blank,omitempty"` // rows that nobody has filled in
}

// NewHead is the head of a report on a list, made by this version of the algorithm.
func NewHead(source view.Source, day record.Date, statuses []view.Status, threshold screen.Score, d *Designations) Head {
	return Head{
		Format: reportFormat, Ledger: source.Ledger, Origin: source.Origin, Size: source.Size, Root: source.Root, Day: day,
		Algorithm: screen.Version, Tables: screen.TablesDigest(), Threshold: threshold, Statuses: statuses, Designations: d.Len(),
	}
}

// maxLineBytes bounds one line of a report that is read.
const maxLineBytes = 64 << 20

// ReadHead reads the first line of a report.
func ReadHead(r *bufio.Reader) (h Head, line []byte, err error) {
	line, err = readLine(r)
	if errors.Is(err, io.EOF) && len(line) == 0 {
		return h, nil, sheet.Errorf("the report is empty")
	} else if err != nil && !errors.Is(err, io.EOF) {
		return h, nil, err
	}
	var format struct {
		Format int `json:"docketScreening"`
	}
	switch err := json.Unmarshal(line, &format); {
	case err != nil || format.Format == 0:
		return h, nil, sheet.Errorf("this is no screening report: its first line does not say docketScreening")
	case format.Format > reportFormat:
		return h, nil, sheet.Errorf("the report is of a later version of docket: its format is %d, and this one reads none later than %d", format.Format, reportFormat)
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return h, nil, sheet.Errorf("the report's first line is damaged: %v", err)
	}
	return h, line, nil
}

// ErrNotWhole: a report's last line is not its totals, or what stands before is not what
// they have the digest of.
var ErrNotWhole = errors.New("the report is not whole")

// ReadTotals reads the first and the last line of a report, and holds the others against the
// digest of the last. With [ErrNotWhole] the head is there.
func ReadTotals(r *bufio.Reader) (h Head, t Totals, err error) {
	h, last, err := ReadHead(r)
	if err != nil {
		return h, t, err
	}
	before := sha256.New()
	for {
		line, err := readLine(r)
		if len(line) > 0 {
			before.Write(last)
			last = line
		}
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return h, t, err
		}
	}
	if json.Unmarshal(last, &t) != nil || t.SHA256 != hex.EncodeToString(before.Sum(nil)) || bytes.HasPrefix(last, []byte(`{"upTo"`)) {
		return h, Totals{}, ErrNotWhole
	}
	return h, t, nil
}

// readLine reads one line with its end; a last one without end comes with io.EOF.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLineBytes {
			return nil, sheet.Errorf("a line of the report is longer than %d bytes", maxLineBytes)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// Differences says in what two heads differ, for people: "" where each line is the same.
func (h Head) Differences(other Head) (all []string) {
	differ := func(what string, mine, theirs any) {
		a, b := fmt.Sprint(mine), fmt.Sprint(theirs)
		if a != b {
			all = append(all, fmt.Sprintf("%s is %s here, and %s in the report", what, a, b))
		}
	}
	differ("the ledger", h.Ledger, other.Ledger)
	differ("the origin", h.Origin, other.Origin)
	differ("the size", h.Size, other.Size)
	differ("the root of the tree", h.Root, other.Root)
	differ("the day", h.Day, other.Day)
	differ("the version of the algorithm", h.Algorithm, other.Algorithm)
	differ("the digest of its tables", h.Tables, other.Tables)
	differ("the threshold", h.Threshold, other.Threshold)
	differ("the statuses", h.Statuses, other.Statuses)
	differ("the number of designations", h.Designations, other.Designations)
	differ("the SHA-256 of the list", h.Input.SHA256, other.Input.SHA256)
	differ("the length of the list", h.Input.Bytes, other.Input.Bytes)
	differ("what its columns are taken for", columnsText(h.Input.Columns), columnsText(other.Input.Columns))
	differ("what is not used of them", h.Input.Unused, other.Input.Unused)
	differ("the file of exceptions", h.Exceptions.text(), other.Exceptions.text())
	return all
}

func (e *ExceptionsHead) text() string {
	if e == nil {
		return "none"
	}
	return fmt.Sprintf("%s (%d, and %d blank)", e.SHA256, e.Count, e.Blank)
}

// columnsText says which columns are taken for what.
func columnsText(c Columns) string {
	var all []string
	for _, f := range Fields {
		if len(c[f]) > 0 {
			all = append(all, fmt.Sprintf("%s = %s", f, sheet.Quoted(c[f])))
		}
	}
	return strings.Join(all, "; ")
}

// Exactly is these columns and no others: none is recognised by its heading.
func (c Columns) Exactly() Columns {
	all := make(Columns)
	for _, f := range Fields {
		all[f] = append([]string{}, c[f]...)
	}
	return all
}

// Mark says how far a report has come.
type Mark struct {
	UpTo   int    `json:"upTo"`   // the row that was screened last
	SHA256 string `json:"sha256"` // of all lines before this one
}

// markEvery is after how many rows a report has a mark. What comes after the last mark of a
// report that was broken off is screened again.
const markEvery = 1000

// Totals are the last line of a report.
type Totals struct {
	Rows        int      `json:"rows"`
	Screened    int      `json:"screened"`
	NotScreened int      `json:"notScreened"`
	InPart      int      `json:"screenedInPart"` // of those screened
	RowsHit     int      `json:"rowsHit"`
	Hits        int      `json:"hits"`
	Open        int      `json:"open"`             // hits that no exception covers
	Lapsed      int      `json:"lapsed"`           // of those: hits whose exception has lapsed
	Excepted    int      `json:"excepted"`         // hits that an exception covers
	Unused      []Unused `json:"unused,omitempty"` // exceptions that mark no hit
	SHA256      string   `json:"sha256"`           // of all lines before this one
}

func (t *Totals) add(l Line) {
	t.Rows++
	if l.NotScreened != "" {
		t.NotScreened++
		return
	}
	t.Screened++
	if l.InPart {
		t.InPart++
	}
	if len(l.Hits) > 0 {
		t.RowsHit++
	}
	for _, h := range l.Hits {
		t.Hits++
		switch {
		case !h.Open():
			t.Excepted++
			continue
		case h.Exception != nil:
			t.Lapsed++
		}
		t.Open++
	}
}

// EncodeLine is one line of a report, its end included. What a terminal obeys or hides
// stands in it as an escape of JSON's.
func EncodeLine(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return []byte(plain.Lines(b.String())), nil
}

// Compared says in words what each row is held against, so that nobody takes "no hit" for
// more than it is.
func (h Head) Compared() string {
	which := "that are announced, in force or suspended"
	if !slices.Equal(h.Statuses, InEffect) {
		which = "that are announced, in force, suspended or over"
	}
	return fmt.Sprintf("names and aliases with the current, other and former names of %d designations %s, in any script, order of words and legal form; numbers and domains exactly; countries with designated jurisdictions", h.Designations, which)
}
