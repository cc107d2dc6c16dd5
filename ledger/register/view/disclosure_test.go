package view_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// requestsOf are the requests that a filter chooses, a line each.
func requestsOf(t *testing.T, v *view.View, f view.RequestFilter, b *registertest.Fixture) (lines []string) {
	t.Helper()
	err := v.Requests(f, b.Now, func(r view.Request) bool {
		line := fmt.Sprintf("%s %s %s", r.Thread.Request(), r.Jurisdiction, r.Status)
		if r.Provider != "" {
			line += " " + r.Provider
		}
		if r.Due != nil {
			line += " due " + r.Due.String()
		}
		if r.Days != nil {
			line += fmt.Sprintf(" after %d days", *r.Days)
		}
		lines = append(lines, line)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func discloseDuties(t *testing.T, b *registertest.Fixture, f view.DutyFilter) (lines []string) {
	t.Helper()
	f.Kind = view.DutyDisclose
	err := latestView(t, b).Duties(f, b.Now, func(d view.Duty) bool {
		line := fmt.Sprintf("%s %s %s", d.Request, d.Party, d.State)
		if d.Due != nil {
			line += " due " + d.Due.String()
		}
		if d.MetOn != nil {
			line += " met on " + d.MetOn.String()
		}
		lines = append(lines, line)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func wantLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// TestCooperation counts the requests by jurisdiction, with what they rest on, and anybody can
// count anew by the list of requests.
func TestCooperation(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "borealis")
	for i, provider := range []string{"acme-cloud", "borealis", "acme-cloud", "borealis", "acme-cloud", "acme-cloud"} {
		r := b.NewRequest(provider)
		if i == 5 {
			r.Jurisdiction = "XC"
		}
		b.Must(b.Request(fmt.Sprint(i), r))
	}
	sealed, _ := b.NewSealedRequest("sealed", "borealis", today(b).AddDays(50))
	b.Must(b.Request("sealed", sealed))
	asked := today(b)
	b.Now = b.Now.Add(days(3))
	b.Must(b.Receipt("0", "acme-cloud", b.NewReceipt("0")))
	b.Must(b.Receipt("1", "borealis", b.NewChallenge("1")))
	b.Must(b.Request("2", &record.DisclosureRequest{Status: "withdrawn"}))
	b.Now = b.Now.Add(days(4))
	b.Must(b.Receipt("4", "acme-cloud", b.NewReceipt("4")))
	b.Now = b.Now.Add(days(30))
	b.Must(b.Request("3", &record.DisclosureRequest{Status: "unanswered"}))
	due := asked.AddDays(30).String()
	v := latestView(t, b)
	wantLines(t, "all requests", requestsOf(t, v, view.RequestFilter{}, b),
		"0 XB answered acme-cloud due "+due+" after 3 days", "1 XB challenged borealis due "+due, "2 XB withdrawn acme-cloud due "+due,
		"3 XB unanswered borealis due "+due, "4 XB answered acme-cloud due "+due+" after 7 days", "5 XC open acme-cloud due "+due, "sealed XB open")
	wantLines(t, "of borealis", requestsOf(t, v, view.RequestFilter{Provider: "borealis"}, b), "1 XB challenged borealis due "+due, "3 XB unanswered borealis due "+due)
	wantLines(t, "of XC", requestsOf(t, v, view.RequestFilter{Jurisdiction: "XC"}, b), "5 XC open acme-cloud due "+due)
	wantLines(t, "answered, after the first", requestsOf(t, v, view.RequestFilter{Status: view.RequestAnswered, After: "disclosure/0"}, b), "4 XB answered acme-cloud due "+due+" after 7 days")
	list, err := v.Cooperation("", b.Now)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	got := list[0]
	if got.Jurisdiction != "XB" || got.Asked != 6 || got.Answered != 2 || got.Unanswered != 1 || got.Challenged != 1 || got.Withdrawn != 1 || got.Open != 1 || got.Sealed != 1 || *got.MedianDays != 5 {
		t.Errorf("XB: %+v", got)
	}
	if got := list[1]; got.Jurisdiction != "XC" || got.Asked != 1 || got.Open != 1 || got.MedianDays != nil {
		t.Errorf("XC: %+v", got)
	}
	one, err := v.Cooperation("XB", b.Now)
	if text, _ := json.Marshal(one); err != nil || len(one) != 1 {
		t.Errorf("asked for XB alone: %s, %v", text, err)
	}
	var recounted []record.ID
	if err := v.Requests(view.RequestFilter{Jurisdiction: "XB"}, b.Now, func(r view.Request) bool {
		recounted = append(recounted, r.Records...)
		return true
	}); err != nil || !slices.Equal(recounted, one[0].Records) || len(recounted) != 6+5 {
		t.Errorf("recounted it rests on %d records, %d were said (%v)", len(recounted), len(one[0].Records), err)
	}
	if none, err := v.Cooperation("XZ", b.Now); err != nil || none == nil || len(none) != 0 {
		t.Errorf("of XZ, which nobody asked: %v, %v", none, err)
	}
	if _, err := v.WithBudget(register.ReadBudget{Rows: 12, Bytes: 1 << 20}).Cooperation("", b.Now); !errors.Is(err, register.ErrOverBudget) {
		t.Errorf("with a small budget: %v", err)
	}
	wantLines(t, "on the day of asking", requestsOf(t, v, view.RequestFilter{}, atStart(b))[:1], "0 XB open acme-cloud due "+due)

	// Page after page, with a budget that holds for few requests, the list is whole.
	var pages []string
	for after := ""; ; {
		err := v.WithBudget(register.ReadBudget{Rows: 25, Bytes: 1 << 20}).Requests(view.RequestFilter{After: after}, b.Now, func(r view.Request) bool {
			pages = append(pages, r.Thread.Request())
			return true
		})
		var more *view.PartialListError
		if !errors.As(err, &more) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		after = more.After
	}
	wantLines(t, "in pages", pages, "0", "1", "2", "3", "4", "5", "sealed")
}

// atStart is the fixture at the instant at which its story began.
func atStart(b *registertest.Fixture) *registertest.Fixture {
	w := *b.World
	w.Now = start
	return &registertest.Fixture{World: &w, Register: b.Register}
}

// TestDiscloseDuties tells what providers owe on requests, one state after the other.
func TestDiscloseDuties(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "borealis")
	b.Must(b.Request("1", b.NewRequest("acme-cloud")))
	b.Must(b.Request("2", b.NewRequest("borealis")))
	due := today(b).AddDays(30).String()
	all := view.DutyFilter{}
	wantLines(t, "asked", discloseDuties(t, b, all), "disclosure/1 acme-cloud open due "+due, "disclosure/2 borealis open due "+due)
	wantLines(t, "of one", discloseDuties(t, b, view.DutyFilter{Party: "borealis"}), "disclosure/2 borealis open due "+due)
	wantLines(t, "of a designation", func() []string {
		b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
		return discloseDuties(t, b, view.DutyFilter{Designation: "1"})
	}())
	b.Must(b.Receipt("1", "acme-cloud", b.NewChallenge("1")))
	wantLines(t, "challenged in time", discloseDuties(t, b, view.DutyFilter{Party: "acme-cloud"}), "disclosure/1 acme-cloud paused")
	b.Now = b.Now.Add(days(31))
	wantLines(t, "a day after dueOn", discloseDuties(t, b, all), "disclosure/1 acme-cloud paused", "disclosure/2 borealis overdue due "+due)
	b.Must(b.Receipt("2", "borealis", b.NewChallenge("2")))
	wantLines(t, "challenged too late", discloseDuties(t, b, view.DutyFilter{State: view.DutyOverdue}), "disclosure/2 borealis overdue due "+due)
	b.Must(b.Request("1", &record.DisclosureRequest{Status: "unanswered"}))
	b.Must(b.Receipt("2", "borealis", b.NewReceipt("2")))
	wantLines(t, "unanswered, and answered late", discloseDuties(t, b, all), "disclosure/1 acme-cloud overdue due "+due, "disclosure/2 borealis late due "+due+" met on "+today(b).String())
	b.Must(b.Request("1", &record.DisclosureRequest{Status: "withdrawn"}))
	wantLines(t, "withdrawn", discloseDuties(t, b, view.DutyFilter{Party: "acme-cloud"}), "disclosure/1 acme-cloud lapsed due "+due)

	// From page to page each is told once, wherever a page ends.
	var whole, pages []string
	v := latestView(t, b)
	collect := func(to *[]string, f view.DutyFilter, most int) (last string) {
		n := 0
		if err := v.Duties(f, b.Now, func(d view.Duty) bool {
			*to, last = append(*to, fmt.Sprint(d.Kind, d.Party, d.Request, d.Designation)), d.Position()
			n++
			return n != most
		}); err != nil {
			t.Fatal(err)
		}
		return last
	}
	collect(&whole, all, 0)
	for after := ""; ; {
		before := len(pages)
		after = collect(&pages, view.DutyFilter{After: after}, 1)
		if len(pages) == before {
			break
		}
	}
	wantLines(t, "in pages", pages, whole...)
	for _, bad := range []string{"disclosure/1/acme-cloud acme-cloud 1", "disclosure/1 acme-cloud x", "assessment/1/acme-cloud acme-cloud 1"} {
		if err := v.Duties(view.DutyFilter{After: bad}, b.Now, nil); !errors.Is(err, view.ErrBadPosition) {
			t.Errorf("after %q: %v", bad, err)
		}
	}
}

// TestSealedTellsNothing: nothing that is asked of the register, and nothing that a dry run says,
// tells whom a sealed request asks, or by what, before it is opened; afterwards the duty is
// due a response period after that.
func TestSealedTellsNothing(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "borealis")
	until := today(b).AddDays(40)
	sealed, open := b.NewSealedRequest("1", "acme-cloud", until)
	env := b.Request("1", sealed)
	if told := effectsOf(t, b, env); strings.Contains(told, "acme") || strings.Contains(told, "warrant") {
		t.Errorf("a dry run says %q", told)
	}
	before := allOf(t, b)
	b.Must(env)
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	r, err := latestView(t, b).Request("disclosure/1", b.Now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, told := range []string{string(text), view.Summary(st), fmt.Sprint(requestsOf(t, latestView(t, b), view.RequestFilter{}, b))} {
		if strings.Contains(told, "acme") || strings.Contains(told, "warrant") {
			t.Errorf("told of a sealed request: %s", told)
		}
	}
	if !r.Sealed || r.Status != view.RequestOpen || r.Due != nil || *r.SealedUntil != until {
		t.Errorf("as it stands: %s", text)
	}
	wantLines(t, "of whom it asks", requestsOf(t, latestView(t, b), view.RequestFilter{Provider: "acme-cloud"}, b))
	wantLines(t, "what is owed", discloseDuties(t, b, view.DutyFilter{}))
	if now := allOf(t, b); now != before {
		t.Errorf("of the two parties is told\n%s\nand was\n%s", now, before)
	}
	sealedAt := b.Now
	b.Now = b.Now.Add(days(40))
	due := today(b).AddDays(30).String()
	opens := b.Request("1", &record.DisclosureRequest{Status: "requested", Open: open})
	if told := effectsOf(t, b, opens); told != "opens disclosure/1, which asks acme-cloud by warrant; opens 1 duty to disclose, due "+due {
		t.Errorf("a dry run of its opening says %q", told)
	}
	b.Must(opens)
	wantLines(t, "opened", discloseDuties(t, b, view.DutyFilter{Party: "acme-cloud"}), "disclosure/1 acme-cloud open due "+due)
	if then, err := latestView(t, b).Request("disclosure/1", sealedAt); err != nil || !then.Sealed || then.Provider != "" || then.Type != "" || then.Due != nil {
		t.Errorf("as it stood: %+v, %v", then, err)
	}
	b.Now = b.Now.Add(days(2))
	b.Must(b.Receipt("1", "acme-cloud", b.NewReceipt("1")))
	wantLines(t, "answered", requestsOf(t, latestView(t, b), view.RequestFilter{Provider: "acme-cloud"}, b), "1 XB answered acme-cloud due "+due+" after 2 days")
}

// allOf is all that is told of the parties.
func allOf(t *testing.T, b *registertest.Fixture) string {
	t.Helper()
	var out []any
	for _, id := range []string{"acme-cloud", "borealis"} {
		p, err := latestView(t, b).Party(id, start)
		if err != nil {
			t.Fatal(err)
		}
		p.KnowableBy = view.Knowable{} // how much was knowable, of everything
		out = append(out, p)
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDisclosureEffects reads what a dry run says before each record of some requests.
func TestDisclosureEffects(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud", "borealis")
	b.Must(b.Auditor("north-audit"))
	due := today(b).AddDays(30).String()
	late := func(env func() record.Envelope) func() record.Envelope {
		return func() record.Envelope {
			b.Now = b.Now.Add(days(31))
			return env()
		}
	}
	says := func(name, status string) func() record.Envelope {
		return func() record.Envelope { return b.Request(name, &record.DisclosureRequest{Status: status}) }
	}
	for _, c := range []struct {
		say  func() record.Envelope
		want string
	}{
		{func() record.Envelope { return b.Request("1", b.NewRequest("acme-cloud")) }, "asks acme-cloud by warrant; opens 1 duty to disclose, due " + due},
		{func() record.Envelope { return b.Request("2", b.NewRequest("borealis")) }, "asks borealis by warrant; opens 1 duty to disclose, due " + due},
		{says("2", "challenged"), "disclosure/2 is challenged: the duty to disclose is paused"},
		{says("2", "withdrawn"), "withdraws disclosure/2: final, and nobody owes an answer"},
		{func() record.Envelope { return b.Receipt("1", "acme-cloud", b.NewChallenge("1")) }, "challenges disclosure/1: the duty to disclose is paused"},
		{late(says("1", "unanswered")), "disclosure/1 went unanswered; it counts as such until it is answered"},
		{func() record.Envelope { return b.Receipt("1", "acme-cloud", b.NewReceipt("1")) }, "meets the duty to disclose of disclosure/1, late: it was due " + due},
		{func() record.Envelope { return b.Receipt("1", "acme-cloud", b.NewReceipt("1")) }, "adds to the answer to disclosure/1, whose duty was met before"},
		{func() record.Envelope { return b.Request("3", b.NewRequest("borealis")) }, "asks borealis by warrant; opens 1 duty to disclose, due " + today(b).AddDays(61).String()},
		{func() record.Envelope { return b.Receipt("3", "borealis", b.NewReceipt("3")) }, "meets the duty to disclose of disclosure/3"},
		{func() record.Envelope { return b.Request("4", b.NewRequest("borealis")) }, "asks borealis by warrant; opens 1 duty to disclose, due " + today(b).AddDays(61).String()},
		{late(func() record.Envelope { return b.Receipt("4", "borealis", b.NewChallenge("4")) }), "challenges disclosure/4, too late to put the duty to disclose off: it is overdue"},
		{func() record.Envelope {
			return b.Sign(b.Statement("assessment/1/north-audit", "north-audit", b.NewAssessment("acme-cloud")), "north-audit/lead")
		}, "north-audit gives its opinion, unqualified, for " + today(b).AddDays(62-365).String() + " until " + today(b).AddDays(61).String()},
	} {
		env := c.say()
		if got := effectsOf(t, b, env); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		b.Must(env)
	}
}
