// Package rules1 holds the tables that judge records under rules 1: which code
// points exist, which countries, which time zones, what a legal entity
// identifier's check digits must be. They are embedded and frozen, never the
// host's nor a library's newest, so that every machine judges an entry alike for
// as long as the ledger lives (RECORDS.md "Dates", "Tables that judge").
//
// It judges single values only. What a kind requires is package record's; what
// the ledger's state allows is package register's.
//
// Sources: Unicode 15.0.0, ISO 3166-1 as of 2025, tzdata 2025c, ISO 17442-1:2020.
// A change of any of them is another rules version in another package.
package rules1

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

const (
	// Version is the charter's `rules` number that these tables judge.
	Version = 1
	// NameKeyFormat numbers the form of [NameKey]. A store of such keys raises its own
	// format with it, and rebuilds by replay.
	NameKeyFormat = 1
)

// Check judges every value of a statement that a table decides: text is NFC of
// assigned code points that are seen, countries and time zones exist, check digits agree. No
// fault means nil. The same statement gives the same faults on every machine.
func Check(st *record.Statement) []record.Fault {
	var c faultCollector
	st.VisitStrings(c.text)
	switch p := st.Predicate.(type) {
	case *record.Charter:
		c.zone("/predicate/timeZone", p.TimeZone)
	case *record.Enrolment:
		c.country("/predicate/country", p.Country)
		c.lei("/predicate/lei", p.LEI)
	case *record.Designation:
		c.target("/predicate/target", &p.Target)
	case *record.ResellerReport:
		if p.Reseller != nil {
			c.country("/predicate/reseller/country", p.Reseller.Country)
		}
	case *record.DisclosureRequest:
		c.country("/predicate/jurisdiction", p.Jurisdiction)
	}
	return c.faults
}

// CheckTarget judges a designation's target alone: what [Check] does not see of
// an amendment, whose result is validated as a whole designation.
func CheckTarget(t *record.Target) []record.Fault {
	var c faultCollector
	c.target("/predicate/target", t)
	return c.faults
}

// A checker gathers the faults of one statement.
type faultCollector struct{ faults []record.Fault }

func (c *faultCollector) fault(pointer, format string, args ...any) {
	c.faults = append(c.faults, record.Fault{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

func (c *faultCollector) text(pointer, value string) {
	if err := checkText(value); err != nil {
		c.fault(pointer, "%v", err)
	}
}

func (c *faultCollector) zone(pointer, name string) {
	if _, err := Location(name); err != nil {
		c.fault(pointer, "%v", err)
	}
}

func (c *faultCollector) target(pointer string, t *record.Target) {
	c.country(pointer+"/country", t.Country)
	c.lei(pointer+"/lei", t.LEI)
	for i := range t.Address {
		c.country(fmt.Sprintf("%s/address/%d/country", pointer, i), t.Address[i].Country)
	}
}

// country accepts an absent value: whether one is required is the kind's schema's.
func (c *faultCollector) country(pointer, code string) {
	if code != "" && !IsCountry(code) {
		c.fault(pointer, "%q is no ISO 3166-1 alpha-2 code (two capital letters; XA to XZ stand for fictional countries)", code)
	}
}

func (c *faultCollector) lei(pointer, lei string) {
	if lei == "" {
		return
	}
	if err := checkLEI(lei); err != nil {
		c.fault(pointer, "%v", err)
	}
}

// IsCountry reports whether code is an officially assigned ISO 3166-1 alpha-2
// code, or one of XA to XZ, which the standard leaves to its users and Docket
// gives to fictional countries.
func IsCountry(code string) bool {
	if len(code) != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' {
		return false
	}
	return code[0] == 'X' || strings.IndexByte(countries[code[0]-'A'], code[1]) >= 0
}

// Country is the alpha-2 code of a country as people and lists write it: by that code or
// the alpha-3 one, or by a name, even but for what [NameKey] evens out and a leading
// "the". Records hold the alpha-2 code alone, and no rule judges by this. The error says
// what is taken, and which country may be meant.
func Country(text string) (code string, err error) {
	key, known := countryKey(text), named()
	if upper := strings.ToUpper(key); IsCountry(upper) {
		return upper, nil
	}
	if code, ok := known.codes[key]; ok {
		return code, nil
	}
	return "", fmt.Errorf("%q is no country: want its name in English or its ISO 3166-1 code, of two or three letters (XA to XZ stand for fictional ones)%s", text, schema.DidYouMean(text, known.names))
}

func countryKey(name string) string { return strings.TrimPrefix(NameKey(name), "the ") }

// named is countryNames, read once.
var named = sync.OnceValue(func() (known struct {
	codes map[string]string // by [countryKey] of every name
	names []string          // one of each country
}) {
	known.codes = make(map[string]string)
	for line := range strings.Lines(countryNames) {
		all := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for _, name := range all[1:] {
			known.codes[countryKey(name)] = all[0]
		}
		known.names = append(known.names, all[2:]...)
	}
	return known
})

var errLEICheckDigits = errors.New("legal entity identifier: the check digits do not agree, so some character is mistyped")

// checkLEI judges a legal entity identifier by ISO 17442-1: 18 letters and
// digits, then two check digits such that the whole, each letter read as 10 to
// 35, leaves 1 modulo 97 (ISO/IEC 7064, MOD 97-10).
func checkLEI(lei string) error {
	if len(lei) != 20 {
		return fmt.Errorf("legal entity identifier: %d characters, want 20 (18 capital letters and digits, 2 check digits)", len(lei))
	}
	rest := 0
	for i := range len(lei) {
		switch b := lei[i]; {
		case '0' <= b && b <= '9':
			rest = (rest*10 + int(b-'0')) % 97
		case 'A' <= b && b <= 'Z' && i < 18:
			rest = (rest*100 + int(b-'A') + 10) % 97
		default:
			return fmt.Errorf("legal entity identifier: %q at position %d, want capital letters and digits, the last two digits", b, i+1)
		}
	}
	if rest != 1 {
		return errLEICheckDigits
	}
	return nil
}
