package server

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// apiDescription is openapi.json, ready to be held against every answer that the
// tests of this package get.
type apiDescription struct {
	doc   *openapi3.T
	paths []apiPath
}

type apiPath struct {
	pattern *regexp.Regexp
	path    string
	item    *openapi3.PathItem
}

var loadAPIDescription = sync.OnceValues(func() (*apiDescription, error) {
	openapi3filter.RegisterBodyDecoder("application/schema+json", openapi3filter.JSONBodyDecoder)
	doc, err := openapi3.NewLoader().LoadFromData(openAPIDocument)
	if err != nil {
		return nil, err
	}
	d := &apiDescription{doc: doc}
	placeholder := regexp.MustCompile(`\{[a-z]+\}`)
	for path, item := range doc.Paths.Map() {
		pattern := "^" + placeholder.ReplaceAllString(strings.ReplaceAll(path, ".", `\.`), `[^/]+`) + "$"
		if strings.HasPrefix(path, "/tile/") {
			pattern = strings.TrimSuffix(pattern, `[^/]+$`) + ".+$"
		}
		d.paths = append(d.paths, apiPath{regexp.MustCompile(pattern), path, item})
	}
	return d, nil
})

// check holds an answer against its description: the status is one of those
// said, and so is the media type; the body fits its schema.
func (d *apiDescription) check(t testing.TB, r *http.Request, out *httptest.ResponseRecorder) {
	t.Helper()
	for _, p := range d.paths {
		operation := p.item.GetOperation(r.Method)
		if operation == nil || !p.pattern.MatchString(r.URL.EscapedPath()) || strings.HasPrefix(r.URL.Path, "/tile/entries/") != strings.HasPrefix(p.path, "/tile/entries/") {
			continue
		}
		if operation.Responses.Value(strconv.Itoa(out.Code)) == nil {
			t.Errorf("%s %s: the answer %d is not described: %s", r.Method, r.URL, out.Code, out.Body)
			return
		}
		err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{
				Request: r,
				Route:   &routers.Route{Spec: d.doc, Path: p.path, PathItem: p.item, Method: r.Method, Operation: operation},
			},
			Status: out.Code,
			Header: out.Header(),
			Body:   io.NopCloser(bytes.NewReader(out.Body.Bytes())),
		})
		if err != nil {
			t.Errorf("%s %s: the answer is not as described: %v", r.Method, r.URL, err)
		}
		return
	}
}
