package csl

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
)

// maxRow bounds a row, in bytes. The longest seen has 4 kB.
const maxRow = 256 << 10

// A scanner reads one file, row by row, and hashes all of it.
type scanner struct {
	name    string
	in      *recorder
	csv     *csv.Reader
	columns map[string]int // by name: where each of the header stands
	hasID   bool           // the header has _id
	notes   []string

	line   int // of the current row, from 1
	row    []string
	raw    []byte // the current row with its line end; valid until the next call of next
	hidden int    // characters dropped from what was read, since no reader sees them
}

func newScanner(f listimport.Input) (*scanner, error) {
	s := &scanner{name: f.Name, columns: map[string]int{}}
	sum := sha256.New()
	in := bufio.NewReader(io.TeeReader(f.Reader, sum))
	start, skipped, err := listimport.CheckStart(in, s.name, "the list's CSV", again)
	if err == nil {
		err = s.checkStart(start)
	}
	if err != nil {
		return nil, err
	}
	s.in = &recorder{from: in, sum: sum, size: skipped}
	s.csv = csv.NewReader(s.in)
	s.csv.ReuseRecord = true
	return s, s.readHeader()
}

const again = "download the CSV again, from https://www.trade.gov/consolidated-screening-list"

// checkStart tells other files than tables by their beginning, and tables of another sort.
func (s *scanner) checkStart(start string) error {
	digits := strings.TrimLeftFunc(start, unicode.IsDigit)
	switch {
	case start[0] == '{', start[0] == '[':
		return fmt.Errorf("%s: JSON; docket reads the CSV form of the Consolidated Screening List: %s", s.name, again)
	case digits != start && strings.HasPrefix(digits, ","):
		return fmt.Errorf("%s: no header, and rows that begin with a number: a file of OFAC's own? docket import ofac takes these", s.name)
	}
	return nil
}

// readHeader finds where each column stands.
func (s *scanner) readHeader() error {
	if err := s.read(); err == io.EOF {
		return fmt.Errorf("%s: empty: %s", s.name, again)
	} else if err != nil {
		return err
	}
	var unknown []string
	for i, text := range s.row {
		name := strings.ToLower(strings.TrimSpace(text))
		if _, twice := s.columns[name]; twice {
			return s.errorf("the header has the column %q twice", name)
		}
		s.columns[name] = i
		if !slices.Contains(header, name) {
			unknown = append(unknown, name)
		}
	}
	var missing []string
	for _, name := range header[1:] {
		if _, ok := s.columns[name]; !ok {
			missing = append(missing, name)
		}
	}
	_, s.hasID = s.columns[colID]
	switch {
	case len(missing) > 6 && s.lacks(colSource):
		return s.errorf("the header is %.80q…; wanted that of the Consolidated Screening List: %s, …: %s", strings.Join(s.row, ","), strings.Join(header[:6], ","), again)
	case len(missing) > 0:
		return s.errorf("the header lacks %s: an edition in another shape, or a file that was edited; wanted %d columns, or %d without _id", strings.Join(missing, ", "), len(header), len(header)-1)
	case len(unknown) > 0:
		s.notes = append(s.notes, fmt.Sprintf("%s: columns that are new to docket are not looked at: %s", s.name, strings.Join(unknown, ", ")))
	}
	return nil
}

func (s *scanner) lacks(column string) bool {
	_, there := s.columns[column]
	return !there
}

// value is the text of one column of the row, as records carry it.
func (s *scanner) value(column string) string {
	i, ok := s.columns[column]
	if !ok {
		return ""
	}
	text, hidden := listimport.CleanText(s.row[i])
	s.hidden += hidden
	return text
}

// next reads the next row; io.EOF after the last one.
func (s *scanner) next() error {
	err := s.read()
	if err != nil {
		return err
	}
	for i, text := range s.row {
		if s.row[i], err = listimport.DecodeText([]byte(text)); err != nil {
			return s.errorf("%w", err)
		}
	}
	if !bytes.HasSuffix(s.raw, []byte("\n")) {
		return s.checkLast()
	}
	return nil
}

// checkLast judges a last line without an end. The list has no other end mark: what was
// cut off between two rows shows in the number of entries alone.
func (s *scanner) checkLast() error {
	if !bytes.HasSuffix(s.raw, []byte(`"`)) {
		return s.errorf("the last line has no end: the file is cut off, %s", again)
	}
	s.notes = append(s.notes, s.name+": the last line has no end: a copy trimmed at its end. If it was cut exactly between two rows, that cannot be seen")
	return nil
}

// read reads one row of the file, its header too.
func (s *scanner) read() error {
	start := s.csv.InputOffset()
	row, err := s.csv.Read()
	raw := s.in.take(start, s.csv.InputOffset())
	if len(row) > 0 {
		s.line, _ = s.csv.FieldPos(0)
	}
	var fault *csv.ParseError
	switch {
	case err == io.EOF:
		return err
	case errors.Is(err, errLongRow):
		return fmt.Errorf("%s: a row longer than %d bytes: a quote was not closed, or this is not the list", s.name, maxRow)
	case errors.Is(err, csv.ErrFieldCount):
		return s.errorf("%d columns, the header has %d: the line is damaged or cut off, %s", len(row), len(s.columns), again)
	case errors.As(err, &fault):
		s.line = fault.StartLine
		if s.in.ended && errors.Is(err, csv.ErrQuote) {
			return s.errorf("a quote is not closed: the file is cut off or damaged, %s", again)
		}
		return s.errorf("column %d: %w", fault.Column, fault.Err)
	case err != nil:
		return fmt.Errorf("reading %s: %w", s.name, err)
	}
	s.row, s.raw = row, bytes.TrimLeft(raw, "\r\n")
	return nil
}

// file is what the records say about the file, once it is read.
func (s *scanner) file() listimport.File {
	f := listimport.File{Name: s.name, Size: s.in.size}
	s.in.sum.Sum(f.SHA256[:0])
	return f
}

func (s *scanner) errorf(format string, args ...any) error {
	return s.locate(fmt.Errorf(format, args...))
}

// locate says where in the file an error is; nil stays nil.
func (s *scanner) locate(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s:%d: %w", s.name, max(s.line, 1), err)
}

var errLongRow = errors.New("a row is too long")

// recorder keeps what was read of the current row, and what was read ahead of it: the raw
// bytes of a row are what its entity's digest is of, and the CSV reader does not keep them.
type recorder struct {
	from  io.Reader
	sum   hash.Hash
	size  int64
	ended bool
	kept  []byte
	base  int64 // offset of kept[0]
}

func (r *recorder) Read(p []byte) (int, error) {
	if len(r.kept) > maxRow {
		return 0, errLongRow
	}
	n, err := r.from.Read(p)
	r.kept = append(r.kept, p[:n]...)
	r.size += int64(n)
	r.ended = r.ended || err == io.EOF
	return n, err
}

// take gives the bytes between two offsets and forgets what was before the second. They are
// valid until the next Read.
func (r *recorder) take(start, end int64) []byte {
	raw := r.kept[start-r.base : end-r.base]
	r.kept, r.base = r.kept[end-r.base:], end
	return raw
}
