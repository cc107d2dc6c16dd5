// Package record holds the statements that people sign: their kinds, their
// strict JSON, the DSSE envelope around them and the entry that a ledger makes
// of one. [Open] and [OpenEntry] are the only makers of a [Verified]. Nothing here
// does I/O, knows the time, or judges what a register would; package draft helps to
// write and to sign a record.
//
// # Format
//
// People write a short form, YAML or JSON, which package draft reads. One or more of each
// kind are in the folder draft/examples beside this file:
//
//	kind: response
//	thread: response/2026-014/acme-cloud
//	about: latest
//	issuer: acme-cloud
//	status: no-relationship
//
// Filled in with what only the ledger knows it is the payload, an in-toto Statement. Its bytes are signed as they are, whatever their order and white space; their
// SHA-256 is the record's ID:
//
//	{
//	  "_type": "https://in-toto.io/Statement/v1",
//	  "subject": [
//	    {
//	      "name": "designation/2026-014",
//	      "digest": {"sha256": "aa89d680fb0ad7ec311df2ac4606fd6d0f579f8119439463999427e558cc768c"}
//	    }
//	  ],
//	  "predicateType": "urn:docket:response:v1",
//	  "predicate": {
//	    "ledger": "c7298a67b0af2b767e05855ab64562f1281d63bee9b4694fbe9af3cf6709d12b",
//	    "thread": "response/2026-014/acme-cloud",
//	    "issuer": "acme-cloud",
//	    "issuedAt": "2026-12-02T09:30:00Z",
//	    "status": "no-relationship"
//	  }
//	}
//
// The ledger makes an entry of it, the leaf's bytes: one line of JSON with the signatures
// that counted, without a newline:
//
//	{"admitted":"2026-12-02T09:30:01.250Z","envelope":{"payloadType":"application/vnd.in-toto+json","payload":"eyJfdHlwZSI6Imh0…","signatures":[{"keyid":"SHA256:GvAZ8nTnt2H1U7ayXTCBayRvMbpnDlVEVoIZ5iEoRjs","sig":"n8SI3U/E…"}]}}
//
// What each kind says and who may sign it: ledger/record/RECORDS.md. The formats and why
// they are so: ledger/DESIGN.md section 4, "JSON", "Record", "Entry".
package record

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Limits of DESIGN.md section 4 and RECORDS.md.
const (
	MaxEntryBytes    = 48_000 // bytes of one entry, the admission time included
	MaxSignatures    = 8      // signatures kept in one entry
	MaxVerifications = 32     // signature verifications that one submission may cost
)

// PayloadType is the DSSE payload type of every record (in-toto attestation spec v1).
const PayloadType = "application/vnd.in-toto+json"

// ID is a record ID: the SHA-256 of the payload bytes that were signed. Its text
// form is lower-case hex. The ID of the charter at index 0 names the ledger.
type ID [sha256.Size]byte

// IDOf is the record ID of a payload.
func IDOf(payload []byte) ID { return sha256.Sum256(payload) }

// ParseID reads 64 lower-case hexadecimal digits.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*len(id) {
		return ID{}, fmt.Errorf("record ID %q: %d characters, want 64 hexadecimal digits", s, len(s))
	}
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ID{}, fmt.Errorf("record ID %q: not lower-case hexadecimal", s)
		}
	}
	hex.Decode(id[:], []byte(s))
	return id, nil
}

func (id ID) String() string               { return hex.EncodeToString(id[:]) }
func (id ID) IsZero() bool                 { return id == ID{} }
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// MarshalBinary is the digest itself.
func (id ID) MarshalBinary() ([]byte, error) { return id[:], nil }

// UnmarshalBinary takes the 32 bytes of a digest.
func (id *ID) UnmarshalBinary(b []byte) error {
	if len(b) != len(id) {
		return fmt.Errorf("a record ID has %d bytes, not %d", len(id), len(b))
	}
	copy(id[:], b)
	return nil
}

// idSchema is the text of an ID, as a JSON Schema says it.
var idSchema = schema.ObjectOf("type", "string", "pattern", schema.FormatSHA256.Pattern(), "not", schema.ObjectOf("const", ID{}.String()))

// parseMemberID is [ParseID] of a member. An ID of zeros would look absent once
// decoded, so it is no ID.
func parseMemberID(s string) (ID, error) {
	id, err := ParseID(s)
	if err == nil && id.IsZero() {
		err = errors.New("is all zeros, which names no record: leave the member out")
	}
	return id, err
}

// UnmarshalText is [ParseID].
func (id *ID) UnmarshalText(text []byte) error {
	v, err := ParseID(string(text))
	*id = v
	return err
}

// Statement is one decoded payload: an in-toto Statement with exactly one subject.
type Statement struct {
	Kind    Kind
	Subject Subject
	Common
	// Predicate is the kind's own struct: *Charter, *Enrolment, *Designation, …
	Predicate Predicate

	object schema.Object // the predicate as it was scanned; see Object
}

// Subject says what the statement is about. Name is free text and never judged.
type Subject struct {
	Name   string
	SHA256 [sha256.Size]byte
}

// Common are the predicate's members that every kind has (RECORDS.md "Every record").
type Common struct {
	Ledger   ID        `json:"ledger,omitzero" rule:"required late" doc:"record ID of the charter at index 0; filled in when it is signed"`
	Thread   Thread    `json:"thread" rule:"required fmt=thread max=200" doc:"the life of one thing"`
	Issuer   string    `json:"issuer" rule:"required fmt=segment max=64" doc:"party ID of whose word this is" eg:"authority"`
	IssuedAt time.Time `json:"issuedAt" rule:"required late" doc:"RFC 3339 in UTC, 0 to 3 fraction digits; filled in when it is signed"`
	Follows  ID        `json:"follows,omitzero" doc:"record ID of the newest record on the thread, where it exists; filled in when it is signed"`
	Note     string    `json:"note,omitempty" rule:"fmt=lines max=2000" doc:"text for people"`
	Document *Document `json:"document,omitempty" doc:"the document whose digest the subject is"`
}

// Document describes the document whose digest the subject is.
type Document struct {
	Name      string   `json:"name,omitempty" rule:"max=255" doc:"file name"`
	MediaType string   `json:"mediaType,omitempty" rule:"fmt=media-type max=255" doc:"such as application/pdf"`
	Bytes     *int64   `json:"bytes,omitempty" rule:"lo=0" doc:"size"`
	URL       []string `json:"url,omitempty" rule:"fmt=url max=2000 items=20" doc:"where it is published"`
}

// Predicate is implemented by the struct of each kind.
type Predicate interface{ Kind() Kind }

// RefusalClass is the category of a refusal. HTTP, the command line and the dry run map
// it to status codes and exit codes (DESIGN.md section 7).
type RefusalClass int

const (
	Malformed   RefusalClass = iota + 1 // not JSON, not an envelope: 400
	TooLarge                            // over a limit; Limit and Size are set: 413
	Invalid                             // a field breaks its kind's rules; Faults are set: 422
	Forbidden                           // signature, key or number of holders: 403
	Conflict                            // stale follows, step not allowed, draft period over: 409
	TooEarly                            // issuedAt ahead of the ledger's clock; RetryAt is set: 503
	Unsupported                         // a kind or rules version that this binary lacks: 422, "upgrade"
)

// ProblemURN begins the type of every problem (RFC 9457 section 3.1.1); the kind follows.
const ProblemURN = "urn:docket:problem:"

// refusalWords are the classes as machines read them: the kind of problem that HTTP answers
// (DESIGN.md section 7), and the rule of a signed refusal.
var refusalWords = [...]string{
	Malformed: "malformed", TooLarge: "too-large", Invalid: "invalid", Forbidden: "forbidden", Conflict: "conflict", TooEarly: "too-early", Unsupported: "unsupported",
}

// String is the class as machines read it: "too-large". It is "" of none.
func (c RefusalClass) String() string {
	if c < Malformed || int(c) >= len(refusalWords) {
		return ""
	}
	return refusalWords[c]
}

// Refusal is why one record is not admitted. It concerns that record alone and
// leaves no trace in the log.
type Refusal struct {
	Class  RefusalClass
	Detail string  // one sentence for people, lower case, saying what to do next where that helps
	Faults []Fault // Invalid: each field at fault; Unsupported: the one that asks for more, if the record has it

	Current   ID        // Conflict: the thread's newest record, zero if none
	RetryAt   time.Time // TooEarly: the instant at which the same envelope becomes fine
	Earliest  string    // Invalid, Conflict: the earliest civil date allowed, "2006-01-02"
	Transient bool      // Invalid: the same record may be admitted later, after a date, a new charter or a record on another thread
	Limit     int       // TooLarge: bytes allowed (signatures, where Detail counts those)
	Size      int       // TooLarge: bytes seen (likewise)
}

// Fault is one field at fault, found by its schema or by a rule. Its pointer leads from
// the statement's root.
type Fault = schema.Fault

// RefusesItem says that the error concerns one record alone (ledger.Refusal).
func (r *Refusal) RefusesItem() {}

func (r *Refusal) Error() string {
	switch len(r.Faults) {
	case 0:
		return r.Detail
	case 1:
		return fmt.Sprintf("%s: %s", r.Detail, r.Faults[0])
	}
	return fmt.Sprintf("%s: %s (and %d more)", r.Detail, r.Faults[0], len(r.Faults)-1)
}

// Refuse makes a refusal of one sentence.
func Refuse(c RefusalClass, format string, args ...any) *Refusal {
	return &Refusal{Class: c, Detail: fmt.Sprintf(format, args...)}
}

// InvalidStatement is the refusal of a statement with these faults.
func InvalidStatement(faults []Fault) *Refusal {
	return &Refusal{Class: Invalid, Detail: "statement breaks its schema", Faults: faults}
}

// faultList gathers what the rules across fields find.
type faultList struct{ list []Fault }

func (f *faultList) add(pointer, format string, args ...any) {
	f.list = append(f.list, Fault{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

// addIf adds a fault if broken; the pointer is a format only where it has arguments.
func (f *faultList) addIf(broken bool, detail, pointer string, args ...any) {
	if broken {
		f.list = append(f.list, Fault{Pointer: formatPointer(pointer, args...), Detail: detail})
	}
}

func formatPointer(pointer string, args ...any) string {
	if len(args) == 0 {
		return pointer
	}
	return fmt.Sprintf(pointer, args...)
}

// checkOrder: a period does not end before it begins.
func checkOrder(from, until *Date, pointer, first string, f *faultList) {
	if from != nil && until != nil && until.Before(*from) {
		f.add(pointer, "is %s, before %s (%s)", until, first, from)
	}
}
