package view

import (
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// ChangeWriter writes changes in a format that others read.
type ChangeWriter interface {
	Add(Change) error
	Close() error // the format's end; its error is the first of all writes
}

// Table writes a list as CSV.
type Table struct {
	w          *csv.Writer
	checkpoint string
}

// NewTable begins a table (RFC 4180), a [ByteOrderMark] and a header first: the columns, and the checkpoint that
// all rows rest on. A cell that a spreadsheet would take for a formula gets an apostrophe before it
// ([SpreadsheetText]).
func NewTable(w io.Writer, source Source, columns ...string) *Table {
	t := &Table{csv.NewWriter(w), source.Checkpoint()}
	t.w.UseCRLF = true
	header := append(slices.Clone(columns), "checkpoint")
	header[0] = ByteOrderMark + header[0]
	t.w.Write(header)
	return t
}

// Row writes a row: a cell for each column.
func (t *Table) Row(cells ...string) error {
	row := make([]string, 0, len(cells)+1)
	for _, c := range cells {
		row = append(row, SpreadsheetText(c))
	}
	return t.w.Write(append(row, SpreadsheetText(t.checkpoint)))
}

// Close ends the table; its error is the first of all writes.
func (t *Table) Close() error {
	t.w.Flush()
	return t.w.Error()
}

// changesTable is [NewChangesCSV].
type changesTable struct{ *Table }

// NewChangesCSV begins a table of changes.
func NewChangesCSV(w io.Writer, source Source) ChangeWriter {
	return changesTable{NewTable(w, source, "thread", "name", "before", "after", "changed", "publishedInError", "updated", "records")}
}

func (t changesTable) Add(ch Change) error {
	wrong, updated := "", ""
	if ch.Error {
		wrong = "true"
	}
	if !ch.Updated.IsZero() {
		updated = ch.Updated.UTC().Format(time.RFC3339Nano)
	}
	return t.Row(string(ch.Thread), ch.Name, ch.Before, ch.After, strings.Join(ch.Changed, " "), wrong, updated, joinIDs(ch.Records, " "))
}

// ByteOrderMark begins each table that is made for a spreadsheet, since some take UTF-8 for
// something else without it, and show names in other scripts as garbage. Programs have
// formats of their own, in JSON.
const ByteOrderMark = "\ufeff"

// SpreadsheetText is a cell that no spreadsheet takes for a formula: names are text that
// others have signed. One that begins with one of = + - @, a tab or a line end, behind
// apostrophes or not, gets an apostrophe before it, so that whoever takes the first one
// away from such a cell has what was there.
func SpreadsheetText(s string) string {
	if looksLikeFormula(s) {
		return "'" + s
	}
	return s
}

// FromSpreadsheetText is what [SpreadsheetText] was given, of the cell that it made.
func FromSpreadsheetText(cell string) string {
	if text, ok := strings.CutPrefix(cell, "'"); ok && looksLikeFormula(text) {
		return text
	}
	return cell
}

// looksLikeFormula reports whether a spreadsheet takes a text for a formula, but for
// apostrophes before it.
func looksLikeFormula(s string) bool {
	bare := strings.TrimLeft(s, "'")
	return bare != "" && strings.ContainsRune("=+-@\t\r\n", rune(bare[0]))
}

func joinIDs(ids []record.ID, separator string) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return strings.Join(texts, separator)
}

// FeedLinks are a feed's own addresses; "" where there is none.
type FeedLinks struct {
	Self, Next string
}

// changesFeed is [NewChangesFeed].
type changesFeed struct {
	e      *xml.Encoder
	w      io.Writer
	source Source
	first  error
}

const atomNamespace = "http://www.w3.org/2005/Atom"

var feedStart = xml.StartElement{Name: xml.Name{Local: "feed"}, Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: atomNamespace}}}

type atomLink struct {
	XMLName xml.Name `xml:"link"`
	Rel     string   `xml:"rel,attr"`
	Href    string   `xml:"href,attr"`
}

type atomEntry struct {
	XMLName  xml.Name      `xml:"entry"`
	ID       string        `xml:"id"`
	Title    string        `xml:"title"`
	Updated  string        `xml:"updated"`
	Category *atomCategory `xml:"category"`
	Links    []atomLink
	Content  string `xml:"content"` // of type text, as without one
}

type atomCategory struct {
	Term string `xml:"term,attr"`
}

// NewChangesFeed begins an Atom feed of changes (RFC 4287): an entry a thread. Its ID stays
// as long as no other record is on the thread and the clock changes nothing more; its time
// is that of the newest record, or of what the clock alone changed the day asked about.
func NewChangesFeed(w io.Writer, source Source, links FeedLinks) ChangeWriter {
	f := &changesFeed{e: xml.NewEncoder(w), w: w, source: source}
	_, f.first = io.WriteString(w, xml.Header)
	f.token(feedStart)
	f.element("id", fmt.Sprintf("urn:docket:%s:changes", source.Ledger))
	f.element("title", "Changes, "+source.Name)
	f.element("subtitle", "as of the checkpoint "+source.Checkpoint())
	f.element("updated", atomTime(source.At))
	author := xml.StartElement{Name: xml.Name{Local: "author"}}
	f.token(author)
	f.element("name", source.Name)
	f.token(author.End())
	for _, l := range []atomLink{{Rel: "self", Href: links.Self}, {Rel: "next", Href: links.Next}} {
		if l.Href != "" {
			f.value(l)
		}
	}
	return f
}

func atomTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func (f *changesFeed) Add(ch Change) error {
	entry := atomEntry{Updated: atomTime(ch.Updated), Category: &atomCategory{string(ch.Thread.Family())}}
	title := string(ch.Thread)
	if ch.Name != "" {
		title += " (" + ch.Name + ")"
	}
	switch {
	case ch.Before != ch.After:
		title += fmt.Sprintf(": %s → %s", ch.Before, ch.After)
	case ch.After != "":
		title += ": " + ch.After
	}
	entry.Title = errorMark(ch.Error) + title
	if len(ch.Records) > 0 {
		entry.ID = fmt.Sprintf("urn:docket:%s:%s:%s", f.source.Ledger, ch.Thread, ch.newest)
		entry.Content = "records\n" + joinIDs(ch.Records, "\n")
	} else {
		entry.ID = fmt.Sprintf("urn:docket:%s:%s:%s:%s:%s", f.source.Ledger, ch.Thread, ch.newest, ch.Before, ch.After)
		entry.Updated = atomTime(f.source.At.Truncate(24 * time.Hour))
		entry.Content = "by the clock, as the records up to this one have it\n" + ch.newest.String()
	}
	if len(ch.Changed) > 0 {
		entry.Content = "changed " + strings.Join(ch.Changed, ", ") + "\n" + entry.Content
	}
	if f.source.URL != "" {
		entry.Links = []atomLink{{Rel: "alternate", Href: f.source.URL + "/records/" + ch.newest.String()}}
	}
	f.value(entry)
	return f.first
}

func (f *changesFeed) Close() error {
	f.token(feedStart.End())
	f.keep(f.e.Close())
	_, err := io.WriteString(f.w, "\n")
	f.keep(err)
	return f.first
}

// keep remembers the first error.
func (f *changesFeed) keep(err error) {
	if f.first == nil {
		f.first = err
	}
}

func (f *changesFeed) token(t xml.Token) { f.keep(f.e.EncodeToken(t)) }

func (f *changesFeed) value(v any) { f.keep(f.e.Encode(v)) }

func (f *changesFeed) element(name, text string) {
	f.keep(f.e.EncodeElement(text, xml.StartElement{Name: xml.Name{Local: name}}))
}
