package screen

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// A reading is another name that a name's text holds: it without what only qualifies it, or a name of its
// own after "trading as" and the like. A name is compared as a whole and by each reading, and the one
// with the most points counts: what both names have helps, what one has alone costs little.
type reading struct {
	*name
	left []string // the words that are left out, as they are written; none for a name of its own
}

// maxReadings bounds what a name can hold, and with it what comparing two names costs.
const maxReadings = 4

// ownName begins another name of the same party, and careOf what is no name of it.
var (
	ownName = regexp.MustCompile(`(?i)(?:^|[\s,;–—-])(?:trading as|doing business as|also known as|formerly known as|previously known as|formerly|t/a|d/b/a|f/k/a|a/k/a|dba|fka|aka)(?:[\s:,]|$)`)
	careOf  = regexp.MustCompile(`(?i)(?:^|[\s,;–—-])c/o(?:[\s:,]|$)`)
)

// readings are the other names that a text holds, without those of n itself.
func readings(n *name, bare bool) (found []reading) {
	main, insides := splitBrackets(n.text)
	n.setPlaces(insides)
	var own []string
	take := func(text string) string { // what is before the first name of its own
		parts := ownName.Split(text, maxReadings)
		own = append(own, parts[1:]...)
		return parts[0]
	}
	var left []string
	if at := careOf.FindStringIndex(main); at != nil {
		left = append(left, main[at[0]:])
		main = main[:at[0]]
	}
	main = take(main)
	for _, inside := range insides {
		if inside = take(inside); strings.TrimSpace(inside) != "" {
			left = append(left, inside)
		}
	}
	main, acronyms := splitAcronyms(main)
	left = append(left, acronyms...)
	if len(left) == 0 && len(own) == 0 {
		return nil
	}
	add := func(r reading) {
		if len(found) < maxReadings && r.matters() && r.whole != n.whole {
			found = append(found, r)
		}
	}
	if r := (reading{name: parseWords(main, bare)}); r.leave(left, bare) {
		add(r)
	}
	for _, text := range own {
		text, _, _ = strings.Cut(text, ";")
		if at := careOf.FindStringIndex(text); at != nil {
			text = text[:at[0]]
		}
		add(reading{name: parseWords(text, bare)})
	}
	return found
}

// leave notes what a reading leaves out, and says whether it may: a number in brackets says who somebody is, and so does
// the only word there that few bear.
func (r *reading) leave(left []string, bare bool) bool {
	rare := func(n *name) bool { return slices.ContainsFunc(n.tokens, func(t token) bool { return !t.many }) }
	for _, text := range left {
		out := parseWords(text, bare)
		number := slices.ContainsFunc(out.tokens, func(t token) bool {
			return t.kind == kindNumber || romanOf(t.text) > 0 || strings.ContainsAny(t.text, "0123456789")
		})
		if !careOf.MatchString(text) && (number || rare(out) && !rare(r.name)) {
			return false
		}
		if len(out.tokens) > 0 {
			r.left = append(r.left, strings.Join(strings.Fields(text), " "))
		}
	}
	return true
}

// countryCode is the country of a code that stands alone in a text, in capitals, or "".
func countryCode(text string) string {
	code := strings.TrimSpace(text)
	if len(code) != 2 || code != strings.ToUpper(code) {
		return ""
	}
	region, err := language.ParseRegion(code)
	if err != nil || !region.IsCountry() {
		return ""
	}
	return region.Canonicalize().String()
}

// setPlaces notes the countries of a name: words, and codes that stand alone in brackets, which become places.
func (n *name) setPlaces(insides []string) {
	var codes map[string]string
	for _, inside := range insides {
		if code := countryCode(inside); code != "" {
			if codes == nil {
				codes = make(map[string]string)
			}
			codes[strings.ToLower(strings.TrimSpace(inside))] = code
		}
	}
	if len(codes) > 0 {
		n.tokens = slices.Clone(n.tokens) // those that have keys stay as they are
	}
	for i := range n.tokens {
		t := &n.tokens[i]
		code, ok := codes[t.text]
		if ok {
			t.kind, t.bits, t.branch = kindPlace, bitsPlace, true
		}
		if !t.branch {
			continue
		}
		if code == "" {
			code = countryCode(strings.ToUpper(t.text))
		}
		n.places = append(n.places, cmp.Or(code, t.text))
	}
}

// splitBrackets parts a text into what stands outside of brackets and what stands in each. What is never
// closed stays outside.
func splitBrackets(text string) (outside string, insides []string) {
	const opening, closing = "([{（【", ")]}）】"
	var b strings.Builder
	for {
		open := strings.IndexAny(text, opening)
		if open < 0 {
			break
		}
		depth, end, size := 0, -1, 0
		for i, r := range text[open:] {
			switch {
			case strings.ContainsRune(opening, r):
				depth++
				if depth == 1 {
					size = len(string(r))
				}
			case strings.ContainsRune(closing, r):
				depth--
			}
			if depth == 0 {
				end = open + i
				insides = append(insides, text[open+size:end])
				b.WriteString(text[:open])
				b.WriteByte(' ')
				text = text[end+len(string(r)):]
				break
			}
		}
		if end < 0 {
			break
		}
	}
	b.WriteString(text)
	return b.String(), insides
}

// quoted is a word in quotation marks.
var quoted = regexp.MustCompile(`["“„«'‘]([\pL.]{2,8})["”“»'’]`)

// splitAcronyms takes words in quotation marks off a text that are the first letters of its other words, without
// legal forms or with them.
func splitAcronyms(text string) (rest string, acronyms []string) {
	for _, at := range quoted.FindAllStringSubmatchIndex(text, maxReadings) {
		acronym := strings.Join(Tokens(text[at[2]:at[3]]), "")
		without := text[:at[0]] + " " + text[at[1]:]
		initials := ""
		for _, w := range Tokens(without) {
			initials += head(w, 1)
		}
		if len(acronym) >= 2 && strings.HasPrefix(initials, acronym) {
			return without, []string{text[at[2]:at[3]]}
		}
	}
	return text, nil
}

// cutInner takes legal forms out of the middle of a name: those of three letters and more that are no
// other word, of several words, and the short ones of companies that stand behind the words of a name.
func cutInner(words []string) (rest, classes []string) {
	table := legalFormTable()
	rest = slices.Clone(words[:min(1, len(words))])
next:
	for i := 1; i < len(words); {
		sounds := make([]string, 0, 4)
		for _, w := range words[i:min(len(words), i+4)] {
			sounds = append(sounds, soundOf(w))
		}
		for n := min(table.byFirst[sounds[0]], len(sounds)); n > 1; n-- {
			if slices.ContainsFunc(words[i:i+n], func(w string) bool { return len(w) == 1 }) {
				continue
			}
			if class, ok := table.class[strings.Join(sounds[:n], " ")]; ok {
				classes = append(classes, class)
				i += n
				continue next
			}
		}
		w := words[i]
		class, ok := table.class[w]
		listed, known := wordTable()[w]
		if ok && (!known || listed.kind == kindForm) && (len(w) > 2 || slices.Contains(shortForms, w)) {
			classes = append(classes, class)
		} else {
			rest = append(rest, w)
		}
		i++
	}
	return rest, classes
}

// shortForms are the legal forms of two letters that hardly are another word.
var shortForms = strings.Fields("ag sa bv nv oy kg ab as sl lp kk")
