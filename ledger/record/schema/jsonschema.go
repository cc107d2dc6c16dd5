package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// JSONSchema is the JSON Schema (draft 2020-12) of a shape. It allows two things more
// than a [Decoder]: equal items written differently, and texts that a [Scalar] refuses
// beyond its own schema.
func (sh *Shape) JSONSchema() Object { return sh.jsonSchema(fullObject) }

// fragmentMode says how much of an object a schema describes.
type fragmentMode int

const (
	fullObject      fragmentMode = iota
	partialObject                // members may be missing: an amendment's set
	listsOnlyObject              // and only lists may be touched: drop and add
)

func (sh *Shape) jsonSchema(p fragmentMode) Object {
	switch sh.Type {
	case TypeString:
		return sh.stringSchema()
	case TypeInteger:
		return Object{{"type", "integer"}, {"minimum", sh.minInt}, {"maximum", sh.maxInt}}
	case TypeBoolean:
		return Object{{"type", "boolean"}}
	case TypeScalar:
		return sh.scalar.schema
	case TypeList:
		o := Object{{"type", "array"}, {"items", sh.Item.jsonSchema(fullObject)}, {"maxItems", int64(sh.maxItems)}}
		if !sh.mayRepeat {
			o = append(o, Member{"uniqueItems", true})
		}
		if sh.needsItem && p == fullObject {
			o = append(o, Member{"minItems", int64(1)})
		}
		return o
	case TypeMap:
		return Object{
			{"type", "object"},
			{"propertyNames", Object{{"pattern", sh.names.Pattern()}}},
			{"additionalProperties", sh.Item.jsonSchema(fullObject)},
			{"minProperties", int64(1)}, {"maxProperties", int64(sh.maxItems)},
		}
	case TypeSealable:
		return Object{{"anyOf", []any{sh.stringSchema(), sh.Sealed.jsonSchema(p)}}}
	case TypeFragment:
		if sh.listsOnly {
			return sh.Fragment.jsonSchema(listsOnlyObject)
		}
		return sh.Fragment.jsonSchema(partialObject)
	}
	return sh.objectSchema(p)
}

func (sh *Shape) stringSchema() Object {
	if sh.Enum != nil {
		return Object{{"type", "string"}, {"enum", List(sh.Enum)}}
	}
	least := int64(1)
	if g := grammars[sh.Format]; g.compiled != nil {
		least = max(least, int64(g.min))
	}
	return Object{{"type", "string"}, {"minLength", least}, {"maxLength", int64(sh.MaxChars)}, {"pattern", sh.Format.Pattern()}}
}

func (sh *Shape) objectSchema(p fragmentMode) Object {
	properties := Object{}
	var required []any
	for _, f := range sh.Fields {
		if p == listsOnlyObject && f.Type != TypeList && f.Type != TypeObject {
			continue
		}
		described := f.jsonSchema(p)
		if f.Doc != "" {
			described = append(Object{{"description", f.Doc}}, described...)
		}
		properties = append(properties, Member{f.Name, described})
		if f.Required {
			required = append(required, f.Name)
		}
	}
	o := Object{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}}
	switch {
	case p != fullObject || len(required) == 0:
		o = append(o, Member{"minProperties", int64(1)})
	default:
		o = append(o, Member{"required", required})
	}
	return o
}

// List is words as a JSON list.
func List(words []string) []any {
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
}

// Indent writes an object over several lines, in ASCII where that is shorter to read.
func Indent(o Object) []byte {
	var out bytes.Buffer
	if err := json.Indent(&out, asciiJSON(AppendJSON(nil, o)), "", "  "); err != nil {
		panic("schema: indenting: " + err.Error())
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// asciiJSON escapes what would not be seen, or would turn the text around it: the
// patterns name such characters.
func asciiJSON(b []byte) []byte {
	var out []byte
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r < utf8.RuneSelf {
			out = append(out, byte(r))
		} else if r > 0xFFFF {
			out = append(out, b[:n]...)
		} else {
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out
}
