package screening

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/plain"
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
		text += "; not used: " + quoted(h.Unused)
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
		return h, nil, noTable("the report is empty")
	} else if err != nil && !errors.Is(err, io.EOF) {
		return h, nil, err
	}
	var format struct {
		Format int `json:"docketScreening"`
	}
	switch err := json.Unmarshal(line, &format); {
	case err != nil || format.Format == 0:
		return h, nil, noTable("this is no screening report: its first line does not say docketScreening")
	case format.Format > reportFormat:
		return h, nil, noTable("the report is of a later version of docket: its format is %d, and this one reads none later than %d", format.Format, reportFormat)
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return h, nil, noTable("the report's first line is damaged: %v", err)
	}
	return h, line, nil
}

// readLine reads one line with its end; a last one without end comes with io.EOF.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLineBytes {
			return nil, noTable("a line of the report is longer than %d bytes", maxLineBytes)
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
			all = append(all, fmt.Sprintf("%s = %s", f, quoted(c[f])))
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

// Run makes one report.
type Run struct {
	Head     Head
	List     *List
	Screener *Screener
	Workers  int // that screen side by side; at least 1
}

// Write writes the report to w, a line a call, and calls each with every row in the order of
// the list, also with those that the report leaves out. Where an earlier run was broken off,
// partial is what it wrote: that much is read again and not written. After each mark it
// calls marked. Nothing it does depends on the number of workers but the time it takes.
func (r *Run) Write(ctx context.Context, w io.Writer, partial *Partial, each func(Line) error, marked func() error) (totals Totals, err error) {
	g, ctx := errgroup.WithContext(ctx)
	inOrder, work := make(chan batch, 4*r.Workers), make(chan batch, 4*r.Workers)
	g.Go(func() error {
		defer close(inOrder)
		defer close(work)
		return r.read(ctx, inOrder, work)
	})
	for range r.Workers {
		g.Go(func() error {
			for b := range work {
				lines := make([]Line, len(b.rows))
				for i, row := range b.rows {
					if row.Number > partial.Rows() {
						lines[i] = r.Screener.Screen(row)
					}
				}
				b.lines <- lines
			}
			return nil
		})
	}
	g.Go(func() error {
		var err error
		totals, err = r.gather(ctx, inOrder, &writer{w: w, sum: sha256.New()}, partial, each, marked)
		return err
	})
	err = g.Wait()
	return totals, err
}

// batch is some rows and, once they are screened, what came of them.
type batch struct {
	rows  []Row
	lines chan []Line
}

const batchRows = 32

// read hands the rows out, in batches, to be screened and to be gathered.
func (r *Run) read(ctx context.Context, inOrder, work chan<- batch) error {
	send := func(rows []Row) error {
		b := batch{rows, make(chan []Line, 1)}
		for _, to := range []chan<- batch{inOrder, work} {
			select {
			case to <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	var rows []Row
	for {
		row, err := r.List.Next()
		if err == nil {
			rows = append(rows, row)
		}
		if (err != nil || len(rows) == batchRows) && len(rows) > 0 {
			if err := send(rows); err != nil {
				return err
			}
			rows = nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the list: %w", err)
		}
	}
}

// gather writes what came of the rows, in their order.
func (r *Run) gather(ctx context.Context, inOrder <-chan batch, w *writer, partial *Partial, each func(Line) error, marked func() error) (totals Totals, err error) {
	if partial == nil {
		err = w.line(r.Head)
	} else {
		w.sum.Write(partial.head)
	}
	if err != nil {
		return totals, err
	}
	used := newUses(r.Screener.Exceptions)
	for b := range inOrder {
		var lines []Line
		select {
		case lines = <-b.lines:
		case <-ctx.Done():
			return totals, ctx.Err()
		}
		for i, l := range lines {
			row := b.rows[i]
			told := row.Number <= partial.Rows()
			if told {
				if l, err = partial.line(row, w.sum); err != nil {
					return totals, err
				}
			}
			totals.add(l)
			used.note(row, l.Hits)
			if !told && !l.silent() {
				if err := w.line(l); err != nil {
					return totals, err
				}
			}
			if err := each(l); err != nil {
				return totals, err
			}
			if totals.Rows%markEvery != 0 {
				continue
			}
			if told {
				err = partial.passMark(w.sum)
			} else if err = w.line(Mark{row.Number, w.digest()}); err == nil {
				err = marked()
			}
			if err != nil {
				return totals, err
			}
		}
	}
	if ctx.Err() != nil { // the list was not read to its end
		return totals, ctx.Err()
	}
	totals.Unused = used.unused()
	totals.SHA256 = w.digest()
	return totals, w.line(totals)
}

// writer writes lines, and keeps the digest of all so far.
type writer struct {
	w   io.Writer
	sum hash.Hash
}

func (w *writer) digest() string { return hex.EncodeToString(w.sum.Sum(nil)) }

func (w *writer) line(v any) error {
	line, err := EncodeLine(v)
	if err != nil {
		return err
	}
	w.sum.Write(line)
	_, err = w.w.Write(line)
	return err
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

// Partial is what a run that was broken off has written, up to its last mark that holds.
type Partial struct {
	head   []byte
	last   int // the row that the mark names
	offset int64
	r      *bufio.Reader // what comes after the head
	next   []byte        // the line that was read ahead; nil if none was
}

// OtherReportError says that what was begun is another report.
type OtherReportError struct{ Differences []string }

func (e *OtherReportError) Error() string { return strings.Join(e.Differences, "; ") }

// readPartial reads what a run with this head has written. nil: nothing of it holds, and the
// report is begun anew. An [OtherReportError] says that another report was begun.
func readPartial(f interface {
	io.Reader
	io.ReaderAt
}, head Head) (*Partial, error) {
	want, err := EncodeLine(head)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReader(f)
	theirs, line, err := ReadHead(r)
	switch no := (*NoTableError)(nil); {
	case errors.As(err, &no): // a crash may have left anything
		return nil, nil
	case err != nil:
		return nil, err
	case !bytes.Equal(line, want):
		differences := head.Differences(theirs)
		if len(differences) == 0 {
			return nil, nil // its first line is not whole
		}
		return nil, &OtherReportError{differences}
	}
	p := &Partial{head: want}
	sum, offset := sha256.New(), int64(len(want))
	sum.Write(want)
	for {
		line, err := readLine(r)
		if err != nil { // the last one is not whole
			break
		}
		if m, ok := parseMark(line); ok {
			if m.SHA256 != hex.EncodeToString(sum.Sum(nil)) {
				break
			}
			p.last, p.offset = m.UpTo, offset+int64(len(line))
		}
		sum.Write(line)
		offset += int64(len(line))
	}
	if p.last == 0 {
		return nil, nil
	}
	p.r = bufio.NewReader(io.NewSectionReader(f, int64(len(want)), p.offset-int64(len(want))))
	return p, nil
}

func parseMark(line []byte) (m Mark, ok bool) {
	if !bytes.HasPrefix(line, []byte(`{"upTo":`)) {
		return m, false
	}
	return m, json.Unmarshal(line, &m) == nil && m.UpTo > 0
}

// goesOn is where the report goes on, in bytes; of nil it is the beginning.
func (p *Partial) goesOn() int64 {
	if p == nil {
		return 0
	}
	return p.offset
}

// Rows is the last row that need not be screened again; of nil none.
func (p *Partial) Rows() int {
	if p == nil {
		return 0
	}
	return p.last
}

// line is what the report says of a row, and takes it into the digest.
func (p *Partial) line(row Row, sum hash.Hash) (Line, error) {
	silent := Line{Row: row.Number, Customer: row.Customer}
	if p.next == nil {
		var err error
		if p.next, err = readLine(p.r); err != nil {
			return silent, fmt.Errorf("reading what was written before: %w", err)
		}
	}
	if _, mark := parseMark(p.next); mark {
		return silent, nil
	}
	var l Line
	if err := json.Unmarshal(p.next, &l); err != nil {
		return silent, fmt.Errorf("reading what was written before: %w", err)
	}
	if l.Row != row.Number {
		return silent, nil
	}
	sum.Write(p.next)
	p.next = nil
	return l, nil
}

// passMark takes a mark into the digest.
func (p *Partial) passMark(sum hash.Hash) error {
	if p.next == nil {
		var err error
		if p.next, err = readLine(p.r); err != nil {
			return fmt.Errorf("reading what was written before: %w", err)
		}
	}
	sum.Write(p.next)
	p.next = nil
	return nil
}

// Comparer is a writer that holds a report that is made anew against one that there is.
type Comparer struct {
	Report *bufio.Reader
	lines  int
}

// DifferenceError says where two reports differ whose heads are the same.
type DifferenceError struct {
	Line     int
	Want, Is string // of it, made anew and in the report
}

func (e *DifferenceError) Error() string {
	if e.Is == "" {
		return fmt.Sprintf("the report ends before line %d: made anew it goes on with %s", e.Line, e.Want)
	}
	if e.Want == "" {
		return fmt.Sprintf("the report goes on at line %d, where made anew it ends: %s", e.Line, e.Is)
	}
	return fmt.Sprintf("line %d of the report is %s, and made anew it is %s", e.Line, e.Is, e.Want)
}

// Write compares one line.
func (c *Comparer) Write(want []byte) (int, error) {
	c.lines++
	is, err := readLine(c.Report)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if !bytes.Equal(is, want) {
		at := commonPrefix(is, want)
		return 0, &DifferenceError{c.lines, excerpt(want, at), excerpt(is, at)}
	}
	return len(want), nil
}

// Close wants the report to end here.
func (c *Comparer) Close() error {
	more, err := readLine(c.Report)
	if len(more) > 0 {
		return &DifferenceError{Line: c.lines + 1, Is: excerpt(more, 0)}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// excerpt is a line from a little before where it differs.
func excerpt(line []byte, at int) string {
	const before, length = 60, 160
	line = bytes.TrimSuffix(line, []byte("\n"))
	start := max(0, at-before)
	end := min(len(line), start+length)
	text := strings.ToValidUTF8(string(line[min(start, end):end]), "")
	if start > 0 {
		text = "…" + text
	}
	if end < len(line) {
		text += "…"
	}
	return text
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
