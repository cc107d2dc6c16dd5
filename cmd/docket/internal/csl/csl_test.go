package csl_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/csl"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/ofac"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// shared is where the public data lie beside the checkout; they are read there
// and never copied.
const shared = "../../../../../shared/data"

// small reads a file of testdata: fictional parties, each quirk of the format once.
func small(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func read(text string) ([]*listimport.List, []string, error) {
	return csl.Read(listimport.Input{Name: "consolidated.csv", Reader: strings.NewReader(text)})
}

func mustRead(t testing.TB, text string) []*listimport.List {
	t.Helper()
	lists, _, err := read(text)
	if err != nil {
		t.Fatal(err)
	}
	return lists
}

// describe is all that an import carries of some lists.
func describe(lists []*listimport.List, notes []string) string {
	var b strings.Builder
	for _, n := range notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	for _, l := range lists {
		fmt.Fprintf(&b, "%s, of %s\n", l.Name, l.Files[0].Name)
		for _, e := range l.Entries {
			t := e.Target
			fmt.Fprintf(&b, "  %s %s %q country %q programmes %q\n", e.ID, t.Schema, t.Name, t.Country, e.Program)
			for _, a := range t.Alias {
				fmt.Fprintf(&b, "    alias %q\n", a.Name)
			}
			for _, a := range t.Address {
				fmt.Fprintf(&b, "    address %q %s\n", a.Full, a.Country)
			}
			fmt.Fprintf(&b, "    registered %q, notice %q, from %v until %v, %s\n", t.RegistrationNumber, e.FederalRegisterNotice, e.EffectiveFrom, e.EffectiveUntil, e.URL)
		}
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if refusaltest.Update() {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := small(t, name); got != want {
		t.Errorf("%s differs (-update writes it anew):\n%s", name, got)
	}
}

func TestReadSmallLists(t *testing.T) {
	for _, name := range []string{"consolidated", "older"} {
		lists, notes, err := read(small(t, name+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".golden", describe(lists, notes))
	}
}

// What is about natural persons, and all remarks, get into no entry and no note.
func TestNothingPersonalGetsIn(t *testing.T) {
	for _, name := range []string{"consolidated.csv", "older.csv"} {
		lists, notes, err := read(small(t, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"1970", "X0000000", "Director", "Linked", "50 YEAR", "Tax ID", "aerokestrel.example", `"99"`} {
			if all := describe(lists, notes); strings.Contains(all, secret) {
				t.Errorf("%s: %q gets in:\n%s", name, secret, all)
			}
		}
	}
}

// The subject of a record is its rows as they stand in the file, to the byte.
func TestDigestIsOfTheRawRows(t *testing.T) {
	for _, name := range []string{"consolidated.csv", "older.csv"} {
		text := small(t, name)
		raw := map[string]string{} // by source and name
		for line := range strings.Lines(strings.ReplaceAll(text, "Linked to:\n", "Linked to:\x00")) {
			line = strings.ReplaceAll(line, "\x00", "\n")
			cells, err := csv.NewReader(strings.NewReader(line)).Read()
			if err != nil {
				t.Fatal(err)
			}
			if name == "consolidated.csv" {
				cells = cells[1:]
			}
			raw[cells[0]+cells[4]] += line
		}
		sources := map[string]string{
			"csl-sdn": "Specially Designated Nationals (SDN) - Treasury Department",
			"csl-el":  "Entity List (EL) - Bureau of Industry and Security",
			"csl-dpl": "Denied Persons List (DPL) - Bureau of Industry and Security",
		}
		for _, l := range mustRead(t, text) {
			if f := l.Files[0]; f.Size != int64(len(text)) || f.SHA256 != sha256.Sum256([]byte(text)) {
				t.Errorf("%s: file %+v", name, f)
			}
			for _, e := range l.Entries {
				want := raw[sources[l.Name]+e.Target.Name]
				if e.Digest != sha256.Sum256([]byte(want)) || e.Bytes != int64(len(want)) {
					t.Errorf("%s: the digest of %s is not of its rows:\n%s", name, e.ID, want)
				}
			}
		}
	}
}

// testRegister is a register of designations, as little of one as an import needs.
type testRegister map[record.Thread]listimport.Current

func (r testRegister) of(list string) iter.Seq2[listimport.Current, error] {
	return func(yield func(listimport.Current, error) bool) {
		for _, c := range r {
			if c.Designation.Source.List == list && !yield(c, nil) {
				return
			}
		}
	}
}

var today = record.Date{Year: 2026, Month: 11, Day: 23}

func (r testRegister) plan(t testing.TB, lists []*listimport.List) (items []listimport.Item) {
	t.Helper()
	for _, l := range lists {
		p, err := listimport.Diff(l, r.of(l.Name), listimport.Options{Individuals: true, MaxRemovedPercent: 100, Today: today})
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, p.Items...)
	}
	return items
}

// load imports lists into an empty register; every record is one that the rules admit.
func load(t testing.TB, lists []*listimport.List) testRegister {
	t.Helper()
	r := testRegister{}
	for _, i := range r.plan(t, lists) {
		st := i.Statement(record.ID{1}, record.Authority, time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC))
		if _, err := record.EncodeStatement(st); err != nil {
			t.Fatalf("%s: %v", i.Thread, err)
		}
		if faults := rules1.Check(st); len(faults) > 0 {
			t.Fatalf("%s: %v", i.Thread, faults)
		}
		r[i.Thread] = listimport.Current{Thread: i.Thread, Newest: record.ID{2}, Designation: i.Predicate.(*record.Designation)}
	}
	return r
}

// export writes the register as a publication.
func (r testRegister) export(t testing.TB) string {
	t.Helper()
	var threads []record.Thread
	for thread := range r {
		threads = append(threads, thread)
	}
	slices.Sort(threads)
	var b bytes.Buffer
	w := csl.NewWriter(&b, "Office of Cloud Restrictions (fictional)")
	for _, thread := range threads {
		if err := w.Add(thread, r[thread].Designation); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// wantNothingToDo exports what was imported, reads it again, and wants no difference.
func wantNothingToDo(t testing.TB, lists []*listimport.List) {
	t.Helper()
	r := load(t, lists)
	if len(r) == 0 {
		return
	}
	text := r.export(t)
	again := mustRead(t, text)
	n := 0
	for _, l := range again {
		n += len(l.Entries)
	}
	if n != len(r) {
		t.Errorf("%d designations were written, %d were read", len(r), n)
	}
	for _, i := range r.plan(t, again) {
		t.Errorf("%s: something to do: %+v\n%s", i.Thread, i.Predicate, text)
	}
	if second := load(t, again).export(t); second != text {
		t.Errorf("written again it is another text:\n%s\nthan\n%s", second, text)
	}
}

func TestImportOfExport(t *testing.T) {
	for _, name := range []string{"consolidated.csv", "older.csv"} {
		wantNothingToDo(t, mustRead(t, small(t, name)))
	}
	golden(t, "export.golden", load(t, mustRead(t, small(t, "consolidated.csv"))).export(t))
}

// What designators changed by hand stays as far as the list's words do not tell otherwise.
func TestImportOfExportAfterAmendments(t *testing.T) {
	lists := mustRead(t, small(t, "consolidated.csv"))
	r := load(t, lists)
	c := r["designation/csl-sdn-102"]
	d := *c.Designation
	d.Target.Schema = "Company"
	d.Target.Alias = []record.Alias{{Name: "KESTREL CLOUD", Type: "fka", Script: "Latn"}, {Name: "KC", Type: "aka", Weak: true}}
	d.Target.Address = []record.Address{{Street: "1 Harbour Road", City: "Port Kestrel", Country: "XB"}, {Full: "Office 2, Merlin", Country: "XC"}}
	d.Target.RegistrationNumber, d.Target.Domain = "7", []string{"kestrel.example"}
	c.Designation = &d
	r[c.Thread] = c
	for _, l := range [][]*listimport.List{lists, mustRead(t, r.export(t))} {
		if items := r.plan(t, l); len(items) > 0 {
			t.Errorf("something to do: %+v", items[0].Predicate)
		}
	}
}

// What came from OFAC's own files, or was designated here, is read again but for what the
// columns cannot hold, which [csl.Writer] lists.
func TestExportOfOthers(t *testing.T) {
	from := record.Date{Year: 2027, Month: 1, Day: 2}
	r := testRegister{}
	add := func(thread record.Thread, d record.Designation) {
		r[thread] = listimport.Current{Thread: thread, Designation: &d}
	}
	add("designation/ofac-sdn-36", record.Designation{
		Program: []string{"CUBA"}, Source: &record.Source{List: "ofac-sdn", ID: "36"},
		Target: record.Target{Schema: "Organization", Name: "AEROKESTREL", Country: "XB",
			Alias:   []record.Alias{{Name: "AERO; KESTREL", Type: "fka"}},
			Address: []record.Address{{Full: "1 Harbour Road; Port Kestrel", Country: "XB"}}},
	})
	add("designation/ofac-cons-9640", record.Designation{
		Program: []string{"NS-PLC"}, Source: &record.Source{List: "ofac-cons", ID: "9640"}, Target: record.Target{Schema: "Person", Name: "KESTREL, J."},
	})
	add("designation/ofac-cons-9641", record.Designation{
		Program: []string{"OTHER"}, Source: &record.Source{List: "ofac-cons", ID: "9641"}, Target: record.Target{Schema: "Organization", Name: "KITE"},
	})
	add("designation/el-e1", record.Designation{
		Program: []string{"X"}, Source: &record.Source{List: "el", ID: "e1"}, Target: record.Target{Schema: "Organization", Name: "NO ENTITY LIST'S"},
	})
	add("designation/eu.list-a1", record.Designation{
		Program: []string{"X"}, Source: &record.Source{List: "eu.list", ID: "a1"}, Target: record.Target{Schema: "Organization", Name: "MERLIN"},
	})
	add("designation/2026-014", record.Designation{
		Program: []string{"CLOUD-1"}, EffectiveFrom: &from, FederalRegisterNotice: "00 FR 1",
		Target: record.Target{Schema: "Company", Name: "KESTREL HOSTING", Country: "XB", RegistrationNumber: "0048213"},
	})
	golden(t, "others.golden", describe(mustRead(t, r.export(t)), nil))
}

// The real samples, where they are: what they have, and that an export of them is no change.
func TestRealSamples(t *testing.T) {
	if _, err := os.Stat(shared); os.IsNotExist(err) {
		t.Skipf("no public data in %s: the real lists are not read", shared)
	}
	for _, c := range []struct {
		name           string
		lists, entries int
	}{
		{"csl-sample.csv", 9, 110}, // 115 rows, of which 5 share a name with another of their source
		{"consolidated-sample-2025.csv", 10, 13},
	} {
		b, err := os.ReadFile(filepath.Join(shared, "csl", c.name))
		if err != nil {
			t.Fatal(err)
		}
		lists := mustRead(t, string(b))
		n := 0
		for _, l := range lists {
			n += len(l.Entries)
		}
		if len(lists) != c.lists || n != c.entries {
			t.Errorf("%s: %d lists, %d entries; want %d, %d", c.name, len(lists), n, c.lists, c.entries)
		}
		wantNothingToDo(t, lists)
	}
}

func TestSeveralFiles(t *testing.T) {
	text := small(t, "consolidated.csv")
	head, _, _ := strings.Cut(text, "\n")
	var sdn, rest strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(text, "Linked to:\n", "Linked to: ")) {
		if strings.Contains(line, "(SDN)") {
			sdn.WriteString(line)
		} else {
			rest.WriteString(line)
		}
	}
	input := func(name, text string) listimport.Input {
		return listimport.Input{Name: name, Reader: strings.NewReader(text)}
	}
	lists, _, err := csl.Read(input("rest.csv", rest.String()), input("sdn.csv", head+"\n"+sdn.String()))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range lists {
		names = append(names, l.Name+" of "+l.Files[0].Name)
	}
	if want := []string{"csl-el of rest.csv", "csl-dpl of rest.csv", "csl-sdn of sdn.csv"}; !reflect.DeepEqual(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	_, _, err = csl.Read(input("a.csv", text), input("b.csv", text))
	if err == nil || !strings.Contains(err.Error(), "stand in a.csv too") {
		t.Errorf("the same twice: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	text := small(t, "consolidated.csv")
	head, rows, _ := strings.Cut(text, "\n")
	first, _, _ := strings.Cut(rows, "\n")
	long := strings.Repeat("x", 1<<20)
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "empty: download"},
		{"blank", " \r\n\n", "empty: download"},
		{"header alone", head + "\n", "a header and no rows"},
		{"HTML", "<!DOCTYPE html><html>moved</html>", "HTML or XML"},
		{"JSON", `{"total": 3, "results": []}`, "docket reads the CSV form"},
		{"packed", "PK\x03\x04zip", "compressed"},
		{"UTF-16", "\xFF\xFE_\x00i\x00", "UTF-16"},
		{"OFAC's", "36,\"AEROKESTREL\",-0- ,\"CUBA\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- \r\n", "docket import ofac"},
		{"another table", "name,country\nKESTREL,XB\n", "wanted that of the Consolidated Screening List"},
		{"a column less", strings.Replace(text, ",alt_names", ",other_names", 1), "lacks alt_names"},
		{"a column twice", strings.Replace(text, ",title", ",name", 1), `the column "name" twice`},
		{"cut in quotes", text[:len(text)-10], "a quote is not closed"},
		{"cut between fields", head + "\n" + first[:strings.LastIndex(first, `"Tax ID`)], "the last line has no end"},
		{"cut in an older file", strings.TrimSuffix(small(t, "older.csv"), "\r\n"), "the last line has no end"},
		{"a short row", head + "\n\"1\",\"x\"\n", "2 columns, the header has 29"},
		{"a stray quote", head + "\n1,x\"y" + strings.Repeat(",", 27) + "\n", `bare "`},
		{"an open quote", head + "\n\"" + long, "longer than"},
		{"twice", text + first + "\n", "101 of csl-sdn stands here again, first on line 2"},
		{"no source", strings.Replace(text, "(EL)", "EL", 1), "no abbreviation"},
		{"two of one name", strings.Replace(text, "Entity List (EL)", "Entities (EL)", 1), "are both csl-el"},
		{"no name", strings.Replace(text, "EP-KST", "", 1), "column name: empty"},
		{"unknown type", strings.Replace(text, "Aircraft", "Submarine", 1), `unknown type "Submarine"`},
		{"no date", strings.Replace(text, "2018-08-01", "08/01/2018", 1), "column start_date"},
		{"neither encoding", strings.Replace(text, "EP-KST", "EP\x81KST", 1), "neither UTF-8 nor Windows-1252"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lists, notes, err := read(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "consolidated.csv:") || lists != nil || notes != nil {
				t.Fatalf("got %v; want %q", err, c.want)
			}
			refusaltest.Words(t, err.Error())
		})
	}
}

// A copy whose last line lost its end is whole as far as can be seen, and that is said; a
// byte order mark, other line ends, a new column and letters of Windows-1252 are no damage.
func TestConvertedCopies(t *testing.T) {
	text := small(t, "consolidated.csv")
	want := describe(mustRead(t, text), nil)
	for name, copied := range map[string]string{
		"trimmed": strings.TrimSuffix(text, "\n"),
		"bom":     "\xEF\xBB\xBF" + text,
		"crlf":    strings.ReplaceAll(text, "\n", "\r\n"),
		"column":  strings.ReplaceAll(strings.Replace(text, "_id,", "new,_id,", 1), "\"\n\"", "\"\n\"\",\""),
	} {
		if name == "column" {
			copied = strings.Replace(copied, "\n\"101\"", "\n\"\",\"101\"", 1)
		}
		lists, notes, err := read(copied)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := describe(lists, nil); got != want {
			t.Errorf("%s: got %s", name, got)
		}
		said := strings.Join(notes, "\n")
		if (name == "trimmed") != strings.Contains(said, "trimmed at its end") || (name == "column") != strings.Contains(said, "new to docket") {
			t.Errorf("%s: notes %q", name, notes)
		}
	}
	lists := mustRead(t, strings.Replace(text, "EP-KST", "Caf\xe9", 1))
	if got := lists[0].Entries[4].Target.Name; got != "Café" {
		t.Errorf("Windows-1252: %q", got)
	}
}

// FuzzRow reads a row of any fields. What is read can be recorded, or is refused for what a
// record may hold, and an export of it is read again as the same.
func FuzzRow(f *testing.F) {
	f.Add("Entity List (EL) - BIS", "", "", "a1", "A; and B", "1 Road, Merlin, XC; XB", "X; Y", "KITE", "00 FR 1", "2018-08-01", "2019-01-01", "Registration ID, 1, XB")
	f.Add("Specially (SDN)", "36", "Entity", "36", "and and X; and Y;", "a, XB, ; , ;XB,XB", "and", "and K", "", "", "", "XB, 1, Registration ID")
	f.Add("S (SDN)", "36", "Vessel", "36", "", "XC", "", "MV; K", "", "2018-08-01", "2018-01-01", "")
	f.Fuzz(func(t *testing.T, source, number, kind, id, alias, addresses, programs, name, notice, start, end, ids string) {
		head, _, _ := strings.Cut(small(t, "consolidated.csv"), "\n")
		values := map[string]string{
			"source": source, "entity_number": number, "type": kind, "_id": id, "alt_names": alias, "addresses": addresses, "programs": programs,
			"name": name, "federal_register_notice": notice, "start_date": start, "end_date": end, "ids": ids, "vessel_flag": "XB",
		}
		var cells []string
		for _, column := range strings.Split(head, ",") {
			cells = append(cells, `"`+strings.ReplaceAll(values[column], `"`, `""`)+`"`)
		}
		lists, _, err := read(head + "\n" + strings.Join(cells, ",") + "\n")
		if err != nil {
			return
		}
		e := lists[0].Entries[0]
		d := record.Designation{
			Measure: "person", Action: "prohibit", Target: e.Target, Program: e.Program, FederalRegisterNotice: e.FederalRegisterNotice,
			EffectiveFrom: e.EffectiveFrom, EffectiveUntil: e.EffectiveUntil, Source: &record.Source{List: lists[0].Name, ID: e.ID},
		}
		st := &record.Statement{Kind: record.KindDesignation, Predicate: &d, Common: record.Common{
			Ledger: record.ID{1}, Thread: record.ImportThread(lists[0].Name, e.ID), Issuer: record.Authority, IssuedAt: time.Unix(1, 0).UTC()}}
		if _, err := record.EncodeStatement(st); err != nil {
			return // a name of a thousand characters, an ID that is none
		}
		wantNothingToDo(t, lists)
	})
}

// OFAC's real lists, written in these columns and read again: all that the columns hold is
// there. Of the target's country nothing is wanted: it is made of the addresses anew.
func TestRealExportOfOFAC(t *testing.T) {
	if _, err := os.Stat(shared); os.IsNotExist(err) {
		t.Skipf("no public data in %s: OFAC's lists are not written", shared)
	}
	for dir, names := range map[string][3]string{"ofac-2021": {"sdn.csv", "add.csv", "alt.csv"}, "ofac-nonsdn": {"cons_prim.csv", "cons_add.csv", "cons_alt.csv"}} {
		var in [3]listimport.Input
		for i, name := range names {
			b, err := os.ReadFile(filepath.Join(shared, dir, name))
			if err != nil {
				t.Fatal(err)
			}
			in[i] = listimport.Input{Name: name, Reader: bytes.NewReader(b)}
		}
		list, err := ofac.Read(ofac.ListOf(names[0]), in[0], in[1], in[2])
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w := csl.NewWriter(&b, "Office")
		for _, e := range list.Entries {
			d := record.Designation{Target: e.Target, Program: e.Program, Source: &record.Source{List: list.Name, ID: e.ID}}
			if err := w.Add(record.ImportThread(list.Name, e.ID), &d); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again := mustRead(t, b.String())
		if len(again) != 1 || again[0].Name != "csl-"+list.Name || len(again[0].Entries) != len(list.Entries) {
			t.Fatalf("%s: %d lists, %s", dir, len(again), again[0].Name)
		}
		for i, e := range again[0].Entries {
			if got, want := columnTexts(e), columnTexts(list.Entries[i]); !slices.Equal(got, want) {
				t.Errorf("%s:\n got %q\nwant %q", e.ID, got, want)
			}
		}
	}
}

// columnTexts is what the columns hold of an entry, lists as sets.
func columnTexts(e listimport.Entry) []string {
	texts := []string{"id " + e.ID, "schema " + e.Target.Schema, "name " + e.Target.Name}
	for _, a := range e.Target.Alias {
		texts = append(texts, "alias "+strings.ReplaceAll(a.Name, ";", ","))
	}
	for _, a := range e.Target.Address {
		if text := strings.Trim(listimport.AddressLine(a)+", "+a.Country, ", "); len(text) != 2 { // an address that is a country alone may be added
			texts = append(texts, "address "+strings.ReplaceAll(text, ";", ","))
		}
	}
	for _, p := range e.Program {
		texts = append(texts, "programme "+p)
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
