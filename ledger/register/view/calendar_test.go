package view

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	ics "github.com/arran4/golang-ical"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// calendarOf writes a calendar of duties.
func calendarOf(t testing.TB, title string, duties ...Duty) string {
	t.Helper()
	var text bytes.Buffer
	c := NewCalendar(&text, title, Source{Origin: "docket.example/test", Size: 7, Root: "cm9vdA==", At: noon(3), URL: "https://docket.example"}, false)
	for _, d := range duties {
		c.Add(d)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// readCalendar reads it with another's parser, and holds every line to RFC 5545 section 3.1.
func readCalendar(t testing.TB, text string) *ics.Calendar {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		if len(line) > 75 || strings.ContainsAny(line, "\r\n") || !utf8.ValidString(line) {
			t.Errorf("no line of a calendar: %q (%d octets)", line, len(line))
		}
	}
	if !strings.HasSuffix(text, "END:VCALENDAR\r\n") {
		t.Errorf("a calendar does not end so: %q", text[max(0, len(text)-40):])
	}
	c, err := ics.ParseCalendar(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return c
}

func dutyOn(due string, target string) Duty {
	date, err := record.ParseDate(due)
	if err != nil {
		panic(err)
	}
	id := record.IDOf([]byte(target))
	return Duty{Party: "acme-cloud", Kind: DutyRespond, Designation: "designation/2026-014", Target: target, State: DutyOpen, Due: &date, OpenedBy: id, Records: []record.ID{id}}
}

func TestCalendar(t *testing.T) {
	const hostile = "Kestrel; Hosting, \\n \"GmbH\"\nEND:VEVENT\nBEGIN:VEVENT: Þórður и сыновья 東京都千代田区丸の内 東京都千代田区丸の内 東京都千代田区丸の内"
	first, second := dutyOn("2026-12-23", hostile), dutyOn("2028-02-29", "Lumen Resale")
	second.State, second.Error = DutyOverdue, true
	undated := dutyOn("2026-12-23", "Nobody knows when")
	undated.Due = nil
	c := readCalendar(t, calendarOf(t, "Duties of acme-cloud", first, undated, second))
	events := c.Events()
	if len(events) != 2 {
		t.Fatalf("%d events, want 2: one has no date", len(events))
	}
	for i, want := range []struct{ start, summary string }{
		{"20261223", "respond designation/2026-014 (" + strings.ReplaceAll(hostile, "\n", `\n`) + ")"},
		{"20280229", "published in error, overdue: respond designation/2026-014 (Lumen Resale)"},
	} {
		start := events[i].GetProperty(ics.ComponentPropertyDtStart)
		if start.Value != want.start || start.ICalParameters["VALUE"][0] != "DATE" {
			t.Errorf("event %d starts %+v, want the civil date %s", i, start, want.start)
		}
		said := strings.ReplaceAll(ics.FromText(events[i].GetProperty(ics.ComponentPropertySummary).Value), "\n", `\n`)
		if said != want.summary {
			t.Errorf("event %d says %q, want %q", i, said, want.summary)
		}
		if says := events[i].GetProperty(ics.ComponentPropertyDescription).Value; !strings.Contains(says, events[i].GetProperty(ics.ComponentPropertyUrl).Value[len("https://docket.example/records/"):]) {
			t.Errorf("event %d does not name the records that it rests on: %s", i, says)
		}
	}
	if !strings.Contains(strings.ReplaceAll(calendarOf(t, ""), "\r\n ", ""), "DESCRIPTION:as of the checkpoint docket.example/test 7 cm9vdA==\r\n") {
		t.Error("the calendar does not name the checkpoint that it is of")
	}
}

// A client takes the event of a duty for the one that it has by its UID: what moves the date
// or meets the duty leaves that, and no two duties share one.
func TestCalendarUIDs(t *testing.T) {
	d := dutyOn("2026-12-23", "Kestrel Hosting")
	moved, met, renamed := d, d, d
	later := d.Due.AddDays(9)
	moved.Due, met.State, renamed.Target = &later, DutyMet, "Kestrel AG"
	for _, same := range []Duty{moved, met, renamed} {
		if same.uid() != d.uid() {
			t.Errorf("another event for %+v", same)
		}
	}
	seen := map[string]Duty{d.uid(): d}
	for i, change := range []func(*Duty){
		func(d *Duty) { d.Party = "borealis" },
		func(d *Duty) { d.Kind = DutyConclude },
		func(d *Duty) { d.Designation = "designation/2026-015" },
		func(d *Duty) { d.OpenedBy = record.IDOf([]byte("re-opened")) },
		func(d *Duty) { d.From = d.Due },
		func(d *Duty) { d.Designation, d.Reseller, d.Task = "", "reseller/r/acme-cloud", TaskVerify },
		func(d *Duty) { d.Designation, d.Reseller, d.Task = "", "reseller/r/acme-cloud", TaskTerminate },
	} {
		other := d
		change(&other)
		if twin, known := seen[other.uid()]; known {
			t.Errorf("case %d: one event for %+v and %+v", i, twin, other)
		}
		seen[other.uid()] = other
	}
}

func FuzzCalendar(f *testing.F) {
	for _, s := range []string{"", "Kestrel Hosting", "a\r\nEND:VEVENT\r\n", strings.Repeat("ß", 200), strings.Repeat("😀", 40), "\xff\xfe;:,\\", "\\n\\", " \t ", "\x00\x1b[2J", strings.Repeat("a", 75-len("SUMMARY:"))} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, title, name string) {
		d := dutyOn("2026-12-23", name)
		c := readCalendar(t, calendarOf(t, title, d, d))
		if n := len(c.Events()); n != 2 {
			t.Fatalf("%d events, want 2, of %q", n, name)
		}
		want := strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' && r != '\n' || r == 0x7f {
				return -1
			}
			return r
		}, strings.ToValidUTF8(name, "\uFFFD"))
		said := c.Events()[0].GetProperty(ics.ComponentPropertySummary).Value
		if name != "" && said != fmt.Sprintf("respond designation/2026-014 (%s)", want) {
			t.Errorf("%q was read as %q", name, said)
		}
	})
}
