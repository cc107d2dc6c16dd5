package rules1

import "strings"

// IsCountry reports whether code is an officially assigned ISO 3166-1 alpha-2
// code, or one of XA to XZ, which the standard leaves to its users and Docket
// gives to fictional countries.
func IsCountry(code string) bool {
	if len(code) != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' {
		return false
	}
	return code[0] == 'X' || strings.IndexByte(countries[code[0]-'A'], code[1]) >= 0
}
