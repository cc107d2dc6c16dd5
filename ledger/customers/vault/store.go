package vault

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

// ErrNoCustomer: nobody is known by it, or who was is erased.
var ErrNoCustomer = errors.New("no such customer")

// Ref stands for a customer on the disk, Handle for the same in the log and in what leaves
// the house. Both are random; only the sealed key joins them.
type (
	Ref    [16]byte
	Handle [16]byte
)

// String is 32 hexadecimal digits.
func (r Ref) String() string { return hex.EncodeToString(r[:]) }

// String is 32 hexadecimal digits.
func (h Handle) String() string { return hex.EncodeToString(h[:]) }

// Customer is a customer's key, and what names stand for them.
type Customer struct {
	Ref    Ref
	Handle Handle
	Key    *Key
}

// NewCustomer makes a customer, at random.
func NewCustomer() Customer {
	c := Customer{Key: NewKey()}
	rand.Read(c.Ref[:])
	rand.Read(c.Handle[:])
	return c
}

// New is a customer to be staged, by the provider's own name if there is one.
type New struct {
	Customer
	Account string
}

// Cursor is how much of the log the search rows are of.
type Cursor struct {
	Size uint64
	Root [32]byte
}

// Rows say what one customer is found by, beside what was said before. To say it again
// changes nothing. A term that cannot be read as its kind has no rows.
type Rows struct {
	Ref     Ref
	Account string // "": none, or as before
	Terms   []Term
}

// Stats are the store's size.
type Stats struct {
	Customers uint64 // with a key
	Bytes     uint64 // on the disk
}

// The tables of the store. Hashes are HMAC-SHA256 under the vault's search key, of a domain's
// byte and a text, cut off at the first bytes: 16 where the row is the answer, 8 where it
// leads to a candidate.
//
//	k ref          -> number of the wrapping key (4) ‖ {key (32) ‖ handle (16)} sealed for "docket customer key" ‖ ref
//	h hash(16)     -> ref, by handle
//	a hash(16)     -> ref, by account
//	b ref H|A hash -> nothing: the h and a rows of a customer
//	s hash(8) ref  -> nothing: the customers who bear a token
//	r ref hash(8)  -> hashes (8 each) of the s rows that a term of the customer made
//	p index ref    -> nothing: staged for entries at or above an index of the log (8)
//	m name         -> of the store itself
const (
	tableKey     = 'k'
	tableHandle  = 'h'
	tableAccount = 'a'
	tableNamed   = 'b'
	tableSearch  = 's'
	tableTerm    = 'r'
	tableStaged  = 'p'
	tableMeta    = 'm'

	shortHash = 8
	longHash  = 16
)

var (
	metaFormat  = []byte("mformat")  // format (4), of which screen.Version (4), mark of the vault (32)
	metaCursor  = []byte("mcursor")  // size (8), root (32)
	metaCount   = []byte("mcount")   // customers (8)
	metaNewest  = []byte("mwrap")    // number of the newest wrapping key that was used (4)
	metaErasing = []byte("merasing") // there while deleted rows may lie in a file
)

const storeFormat = 1

// StoreOptions say which store is opened. FS and Dir are needed.
type StoreOptions struct {
	FS         vfs.FS
	Dir        string
	Health     *disk.Health
	CacheBytes int64 // 64 MiB if zero
	Existing   bool  // do not make it

	tableBytes int64 // of one table; [tableBytes] if zero. A test's few rows are in many tables only where they are small
}

// Store is the key store. Its methods may be called at once by many goroutines; only one of
// them at a time changes it.
type Store struct {
	options StoreOptions
	vault   *Vault

	maintaining sync.Mutex // held by what takes long: erasure, rotation, backup; before writing
	writing     sync.Mutex // held while rows are changed; before mu

	mu sync.RWMutex // held while the database is used, or exclusively while it is opened anew
	db *disk.DB     // nil once closed; guarded by mu

	lately *lru.LRU[borne, struct{}] // whose rows were written lately; guarded by writing
	staged bool                      // there may be rows of staged customers; guarded by writing
	fresh  map[Ref]bool              // staged since the opening, and without rows; guarded by writing
}

// borne is a term that a customer bears, by a hash, so that none is kept in clear.
type borne struct {
	ref Ref
	sum uint64
}

// seed is that of the hashes of [borne].
var seed = maphash.MakeSeed()

func borneBy(ref Ref, t Term) borne {
	return borne{ref, maphash.Comparable(seed, t)}
}

const maxLately = 1 << 15

// OpenStore opens the key store of an unlocked vault, makes it if it may, and finishes an
// erasure that was cut off. [ErrOtherVault] and [ErrRotated] say that vault and store do not
// belong together.
func OpenStore(ctx context.Context, o StoreOptions, v *Vault) (*Store, error) {
	lately, err := lru.NewLRU[borne, struct{}](maxLately, nil)
	if err != nil {
		return nil, err
	}
	s := &Store{options: o, vault: v, lately: lately, staged: true, fresh: make(map[Ref]bool)}
	if _, err := o.FS.Stat(o.Dir); err != nil && !o.Existing {
		if err := disk.MakeDir(o.FS, o.Dir, 0o700); err != nil {
			return nil, err
		}
	}
	if s.db, err = s.openDB(); err != nil {
		return nil, fmt.Errorf("opening the customers' keys in %s: %w", o.Dir, err)
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the customers' keys in %s: %w", o.Dir, err), s.Close())
	}
	return s, nil
}

func (s *Store) openDB() (*disk.DB, error) {
	return disk.Open(disk.Options{
		FS: s.options.FS, Dir: s.options.Dir, Name: "customers' keys", Health: s.options.Health, Existing: s.options.Existing,
		Remedy: "bring back a backup of the customers' keys: docket customers restore-keys",
		Tune: func(p *pebble.Options) {
			if p.CacheSize = s.options.CacheBytes; p.CacheSize <= 0 {
				p.CacheSize = 64 << 20
			}
			p.MemTableSize = 16 << 20
			p.MemTableStopWritesThreshold = 4
			p.L0CompactionThreshold = 8
			p.L0StopWritesThreshold = 64
			p.CompactionConcurrencyRange = func() (int, int) { return 1, 2 }
			// What is erased must not lie compressed, where a look for it does not find it. The last
			// level has no filters: what is looked for there is there, and they are large.
			for i := range p.Levels {
				p.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
				if i < len(p.Levels)-1 {
					p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
				}
			}
			for i := range p.TargetFileSizes {
				p.TargetFileSizes[i] = cmp.Or(s.options.tableBytes, tableBytes)
			}
			p.MaxOpenFiles = maxOpenTables
		},
	})
}

// The smaller a table is, the less is rewritten for one row that is to go: of each level the table
// in which it lies, and those of the next one that overlap it, some ten. A million customers
// are some gigabytes.
const (
	tableBytes    = 512 << 10
	maxOpenTables = 4_000
)

// begin checks that the store is of this vault and format, and finishes what was cut off.
func (s *Store) begin(ctx context.Context) error {
	mark, newest, err := s.vault.identify()
	if err != nil {
		return err
	}
	row := binary.BigEndian.AppendUint32(nil, storeFormat)
	row = append(binary.BigEndian.AppendUint32(row, screen.Version), mark[:]...)
	old, err := s.get(metaFormat)
	switch {
	case err != nil:
		return err
	case old == nil:
		if err := s.apply(pebble.Sync, func(b *pebble.Batch) error { return b.Set(metaFormat, row, nil) }); err != nil {
			return err
		}
	case len(old) != len(row) || !bytes.Equal(old[:4], row[:4]):
		return fmt.Errorf("a key store of another version; this Docket reads version %d", storeFormat)
	case subtle.ConstantTimeCompare(old[8:], mark[:]) != 1:
		return fmt.Errorf("it is %w; bring back the vault file that belongs to it", ErrOtherVault)
	case !bytes.Equal(old, row):
		// Names are found by other keys than before: the log's replay makes the rows anew.
		err := s.apply(pebble.Sync, func(b *pebble.Batch) error {
			return errors.Join(deleteTable(b, tableSearch), deleteTable(b, tableTerm), b.Delete(metaCursor, nil), b.Set(metaErasing, nil, nil), b.Set(metaFormat, row, nil))
		})
		if err != nil {
			return err
		}
	}
	wraps, err := s.get(metaNewest)
	if err != nil {
		return err
	}
	if len(wraps) == 4 && binary.BigEndian.Uint32(wraps) > newest {
		return fmt.Errorf("%w: keys are wrapped by key %d, and the vault file has keys up to %d; bring back the newest vault file", ErrRotated, binary.BigEndian.Uint32(wraps), newest)
	}
	return s.Erase(ctx)
}

// identify is what tells the vault from others, and the number of the key that wraps.
func (v *Vault) identify() (mark [32]byte, newest uint32, err error) {
	err = v.with(func(o *opened) { mark, newest = v.mark, o.secrets.newest() })
	return mark, newest, err
}

// Close closes the store. Later calls answer an error.
func (s *Store) Close() error {
	s.maintaining.Lock()
	defer s.maintaining.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	s.db = nil
	return err
}

var errClosed = errors.New("the customers' keys are closed")

// read calls f with the database, whose files stay as they are meanwhile.
func (s *Store) read(f func(db *disk.DB) error) (err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return errClosed
	}
	defer s.db.Rescue(&err)
	return f(s.db)
}

// apply commits what f puts into a batch.
func (s *Store) apply(o *pebble.WriteOptions, f func(b *pebble.Batch) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return errClosed
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := f(b); err != nil || b.Empty() {
		return err
	}
	return s.db.Apply(b, o)
}

// get copies a row; nil if there is none.
func (s *Store) get(key []byte) (value []byte, err error) {
	err = s.read(func(db *disk.DB) (err error) { value, err = db.Row(key); return err })
	return value, err
}

// scan calls f for the rows whose keys begin so, in order, until it has no more.
func scan(db *disk.DB, prefix []byte, f func(key, value []byte) (more bool, err error)) (err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: past(prefix)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		more, err := f(it.Key(), it.Value())
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// past is the least key behind all that begin so.
func past(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

func deleteTable(b *pebble.Batch, table byte) error {
	return b.DeleteRange([]byte{table}, []byte{table + 1}, nil)
}

func keyRow(ref Ref) []byte { return append([]byte{tableKey}, ref[:]...) }

func termRows(ref Ref) []byte { return append([]byte{tableTerm}, ref[:]...) }

func namedRows(ref Ref) []byte { return append([]byte{tableNamed}, ref[:]...) }

func searchRow(hash []byte, ref Ref) []byte {
	return append(append([]byte{tableSearch}, hash...), ref[:]...)
}

// Cursor is how much of the log the search rows are of; zero if of nothing yet.
func (s *Store) Cursor() (c Cursor, err error) {
	row, err := s.get(metaCursor)
	if err != nil || row == nil {
		return c, err
	}
	if len(row) != 8+32 {
		return c, fmt.Errorf("%w: a cursor of %d bytes", disk.ErrDamaged, len(row))
	}
	return Cursor{binary.BigEndian.Uint64(row), [32]byte(row[8:])}, nil
}

// Customer opens the key of a customer. [ErrNoCustomer] if there is none, or no more.
func (s *Store) Customer(ref Ref) (Customer, error) {
	row, err := s.get(keyRow(ref))
	if err != nil {
		return Customer{}, err
	}
	if row == nil {
		return Customer{}, ErrNoCustomer
	}
	return s.openKey(ref, row)
}

// openKey opens what putKey has sealed.
func (s *Store) openKey(ref Ref, row []byte) (Customer, error) {
	if len(row) < 4 {
		return Customer{}, fmt.Errorf("%w: a key of %d bytes", disk.ErrDamaged, len(row))
	}
	by, err := s.vault.wrappedBy(binary.BigEndian.Uint32(row))
	if err != nil {
		return Customer{}, err
	}
	raw, err := by.Open(nil, row[4:], keyAD(ref))
	defer clear(raw)
	if err != nil {
		return Customer{}, fmt.Errorf("opening the key of customer %s: %w", ref, err)
	}
	if len(raw) != 32+16 {
		return Customer{}, fmt.Errorf("%w: a key of %d bytes", disk.ErrDamaged, len(raw))
	}
	key := [32]byte(raw)
	return Customer{Ref: ref, Handle: Handle(raw[32:]), Key: keyOf(&key)}, nil
}

// ByHandle is whom a handle stands for. [ErrNoCustomer] if nobody, or nobody any more.
func (s *Store) ByHandle(h Handle) (Ref, error) {
	return s.lookUp(tableHandle, hashHandle, string(h[:]))
}

// ByAccount is whom the provider calls so, newest first. [ErrNoCustomer] as of ByHandle.
func (s *Store) ByAccount(account string) (Ref, error) {
	return s.lookUp(tableAccount, hashOwner, account)
}

func (s *Store) lookUp(table, domain byte, text string) (ref Ref, err error) {
	var row []byte
	err = s.vault.hashes(func(hash func(byte, string) [32]byte) {
		sum := hash(domain, text)
		row = append([]byte{table}, sum[:longHash]...)
	})
	if err != nil {
		return ref, err
	}
	value, err := s.get(row)
	switch {
	case err != nil:
		return ref, err
	case value == nil:
		return ref, ErrNoCustomer
	case len(value) != len(ref):
		return ref, fmt.Errorf("%w: a ref of %d bytes", disk.ErrDamaged, len(value))
	}
	return Ref(value), nil
}

// Refs are those of customers with a key, at most limit, behind one; the zero Ref is before
// all.
func (s *Store) Refs(after Ref, limit int) (refs []Ref, err error) {
	err = s.read(func(db *disk.DB) (err error) {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: append(keyRow(after), 0), UpperBound: []byte{tableKey + 1}})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, it.Close()) }()
		for ok := it.First(); ok && len(refs) < limit; ok = it.Next() {
			if len(it.Key()) != 1+16 {
				return fmt.Errorf("%w: a key's row of %d bytes", disk.ErrDamaged, len(it.Key()))
			}
			refs = append(refs, Ref(it.Key()[1:]))
		}
		return nil
	})
	return refs, err
}

// Stats are the store's size.
func (s *Store) Stats() (stats Stats, err error) {
	err = s.read(func(db *disk.DB) error {
		row, err := db.Row(metaCount)
		if len(row) == 8 {
			stats.Customers = binary.BigEndian.Uint64(row)
		}
		stats.Bytes = db.Metrics().DiskSpaceUsage()
		return err
	})
	return stats, err
}
