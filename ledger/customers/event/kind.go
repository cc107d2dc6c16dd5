package event

import (
	"fmt"
	"net/netip"
	"reflect"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Kind is what an event tells.
type Kind string

// Events of a customer.
const (
	KindOpened   Kind = "opened"
	KindVerified Kind = "verified"
	KindChanged  Kind = "changed"
	KindAccess   Kind = "access"
	KindFlagged  Kind = "flagged"
	KindHeld     Kind = "held"
	KindReleased Kind = "released"
	KindClosed   Kind = "closed"
	KindErased   Kind = "erased"
)

// Acts of the house, in its own chain.
const (
	KindSearched  Kind = "searched"
	KindShown     Kind = "shown"
	KindExported  Kind = "exported"
	KindPrepared  Kind = "prepared"
	KindApproved  Kind = "approved"
	KindDisclosed Kind = "disclosed"
	KindPublished Kind = "published"
	KindRotated   Kind = "rotated"
	KindScreened  Kind = "screened"
	KindUnlocked  Kind = "unlocked"
	KindLocked    Kind = "locked"
	KindWithdrawn Kind = "withdrawn"
	KindProgramme Kind = "programme"
)

// Content is what an event says beside its header: the struct of its kind.
type Content interface {
	Kind() Kind
	check(d *schema.Decoder) // rules across fields
}

// kindSpec is a row of the table of kinds.
type kindSpec struct {
	kind  Kind
	code  byte // in plaintexts, for ever
	house bool
	doc   string
	empty func() Content
	shape *schema.Shape
}

var shapeTypes = schema.Types{
	Scalars: append(record.Scalars(), schema.ScalarOf(parseAddr, netip.Addr.String,
		schema.ObjectOf("type", "string", "minLength", int64(2), "maxLength", int64(45)))),
	Fragment: reflect.TypeFor[Opened](),
}

// parseAddr reads an IP address; an IPv4 address inside an IPv6 one is that IPv4 address.
func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("is %s; want an IP address like 192.0.2.7 or 2001:db8::7", schema.Quote(s))
	}
	return a.Unmap(), nil
}

var kinds = []kindSpec{
	specOf[Opened](1, KindOpened, "an account was opened, with what the customer said of himself"),
	specOf[Verified](2, KindVerified, "his identity was verified, or could not be: how, by which document, who decided"),
	specOf[Changed](3, KindChanged, "elements of what is known of him were replaced or taken away"),
	specOf[Access](4, KindAccess, "he logged in, or did an administrative act: from which address"),
	specOf[Flagged](5, KindFlagged, "screening hit a designation, or somebody decided about a hit"),
	specOf[Held](6, KindHeld, "nothing of him may be erased until this is released"),
	specOf[Released](7, KindReleased, "a hold ended"),
	specOf[Closed](8, KindClosed, "the account was closed"),
	specOf[Erased](9, KindErased, "the customer's key was destroyed: when, and why"),
	actSpec(32, KindSearched, "somebody searched"),
	actSpec(33, KindShown, "a customer was shown to somebody"),
	actSpec(34, KindExported, "customers were exported"),
	actSpec(35, KindPrepared, "a disclosure was prepared"),
	actSpec(36, KindApproved, "a holder approved a disclosure"),
	actSpec(37, KindDisclosed, "a bundle left the house"),
	actSpec(38, KindPublished, "a period was published"),
	actSpec(39, KindRotated, "the vault's key was rotated"),
	actSpec(40, KindScreened, "all customers were screened"),
	actSpec(41, KindUnlocked, "the vault was unlocked"),
	actSpec(42, KindLocked, "the vault was locked"),
	actSpec(43, KindWithdrawn, "a disclosure that was prepared is not to leave the house"),
	actSpec(44, KindProgramme, "a version of the programme was used for the first time, by this content"),
}

func specOf[T any, P interface {
	*T
	Content
}](code byte, k Kind, doc string) kindSpec {
	return kindSpec{kind: k, code: code, doc: doc, empty: func() Content { return P(new(T)) }, shape: shapeTypes.Shape(reflect.TypeFor[T]())}
}

func actSpec(code byte, k Kind, doc string) kindSpec {
	sp := specOf[Act](code, k, doc)
	sp.house, sp.empty = true, func() Content { return &Act{What: k} }
	return sp
}

func (k Kind) spec() *kindSpec {
	for i := range kinds {
		if kinds[i].kind == k {
			return &kinds[i]
		}
	}
	return nil
}

func (k Kind) code() byte {
	if sp := k.spec(); sp != nil {
		return sp.code
	}
	panic("event: no kind " + string(k))
}

func kindOfCode(code byte) (Kind, bool) {
	for i := range kinds {
		if kinds[i].code == code {
			return kinds[i].kind, true
		}
	}
	return "", false
}

// Kinds are all kinds, those of a customer first.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i := range kinds {
		all[i] = kinds[i].kind
	}
	return all
}

// OfHouse tells whether a kind is of the house's own chain.
func (k Kind) OfHouse() bool { sp := k.spec(); return sp != nil && sp.house }

// Doc is one line for people: what such an event says.
func (k Kind) Doc() string {
	if sp := k.spec(); sp != nil {
		return sp.doc
	}
	return ""
}

// Shape is the shape of a kind's content; nil of no kind.
func (k Kind) Shape() *schema.Shape {
	if sp := k.spec(); sp != nil {
		return sp.shape
	}
	return nil
}

// Decode reads a content, strictly; the faults' pointers lead from its root.
func Decode(k Kind, o schema.Object) (Content, []schema.Fault) {
	var d schema.Decoder
	return decode(&d, k, o), d.Faults
}

func decode(d *schema.Decoder, k Kind, o schema.Object) Content {
	sp := k.spec()
	if sp == nil {
		d.Fault("is of the kind %s, which is none", schema.Quote(string(k)))
		return nil
	}
	c := sp.empty()
	faults := len(d.Faults)
	d.Object(o, sp.shape, c)
	if len(d.Faults) == faults {
		c.check(d)
	}
	if a, ok := c.(*Act); ok && a.What != k {
		faultAt(d, fmt.Sprintf("is %s, and the event is of the kind %s", schema.Quote(string(a.What)), k), "what")
	}
	return c
}

// AppendContent appends a content as one line of JSON, in its one way.
func AppendContent(b []byte, c Content) []byte {
	return schema.AppendObject(b, c.Kind().Shape(), c)
}

// SchemaJSON is the JSON Schema (draft 2020-12) of what is written of a kind ([Input]).
func SchemaJSON(k Kind) []byte {
	return schema.Indent(schema.ObjectOf(
		"$schema", "https://json-schema.org/draft/2020-12/schema",
		"$id", "urn:docket:schema:customer-event:"+string(k)+":v1",
		"title", string(k),
		"description", k.Doc(),
		"type", "object",
		"properties", schema.ObjectOf(
			"account", inputShape.Field("account").JSONSchema(),
			"id", inputShape.Field("id").JSONSchema(),
			"kind", schema.ObjectOf("const", string(k)),
			"time", inputShape.Field("time").JSONSchema(),
			"content", k.Shape().JSONSchema(),
		),
		"required", schema.List(inputShape.FieldNames()),
		"additionalProperties", false,
	))
}
