package event

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Input is an event as people and machines write it:
//
//	{"account":"acct-20417","id":"login-88213","kind":"access","time":"2027-01-04T09:30:12.250Z","content":{"ip":"192.0.2.7","action":"login"}}
//
// Account is the provider's own name of the customer's account and ID his own of the event:
// the same two are the same event, however often it comes. The account of an opened event
// is not written again in its content.
type Input struct {
	Account string
	ID      string
	Kind    Kind
	Time    time.Time // UTC, whole milliseconds
	Content Content
}

// written is an Input before its content is read.
type written struct {
	Account string    `json:"account" rule:"required max=200" doc:"the provider's own name of the customer's account" eg:"acct-20417"`
	ID      string    `json:"id" rule:"required max=200" doc:"the provider's own ID of the event: the same again is the same event" eg:"login-88213"`
	Kind    string    `json:"kind" rule:"required enum=opened|verified|changed|access|flagged|held|released|closed" doc:"what is told"`
	Time    time.Time `json:"time" rule:"required" doc:"when it happened: RFC 3339 in UTC, 0 to 3 fraction digits" eg:"2027-01-04T09:30:12.250Z"`
	Content struct{}  `json:"content" rule:"required" doc:"what the kind says"`
}

var inputShape = shapeTypes.Shape(reflect.TypeFor[written]())

// ParseInput reads one Input, strictly; the faults' pointers lead from its root.
func ParseInput(raw []byte) (Input, []schema.Fault) {
	in, _, faults := parseInput(raw)
	return in, faults
}

func parseInput(raw []byte) (Input, schema.Object, []schema.Fault) {
	v, err := schema.ParseJSON(raw)
	if err != nil {
		fault := schema.Fault{Detail: err.Error()}
		if syntax := (*schema.SyntaxError)(nil); errors.As(err, &syntax) {
			fault.Pointer = syntax.Pointer
		}
		return Input{}, nil, []schema.Fault{fault}
	}
	o, ok := v.(schema.Object)
	if !ok {
		return Input{}, nil, []schema.Fault{{Detail: "is no object; want an event: account, id, kind, time, content"}}
	}
	return inputOf(o)
}

// InputOf is [ParseInput] of an object that is scanned already.
func InputOf(o schema.Object) (Input, []schema.Fault) {
	in, _, faults := inputOf(o)
	return in, faults
}

// inputOf also returns the content as it was scanned, with the account of an opened event.
func inputOf(o schema.Object) (Input, schema.Object, []schema.Fault) {
	var d schema.Decoder
	var w written
	content, isObject := o.Lookup("content").(schema.Object)
	head := o
	if isObject { // its kind's shape reads it
		head = slices.DeleteFunc(slices.Clone(o), func(m schema.Member) bool { return m.Name == "content" })
	}
	d.Object(head, headShape, &w)
	d.Missing(o, "content")
	in := Input{Account: w.Account, ID: w.ID, Kind: Kind(w.Kind), Time: w.Time}
	if in.Kind.spec() == nil || !isObject {
		return in, nil, d.Faults
	}
	d.Enter("content")
	if in.Kind == KindOpened {
		if content.Lookup("account") != nil {
			faultAt(&d, "stands outside the content already: leave it out here", "account")
		}
		content = append(schema.Object{{Name: "account", Value: any(in.Account)}}, content...)
		if in.Account == "" || content[1:].Lookup("account") != nil { // told already
			return in, nil, d.Faults
		}
	}
	in.Content = decode(&d, in.Kind, content)
	checkInput(&d, in, content)
	d.Leave()
	return in, content, d.Faults
}

// headShape is an input whose content stands elsewhere.
var headShape = func() *schema.Shape {
	sh := shapeTypes.Shape(reflect.TypeFor[written]())
	sh.Field("content").Required = false
	return sh
}()

// Check reads an input that was not parsed as if it had been.
func (in Input) Check() []schema.Fault {
	_, faults := in.Checked()
	return faults
}

// Checked is [ParseChecked] of an input that was not parsed. It holds nothing of the input's.
func (in Input) Checked() (Checked, []schema.Fault) {
	if in.Content == nil {
		return Checked{}, []schema.Fault{{Pointer: "/content", Detail: "is missing"}}
	}
	if in.Content.Kind() != in.Kind {
		return Checked{}, []schema.Fault{{Pointer: "/kind", Detail: "is " + schema.Quote(string(in.Kind)) + ", and the content is one of the kind " + string(in.Content.Kind())}}
	}
	return ParseChecked(in.Append(make([]byte, 0, 256)))
}

// Append appends the input as one line of JSON, in its one way.
func (in Input) Append(b []byte) []byte {
	b = append(schema.AppendString(append(b, `{"account":`...), in.Account), `,"id":`...)
	b = append(schema.AppendString(b, in.ID), `,"kind":`...)
	b = append(schema.AppendString(b, string(in.Kind)), `,"time":`...)
	b = append(schema.AppendString(b, timeText(in.Time)), `,"content":`...)
	if o, ok := in.Content.(*Opened); ok { // whose account stands before
		b = schema.AppendObject(b, openedShape, o)
	} else {
		b = AppendContent(b, in.Content)
	}
	return append(b, '}')
}

// openedShape is the content of an opened event as it is written: without the account.
var openedShape = func() *schema.Shape {
	sh := shapeTypes.Shape(reflect.TypeFor[Opened]())
	sh.Fields = slices.DeleteFunc(sh.Fields, func(f *schema.Field) bool { return f.Name == "account" })
	return sh
}()
