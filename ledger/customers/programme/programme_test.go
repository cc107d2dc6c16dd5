package programme_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/record/draft/form"
)

// TestTemplate: what init writes is a programme, and names every member that there is.
func TestTemplate(t *testing.T) {
	text := programme.Template(`acme "cloud"`, date(t, "2027-01-01"))
	p := parse(t, text)
	if p.Name != `acme "cloud"` || p.From != date(t, "2027-01-01") || len(p.Risks) != 2 {
		t.Errorf("read back: %+v", p)
	}
	for _, name := range programme.Members() {
		if !strings.Contains(text, name+":") {
			t.Errorf("the template does not show %s", name)
		}
	}
	// What is commented out is a programme too.
	var lines []string
	for line := range strings.Lines(text) {
		rest, off := strings.CutPrefix(line, "  # ")
		if off {
			line = "  " + rest
		}
		lines = append(lines, line)
	}
	if p := parse(t, strings.Join(lines, "")); len(p.Risks) != 3 || p.Risks[0].ID != "high-risk-country" || !slices.Equal(p.Risks[0].When.Countries, []string{"XB", "XC"}) {
		t.Errorf("with what is commented out: %+v", p.Risks)
	}
}

func TestParseFaults(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"an unknown member", "noticeDays: 30", "noticeDay: 30", `line 15: verification.noticeDay is no field here; did you mean "noticeDays"?`},
		{"a member that is missing", "name: plain\n", "", "name is missing"},
		{"no value", "name: plain", "name:", "line 2: name has no value, and is required"},
		{"a member twice", "name: plain", "name: plain\nname: other", "line 3: name stands here twice"},
		{"an unknown element", "[name, address, email, ip]", "[name, adress]", `line 6: elements.person.1 is "adress"; want one of name, country, address, email, telephone, ip, payment; did you mean "address"?`},
		{"an unknown method", "methods: [documentary, non-documentary]", "methods: [papers]", `line 10: verification.methods.0 is "papers"; want one of documentary, non-documentary, other`},
		{"a period in words", "within: P30D", "within: 30 days", `line 11: verification.within "30 days" is not a period like P30D, P2W, P6M, P1Y or P1Y6M0D`},
		{"a day that is none", "2020-01-01", "2021-02-29", `line 3: from "2021-02-29" is no day of the calendar`},
		{"a country in words", "[XB]", "[Atlantis]", `line 17: risks.0.when.countries.0 "Atlantis" is not two capital letters (ISO 3166-1 alpha-2)`},
		{"verified again at once", "again: P1Y", "again: P0D", "line 12: verification.again is no time at all, and would be due for ever: write P1Y, or leave the line out"},
		{"a risk verified again at once", "again: P6M", "again: P0D", "line 17: risks.0.again is no time at all, and would be due for ever: write P1Y, or leave the line out"},
		{"two risks of one name", "id: hidden", "id: country", "line 18: risks.1.id is that of item 0 too: what is due is told by it"},
		{"a risk that holds for nobody", "{ownersHidden: true}", "{ownersHidden: false}", "line 18: risks.1.when holds for nobody: name a condition that is true"},
		{"owners of a person", "{ownersHidden: true}", "{ownersHidden: true, type: person}", "line 18: risks.1.when.type holds for nobody: a person has no owners"},
		{"a risk that demands nothing", "methods: [documentary], within: P7D, again: P6M", "within: P30D", "line 17: risks.0 demands nothing beyond the programme: give elements, methods, again, or a shorter within"},
		{"a risk by a method that does not count", "{nonDocumentaryOnly: true}, methods: [documentary]", "{nonDocumentaryOnly: true}, methods: [other]", "line 19: risks.2.methods.0 is other, which does not count by verification.methods"},
		{"without a document, and not said by what instead", "{nonDocumentaryOnly: true}, methods: [documentary]", "{nonDocumentaryOnly: true}, again: P1M", "line 19: risks.2.methods is missing: whoever meets the condition is verified; say by which methods instead, as [documentary]"},
		{"a negative notice", "noticeDays: 30", "noticeDays: -1", "line 15: verification.noticeDays is -1; want 0 to 365"},
		{"an anchor", "name: plain", "name: &a plain", "line 2: name uses an anchor or alias: write the value out"},
		{"a tab", "  within: P5D", "\twithin: P5D", "reading the programme: line 8: a tab stands at its beginning: YAML is indented by spaces alone"},
		{"no close", "close: P20D", "measures: []", "measures stands here twice"},
		{"a list", plain, "- a", "reading the programme: no members like name: and from: stand in it"},
		{"nothing", plain, "\n# later\n", "reading the programme: the file is empty; docket customers init writes one to begin with"},
		{"two", plain, "name: a\n---\nname: b\n", "reading the programme: line 2: a second document; write one a file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(plain, tt.old) {
				t.Fatalf("the programme has no %q", tt.old)
			}
			_, err := programme.Parse([]byte(strings.Replace(plain, tt.old, tt.new, 1)))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got:\n%v\nwant: %s", err, tt.want)
			}
		})
	}
	if _, err := programme.Parse(make([]byte, 1<<20)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a megabyte: %v", err)
	}
	if _, err := programme.NewHistory(parse(t, plain), parse(t, strings.Replace(plain, "name: plain", "name: other", 1))); err == nil || !strings.Contains(err.Error(), "2020-01-01") {
		t.Errorf("two versions of one day: %v", err)
	}
}

// FuzzParse: whatever is written, there is a programme or a reason, with a line where it is
// about the members.
func FuzzParse(f *testing.F) {
	f.Add([]byte(plain))
	f.Add([]byte(programme.Template("acme", date(f, "2027-01-01"))))
	f.Add([]byte(`{"name":"x","from":"2027-01-01","risks":[{"id":"a","when":{"type":"person"}}]}`))
	f.Add([]byte("name: !!binary aGk=\nfrom: *a\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := programme.Parse(raw)
		var faults *form.Error
		switch {
		case err == nil:
			if h, err := programme.NewHistory(p); err != nil || h.On(p.From) != p {
				t.Errorf("a programme that is not in force on its first day: %v", err)
			}
		case p != nil:
			t.Error("a programme beside an error")
		case errors.As(err, &faults) && len(faults.Faults) == 0:
			t.Error("an error without a fault")
		}
	})
}
