package screen

import (
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// maxTokens is how many words of a name are compared one by one. Of a longer name the rest
// counts where all is equal, and is one long word otherwise.
const maxTokens = 24

// A token is a word of a name with what comparing it takes.
type token struct {
	text  string
	start [2]byte  // its first bytes, 0 where there is none
	marks [2]marks // of its spelling and of its sound: most words are told apart by these alone
	*shape
	nicks  uint64 // its lines of [nicknames]
	bits   int32  // information, in 1/16 bit
	id     int32  // of its text in an index, from 1 on; of a query's words from -1 down; or 0
	number int32  // its value if it is a number that fits, or -1
	sign   rune   // of a syllable in Han or Hangul, itself
	kind   wordKind
	many   bool // many names bear it, by the built-in lists
	branch bool // says where a part of a body is: a country, a city, branch
	abjad  bool // written in a script that leaves out vowels
}

// A shape is what comparing a word by edits takes. Tokens of one text share it in an index.
type shape struct {
	spelled  spelling
	sound    spelling // by [soundOf]
	skeleton spelling // sound without vowels
}

// A name is a name taken apart once, to be compared often.
type name struct {
	text     string
	tokens   []token  // without legal forms
	keyed    []token  // those that have blocking keys: without legal forms at its ends alone
	forms    []string // classes of the legal forms, sorted
	signs    []rune   // of the syllables in Han or Hangul
	whole    string   // all words, without spaces, legal forms included
	core     string   // the keyed tokens without spaces
	comma    bool     // "Family, Given": order says nothing
	readings []reading
	places   []string // of a body's: countries and cities, by code if there is one
}

// parse takes a name apart, with its readings. Legal forms are taken off unless it is bare: the name
// of a person, or a ship's, has none.
func parse(text string, bare bool) *name {
	n := parseWords(text, bare)
	n.readings = readings(n, bare)
	return n
}

// parseWords takes a name apart as it stands.
func parseWords(text string, bare bool) *name {
	words := Tokens(text)
	n := &name{text: text, whole: strings.Join(words, ""), comma: strings.ContainsAny(text, ",،，")}
	if !bare {
		words, n.forms = cutForms(words)
	}
	n.core = strings.Join(words, "")
	n.setTokens(words, bare)
	n.keyed = n.tokens
	if !bare {
		if rest, inner := cutInner(words); len(inner) > 0 {
			n.forms = append(n.forms, inner...)
			slices.Sort(n.forms)
			n.forms = slices.Compact(n.forms)
			n.signs = nil
			n.setTokens(rest, bare)
		}
	}
	return n
}

// setTokens makes the tokens of a name's words.
func (n *name) setTokens(words []string, bare bool) {
	if len(words) > maxTokens {
		words = append(slices.Clone(words[:maxTokens-1]), strings.Join(words[maxTokens-1:], ""))
	}
	abjad := unicodeAny(n.text, unicode.Arabic, unicode.Hebrew, unicode.Syriac, unicode.Devanagari, unicode.Bengali, unicode.Thai, unicode.Khmer)
	n.tokens = make([]token, len(words))
	for i, w := range words {
		n.tokens[i] = newToken(w, i, bare)
		n.tokens[i].abjad = abjad
	}
	n.setSigns()
	joinNumbers(n)
}

// setSigns notes the signs of a name that is written in syllables.
func (n *name) setSigns() {
	if isASCII(n.text) {
		return
	}
	at := 0
	for _, r := range rules1.NameKey(n.text) {
		if !unicode.In(r, unicode.Han, unicode.Hangul) {
			continue
		}
		text := strings.TrimSpace(latin(string(r)))
		for at < len(n.tokens) && n.tokens[at].text != text {
			at++
		}
		if at < len(n.tokens) {
			n.tokens[at].sign = r
			n.signs = append(n.signs, r)
			at++
		}
	}
}

func unicodeAny(s string, tables ...*unicode.RangeTable) bool {
	if isASCII(s) {
		return false
	}
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.In(r, tables...) })
}

func newToken(text string, at int, bare bool) token {
	sound := soundOf(text)
	t := token{text: text, shape: &shape{spell(text), spell(sound), spell(skeletonOf(sound))}, number: -1}
	copy(t.start[:], text)
	t.marks = [2]marks{t.spelled.marks(), t.sound.marks()}
	w, listed := wordTable()[text]
	switch {
	case isNumber(text):
		t.kind, t.bits, t.number = kindNumber, 7*16, numberOf(text)
	case isOrdinal(text):
		t.kind, t.bits, t.number = kindNumber, 7*16, numberOf(text[:len(text)-2])
	case at > 0 && romanOf(text) > 0 && (!bare || len(text) > 2 || text == "ii" || text == "iv" || text == "ix"): // Xi and Vi are names
		t.kind, t.bits, t.number = kindNumber, 4*16, romanOf(text)
	case len(text) == 1 && (bare && text != "y" && text != "e" || !listed):
		t.kind, t.bits = kindInitial, 4*16
	case listed:
		t.kind, t.bits = w.kind, int32(w.bits)
		if t.kind == kindTitle && !bare {
			t.kind, t.bits = kindGeneric, bitsGeneric
		}
	default:
		t.bits = int32(min(bitsWord, 3*16+16*3*len(text)))
	}
	t.many = t.kind != kindWord || t.bits < bitsRare
	t.branch = !bare && branchTable()[text]
	t.nicks = nicknameGroups()[text]
	return t
}

// joinNumbers reads numbers in words: "forty" "four" is one token, 44.
func joinNumbers(n *name) {
	kept := n.tokens[:0]
	for i := 0; i < len(n.tokens); i++ {
		t := n.tokens[i]
		if v, ok := numberWordTable()[t.text]; ok && len(n.tokens) > 1 {
			t.kind, t.bits, t.number, t.many = kindNumber, 7*16, v, true
			if v >= 20 && v%10 == 0 && i+1 < len(n.tokens) {
				next := n.tokens[i+1]
				ones, ok := numberWordTable()[next.text]
				if !ok && len(next.text) == 1 && next.kind == kindNumber {
					ones, ok = next.number, true
				}
				if ok && ones > 0 && ones < 10 {
					t.number += ones
					joined := newToken(t.text+next.text, i, true)
					t.text, t.start, t.shape, t.marks = joined.text, joined.start, joined.shape, joined.marks
					i++
				}
			}
		}
		kept = append(kept, t)
	}
	n.tokens = kept
}

var numberWordTable = sync.OnceValue(func() map[string]int32 {
	values := make(map[string]int32)
	for i, w := range strings.Fields(numberWords) {
		values[w] = int32(i)
	}
	for i, w := range strings.Fields(ordinals) {
		values[w] = int32(1 + i)
	}
	for i, w := range strings.Fields(tens) {
		values[w] = int32(20 + 10*i)
		for n, ones := range strings.Fields(numberWords)[1:10] {
			values[w+ones] = int32(20 + 10*i + n + 1)
		}
	}
	values["fourty"] = 40 // as it is often written
	return values
})

func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// isOrdinal says whether a word is a number such as "44th".
func isOrdinal(s string) bool {
	if len(s) < 3 || !isNumber(s[:len(s)-2]) {
		return false
	}
	end := s[len(s)-2:]
	return end == "st" || end == "nd" || end == "rd" || end == "th"
}

// numberOf is the value of digits, -1 if they are more than nine.
func numberOf(s string) int32 {
	s = strings.TrimLeft(s, "0")
	if len(s) > 9 {
		return -1
	}
	v := int32(0)
	for i := range len(s) {
		v = v*10 + int32(s[i]-'0')
	}
	return v
}

// romanOf is the value of a Roman numeral from 1 to 39, and 0 of anything else.
func romanOf(s string) int32 {
	if len(s) > 6 {
		return 0
	}
	v := int32(0)
	rest := s
	for strings.HasPrefix(rest, "x") && v < 30 {
		v, rest = v+10, rest[1:]
	}
	ones := [...]string{"", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"}
	if i := slices.Index(ones[:], rest); i >= 0 {
		return v + int32(i)
	}
	return 0
}

// legalFormTable has the class of each form, by its words with spaces between, and by the last
// and by the first word of a form how many words the longest has.
var legalFormTable = sync.OnceValue(func() (table struct {
	class           map[string]string
	byLast, byFirst map[string]int
}) {
	table.class, table.byLast, table.byFirst = make(map[string]string), make(map[string]int), make(map[string]int)
	for line := range strings.Lines(legalForms) {
		class, forms, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		for form := range strings.SplitSeq(forms, "\t") {
			words := strings.Split(form, " ")
			if len(words) > 1 { // a long form may be misspelled
				for i := range words {
					words[i] = soundOf(words[i])
				}
			}
			table.class[strings.Join(words, " ")] = class
			last, first := words[len(words)-1], words[0]
			table.byLast[last] = max(table.byLast[last], len(words))
			table.byFirst[first] = max(table.byFirst[first], len(words))
		}
	}
	return table
})

// cutForms takes legal forms off both ends, the longest first, until none is there. What is a legal
// form as a whole has no words left.
func cutForms(words []string) (rest, classes []string) {
	table := legalFormTable()
	sounds := make([]string, len(words))
	for i, w := range words {
		sounds[i] = soundOf(w)
	}
	// formOf is how many words the longest form has that begins, or ends, a run of words.
	formOf := func(from, end int, atEnd bool) (n int, class string) {
		longest := max(table.byFirst[words[from]], table.byFirst[sounds[from]])
		if atEnd {
			longest = max(table.byLast[words[end-1]], table.byLast[sounds[end-1]])
		}
		for n := min(longest, end-from); n > 1; n-- {
			run := sounds[from : from+n]
			if atEnd {
				run = sounds[end-n : end]
			}
			if class, ok := table.class[strings.Join(run, " ")]; ok {
				return n, class
			}
		}
		word := words[from]
		if atEnd {
			word = words[end-1]
		}
		if class, ok := table.class[word]; ok {
			return 1, class
		}
		return 0, ""
	}
	from, end := 0, len(words)
	for from < end {
		n, class := formOf(from, end, true)
		end -= n
		if n == 0 {
			n, class = formOf(from, end, false)
			from += n
		}
		if n == 0 {
			break
		}
		classes = append(classes, class)
	}
	slices.Sort(classes)
	return words[from:end], slices.Compact(classes)
}
