package view

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Source says of which ledger an answer is that is read far from it, and as of when: a
// calendar, a feed.
type Source struct {
	Ledger record.ID // of its first charter
	Name   string    // of the newest
	Origin string
	Size   uint64 // the entries that the answer rests on
	Root   string // of the tree of that size, base64, as a checkpoint has it
	At     time.Time
	URL    string // of the ledger's server, without a slash at its end; "" where none is known
}

// SourceOf is the source of a view's answers for an instant.
func (v *View) SourceOf(at time.Time, root, url string) (Source, error) {
	c, err := v.Charter()
	if err != nil {
		return Source{}, err
	}
	return Source{Ledger: c.Records[0], Name: c.Charter.Name, Origin: c.Charter.Origin, Size: v.Size(), Root: root, At: at, URL: url}, nil
}

// Checkpoint names the tree that the answer rests on, in the words of a checkpoint.
func (s Source) Checkpoint() string { return fmt.Sprintf("%s %d %s", s.Origin, s.Size, s.Root) }

// Calendar writes duties as an iCalendar (RFC 5545): one all-day event on each due date, a
// civil date of the charter's time zone. The UID of a duty stays, whatever moves its date.
//
// It is our own few lines and no library's: it streams, so that a party with a million duties
// takes no memory; and a library takes text as it comes, while here none of it, which
// others have signed, may end a line or a property.
type Calendar struct {
	w      *bufio.Writer
	source Source
	ahead  bool
}

// NewCalendar begins a calendar. ahead: it is asked about a day to come.
func NewCalendar(w io.Writer, title string, source Source, ahead bool) *Calendar {
	c := &Calendar{w: bufio.NewWriter(w), source: source, ahead: ahead}
	c.line("BEGIN", "VCALENDAR")
	c.line("VERSION", "2.0")
	c.line("PRODID", "-//docket//duties//EN")
	c.line("CALSCALE", "GREGORIAN")
	c.text("NAME", title) // RFC 7986, and the name that was used before it
	c.text("X-WR-CALNAME", title)
	c.text("DESCRIPTION", "as of the checkpoint "+source.Checkpoint())
	c.line("REFRESH-INTERVAL;VALUE=DURATION", "PT12H")
	return c
}

// CalendarTitle is what a calendar of the duties that the filter chooses is called.
func (f DutyFilter) CalendarTitle(ledger string) string {
	title := "Duties"
	if f.Party != "" {
		title += " of " + f.Party
	}
	if f.Designation != "" {
		title += " by " + string(record.NamedDesignation(f.Designation))
	}
	return title + ", " + ledger
}

// InCalendar reports whether a calendar has a duty that the filter chooses: one with a due
// date that is still to be met, unless the filter names a state.
func (f DutyFilter) InCalendar(d Duty) bool {
	return d.Due != nil && (f.State != "" || d.State == DutyOpen || d.State == DutyOverdue)
}

// Add writes the event of a duty; one without a due date has none.
func (c *Calendar) Add(d Duty) {
	if d.Due == nil {
		return
	}
	summary := d.Kind.Words()
	if about := d.About(); about != "" {
		summary += " " + about
	}
	if d.Target != "" {
		summary += " (" + d.Target + ")"
	}
	says := fmt.Sprintf("%s: %s, due %s, %s", d.Party, summary, d.Due, d.State.Words(c.ahead))
	if d.MetOn != nil {
		says += fmt.Sprintf(" on %s", d.MetOn)
	}
	says += "\nrests on"
	for _, id := range d.Records {
		says += "\n" + id.String()
	}
	if d.State == DutyOverdue && !c.ahead || d.State == DutyMet || d.State == DutyLate {
		summary = string(d.State) + ": " + summary
	}
	c.line("BEGIN", "VEVENT")
	c.line("UID", fmt.Sprintf("%s@%s", d.uid(), c.source.Ledger))
	c.line("DTSTAMP", c.source.At.UTC().Format("20060102T150405Z"))
	c.line("DTSTART;VALUE=DATE", strings.ReplaceAll(d.Due.String(), "-", ""))
	c.text("SUMMARY", errorMark(d.Error)+summary)
	c.text("DESCRIPTION", says)
	c.text("CATEGORIES", string(d.Kind))
	c.line("TRANSP", "TRANSPARENT") // whoever owes is not busy all day
	if c.source.URL != "" {
		c.line("URL", c.source.URL+"/records/"+d.OpenedBy.String())
	}
	c.line("END", "VEVENT")
}

// NotWhole writes an event on a day that says that the calendar has only some of the duties: a
// client shows no other answer to whoever looks at it.
func (c *Calendar) NotWhole(today record.Date, next string) {
	c.line("BEGIN", "VEVENT")
	c.line("UID", fmt.Sprintf("not-whole@%s", c.source.Ledger))
	c.line("DTSTAMP", c.source.At.UTC().Format("20060102T150405Z"))
	c.line("DTSTART;VALUE=DATE", strings.ReplaceAll(today.String(), "-", ""))
	c.text("SUMMARY", "This calendar is not whole: there are more duties")
	c.text("DESCRIPTION", next)
	c.line("END", "VEVENT")
}

// Close ends the calendar. Its error is the first of all writes.
func (c *Calendar) Close() error {
	c.line("END", "VCALENDAR")
	return c.w.Flush()
}

// uid tells the duty from every other of its ledger, by what neither a new due date nor an
// answer changes: of two that one record opened, by what they are about.
func (d Duty) uid() string {
	from := ""
	if d.From != nil {
		from = d.From.String()
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{d.Party, string(d.Kind), d.About(), d.OpenedBy.String(), from}, "\n")))
	return fmt.Sprintf("%x", sum[:16])
}

// errorMark leads what is said of a designation that was published in error.
func errorMark(yes bool) string {
	if yes {
		return "published in error, "
	}
	return ""
}

// text writes a property of type TEXT (RFC 5545 section 3.3.11): the characters that mean
// something are escaped, and other control characters, which it cannot hold, are left out.
func (c *Calendar) text(name, value string) {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(value, "\uFFFD") {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\\' || r == ';' || r == ',':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' && r != '\t' || r == 0x7f:
		default:
			b.WriteRune(r)
		}
	}
	c.line(name, b.String())
}

// maxCalendarLine is how many octets a line has, its end not counted (RFC 5545 section 3.1).
const maxCalendarLine = 75

// line writes a property, folded between characters.
func (c *Calendar) line(name, value string) {
	rest, room := name+":"+value, maxCalendarLine
	for len(rest) > room {
		cut := room
		for !utf8.RuneStart(rest[cut]) {
			cut--
		}
		c.w.WriteString(rest[:cut])
		c.w.WriteString("\r\n ")
		rest, room = rest[cut:], maxCalendarLine-1 // the blank counts
	}
	c.w.WriteString(rest)
	c.w.WriteString("\r\n")
}
