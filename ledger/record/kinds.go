package record

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Kind names a kind of record; the predicateType is "urn:docket:<kind>:v1".
type Kind string

// PredicateType is the kind's name in an in-toto statement.
func (k Kind) PredicateType() string { return "urn:docket:" + string(k) + ":v1" }

// catalogue is the one table of kinds: all that this binary can read. A kind is a
// struct in a file kinds_*.go, whose tags are the schema, its check method, and a line
// here.
var catalogue = []*kindSpec{
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

// A kindSpec is what the table says of a kind.
type kindSpec struct {
	kind    Kind
	summary string // one line: what a record of this kind states
	// thread is the grammar of its threads: capitals are segments, D a
	// designation's, P the party's to which the thread belongs.
	thread string
	// issuer is the issuer where P is not: the party itself unless said.
	issuer  issuerRule
	subject subjectRule // what its subject is where no document is given
	// privateSubject: the subject is a commitment to the document's digest.
	privateSubject bool
	newPredicate   func() Predicate

	shape    *shape
	segments []string
}

// An issuer rule is who may stand in `issuer` (RECORDS.md "Threads").
type issuerRule int

const (
	issuedByOwner            issuerRule = iota // P; the authority where the thread has no P
	issuedByAuthority                          // the authority, on a party's thread
	issuedByOwnerOrAuthority                   // the party, or the authority's registrar
)

// Authority is the one party ID with the role authority, issuer of all its records.
const Authority = "authority"

// newKindSpec fills in what the struct T says.
func newKindSpec[T any, P interface {
	*T
	Predicate
}](sp kindSpec) *kindSpec {
	sp.kind = P(nil).Kind()
	sp.newPredicate = func() Predicate { return P(new(T)) }
	sp.shape = predicateShape(reflect.TypeFor[T](), sp.kind != KindCharter)
	sp.segments = strings.Split(sp.thread, "/")
	return &sp
}

// Kinds are the kinds that this binary reads, in the order of RECORDS.md.
func Kinds() []Kind {
	kinds := make([]Kind, len(catalogue))
	for i, sp := range catalogue {
		kinds[i] = sp.kind
	}
	return kinds
}

// Doc is one line for people: what a record of this kind says.
func (k Kind) Doc() string {
	if sp := specByKind(k); sp != nil {
		return sp.summary
	}
	return ""
}

// CommitsToDocument tells whether the subject of such a record is a commitment to its
// document's digest: the document is private, and no file has the subject for its SHA-256.
func (k Kind) CommitsToDocument() bool {
	sp := specByKind(k)
	return sp != nil && sp.privateSubject
}

// ParseKind finds a kind by its name; a refusal says whether another name was
// meant, or a newer binary is needed.
func ParseKind(name string) (Kind, error) {
	sp, err := findSpec(Kind(name))
	if err != nil {
		return "", err
	}
	return sp.kind, nil
}

func specByKind(k Kind) *kindSpec {
	for _, sp := range catalogue {
		if sp.kind == k {
			return sp
		}
	}
	return nil
}

// findSpec returns the entry of a kind, or a *[Refusal] Unsupported.
func findSpec(k Kind) (*kindSpec, error) {
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
	hint := didYouMean(string(k), names)
	if hint == "" {
		hint = "; this binary reads " + strings.Join(names, ", ") + "; if it is newer: upgrade"
	}
	return nil, Refuse(Unsupported, "kind %s: unknown%s", quote(string(k)), hint)
}

// findSpecByType reads a predicateType.
func findSpecByType(predicateType string) (*kindSpec, error) {
	for _, sp := range catalogue {
		if len(predicateType) == len("urn:docket:")+len(sp.kind)+len(":v1") && predicateType == sp.kind.PredicateType() {
			return sp, nil
		}
	}
	name, ok := strings.CutPrefix(predicateType, "urn:docket:")
	if !ok {
		return nil, invalidStatement([]Fault{{"/predicateType", fmt.Sprintf("is %s, no Docket record's (urn:docket:KIND:v1)", quote(predicateType))}})
	}
	kind, version, _ := strings.Cut(name, ":")
	if specByKind(Kind(kind)) != nil {
		return nil, Refuse(Unsupported, "kind %q in version %s: this binary reads v1: upgrade", kind, quote(version))
	}
	_, err := findSpec(Kind(kind))
	return nil, err
}

// threadFault checks a thread against the kind's grammar.
func (sp *kindSpec) threadFault(thread string) string {
	rest, more, ok := thread, true, true
	for _, want := range sp.segments {
		var segment string
		ok = ok && more
		segment, rest, more = strings.Cut(rest, "/")
		if isPlaceholderSegment(want) {
			ok = ok && grammars[FormatSegment].matches(segment)
		} else {
			ok = ok && segment == want
		}
	}
	if !ok || more {
		return fmt.Sprintf("is %s; a record of kind %s stands on a thread %s, each capital a segment of a-z, 0-9, '.' and '-'", quote(thread), sp.kind, sp.thread)
	}
	return ""
}

// segment is the part of a well-formed thread that the grammar calls name, "" if
// it has none.
func (sp *kindSpec) segment(thread, name string) string {
	for _, own := range sp.segments {
		segment, rest, _ := strings.Cut(thread, "/")
		if own == name {
			return segment
		}
		thread = rest
	}
	return ""
}

// owner is the party to which a well-formed thread belongs: its segment P, else
// the authority.
func (sp *kindSpec) owner(thread string) string {
	if party := sp.segment(thread, "P"); party != "" {
		return party
	}
	return Authority
}

func (sp *kindSpec) issuerFault(thread, by string) string {
	owner := sp.owner(thread)
	switch {
	case by == owner && sp.issuer != issuedByAuthority, by == Authority && sp.issuer != issuedByOwner:
		return ""
	case sp.issuer == issuedByAuthority:
		return fmt.Sprintf("is %q; a record of kind %s is issued by %q", by, sp.kind, Authority)
	case sp.issuer == issuedByOwnerOrAuthority:
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
