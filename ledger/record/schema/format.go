package schema

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Format names what the text of a field is, beyond its length: a row of the table of
// grammars, which tags name too.
type Format string

// The formats that code names; others stand in tags alone.
const (
	FormatText    Format = "text"    // one line
	FormatLines   Format = "lines"   // LF is allowed
	FormatSegment Format = "segment" // of a thread; a party ID, a list's name, a holder
	FormatSHA256  Format = "sha256"  // 64 lower-case hexadecimal digits
	FormatPEM     Format = "pem"     // a PKIX public key, its form
	FormatOrigin  Format = "origin"  // a signed note's key name, ASCII
	FormatKeyID   Format = "keyid"   // of a record's signature
)

// A grammar says what a format takes: either runs of ASCII classes, or a pattern.
type grammar struct {
	description       string // "want " + means
	first, rest       string // classes as a regular expression writes them; first "" = as rest
	min, max          int    // characters; of a pattern 0 where it says so itself
	pattern           string // instead: RE2 and ECMA-262 alike
	lines             bool
	compiled          *regexp.Regexp
	firstSet, restSet [128]bool
}

const base64Of32 = `[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]`

var grammars = compileGrammars(map[Format]*grammar{
	FormatText:    {description: "one line of text"},
	FormatLines:   {description: "text", lines: true},
	FormatSegment: {description: "1 to 64 of a-z, 0-9, '.' and '-', not beginning with '.' or '-'", first: "a-z0-9", rest: "a-z0-9.-", min: 1, max: 64},
	"thread":      {description: "lower-case segments between slashes", first: "a-z0-9", rest: "a-z0-9./-", min: 1, max: 200},
	"name":        {description: "1 to 64 letters, digits, '.', '_' and '-'", first: "A-Za-z0-9", rest: "A-Za-z0-9._-", min: 1, max: 64},
	"country":     {description: "two capital letters (ISO 3166-1 alpha-2)", rest: "A-Z", min: 2, max: 2},
	"lei":         {description: "18 capital letters and digits, then 2 check digits (ISO 17442)", pattern: `^[0-9A-Z]{18}[0-9]{2}$`},
	"script":      {description: "four letters like Cyrl (ISO 15924)", first: "A-Z", rest: "a-z", min: 4, max: 4},
	"domain":      {description: "a domain in lower case like kestrel.example, in its xn-- form where it has other letters", pattern: `^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`},
	"url":         {description: "an http or https URL", pattern: `^https?://[A-Za-z0-9.:\[\]-]+([/?#][!#-;=?-\[\]_a-z~]*)?$`},
	"media-type":  {description: "a media type like application/pdf", pattern: `^[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}$`},
	FormatSHA256:  {description: "64 lower-case hexadecimal digits", rest: "0-9a-f", min: 64, max: 64},
	"root":        {description: "base64 of 32 bytes", pattern: `^` + base64Of32 + `=$`},
	FormatKeyID:   {description: "a key ID like SHA256:…, as docket keygen prints it", pattern: `^SHA256:` + base64Of32 + `$`},
	FormatPEM:     {description: "a public key in PEM (PKIX)", pattern: `^-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END PUBLIC KEY-----\n$`, lines: true},
	FormatOrigin:  {description: "printable ASCII without spaces and '+', like log.example/2026", rest: "!-*,-~", min: 1, max: 200},
	"vkey":        {description: "a verifier key: name+hash+base64", pattern: `^[!-*,-~]{1,200}\+[0-9a-f]{8}\+[A-Za-z0-9+/]+={0,2}$`},
	"zone":        {description: "an IANA time zone like America/New_York", first: "A-Za-z", rest: "A-Za-z0-9+_/-", min: 1, max: 64},
	"recipient":   {description: "an age recipient of the hybrid post-quantum kind: age1pq1 and 1952 characters, as age-keygen -pq prints it", pattern: `^age1pq1[023456789ac-hj-np-z]+$`, min: 1959, max: 1959},
	"word":        {description: "1 to 40 letters", rest: "a-zA-Z", min: 1, max: 40},
	"path":        {description: "a member like federalRegisterNotice or target.lei", pattern: `^[a-zA-Z0-9]{1,40}(\.[a-zA-Z0-9]{1,40}){0,3}$`},
})

func compileGrammars(all map[Format]*grammar) map[Format]*grammar {
	for _, g := range all {
		if g.rest != "" {
			if g.first == "" {
				g.first = g.rest
			}
			g.firstSet, g.restSet = asciiSet(g.first), asciiSet(g.rest)
			g.pattern = fmt.Sprintf("^[%s][%s]{%d,%d}$", g.first, g.rest, g.min-1, g.max-1)
		} else if g.pattern != "" {
			g.compiled = regexp.MustCompile(g.pattern)
		}
	}
	return all
}

// asciiSet is the set of ASCII characters in [ ].
func asciiSet(set string) (in [128]bool) {
	re := regexp.MustCompile("^[" + set + "]$")
	for c := range in {
		in[c] = re.MatchString(string(rune(c)))
	}
	return in
}

func (f Format) mustExist() Format {
	if grammars[f] == nil {
		panic("schema: no format " + string(f))
	}
	return f
}

// Pattern is the format as a regular expression, RE2 and ECMA-262 alike.
func (f Format) Pattern() string {
	g := grammars[f]
	if g.pattern == "" {
		return textPattern(g.lines)
	}
	return g.pattern
}

// Description is what a value of the format is, in words.
func (f Format) Description() string { return grammars[f].description }

// Fault is what is wrong with s as a value of this format, "" for nothing.
func (f Format) Fault(s string) string {
	g := grammars[f]
	switch {
	case g.rest != "":
		if g.matches(s) {
			return ""
		}
	case g.pattern == "":
		return checkText(s, g.lines)
	case g.compiled.MatchString(s) && (g.max == 0 || len(s) >= g.min && len(s) <= g.max):
		return ""
	}
	if s == "" {
		return "is empty; want " + g.description
	}
	return fmt.Sprintf("%s is not %s", Quote(s), g.description)
}

func (g *grammar) matches(s string) bool {
	if len(s) < g.min || len(s) > g.max {
		return false
	}
	in := &g.firstSet
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || !in[s[i]] {
			return false
		}
		in = &g.restSet
	}
	return true
}

// checkText refuses what could make a text look like another (RECORDS.md "Every
// record"): control characters but LF where lines are allowed, and the controls of
// the bidirectional algorithm.
func checkText(s string, lines bool) string {
	if s == "" {
		return "is empty: leave the member out"
	}
	for i, r := range s {
		switch {
		case r == '\n' && lines:
		case r == '\n':
			return "holds a line break; this is one line"
		case r < 0x20 || r >= 0x7F && r <= 0x9F:
			return fmt.Sprintf("holds the control character U+%04X at byte %d", r, i)
		case isBidiControl(r):
			return fmt.Sprintf("holds U+%04X at byte %d, which changes the direction of the text around it", r, i)
		}
	}
	return ""
}

func isBidiControl(r rune) bool {
	return r >= 0x061C && (r == 0x061C || r == 0x200E || r == 0x200F || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069)
}

// textPattern is checkText as a regular expression.
func textPattern(lines bool) string {
	controls := `\x00-\x1f`
	if lines {
		controls = `\x00-\x09\x0b-\x1f`
	}
	return "^[^" + controls + `\x7f-\x9f` + "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]*$"
}

// Quote shows a value in a message, cut where it is long.
func Quote(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) > most {
		s = strings.ToValidUTF8(string([]rune(s)[:most]), "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

// DidYouMean is `; did you mean "acme-cloud"?` where [Nearest] finds a word, else "".
func DidYouMean(written string, words []string) string {
	nearest := Nearest(written, words)
	if nearest == "" {
		return ""
	}
	return `; did you mean "` + nearest + `"?`
}

// Nearest returns the word that is near to what was written, or the only one that begins
// with it, else "".
func Nearest(written string, words []string) string {
	best, nearest := uniquePrefix(written, words), 3 // three letters wrong is another word
	for _, w := range words {
		if n := editDistance(strings.ToLower(written), strings.ToLower(w)); n < nearest && n < len(w) {
			best, nearest = w, n
		}
	}
	return best
}

// uniquePrefix returns the only word that begins with written, or "".
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
// (optimal string alignment). Words over 40 letters are not compared.
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
