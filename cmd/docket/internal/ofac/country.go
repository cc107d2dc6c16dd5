package ofac

import "github.com/seed-53cf897a/docket/ledger/register/rules1"

// countryCode is the alpha-2 code of a country as OFAC writes it, "" if it names none:
// regions ("Region: Crimea"), territories without a code and former countries stay in
// the addresses as OFAC writes them.
func countryCode(name string) string {
	code, err := rules1.Country(name)
	if err != nil {
		return ""
	}
	return code
}
