package customers

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Approvals is how many holders of the role discloser approve a disclosure.
const Approvals = 2

var (
	// ErrNoDisclosure: there is none of that number.
	ErrNoDisclosure = errors.New("there is no disclosure of that number")

	// ErrChanged: what would leave the house is not what was prepared and approved.
	ErrChanged = errors.New("what would leave the house now is not what was prepared: prepare it anew")
)

// Ask is what a disclosure answers, and what of the log it shows.
type Ask struct {
	Public    bundle.Public  // the request, and customer-log records: verified by whoever asks
	Recipient string         // as the request names it: age, hybrid post-quantum
	Handles   []event.Handle // of whom; none: the answer is that there is nobody
	Asked     bundle.Asked
	Period    uint64   // number of the published period that it rests on; 0: the newest one
	Chains    [][]byte // receipts from the charter to the period's public record, if it rests on one, and to the request
}

// Disclosure is a disclosure that was prepared, and how far it is.
type Disclosure struct {
	Number    uint64         `json:"number"`
	Request   record.ID      `json:"request"`
	Thread    record.Thread  `json:"thread"`           // of the request
	Sealed    *record.Date   `json:"sealed,omitempty"` // until when the request is sealed, as it says: no receipt before it is opened
	Recipient string         `json:"recipient"`
	Handles   []event.Handle `json:"handles,omitempty"`
	Asked     bundle.Asked   `json:"asked"`
	Record    record.ID      `json:"record,omitzero"` // that fixes the log it rests on
	Digest    string         `json:"digest"`          // of the bundle, as approvals name it
	Events    int            `json:"events"`          // shown in full
	LogSize   uint64         `json:"logSize"`         // leaves of the log they are taken from
	Leaves    []string       `json:"leaves"`          // what leaves the house, in sentences
	Proven    []string       `json:"proven,omitempty"`
	NotProven []string       `json:"notProven,omitempty"`

	PreparedBy string     `json:"preparedBy"`
	PreparedAt time.Time  `json:"preparedAt"`
	Approved   []Approval `json:"approved,omitempty"`
	Withdrawn  *Handed    `json:"withdrawn,omitempty"`
	Disclosed  []Handed   `json:"disclosed,omitempty"` // each time it was handed out

	Period uint64   `json:"period"`
	Upto   uint64   `json:"upto"` // size of the log when it was prepared
	Chains [][]byte `json:"chains,omitempty"`
}

// Approval is one holder's signature over [Disclosure.Message].
type Approval struct {
	By        string    `json:"by"`
	KeyID     string    `json:"keyID"`
	At        time.Time `json:"at"`
	Signature []byte    `json:"signature"`
}

// Handed says when something left the house, or was withdrawn.
type Handed struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Digest string    `json:"digest,omitempty"` // SHA-256 of the encrypted file, for the disclosure-receipt
	Reason string    `json:"reason,omitempty"`
}

// State is prepared, approved (by all who are needed), disclosed or withdrawn.
func (d *Disclosure) State() string {
	switch {
	case d.Withdrawn != nil:
		return "withdrawn"
	case len(d.Disclosed) > 0:
		return "disclosed"
	case len(d.Approved) >= Approvals:
		return "approved"
	}
	return "prepared"
}

// Message is what a holder signs to approve, of a party's log on a ledger: which disclosure, the request, to
// whose key it is encrypted, and the digest of the bundle. Without the number an approval of what was withdrawn would
// hold for the next one, and without the recipient it would let the same bundle out to another.
func (d *Disclosure) Message(ledger record.ID, party string) []byte {
	return fmt.Appendf(nil, "docket-disclosure-approval/v1\n%s\n%s\n%d\n%s\n%s\n%s\n", ledger, party, d.Number, d.Request, d.Recipient, d.Digest)
}

// Message is that of a disclosure from this log.
func (l *Log) Message(d *Disclosure) []byte { return d.Message(l.config.Ledger, l.config.Party) }

// Prepare makes a bundle, verifies it as its recipient will, and keeps what it was made of, with its
// digest: not the bundle itself, which is made again from the log when it is read or handed out. What was asked amiss is a
// *[record.Refusal]; vault.ErrNoCustomer: nobody ever had one of the handles, and no period is published that could prove it.
func (l *Log) Prepare(ctx context.Context, who Who, ask Ask) (*Disclosure, error) {
	if err := ask.check(); err != nil {
		return nil, err
	}
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	l.disclosing.Lock()
	defer l.disclosing.Unlock()
	d := &Disclosure{
		Request: ask.Public.Request.ID, Thread: ask.Public.Request.Statement.Thread, Recipient: ask.Recipient, Handles: ask.Handles, Asked: ask.Asked,
		PreparedBy: who.By, PreparedAt: time.Now().UTC().Truncate(time.Millisecond), Upto: l.engine.Head().Size, Chains: ask.Chains,
	}
	demand := ask.Public.Request.Statement.Predicate.(*record.DisclosureRequest)
	if asked := demand.Provider.Text; asked != "" && asked != l.config.Party {
		return nil, record.Refuse(record.Invalid, "%s asks %s, and this is the log of %s: it is not for this log to answer", d.Thread, asked, l.config.Party)
	}
	d.Sealed = demand.SealedUntil
	if err := l.restOn(d, ask.Period); err != nil {
		return nil, err
	}
	raw, err := l.plaintext(ctx, d)
	if err != nil {
		return nil, err
	}
	b, err := bundle.Parse(raw)
	if err != nil {
		return nil, err
	}
	table, err := b.Verify(ask.Public)
	if err != nil {
		return nil, fmt.Errorf("the bundle would not verify: %w", err)
	}
	d.Digest, d.Events = bundle.Digest(raw), table.Counts().Events
	d.Leaves, d.Proven, d.NotProven = table.Leaves(), table.Proven(), table.NotProven()
	if d.Number, err = l.nextDisclosure(); err != nil {
		return nil, err
	}
	who.Request = string(d.Thread)
	if err := l.actOn(ctx, who.act(event.KindPrepared), d, d.Digest); err != nil {
		return nil, err
	}
	return d, l.putDisclosure(d)
}

// check finds what cannot be asked.
func (a Ask) check() error {
	request := a.Public.Request.Statement
	if request == nil {
		return record.Refuse(record.Invalid, "a disclosure answers a request: name its record")
	}
	demand, ok := request.Predicate.(*record.DisclosureRequest)
	if !ok {
		return record.Refuse(record.Invalid, "a disclosure answers a disclosure-request, and %s is a record of kind %s", a.Public.Request.ID, request.Predicate.Kind())
	}
	if !demand.Asks() {
		return record.Refuse(record.Invalid, "%s is a later record of %s: name the one that asks, by which it is known what was logged before the demand", a.Public.Request.ID, request.Thread)
	}
	recipients, err := vault.ParseRecipients([]byte(a.Recipient), nil)
	if err != nil || len(recipients) != 1 || !vault.HasPostQuantum(recipients) {
		return record.Refuse(record.Invalid, "a bundle is encrypted to the one recipient that the request names, of age's hybrid kind (age1pq1…); a request to another state names none: agree on one with the authority")
	}
	if demand.Recipient != "" && a.Recipient != demand.Recipient {
		return record.Refuse(record.Forbidden, "the request is to be answered to the key that it names, and to no other")
	}
	if len(a.Handles) > bundle.MaxCustomers {
		return record.Refuse(record.Invalid, "at most %d customers at a time, not %d", bundle.MaxCustomers, len(a.Handles))
	}
	seen := make(map[event.Handle]bool)
	for _, h := range a.Handles {
		if seen[h] || h == event.House {
			return record.Refuse(record.Invalid, "handle %s is named twice, or is none of a customer", h)
		}
		seen[h] = true
	}
	for _, k := range a.Asked.Kinds {
		if event.Kind(k).Shape() == nil || event.Kind(k).OfHouse() {
			return record.Refuse(record.Invalid, "there is no kind of event %s%s", schema.Quote(k), schema.DidYouMean(k, kindNames()))
		}
	}
	for _, f := range a.Asked.Fields {
		if names := fieldNames(); !slices.Contains(names, f) {
			return record.Refuse(record.Invalid, "no event has a field %s%s", schema.Quote(f), schema.DidYouMean(f, names))
		}
	}
	if from, until := a.Asked.From, a.Asked.Until; from != nil && until != nil && until.Before(*from) {
		return record.Refuse(record.Invalid, "the period asked for ends on %s, before it begins, on %s", until, from)
	}
	return nil
}

func kindNames() (names []string) {
	for _, k := range event.Kinds() {
		if !k.OfHouse() {
			names = append(names, string(k))
		}
	}
	return names
}

func fieldNames() (names []string) {
	for _, k := range kindNames() {
		names = append(names, event.Kind(k).Shape().FieldNames()...)
	}
	return names
}

// restOn finds the published period that a disclosure rests on: none where none is published.
func (l *Log) restOn(d *Disclosure, number uint64) error {
	if number > 0 {
		p, err := l.period(number)
		if err == nil && p.Record.IsZero() {
			err = fmt.Errorf("%w: period %d is not published, so that it proves nothing yet", ErrPeriod, number)
		}
		d.Period, d.Record, d.LogSize = p.Number, p.Record, p.Size
		return err
	}
	d.LogSize = d.Upto
	for _, p := range l.Periods() {
		if !p.Record.IsZero() {
			d.Period, d.Record, d.LogSize = p.Number, p.Record, p.Size
		}
	}
	return nil
}

// Disclosures are all that were prepared, the earliest first, without their chains of receipts.
func (l *Log) Disclosures(ctx context.Context) (all []Disclosure, err error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	err = scan(l.fold.db, []byte{tableDisclosure}, func(key, value []byte) (bool, error) {
		d, err := l.openDisclosure(binary.BigEndian.Uint64(key[1:]), value)
		if err == nil {
			d.Chains = nil
			all = append(all, *d)
		}
		return true, errors.Join(err, ctx.Err())
	})
	return all, err
}

// Disclosure is one of them. [ErrNoDisclosure].
func (l *Log) Disclosure(_ context.Context, number uint64) (*Disclosure, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	return l.disclosure(number)
}

// waiting is the number of a disclosure that names a handle and is neither handed out nor
// withdrawn; 0 if there is none. While there is one, nobody in it is erased.
func (l *Log) waiting(h event.Handle) (number uint64, err error) {
	err = scan(l.fold.db, []byte{tableDisclosure}, func(key, value []byte) (bool, error) {
		d, err := l.openDisclosure(binary.BigEndian.Uint64(key[1:]), value)
		if err == nil && (d.State() == "prepared" || d.State() == "approved") && slices.Contains(d.Handles, h) {
			number = d.Number
		}
		return number == 0, err
	})
	return number, err
}

// actOn logs an act on a disclosure.
func (l *Log) actOn(ctx context.Context, a event.Act, d *Disclosure, digest string) error {
	n, size := int64(d.Events), int64(d.LogSize)
	a.Digest, a.Count, a.Size, a.Record = digest, &n, &size, d.Request
	if len(d.Handles) == 1 {
		a.Customer = d.Handles[0].String()
	}
	_, err := l.act(ctx, a)
	return err
}

func (l *Log) nextDisclosure() (next uint64, err error) {
	err = scan(l.fold.db, []byte{tableDisclosure}, func(key, _ []byte) (bool, error) {
		next = binary.BigEndian.Uint64(key[1:])
		return true, nil
	})
	return next + 1, err
}

func (l *Log) disclosure(number uint64) (*Disclosure, error) {
	value, err := l.fold.db.Row(numberKey(tableDisclosure, number))
	if err == nil && value == nil {
		err = fmt.Errorf("%w: %d", ErrNoDisclosure, number)
	}
	if err != nil {
		return nil, err
	}
	return l.openDisclosure(number, value)
}

func (l *Log) putDisclosure(d *Disclosure) error {
	plain, err := json.Marshal(d)
	if err != nil {
		return err
	}
	key, err := l.config.Vault.House()
	if err != nil {
		return err
	}
	row, err := key.Seal(nil, plain, sealedFor(l.config.Origin, tableDisclosure, vault.Ref{}, d.Number))
	if err != nil {
		return err
	}
	return l.fold.db.Set(numberKey(tableDisclosure, d.Number), row, pebble.Sync)
}

func (l *Log) openDisclosure(number uint64, row []byte) (*Disclosure, error) {
	key, err := l.config.Vault.House()
	if err != nil {
		return nil, err
	}
	plain, err := key.Open(nil, row, sealedFor(l.config.Origin, tableDisclosure, vault.Ref{}, number))
	d := &Disclosure{}
	if err == nil {
		err = json.Unmarshal(plain, d)
	}
	if err != nil {
		return nil, errRow(fmt.Sprintf("disclosure %d", number), err)
	}
	return d, nil
}
