package server

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// pageFact is one line of what a page says about its thing.
type pageFact struct{ Name, Value string }

// pageFacts leaves out what is not there.
func pageFacts(pairs ...string) []pageFact {
	var list []pageFact
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, pageFact{pairs[i], pairs[i+1]})
		}
	}
	return list
}

type threadLine struct {
	ID       record.ID
	Index    uint64
	Kind     record.Kind
	Admitted string
	Issuer   string
}

func threadLines(records []register.Record) []threadLine {
	lines := make([]threadLine, len(records))
	for i, r := range records {
		lines[i] = threadLine{r.ID, r.Index, r.Kind, r.Admitted.Format(pageTimeFormat), r.Issuer}
	}
	return lines
}

type dutyLine struct {
	Party, Designation string
	Kind               register.DutyKind
	State, Words       string // the state, as people are told it
	Due                string
	MetBy, Met, MetOn  string // a record, what it says, and when; empty if the duty is not met
}

func dutyLines(duties []register.Duty, ahead bool) []dutyLine {
	lines := make([]dutyLine, len(duties))
	for i, d := range duties {
		words := d.State.Words(ahead)
		lines[i] = dutyLine{Party: d.Party, Designation: designationName(d.Designation), Kind: d.Kind, State: string(d.State), Words: words, Due: dateOrNone(d.Due)}
		if words != lines[i].State {
			lines[i].State = string(register.DutyOpen) // nor is it shown as such
		}
		if d.MetBy != nil {
			lines[i].MetBy, lines[i].Met, lines[i].MetOn = d.MetBy.String(), cmp.Or(d.Answer, "certified"), dateOrNone(d.MetOn)
		}
	}
	return lines
}

// pageTimeFormat is how people see an instant.
const pageTimeFormat = "2006-01-02 15:04:05Z"

func designationName(thread string) string { return strings.TrimPrefix(thread, "designation/") }

func dateOrNone(d *record.Date) string {
	if d == nil {
		return ""
	}
	return d.String()
}

func aliasesText(list []record.Alias) string {
	names := make([]string, len(list))
	for i, a := range list {
		names[i] = a.Name + " (" + a.Type
		if a.Weak {
			names[i] += ", weak"
		}
		names[i] += ")"
	}
	return strings.Join(names, "; ")
}

func addressesText(list []record.Address) string {
	lines := make([]string, len(list))
	for i, a := range list {
		var parts []string
		for _, part := range []string{a.Full, a.Street, a.City, a.Region, a.PostalCode, a.Country} {
			if part != "" {
				parts = append(parts, part)
			}
		}
		lines[i] = strings.Join(parts, ", ")
	}
	return strings.Join(lines, "; ")
}

func sourceText(s *register.SourceName) string {
	if s == nil {
		return ""
	}
	return s.List + ", entry " + s.ID
}

func joinNumbers(list []int64) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(words, ", ")
}

func joinWords[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, w := range list {
		words[i] = string(w)
	}
	return strings.Join(words, ", ")
}
