package schema

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Shape is what one place of a JSON text may hold. Go structs are the only source:
// their fields' tags compile to shapes once ([Types.Shape]), and shapes decode
// ([Decoder]), encode ([AppendObject]) and print the JSON Schema; package draft reads
// short forms and prints templates by them. Callers must not change one that is in use.
//
//	json  the member's name
//	rule  words: required; fmt=FORMAT, enum=A|B, max=CHARACTERS of a string, or of
//	      each string of a list; lo=, hi= of an integer; items= at most, of a list
//	      or map; empty: the list may be; repeats: the list may hold an item
//	      twice; names=FORMAT of a map's names; lists: a fragment that may touch
//	      lists only; late: required, but not yet of a draft; usual: not required,
//	      but open in templates
//	doc   one line for people: template, JSON Schema
//	eg    an example of the value
type Shape struct {
	Type     ValueType
	GoType   reflect.Type // without the pointer of an optional value
	Pointer  bool         // the Go value is a pointer to GoType
	Format   Format
	Enum     []string
	MaxChars int      // characters
	Item     *Shape   // of a list or map
	Fields   []*Field // of an object
	Fragment *Shape   // the object of which a fragment is a part
	Sealed   *Shape   // the object that may stand instead of a text

	minInt, maxInt int64
	maxItems       int
	mayBeEmpty     bool // a required list may be
	mayRepeat      bool // a list may hold an item twice
	needsItem      bool // it may not
	listsOnly      bool
	names          Format
	scalar         *Scalar
}

// A ValueType is which of these values a place holds.
type ValueType int

const (
	TypeString ValueType = iota
	TypeInteger
	TypeBoolean
	TypeScalar // a text that a Go type of the caller's stands for
	TypeList
	TypeMap // names that the shape does not know, to values of one shape
	TypeObject
	TypeFragment // some members of an object
	TypeSealable // a string, or the object that seals it
)

// A Field is one member of an object.
type Field struct {
	*Shape
	Name         string
	Required     bool
	InTemplate   bool // templates show it as if it were required
	Doc, Example string

	late        bool // a draft may lack it
	part, index int  // of the Go field: which struct of the object, and which field there
}

// What bounds a string and a list that say nothing of their own.
const (
	defaultMaxChars = 1_000 // characters
	defaultMaxItems = 1_000
)

// A Scalar is a Go type that stands for a text.
type Scalar struct {
	goType reflect.Type
	set    func(dst any, text string) error // dst points to such a value
	text   func(v any) string
	schema Object
}

// ScalarOf makes a Scalar of the function that reads T, the one that writes it, and the
// JSON Schema of its texts. The reading function's error is the fault.
func ScalarOf[T any](parse func(string) (T, error), text func(T) string, schema Object) Scalar {
	return Scalar{
		goType: reflect.TypeFor[T](),
		set: func(dst any, text string) (err error) {
			*dst.(*T), err = parse(text)
			return err
		},
		text:   func(v any) string { return text(v.(T)) },
		schema: schema,
	}
}

// Types are what a struct's fields may be beside strings, int64, bool, slices, maps,
// structs, and pointers to these.
type Types struct {
	Scalars  []Scalar
	Fragment reflect.Type // the struct of which every field of type [Object] is a fragment
	// Sealable is a struct of two fields: a string, and a pointer to the struct of the
	// object that stands in its place where it is sealed.
	Sealable reflect.Type
}

// Shape compiles a Go type. A tag that makes no sense is a broken program.
func (ts *Types) Shape(t reflect.Type) *Shape { return ts.shapeOf(t, "") }

// Join is the shape of an object whose members stand in several Go structs, in this
// order; [Decoder.Object] and [AppendObject] take those.
func Join(objects ...*Shape) *Shape {
	joined := &Shape{Type: TypeObject}
	for i, sh := range objects {
		for _, f := range sh.Fields {
			own := *f
			own.part = i
			joined.Fields = append(joined.Fields, &own)
		}
	}
	return joined
}

func (ts *Types) shapeOf(t reflect.Type, rule string) *Shape {
	sh := &Shape{MaxChars: defaultMaxChars, maxItems: defaultMaxItems, minInt: -MaxInteger, maxInt: MaxInteger, Format: FormatText}
	if t.Kind() == reflect.Pointer {
		sh.Pointer = true
		t = t.Elem()
	}
	sh.GoType, sh.scalar = t, ts.scalarOf(t)
	switch {
	case sh.scalar != nil:
		sh.Type = TypeScalar
	case t == reflect.TypeFor[Object]():
		sh.Type, sh.Fragment = TypeFragment, ts.Shape(ts.Fragment)
	case t == ts.Sealable:
		sh.Type, sh.Sealed = TypeSealable, ts.shapeOf(t.Field(1).Type, "")
	case t.Kind() == reflect.String:
		sh.Type = TypeString
	case t.Kind() == reflect.Int64:
		sh.Type = TypeInteger
	case t.Kind() == reflect.Bool:
		sh.Type = TypeBoolean
	case t.Kind() == reflect.Slice:
		sh.Type, sh.Item = TypeList, ts.shapeOf(t.Elem(), rule)
	case t.Kind() == reflect.Map:
		sh.Type, sh.Item = TypeMap, ts.shapeOf(t.Elem(), rule)
	case t.Kind() == reflect.Struct:
		sh.Type, sh.Fields = TypeObject, ts.fields(t)
	default:
		panic(fmt.Sprintf("schema: no shape for %s", t))
	}
	sh.applyRules(rule)
	return sh
}

func (ts *Types) scalarOf(t reflect.Type) *Scalar {
	for i := range ts.Scalars {
		if ts.Scalars[i].goType == t {
			return &ts.Scalars[i]
		}
	}
	return nil
}

func (ts *Types) fields(t reflect.Type) (fields []*Field) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			panic(fmt.Sprintf("schema: %s.%s has no json tag", t, f.Name))
		}
		rule := f.Tag.Get("rule")
		own := &Field{Shape: ts.shapeOf(f.Type, rule), Name: name, index: i, Doc: f.Tag.Get("doc"), Example: f.Tag.Get("eg")}
		own.Required = hasRule(rule, "required")
		own.late = hasRule(rule, "late")
		own.InTemplate = hasRule(rule, "usual")
		own.needsItem = own.Required && own.Type == TypeList && !own.mayBeEmpty
		fields = append(fields, own)
	}
	return fields
}

func (sh *Shape) applyRules(rule string) {
	for word := range strings.FieldsSeq(rule) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "required", "late", "usual":
		case "empty":
			sh.mayBeEmpty = true
		case "repeats":
			sh.mayRepeat = true
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
			panic(fmt.Sprintf("schema: no rule %q", word))
		}
	}
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
		panic("schema: " + err.Error())
	}
	return n
}

// Integers are the least and the greatest that fit.
func (sh *Shape) Integers() (least, greatest int64) { return sh.minInt, sh.maxInt }

// MaxItems is how many a list or a map holds at most.
func (sh *Shape) MaxItems() int { return sh.maxItems }

// Field is the member called name, nil if an object of this shape has none.
func (sh *Shape) Field(name string) *Field {
	_, f := sh.lookup(name, 0)
	return f
}

// lookup finds a field; from is the guess, since most people write in order.
func (sh *Shape) lookup(name string, from int) (int, *Field) {
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

// TextFault is what is wrong with s as a string of this shape, "" for nothing.
func (sh *Shape) TextFault(s string) string {
	switch {
	case sh.Enum != nil:
		for _, word := range sh.Enum {
			if s == word {
				return ""
			}
		}
		return fmt.Sprintf("is %s; want one of %s%s", Quote(s), strings.Join(sh.Enum, ", "), DidYouMean(s, sh.Enum))
	case len(s) > sh.MaxChars && utf8.RuneCountInString(s) > sh.MaxChars:
		return fmt.Sprintf("is %d characters long; at most %d are allowed", utf8.RuneCountInString(s), sh.MaxChars)
	}
	return sh.Format.Fault(s)
}

// isFreeText tells whether any text will do.
func (sh *Shape) isFreeText() bool {
	return sh.Type == TypeString && sh.Enum == nil && (sh.Format == FormatText || sh.Format == FormatLines)
}

// New is a zero Go value of this shape that can be set.
func (sh *Shape) New() reflect.Value {
	if sh.Pointer {
		return reflect.New(reflect.PointerTo(sh.GoType)).Elem()
	}
	return reflect.New(sh.GoType).Elem()
}

// Of is the field's value in the Go struct that it was compiled from.
func (f *Field) Of(object reflect.Value) reflect.Value { return object.Field(f.index) }

// IsAbsent tells whether a Go value is written as if it were not there, unless it is
// required: a zero, an empty list.
func (sh *Shape) IsAbsent(v reflect.Value) bool {
	if sh.Type == TypeList || sh.Type == TypeMap || sh.Type == TypeFragment {
		return v.Len() == 0
	}
	return v.IsZero()
}

// Text is what a scalar's Go value stands for.
func (sh *Shape) Text(v reflect.Value) string { return sh.scalar.text(v.Interface()) }
