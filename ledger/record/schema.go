package record

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A shape is what one place of a record may hold. The Go structs of the kinds are
// the only source: their fields' tags compile to shapes once, and shapes decode
// ([decoder]), encode, walk, and print the JSON Schema and the template.
//
//	json  the member's name
//	rule  words: required; fmt=FORMAT, enum=A|B, max=CHARACTERS of a string, or of
//	      each string of a list; lo=, hi= of an integer; items= at most, of a list
//	      or map; empty: the list may be; names=FORMAT of a map's names;
//	      lists: an amendment's fragment that may touch lists only; usual: not
//	      required, but open in templates
//	doc   one line for people: template, JSON Schema
//	eg    an example of the value
type shape struct {
	is             shapeKind
	typ            reflect.Type
	pointer        bool // typ is a pointer to what is
	format         Format
	enum           []string
	maxChars       int // characters
	minInt, maxInt int64
	maxItems       int
	mayBeEmpty     bool // a required list may be
	needsItem      bool // it may not
	listsOnly      bool
	names          Format
	item           *shape // of a list or map
	fields         []*field
	fragment       *shape // the object of which a fragment is a part
}

type shapeKind int

const (
	isString shapeKind = iota
	isInteger
	isBoolean
	isDate
	isInstant
	isPeriod
	isID
	isList
	isMap
	isObject
	isFragment
)

// A field is one member of an object.
type field struct {
	*shape
	name         string
	index        int  // of the Go field
	common       bool // it belongs to [Common], not to the kind's own struct
	required     bool
	inTemplate   bool // templates show it as if it were required
	doc, example string
}

// What bounds a string and a list that say nothing of their own. Beyond these
// stands only [MaxEntryBytes].
const (
	defaultMaxChars = 1_000 // characters
	defaultMaxItems = 1_000
)

var (
	typeDate    = reflect.TypeFor[Date]()
	typeInstant = reflect.TypeFor[Instant]()
	typeTime    = reflect.TypeFor[time.Time]()
	typePeriod  = reflect.TypeFor[Period]()
	typeID      = reflect.TypeFor[ID]()
	typePEM     = reflect.TypeFor[PEM]()
	typeObject  = reflect.TypeFor[Object]()
)

// objectShape compiles a struct. A tag that makes no sense is a broken program.
func objectShape(t reflect.Type) *shape {
	sh := &shape{is: isObject, typ: t}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			panic(fmt.Sprintf("record: %s.%s has no json tag", t, f.Name))
		}
		own := &field{shape: shapeOf(f.Type, f.Tag.Get("rule")), name: name, index: i, doc: f.Tag.Get("doc"), example: f.Tag.Get("eg")}
		own.required = hasRule(f.Tag.Get("rule"), "required")
		own.inTemplate = hasRule(f.Tag.Get("rule"), "usual")
		own.needsItem = own.required && own.is == isList && !own.mayBeEmpty
		sh.fields = append(sh.fields, own)
	}
	return sh
}

// predicateShape is the object of a kind: the members of every record, then its own.
func predicateShape(kind reflect.Type, needsLedger bool) *shape {
	sh := objectShape(reflect.TypeFor[Common]())
	for _, f := range sh.fields {
		f.common = true
		f.required = f.required && (needsLedger || f.name != "ledger")
	}
	sh.typ = kind
	sh.fields = append(sh.fields, objectShape(kind).fields...)
	return sh
}

func shapeOf(t reflect.Type, rule string) *shape {
	sh := &shape{typ: t, maxChars: defaultMaxChars, maxItems: defaultMaxItems, minInt: -MaxInteger, maxInt: MaxInteger, format: FormatText}
	if t.Kind() == reflect.Pointer {
		sh.pointer = true
		t = t.Elem()
	}
	switch {
	case t == typeDate:
		sh.is = isDate
	case t == typeInstant || t == typeTime:
		sh.is = isInstant
	case t == typePeriod:
		sh.is = isPeriod
	case t == typeID:
		sh.is = isID
	case t == typePEM:
		sh.is, sh.format, sh.maxChars = isString, FormatPEM, 2_000
	case t == typeObject:
		sh.is, sh.fragment = isFragment, objectShape(reflect.TypeFor[Designation]())
	case t.Kind() == reflect.String:
		sh.is = isString
	case t.Kind() == reflect.Int64:
		sh.is = isInteger
	case t.Kind() == reflect.Bool:
		sh.is = isBoolean
	case t.Kind() == reflect.Slice:
		sh.is, sh.item = isList, shapeOf(t.Elem(), rule)
	case t.Kind() == reflect.Map:
		sh.is, sh.item = isMap, shapeOf(t.Elem(), rule)
	case t.Kind() == reflect.Struct:
		sh.is, sh.fields = isObject, objectShape(t).fields
	default:
		panic(fmt.Sprintf("record: no shape for %s", t))
	}
	sh.applyRules(rule)
	return sh
}

func (sh *shape) applyRules(rule string) {
	for word := range strings.FieldsSeq(rule) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "required", "usual":
		case "empty":
			sh.mayBeEmpty = true
		case "lists":
			sh.listsOnly = true
		case "fmt":
			sh.format = Format(value).mustExist()
		case "names":
			sh.names = Format(value).mustExist()
		case "enum":
			sh.enum = strings.Split(value, "|")
		case "max":
			sh.maxChars = int(mustNumber(value))
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

// lookupField finds a field; from is the guess, since most people write in order.
func (sh *shape) lookupField(name string, from int) (int, *field) {
	for i := range sh.fields {
		at := from + i
		if at >= len(sh.fields) {
			at -= len(sh.fields)
		}
		if sh.fields[at].name == name {
			return at, sh.fields[at]
		}
	}
	return 0, nil
}

// fieldNames are the names that stand in an object of this shape, in order.
func (sh *shape) fieldNames() []string {
	names := make([]string, len(sh.fields))
	for i, f := range sh.fields {
		names[i] = f.name
	}
	return names
}

// minMembers is how few members an object may have: one, where none is required, so
// that no record carries an object that says nothing.
func (sh *shape) minMembers() int {
	for _, f := range sh.fields {
		if f.required {
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
