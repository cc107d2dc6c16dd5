package ofac

import (
	"errors"
	"fmt"
	"strings"
)

// null is how OFAC writes "nothing": no quotes, one blank behind it.
const null = "-0- "

// A field is one value of a row and how it was written. formatRow gives the
// line of parseRow back byte for byte, so nothing of a row is lost on reading.
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

func formatRow(row []field) string {
	var line strings.Builder
	for i, f := range row {
		if i > 0 {
			line.WriteByte(',')
		}
		if f.form == quoted {
			line.WriteString(`"` + strings.ReplaceAll(f.text, `"`, `""`) + `"`)
		} else {
			line.WriteString(f.text)
		}
	}
	return line.String()
}

// value is the field's text as records carry it, empty for nothing, and how many
// characters of it were dropped since no reader sees them.
func (f field) value() (text string, hidden int) {
	if f.form == absent {
		return "", 0
	}
	return clean(f.text)
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
