package server

import (
	"bytes"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/web"
)

// The HTML pages: html/template escapes what others have signed for the place where it
// stands, and the policy below lets a browser load nothing but our own style sheet, icon and
// script files, and ask nobody but this server, so that a hole in the first would still run no
// script of another's.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

var (
	styleSheet    = web.Sheet()
	styleSheetTag = entityTag(styleSheet)
	findScript    = web.Read("find.js")
	findScriptTag = entityTag(findScript)
	icon          = web.Read("icon.svg")
	iconTag       = entityTag(icon)
)

// pageWords are what the templates call, to say what a view has as a page says it.
var pageWords = template.FuncMap{
	"name":     record.Thread.Name,
	"date":     dateOrNone,
	"instant":  func(t time.Time) string { return t.Format(pageTimeFormat) },
	"roles":    joinWords[record.Role],
	"may":      joinWords[record.KeyFunction],
	"warnings": joinWords[string],
	"check":    func(id record.ID, what string) checkLink { return checkLink{id, what} },
	"thing":    thingURL,
	"thread":   threadURL,
	"words":    memberWords,
	"kind":     kindWords,
	"dated":    datedText,
	"duty":     dutyWords,
	"owing":    dutyNoun,
	"entries":  register.FormatEntryCount,
	"day":      func(t time.Time) string { return t.UTC().Format("2006-01-02") },
	"short":    func(id record.ID) string { return id.String()[:12] },
	"plain":    statusWords,
	"how":      howWords,
	"states":   func(of string) []stateMeaning { return stateMeanings[of] },
	"count":    web.Count,
	"says":     changeSays,
	"ago":      ago,
	"sentence": web.Sentence,
	"rfc":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"millis":   func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + " ms" },

	"recordKinds": record.Kinds,
	"sub":         func(a, b int) int { return a - b },
	"list":        func(s []string) string { return strings.Join(s, ", ") },
}

// parsePages parses each page in web with what all of them share, to show as much as a cut lets.
func parsePages(cut int) map[string]*template.Template {
	parsed := make(map[string]*template.Template)
	shared := template.Must(template.New("").Funcs(pageWords).Funcs(cutWords(cut)).ParseFS(web.Files, "layout.html", "tables.html", "parts.html", "things.html"))
	files, err := web.Files.ReadDir(".")
	if err != nil {
		panic(err) // embedded by that very package
	}
	for _, f := range files {
		name, isPage := strings.CutSuffix(f.Name(), ".html")
		if !isPage || shared.Lookup(f.Name()) != nil {
			continue
		}
		page := template.Must(template.Must(shared.Clone()).ParseFS(web.Files, f.Name()))
		parsed[name] = page.Lookup(f.Name())
	}
	return parsed
}

func (s *Server) style(x *request) error {
	return x.answerEmbedded("text/css; charset=utf-8", styleSheet, styleSheetTag)
}

// iconSVG is what browsers show beside the title.
func (s *Server) iconSVG(x *request) error {
	return x.answerEmbedded("image/svg+xml", icon, iconTag)
}

// findJS serves the script that answers in the search box while somebody types.
func (s *Server) findJS(x *request) error {
	return x.answerEmbedded("text/javascript; charset=utf-8", findScript, findScriptTag)
}

// page is what a template is given: whatever it is about, with what every page has.
type page interface{ Header() pageHeader }

// answerPage renders a page whole before it sends anything. One that names a size and an instant that is
// over says the same for ever, so that it is kept.
func (x *request) answerPage(status int, name string, data page) error {
	body, err := renderPage(name, data)
	if err != nil {
		return err
	}
	header := data.Header()
	h := x.Writer.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	if h.Set("Cache-Control", cacheRevalidate); status == http.StatusOK && header.settled() {
		h.Set("Cache-Control", "public, max-age=86400, immutable")
	}
	return x.answerBytes(status, "text/html; charset=utf-8", relink(body, x.pathPrefix(), header.moment()))
}

var (
	ownLink    = regexp.MustCompile(`( (?:href|action|src|data-verifier)=")(/[^"]*)"( data-now)?`)
	ofAMoment  = regexp.MustCompile(`^/(?:(?:(?:v1/register/)?(?:search|designations|duties|licences|requests|cooperation|parties|identifiers)|records|threads|lists|jurisdictions)(?:[./?#]|$)|[?#]|$)`)
	hasAMoment = regexp.MustCompile(`[?;&](?:at|size)=`)
)

// relink makes the links of a rendered page, which all begin with a slash, lead where the reader is: behind
// the prefix under which a proxy has this server, and to the moment that was chosen, so that no template can
// forget either; but for the link back to the present (data-now). A quote that somebody signed is escaped in text and in attributes alike; thus what is found
// here was written in a template.
func relink(body []byte, prefix, moment string) []byte {
	if prefix == "" && moment == "" {
		return body
	}
	return ownLink.ReplaceAllFunc(body, func(match []byte) []byte {
		part := ownLink.FindSubmatch(match)
		link, fragment, hasFragment := strings.Cut(string(part[2]), "#")
		if moment != "" && len(part[3]) == 0 && bytes.HasPrefix(part[1], []byte(" href")) && ofAMoment.MatchString(link) && !hasAMoment.MatchString(link) {
			if strings.Contains(link, "?") {
				link += "&amp;" + moment
			} else {
				link += "?" + moment
			}
		}
		if hasFragment {
			link += "#" + fragment
		}
		return []byte(string(part[1]) + prefix + link + `"` + string(part[3]))
	})
}

var pathPrefix = regexp.MustCompile(`^(?:/[A-Za-z0-9._~-]+)+$`)

// pathPrefix is under which path a trusted proxy has this server, as it says in X-Forwarded-Prefix; "" if
// under none.
func (x *request) pathPrefix() string {
	given := strings.TrimSuffix(x.Request.Header.Get("X-Forwarded-Prefix"), "/")
	if len(x.server.proxies) == 0 || len(given) > 200 || !pathPrefix.MatchString(given) {
		return ""
	}
	return given
}

// answerProblemPage tells people of a failure, in the words of its problem.
func (x *request) answerProblemPage(err error) {
	p := problemOf(err)
	x.problem = p
	if p.status() == http.StatusServiceUnavailable {
		x.Writer.Header().Set("Retry-After", p.retrySeconds())
	}
	title := problemKinds[p.kind].title
	data := failurePage{pageHeader: pageHeader{Title: title, Ledger: x.server.ledgerTitle(), Copy: x.server.copyState()}, Detail: web.Sentence(p.detail)}
	if err := x.answerPage(p.status(), "failure", data); err != nil {
		x.answerProblem(err)
	}
}

type failurePage struct {
	pageHeader
	Detail string
}

// pageHeader is what every page has.
type pageHeader struct {
	Title       string
	About       string // what the page is, in a sentence, for those who link to it
	Ledger      ledgerTitle
	AsOf        *asOf
	Asked       time.Time // when the reader asked
	Today       string    // the civil date there that is asked about; "" without a charter, which says where
	When        string    // "today", or "on 2027-07-01" where a moment is asked about
	Ahead       bool      // that is a day to come: what is not filed yet counts as not filed
	Unpublished string    // why there is nothing to show; "" if there is
	Searched    string    // what is in the search box
	At, Size    string    // as the reader chose them: all links and forms keep to them

	Path  string        // of this page
	Kept  []hiddenField // the parameters that the choice of a moment leaves as they are
	Same  string        // address of this page for ever: as of this size and this instant
	Now   string        // address of this page as of now
	Data  []dataLink    // the same as data
	Prove string        // the command that shows the same from one's own copy
	Copy  *CopyState    // of a page from a reader's own copy; nil: it is the server's word

	Replica *replicaWords // nil: the server is the ledger's own
}

// Header is what the layout shows, whatever else a page calls by the same names.
func (h pageHeader) Header() pageHeader { return h }

// Chosen says that the reader chose the moment.
func (h pageHeader) Chosen() bool { return h.At != "" || h.Size != "" }

// Section is the first segment of the page's path.
func (h pageHeader) Section() string { return firstSegment(h.Path) }

// settled says that the page will say the same for ever. Until witnesses' clocks agree that an instant is
// over, what was knowable then may still change; and a copy's page says how the copy stands.
func (h pageHeader) settled() bool {
	return h.At != "" && h.Size != "" && h.Copy == nil && h.Replica == nil && !h.Ahead && h.AsOf != nil && h.Asked.Sub(h.AsOf.At) > 10*time.Minute
}

// moment is the chosen moment as links in HTML have it; "" if none was.
func (h pageHeader) moment() string {
	q := url.Values{}
	if h.At != "" {
		q.Set("at", h.At)
	}
	if h.Size != "" {
		q.Set("size", h.Size)
	}
	return strings.ReplaceAll(q.Encode(), "&", "&amp;")
}

// hiddenField is a parameter that a form sends along.
type hiddenField struct{ Name, Value string }

// dataLink is an address under which the same stands as data, in a format.
type dataLink struct{ Format, URL string }

// take says what of a page a reader takes along: the same as data, and the command that shows it from his own
// copy.
func (h *pageHeader) take(command string, data ...dataLink) { h.Data, h.Prove = data, command }

// receiptLinks prove a record to whoever has its policy.
func receiptLinks(id record.ID) []dataLink {
	return []dataLink{{"Receipt", recordPath(id) + "/receipt"}, {"Receipt with its chain", recordPath(id) + "/receipt?chain=true"}}
}

// ledgerTitle says which ledger this is.
type ledgerTitle struct {
	Name, Origin, ID, Zone string
}

func (s *Server) ledgerTitle() ledgerTitle {
	v, err := view.At(s.cfg.Register, s.publishedSize())
	if err != nil {
		return ledgerTitle{Name: "Docket"}
	}
	return ledgerTitleOf(v)
}

func ledgerTitleOf(v *view.View) ledgerTitle {
	c, err := v.Charter()
	if err != nil {
		return ledgerTitle{Name: "Docket"}
	}
	return ledgerTitle{Name: c.Charter.Name, Origin: c.Charter.Origin, ID: c.Records[0].String(), Zone: c.Charter.TimeZone}
}

func (s *Server) pageHeader(q *registerQuery, title string) pageHeader {
	f := pageHeader{Title: title, Ledger: ledgerTitleOf(q.view), AsOf: &q.asOf, Asked: time.Now().UTC(), At: q.text("at"), Size: q.text("size"), Path: q.path, Copy: s.copyState(), Replica: s.replicaWords()}
	if f.Ledger.Zone != "" {
		now, asked := q.view.LocalDate(f.Asked), q.view.LocalDate(q.asOf.At)
		f.Today, f.When, f.Ahead = asked.String(), "today", q.asOf.Ahead
		if asked != now || f.At != "" { // a page of a moment is read on other days too
			f.When = "on " + f.Today
		}
	}
	kept := q.without("at", "size", "after", "records", "duties", "filed", "keys")
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		f.Kept = append(f.Kept, hiddenField{name, kept.Get(name)})
	}
	f.Now = withQuery(f.Path, kept)
	kept.Set("at", q.asOf.At.UTC().Format(time.RFC3339Nano))
	kept.Set("size", strconv.FormatUint(q.asOf.Size, 10))
	if q.asOf.Size > 0 {
		f.Same = withQuery(f.Path, kept)
	}
	switch {
	case s.publishedSize() > 0:
	case s.cfg.Ledger.Head().Size > 0:
		f.Unpublished = "Nothing is published yet: the witnesses have not cosigned."
	default:
		f.Unpublished = "Nothing is published yet: no record has come."
	}
	return f
}

// dropEmpty forgets parameters that are given and empty.
func (q *params) dropEmpty(names ...string) {
	for _, name := range names {
		if q.values.Get(name) == "" {
			q.values.Del(name)
		}
	}
}

// pageURL is the address of the page that goes on with a list, whose cursor has that
// name: the same query otherwise. "" if there is none.
func (q *registerQuery) pageURL(path, name, after string) string {
	if after == "" {
		return ""
	}
	next := q.without(name)
	next.Set(name, after)
	return withQuery(path, next)
}

// without are the parameters but some, to be changed.
func (q *params) without(names ...string) url.Values {
	kept := url.Values{}
	maps.Copy(kept, q.values)
	for _, name := range names {
		kept.Del(name)
	}
	return kept
}

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
