package record

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Kind names a kind of record; the predicateType is "urn:docket:<kind>:v1".
type Kind string

// PredicateType is the kind's name in an in-toto statement.
func (k Kind) PredicateType() string { return "urn:docket:" + string(k) + ":v1" }

// A Spec is what the table says of a kind. Callers must not change it.
type Spec struct {
	Kind    Kind
	Summary string // one line: what such a record says
	Signers string // one line: who signs it (RECORDS.md "Keys and who may sign")
	// Thread is the grammar of its threads, or the grammars, " or " between them: capitals
	// are segments, D a designation's, N a name's, P the party's to which the thread belongs.
	Thread string
	// issuer is the issuer where P is not: the party itself unless said.
	issuer  issuerRule
	Subject SubjectRule // what its subject is where no document is given
	// PrivateSubject: the subject is a commitment to the document's digest.
	PrivateSubject bool
	// SealableSubject: it is one where the record is sealed ([Statement.IsSealed]).
	SealableSubject bool
	// noLedger: such a record may be the first, before there is a ledger to name.
	noLedger     bool
	newPredicate func() Predicate
	listsKeys    bool // its predicate is a keyLister

	Own      *schema.Shape // the kind's own members
	Shape    *schema.Shape // the whole predicate: the members of every record, then its own
	grammars [][]string    // the segments of each grammar
}

// An issuerRule is who may stand in `issuer` (RECORDS.md "Threads").
type issuerRule int

const (
	issuedByOwner            issuerRule = iota // P; the authority where the thread has no P
	issuedByAuthority                          // the authority, on a party's thread
	issuedByOwnerOrAuthority                   // the party, or the authority's registrar
)

// A SubjectRule says what a kind's subject is where no document is given
// (RECORDS.md "Kinds").
type SubjectRule int

const (
	SubjectDocument    SubjectRule = iota // a document it must be
	SubjectFirstKey                       // the first key listed, as DER; else the enrolment
	SubjectEnrolment                      // the party's enrolment
	SubjectDesignation                    // the designation's newest record
	SubjectCheckpoint                     // the root hash of the checkpoint that it carries
)

// Authority is the one party ID with the role authority, issuer of all its records.
const Authority = "authority"

// types are the fields' Go types that stand for a text, and what an amendment is a
// fragment of.
var types = schema.Types{
	Scalars: []schema.Scalar{
		schema.ScalarOf(ParseDate, Date.String, dateSchema),
		schema.ScalarOf(parseInstant, Instant.String, instantSchema),
		schema.ScalarOf(parseTime, func(t time.Time) string { return Instant{t}.String() }, instantSchema),
		schema.ScalarOf(parsePeriod, Period.String, periodSchema),
		schema.ScalarOf(parseMemberID, ID.String, idSchema),
		schema.ScalarOf(parsePEM, func(p PEM) string { return string(p) }, pemText.JSONSchema()),
	},
	Fragment: reflect.TypeFor[Designation](),
	Sealable: reflect.TypeFor[Sealable](),
}

// Scalars are the Go types of this package that stand for a text, for shapes of other
// statements than records.
func Scalars() []schema.Scalar { return types.Scalars }

func parseTime(s string) (time.Time, error) {
	i, err := parseInstant(s)
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
	_, sp.listsKeys = any(P(nil)).(keyLister)
	sp.Own = types.Shape(reflect.TypeFor[T]())
	sp.Shape = schema.Join(commonShape(!sp.noLedger), sp.Own)
	for grammar := range strings.SplitSeq(sp.Thread, " or ") {
		sp.grammars = append(sp.grammars, strings.Split(grammar, "/"))
	}
	return &sp
}

// UsualIssuer is who issues a record on such a thread: its owner, or the authority where
// only that may.
func (sp *Spec) UsualIssuer(thread Thread) string {
	if sp.issuer == issuedByAuthority {
		return Authority
	}
	return thread.Owner()
}

func (sp *Spec) issuerFault(thread Thread, by string) string {
	owner := thread.Owner()
	switch {
	case by == owner && sp.issuer != issuedByAuthority, by == Authority && sp.issuer != issuedByOwner:
		return ""
	case sp.issuer == issuedByAuthority:
		return fmt.Sprintf("is %q; a record of kind %s is issued by %q", by, sp.Kind, Authority)
	case sp.issuer == issuedByOwnerOrAuthority:
		return fmt.Sprintf("is %q; the thread belongs to %q (or its registrar, %q)", by, owner, Authority)
	}
	return fmt.Sprintf("is %q; the thread belongs to %q", by, owner)
}

// Commitment is {"commit": hex SHA-256(…)} (RECORDS.md "Commitment").
type Commitment struct {
	Commit string `json:"commit" rule:"required fmt=sha256" doc:"commitment to a value and a salt that stay with the signer"`
}

// Sealable is a text, or the commitment to it while it is sealed.
type Sealable struct {
	Text       string
	Commitment *Commitment
}

// IsZero tells whether nothing was written.
func (s Sealable) IsZero() bool { return s == Sealable{} }

// Digest is {"sha256": hex}.
type Digest struct {
	SHA256 string `json:"sha256" rule:"required fmt=sha256" doc:"SHA-256 in lower-case hexadecimal"`
}
