package screening

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/sheet"
)

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
	switch no := (*sheet.Error)(nil); {
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
