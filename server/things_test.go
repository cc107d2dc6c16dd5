package server

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

var tags = regexp.MustCompile(`<[^>]*>`)

// pageText is what a page says, without its tags.
func (w *world) pageText(path string) string {
	w.t.Helper()
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(w.getPage(path, http.StatusOK), " "))), " ")
}

func (w *world) wantOnPage(path string, wants ...string) {
	w.t.Helper()
	text := w.pageText(path)
	for _, want := range wants {
		if !strings.Contains(text, want) {
			w.t.Errorf("%s does not say %q:\n%s", path, want, text)
		}
	}
}

// A designation's page says what it brings about, its life, what an amendment changed, who answered,
// and of a revoked one since when and why.
func TestDesignationPageSaysWhatItMeans(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud", "borealis")
	order := w.NewDesignation("Kestrel Hosting")
	order.Target.RegistrationNumber = "0048213"
	order.Target.Alias = []record.Alias{{Name: "Kеstrel", Type: "aka"}, {Name: "Old Kestrel", Type: "fka"}} // its second letter is Cyrillic
	ownership := int64(50)
	order.Scope = &record.Scope{Successors: true, OwnershipPct: &ownership}
	w.mustSubmit(w.Designate("2026-014", order))
	w.mustSubmit(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "no-relationship"}))
	officers := []string{"authority/officer-1", "authority/officer-2"}
	amend := &record.Amendment{Type: "correction", Reason: "Misprinted.",
		Set: schema.ObjectOf("target", schema.ObjectOf("registrationNumber", "0048231")),
		Add: schema.ObjectOf("target", schema.ObjectOf("domain", []any{"second.example"}))}
	w.mustSubmit(w.Sign(w.Statement("designation/2026-014", record.Authority, amend), officers...))

	from, until := order.EffectiveFrom.String(), order.EffectiveUntil.String()
	w.wantOnPage("/designations/2026-014",
		"Today: announced . It takes effect on "+from+" . From then on, until the end of "+until+" , cloud infrastructure may be provided to it only on conditions. It means its successors, and whoever it owns to 50 % or more, too.",
		"1 of 2 have answered", "announced from "+w.today().String()+" until "+order.EffectiveFrom.AddDays(-1).String()+" ← today",
		"in force from "+from+" until "+until, "expired from "+order.EffectiveUntil.AddDays(1).String(),
		"Domain + second.example", "Registration number − 0048213 + 0048231",
		"“Kеstrel” has letters of Latin and Cyrillic, which look alike, е is Cyrillic U+0435", "Old Kestrel (formerly)",
		"borealis to answer", "SHA-256", "docket show 2026-014")
	if page := w.getPage("/designations/2026-014", http.StatusOK); !strings.Contains(page, `aria-label="Time line: announced from`) || strings.Count(page, "<rect") != 3 {
		t.Errorf("the picture is not there, or not told to who does not see it:\n%s", page)
	}

	revocation := &record.Revocation{EffectiveOn: w.today(), Cause: "lifted", Reason: "It closed."}
	w.mustSubmit(w.Sign(w.Statement("designation/2026-014", record.Authority, revocation), officers...))
	w.wantOnPage("/designations/2026-014", "Today: revoked . It restricts nothing any more", "Revoked from "+w.today().String()+" (lifted): It closed.")
}

// Each kind of thread has a page with its facts; one that has a page of its own leads there.
func TestThreadPages(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud", "borealis")
	day := w.today()
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	w.mustSubmit(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "winding-down", WindDownBy: &day}))
	w.mustSubmit(w.Sign(w.Statement("licence/2027-001", record.Authority, &record.Licence{
		Type: record.LicenceSpecific, Holder: "borealis", Designations: []string{"2026-014"}, From: day, Until: day.AddDays(9), Permits: "wind-down",
	}), "authority/officer-2"))
	w.mustSubmit(w.Request("1", w.NewRequest("acme-cloud")))
	w.mustSubmit(w.Receipt("1", "acme-cloud", w.NewReceipt("1")))
	w.mustSubmit(w.Sign(w.Statement("abuse/acme-cloud", "acme-cloud", &record.AbuseReport{PeriodFrom: day.AddDays(-9), PeriodUntil: day, Band: "10-99"}), "acme-cloud/compliance"))
	w.mustSubmit(w.Sign(w.Statement("ai/run-1/acme-cloud", "acme-cloud", &record.AITrainingReport{KnownOn: day, Threshold: "more than 10^26 operations"}), "acme-cloud/compliance"))
	w.mustSubmit(w.Auditor("ledger-check"))
	w.mustSubmit(w.Sign(w.Statement("assessment/2026/ledger-check", "ledger-check", w.NewAssessment("acme-cloud")), "ledger-check/lead"))

	for path, wants := range map[string][]string{
		"/licences/2027-001":                    {"Today: active . borealis may do what 2026-014 restricts, within its terms, from " + day.String(), "Permits wind down", "Holder borealis"},
		"/requests/1":                           {"Today: answered . It was answered on " + day.String(), "Whom it asks acme-cloud", "Whose cooperation XB", "What the provider answered"},
		"/threads/disclosure/1/acme-cloud":      {"Receipt for a disclosure acme-cloud on request 1"},
		"/threads/response/2026-014/acme-cloud": {"winding-down . by " + day.String(), "Answers 2026-014"},
		"/threads/abuse/acme-cloud":             {"Reports in it 10-99", "to report abuse"},
		"/threads/ai/run-1/acme-cloud":          {"more than 10^26 operations", "stays private"},
		"/threads/assessment/2026/ledger-check": {"Auditor ledger-check", "Audited acme-cloud", "Opinion"},
		"/threads/charter":                      {"Charter the ledger's rules"},
		"/jurisdictions/XB":                     {"1 of 1 request answered", "None went unanswered", "Half of the answers came within 0 days", "2026-014 Kestrel Hosting"},
		"/jurisdictions/XZ":                     {"Nobody asked for its cooperation", "Nothing."},
		"/identifiers/domain/Kestrel.Example":   {"Domain kestrel.example", "designation/2026-014 Kestrel Hosting", "current"},
		"/identifiers/lei/9999DOCKETDEMO000118": {"Nobody on this ledger bears it, among"},
		"/identifiers/name/no%2Fbody%22":        {"Nobody on this ledger bears it"},
	} {
		w.wantOnPage(path, wants...)
	}
	for path, to := range map[string]string{"/threads/designation/2026-014": "/designations/2026-014", "/threads/party/acme-cloud": "/parties/acme-cloud", "/threads/disclosure/1": "/requests/1"} {
		if r := w.get(path); r.Code != http.StatusPermanentRedirect || r.Header().Get("Location") != to {
			t.Errorf("%s: %d to %q", path, r.Code, r.Header().Get("Location"))
		}
	}
	for _, path := range []string{"/threads/response/2026-014/nobody", "/threads/nothing/x", "/licences/x", "/requests/x", "/jurisdictions/nowhere", "/identifiers/x/y"} {
		w.getPage(path, http.StatusNotFound)
	}
}

// What is under seal stands on no page, nor can it be guessed from one.
func TestSealedRequestPageTellsNothing(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud", "borealis")
	until := w.today().AddDays(30)
	sealed, _ := w.NewSealedRequest("3", "borealis", until)
	w.mustSubmit(w.Request("3", sealed))
	w.wantOnPage("/requests/3", "3, under seal", "under seal until "+until.String(), "Whom it asks sealed until", "By what sealed until")
	for _, path := range []string{"/requests/3", "/jurisdictions/XB", "/records/" + w.Head("disclosure/3").String()} {
		main := w.pageText(path)
		if strings.Contains(main, "borealis") || strings.Contains(main, "warrant") || strings.Contains(main, "sha256sum") {
			t.Errorf("%s tells of what is sealed:\n%s", path, main)
		}
	}
}

// A record's page has a sentence, its members, the exact bytes, and its neighbours.
func TestRecordPage(t *testing.T) {
	w := sampleWorld(t)
	opened := w.Head("designation/2026-014")
	w.mustSubmit(w.Sign(w.Statement("designation/2026-014", record.Authority, &record.Suspension{EffectiveOn: w.today(), Reason: "talks"}), "authority/officer-1", "authority/officer-2"))
	path := "/records/" + opened.String()
	w.wantOnPage(path, "authority says: Kestrel Hosting: condition from", "There is a newer record about the same", "Effective from", "ID c1", "Leaf hash in the tree", "the record before", "the record after")
	page := w.getPage(path, http.StatusOK)
	for _, want := range []string{`href="/records/` + w.Head("designation/2026-014").String(), `href="/records/` + w.Head("party/borealis").String(), `href="/records/` + w.Head("designation/2026-015").String(), `href="/designations/2026-014"`} {
		if !strings.Contains(page, want) {
			t.Errorf("%s has no %q", path, want)
		}
	}
	entry := w.get("/v1/entries/4").Body.String()
	if !strings.Contains(html.UnescapeString(page), strings.TrimSpace(entry)) {
		t.Errorf("%s does not have the bytes of its entry", path)
	}
	w.wantOnPage("/records/"+w.Head("designation/2026-014").String(), "the earlier record about the same", "Reason talks")
	if first := w.pageText("/records/" + w.Head("charter").String()); strings.Contains(first, "the record before") {
		t.Error("the first record has one before it")
	}
}

// A character that nobody sees is written out, and text is text.
func TestShownText(t *testing.T) {
	for in, want := range map[string]string{
		"Kestrel":        "<bdi>Kestrel</bdi>",
		"a<b>&":          "<bdi>a&lt;b&gt;&amp;</bdi>",
		"a\u202eb":       `<bdi>a<span class="unseen" title="a character that is not seen">U+202E</span>b</bdi>`,
		"\u200bx\u2060":  `<bdi><span class="unseen" title="a character that is not seen">U+200B</span>x<span class="unseen" title="a character that is not seen">U+2060</span></bdi>`,
		"می\u200cخواهم":  "<bdi>می\u200cخواهم</bdi>", // a joiner that Persian needs
		"":               "<bdi></bdi>",
		"two\nlines\tin": "<bdi>two\nlines\tin</bdi>",
	} {
		if got := string(shownText(in)); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]int{"Кестрел Hosting": 0, "Kestrel": 0, "Кеstrel": 1, "Αlpha Αlpha": 1, "Кестрел": 0, "東京 Cloud": 0} {
		if got := lookAlikes(in); len(got) != want {
			t.Errorf("of %q is said %q", in, got)
		}
	}
}

// FuzzShownText: whatever is signed, a page has no tag of it, and loses none of its characters.
func FuzzShownText(f *testing.F) {
	for _, seed := range []string{`<script>alert(1)</script>`, "a\u202e\u0000b", "\"'><img src=x>", "\xff\xfe", "2026-01-02 <b>", "&lt;"} {
		f.Add(seed)
	}
	own := regexp.MustCompile(`</?bdi>|<span class="date">|<span class="unseen" title="a character that is not seen">|</span>`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, made := range []string{string(shownText(s)), string(saidText(s))} {
			bare := own.ReplaceAllString(made, "")
			if strings.ContainsAny(bare, `<>"'`) {
				t.Fatalf("%q becomes %q", s, made)
			}
			if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
				return isUnseen(s, strings.IndexRune(s, r), r) || r == 0 || r > 0x2000 && r < 0x2070 || r == 0x200c
			}) {
				if text := html.UnescapeString(bare); text != s && html.UnescapeString(fmt.Sprint(s)) != text && !strings.ContainsAny(s, "\u200c\u200d&") {
					t.Fatalf("%q reads %q", s, text)
				}
			}
		}
	})
}
