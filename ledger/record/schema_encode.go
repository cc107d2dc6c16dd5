package record

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// appendValue writes a Go value of a shape as compact JSON, members in the
// table's order, absent ones left out: one value, one text.
func appendValue(b []byte, v reflect.Value, sh *shape) []byte {
	if sh.pointer {
		v = v.Elem()
	}
	switch sh.is {
	case isString:
		return appendString(b, v.String())
	case isInteger:
		return strconv.AppendInt(b, v.Int(), 10)
	case isBoolean:
		return strconv.AppendBool(b, v.Bool())
	case isList:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, v.Index(i), sh.item)
		}
		return append(b, ']')
	case isMap:
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		b = append(b, '{')
		for i, name := range names {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, name.String()), ':')
			b = appendValue(b, v.MapIndex(name), sh.item)
		}
		return append(b, '}')
	case isObject:
		return appendObject(b, v, v, sh)
	case isFragment:
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
func appendObject(b []byte, v, common reflect.Value, sh *shape) []byte {
	b = append(b, '{')
	first := true
	for _, f := range sh.fields {
		from := v
		if f.common {
			from = common
		}
		value := from.Field(f.index)
		if !f.required && isAbsent(value, f.shape) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendString(b, f.name), ':')
		b = appendValue(b, value, f.shape)
	}
	return append(b, '}')
}

func isAbsent(v reflect.Value, sh *shape) bool {
	if sh.is == isList || sh.is == isMap || sh.is == isFragment {
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
