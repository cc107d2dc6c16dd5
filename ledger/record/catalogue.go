package record

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

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
	resellerSpec,
	licenceSpec,
	customerLogSpec,
	aiTrainingReportSpec,
	abuseReportSpec,
	disclosureRequestSpec,
	disclosureReceiptSpec,
	assessmentSpec,
}

// futureKinds are kinds of RECORDS.md that this binary does not read yet. Such a record
// is refused as Unsupported and not as Invalid.
var futureKinds = []Kind{
	"index",
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

// CommitsToDocument tells whether the subject of a statement is a commitment to its
// document's digest: the document is private, and no file has the subject for its SHA-256.
func (s *Statement) CommitsToDocument() bool {
	sp := specByKind(s.Kind)
	return sp != nil && (sp.PrivateSubject || sp.SealableSubject && s.IsSealed())
}

// IsSealed tells whether the statement asks under seal: whom it asks, and for what, is
// committed and not yet opened.
func (s *Statement) IsSealed() bool {
	r, ok := s.Predicate.(*DisclosureRequest)
	return ok && r.isSealed() && r.Open == nil
}

// ListsKeys tells whether such a record introduces keys ([ListedKeys]).
func (k Kind) ListsKeys() bool {
	sp := specByKind(k)
	return sp != nil && sp.listsKeys
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
		return nil, unsupportedType(fmt.Sprintf("kind %q in version %s: this binary reads v1: upgrade", kind, schema.Quote(version)))
	}
	_, err := SpecOf(Kind(kind))
	return nil, unsupportedType(err.Error())
}

// unsupportedType points at what of a statement this binary lacks.
func unsupportedType(detail string) *Refusal {
	return &Refusal{Class: Unsupported, Detail: "statement of a kind that is not read here", Faults: []Fault{{Pointer: "/predicateType", Detail: detail}}}
}
