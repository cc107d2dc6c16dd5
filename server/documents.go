package server

import (
	_ "embed"

	"github.com/seed-53cf897a/docket/ledger/record"
)

//go:embed openapi.json
var openAPIDocument []byte

var openAPITag = entityTag(openAPIDocument)

// openAPI serves the description of this very API; a test holds the two together.
func (s *Server) openAPI(x *exchange) error {
	return x.embedded(typeJSON, openAPIDocument, openAPITag)
}

// schema serves the JSON Schema of a kind.
func (s *Server) schema(x *exchange) error {
	kind := record.Kind(x.Param("kind"))
	schema, err := record.SchemaJSON(kind)
	if err != nil {
		p := refuse(notFound, "no kind of record is called %q", clip(string(kind)))
		p.cause = err
		return p
	}
	return x.embedded("application/schema+json", schema, entityTag(schema))
}
