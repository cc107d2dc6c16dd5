package event

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Openings are what opens an event's leaf: the canonical event first, then each of the
// fields that are named: "time", "content", "content/ip". A value of the content brings the
// content line with it, and "content/" every value. Without a name all is opened. A name
// that the event does not have is an error.
func (s Scope) Openings(e *Event, names ...string) ([]record.Opening, error) {
	written := AppendContent(nil, e.Content)
	values := valuesOf(written)
	p := s.prepare(e, written, values)
	p.setPlace(s.committer(new(committing)))
	out := []record.Opening{p.opening(pointerEvent, string(appendCanonical(nil, p.sums)))}
	wants := func(name string) bool { return len(names) == 0 || slices.Contains(names, name) }
	used := 0
	content := slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "content/") })
	for _, name := range fields {
		if wants(name) {
			used++
		} else if name != "content" || !content {
			continue
		}
		out = append(out, p.opening(pointerEvent+"/"+name, string(p.appendText(nil, name))))
	}
	for _, v := range values {
		named := wants("content" + v.Pointer)
		if named {
			used++
		}
		if named || wants("content/") {
			out = append(out, p.opening(pointerContent+v.Pointer, v.Text))
		}
	}
	if slices.Contains(names, "content/") {
		used++
	}
	if len(names) > 0 && used != len(names) {
		return nil, fmt.Errorf("the event of kind %s has not all of these fields, or one is named twice: %s", e.Kind, strings.Join(names, ", "))
	}
	return out, nil
}

func (p *Prepared) opening(pointer, value string) record.Opening {
	return record.Opening{Pointer: pointer, Value: value, Salt: slices.Clone(p.salts.at(pointer))}
}

// Shown is what verified openings show of one event.
type Shown struct {
	Fields []Value  // of the header, by name, in the canonical order; without the content
	Values []Value  // of the content, in the order of their pointers
	Hidden []string // the header's fields and the content's pointers that are there and not opened: "content" where none of it is

	header Header
	has    [len(fields)]bool
}

// Field is the text of a field of the header, if it is shown.
func (sh *Shown) Field(name string) (string, bool) {
	for _, f := range sh.Fields {
		if f.Pointer == name {
			return f.Text, true
		}
	}
	return "", false
}

// Header are the fields of the header that are shown, and zeros.
func (sh *Shown) Header() Header { return sh.header }

var errOpenings = errors.New("not the openings of an event")

// Show verifies the openings of a leaf's event, in the order of [Scope.Openings]: the
// canonical event, fields of the header, values of the content.
func (s Scope) Show(leaf []byte, openings []record.Opening) (*Shown, error) {
	commitment, err := ParseLeaf(leaf)
	if err != nil {
		return nil, err
	}
	if len(openings) == 0 || openings[0].Pointer != pointerEvent {
		return nil, fmt.Errorf("%w: the first one is not that of %s", errOpenings, pointerEvent)
	}
	if err := s.verify(commitment, openings[0]); err != nil {
		return nil, err
	}
	sums, err := parseCanonical(openings[0].Value)
	if err != nil {
		return nil, err
	}
	sh := &Shown{}
	rest, line, err := s.showHeader(sh, sums, openings[1:])
	if err != nil {
		return nil, err
	}
	if !sh.has[len(fields)-1] {
		if len(rest) > 0 {
			return nil, fmt.Errorf("%w: %s is not expected here: the order is that of the header, and values of the content come after %s", errOpenings, schema.Quote(rest[0].Pointer), pointerContent)
		}
		return sh, nil
	}
	if err := s.showContent(sh, line, rest); err != nil {
		return nil, err
	}
	return sh, nil
}

// verify checks an opening of a commitment.
func (s Scope) verify(c Commitment, o record.Opening) error {
	return record.Commitment{Commit: hex.EncodeToString(c[:])}.Verify(s.Ledger, s.Thread, o)
}

func (s Scope) showHeader(sh *Shown, sums [len(fields)]Commitment, openings []record.Opening) (rest []record.Opening, contentLine string, err error) {
	for i, name := range fields {
		if len(openings) == 0 || openings[0].Pointer != pointerEvent+"/"+name {
			sh.Hidden = append(sh.Hidden, name)
			continue
		}
		o := openings[0]
		openings = openings[1:]
		if err := s.verify(sums[i], o); err != nil {
			return nil, "", err
		}
		sh.has[i] = true
		if name == "content" {
			contentLine = o.Value
			continue
		}
		if err := sh.header.set(name, o.Value); err != nil {
			return nil, "", fmt.Errorf("the event's %s: %w", name, err)
		}
		sh.Fields = append(sh.Fields, Value{name, o.Value})
	}
	number, shown := sh.Field("number")
	if before, too := sh.Field("before"); shown && too && (number == "0") != (before == "") {
		return nil, "", fmt.Errorf("%w: it is number %s, and the leaf before it is %q", errOpenings, number, before)
	}
	return openings, contentLine, nil
}

// set reads the text of a field of the header, in its one way.
func (h *Header) set(name, text string) (err error) {
	switch name {
	case "handle":
		h.Handle, err = ParseHandle(text)
	case "kind":
		h.Kind = Kind(text) // of a later version it may be
	case "time":
		h.Time, err = parseTime(text)
	case "logged":
		h.Logged, err = parseTime(text)
	case "number":
		h.Number, err = parseIndex(text)
	case "before":
		if text != "" {
			h.Before, err = parseIndex(text)
		}
	}
	return err
}

func parseTime(text string) (time.Time, error) {
	var i record.Instant
	if err := i.UnmarshalText([]byte(text)); err != nil {
		return time.Time{}, err
	}
	if i.String() != text {
		return time.Time{}, fmt.Errorf("%q is written %q", text, i)
	}
	return i.Time, nil
}

func parseIndex(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != text {
		return 0, fmt.Errorf("%s is no number", schema.Quote(text))
	}
	return n, nil
}

// parseCanonical reads a canonical event, and nothing else.
func parseCanonical(line string) (sums [len(fields)]Commitment, err error) {
	v, err := schema.ParseJSON([]byte(line))
	if err != nil {
		return sums, fmt.Errorf("the canonical event: %w", err)
	}
	o, _ := v.(schema.Object)
	for i, name := range fields {
		text, _ := o.Lookup(name).(string)
		hex.Decode(sums[i][:], []byte(text[:min(len(text), 2*len(sums[i]))])) // what is none is seen below
	}
	if string(appendCanonical(nil, sums)) != line {
		return sums, errors.New("the canonical event is not one line of seven commitments, in their order")
	}
	return sums, nil
}

func (s Scope) showContent(sh *Shown, line string, openings []record.Opening) error {
	v, err := schema.ParseJSON([]byte(line))
	if err != nil {
		return fmt.Errorf("the content line: %w", err)
	}
	o, ok := v.(schema.Object)
	if !ok {
		return errors.New("the content line is no object")
	}
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
			if o[i-1].Name >= m.Name {
				return errors.New("the content line is not in the order of its pointers")
			}
		}
		text, _ := m.Value.(string)
		var c Commitment
		hex.Decode(c[:], []byte(text[:min(len(text), 2*len(c))]))
		b = append(schema.AppendString(b, m.Name), ':', '"')
		b = append(hex.AppendEncode(b, c[:]), '"')
		if len(openings) == 0 || openings[0].Pointer != pointerContent+m.Name {
			sh.Hidden = append(sh.Hidden, "content"+m.Name)
			continue
		}
		if err := s.verify(c, openings[0]); err != nil {
			return err
		}
		sh.Values = append(sh.Values, Value{m.Name, openings[0].Value})
		openings = openings[1:]
	}
	if string(append(b, '}')) != line {
		return errors.New("the content line is written in another way than its one")
	}
	if len(openings) > 0 {
		return fmt.Errorf("%w: %s is in no place of the content, or out of order", errOpenings, schema.Quote(openings[0].Pointer))
	}
	return nil
}

// ShowPad verifies that the leaf at an index only fills up.
func (s Scope) ShowPad(leaf []byte, index uint64, o record.Opening) error {
	commitment, err := ParseLeaf(leaf)
	switch {
	case err != nil:
		return err
	case o.Pointer != pointerPad || o.Value != strconv.FormatUint(index, 10):
		return fmt.Errorf("the opening is of %s %s, not of the padding at leaf %d", schema.Quote(o.Pointer), schema.Quote(o.Value), index)
	}
	return s.verify(commitment, o)
}

// ShowMap verifies the last leaf of a period, and returns the root of its map.
func (s Scope) ShowMap(leaf []byte, o record.Opening) (root [32]byte, err error) {
	commitment, err := ParseLeaf(leaf)
	if err != nil {
		return root, err
	}
	if o.Pointer != pointerMap {
		return root, fmt.Errorf("the opening is at %s, not at %s: the leaf is not the last one of a period", schema.Quote(o.Pointer), pointerMap)
	}
	if err := s.verify(commitment, o); err != nil {
		return root, err
	}
	b, err := hex.DecodeString(o.Value)
	if err != nil || len(b) != len(root) || hex.EncodeToString(b) != o.Value {
		return root, fmt.Errorf("%s is no root of a map: 64 lower-case hexadecimal digits", schema.Quote(o.Value))
	}
	return [32]byte(b), nil
}

// AppendOpenings appends openings as one line of JSON, in its one way: a list of objects
// with pointer, value and salt (base64 of 32 bytes).
func AppendOpenings(b []byte, openings []record.Opening) []byte {
	b = append(b, '[')
	for i, o := range openings {
		if i > 0 {
			b = append(b, ',')
		}
		b = schema.AppendString(append(b, `{"pointer":`...), o.Pointer)
		b = schema.AppendString(append(b, `,"value":`...), o.Value)
		b = schema.AppendString(append(b, `,"salt":`...), base64.StdEncoding.EncodeToString(o.Salt))
		b = append(b, '}')
	}
	return append(b, ']')
}

// ParseOpenings reads what [AppendOpenings] wrote, and nothing else.
func ParseOpenings(raw []byte) ([]record.Opening, error) {
	v, err := schema.ParseJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOpenings, err)
	}
	return OpeningsOf(v, raw)
}

// OpeningsOf is [ParseOpenings] of what is scanned already; raw is its text, nil where that
// is not to be the only one.
func OpeningsOf(v any, raw []byte) ([]record.Opening, error) {
	items, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%w: no list", errOpenings)
	}
	openings := make([]record.Opening, len(items))
	for i, item := range items {
		o, _ := item.(schema.Object)
		pointer, ok1 := o.Lookup("pointer").(string)
		value, ok2 := o.Lookup("value").(string)
		text, ok3 := o.Lookup("salt").(string)
		salt, err := base64.StdEncoding.DecodeString(text)
		if !ok1 || !ok2 || !ok3 || len(o) != 3 || err != nil || len(salt) != len(Salt{}) {
			return nil, fmt.Errorf("%w: item %d is not a pointer, a value and a salt of 32 bytes", errOpenings, i)
		}
		openings[i] = record.Opening{Pointer: pointer, Value: value, Salt: salt}
	}
	if raw != nil && string(AppendOpenings(make([]byte, 0, len(raw)), openings)) != string(raw) {
		return nil, fmt.Errorf("%w: they are written in another way than their one", errOpenings)
	}
	return openings, nil
}
