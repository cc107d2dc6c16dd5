// Package sheet reads tables as spreadsheets and databases export them, in the memory of one
// row. It knows nothing of what is in them: lists of customers to screen, files of
// exceptions and what a provider takes into its private log are read by it alike.
package sheet

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	utf16 "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Bounds of a table that somebody else's program wrote.
const (
	maxRowBytes = 64 << 10 // of one row, quoted line ends included
	maxColumns  = 512
)

// Reader reads a table as spreadsheets and databases export them: RFC 4180 with one of
// , ; | or a tab between cells (or what a first line sep=X says), UTF-8 with or without a
// byte order mark, or UTF-16 with one, any line ends. Its memory is bounded by
// [maxRowBytes]. A row that cannot be read costs that row alone: what follows it is read.
type Reader struct {
	r      *bufio.Reader
	comma  byte
	number int // of the row that was read last, as a spreadsheet counts: the header is row 1
	line   int // on which it begins, as an editor counts
	lines  int // so far

	Header []string // the names of the columns, trimmed
}

// Row is one row.
type Row struct {
	Number int // as a spreadsheet counts: the header is row 1
	Line   int // on which it begins, as an editor counts
	Cells  []string
	Fault  string // why it could not be read; Cells is nil then
	Raw    string // of a row that could not be read: its bytes, as far as a row is read
}

// Place names a row for people: the line too, where an editor counts another way.
func (r Row) Place() string {
	if r.Number == r.Line {
		return fmt.Sprintf("row %d", r.Number)
	}
	return fmt.Sprintf("row %d (line %d)", r.Number, r.Line)
}

// Error says that a file cannot be used as what it should be, and what to do.
type Error struct{ What string }

func (e *Error) Error() string { return e.What }

// Errorf makes an [Error].
func Errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// New reads the header. An error that is no [Error] is the reader's.
func New(r io.Reader) (*Reader, error) {
	in := bufio.NewReaderSize(r, 4096)
	start, err := in.Peek(8)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	wide := false
	switch {
	case len(start) == 0:
		return nil, Errorf("the file is empty: want a first row with the names of the columns")
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), bytes.HasPrefix(start, []byte("\xd0\xcf\x11\xe0")):
		return nil, Errorf("this is a spreadsheet's own file, and no CSV: save it there as CSV UTF-8")
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		wide = true
	case len(start) > 1 && (start[0] == 0 || start[1] == 0):
		return nil, Errorf("this is UTF-16 without a byte order mark: save it as CSV UTF-8")
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		in.Discard(3)
	}
	t := &Reader{}
	if wide {
		t.r = bufio.NewReaderSize(transform.NewReader(in, utf16.UTF16(utf16.LittleEndian, utf16.ExpectBOM).NewDecoder()), 2*maxRowBytes)
	} else {
		t.r = bufio.NewReaderSize(in, 2*maxRowBytes)
	}
	if err := t.readHeader(); err != nil {
		return nil, err
	}
	return t, nil
}

// readHeader finds what stands between cells, and reads the names of the columns.
func (t *Reader) readHeader() error {
	first, err := t.r.Peek(maxRowBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	first = firstLine(first)
	if told, ok := bytes.CutPrefix(first, []byte("sep=")); ok && len(told) == 1 {
		t.comma = told[0]
		if _, err := t.scan(); err != nil {
			return err
		}
	} else {
		t.comma = separatorOf(first)
	}
	if !strings.ContainsRune(",;\t|", rune(t.comma)) {
		return Errorf("sep=%c: want a comma, a semicolon, a tab or | between cells", t.comma)
	}
	row, err := t.Next()
	switch {
	case errors.Is(err, io.EOF):
		return Errorf("the file has no rows: want a first row with the names of the columns")
	case err != nil:
		return err
	case row.Fault != "":
		return Errorf("the header, %s, cannot be read: %s", row.Place(), row.Fault)
	case len(row.Cells) > maxColumns:
		return Errorf("the header has %d columns, the limit is %d", len(row.Cells), maxColumns)
	case strings.HasPrefix(strings.TrimSpace(row.Cells[0]), "<"):
		return Errorf("this is a web page, or XML, and no CSV: download the table itself")
	}
	for _, cell := range row.Cells {
		t.Header = append(t.Header, strings.TrimSpace(cell))
	}
	return nil
}

// firstLine is what comes before the first line end.
func firstLine(text []byte) []byte {
	if i := bytes.IndexAny(text, "\r\n"); i >= 0 {
		return text[:i]
	}
	return text
}

// separatorOf is what stands most often between the cells of a line, outside quotes; a comma
// where there is only one cell.
func separatorOf(line []byte) byte {
	counts := make(map[byte]int)
	quoted := false
	for _, b := range line {
		if b == '"' {
			quoted = !quoted
		} else if !quoted {
			counts[b]++
		}
	}
	best := byte(',')
	for _, b := range []byte(";\t|") {
		if counts[b] > counts[best] {
			best = b
		}
	}
	return best
}

// Next reads the next row that has anything in it; io.EOF after the last.
func (t *Reader) Next() (Row, error) {
	for {
		raw, err := t.scan()
		var bad *rowError
		if err != nil && !errors.As(err, &bad) {
			return Row{}, err
		}
		row := Row{Number: t.number, Line: t.line}
		if bad != nil {
			row.Fault, row.Raw = bad.why, string(bad.raw)
			return row, nil
		}
		if row.Cells, row.Fault = t.cells(raw); row.Fault != "" {
			row.Raw = string(raw)
			return row, nil
		}
		if slices.ContainsFunc(row.Cells, func(c string) bool { return strings.TrimSpace(c) != "" }) {
			return row, nil
		}
	}
}

// rowError is what is wrong with the bytes of one row.
type rowError struct {
	why string
	raw []byte
}

func (e *rowError) Error() string { return e.why }

// cells are the cells of a row's bytes.
func (t *Reader) cells(raw []byte) (cells []string, fault string) {
	if !utf8.Valid(raw) {
		return nil, fmt.Sprintf("column %s is no UTF-8: save the file as CSV UTF-8", t.ColumnName(t.columnOf(raw, invalidAt(raw))))
	}
	if i := bytes.IndexByte(raw, 0); i >= 0 {
		return nil, fmt.Sprintf("column %s has a zero byte: the file is damaged, or no CSV", t.ColumnName(t.columnOf(raw, i)))
	}
	read := func(lazy bool) ([]string, error) {
		r := csv.NewReader(bytes.NewReader(raw))
		r.Comma, r.FieldsPerRecord, r.LazyQuotes = rune(t.comma), -1, lazy
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return []string{""}, nil // an empty line
		}
		return cells, err
	}
	cells, err := read(false)
	var at *csv.ParseError
	switch {
	case errors.As(err, &at) && errors.Is(err, csv.ErrBareQuote):
		// A quote inside a cell without quotes, as 12" Pipes: what it means is plain.
		if cells, err = read(true); err == nil {
			return cells, ""
		}
		fallthrough
	case errors.As(err, &at) && errors.Is(err, csv.ErrQuote):
		return nil, fmt.Sprintf("a quote stands inside a quoted cell, near column %s: write it twice", t.ColumnName(t.columnOf(raw, at.Column-1)))
	case err != nil:
		return nil, err.Error()
	}
	return cells, ""
}

func invalidAt(raw []byte) int {
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return 0
}

// columnOf is the number, from 0, of the column that a byte of a row stands in.
func (t *Reader) columnOf(raw []byte, offset int) int {
	column, quoted := 0, false
	for _, b := range raw[:min(max(offset, 0), len(raw))] {
		switch {
		case b == '"':
			quoted = !quoted
		case b == t.comma && !quoted:
			column++
		}
	}
	return column
}

// ColumnName names a column as its header does.
func (t *Reader) ColumnName(i int) string {
	if i < len(t.Header) && t.Header[i] != "" {
		return fmt.Sprintf("%d (%s)", i+1, t.Header[i])
	}
	return fmt.Sprint(i + 1)
}

// Where in a row a byte stands.
const (
	atCellStart = iota
	inBareCell
	inQuotes
	afterQuote // which ends the cell, or is the first of two
)

// scan is the bytes of the next row, without its line end, valid until the next call. A
// quote opens a cell only at its beginning, as RFC 4180 has it. Where one is never closed,
// the row is that line alone, and the next one begins another.
func (t *Reader) scan() ([]byte, error) {
	t.number++
	t.line = t.lines + 1
	where, opened, lineEnd := atCellStart, 0, -1
	for i := 0; ; {
		buf, err := t.r.Peek(min(i+4096, maxRowBytes+1))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		for ; i < len(buf); i++ {
			b := buf[i]
			end := b == '\n' || b == '\r'
			switch {
			case end && where != inQuotes:
				return t.take(buf, i), nil
			case end && lineEnd < 0:
				lineEnd = i
			case b == '"' && (where == atCellStart || where == afterQuote):
				if where == atCellStart {
					opened = i
				}
				where = inQuotes
			case b == '"' && where == inQuotes:
				where = afterQuote
			case where == inQuotes:
			case b == t.comma:
				where = atCellStart
			default:
				where = inBareCell
			}
		}
		switch {
		case len(buf) > maxRowBytes && where == inQuotes && lineEnd >= 0, err != nil && where == inQuotes:
			why := fmt.Sprintf("the quote that opens column %s is not closed: write a quote inside a cell twice", t.ColumnName(t.columnOf(buf, opened)))
			if lineEnd < 0 {
				lineEnd = len(buf)
			}
			return nil, &rowError{why, t.take(buf, lineEnd)}
		case len(buf) > maxRowBytes:
			begin := slices.Clone(buf[:maxRowBytes])
			if err := t.skipLine(); err != nil {
				return nil, err
			}
			return nil, &rowError{fmt.Sprintf("the row is longer than %d bytes: is it a table?", maxRowBytes), begin}
		case err != nil && len(buf) == 0:
			t.number--
			return nil, io.EOF
		case err != nil:
			return t.take(buf, len(buf)), nil
		}
	}
}

// take consumes a row of n bytes and its line end.
func (t *Reader) take(buf []byte, n int) []byte {
	row := slices.Clone(buf[:n])
	if n < len(buf) && buf[n] == '\r' {
		// Peek again, since the buffer may end between the two.
		if two, _ := t.r.Peek(n + 2); len(two) == n+2 && two[n+1] == '\n' {
			t.r.Discard(1)
		}
	}
	t.r.Discard(min(n+1, len(buf)))
	t.lines += 1 + bytes.Count(row, []byte("\n"))
	return row
}

// skipLine consumes what is left of a line, however long it is.
func (t *Reader) skipLine() error {
	for {
		if _, err := t.r.Peek(1); errors.Is(err, io.EOF) {
			t.lines++
			return nil
		} else if err != nil {
			return err
		}
		buf, _ := t.r.Peek(t.r.Buffered())
		if i := bytes.IndexAny(buf, "\r\n"); i >= 0 {
			t.take(buf, i)
			return nil
		}
		t.r.Discard(len(buf))
	}
}

// HeadingKey evens out how a column's name is written: case, spaces and marks.
func HeadingKey(heading string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// Find finds a column by its heading or its number.
func (t *Reader) Find(heading string) (int, error) {
	if n, err := strconv.Atoi(strings.TrimPrefix(heading, "#")); err == nil && strings.HasPrefix(heading, "#") {
		if n < 1 || n > len(t.Header) {
			return 0, fmt.Errorf("there are %d columns", len(t.Header))
		}
		return n - 1, nil
	}
	found := -1
	for _, same := range []func(a, b string) bool{
		func(a, b string) bool { return a == b },
		func(a, b string) bool { return HeadingKey(a) == HeadingKey(b) && HeadingKey(a) != "" },
	} {
		for i, h := range t.Header {
			if !same(h, heading) {
				continue
			}
			if found >= 0 {
				return 0, fmt.Errorf("columns %d and %d are both called that: say #%d or #%d", found+1, i+1, found+1, i+1)
			}
			found = i
		}
		if found >= 0 {
			return found, nil
		}
	}
	return 0, fmt.Errorf("no column is called that%s: the header has %s", schema.DidYouMean(heading, t.Header), Quoted(t.Header))
}

// Quoted lists texts for people, cut where they are many or long.
func Quoted(list []string) string {
	const most = 12
	var all []string
	for i, text := range list {
		if i == most {
			all = append(all, fmt.Sprintf("and %d more", len(list)-most))
			break
		}
		if runes := []rune(text); len(runes) > 40 {
			text = string(runes[:40]) + "…"
		}
		all = append(all, strconv.Quote(text))
	}
	return strings.Join(all, ", ")
}
