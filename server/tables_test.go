package server

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// table reads all pages of a table: its header, then its rows.
func (w *world) table(path string) (rows [][]string) {
	w.t.Helper()
	for path != "" {
		r := w.get(path)
		if r.Code != http.StatusOK || r.Header().Get("Content-Type") != typeTable {
			w.t.Fatalf("%s: %d %s", path, r.Code, r.Body)
		}
		text, marked := strings.CutPrefix(r.Body.String(), view.ByteOrderMark)
		page, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || !marked || len(page) == 0 {
			w.t.Fatalf("%s: %v: %s", path, err, r.Body)
		}
		if len(rows) > 0 {
			page = page[1:]
		}
		rows = append(rows, page...)
		next, ok := strings.CutSuffix(r.Header().Get("Link"), `>; rel="next"`)
		if path = strings.TrimPrefix(next, "<http://example.com"); !ok {
			path = ""
		}
	}
	return rows
}

// Every list is a table too, of as many rows as the JSON has items, in its order; each row names the checkpoint, and no
// cell is a formula.
func TestListsAreTables(t *testing.T) {
	w := sampleWorld(t)
	evil := `=HYPERLINK("https://evil.example";"Kestrel")`
	w.mustSubmit(w.Designate("2027-001", w.NewDesignation(evil)))
	day := w.today()
	w.mustSubmit(w.Sign(w.Statement("licence/2027-001", record.Authority, &record.Licence{
		Type: record.LicenceSpecific, Holder: "acme-cloud", Designations: []string{"2026-014"}, From: day, Until: day.AddDays(9), Permits: "+wind-down",
	}), "authority/officer-2"))
	w.mustSubmit(w.Request("1", w.NewRequest("acme-cloud")))
	checkpoint := w.wantJSON(w.get("/v1/register/parties"), http.StatusOK)["asOf"].(map[string]any)["root"].(string)
	for path, list := range map[string][2]string{
		"/v1/records": {"records", "record"}, "/v1/register/designations": {"designations", "thread"}, "/v1/register/licences": {"licences", "thread"},
		"/v1/register/parties": {"parties", "party"}, "/v1/register/duties": {"duties", "party"}, "/v1/register/requests": {"requests", "thread"},
		"/v1/register/cooperation": {"cooperation", "jurisdiction"}, "/v1/register/search?q=kestrel": {"hits", "thread"},
		"/v1/register/identifiers/domain/kestrel.example": {"matches", "thread"},
	} {
		bare, query, _ := strings.Cut(path, "?")
		table := bare + ".csv?" + query
		if strings.Contains(path, "identifiers") {
			table = "/v1/register/identifiers.csv?scheme=domain&value=kestrel.example"
		}
		if !strings.Contains(path, "cooperation") {
			table += "&limit=2"
		}
		rows := w.table(strings.Replace(table, "?&", "?", 1))
		header, column := rows[0], -1
		for i, name := range header {
			if name == list[1] {
				column = i
			}
		}
		items := w.wantJSON(w.get(path), http.StatusOK)[list[0]].([]any)
		if column < 0 || header[len(header)-1] != "checkpoint" || len(rows) != len(items)+1 || len(items) == 0 {
			t.Errorf("%s: columns %q, %d rows of %d items", table, header, len(rows)-1, len(items))
			continue
		}
		for i, row := range rows[1:] {
			if row[column] != items[i].(map[string]any)[list[1]] || !strings.HasSuffix(row[len(row)-1], " "+checkpoint) {
				t.Errorf("%s, row %d: %q, of %v", table, i+1, row, items[i])
			}
			for _, cell := range row {
				if cell != view.SpreadsheetText(view.FromSpreadsheetText(cell)) {
					t.Errorf("%s: a spreadsheet runs %q", table, cell)
				}
			}
		}
	}
	if found := w.table("/v1/register/designations.csv?name=" + `%3DHYPERLINK(%22https://evil.example%22%3B%22Kestrel%22)`); len(found) != 2 || found[1][1] != "'"+evil {
		t.Errorf("a name that begins as a formula is %q", found)
	}
	w.wantProblem(w.get("/v1/register/identifiers.csv?scheme=lei"), problemParameter)
	w.wantProblem(w.get("/v1/register/identifiers.csv?value=x"), problemParameter)
	w.wantProblem(w.get("/v1/register/duties.csv?party=nobody"), problemNotFound)
	for _, page := range []string{"/designations?status=announced", "/parties", "/duties", "/licences", "/requests", "/cooperation", "/records?kind=designation", "/search?q=kestrel", "/identifiers/domain/kestrel.example"} {
		if text := w.getPage(page, http.StatusOK); !strings.Contains(text, ".csv") {
			t.Errorf("%s has no table to take along", page)
		}
	}
}

// The API tells a designation's life and what its amendments changed, as its page does.
func TestDesignationLifeAndAmendments(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	order := w.NewDesignation("Kestrel Hosting")
	w.mustSubmit(w.Designate("2026-014", order))
	officers := []string{"authority/officer-1", "authority/officer-2"}
	for range 12 {
		for _, change := range []schema.Object{schema.ObjectOf("target", schema.ObjectOf("registrationNumber", "1")), schema.ObjectOf("target", schema.ObjectOf("registrationNumber", "2"))} {
			w.mustSubmit(w.Sign(w.Statement("designation/2026-014", record.Authority, &record.Amendment{Type: "correction", Reason: "Misprinted.", Set: change}), officers...))
		}
	}
	w.mustSubmit(w.Sign(w.Statement("designation/2026-014", record.Authority, &record.Suspension{EffectiveOn: *order.EffectiveFrom, Reason: "talks"}), officers...))
	d := w.wantJSON(w.get("/v1/register/designations/2026-014"), http.StatusOK)
	var life []string
	for _, s := range d["life"].([]any) {
		span := s.(map[string]any)
		life = append(life, span["status"].(string)+" "+span["from"].(string))
	}
	if got, want := strings.Join(life, ", "), "announced "+w.today().String()+", suspended "+order.EffectiveFrom.String()+", expired "+order.EffectiveUntil.AddDays(1).String(); got != want {
		t.Errorf("its life is %s, want %s", got, want)
	}
	amendments := d["amendments"].([]any)
	last := amendments[len(amendments)-1].(map[string]any)
	if !jsonEqual(last["changes"], []any{map[string]any{"member": "target.registrationNumber", "removed": []any{"1"}, "added": []any{"2"}}}) || last["index"] != float64(w.server.publishedSize()-2) {
		t.Errorf("the last amendment is %v", last)
	}
	if len(amendments) != 10 || !strings.Contains(fmt.Sprint(d["cut"]), "amendments") || !strings.Contains(fmt.Sprint(d["more"]), "amendments") {
		t.Errorf("%d amendments, cut %v", len(amendments), d["cut"])
	}
	w.wantOnPage("/designations/2026-014", "Registration number − 1 + 2")
}
