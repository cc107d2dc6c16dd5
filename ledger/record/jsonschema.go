package record

import (
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// SchemaJSON is the JSON Schema (draft 2020-12) of a kind's whole statement, from
// the same table that decodes it. What it allows and [ParseStatement] refuses are
// rules across fields, equal items written differently, and keys that are no keys.
func SchemaJSON(kind Kind) ([]byte, error) {
	sp, err := SpecOf(kind)
	if err != nil {
		return nil, err
	}
	return schema.Indent(schema.ObjectOf(
		"$schema", "https://json-schema.org/draft/2020-12/schema",
		"$id", "urn:docket:schema:"+string(kind)+":v1",
		"title", string(kind),
		"description", sp.Summary,
		"type", "object",
		"properties", schema.ObjectOf(
			"_type", schema.ObjectOf("enum", []any{statementV1, statementV01}),
			"subject", subjectSchema(sp),
			"predicateType", schema.ObjectOf("const", kind.PredicateType()),
			"predicate", sp.predicateSchema(),
		),
		"required", schema.List(statementMembers),
		"additionalProperties", false,
	)), nil
}

func subjectSchema(sp *Spec) schema.Object {
	says := "what the record is about; the name is text for people, and nothing is decided by it"
	if sp.PrivateSubject {
		says += "; the digest is a commitment to the document's"
	}
	if sp.SealableSubject {
		says += "; where the record is sealed the digest is a commitment to the document's"
	}
	digest := schema.ObjectOf(
		"type", "object",
		"properties", schema.ObjectOf("sha256", schema.ObjectOf("type", "string", "pattern", schema.FormatSHA256.Pattern())),
		"required", []any{"sha256"},
		"additionalProperties", false,
	)
	return schema.ObjectOf(
		"description", says,
		"type", "array", "minItems", int64(1), "maxItems", int64(1),
		"items", schema.ObjectOf(
			"type", "object",
			"properties", schema.ObjectOf("name", subjectName.JSONSchema(), "digest", digest),
			"required", []any{"digest"},
			"additionalProperties", false,
		),
	)
}

func (sp *Spec) predicateSchema() schema.Object {
	o := sp.Shape.JSONSchema()
	for i, m := range o {
		if m.Name != "properties" {
			continue
		}
		for j, p := range m.Value.(schema.Object) {
			if p.Name == "thread" {
				o[i].Value.(schema.Object)[j].Value = append(p.Value.(schema.Object), schema.Member{Name: "allOf", Value: []any{schema.ObjectOf("pattern", sp.threadPattern())}})
			}
		}
	}
	return o
}
