package server

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/verifier"
)

func (w *world) getPage(path string, status int) string {
	w.t.Helper()
	r := w.get(path)
	h := r.Header()
	if r.Code == http.StatusInternalServerError {
		lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
		w.t.Log(lines[len(lines)-1])
	}
	if r.Code != status || h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Content-Security-Policy") != contentPolicy {
		w.t.Fatalf("%s: %d %v", path, r.Code, h)
	}
	return r.Body.String()
}

func TestPages(t *testing.T) {
	w := sampleWorld(t)
	answer, charter := w.Head("response/2026-014/acme-cloud").String(), w.Head("charter").String()
	for path, wants := range map[string][]string{
		"/": {"Office of Cloud Restrictions (fictional)", "UNVERIFIED", `href="/designations/2026-014"`, "in force", "<b>8 records</b>", `href="/checkpoint"`, `href="/records/` + charter + `"`},
		"/designations?status=announced&country=": {"Kestrel Hosting", "Lumen Resale"},
		"/designations?country=norway":            {"None among all 8 records"},
		"/designations":                           {"Kestrel Hosting", "AEROCARIBBEAN", `action="/designations"`},
		"/parties":                                {`href="/parties/acme-cloud"`, "authority", "borealis", "provider", "active"},
		"/parties?role=authority":                 {`href="/parties/authority"`},
		"/designations/2026-014":                  {"Kestrel Hosting", "kestrel.example", "No new accounts.", `href="/parties/borealis"`, `<a href="/records/` + answer + `">no relationship</a>`, "/records/" + w.Head("designation/2026-014").String()},
		"/parties/acme-cloud":                     {"acme-cloud, Inc. (fictional)", w.KeyID("acme-cloud/ci"), `<a href="/records/` + answer + `">no relationship</a>`},
		"/parties/authority":                      {"designator, registrar"},
		"/records/" + answer:                      {"no-relationship", "acme-cloud, ci", "/v1/records/" + answer + "/receipt?chain=true", `href="/designations/2026-014"`},
	} {
		page := w.getPage(path, http.StatusOK)
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("%s has no %q", path, want)
			}
		}
	}
	if strings.Contains(w.getPage("/designations?status=announced", http.StatusOK), "AEROCARIBBEAN") {
		t.Error("the status filter does not filter")
	}
	for _, path := range []string{"/designations/2026-099", "/parties/nobody", "/records/xyz"} {
		if page := w.getPage(path, http.StatusNotFound); !strings.Contains(page, "no such thing") {
			t.Errorf("%s: %s", path, page)
		}
	}
	w.getPage("/designations?status=gone", http.StatusBadRequest)
	for path, media := range map[string]string{"/verify.html": "text/html; charset=utf-8", "/check.js": "text/javascript; charset=utf-8"} {
		r := w.get(path)
		if r.Code != http.StatusOK || r.Header().Get("Content-Type") != media {
			t.Errorf("%s: %d %v", path, r.Code, r.Header())
		}
		if again := w.get(path, "If-None-Match", r.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%s with its ETag: %d, want 304", path, again.Code)
		}
	}
	// The page that checks files is the file of which docket version --verifier prints the digest, and what the
	// server adds to its policy takes nothing away.
	if r := w.get("/verify.html"); r.Body.String() != string(verifier.Page()) || r.Header().Get("ETag") != `"`+verifier.SHA256()+`"` ||
		r.Header().Get("Content-Security-Policy") != verifier.ContentPolicy()+"; frame-ancestors 'none'" {
		t.Errorf("/verify.html: %v", r.Header())
	}
	if r := w.get("/style.css"); r.Code != http.StatusOK || r.Header().Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("style: %d %v", r.Code, r.Header())
	}
}

// What others append to a link, as mail programs and social networks do, changes no page
// and is not carried on. The API refuses it, where it may be a filter that was misspelled;
// so do pages what they know and cannot read.
func TestPagesIgnoreUnknownParameters(t *testing.T) {
	w := sampleWorld(t)
	record := "/records/" + w.Head("charter").String()
	for _, path := range []string{"/", "/designations", "/designations/2026-014", "/parties", "/parties/acme-cloud", record, "/style.css"} {
		if r := w.get(path + "?utm_source=mail&fbclid=1&fbclid=2"); r.Code != http.StatusOK {
			t.Errorf("%s: %d", path, r.Code)
		}
	}
	page := w.getPage("/parties?utm_source=mail&limit=1", http.StatusOK)
	if !strings.Contains(page, "/parties?after=") || strings.Contains(page, "utm_source") {
		t.Error("the next page's link carries on what is no parameter")
	}
	for _, path := range []string{"/v1/register/parties?utm_source=mail", "/v1/records?utm_source=mail", "/v1" + record + "?utm_source=mail", "/checkpoint?utm_source=mail"} {
		w.wantProblem(w.get(path), problemParameter)
	}
	for _, path := range []string{"/parties?role=king", "/parties?limit=1&limit=2", "/parties?limit=%zz"} {
		w.getPage(path, http.StatusBadRequest)
	}
}

// What the home page counts is what there is at the moment that it is of: whoever asks for
// another moment changes nothing of what the next one is told.
func TestHomePageCountsItsOwnMoment(t *testing.T) {
	w := sampleWorld(t)
	numbers := regexp.MustCompile(`<b>(\d+)</b> <span>([a-z ]+)</span>`)
	for range 2 {
		for path, want := range map[string]string{
			"/":               "1 in force, 2 announced",
			"/?at=2040-01-01": "1 in force, 2 expired",
			"/?size=1":        "",
			"/?size=4&at=":    "",
			"/?at=2020-01-01": "",
		} {
			var got []string
			for _, m := range numbers.FindAllStringSubmatch(w.getPage(path, http.StatusOK), -1) {
				got = append(got, m[1]+" "+m[2])
			}
			slices.Sort(got)
			if strings.Join(got, ", ") != want {
				t.Errorf("%s counts %q, want %q", path, got, want)
			}
		}
	}
}

// A ledger that has published nothing says so, and leads nowhere where nothing is.
func TestPagesBeforeTheFirstCheckpoint(t *testing.T) {
	w := newWorld(t, withoutCosignatures(t))
	link := regexp.MustCompile(`href="(/[^"]*)"`)
	for _, want := range []string{"Nothing is published yet: no record has come.", "Nothing is published yet: the witnesses have not cosigned."} {
		for _, path := range []string{"/", "/designations", "/parties", "/duties", "/licences", "/requests", "/cooperation", "/records", "/changes", "/lists"} {
			page := w.getPage(path, http.StatusOK)
			if !strings.Contains(page, want) {
				t.Errorf("%s does not say %q:\n%s", path, want, page)
			}
			for _, not := range []string{"among all 0", `href="/checkpoint"`, `class="origin"`} {
				if strings.Contains(page, not) {
					t.Errorf("%s has %q", path, not)
				}
			}
			for _, m := range link.FindAllStringSubmatch(page, -1) {
				if r := w.get(html.UnescapeString(m[1])); r.Code != http.StatusOK {
					t.Errorf("%s leads to %s: %d", path, m[1], r.Code)
				}
			}
		}
		w.post(w.Charter().Marshal(), "wait=committed")
	}
}

// One record is a record.
func TestPagesOfACharterAlone(t *testing.T) {
	w := newWorld(t, settings{})
	w.mustSubmit(w.Charter())
	page := w.getPage("/", http.StatusOK)
	for _, want := range []string{"<b>1 record</b>", "None among 1 record."} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}

// Dates are days somewhere: each page with dates says where, and which day it is there.
func TestPagesSayWhereDatesAre(t *testing.T) {
	w := sampleWorld(t)
	want := "Dates are days in America/New_York, where “today” is "
	for _, path := range []string{"/", "/designations", "/parties", "/designations/2026-014", "/parties/acme-cloud"} {
		if page := w.getPage(path, http.StatusOK); strings.Count(page, want) != 1 {
			t.Errorf("%s does not say %q", path, want)
		}
		if page := w.getPage(path+"?at=2027-03-01T04:00:00Z", http.StatusOK); !strings.Contains(page, `Dates are days in America/New_York, where <span class="nb">2027-02-28</span> is asked about.`) {
			t.Errorf("%s at four in the morning of 1 March, UTC, does not say that it is 28 February", path)
		}
	}
}

// A page that is asked about another day says which, and of one to come that nothing
// more is recorded by then.
func TestPagesSayWhichDay(t *testing.T) {
	w := sampleWorld(t)
	ahead, before := w.today().AddDays(200).String(), w.today().AddDays(-1).String()
	for _, path := range []string{"/", "/designations", "/designations/2026-014", "/parties", "/parties/acme-cloud"} {
		for day, coming := range map[string]bool{"": false, ahead: true, before: false} {
			query := ""
			if day != "" {
				query = "?at=" + day
			}
			page := w.getPage(path+query, http.StatusOK)
			if today := strings.Contains(page, "today"); today != (day == "") {
				t.Errorf("%s as of %q says today: %v", path, day, today)
			}
			if day != "" && !strings.Contains(page, day+"</span> is asked about") {
				t.Errorf("%s does not say that %s is asked about", path, day)
			}
			if said := strings.Contains(page, "as it will stand if nothing more is recorded by then"); said != coming {
				t.Errorf("%s as of %q says that the day is to come: %v", path, day, said)
			}
			if late, due := strings.Contains(page, "overdue"), strings.Contains(page, "due by then"); late || due != (coming && slices.Contains([]string{"/", "/designations/2026-014", "/parties/acme-cloud"}, path)) {
				t.Errorf("%s as of %q: somebody is overdue: %v, has something due by then: %v", path, day, late, due)
			}
		}
	}
}

// A country is found on a page as by HTTP, whatever it is called; one that is none is an
// error, with the one that may be meant.
func TestPagesTakeCountries(t *testing.T) {
	w := sampleWorld(t)
	for country, status := range map[string]int{"XB": 200, "xb": 200, "RU": 200, "rus": 200, "russia": 200, "the+Russian+Federation": 200, "rusia": 400, "ZZ": 400} {
		for _, path := range []string{"/designations", "/v1/register/designations"} {
			r := w.get(path + "?country=" + country)
			text := html.UnescapeString(r.Body.String())
			if r.Code != status || strings.Contains(text, "Kestrel Hosting") != strings.EqualFold(country, "xb") {
				t.Errorf("%s?country=%s: %d %s", path, country, r.Code, text)
			}
			if status == 400 && (!strings.Contains(text, "two or three letters") || strings.Contains(text, "did you mean") != (country == "rusia") || strings.Contains(text, "?.")) {
				t.Errorf("%s?country=%s does not say what is taken: %s", path, country, text)
			}
			if status == 200 && path == "/designations" && country[0] != 'X' && country != "xb" && !strings.Contains(text, `name="country" value="RU"`) {
				t.Errorf("%s?country=%s does not show the country that was taken", path, country)
			}
		}
	}
}

// A list of pages ends, and has shown everything once.
func TestPagesOfLists(t *testing.T) {
	w := sampleWorld(t)
	next := regexp.MustCompile(`<a href="([^"]*)" rel="next">`)
	for path, rows := range map[string]int{"/designations?limit=1": 3, "/designations?limit=1&status=announced&country=": 2, "/parties?limit=2": 3} {
		seen := make(map[string]int)
		for at := path; at != ""; {
			page := w.getPage(at, http.StatusOK)
			for _, row := range regexp.MustCompile(`<td data-label="[A-Z][a-z]*"><a href="/(?:designations|parties)/([^"]*)"`).FindAllStringSubmatch(page, -1) {
				seen[row[1]]++
			}
			at = ""
			if m := next.FindStringSubmatch(page); m != nil {
				at = html.UnescapeString(m[1])
			}
		}
		if len(seen) != rows {
			t.Errorf("%s lists %v, want %d", path, seen, rows)
		}
		for row, times := range seen {
			if times != 1 {
				t.Errorf("%s lists %s %d times", path, row, times)
			}
		}
	}
	if strings.Contains(w.getPage("/parties?role=authority", http.StatusOK), "borealis") {
		t.Error("the role does not choose")
	}
}

// Who mistypes an address in a browser gets a page; the API's rooms, and programs,
// get a problem.
func TestUnknownPathsAnswerAsNegotiated(t *testing.T) {
	w := newEnrolledWorld(t, settings{})
	const chrome = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
	for _, c := range []struct {
		path, accept string
		page         bool
	}{
		{"/nope", chrome, true},
		{"/records/", chrome, true},
		{"/receipts", chrome, true},
		{"/designations/", chrome, true},
		{"/designations/a/b", "text/html", true},
		{"/nope", "", false},
		{"/nope", "*/*", false},
		{"/nope", "application/json", false},
		{"/v1", chrome, false},
		{"/v1/nope", chrome, false},
		{"/tile/0/00", chrome, false},
		{"/tile", chrome, false},
		{"/checkpoint/", chrome, false},
		{"/schemas/nope", chrome, false},
		{"/readyz/", chrome, false},
	} {
		r := w.get(c.path, "Accept", c.accept)
		if want := map[bool]string{true: "text/html; charset=utf-8", false: "application/problem+json"}[c.page]; r.Code != http.StatusNotFound || r.Header().Get("Content-Type") != want {
			t.Errorf("%s for %q: %d %s, want 404 %s", c.path, c.accept, r.Code, r.Header().Get("Content-Type"), want)
		}
	}
	post := httptest.NewRequest("POST", "/designations", nil)
	post.Header.Set("Accept", chrome)
	if r := w.do(post); r.Code != http.StatusMethodNotAllowed || !strings.Contains(r.Body.String(), "<h1>") || r.Header().Get("Allow") == "" {
		t.Errorf("POST: %d %v %s", r.Code, r.Header(), r.Body)
	}
}

// By whose word a key came, and what its party says of it, stands wherever the key does.
func TestPagesShowKeyWarnings(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	lost := w.Sign(w.Statement("party/acme-cloud", "authority", &record.Keys{Add: []record.PartyKey{w.Officer("acme-cloud/lost")}}), "authority/officer-1", "acme-cloud/lost")
	w.mustSubmit(lost)
	since := record.Instant{Time: time.Now().UTC().Truncate(time.Millisecond)}
	w.Now = time.Now()
	w.mustSubmit(w.Sign(w.Statement("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: w.KeyID("acme-cloud/lost"), CompromisedSince: &since}}}), "acme-cloud/compliance"))
	for _, path := range []string{"/parties/acme-cloud", "/records/" + record.IDOf(lost.Payload).String()} {
		page := w.getPage(path, http.StatusOK)
		for _, want := range []string{w.KeyID("acme-cloud/lost"), "added by the registrar, compromised since", "as the party claims"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s has no %q", path, want)
			}
		}
	}
}

// withoutOwnScript is a page without the two script elements that pages of ours have: files of
// this server, and no text.
func withoutOwnScript(page string) string {
	page = strings.Replace(page, `<script src="/find.js" defer></script>`, "", 1)
	return strings.Replace(page, `<script src="/check.js" defer></script>`, "", 1)
}

// What others have signed is text, wherever it stands.
func TestPagesEscape(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	const evil = `<script>alert("1")</script>"'><img src=x onerror=alert(2)>`
	order := w.NewDesignation(evil)
	order.Conditions = []record.Condition{{ID: "c1", Text: evil}}
	order.FederalRegisterNotice = evil
	order.Target.Alias = []record.Alias{{Name: evil, Type: "aka"}}
	env := w.Designate("2026-014", order)
	w.mustSubmit(env)
	tag := regexp.MustCompile(`(?i)<(script|img)`)
	for _, path := range []string{"/", "/duties", "/changes", "/records", "/search?q=script", "/designations?name=" + "%3Cscript%3Ealert(1)%3C/script%3E", "/designations/2026-014", "/records/" + record.IDOf(env.Payload).String(), "/designations/%3Cscript%3E"} {
		r := w.get(path)
		if page := withoutOwnScript(r.Body.String()); tag.MatchString(page) {
			t.Errorf("%s has a tag that somebody signed:\n%s", path, tag.FindString(page))
		}
	}
	if page := w.getPage("/designations/2026-014", http.StatusOK); !strings.Contains(page, "&lt;script&gt;") {
		t.Error("the name is not shown at all")
	}
}

// Nothing is fetched from elsewhere, and everything can be reached by keyboard
// and named by a screen reader.
func TestPagesStandAlone(t *testing.T) {
	w := sampleWorld(t)
	asset := regexp.MustCompile(`(?:src|href|action)="([^"]*)"`)
	w.mustSubmit(w.Sign(w.Statement("licence/2027-003", record.Authority, &record.Licence{
		Type: record.LicenceGeneral, Designations: []string{"2026-014"}, From: w.today(), Until: w.today().AddDays(30), Permits: "wind-down",
	}), "authority/officer-2"))
	w.mustSubmit(w.Request("2027-001", w.NewRequest("acme-cloud")))
	values := strings.NewReplacer("/designations/:id", "/designations/2026-014", "/parties/:id", "/parties/acme-cloud", "/records/:id", "/records/"+w.Head("designation/2026-014").String(),
		"/licences/:id", "/licences/2027-003", "/requests/:id", "/requests/2027-001", "/*thread", "/response/2026-014/acme-cloud", ":code", "XB", ":scheme/:value", "domain/kestrel.example")
	for _, route := range w.server.routes() {
		if !route.page || slices.Contains([]string{"/style.css", "/icon.svg", "/check.js", "/find.js", "/verify.html"}, route.path) {
			continue
		}
		path := values.Replace(route.path)
		page := w.getPage(path, http.StatusOK)
		for _, m := range asset.FindAllStringSubmatch(page, -1) {
			if !strings.HasPrefix(m[1], "/") && !strings.HasPrefix(m[1], "#") || strings.HasPrefix(m[1], "//") {
				t.Errorf("%s refers to %s", path, m[1])
			}
		}
		for _, want := range []string{`<html lang="en">`, "<main id=\"main\">", `class="skip"`, "<title>", "<h1"} {
			if strings.Count(page, want) != 1 {
				t.Errorf("%s has %d × %s", path, strings.Count(page, want), want)
			}
		}
		if strings.Contains(page, "style=") || strings.Contains(page, "<style") || strings.Contains(withoutOwnScript(page), "<script") {
			t.Errorf("%s has inline style or script, which its policy forbids", path)
		}
	}
}

// Each page of the site is among those at which a browser looks.
func TestWalkSeesEveryPage(t *testing.T) {
	w := sampleWorld(t)
	seen := append(w.pagesToSee(), "/verify.html")
	for _, route := range w.server.routes() {
		pattern := regexp.MustCompile("^" + regexp.MustCompile(`\\?[:*][a-z]+`).ReplaceAllString(regexp.QuoteMeta(route.path), `.+`) + `(\?.*)?$`)
		if route.page && !strings.HasSuffix(route.path, ".js") && !strings.HasSuffix(route.path, ".css") && !strings.HasSuffix(route.path, ".svg") && !slices.ContainsFunc(seen, pattern.MatchString) {
			t.Errorf("%s is not among pagesToSee", route.path)
		}
	}
}

// longLedger is a world in which a party and a designation have 130 records each, and the
// party has answered as often.
func longLedger(t *testing.T) *world {
	t.Helper()
	w := newEnrolledWorld(t, settings{}, "acme-cloud", "borealis")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	w.admitAll(w.enrolAgain("acme-cloud", 130))
	day := w.today()
	w.admitAll(func(yield func(record.Envelope) bool) {
		for i := range 130 {
			var p record.Predicate = &record.Suspension{EffectiveOn: day, Reason: fmt.Sprintf("talks %d", i)}
			if i%2 == 1 {
				p = &record.Reinstatement{EffectiveOn: day, Reason: fmt.Sprintf("talks ended %d", i)}
			}
			if !yield(w.Sign(w.Statement("designation/2026-014", record.Authority, p), "authority/officer-1", "authority/officer-2")) {
				return
			}
		}
	})
	w.admitAll(func(yield func(record.Envelope) bool) {
		for i := range 130 {
			answer := &record.Response{Status: "acknowledged", Detail: &record.Commitment{Commit: record.IDOf(fmt.Append(nil, i)).String()}}
			if !yield(w.Respond("2026-014", "acme-cloud", answer)) {
				return
			}
		}
	})
	return w
}

// An answer about one thing shows a part of each long list, says which, and where it is
// read whole.
func TestDetailsNameTruncatedLists(t *testing.T) {
	w := longLedger(t)
	for _, c := range []struct {
		path  string
		shows map[string]int // members, and how many items they show
		more  map[string]int // members that are cut, and how many items there are
	}{
		{"/v1/register/parties/acme-cloud", map[string]int{"records": 16, "formerName": 16, "attestations": 100, "keys": 3},
			map[string]int{"records": 131, "formerName": 131, "attestations": 130 + 130}},
		{"/v1/register/designations/2026-014", map[string]int{"records": 16, "history": 100, "events": 100},
			map[string]int{"records": 131, "history": 131, "events": 131}},
	} {
		answer := w.wantJSON(w.get(c.path), http.StatusOK)
		for name, n := range c.shows {
			if got := len(answer[name].([]any)); got != n {
				t.Errorf("%s shows %d of %s, want %d", c.path, got, name, n)
			}
		}
		links, _ := answer["more"].(map[string]any)
		if len(links) != len(c.more) || len(answer["cut"].([]any)) != len(c.more) {
			t.Errorf("%s says %v and %v, want %d of both", c.path, answer["cut"], links, len(c.more))
		}
		for name, n := range c.more {
			link, ok := links[name].(string)
			if !ok {
				t.Errorf("%s does not say where %s is whole", c.path, name)
				continue
			}
			if got := w.countItems(link, "records"); got < n {
				t.Errorf("%s: %s has %d items, want %d or more", c.path, link, got, n)
			}
		}
	}
	newest := w.wantJSON(w.get("/v1/register/designations/2026-014"), http.StatusOK)["events"].([]any)
	if last := newest[99].(map[string]any)["reason"]; last != "talks ended 129" {
		t.Errorf("the last event shown is %v, want the newest", last)
	}
}

// countItems counts the items of a list by all its pages.
func (w *world) countItems(path, items string) (n int) {
	w.t.Helper()
	for after := ""; ; {
		page := w.wantJSON(w.get(path+after), http.StatusOK)
		n += len(page[items].([]any))
		next, ok := page["next"].(string)
		if !ok {
			return n
		}
		after = "&after=" + next
	}
}

var nextLink = regexp.MustCompile(`<a href="([^"]+)" rel="next">`)

// Pages for people show the first part of each list, and a link to the next.
func TestPagesLinkToTheRest(t *testing.T) {
	w := longLedger(t)
	for _, path := range []string{"/parties/acme-cloud", "/designations/2026-014"} {
		seen := map[string]bool{}
		todo, pages := []string{path}, 0
		for len(todo) > 0 {
			if pages++; pages > 40 {
				t.Fatalf("%s goes on for ever", path)
			}
			text := w.getPage(todo[0], http.StatusOK)
			todo = todo[1:]
			for _, link := range nextLink.FindAllStringSubmatch(text, -1) {
				next := html.UnescapeString(link[1])
				if strings.Count(next, "=") > 1 {
					continue // a part of one list beside each part of another
				}
				if !slices.Contains(todo, next) && !seen[next] {
					todo, seen[next] = append(todo, next), true
				}
			}
			for _, id := range regexp.MustCompile(`/records/[0-9a-f]{64}`).FindAllString(text, -1) {
				seen[id] = true
			}
		}
		records := 0
		for id := range seen {
			if strings.HasPrefix(id, "/records/") {
				records++
			}
		}
		if want := map[string]int{"/parties/acme-cloud": 131 + 130, "/designations/2026-014": 131}[path]; records < want {
			t.Errorf("%s and the pages that it leads to name %d records, want %d", path, records, want)
		}
	}
	w.wantProblem(w.get("/v1/register/duties?after=AAAA"), problemParameter)
	if text := w.getPage("/parties/acme-cloud?records=AAAA", http.StatusBadRequest); !strings.Contains(text, "not a cursor") {
		t.Errorf("a wrong cursor of a page: %s", text)
	}
}

// What alone needs more than one question may take is left out of a list, and named;
// the list goes on.
func TestListsNameSkippedItems(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{QueryBudget: register.ReadBudget{Rows: 100, Bytes: 1 << 20}}}, "acme-cloud", "borealis")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	v, err := view.Latest(w.register)
	if err != nil {
		t.Fatal(err)
	}
	today := v.LocalDate(w.Now)
	w.admitAll(func(yield func(record.Envelope) bool) {
		for i := range 150 {
			// One provider answers often, which makes no question dear; of the other's standing
			// all steps are read.
			answer := &record.Response{Status: "acknowledged", Detail: &record.Commitment{Commit: record.IDOf(fmt.Append(nil, i)).String()}}
			standing := &record.Standing{Status: []string{"suspended", "active"}[i%2], EffectiveOn: today, Reason: "talks"}
			if !yield(w.Respond("2026-014", "acme-cloud", answer)) ||
				!yield(w.Sign(w.Statement("party/borealis", record.Authority, standing), "authority/officer-1")) {
				return
			}
		}
	})
	var skipped, parties []string
	path := "/v1/register/duties?kind=respond"
	for after := ""; ; {
		page := w.wantJSON(w.get(path+after), http.StatusOK)
		for _, d := range page["duties"].([]any) {
			parties = append(parties, d.(map[string]any)["party"].(string))
		}
		left, _ := page["skipped"].([]any)
		for _, s := range left {
			skipped = append(skipped, s.(string))
		}
		next, ok := page["next"].(string)
		if !ok {
			break
		}
		after = "&after=" + next
	}
	if !slices.Equal(parties, []string{"acme-cloud"}) || !slices.Equal(skipped, []string{"designation/2026-014 borealis"}) {
		t.Errorf("duties of %q, left out %q", parties, skipped)
	}
	w.wantProblem(w.get("/v1/register/parties/nobody-like-this-here"), problemNotFound)
}
