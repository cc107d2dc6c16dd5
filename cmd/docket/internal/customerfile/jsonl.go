package customerfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// maxLineBytes bounds one line of JSON Lines.
const maxLineBytes = 64 << 10

// faultColumn is what a refused row is given beside what it says; it is not read.
const faultColumn = "docketFault"

// nextLine reads the next line of JSON Lines that has anything in it.
func (r *Reader) nextLine() (Row, error) {
	for {
		line, tooLong, err := r.line()
		if err != nil {
			return Row{}, err
		}
		r.number++
		if r.number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		line = withoutFault(line)
		row := Row{Number: r.number, Line: r.number, raw: string(line)}
		switch {
		case tooLong:
			row.Faults = []Fault{{Detail: "the line is longer than 65536 bytes: is it one event a line?"}}
		case !utf8.Valid(line):
			row.Faults = []Fault{{Detail: "the line is no UTF-8"}}
		default:
			in, faults := readEvent(line)
			for _, f := range faults {
				row.Faults = append(row.Faults, Fault{f.Pointer, f.Detail})
			}
			if faults == nil {
				row.Inputs = []event.Input{in}
			}
		}
		return row, nil
	}
}

// line is the next one without its end, and whether it was cut at [maxLineBytes].
func (r *Reader) line() (line []byte, tooLong bool, err error) {
	for {
		part, err := r.lines.ReadSlice('\n')
		if room := maxLineBytes + 1 - len(line); len(part) <= room {
			line = append(line, part...)
		} else {
			line, tooLong = append(line, part[:room]...), true
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(line) > 0, err == nil:
			return line, tooLong || len(bytes.TrimRight(line, "\r\n")) > maxLineBytes, nil
		}
		return nil, false, err
	}
}

// withoutFault is a line without the faults of an earlier import, which stand first.
func withoutFault(line []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(line))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return line
	}
	if name, err := d.Token(); err != nil || name != faultColumn {
		return line
	}
	if fault, err := d.Token(); err != nil {
		return line
	} else if _, isText := fault.(string); !isText {
		return line
	}
	rest := bytes.TrimSpace(line[d.InputOffset():])
	return append([]byte("{"), bytes.TrimPrefix(rest, []byte(","))...)
}

// readEvent reads one event, whose ID may be absent.
func readEvent(line []byte) (event.Input, []schema.Fault) {
	v, err := schema.ParseJSON(line)
	o, ok := v.(schema.Object)
	if err != nil || !ok {
		return event.ParseInput(line) // says what is wrong
	}
	if o.Lookup("id") != nil {
		return event.InputOf(o)
	}
	in, faults := event.InputOf(append(o, schema.Member{Name: "id", Value: "-"}))
	if faults != nil {
		return in, faults
	}
	in.ID = ""
	in.ID = derivedID(in.Append(nil))
	return in, nil
}
