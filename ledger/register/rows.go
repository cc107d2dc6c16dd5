package register

import (
	"bytes"
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
//
// What the record did is one row and the state after it another, so that a thread's
// history is read without all its states. Neither grows with the thread: a list that
// does is what the history says, or has a table of its own.
type ThreadRow struct {
	Thread   string
	Index    uint64      // of the record that made this version
	ID       record.ID   // of that record
	Kind     record.Kind // of that record
	Admitted time.Time   // of that record
	Delta    Delta
	State    State // shared by all readers: read only; nil in a history
	bytes    int   // that the rows take, for the cache
}

// Ref names the record.
func (row *ThreadRow) Ref() RecordRef { return RecordRef{row.Index, row.ID, row.Admitted} }

// State is *CharterRow, *PartyRow, *DesignationRow, *ResponseRow or
// *CertificationRow, by the thread's first segment. Each is bounded, whatever came
// before it on the thread.
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

// PartyRow is the state of a thread party/P: the party, the keys that may sign for it,
// and its standing on each day from this record on. All keys that it ever had, and
// all steps of its standing, are in the thread's history.
type PartyRow struct {
	ID        string
	LegalName string
	Country   string
	LEI       string `json:",omitempty"`
	Website   string `json:",omitempty"`
	Contact   string `json:",omitempty"`
	Roles     []record.Role
	Enrolled  RecordRef        // the record that enrolled it
	Enrolment record.ID        // the newest enrolment on the thread
	Sponsor   string           `json:",omitempty"` // provider that signed instead of a registrar
	Keys      []KeyRow         // neither revoked nor, when this was written, past notAfter: at most maxLiveKeys
	KeysYear  int              `json:",omitempty"` // civil year in which the party last added keys itself
	KeysAdded int              `json:",omitempty"` // how many in that year
	Ahead     []StandingChange `json:",omitempty"` // in force at this record, then announced, by effectiveOn: at most 1 + maxAnnounced
	Renamed   bool             `json:",omitempty"` // it has former names
}

// RecordRef names a record: its index, its ID and when it was admitted.
type RecordRef struct {
	Index    uint64
	ID       record.ID
	Admitted time.Time
}

// StandingChange is one change of a party's standing.
type StandingChange struct {
	RecordRef
	Status      string // suspended, active, withdrawn
	EffectiveOn record.Date
	Reason      string `json:",omitempty"` // in the history alone
}

// KeyRow is one key, of whatever owner. A log's or witness's has an owner and nothing
// else, a root key no use.
type KeyRow struct {
	ID          string               // "SHA256:…"
	Owner       string               // "charter" (a root key), "party/P", or "policy" (a log or witness key)
	PEM         record.PEM           `json:",omitempty"`
	Use         record.KeyUse        `json:",omitempty"`
	Holder      string               `json:",omitempty"`
	Functions   []record.KeyFunction `json:",omitempty"`
	NotAfter    *record.Date         `json:",omitempty"`
	Added       uint64               // index of the record that added it: it signs from the next
	AddedAt     time.Time
	ByRegistrar bool       `json:",omitempty"` // added by the registrar alone
	UsableFrom  *time.Time `json:",omitempty"` // ByRegistrar: entries admitted earlier do not count it
	Revoked     uint64     `json:",omitempty"` // index of the revoking record, 0 if live: it signs no more from the next
	RevokedAt   *time.Time `json:",omitempty"`
	// CompromisedSince is the party's claim, shown and nothing else.
	CompromisedSince *record.Instant `json:",omitempty"`
	key              *record.Key     // parsed in a party's row, else when asked for
}

// DesignationRow is the state of a thread designation/D in its newest life (an
// imported one may be delisted and designated again; the version below
// Opened.Index is then the life before). All that opened its duty to respond, and all
// its events, are in the thread's history.
type DesignationRow struct {
	Current record.Designation // with every amendment so far
	Opened  RecordRef          // the designation record of this life
	Opening *DutyOpening       `json:",omitempty"` // what opened or re-opened the duty to respond last
	Ahead   []LifecycleEvent   `json:",omitempty"` // suspensions and reinstatements that decide a day from this record on, oldest first: at most maxAnnounced
	Revoked *LifecycleEvent    `json:",omitempty"`
	Amended *RecordRef         `json:",omitempty"` // the newest amendment
	Renamed bool               `json:",omitempty"` // it has former names; imported ones only
}

// Imported says whether the designation came from a published list.
func (d *DesignationRow) Imported() bool { return d.Current.Source != nil }

// DutyOpening is a record that opened or re-opened the duty to respond.
type DutyOpening struct {
	RecordRef
	ResponseDue *record.Date `json:",omitempty"` // as amended before the next opening; nil: taken back
	Moved       *RecordRef   `json:",omitempty"` // the amendment that moved that day or took it back
}

// LifecycleEvent is one step of a designation's life after it was opened.
type LifecycleEvent struct {
	RecordRef
	Kind        record.Kind // suspension, reinstatement, revocation
	EffectiveOn record.Date
	Until       *record.Date `json:",omitempty"`
	Cause       string       `json:",omitempty"` // of a revocation
	Reason      string       `json:",omitempty"` // in the history alone
}

// ResponseRow is what later queries need of a response on a thread response/D/P. The
// record has the rest.
type ResponseRow struct {
	Status     string
	WindDownBy *record.Date
	About      uint64 // index of the record on designation/D that it answers
	Answers    Answers
}

// Answers is what all responses of a thread response/D/P up to one come to that answer
// one life of the designation. A query of what the provider owes reads the newest by
// then, and the few that it names: bounded, however many there are. An index of 0 is
// none's.
type Answers struct {
	Life uint64 // of the record that opened the designation's life

	// Asked is the newest record that any of them is about, where that is older than what
	// asked last when it came, and else what asked last; First is the first that is about it.
	// Before is the same of those before the First.
	Asked, First uint64
	Before       uint64 `json:",omitempty"`

	Began    uint64       `json:",omitempty"` // what is to be concluded; the first that began it
	Promised uint64       `json:",omitempty"` // the one that names the earliest day
	By       *record.Date `json:",omitempty"` // that day
	Met      uint64       `json:",omitempty"` // the one that concluded it
}

// CertificationRow is the same of the newest certification on a thread cip/P.
type CertificationRow struct {
	PeriodFrom, PeriodUntil record.Date
}

func (*CharterRow) state()       {}
func (*PartyRow) state()         {}
func (*DesignationRow) state()   {}
func (*ResponseRow) state()      {}
func (*CertificationRow) state() {}

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

// ErrDamaged is a register that this binary cannot read: rows that this code did not
// write, a file that is damaged, another format or other rules. Replaying brings it back.
var ErrDamaged = errors.New("the register is damaged")

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
		return row, fmt.Errorf("record row %d has %d bytes: %w", index, len(b), ErrDamaged)
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
			return row, fmt.Errorf("record row %d is cut short: %w", index, ErrDamaged)
		}
		text[i], b = string(b[1:1+b[0]]), b[1+b[0]:]
	}
	row.Kind, row.Issuer, row.Thread = record.Kind(text[0]), text[1], text[2]
	return row, nil
}

// encode gives the two rows of a version: what the record did, and the state after it,
// which is nil where the first says it all.
func (row *ThreadRow) encode() (did, state []byte, err error) {
	what, err := encodeJSON(row.Delta)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding what a record did to %s: %w", row.Thread, err)
	}
	did = make([]byte, 0, rowHeaderLen+len(row.Kind)+len(what))
	did = append(did, row.ID[:]...)
	did = binary.BigEndian.AppendUint64(did, millis(row.Admitted))
	did = append(append(did, byte(len(row.Kind))), row.Kind...)
	did = append(did, what...)
	if newState(row.Thread) != nil && !row.isUnshown() {
		if state, err = encodeJSON(row.State); err != nil {
			return nil, nil, fmt.Errorf("encoding the state of %s: %w", row.Thread, err)
		}
	}
	row.bytes = len(did) + len(state)
	return did, state, nil
}

// encodeJSON is [json.Marshal] without its escapes for HTML, which would make some texts
// six times as long as a payload has them.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// rowHeaderLen is a step's record ID, admission time, and the length of its kind.
const rowHeaderLen = 32 + 8 + 1

// decodeThreadRow reads what one record did: a version without its state.
func decodeThreadRow(thread string, index uint64, b []byte) (*ThreadRow, error) {
	if len(b) < rowHeaderLen || len(b) < rowHeaderLen+int(b[rowHeaderLen-1]) {
		return nil, fmt.Errorf("row of %s at %d is cut short: %w", thread, index, ErrDamaged)
	}
	row := &ThreadRow{Thread: thread, Index: index, bytes: len(b)}
	copy(row.ID[:], b)
	row.Admitted = fromMillis(binary.BigEndian.Uint64(b[32:]))
	kind, what := b[rowHeaderLen:rowHeaderLen+int(b[rowHeaderLen-1])], b[rowHeaderLen+int(b[rowHeaderLen-1]):]
	row.Kind = record.Kind(kind)
	if err := json.Unmarshal(what, &row.Delta); err != nil {
		return nil, fmt.Errorf("row of %s at %d: %w: %w", thread, index, ErrDamaged, err)
	}
	return row, nil
}

// newState is an empty state of those threads whose state is a row of its own; nil for
// others.
func newState(thread string) State {
	switch segment, _, _ := strings.Cut(thread, "/"); segment {
	case "charter":
		return new(CharterRow)
	case "party":
		return new(PartyRow)
	case "designation":
		return new(DesignationRow)
	}
	return nil
}

// decodeState completes a version with its state; b is nil for threads that have no such
// row.
func (row *ThreadRow) decodeState(b []byte) error {
	if row.State = newState(row.Thread); row.State == nil {
		return row.stateFromDelta()
	}
	row.bytes += len(b)
	if err := json.Unmarshal(b, row.State); err != nil {
		return fmt.Errorf("state of %s at %d: %w: %w", row.Thread, row.Index, ErrDamaged, err)
	}
	if s, ok := row.State.(interface{ prepare() error }); ok {
		if err := s.prepare(); err != nil {
			return fmt.Errorf("state of %s at %d: %w: %w", row.Thread, row.Index, ErrDamaged, err)
		}
	}
	return nil
}

func (k *KeyRow) encode() ([]byte, error) {
	b, err := encodeJSON(k)
	if err != nil {
		return nil, fmt.Errorf("encoding key %s: %w", k.ID, err)
	}
	return b, nil
}

func decodeKeyRow(b []byte) (*KeyRow, error) {
	k := new(KeyRow)
	if err := json.Unmarshal(b, k); err != nil {
		return nil, fmt.Errorf("key row: %w: %w", ErrDamaged, err)
	}
	return k, nil
}

// Delta is what one record changed on its thread, as far as later queries need it; the
// kind says which fields are set. A thread's history is one such row a record, whose
// size is bounded by the record and not by the thread.
type Delta struct {
	EffectiveOn *record.Date `json:",omitempty"` // standing, suspension, reinstatement, revocation
	Until       *record.Date `json:",omitempty"` // suspension, reinstatement
	Status      string       `json:",omitempty"` // standing, response
	Cause       string       `json:",omitempty"` // revocation
	Reason      string       `json:",omitempty"`

	Opens       bool         `json:",omitempty"` // designation, amendment: it opened or re-opened the duty to respond
	Moves       bool         `json:",omitempty"` // amendment: it moved or took back the day by which to respond
	ResponseDue *record.Date `json:",omitempty"` // where it opens or moves: that day from then on

	Added   []string `json:",omitempty"` // enrolment, keys: key IDs
	Revoked []string `json:",omitempty"`

	About      *uint64      `json:",omitempty"` // response
	WindDownBy *record.Date `json:",omitempty"`
	Answers    *Answers     `json:",omitempty"` // bounded, unlike all those that it sums up

	PeriodFrom  *record.Date `json:",omitempty"` // cip-certification
	PeriodUntil *record.Date `json:",omitempty"`

	Periods  *record.Periods `json:",omitempty"` // charter
	TimeZone string          `json:",omitempty"`

	Prior *uint64 `json:",omitempty"` // index of the newest record below this one that was a transition
}

// isTransition reports whether the record changed a duty, a standing or a status. Most
// records of a long thread do not, and timelines are read without them.
func (row *ThreadRow) isTransition() bool {
	return row.Event() != nil || row.Opening() != nil || row.Delta.Moves || row.StandingChange() != nil
}

// LastTransition is the index of the newest transition up to this version, nil if there
// was none.
func (row *ThreadRow) LastTransition() *uint64 {
	if row.isTransition() {
		return &row.Index
	}
	return row.Delta.Prior
}

// delta tells what the record does, once it is judged.
func (j *judgment) delta() (did Delta) {
	switch p := j.st.Predicate.(type) {
	case *record.Charter:
		did.Periods, did.TimeZone = &p.Periods, p.TimeZone
	case *record.Standing:
		did.Status, did.EffectiveOn, did.Reason = p.Status, &p.EffectiveOn, p.Reason
	case *record.Suspension:
		did.EffectiveOn, did.Until, did.Reason = &p.EffectiveOn, p.Until, p.Reason
	case *record.Reinstatement:
		did.EffectiveOn, did.Until, did.Reason = &p.EffectiveOn, p.Until, p.Reason
	case *record.Revocation:
		did.EffectiveOn, did.Cause, did.Reason = &p.EffectiveOn, p.Cause, p.Reason
	}
	switch s := j.state.(type) {
	case *DesignationRow:
		if o := s.Opening; o != nil {
			did.Opens, did.Moves = o.Index == j.index, o.Moved != nil && o.Moved.Index == j.index
			if did.Opens || did.Moves {
				did.ResponseDue = o.ResponseDue
			}
		}
	case *ResponseRow:
		did.Status, did.About, did.WindDownBy, did.Answers = s.Status, &s.About, s.WindDownBy, &s.Answers
	case *CertificationRow:
		did.PeriodFrom, did.PeriodUntil = &s.PeriodFrom, &s.PeriodUntil
	case *PartyRow:
		for _, k := range j.keys {
			switch {
			case k.Revoked == j.index:
				did.Revoked = append(did.Revoked, k.ID)
			case k.Added == j.index:
				did.Added = append(did.Added, k.ID)
			}
		}
	}
	return did
}

// stateFromDelta is the state of a thread whose newest record says it all.
func (row *ThreadRow) stateFromDelta() error {
	d := &row.Delta
	segment, _, _ := strings.Cut(row.Thread, "/")
	switch {
	case segment == "response" && d.About != nil && d.Answers != nil:
		row.State = &ResponseRow{Status: d.Status, WindDownBy: d.WindDownBy, About: *d.About, Answers: *d.Answers}
	case segment == "cip" && d.PeriodFrom != nil && d.PeriodUntil != nil:
		row.State = &CertificationRow{PeriodFrom: *d.PeriodFrom, PeriodUntil: *d.PeriodUntil}
	default:
		return fmt.Errorf("row of %s at %d: no such thread in these rules: %w", row.Thread, row.Index, ErrDamaged)
	}
	return nil
}

// Event is the event that the record was, nil if it was none.
func (row *ThreadRow) Event() *LifecycleEvent {
	d := &row.Delta
	switch row.Kind {
	case record.KindSuspension, record.KindReinstatement, record.KindRevocation:
		if d.EffectiveOn != nil {
			return &LifecycleEvent{RecordRef: row.Ref(), Kind: row.Kind, EffectiveOn: *d.EffectiveOn, Until: d.Until, Cause: d.Cause, Reason: d.Reason}
		}
	}
	return nil
}

// Opening is what it opened, nil if it did not open or re-open the duty to respond.
func (row *ThreadRow) Opening() *DutyOpening {
	if !row.Delta.Opens {
		return nil
	}
	return &DutyOpening{RecordRef: row.Ref(), ResponseDue: row.Delta.ResponseDue}
}

// StandingChange is the step that it was of a party's standing, nil if it was none.
func (row *ThreadRow) StandingChange() *StandingChange {
	if row.Kind != record.KindStanding || row.Delta.EffectiveOn == nil {
		return nil
	}
	return &StandingChange{RecordRef: row.Ref(), Status: row.Delta.Status, EffectiveOn: *row.Delta.EffectiveOn, Reason: row.Delta.Reason}
}

// Key is the party's key with that key ID, nil if it has none that may sign.
func (p *PartyRow) Key(keyid string) *KeyRow {
	for i := range p.Keys {
		if p.Keys[i].ID == keyid {
			return &p.Keys[i]
		}
	}
	return nil
}

// Live says whether the key may sign an entry admitted then, on that admission
// date, were it the next after this version of its party.
func (k *KeyRow) Live(admitted time.Time, today record.Date) bool {
	return k.WhyNotLive(admitted, today) == ""
}

// WhyNotLive says why a key may not sign an entry above the version that it is read
// from; "" means that it may. Validity is judged by log position and admission
// date, never by issuedAt.
func (k *KeyRow) WhyNotLive(admitted time.Time, today record.Date) string {
	switch {
	case k.Revoked != 0:
		return fmt.Sprintf("was revoked at index %d", k.Revoked)
	case k.NotAfter != nil && today.After(*k.NotAfter):
		return fmt.Sprintf("was valid until %s", *k.NotAfter)
	case k.UsableFrom != nil && admitted.Before(*k.UsableFrom):
		return fmt.Sprintf("was added by the registrar and counts from %s on", record.Instant{Time: *k.UsableFrom})
	}
	return ""
}

// parsed is the key itself; a log's or witness's row has none.
func (k *KeyRow) parsed() (*record.Key, error) {
	if k.key != nil {
		return k.key, nil
	}
	key, err := k.PEM.Key()
	if err != nil {
		return nil, fmt.Errorf("key row %s: %w: %w", k.ID, ErrDamaged, err)
	}
	return key, nil
}

// prepare parses the keys, once for all who read the row.
func (p *PartyRow) prepare() (err error) {
	for i := range p.Keys {
		if p.Keys[i].key, err = p.Keys[i].PEM.Key(); err != nil {
			return err
		}
	}
	return nil
}
