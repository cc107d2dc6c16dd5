// Package schema is the strict JSON of records and what is made of Go structs by it: a
// struct's tags compile to a [Shape], and by the shape a [Decoder] fills the struct and
// finds each fault with its JSON pointer, [AppendObject] writes it in one way alone, and
// [Shape.JSONSchema] describes it to others. It knows no kind of record, no key and no
// ledger: types that stand for a text, such as dates and IDs, are handed in as [Types].
//
//	type Response struct {
//		Status     string   `json:"status" rule:"required enum=acknowledged|winding-down" doc:"what was done"`
//		Conditions []string `json:"conditions,omitempty" rule:"fmt=name items=100" doc:"IDs of the conditions met"`
//	}
//
// The JSON and why it is so strict: ledger/DESIGN.md section 4, "JSON".
package schema

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of the JSON that is let in (DESIGN.md section 4).
const (
	maxDepth   = 16        // objects and lists inside one another
	MaxInteger = 1<<53 - 1 // the largest |n| that every JSON reader keeps exactly
)

// Object is a JSON object as it was scanned, members in their order.
type Object []Member

// Member is one name and its value: string, int64, bool, []any or Object.
type Member struct {
	Name  string
	Value any
}

// ObjectOf makes an object of names and values in turn.
func ObjectOf(namesAndValues ...any) Object {
	o := make(Object, 0, len(namesAndValues)/2)
	for i := 0; i < len(namesAndValues); i += 2 {
		o = append(o, Member{Name: namesAndValues[i].(string), Value: namesAndValues[i+1]})
	}
	return o
}

// Lookup returns the value of the member called name, nil if there is none.
func (o Object) Lookup(name string) any {
	for i := range o {
		if o[i].Name == name {
			return o[i].Value
		}
	}
	return nil
}

// ParseJSON scans one JSON value, strictly (DESIGN.md section 4, "JSON"): no name
// twice in an object, after unescaping; valid UTF-8 and no lone surrogates; no
// null; integers only, |n| ≤ [MaxInteger], written one way; at most [maxDepth]
// deep; nothing but white space around it. The result is made of string, int64,
// bool, []any and [Object]; nothing in it refers to raw. What it accepts,
// encoding/json reads as the same value. Every error is a *[SyntaxError].
func ParseJSON(raw []byte) (any, error) {
	// One copy, of which every plain string is a slice.
	s := scanner{text: string(raw), members: make([]Member, 0, min(32, len(raw)/16)), items: make([]any, 0, min(8, len(raw)/64))}
	s.space()
	v, err := s.value()
	if err != nil {
		return nil, err
	}
	if s.space(); s.pos < len(s.text) {
		return nil, s.errorf(s.pos, "more after the value")
	}
	return v, nil
}

// A SyntaxError says where JSON broke which rule of DESIGN.md section 4.
type SyntaxError struct {
	Offset  int    // bytes before the fault
	Pointer string // JSON Pointer (RFC 6901) of the value at fault; "" is the whole
	Detail  string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("JSON at byte %d: %s", e.Offset, e.Detail)
}

type scanner struct {
	text    string
	pos     int
	depth   int
	items   []any    // of the lists that are open, the innermost last
	members []Member // likewise of the objects
}

func (s *scanner) errorf(at int, format string, args ...any) error {
	return &SyntaxError{Offset: at, Detail: fmt.Sprintf(format, args...)}
}

// prefixPointer says that what was at fault lies in the member or item of that name.
func prefixPointer(name string, err error) error {
	if e, ok := err.(*SyntaxError); ok {
		e.Pointer = "/" + EscapePointer(name) + e.Pointer
	}
	return err
}

// EscapePointer is RFC 6901 section 3.
func EscapePointer(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func (s *scanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// accept skips white space and then c, if it is next.
func (s *scanner) accept(c byte) bool {
	s.space()
	if s.pos < len(s.text) && s.text[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) value() (any, error) {
	if s.pos == len(s.text) {
		return nil, s.errorf(s.pos, "a value is missing")
	}
	switch c := s.text[s.pos]; {
	case c == '"':
		return s.string()
	case c == '{':
		return s.object()
	case c == '[':
		return s.list()
	case c == '-' || c >= '0' && c <= '9':
		return s.integer()
	case s.literal("true"):
		return true, nil
	case s.literal("false"):
		return false, nil
	case s.literal("null"):
		return nil, s.errorf(s.pos-len("null"), "null is not allowed: leave the member out")
	default:
		r, _ := utf8.DecodeRuneInString(s.text[s.pos:])
		return nil, s.errorf(s.pos, "%q cannot begin a value", r)
	}
}

func (s *scanner) literal(w string) bool {
	if len(s.text)-s.pos >= len(w) && s.text[s.pos:s.pos+len(w)] == w {
		s.pos += len(w)
		return true
	}
	return false
}

func (s *scanner) enter() error {
	if s.depth++; s.depth > maxDepth {
		return s.errorf(s.pos, "nested deeper than %d", maxDepth)
	}
	s.pos++
	return nil
}

func (s *scanner) object() (any, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	base := len(s.members)
	var many map[string]bool // the names so far, once there are more than few
	if !s.accept('}') {
		for {
			name, start, err := s.name()
			if err != nil {
				return nil, err
			}
			if many == nil && len(s.members)-base == smallObject {
				many = make(map[string]bool, 4*smallObject)
				for _, m := range s.members[base:] {
					many[m.Name] = true
				}
			}
			if many[name] || many == nil && hasMember(s.members[base:], name) {
				return nil, prefixPointer(name, s.errorf(start, "the name %q stands here twice", name))
			}
			if many != nil {
				many[name] = true
			}
			if err := s.member(name); err != nil {
				return nil, err
			}
			if s.accept('}') {
				break
			}
			if !s.accept(',') {
				return nil, s.errorf(s.pos, "want , or } after a member")
			}
		}
	}
	o := make(Object, len(s.members)-base)
	copy(o, s.members[base:])
	s.members = s.members[:base]
	s.depth--
	return o, nil
}

// smallObject is the number of names up to which comparing each with each is the
// quickest; beyond it a hostile object would cost its length squared.
const smallObject = 32

func (s *scanner) name() (name string, start int, err error) {
	s.space()
	start = s.pos
	if s.pos == len(s.text) || s.text[s.pos] != '"' {
		return "", start, s.errorf(s.pos, "want a member's name in quotes")
	}
	name, err = s.string()
	return name, start, err
}

func (s *scanner) member(name string) error {
	if !s.accept(':') {
		return prefixPointer(name, s.errorf(s.pos, "want : after the name %q", name))
	}
	s.space()
	// The name takes its place before the value, which may hold members itself.
	s.members = append(s.members, Member{Name: name})
	mine := len(s.members) - 1
	v, err := s.value()
	if err != nil {
		return prefixPointer(name, err)
	}
	s.members[mine].Value = v
	return nil
}

// hasMember reports whether one of mems is called name already.
func hasMember(mems []Member, name string) bool {
	for i := range mems {
		if mems[i].Name == name {
			return true
		}
	}
	return false
}

func (s *scanner) list() (any, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	base := len(s.items)
	if !s.accept(']') {
		for {
			s.space()
			v, err := s.value()
			if err != nil {
				return nil, prefixPointer(strconv.Itoa(len(s.items)-base), err)
			}
			s.items = append(s.items, v)
			if s.accept(']') {
				break
			}
			if !s.accept(',') {
				return nil, s.errorf(s.pos, "want , or ] after an item")
			}
		}
	}
	list := make([]any, len(s.items)-base)
	copy(list, s.items[base:])
	s.items = s.items[:base]
	s.depth--
	return list, nil
}

func (s *scanner) integer() (int64, error) {
	start := s.pos
	if s.text[s.pos] == '-' {
		s.pos++
	}
	digits := s.pos
	var n int64
	for s.pos < len(s.text) && s.text[s.pos] >= '0' && s.text[s.pos] <= '9' {
		if n = n*10 + int64(s.text[s.pos]-'0'); n > MaxInteger {
			return 0, s.errorf(start, "a number beyond ±(2^53 − 1)")
		}
		s.pos++
	}
	switch {
	case s.pos == digits:
		return 0, s.errorf(s.pos, "a number without digits")
	case s.text[digits] == '0' && (s.pos-digits > 1 || digits > start):
		return 0, s.errorf(start, "a number that begins with 0, or is −0")
	case s.pos < len(s.text) && (s.text[s.pos] == '.' || s.text[s.pos] == 'e' || s.text[s.pos] == 'E'):
		return 0, s.errorf(start, "only integers are allowed, written as digits")
	}
	if digits > start {
		n = -n
	}
	return n, nil
}

// plainASCII are the bytes that stand for themselves in a string and are ASCII.
var plainASCII = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// string scans a string; the usual one, without an escape, is a slice of the text.
func (s *scanner) string() (string, error) {
	s.pos++
	start, ascii := s.pos, true
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		if plainASCII[c] {
			s.pos++
			continue
		}
		switch {
		case c == '"':
			v := s.text[start:s.pos]
			if !ascii && !utf8.ValidString(v) {
				return "", s.errorf(start, "a string that is not valid UTF-8")
			}
			s.pos++
			return v, nil
		case c == '\\':
			return s.stringWithEscapes(start)
		case c < ' ':
			return "", s.errorf(s.pos, "a control character in a string")
		case c >= utf8.RuneSelf:
			ascii = false
		}
		s.pos++
	}
	return "", s.errorf(s.pos, "a string without an end")
}

// stringWithEscapes scans the rest of a string, from its first escape on.
func (s *scanner) stringWithEscapes(start int) (string, error) {
	b := append(make([]byte, 0, 2*(s.pos-start)+16), s.text[start:s.pos]...)
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '"':
			if !utf8.Valid(b) {
				return "", s.errorf(start, "a string that is not valid UTF-8")
			}
			s.pos++
			return string(b), nil
		case c == '\\':
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		case c < ' ':
			return "", s.errorf(s.pos, "a control character in a string")
		default:
			b = append(b, c)
			s.pos++
		}
	}
	return "", s.errorf(s.pos, "a string without an end")
}

// escape scans one escape; two surrogates are one (RFC 8259 section 7).
func (s *scanner) escape() (rune, error) {
	start := s.pos
	if s.pos+1 >= len(s.text) {
		return 0, s.errorf(start, "a string without an end")
	}
	s.pos += 2
	switch c := s.text[start+1]; c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, ok := s.hex4()
		switch {
		case !ok:
			return 0, s.errorf(start, `want four hexadecimal digits after \u`)
		case r < 0xD800 || r > 0xDFFF:
			return r, nil
		case r < 0xDC00 && s.literal(`\u`):
			if low, ok := s.hex4(); ok && low >= 0xDC00 && low <= 0xDFFF {
				return (r-0xD800)<<10 | (low - 0xDC00) + 0x10000, nil
			}
		}
		return 0, s.errorf(start, "half of a surrogate pair")
	}
	return 0, s.errorf(start, "an escape that JSON does not have")
}

func (s *scanner) hex4() (rune, bool) {
	if len(s.text)-s.pos < 4 {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s.text[s.pos : s.pos+4]) {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	s.pos += 4
	return r, true
}

// AppendJSON writes what [ParseJSON] made, compact.
func AppendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return AppendString(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case bool:
		return strconv.AppendBool(b, v)
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendJSON(b, item)
		}
		return append(b, ']')
	case Object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(AppendString(b, m.Name), ':')
			b = AppendJSON(b, m.Value)
		}
		return append(b, '}')
	}
	panic("schema: " + reflect.TypeOf(v).String() + " is no value of ParseJSON")
}

// MarshalJSON writes the object's members in their order.
func (o Object) MarshalJSON() ([]byte, error) { return AppendJSON(nil, o), nil }

// UnmarshalJSON is [ParseJSON] of an object.
func (o *Object) UnmarshalJSON(raw []byte) error {
	v, err := ParseJSON(raw)
	if err != nil {
		return err
	}
	object, ok := v.(Object)
	if !ok {
		return &SyntaxError{Detail: describeJSON(v) + " where an object belongs"}
	}
	*o = object
	return nil
}

// AppendString writes a JSON string; it escapes what RFC 8259 section 7 demands, and nothing else.
func AppendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		start = i + 1
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// describeJSON says in a few words what a value is, for a fault.
func describeJSON(v any) string {
	switch v := v.(type) {
	case string:
		return "text"
	case int64:
		return "the number " + strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		return "a list"
	case Object:
		return "an object"
	}
	return "nothing"
}
