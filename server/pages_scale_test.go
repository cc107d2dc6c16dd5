package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// wideLedger has 9,000 fictional designations of a list, as an import makes them, and some orders that two providers have
// to answer. What is not counted here is admitted at once, without a request each.
func wideLedger(t *testing.T) *world {
	w := newEnrolledWorld(t, settings{fast: true}, "acme-cloud", "borealis")
	words := strings.Fields("Kestrel Lumen Harrow Quill Tarn Osprey Meridian Calder Vane Brook Ashgrove Northway Saltmarsh Ember Fallow")
	countries, programs := []string{"XB", "XC", "XD", "XE", ""}, []string{"SDGT", "NPWMD", "CYBER2", "IRAN", "DPRK3"}
	w.admitAll(func(yield func(record.Envelope) bool) {
		for i := range 9000 {
			name := fmt.Sprintf("%s %s %s %d", words[i%len(words)], words[i/len(words)%len(words)], []string{"Trading", "Shipping", "Cloud"}[i%3], i)
			d := w.NewListedDesignation(fmt.Sprint(i), name)
			d.Target.Country, d.Program = countries[i%len(countries)], []string{programs[i%len(programs)]}
			if !yield(w.ImportListed(fmt.Sprint(i), d)) {
				return
			}
		}
		for i := range 20 {
			if !yield(w.Designate(fmt.Sprintf("2026-%03d", i), w.NewDesignation("Order "+fmt.Sprint(i)))) {
				return
			}
		}
	})
	return w
}

// maxPageRows is how many rows of the register a page reads, however many there are; some 20 ms of one core.
const maxPageRows = 2_300

// On a ledger of 9,000 designations each page is small, and reads few rows: the numbers above the lists are of all
// designations, since those are read beside the requests, and what is chosen is found without reading all else.
func TestPagesOfAWideLedger(t *testing.T) {
	if testing.Short() {
		t.Skip("nothing here runs side by side that is not raced elsewhere")
	}
	w := wideLedger(t)
	paths := []string{
		"/", "/?at=2040-01-01", "/search?q=kestrel", "/search?q=kestrel+lumen+17", "/search?q=zzyzx", "/designations", "/designations?status=announced", "/designations?country=XD&program=IRAN",
		"/designations?country=NO", "/designations?name=order+7", "/designations?at=2040-01-01", "/designations/ofac-sdn-4711", "/designations/2026-014", "/duties", "/duties?state=overdue", "/duties?party=acme-cloud", "/duties?designation=2026-014",
		"/licences", "/requests", "/cooperation", "/jurisdictions/XB", "/parties", "/parties/authority", "/parties/acme-cloud", "/changes", "/changes?from=0", "/records", "/records?kind=designation", "/records?issuer=authority",
		"/records/" + w.Head("designation/2026-014").String(), "/threads/charter", "/identifiers/domain/kestrel.example", "/lists", "/checkpoints", "/schemas", "/api", "/how-to-verify",
	}
	look := func(when string) {
		for _, path := range paths {
			cost := w.cost(http.MethodGet, path)
			if cost.status != http.StatusOK || cost.bytes > maxPageBytes || cost.rows > maxPageRows {
				t.Errorf("%s, %s: %d, %d bytes, %d rows; want %d bytes and %d rows at most", path, when, cost.status, cost.bytes, cost.rows, maxPageBytes, maxPageRows)
			}
			if testing.Verbose() {
				t.Logf("%-45s %6d bytes %6d rows", path, cost.bytes, cost.rows)
			}
		}
	}
	look("before the lists are read")
	if page := w.pageText("/designations"); !strings.Contains(page, notAll) {
		t.Error("numbers of a part are not said to be")
	}
	keep := func() {
		t.Helper()
		for _, step := range []func(context.Context, *Server) error{w.server.designationList.step, w.server.dutyList.step, w.server.licenceList.step, w.server.requestList.step} {
			if err := step(t.Context(), w.server); err != nil {
				t.Fatal(err)
			}
		}
	}
	keep()
	look("after")
	w.wantOnPage("/", "9000 in force", "20 announced", "Nobody: every duty that fell due is answered.")
	w.wantOnPage("/designations", "9020 designations , as they stand today")
	w.wantOnPage("/designations?country=XD&program=IRAN", "Nothing on this ledger fits all of these filters")
	w.wantOnPage("/designations?country=XD&program=CYBER2", "1800 designations with these filters", "XD 1800")
	w.wantOnPage("/designations?country=NO", "Nothing on this ledger fits all of these filters")
	w.wantOnPage("/designations?name=order+7", "1 designation")
	w.wantOnPage("/jurisdictions/XB", "All that are designated there")
	w.wantOnPage("/lists", "ofac-sdn 9000 9000")
	w.wantOnPage("/duties", "40") // twenty orders, two providers

	// A list goes on where it stood, whatever comes meanwhile; and what comes is on the page once it is read.
	size := w.server.publishedSize()
	page := w.getPage("/designations?country=XB", http.StatusOK)
	w.mustSubmit(w.Designate("2026-900", w.NewDesignation("Newcomer")))
	if seen := w.followList("/designations?country=XB", page); seen != 1820 {
		t.Errorf("the pages of a country have %d designations, want 1820", seen)
	}
	if text := w.pageText("/designations"); !strings.Contains(text, fmt.Sprintf("as of size %d", size)) || !strings.Contains(text, "9020 designations") {
		t.Errorf("before it is read again the page is not of the size that was read:\n%.400s", text)
	}
	keep()
	w.wantOnPage("/designations", fmt.Sprintf("as of size %d", size+1), "9021 designations")
}

// followList counts the rows of a list by its pages.
func (w *world) followList(path, page string) (rows int) {
	w.t.Helper()
	for range 100 {
		rows += strings.Count(page, `data-label="Designation"`)
		m := nextLink.FindStringSubmatch(page)
		if m == nil {
			return rows
		}
		page = w.getPage(strings.ReplaceAll(m[1], "&amp;", "&"), http.StatusOK)
	}
	w.t.Errorf("%s goes on for ever", path)
	return rows
}
