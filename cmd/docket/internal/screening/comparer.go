package screening

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

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
