package rules1

import (
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// NameKey is a name as the register's exact name index holds it: two names with
// one key are the same name but for compatibility forms, case, spacing and
// punctuation. It neither transliterates nor drops accents, digits, symbols or
// legal forms; finding similar names is screening's work.
//
// The steps, each from frozen tables: NFKC; full case folding; NFKC; then
// apostrophes, full stops and default-ignorable code points vanish ("S.A." is
// "sa"), every other punctuation mark, control and separator is a space, and runs
// of spaces are one, none at the ends; NFC. A name of punctuation alone has the key "".
func NameKey(name string) string {
	if isASCII(name) {
		return asciiKey(name)
	}
	folded := norm.NFKC.String(foldCase(norm.NFKC.String(name)))
	var key strings.Builder
	key.Grow(len(folded))
	pending := false // a space is owed before the next kept code point
	for _, r := range folded {
		switch classOf(r) {
		case classSpace:
			pending = key.Len() > 0
		case classDropped, classFormat, classHidden, classJoiner:
		default:
			if pending {
				key.WriteByte(' ')
				pending = false
			}
			key.WriteRune(r)
		}
	}
	return norm.NFC.String(key.String()) // what vanished may have kept two apart
}

// asciiKey is NameKey of ASCII, which normalisation leaves as it is.
func asciiKey(name string) string {
	key := make([]byte, 0, len(name))
	pending := false
	for i := range len(name) {
		b := name[i]
		switch asciiClass[b] {
		case classSpace:
			pending = len(key) > 0
		case classDropped:
		default:
			if pending {
				key = append(key, ' ')
				pending = false
			}
			if 'A' <= b && b <= 'Z' {
				b += 'a' - 'A'
			}
			key = append(key, b)
		}
	}
	return string(key)
}

// asciiClass is classOf for the first 128 code points.
var asciiClass = func() (t [utf8.RuneSelf]textClass) {
	for r := range t {
		t[r] = classOf(rune(r))
	}
	return t
}()

// foldCase is Unicode's full case folding (CaseFolding.txt, statuses C and F).
func foldCase(s string) string {
	to := foldingMap()
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		if folded, ok := to[r]; ok {
			b.WriteString(folded)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// foldingMap is the table folds, as a map.
var foldingMap = sync.OnceValue(func() map[rune]string {
	to := make(map[rune]string)
	for word := range strings.FieldsSeq(folds) {
		r, size := utf8.DecodeRuneInString(word)
		to[r] = word[size:]
	}
	return to
})
