package register

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

// Search rows lead from the words of a text to the threads that bear or bore it: one row
// for each word, and one for each key under which similar names meet. They only say where
// to look: whether a thread matches, its state and its former names decide, so that a row
// is never taken back. The functions of the keys belong to FormatVersion.

// SearchText is one text by which a thread is found.
type SearchText struct {
	Scheme string // SchemeName, or what else it is: an identifier's scheme, thread, list, website
	Text   string
	Use    IdentifierUse // current, alias, weak alias
}

// Schemes of texts that no identifier is looked up by.
const (
	SchemeThread  = "thread"  // its name: what comes after the family
	SchemeSource  = "source"  // the ID on the list that it was imported from
	SchemeWebsite = "website" // of a party
)

// SearchTexts are the texts by which a thread of that version is found, but for its former
// names: of a thing that people look for, not of what is filed about it.
func (row *ThreadRow) SearchTexts() (texts []SearchText) {
	add := func(scheme, text string, use IdentifierUse) {
		if text != "" {
			texts = append(texts, SearchText{scheme, text, use})
		}
	}
	switch s := row.State.(type) {
	case *PartyRow:
		add(SchemeName, s.LegalName, IdentifierCurrent)
		add(SchemeLEI, s.LEI, IdentifierCurrent)
		add(SchemeWebsite, s.Website, IdentifierCurrent)
	case *DesignationRow:
		t := &s.Current.Target
		add(SchemeName, t.Name, IdentifierCurrent)
		for _, a := range t.Alias {
			if a.Weak {
				add(SchemeName, a.Name, IdentifierWeak)
			} else {
				add(SchemeName, a.Name, IdentifierAlias)
			}
		}
		add(SchemeLEI, t.LEI, IdentifierCurrent)
		add("registrationNumber", t.RegistrationNumber, IdentifierCurrent)
		for _, d := range t.Domain {
			add(SchemeDomain, d, IdentifierCurrent)
		}
		if s.Current.Source != nil {
			add(SchemeSource, s.Current.Source.ID, IdentifierCurrent)
		}
	case *LicenceRow, *RequestRow, *ResellerRow, *AssessmentRow:
	default:
		return nil
	}
	add(SchemeThread, row.Thread.Name(), IdentifierCurrent)
	return texts
}

// SearchForm is a text as search compares it: by its own script, and in Latin letters. The
// two are one where that is all the same.
type SearchForm struct {
	Own   string // rules1.NameKey
	Latin string // words, a space between two
}

// SearchFormOf is the form of a text.
func SearchFormOf(text string) SearchForm {
	return SearchForm{Own: printableKey(rules1.NameKey(text)), Latin: printableKey(strings.Join(screen.Tokens(text), " "))}
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
func (f SearchForm) CoveredBy(other SearchForm) (asWritten, inLatin bool) {
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
	maxWordBytes    = 48  // of a word in a key: longer ones begin with it
	maxWordsOfText  = 256 // of one text have rows
	maxSimilarKeys  = 128 // of one name have rows
	alphabetWord    = 'w'
	alphabetSimilar = 'a'
)

// keyWord is as much of a word as a row's key has: in writing without spaces two
// characters, since every one begins a word there.
func keyWord(word string) string {
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

// rowWords adds the words of a text's rows, each as [keyWord] has it.
func rowWords(words []string, text string) []string {
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
			words = append(words, keyWord(word))
		}
		begins = false
	}
	return words
}

// rowKeys are what the keys of a text's rows begin with, in order, each once or more.
func (t SearchText) rowKeys(yield func(key string)) {
	form := SearchFormOf(t.Text)
	words := rowWords(nil, form.Own)
	if form.Latin != form.Own {
		words = append(words, rowWords(nil, form.Latin)...)
	}
	for _, word := range words {
		yield(string(alphabetWord) + word)
	}
	if t.Scheme == SchemeName {
		for _, key := range SimilarKeys(t.Text) {
			yield(string(alphabetSimilar) + key)
		}
	}
}

// SimilarKeys are the keys under which a name meets those that are similar to it, sorted.
func SimilarKeys(name string) []string {
	keys := screen.BlockingKeys(name)
	return keys[:min(len(keys), maxSimilarKeys)]
}

// writeSearchRows writes the rows of the texts that the record's thread did not bear before.
func (d *Draft) writeSearchRows(j *judgment, row *ThreadRow) {
	if row.isUnshown() {
		return
	}
	texts := row.SearchTexts()
	if len(texts) == 0 {
		return
	}
	known := make(map[SearchText]bool)
	if j.head != nil {
		for _, t := range j.head.SearchTexts() {
			known[SearchText{Scheme: t.Scheme, Text: t.Text}] = true
		}
	}
	written := make(map[string]bool)
	for _, t := range texts {
		if t.Use = 0; known[t] {
			continue
		}
		known[t] = true
		t.rowKeys(func(key string) {
			if !written[key] {
				written[key] = true
				d.put(appendVersion(d.scratchKey(), tableSearch, searchText(key, row.Thread), row.Index), nil)
			}
		})
	}
}

// searchText is the text of a search row.
func searchText(key string, thread record.Thread) string { return key + "\x1f" + string(thread) }

// ThreadsByWord yields the threads that bear or bore a text with a word that begins like
// this one, a word of a [SearchForm], by word and thread: one of several such words comes
// as often.
func (s Snapshot) ThreadsByWord(word string, yield func(record.Thread) (more bool, err error)) error {
	return s.scanSearch(string(alphabetWord)+keyWord(word), yield)
}

// ThreadsBySimilarKey yields the threads that bear or bore a name with one of
// [SimilarKeys], by thread.
func (s Snapshot) ThreadsBySimilarKey(key string, yield func(record.Thread) (more bool, err error)) error {
	return s.scanSearch(searchText(string(alphabetSimilar)+key, ""), yield)
}

func (s Snapshot) scanSearch(prefix string, yield func(record.Thread) (more bool, err error)) error {
	lower, upper := prefixBounds(tableSearch, prefix)
	past := func(text string) []byte { return append([]byte{tableSearch}, text+"\x01"...) }
	return s.rows.scanNewest(lower, upper, s.size, past, func(text string, _ uint64, _ []byte) (bool, error) {
		_, thread, ok := strings.Cut(text, "\x1f")
		if !ok || thread == "" {
			return false, fmt.Errorf("search row %q: %w", text, ErrDamaged)
		}
		return yield(record.Thread(thread))
	})
}

// RecordsByPrefix yields the indexes of the records whose IDs begin with these hexadecimal
// digits, in lower case, by ID.
func (s Snapshot) RecordsByPrefix(digits string, yield func(index uint64) (more bool, err error)) error {
	whole, err := hex.DecodeString(digits[:len(digits)&^1])
	if err != nil {
		return nil
	}
	lower, upper := prefixBounds(tableID, string(whole))
	return s.rows.scan(lower, upper, func(key, value []byte) (bool, error) {
		var id record.ID
		if len(key) != 1+len(id)+1 || len(value) != 8 {
			return false, fmt.Errorf("record ID row %x: %w", key, ErrDamaged)
		}
		copy(id[:], key[1:])
		if index := binary.BigEndian.Uint64(value); index < s.size && strings.HasPrefix(id.String(), digits) {
			return yield(index)
		}
		return true, nil
	})
}
