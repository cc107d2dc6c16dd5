package server

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"

	ics "github.com/arran4/golang-ical"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func TestCalendarOfDuties(t *testing.T) {
	w := sampleWorld(t)
	r := w.get("/v1/register/duties.ics?party=acme-cloud")
	if r.Code != http.StatusOK || r.Header().Get("Content-Type") != "text/calendar; charset=utf-8" {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	c, err := ics.ParseCalendar(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range c.Events() {
		kinds = append(kinds, e.GetProperty(ics.ComponentPropertyCategories).Value)
	}
	if got := strings.Join(kinds, " "); got != "respond certify" { // one respond is met
		t.Errorf("events of %q, want what is to be done: respond certify", got)
	}
	d := w.wantJSON(w.get("/v1/register/duties?party=acme-cloud"), http.StatusOK)
	asOf := d["asOf"].(map[string]any)
	for _, p := range c.CalendarProperties {
		if p.IANAToken == "DESCRIPTION" && !strings.HasSuffix(p.Value, " 8 "+asOf["root"].(string)) {
			t.Errorf("the calendar is of %q, the list of %v", p.Value, asOf)
		}
	}
	met := w.get("/v1/register/duties.ics?party=acme-cloud&state=met").Body.String()
	if strings.Count(met, "BEGIN:VEVENT") != 1 {
		t.Errorf("of one duty that was met: %s", met)
	}
	w.wantProblem(w.get("/v1/register/duties.ics?party=nobody"), problemNotFound)
	w.wantProblem(w.get("/v1/register/duties.ics?limit=5"), problemParameter)
}

// The board of a designation says of each who has to answer how, when, and whether late.
func TestBoard(t *testing.T) {
	w := sampleWorld(t)
	d := w.wantJSON(w.get("/v1/register/designations/2026-014"), http.StatusOK)
	board := d["board"].(map[string]any)
	if !jsonEqual(board["counts"], map[string]any{"respond": map[string]any{"met": 1, "open": 1}}) {
		t.Errorf("counts %v", board["counts"])
	}
	var said []string
	for _, each := range board["duties"].([]any) {
		duty := each.(map[string]any)
		said = append(said, duty["party"].(string)+" "+duty["state"].(string))
		if duty["target"] != "Kestrel Hosting" || len(duty["records"].([]any)) == 0 {
			t.Errorf("of what, and by which records? %v", duty)
		}
	}
	if got := strings.Join(said, ", "); got != "acme-cloud met, borealis open" {
		t.Errorf("the board says %q", got)
	}
	if root := d["asOf"].(map[string]any)["root"]; root != w.ledger.Published().Checkpoint().Root.String() {
		t.Errorf("as of the root %v, want that of the newest checkpoint", root)
	}
}

// A calendar that is not whole says so where whoever looks at it sees it.
func TestCalendarThatIsNotWhole(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{QueryBudget: register.ReadBudget{Rows: 60, Bytes: 1 << 20}}}, "acme-cloud", "borealis")
	for i := range 20 {
		w.mustSubmit(w.Designate(fmt.Sprintf("2026-%03d", i), w.NewDesignation("Kestrel Hosting")))
	}
	text := w.get("/v1/register/duties.ics?party=acme-cloud").Body.String()
	if n := strings.Count(text, "BEGIN:VEVENT"); n < 2 || n >= 21 || strings.Count(text, "SUMMARY:This calendar is not whole") != 1 {
		t.Errorf("%d events of more than the work of one question gives:\n%s", n, text)
	}
}

func TestChanges(t *testing.T) {
	w := sampleWorld(t)
	for _, c := range []struct{ path, want string }{
		{"/v1/register/changes?from=4", "designation/2026-014 designation/2026-015 designation/ofac-sdn-36 response/2026-014/acme-cloud"},
		{"/v1/register/changes?from=4&to=5", "designation/2026-014"},
		{"/v1/register/changes?from=8", ""},
		{"/v1/register/changes?from=2020-01-01&to=1", "charter"},
		{"/v1/register/changes?from=6&to=8", "designation/ofac-sdn-36 response/2026-014/acme-cloud"},
		{"/v1/register/changes?from=8&to=" + w.today().AddDays(200).String(), "designation/2026-014 designation/2026-015"}, // the clock alone
	} {
		if got := strings.Join(w.list(c.path, "changes", "thread"), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.path, got, c.want)
		}
	}
	for _, wrong := range []string{"from=9", "from=5&to=4", "from=x", "to=32-13", "size=3", "at=2020-01-01", "from=2021-01-01&to=2020-01-01", "after=x"} {
		w.wantProblem(w.get("/v1/register/changes?"+wrong), problemParameter)
	}

	rows := w.get("/v1/register/changes.csv?from=4&limit=1")
	if rows.Code != http.StatusOK || !strings.HasPrefix(rows.Body.String(), view.ByteOrderMark+"thread,name,") || strings.Count(rows.Body.String(), "\n") != 2 {
		t.Errorf("%d %s", rows.Code, rows.Body)
	}
	next, ok := strings.CutSuffix(rows.Header().Get("Link"), `>; rel="next"`)
	if !ok || !strings.Contains(w.get(strings.TrimPrefix(next, "<http://example.com")).Body.String(), "designation/2026-015") {
		t.Errorf("the next page is not at %q", rows.Header().Get("Link"))
	}

	var feed struct {
		Links []struct {
			Rel  string `xml:"rel,attr"`
			Href string `xml:"href,attr"`
		} `xml:"link"`
		Entries []struct {
			ID string `xml:"id"`
		} `xml:"entry"`
	}
	seen := make(map[string]bool)
	for path := "/v1/register/changes.atom?from=4&limit=3"; path != ""; {
		feed.Links, feed.Entries = nil, nil
		if err := xml.Unmarshal(w.get(path).Body.Bytes(), &feed); err != nil {
			t.Fatal(err)
		}
		path = ""
		for _, l := range feed.Links {
			if l.Rel == "next" {
				path = strings.TrimPrefix(l.Href, "http://example.com")
			}
		}
		for _, e := range feed.Entries {
			seen[e.ID] = true
		}
	}
	if len(seen) != 4 {
		t.Errorf("the pages of the feed have %d entries, want 4: %v", len(seen), seen)
	}
}

// Licences are asked for by holder, designation, and the country of what they are for.
func TestLicences(t *testing.T) {
	w := sampleWorld(t)
	day := w.today()
	grant := func(thread record.Thread, l *record.Licence) {
		l.From, l.Until = day, day.AddDays(30)
		w.mustSubmit(w.Sign(w.Statement(thread, record.Authority, l), "authority/officer-2"))
	}
	grant("licence/2027-001", &record.Licence{Type: record.LicenceSpecific, Holder: "acme-cloud", Designations: []string{"2026-014"}, Permits: "wind-down"})
	grant("licence/2027-002", &record.Licence{Type: record.LicenceGeneral, Designations: []string{"2026-015"}, Permits: "wind-down"})
	grant("licence/2027-003", &record.Licence{Type: record.LicenceADPExemption, Holder: "borealis"})
	for query, want := range map[string]string{
		"":                                "licence/2027-001 licence/2027-002 licence/2027-003",
		"?status=active&party=acme-cloud": "licence/2027-001",
		"?designation=2026-015":           "licence/2027-002",
		"?jurisdiction=xb":                "licence/2027-001 licence/2027-002",
		"?jurisdiction=XC":                "",
		"?status=expired":                 "",
		"?status=expired&at=" + day.AddDays(31).String(): "licence/2027-001 licence/2027-002 licence/2027-003",
		"?size=8": "",
	} {
		if got := strings.Join(w.list("/v1/register/licences"+query, "licences", "thread"), " "); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}
