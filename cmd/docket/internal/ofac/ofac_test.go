package ofac

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// names are the small list's files in reading order.
var names = [3]string{"sdn.csv", "add.csv", "alt.csv"}

// smallFiles reads testdata: fictional parties, each quirk of the format once.
func smallFiles(t testing.TB) (texts [3]string) {
	t.Helper()
	for i, name := range names {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(b)
	}
	return texts
}

func readTexts(texts [3]string) (*listimport.List, error) {
	var f [3]listimport.Input
	for i, text := range texts {
		f[i] = listimport.Input{Name: names[i], Reader: strings.NewReader(text)}
	}
	return Read(SDN, f[0], f[1], f[2])
}

// What no reader sees is left out, and said; a joiner between letters that join stays.
func TestReadHiddenCharacters(t *testing.T) {
	texts := smallFiles(t)
	texts[0] = strings.Replace(texts[0], "AEROKESTREL", "AERO\u200bKES\u00adTREL \u0dc1\u0dca\u200d\u0dbb\u0dd3", 1)
	list, err := readTexts(texts)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := list.Entries[0].Target.Name, "AEROKESTREL \u0dc1\u0dca\u200d\u0dbb\u0dd3 AIRLINES"; got != want {
		t.Errorf("name %q, want %q", got, want)
	}
	if len(list.Notes) != 1 || !strings.Contains(list.Notes[0], "sdn.csv: characters that no reader sees were left out, 2 of them") {
		t.Errorf("notes %q", list.Notes)
	}
}

func TestReadSmallList(t *testing.T) {
	texts := smallFiles(t)
	list, err := readTexts(texts)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		id      string
		program []string
		target  record.Target
	}{
		{"101", []string{"CUBA"}, record.Target{
			Schema: "Organization", Name: "AEROKESTREL AIRLINES", Country: "CU",
			Address: []record.Address{{Full: "Havana", Country: "CU"}},
		}},
		{"102", []string{"NPWMD", "IFSR"}, record.Target{
			Schema: "Organization", Name: `KESTREL HOSTING "KH" FZ-LLC`,
			Alias: []record.Alias{{Name: "KESTREL CLOUD", Type: "aka"}, {Name: "КЕСТРЕЛ ХОСТИНГ", Type: "fka"}},
			Address: []record.Address{
				{Full: `1 Harbour Road, Building "B", Port Kestrel 10000, Kestrel Islands`},
				{Full: "PO Box 7", Country: "MM"},
			},
		}},
		{"205", []string{"SDGT"}, record.Target{
			Schema: "Person", Name: "HARBOUR, Jane Doe",
			Alias:   []record.Alias{{Name: "HARBOR, J.", Type: "nka"}},
			Address: []record.Address{{Full: "undetermined"}},
		}},
		{"310", []string{"DPRK4"}, record.Target{Schema: "Vessel", Name: "MV KESTREL", Country: "KP"}},
		{"411", []string{"SDGT", "IFSR"}, record.Target{Schema: "Airplane", Name: "EP-KST"}},
	}
	if len(list.Entries) != len(want) {
		t.Fatalf("%d entries, want %d", len(list.Entries), len(want))
	}
	for i, w := range want {
		got := list.Entries[i]
		if got.ID != w.id || !reflect.DeepEqual(got.Program, w.program) || !reflect.DeepEqual(got.Target, w.target) {
			t.Errorf("entry %d:\n got %s %v %+v\nwant %s %v %+v", i, got.ID, got.Program, got.Target, w.id, w.program, w.target)
		}
		if rows := rowsOf(texts, w.id); got.Digest != sha256.Sum256([]byte(rows)) || got.Bytes != int64(len(rows)) {
			t.Errorf("entry %s: the digest is not of its %d bytes of rows", w.id, len(rows))
		}
	}
	for i, f := range list.Files {
		if f.Name != names[i] || f.Size != int64(len(texts[i])) || f.SHA256 != sha256.Sum256([]byte(texts[i])) {
			t.Errorf("file %d: %+v", i, f)
		}
	}
	if len(list.Notes) > 0 {
		t.Errorf("notes: %q", list.Notes)
	}
}

// rowsOf cuts an entity's rows out of the files the naive way.
func rowsOf(texts [3]string, id string) string {
	var rows strings.Builder
	for _, text := range texts {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, id+",") {
				rows.WriteString(line)
			}
		}
	}
	return rows.String()
}

func TestNothingOfRemarksGetsIn(t *testing.T) {
	list, err := readTexts(smallFiles(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list.Entries {
		for _, secret := range []string{"1970", "Passport", "X0000000", "0048213", "IMO"} {
			if s := strings.Join(append(e.Program, e.Target.Name, e.Target.RegistrationNumber), " "); strings.Contains(s, secret) {
				t.Errorf("%s carries %q: %s", e.ID, secret, s)
			}
		}
	}
}

func TestConvertedCopies(t *testing.T) {
	texts := smallFiles(t)
	whole, err := readTexts(texts)
	if err != nil {
		t.Fatal(err)
	}
	copies := map[string]struct {
		convert func(string) string
		notes   int
	}{
		"LF":                      {toLF, 0},
		"LF, line end after mark": {func(s string) string { return toLF(s) + "\n" }, 0},
		"line end after mark":     {func(s string) string { return s + "\r\n" }, 0},
		"byte order mark":         {func(s string) string { return "\xEF\xBB\xBF" + s }, 0},
		"LF, trimmed":             {func(s string) string { return strings.TrimRight(toLF(s), "\n\x1a ") }, 3},
		"LF, trimmed into null": {func(s string) string {
			s = strings.TrimRight(toLF(s), "\n\x1a ")
			return strings.TrimSuffix(s, "-")
		}, 3},
	}
	for name, c := range copies {
		list, err := readTexts([3]string{c.convert(texts[0]), c.convert(texts[1]), c.convert(texts[2])})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, e := range list.Entries {
			if w := whole.Entries[i]; !reflect.DeepEqual(e.Target, w.Target) || !reflect.DeepEqual(e.Program, w.Program) {
				t.Errorf("%s: %+v, want %+v", name, e.Target, w.Target)
			}
		}
		if len(list.Notes) != c.notes {
			t.Errorf("%s: notes %q, want %d", name, list.Notes, c.notes)
		}
	}
}

func toLF(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func TestText(t *testing.T) {
	texts := smallFiles(t)
	for written, want := range map[string]string{
		"CAF\xC9 KESTREL":             "CAFÉ KESTREL", // Windows-1252
		"CAFÉ KESTREL":                "CAFÉ KESTREL",
		"CAFE\u0301 KESTREL":          "CAFÉ KESTREL", // not NFC
		" PADDED\tKESTREL\u0085 ":     "PADDED KESTREL",
		"KESTREL\u202E\u200F REVERSE": "KESTREL REVERSE",
		"\u0391\u0395\u03A1\u039F":    "ΑΕΡΟ",
	} {
		x := texts
		x[0] = strings.Replace(x[0], "AEROKESTREL AIRLINES", written, 1)
		list, err := readTexts(x)
		if err != nil {
			t.Errorf("%q: %v", written, err)
			continue
		}
		if got := list.Entries[0].Target.Name; got != want {
			t.Errorf("%q was read as %q, want %q", written, got, want)
		}
		if rows := rowsOf(x, "101"); list.Entries[0].Digest != sha256.Sum256([]byte(rows)) {
			t.Errorf("%q: the digest is not of the bytes as published", written)
		}
	}
}

func TestListOf(t *testing.T) {
	for name, want := range map[string]string{"sdn.csv": SDN, "cons_prim.csv": Consolidated, "CONS_PRIM.CSV": Consolidated, "x.csv": SDN} {
		if got := ListOf(name); got != want {
			t.Errorf("ListOf(%q) = %q, want %q", name, got, want)
		}
	}
}

func FuzzRow(f *testing.F) {
	for _, text := range smallFiles(f) {
		for line := range strings.Lines(text) {
			f.Add(strings.TrimRight(line, "\r\n"))
		}
	}
	for _, line := range []string{"", ",", `"`, `""`, `"a""b",-0-`, `-0-,-0- ,0`, `a"b`, `"a"b`, "1,", ",1"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		row, err := parseRow(line)
		if err != nil {
			return
		}
		if got := formatRow(row); got != line {
			t.Fatalf("parse and format made %q of %q", got, line)
		}
		for _, field := range row {
			v, _ := field.value()
			if again, hidden := listimport.CleanText(v); again != v || hidden > 0 {
				t.Fatalf("%q is not clean", v)
			}
		}
	})
}

// FuzzRead: whatever the bytes, Read gives a list that fits its files or an error.
func FuzzRead(f *testing.F) {
	texts := smallFiles(f)
	f.Add([]byte(texts[0]), []byte(texts[1]), []byte(texts[2]))
	f.Add([]byte(toLF(texts[0])), []byte(toLF(texts[1])), []byte(strings.TrimRight(toLF(texts[2]), "\n\x1a")))
	f.Fuzz(func(t *testing.T, sdn, add, alt []byte) {
		list, err := Read(SDN, listimport.Input{Name: "sdn.csv", Reader: bytes.NewReader(sdn)}, listimport.Input{Name: "add.csv", Reader: bytes.NewReader(add)}, listimport.Input{Name: "alt.csv", Reader: bytes.NewReader(alt)})
		if err != nil {
			return
		}
		var rows int64
		for _, e := range list.Entries {
			rows += e.Bytes
			if e.Target.Name == "" || e.Target.Schema == "" {
				t.Fatalf("%+v", e)
			}
		}
		if all := int64(len(sdn) + len(add) + len(alt)); rows > all {
			t.Fatalf("%d bytes of rows in %d bytes of files", rows, all)
		}
	})
}

// Each damage to the small list, and what the reader says about it.
func TestRefusals(t *testing.T) {
	const sdn, add, alt = 0, 1, 2
	cut := func(n int) func(string) string { return func(s string) string { return s[:len(s)-n] } }
	replace := func(old, new string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, new, 1) }
	}
	constant := func(s string) func(string) string { return func(string) string { return s } }
	for _, c := range []struct {
		name   string
		file   int
		damage func(string) string
		at     string // what it begins with: the file, and the line and column of it
	}{
		{"empty", sdn, constant(""), "sdn.csv"},
		{"blank", add, constant(" \r\n"), "add.csv"},
		{"end mark alone", alt, constant("\x1a"), "alt.csv"},
		{"HTML after a blank line", sdn, constant("\r\n\r\n <html>"), "sdn.csv"},
		{"HTML page", sdn, constant("<!DOCTYPE html><html>sorry</html>"), "sdn.csv"},
		{"zip", add, constant("PK\x03\x04…"), "add.csv"},
		{"UTF-16", alt, constant("\xFF\xFE1\x002\x00"), "alt.csv"},

		{"no end mark", sdn, cut(1), "sdn.csv:6"},
		{"no end mark, add", add, cut(1), "add.csv:7"},
		{"no end mark, alt", alt, cut(1), "alt.csv:5"},
		{"no end mark nor line end", alt, cut(3), "alt.csv:4"},
		{"LF, no end mark", alt, func(s string) string { return cut(1)(toLF(s)) }, "alt.csv:5"},
		{"LF, cut in a text", alt, func(s string) string { return cut(9)(toLF(s)) }, "alt.csv:4: column 4"},
		{"LF, cut between columns", alt, func(s string) string { return cut(7)(toLF(s)) }, "alt.csv:4"},
		{"LF, a line lost at the end", add, func(s string) string { return strings.TrimRight(s[:strings.Index(s, "411,")], "\r\n") }, "add.csv:5"},
		{"more after the end mark", sdn, func(s string) string { return s + "\r\n101" }, "sdn.csv:6"},
		{"end mark inside a row", alt, func(s string) string { return strings.ReplaceAll(toLF(s), "\n\x1a", "\x1a") }, "alt.csv:4"},
		{"two files in one", alt, func(s string) string { return s + s }, "alt.csv:5"},

		{"orphan address", add, replace("411,6", "412,6"), "add.csv:6"},
		{"orphan alias", alt, replace("205,14", "206,14"), "alt.csv:4"},
		{"entity twice", sdn, replace("102,", "101,"), "sdn.csv:2"},
		{"address twice", add, replace("102,3", "102,2"), "add.csv:3"},
		{"alias twice", alt, replace("102,12", "102,11"), "alt.csv:2"},

		{"other file", sdn, constant("102,11,\"aka\",\"KESTREL CLOUD\",-0- \r\n\x1a"), "sdn.csv"},
		{"a column short", sdn, replace(`"SDGT",`, ""), "sdn.csv:3"},
		{"header", alt, func(s string) string { return "ent_num,alt_num,alt_type,alt_name,alt_remarks\r\n" + s }, "alt.csv:1: column 1"},
		{"leading zero", add, replace("101,1", "0101,1"), "add.csv:1: column 1"},
		{"quote not doubled", sdn, replace(`""KH""`, `"KH"`), "sdn.csv:2: column 2"},
		{"quote not closed", sdn, replace(`AIRLINES"`, `AIRLINES`), "sdn.csv:1: column 2"},
		{"empty column", add, replace("101,1,-0- ", "101,1,"), "add.csv:1: column 3"},
		{"mixed line ends", sdn, replace("\r\n205", "\n205"), "sdn.csv:2"},
		{"lone CR", sdn, replace("AIRLINES", "AIR\rLINES"), "sdn.csv:1"},
		{"unknown type", sdn, replace(`"vessel"`, `"submarine"`), "sdn.csv:4: column 3"},
		{"no name", sdn, replace(`"EP-KST"`, `-0- `), "sdn.csv:5: column 2"},
		{"no programme", sdn, replace(`"CUBA"`, `-0- `), "sdn.csv:1: column 4"},
		{"unknown alias type", alt, replace(`"nka"`, `"dba"`), "alt.csv:4: column 3"},
		{"alias without name", alt, replace(`"HARBOR, J."`, `-0- `), "alt.csv:4: column 4"},
		{"damaged bytes", sdn, replace("AIRLINES", "AIR\x81LINES"), "sdn.csv:1"},
		{"endless line", sdn, constant("1," + strings.Repeat("x", maxLine)), "sdn.csv:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			texts := smallFiles(t)
			texts[c.file] = c.damage(texts[c.file])
			list, err := readTexts(texts)
			if err == nil || list != nil {
				t.Fatalf("read %d entries, want an error", len(list.Entries))
			}
			if at, more := strings.CutPrefix(err.Error(), c.at); !more || at[0] != ':' && at[0] != ' ' {
				t.Errorf("got %v, want a fault at %s", err, c.at)
			}
			refusaltest.Words(t, err.Error())
		})
	}
}

// A trimmed copy lacks all three end marks: a file that lacks it alone was cut.
func TestTrimmedAlone(t *testing.T) {
	trim := func(s string) string { return strings.TrimRight(toLF(s), "\n\x1a") }
	for _, c := range []struct {
		trimmed [3]bool
		culprit string
	}{
		{[3]bool{true, false, false}, "sdn.csv"},
		{[3]bool{false, true, false}, "add.csv"},
		{[3]bool{false, false, true}, "alt.csv"},
		{[3]bool{true, true, false}, "sdn.csv"},
	} {
		texts := smallFiles(t)
		for i := range texts {
			if c.trimmed[i] {
				texts[i] = trim(texts[i])
			}
		}
		_, err := readTexts(texts)
		if err == nil || !strings.HasPrefix(err.Error(), c.culprit+": ") {
			t.Errorf("%v: got %v, want a fault of %s", c.trimmed, err, c.culprit)
			continue
		}
		refusaltest.Words(t, err.Error())
	}
}

// A trimmed copy whose address file lost whole rows is told by the entities
// that have no address row any more.
func TestTrimmedCopyWithoutItsLastRow(t *testing.T) {
	texts := smallFiles(t)
	for i := range texts {
		texts[i] = strings.TrimRight(toLF(texts[i]), "\n\x1a")
	}
	texts[1] = texts[1][:strings.Index(texts[1], "\n411,")]
	_, err := readTexts(texts)
	if err == nil || !strings.HasPrefix(err.Error(), "add.csv: ") {
		t.Fatalf("got %v, want a fault of add.csv", err)
	}
	refusaltest.Words(t, err.Error())
}

// formatRow writes a row as it was read.
func formatRow(row []field) string {
	var line strings.Builder
	for i, f := range row {
		if i > 0 {
			line.WriteByte(',')
		}
		if f.form == quoted {
			line.WriteString(`"` + strings.ReplaceAll(f.text, `"`, `""`) + `"`)
		} else {
			line.WriteString(f.text)
		}
	}
	return line.String()
}
