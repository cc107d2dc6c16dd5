package server

import (
	_ "embed"

	"github.com/seed-53cf897a/docket/ledger/record"
)

//go:embed openapi.json
var openAPIDocument []byte

var openAPITag = entityTag(openAPIDocument)

// openAPI serves the description of this very API; a test holds the two together.
func (s *Server) openAPI(x *request) error {
	return x.answerEmbedded(typeJSON, openAPIDocument, openAPITag)
}

// schema serves the JSON Schema of a kind.
func (s *Server) schema(x *request) error {
	kind := record.Kind(x.Param("kind"))
	schema, err := record.SchemaJSON(kind)
	if err != nil {
		p := newProblem(problemNotFound, "no kind of record is called %q", clipText(string(kind)))
		p.cause = err
		return p
	}
	return x.answerEmbedded("application/schema+json", schema, entityTag(schema))
}
