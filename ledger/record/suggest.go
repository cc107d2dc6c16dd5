package record

import "strings"

// DidYouMean is `; did you mean "acme-cloud"?` where one of the words is near to
// what was written, or the only one that begins with it, else "".
func DidYouMean(written string, words []string) string { return didYouMean(written, words) }

func didYouMean(written string, words []string) string {
	best, nearest := uniquePrefix(written, words), 3 // three letters wrong is another word
	for _, w := range words {
		if n := editDistance(strings.ToLower(written), strings.ToLower(w)); n < nearest && n < len(w) {
			best, nearest = w, n
		}
	}
	if best == "" {
		return ""
	}
	return `; did you mean "` + best + `"?`
}

// uniquePrefix is the only word that somebody who wrote its beginning can mean, else "".
func uniquePrefix(written string, words []string) (match string) {
	if len(written) < 3 {
		return ""
	}
	for _, w := range words {
		if !strings.HasPrefix(strings.ToLower(w), strings.ToLower(written)) {
			continue
		}
		if match != "" {
			return ""
		}
		match = w
	}
	return match
}

// editDistance counts the letters to insert, delete, replace, or swap with the next
// (optimal string alignment). Long words are not compared: nobody typed them.
func editDistance(a, b string) int {
	const most = 40
	if len(a) > most || len(b) > most {
		return most
	}
	var before, last, row [most + 1]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
