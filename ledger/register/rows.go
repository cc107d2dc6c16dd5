package register

import (
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// RecordRow is what the register keeps of one entry, and what it answers of it. The entry
// itself is the ledger's to keep.
type RecordRow struct {
	Index         uint64        `json:"index"`
	ID            record.ID     `json:"record"`
	Kind          record.Kind   `json:"kind"`
	Thread        record.Thread `json:"thread"`
	Issuer        string        `json:"issuer"`
	IssuedAt      time.Time     `json:"issuedAt"`
	Admitted      time.Time     `json:"admitted"`
	Follows       record.ID     `json:"follows,omitzero"`
	SubjectDigest record.ID     `json:"subject"` // SHA-256 of what it is about, a document's or a record's
}

// ThreadRow is the life of one thing as it stands after one record. A row is
// never changed: the next record on the thread adds a row of its own index.
//
// What the record did is one row and the state after it another, so that a thread's
// history is read without all its states. Neither grows with the thread: a list that
// does is what the history says, or has a table of its own.
type ThreadRow struct {
	Thread   record.Thread
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

// State is *CharterRow, *PartyRow, *DesignationRow, *ResponseRow, *PeriodRow, *ResellerRow,
// *LicenceRow, *CustomerLogRow, *AITrainingRow, *RequestRow, *ReceiptRow or *AssessmentRow,
// by the thread's grammar. Each is bounded, whatever came before it on the thread.
type State interface {
	// prepare computes what the row does not store, once for all who read it.
	prepare() error
	// identifiers are those by which the thread is found, but for its former names;
	// renamed says whether it has any of those.
	identifiers(thread record.Thread) map[string]IdentifierUse
	renamed() bool
	// withheld is the state of a version without the text of what is withheld on its thread:
	// dates, IDs and words of closed sets stay.
	withheld(w withheldRecords, row *ThreadRow) State
}

// charter, party and designation are the state of a thread of that family: nil for
// another's, and where a sparse replay was not shown it.
func (row *ThreadRow) charter() *CharterRow         { return stateOf[*CharterRow](row) }
func (row *ThreadRow) party() *PartyRow             { return stateOf[*PartyRow](row) }
func (row *ThreadRow) designation() *DesignationRow { return stateOf[*DesignationRow](row) }

func stateOf[S State](row *ThreadRow) (s S) {
	if row != nil {
		s, _ = row.State.(S)
	}
	return s
}

// CharterRow is the state of the thread "charter".
type CharterRow struct {
	record.Charter `cbor:"1,keyasint"`
	Root           []RootKeyRow `cbor:"2,keyasint"`
	PolicyKeys     []string     `cbor:"3,keyasint,omitempty"` // keyids of the Ed25519 keys that the policy names
	zone           *time.Location
}

// RootKeyRow is one root key of a charter.
type RootKeyRow struct {
	ID     string `cbor:"1,keyasint" json:"keyid"` // "SHA256:…"
	Holder string `cbor:"2,keyasint" json:"holder"`
	key    *record.Key
}

// PartyRow is the state of a thread party/P: the party, the keys that may sign for it,
// and its standing on each day from this record on. All keys that it ever had, and
// all steps of its standing, are in the thread's history.
type PartyRow struct {
	ID        string           `cbor:"1,keyasint"`
	LegalName string           `cbor:"2,keyasint"`
	Country   string           `cbor:"3,keyasint"`
	LEI       string           `cbor:"4,keyasint,omitempty"`
	Website   string           `cbor:"5,keyasint,omitempty"`
	Contact   string           `cbor:"6,keyasint,omitempty"`
	Roles     []record.Role    `cbor:"7,keyasint"`
	Enrolled  RecordRef        `cbor:"8,keyasint"`            // the record that enrolled it
	Enrolment record.ID        `cbor:"9,keyasint"`            // the newest enrolment on the thread
	Sponsor   string           `cbor:"10,keyasint,omitempty"` // provider that signed instead of a registrar
	Keys      []KeyRow         `cbor:"11,keyasint"`           // neither revoked nor, when this was written, past notAfter: at most maxLiveKeys
	KeysYear  int              `cbor:"12,keyasint,omitempty"` // civil year in which the party last added keys itself
	KeysAdded int              `cbor:"13,keyasint,omitempty"` // how many in that year
	Ahead     []StandingChange `cbor:"14,keyasint,omitempty"` // in force at this record, then announced, by effectiveOn: at most 1 + maxAnnounced
	Renamed   bool             `cbor:"15,keyasint,omitempty"` // it has former names
}

// RecordRef names a record: its index, its ID and when it was admitted. An answer has the
// ID alone.
type RecordRef struct {
	Index    uint64    `cbor:"1,keyasint" json:"-"`
	ID       record.ID `cbor:"2,keyasint" json:"record"`
	Admitted time.Time `cbor:"3,keyasint" json:"-"`
}

// StandingChange is one change of a party's standing.
type StandingChange struct {
	RecordRef   `cbor:"1,keyasint"`
	Status      string      `cbor:"2,keyasint" json:"status"` // suspended, active, withdrawn
	EffectiveOn record.Date `cbor:"3,keyasint" json:"effectiveOn"`
	Reason      string      `cbor:"4,keyasint,omitempty" json:"reason"` // in the history alone
}

// KeyRow is one key, of whatever owner. One that signs no records (a log's, a witness's,
// the one of refusals) has an owner and nothing else, a root key no use.
type KeyRow struct {
	ID          string               `cbor:"1,keyasint"` // "SHA256:…"
	Owner       record.Thread        `cbor:"2,keyasint"` // "charter" (a root key), "party/P", or one of the owners of keys that sign no records
	PEM         record.PEM           `cbor:"3,keyasint,omitempty"`
	Use         record.KeyUse        `cbor:"4,keyasint,omitempty"`
	Holder      string               `cbor:"5,keyasint,omitempty"`
	Functions   []record.KeyFunction `cbor:"6,keyasint,omitempty"`
	NotAfter    *record.Date         `cbor:"7,keyasint,omitempty"`
	Added       uint64               `cbor:"8,keyasint"` // index of the record that added it: it signs from the next
	AddedAt     time.Time            `cbor:"9,keyasint"`
	ByRegistrar bool                 `cbor:"10,keyasint,omitempty"` // added by the registrar alone
	UsableFrom  *time.Time           `cbor:"11,keyasint,omitempty"` // ByRegistrar: entries admitted earlier do not count it
	Revoked     uint64               `cbor:"12,keyasint,omitempty"` // index of the revoking record, 0 if live: it signs no more from the next
	RevokedAt   *time.Time           `cbor:"13,keyasint,omitempty"`
	// CompromisedSince is the party's claim, shown and nothing else.
	CompromisedSince *record.Instant `cbor:"14,keyasint,omitempty"`
	key              *record.Key     // parsed in a party's row, else when asked for
}

// DesignationRow is the state of a thread designation/D in its newest life (an
// imported one may be delisted and designated again; the version below
// Opened.Index is then the life before). All that opened its duty to respond, and all
// its events, are in the thread's history.
type DesignationRow struct {
	Current record.Designation `cbor:"1,keyasint"`           // with every amendment so far
	Opened  RecordRef          `cbor:"2,keyasint"`           // the designation record of this life
	Opening *DutyOpening       `cbor:"3,keyasint,omitempty"` // what opened or re-opened the duty to respond last
	Ahead   []LifecycleEvent   `cbor:"4,keyasint,omitempty"` // suspensions and reinstatements that decide a day from this record on, oldest first: at most maxAnnounced
	Revoked *LifecycleEvent    `cbor:"5,keyasint,omitempty"`
	Amended *RecordRef         `cbor:"6,keyasint,omitempty"` // the newest amendment
	Renamed bool               `cbor:"7,keyasint,omitempty"` // it has former names; imported ones only
}

// Imported says whether the designation came from a published list.
func (d *DesignationRow) Imported() bool { return d.Current.Source != nil }

// DutyOpening is a record that opened or re-opened the duty to respond.
type DutyOpening struct {
	RecordRef   `cbor:"1,keyasint"`
	ResponseDue *record.Date `cbor:"2,keyasint,omitempty"` // as amended before the next opening; nil: taken back
	Moved       *RecordRef   `cbor:"3,keyasint,omitempty"` // the amendment that moved that day or took it back
}

// LifecycleEvent is one step of a designation's life after it was opened.
type LifecycleEvent struct {
	RecordRef   `cbor:"1,keyasint"`
	Kind        record.Kind  `cbor:"2,keyasint" json:"kind"` // suspension, reinstatement, revocation
	EffectiveOn record.Date  `cbor:"3,keyasint" json:"effectiveOn"`
	Until       *record.Date `cbor:"4,keyasint,omitempty" json:"until,omitempty"`
	Cause       string       `cbor:"5,keyasint,omitempty" json:"cause,omitempty"` // of a revocation
	Reason      string       `cbor:"6,keyasint,omitempty" json:"reason"`          // in the history alone
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
	Life uint64 `cbor:"1,keyasint"` // of the record that opened the designation's life

	// Asked is the newest record that any of them is about, where that is older than what
	// asked last when it came, and else what asked last; First is the first that is about it.
	// Before is the same of those before the First.
	Asked  uint64 `cbor:"2,keyasint"`
	First  uint64 `cbor:"3,keyasint"`
	Before uint64 `cbor:"4,keyasint,omitempty"`

	Began    uint64       `cbor:"5,keyasint,omitempty"` // what is to be concluded; the first that began it
	Promised uint64       `cbor:"6,keyasint,omitempty"` // the one that names the earliest day
	By       *record.Date `cbor:"7,keyasint,omitempty"` // that day
	Met      uint64       `cbor:"8,keyasint,omitempty"` // the one that concluded it
}

// PeriodRow is the same of the newest record on a thread cip/P or abuse/P.
type PeriodRow struct {
	PeriodFrom, PeriodUntil record.Date
	Newest                  record.Date // abuse/P: the newest day that any record so far covers
}

// CustomerLogRow is what the newest record on a thread customer-log/P commits to, and
// what the next is held to.
type CustomerLogRow struct {
	Origin    string      `cbor:"1,keyasint"`
	VKey      string      `cbor:"2,keyasint"` // that signs the private log's checkpoints
	Size      uint64      `cbor:"3,keyasint"`
	Root      record.ID   `cbor:"4,keyasint"`
	Newest    record.Date `cbor:"5,keyasint"`           // the newest periodUntil of any record so far
	Restarts  uint64      `cbor:"6,keyasint,omitempty"` // how often a private log was lost
	Restarted *RecordRef  `cbor:"7,keyasint,omitempty"` // the record that said so last
}

// AITrainingRow is the same of the records on a thread ai/N/P.
type AITrainingRow struct {
	KnownOn record.Date // the earliest day that any of them names
	KnownBy uint64      // index of the first that names it
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

// recordValue is the value of a record's row; its key has the index.
type recordValue struct {
	_                  struct{} `cbor:",toarray"`
	ID                 []byte
	Follows            []byte // empty of a record that follows none
	Subject            []byte
	IssuedAt, Admitted int64 // milliseconds of Unix time
	Kind               record.Kind
	Issuer             string
	Thread             record.Thread
}

func (row *RecordRow) encode() ([]byte, error) {
	v := recordValue{
		ID: row.ID[:], Subject: row.SubjectDigest[:], IssuedAt: row.IssuedAt.UnixMilli(), Admitted: row.Admitted.UnixMilli(),
		Kind: row.Kind, Issuer: row.Issuer, Thread: row.Thread,
	}
	if !row.Follows.IsZero() {
		v.Follows = row.Follows[:]
	}
	b, err := encodeRow(&v)
	if err != nil {
		return nil, fmt.Errorf("encoding record %d: %w", row.Index, err)
	}
	return b, nil
}

func decodeRecordRow(index uint64, b []byte) (RecordRow, error) {
	var v recordValue
	row := RecordRow{Index: index}
	err := decodeRow(b, &v)
	if err == nil && (len(v.ID) != len(row.ID) || len(v.Follows) != 0 && len(v.Follows) != len(row.Follows) || len(v.Subject) != len(row.SubjectDigest)) {
		err = fmt.Errorf("digests of %d, %d and %d bytes: %w", len(v.ID), len(v.Follows), len(v.Subject), ErrDamaged)
	}
	if err != nil {
		return row, fmt.Errorf("record row %d: %w", index, err)
	}
	copy(row.ID[:], v.ID)
	copy(row.Follows[:], v.Follows)
	copy(row.SubjectDigest[:], v.Subject)
	row.IssuedAt, row.Admitted = fromMillis(v.IssuedAt), fromMillis(v.Admitted)
	row.Kind, row.Issuer, row.Thread = v.Kind, v.Issuer, v.Thread
	return row, nil
}

// fromMillis is an instant by its milliseconds of Unix time, the resolution of every time
// in the register.
func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// versionValue is the value of the row that says what a record did to its thread.
type versionValue struct {
	_        struct{} `cbor:",toarray"`
	ID       []byte
	Admitted int64 // milliseconds of Unix time
	Kind     record.Kind
	Delta    Delta
}

// encode gives the two rows of a version: what the record did, and the state after it,
// which is nil where the first says it all.
func (row *ThreadRow) encode() (did, state []byte, err error) {
	did, err = encodeRow(&versionValue{ID: row.ID[:], Admitted: row.Admitted.UnixMilli(), Kind: row.Kind, Delta: row.Delta})
	if err != nil {
		return nil, nil, fmt.Errorf("encoding what a record did to %s: %w", row.Thread, err)
	}
	if kinds[row.Kind].newState != nil && !row.isUnshown() {
		if state, err = encodeRow(row.State); err != nil {
			return nil, nil, fmt.Errorf("encoding the state of %s: %w", row.Thread, err)
		}
	}
	row.bytes = len(did) + len(state)
	return did, state, nil
}

// decodeThreadRow reads what one record did: a version without its state.
func decodeThreadRow(thread record.Thread, index uint64, b []byte) (*ThreadRow, error) {
	var v versionValue
	err := decodeRow(b, &v)
	if err == nil && (len(v.ID) != len(record.ID{}) || kinds[v.Kind] == nil) {
		err = fmt.Errorf("record %x of kind %q: %w", v.ID, v.Kind, ErrDamaged)
	}
	if err != nil {
		return nil, fmt.Errorf("row of %s at %d: %w", thread, index, err)
	}
	row := &ThreadRow{Thread: thread, Index: index, Kind: v.Kind, Admitted: fromMillis(v.Admitted), Delta: v.Delta, bytes: len(b)}
	copy(row.ID[:], v.ID)
	return row, nil
}

// decodeState completes a version with its state; b is nil for threads that have no such
// row.
func (row *ThreadRow) decodeState(b []byte) error {
	kind := kinds[row.Kind]
	if kind.newState == nil {
		if row.State = kind.stateFromDelta(&row.Delta); row.State == nil {
			return fmt.Errorf("row of %s at %d: what the %s says is missing: %w", row.Thread, row.Index, row.Kind, ErrDamaged)
		}
		return nil
	}
	state := kind.newState(row.Thread)
	if err := decodeRow(b, state); err != nil {
		return fmt.Errorf("state of %s at %d: %w", row.Thread, row.Index, err)
	}
	if err := state.prepare(); err != nil {
		return fmt.Errorf("state of %s at %d: %w: %w", row.Thread, row.Index, ErrDamaged, err)
	}
	row.State = state
	row.bytes += len(b)
	return nil
}

func (k *KeyRow) encode() ([]byte, error) {
	b, err := encodeRow(k)
	if err != nil {
		return nil, fmt.Errorf("encoding key %s: %w", k.ID, err)
	}
	return b, nil
}

func decodeKeyRow(b []byte) (*KeyRow, error) {
	k := new(KeyRow)
	if err := decodeRow(b, k); err != nil {
		return nil, fmt.Errorf("key row: %w", err)
	}
	return k, nil
}

// Delta is what one record changed on its thread, as far as later queries need it; the
// kind says which fields are set. A thread's history is one such row a record, whose
// size is bounded by the record and not by the thread.
type Delta struct {
	EffectiveOn *record.Date `cbor:"1,keyasint,omitempty"` // standing, suspension, reinstatement, revocation
	Until       *record.Date `cbor:"2,keyasint,omitempty"` // suspension, reinstatement, licence
	Status      string       `cbor:"3,keyasint,omitempty"` // standing, response, reseller, disclosure-request; of an assessment its opinion
	Cause       string       `cbor:"4,keyasint,omitempty"` // revocation
	Reason      string       `cbor:"5,keyasint,omitempty"`

	Opens       bool         `cbor:"6,keyasint,omitempty"` // designation, amendment: it opened or re-opened the duty to respond
	Moves       bool         `cbor:"7,keyasint,omitempty"` // amendment: it moved or took back the day by which to respond
	ResponseDue *record.Date `cbor:"8,keyasint,omitempty"` // where it opens or moves: that day from then on

	Added   []string `cbor:"9,keyasint,omitempty"` // enrolment, keys: key IDs
	Revoked []string `cbor:"10,keyasint,omitempty"`

	About      *uint64      `cbor:"11,keyasint,omitempty"` // response
	WindDownBy *record.Date `cbor:"12,keyasint,omitempty"`
	Answers    *Answers     `cbor:"13,keyasint,omitempty"` // bounded, unlike all those that it sums up

	PeriodFrom  *record.Date `cbor:"14,keyasint,omitempty"` // cip-certification, abuse-report, assessment
	PeriodUntil *record.Date `cbor:"15,keyasint,omitempty"` // of these, and customer-log

	Periods  *record.Periods `cbor:"16,keyasint,omitempty"` // charter
	TimeZone string          `cbor:"17,keyasint,omitempty"`

	From       *record.Date `cbor:"20,keyasint,omitempty"` // licence
	VerifiedAt *record.Date `cbor:"21,keyasint,omitempty"` // reseller: the newest on its thread so far

	Prior *uint64 `cbor:"18,keyasint,omitempty"` // index of the newest record below this one that was a transition

	KnownOn *record.Date `cbor:"22,keyasint,omitempty"` // ai-training-report: the earliest of its thread so far
	KnownBy uint64       `cbor:"23,keyasint,omitempty"` // index of the record that names it

	Newest *record.Date `cbor:"24,keyasint,omitempty"` // abuse-report: the newest periodUntil of its thread so far
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

// Event is the event that the record was, nil if it was none.
func (row *ThreadRow) Event() *LifecycleEvent {
	d := &row.Delta
	if d.EffectiveOn == nil || !kinds[row.Kind].isLifecycleEvent {
		return nil
	}
	return &LifecycleEvent{RecordRef: row.Ref(), Kind: row.Kind, EffectiveOn: *d.EffectiveOn, Until: d.Until, Cause: d.Cause, Reason: d.Reason}
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

// signsRecords tells whether it is a root or party key.
func (k *KeyRow) signsRecords() bool { return k.PEM != "" }

// parsed is the key itself; the row of one that signs no records has none.
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

func (*DesignationRow) prepare() error { return nil }
func (*ResponseRow) prepare() error    { return nil }
func (*PeriodRow) prepare() error      { return nil }
func (*CustomerLogRow) prepare() error { return nil }
func (*AITrainingRow) prepare() error  { return nil }

// prepare parses the keys.
func (p *PartyRow) prepare() (err error) {
	for i := range p.Keys {
		if p.Keys[i].key, err = p.Keys[i].PEM.Key(); err != nil {
			return err
		}
	}
	return nil
}
