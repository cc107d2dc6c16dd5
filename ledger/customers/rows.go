package customers

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// The rows of data/. Numbers are big-endian; what is sealed is bound to the log, its table, and
// what its key says ([sealedFor]).
//
//	e index     → sealer (1) ‖ ref ‖ sealed event; of a period's last leaf, sealer ‖ zeros ‖ sealed period
//	c ref       → sealer ‖ sealed chain; of an erased customer and of the house the handle before it
//	s ref       → the customer's sealed life, in JSON
//	i hash (16) → index: the event by the provider's own ID
//	p number    → index of a period's last leaf
//	k number    → the period's signed checkpoint
//	r size      → record ID of the public record of a period of that size
//	x ref       → nothing: the customer is erased, and the key is to be destroyed
//	d number    → a sealed disclosure: what was asked, its digest, who approved; not the bundle
//	m name      → of the data themselves
//
// The rows e, k, d, mformat and mclock are synced before what rests on them; the others are
// derived, and mcursor says how far.
const (
	tableEvent      = 'e'
	tableChain      = 'c'
	tableLife       = 's'
	tableID         = 'i'
	tablePeriod     = 'p'
	tableNote       = 'k'
	tableRecord     = 'r'
	tableErasing    = 'x'
	tableDisclosure = 'd'
	tableMeta       = 'm'
)

var (
	metaFormat = []byte("mformat") // format (1)
	metaCursor = []byte("mcursor") // size (8), root (32)
	metaClock  = []byte("mclock")  // when the newest staged event was logged, in milliseconds (8)
)

const dataFormat = 1

// Who sealed a row.
const (
	byCustomer = 1 // the customer's own key
	byHouse    = 2 // the vault's house key
	byPeriod   = 3 // likewise, a period's last leaf
)

// openData opens data/.
func openData(c Config) (*disk.DB, error) {
	dir := c.FS.PathJoin(c.Dir, "data")
	if err := disk.MakeDir(c.FS, dir, 0o700); err != nil {
		return nil, err
	}
	db, err := disk.Open(disk.Options{
		FS: c.FS, Dir: dir, Name: "customers' data", Health: c.Health,
		Remedy: "bring back a backup of the customer log's directory, and send again what the provider's systems logged since",
		Tune: func(p *pebble.Options) {
			p.CacheSize = 64 << 20
			p.MemTableSize = 32 << 20
			p.MemTableStopWritesThreshold = 4
			p.L0CompactionThreshold = 8
			p.L0StopWritesThreshold = 64
			p.CompactionConcurrencyRange = func() (int, int) { return 1, 2 }
			for i := range p.Levels { // found one by one, and what is sealed does not compress
				p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
				p.Levels[i].Compression = noCompression
			}
			p.Experimental.ValueSeparationPolicy = separateEvents
			p.Experimental.SpanPolicyFunc = func(start []byte) (pebble.SpanPolicy, []byte, error) {
				if len(start) > 0 && start[0] == tableEvent {
					return pebble.SpanPolicy{}, []byte{tableEvent + 1}, nil
				}
				return pebble.SpanPolicy{ValueStoragePolicy: pebble.ValueStorageLowReadLatency}, nil, nil
			}
		},
	})
	if err != nil {
		return nil, err
	}
	format, err := db.Row(metaFormat)
	switch {
	case err != nil:
	case format == nil:
		err = db.Set(metaFormat, []byte{dataFormat}, pebble.Sync)
	case len(format) != 1 || format[0] != dataFormat:
		err = fmt.Errorf("the customers' data are of another format than %d: upgrade docket", dataFormat)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func numberKey(table byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{table}, n)
}

func refKey(table byte, ref vault.Ref) []byte { return append([]byte{table}, ref[:]...) }

// sealedFor is what is sealed along: another log's row, or another place's, does not open.
func sealedFor(origin string, table byte, ref vault.Ref, number uint64) []byte {
	b := append(make([]byte, 0, 64+len(origin)), "docket-customer-row/v1\n"...)
	b = append(append(b, origin...), '\n', table)
	b = append(b, ref[:]...)
	return binary.BigEndian.AppendUint64(b, number)
}

// errRow is damage: a row that is not what it must be.
func errRow(what string, err error) error {
	if errors.Is(err, vault.ErrLocked) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ledger.ErrCorrupt, what, err)
}

// eventRow is a row of the event table.
type eventRow struct {
	sealer byte
	ref    vault.Ref
	sealed []byte
}

const eventRowHeader = 1 + len(vault.Ref{})

func parseEventRow(value []byte) (r eventRow, err error) {
	if len(value) < eventRowHeader || value[0] < byCustomer || value[0] > byPeriod {
		return r, errors.New("a row of another form")
	}
	return eventRow{value[0], vault.Ref(value[1:eventRowHeader]), value[eventRowHeader:]}, nil
}

// seal makes the row of an event at an index.
func (f *fold) seal(index uint64, who *identity, e *event.Prepared) (row []byte, err error) {
	key, sealer := who.key, byte(byCustomer)
	if e.Kind == event.KindErased || who.handle == event.House {
		sealer = byHouse
		if key, err = f.vault.House(); err != nil {
			return nil, err
		}
	}
	plain := e.Append(make([]byte, 0, 256))
	row = append(append(make([]byte, 0, len(plain)+64), sealer), who.ref[:]...)
	return key.Seal(row, plain, sealedFor(f.origin, tableEvent, who.ref, index))
}

// open opens the event of a row; who is its customer, if the row is sealed by that one's key.
func (f *fold) open(index uint64, r eventRow, who *identity) (*event.Event, error) {
	var handle event.Handle
	key, err := f.vault.House()
	if r.sealer == byCustomer {
		key, handle = who.key, who.handle
	}
	if err != nil {
		return nil, err
	}
	plain, err := key.Open(nil, r.sealed, sealedFor(f.origin, tableEvent, r.ref, index))
	if err == nil {
		var e *event.Event
		if e, err = event.Parse(plain, handle); err == nil {
			return e, nil
		}
	}
	return nil, errRow(fmt.Sprintf("the event at leaf %d", index), err)
}

// readEvent reads and opens one event.
func (f *fold) readEvent(index uint64) (*event.Event, *identity, error) {
	value, err := f.db.Row(numberKey(tableEvent, index))
	if err != nil {
		return nil, nil, err
	}
	if value == nil {
		return nil, nil, fmt.Errorf("%w: leaf %d has no event", ledger.ErrCorrupt, index)
	}
	r, err := parseEventRow(value)
	if err != nil {
		return nil, nil, errRow(fmt.Sprintf("the event at leaf %d", index), err)
	}
	who, err := f.identityOf(r)
	if err != nil {
		return nil, nil, err
	}
	e, err := f.open(index, r, who)
	return e, who, err
}

// identityOf is whose event a row is.
func (f *fold) identityOf(r eventRow) (*identity, error) {
	if r.sealer == byCustomer {
		return f.identities.of(f.keys, r.ref)
	}
	who, err := house(f.vault)
	if err == nil {
		who.ref = r.ref
	}
	return who, err
}

// state is a customer as the log knows one, with as much of the life as is loaded.
type state struct {
	event.Chain
	life *event.Life // nil while it is not loaded
	from addresses   // of late accesses, which are found by them already
}

// addresses are the latest ones, in no order; in memory alone.
type addresses [8]netip.Addr

// add says whether an address is new, and puts it in the place of another.
func (a *addresses) add(ip netip.Addr) bool {
	if slices.Contains(a[:], ip) {
		return false
	}
	copy(a[1:], a[:])
	a[0] = ip
	return true
}

// readChain reads a customer's chain; of one that is not there it is the empty one. The
// handle is that of the row, where the customer is erased.
func (f *fold) readChain(ref vault.Ref, who *identity) (c event.Chain, h event.Handle, err error) {
	value, err := f.db.Row(refKey(tableChain, ref))
	if err != nil || value == nil {
		return c, h, err
	}
	key, erased := (*vault.Key)(nil), false
	switch {
	case value[0] == byHouse:
		key, err = f.vault.House()
		erased = true
	case who == nil:
		return c, h, fmt.Errorf("%w: the key of customer %s is gone, and no event says that it was erased", ledger.ErrCorrupt, ref)
	default:
		key, h = who.key, who.handle
	}
	if err != nil {
		return c, h, err
	}
	plain, err := key.Open(nil, value[1:], sealedFor(f.origin, tableChain, ref, 0))
	if err != nil {
		return c, h, errRow("the chain of customer "+ref.String(), err)
	}
	if erased {
		if len(plain) < len(h) {
			return c, h, errRow("the chain of customer "+ref.String(), errors.New("too short"))
		}
		h, plain = event.Handle(plain[:len(h)]), plain[len(h):]
	}
	if c, err = event.ParseChain(plain); err != nil {
		return c, h, errRow("the chain of customer "+ref.String(), err)
	}
	return c, h, nil
}

func (f *fold) sealChain(who *identity, c event.Chain) (row []byte, err error) {
	key, plain := who.key, []byte(nil)
	row = []byte{byCustomer}
	if c.Erased || who.handle == event.House {
		if key, err = f.vault.House(); err != nil {
			return nil, err
		}
		row[0], plain = byHouse, append(plain, who.handle[:]...)
	}
	return key.Seal(row, c.Append(plain), sealedFor(f.origin, tableChain, who.ref, 0))
}

// readLife reads what is known of a customer.
func (f *fold) readLife(who *identity) (*event.Life, error) {
	life := new(event.Life)
	value, err := f.db.Row(refKey(tableLife, who.ref))
	if err != nil || value == nil {
		return life, err
	}
	plain, err := who.key.Open(nil, value, sealedFor(f.origin, tableLife, who.ref, 0))
	if err == nil {
		err = json.Unmarshal(plain, life)
	}
	if err != nil {
		return nil, errRow("what is known of customer "+who.ref.String(), err)
	}
	return life, nil
}

func (f *fold) sealLife(who *identity, life *event.Life) ([]byte, error) {
	plain, err := json.Marshal(life)
	if err != nil {
		return nil, err
	}
	return who.key.Seal(nil, plain, sealedFor(f.origin, tableLife, who.ref, 0))
}

// periodRow is what the last leaf of a period has beside it.
type periodRow struct {
	Number    uint64      `json:"number"` // from 1
	Until     record.Date `json:"until"`
	ClosedAt  time.Time   `json:"closedAt"`
	MapRoot   proof.Hash  `json:"-"`
	Root      []byte      `json:"mapRoot"`
	Version   uint64      `json:"version"` // of the map, as package index numbers them
	Customers uint64      `json:"customers"`
	Dummies   uint64      `json:"dummies"`
}

func (f *fold) sealPeriod(index uint64, p periodRow) ([]byte, error) {
	p.Root = p.MapRoot[:]
	plain, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	key, err := f.vault.House()
	if err != nil {
		return nil, err
	}
	row := append([]byte{byPeriod}, make([]byte, len(vault.Ref{}))...)
	return key.Seal(row, plain, sealedFor(f.origin, tableEvent, vault.Ref{}, index))
}

func (f *fold) openPeriod(index uint64, r eventRow) (p periodRow, err error) {
	key, err := f.vault.House()
	if err != nil {
		return p, err
	}
	plain, err := key.Open(nil, r.sealed, sealedFor(f.origin, tableEvent, vault.Ref{}, index))
	if err == nil {
		err = json.Unmarshal(plain, &p)
	}
	if err == nil && copy(p.MapRoot[:], p.Root) != len(p.MapRoot) {
		err = errors.New("its map has no root")
	}
	if err != nil {
		return p, errRow(fmt.Sprintf("the period that ends at leaf %d", index), err)
	}
	return p, nil
}

func encodeHead(h ledger.Head) []byte {
	return append(binary.BigEndian.AppendUint64(nil, h.Size), h.Root[:]...)
}

func decodeHead(b []byte) (h ledger.Head, err error) {
	if b == nil {
		return ledger.Head{Root: proof.EmptyRoot()}, nil
	}
	if len(b) != 8+len(h.Root) {
		return h, fmt.Errorf("%w: a cursor of %d bytes", ledger.ErrCorrupt, len(b))
	}
	return ledger.Head{Size: binary.BigEndian.Uint64(b), Root: proof.Hash(b[8:])}, nil
}

// scan calls yield for the rows of a table from a key on, in order, until it returns false. Key
// and value are the caller's for that call alone.
func scan(db *disk.DB, from []byte, yield func(key, value []byte) (more bool, err error)) (err error) {
	defer db.Rescue(&err)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{from[0] + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		more, err := yield(it.Key(), value)
		if err != nil || !more {
			return err
		}
	}
	return it.Error()
}
