package record

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Kind names a kind of record; the predicateType is "urn:docket:<kind>:v1".
type Kind string

// PredicateType is the kind's name in an in-toto statement.
func (k Kind) PredicateType() string { return "urn:docket:" + string(k) + ":v1" }

// catalogue is the one table of kinds: all that this binary can read. A kind is a
// struct in a file kinds_*.go, whose tags are the schema, its check method, and a line
// here.
var catalogue = []*Spec{
	charterSpec,
	enrolmentSpec,
	standingSpec,
	keysSpec,
	designationSpec,
	amendmentSpec,
	suspensionSpec,
	reinstatementSpec,
	revocationSpec,
	responseSpec,
	cipCertificationSpec,
}

// futureKinds are kinds of RECORDS.md that this binary does not read yet. Such a record
// is refused as Unsupported and not as Invalid.
var futureKinds = []Kind{
	"licence", "reseller", "customer-log", "ai-training-report", "abuse-report",
	"disclosure-request", "disclosure-receipt", "assessment",
}

// A Spec is what the table says of a kind. Callers must not change it.
type Spec struct {
	Kind    Kind
	Summary string // one line: what such a record says
	// Thread is the grammar of its threads: capitals are segments, D a
	// designation's, P the party's to which the thread belongs.
	Thread string
	// Issuer is the issuer where P is not: the party itself unless said.
	Issuer  IssuerRule
	Subject SubjectRule // what its subject is where no document is given
	// PrivateSubject: the subject is a commitment to the document's digest.
	PrivateSubject bool
	newPredicate   func() Predicate

	Own      *schema.Shape // the kind's own members
	Shape    *schema.Shape // the whole predicate: the members of every record, then its own
	Segments []string
}

// An IssuerRule is who may stand in `issuer` (RECORDS.md "Threads").
type IssuerRule int

const (
	IssuedByOwner            IssuerRule = iota // P; the authority where the thread has no P
	IssuedByAuthority                          // the authority, on a party's thread
	IssuedByOwnerOrAuthority                   // the party, or the authority's registrar
)

// Authority is the one party ID with the role authority, issuer of all its records.
const Authority = "authority"

// types are the fields' Go types that stand for a text, and what an amendment is a
// fragment of.
var types = schema.Types{
	Scalars: []schema.Scalar{
		schema.ScalarOf(ParseDate, Date.String, dateSchema),
		schema.ScalarOf(ParseInstant, Instant.String, instantSchema),
		schema.ScalarOf(parseTime, func(t time.Time) string { return Instant{t}.String() }, instantSchema),
		schema.ScalarOf(ParsePeriod, Period.String, periodSchema),
		schema.ScalarOf(parseMemberID, ID.String, idSchema),
		schema.ScalarOf(parsePEM, func(p PEM) string { return string(p) }, pemText.JSONSchema()),
	},
	Fragment: reflect.TypeFor[Designation](),
}

func parseTime(s string) (time.Time, error) {
	i, err := ParseInstant(s)
	return i.Time, err
}

// commonShape are the members of every record; the first charter has no ledger.
func commonShape(needsLedger bool) *schema.Shape {
	sh := types.Shape(reflect.TypeFor[Common]())
	if !needsLedger {
		sh.Field("ledger").Required = false
	}
	return sh
}

// newKindSpec fills in what the struct T says.
func newKindSpec[T any, P interface {
	*T
	Predicate
}](sp Spec) *Spec {
	sp.Kind = P(nil).Kind()
	sp.newPredicate = func() Predicate { return P(new(T)) }
	sp.Own = types.Shape(reflect.TypeFor[T]())
	sp.Shape = schema.Join(commonShape(sp.Kind != KindCharter), sp.Own)
	sp.Segments = strings.Split(sp.Thread, "/")
	return &sp
}

// Kinds are the kinds that this binary reads, in the order of RECORDS.md.
func Kinds() []Kind {
	kinds := make([]Kind, len(catalogue))
	for i, sp := range catalogue {
		kinds[i] = sp.Kind
	}
	return kinds
}

// Doc is one line for people: what a record of this kind says.
func (k Kind) Doc() string {
	if sp := specByKind(k); sp != nil {
		return sp.Summary
	}
	return ""
}

// CommitsToDocument tells whether the subject of such a record is a commitment to its
// document's digest: the document is private, and no file has the subject for its SHA-256.
func (k Kind) CommitsToDocument() bool {
	sp := specByKind(k)
	return sp != nil && sp.PrivateSubject
}

// ParseKind finds a kind by its name; a refusal says whether another name was
// meant, or a newer binary is needed.
func ParseKind(name string) (Kind, error) {
	sp, err := SpecOf(Kind(name))
	if err != nil {
		return "", err
	}
	return sp.Kind, nil
}

func specByKind(k Kind) *Spec {
	for _, sp := range catalogue {
		if sp.Kind == k {
			return sp
		}
	}
	return nil
}

// SpecOf finds the row of a kind; its refusals are those of [ParseKind].
func SpecOf(k Kind) (*Spec, error) {
	if sp := specByKind(k); sp != nil {
		return sp, nil
	}
	if slices.Contains(futureKinds, k) {
		return nil, Refuse(Unsupported, "kind %q: this binary does not read it yet: upgrade", k)
	}
	var names []string
	for _, known := range Kinds() {
		names = append(names, string(known))
	}
	hint := schema.DidYouMean(string(k), names)
	if hint == "" {
		hint = "; this binary reads " + strings.Join(names, ", ") + "; if it is newer: upgrade"
	}
	return nil, Refuse(Unsupported, "kind %s: unknown%s", schema.Quote(string(k)), hint)
}

// findSpecByType reads a predicateType.
func findSpecByType(predicateType string) (*Spec, error) {
	for _, sp := range catalogue {
		if len(predicateType) == len("urn:docket:")+len(sp.Kind)+len(":v1") && predicateType == sp.Kind.PredicateType() {
			return sp, nil
		}
	}
	name, ok := strings.CutPrefix(predicateType, "urn:docket:")
	if !ok {
		return nil, InvalidStatement([]Fault{{Pointer: "/predicateType", Detail: fmt.Sprintf("is %s, no Docket record's (urn:docket:KIND:v1)", schema.Quote(predicateType))}})
	}
	kind, version, _ := strings.Cut(name, ":")
	if specByKind(Kind(kind)) != nil {
		return nil, Refuse(Unsupported, "kind %q in version %s: this binary reads v1: upgrade", kind, schema.Quote(version))
	}
	_, err := SpecOf(Kind(kind))
	return nil, err
}

// threadFault checks a thread against the kind's grammar.
func (sp *Spec) threadFault(thread string) string {
	rest, more, ok := thread, true, true
	for _, want := range sp.Segments {
		var segment string
		ok = ok && more
		segment, rest, more = strings.Cut(rest, "/")
		if isPlaceholderSegment(want) {
			ok = ok && schema.FormatSegment.Fault(segment) == ""
		} else {
			ok = ok && segment == want
		}
	}
	if !ok || more {
		return fmt.Sprintf("is %s; a record of kind %s stands on a thread %s, each capital a segment of a-z, 0-9, '.' and '-'", schema.Quote(thread), sp.Kind, sp.Thread)
	}
	return ""
}

// Segment is the part of a well-formed thread that the grammar calls name, "" if
// it has none.
func (sp *Spec) Segment(thread, name string) string {
	for _, own := range sp.Segments {
		segment, rest, _ := strings.Cut(thread, "/")
		if own == name {
			return segment
		}
		thread = rest
	}
	return ""
}

// Owner is the party to which a well-formed thread belongs: its segment P, else
// the authority.
func (sp *Spec) Owner(thread string) string {
	if party := sp.Segment(thread, "P"); party != "" {
		return party
	}
	return Authority
}

func (sp *Spec) issuerFault(thread, by string) string {
	owner := sp.Owner(thread)
	switch {
	case by == owner && sp.Issuer != IssuedByAuthority, by == Authority && sp.Issuer != IssuedByOwner:
		return ""
	case sp.Issuer == IssuedByAuthority:
		return fmt.Sprintf("is %q; a record of kind %s is issued by %q", by, sp.Kind, Authority)
	case sp.Issuer == IssuedByOwnerOrAuthority:
		return fmt.Sprintf("is %q; the thread belongs to %q (or its registrar, %q)", by, owner, Authority)
	}
	return fmt.Sprintf("is %q; the thread belongs to %q", by, owner)
}

func isPlaceholderSegment(segment string) bool { return segment[0] >= 'A' && segment[0] <= 'Z' }

// Commitment is {"commit": hex SHA-256(…)} (RECORDS.md "Commitment").
type Commitment struct {
	Commit string `json:"commit" rule:"required fmt=sha256" doc:"commitment to a value and a salt that stay with the signer"`
}

// Digest is {"sha256": hex}.
type Digest struct {
	SHA256 string `json:"sha256" rule:"required fmt=sha256" doc:"SHA-256 in lower-case hexadecimal"`
}
