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
	pageTemplates = parsePages("home", "designations", "designation", "parties", "party", "record", "failure")
	styleSheet    = mustRead("web/style.css")
	styleSheetTag = entityTag(styleSheet)
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

func (s *Server) style(x *request) error {
	return x.answerEmbedded("text/css; charset=utf-8", styleSheet, styleSheetTag)
}

// answerPage renders a page whole before it sends anything.
func (x *request) answerPage(status int, name string, data any) error {
	var body bytes.Buffer
	if err := pageTemplates[name].Execute(&body, data); err != nil {
		return fmt.Errorf("rendering the page %s: %w", name, err)
	}
	h := x.Writer.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", cacheRevalidate)
	return x.answerBytes(status, "text/html; charset=utf-8", body.Bytes())
}

// answerProblemPage tells people of a failure, in the words of its problem.
func (x *request) answerProblemPage(err error) {
	p := problemOf(err)
	x.problem = p
	if p.status() == http.StatusServiceUnavailable {
		x.Writer.Header().Set("Retry-After", p.retrySeconds())
	}
	title := problemKinds[p.kind].title
	data := failurePage{pageHeader: pageHeader{Title: title, Ledger: x.server.ledgerTitle()}, Detail: strings.ToUpper(p.detail[:1]) + p.detail[1:] + "."}
	if err := x.answerPage(p.status(), "failure", data); err != nil {
		x.answerProblem(err)
	}
}

type failurePage struct {
	pageHeader
	Detail string
}
