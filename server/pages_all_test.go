package server

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// pageOfEach is a path of every route of a page, filled with what there is on the ledger.
func (w *world) pageOfEach() map[string][]string {
	thing := func(thread record.Thread) string { return w.Head(thread).String() }
	return map[string][]string{
		"/": {"/"}, "/search": {"/search", "/search?q=kestrel", "/search?q=kestrel%E2%80%AEgnitsoh", "/search?q=%E2%80%8B"}, "/designations": {"/designations", "/designations?name=kestrel", "/designations?status=announced"},
		"/designations/:id": {"/designations/2026-014"}, "/duties": {"/duties", "/duties?party=acme-cloud", "/duties?state=open"},
		"/licences": {"/licences", "/licences?designation=2026-014"}, "/licences/:id": {"/licences/2027-001"}, "/requests": {"/requests"}, "/requests/:id": {"/requests/1"},
		"/cooperation": {"/cooperation"}, "/parties": {"/parties"}, "/parties/:id": {"/parties/acme-cloud", "/parties/authority"},
		"/records": {"/records", "/records?kind=designation"}, "/records/:id": {"/records/" + thing("designation/2026-014"), "/records/" + thing("licence/2027-001"), "/records/" + thing("disclosure/1"), "/records/" + thing("party/acme-cloud"), "/records/" + thing("charter")},
		"/threads/*thread":     {"/threads/charter", "/threads/response/2026-014/acme-cloud", "/threads/reseller/lumen/acme-cloud", "/threads/assessment/2026/ledger-check", "/threads/ai/run-1/acme-cloud"},
		"/jurisdictions/:code": {"/jurisdictions/XB"}, "/identifiers/:scheme/:value": {"/identifiers/domain/kestrel.example", "/identifiers/name/nobody"},
		"/changes": {"/changes", "/changes?from=0"}, "/lists": {"/lists"}, "/checkpoints": {"/checkpoints"}, "/schemas": {"/schemas"}, "/api": {"/api"}, "/how-to-verify": {"/how-to-verify"},
	}
}

// eachPage calls visit with a path of every page; a page that has none fails.
func (w *world) eachPage(visit func(path string)) {
	w.t.Helper()
	paths := w.pageOfEach()
	for _, r := range w.server.routes() {
		if !r.page || strings.Contains(r.path, ".") {
			continue
		}
		if len(paths[r.path]) == 0 {
			w.t.Errorf("no test looks at the page %s", r.path)
		}
		for _, path := range paths[r.path] {
			visit(path)
		}
	}
}

// hostile are texts that say something else than they seem to, or that try to be more than text. What turns the
// direction of others, and most of what is not seen, the schema refuses.
var hostile = map[string]string{
	"look-alike": "Кеstrel Ηоsting", "emoji": "Kestrel 👩🏽🚀🇺🇳",
	"tags": `</title><script>alert("1")</script>"'><img src=x onerror=alert(2)>{{.}}<!--`, "joined": "می\u200cخواهم کِسترل",
	"stacked": "q" + strings.Repeat("\u0301", 20) + "estrel",
}

// hostileText is a text of some bytes in which all of that comes.
func hostileText(bytes int) string {
	var b strings.Builder
	for i := 0; b.Len() < bytes; i++ {
		for _, name := range slices.Sorted(maps.Keys(hostile)) {
			fmt.Fprintf(&b, "%s %d ", hostile[name], i)
		}
	}
	return strings.ToValidUTF8(b.String()[:bytes], "")
}

// hostileLedger has a record of every face, each as long as it may be, whose every free text is hostile.
func hostileLedger(t *testing.T) *world {
	w := newEnrolledWorld(t, settings{}, "acme-cloud", "borealis")
	day := w.today()
	long := func(n int) string { return hostileText(n) }
	order := w.NewDesignation(hostile["tags"])
	order.Findings = []string{long(3900)}
	for i := range 6 {
		order.Conditions = append(order.Conditions, record.Condition{ID: fmt.Sprintf("h%d", i), Text: long(3900)})
	}
	for i := range 60 {
		order.Target.Alias = append(order.Target.Alias, record.Alias{Name: fmt.Sprintf("%s %d", hostile["look-alike"], i), Type: "aka"})
	}
	w.mustSubmit(w.Designate("2026-014", order))
	for name, text := range hostile {
		w.mustSubmit(w.Designate("2027-"+name, w.NewDesignation(text)))
	}
	for i := range 40 {
		w.mustSubmit(w.Designate(fmt.Sprintf("2028-%02d", i), w.NewDesignation(long(200))))
	}
	officers := []string{"authority/officer-1", "authority/officer-2"}
	for range 12 {
		w.mustSubmit(w.Sign(w.Statement("designation/2026-014", record.Authority, &record.Suspension{EffectiveOn: day, Reason: long(3900)}), officers...))
		w.mustSubmit(w.Sign(w.Statement("designation/2026-014", record.Authority, &record.Reinstatement{EffectiveOn: day, Reason: long(3900)}), officers...))
	}
	w.mustSubmit(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "no-relationship"}))
	for i := range 30 {
		w.mustSubmit(w.Sign(w.Statement(record.LicenceThread(fmt.Sprintf("2027-%03d", i)), record.Authority, &record.Licence{
			Type: record.LicenceSpecific, Holder: "acme-cloud", Designations: []string{"2026-014"}, From: day, Until: day.AddDays(9), Permits: long(900), Terms: long(3900),
		}), "authority/officer-2"))
	}
	for i := range 30 {
		w.mustSubmit(w.Request(fmt.Sprint(i+1), w.NewRequest("acme-cloud")))
	}
	lumen := &record.Enrolment{LegalName: hostile["tags"], Country: "XC", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{w.Officer("lumen/desk")}}
	w.mustSubmit(w.Sign(w.Statement("party/lumen", "lumen", lumen), "lumen/desk", "acme-cloud/compliance"))
	verified := &record.ResellerReport{Provider: "acme-cloud", Status: "active", VerifiedAt: &day, Attempts: []record.Date{day}}
	w.mustSubmit(w.Sign(w.Statement("reseller/lumen/acme-cloud", "acme-cloud", verified), "acme-cloud/compliance", "lumen/desk"))
	for i := range 20 {
		standing := &record.Standing{Status: []string{"suspended", "active"}[i%2], EffectiveOn: day, Reason: long(3900)}
		w.mustSubmit(w.Sign(w.Statement("party/acme-cloud", record.Authority, standing), "authority/officer-1"))
	}
	w.mustSubmit(w.Sign(w.Statement("ai/run-1/acme-cloud", "acme-cloud", &record.AITrainingReport{KnownOn: day, Threshold: hostile["tags"]}), "acme-cloud/compliance"))
	w.mustSubmit(w.Auditor("ledger-check"))
	opinion := w.NewAssessment("acme-cloud")
	opinion.Scope = long(900)
	w.mustSubmit(w.Sign(w.Statement("assessment/2026/ledger-check", "ledger-check", opinion), "ledger-check/lead"))
	return w
}

// No page is larger than it promises, whatever is signed; what is signed is text on each, and what would not be seen is
// written out.
func TestHostilePages(t *testing.T) {
	w := hostileLedger(t)
	unseen := regexp.MustCompile("[\u200b\u202a-\u202e\u2060-\u2069\ufeff]")
	w.eachPage(func(path string) {
		page := w.getPage(path, http.StatusOK)
		if len(page) > maxPageBytes {
			t.Errorf("%s has %d bytes", path, len(page))
		}
		for _, evil := range []string{"<script>alert", "<img", "<!--", "onerror=alert(2)>{{.}}<"} {
			if strings.Contains(page, evil) {
				t.Errorf("%s has %q", path, evil)
			}
		}
		body := page[strings.Index(page, "<main"):]
		body = regexp.MustCompile(`(?s)<pre.*?</pre>|<input type="hidden"[^>]*>`).ReplaceAllString(body, "") // exact bytes, and the reader's own words
		if at := unseen.FindStringIndex(body); at != nil {
			t.Errorf("%s has %q, which nobody sees: %s", path, body[at[0]:at[1]], body[max(0, at[0]-160):at[0]])
		}
		if strings.Count(page, "<bdi>") != strings.Count(page, "</bdi>") || strings.Count(page, "<main") != 1 || !strings.HasSuffix(strings.TrimSpace(page), "</html>") {
			t.Errorf("%s is not whole", path)
		}
	})
}

// Each page is there when nothing is published, and when there is one record: what cannot be there yet is not found, and
// that is a page too.
func TestPagesOfAlmostNothing(t *testing.T) {
	empty := newWorld(t, withoutCosignatures(t))
	one := newWorld(t, settings{})
	one.mustSubmit(one.Charter())
	for name, w := range map[string]*world{"nothing": empty, "one record": one} {
		w := w.forTest(t)
		w.eachPage(func(path string) {
			r := w.get(path)
			if r.Code != http.StatusOK && r.Code != http.StatusNotFound {
				t.Errorf("%s, of a ledger of %s: %d", path, name, r.Code)
			}
			if body := r.Body.String(); !strings.Contains(body, "<h1") || len(body) > maxPageBytes {
				t.Errorf("%s, of a ledger of %s, is no page: %s", path, name, body)
			}
		})
	}
}
