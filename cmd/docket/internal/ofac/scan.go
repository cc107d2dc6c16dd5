package ofac

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
)

// endMark is the last line of each file of OFAC's, the end-of-file character of
// CP/M and DOS. It is the only thing that tells a whole file from a cut one.
const endMark = 0x1A

// maxLine bounds a row, in bytes. The longest seen has 1.2 kB.
const maxLine = 64 << 10

// A table is one of the three files: what its rows must look like.
type table struct {
	description string // for people
	usualName   string // the file's usual name
	columns     int
}

var (
	primary   = table{"the primary file", "sdn.csv", 12}
	addresses = table{"the address file", "add.csv", 6}
	aliases   = table{"the alias file", "alt.csv", 5}
	tables    = []table{primary, addresses, aliases}
)

// A scanner reads one file, row by row, and hashes all of it.
type scanner struct {
	table
	name string
	in   *bufio.Reader
	sum  hash.Hash
	size int64

	line          int    // number of the current line, from 1
	lineEnd       string // of the first line, and so of all; empty before it
	row           []field
	raw           []byte // the current row with its line end; valid until the next call of next
	noEndMark     bool   // the file ended without an end mark, as a trimmed copy does
	droppedHidden int    // characters dropped from what was read of the rows, since no reader sees them
}

func newScanner(t table, f listimport.Input) *scanner {
	s := &scanner{table: t, name: f.Name, sum: sha256.New()}
	s.in = bufio.NewReaderSize(io.TeeReader(f.Reader, s.sum), maxLine)
	return s
}

// value is the text of one column of the row.
func (s *scanner) value(column int) string {
	text, hidden := s.row[column].value()
	s.droppedHidden += hidden
	return text
}

// next reads the next row into s.row and s.raw; io.EOF after the last one.
func (s *scanner) next() error {
	if s.noEndMark {
		return io.EOF
	}
	if s.line == 0 {
		if err := s.checkStart(); err != nil {
			return err
		}
	}
	raw, err := s.in.ReadSlice('\n')
	s.size += int64(len(raw))
	s.line++
	switch {
	case err != nil && err != io.EOF && err != bufio.ErrBufferFull:
		return fmt.Errorf("reading %s: %w", s.name, err)
	case err == bufio.ErrBufferFull:
		return s.errorf("the line is longer than %d bytes: this is not %s of OFAC's", maxLine, s.description)
	case len(raw) > 0 && raw[0] == endMark:
		return s.checkEnd(raw[1:])
	case len(raw) == 0:
		return s.errorf("%w", s.cutOffError())
	}
	line, err := s.split(raw)
	if err != nil {
		return s.errorf("%w", err)
	}
	return s.parse(line, raw)
}

// checkStart looks at the beginning of the file, where a wrong one gives itself away.
func (s *scanner) checkStart() error {
	start, skipped, err := listimport.CheckStart(s.in, s.name, "OFAC's CSV", "download "+s.usualName+" again")
	s.size += skipped
	if err == nil && (strings.HasPrefix(start, "_id,") || strings.HasPrefix(start, "source,entity_number,")) {
		err = fmt.Errorf("%s: the Consolidated Screening List, not a file of OFAC's: docket import csl takes it", s.name)
	}
	return err
}

// split cuts off the line end, which is the same on all lines.
//
// A copy that was converted to LF and trimmed at its end has lost the end mark
// with the last line end, and may have lost a part of the last -0- too. Such a
// last line is completed here for parsing; any other cut stays an error.
func (s *scanner) split(raw []byte) (string, error) {
	if s.lineEnd == "" {
		s.lineEnd = "\n"
		if bytes.HasSuffix(raw, []byte("\r\n")) {
			s.lineEnd = "\r\n"
		}
	}
	end := ""
	if bytes.HasSuffix(raw, []byte("\n")) {
		end = s.lineEnd
	}
	line, found := bytes.CutSuffix(raw, []byte(end))
	if !found || bytes.ContainsAny(line, "\r\n") {
		return "", fmt.Errorf("line ends are mixed (the first line ends in %q): %s was damaged on its way, download it again", s.lineEnd, s.name)
	}
	if bytes.IndexByte(line, endMark) >= 0 {
		return "", fmt.Errorf("the end mark (0x1A) stands inside a row: %s was damaged on its way, download it again", s.name)
	}
	if end != "" {
		return listimport.DecodeText(line)
	}
	if s.lineEnd != "\n" {
		return "", s.cutOffError()
	}
	s.noEndMark = true
	text, err := listimport.DecodeText(line)
	if i := strings.LastIndexByte(text, ','); i >= 0 && len(text) > i+1 && strings.HasPrefix(null, text[i+1:]) {
		text = text[:i+1] + null
	}
	return text, err
}

func (s *scanner) parse(line string, raw []byte) error {
	row, err := parseRow(line)
	if err != nil {
		return s.errorf("%w", err)
	}
	if len(row) != s.columns {
		return s.columnsError(len(row))
	}
	s.row, s.raw = row, raw
	return nil
}

// columnsError says what the file is instead, where that can be told.
func (s *scanner) columnsError(n int) error {
	for _, t := range tables {
		if t.columns == n && s.line == 1 {
			return fmt.Errorf("%s has %d columns, as %s (%s) does; %s (%s, %d columns) is wanted here: give sdn.csv add.csv alt.csv in this order",
				s.name, n, t.description, t.usualName, s.description, s.usualName, s.columns)
		}
	}
	return s.errorf("%d columns, %s has %d: the line is damaged or the file is another one", n, s.description, s.columns)
}

// checkEnd judges what follows the end mark: nothing, or one line end.
func (s *scanner) checkEnd(after []byte) error {
	rest, err := s.in.Peek(1)
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading %s: %w", s.name, err)
	}
	if len(bytes.TrimRight(after, "\r\n")) > 0 || len(rest) > 0 {
		return s.errorf("there is more after the end mark (0x1A): are these two files in one?")
	}
	return io.EOF
}

func (s *scanner) cutOffError() error {
	return fmt.Errorf("the end mark (a last line 0x1A) is missing: %s is cut off, download it again", s.name)
}

func (s *scanner) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", s.name, s.line, fmt.Errorf(format, args...))
}

// rows calls f for each row of the file, with its entity's number.
func (s *scanner) rows(f func(ent string) error) error {
	for {
		err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		ent, err := s.row[0].number()
		if err != nil {
			return s.errorf("column 1: %w", err)
		}
		if err := f(ent); err != nil {
			return s.errorf("%w", err)
		}
	}
}

// null is how OFAC writes "nothing": no quotes, one blank behind it.
const null = "-0- "

// A field is one value of a row and how it was written: enough to give the line of
// parseRow back byte for byte, so nothing of a row is lost on reading.
type field struct {
	text string
	form form
}

type form uint8

const (
	bare   form = iota // 36
	quoted             // "AEROCARIBBEAN AIRLINES", a quote inside doubled
	absent             // -0- with or without its blank
)

// parseRow splits one line, without its line end. A row never goes over several
// lines: OFAC's files have no line end inside quotes.
func parseRow(line string) ([]field, error) {
	var row []field
	for {
		f, rest, err := parseField(line)
		if err != nil {
			return nil, fmt.Errorf("column %d: %w", len(row)+1, err)
		}
		row = append(row, f)
		if rest == "" {
			return row, nil
		}
		line = rest[1:] // the comma
	}
}

// parseField takes the first field of line; rest is empty or begins with a comma.
func parseField(line string) (f field, rest string, err error) {
	if strings.HasPrefix(line, `"`) {
		return parseQuoted(line)
	}
	text := line
	if i := strings.IndexByte(line, ','); i >= 0 {
		text, rest = line[:i], line[i:]
	}
	switch {
	case text == "":
		return f, "", errors.New("empty, where OFAC writes -0- for nothing")
	case strings.Contains(text, `"`):
		return f, "", fmt.Errorf("a quote inside the unquoted %.40q", text)
	case text == null || text == strings.TrimSpace(null):
		return field{text, absent}, rest, nil
	}
	return field{text, bare}, rest, nil
}

func parseQuoted(line string) (f field, rest string, err error) {
	var text strings.Builder
	for rest = line[1:]; ; {
		i := strings.IndexByte(rest, '"')
		if i < 0 {
			return f, "", errors.New("the closing quote is missing: the line is cut off")
		}
		text.WriteString(rest[:i])
		rest = rest[i+1:]
		switch {
		case strings.HasPrefix(rest, `"`):
			text.WriteByte('"')
			rest = rest[1:]
		case rest == "" || rest[0] == ',':
			return field{text.String(), quoted}, rest, nil
		default:
			return f, "", fmt.Errorf("a single quote sign before %.20q, where a comma or a doubled one belongs", rest)
		}
	}
}

// value is the field's text as records carry it, empty for nothing, and how many
// characters of it were dropped since no reader sees them.
func (f field) value() (text string, hidden int) {
	if f.form == absent {
		return "", 0
	}
	return listimport.CleanText(f.text)
}

// number is an identifier of OFAC's: decimal, unquoted, no sign, no leading zero.
func (f field) number() (string, error) {
	ok := f.form == bare && len(f.text) <= 18 && f.text[0] != '0'
	for _, c := range []byte(f.text) {
		ok = ok && '0' <= c && c <= '9'
	}
	if !ok {
		return "", fmt.Errorf("%.40q is not a number (OFAC's files have no header line)", f.text)
	}
	return f.text, nil
}
