package screen

import (
	"math/bits"
	"strings"
)

// Distances between words are counted in hundredths of an edit: a slip that is heard as the same
// or easily made costs less than a whole one.
const edit = 100

// maxWord is how many bytes of a word are compared by edits.
const maxWord = 40

func isVowel(c byte) bool {
	switch c {
	case 'a', 'e', 'i', 'o', 'u', 'y':
		return true
	}
	return false
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// A spelling is a word with what comparing it by edits takes.
type spelling struct {
	text    string
	letters uint64         // which letters and digits it has, and in the upper half which twice
	single  [maxWord]uint8 // by letter: what it costs that only this word has it
}

func spell(text string) (w spelling) {
	w.text = text[:min(len(text), maxWord)]
	for i := range len(text) {
		bit := uint64(1) << 31
		switch c := text[i]; {
		case 'a' <= c && c <= 'z':
			bit = 1 << (c - 'a')
		case isDigit(c):
			bit = 1 << (26 + c%5)
		}
		if w.letters&bit != 0 {
			bit <<= 32
		}
		w.letters |= bit
	}
	for i := range len(w.text) {
		w.single[i] = single(w.text, i)
	}
	return w
}

// What a letter costs at least that only one of two words has: one that it has already, and one
// that it has not.
const (
	leastEdit = 40
	oneLetter = 60
)

// marks are what is known of a word's letters, whatever their order.
type marks struct {
	letters uint64 // as of a [spelling]
	groups  uint64 // how many letters it has that are read as one another, a bit for each one; 0 if nothing is known
	slack   int    // what its letters may cost less than groups say
}

func (w *spelling) marks() marks {
	m := marks{letters: w.letters}
	var counts [256]uint8
	for i := range len(w.text) {
		c := w.text[i]
		if c >= 0x80 || i+1 == maxWord {
			return marks{letters: w.letters}
		}
		group := groupOf[c]
		if n := counts[group.first]; n < group.size {
			m.groups |= 1 << (group.first + n)
			counts[group.first]++
		}
		if i > 0 && w.text[i-1] == c {
			m.slack += edit - leastEdit
		}
	}
	if strings.HasSuffix(w.text, "s") {
		m.slack += 40
	}
	return m
}

// A group is letters that are read as one another, and all that are read as one of them: any of them in place of
// one outside costs a whole edit. It has size bits from first on.
type group struct{ first, size uint8 }

// The bits of groups by what a letter costs at least that only one word has: edit, 80, 60.
const (
	groupsOfVowels = 0xff << 32
	groupsOfH      = 0x7 << 40
)

var groupOf = func() (table [128]group) {
	for c := range table {
		table[c] = group{28, 4}
	}
	first := uint8(0)
	for _, letters := range []struct {
		text string
		size uint8
	}{{"bp", 4}, {"dt", 4}, {"gkqcszx5", 8}, {"vwf", 4}, {"mn", 4}, {"r", 4}, {"", 4}, {"aeiouyjl01", 8}, {"h", 3}} {
		for i := range len(letters.text) {
			table[letters.text[i]] = group{first, letters.size}
		}
		first += letters.size
	}
	return table
}()

// farApart says of two words, by their letters alone, that they are more than limit apart.
func farApart(a, b *marks, limit int) bool {
	onlyA, onlyB := a.letters&^b.letters, b.letters&^a.letters
	if max(lettersMissing(onlyA), lettersMissing(onlyB)) > limit {
		return true
	}
	if a.groups == 0 || b.groups == 0 {
		return false
	}
	return groupsMissing(a.groups&^b.groups, onlyA)-a.slack > limit || groupsMissing(b.groups&^a.groups, onlyB)-b.slack > limit
}

// groupsMissing is what letters cost whose like the other word has not, and those that are replaced at least.
func groupsMissing(groups, letters uint64) int {
	vowels, h := bits.OnesCount64(groups&groupsOfVowels), bits.OnesCount64(groups&groupsOfH)
	all := bits.OnesCount64(groups)
	return edit*all - 20*vowels - 40*h + oneLetter*max(0, bits.OnesCount64(letters)-all)
}

func lettersMissing(set uint64) int {
	return bits.OnesCount32(uint32(set))*oneLetter + bits.OnesCount32(uint32(set>>32))*leastEdit
}

// distance is the optimal string alignment distance of two words in hundredths of an edit:
// insertions, deletions, substitutions, and neighbours that changed places. If it is more than
// limit, any number above limit stands for it.
func distance(first, second *spelling, limit int) int {
	a, b := first.text, second.text
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	from := 0
	for from < len(a) && from < len(b) && a[from] == b[from] {
		from++
	}
	var rows [3][maxWord + 1]int32
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := from; j < len(b); j++ {
		last[j+1] = last[j] + int32(second.single[j])
	}
	leastBefore := int32(0)
	for i := from; i < len(a); i++ {
		x, skip := a[i], int32(first.single[i])
		row[from] = last[from] + skip
		least := row[from]
		for j := from; j < len(b); j++ {
			cost := min(last[j]+int32(substitution[x&127][b[j]&127]), last[j+1]+skip, row[j]+int32(second.single[j]))
			if i > from && j > from && x == b[j-1] && a[i-1] == b[j] {
				cost = min(cost, before[j-1]+90)
			}
			row[j+1] = cost
			least = min(least, cost)
		}
		if int(min(least, leastBefore)) > limit {
			return int(least)
		}
		leastBefore = least
		before, last, row = last, row, before
	}
	return int(last[len(b)])
}

// single is what the letter at i costs that only one word has.
func single(s string, i int) uint8 {
	switch {
	case isDigit(s[i]):
		return 150
	case i > 0 && s[i] == s[i-1]:
		return leastEdit
	case s[i] == 'h', s[i] == 's' && i == len(s)-1:
		return 60
	case isVowel(s[i]):
		return 80
	}
	return edit
}

// similarLetters are letters that are heard, or read, as one another.
const similarLetters = "aeiouy bp dt gkqc sz cs xs kx vwf ijy 0o 1li 5s mn"

// substitution is what a letter in another's place costs. Beyond ASCII all bytes are far from
// each other, unless their lower seven bits agree, which is of no matter: such words are rare.
var substitution = func() (table [128][128]uint8) {
	for a := range table {
		for b := range table[a] {
			switch {
			case a == b:
			case isDigit(byte(a)) && isDigit(byte(b)):
				table[a][b] = 150
			default:
				table[a][b] = edit
			}
		}
	}
	for _, group := range strings.Fields(similarLetters) {
		for i := range len(group) {
			for j := range len(group) {
				if i != j {
					table[group[i]][group[j]] = 60
				}
			}
		}
	}
	return table
}()

// soundOf is a word with spellings that are heard alike made one: double letters are single,
// digraphs of transliterations are letters.
func soundOf(word string) string {
	if len(word) < 2 || !isASCII(word) {
		return word
	}
	if word[0] == 'x' {
		word = "s" + word[1:]
	}
	s := soundRules.Replace(word)
	var b strings.Builder
	b.Grow(len(s))
	for i := range len(s) {
		if i > 0 && s[i] == s[i-1] && !isDigit(s[i]) {
			continue
		}
		if s[i] == 'h' && i > 0 && i == len(s)-1 && isVowel(s[i-1]) {
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// soundSpellings has, for each spelling, what it is heard as; the first that fits counts.
var soundSpellings = []string{
	"tsch", "c", "sch", "s", "tch", "c", "sh", "s", "ch", "c", "ph", "f", "ck", "k", "kh", "k", "gh", "g", "dj", "j", "zh", "j",
	"th", "t", "dh", "d", "wh", "v", "w", "v", "qu", "k", "q", "k", "ca", "ka", "co", "ko", "cu", "ku", "cl", "kl", "cr", "kr",
	"ce", "se", "ci", "si", "cy", "si", "tz", "s", "ts", "s", "z", "s", "x", "ks",
	"ou", "u", "oo", "u", "ee", "i", "ie", "i", "ei", "i", "ey", "i", "aa", "a", "eo", "o", "eu", "u", "ae", "e", "oe", "o", "ue", "u",
	"iy", "i", "yi", "i", "yy", "i", "ii", "i", "ya", "ia", "yu", "iu", "ye", "e", "yo", "o", "y", "i",
}

var soundRules = strings.NewReplacer(soundSpellings...)

// skeletonOf is a sound without its vowels and aspirates, as scripts without vowels write it.
func skeletonOf(sound string) string {
	var b strings.Builder
	for i := range len(sound) {
		switch c := sound[i]; c {
		case 'a', 'e', 'i', 'o', 'u', 'y', 'h', 'v', 'j':
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
