package screen

import (
	"slices"
	"strconv"
)

// BlockingKeys says which names are compared at all: two are, if they have a key in common. The keys
// are a function of the name alone, sorted, each one once:
//
//	s:CODE       each word that few bear, by its consonants, if they are two with its first letter;
//	             and any two neighbours run together
//	p:CODE+CODE  any two words that many bear, in alphabetical order
//	m:CODE+A     a word that many bear, and the first letter of one that few do
//	o:WORD       a name's only word, by its sound; f: its first four letters
//	q:ABC+XYZ    the first three letters of a name's two words, in alphabetical order
//	c:CODE       the whole name, run together
//	i:ABC        the first letters of three words or more, or a short word of a name of one or two
//
// Legal forms, titles and particles count only where there is nothing else.
func BlockingKeys(name string) []string {
	return blockingKeys(parse(name, false), parse(name, true))
}

// blockingKeys are the keys of a name as a body's and as a person's, which may end like a legal form.
func blockingKeys(body, person *name) []string {
	var b keyBuilder
	b.add(body)
	if len(body.tokens) < len(person.tokens) && (len(body.tokens) == 0 || len(person.tokens) <= 4) {
		b.add(person)
	}
	slices.Sort(b.keys)
	return slices.Compact(b.keys)
}

type keyBuilder struct{ keys []string }

const (
	maxKeyWords = 12 // words of a name that have keys
	maxKey      = 64 // code points of a key
)

func (b *keyBuilder) add(n *name) {
	type keyed struct {
		*token
		code string
	}
	var all [maxKeyWords]keyed
	size := 0
	matters := n.matters()
	for i := range n.tokens {
		t := &n.tokens[i]
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
	for i, k := range words {
		if !k.many {
			b.put("s:", k.code, shortCode(k.code, k.sound.text))
		}
		for _, l := range words[i+1:] {
			switch {
			case k.many && l.many:
				b.put("p:", min(k.code, l.code)+"+", max(k.code, l.code))
			case k.many:
				b.put("m:", k.code+"+", initialOf(l.sound.text))
			case l.many:
				b.put("m:", l.code+"+", initialOf(k.sound.text))
			}
		}
		if i+1 < len(words) {
			run := soundOf(k.text + words[i+1].text)
			code := codeOf(run)
			b.put("s:", code, shortCode(code, run))
		}
		if size <= 2 && len(k.text) >= 3 && len(k.text) <= 5 {
			b.put("i:", k.text, "")
		}
	}
	switch size {
	case 0:
		return
	case 1:
		b.put("o:", words[0].sound.text, "")
		b.put("f:", head(words[0].sound.text, 4), "")
	case 2:
		x, y := head(words[0].sound.text, 3), head(words[1].sound.text, 3)
		b.put("q:", min(x, y)+"+", max(x, y))
	default:
		initials := ""
		for _, k := range words[:min(6, size)] {
			initials += head(k.text, 1)
		}
		b.put("i:", initials, "")
	}
	b.put("c:", codeOf(soundOf(n.core)), "")
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
