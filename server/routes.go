package server

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// route is one row of the table that the router, the request log, the metrics
// and openapi.json have in common.
type route struct {
	method string // GET stands for HEAD too
	path   string // as gin writes it; also the log's and the metrics' name for it
	handle handler
	page   bool     // answers people: failures are pages, not problems
	doc    []string // its paths in openapi.json, where they differ from path
}

func (s *Server) routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	ask := s.queryLimiter.limit
	return []route{
		{method: get, path: "/checkpoint", handle: s.checkpoint},
		{method: get, path: "/tile/*path", handle: s.tile, doc: []string{"/tile/{level}/{index}", "/tile/entries/{index}"}},

		{method: post, path: "/v1/records", handle: s.submit},
		{method: get, path: "/v1/records", handle: ask(s.records)},
		{method: get, path: "/v1/records/:id", handle: ask(s.record)},
		{method: get, path: "/v1/records/:id/receipt", handle: s.receipt},

		{method: get, path: "/v1/checkpoints", handle: ask(s.checkpointAt)},
		{method: get, path: "/v1/witnesses", handle: s.witnesses},

		{method: get, path: "/v1/register/designations", handle: ask(s.designations)},
		{method: get, path: "/v1/register/designations/:id", handle: ask(s.designation)},
		{method: get, path: "/v1/register/parties", handle: ask(s.parties)},
		{method: get, path: "/v1/register/parties/:id", handle: ask(s.party)},
		{method: get, path: "/v1/register/parties/:id/keys", handle: ask(s.partyKeys)},
		{method: get, path: "/v1/register/duties", handle: ask(s.duties)},
		{method: get, path: "/v1/register/duties/:id", handle: ask(s.partyDuties)},
		{method: get, path: "/v1/register/policy", handle: ask(s.policy)},
		{method: get, path: "/v1/register/identifiers/:scheme/:value", handle: ask(s.identifier)},

		{method: get, path: "/schemas/:kind/v1", handle: s.schema},
		{method: get, path: "/openapi.json", handle: s.openAPI},
		{method: get, path: "/healthz", handle: s.healthz},
		{method: get, path: "/readyz", handle: s.readyz},

		{method: get, path: "/", handle: ask(s.homePage), page: true},
		{method: get, path: "/designations", handle: ask(s.designationsPage), page: true},
		{method: get, path: "/designations/:id", handle: ask(s.designationPage), page: true},
		{method: get, path: "/parties", handle: ask(s.partiesPage), page: true},
		{method: get, path: "/parties/:id", handle: ask(s.partyPage), page: true},
		{method: get, path: "/records/:id", handle: ask(s.recordPage), page: true},
		{method: get, path: "/style.css", handle: s.style, page: true},
	}
}

// docPaths are the route's paths as openapi.json writes them; none for pages.
func (r route) docPaths() []string {
	if r.page {
		return nil
	}
	if r.doc != nil {
		return r.doc
	}
	segments := strings.Split(r.path, "/")
	for i, seg := range segments {
		if name, ok := strings.CutPrefix(seg, ":"); ok {
			segments[i] = "{" + name + "}"
		}
	}
	return []string{strings.Join(segments, "/")}
}

// newRouter is strict where gin is kind: one path, one resource. It neither
// cleans paths nor redirects, and matches the path as it was sent: an escaped
// letter of a fixed segment is another path, and %2F is no slash.
func (s *Server) newRouter() (http.Handler, error) {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.RedirectFixedPath = false
	e.RemoveExtraSlash = false
	e.UseRawPath = true
	e.HandleMethodNotAllowed = true
	e.ForwardedByClientIP = len(s.cfg.Proxies) > 0
	e.RemoteIPHeaders = []string{"X-Forwarded-For"}
	if err := e.SetTrustedProxies(s.cfg.Proxies); err != nil {
		return nil, fmt.Errorf("server: Proxies: %w", err)
	}

	api := make(map[string]bool) // the first segments of its paths
	for _, r := range s.routes() {
		fail := (*request).answerProblemPage
		if !r.page {
			fail = (*request).answerProblem
			api[firstSegment(r.path)] = true
		}
		h := s.ginHandler(r.path, r.handle, fail)
		e.Handle(r.method, r.path, h)
		if r.method == http.MethodGet {
			e.Handle(http.MethodHead, r.path, h)
		}
	}
	notFoundHandler := func(x *request, err error) {
		if api[firstSegment(x.Request.URL.EscapedPath())] {
			x.answerProblem(err)
		} else {
			x.answerProblemNegotiated(err)
		}
	}
	e.NoRoute(s.ginHandler("none", func(x *request) error {
		return newProblem(problemNotFound, "no resource has this path; see /openapi.json for those that there are")
	}, notFoundHandler))
	e.NoMethod(s.ginHandler("none", func(x *request) error {
		return newProblem(problemMethod, "this path takes %s", x.Writer.Header().Get("Allow"))
	}, notFoundHandler))
	return e, nil
}

func firstSegment(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first
}

// answerProblemNegotiated answers outside the API: with a page to who asks for one, as browsers
// do, and with a problem to everybody else.
func (x *request) answerProblemNegotiated(err error) {
	const page, problem = "text/html", "application/problem+json"
	x.Writer.Header().Set("Vary", "Accept")
	if x.NegotiateFormat(problem, page) == page {
		x.answerProblemPage(err)
	} else {
		x.answerProblem(err)
	}
}
