package server

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// withheldMark stands in every text of the records that are withheld in these tests.
const withheldMark = "withheldmark"

// withheldWorld is a ledger on which records of each kind that has words of its own bear the
// mark, and what they are; withhold takes them, by their place in that list.
func withheldWorld(t testing.TB) (w *world, marked []Withheld, withhold func(which ...int)) {
	t.Helper()
	var now []Withheld
	w = newEnrolledWorld(t, settings{server: Config{Withheld: func() []Withheld { return now }}}, "acme-cloud")
	index := uint64(3)
	admit := func(env record.Envelope, bears bool) {
		t.Helper()
		w.mustSubmit(env)
		if bears {
			st, err := record.ParseStatement(env.Payload)
			if err != nil {
				t.Fatal(err)
			}
			marked = append(marked, Withheld{
				Index: index, Record: record.IDOf(env.Payload), Kind: st.Kind, Thread: st.Thread,
				Reason: "court order 7 (fictional)", Order: "https://court.example/7", Since: time.Now().UTC().Truncate(time.Second),
			})
		}
		index++
	}
	day := w.today()
	officers := []string{"authority/officer-1", "authority/officer-2"}
	order := w.NewDesignation(withheldMark + " Hosting")
	order.Program, order.Findings, order.FederalRegisterNotice = []string{withheldMark}, []string{withheldMark}, withheldMark
	order.Conditions[0].Text = withheldMark
	order.Target.Alias = []record.Alias{{Name: withheldMark + " Cloud", Type: "aka"}}
	order.Target.Domain, order.Target.RegistrationNumber = []string{withheldMark + ".example"}, withheldMark
	order.Target.Address = []record.Address{{Full: withheldMark, Street: withheldMark, City: withheldMark}}
	admit(w.Designate("2026-014", order), true)

	borealis := &record.Enrolment{
		LegalName: withheldMark + ", Inc.", Country: "US", Roles: []record.Role{record.RoleProvider}, Website: "https://" + withheldMark + ".example",
		Contact: withheldMark + "@example.org",
		Keys:    []record.PartyKey{w.Officer("borealis/" + withheldMark), w.Automation("borealis/ci")},
	}
	admit(w.Sign(w.Statement("party/borealis", "borealis", borealis), "borealis/"+withheldMark, "borealis/ci", "authority/officer-1"), true)
	admit(w.Sign(w.Statement("party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{w.Officer("acme-cloud/" + withheldMark)}}), "acme-cloud/"+withheldMark, "acme-cloud/compliance"), true)
	admit(w.Sign(w.Statement("party/acme-cloud", record.Authority, &record.Standing{Status: "suspended", EffectiveOn: day, Reason: withheldMark}), officers[0]), true)
	admit(w.Sign(w.Statement("party/acme-cloud", record.Authority, &record.Standing{Status: "active", EffectiveOn: day, Reason: "they answered"}), officers[0]), false)
	admit(w.Designate("2026-015", w.NewDesignation("Merlin")), false)
	admit(w.Sign(w.Statement("designation/2026-015", record.Authority, &record.Amendment{Type: "alias", Reason: withheldMark, Add: schema.Object{{Name: "target", Value: schema.Object{{Name: "alias", Value: []any{schema.Object{{Name: "name", Value: withheldMark}, {Name: "type", Value: "aka"}}}}}}}}), officers...), true)
	admit(w.Sign(w.Statement("designation/2026-015", record.Authority, &record.Suspension{EffectiveOn: day, Reason: withheldMark}), officers...), true)
	licence := &record.Licence{Type: "general", Designations: []string{"2026-014"}, From: day, Until: day.AddDays(70), Permits: withheldMark, Terms: withheldMark}
	admit(w.Sign(w.Statement("licence/2026-003", record.Authority, licence), "authority/officer-2"), true)
	admit(w.ImportListed("36", w.NewListedDesignation("36", withheldMark+" Ships")), true)
	admit(w.ImportListed("36", &record.Amendment{Type: "correction", Reason: "renamed", Set: schema.Object{{Name: "target", Value: schema.Object{{Name: "name", Value: "Merlin Ships"}}}}}), false)
	return w, marked, func(which ...int) {
		now = nil
		for _, i := range which {
			now = append(now, marked[i])
		}
		slices.SortFunc(now, func(a, b Withheld) int { return int(a.Index) - int(b.Index) })
	}
}

// shows says whether an answer has the mark, in any form in which an entry is handed out.
func shows(t testing.TB, r *httptest.ResponseRecorder) bool {
	t.Helper()
	body := r.Body.Bytes()
	if r.Header().Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.ToLower(string(body) + fmt.Sprint(r.Header()))
	if strings.Contains(text, withheldMark) {
		return true
	}
	// Payloads are base64 in an entry, and entries are base64 in a receipt.
	for _, word := range strings.FieldsFunc(string(body), func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("+/=", c))
	}) {
		inner, err := base64.StdEncoding.DecodeString(word)
		if err != nil || len(word) < 16 {
			continue
		}
		again := httptest.NewRecorder()
		again.Body.Write(inner)
		if shows(t, again) {
			return true
		}
	}
	return false
}

// markedPaths are, beside those of [queryCosts], the paths of the marked records, of each
// route.
func markedPaths(marked []Withheld) map[string][]string {
	paths := map[string][]string{
		"/tile/*path":                             {"/tile/entries/000.p/13", "/tile/entries/000.p/4"},
		"/v1/records":                             {"/v1/records?thread=" + url.QueryEscape("designation/2026-014"), "/v1/records?issuer=borealis"},
		"/v1/register/designations":               {"/v1/register/designations?limit=1000", "/v1/register/designations?program=CLOUD-1"},
		"/v1/register/designations/:id":           {"/v1/register/designations/2026-014", "/v1/register/designations/2026-015", "/v1/register/designations/ofac-sdn-36"},
		"/v1/register/licences/:id":               {"/v1/register/licences/2026-003"},
		"/v1/register/parties/:id":                {"/v1/register/parties/borealis", "/v1/register/parties/acme-cloud"},
		"/v1/register/parties/:id/keys":           {"/v1/register/parties/borealis/keys", "/v1/register/parties/acme-cloud/keys"},
		"/v1/register/duties/:id":                 {"/v1/register/duties/borealis"},
		"/v1/register/identifiers/:scheme/:value": {"/v1/register/identifiers/asn/64511"},
		"/v1/register/search":                     {"/v1/register/search?q=" + withheldMark[:5], "/v1/register/search?q=" + withheldMark + "s", "/v1/register/search?q=64511", "/v1/register/search?q=2026-015"},
		"/search":                                 {"/search?q=" + withheldMark[:5]},
		"/designations/:id":                       {"/designations/2026-014", "/designations/2026-015", "/designations/ofac-sdn-36"},
		"/parties/:id":                            {"/parties/borealis", "/parties/acme-cloud"},
		"/licences/:id":                           {"/licences/2026-003"},
		"/jurisdictions/:code":                    {"/jurisdictions/XB"},
		"/identifiers/:scheme/:value":             {"/identifiers/asn/64511"},
	}
	for _, e := range marked {
		paths["/v1/records/:id"] = append(paths["/v1/records/:id"], "/v1/records/"+e.Record.String())
		paths["/v1/records/:id/receipt"] = append(paths["/v1/records/:id/receipt"], "/v1/records/"+e.Record.String()+"/receipt", "/v1/records/"+e.Record.String()+"/receipt?chain=true")
		paths["/records/:id"] = append(paths["/records/:id"], "/records/"+e.Record.String())
		paths["/v1/entries/:index"] = append(paths["/v1/entries/:index"], fmt.Sprintf("/v1/entries/%d", e.Index))
	}
	return paths
}

// withheldShow are the routes that show something of the marked records while they are not
// withheld: without that the test below proves nothing of them. The others never do.
var withheldShow = strings.Fields(`/tile/*path /v1/records/:id /v1/records/:id/receipt /v1/entries/:index
	/v1/register/designations /v1/register/designations/:id /v1/register/licences/:id /v1/register/parties /v1/register/parties/:id /v1/register/parties/:id/keys
	/v1/register/identifiers/:scheme/:value /v1/register/search / /search /designations /designations/:id /parties /parties/:id /records/:id
	/licences/:id /jurisdictions/:code /identifiers/:scheme/:value`)

// No route gives the bytes of a withheld entry, nor what is decoded of them: to nobody, in no
// form. A route that is new has a row in queryCosts, or this fails.
func TestNoRouteGivesWhatIsWithheld(t *testing.T) {
	w, marked, withhold := withheldWorld(t)
	costs, paths := queryCosts(w), markedPaths(marked)
	each := func(visit func(route, path string, r *httptest.ResponseRecorder)) {
		t.Helper()
		for _, route := range w.server.routes() {
			if route.method != http.MethodGet {
				continue
			}
			row, ok := costs[route.path]
			if !ok {
				t.Errorf("GET %s: nobody has said what can be asked of it", route.path)
			}
			asked := slices.Concat(row.paths, paths[route.path])
			if route.path == "/v1/stream" { // it ends after as many as there are
				asked = []string{fmt.Sprintf("/v1/stream?from=0&limit=%d", w.ledger.Head().Size)}
			}
			for _, path := range asked {
				visit(route.path, path, w.get(path))
				if strings.HasPrefix(path, "/tile/") {
					visit(route.path, path, w.get(path, "Accept-Encoding", "gzip"))
				}
			}
		}
	}
	shown := map[string]bool{}
	each(func(route, path string, r *httptest.ResponseRecorder) { shown[route] = shown[route] || shows(t, r) })
	for _, route := range withheldShow {
		if !shown[route] {
			t.Errorf("GET %s shows nothing of the records that are not withheld yet: the test asks it nothing", route)
		}
	}
	var all []int
	for i := range marked {
		all = append(all, i)
	}
	withhold(all...)
	each(func(route, path string, r *httptest.ResponseRecorder) {
		if r.Code >= 500 {
			t.Errorf("GET %s: %d %s", path, r.Code, r.Body)
		}
		if asked := strings.ToLower(path); shows(t, r) && !strings.Contains(asked, withheldMark) {
			t.Errorf("GET %s gives what is withheld: %d %.500q", path, r.Code, r.Body)
		}
	})
	withhold()
	if r := w.get("/v1/records/" + marked[0].Record.String()); r.Code != http.StatusOK || !shows(t, r) {
		t.Errorf("what is withheld no more: %d %s", r.Code, r.Body)
	}
}

// What is submitted by a withheld key, or about a withheld record, is answered without their
// words.
func TestAnswersToSubmissionsWithhold(t *testing.T) {
	w, marked, withhold := withheldWorld(t)
	amendment := w.Sign(w.Statement("designation/2026-014", record.Authority, &record.Amendment{Type: "alias", Reason: "more", Add: schema.Object{{Name: "target", Value: schema.Object{{Name: "alias", Value: []any{schema.Object{{Name: "name", Value: "Kestrel"}, {Name: "type", Value: "aka"}}}}}}}}), "authority/officer-1", "authority/officer-2")
	revoked := w.Sign(w.Statement("party/borealis", "borealis", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: w.KeyID("borealis/ci")}}}), "borealis/"+withheldMark)
	alone := w.Sign(w.Statement("designation/2026-099", record.Authority, w.NewDesignation("Merlin")), "borealis/"+withheldMark)
	others := w.Sign(w.Statement("party/borealis", record.Authority, &record.Keys{Revoke: []record.KeyRevocation{{KeyID: w.KeyID("borealis/" + withheldMark)}}}), "authority/officer-1")
	again := w.Sign(w.Statement("party/borealis", "borealis", &record.Keys{Add: []record.PartyKey{w.Automation("borealis/nightly")}}), "borealis/"+withheldMark)
	for i, env := range []record.Envelope{amendment, revoked, others, again, alone} {
		withhold()
		r := w.post(env.Marshal(), "dry-run=true")
		if i < 3 && !shows(t, r) {
			t.Errorf("answer %d quotes nothing that could be withheld: %s", i, r.Body)
		}
		withhold(0, 1, 2)
		if r := w.post(env.Marshal(), "dry-run=true"); shows(t, r) {
			t.Errorf("a dry run gives what is withheld: %d %s", r.Code, r.Body)
		}
	}
	withhold(0, 1, 2)
	if r := w.post(alone.Marshal()); shows(t, r) || r.Code != http.StatusForbidden {
		t.Errorf("a refusal gives what is withheld: %d %s", r.Code, r.Body)
	}

	// Whoever signed is named by what is shown of the enrolment.
	one := w.Sign(w.Statement("designation/2026-099", record.Authority, w.NewDesignation("Merlin")), "authority/officer-1")
	const named = "signed (officer-1)"
	withhold()
	if r := w.post(one.Marshal()); !strings.Contains(r.Body.String(), named) {
		t.Fatalf("%s", r.Body)
	}
	marked[0].Index, marked[0].Kind, marked[0].Thread = 1, record.KindEnrolment, "party/authority"
	withhold(0)
	if r := w.post(one.Marshal()); strings.Contains(r.Body.String(), named) || !strings.Contains(r.Body.String(), "signed (withheld: ") {
		t.Errorf("a refusal names who signed: %s", r.Body)
	}
}

// The answer says which entries, why and by whose order, and what proves them; everything
// else goes on, on the write path too.
func TestWithheldAnswers(t *testing.T) {
	w, marked, withhold := withheldWorld(t)
	e := marked[0]
	receipt := w.get("/v1/records/" + e.Record.String() + "/receipt")
	full := w.get("/tile/entries/000.p/13")
	withhold(0)

	p := w.wantProblem(w.get("/v1/records/"+e.Record.String()+"/receipt"), problemWithheld)
	verified := w.verifyReceipt(receipt.Body.Bytes())
	if p["leaf"] != proof.LeafHash(verified.Entry()).String() || p["index"] != float64(e.Index) {
		t.Errorf("leaf %v of index %v", p["leaf"], p["index"])
	}
	if words := fmt.Sprint(p["detail"]); !strings.Contains(words, "entry 3 is withheld by this server since ") || !strings.Contains(words, e.Reason) || !strings.Contains(words, e.Order) {
		t.Errorf("the detail does not say why: %s", words)
	}
	// The proof with the entry that somebody has is a receipt.
	header, rest, _ := strings.Cut(p["proof"].(string), "\n")
	again := header + "\nextra " + base64.StdEncoding.EncodeToString(verified.Entry()) + "\n" + rest
	if v := w.verifyReceipt([]byte(again)); v.Index() != e.Index {
		t.Errorf("the proof is of index %d", v.Index())
	}

	r := w.get("/tile/entries/000.p/13")
	p = w.wantProblem(r, problemWithheld)
	if r.Header().Get("Link") != `</>; rel="blocked-by"` || r.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", r.Header())
	}
	if list := p["withheld"].([]any); len(list) != 1 || list[0].(map[string]any)["record"] != e.Record.String() {
		t.Errorf("withheld: %v", list)
	}
	// All other entries are there: those before it in the narrower bundle, each by its index.
	narrow := w.get("/tile/entries/000.p/3")
	if narrow.Code != http.StatusOK || !strings.Contains(fmt.Sprint(p["detail"]), "/tile/entries/000.p/3") {
		t.Errorf("the entries before it: %d, and the detail is %v", narrow.Code, p["detail"])
	}
	bundle, err := proof.ParseEntryBundle(full.Body.Bytes(), 13)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range bundle {
		got := w.get(fmt.Sprintf("/v1/entries/%d", i))
		switch {
		case uint64(i) == e.Index:
			w.wantProblem(got, problemWithheld)
		case got.Code != http.StatusOK || got.Body.String() != string(want):
			t.Errorf("entry %d: %d %s", i, got.Code, got.Body)
		}
	}
	if hashes := w.get("/tile/0/000.p/13"); hashes.Code != http.StatusOK {
		t.Errorf("the tile: %d", hashes.Code)
	}

	// The place of the record stays: dates, thread and IDs in the lists and the register.
	d := w.wantJSON(w.get("/v1/register/designations/2026-014"), http.StatusOK)
	if d["name"] != "withheld: "+e.Reason || d["thread"] != "designation/2026-014" || d["effectiveFrom"] == nil || d["responseDue"] == nil || d["opened"] != e.Record.String() {
		t.Errorf("the register says %v", d)
	}
	if duties := w.wantJSON(w.get("/v1/register/duties?designation=2026-014"), http.StatusOK)["duties"].([]any); len(duties) == 0 {
		t.Error("nobody owes an answer any more")
	}
	// As it was before the record, the register says what it said.
	if before := w.wantJSON(w.get("/v1/register/parties/acme-cloud"), http.StatusOK); before["legalName"] != "acme-cloud, Inc. (fictional)" {
		t.Errorf("another thread: %v", before["legalName"])
	}
	// A record that follows the withheld one is admitted; what is sent again is known.
	w.mustSubmit(w.Sign(w.Statement("designation/2026-014", record.Authority, &record.Suspension{EffectiveOn: w.today(), Reason: "talks"}), "authority/officer-1", "authority/officer-2"))
	entry, err := record.ParseEntry(verified.Entry())
	if err != nil {
		t.Fatal(err)
	}
	w.wantProblem(w.post(entry.Envelope.Marshal()), problemWithheld)
	if v := w.get("/v1/records?thread=designation/2026-014"); v.Code != http.StatusOK || len(w.wantJSON(v, 200)["records"].([]any)) != 2 {
		t.Errorf("the thread: %s", v.Body)
	}

	// A chain that rests on it says which.
	withhold(1)
	response := w.Respond("2026-014", "borealis", &record.Response{Status: "acknowledged"})
	w.mustSubmit(response)
	p = w.wantProblem(w.get("/v1/records/"+record.IDOf(response.Payload).String()+"/receipt?chain=true"), problemWithheld)
	if p["index"] != float64(marked[1].Index) {
		t.Errorf("the chain: %v", p)
	}
	if _, err := json.Marshal(p); err != nil {
		t.Fatal(err)
	}
}

// A full bundle that was served, and is in the cache, is withheld as well.
func TestCachedBundleIsWithheld(t *testing.T) {
	var now []Withheld
	w := newEnrolledWorld(t, settings{server: Config{Withheld: func() []Withheld { return now }}}, "acme-cloud")
	w.admitAll(w.enrolAgain("acme-cloud", 300))
	if r := w.get("/tile/entries/000"); r.Code != http.StatusOK {
		t.Fatalf("%d %s", r.Code, r.Body)
	}
	now = []Withheld{{Index: 200, Reason: "order", Thread: "party/acme-cloud", Kind: record.KindEnrolment}}
	w.wantProblem(w.get("/tile/entries/000", "Accept-Encoding", "gzip"), problemWithheld)
	if r := w.get("/tile/entries/000.p/200"); r.Code != http.StatusOK {
		t.Errorf("the entries before it: %d", r.Code)
	}
	if r := w.get("/tile/entries/001.p/10"); r.Code != http.StatusOK {
		t.Errorf("the next bundle: %d", r.Code)
	}
}
