package listexport

import (
	"cmp"
	"encoding"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// table is [NewCSV].
type table struct {
	csv  *csv.Writer
	last []string // of each row: the day and the checkpoint
}

// NewCSV begins a table (RFC 4180), a [view.ByteOrderMark] and a header first, a row a
// designation. Its columns are named as in JSON, the parts of an object with a dot between:
// what a person looks for first, what ties it to the log last. firstDay is the first day in force, which
// of an imported designation may be that of its admission. In a list of texts or numbers
// a semicolon and a blank stand between two; a semicolon or a backslash in a text has a
// backslash before it. A list of objects is JSON. A cell that a spreadsheet would take for
// a formula has an apostrophe before it ([view.SpreadsheetText]). asOf is the day by which
// the status is told.
func NewCSV(w io.Writer, source Source) Writer {
	t := &table{csv.NewWriter(w), []string{source.Day.String(), source.Checkpoint()}}
	t.csv.UseCRLF = true
	header := make([]string, len(columns))
	for i, c := range columns {
		header[i] = c.name
	}
	header[0] = view.ByteOrderMark + header[0]
	t.csv.Write(append(header, "asOf", "checkpoint"))
	return t
}

func (t *table) Add(d view.WholeDesignation) error {
	row := make([]string, 0, len(columns)+len(t.last))
	v := reflect.ValueOf(d)
	for _, c := range columns {
		text, err := cell(c.of(v))
		if err != nil {
			return fmt.Errorf("column %s of %s: %w", c.name, d.Thread, err)
		}
		row = append(row, view.SpreadsheetText(text))
	}
	return t.csv.Write(append(row, t.last...))
}

func (t *table) Close() error {
	t.csv.Flush()
	return t.csv.Error()
}

// told are the members of a designation's summary that repeat what its records say, which
// have columns of their own.
var told = []string{
	"name", "alias", "schema", "measure", "action", "country", "program", "source", "lei", "registrationNumber", "asn", "domain", "address",
	"effectiveUntil", "responseDue",
}

// columns are those of the table but the last two. They come from the types, so that a field
// that is new has its column.
var columns = slices.SortedStableFunc(slices.Values(slices.Concat(
	columnsOf(reflect.TypeFor[view.Designation](), "", fieldIndex(reflect.TypeFor[view.WholeDesignation](), "Designation"), told, map[string]string{"effectiveFrom": "firstDay"}),
	columnsOf(reflect.TypeFor[view.WholeDesignation](), "", nil, []string{"Designation", "designation"}, nil),
	columnsOf(reflect.TypeFor[record.Designation](), "", fieldIndex(reflect.TypeFor[view.WholeDesignation](), "Current"), nil, nil),
)), func(a, b column) int { return cmp.Compare(a.rank(), b.rank()) })

// firstColumns are what a person looks for, in this order; lastColumns are for programs.
var (
	firstColumns = []string{
		"thread", "target.name", "status", "publishedInError", "target.country", "target.schema", "target.alias", "formerName",
		"program", "measure", "action", "firstDay", "effectiveUntil", "responseDue", "revoked.effectiveOn", "revoked.cause",
	}
	lastColumns = []string{"source.files", "evidence", "knowable", "knowableBy.size", "knowableBy.cosigned", "revoked.record", "cut", "record", "opened", "records"}
)

// rank orders columns: the first, those of neither list as they come, the last.
func (c column) rank() int {
	if i := slices.Index(firstColumns, c.name); i >= 0 {
		return i - len(firstColumns)
	}
	return 1 + slices.Index(lastColumns, c.name)
}

// column is one column: its name, and where in the struct its value is.
type column struct {
	name string
	path []int
}

// of is the column's value, the zero Value where a pointer on the way is nil.
func (c column) of(v reflect.Value) reflect.Value {
	for _, i := range c.path {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return reflect.Value{}
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v
}

// fieldIndex is the path to a struct's field by its Go name.
func fieldIndex(t reflect.Type, name string) []int {
	f, ok := t.FieldByName(name)
	if !ok {
		panic("no field " + name)
	}
	return f.Index
}

// columnsOf are the columns of a struct's fields: objects in parts, all else whole.
func columnsOf(t reflect.Type, prefix string, path []int, without []string, renamed map[string]string) (all []column) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		at := append(slices.Clone(path), i)
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		switch {
		case name == "-", slices.Contains(without, name), f.Anonymous && slices.Contains(without, f.Name):
		case f.Anonymous:
			all = append(all, columnsOf(inner, prefix, at, nil, nil)...)
		case inner.Kind() == reflect.Struct && !isText(inner):
			all = append(all, columnsOf(inner, prefix+name+".", at, nil, nil)...)
		default:
			if other, ok := renamed[name]; ok {
				name = other
			}
			all = append(all, column{prefix + name, at})
		}
	}
	return all
}

// isText tells whether values of a type are written as one text.
func isText(t reflect.Type) bool { return t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) }

// cell is a value as its column shows it.
func cell(v reflect.Value) (string, error) {
	if !v.IsValid() {
		return "", nil
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "", nil
		}
		v = v.Elem()
	}
	if at, ok := v.Interface().(time.Time); ok && at.IsZero() {
		return "", nil
	}
	if isText(v.Type()) {
		text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
		return string(text), err
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), nil
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), nil
	case reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10), nil
	case reflect.Slice:
		return listCell(v)
	}
	return "", fmt.Errorf("a %s has no place in a table", v.Type())
}

// listCell is a list in one cell.
func listCell(v reflect.Value) (string, error) {
	if item := v.Type().Elem(); item.Kind() == reflect.Struct && !isText(item) {
		if v.Len() == 0 {
			return "", nil
		}
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		err := e.Encode(v.Interface())
		return strings.TrimSuffix(b.String(), "\n"), err
	}
	texts := make([]string, v.Len())
	for i := range texts {
		text, err := cell(v.Index(i))
		if err != nil {
			return "", err
		}
		texts[i] = strings.NewReplacer(`\`, `\\`, ";", `\;`).Replace(text)
	}
	return strings.Join(texts, "; "), nil
}
