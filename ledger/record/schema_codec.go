package record

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A decoder fills Go values from scanned JSON by their shapes and gathers every
// fault on the way, not the first alone.
type decoder struct {
	faults []Fault
	path   []pathStep
	// partial: members may be missing, as in an amendment's fragment, but not from
	// the items of a list, which are whole.
	partial   bool
	listsOnly bool // only lists may be touched
	draft     bool // ledger and issuedAt may be missing: they are filled in later
}

// A step leads to a member, or to an item where name is "".
type pathStep struct {
	name  string
	index int
}

// pointer is the RFC 6901 pointer of where the decoder stands.
func (d *decoder) pointer() string {
	var b []byte
	for _, s := range d.path {
		b = append(b, '/')
		if s.name == "" {
			b = strconv.AppendInt(b, int64(s.index), 10)
		} else {
			b = append(b, EscapePointer(s.name)...)
		}
	}
	return string(b)
}

// EscapePointer is RFC 6901 section 3.
func EscapePointer(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// maxFaults limits the faults that are reported, and so the work that a hostile
// statement causes.
const maxFaults = 100

func (d *decoder) tooManyFaults() bool { return len(d.faults) >= maxFaults }

func (d *decoder) fault(format string, args ...any) {
	d.faults = append(d.faults, Fault{Pointer: d.pointer(), Detail: fmt.Sprintf(format, args...)})
}

func (d *decoder) enter(name string)              { d.path = append(d.path, pathStep{name: name}) }
func (d *decoder) enterItem(i int)                { d.path = append(d.path, pathStep{index: i}) }
func (d *decoder) leave()                         { d.path = d.path[:len(d.path)-1] }
func (d *decoder) faultWrongType(v any, w string) { d.fault("is %s; want %s", describeJSON(v), w) }

func describeJSON(v any) string {
	switch v := v.(type) {
	case string:
		return "text"
	case int64:
		return "the number " + strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	case Object:
		return "an object"
	}
	return "nothing"
}

// value fills dst, of sh's Go type, from v.
func (d *decoder) value(v any, sh *Shape, dst reflect.Value) {
	if d.listsOnly && sh.Type != TypeList && sh.Type != TypeObject {
		d.fault("is not a list: only items of lists can be added and dropped; use set or unset")
		return
	}
	if sh.pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	switch sh.Type {
	case TypeString:
		if s, ok := d.stringOf(v); ok && d.checkString(s, sh) {
			dst.SetString(s)
		}
	case TypeInteger:
		n, ok := v.(int64)
		switch {
		case !ok:
			d.faultWrongType(v, "a whole number")
		case n < sh.minInt || n > sh.maxInt:
			d.fault("is %d; want %d to %d", n, sh.minInt, sh.maxInt)
		default:
			dst.SetInt(n)
		}
	case TypeBoolean:
		if b, ok := v.(bool); ok {
			dst.SetBool(b)
		} else {
			d.faultWrongType(v, "true or false")
		}
	case TypeList:
		d.list(v, sh, dst)
	case TypeMap:
		d.mapValue(v, sh, dst)
	case TypeObject:
		if o, ok := v.(Object); ok {
			d.object(o, sh, dst, dst)
		} else {
			d.faultWrongType(v, "an object")
		}
	case TypeFragment:
		if o, ok := v.(Object); ok {
			d.fragment(o, sh)
			dst.Set(reflect.ValueOf(o))
		} else {
			d.faultWrongType(v, "an object")
		}
	default:
		if s, ok := d.stringOf(v); ok {
			if err := setScalar(dst.Addr().Interface(), s); err != nil {
				d.fault("%v", err)
			}
		}
	}
}

func (d *decoder) stringOf(v any) (string, bool) {
	s, ok := v.(string)
	if !ok {
		d.faultWrongType(v, "text in quotes")
	}
	return s, ok
}

func (d *decoder) checkString(s string, sh *Shape) bool {
	switch {
	case sh.Enum != nil:
		if slices.Contains(sh.Enum, s) {
			return true
		}
		d.fault("is %s; want one of %s%s", Quote(s), strings.Join(sh.Enum, ", "), DidYouMean(s, sh.Enum))
	case len(s) > sh.MaxChars && utf8.RuneCountInString(s) > sh.MaxChars:
		d.fault("is %d characters long; at most %d are allowed", utf8.RuneCountInString(s), sh.MaxChars)
	default:
		fault := sh.Format.Fault(s)
		if fault == "" {
			return true
		}
		d.fault("%s", fault)
	}
	return false
}

// isFreeText tells whether any text will do.
func (sh *Shape) isFreeText() bool {
	return sh.Type == TypeString && sh.Enum == nil && (sh.Format == FormatText || sh.Format == FormatLines)
}

// setScalar reads what has a text form of its own. A record ID of zeros would
// look absent once decoded, so it is no ID.
func setScalar(dst any, s string) (err error) {
	switch dst := dst.(type) {
	case *Date:
		*dst, err = ParseDate(s)
	case *Instant:
		*dst, err = ParseInstant(s)
	case *time.Time:
		var i Instant
		i, err = ParseInstant(s)
		*dst = i.Time
	case *Period:
		*dst, err = ParsePeriod(s)
	case *ID:
		*dst, err = ParseID(s)
		if err == nil && dst.IsZero() {
			err = fmt.Errorf("is all zeros, which names no record: leave the member out")
		}
	default:
		panic(fmt.Sprintf("record: no text form for %T", dst))
	}
	return err
}

// object fills dst, and common with the members of every record.
func (d *decoder) object(o Object, sh *Shape, dst, common reflect.Value) {
	if len(o) == 0 && (d.partial || sh.minMembers() > 0) {
		d.fault("is empty: leave it out")
	}
	var seen uint64
	at := -1
	for _, m := range o {
		if d.tooManyFaults() {
			return
		}
		i, f := sh.LookupField(m.Name, at+1)
		d.enter(m.Name)
		if f == nil {
			d.fault("is no field here%s", DidYouMean(m.Name, sh.FieldNames()))
		} else {
			at = i
			seen |= 1 << i
			into := dst
			if f.Common {
				into = common
			}
			if m.Value == any("") && f.Required && f.isFreeText() {
				d.fault("is empty, and is required")
			} else {
				d.value(m.Value, f.Shape, into.Field(f.index))
			}
		}
		d.leave()
	}
	if d.partial {
		return
	}
	for i, f := range sh.Fields {
		later := d.draft && f.Common && (f.Type == TypeID || f.Type == TypeInstant)
		if f.Required && seen&(1<<i) == 0 && !later {
			d.enter(f.Name)
			d.fault("is missing")
			d.leave()
		}
	}
}

func (d *decoder) list(v any, sh *Shape, dst reflect.Value) {
	items, ok := v.([]any)
	switch {
	case !ok:
		d.faultWrongType(v, "a list")
		return
	case len(items) > sh.maxItems:
		d.fault("holds %d items; at most %d are allowed", len(items), sh.maxItems)
		return
	case len(items) == 0 && sh.needsItem && !d.partial:
		d.fault("is empty; at least one item is needed")
		return
	case len(items) == 0:
		return // as if it were absent
	}
	partial, lists := d.partial, d.listsOnly
	d.partial, d.listsOnly = false, false
	list := reflect.MakeSlice(dst.Type(), len(items), len(items))
	faults := len(d.faults)
	for i, item := range items {
		if d.tooManyFaults() {
			break
		}
		d.enterItem(i)
		d.value(item, sh.Item, list.Index(i))
		d.leave()
	}
	dst.Set(list)
	if len(d.faults) == faults {
		d.checkUnique(list, sh)
	}
	d.partial, d.listsOnly = partial, lists
}

// checkUnique: every list of a record is a set in an order, so that "drop this item"
// has one meaning.
func (d *decoder) checkUnique(list reflect.Value, sh *Shape) {
	if list.Len() < 2 {
		return
	}
	first := make(map[string]int, list.Len())
	var b []byte
	for i := range list.Len() {
		b = appendValue(b[:0], list.Index(i), sh.Item)
		if j, twice := first[string(b)]; twice {
			d.enterItem(i)
			d.fault("is the same as item %d", j)
			d.leave()
			continue
		}
		first[string(b)] = i
	}
}

func (d *decoder) mapValue(v any, sh *Shape, dst reflect.Value) {
	o, ok := v.(Object)
	switch {
	case !ok:
		d.faultWrongType(v, "an object")
		return
	case len(o) == 0:
		d.fault("is empty: leave it out")
		return
	case len(o) > sh.maxItems:
		d.fault("holds %d members; at most %d are allowed", len(o), sh.maxItems)
		return
	}
	dst.Set(reflect.MakeMapWithSize(dst.Type(), len(o)))
	value := reflect.New(dst.Type().Elem()).Elem()
	for _, m := range o {
		d.enter(m.Name)
		if fault := sh.names.Fault(m.Name); fault != "" {
			d.fault("the name %s", fault)
		}
		value.SetZero()
		d.value(m.Value, sh.Item, value)
		dst.SetMapIndex(reflect.ValueOf(m.Name), value)
		d.leave()
	}
}

// fragment judges a part of an object, member by member, and throws the decoded
// values away: [Amend] decodes them again where they go.
func (d *decoder) fragment(o Object, sh *Shape) {
	if len(o) == 0 {
		d.fault("is empty: leave it out")
		return
	}
	partial, lists := d.partial, d.listsOnly
	d.partial, d.listsOnly = true, sh.listsOnly
	scratch := reflect.New(sh.Fragment.GoType).Elem()
	d.object(o, sh.Fragment, scratch, scratch)
	d.partial, d.listsOnly = partial, lists
}

// appendValue writes a Go value of a shape as compact JSON, members in the
// table's order, absent ones left out: one value, one text.
func appendValue(b []byte, v reflect.Value, sh *Shape) []byte {
	if sh.pointer {
		v = v.Elem()
	}
	switch sh.Type {
	case TypeString:
		return appendString(b, v.String())
	case TypeInteger:
		return strconv.AppendInt(b, v.Int(), 10)
	case TypeBoolean:
		return strconv.AppendBool(b, v.Bool())
	case TypeList:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, v.Index(i), sh.Item)
		}
		return append(b, ']')
	case TypeMap:
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		b = append(b, '{')
		for i, name := range names {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, name.String()), ':')
			b = appendValue(b, v.MapIndex(name), sh.Item)
		}
		return append(b, '}')
	case TypeObject:
		return appendObject(b, v, v, sh)
	case TypeFragment:
		return appendJSON(b, v.Interface())
	}
	return appendString(b, scalarText(v.Interface()))
}

func scalarText(v any) string {
	switch v := v.(type) {
	case Date:
		return v.String()
	case Instant:
		return v.String()
	case time.Time:
		return Instant{v}.String()
	case Period:
		return v.String()
	case ID:
		return v.String()
	}
	panic("record: no text form for " + reflect.TypeOf(v).String())
}

// appendObject writes v's members, and common's of the members of every record.
func appendObject(b []byte, v, common reflect.Value, sh *Shape) []byte {
	b = append(b, '{')
	first := true
	for _, f := range sh.Fields {
		from := v
		if f.Common {
			from = common
		}
		value := from.Field(f.index)
		if !f.Required && isAbsent(value, f.Shape) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendString(b, f.Name), ':')
		b = appendValue(b, value, f.Shape)
	}
	return append(b, '}')
}

func isAbsent(v reflect.Value, sh *Shape) bool {
	if sh.Type == TypeList || sh.Type == TypeMap || sh.Type == TypeFragment {
		return v.Len() == 0
	}
	return v.IsZero()
}

// appendJSON writes what [ParseJSON] made, compact.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendString(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case bool:
		return strconv.AppendBool(b, v)
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, item)
		}
		return append(b, ']')
	case Object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.Name), ':')
			b = appendJSON(b, m.Value)
		}
		return append(b, '}')
	}
	panic("record: " + reflect.TypeOf(v).String() + " is no value of ParseJSON")
}

// MarshalJSON writes the object's members in their order.
func (o Object) MarshalJSON() ([]byte, error) { return appendJSON(nil, o), nil }

// UnmarshalJSON is [ParseJSON] of an object.
func (o *Object) UnmarshalJSON(raw []byte) error {
	v, err := ParseJSON(raw)
	if err != nil {
		return err
	}
	object, ok := v.(Object)
	if !ok {
		return &SyntaxError{Detail: describeJSON(v) + " where an object belongs"}
	}
	*o = object
	return nil
}

// appendString escapes what RFC 8259 section 7 demands, and nothing else.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		start = i + 1
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
