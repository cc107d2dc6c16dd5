package server

import (
	"net/http"
	"strings"
	"testing"
)

// Every list says what is on the ledger, and leads to the same as data.
func TestPagesOfEachList(t *testing.T) {
	w := sampleWorld(t)
	for path, wants := range map[string][]string{
		"/search?q=kestrel":         {`href="/designations/2026-014"`, "data-hit", "2 hits", "docket search kestrel", "/v1/register/search?q=kestrel"},
		"/designations":             {"3 designations", `href="/designations?status=announced"`, `<b>2</b>`, "/v1/register/designations", "docket list designations"},
		"/duties":                   {`id="board"`, `href="/duties?state=open"`, "borealis", "no relationship", "/v1/register/duties.ics", "docket duties"},
		"/licences":                 {"None among all 8 records", "/v1/register/licences"},
		"/requests":                 {"None among all 8 records", "/v1/register/requests"},
		"/cooperation":              {"None among all 8 records", "/v1/register/cooperation"},
		"/parties":                  {"acme-cloud", "/v1/register/parties"},
		"/records":                  {"#7", "#0", "Kestrel Hosting", "the newest first", "/v1/records"},
		"/records?below=3":          {"#2", "#0", `rel="prev"`},
		"/records?kind=designation": {"the oldest first", "Kestrel Hosting", `<option value="designation" selected>`},
		"/changes":                  {"before the first record", "designation/2026-014", "/v1/register/changes.csv", "/v1/register/changes.atom", "new"},
		"/changes?from=5&to=8":      {"size 8", "size 5"},
		"/lists":                    {"ofac", "/v1/register/designations"},
		"/checkpoints":              {"8 records", w.policy.Fingerprint(), `href="/checkpoint"`, "no witness"},
		"/schemas":                  {"docket new designation", "/schemas/charter/v1"},
		"/api":                      {"/v1/register/changes.atom", "POST /v1/records", "/openapi.json"},
		"/how-to-verify":            {w.Head("charter").String(), "docket trust http", "--charter"},
	} {
		page := w.getPage(path, http.StatusOK)
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("%s has no %q:\n%s", path, want, page)
			}
		}
		if len(page) > 60_000 {
			t.Errorf("%s has %d bytes", path, len(page))
		}
	}
}
