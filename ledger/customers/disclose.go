package customers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/index"
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
	Chains    [][]byte // receipts from the charter to the period's public record, and others
}

// Disclosure is a disclosure that was prepared, and how far it is.
type Disclosure struct {
	Number    uint64         `json:"number"`
	Request   record.ID      `json:"request"`
	Thread    record.Thread  `json:"thread"` // of the request
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

// plaintext makes the bundle of a disclosure, the same one each time as long as nobody in it is erased.
func (l *Log) plaintext(ctx context.Context, d *Disclosure) ([]byte, error) {
	b := &bundle.Bundle{Head: bundle.Head{Source: bundle.Source{Ledger: l.config.Ledger, Party: l.config.Party, Request: d.Request}, Asked: d.Asked}, Chains: d.Chains}
	if d.Period > 0 {
		if err := l.bundleLog(ctx, d, b); err != nil {
			return nil, err
		}
	}
	room := uint64(bundle.MaxBytes / leastLine)
	for _, h := range d.Handles {
		n, err := l.filedNow(h)
		if err != nil {
			return nil, err
		}
		if n > room { // before they are all read
			return nil, bundle.ErrTooLarge
		}
		room -= n
		c, err := l.bundleCustomer(ctx, d, h)
		if err != nil {
			return nil, fmt.Errorf("customer %s: %w", h, err)
		}
		b.Customers = append(b.Customers, c)
	}
	return b.Format()
}

// leastLine is how many bytes an event takes in a bundle at the least: its canonical form and a salt.
const leastLine = 700

// filedNow is how many events a customer has; 0 where he is erased or there is none.
func (l *Log) filedNow(h event.Handle) (uint64, error) {
	c, err := l.byHandle(h)
	if errors.Is(err, vault.ErrNoCustomer) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	chain, _, err := l.fold.readChain(c.ref, c)
	return chain.Leaves, err
}

// bundleLog is what a bundle says of the log at the period's end.
func (l *Log) bundleLog(ctx context.Context, d *Disclosure, b *bundle.Bundle) error {
	ev, err := l.mapEvidence(ctx, d.Period)
	if err != nil {
		return err
	}
	keyProof, err := ev.SaltProof.MarshalText()
	if err != nil {
		return err
	}
	b.Head.Log = &bundle.Log{
		Record: d.Record, Size: int64(ev.Period.Size), Root: ev.Period.Root.String(),
		MapRoot: ev.Map.Value, MapSalt: base64.StdEncoding.EncodeToString(ev.Map.Salt),
		KeySalt: base64.StdEncoding.EncodeToString(ev.MapSalt), KeyProof: string(keyProof),
	}
	for _, h := range ev.Last.Path {
		b.Head.Log.MapPath = append(b.Head.Log.MapPath, h.String())
	}
	return nil
}

func (l *Log) bundleCustomer(ctx context.Context, d *Disclosure, h event.Handle) (c bundle.Customer, err error) {
	c.Handle = h
	var ev *Evidence
	_, err = l.byHandle(h)
	erased := errors.Is(err, vault.ErrNoCustomer)
	if err != nil && !erased {
		return c, err
	}
	switch {
	case erased:
		ev, err = l.erasedEvidence(ctx, h, d)
		c.Erased = err == nil
		if erased = c.Erased; !erased && errors.Is(err, vault.ErrNoCustomer) && d.Period > 0 {
			c.Proof, err = l.proveAbsent(ctx, h, d.Period) // nobody ever had the handle
			return c, err
		}
	case d.Period > 0:
		ev, err = l.evidence(ctx, h, d.Period)
	default:
		ev = &Evidence{Scope: l.fold.scope, Handle: h}
	}
	if err != nil {
		return c, err
	}
	c.Filed, c.Proof = ev.Filed, ev.MapProof
	if !erased {
		if ev.Events, err = l.beyond(ctx, ev, d.Upto); err != nil {
			return c, err
		}
	}
	for _, e := range ev.Events {
		o, err := l.openings(d, c.Erased, e.Event)
		if err != nil {
			return c, err
		}
		c.Events = append(c.Events, bundle.Event{Leaf: e.Index, Path: e.Path, Openings: o})
	}
	return c, nil
}

// beyond are an evidence's events, and those that the log has beyond its period.
func (l *Log) beyond(ctx context.Context, ev *Evidence, upto uint64) ([]Proven, error) {
	var later []Proven
	for before := upto; ; {
		some, more, err := l.chain(ctx, ev.Handle, before, maxEvents)
		if err != nil {
			return nil, err
		}
		for _, e := range some {
			if e.Index < ev.Period.Size {
				more = false
				break
			}
			later = append(later, Proven{Logged: e})
		}
		if !more {
			break
		}
		before = some[len(some)-1].Index
	}
	slices.Reverse(later)
	return append(ev.Events, later...), nil
}

// openings are those of an event that was asked for, or that show that it was not.
func (l *Log) openings(d *Disclosure, all bool, e *event.Event) ([]record.Opening, error) {
	scope := l.fold.scope
	switch {
	case all:
		return scope.Openings(e)
	case !d.Asked.Within(e.Time):
		return scope.Openings(e, "time")
	case !d.Asked.WantsKind(e.Kind):
		return scope.Openings(e, "kind")
	}
	o, err := scope.Openings(e)
	const contents = "/event/content"
	return slices.DeleteFunc(o, func(o record.Opening) bool {
		pointer, of := bytes.CutPrefix([]byte(o.Pointer), []byte(contents+"/"))
		return of && !d.Asked.WantsValue("/"+string(pointer))
	}), err
}

// erasedEvidence is that of an erased customer: the event that says so, and what the map files
// under the handle.
func (l *Log) erasedEvidence(ctx context.Context, h event.Handle, d *Disclosure) (*Evidence, error) {
	ref, chain, err := l.findErased(ctx, h)
	if err != nil {
		return nil, err
	}
	e, _, err := l.fold.readEvent(chain.Last)
	if err != nil {
		return nil, err
	}
	ev := &Evidence{Scope: l.fold.scope}
	if d.Period > 0 {
		if ev, err = l.mapEvidence(ctx, d.Period); err != nil {
			return nil, err
		}
	}
	ev.Handle, ev.Events = h, []Proven{{Logged: Logged{chain.Last, e}}}
	if d.Period == 0 {
		return ev, nil
	}
	there, err := l.proveHandle(ev)
	if err != nil {
		return nil, err
	}
	if there {
		filed := chain.Filed
		if chain.Last >= ev.Period.Size { // erased since: which leaves were filed then, their rows still say
			if filed, err = l.filedOf(ctx, ref, ev.Period.Size); err != nil {
				return nil, err
			}
		}
		o, err := l.fold.filedOpening(h, filed)
		if err != nil {
			return nil, err
		}
		ev.Filed = &o
	}
	if chain.Last < ev.Period.Size {
		if ev.Events[0], err = l.prove(ctx, ev.tree, ev.Events[0].Logged); err != nil {
			return nil, err
		}
	}
	return ev, nil
}

// proveAbsent proves that nothing is filed under a handle that nobody has, nor had.
func (l *Log) proveAbsent(ctx context.Context, h event.Handle, period uint64) (*index.Proof, error) {
	ev, err := l.mapEvidence(ctx, period)
	if err != nil {
		return nil, err
	}
	ev.Handle = h
	there, err := l.proveHandle(ev)
	if err == nil && there {
		err = fmt.Errorf("%w: the map of period %d files something under %s, and there is no chain of it", ledger.ErrCorrupt, period, h)
	}
	return ev.MapProof, err
}

// findErased finds an erased customer by the handle: vault.ErrNoCustomer if nobody had it. It
// reads the chains of all customers.
func (l *Log) findErased(ctx context.Context, h event.Handle) (ref vault.Ref, chain event.Chain, err error) {
	found := false
	err = scan(l.fold.db, []byte{tableChain}, func(key, value []byte) (bool, error) {
		if len(value) == 0 || value[0] != byHouse || vault.Ref(key[1:]) == (vault.Ref{}) {
			return true, ctx.Err()
		}
		c, handle, err := l.fold.readChain(vault.Ref(key[1:]), nil)
		if err == nil && handle == h && c.Erased {
			ref, chain, found = vault.Ref(key[1:]), c, true
		}
		return !found, err
	})
	if err == nil && !found {
		err = vault.ErrNoCustomer
	}
	return ref, chain, err
}

// filedOf is what was filed of a ref below a size, by the rows of its events.
func (l *Log) filedOf(ctx context.Context, ref vault.Ref, size uint64) (filed event.Filed, err error) {
	err = scan(l.fold.db, []byte{tableEvent}, func(key, value []byte) (bool, error) {
		at := binary.BigEndian.Uint64(key[1:])
		r, err := parseEventRow(value)
		if err == nil && r.sealer != byPeriod && r.ref == ref && at < size {
			filed = filed.Add(at)
		}
		return at < size, errors.Join(err, ctx.Err())
	})
	return filed, err
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

// Review is the bundle of a disclosure as it would leave the house, for who is to approve it. It is logged as
// shown. [ErrChanged] if it cannot be made any more as it was prepared.
func (l *Log) Review(ctx context.Context, who Who, number uint64) ([]byte, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	d, err := l.disclosure(number)
	if err != nil {
		return nil, err
	}
	raw, err := l.remake(ctx, d)
	if err != nil {
		return nil, err
	}
	who.Request = string(d.Thread)
	return raw, l.actOn(ctx, who.act(event.KindShown), d, d.Digest)
}

// remake makes the bundle again, and holds it against the digest.
func (l *Log) remake(ctx context.Context, d *Disclosure) ([]byte, error) {
	raw, err := l.plaintext(ctx, d)
	if errors.Is(err, vault.ErrNoCustomer) || err == nil && bundle.Digest(raw) != d.Digest {
		return nil, errors.Join(ErrChanged, err)
	}
	return raw, err
}

// Approve takes in a holder's signature over [Log.Message]. It refuses a key that holds no
// role discloser, a signature that is not of this disclosure, and one key's second approval.
func (l *Log) Approve(ctx context.Context, who Who, number uint64, keyID string, signature []byte) (*Disclosure, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	l.disclosing.Lock()
	defer l.disclosing.Unlock()
	d, err := l.disclosure(number)
	if err != nil {
		return nil, err
	}
	if d.Withdrawn != nil || len(d.Disclosed) > 0 {
		return nil, record.Refuse(record.Conflict, "disclosure %d is %s already", number, d.State())
	}
	a := Approval{By: who.By, KeyID: keyID, At: time.Now().UTC().Truncate(time.Millisecond), Signature: signature}
	if err := l.checkApproval(d, a); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(d.Approved, func(b Approval) bool { return b.KeyID == keyID }) {
		return nil, record.Refuse(record.Conflict, "the key %s has approved disclosure %d: another holder's is needed", keyID, number)
	}
	who.Request = string(d.Thread)
	if err := l.actOn(ctx, who.act(event.KindApproved), d, d.Digest); err != nil {
		return nil, err
	}
	d.Approved = append(d.Approved, a)
	return d, l.putDisclosure(d)
}

func (l *Log) checkApproval(d *Disclosure, a Approval) error {
	for _, k := range l.config.Disclosers {
		if k.ID() != a.KeyID {
			continue
		}
		if err := k.Verify(l.Message(d), a.Signature); err != nil {
			return record.Refuse(record.Forbidden, "the signature is not that of the key %s over disclosure %d with the digest %s: look at it again, and sign anew", a.KeyID, d.Number, d.Digest)
		}
		return nil
	}
	return record.Refuse(record.Forbidden, "the key %s does not hold the role discloser", a.KeyID)
}

// HandOut encrypts an approved bundle to the request's recipient, and returns the file and its
// SHA-256, which the public disclosure-receipt names. It logs that it left the house before it
// returns it. Handed out again it is another file with the same content.
func (l *Log) HandOut(ctx context.Context, who Who, number uint64) (file []byte, digest string, err error) {
	if err := l.begin(); err != nil {
		return nil, "", err
	}
	defer l.end()
	l.disclosing.Lock()
	defer l.disclosing.Unlock()
	d, err := l.disclosure(number)
	if err != nil {
		return nil, "", err
	}
	if err := l.mayLeave(d); err != nil {
		return nil, "", err
	}
	raw, err := l.remake(ctx, d)
	if err != nil {
		return nil, "", err
	}
	if file, err = encrypt(raw, d.Recipient); err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(file)
	digest = hex.EncodeToString(sum[:])
	who.Request = string(d.Thread)
	if err := l.actOn(ctx, who.act(event.KindDisclosed), d, digest); err != nil {
		return nil, "", err
	}
	d.Disclosed = append(d.Disclosed, Handed{By: who.By, At: time.Now().UTC().Truncate(time.Millisecond), Digest: digest})
	if err := l.putDisclosure(d); err != nil {
		return nil, "", err
	}
	return file, digest, nil
}

// mayLeave counts the approvals that hold today: of keys that are holders' still, each once.
func (l *Log) mayLeave(d *Disclosure) error {
	if d.Withdrawn != nil {
		return record.Refuse(record.Conflict, "disclosure %d was withdrawn", d.Number)
	}
	holders := make(map[string]bool)
	for _, a := range d.Approved {
		if l.checkApproval(d, a) == nil {
			holders[a.KeyID] = true
		}
	}
	if len(holders) < Approvals {
		return record.Refuse(record.Conflict, "disclosure %d has %d of %d approvals: docket customers approve %d, by another holder of the role discloser", d.Number, len(holders), Approvals, d.Number)
	}
	return nil
}

func encrypt(raw []byte, recipient string) ([]byte, error) {
	recipients, err := vault.ParseRecipients([]byte(recipient), nil)
	if err != nil || len(recipients) != 1 {
		return nil, errors.Join(errors.New("the request's recipient is not to be read"), err)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipients[0].Recipient)
	if err == nil {
		_, err = w.Write(raw)
	}
	if err == nil {
		err = w.Close()
	}
	return out.Bytes(), err
}

// Withdraw says that a disclosure is not to leave the house. What left it already does not come back.
func (l *Log) Withdraw(ctx context.Context, who Who, number uint64) (*Disclosure, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	l.disclosing.Lock()
	defer l.disclosing.Unlock()
	d, err := l.disclosure(number)
	if err != nil {
		return nil, err
	}
	if state := d.State(); state == "withdrawn" || state == "disclosed" {
		return nil, record.Refuse(record.Conflict, "disclosure %d is %s already", number, state)
	}
	who.Request = string(d.Thread)
	if err := l.actOn(ctx, who.act(event.KindWithdrawn), d, d.Digest); err != nil {
		return nil, err
	}
	d.Withdrawn = &Handed{By: who.By, At: time.Now().UTC().Truncate(time.Millisecond), Reason: who.Reason}
	return d, l.putDisclosure(d)
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
	value, err := get(l.fold.db, numberKey(tableDisclosure, number))
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
