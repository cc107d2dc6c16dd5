package record

import (
	"encoding/hex"
	"reflect"
	"slices"
)

// The statement types that are read; what is made here is v1 (in-toto attestation
// spec, "Statement").
const (
	statementV1  = "https://in-toto.io/Statement/v1"
	statementV01 = "https://in-toto.io/Statement/v0.1"
)

// ParseStatement reads one payload: strict JSON, an in-toto Statement v1 or v0.1
// with exactly one subject, a kind of the catalogue, and every rule of that kind
// that needs neither the register nor a pinned table (those are package
// register's). Every error is a *[Refusal]: Unsupported, or Invalid with each
// fault's JSON pointer.
func ParseStatement(payload []byte) (*Statement, error) {
	v, err := ParseJSON(payload)
	if err != nil {
		return nil, InvalidStatement([]Fault{{err.(*SyntaxError).Pointer, err.Error()}})
	}
	o, ok := v.(Object)
	if !ok {
		return nil, InvalidStatement([]Fault{{"", "is " + describeJSON(v) + "; want an object"}})
	}
	return decodeStatement(o)
}

func decodeStatement(o Object) (*Statement, error) {
	name, ok := o.Lookup("predicateType").(string)
	if !ok {
		return nil, InvalidStatement([]Fault{{"/predicateType", "is missing: want urn:docket:KIND:v1"}})
	}
	sp, err := findSpecByType(name)
	if err != nil {
		return nil, err
	}
	s := &Statement{Kind: sp.Kind, Predicate: sp.newPredicate()}
	if faults := s.decode(o, sp); len(faults) > 0 {
		return nil, InvalidStatement(faults)
	}
	if faults := s.CrossFieldFaults(); len(faults) > 0 {
		return nil, InvalidStatement(faults)
	}
	return s, nil
}

// InvalidStatement is the refusal of a statement with these faults.
func InvalidStatement(faults []Fault) *Refusal {
	return &Refusal{Class: Invalid, Detail: "statement breaks its schema", Faults: faults}
}

// DecodeDraft fills a statement of a kind with what was written of its predicate, and finds
// the faults that nothing added later could heal: ledger, follows and issuedAt may be
// missing. The subject is left open, and so are the rules across fields
// ([Statement.CrossFieldFaults]).
func DecodeDraft(sp *Spec, predicate Object) (*Statement, []Fault) {
	s := &Statement{Kind: sp.Kind, Predicate: sp.newPredicate(), object: predicate}
	d := &decoder{path: []pathStep{{name: "predicate"}}, draft: true}
	d.predicate(predicate, sp, s)
	return s, d.faults
}

// decode fills s and finds what the JSON Schema of the kind finds.
func (s *Statement) decode(o Object, sp *Spec) []Fault {
	d := &decoder{path: make([]pathStep, 0, 8)}
	for _, m := range o {
		if d.tooManyFaults() {
			break
		}
		d.enter(m.Name)
		switch m.Name {
		case "_type":
			if t, ok := m.Value.(string); !ok || t != statementV1 && t != statementV01 {
				d.fault("want %s", statementV1)
			}
		case "predicateType":
		case "subject":
			s.Subject = d.subject(m.Value)
		case "predicate":
			if p, ok := m.Value.(Object); ok {
				s.object = p
				d.predicate(p, sp, s)
			} else {
				d.faultWrongType(m.Value, "an object")
			}
		default:
			d.fault("is no member of a statement%s", DidYouMean(m.Name, statementMembers))
		}
		d.leave()
	}
	d.missing(o, statementMembers)
	return d.faults
}

var statementMembers = []string{"_type", "subject", "predicateType", "predicate"}

func (d *decoder) missing(o Object, names []string) {
	for _, name := range names {
		if !slices.ContainsFunc(o, func(m Member) bool { return m.Name == name }) {
			d.enter(name)
			d.fault("is missing")
			d.leave()
		}
	}
}

// predicate fills the members of every record and those of the kind.
func (d *decoder) predicate(o Object, sp *Spec, s *Statement) {
	d.object(o, sp.Shape, reflect.ValueOf(s.Predicate).Elem(), reflect.ValueOf(&s.Common).Elem())
	if s.Thread == "" {
		return // a fault already
	}
	if fault := sp.threadFault(s.Thread); fault != "" {
		d.enter("thread")
		d.fault("%s", fault)
		d.leave()
	}
}

// subjectName is text as everywhere else, at most as long as a document's name.
var subjectName = &Shape{Type: TypeString, Format: FormatText, MaxChars: 255}

// subject reads [{"name": …, "digest": {"sha256": …}}].
func (d *decoder) subject(v any) (sub Subject) {
	list, ok := v.([]any)
	if !ok || len(list) != 1 {
		d.fault("want exactly one subject")
		return sub
	}
	d.enterItem(0)
	defer d.leave()
	o, ok := list[0].(Object)
	if !ok {
		d.faultWrongType(list[0], "an object")
		return sub
	}
	for _, m := range o {
		d.enter(m.Name)
		switch m.Name {
		case "name":
			if name, ok := d.stringOf(m.Value); ok && d.checkString(name, subjectName) {
				sub.Name = name
			}
		case "digest":
			if digest, ok := m.Value.(Object); ok {
				sub.SHA256 = d.digest(digest)
			} else {
				d.faultWrongType(m.Value, "an object")
			}
		default:
			d.fault("is no member of a subject: it has name and digest")
		}
		d.leave()
	}
	d.missing(o, []string{"digest"})
	return sub
}

func (d *decoder) digest(o Object) (sum [32]byte) {
	for _, m := range o {
		d.enter(m.Name)
		if m.Name != "sha256" {
			d.fault("is no digest that Docket reads: it has sha256 alone")
		} else if s, ok := d.stringOf(m.Value); ok {
			if fault := FormatSHA256.Fault(s); fault != "" {
				d.fault("%s", fault)
			} else {
				hex.Decode(sum[:], []byte(s))
			}
		}
		d.leave()
	}
	d.missing(o, []string{"sha256"})
	return sum
}

// CrossFieldFaults are those of the rules across fields, in a statement whose fields
// have none of their own.
func (s *Statement) CrossFieldFaults() []Fault {
	var f faultList
	if fault := specByKind(s.Kind).issuerFault(s.Thread, s.Issuer); fault != "" {
		f.add("/predicate/issuer", "%s", fault)
	}
	if p, ok := s.Predicate.(interface {
		check(*Statement, *faultList)
	}); ok {
		p.check(s, &f)
	}
	return f.list
}

// Party is the party to which the statement's thread belongs: "acme-cloud" of
// response/2026-014/acme-cloud, "authority" where no segment names one.
func (s *Statement) Party() string {
	return specByKind(s.Kind).Owner(s.Thread)
}

// Object is the predicate as a tree, unknown to any Go type: as it was scanned,
// or of a statement made in Go as it will be encoded.
func (s *Statement) Object() Object {
	if s.object == nil {
		v, err := ParseJSON(s.appendPredicate(nil, specByKind(s.Kind)))
		if err != nil {
			panic("record: encoding " + string(s.Kind) + ": " + err.Error())
		}
		return v.(Object)
	}
	return s.object
}

// EncodeStatement is the payload that says s: compact, members in the order of the
// schema, the same bytes for the same statement. A statement that [ParseStatement]
// would refuse is refused.
func EncodeStatement(s *Statement) ([]byte, error) {
	payload, err := encodeStatement(s)
	if err != nil {
		return nil, err
	}
	if _, err := ParseStatement(payload); err != nil {
		return nil, err
	}
	return payload, nil
}

// PayloadLen is the length of that payload, in bytes, whether it would be refused or not.
func PayloadLen(s *Statement) (int, error) {
	payload, err := encodeStatement(s)
	return len(payload), err
}

func encodeStatement(s *Statement) ([]byte, error) {
	if s.Predicate == nil {
		return nil, Refuse(Invalid, "encoding statement: it has no predicate")
	}
	sp, err := SpecOf(s.Predicate.Kind())
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, 1024), `{"_type":"`+statementV1+`","subject":[{`...)
	if s.Subject.Name != "" {
		b = append(appendString(append(b, `"name":`...), s.Subject.Name), ',')
	}
	b = append(b, `"digest":{"sha256":"`...)
	b = hex.AppendEncode(b, s.Subject.SHA256[:])
	b = append(b, `"}}],"predicateType":"`...)
	b = append(b, sp.Kind.PredicateType()...)
	b = append(b, `","predicate":`...)
	b = s.appendPredicate(b, sp)
	return append(b, '}'), nil
}

func (s *Statement) appendPredicate(b []byte, sp *Spec) []byte {
	return appendObject(b, reflect.ValueOf(s.Predicate).Elem(), reflect.ValueOf(&s.Common).Elem(), sp.Shape)
}

// VisitStrings shows visit the subject's name and every string of the predicate with its
// JSON pointer from the statement's root, an amendment's fragments included, for rules
// that judge text by tables.
func (s *Statement) VisitStrings(visit func(pointer, value string)) {
	if s.Subject.Name != "" {
		visit("/subject/0/name", s.Subject.Name)
	}
	for _, m := range s.Object() {
		walkLeaves("/predicate/"+EscapePointer(m.Name), m.Value, func(pointer string, v any) {
			if text, ok := v.(string); ok {
				visit(pointer, text)
			}
		})
	}
}

// A SubjectRule says what a kind's subject is where no document is given
// (RECORDS.md "Kinds").
type SubjectRule int

const (
	SubjectDocument    SubjectRule = iota // a document it must be
	SubjectFirstKey                       // the first key listed, as DER; else the enrolment
	SubjectEnrolment                      // the party's enrolment
	SubjectDesignation                    // the designation's newest record
)
