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
	sp, err := findSpec(kind)
	if err != nil {
		return nil, err
	}
	schema := Object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", "urn:docket:schema:" + string(kind) + ":v1"},
		{"title", string(kind)},
		{"description", sp.summary},
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

func subjectSchema(sp *kindSpec) Object {
	says := "what the record is about; the name is text for people, and nothing is decided by it"
	if sp.privateSubject {
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

func (sp *kindSpec) predicateSchema() Object {
	o := sp.shape.jsonSchema(fullObject)
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

func (sp *kindSpec) threadPattern() string {
	segments := make([]string, len(sp.segments))
	for i, s := range sp.segments {
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

func (sh *shape) jsonSchema(p fragmentMode) Object {
	switch sh.is {
	case isString:
		return sh.stringSchema()
	case isInteger:
		return Object{{"type", "integer"}, {"minimum", sh.minInt}, {"maximum", sh.maxInt}}
	case isBoolean:
		return Object{{"type", "boolean"}}
	case isDate:
		return Object{{"type", "string"}, {"format", "date"}, {"pattern", `^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}$`}}
	case isInstant:
		return Object{{"type", "string"}, {"format", "date-time"}, {"pattern", `^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,3})?Z$`}}
	case isPeriod:
		const n = `(0|[1-9][0-9]{0,3})`
		return Object{{"type", "string"}, {"pattern", "^P(" + n + "[YMWD]|" + n + "Y" + n + "M" + n + "D)$"}}
	case isID:
		return Object{{"type", "string"}, {"pattern", grammars[FormatSHA256].pattern}, {"not", Object{{"const", zeroDigest}}}}
	case isList:
		o := Object{{"type", "array"}, {"items", sh.item.jsonSchema(fullObject)}, {"maxItems", int64(sh.maxItems)}, {"uniqueItems", true}}
		if sh.needsItem && p == fullObject {
			o = append(o, Member{"minItems", int64(1)})
		}
		return o
	case isMap:
		return Object{
			{"type", "object"},
			{"propertyNames", Object{{"pattern", grammars[sh.names].pattern}}},
			{"additionalProperties", sh.item.jsonSchema(fullObject)},
			{"minProperties", int64(1)}, {"maxProperties", int64(sh.maxItems)},
		}
	case isFragment:
		if sh.listsOnly {
			return sh.fragment.jsonSchema(listsOnlyObject)
		}
		return sh.fragment.jsonSchema(partialObject)
	}
	return sh.objectSchema(p)
}

func (sh *shape) stringSchema() Object {
	if sh.enum != nil {
		return Object{{"type", "string"}, {"enum", toList(sh.enum)}}
	}
	g := grammars[sh.format]
	pattern := g.pattern
	if pattern == "" {
		pattern = textPattern(g.lines)
	}
	return Object{{"type", "string"}, {"minLength", int64(1)}, {"maxLength", int64(sh.maxChars)}, {"pattern", pattern}}
}

func (sh *shape) objectSchema(p fragmentMode) Object {
	properties := Object{}
	var required []any
	for _, f := range sh.fields {
		if p == listsOnlyObject && f.is != isList && f.is != isObject {
			continue
		}
		described := f.jsonSchema(p)
		if f.doc != "" {
			described = append(Object{{"description", f.doc}}, described...)
		}
		properties = append(properties, Member{f.name, described})
		if f.required {
			required = append(required, f.name)
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
