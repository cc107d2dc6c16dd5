package customers

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/index"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Period is a closed period: what the log held at its end is fixed once a public record
// names its checkpoint.
type Period struct {
	Number     uint64      // from 1
	Until      record.Date // its last day
	Size       uint64      // leaves, its own last one included
	Root       proof.Hash  // over them
	MapRoot    proof.Hash  // of what is filed under each handle
	Customers  uint64      // handles in the map, erased ones and the house included, dummies not
	ClosedAt   time.Time
	Checkpoint []byte    // the signed note; nil while it could not be signed
	Record     record.ID // of the public record; zero while there is none, as far as the log was told

	row periodRow
}

// step is the ladder on which the log and its map grow from period to period: 1,000 × 2^k,
// so that the growth says no more than its step.
func step(growth uint64) uint64 {
	n := uint64(1000)
	for n < growth {
		n *= 2
	}
	return n
}

// loadPeriods reads the periods that are closed.
func (l *Log) loadPeriods() error {
	var all []Period
	err := scan(l.fold.db, []byte{tablePeriod}, func(_, value []byte) (bool, error) {
		p, err := l.loadPeriod(binary.BigEndian.Uint64(value))
		all = append(all, p)
		return true, err
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.periods = all
	return err
}

func (l *Log) loadPeriod(at uint64) (p Period, err error) {
	value, err := l.fold.db.Row(numberKey(tableEvent, at))
	if err != nil {
		return p, err
	}
	r, err := parseEventRow(value)
	if err != nil {
		return p, errRow(fmt.Sprintf("the period that ends at leaf %d", at), err)
	}
	if p.row, err = l.fold.openPeriod(at, r); err != nil {
		return p, err
	}
	p.Number, p.Until, p.Size, p.MapRoot, p.Customers, p.ClosedAt = p.row.Number, p.row.Until, at+1, p.row.MapRoot, p.row.Customers, p.row.ClosedAt
	if p.Checkpoint, err = l.fold.db.Row(numberKey(tableNote, p.Number)); err != nil {
		return p, err
	}
	if p.Checkpoint != nil {
		cp, _, err := proof.ParseCheckpoint(p.Checkpoint)
		if err != nil || cp.Size != p.Size {
			return p, errRow(fmt.Sprintf("the checkpoint of period %d", p.Number), errors.Join(err, fmt.Errorf("it is of size %d", cp.Size)))
		}
		p.Root = cp.Root
	}
	id, err := l.fold.db.Row(numberKey(tableRecord, p.Size))
	if len(id) == len(p.Record) {
		p.Record = record.ID(id)
	}
	return p, err
}

// Periods are the closed periods, the earliest first.
func (l *Log) Periods() []Period {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.periods)
}

func (l *Log) lastPeriod() Period {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.periods) == 0 {
		return Period{}
	}
	return l.periods[len(l.periods)-1]
}

// mayAppend is nil unless the newest period waits for its checkpoint: whatever came after
// would be below it.
func (l *Log) mayAppend() error {
	if last := l.lastPeriod(); last.Number > 0 && last.Checkpoint == nil {
		return ErrUnpublished
	}
	return nil
}

// finishPeriod signs the newest period's checkpoint, if that was not done, and notes it.
func (l *Log) finishPeriod(ctx context.Context) error {
	last := l.lastPeriod()
	if last.Number == 0 || last.Checkpoint != nil {
		return nil
	}
	if l.engine.PublishedSize() < last.Size {
		if err := l.engine.Publish(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrUnpublished, err)
		}
	}
	published := l.engine.Published()
	if published.Checkpoint().Size != last.Size {
		return fmt.Errorf("%w: the newest period ends at %d, and the checkpoint is of %d leaves", ledger.ErrCorrupt, last.Size, published.Checkpoint().Size)
	}
	if err := l.fold.db.Set(numberKey(tableNote, last.Number), published.Note(), pebble.Sync); err != nil {
		return err
	}
	last.Checkpoint, last.Root = published.Note(), published.Checkpoint().Root
	l.mu.Lock()
	defer l.mu.Unlock()
	l.periods[len(l.periods)-1] = last
	return nil
}

// ClosePeriod ends a period: it fills the log up to the next step of its ladder, fixes by the
// last leaf what is filed under each handle, and signs the checkpoint. Whoever appends waits
// meanwhile. [ErrPeriod] if the day is not after the last period's, or is
// to come; [ErrUnpublished] if all
// is there but the signature: it is tried again by the next call, for whatever day, which
// then returns that period.
func (l *Log) ClosePeriod(ctx context.Context, until record.Date) (Period, error) {
	l.holding.Lock()
	defer l.holding.Unlock()
	if err := l.usable(); err != nil {
		return Period{}, err
	}
	if l.mayAppend() != nil {
		err := l.finishPeriod(ctx)
		return l.lastPeriod(), err
	}
	last := l.lastPeriod()
	if last.Number > 0 && !until.After(last.Until) {
		return Period{}, fmt.Errorf("%w: %s is not after %s, the last day of the period before", ErrPeriod, until, last.Until)
	}
	if today := record.DateOf(time.Now(), time.UTC); until.After(today.AddDays(1)) { // it is tomorrow somewhere
		return Period{}, fmt.Errorf("%w: %s is to come, and today is %s", ErrPeriod, until, today)
	}
	row, err := l.fixMap(ctx, last)
	if err != nil {
		return Period{}, fmt.Errorf("making the map of the period until %s: %w", until, err)
	}
	row.Number, row.Until = last.Number+1, until
	ctx = context.WithoutCancel(ctx) // what is begun is ended
	at, err := l.fillUp(ctx, last.Size, item{id: randomID(), period: &row})
	if err != nil {
		return Period{}, err
	}
	p, err := l.loadPeriod(at)
	if err != nil {
		return Period{}, err
	}
	l.mu.Lock()
	l.periods = append(l.periods, p)
	l.mu.Unlock()
	err = l.finishPeriod(ctx)
	return l.lastPeriod(), err
}

// fillUp appends padding and then the last leaf of a period that began at a size, and returns
// its index.
func (l *Log) fillUp(ctx context.Context, from uint64, end item) (uint64, error) {
	growth := l.engine.Head().Size - from + 1
	for pads := step(growth) - growth; pads > 0; {
		some := make([]item, min(pads, 4096))
		for i := range some {
			some[i].id = randomID()
		}
		results := make([]Result, len(some))
		if err := l.append(ctx, some, results); err != nil {
			return 0, err
		}
		pads -= uint64(len(some))
	}
	result := make([]Result, 1)
	if err := l.append(ctx, []item{end}, result); err != nil {
		return 0, err
	}
	return result[0].Index, result[0].Err
}

// fixMap brings the map to what is filed now, and returns what the period's last leaf has
// beside it. A map that no leaf came to fix is passed over by the next.
func (l *Log) fixMap(ctx context.Context, last Period) (row periodRow, err error) {
	before, err := l.mapAt(last)
	if err != nil {
		return row, err
	}
	refs, err := l.refsSince(ctx, last.Size)
	if err != nil {
		return row, err
	}
	var entries []index.Entry
	fresh := uint64(0)
	for _, ref := range refs {
		if err := ctx.Err(); err != nil {
			return row, err
		}
		h, filed, err := l.filed(ref)
		if err != nil {
			return row, err
		}
		e, err := l.fold.mapEntry(h, filed)
		if err != nil {
			return row, err
		}
		_, known, err := before.Value(e.Key)
		if err != nil {
			return row, err
		}
		if !known {
			fresh++
		}
		entries = append(entries, e)
	}
	if last.Number == 0 {
		e, err := l.fold.saltEntry()
		if err != nil {
			return row, err
		}
		entries = append(entries, e)
	}
	left, err := l.dummiesSince(last)
	if err != nil {
		return row, err
	}
	row.Customers, row.Dummies = last.row.Customers+fresh, last.row.Dummies+step(fresh+left)-fresh
	for n := last.row.Dummies; n < row.Dummies; n++ {
		e, err := l.fold.dummyEntry(n)
		if err != nil {
			return row, err
		}
		entries = append(entries, e)
	}
	row.Version, row.MapRoot = l.maps.Newest().Size(), l.maps.Newest().Root()
	for some := range slices.Chunk(entries, index.MaxUpdate) {
		row.Version++
		if row.MapRoot, err = l.maps.Update(row.Version, some); err != nil {
			return row, err
		}
	}
	return row, nil
}

// dummiesSince is how many dummies an attempt to end the period left in the map, that was cut
// off before its leaf came. Nothing is taken out of a map again: they count from now on, or the
// map would hold more than the period says.
func (l *Log) dummiesSince(last Period) (left uint64, err error) {
	for {
		e, err := l.fold.dummyEntry(last.row.Dummies + left)
		if err != nil {
			return 0, err
		}
		_, there, err := l.maps.Newest().Value(e.Key)
		if err != nil || !there {
			return left, err
		}
		left++
	}
}

// mapAt is the map that a period fixed; before the first the empty one.
func (l *Log) mapAt(p Period) (*index.View, error) {
	v, err := l.maps.At(p.row.Version)
	if err == nil && p.Number > 0 && v.Root() != p.MapRoot {
		err = fmt.Errorf("%w: the map of period %d has the root %s, and the log says %s", ledger.ErrCorrupt, p.Number, v.Root(), p.MapRoot)
	}
	return v, err
}

// refsSince are the customers with events since a size, and the house, each once.
func (l *Log) refsSince(ctx context.Context, size uint64) (refs []vault.Ref, err error) {
	seen := make(map[vault.Ref]bool)
	err = scan(l.fold.db, numberKey(tableEvent, size), func(_, value []byte) (bool, error) {
		r, err := parseEventRow(value)
		if err == nil && r.sealer != byPeriod && !seen[r.ref] {
			seen[r.ref] = true
			refs = append(refs, r.ref)
		}
		return true, errors.Join(err, ctx.Err())
	})
	return refs, err
}

// filed is what is filed under a customer's handle now.
func (l *Log) filed(ref vault.Ref) (event.Handle, event.Filed, error) {
	var who *identity
	if ref != (vault.Ref{}) {
		var err error
		if who, err = l.identities.of(l.config.Keys, ref); err != nil && !errors.Is(err, vault.ErrNoCustomer) {
			return event.Handle{}, event.Filed{}, err
		}
	}
	c, h, err := l.fold.readChain(ref, who)
	return h, c.Filed, err
}

// mapEntry is a handle's entry of the map.
func (f *fold) mapEntry(h event.Handle, filed event.Filed) (e index.Entry, err error) {
	if e.Key, err = f.mapKey(h); err != nil {
		return e, err
	}
	o, err := f.filedOpening(h, filed)
	if err == nil {
		e.Value = f.scope.FiledValue(o)
	}
	return e, err
}

func (f *fold) mapKey(h event.Handle) (index.Key, error) {
	salt, err := f.vault.MapSalt()
	if err != nil {
		return index.Key{}, err
	}
	return index.HashedKey(event.MapKey(salt, h)), nil
}

// saltKey is where the map has its own salt.
func saltKey() index.Key {
	k, err := index.NewKey(event.MapSaltName)
	if err != nil {
		panic(err) // one text is a key
	}
	return k
}

// saltEntry is the map's entry of its own salt, there from the first period on.
func (f *fold) saltEntry() (index.Entry, error) {
	salt, err := f.vault.MapSalt()
	return index.Entry{Key: saltKey(), Value: event.MapSaltValue(salt)}, err
}

func (f *fold) filedOpening(h event.Handle, filed event.Filed) (record.Opening, error) {
	salt, err := f.vault.MapHMAC([]byte("filed"), h[:], binary.BigEndian.AppendUint64(nil, filed.Leaves))
	return event.FiledOpening(salt, filed), err
}

// dummyEntry is an entry of the map that stands for nobody.
func (f *fold) dummyEntry(n uint64) (e index.Entry, err error) {
	number := binary.BigEndian.AppendUint64(nil, n)
	key, err := f.vault.MapHMAC([]byte("dummy key"), number)
	if err != nil {
		return e, err
	}
	value, err := f.vault.MapHMAC([]byte("dummy value"), number)
	return index.Entry{Key: index.HashedKey(key), Value: value}, err
}

// Published notes that a public record fixed a period.
func (l *Log) Published(ctx context.Context, who Who, number uint64, id record.ID) error {
	if err := l.begin(); err != nil {
		return err
	}
	defer l.end()
	p, err := l.period(number)
	if err != nil {
		return err
	}
	a, size := who.act(event.KindPublished), int64(p.Size)
	a.Record, a.Size, a.Root, a.Until = id, &size, p.Root.String(), &p.Until
	if _, err := l.act(ctx, a); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.periods[number-1].Record = id
	return nil
}

func (l *Log) period(number uint64) (Period, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if number == 0 || number > uint64(len(l.periods)) {
		return Period{}, fmt.Errorf("%w: there is no period %d; %d are closed", ErrPeriod, number, len(l.periods))
	}
	return l.periods[number-1], nil
}

// Consistency proves that the log of a period's size leads up to that of a later one's.
func (l *Log) Consistency(ctx context.Context, from, to uint64) ([]proof.Hash, error) {
	return l.engine.ConsistencyProof(ctx, from, to)
}

// Proven is an event with the path of its leaf to the root of a period.
type Proven struct {
	Logged
	Leaf []byte
	Path []proof.Hash
}

// Evidence is all that is filed under a handle as of a period, with what proves that it is
// all: whoever makes a disclosure shows as much of it as is asked for.
type Evidence struct {
	Scope     event.Scope
	Period    Period
	Handle    event.Handle
	Events    []Proven        // the earliest first
	Last      Proven          // the period's last leaf; it has no event
	Map       record.Opening  // and its opening: the root of the map
	MapKey    index.Key       // where the handle stands in the map
	MapProof  *index.Proof    // of its value there, or that there is none
	MapSalt   []byte          // of the map's keys
	SaltProof *index.Proof    // that it is this map's
	Filed     *record.Opening // of the value; nil where nothing is filed

	tree *proof.Published // of the period
}

// Evidence gathers what proves which events are filed under a handle as of a period. Whoever
// asks logs what for ([Log.Act]). A handle of which nothing is known has no events, and a proof
// of absence; of an erased customer there is nothing to show: vault.ErrNoCustomer.
func (l *Log) Evidence(ctx context.Context, h event.Handle, period uint64) (*Evidence, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	return l.evidence(ctx, h, period)
}

func (l *Log) evidence(ctx context.Context, h event.Handle, period uint64) (*Evidence, error) {
	ev, err := l.mapEvidence(ctx, period)
	if err != nil {
		return nil, err
	}
	ev.Handle = h
	if there, err := l.proveHandle(ev); err != nil || !there {
		return ev, err
	}
	filed, err := l.proveEvents(ctx, ev)
	if err != nil {
		return nil, err
	}
	o, err := l.fold.filedOpening(h, filed)
	if err != nil {
		return nil, err
	}
	ev.Filed = &o
	value, _, err := ev.MapProof.VerifyKey(ev.Period.MapRoot, ev.MapKey)
	if err == nil && l.fold.scope.FiledValue(o) != value {
		err = fmt.Errorf("%w: the map of period %d files other leaves under %s than the chain has", ledger.ErrCorrupt, ev.Period.Number, h)
	}
	return ev, err
}

// mapEvidence is what does not depend on the handle.
func (l *Log) mapEvidence(ctx context.Context, period uint64) (*Evidence, error) {
	p, err := l.period(period)
	if err != nil {
		return nil, err
	}
	if p.Checkpoint == nil {
		return nil, ErrUnpublished
	}
	ev := &Evidence{Scope: l.fold.scope, Period: p}
	if ev.tree, err = l.fold.policy.Verify(p.Checkpoint, farFuture); err != nil {
		return nil, fmt.Errorf("the checkpoint of period %d: %w", p.Number, err)
	}
	if err := l.proveMap(ctx, ev); err != nil {
		return nil, err
	}
	v, err := l.mapAt(p)
	if err != nil {
		return nil, err
	}
	if ev.MapSalt, err = l.config.Vault.MapSalt(); err != nil {
		return nil, err
	}
	ev.SaltProof, err = v.Prove(saltKey())
	return ev, err
}

// proveHandle proves what the map has of the handle: a value, or none.
func (l *Log) proveHandle(ev *Evidence) (there bool, err error) {
	v, err := l.mapAt(ev.Period)
	if err != nil {
		return false, err
	}
	if ev.MapKey, err = l.fold.mapKey(ev.Handle); err != nil {
		return false, err
	}
	if ev.MapProof, err = v.Prove(ev.MapKey); err != nil {
		return false, err
	}
	_, there, err = v.Value(ev.MapKey)
	return there, err
}

func (l *Log) proveMap(ctx context.Context, ev *Evidence) (err error) {
	at := ev.Period.Size - 1
	salt, err := l.config.Vault.Pad(at)
	if err != nil {
		return err
	}
	ev.Map = event.MapOpening(salt, ev.Period.MapRoot)
	ev.Last, err = l.prove(ctx, ev.tree, Logged{Index: at})
	return err
}

// proveEvents proves all events of the chain below the period's size.
func (l *Log) proveEvents(ctx context.Context, ev *Evidence) (filed event.Filed, err error) {
	for before := ev.Period.Size; ; {
		some, more, err := l.chain(ctx, ev.Handle, before, maxEvents)
		if err != nil {
			return filed, err
		}
		for _, logged := range some {
			p, err := l.prove(ctx, ev.tree, logged)
			if err != nil {
				return filed, err
			}
			ev.Events = append(ev.Events, p)
		}
		if !more {
			break
		}
		before = some[len(some)-1].Index
	}
	slices.Reverse(ev.Events)
	for _, p := range ev.Events {
		filed = filed.Add(p.Index)
	}
	return filed, nil
}

// prove is the inclusion of a leaf in a period's tree.
func (l *Log) prove(ctx context.Context, tree *proof.Published, e Logged) (Proven, error) {
	receipt, err := l.engine.ReceiptAgainst(ctx, e.Index, tree)
	if err != nil {
		return Proven{}, err
	}
	if e.Event != nil && !bytes.Equal(l.fold.scope.Leaf(e.Event), receipt.Entry) {
		return Proven{}, fmt.Errorf("%w: leaf %d is not that of its event", ledger.ErrCorrupt, e.Index)
	}
	return Proven{e, receipt.Entry, receipt.Path}, nil
}

// farFuture is after every cosignature; a log of one's own has none.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
