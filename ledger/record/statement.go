package record

import (
	"encoding/hex"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
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
	v, err := schema.ParseJSON(payload)
	if err != nil {
		return nil, InvalidStatement([]Fault{{Pointer: err.(*schema.SyntaxError).Pointer, Detail: err.Error()}})
	}
	o, ok := v.(schema.Object)
	if !ok {
		var d schema.Decoder
		d.WrongType(v, "an object")
		return nil, InvalidStatement(d.Faults)
	}
	return decodeStatement(o)
}

func decodeStatement(o schema.Object) (*Statement, error) {
	name, ok := o.Lookup("predicateType").(string)
	if !ok {
		return nil, InvalidStatement([]Fault{{Pointer: "/predicateType", Detail: "is missing: want urn:docket:KIND:v1"}})
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

// DecodeDraft fills a statement of a kind with what was written of its predicate, and finds
// the faults that nothing added later could heal: ledger, follows and issuedAt may be
// missing. The subject is left open, and so are the rules across fields
// ([Statement.CrossFieldFaults]).
func DecodeDraft(sp *Spec, predicate schema.Object) (*Statement, []Fault) {
	s := &Statement{Kind: sp.Kind, Predicate: sp.newPredicate(), object: predicate}
	d := &schema.Decoder{Draft: true}
	d.Enter("predicate")
	s.decodePredicate(d, predicate, sp)
	return s, d.Faults
}

// decode fills s and finds what the JSON Schema of the kind finds.
func (s *Statement) decode(o schema.Object, sp *Spec) []Fault {
	d := &schema.Decoder{}
	for _, m := range o {
		if d.Full() {
			break
		}
		d.Enter(m.Name)
		switch m.Name {
		case "_type":
			if t, ok := m.Value.(string); !ok || t != statementV1 && t != statementV01 {
				d.Fault("want %s", statementV1)
			}
		case "predicateType":
		case "subject":
			s.Subject = decodeSubject(d, m.Value)
		case "predicate":
			if p, ok := m.Value.(schema.Object); ok {
				s.object = p
				s.decodePredicate(d, p, sp)
			} else {
				d.WrongType(m.Value, "an object")
			}
		default:
			d.Fault("is no member of a statement%s", schema.DidYouMean(m.Name, statementMembers))
		}
		d.Leave()
	}
	d.Missing(o, statementMembers...)
	return d.Faults
}

var statementMembers = []string{"_type", "subject", "predicateType", "predicate"}

// decodePredicate fills the members of every record and those of the kind.
func (s *Statement) decodePredicate(d *schema.Decoder, o schema.Object, sp *Spec) {
	d.Object(o, sp.Shape, &s.Common, s.Predicate)
	if s.Thread == "" {
		return // a fault already
	}
	if fault := sp.threadFault(s.Thread); fault != "" {
		d.Enter("thread")
		d.Fault("%s", fault)
		d.Leave()
	}
}

// subjectName is text as everywhere else, at most as long as a document's name. The
// length of a digest is its format's.
var (
	subjectName   = &schema.Shape{Type: schema.TypeString, Format: schema.FormatText, MaxChars: 255}
	subjectDigest = &schema.Shape{Type: schema.TypeString, Format: schema.FormatSHA256, MaxChars: MaxEntryBytes}
)

// decodeSubject reads [{"name": …, "digest": {"sha256": …}}].
func decodeSubject(d *schema.Decoder, v any) (sub Subject) {
	list, ok := v.([]any)
	if !ok || len(list) != 1 {
		d.Fault("want exactly one subject")
		return sub
	}
	d.EnterItem(0)
	defer d.Leave()
	o, ok := list[0].(schema.Object)
	if !ok {
		d.WrongType(list[0], "an object")
		return sub
	}
	for _, m := range o {
		d.Enter(m.Name)
		switch m.Name {
		case "name":
			sub.Name, _ = d.Text(m.Value, subjectName)
		case "digest":
			if digest, ok := m.Value.(schema.Object); ok {
				sub.SHA256 = decodeDigest(d, digest)
			} else {
				d.WrongType(m.Value, "an object")
			}
		default:
			d.Fault("is no member of a subject: it has name and digest")
		}
		d.Leave()
	}
	d.Missing(o, "digest")
	return sub
}

func decodeDigest(d *schema.Decoder, o schema.Object) (sum [32]byte) {
	for _, m := range o {
		d.Enter(m.Name)
		if m.Name != "sha256" {
			d.Fault("is no digest that Docket reads: it has sha256 alone")
		} else if s, ok := d.Text(m.Value, subjectDigest); ok {
			hex.Decode(sum[:], []byte(s))
		}
		d.Leave()
	}
	d.Missing(o, "sha256")
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
	return s.Thread.Owner()
}

// Object is the predicate as a tree, unknown to any Go type: as it was scanned,
// or of a statement made in Go as it will be encoded.
func (s *Statement) Object() schema.Object {
	if s.object == nil {
		v, err := schema.ParseJSON(s.appendPredicate(nil, specByKind(s.Kind)))
		if err != nil {
			panic("record: encoding " + string(s.Kind) + ": " + err.Error())
		}
		return v.(schema.Object)
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
		b = append(schema.AppendString(append(b, `"name":`...), s.Subject.Name), ',')
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
	return schema.AppendObject(b, sp.Shape, &s.Common, s.Predicate)
}

// VisitStrings shows visit the subject's name and every string of the predicate with its
// JSON pointer from the statement's root, an amendment's fragments included, for rules
// that judge text by tables.
func (s *Statement) VisitStrings(visit func(pointer, value string)) {
	if s.Subject.Name != "" {
		visit("/subject/0/name", s.Subject.Name)
	}
	for _, m := range s.Object() {
		walkLeaves("/predicate/"+schema.EscapePointer(m.Name), m.Value, func(pointer string, v any) {
			if text, ok := v.(string); ok {
				visit(pointer, text)
			}
		})
	}
}
