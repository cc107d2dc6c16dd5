package server

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/seed-53cf897a/docket/ledger/record"
)

func loadOpenAPI(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openAPIDocument)
	if err != nil {
		t.Fatalf("openapi.json does not load: %v", err)
	}
	return doc
}

func TestOpenAPIIsValid(t *testing.T) {
	doc := loadOpenAPI(t)
	if err := doc.Validate(t.Context()); err != nil {
		t.Errorf("openapi.json: %v", err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("openapi.json is of version %s", doc.OpenAPI)
	}
}

// Each route is described and each description is a route.
func TestOpenAPIIsTheRoutes(t *testing.T) {
	described := map[string]bool{}
	for path, item := range loadOpenAPI(t).Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	for _, r := range new(Server).routes() {
		for _, path := range r.docPaths() {
			if call := r.method + " " + path; !described[call] {
				t.Errorf("openapi.json does not describe %s", call)
			} else {
				delete(described, call)
			}
		}
	}
	for call := range described {
		t.Errorf("openapi.json describes %s, which is no route", call)
	}
}

func TestOpenAPISaysEveryProblem(t *testing.T) {
	statuses := map[string]bool{}
	for code, r := range loadOpenAPI(t).Paths.Find("/v1/records").Post.Responses.Map() {
		if c := r.Value.Content.Get("application/problem+json"); c != nil {
			statuses[code] = true
		}
	}
	for _, want := range strings.Fields("400 403 408 409 413 415 422 429 503") {
		if !statuses[want] {
			t.Errorf("openapi.json does not say that POST /v1/records may answer %s", want)
		}
	}
}

func TestOpenAPIHasEveryKind(t *testing.T) {
	var described []string
	for _, v := range loadOpenAPI(t).Components.Schemas["Kind"].Value.Enum {
		described = append(described, v.(string))
	}
	for _, kind := range record.Kinds() {
		if !slices.Contains(described, string(kind)) {
			t.Errorf("openapi.json does not know the kind %s", kind)
		}
	}
	if len(described) != len(record.Kinds()) {
		t.Errorf("openapi.json has %d kinds, this binary %d", len(described), len(record.Kinds()))
	}
}
