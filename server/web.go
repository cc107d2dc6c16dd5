package server

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
)

// The pages for people: html/template escapes what others have signed for the
// place where it stands, and the policy below lets a browser load nothing but
// our own style sheet, so that a hole in the first would still run no script.
const contentPolicy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

//go:embed web
var webFiles embed.FS

var (
	pages    = parsePages("home", "designations", "designation", "parties", "party", "record", "failure")
	styles   = mustRead("web/style.css")
	styleTag = entityTag(styles)
)

func parsePages(names ...string) map[string]*template.Template {
	parsed := make(map[string]*template.Template, len(names))
	for _, name := range names {
		parsed[name] = template.Must(template.New(name+".html").ParseFS(webFiles, "web/layout.html", "web/tables.html", "web/"+name+".html"))
	}
	return parsed
}

func mustRead(name string) []byte {
	b, err := webFiles.ReadFile(name)
	if err != nil {
		panic(err) // embedded by this very file
	}
	return b
}

func (s *Server) style(x *exchange) error {
	return x.embedded("text/css; charset=utf-8", styles, styleTag)
}

// page renders a page whole before it sends anything.
func (x *exchange) page(status int, name string, data any) error {
	var body bytes.Buffer
	if err := pages[name].Execute(&body, data); err != nil {
		return fmt.Errorf("rendering the page %s: %w", name, err)
	}
	h := x.Writer.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", cacheNever)
	return x.bytes(status, "text/html; charset=utf-8", body.Bytes())
}

// failPage tells people of a failure, in the words of its problem.
func (x *exchange) failPage(err error) {
	p := problemOf(err)
	x.problem = p
	if p.status() == http.StatusServiceUnavailable {
		x.Writer.Header().Set("Retry-After", p.retrySeconds())
	}
	title := problemKinds[p.kind].title
	data := failurePage{frame: frame{Title: title, Ledger: x.server.title()}, Detail: strings.ToUpper(p.detail[:1]) + p.detail[1:] + "."}
	if err := x.page(p.status(), "failure", data); err != nil {
		x.fail(err)
	}
}

type failurePage struct {
	frame
	Detail string
}
