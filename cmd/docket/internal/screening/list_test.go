package screening_test

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/sheet"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// readList reads a whole list.
func readList(text string, columns screening.Columns) (rows []screening.Row, err error) {
	l, err := screening.NewList(strings.NewReader(text), columns)
	if err != nil {
		return nil, err
	}
	for {
		row, err := l.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
}

func utf16(t testing.TB, order unicode.Endianness, text string) string {
	t.Helper()
	wide, err := unicode.UTF16(order, unicode.UseBOM).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return wide
}

// Whatever program a list comes from, its customers are the same.
func TestListFormats(t *testing.T) {
	want := []string{"2 C-1 Kestrel, Hosting XB", "3 C-2 Šumava\nRacks XC", `5 C-3 12" Pipes `}
	const commas = "id,company,country\nC-1,\"Kestrel, Hosting\",XB\nC-2,\"Šumava\nRacks\",xc\n\nC-3,12\" Pipes,\n"
	for name, text := range map[string]string{
		"commas":               commas,
		"CRLF":                 strings.ReplaceAll(commas, "\n", "\r\n"),
		"CR":                   strings.ReplaceAll(commas, "\n", "\r"),
		"no end":               strings.TrimSuffix(commas, "\n"),
		"byte order mark":      "\ufeff" + commas,
		"UTF-16":               utf16(t, unicode.LittleEndian, commas),
		"UTF-16, the other":    utf16(t, unicode.BigEndian, commas),
		"semicolons":           "id;company;country\nC-1;Kestrel, Hosting;XB\nC-2;\"Šumava\nRacks\";xc\n;;\nC-3;12\" Pipes;\n",
		"tabs":                 "id\tcompany\tcountry\nC-1\tKestrel, Hosting\tXB\nC-2\t\"Šumava\nRacks\"\txc\n\nC-3\t12\" Pipes\t\n",
		"said":                 "sep=;\nid;company;country\nC-1;\"Kestrel, Hosting\";XB\nC-2;\"Šumava\nRacks\";xc\n\nC-3;12\" Pipes;\n",
		"alpha-3, in capitals": "ID,Legal_Name,COUNTRY CODE\nC-1,\"Kestrel, Hosting\",XB\nC-2,\"Šumava\nRacks\",xc\n\nC-3,12\" Pipes,\n",
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := readList(text, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range rows {
				if r.NotScreened != "" || len(r.Warnings) > 0 {
					t.Errorf("row %d: %s %s", r.Number, r.NotScreened, r.Warnings)
				}
				number := r.Number
				if strings.HasPrefix(text, "sep=") {
					number--
				}
				got = append(got, fmt.Sprintf("%d %s %s %s", number, r.ID, strings.ReplaceAll(r.Name, "\r", "\n"), r.Country))
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// A row that cannot be read costs that row alone, and is named; what cannot be compared of
// another is said, and the rest of it is screened.
func TestRowsAtFault(t *testing.T) {
	const header = "name,country,lei,asn,domain\n"
	for _, test := range []struct{ name, rows, want, warns, next string }{
		{"no UTF-8", "Soci\xe9t\xe9,XB\nKestrel,XB\n", "column 1 (name) is no UTF-8: save the file as CSV UTF-8", "", "Kestrel"},
		{"a zero byte", "a,X\x00B\nKestrel,XB\n", "column 2 (country) has a zero byte", "", "Kestrel"},
		{"an open quote", "Merlin,\"XB\nKestrel,XB\n", "the quote that opens column 2 (country) is not closed", "", "Kestrel"},
		{"an open quote far from the end", "\"Merlin,XB\nKestrel,XB\n" + strings.Repeat("Lumen,XC\n", 10000), "the quote that opens column 1 (name) is not closed", "", "Kestrel"},
		{"a quote in a quoted cell", "\"Merlin \"the\" Hawk\",XB\nKestrel,XB\n", "a quote stands inside a quoted cell, near column 1 (name): write it twice", "", "Kestrel"},
		{"a long row", strings.Repeat("m", 200_000) + "\nKestrel,XB\n", "the row is longer than 65536 bytes", "", "Kestrel"},
		{"a long name", strings.Repeat("m", 1001) + "\nKestrel,XB\n", "column 1 (name) has 1001 characters, the limit is 1000", "", "Kestrel"},
		{"too many cells", "Kestrel, Hosting,XB,,,,x\nMerlin\n", "the row has 7 cells and the header 5", "", "Merlin"},
		{"nothing to compare", ",XB,,,\nKestrel,XB\n", "no name and no identifier", "", "Kestrel"},
		{"too few cells", "Merlin,XB\nKestrel,XB,,,\n", "", "the row has 2 cells and the header 5", "Kestrel"},
		{"an unknown country", "Merlin,Kestrelia,,,\nKestrel\n", "", `column 2 (country): "Kestrelia" is no country`, "Kestrel"},
		{"an LEI with a typing error", "Merlin,,9999DOCKETDEMO000119,,\nKestrel\n", "", "column 3 (lei): legal entity identifier: the check digits do not agree, so some character is mistyped; screened without it", "Kestrel"},
		{"no number of a system", "Merlin,,,AS64x,\nKestrel\n", "", `column 4 (asn): "AS64x" is no number`, "Kestrel"},
		{"no domain", "Merlin,,,,nowhere\nKestrel\n", "", `column 5 (domain): "nowhere" is no domain name`, "Kestrel"},
		{"a lost character", "M\ufffdrlin,,,,\nKestrel\n", "", "column 1 (name): a character was lost", "Kestrel"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rows, err := readList(header+test.rows, nil)
			if err != nil || len(rows) < 2 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			if r := rows[0]; r.Number != 2 || !strings.Contains(r.NotScreened, test.want) || (test.want == "") != (r.NotScreened == "") {
				t.Errorf("row %d is not screened: %q, want %q", r.Number, r.NotScreened, test.want)
			}
			if all := strings.Join(rows[0].Warnings, "; "); !strings.Contains(all, test.warns) || (test.warns != "") != (len(rows[0].Warnings) > 0) && test.name != "too few cells" {
				t.Errorf("warnings %q, want %q", all, test.warns)
			}
			if r := rows[1]; r.Number != 3 || r.Name != test.next || r.NotScreened != "" {
				t.Errorf("the next row is %+v", r)
			}
			refusaltest.Words(t, rows[0].NotScreened+strings.Join(rows[0].Warnings, "; "))
		})
	}
}

// What a customer has several of comes from several columns or from one.
func TestFields(t *testing.T) {
	rows, err := readList("Account ID;Customer;Legal name;Trading as;Web site;AS number;LEI code;Reg. No\n"+
		"7;C9;Kestrel;Kestrel Cloud | Merlin; https://www.Kestrel.example:443/about kestrel.test;AS64496, 64511;9999docketdemo000118;0048213\n",
		screening.Columns{screening.FieldDomain: {"Web site"}})
	if err != nil {
		t.Fatal(err)
	}
	want := screening.Customer{
		ID: "7", Name: "Kestrel", Alias: []string{"Kestrel Cloud", "Merlin"}, LEI: "9999DOCKETDEMO000118", RegistrationNumber: "0048213",
		ASN: []int64{64496, 64511}, Domain: []string{"kestrel.example", "kestrel.test"},
	}
	if len(rows) != 1 || !reflect.DeepEqual(rows[0].Customer, want) || len(rows[0].Warnings) > 0 {
		t.Errorf("got %+v, want %+v", rows, want)
	}
}

// A file that is no list, and a column that may be another, are refused in words that say
// what to do.
func TestNoList(t *testing.T) {
	for _, test := range []struct {
		name, text string
		columns    []string
		want       string
	}{
		{"empty", "", nil, "the file is empty"},
		{"a mark alone", "\ufeff", nil, "the file has no rows"},
		{"blank lines", "\n\n", nil, "the file has no rows"},
		{"a workbook", "PK\x03\x04\x00\x00", nil, "save it there as CSV UTF-8"},
		{"UTF-16 without a mark", "n\x00a\x00m\x00e\x00", nil, "UTF-16 without a byte order mark"},
		{"a web page", "<!doctype html>\n", nil, "this is a web page"},
		{"no header", "Kestrel Hosting,XB\nMerlin,XC\n", nil, `no column is called a name`},
		{"only countries", "country\nXB\n", nil, `no column is called a name`},
		{"a name twice", "name,name\na,b\n", nil, `columns 1 and 2 are both called "name": say which one is meant, as --column name=#2`},
		{"two countries", "name,country,jurisdiction\na,XB,XC\n", nil, "columns 2 (country) and 3 (jurisdiction) may both be the country"},
		{"no such heading", "Firma,Land\na,XB\n", []string{"name=Forma"}, `no column is called that; did you mean "Firma"?: the header has "Firma", "Land"`},
		{"no such column", "Firma,Land\na,XB\n", []string{"name=#3"}, "there are 2 columns"},
		{"a heading twice", "Firma,Firma\na,b\n", []string{"name=Firma"}, "columns 1 and 2 are both called that: say #1 or #2"},
		{"another separator", "sep=x\nnamexcountry\n", nil, "want a comma, a semicolon, a tab or |"},
		{"a header that does not end", "name,\"country\nXB\n", nil, "the header, row 1, cannot be read"},
		{"a thousand columns", strings.Repeat("a,", 600) + "name\n", nil, "the limit is 512"},
	} {
		t.Run(test.name, func(t *testing.T) {
			columns, err := screening.ParseColumns(test.columns)
			if err != nil {
				t.Fatal(err)
			}
			_, err = readList(test.text, columns)
			var no *sheet.Error
			if !errors.As(err, &no) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			refusaltest.Words(t, err.Error())
		})
	}
	for text, want := range map[string]string{"name": "want FIELD=HEADING", "nmae=x": `did you mean "name"`} {
		if _, err := screening.ParseColumns([]string{text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// A report names its columns so that they are found again.
func TestColumnsAreFoundAgain(t *testing.T) {
	for text, given := range map[string][]string{
		"name,x,aka\n":              nil,
		"Firma,Firma,Land\n":        {"name=#2", "country=Land"},
		"name,Name \n":              {"name=#1"},
		"name,company,aka\na,b,c\n": {"alias="},
	} {
		columns, err := screening.ParseColumns(given)
		if err != nil {
			t.Fatal(err)
		}
		first, err := screening.NewList(strings.NewReader(text), columns)
		if err != nil {
			t.Fatal(err)
		}
		again, err := screening.NewList(strings.NewReader(text), first.Columns().Exactly())
		if err != nil || !reflect.DeepEqual(first.Columns(), again.Columns()) || !reflect.DeepEqual(first.Unused(), again.Unused()) {
			t.Errorf("%q: %v, then %v, %v", text, first.Columns(), again.Columns(), err)
		}
	}
}

// FuzzList: any bytes give rows or a refusal; no row is lost: where every row can be read,
// they are those that encoding/csv reads.
func FuzzList(f *testing.F) {
	for _, seed := range []string{
		"name,country\nKestrel,XB\n", "sep=;\nname;aka\n\"a;b\";c\n", "\ufeffname\r\n\"x\r\ny\"\r\n", "name\tasn\nKestrel\tAS64496\n",
		"name,lei\n\"open\nKestrel,x\n", "company,id,domain\n12\" Pipes,=1,https://a.example/\n", "name\n\xff\n", "\xff\xfen\x00a\x00m\x00e\x00\n\x00K\x00\n\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		rows, err := readList(string(raw), nil)
		if err != nil {
			var no *sheet.Error
			if !errors.As(err, &no) {
				t.Fatalf("%v", err)
			}
			return
		}
		last := 1
		whole := true
		for _, r := range rows {
			if r.Number <= last {
				t.Fatalf("row %d after %d", r.Number, last)
			}
			last = r.Number
			whole = whole && r.NotScreened == "" && len(r.Warnings) == 0
		}
		text := string(raw)
		if !whole || len(rows) == 0 || !strings.HasPrefix(text, "name,") || strings.Contains(text, "\r") {
			return
		}
		r := csv.NewReader(strings.NewReader(text))
		r.FieldsPerRecord = -1
		all, err := r.ReadAll()
		if err != nil {
			return // stricter than this
		}
		var names []string
		for _, cells := range all[1:] {
			if strings.TrimSpace(strings.Join(cells, "")) != "" {
				names = append(names, strings.TrimSpace(cells[0]))
			}
		}
		if len(names) != len(rows) {
			t.Fatalf("%d rows, want %d", len(rows), len(names))
		}
		for i, r := range rows {
			if r.Name != names[i] {
				t.Errorf("row %d is %q, want %q", r.Number, r.Name, names[i])
			}
		}
	})
}

// Countries come in the words of whoever keeps the list. What none of them reads leaves its
// row screened in part.
func TestCountries(t *testing.T) {
	for text, want := range map[string]string{
		"Deutschland": "DE", "Österreich": "AT", "Россия": "RU", "Russian Fed.": "RU", "Irán": "IR", "England": "GB", "Holland": "NL",
		"Allemagne": "DE", "Paesi Bassi": "NL", "日本": "JP", "GERMANY": "DE", "xk": "XK", "XDD": "", "Kosovo (fictional)": "", "Elsewhere": "",
	} {
		rows, err := readList("Firma;Land\nMerlin;"+text+"\n", nil)
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		if r := rows[0]; r.Country != want || r.InPart != (want == "") || r.Name != "Merlin" {
			t.Errorf("%s: country %q, in part %t (%s), want %q", text, r.Country, r.InPart, r.Warnings, want)
		}
	}
}
