package screen

import (
	"strings"
	"testing"
)

// Names that differ by what only qualifies them, by where a legal form stands or by a place: which are hits.
func TestQualifiers(t *testing.T) {
	for _, c := range []struct {
		asked, listed   string
		country, theirs string
		hit             bool
		how             How
	}{
		// What stands in brackets costs little where one name has it alone, whatever it is.
		{"Lumen Resale GmbH", "Lumen Resale GmbH (fictional)", "XC", "XC", true, Part},
		{"Lumen Resale GmbH", "Lumen Resale GmbH (fictional)", "", "", true, Part},
		{"Lumen Resale GmbH", "Lumen Resale GmbH [in liquidation]", "", "", true, Part},
		{"Lumen Resale GmbH (example)", "Lumen Resale GmbH (fictional)", "", "", true, Part},
		{"Lumen Resale GmbH (fictional)", "Lumen Resale (fictional)", "", "", true, Exact},
		{"Lumen Resale GmbH (fictional)", "Ostara Networks GmbH (fictional)", "XC", "XC", false, ""},
		{"Lumen Resale (fictional)", "Ostara Networks (fictional)", "", "", false, ""},
		{"Kestrel Hosting FZ LLC", "Kestrel Hosting FZ LLC (fictional)", "", "", true, Part},
		{"Kestrel Hosting (UK) Ltd", "Kestrel Hosting FZ LLC (fictional)", "", "", true, Part},
		{"Kestrel Hosting (UK) Ltd", "Kestrel Hosting FZ LLC (fictional)", "GB", "XB", true, Part},
		{"Kestrel Hosting（UK）Ltd", "Kestrel Hosting FZ LLC", "", "", true, Part},
		{"Kestrel Hosting (UK) Ltd", "Kestrel Hosting (Germany) GmbH", "", "", false, ""}, // but two countries are two bodies
		{"Kestrel Hosting (GB)", "Kestrel Hosting (DE)", "", "", false, ""},
		{"Kestrel Hosting (UK)", "Kestrel Hosting (GB)", "", "", true, Part},
		{"Kestrel Hosting (2)", "Kestrel Hosting", "", "", false, ""}, // a number says which it is
		{"Kestrel Hosting (II)", "Kestrel Hosting", "", "", false, ""},
		{"Hosting (Kestrel)", "Hosting", "", "", false, ""},
		{"(Kestrel Hosting)", "Kestrel Hosting", "", "", true, Exact},
		{"Kestrel Hosting (", "Kestrel Hosting", "", "", true, Exact},
		{"ORLOVETSKY, Demyan (Dyoma)", "Demyan Orlovetsky", "", "", true, Part},

		// So does what stands after c/o; other markers begin a name of its own.
		{"Ostara Networks GmbH c/o Smith", "Ostara Networks GmbH", "XC", "XC", true, Part},
		{"Ostara Networks GmbH c/o Smith", "Smith", "", "", false, ""},
		{"Ostara Networks GmbH, C/O Smith & Sons, 12 Long Lane", "Ostara Networks GmbH", "", "", true, Part},
		{"Ostara Networks GmbH t/a Lumen Resale", "Lumen Resale Ltd", "", "", true, Part},
		{"Ostara Networks GmbH trading as Lumen Resale", "Lumen Resale", "", "", true, Part},
		{"Ostara Networks GmbH trading as Lumen Resale", "Ostara Networks AG", "", "", true, Part},
		{"Ostara Networks GmbH d/b/a Lumen Resale", "Lumen Resale", "", "", true, Part},
		{"Ostara Networks GmbH (formerly Lumen Resale GmbH)", "Lumen Resale", "", "", true, Part},
		{"Ostara Networks GmbH (formerly Lumen Resale GmbH)", "Ostara Networks", "", "", true, Part},
		{"Ostara Networks, formerly Lumen Resale", "Kestrel Hosting, formerly Lumen Resale", "", "", true, Part},
		{"Ostara Networks, formerly Lumen Resale", "Kestrel Hosting", "", "", false, ""},
		{"Ostara Networks d/b/a GmbH", "Kestrel GmbH", "", "", false, ""},

		// A legal form is one wherever it stands, and is compared with legal forms alone.
		{"Lumen Resale GmbH Holding", "Lumen Resale", "", "", true, Exact},
		{"Lumen GmbH Resale", "Lumen Resale AG", "", "", true, Exact},
		{"Lumen Resale GmbH Quark", "Lumen Resale Ltd Quark", "", "", true, Exact},
		{"Lumen GmbH Quark", "Ostara GmbH Zephyr", "XC", "XC", false, ""},

		// A place costs less than another rare word, where one name alone has it.
		{"Ostara Networks Berlin GmbH", "Ostara Networks GmbH", "DE", "DE", true, Part},
		{"Ostara Networks GmbH Berlin", "Ostara Networks GmbH", "DE", "DE", true, Part},
		{"Ostara Networks UK Ltd", "Ostara Networks Ltd", "", "", true, Part},
		{"Ostara Networks Germany", "Ostara Networks", "DE", "DE", true, Part},
		{"Ostara Networks Germany", "Ostara Networks", "", "", false, ""}, // a bank and its namesake abroad are two
		{"Ostara Networks GmbH Zweigniederlassung Berlin", "Ostara Networks GmbH", "DE", "DE", true, Part},
		{"Ostara Networks Berlin GmbH", "Ostara Networks Hamburg GmbH", "", "", false, ""},
		{"Ostara Networks Germany", "Ostara Networks France", "", "", false, ""},
		{"Ostara Berlin", "Ostara", "", "", false, ""},
		{"Ostara Networks Zephyr", "Ostara Networks", "", "", false, ""},
		{"Berlin Networks", "Networks", "", "", false, ""},

		// Initials in quotation marks are no country, and nothing else.
		{`KESTREL HOSTING "KH" FZ-LLC`, "Kestrel Hosting Germany GmbH", "XB", "XB", true, Part},
		{`KESTREL HOSTING "KH" FZ-LLC`, "Kestrel Hosting Germany GmbH", "XB", "DE", false, ""},
		{`KESTREL HOSTING "KH" FZ-LLC`, "Kestrel Hosting", "", "", true, Part},
		{`KESTREL HOSTING “K.H.” FZ-LLC`, "Kestrel Hosting", "", "", true, Part},
		{`OOO "Kestrel"`, "Kestrel LLC", "", "", true, Exact},
		{`OOO "Kestrel"`, `OOO "Ostara"`, "", "", false, ""},

		// Words within a longer one are another's.
		{"AEROKESTREL", "Kestrel", "", "", false, ""},
	} {
		s := Subject{Country: c.theirs, Names: []Name{{c.listed, Current}}}
		h := Compare(Query{Name: c.asked, Country: c.country}, &s)
		if (h.Score >= Threshold) != c.hit || c.hit && h.How != c.how {
			t.Errorf("%q (%s), %q (%s): %v %s, want a hit %v, %s: %+v", c.asked, c.country, c.listed, c.theirs, h.Score, h.How, c.hit, c.how, h.Features)
		}
		checkHit(t, h)
		checkSymmetric(t, c.asked, c.listed)
		if x := NewIndex([]Subject{s}); c.hit && len(x.Screen(Query{Name: c.asked, Country: c.country}, Threshold)) != 1 {
			t.Errorf("%q does not find %q in an index", c.asked, c.listed)
		}
	}
}

// A hit's reasons are those that a person would give, and are of the best pair of names.
func TestReasons(t *testing.T) {
	for _, c := range []struct {
		asked  string
		listed []string
		name   string // the one reported
		want   string // each reason but for its points
	}{
		{"Lumen Resale GmbH", []string{"Lumen Resale GmbH (fictional)"}, "Lumen Resale GmbH (fictional)",
			"start; words in common: all letters are the same; 26.0 bits; all words; qualifier left out: “fictional”"},
		{`KESTREL HOSTING "KH" FZ-LLC`, []string{"Kestrel Hosting Germany GmbH"}, "Kestrel Hosting Germany GmbH",
			"start; place in one name alone: “germany”; words in common: “kestrel”, “hosting”; 18.0 bits; qualifier left out: “KH”"},
		{"Kestrel Hosting FZ LLC", []string{"Кестрел Хостинг", "Kestrel Hosting FZ LLC (fictional)"}, "Kestrel Hosting FZ LLC (fictional)",
			"start; words in common: all letters are the same; 18.0 bits; all words; qualifier left out: “fictional”"},
		{"Ostara Networks GmbH t/a Lumen Resale", []string{"Lumen Resale"}, "Lumen Resale",
			"start; words in common: all letters are the same; 26.0 bits; all words; one of several names: “Lumen Resale”"},
		{"Ostara Networks Berlin GmbH", []string{"Ostara Networks GmbH"}, "Ostara Networks GmbH",
			"start; place in one name alone: “berlin”; words in common: “ostara”, “networks”; 18.0 bits"},
	} {
		s := Subject{Schema: "Company"}
		for _, n := range c.listed {
			s.Names = append(s.Names, Name{n, Alias})
		}
		h := Compare(Query{Name: c.asked}, &s)
		var reasons []string
		for _, f := range h.Features {
			reasons = append(reasons, strings.TrimSuffix(f.Name+": "+f.Detail, ": "))
		}
		if got := strings.Join(reasons, "; "); got != c.want || h.Name.Text != c.name {
			t.Errorf("%q is %q by %s; want %q by %s", c.asked, h.Name.Text, got, c.name, c.want)
		}
	}
}

// A place that one name has alone costs less than another word in its stead.
func TestPlacesCostLess(t *testing.T) {
	points := func(name string) int {
		return Compare(Query{Name: name}, &Subject{Schema: "Company", Names: []Name{{"Ostara Networks GmbH", Current}}}).Points
	}
	word := points("Ostara Networks Zephyr GmbH")
	for _, place := range []string{"Berlin", "UK", "Germany", "Deutschland", "Niederlassung"} {
		if n := points("Ostara Networks " + place + " GmbH"); n <= word {
			t.Errorf("%s leaves %d points, another word %d", place, n, word)
		}
	}
}
