package server

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/verifier"
)

// plainHeader is the header of a page that does not rest on the register.
func (s *Server) plainHeader(x *request, title string) pageHeader {
	return pageHeader{Title: title, Ledger: s.ledgerTitle(), Path: x.Request.URL.EscapedPath(), Copy: s.copyState()}
}

type schemasPage struct {
	pageHeader
	Kinds []record.Kind
}

// schemasPage lists the kinds of records, each with its schema.
func (s *Server) schemasPage(x *request) error {
	page := schemasPage{s.plainHeader(x, "Kinds of records"), record.Kinds()}
	page.About = "What can be recorded here, with the JSON Schema of each kind."
	return x.answerPage(http.StatusOK, "schemas", page)
}

// apiCall is one row of the API reference.
type apiCall struct {
	Method, Path, Summary, Description string
	Parameters                         []apiParameter
	Answers                            []apiAnswer
}

type apiParameter struct {
	Name, In, Description string
	Required              bool
}

type apiAnswer struct{ Status, Description string }

type apiGroup struct {
	Name, Description string
	Calls             []apiCall
}

type apiPage struct {
	pageHeader
	Groups []apiGroup
}

// apiPage is the reference of the API, made of openapi.json.
func (s *Server) apiPage(x *request) error {
	groups, err := apiReference()
	if err != nil {
		return err
	}
	page := apiPage{s.plainHeader(x, "API"), groups}
	page.About = "Everything that can be asked of this ledger by a program."
	page.Data = []dataLink{{"OpenAPI 3.1 (JSON)", "/openapi.json"}}
	return x.answerPage(http.StatusOK, "api", page)
}

// apiReference reads the embedded description.
var apiReference = sync.OnceValues(func() ([]apiGroup, error) {
	type parameter struct {
		Ref         string `json:"$ref"`
		Name, In    string
		Description string
		Required    bool
	}
	type answer struct {
		Ref         string `json:"$ref"`
		Description string
	}
	var doc struct {
		Tags  []struct{ Name, Description string }
		Paths map[string]map[string]struct {
			Tags                 []string
			Summary, Description string
			Parameters           []parameter
			Responses            map[string]answer
		}
		Components struct {
			Parameters map[string]parameter
			Responses  map[string]answer
		}
	}
	if err := json.Unmarshal(openAPIDocument, &doc); err != nil {
		return nil, err
	}
	last := func(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
	groups := make([]apiGroup, len(doc.Tags))
	for i, tag := range doc.Tags {
		groups[i] = apiGroup{Name: tag.Name, Description: tag.Description}
	}
	for path, methods := range doc.Paths {
		for method, call := range methods {
			c := apiCall{Method: strings.ToUpper(method), Path: path, Summary: call.Summary, Description: call.Description}
			for _, p := range call.Parameters {
				if p.Ref != "" {
					p = doc.Components.Parameters[last(p.Ref)]
				}
				c.Parameters = append(c.Parameters, apiParameter{p.Name, p.In, p.Description, p.Required})
			}
			for status, a := range call.Responses {
				if a.Ref != "" {
					a = doc.Components.Responses[last(a.Ref)]
				}
				c.Answers = append(c.Answers, apiAnswer{status, a.Description})
			}
			slices.SortFunc(c.Answers, func(a, b apiAnswer) int { return strings.Compare(a.Status, b.Status) })
			for i := range groups {
				if slices.Contains(call.Tags, groups[i].Name) {
					groups[i].Calls = append(groups[i].Calls, c)
				}
			}
		}
	}
	for _, g := range groups {
		slices.SortFunc(g.Calls, func(a, b apiCall) int {
			return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method))
		})
	}
	return groups, nil
})

type howToPage struct {
	pageHeader
	URL      string // under which the reader reached the ledger
	Verifier string // digest of verify.html
	Policy   string // fingerprint
}

// howToPage tells how to check all of this without believing this server.
func (s *Server) howToPage(x *request) error {
	page := howToPage{pageHeader: s.plainHeader(x, "How to verify"), URL: x.baseURL(), Verifier: verifier.SHA256()}
	page.About = "How to check everything on this ledger without believing the server that shows it."
	if p := s.cfg.Ledger.Published(); p != nil {
		page.Policy = p.Policy().Fingerprint()
	}
	return x.answerPage(http.StatusOK, "how-to-verify", page)
}
