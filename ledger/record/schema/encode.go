package schema

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// AppendValue writes a Go value of a shape as compact JSON, members in the
// table's order, absent ones left out: one value, one text.
func AppendValue(b []byte, v reflect.Value, sh *Shape) []byte {
	if sh.Pointer {
		v = v.Elem()
	}
	switch sh.Type {
	case TypeString:
		return AppendString(b, v.String())
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
			b = AppendValue(b, v.Index(i), sh.Item)
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
			b = append(AppendString(b, name.String()), ':')
			b = AppendValue(b, v.MapIndex(name), sh.Item)
		}
		return append(b, '}')
	case TypeObject:
		return appendObject(b, sh, v)
	case TypeSealable:
		if sealed := v.Field(1); !sealed.IsNil() {
			return AppendValue(b, sealed, sh.Sealed)
		}
		return AppendString(b, v.Field(0).String())
	case TypeFragment:
		return AppendJSON(b, v.Interface())
	}
	return AppendString(b, sh.Text(v))
}

// AppendObject writes the members of a Go struct, or of those of a joined shape; from
// points to them.
func AppendObject(b []byte, sh *Shape, from ...any) []byte {
	parts := make([]reflect.Value, len(from))
	for i, p := range from {
		parts[i] = reflect.ValueOf(p).Elem()
	}
	return appendObject(b, sh, parts...)
}

func appendObject(b []byte, sh *Shape, from ...reflect.Value) []byte {
	b = append(b, '{')
	first := true
	for _, f := range sh.Fields {
		value := from[f.part].Field(f.index)
		if !f.Required && f.IsAbsent(value) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(AppendString(b, f.Name), ':')
		b = AppendValue(b, value, f.Shape)
	}
	return append(b, '}')
}
