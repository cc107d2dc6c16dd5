package customers

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/web"
)

// The pages are for the provider's compliance team: what is due, customers, who searched for
// what, and what left the house. They need no script, ask no other place for anything, are
// kept by no cache, and have nobody's name in an address or a title, which browsers keep.
const contentPolicy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

//go:embed web
var pageFiles embed.FS

var (
	pageTemplates = parsePages()
	pageStyle     = append(web.Sheet(), readPageFile("page.css")...)
)

func readPageFile(name string) []byte {
	b, err := pageFiles.ReadFile("web/" + name)
	if err != nil {
		panic(err) // embedded by this very file
	}
	return b
}

// parsePages parses each page with the layout.
func parsePages() map[string]*template.Template {
	words := template.FuncMap{
		"count":   web.Count,
		"instant": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") },
		"rfc":     func(t time.Time) string { return t.Format(time.RFC3339) },
		"short":   func(s fmt.Stringer) string { return s.String()[:12] },
		"list":    func(s []string) string { return strings.Join(s, ", ") },
		"plain":   func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "-", " ") },
	}
	parsed := make(map[string]*template.Template)
	shared := template.Must(template.New("").Funcs(words).ParseFS(pageFiles, "web/layout.html"))
	files, err := pageFiles.ReadDir("web")
	if err != nil {
		panic(err) // embedded by this very file
	}
	for _, f := range files {
		if name, isPage := strings.CutSuffix(f.Name(), ".html"); isPage && name != "layout" {
			parsed[name] = template.Must(template.Must(shared.Clone()).ParseFS(pageFiles, "web/"+f.Name())).Lookup(f.Name())
		}
	}
	return parsed
}

// pages is the table of their paths.
func (s *Server) pages() []route {
	seeing, deciding := []Role{Reader, Compliance, Discloser}, []Role{Compliance}
	all := []route{
		{pattern: "GET /{$}", roles: []Role{Compliance, Reader}, reads: true, long: true, answer: s.queuePage},
		{pattern: "GET /customers/{handle}", roles: seeing, reads: true, answer: s.customerPage},
		{pattern: "POST /customers/{handle}/decide", roles: deciding, reads: true, answer: s.decidePage},
		{pattern: "POST /customers/{handle}/hold", roles: deciding, reads: true, answer: s.holdPage},
		{pattern: "POST /customers/{handle}/release", roles: deciding, reads: true, answer: s.releasePage},
		{pattern: "GET /search", roles: seeing, answer: s.searchPage},
		{pattern: "POST /search", roles: seeing, reads: true, answer: s.foundPage},
		{pattern: "GET /holds", roles: []Role{Compliance, Reader}, reads: true, long: true, answer: s.holdsPage},
		{pattern: "GET /disclosures", roles: []Role{Discloser, Compliance}, reads: true, answer: s.disclosuresPage},
		{pattern: "GET /periods", roles: seeing, answer: s.periodsPage},
		{pattern: "GET /house", roles: deciding, reads: true, answer: s.housePage},
		{pattern: "GET /style.css", locked: true, answer: func(x *request) error { return x.answerBytes(http.StatusOK, "text/css; charset=utf-8", pageStyle) }},
		{pattern: "GET /sign-in", locked: true, answer: s.signInPage},
		{pattern: "POST /sign-in", locked: true, answer: s.signIn},
		{pattern: "POST /sign-out", locked: true, answer: s.signOut},
	}
	for i := range all {
		all[i].page = true
	}
	return all
}

// pageHeader is what every page has.
type pageHeader struct {
	Title   string // names nobody
	Section string // in the navigation
	Party   string // whose log it is; "" while it is locked
	Client  string // who looks at it; "" if nobody is known
	Session bool   // who can sign out
	Token   string // of its forms
	Zone    string // of all times on the page
	Now     time.Time
	see     func(...Role) bool
}

// Header is what the layout shows, whatever else a page calls by the same names.
func (h pageHeader) Header() pageHeader { return h }

// May says whether who looks has one of these roles, so that a page offers nothing that would be refused.
func (h pageHeader) May(roles ...string) bool {
	for _, r := range roles {
		if h.see != nil && h.see(Role(r)) {
			return true
		}
	}
	return false
}

func (x *request) header(title, section string) pageHeader {
	s := x.server
	h := pageHeader{
		Title: title, Section: section, Client: x.client.Name, Session: sessionName(x.req) != "",
		Zone: s.cfg.Zone.String(), Now: time.Now().In(s.cfg.Zone), see: x.client.may,
	}
	if x.log != nil {
		h.Party = x.log.Scope().Thread.Party()
	}
	if x.client.Name != "" {
		h.Token = s.sessions.token(x)
	}
	return h
}

// here is an instant where days begin and end.
func (x *request) here(t time.Time) time.Time { return t.In(x.server.cfg.Zone) }

// answerPage renders a page whole before it sends anything.
func (x *request) answerPage(status int, name string, data any) error {
	var body bytes.Buffer
	if err := pageTemplates[name].Execute(&body, data); err != nil {
		return fmt.Errorf("rendering the page %s: %w", name, err)
	}
	return x.answerBytes(status, "text/html; charset=utf-8", body.Bytes())
}

func (x *request) answerBytes(status int, media string, body []byte) error {
	h := x.Header()
	h.Set("Content-Type", media)
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	x.WriteHeader(status)
	x.Write(body) // an error means that the client is gone
	return nil
}

// see sends a browser to another page, after a form.
func (x *request) see(path string) error {
	x.Header().Set("Location", path)
	x.WriteHeader(http.StatusSeeOther)
	return nil
}

// failurePage tells of what was refused, or could not be done.
type failurePage struct {
	pageHeader
	Detail string
	Dir    string // the log's directory, as a shell takes it
	Locked bool
}

// failPage is fail, for people.
func (x *request) failPage(err error) {
	p := problemOf(err)
	x.failed = p
	title := problemKinds[p.kind].title
	if p.kind == problemUnknown {
		fault := ""
		if err != errUnknown { // a certificate that holds no more
			fault = web.Sentence(p.detail)
		}
		err = x.answerSignIn(http.StatusUnauthorized, fault, ownPath(x.req))
	} else {
		if wait := p.retryAfter; wait > 0 {
			x.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
		}
		err = x.answerPage(p.status(), "failure", failurePage{
			pageHeader: x.header(title, ""), Detail: web.Sentence(p.detail), Dir: x.server.directory(), Locked: p.kind == problemLocked,
		})
	}
	if err != nil {
		x.fail(err)
	}
}

// directory is what stands behind --dir in the commands that pages show.
func (s *Server) directory() string {
	if s.cfg.Dir == "" {
		return "DIR"
	}
	if strings.ContainsFunc(s.cfg.Dir, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-", r))
	}) {
		return "'" + strings.ReplaceAll(s.cfg.Dir, "'", `'\''`) + "'"
	}
	return s.cfg.Dir
}

// ownPath is where a browser goes on after it has signed in: the page that it asked for.
func ownPath(r *http.Request) string {
	if r.Method != http.MethodGet || r.URL.Path == "/sign-in" {
		return "/"
	}
	return r.URL.RequestURI()
}

// isOwnPath refuses whatever leads a browser elsewhere.
func isOwnPath(path string) bool {
	u, err := url.Parse(path)
	return err == nil && u.Host == "" && u.Scheme == "" && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.ContainsAny(path, "\\\r\n")
}

// maxForm is how long a form may be.
const maxForm = 64 << 10 // bytes

// readForm reads what a browser sent, from the body alone: nothing of it may stand in an address.
func (x *request) readForm() (url.Values, error) {
	if media, _, err := mime.ParseMediaType(x.req.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return nil, newProblem(problemMalformed, "want a form of these pages")
	}
	x.req.Body = http.MaxBytesReader(x, x.req.Body, maxForm)
	if err := x.req.ParseForm(); err != nil {
		if p := problemOf(err); p.kind == problemTooLarge {
			return nil, p
		}
		return nil, newProblem(problemMalformed, "the form cannot be read")
	}
	return x.req.PostForm, nil
}

// form is [request.readForm] of a form that this server made for who sends it.
func (x *request) form() (url.Values, error) {
	form, err := x.readForm()
	if err == nil && !x.server.sessions.made(x, form.Get("token")) {
		err = newProblem(problemForbidden, "this form is not one that was made for you, or of before the server was started: nothing was done; open its page again and send it from there")
	}
	return form, err
}

// dueWords say on what day something is due, as seen on another.
func dueWords(by, day record.Date) (words, state string) {
	switch late := day.DaysSince(by); {
	case late > 0:
		return "late by " + web.Count(late, "day"), "overdue"
	case late == 0:
		return "due today", "open"
	default:
		return "due in " + web.Count(-late, "day"), "open"
	}
}
