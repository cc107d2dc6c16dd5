package record

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Shape is what one place of a record may hold. The Go structs of the kinds are
// the only source: their fields' tags compile to shapes once, and shapes decode
// ([decoder]), encode, walk, and print the JSON Schema; package draft reads short forms
// and prints templates by them. Callers must not change one.
//
//	json  the member's name
//	rule  words: required; fmt=FORMAT, enum=A|B, max=CHARACTERS of a string, or of
//	      each string of a list; lo=, hi= of an integer; items= at most, of a list
//	      or map; empty: the list may be; names=FORMAT of a map's names;
//	      lists: an amendment's fragment that may touch lists only; usual: not
//	      required, but open in templates
//	doc   one line for people: template, JSON Schema
//	eg    an example of the value
type Shape struct {
	Type           ValueType
	GoType         reflect.Type
	pointer        bool // GoType is a pointer to what Type says
	Format         Format
	Enum           []string
	MaxChars       int // characters
	minInt, maxInt int64
	maxItems       int
	mayBeEmpty     bool // a required list may be
	needsItem      bool // it may not
	listsOnly      bool
	names          Format
	Item           *Shape // of a list or map
	Fields         []*Field
	Fragment       *Shape // the object of which a fragment is a part
}

// A ValueType is which of these values a place holds.
type ValueType int

const (
	TypeString ValueType = iota
	TypeInteger
	TypeBoolean
	TypeDate
	TypeInstant
	TypePeriod
	TypeID
	TypeList
	TypeMap
	TypeObject
	TypeFragment
)

// A Field is one member of an object.
type Field struct {
	*Shape
	Name         string
	index        int  // of the Go field
	Common       bool // it belongs to [Common], not to the kind's own struct
	Required     bool
	InTemplate   bool // templates show it as if it were required
	Doc, Example string
}

// What bounds a string and a list that say nothing of their own. Beyond these
// stands only [MaxEntryBytes].
const (
	defaultMaxChars = 1_000 // characters
	defaultMaxItems = 1_000
)

var (
	goDate    = reflect.TypeFor[Date]()
	goInstant = reflect.TypeFor[Instant]()
	goTime    = reflect.TypeFor[time.Time]()
	goPeriod  = reflect.TypeFor[Period]()
	goID      = reflect.TypeFor[ID]()
	goPEM     = reflect.TypeFor[PEM]()
	goObject  = reflect.TypeFor[Object]()
)

// objectShape compiles a struct. A tag that makes no sense is a broken program.
func objectShape(t reflect.Type) *Shape {
	sh := &Shape{Type: TypeObject, GoType: t}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			panic(fmt.Sprintf("record: %s.%s has no json tag", t, f.Name))
		}
		own := &Field{Shape: shapeOf(f.Type, f.Tag.Get("rule")), Name: name, index: i, Doc: f.Tag.Get("doc"), Example: f.Tag.Get("eg")}
		own.Required = hasRule(f.Tag.Get("rule"), "required")
		own.InTemplate = hasRule(f.Tag.Get("rule"), "usual")
		own.needsItem = own.Required && own.Type == TypeList && !own.mayBeEmpty
		sh.Fields = append(sh.Fields, own)
	}
	return sh
}

// predicateShape is the object of a kind: the members of every record, then its own.
func predicateShape(kind reflect.Type, needsLedger bool) *Shape {
	sh := objectShape(reflect.TypeFor[Common]())
	for _, f := range sh.Fields {
		f.Common = true
		f.Required = f.Required && (needsLedger || f.Name != "ledger")
	}
	sh.GoType = kind
	sh.Fields = append(sh.Fields, objectShape(kind).Fields...)
	return sh
}

func shapeOf(t reflect.Type, rule string) *Shape {
	sh := &Shape{GoType: t, MaxChars: defaultMaxChars, maxItems: defaultMaxItems, minInt: -MaxInteger, maxInt: MaxInteger, Format: FormatText}
	if t.Kind() == reflect.Pointer {
		sh.pointer = true
		t = t.Elem()
	}
	switch {
	case t == goDate:
		sh.Type = TypeDate
	case t == goInstant || t == goTime:
		sh.Type = TypeInstant
	case t == goPeriod:
		sh.Type = TypePeriod
	case t == goID:
		sh.Type = TypeID
	case t == goPEM:
		sh.Type, sh.Format, sh.MaxChars = TypeString, FormatPEM, 2_000
	case t == goObject:
		sh.Type, sh.Fragment = TypeFragment, objectShape(reflect.TypeFor[Designation]())
	case t.Kind() == reflect.String:
		sh.Type = TypeString
	case t.Kind() == reflect.Int64:
		sh.Type = TypeInteger
	case t.Kind() == reflect.Bool:
		sh.Type = TypeBoolean
	case t.Kind() == reflect.Slice:
		sh.Type, sh.Item = TypeList, shapeOf(t.Elem(), rule)
	case t.Kind() == reflect.Map:
		sh.Type, sh.Item = TypeMap, shapeOf(t.Elem(), rule)
	case t.Kind() == reflect.Struct:
		sh.Type, sh.Fields = TypeObject, objectShape(t).Fields
	default:
		panic(fmt.Sprintf("record: no shape for %s", t))
	}
	sh.applyRules(rule)
	return sh
}

func (sh *Shape) applyRules(rule string) {
	for word := range strings.FieldsSeq(rule) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "required", "usual":
		case "empty":
			sh.mayBeEmpty = true
		case "lists":
			sh.listsOnly = true
		case "fmt":
			sh.Format = Format(value).mustExist()
		case "names":
			sh.names = Format(value).mustExist()
		case "enum":
			sh.Enum = strings.Split(value, "|")
		case "max":
			sh.MaxChars = int(mustNumber(value))
		case "items":
			sh.maxItems = int(mustNumber(value))
		case "lo":
			sh.minInt = mustNumber(value)
		case "hi":
			sh.maxInt = mustNumber(value)
		default:
			panic(fmt.Sprintf("record: no rule %q", word))
		}
	}
}

// LookupField finds a field; from is the guess, since most people write in order.
func (sh *Shape) LookupField(name string, from int) (int, *Field) {
	for i := range sh.Fields {
		at := from + i
		if at >= len(sh.Fields) {
			at -= len(sh.Fields)
		}
		if sh.Fields[at].Name == name {
			return at, sh.Fields[at]
		}
	}
	return 0, nil
}

// FieldNames are the names that stand in an object of this shape, in order.
func (sh *Shape) FieldNames() []string {
	names := make([]string, len(sh.Fields))
	for i, f := range sh.Fields {
		names[i] = f.Name
	}
	return names
}

// minMembers is how few members an object may have: one, where none is required, so
// that no record carries an object that says nothing.
func (sh *Shape) minMembers() int {
	for _, f := range sh.Fields {
		if f.Required {
			return 0
		}
	}
	return 1
}

func hasRule(rule, word string) bool {
	for w := range strings.FieldsSeq(rule) {
		if w == word {
			return true
		}
	}
	return false
}

func mustNumber(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic("record: " + err.Error())
	}
	return n
}

// Format names what the text of a field is, beyond its length.
type Format string

const (
	FormatText      Format = "text"       // one line
	FormatLines     Format = "lines"      // LF is allowed
	FormatSegment   Format = "segment"    // of a thread; a party ID, a list's name, a holder
	FormatThread    Format = "thread"     // segments
	FormatName      Format = "name"       // a short identifier inside one record
	FormatCountry   Format = "country"    // ISO 3166-1 alpha-2, its form
	FormatLEI       Format = "lei"        // ISO 17442, its form
	FormatScript    Format = "script"     // ISO 15924, its form
	FormatDomain    Format = "domain"     // RFC 1123 host name, lower case, two labels or more
	FormatURL       Format = "url"        // http or https
	FormatMediaType Format = "media-type" // type/subtype
	FormatSHA256    Format = "sha256"     // 64 lower-case hexadecimal digits
	FormatRoot      Format = "root"       // base64 of 32 bytes
	FormatKeyID     Format = "keyid"      // SHA256:… as OpenSSH prints it
	FormatPEM       Format = "pem"        // exactly what marshalling the key gives
	FormatOrigin    Format = "origin"     // a signed note's key name, ASCII
	FormatVKey      Format = "vkey"       // a signed note's verifier key
	FormatZone      Format = "zone"       // IANA time zone name, its form
	FormatWord      Format = "word"       // letters only
	FormatPath      Format = "path"       // members, dotted
)

// A grammar says what a format takes: either runs of ASCII classes, or a pattern.
type grammar struct {
	description       string // "want " + means
	first, rest       string // classes as a regular expression writes them; first "" = as rest
	min, max          int    // characters
	pattern           string // instead: RE2 and ECMA-262 alike
	lines             bool
	compiled          *regexp.Regexp
	firstSet, restSet [128]bool
}

const base64Of32 = `[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]`

var grammars = compileGrammars(map[Format]*grammar{
	FormatText:      {description: "one line of text"},
	FormatLines:     {description: "text", lines: true},
	FormatSegment:   {description: "1 to 64 of a-z, 0-9, '.' and '-', not beginning with '.' or '-'", first: "a-z0-9", rest: "a-z0-9.-", min: 1, max: 64},
	FormatThread:    {description: "lower-case segments between slashes", first: "a-z0-9", rest: "a-z0-9./-", min: 1, max: MaxThreadBytes},
	FormatName:      {description: "1 to 64 letters, digits, '.', '_' and '-'", first: "A-Za-z0-9", rest: "A-Za-z0-9._-", min: 1, max: 64},
	FormatCountry:   {description: "two capital letters (ISO 3166-1 alpha-2)", rest: "A-Z", min: 2, max: 2},
	FormatLEI:       {description: "18 capital letters and digits, then 2 check digits (ISO 17442)", pattern: `^[0-9A-Z]{18}[0-9]{2}$`},
	FormatScript:    {description: "four letters like Cyrl (ISO 15924)", first: "A-Z", rest: "a-z", min: 4, max: 4},
	FormatDomain:    {description: "a domain in lower case like kestrel.example, in its xn-- form where it has other letters", pattern: `^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`},
	FormatURL:       {description: "an http or https URL", pattern: `^https?://[A-Za-z0-9.:\[\]-]+([/?#][!#-;=?-\[\]_a-z~]*)?$`},
	FormatMediaType: {description: "a media type like application/pdf", pattern: `^[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}/[a-zA-Z0-9][a-zA-Z0-9!#$&^_.+-]{0,126}$`},
	FormatSHA256:    {description: "64 lower-case hexadecimal digits", rest: "0-9a-f", min: 64, max: 64},
	FormatRoot:      {description: "base64 of 32 bytes", pattern: `^` + base64Of32 + `=$`},
	FormatKeyID:     {description: "a key ID like SHA256:…, as docket keygen prints it", pattern: `^SHA256:` + base64Of32 + `$`},
	FormatPEM:       {description: "a public key in PEM (PKIX)", pattern: `^-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=]{1,64}\n)+-----END PUBLIC KEY-----\n$`, lines: true},
	FormatOrigin:    {description: "printable ASCII without spaces and '+', like log.example/2026", rest: "!-*,-~", min: 1, max: 200},
	FormatVKey:      {description: "a verifier key: name+hash+base64", pattern: `^[!-*,-~]{1,200}\+[0-9a-f]{8}\+[A-Za-z0-9+/]+={0,2}$`},
	FormatZone:      {description: "an IANA time zone like America/New_York", first: "A-Za-z", rest: "A-Za-z0-9+_/-", min: 1, max: 64},
	FormatWord:      {description: "1 to 40 letters", rest: "a-zA-Z", min: 1, max: 40},
	FormatPath:      {description: "a member like federalRegisterNotice or target.lei", pattern: `^[a-zA-Z0-9]{1,40}(\.[a-zA-Z0-9]{1,40}){0,3}$`},
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
		panic("record: no format " + string(f))
	}
	return f
}

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
	case g.compiled.MatchString(s):
		if f != FormatPEM {
			return ""
		}
		_, err := PEM(s).Key()
		if err == nil {
			return ""
		}
		return err.Error()
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

// DidYouMean is `; did you mean "acme-cloud"?` where one of the words is near to
// what was written, or the only one that begins with it, else "".
func DidYouMean(written string, words []string) string {
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
