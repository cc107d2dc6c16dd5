package rules1

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// A table that changes judges old entries anew: these digests are the rules.
func TestTablesAreFrozen(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"unicode15.go", "c16a74142af4a0a51f9ece42eac5d12e6547014e1a066f157a677772b190b2b0"},
		{"country3166.go", "4d9957ceb29b24ddc70f6c6223fbc50d7004279a7566852a6d4d0bbeb2cb4059"},
		{"zoneinfo.zip", "8f55634d05f8bca1f7bc7c69c5933428c69357e0bdf565e5ba224e3f88ff12e8"},
	} {
		data, err := os.ReadFile(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != c.want {
			t.Errorf("%s: SHA-256 %x, want %s: changed tables are another rules version", c.name, got, c.want)
		}
	}
}

// The embedded zones are Go 1.26's own file; a toolchain with another one is no fault.
func TestZonesComeFromGo(t *testing.T) {
	if !strings.HasPrefix(runtime.Version(), "go1.26") {
		t.Skipf("%s has its own tzdata", runtime.Version())
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip(err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skip(err)
	}
	if string(data) != string(zoneinfo) {
		t.Error("zoneinfo.zip differs from the toolchain's")
	}
}

func TestCheck(t *testing.T) {
	designation := func(name string, target record.Target) *record.Statement {
		target.Name = name
		return &record.Statement{Kind: record.KindDesignation, Predicate: &record.Designation{Target: target}}
	}
	for _, c := range []struct {
		what string
		st   *record.Statement
		want string // where the one fault lies; "" = none
	}{
		{"plain", designation("Kestrel Hosting FZ-LLC", record.Target{Country: "XB"}), ""},
		{"composed", designation("Kestr\u00e9l \u041a\u0435\u0441\u0442\u0440\u0435\u043b", record.Target{}), ""},
		{"decomposed", designation("Kestre\u0301l", record.Target{}), "/predicate/target/name"},
		{"unassigned", designation("Kestrel \u0378", record.Target{}), "/predicate/target/name"},
		{"of Unicode 16", designation("Kestrel \U00010d4a", record.Target{}), "/predicate/target/name"},
		{"noncharacter", designation("Kestrel \ufdd0", record.Target{}), "/predicate/target/name"},
		{"soft hyphen", designation("Kes\u00adtrel", record.Target{}), "/predicate/target/name"},
		{"zero-width space", designation("Kestrel\u200bHosting", record.Target{}), "/predicate/target/name"},
		{"line separator", designation("Kestrel\u2028Hosting", record.Target{}), "/predicate/target/name"},
		{"variation selector", designation("Kestrel\ufe0f", record.Target{}), "/predicate/target/name"},
		{"Hangul filler", designation("\u3164", record.Target{}), "/predicate/target/name"},
		{"tag", designation("Kestrel\U000e0041", record.Target{}), "/predicate/target/name"},
		{"interlinear", designation("Kestrel\ufff9", record.Target{}), "/predicate/target/name"},
		{"joiner of Latin letters", designation("Kest\u200drel", record.Target{}), "/predicate/target/name"},
		{"joiner at the end", designation("\u0dc1\u0dca\u200d", record.Target{}), "/predicate/target/name"},
		{"joiner at the beginning", designation("\u200d\u0dbb", record.Target{}), "/predicate/target/name"},
		{"joiner of two scripts", designation("\u0dc1\u0dca\u200d\u09b0", record.Target{}), "/predicate/target/name"},
		{"two joiners", designation("\u0dc1\u0dca\u200d\u200d\u0dbb", record.Target{}), "/predicate/target/name"},
		{"joiner of Arabic digits", designation("\u0661\u200c\u0662", record.Target{}), "/predicate/target/name"},
		{"Sinhala", designation("\u0dc1\u0dca\u200d\u0dbb\u0dd3 \u0dbd\u0d82\u0d9a\u0dcf", record.Target{}), ""},
		{"Bengali", designation("\u09b0\u200d\u09cd\u09af\u09be\u09ae", record.Target{}), ""},
		{"Persian", designation("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", record.Target{}), ""},
		{"Arabic with a vowel sign", designation("\u0645\u064e\u200c\u062e", record.Target{}), ""},
		{"Arabic number sign", designation("\u0600\u0661", record.Target{}), ""},
		{"subject's name", &record.Statement{Kind: record.KindDesignation, Subject: record.Subject{Name: "order\u00ad.pdf"}, Predicate: &record.Designation{Target: record.Target{Name: "K"}}},
			"/subject/0/name"},
		{"no country", designation("K", record.Target{Country: "ZZ"}), "/predicate/target/country"},
		{"small country", designation("K", record.Target{Country: "us"}), "/predicate/target/country"},
		{"address", designation("K", record.Target{Address: []record.Address{{Country: "US"}, {Country: "UK"}}}),
			"/predicate/target/address/1/country"},
		{"LEI", designation("K", record.Target{LEI: "9999DOCKETDEMO000119"}), "/predicate/target/lei"},
		{"zone", &record.Statement{Kind: record.KindCharter, Predicate: &record.Charter{TimeZone: "America/Nowhere"}},
			"/predicate/timeZone"},
		{"enrolment", &record.Statement{Kind: record.KindEnrolment, Predicate: &record.Enrolment{Country: "US", LEI: "9999DOCKETDEMO000118"}}, ""},
	} {
		faults := Check(c.st)
		if c.want == "" {
			if len(faults) != 0 {
				t.Errorf("%s: got %v, want no fault", c.what, faults)
			}
			continue
		}
		if len(faults) != 1 || faults[0].Pointer != c.want {
			t.Errorf("%s: got %v, want one at %s", c.what, faults, c.want)
			continue
		}
		t.Run(c.what, func(t *testing.T) { refusaltest.Words(t, faults[0].Detail) })
	}
}

func TestCountries(t *testing.T) {
	n := 0
	for a := byte('A'); a <= 'Z'; a++ {
		for b := byte('A'); b <= 'Z'; b++ {
			if IsCountry(string([]byte{a, b})) {
				n++
			}
		}
	}
	if n != 249+26 {
		t.Errorf("got %d countries, want 249 and XA to XZ", n)
	}
	for _, c := range []string{"", "U", "USA", "us", "AA", "QM", "ZZ", "EU", "UK", "X1", "X[", "@A"} {
		if IsCountry(c) {
			t.Errorf("IsCountry(%q) = true", c)
		}
	}
}

func TestLEI(t *testing.T) {
	for _, good := range []string{"9999DOCKETDEMO000118", "5493001KJTIIGC8Y1R12", "7LTWFZYICNSX8D621K86"} {
		if err := checkLEI(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
		// MOD 97-10 finds every digit or letter mistaken for another and every swap
		// of neighbours of one sort.
		for i := range good {
			for _, b := range []byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
				if bad := good[:i] + string(b) + good[i+1:]; b != good[i] && isDigit(b) == isDigit(good[i]) && checkLEI(bad) == nil {
					t.Errorf("%s passes", bad)
				}
			}
			if i > 0 && good[i-1] != good[i] && isDigit(good[i-1]) == isDigit(good[i]) {
				if bad := good[:i-1] + string(good[i]) + string(good[i-1]) + good[i+1:]; checkLEI(bad) == nil {
					t.Errorf("%s passes", bad)
				}
			}
		}
	}
	for _, bad := range []string{"", "9999docketdemo000118", "9999DOCKETDEMO00011", "9999DOCKETDEMO0001180", "9999DOCKETDEMO 00118"} {
		if checkLEI(bad) == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func isDigit(b byte) bool { return '0' <= b && b <= '9' }

// With a toolchain at the same Unicode version the frozen classes must agree
// with it on what is assigned.
func TestAssignedAgreesWithUnicode(t *testing.T) {
	if unicode.Version != "15.0.0" {
		t.Skipf("the toolchain has Unicode %s", unicode.Version)
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		want := unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf, unicode.Co)
		if got := classOf(r) != classUnassigned; got != want {
			t.Fatalf("U+%04X assigned: got %t, want %t", r, got, want)
		}
	}
}

// A country is found by whatever it is called, and what is none is said to be none, with
// the one that may be meant.
func TestCountry(t *testing.T) {
	for text, want := range map[string]string{
		"RU": "RU", "ru": "RU", "rus": "RU", "RUS": "RU", "Russia": "RU", "russia": "RU", "Russian Federation": "RU", "the Russian Federation": "RU", " Russia ": "RU",
		"Korea, North": "KP", "Burma": "MM", "Cote d'Ivoire": "CI", "Côte d’Ivoire": "CI", "U.S.": "US", "U.S.A.": "US", "UK": "GB", "XB": "XB", "xb": "XB",
	} {
		if got, err := Country(text); got != want || err != nil {
			t.Errorf("Country(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"Rusia", "ZZ", "", "Atlantis", "Region: Crimea", "643", "Zimbawe"} {
		got, err := Country(text)
		if err == nil {
			t.Errorf("Country(%q) = %q, want an error", text, got)
			continue
		}
		refusaltest.Words(t, err.Error())
	}
}

// Each country of the rules has its names, and each name one country.
func TestCountryNames(t *testing.T) {
	owner := make(map[string]string)
	for line := range strings.Lines(countryNames) {
		all := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if !IsCountry(all[0]) || len(all[1]) != 3 {
			t.Errorf("%q: the codes are none of ISO 3166-1", line)
		}
		for _, name := range all {
			if has := owner[countryKey(name)]; has != "" && has != all[0] {
				t.Errorf("%q is %s and %s", name, has, all[0])
			}
			owner[countryKey(name)] = all[0]
		}
	}
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			if code := string([]rune{a, b}); IsCountry(code) && a != 'X' && owner[countryKey(code)] != code {
				t.Errorf("%s has no names", code)
			}
		}
	}
	b, err := os.ReadFile("internal/gen/country-codes.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] { // code, display name of CLDR
		if got, err := Country(row[1]); got != row[0] || err != nil {
			t.Errorf("Country(%q) = %q, %v, want %q", row[1], got, err, row[0])
		}
	}
}
