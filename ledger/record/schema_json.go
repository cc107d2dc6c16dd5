package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// SchemaJSON is the JSON Schema (draft 2020-12) of a kind's whole statement, from
// the same table that decodes it. What it allows and [ParseStatement] refuses are
// rules across fields, equal items written differently, and keys that are no keys.
func SchemaJSON(kind Kind) ([]byte, error) {
	sp, err := SpecOf(kind)
	if err != nil {
		return nil, err
	}
	schema := Object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "urn:docket:schema:" + string(kind) + ":v1"},
		{"title", string(kind)},
		{"description", sp.Summary},
		{"type", "object"},
		{"properties", Object{
			{"_type", Object{{"enum", []any{statementV1, statementV01}}}},
			{"subject", subjectSchema(sp)},
			{"predicateType", Object{{"const", kind.PredicateType()}}},
			{"predicate", sp.predicateSchema()},
		}},
		{"required", toList(statementMembers)},
		{"additionalProperties", false},
	}
	var out bytes.Buffer
	if err := json.Indent(&out, asciiJSON(appendJSON(nil, schema)), "", "  "); err != nil {
		return nil, fmt.Errorf("indenting the schema of %s: %w", kind, err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func subjectSchema(sp *Spec) Object {
	says := "what the record is about; the name is text for people, and nothing is decided by it"
	if sp.PrivateSubject {
		says += "; the digest is a commitment to the document's"
	}
	digest := Object{
		{"type", "object"},
		{"properties", Object{{"sha256", Object{{"type", "string"}, {"pattern", grammars[FormatSHA256].pattern}}}}},
		{"required", []any{"sha256"}},
		{"additionalProperties", false},
	}
	return Object{
		{"description", says},
		{"type", "array"}, {"minItems", int64(1)}, {"maxItems", int64(1)},
		{"items", Object{
			{"type", "object"},
			{"properties", Object{{"name", subjectName.stringSchema()}, {"digest", digest}}},
			{"required", []any{"digest"}},
			{"additionalProperties", false},
		}},
	}
}

func (sp *Spec) predicateSchema() Object {
	o := sp.Shape.jsonSchema(fullObject)
	for i, m := range o {
		if m.Name != "properties" {
			continue
		}
		for j, p := range m.Value.(Object) {
			if p.Name == "thread" {
				o[i].Value.(Object)[j].Value = append(p.Value.(Object), Member{"allOf", []any{Object{{"pattern", sp.threadPattern()}}}})
			}
		}
	}
	return o
}

func (sp *Spec) threadPattern() string {
	segments := make([]string, len(sp.Segments))
	for i, s := range sp.Segments {
		if segments[i] = strings.ReplaceAll(s, ".", `\.`); isPlaceholderSegment(s) {
			segments[i] = strings.Trim(grammars[FormatSegment].pattern, "^$")
		}
	}
	return "^" + strings.Join(segments, "/") + "$"
}

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
	case TypeDate:
		return Object{{"type", "string"}, {"format", "date"}, {"pattern", `^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$`}}
	case TypeInstant:
		return Object{{"type", "string"}, {"format", "date-time"}, {"pattern", `^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,3})?Z$`}}
	case TypePeriod:
		const n = `(0|[1-9][0-9]{0,3})`
		return Object{{"type", "string"}, {"pattern", "^P(" + n + "[YMWD]|" + n + "Y" + n + "M" + n + "D)$"}}
	case TypeID:
		return Object{{"type", "string"}, {"pattern", grammars[FormatSHA256].pattern}, {"not", Object{{"const", ID{}.String()}}}}
	case TypeList:
		o := Object{{"type", "array"}, {"items", sh.Item.jsonSchema(fullObject)}, {"maxItems", int64(sh.maxItems)}, {"uniqueItems", true}}
		if sh.needsItem && p == fullObject {
			o = append(o, Member{"minItems", int64(1)})
		}
		return o
	case TypeMap:
		return Object{
			{"type", "object"},
			{"propertyNames", Object{{"pattern", grammars[sh.names].pattern}}},
			{"additionalProperties", sh.Item.jsonSchema(fullObject)},
			{"minProperties", int64(1)}, {"maxProperties", int64(sh.maxItems)},
		}
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
		return Object{{"type", "string"}, {"enum", toList(sh.Enum)}}
	}
	g := grammars[sh.Format]
	pattern := g.pattern
	if pattern == "" {
		pattern = textPattern(g.lines)
	}
	return Object{{"type", "string"}, {"minLength", int64(1)}, {"maxLength", int64(sh.MaxChars)}, {"pattern", pattern}}
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

func toList(words []string) []any {
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
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
