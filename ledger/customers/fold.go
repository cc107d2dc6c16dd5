package customers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// item is what the engine appends: an event, a leaf that fills up, or the last of a period.
type item struct {
	id     ledger.ID
	who    *identity
	event  *event.Prepared
	period *periodRow
}

// itemRefusal is an error that concerns one item alone, so that the log goes on for others: the
// vault was locked while it waited, or what lies on the disk of this one customer is damaged.
type itemRefusal struct{ error }

func (e itemRefusal) Unwrap() error { return e.error }

// RefusesItem says that the error is of one item (ledger.Refusal).
func (itemRefusal) RefusesItem() {}

// fold is the ledger.Fold of the customer log, over data/ and the key store.
type fold struct {
	db         *disk.DB
	vault      *vault.Vault
	keys       *vault.Store
	identities *identities
	scope      event.Scope
	origin     string
	policy     *proof.Policy

	states  *states // of customers with events of late
	changes changes

	// Of the sequencer: the engine calls what uses them one at a time.
	judged  *draft               // the newest draft: what the store is extended by is its
	data    ledger.Head          // how far data/ has come
	search  ledger.Head          // how far the key store's search rows have
	keyless map[vault.Ref]uint64 // whose keys a replay did not find, and the leaf
	// searchable is the key store's cursor on the disk. It waits where a key was not found, so
	// that what an opening refuses the next one looks at again.
	searchable vault.Cursor
	erased     []vault.Ref // whom a replay saw erased
}

var _ ledger.Fold[item] = (*fold)(nil)

func noCompression() *sstable.CompressionProfile { return sstable.NoCompression }

func separateEvents() pebble.ValueSeparationPolicy {
	return pebble.ValueSeparationPolicy{Enabled: true, MinimumSize: 128, MaxBlobReferenceDepth: 16, RewriteMinimumAge: time.Hour, TargetGarbageRatio: 1}
}

func openFold(c Config, ids *identities) (f *fold, err error) {
	text := ""
	for _, s := range c.Signers {
		text += "log " + s.Key().String() + "\n"
	}
	policy, err := proof.ParsePolicy([]byte(text + "quorum none\n"))
	if err != nil {
		return nil, err
	}
	f = &fold{vault: c.Vault, keys: c.Keys, identities: ids, scope: event.NewScope(c.Ledger, c.Party), origin: c.Origin,
		policy: policy, states: newStates(), keyless: make(map[vault.Ref]uint64)}
	if f.db, err = openData(c); err != nil {
		return nil, err
	}
	row, err := f.db.Row(metaCursor)
	if err == nil {
		f.data, err = decodeHead(row)
	}
	if err != nil {
		return f, err
	}
	cursor, err := f.keys.Cursor()
	if err != nil {
		return f, err
	}
	f.searchable = cursor
	f.search = ledger.Head{Size: cursor.Size, Root: cursor.Root}
	if cursor.Size == 0 {
		f.search.Root = proof.EmptyRoot()
	}
	return f, nil
}

// dropStaged drops what was staged for leaves that never came.
func (f *fold) dropStaged(head ledger.Head) error {
	if ahead := max(f.data.Size, f.search.Size); ahead > head.Size {
		return fmt.Errorf("%w: it holds %d leaves, and what was derived from it, %d", ledger.ErrRollback, head.Size, ahead)
	}
	if _, err := f.keys.Unstage(head.Size); err != nil {
		return err
	}
	return f.db.DeleteRange(numberKey(tableEvent, head.Size), []byte{tableEvent + 1}, pebble.Sync)
}

// forget drops what is remembered of customers.
func (f *fold) forget() {
	f.states.forget()
	f.changes.forget()
}

// ID implements [ledger.Fold].
func (f *fold) ID(it item) ledger.ID { return it.id }

// Cursor implements [ledger.Fold]: of the two the older one. Replay leaves out what the other
// has already.
func (f *fold) Cursor() ledger.Head {
	if f.search.Size < f.data.Size {
		return f.search
	}
	return f.data
}

// Lookup implements [ledger.Fold].
func (f *fold) Lookup(id ledger.ID) (uint64, bool, error) {
	row, err := f.db.Row(append([]byte{tableID}, id[:idBytes]...))
	if err != nil || len(row) != 8 {
		return 0, false, err
	}
	return binary.BigEndian.Uint64(row), true, nil
}

// IDs implements [ledger.Fold].
func (f *fold) IDs(yield func(ledger.ID) error) error {
	return scan(f.db, []byte{tableID}, func(key, _ []byte) (bool, error) {
		var id ledger.ID
		copy(id[:], key[1:])
		return true, yield(id)
	})
}

// Policy implements [ledger.Fold]: the log's own keys.
func (f *fold) Policy(uint64) (*proof.Policy, uint64, error) { return f.policy, 0, nil }

// AdmittedAt implements [ledger.Fold]. A leaf does not say when it was logged; what was staged
// with it does.
func (f *fold) AdmittedAt([]byte) (time.Time, error) {
	row, err := f.db.Row(metaClock)
	if err != nil || row == nil {
		return time.Time{}, err
	}
	if len(row) != 8 {
		return time.Time{}, fmt.Errorf("%w: a clock of %d bytes", ledger.ErrCorrupt, len(row))
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(row))).UTC(), nil
}

// Begin implements [ledger.Fold].
func (f *fold) Begin(admitted time.Time) ledger.Draft[item] {
	return f.draft(nil, f.data.Size, admitted)
}

func (f *fold) draft(on *draft, base uint64, admitted time.Time) *draft {
	d := &draft{fold: f, on: on, base: base, next: base, logged: admitted, customers: make(map[vault.Ref]*touched), changes: f.db.NewBatch()}
	f.judged = d
	return d
}

// draft is events judged one on another, and what they change.
type draft struct {
	fold   *fold
	on     *draft // the one below, if the fold had not taken it in when this one was begun
	base   uint64 // leaf index of the first entry
	next   uint64 // and of the next one
	logged time.Time

	staged    []stagedRow // to be durable before the entries are
	fresh     []vault.New // likewise: customers whose first event is here
	customers map[vault.Ref]*touched
	rows      []vault.Rows
	changes   *pebble.Batch // derived rows, but for those of customers
}

type stagedRow struct {
	index uint64
	value []byte
}

// touched is a customer with events in a draft.
type touched struct {
	state
	who         *identity
	lifeChanged bool
}

// Next implements [ledger.Draft].
func (d *draft) Next(admitted time.Time) ledger.Draft[item] {
	d.on = nil // it has advanced, and nobody judges into d any more
	return d.fold.draft(d, d.next, admitted)
}

// Judge implements [ledger.Draft].
func (d *draft) Judge(it item) (entry []byte, err error) {
	defer func() {
		if errors.Is(err, vault.ErrLocked) || errors.Is(err, ledger.ErrCorrupt) || disk.Damaged(err) {
			err = itemRefusal{err}
		}
	}()
	switch {
	case it.event != nil:
		return d.judgeEvent(it)
	case it.period != nil:
		return d.judgePeriod(*it.period)
	}
	salt, err := d.fold.vault.Pad(d.next)
	if err != nil {
		return nil, err
	}
	leaf := d.fold.scope.LeafOf(event.PadOpening(salt, d.next))
	d.next++
	return leaf, nil
}

func (d *draft) judgePeriod(p periodRow) ([]byte, error) {
	salt, err := d.fold.vault.Pad(d.next)
	if err != nil {
		return nil, err
	}
	p.ClosedAt = d.logged
	row, err := d.fold.sealPeriod(d.next, p)
	if err != nil {
		return nil, err
	}
	if err := d.takePeriod(d.next, p); err != nil {
		return nil, err
	}
	d.staged = append(d.staged, stagedRow{d.next, row})
	d.next++
	return d.fold.scope.LeafOf(event.MapOpening(salt, p.MapRoot)), nil
}

func (d *draft) judgeEvent(it item) ([]byte, error) {
	was, err := d.state(it.who)
	if err != nil {
		return nil, err
	}
	e := it.event
	e.Logged, e.Number, e.Before = d.logged, was.Leaves, was.Last
	next, err := d.fold.apply(was, it.who, e.Event, d.next)
	if err != nil {
		return nil, err
	}
	row, err := d.fold.seal(d.next, it.who, e)
	if err != nil {
		return nil, err
	}
	if was.Leaves == 0 && it.who.handle != event.House {
		d.fresh = append(d.fresh, vault.New{Customer: vault.Customer{Ref: it.who.ref, Handle: vault.Handle(it.who.handle), Key: it.who.key}, Account: it.who.account})
	}
	d.staged = append(d.staged, stagedRow{d.next, row})
	leaf := e.Leaf()
	if err := d.take(d.next, it.who, e.Event, next, it.id); err != nil {
		return nil, err
	}
	d.next++
	return leaf, nil
}

// state is the customer's newest, with the life if it is at hand.
func (d *draft) state(who *identity) (state, error) {
	for below := d; below != nil; below = below.on {
		if t := below.customers[who.ref]; t != nil {
			return t.state, nil
		}
	}
	return d.fold.state(who)
}

// state is the customer's newest that the fold has taken in.
func (f *fold) state(who *identity) (s state, err error) {
	if s, ok := f.states.get(who.ref); ok {
		return s, nil
	}
	s.Chain, _, err = f.readChain(who.ref, who)
	return s, err
}

// apply is the state after an event. The life is loaded where the event needs it.
func (f *fold) apply(was state, who *identity, e *event.Event, index uint64) (next state, err error) {
	if e.Kind == event.KindAccess || e.Kind.OfHouse() {
		next.life, next.from = was.life, was.from
		next.Chain, err = was.Chain.Apply(e, index)
		return next, err
	}
	if was.life == nil {
		if was.life, err = f.readLife(who); err != nil {
			return next, err
		}
	}
	after, err := event.State{Handle: who.handle, Chain: was.Chain, Life: *was.life}.Apply(e, index)
	if err != nil {
		return next, err
	}
	return state{after.Chain, &after.Life, was.from}, nil
}

// take notes what an event at an index changes.
func (d *draft) take(index uint64, who *identity, e *event.Event, next state, id ledger.ID) error {
	t := d.customers[who.ref]
	if t == nil {
		t = &touched{who: who}
		d.customers[who.ref] = t
	}
	t.lifeChanged = t.lifeChanged || e.Kind != event.KindAccess && !e.Kind.OfHouse()
	if c, ok := e.Content.(*event.Access); ok && next.from.add(c.IP) {
		d.rows = append(d.rows, vault.Rows{Ref: who.ref, Terms: []vault.Term{{Kind: vault.IP, Text: c.IP.String()}}})
	}
	t.state = next
	var err error
	if !e.Kind.OfHouse() && e.Kind != event.KindErased {
		key := append([]byte{tableID}, id[:idBytes]...)
		err = d.changes.Set(key, binary.BigEndian.AppendUint64(nil, index), nil)
	}
	switch content := e.Content.(type) {
	case *event.Opened, *event.Changed:
		d.rows = append(d.rows, vault.Rows{Ref: who.ref, Account: next.life.Customer.Account, Terms: termsOf(&next.life.Customer)})
	case *event.Erased:
		err = errors.Join(err, d.changes.Set(refKey(tableErasing, who.ref), nil, nil))
	case *event.Act:
		if content.What == event.KindPublished && content.Size != nil {
			err = errors.Join(err, d.changes.Set(numberKey(tableRecord, uint64(*content.Size)), content.Record[:], nil))
		}
	}
	return err
}

func (d *draft) takePeriod(index uint64, p periodRow) error {
	return d.changes.Set(numberKey(tablePeriod, p.Number), binary.BigEndian.AppendUint64(nil, index), nil)
}

// Advance implements [ledger.Draft].
func (d *draft) Advance(head ledger.Head) error { return d.advance(head, true, true) }

// advance writes what is derived: to data/, to the search rows, or to both.
func (d *draft) advance(head ledger.Head, data, search bool) error {
	f := d.fold
	defer d.changes.Close()
	if data {
		refs := make([]vault.Ref, 0, len(d.customers))
		for ref := range d.customers {
			refs = append(refs, ref)
		}
		slices.SortFunc(refs, func(a, b vault.Ref) int { return slices.Compare(a[:], b[:]) })
		for _, ref := range refs {
			if err := f.putCustomer(d.changes, d.customers[ref]); err != nil {
				return err
			}
		}
		if err := d.changes.Set(metaCursor, encodeHead(head), nil); err != nil {
			return err
		}
		if err := f.db.Apply(d.changes, pebble.NoSync); err != nil {
			return err
		}
		for ref, t := range d.customers {
			f.states.put(ref, t.state)
			f.changes.note(ref)
		}
		f.data = head
	}
	if search {
		if len(f.keyless) == 0 {
			f.searchable = vault.Cursor{Size: head.Size, Root: head.Root}
		}
		if err := f.keys.Advance(f.searchable, d.rows); err != nil {
			return err
		}
		f.search = head
	}
	return nil
}

func (f *fold) putCustomer(b *pebble.Batch, t *touched) error {
	row, err := f.sealChain(t.who, t.Chain)
	if err != nil {
		return err
	}
	if err := b.Set(refKey(tableChain, t.who.ref), row, nil); err != nil {
		return err
	}
	switch {
	case t.Erased:
		return b.Delete(refKey(tableLife, t.who.ref), nil)
	case t.lifeChanged:
		if row, err = f.sealLife(t.who, t.life); err != nil {
			return err
		}
		return b.Set(refKey(tableLife, t.who.ref), row, nil)
	}
	return nil
}

// store stages what belongs to the entries before it extends the log by them.
type store struct {
	ledger.Store
	fold *fold
}

// Extend implements [ledger.Store].
func (s store) Extend(ctx context.Context, x ledger.Extension) error {
	if err := s.fold.stage(x); err != nil {
		return fmt.Errorf("staging the events [%d, %d): %w", x.Old.Size, x.New.Size, err)
	}
	return s.Store.Extend(ctx, x)
}

// stage makes the newest draft's keys and events durable.
func (f *fold) stage(x ledger.Extension) error {
	d := f.judged
	if d == nil || d.base != x.Old.Size || d.next != x.New.Size {
		return errors.New("they are not those that were judged last")
	}
	if err := f.keys.Stage(x.Old.Size, d.fresh); err != nil {
		return err
	}
	b := f.db.NewBatch()
	defer b.Close()
	for _, r := range d.staged {
		if err := b.Set(numberKey(tableEvent, r.index), r.value, nil); err != nil {
			return err
		}
	}
	if err := b.Set(metaClock, binary.BigEndian.AppendUint64(nil, uint64(d.logged.UnixMilli())), nil); err != nil {
		return err
	}
	return f.db.Apply(b, pebble.Sync)
}

// termsOf are what a customer is found by.
func termsOf(o *event.Opened) (terms []vault.Term) {
	add := func(kind vault.Kind, texts ...string) {
		for _, text := range texts {
			if text != "" {
				terms = append(terms, vault.Term{Kind: kind, Text: text})
			}
		}
	}
	add(vault.Name, o.Name)
	add(vault.Email, o.Email...)
	add(vault.Phone, o.Telephone...)
	for _, ip := range o.IP {
		add(vault.IP, ip.String())
	}
	add(vault.Number, o.RegistrationNumber, o.LEI)
	for _, w := range o.Owners {
		add(vault.Name, w.Name)
		add(vault.Email, w.Email...)
		add(vault.Phone, w.Telephone...)
	}
	return terms
}

// states are customers' newest states.
type states struct {
	mu  sync.Mutex
	lru *lru.LRU[vault.Ref, state]
}

const maxStates = 1 << 15

func newStates() *states {
	cache, _ := lru.NewLRU[vault.Ref, state](maxStates, nil) // fails of a size of 0 alone
	return &states{lru: cache}
}

func (s *states) get(ref vault.Ref) (state, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lru.Get(ref)
}

func (s *states) put(ref vault.Ref, st state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru.Add(ref, st)
}

func (s *states) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lru.Purge()
}

var _ ledger.Refusal = (*record.Refusal)(nil) // otherwise one would stop the log
