package ofac

import (
	"strings"
	"testing"
)

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
		want   string
	}{
		{"empty", sdn, constant(""), "sdn.csv: empty: download sdn.csv again"},
		{"blank", add, constant(" \r\n"), "add.csv: empty: download add.csv again"},
		{"end mark alone", alt, constant("\x1a"), "alt.csv: empty: download alt.csv again"},
		{"HTML after a blank line", sdn, constant("\r\n\r\n <html>"), "sdn.csv: HTML or XML"},
		{"HTML page", sdn, constant("<!DOCTYPE html><html>sorry</html>"), "sdn.csv: HTML or XML, not OFAC's CSV (an error page?): download sdn.csv again"},
		{"zip", add, constant("PK\x03\x04…"), "add.csv: compressed: unpack it first"},
		{"UTF-16", alt, constant("\xFF\xFE1\x002\x00"), "alt.csv: UTF-16"},

		{"no end mark", sdn, cut(1), "sdn.csv:6: the end mark (a last line 0x1A) is missing: sdn.csv is cut off, download it again"},
		{"no end mark, add", add, cut(1), "add.csv:7: the end mark"},
		{"no end mark, alt", alt, cut(1), "alt.csv:5: the end mark"},
		{"no end mark nor line end", alt, cut(3), "alt.csv:4: the end mark"},
		{"LF, no end mark", alt, func(s string) string { return cut(1)(toLF(s)) }, "alt.csv:5: the end mark"},
		{"LF, cut in a text", alt, func(s string) string { return cut(9)(toLF(s)) }, "alt.csv:4: column 4: the closing quote is missing"},
		{"LF, cut between columns", alt, func(s string) string { return cut(7)(toLF(s)) }, "alt.csv:4: 4 columns, the alias file has 5"},
		{"LF, a line lost at the end", add, func(s string) string { return strings.TrimRight(s[:strings.Index(s, "411,")], "\r\n") }, "the end mark"},
		{"more after the end mark", sdn, func(s string) string { return s + "\r\n101" }, "sdn.csv:6: there is more after the end mark"},
		{"end mark inside a row", alt, func(s string) string { return strings.ReplaceAll(toLF(s), "\n\x1a", "\x1a") }, "alt.csv:4: the end mark (0x1A) stands inside a row"},
		{"two files in one", alt, func(s string) string { return s + s }, "alt.csv:5: there is more after the end mark"},

		{"orphan address", add, replace("411,6", "412,6"), "add.csv:6: orphan row: entity 412 is not in sdn.csv: the files are not of one day"},
		{"orphan alias", alt, replace("205,14", "206,14"), "alt.csv:4: orphan row: entity 206"},
		{"entity twice", sdn, replace("102,", "101,"), "sdn.csv:2: entity 101 stands here again, first on line 1"},
		{"address twice", add, replace("102,3", "102,2"), "add.csv:3: row 2 of entity 102 stands here again"},
		{"alias twice", alt, replace("102,12", "102,11"), "alt.csv:2: row 11 of entity 102 stands here again"},

		{"other file", sdn, constant("102,11,\"aka\",\"KESTREL CLOUD\",-0- \r\n\x1a"), "sdn.csv has 5 columns, as the alias file (alt.csv) does; the primary file (sdn.csv, 12 columns) is wanted here"},
		{"a column short", sdn, replace(`"SDGT",`, ""), "sdn.csv:3: 11 columns, the primary file has 12"},
		{"header", alt, func(s string) string { return "ent_num,alt_num,alt_type,alt_name,alt_remarks\r\n" + s }, `alt.csv:1: column 1: "ent_num" is not a number (OFAC's files have no header line)`},
		{"leading zero", add, replace("101,1", "0101,1"), `add.csv:1: column 1: "0101" is not a number`},
		{"quote not doubled", sdn, replace(`""KH""`, `"KH"`), `sdn.csv:2: column 2: a single quote sign before`},
		{"quote not closed", sdn, replace(`AIRLINES"`, `AIRLINES`), `sdn.csv:1: column 2: a single quote sign`},
		{"empty column", add, replace("101,1,-0- ", "101,1,"), "add.csv:1: column 3: empty, where OFAC writes -0- for nothing"},
		{"mixed line ends", sdn, replace("\r\n205", "\n205"), "sdn.csv:2: line ends are mixed"},
		{"lone CR", sdn, replace("AIRLINES", "AIR\rLINES"), "sdn.csv:1: line ends are mixed"},
		{"unknown type", sdn, replace(`"vessel"`, `"submarine"`), `sdn.csv:4: column 3: unknown type "submarine"`},
		{"no name", sdn, replace(`"EP-KST"`, `-0- `), "sdn.csv:5: column 2: entity 411 has no name"},
		{"no programme", sdn, replace(`"CUBA"`, `-0- `), "sdn.csv:1: column 4: entity 101 stands under no programme"},
		{"unknown alias type", alt, replace(`"nka"`, `"dba"`), `alt.csv:4: column 3: unknown kind of alias "dba"`},
		{"alias without name", alt, replace(`"HARBOR, J."`, `-0- `), "alt.csv:4: column 4: an alias without a name"},
		{"damaged bytes", sdn, replace("AIRLINES", "AIR\x81LINES"), "sdn.csv:1: neither UTF-8 nor Windows-1252"},
		{"endless line", sdn, constant("1," + strings.Repeat("x", maxLine)), "sdn.csv:1: the line is longer than 65536 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			texts := smallFiles(t)
			texts[c.file] = c.damage(texts[c.file])
			list, err := readTexts(texts)
			if err == nil || list != nil {
				t.Fatalf("read %d entries, want an error", len(list.Entries))
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got  %v\nwant %s", err, c.want)
			}
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
		if want := c.culprit + ": the end mark (a last line 0x1A) is missing"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %s", c.trimmed, err, want)
		}
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
	want := "add.csv: no row for entity 411, and no end mark (a last line 0x1A) in sdn.csv, add.csv: a file is cut off, download all three again"
	if err == nil || err.Error() != want {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
}
