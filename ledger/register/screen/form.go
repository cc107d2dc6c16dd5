package screen

import (
	"strings"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// Form is a text as search compares it: by its own script, and in Latin letters. The
// two are one where that is all the same.
type Form struct {
	Own   string // rules1.NameKey
	Latin string // words, a space between two
}

// FormOf is the form of a text.
func FormOf(text string) Form {
	return Form{Own: printableKey(rules1.NameKey(text)), Latin: printableKey(strings.Join(Tokens(text), " "))}
}

// printableKey is a key without what keys of rows cannot hold.
func printableKey(key string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, key)
}

// CoveredBy reports whether each word of the form begins a word of the other one, as both are
// written, or only as they are in Latin letters: in writing without spaces between words any
// character begins one. A form without a word is covered by none.
func (f Form) CoveredBy(other Form) (asWritten, inLatin bool) {
	return covers(f.Own, other.Own), covers(f.Latin, other.Latin)
}

func covers(words, text string) bool {
	found := false
	for word := range strings.FieldsSeq(words) {
		if found = beginsWord(word, text); !found {
			return false
		}
	}
	return found
}

// beginsWord reports whether a word stands in a text where a word begins.
func beginsWord(word, text string) bool {
	for from := 0; from < len(text); {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		if i += from; i == 0 || text[i-1] == ' ' {
			return true
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if isUnspaced(r) {
			return true
		}
		from = i + size
	}
	return false
}

// unspaced are the blocks of scripts that put no space between two words, or seldom in a
// name: Thai and Lao, Tibetan, Myanmar, Hangul, Khmer, kana, Han.
var unspaced = [...][2]rune{
	{0x0E00, 0x0FFF}, {0x1000, 0x109F}, {0x1100, 0x11FF}, {0x1780, 0x17FF}, {0x2E80, 0x2FDF}, {0x3005, 0x3007}, {0x3040, 0x312F},
	{0x3130, 0x31BF}, {0x31F0, 0x31FF}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xA960, 0xA97F}, {0xA9E0, 0xA9FF}, {0xAA60, 0xAA7F},
	{0xAC00, 0xD7FF}, {0xF900, 0xFAFF}, {0x1B000, 0x1B16F}, {0x20000, 0x3FFFF},
}

func isUnspaced(r rune) bool {
	if r < unspaced[0][0] {
		return false
	}
	for _, block := range unspaced {
		if block[0] <= r && r <= block[1] {
			return true
		}
	}
	return false
}

const (
	maxWordBytes   = 48  // of a word in a key: longer ones begin with it
	maxWordsOfText = 256 // of one text have rows
)

// KeyWord is as much of a word as the key of a row has: in writing without spaces two
// characters, since every one begins a word there.
func KeyWord(word string) string {
	first, size := utf8.DecodeRuneInString(word)
	if isUnspaced(first) {
		_, second := utf8.DecodeRuneInString(word[size:])
		return word[:size+second]
	}
	if len(word) <= maxWordBytes {
		return word
	}
	n := maxWordBytes
	for !utf8.RuneStart(word[n]) {
		n--
	}
	return word[:n]
}

// AppendWords adds the places of one text of a form at which a word begins, at most 256, each
// as [KeyWord] has it: what rows lead from.
func AppendWords(words []string, text string) []string {
	begins := true
	for i, r := range text {
		if r == ' ' {
			begins = true
			continue
		}
		if begins || isUnspaced(r) {
			if len(words) >= maxWordsOfText {
				return words
			}
			word, _, _ := strings.Cut(text[i:], " ")
			words = append(words, KeyWord(word))
		}
		begins = false
	}
	return words
}
