package ofac

import (
	_ "embed"
	"strings"
	"sync"
)

// countries.tsv has a line for each name of a country: its ISO 3166-1 alpha-2
// code, a tab, the name. Beside the names of ISO, the United Nations and CLDR
// it has OFAC's own spellings ("Korea, North", "Burma"). Regions ("Region:
// Crimea", "West Bank"), territories without a code and former countries are
// not in it: the addresses keep them as OFAC writes them.
//
//go:embed countries.tsv
var countriesTSV string

var countries = sync.OnceValue(func() map[string]string {
	codes := map[string]string{}
	for line := range strings.Lines(countriesTSV) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		codes[strings.ToLower(name)] = code
	}
	return codes
})

// countryCode is the alpha-2 code of a country as OFAC writes it, "" if it is
// not in the table.
func countryCode(name string) string {
	return countries()[strings.ToLower(name)]
}
