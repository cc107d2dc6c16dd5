package screen

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mozillazg/go-unidecode"
	"golang.org/x/text/unicode/norm"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// Tokens are the words of a name as they are compared: [rules1.NameKey], with
// Latin letters without accents in place of all others. A syllable in Han or
// Hangul is a word of its own. A percent sign is read as the word, which what is written right
// behind it ends ("3%ers"), and a plus sign between words as "and". Legal forms stay, and so does
// every digit. Only a name of punctuation has no words.
func Tokens(name string) []string {
	words := strings.Fields(latin(rules1.NameKey(percentSigns.Replace(name))))
	for i := 1; i+1 < len(words); i++ {
		if words[i] == "+" {
			words[i] = "and"
		}
	}
	return words
}

// percentWords has each percent sign, and the word that it is read as: a name's key has a space in its place.
var percentWords = []string{"%", " percent", "％", " percent", "﹪", " percent", "٪", " percent"}

var percentSigns = strings.NewReplacer(percentWords...)

// latin is a name's key in lower-case Latin letters and digits, with spaces between words.
func latin(key string) string {
	if isASCII(key) {
		return key
	}
	var b strings.Builder
	for word := range strings.FieldsSeq(key) {
		before := b.Len()
		for i, r := range word {
			if i == len("ال") && strings.HasPrefix(word, "ال") && len(word) > len("الله") {
				b.WriteByte(' ') // the article, which Latin letters have apart
			}
			syllable := unicode.In(r, unicode.Han, unicode.Hangul)
			if syllable {
				b.WriteByte(' ')
			}
			writeLatin(&b, r)
			if syllable {
				b.WriteByte(' ')
			}
		}
		if strings.TrimSpace(b.String()[before:]) == "" {
			b.WriteString(word) // of marks and signs alone
		}
		b.WriteByte(' ')
	}
	return b.String()
}

// writeLatin writes a code point in Latin letters and digits: by the table, or else by those that it
// is composed of, or as it is. What is written as a sign alone, such as a soft sign, vanishes.
func writeLatin(b *strings.Builder, r rune) {
	if r < utf8.RuneSelf {
		b.WriteByte(byte(r))
		return
	}
	text, supplied := supplement[r]
	if !supplied {
		text = unidecode.Unidecode(string(r))
	}
	if text == "" {
		if parts := norm.NFKD.String(string(r)); parts != string(r) {
			for _, part := range parts {
				writeLatin(b, part)
			}
		} else if unicode.In(r, unicode.L, unicode.N) {
			b.WriteRune(r)
		}
	}
	for i := range len(text) {
		switch c := text[i]; {
		case 'A' <= c && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			b.WriteByte(c)
		}
	}
}

// supplement has letters that the library's table leaves out.
var supplement = map[rune]string{'ا': "a", 'أ': "a", 'إ': "i", 'آ': "a", 'ٱ': "a"}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
