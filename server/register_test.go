package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// sampleWorld is a world with three designations, two providers and one answer.
func sampleWorld(t testing.TB) *world {
	w := newWorld(t, settings{})
	w.fillSample()
	return w
}

// fillSample enrols two providers and designates three, and one provider answers.
func (w *world) fillSample() {
	w.enrol("acme-cloud", "borealis")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	w.mustSubmit(w.Designate("2026-015", w.NewDesignation("Lumen Resale")))
	w.mustSubmit(w.ImportListed("36", w.NewListedDesignation("36", "AEROCARIBBEAN AIRLINES")))
	w.mustSubmit(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "no-relationship"}))
}

// list reads all pages of a list, one item a page, and gives one member of each item.
func (w *world) list(path, items, member string) []string {
	w.t.Helper()
	u, err := url.Parse(path)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	for range 50 {
		q := u.Query()
		q.Set("limit", "1")
		u.RawQuery = q.Encode()
		page := w.wantJSON(w.get(u.String()), http.StatusOK)
		asOf := page["asOf"].(map[string]any)
		if asOf["size"] == nil || asOf["at"] == nil {
			w.t.Fatalf("%s does not say as of when: %v", path, page)
		}
		for _, item := range page[items].([]any) {
			all = append(all, fmt.Sprint(item.(map[string]any)[member]))
		}
		next, ok := page["next"].(string)
		if !ok {
			return all
		}
		q.Set("after", next)
		u.RawQuery = q.Encode()
	}
	w.t.Fatalf("%s never ends", path)
	return nil
}

func TestListsInPages(t *testing.T) {
	w := sampleWorld(t)
	at := url.QueryEscape(time.Now().AddDate(0, 0, 50).UTC().Format(time.RFC3339))
	for _, c := range []struct{ path, items, member, want string }{
		{"/v1/records", "records", "index", "0 1 2 3 4 5 6 7"},
		{"/v1/records?kind=designation", "records", "index", "4 5 6"},
		{"/v1/records?issuer=acme-cloud", "records", "kind", "enrolment response"},
		{"/v1/records?issuer=authority&kind=enrolment", "records", "index", "1"},
		{"/v1/records?thread=designation/2026-015", "records", "index", "5"},
		{"/v1/records?thread=designation/2026-099", "records", "index", ""},
		{"/v1/records?size=2", "records", "index", "0 1"},
		{"/v1/register/designations", "designations", "thread", "designation/2026-014 designation/2026-015 designation/ofac-sdn-36"},
		{"/v1/register/designations?status=in-force", "designations", "thread", "designation/ofac-sdn-36"},
		{"/v1/register/designations?status=announced&country=XB", "designations", "name", "Kestrel Hosting Lumen Resale"},
		{"/v1/register/designations?country=xb", "designations", "name", "Kestrel Hosting Lumen Resale"},
		{"/v1/register/designations?country=russian+federation", "designations", "name", ""},
		{"/v1/register/designations?list=ofac-sdn", "designations", "name", "AEROCARIBBEAN AIRLINES"},
		{"/v1/register/designations?name=kestrel+hosting", "designations", "thread", "designation/2026-014"},
		{"/v1/register/designations?size=5", "designations", "thread", "designation/2026-014"},
		{"/v1/register/designations?program=SDGT", "designations", "thread", "designation/ofac-sdn-36"},
		{"/v1/register/parties", "parties", "party", "acme-cloud authority borealis"},
		{"/v1/register/parties?role=provider&status=active", "parties", "party", "acme-cloud borealis"},
		{"/v1/register/duties?kind=respond", "duties", "party", "acme-cloud borealis acme-cloud borealis"},
		{"/v1/register/duties?kind=respond&state=overdue&at=" + at, "duties", "party", "borealis acme-cloud borealis"},
		{"/v1/register/duties?designation=2026-014&state=open", "duties", "party", "borealis"},
		{"/v1/register/duties?party=acme-cloud&state=met", "duties", "designation", "designation/2026-014"},
		{"/v1/register/duties/acme-cloud?kind=certify", "duties", "state", "open"},
	} {
		if got := strings.Join(w.list(c.path, c.items, c.member), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.path, got, c.want)
		}
	}
}

// TestRequests asks about requests to disclose, one of them sealed.
func TestRequests(t *testing.T) {
	w := sampleWorld(t)
	w.mustSubmit(w.Request("1", w.NewRequest("acme-cloud")))
	w.mustSubmit(w.Request("2", w.NewRequest("borealis")))
	w.mustSubmit(w.Receipt("1", "acme-cloud", w.NewReceipt("1")))
	sealed, _ := w.NewSealedRequest("3", "acme-cloud", w.today())
	sealed.Jurisdiction = "XC"
	w.mustSubmit(w.Request("3", sealed))
	for _, c := range []struct{ path, items, member, want string }{
		{"/v1/register/requests", "requests", "thread", "disclosure/1 disclosure/2 disclosure/3"},
		{"/v1/register/requests?status=answered", "requests", "thread", "disclosure/1"},
		{"/v1/register/requests?jurisdiction=XC", "requests", "status", "open"},
		{"/v1/register/requests?party=acme-cloud", "requests", "thread", "disclosure/1"},
		{"/v1/register/duties?kind=disclose", "duties", "request", "disclosure/1 disclosure/2"},
		{"/v1/register/duties/acme-cloud?kind=disclose", "duties", "state", "met"},
	} {
		if got := strings.Join(w.list(c.path, c.items, c.member), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.path, got, c.want)
		}
	}
	first := w.wantJSON(w.get("/v1/register/requests?limit=1"), http.StatusOK)
	if rest := w.list("/v1/register/requests?after="+first["next"].(string), "requests", "thread"); len(rest) != 2 {
		t.Errorf("the second page has %v", rest)
	}
	one := w.wantJSON(w.get("/v1/register/requests/1"), http.StatusOK)
	if one["status"] != "answered" || one["days"] != 0.0 || len(one["history"].([]any)) != 1 || len(one["receipts"].([]any)) != 1 {
		t.Errorf("%v", one)
	}
	body := w.get("/v1/register/requests/3").Body.String()
	if strings.Contains(body, "acme") || strings.Contains(body, "warrant") || !strings.Contains(body, `"sealed":true`) {
		t.Errorf("the sealed one is %s", body)
	}
	counted := w.wantJSON(w.get("/v1/register/cooperation?jurisdiction=XB"), http.StatusOK)["cooperation"].([]any)[0].(map[string]any)
	if counted["asked"] != 2.0 || counted["answered"] != 1.0 || counted["open"] != 1.0 || counted["medianDays"] != 0.0 || len(counted["records"].([]any)) != 3 {
		t.Errorf("%v", counted)
	}
	all := w.wantJSON(w.get("/v1/register/cooperation"), http.StatusOK)["cooperation"].([]any)
	if none := w.wantJSON(w.get("/v1/register/cooperation?jurisdiction=XZ"), http.StatusOK)["cooperation"].([]any); len(all) != 2 || len(none) != 0 {
		t.Errorf("of all %v, of none %v", all, none)
	}
	w.wantProblem(w.get("/v1/register/requests/9"), problemNotFound)
	w.wantProblem(w.get("/v1/register/requests?status=late"), problemParameter)
	w.wantProblem(w.get("/v1/register/cooperation?jurisdiction=Nowhere"), problemParameter)
	w.wantProblem(w.get("/v1/register/identifiers/provider/acme-cloud"), problemNotFound)
	if page := w.get("/parties/acme-cloud").Body.String(); !strings.Contains(page, `href="/requests/1"`) || strings.Contains(page, `"/requests/3"`) {
		t.Errorf("the party's page: %s", page)
	}
}

// Pages tell of one moment, whatever comes in between.
func TestPagesAreOfOneSize(t *testing.T) {
	w := sampleWorld(t)
	first := w.wantJSON(w.get("/v1/register/designations?limit=2"), http.StatusOK)
	w.mustSubmit(w.Designate("2026-016", w.NewDesignation("Between Two Pages")))
	second := w.wantJSON(w.get("/v1/register/designations?limit=9&after="+first["next"].(string)), http.StatusOK)
	if !jsonEqual(first["asOf"], second["asOf"]) {
		t.Errorf("the pages are as of %v and %v", first["asOf"], second["asOf"])
	}
	if got := len(second["designations"].([]any)); got != 1 {
		t.Errorf("%d designations on the second page, want 1", got)
	}
}

func jsonEqual(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func TestDetails(t *testing.T) {
	w := sampleWorld(t)
	d := w.wantJSON(w.get("/v1/register/designations/2026-014"), http.StatusOK)
	if d["name"] != "Kestrel Hosting" || d["status"] != "announced" || len(d["history"].([]any)) != 1 || d["asOf"].(map[string]any)["size"] != 8.0 {
		t.Errorf("%v", d)
	}
	later := w.wantJSON(w.get("/v1/register/designations/2026-014?at="+w.today().AddDays(200).String()), http.StatusOK)
	if later["status"] != "in-force" {
		t.Errorf("in 200 days it is %v", later["status"])
	}
	// Today's date is the end of today: what was recorded today counts.
	today := w.wantJSON(w.get("/v1/register/designations/2026-014?at="+w.today().String()), http.StatusOK)
	if at := today["asOf"].(map[string]any)["at"].(string); today["knowable"] != "announced" || !strings.HasSuffix(at, ":59:59.999Z") {
		t.Errorf("today it is knowable as %v, as of %v", today["knowable"], at)
	}
	w.wantProblem(w.get("/v1/register/designations/2026-014?size=4"), problemNotFound)
	w.wantProblem(w.get("/v1/register/designations/2026-099"), problemNotFound)
	w.wantProblem(w.get("/v1/register/parties/nobody"), problemNotFound)
	w.wantProblem(w.get("/v1/register/duties/nobody"), problemNotFound)
	for _, path := range []string{
		"duties?party=nobody", "duties?party=acme-cluod", "duties/acme-cluod", "parties/acme-cluod",
		"duties?designation=2027-099", "duties?designation=2026-0144", "duties/borealis?designation=nix", "designations/2026-0144",
	} {
		t.Run(path, func(t *testing.T) {
			w.forTest(t).wantRefusal(w.get("/v1/register/"+path), problemNotFound) // with a hint where one is near
		})
	}
	w.wantProblem(w.get("/v1/register/identifiers/passport/123"), problemNotFound)
	w.wantProblem(w.get("/v1/register/designations?size=9"), problemParameter)
	w.wantProblem(w.get("/v1/register/designations?status=gone"), problemParameter)
	w.wantProblem(w.get("/v1/register/designations?stauts=in-force"), problemParameter)
	w.wantProblem(w.get("/v1/register/parties/acme-cloud?limit=3"), problemParameter)

	p := w.wantJSON(w.get("/v1/register/parties/acme-cloud"), http.StatusOK)
	if p["legalName"] != "acme-cloud, Inc. (fictional)" || len(p["keys"].([]any)) != 3 || len(p["attestations"].([]any)) != 1 {
		t.Errorf("%v", p)
	}
	policy := w.wantJSON(w.get("/v1/register/policy"), http.StatusOK)
	if _, err := proof.ParsePolicy([]byte(policy["policy"].(string))); err != nil || policy["from"] != 0.0 {
		t.Errorf("%v, %v", err, policy)
	}
	for path, matches := range map[string]int{"domain/kestrel.example": 2, "asn/AS64511": 2, "name/aerocaribbean%20airlines": 1, "name/a%2Fb": 0, "lei/5493001KJTIIGC8Y1R12": 0} {
		found := w.wantJSON(w.get("/v1/register/identifiers/"+path), http.StatusOK)
		if got := len(found["matches"].([]any)); got != matches {
			t.Errorf("%s: %d matches, want %d", path, got, matches)
		}
	}
	if slashed := w.wantJSON(w.get("/v1/register/identifiers/registrationNumber/a%2Fb"), http.StatusOK); slashed["value"] != "a/b" {
		t.Errorf("an escaped slash came as %v", slashed["value"])
	}
}

func TestRecordBesideItsExactEntry(t *testing.T) {
	w := sampleWorld(t)
	order := w.NewDesignation("A & B <Hosting>")
	env := w.Designate("2026-017", order)
	w.mustSubmit(env)
	id := record.IDOf(env.Payload).String()
	r := w.get("/v1/records/" + id)
	var got struct {
		Record    string          `json:"record"`
		Index     uint64          `json:"index"`
		Statement json.RawMessage `json:"statement"`
		Entry     json.RawMessage `json:"entry"`
	}
	if err := json.Unmarshal(r.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	entry, err := w.ledger.Entry(t.Context(), 8)
	if err != nil {
		t.Fatal(err)
	}
	if got.Record != id || got.Index != 8 || string(got.Entry) != string(entry) || string(got.Statement) != string(env.Payload) {
		t.Errorf("%s", r.Body)
	}
	w.wantProblem(w.get("/v1/records/"+strings.Repeat("0", 64)), problemNotFound)
	w.wantProblem(w.get("/v1/records/"+strings.Repeat("0", 64)+"/receipt"), problemNotFound)
	w.wantProblem(w.get("/v1/records/"+id+"/receipt?chain=maybe"), problemParameter)
}

func TestNotYetPublished(t *testing.T) {
	w := newWorld(t, settings{idle: true})
	env := w.Charter()
	posted := make(chan int, 1)
	go func() { posted <- w.post(env.Marshal(), "wait=committed").Code }()
	for w.ledger.Head().Size == 0 {
		if err := w.ledger.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if code := <-posted; code != http.StatusAccepted {
		t.Fatalf("posted: %d", code)
	}
	path := "/v1/records/" + record.IDOf(env.Payload).String()
	if got := w.wantProblem(w.get(path+"/receipt"), problemUnpublished); got["index"] != 0.0 {
		t.Errorf("%v", got)
	}
	w.wantProblem(w.get(path), problemUnpublished)
	w.wantProblem(w.get("/tile/0/000.p/1"), problemNotFound)
	w.wantProblem(w.get("/tile/entries/000.p/1"), problemNotFound)
	if got := w.list("/v1/records", "records", "index"); len(got) != 0 {
		t.Errorf("what is not published is listed: %v", got)
	}
	if err := w.ledger.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := w.get(path + "/receipt"); r.Code != http.StatusOK {
		t.Errorf("published: %d %s", r.Code, r.Body)
	}
}

// A chain is checked by who knows the policy alone: each receipt verifies, and
// replaying their entries judges the last one's signers.
func TestChain(t *testing.T) {
	w := sampleWorld(t)
	extra := w.Officer("acme-cloud/deputy")
	w.mustSubmit(w.Sign(w.Statement("party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{extra}}), "acme-cloud/compliance", "acme-cloud/deputy"))
	env := w.Sign(w.Statement("response/2026-015/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}), "acme-cloud/deputy")
	w.mustSubmit(env)

	r := w.get("/v1/records/" + record.IDOf(env.Payload).String() + "/receipt?chain=true")
	chain, err := proof.ParseChain(r.Body.Bytes())
	if err != nil {
		t.Fatalf("%v: %s", err, r.Body)
	}
	var kinds []string
	keys := map[string]*record.Key{}
	for i, one := range chain {
		v, err := one.Verify(w.policy, time.Now())
		if err != nil {
			t.Fatalf("receipt %d: %v", i, err)
		}
		entry, err := record.ParseEntry(v.Entry())
		if err != nil {
			t.Fatal(err)
		}
		opened, err := record.OpenEntry(entry, func(id string) *record.Key { return keys[id] })
		if err != nil {
			t.Fatalf("receipt %d, entry %d: %v", i, v.Index(), err)
		}
		listed, err := record.ListedKeys(opened.Statement())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range listed {
			keys[k.ID()] = k
		}
		kinds = append(kinds, fmt.Sprintf("%d %s %s", v.Index(), opened.Statement().Kind, opened.Statement().Issuer))
	}
	want := []string{"0 charter authority", "1 enrolment authority", "2 enrolment acme-cloud", "8 keys acme-cloud", "9 response acme-cloud"}
	if !slices.Equal(kinds, want) {
		t.Errorf("the chain is %q, want %q", kinds, want)
	}
	// The charter's own chain is the charter and the authority.
	r = w.get("/v1/records/" + w.Ledger.String() + "/receipt?chain=true")
	if chain, err := proof.ParseChain(r.Body.Bytes()); err != nil || chain[len(chain)-1].Index != 0 {
		t.Errorf("the charter's chain: %v", err)
	}
}

func TestSchemas(t *testing.T) {
	w := newWorld(t, settings{})
	for _, kind := range record.Kinds() {
		r := w.get("/schemas/" + string(kind) + "/v1")
		if schema := w.wantJSON(r, http.StatusOK); schema["title"] != string(kind) || r.Header().Get("Content-Type") != "application/schema+json" {
			t.Errorf("%s: %v", kind, r.Header())
		}
		if again := w.get("/schemas/"+string(kind)+"/v1", "If-None-Match", r.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("%s again: %d", kind, again.Code)
		}
	}
	w.wantProblem(w.get("/schemas/licence-plate/v1"), problemNotFound)
}

func TestMetrics(t *testing.T) {
	w := sampleWorld(t)
	w.post([]byte("hello"))
	w.get("/nowhere/" + strings.Repeat("x", 50))
	text := w.metricsText()
	for _, line := range []string{
		`docket_http_requests_total{method="POST",route="/v1/records",status="201"} 8`,
		`docket_http_requests_total{method="GET",route="none",status="404"} 1`,
		`docket_http_problems_total{problem="malformed"} 1`,
		`docket_records_total{outcome="published"} 8`,
		"docket_ledger_size 8", "docket_ledger_published_size 8", "docket_ready 1",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	if strings.Contains(text, "xxx") {
		t.Error("a label came from a request")
	}
}

func paramsOf(t *testing.T, rawQuery string, known ...string) *params {
	t.Helper()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest("GET", "/x", nil)
	c.Request.URL.RawQuery = rawQuery
	return (&request{Context: c}).parseParams(known...)
}

func TestQueryRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, raw := range []string{"status=in-force", ""} {
		if err := paramsOf(t, raw, "status", "at").firstFault(); err != nil {
			t.Errorf("?%s: %v, want none", raw, err)
		}
	}
	for _, raw := range []string{"stauts=in-force", "status=in-force&status=ended", "status=%zz", "status=a;b"} {
		t.Run(raw, func(t *testing.T) {
			err := paramsOf(t, raw, "status", "at").firstFault()
			if err == nil {
				t.Fatal("no fault")
			}
			refusaltest.Words(t, err.Error())
		})
	}
}

func TestQueryValues(t *testing.T) {
	for raw, read := range map[string]func(*params){
		"limit=0":                   func(q *params) { q.limit(defaultLimit) },
		"limit=1001":                func(q *params) { q.limit(defaultLimit) },
		"limit=010":                 func(q *params) { q.limit(defaultLimit) },
		"limit=":                    func(q *params) { q.limit(defaultLimit) },
		"size=-1":                   func(q *params) { q.number("size", 0) },
		"size=18446744073709551616": func(q *params) { q.number("size", 0) },
		"size=%2B1":                 func(q *params) { q.number("size", 0) },
		"dry-run=yes":               func(q *params) { q.flag("dry-run") },
		"dry-run":                   func(q *params) { q.flag("dry-run") },
		"status=gone":               func(q *params) { q.oneOf("status", "in-force") },
		"at=yesterday":              func(q *params) { q.time("at", midnight) },
		"at=2027-02-30":             func(q *params) { q.time("at", midnight) },
		"at=2027-06-01T00:00:00":    func(q *params) { q.time("at", midnight) },
		"after=AAAA":                func(q *params) { q.cursor("after", cursorRecords) },
		"after=":                    func(q *params) { q.cursor("after", cursorRecords) },
	} {
		q := paramsOf(t, raw, "limit", "size", "dry-run", "status", "at", "after")
		read(q)
		if q.firstFault() == nil {
			t.Errorf("?%s was taken", raw)
		}
	}
}

// midnight stands for a view of a charter in UTC.
func midnight(d record.Date) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

func TestQueryInstant(t *testing.T) {
	for raw, want := range map[string]string{
		"at=2027-06-01T10:00:00Z":     "2027-06-01T10:00:00Z",
		"at=2027-06-01T10:00:00.250Z": "2027-06-01T10:00:00.25Z",
		"at=2027-06-01":               "2027-06-01T00:00:00Z",
		"":                            "0001-01-01T00:00:00Z",
	} {
		q := paramsOf(t, raw, "at")
		if got := q.time("at", midnight).Format(time.RFC3339Nano); got != want || q.firstFault() != nil {
			t.Errorf("?%s: %s, %v; want %s", raw, got, q.firstFault(), want)
		}
	}
}

// A civil date begins and ends when it does in the charter's zone, summer and winter.
func TestDays(t *testing.T) {
	w := newWorld(t, settings{})
	w.mustSubmit(w.Charter()) // America/New_York
	v, err := view.Latest(w.register)
	if err != nil {
		t.Fatal(err)
	}
	for date, want := range map[string]string{
		"2027-06-01": "2027-06-01T04:00:00Z",
		"2027-12-01": "2027-12-01T05:00:00Z",
		"2027-03-14": "2027-03-14T05:00:00Z", // the clocks go forward later that day
		"2027-11-08": "2027-11-08T05:00:00Z",
	} {
		d, err := record.ParseDate(date)
		if err != nil {
			t.Fatal(err)
		}
		if got := startOfDay(v, d).Format(time.RFC3339); got != want {
			t.Errorf("%s begins at %s, want %s", date, got, want)
		}
	}
	for date, want := range map[string]string{
		"2027-06-01": "2027-06-02T03:59:59.999Z",
		"2027-11-07": "2027-11-08T04:59:59.999Z", // of 25 hours
		"9999-12-31": "9999-12-31T23:59:59.999Z", // later ones cannot be written
	} {
		d, err := record.ParseDate(date)
		if err != nil {
			t.Fatal(err)
		}
		if got := endOfDay(v, d).Format(time.RFC3339Nano); got != want {
			t.Errorf("%s ends at %s, want %s", date, got, want)
		}
	}
}

func TestCursorsComeBack(t *testing.T) {
	for _, c := range []cursor{
		{list: cursorRecords, position: ""},
		{list: cursorDesignations, size: 13, at: time.UnixMilli(1_800_000_000_123).UTC(), position: "designation/2026-014"},
		{list: cursorDuties, size: 1<<63 - 1, at: time.UnixMilli(0).UTC(), position: "17"},
	} {
		got, err := parseCursor(c.list, c.String())
		if err != nil || got != c {
			t.Errorf("%+v came back as %+v, %v", c, got, err)
		}
		if _, err := parseCursor(c.list+1, c.String()); err == nil {
			t.Errorf("the cursor of list %c was taken for another's", c.list)
		}
		if _, err := parseCursor(c.list, c.String()+"="); err == nil {
			t.Error("a cursor with padding was taken")
		}
	}
}

// A cursor is the client's to write. Each is one that a page gave, or refused.
func FuzzCursor(f *testing.F) {
	f.Add(cursor{list: cursorParties, size: 7, at: time.UnixMilli(5), position: "acme-cloud"}.String())
	for _, ms := range []int64{1 << 62, -1 << 62, 1<<63 - 1, -1 << 63, firstInstant.UnixMilli() - 1, firstInstant.UnixMilli(), lastInstant.UnixMilli(), lastInstant.UnixMilli() + 1} {
		f.Add(cursor{list: cursorParties, size: 7, at: time.UnixMilli(ms), position: "acme-cloud"}.String())
	}
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(cursorParties, text)
		if err != nil {
			return
		}
		if c.String() != text {
			t.Errorf("%q came back as %q", text, c.String())
		}
		if _, err := json.Marshal(asOf{Size: c.size, At: c.at}); err != nil {
			t.Errorf("%q gives a page that cannot be told: %v", text, err)
		}
	})
}

// The ends of time are instants like any other, by a cursor and by ?at= alike; what
// lies beyond them is refused.
func TestFirstAndLastInstant(t *testing.T) {
	w := sampleWorld(t)
	lists := map[byte]string{cursorDesignations: "designations", cursorParties: "parties", cursorDuties: "duties"}
	for list, path := range lists {
		place := map[byte]string{cursorDuties: "designation/2026-014 acme-cloud 1"}[list]
		for at, kind := range map[int64]problemKind{
			1 << 62: problemParameter, -1 << 62: problemParameter, 1<<63 - 1: problemParameter, -1 << 63: problemParameter,
			firstInstant.UnixMilli() - 1: problemParameter, lastInstant.UnixMilli() + 1: problemParameter,
			firstInstant.UnixMilli(): "", lastInstant.UnixMilli(): "", time.Time{}.UnixMilli(): "",
		} {
			after := cursor{list: list, size: 1, at: time.UnixMilli(at), position: place}.String()
			r := w.get("/v1/register/" + path + "?after=" + after)
			if kind != "" {
				w.wantProblem(r, kind)
				continue
			}
			got := w.wantJSON(r, http.StatusOK)["asOf"].(map[string]any)
			if want := time.UnixMilli(at).UTC().Format(time.RFC3339Nano); got["at"] != want {
				t.Errorf("%s: as of %v, want %s", path, got["at"], want)
			}
		}
		for at, want := range map[string]string{
			"0001-01-01T00:00:00Z":     "0001-01-01T00:00:00Z",
			"0000-01-01T00:00:00Z":     "0000-01-01T00:00:00Z",
			"9999-12-31T23:59:59.999Z": "9999-12-31T23:59:59.999Z",
			"1000-01-01":               "1000-01-02T04:56:01.999Z",
			"9999-12-31":               "9999-12-31T23:59:59.999Z",
		} {
			got := w.wantJSON(w.get("/v1/register/"+path+"?at="+at), http.StatusOK)["asOf"].(map[string]any)
			if got["at"] != want {
				t.Errorf("%s?at=%s: as of %v, want %s", path, at, got["at"], want)
			}
		}
	}
}

// Every answer of the register says of a day to come that it is one: there a duty is "due by
// then" for people, and no script must take it for overdue.
func TestAnswersSayThatADayIsAhead(t *testing.T) {
	w := sampleWorld(t)
	ahead, before := w.today().AddDays(200).String(), w.today().AddDays(-1).String()
	for _, path := range []string{"/v1/register/designations", "/v1/register/designations/2026-014", "/v1/register/parties", "/v1/register/parties/acme-cloud", "/v1/register/duties", "/v1/register/duties/acme-cloud", "/v1/register/policy"} {
		for query, want := range map[string]bool{"": false, "?at=" + before: false, "?at=" + ahead: true} {
			var got struct {
				AsOf map[string]any `json:"asOf"`
			}
			answer := w.get(path + query)
			if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil || answer.Code != http.StatusOK {
				t.Fatalf("%s%s: %d %s", path, query, answer.Code, answer.Body)
			}
			said, there := got.AsOf["ahead"]
			if there != want || there && said != true {
				t.Errorf("%s%s: ahead is %v", path, query, said)
			}
		}
	}
}
