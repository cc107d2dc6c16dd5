package programme_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// plain is a programme with one rule of each sort, in force before everything.
const plain = `
name: plain
from: 2020-01-01
customers: foreign
elements:
  person: [name, address, email, ip]
  entity: [name, owners]
  within: P5D
verification:
  methods: [documentary, non-documentary]
  within: P30D
  again: P1Y
  changed: {elements: [name, country, owners], within: P10D}
  expired: P1M
  noticeDays: 30
risks:
  - {id: country, when: {countries: [XB]}, methods: [documentary], within: P7D, again: P6M}
  - {id: hidden, when: {ownersHidden: true}, elements: [telephone], within: P3D}
  - {id: paper, when: {nonDocumentaryOnly: true}, methods: [documentary], within: P90D}
unverifiable: {measures: [limited-purposes], close: P20D}
screening: {decide: P2D, close: P1D}
`

func parse(t testing.TB, text string) *programme.Programme {
	t.Helper()
	p, err := programme.Parse([]byte(text))
	if err != nil {
		t.Fatalf("the test's programme: %v", err)
	}
	return p
}

func history(t testing.TB, texts ...string) *programme.History {
	t.Helper()
	var all []*programme.Programme
	for _, text := range texts {
		all = append(all, parse(t, text))
	}
	h, err := programme.NewHistory(all...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func date(t testing.TB, text string) record.Date {
	t.Helper()
	d, err := record.ParseDate(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// at reads a day, at noon in UTC, or an instant.
func at(t testing.TB, text string) time.Time {
	t.Helper()
	if len(text) == len("2006-01-02") {
		text += "T12:00:00Z"
	}
	v, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// life is a customer's chain in the making.
type life struct {
	t      testing.TB
	state  event.State
	events []programme.Logged
}

// add appends an event, which the log takes in when it happens.
func (l *life) add(when string, c event.Content) *life {
	l.t.Helper()
	time := at(l.t, when)
	e := &event.Event{Header: event.Header{Handle: l.state.Handle, Kind: c.Kind(), Time: time, Logged: time, Number: l.state.Chain.Leaves, Before: l.state.Chain.Last}, Content: c}
	index := uint64(len(l.events) * 3)
	next, err := l.state.Apply(e, index)
	if err != nil {
		l.t.Fatalf("%s at %s: %v", c.Kind(), when, err)
	}
	l.state = next
	l.events = append(l.events, programme.Logged{Event: e, Index: index})
	return l
}

var handles byte

// person begins a life that lacks nothing but a verification; edit changes it first.
func person(t testing.TB, when string, edit ...func(*event.Opened)) *life {
	c := &event.Opened{Account: "acct-1", Type: "person", Name: "Ana Reed", Country: "XA", Address: &event.Address{Full: "1 Quay", Country: "XA"}, Email: []string{"ana@reed.example"}, Telephone: []string{"+99 555 0101"}}
	return open(t, when, c, append([]func(*event.Opened){func(c *event.Opened) { c.IP = addrs("192.0.2.7") }}, edit...))
}

func entity(t testing.TB, when string, edit ...func(*event.Opened)) *life {
	return open(t, when, &event.Opened{Account: "acct-2", Type: "entity", Name: "Marsh Lantern Trading", Country: "XA", Owners: []event.Owner{{Name: "Ilse Marsh"}}, Telephone: []string{"+99 555 0102"}}, edit)
}

func open(t testing.TB, when string, c *event.Opened, edit []func(*event.Opened)) *life {
	t.Helper()
	for _, f := range edit {
		f(c)
	}
	handles++
	l := &life{t: t, state: event.State{Handle: event.Handle{handles, 1}}}
	return l.add(when, c)
}

func verified(method string, edit ...func(*event.Verified)) *event.Verified {
	v := &event.Verified{Method: method, Outcome: "verified", By: "compliance-1"}
	if method == "documentary" {
		v.Document = &event.IdentityDocument{Kind: "passport"}
	}
	for _, f := range edit {
		f(v)
	}
	return v
}

func expiring(t testing.TB, day string) func(*event.Verified) {
	return func(v *event.Verified) { d := date(t, day); v.Document.ExpiresOn = &d }
}

var failed = &event.Verified{Method: "documentary", Outcome: "unverifiable", By: "compliance-1"}

func hit(thread string) *event.Flagged {
	return &event.Flagged{What: "hit", Thread: thread, Matched: "/name", Outcome: "open"}
}

func decision(thread, outcome string) *event.Flagged {
	return &event.Flagged{What: "decision", Thread: thread, Matched: "/name", Outcome: outcome, By: "compliance-1", Reason: "looked"}
}

// text writes what is due on one line each: "verify by 2027-02-03 late (country)".
func text(day record.Date, all []programme.Due) string {
	var lines []string
	for _, d := range all {
		line := fmt.Sprintf("%s by %s", d.Duty, d.By)
		if about := strings.Join(append(slices.Clone(d.Elements), d.About), " "); strings.TrimSpace(about) != "" {
			line = strings.TrimSpace(fmt.Sprintf("%s %s by %s", d.Duty, strings.TrimSpace(about), d.By))
		}
		if d.Late(day) {
			line += " late"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}
