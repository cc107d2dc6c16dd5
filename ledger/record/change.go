package record

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// ChangeOp is a step of an amendment.
type ChangeOp string

const (
	opDrop  ChangeOp = "drop"
	opUnset ChangeOp = "unset"
	opSet   ChangeOp = "set"
	opAdd   ChangeOp = "add"
)

// Change is one effect of an amendment, for people. Old and New are "" where there
// was, or is, nothing.
type Change struct {
	Op   ChangeOp `json:"op"`
	Path string   `json:"path"` // dotted, from the designation: "target.domain"
	Old  string   `json:"old,omitempty"`
	New  string   `json:"new,omitempty"`
}

// String is one line: "target.registrationNumber: 0048213 → 0048231",
// "target.domain: + kestrel.example", "federalRegisterNotice: − 00 FR 00000".
func (c Change) String() string {
	switch {
	case c.New == "":
		return fmt.Sprintf("%s: − %s", c.Path, c.Old)
	case c.Old == "":
		return fmt.Sprintf("%s: + %s", c.Path, c.New)
	}
	return fmt.Sprintf("%s: %s → %s", c.Path, c.Old, c.New)
}

// formatValue writes a value in one line, as YAML would in flow style.
func formatValue(v reflect.Value, sh *shape) string {
	plain := !sh.pointer && (sh.is == isBoolean || sh.is == isInteger) // zero says something
	if isAbsent(v, sh) && !plain {
		return ""
	}
	if sh.pointer {
		v = v.Elem()
	}
	switch sh.is {
	case isString:
		if s := v.String(); !strings.ContainsAny(s, "\n\"") {
			return s
		}
		return strconv.Quote(v.String())
	case isList:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = formatValue(v.Index(i), sh.item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case isObject:
		var members []string
		for _, f := range sh.fields {
			if value := v.Field(f.index); f.required || !isAbsent(value, f.shape) {
				members = append(members, f.name+": "+formatValue(value, f.shape))
			}
		}
		return "{" + strings.Join(members, ", ") + "}"
	case isInteger:
		return strconv.FormatInt(v.Int(), 10)
	case isBoolean:
		return strconv.FormatBool(v.Bool())
	}
	return scalarText(v.Interface())
}
