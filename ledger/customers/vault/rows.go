package vault

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

// Search rows lead from a hash to a customer. What is hashed is one of these texts, after its
// kind's byte. A name has a row for the beginnings of each of its words, as they are written
// and in Latin letters, of 3, 4, 6 and 8 characters (of a shorter word, and of writing
// without spaces, where any two characters may begin a word: itself), and for each key under
// which similar names meet ([screen.BlockingKeys]). A longer beginning is looked up by the
// longest one that has a row, and what is found by it is only a candidate.
const (
	hashWord    = 'w'
	hashSimilar = 's'
	hashEmail   = 'e'
	hashDomain  = 'd'
	hashPhone   = 'p'
	hashIP      = 'i'
	hashAccount = 'a' // as it is compared: of search, not of [Store.ByAccount]
	hashNumber  = 'n'

	// Of rows that are found by the whole hash, and of the term that rows came from.
	hashHandle = 'H'
	hashOwner  = 'A'
	hashTerm   = 'T'
)

// beginnings are the lengths, in characters, of beginnings of words that have rows.
var beginnings = [...]int{3, 4, 6, 8}

// token is what is hashed for a row.
type token struct {
	domain byte
	text   string
}

// tokens are those of what a customer bears; nil for what cannot be read as its kind.
func (t Term) tokens() (all []token) {
	if len(t.Text) > maxTerm || !utf8.ValidString(t.Text) {
		return nil
	}
	switch t.Kind {
	case Name:
		form := screen.FormOf(t.Text)
		for _, word := range wordsOf(form.Own, form.Latin) {
			for _, beginning := range beginningsOf(word) {
				all = append(all, token{hashWord, beginning})
			}
		}
		for _, key := range similarKeys(t.Text) {
			all = append(all, token{hashSimilar, key})
		}
	case Email:
		if local, domain := emailOf(t.Text); domain != "" {
			all = append(all, token{hashEmail, local + "@" + domain}, token{hashDomain, domain})
		}
	case Phone:
		if digits, _ := phoneOf(t.Text); digits != "" {
			all = append(all, token{hashPhone, tailOf(digits)})
		}
	case IP:
		p, err := prefixOf(t.Text)
		if err != nil || !p.IsSingleIP() {
			return nil
		}
		for _, bits := range stepsFor(p.Addr()) {
			q, _ := p.Addr().Prefix(bits)
			all = append(all, tokenOf(q))
		}
	case Account:
		if account := accountOf(t.Text); account != "" {
			all = append(all, token{hashAccount, account})
		}
	case Number:
		if number := numberOf(t.Text); number != "" {
			all = append(all, token{hashNumber, number})
		}
	}
	return unique(all)
}

func tokenOf(p netip.Prefix) token { return token{hashIP, p.String()} }

// similarKeys are the keys under which a name meets those that are similar to it.
func similarKeys(name string) []string {
	keys := screen.BlockingKeys(name)
	return keys[:min(len(keys), maxSimilar)]
}

// wordsOf are the words of a name in both its forms.
func wordsOf(own, latin string) []string {
	words := screen.AppendWords(nil, own)
	words = words[:min(len(words), maxNameWords)]
	if latin != own {
		more := screen.AppendWords(nil, latin)
		words = append(words, more[:min(len(more), maxNameWords)]...)
	}
	return words
}

// beginningsOf are the beginnings of a word that have rows.
func beginningsOf(word string) (all []string) {
	size := utf8.RuneCountInString(word)
	for _, n := range beginnings {
		if n <= size {
			all = append(all, word[:offsetOf(word, n)])
		}
	}
	if size < beginnings[0] {
		all = append(all, word)
		if first := word[:offsetOf(word, 1)]; first != word && screen.KeyWord(word+word) == word {
			all = append(all, first) // writing without spaces
		}
	}
	return all
}

// lookedUp is the beginning by which a word of a query is looked up.
func lookedUp(word string) string {
	size := utf8.RuneCountInString(word)
	longest := size
	for _, n := range beginnings {
		if n <= size {
			longest = n
		}
	}
	return word[:offsetOf(word, longest)]
}

// offsetOf is where the nth character of a text begins.
func offsetOf(text string, n int) int {
	for i := range text {
		if n == 0 {
			return i
		}
		n--
	}
	return len(text)
}

// needs are what a term of a query asks for: one of them is enough; of each, all tokens
// groups must be borne, and of a group one token.
type needs [][]token

// asked is how a term of a query is looked up, in each way in which it may be read.
func (t Term) asked() (ways []needs) {
	one := func(domain byte, text string) needs { return needs{{{domain, text}}} }
	for _, r := range t.readings() {
		switch r.Kind {
		case Name:
			form := screen.FormOf(r.Text)
			ways = append(ways, words(form.Own))
			if form.Latin != form.Own && form.Latin != "" {
				ways = append(ways, words(form.Latin))
			}
		case Email:
			if local, domain := emailOf(r.Text); local != "" {
				ways = append(ways, one(hashEmail, local+"@"+domain))
			} else {
				ways = append(ways, one(hashDomain, domain))
			}
		case Phone:
			digits, _ := phoneOf(r.Text)
			ways = append(ways, one(hashPhone, tailOf(digits)))
		case IP:
			p, _ := prefixOf(r.Text)
			under, _ := stepsOf(p)
			var group []token
			for _, q := range under {
				group = append(group, tokenOf(q))
			}
			ways = append(ways, needs{group})
		case Account:
			ways = append(ways, one(hashAccount, accountOf(r.Text)))
		case Number:
			ways = append(ways, one(hashNumber, numberOf(r.Text)))
		}
	}
	return ways
}

// words asks for a form's words; one letter alone only where there is nothing else.
func words(form string) (n needs) {
	all := screen.AppendWords(nil, form)
	all = all[:min(len(all), maxNameWords)]
	for _, word := range all {
		if len(word) > 1 {
			n = append(n, []token{{hashWord, lookedUp(word)}})
		}
	}
	if len(n) == 0 && len(all) > 0 {
		n = needs{{{hashWord, all[0]}}}
	}
	return n
}

// similar are the tokens of names that are similar to a query's, each a hint.
func (t Term) similar() (all []token) {
	if t.Kind != Name && t.Kind != Any || t.Check() != nil || !strings.ContainsFunc(t.Text, unicode.IsLetter) {
		return nil
	}
	for _, key := range similarKeys(t.Text) {
		all = append(all, token{hashSimilar, key})
	}
	return all
}

func unique(all []token) []token {
	slices.SortFunc(all, func(a, b token) int {
		if a.domain != b.domain {
			return int(a.domain) - int(b.domain)
		}
		return strings.Compare(a.text, b.text)
	})
	return slices.Compact(all)
}
