package draft

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft/form"
)

var (
	openLine = regexp.MustCompile(`^([ -]*[a-zA-Z0-9]+:)\s+# (required: |required, e\.g\. |e\.g\. |)(.*)$`)
	fileLine = regexp.MustCompile(`^(document: \{file:) `)
	offLine  = regexp.MustCompile(`(?m)^# ( *(?:- )?[a-zA-Z0-9]+:)`)
)

// fillTemplate writes into each open place what its comment offers.
func fillTemplate(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if fileLine.MatchString(line) {
			lines[i] = strings.Replace(line, "{file:", "{file: f.pdf", 1)
			continue
		}
		m := openLine.FindStringSubmatch(line)
		switch {
		case m == nil:
		case m[2] == "required: " || m[2] == "" && strings.Contains(m[3], " | "):
			words, _, _ := strings.Cut(m[3], ";")
			words, isList := strings.CutPrefix(words, "a list of ")
			options := strings.Split(words, " | ")
			if isList {
				lines[i] = m[1] + " [" + options[1] + "]"
			} else {
				lines[i] = m[1] + " " + options[0]
			}
		case m[2] != "":
			example, _, _ := strings.Cut(m[3], ";")
			lines[i] = m[1] + " " + example
		}
		if strings.HasPrefix(lines[i], "recipient:") {
			lines[i] = "recipient: age1pq1" + strings.Repeat("q", 1952)
		}
		if strings.HasPrefix(line, "policy: |") {
			lines[i] = line + "\n  log docket.example/2026+5f1c0a92+Ad\n  quorum none"
		}
	}
	// A checkpoint's lines stand above its place, as they are to stand in it.
	if at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "checkpoint: |") }); at > 0 {
		for i := at - 5; i < at; i++ {
			lines[at] += "\n" + strings.TrimPrefix(lines[i], "# ")
		}
	}
	return strings.Join(lines, "\n")
}

func TestTemplateFilledParses(t *testing.T) {
	for _, kind := range record.Kinds() {
		text, err := Template(string(kind), nil)
		if err != nil {
			t.Fatal(err)
		}
		var empty *form.Error
		if _, err := ParseShortForm([]byte(text), fictionalResolver); !errors.As(err, &empty) {
			t.Errorf("%s: a template nobody filled in: %v", kind, err)
		}
		filled := fillTemplate(text)
		filled = strings.Replace(filled, "  root: 2", "  root: 1", 1) // the template shows one root key
		if _, err := ParseShortForm([]byte(filled), fictionalResolver); err != nil {
			t.Errorf("%s: %v\n%s", kind, err, filled)
		}
	}
}

// TestTemplateHasEveryField: with every # taken away, nothing is unknown and
// nothing is misplaced; only what was left empty, or excludes one another, is wrong.
func TestTemplateHasEveryField(t *testing.T) {
	for _, kind := range record.Kinds() {
		text, err := Template(string(kind), nil)
		if err != nil {
			t.Fatal(err)
		}
		sp, err := record.SpecOf(kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range sp.Own.FieldNames() {
			if !strings.Contains(text, name+":") {
				t.Errorf("%s: no field %s", kind, name)
			}
		}
		all := fillTemplate(offLine.ReplaceAllString(text, "$1"))
		_, err = ParseShortForm([]byte(all), fictionalResolver)
		var faults *form.Error
		if err != nil && !errors.As(err, &faults) {
			t.Errorf("%s: %v\n%s", kind, err, all)
			continue
		}
		for i := 0; faults != nil && i < len(faults.Faults); i++ {
			if f := faults.Faults[i]; !strings.Contains(f.Detail, "has no value") {
				t.Errorf("%s: %v\n%s", kind, f, all)
			}
		}
	}
}

// What is given stands in its place, whole and commented, and nothing else changes.
func TestTemplateTakesWhatIsGiven(t *testing.T) {
	text, err := Template("charter", TemplateValues{
		"document": {"{file: charter.pdf}"}, "name": {"Office"}, "origin": {"docket.example/2026"}, "timeZone": {"UTC"}, "rules": {"1"},
		"rootKeys":        {"{key: {file: root-1.pub}, holder: root-1}", "{key: {file: root-2.pub}, holder: root-2}"},
		"thresholds.root": {"2"}, "policy": {"{file: policy.txt}"}, "imports": {"[]"},
	})
	if err != nil {
		t.Fatal(err)
	}
	short, err := ParseShortForm([]byte(fillTemplate(text)), fictionalResolver)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	c := short.Statement.Predicate.(*record.Charter)
	if len(c.RootKeys) != 2 || c.RootKeys[1].Holder != "root-2" || c.Policy != fictionalPolicy || c.Name != "Office" || len(c.Imports) != 0 || c.Thresholds.Root != 2 {
		t.Errorf("%+v\n%s", c, text)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "policy: {file: policy.txt}") && !strings.Contains(line, "# required; tlog-policy") {
			t.Errorf("no comment: %s", line)
		}
	}
}

// A policy stands in a file of its own, where the short form says so.
func TestPolicyFile(t *testing.T) {
	text, err := Template("charter", TemplateValues{"policy": {"{file: policy.txt}"}})
	if err != nil {
		t.Fatal(err)
	}
	var faults *form.Error
	if _, err := ParseShortForm([]byte(text), ShortFormResolver{}); !errors.As(err, &faults) || !strings.Contains(err.Error(), "policy names a file (policy.txt), and this input cannot read one") {
		t.Errorf("no files: %v", err)
	}
}
