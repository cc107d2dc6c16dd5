package server

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

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
			if pages++; pages > 20 {
				t.Fatalf("%s goes on for ever", path)
			}
			text := w.getPage(todo[0], http.StatusOK)
			todo = todo[1:]
			for _, link := range nextLink.FindAllStringSubmatch(text, -1) {
				next := html.UnescapeString(link[1])
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
	if text := w.getPage("/parties/acme-cloud?duties=AAAA", http.StatusBadRequest); !strings.Contains(text, "not a cursor") {
		t.Errorf("a wrong cursor of a page: %s", text)
	}
}

// What alone needs more than one question may take is left out of a list, and named;
// the list goes on.
func TestListsNameSkippedItems(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{QueryBudget: register.ReadBudget{Rows: 100, Bytes: 1 << 20}}}, "acme-cloud", "borealis")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	view, err := w.register.LatestView()
	if err != nil {
		t.Fatal(err)
	}
	today := view.LocalDate(w.Now)
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
