package view

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
)

var feedSource = Source{Ledger: record.IDOf([]byte("charter")), Name: "Fictional Bureau", Origin: "docket.example/test", Size: 7, Root: "cm9vdA==", At: noon(3), URL: "https://docket.example"}

// writeChanges writes changes in a format.
func writeChanges(t testing.TB, begin func(io.Writer) ChangeWriter, changes ...Change) string {
	t.Helper()
	var text bytes.Buffer
	w := begin(&text)
	for _, ch := range changes {
		if err := w.Add(ch); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func asCSV(w io.Writer) ChangeWriter { return NewChangesCSV(w, feedSource) }
func asFeed(w io.Writer) ChangeWriter {
	return NewChangesFeed(w, feedSource, FeedLinks{Self: "https://docket.example/f?a=1&b=2", Next: "https://docket.example/next"})
}

// readFeed is the part of Atom that RFC 4287 section 4.1 requires, as a reader has it.
type readFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"http://www.w3.org/2005/Atom id"`
	Title   string      `xml:"http://www.w3.org/2005/Atom title"`
	Updated string      `xml:"http://www.w3.org/2005/Atom updated"`
	Author  string      `xml:"http://www.w3.org/2005/Atom author>name"`
	Links   []atomLink  `xml:"http://www.w3.org/2005/Atom link"`
	Entries []readEntry `xml:"http://www.w3.org/2005/Atom entry"`
}

type readEntry struct {
	ID      string `xml:"http://www.w3.org/2005/Atom id"`
	Title   string `xml:"http://www.w3.org/2005/Atom title"`
	Updated string `xml:"http://www.w3.org/2005/Atom updated"`
	Content string `xml:"http://www.w3.org/2005/Atom content"`
}

func parseFeed(t testing.TB, text string) readFeed {
	t.Helper()
	var f readFeed
	d := xml.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&f); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return f
}

func changed(name string) Change {
	id := record.IDOf([]byte("newest"))
	return Change{Thread: "designation/2026-014", Name: name, Before: "none", After: "announced", Records: []record.ID{record.IDOf([]byte("first")), id}, Updated: noon(2), newest: id}
}

func TestChangesFeed(t *testing.T) {
	ch := changed("Kestrel <Hosting> & ]]> \x1b[2J")
	clock := changed("Lumen")
	clock.Records, clock.Before, clock.After, clock.Error = nil, "announced", "in-force", true
	f := parseFeed(t, writeChanges(t, asFeed, ch, clock))
	if f.ID == "" || f.Title == "" || f.Author == "" || f.Updated != "2026-11-27T12:00:00Z" && f.Updated != atomTime(noon(3)) {
		t.Errorf("a feed without what RFC 4287 requires: %+v", f)
	}
	if len(f.Links) != 2 || f.Links[0].Rel != "self" || f.Links[1].Href != "https://docket.example/next" {
		t.Errorf("links %+v", f.Links)
	}
	if len(f.Entries) != 2 {
		t.Fatalf("%d entries, want 2", len(f.Entries))
	}
	one, two := f.Entries[0], f.Entries[1]
	if one.Title != "designation/2026-014 (Kestrel <Hosting> & ]]> \uFFFD[2J): none → announced" || one.Updated != atomTime(noon(2)) || !strings.Contains(one.Content, ch.newest.String()) {
		t.Errorf("%+v", one)
	}
	if !strings.HasPrefix(two.Title, "published in error, designation/2026-014") || one.ID == two.ID || !strings.Contains(two.Content, clock.newest.String()) {
		t.Errorf("%+v", two)
	}

	// The ID of an entry stays, whatever is asked about, until the thread changes again.
	again := ch
	again.Before = "suspended"
	later := ch
	later.newest = record.IDOf([]byte("newer"))
	g := parseFeed(t, writeChanges(t, asFeed, again, later))
	if g.Entries[0].ID != one.ID || g.Entries[1].ID == one.ID {
		t.Errorf("IDs %s and %s, was %s", g.Entries[0].ID, g.Entries[1].ID, one.ID)
	}
}

func TestChangesCSV(t *testing.T) {
	var names []string
	for _, first := range []string{"=", "+", "-", "@", "\t", "\r"} {
		names = append(names, first+`HYPERLINK("https://x.example","y")`)
	}
	var all []Change
	for _, name := range append(names, "Kestrel = Hosting", "") {
		all = append(all, changed(name))
	}
	rows, err := csv.NewReader(strings.NewReader(writeChanges(t, asCSV, all...))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(all)+1 || rows[0][1] != "name" {
		t.Fatalf("%d rows under %q", len(rows), rows[0])
	}
	for i, row := range rows[1:] {
		want := all[i].Name
		if i < len(names) {
			want = "'" + strings.ReplaceAll(want, "\r", "") // which ends no line of such a table
		}
		if row[1] != want {
			t.Errorf("the name %q stands as %q, want %q", all[i].Name, row[1], want)
		}
	}
	if row := rows[1]; row[7] != joinIDs(all[0].Records, " ") || row[8] != "docket.example/test 7 cm9vdA==" {
		t.Errorf("a row names the records %q and the checkpoint %q", row[7], row[8])
	}
}

// Whatever a name holds, a table has one row for it, no cell is a formula, and a feed is XML
// with one entry for it.
func FuzzChangeFormats(f *testing.F) {
	for _, s := range []string{"", "Kestrel", "=1+1", "@x", "a\r\nb", "\"", "]]>", "<!--", "\x00\xff", "'=1", " =1", "\uFFFE", "</entry>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		rows, err := csv.NewReader(strings.NewReader(writeChanges(t, asCSV, changed(name)))).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		if slices.ContainsFunc(rows[1], func(cell string) bool { return cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") }) {
			t.Errorf("a spreadsheet takes a cell of %q for a formula", rows[1])
		}
		if n := len(parseFeed(t, writeChanges(t, asFeed, changed(name))).Entries); n != 1 {
			t.Errorf("%d entries of the name %q", n, name)
		}
	})
}

// A cell is read as what it was written of, and none that is written looks like a formula.
func TestSpreadsheetText(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "Kestrel": "Kestrel", "'tis": "'tis", "''": "''", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "\nx": "'\nx",
		"'=1": "''=1", "''=1": "'''=1", "'x=1": "'x=1",
	} {
		cell := SpreadsheetText(text)
		if again := FromSpreadsheetText(cell); cell != want || again != text {
			t.Errorf("%q is %q, want %q, and read again %q", text, cell, want, again)
		}
	}
}
