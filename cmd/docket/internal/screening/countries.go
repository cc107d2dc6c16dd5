package screening

import (
	"strings"
	"sync"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// ReadCountry is the code of a country as lists have it, where no designation says more.
func ReadCountry(text string) (code string, err error) { return readCountry(text, nil) }

// readCountry is the code of a country as lists have it: as rules1 reads it, else by a name
// that a designated jurisdiction bears, else by its name in one of [spellingLanguages] or a
// common short form. The error is that of rules1.
func readCountry(text string, d *Designations) (code string, err error) {
	if code, err = rules1.Country(text); err == nil {
		return code, nil
	}
	if code = d.countryNamed(text); code != "" {
		return code, nil
	}
	if code = spellings()[rules1.NameKey(text)]; code != "" {
		return code, nil
	}
	return "", err
}

// spellingLanguages are those in which a country's name is read, as the Unicode CLDR has it
// (package display, whose data come with the version in go.mod). A later CLDR that reads
// another name makes another report of the same head: then reportFormat has to be raised.
var spellingLanguages = []string{"ar", "cs", "da", "de", "el", "es", "fa", "fi", "fr", "it", "ja", "ko", "nl", "no", "pl", "pt", "ru", "sv", "tr", "uk", "zh"}

// shortForms are what people call a country that no table of names has: its parts (ISO
// 3166-2:GB), the province that the Netherlands are called after, an abbreviation.
var shortForms = map[string]string{
	"England": "GB", "Scotland": "GB", "Wales": "GB", "Northern Ireland": "GB",
	"Holland": "NL", "Russian Fed.": "RU", "Russian Fed": "RU",
}

// spellings are the codes by [rules1.NameKey]. A name that two countries bear, in whatever
// languages, is none of either's.
var spellings = sync.OnceValue(func() map[string]string {
	codes := make(map[string]string)
	for name, code := range shortForms {
		note(codes, name, code)
	}
	for _, in := range spellingLanguages {
		names := display.Regions(language.MustParse(in))
		for a := 'A'; a <= 'Z'; a++ {
			for b := 'A'; b <= 'Z'; b++ {
				code := string([]rune{a, b})
				if a == 'X' || !rules1.IsCountry(code) { // X is fictional here
					continue
				}
				if region, err := language.ParseRegion(code); err == nil {
					note(codes, names.Name(region), code)
				}
			}
		}
	}
	return codes
})

// note takes a name for a country's; a name that another one bears too has the code "".
func note(codes map[string]string, name, code string) {
	key := rules1.NameKey(name)
	if known, ok := codes[key]; ok && known != code {
		code = ""
	}
	if key != "" && !strings.EqualFold(key, code) {
		codes[key] = code
	}
}

// nameJurisdiction notes what a designated jurisdiction is called.
func (d *Designations) nameJurisdiction(one view.Designation) {
	note(d.countries, one.Name, one.Country)
	for _, a := range one.Alias {
		note(d.countries, a.Name, one.Country)
	}
	for _, name := range one.FormerName {
		note(d.countries, name, one.Country)
	}
}

// countryNamed is the country of the designated jurisdiction of a name; "" if there is none,
// or more than one.
func (d *Designations) countryNamed(text string) string {
	if d == nil {
		return ""
	}
	return d.countries[rules1.NameKey(text)]
}
