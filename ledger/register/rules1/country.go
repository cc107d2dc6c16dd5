package rules1

import (
	"fmt"
	"strings"
	"sync"

	"github.com/seed-53cf897a/docket/ledger/record"
)

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
	return "", fmt.Errorf("%q is no country: want its name in English or its ISO 3166-1 code, of two or three letters (XA to XZ stand for fictional ones)%s", text, record.DidYouMean(text, known.names))
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
