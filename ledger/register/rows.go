package register

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// RecordRow is what the register keeps of one entry. The entry itself is the
// ledger's to keep.
type RecordRow struct {
	Index    uint64
	ID       record.ID
	Kind     record.Kind
	Thread   string
	Issuer   string
	IssuedAt time.Time
	Admitted time.Time
	Follows  record.ID
	Subject  [32]byte
}

// ThreadRow is the life of one thing as it stands after one record. A row is
// never changed: the next record on the thread adds a row of its own index.
type ThreadRow struct {
	Thread   string
	Index    uint64      // of the record that made this version
	ID       record.ID   // of that record
	Kind     record.Kind // of that record
	Admitted time.Time   // of that record
	State    State       // shared by all readers: read only
}

// State is *CharterRow, *PartyRow, *DesignationRow, *ResponseRow or
// *CertificationRow, by the thread's first segment.
type State interface{ state() }

// CharterRow is the state of the thread "charter".
type CharterRow struct {
	record.Charter
	Root       []RootKeyRow
	PolicyKeys []string `json:",omitempty"` // keyids of the Ed25519 keys that the policy names
	zone       *time.Location
}

// RootKeyRow is one root key of a charter.
type RootKeyRow struct {
	ID     string // "SHA256:…"
	Holder string
	key    *record.Key
}

// PartyRow is the state of a thread party/P: the party, every key that it ever
// had, and every step of its standing.
type PartyRow struct {
	ID         string
	LegalName  string
	Country    string
	LEI        string `json:",omitempty"`
	Website    string `json:",omitempty"`
	Contact    string `json:",omitempty"`
	Roles      []record.Role
	Enrolled   Step      // the record that enrolled it
	Enrolment  record.ID // the newest enrolment on the thread
	Sponsor    string    `json:",omitempty"` // provider that signed instead of a registrar
	Keys       []KeyRow
	Standing   []StandingStep `json:",omitempty"`
	FormerName []string       `json:",omitempty"`
}

// Step names a record on a thread by its place in the log.
type Step struct {
	Index    uint64
	ID       record.ID
	Admitted time.Time
}

// StandingStep is one change of a party's standing.
type StandingStep struct {
	Step
	Status      string // suspended, active, withdrawn
	EffectiveOn record.Date
	Reason      string
}

// KeyRow is one key of a party.
type KeyRow struct {
	ID          string // "SHA256:…"
	PEM         record.PEM
	Use         record.Use
	Holder      string
	Functions   []record.Function `json:",omitempty"`
	NotAfter    *record.Date      `json:",omitempty"`
	Added       uint64            // index of the record that added it: it signs from the next
	AddedAt     time.Time
	ByRegistrar bool       `json:",omitempty"` // added by the registrar alone
	UsableFrom  *time.Time `json:",omitempty"` // ByRegistrar: entries admitted earlier do not count it
	Revoked     uint64     `json:",omitempty"` // index of the revoking record, 0 if live: it signs no more from the next
	RevokedAt   *time.Time `json:",omitempty"`
	// CompromisedSince is the party's claim, shown and nothing else.
	CompromisedSince *record.Instant `json:",omitempty"`
	key              *record.Key
}

// DesignationRow is the state of a thread designation/D in its newest life (an
// imported one may be delisted and designated again; the version below
// Opened.Index is then the life before).
type DesignationRow struct {
	Current    record.Designation // with every amendment so far
	FormerName []string           `json:",omitempty"` // derived by the register, imported ones only
	Opened     Step               // the designation record of this life
	Openings   []Opening          `json:",omitempty"` // what opened or re-opened the duty to respond, oldest first
	Events     []Event            `json:",omitempty"` // suspensions, reinstatements, the revocation, oldest first
	Amended    *Step              `json:",omitempty"` // the newest amendment
}

// Imported says whether the designation came from a published list.
func (d *DesignationRow) Imported() bool { return d.Current.Source != nil }

// Opening is a record that opened or re-opened the duty to respond.
type Opening struct {
	Step
	ResponseDue record.Date
	Amended     *Step `json:"-"` // asked: the newest amendment before the next opening, perhaps of that day
}

// Event is one step of a designation's life after it was opened.
type Event struct {
	Step
	Kind        record.Kind // suspension, reinstatement, revocation
	EffectiveOn record.Date
	Until       *record.Date `json:",omitempty"`
	Cause       string       `json:",omitempty"` // of a revocation
	Reason      string
}

// ResponseRow is the state of a thread response/D/P: the newest response, which
// counts alone.
type ResponseRow struct {
	record.Response
	About uint64 // index of the record on designation/D that it answers
}

// CertificationRow is the state of a thread cip/P: the newest certification.
type CertificationRow struct {
	record.CIPCertification
}

func (*CharterRow) state()       {}
func (*PartyRow) state()         {}
func (*DesignationRow) state()   {}
func (*ResponseRow) state()      {}
func (*CertificationRow) state() {}

// OwnerRow says to whom a key belongs, for ever.
type OwnerRow struct {
	Owner  string // "charter" (a root key), "party/P", or "policy" (a log or witness key)
	Holder string `json:",omitempty"`
}

// IdentifierUse says in which way a thread uses an identifier.
type IdentifierUse byte

const (
	IdentifierGone    IdentifierUse = iota + 1 // used once, no more
	IdentifierCurrent                          // LEI, registration number, ASN, domain, or the name itself
	IdentifierAlias                            // a name that is an alias
	IdentifierWeak                             // a name that is a weak alias
	IdentifierFormer                           // a name borne before
)

// Identifier schemes.
const (
	SchemeLEI          = "lei"
	SchemeRegistration = "registration"
	SchemeASN          = "asn"
	SchemeDomain       = "domain"
	SchemeName         = "name" // keyed by rules1.NameKey
)

// errDamaged marks rows that this code did not write. [Open] deletes such a
// register; whoever meets one later resets it and replays.
var errDamaged = errors.New("the register is damaged: delete it, it comes back by replay")

// millis is the resolution of every time in the register.
func millis(t time.Time) uint64 { return uint64(t.UnixMilli()) }

func fromMillis(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }

func (row *RecordRow) encode() []byte {
	b := make([]byte, 0, 3*32+16+3+len(row.Kind)+len(row.Thread)+len(row.Issuer))
	b = append(b, row.ID[:]...)
	b = append(b, row.Follows[:]...)
	b = append(b, row.Subject[:]...)
	b = binary.BigEndian.AppendUint64(b, millis(row.IssuedAt))
	b = binary.BigEndian.AppendUint64(b, millis(row.Admitted))
	for _, s := range []string{string(row.Kind), row.Issuer, row.Thread} {
		b = append(append(b, byte(len(s))), s...) // a thread has at most 200 bytes
	}
	return b
}

func decodeRecordRow(index uint64, b []byte) (RecordRow, error) {
	row := RecordRow{Index: index}
	if len(b) < 3*32+16 {
		return row, fmt.Errorf("record row %d has %d bytes: %w", index, len(b), errDamaged)
	}
	copy(row.ID[:], b)
	copy(row.Follows[:], b[32:])
	copy(row.Subject[:], b[64:])
	row.IssuedAt = fromMillis(binary.BigEndian.Uint64(b[96:]))
	row.Admitted = fromMillis(binary.BigEndian.Uint64(b[104:]))
	b = b[112:]
	var text [3]string
	for i := range text {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return row, fmt.Errorf("record row %d is cut short: %w", index, errDamaged)
		}
		text[i], b = string(b[1:1+b[0]]), b[1+b[0]:]
	}
	row.Kind, row.Issuer, row.Thread = record.Kind(text[0]), text[1], text[2]
	return row, nil
}

func (row *ThreadRow) encode() ([]byte, error) {
	state, err := json.Marshal(row.State)
	if err != nil {
		return nil, fmt.Errorf("encoding the state of %s: %w", row.Thread, err)
	}
	b := make([]byte, 0, 32+8+1+len(row.Kind)+len(state))
	b = append(b, row.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, millis(row.Admitted))
	b = append(append(b, byte(len(row.Kind))), row.Kind...)
	return append(b, state...), nil
}

func decodeThreadRow(thread string, index uint64, b []byte) (*ThreadRow, error) {
	if len(b) < 41 || len(b) < 41+int(b[40]) {
		return nil, fmt.Errorf("row of %s at %d is cut short: %w", thread, index, errDamaged)
	}
	row := &ThreadRow{Thread: thread, Index: index}
	copy(row.ID[:], b)
	row.Admitted = fromMillis(binary.BigEndian.Uint64(b[32:]))
	row.Kind = record.Kind(b[41 : 41+b[40]])
	segment, _, _ := strings.Cut(thread, "/")
	switch segment {
	case "charter":
		row.State = new(CharterRow)
	case "party":
		row.State = new(PartyRow)
	case "designation":
		row.State = new(DesignationRow)
	case "response":
		row.State = new(ResponseRow)
	case "cip":
		row.State = new(CertificationRow)
	default:
		return nil, fmt.Errorf("row of %s at %d: no such thread in these rules: %w", thread, index, errDamaged)
	}
	if err := json.Unmarshal(b[41+b[40]:], row.State); err != nil {
		return nil, fmt.Errorf("row of %s at %d: %w: %w", thread, index, errDamaged, err)
	}
	if s, ok := row.State.(interface{ prepare() error }); ok {
		if err := s.prepare(); err != nil {
			return nil, fmt.Errorf("row of %s at %d: %w: %w", thread, index, errDamaged, err)
		}
	}
	return row, nil
}

func (row OwnerRow) encode() []byte { return []byte(row.Owner + "\x1f" + row.Holder) }

func decodeOwner(b []byte) *OwnerRow {
	owner, holder, _ := strings.Cut(string(b), "\x1f")
	return &OwnerRow{Owner: owner, Holder: holder}
}
