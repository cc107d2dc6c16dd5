package screen

// OFAC says of its own search (FAQ 249, https://ofac.treasury.gov/faqs/249) that it compares a
// name as a whole by Jaro-Winkler, and its parts by Jaro-Winkler and Soundex, and shows what is
// above the score that was asked for. The details are not published; what is written here
// follows that description and claims no more.

// ofacScore is the score of two names after that description: the higher of the Jaro-Winkler
// similarity of the whole names, and of the mean over the parts of what is asked for of the best
// part of the other, for which an equal Soundex code counts as [soundexScore] at least.
func ofacScore(asked, listed *name) Score {
	a, b := Tokens(asked.text), Tokens(listed.text)
	a, b = a[:min(len(a), maxTokens)], b[:min(len(b), maxTokens)]
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	whole := jaroWinkler(joinWords(a), joinWords(b))
	sum := 0
	for _, x := range a {
		best := 0
		for _, y := range b {
			n := jaroWinkler(x, y)
			if code := soundex(x); code != "" && code == soundex(y) {
				n = max(n, soundexScore)
			}
			best = max(best, n)
		}
		sum += best
	}
	return Score(min(max(whole, sum/len(a), 1), 999_999))
}

const soundexScore = 850_000

func joinWords(words []string) string {
	n := 0
	for _, w := range words {
		n += len(w) + 1
	}
	b := make([]byte, 0, n)
	for i, w := range words {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, w...)
	}
	return string(b)
}

// jaroWinkler is the similarity of two strings of bytes in millionths (Winkler 1990: prefixes of up to
// four letters, scale 0.1, from a Jaro similarity of 0.7 on), rounded down.
func jaroWinkler(a, b string) int {
	const most = 256
	a, b = a[:min(len(a), most)], b[:min(len(b), most)]
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	var takenA, takenB [most]bool
	reach := max(0, max(len(a), len(b))/2-1)
	m := 0
	for i := range len(a) {
		for j := max(0, i-reach); j < min(len(b), i+reach+1); j++ {
			if !takenB[j] && a[i] == b[j] {
				takenA[i], takenB[j] = true, true
				m++
				break
			}
		}
	}
	if m == 0 {
		return 0
	}
	j, apart := 0, 0
	for i := range len(a) {
		if !takenA[i] {
			continue
		}
		for !takenB[j] {
			j++
		}
		if a[i] != b[j] {
			apart++
		}
		j++
	}
	t := apart / 2
	prefix := 0
	for prefix < min(4, len(a), len(b)) && a[prefix] == b[prefix] {
		prefix++
	}
	x, y, k := int64(len(a)), int64(len(b)), int64(m)
	n, d := k*k*(x+y)+(k-int64(t))*x*y, 3*x*y*k // Jaro's similarity is n/d
	if n*10 <= d*7 {
		prefix = 0
	}
	return int((n*10 + int64(prefix)*(d-n)) * 100_000 / d)
}

// soundex is the American Soundex code (National Archives, "Soundex System"): a letter and three
// digits, "" of a word that does not begin with a letter.
func soundex(word string) string {
	const digits = "01230120022455012623010202" // of a to z; h and w are passed over
	if word == "" || word[0] < 'a' || word[0] > 'z' {
		return ""
	}
	code := [4]byte{word[0] - 'a' + 'A', '0', '0', '0'}
	last, n := digits[word[0]-'a'], 1
	for i := 1; i < len(word) && n < 4; i++ {
		c := word[i]
		if c < 'a' || c > 'z' || c == 'h' || c == 'w' {
			continue
		}
		d := digits[c-'a']
		if d != '0' && d != last {
			code[n] = d
			n++
		}
		last = d
	}
	return string(code[:])
}
