package register

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
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

const (
	maxSimilarKeys  = 128 // of one name have rows
	alphabetWord    = 'w'
	alphabetSimilar = 'a'
)

// rowKeys are what the keys of a text's rows begin with, in order, each once or more.
func (t SearchText) rowKeys(yield func(key string)) {
	form := screen.FormOf(t.Text)
	words := screen.AppendWords(nil, form.Own)
	if form.Latin != form.Own {
		words = append(words, screen.AppendWords(nil, form.Latin)...)
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
// this one, a word of a [screen.Form], by word and thread: one of several such words comes
// as often.
func (s Snapshot) ThreadsByWord(word string, yield func(record.Thread) (more bool, err error)) error {
	return s.scanSearch(string(alphabetWord)+screen.KeyWord(word), yield)
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
