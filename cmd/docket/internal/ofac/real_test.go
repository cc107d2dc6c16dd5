package ofac

import (
	"crypto/sha256"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
)

// shared is where the public data lie beside the checkout; they are read there
// and never copied.
const shared = "../../../../../shared/data"

// realFiles reads the three files of one published list.
func realFiles(t *testing.T, dir string, names ...string) (texts [3]string) {
	t.Helper()
	if _, err := os.Stat(shared); os.IsNotExist(err) {
		t.Skipf("no public data in %s: the real lists are not read", shared)
	}
	for i, name := range names {
		b, err := os.ReadFile(filepath.Join(shared, dir, name))
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(b)
	}
	return texts
}

func TestRealLists(t *testing.T) {
	for _, c := range []struct {
		dir             string
		files           []string
		list            string
		entries, others int // all; all but persons
		notes           int
	}{
		{"ofac-2019", []string{"sdn.csv", "add.csv", "alt.csv"}, SDN, 7379, 3534, 3},
		{"ofac-2021", []string{"sdn.csv", "add.csv", "alt.csv"}, SDN, 8976, 4356, 0},
		{"ofac-nonsdn", []string{"cons_prim.csv", "cons_add.csv", "cons_alt.csv"}, Consolidated, 442, 363, 0},
	} {
		t.Run(c.dir, func(t *testing.T) {
			texts := realFiles(t, c.dir, c.files...)
			var f [3]listimport.Input
			for i, name := range c.files {
				f[i] = listimport.Input{Name: name, Reader: strings.NewReader(texts[i])}
			}
			list, err := Read(ListOf(c.files[0]), f[0], f[1], f[2])
			if err != nil {
				t.Fatal(err)
			}
			others := 0
			for _, e := range list.Entries {
				if e.Target.Schema != "Person" {
					others++
				}
			}
			if list.Name != c.list || len(list.Entries) != c.entries || others != c.others || len(list.Notes) != c.notes {
				t.Errorf("%s: %d entries, %d without persons, notes %q", list.Name, len(list.Entries), others, list.Notes)
			}
			compareNaive(t, list, texts)
		})
	}
}

// compareNaive reads the files again with encoding/csv, sharing no code with the
// reader, and compares all that a record carries of them.
func compareNaive(t *testing.T, list *listimport.List, texts [3]string) {
	raw := map[string]string{}
	var rows [3]map[string][][]string
	for i, text := range texts {
		rows[i] = map[string][][]string{}
		for line := range strings.Lines(strings.TrimSuffix(text, "\x1a")) {
			row, err := csv.NewReader(strings.NewReader(line)).Read()
			if err != nil {
				t.Fatal(err)
			}
			for c := range row {
				if row[c] = strings.TrimSpace(row[c]); row[c] == "-0-" || row[c] == "-0" {
					row[c] = ""
				}
			}
			raw[row[0]] += line
			rows[i][row[0]] = append(rows[i][row[0]], row)
		}
	}
	for _, e := range list.Entries {
		if e.Digest != sha256.Sum256([]byte(raw[e.ID])) {
			t.Errorf("%s: the digest is not of its rows", e.ID)
		}
		if main := rows[0][e.ID][0]; e.Target.Name != main[1] || strings.Join(e.Program, "] [") != main[3] {
			t.Errorf("%s: %q %q, want %q", e.ID, e.Target.Name, e.Program, main)
		}
		var got, want []string
		for _, a := range e.Target.Alias {
			got = append(got, a.Type+" "+a.Name)
		}
		for _, row := range rows[2][e.ID] {
			if a := row[2] + " " + row[3]; !slices.Contains(want, a) {
				want = append(want, a)
			}
		}
		for _, a := range e.Target.Address {
			line := a.Full
			if a.Country != "" {
				line = strings.TrimPrefix(line+", "+a.Country, ", ")
			}
			got = append(got, line)
		}
		for _, row := range rows[1][e.ID] {
			country := row[4]
			if code := listimport.CountryCode(country); code != "" {
				country = code
			}
			parts := slices.DeleteFunc([]string{row[2], row[3], country}, func(s string) bool { return s == "" })
			if len(parts) > 0 {
				want = append(want, strings.Join(parts, ", "))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got  %q\nwant %q", e.ID, got, want)
		}
	}
}

// What the table of countries does not map is a region, a territory without a
// code or a former country, and nothing else.
func TestCountriesOfRealLists(t *testing.T) {
	as := []string{"Kosovo", "Netherlands Antilles", "None Identified", "undetermined", "West Bank"}
	for _, dir := range []string{"ofac-2019", "ofac-2021"} {
		text := realFiles(t, dir, "sdn.csv", "add.csv")[1]
		rows, err := csv.NewReader(strings.NewReader(strings.TrimSuffix(text, "\x1a"))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			c := row[4]
			if c != null && listimport.CountryCode(c) == "" && !strings.HasPrefix(c, "Region: ") && !slices.Contains(as, c) {
				t.Errorf("%s: %q is not in the table", dir, c)
			}
		}
	}
}
