package screen

import (
	"slices"
	"strconv"
	"strings"
)

// BlockingKeys says which names are compared at all: two are, if they have a key in common. The keys
// are a function of the name alone, sorted, each one once:
//
//	s:CODE       each word that few bear, by its consonants, if they are two with its first letter;
//	             and any two neighbours run together
//	a:LETTERS    its letters, those of the place that it is a Slavic adjective of, and those of the
//	             whole name, in alphabetical order
//	p:CODE+CODE  any two words that many bear, in alphabetical order
//	m:CODE+A     a word that many bear, and the first letter of another that few do, or, in a name of
//	             up to three words, of any other
//	d:CODE       a name's only word, or the only one that few bear, and its code less each consonant
//	c:CODE       the whole name, run together; up to three words less each consonant too
//	o:WORD       a name's only word, by its sound; f: its first four letters
//	q:ABC+XYZ    the first three letters of a name's two words, in alphabetical order
//	i:ABC        the first letters of a name's words, or a short word of a name of one or two
//
// Legal forms, titles and particles count only where there is nothing else.
func BlockingKeys(name string) []string {
	return blockingKeys(parseWords(name, false), parseWords(name, true))
}

// blockingKeys are the keys of a name as a body's and as a person's, which may end like a legal form.
func blockingKeys(body, person *name) []string {
	var b keyBuilder
	b.add(body)
	if len(body.keyed) < len(person.keyed) && (len(body.keyed) == 0 || len(person.keyed) <= 4) {
		b.add(person)
	}
	slices.Sort(b.keys)
	return slices.Compact(b.keys)
}

type keyBuilder struct{ keys []string }

const (
	maxKeyWords = maxTokens // words of a name that have keys
	maxKey      = 64        // code points of a key
	maxFewWords = 3
	maxInitials = 8
)

func (b *keyBuilder) add(n *name) {
	type keyed struct {
		*token
		code string
	}
	var all [maxKeyWords]keyed
	size := 0
	matters := mattering(n.keyed)
	for i := range n.keyed {
		t := &n.keyed[i]
		if size == len(all) || matters && !t.kind.matters() {
			continue
		}
		k := keyed{t, codeOf(t.sound.text)}
		if t.number >= 0 {
			k.code = strconv.Itoa(int(t.number))
		}
		all[size] = k
		size++
	}
	words := all[:size]
	rare := 0
	for i, k := range words {
		if !k.many {
			rare++
			b.put("s:", k.code, shortCode(k.code, k.sound.text))
			b.putLetters(k.sound.text)
			b.putLetters(adjectiveStem(k.sound.text))
		}
		for _, l := range words[i+1:] {
			if k.many && l.many {
				b.put("p:", min(k.code, l.code)+"+", max(k.code, l.code))
			}
			few := size <= maxFewWords
			if k.many && (few || !l.many) {
				b.put("m:", k.code+"+", initialOf(l.sound.text))
			}
			if l.many && (few || !k.many) {
				b.put("m:", l.code+"+", initialOf(k.sound.text))
			}
		}
		if i+1 < len(words) {
			run := soundOf(k.text + words[i+1].text)
			code := codeOf(run)
			b.put("s:", code, shortCode(code, run))
		}
		if size <= 2 && len(k.text) >= 2 && len(k.text) <= maxInitials {
			b.put("i:", k.text, "")
		}
	}
	if size == 0 {
		return
	}
	for _, k := range words {
		if size == 1 || !k.many && rare == 1 {
			b.putLess("d:", k.code, k.sound.text)
		}
	}
	whole := soundOf(n.core)
	b.putLetters(whole)
	if size <= maxFewWords {
		b.putLess("c:", codeOf(whole), whole)
	} else {
		b.put("c:", codeOf(whole), "")
	}
	switch size {
	case 1:
		b.put("o:", words[0].sound.text, "")
		b.put("f:", head(words[0].sound.text, 4), "")
	case 2:
		x, y := head(words[0].sound.text, 3), head(words[1].sound.text, 3)
		b.put("q:", min(x, y)+"+", max(x, y))
	}
	if len(n.keyed) > 1 {
		var every, some, those string // first letters: of all words, of those that are no particles, of those that matter
		for i := range n.keyed[:min(maxInitials, len(n.keyed))] {
			c := head(n.keyed[i].text, 1)
			every += c
			if n.keyed[i].kind != kindParticle {
				some += c
			}
			if n.keyed[i].kind.matters() {
				those += c
			}
		}
		b.put("i:", every, "")
		b.put("i:", some, "")
		b.put("i:", those, "")
		if strings.Contains(n.text, "-") { // of hyphenated words once
			apart := ""
			for word := range strings.FieldsSeq(n.text) {
				if w := Tokens(word); len(w) > 0 && wordTable()[w[0]].kind != kindParticle && len(apart) < maxInitials {
					apart += head(w[0], 1)
				}
			}
			b.put("i:", apart, "")
		}
	}
}

// putLetters puts the letters of a sound in alphabetical order, which stay where they change places.
func (b *keyBuilder) putLetters(sound string) {
	if letters := []byte(sound); isASCII(sound) && len(letters) >= 4 {
		slices.Sort(letters)
		b.put("a:", string(letters), "")
	}
}

// adjectiveEndings are those of adjectives of places in Slavic languages, in the nominative of each
// gender and number, as they sound ([soundOf]): "Muromskii", "Muromskaya" and "Muromskoe" are of Murom.
const adjectiveEndings = "ski ska sko ske skie skii skoi skoe skaia skaja skoje skij"

var adjectiveEndingList = strings.Fields(adjectiveEndings)

// adjectiveStem is the place that a word may be a Slavic adjective of, by their sounds, or "".
func adjectiveStem(sound string) string {
	for _, ending := range adjectiveEndingList {
		if stem, ok := strings.CutSuffix(sound, ending); ok {
			return stem
		}
	}
	return ""
}

// putLess puts a code, and the code less each one of its consonants: codes that are a consonant apart
// have one in common. Of a short code it is the sound less each one of its letters.
func (b *keyBuilder) putLess(kind, code, sound string) {
	b.put(kind, code, "")
	if len(code) > 3 {
		b.putEachLess(kind, code)
	} else {
		b.put(kind, head(sound, 8), "")
		b.putEachLess(kind, head(sound, 8))
	}
}

func (b *keyBuilder) putEachLess(kind, code string) {
	if !isASCII(code) || len(code) < 3 {
		return
	}
	for i := range len(code) {
		b.put(kind, code[:i], code[i+1:])
	}
}

func (b *keyBuilder) put(kind, key, more string) {
	b.keys = append(b.keys, head(kind+key+more, maxKey))
}

// shortCode is what is added to a code of two consonants, which many words have: the first letter.
func shortCode(code, sound string) string {
	if len(code) != 2 {
		return ""
	}
	return "-" + initialOf(sound)
}

// initialOf is the first letter of a sound, vowels made one.
func initialOf(sound string) string {
	if c := head(sound, 1); c != "" && !isVowel(c[0]) {
		return codeOf(c)
	}
	return "a"
}

// codeOf is the first eight consonants of a sound, those that are taken for each other made one; of a
// sound with fewer than two of them the sound itself.
func codeOf(sound string) string {
	if !isASCII(sound) {
		return sound
	}
	var code [8]byte
	n, letters := 0, !isNumber(sound)
	for i := 0; i < len(sound) && n < len(code); i++ {
		c := sound[i]
		switch c {
		case 'a', 'e', 'i', 'o', 'u', 'y', 'h', 'v', 'j':
			continue
		case 'b':
			c = 'p'
		case 'd':
			c = 't'
		case 'q', 'c':
			c = 'k'
		case 'g':
			if c = 'k'; i == len(sound)-1 && n > 1 && sound[i-1] == 'n' {
				continue // "ng" and "n" are one in many romanisations
			}
		case 'z', 'x':
			c = 's'
		}
		if letters && isDigit(c) { // read as the letter that it looks like
			if c = "aaaaasktpk"[c-'0']; c == 'a' {
				continue
			}
		}
		if n > 0 && code[n-1] == c && letters {
			continue
		}
		code[n] = c
		n++
	}
	if n > 2 && letters && code[n-1] == 's' && sound[len(sound)-1] == 's' {
		n-- // an ending in many languages
	}
	if n < 2 {
		return sound
	}
	return string(code[:n])
}

// head is the first n code points of a word.
func head(word string, n int) string {
	for i := range word {
		if n == 0 {
			return word[:i]
		}
		n--
	}
	return word
}
