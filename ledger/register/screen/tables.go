package screen

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/rangetable"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// TablesDigest is the SHA-256, in lower-case hexadecimal, of all tables that keys and scores come
// from: what becomes of each code point, legal forms, words, spellings.
func TablesDigest() string { return tablesDigest() }

var tablesDigest = sync.OnceValue(func() string {
	h := sha256.New()
	fmt.Fprintf(h, "docket-screen/%d name keys %d\n", Version, rules1.NameKeyFormat)
	var b strings.Builder
	// Of any other code point nothing becomes, and of a million there are some 150,000 of these.
	rangetable.Visit(rangetable.Merge(unicode.L, unicode.M, unicode.N, unicode.P, unicode.S), func(r rune) {
		if r < utf8.RuneSelf {
			return
		}
		b.Reset()
		if unicode.In(r, unicode.Han, unicode.Hangul) {
			b.WriteByte(' ')
		}
		if writeLatin(&b, r); b.Len() > 0 {
			fmt.Fprintf(h, "%x %s\n", r, b.String())
		}
	})
	for _, table := range []string{legalForms, particles, titles, forms, generics, places, branches, commonNames, nicknames,
		numberWords, ordinals, tens, similarLetters, strings.Join(soundSpellings, " "), strings.Join(percentWords, " "), adjectiveEndings,
		strings.Join(shortForms, " "), ownName.String(), careOf.String(), quoted.String()} {
		fmt.Fprintf(h, "%d %s\n", len(table), table)
	}
	for _, r := range slices.Sorted(maps.Keys(supplement)) {
		fmt.Fprintf(h, "%x %s\n", r, supplement[r])
	}
	return hex.EncodeToString(h.Sum(nil))
})
