package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// Store keeps a map on disk, as it was at each size of the log that it is computed from. One
// process has it open. Pebble holds, with numbers big-endian,
//
//	v                        → the format, one byte
//	o                        → the size below which no map is kept
//	r <size>                 → the root of the map of that size
//	n <bits> <path> <size>   → the children of the inner node with that path, as of that size
//
// in which a root or a child is written like a node of a proof, but for an inner node: its
// children are in a row of their own, so that the size of that row and the node's hash follow
// its path. A row is never written again. Since no key is taken out, an inner node's path never
// goes either, and of the rows of one path a map has the last one that is not after its size.
type Store struct {
	db *disk.DB

	updating sync.Mutex // one Update at a time
	pruning  sync.Mutex // one Prune at a time

	mu     sync.Mutex // of what follows
	newest *View
	oldest uint64 // maps below it are not kept
}

const (
	rowFormat = 'v'
	rowOldest = 'o'
	rowRoot   = 'r'
	rowNode   = 'n'
)

// storeFormat is what v says.
const storeFormat = 1

// ErrNotKept: no map of that size is kept. There was none, or [Store.Prune] let it go.
var ErrNotKept = errors.New("no map of that size is kept")

// Options are those of a store. The zero value is good.
type Options struct {
	// CacheBytes is the size of the block cache: 64 MiB if zero.
	CacheBytes int64

	// MemTableBytes is how much is collected in memory before it becomes a file; 16 MiB if
	// zero. Up to four times as much is held while files are written.
	MemTableBytes uint64

	// Health is told of damage and of a full disk, and ends the process when the state of the
	// disk is unknown; nil: a new one.
	Health *disk.Health
}

// Open opens the store in a directory, and makes it if there is none: with the empty map at
// size 0.
func Open(fs vfs.FS, dir string, o Options) (s *Store, err error) {
	if o.CacheBytes <= 0 {
		o.CacheBytes = 64 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 16 << 20
	}
	if err := disk.MakeDir(fs, dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the map's directory %s: %w", dir, err)
	}
	db, err := disk.Open(disk.Options{
		FS: fs, Dir: dir, Name: "index", Health: o.Health,
		Remedy: "move the map's directory away: it is made again from the log's entries",
		Tune: func(p *pebble.Options) {
			p.CacheSize, p.MemTableSize, p.MemTableStopWritesThreshold = o.CacheBytes, o.MemTableBytes, 4
			p.CompactionConcurrencyRange = func() (int, int) { return 1, 2 }
			p.LBaseMaxBytes = 256 << 20 // one level less is rewritten
			for i := range p.TargetFileSizes {
				p.TargetFileSizes[i] = 8 << 20
			}
			for i := range p.Levels { // hashes do not compress
				p.Levels[i].IndexBlockSize = 128 << 10 // of a table one, which stays in the cache
				p.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
				// Rows are found one by one, and each is there: the last level needs no filter, which
				// would push out of the cache what is.
				if i < len(p.Levels)-1 {
					p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
				}
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("opening the map in %s: %w", dir, err)
	}
	s = &Store{db: db}
	if err := s.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the map in %s: %w", dir, err), db.Close())
	}
	return s, nil
}

// begin reads where the store stands, and writes the first rows of a new one.
func (s *Store) begin() (err error) {
	defer s.db.Rescue(&err)
	format, err := s.db.Row([]byte{rowFormat})
	switch {
	case err != nil:
		return err
	case format == nil:
		return s.create()
	case len(format) != 1 || format[0] != storeFormat:
		return fmt.Errorf("it has format %d, and this binary knows %d: move it away, and it is made again from the log's entries", format, storeFormat)
	}
	oldest, err := s.db.Row([]byte{rowOldest})
	if err != nil {
		return err
	}
	if oldest != nil {
		if len(oldest) != 8 {
			return fmt.Errorf("%w: the oldest size has %d bytes", disk.ErrDamaged, len(oldest))
		}
		s.oldest = binary.BigEndian.Uint64(oldest)
	}
	roots, err := s.roots(s.oldest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, roots.Close()) }()
	if !roots.Last() {
		return fmt.Errorf("%w: there is no root (%w)", disk.ErrDamaged, roots.Error())
	}
	s.newest, err = s.view(roots)
	return err
}

func (s *Store) create() error {
	b := s.db.NewBatch()
	defer b.Close()
	s.newest = &View{store: s, root: newEmpty()}
	if err := errors.Join(b.Set([]byte{rowFormat}, []byte{storeFormat}, nil), s.newest.write(b)); err != nil {
		return err
	}
	return s.db.Apply(b, pebble.Sync)
}

// Close waits for what is being written. Views are not read after it.
func (s *Store) Close() error { return s.db.Close() }

// Newest is the map as of the last [Store.Update].
func (s *Store) Newest() *View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest
}

// At is the map as of that size.
//
// Errors: [ErrNotKept]; the sizes that are kept are those that were given to Update, and 0,
// from the oldest that [Store.Prune] has left.
func (s *Store) At(size uint64) (v *View, err error) {
	defer s.db.Rescue(&err)
	if newest := s.Newest(); newest.size == size {
		return newest, nil
	}
	if s.pruned(size) {
		return nil, fmt.Errorf("the map of size %d was let go: %w", size, ErrNotKept)
	}
	roots, err := s.roots(size)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, roots.Close()) }()
	if !roots.First() || binary.BigEndian.Uint64(roots.Key()[1:]) != size {
		return nil, errors.Join(roots.Error(), fmt.Errorf("the map of size %d: %w", size, ErrNotKept))
	}
	return s.view(roots)
}

// pruned tells whether maps of that size are let go.
func (s *Store) pruned(size uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return size < s.oldest
}

// View is the map as of one size. It does not change, and many may read it at once, while
// newer ones are written. Once its size is pruned, only what other maps share with it can be
// read, and the rest is [ErrNotKept].
type View struct {
	store *Store
	size  uint64
	root  *node
}

// Size is that of the log.
func (v *View) Size() uint64 { return v.size }

// Root is the map's root.
func (v *View) Root() Hash { return v.root.hash }

// Value is what the map has for a key.
func (v *View) Value(k Key) (found Value, ok bool, err error) {
	for e, err := range v.entries(k.bytes) {
		return e.Value, err == nil && e.Key == k, err
	}
	return Value{}, false, nil
}

// Entries are those whose keys begin with the prefix, in the order of their keys. After an error
// there are no more.
func (v *View) Entries(p Prefix) iter.Seq2[Entry, error] { return v.entries(p.bytes) }

func (v *View) entries(query string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		err := visit(v.root, []string{query}, v.load, func(e Entry) error {
			if !yield(e, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(Entry{}, err)
		}
	}
}

// Prove makes the proof that answers the queries, at least one.
//
// Errors: [ErrTooLarge], [ErrNotKept].
func (v *View) Prove(queries ...Query) (*Proof, error) { return prove(v.root, queries, v.load) }

// load reads the children of an inner node. What they are is in its hash, so that nothing
// else is taken for them.
func (v *View) load(n *node) (loaded *node, err error) {
	if n.children[0] != nil {
		return n, nil
	}
	defer v.store.db.Rescue(&err)
	row, err := v.store.db.Row(nodeRow(n))
	switch {
	case err != nil:
		return nil, err
	case row == nil && v.store.pruned(v.size):
		return nil, fmt.Errorf("the map of size %d was let go: %w", v.size, ErrNotKept)
	case row == nil:
		return nil, fmt.Errorf("%w: the row of an inner node is not there", disk.ErrDamaged)
	}
	r := rowReader{proofReader{rest: row}}
	r.path.put(0, []byte(n.key), int(n.bits))
	var children [2]*node
	for side := range children {
		r.path.set(int(n.bits), side)
		if children[side], err = r.node(int(n.bits) + 1); err != nil {
			return nil, err
		}
	}
	if len(r.rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the row of an inner node", disk.ErrDamaged, len(r.rest))
	}
	loaded = newInner(n.key, n.bits, children[0], children[1])
	loaded.version = n.version
	if loaded.hash != n.hash {
		return nil, fmt.Errorf("%w: the row of an inner node has hash %s, and its parent says %s", disk.ErrDamaged, loaded.hash, n.hash)
	}
	return loaded, nil
}

// roots goes over the roots from that size on.
func (s *Store) roots(from uint64) (*pebble.Iterator, error) {
	return s.db.NewIter(&pebble.IterOptions{LowerBound: rootRow(from), UpperBound: []byte{rowRoot + 1}})
}

// view reads the root at which an iterator stands.
func (s *Store) view(roots *pebble.Iterator) (*View, error) {
	row, err := roots.ValueAndErr()
	if err != nil {
		return nil, err
	}
	r := rowReader{proofReader{rest: slices.Clone(row)}}
	root, err := r.node(0)
	if err == nil && (len(r.rest) > 0 || len(roots.Key()) != 9) {
		err = fmt.Errorf("%w: the row of a root is too long", disk.ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	return &View{s, binary.BigEndian.Uint64(roots.Key()[1:]), root}, nil
}

// write puts the view's root into a batch.
func (v *View) write(b *pebble.Batch) error {
	return b.Set(rootRow(v.size), appendRow(nil, v.root, 0), nil)
}

func rootRow(size uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{rowRoot}, size)
}

func nodeRow(n *node) []byte {
	b := binary.BigEndian.AppendUint16(append(make([]byte, 0, 64), rowNode), n.bits)
	return binary.BigEndian.AppendUint64(appendBits(b, n.key, 0, int(n.bits)), n.version)
}

// appendRow writes a root or a child.
func appendRow(b []byte, n *node, known int) []byte {
	if n.kind != inner {
		return appendNode(b, n, known)
	}
	b = appendPath(append(b, byte(inner)), n, known)
	b = binary.BigEndian.AppendUint64(b, n.version)
	return append(b, n.hash[:]...)
}

// rowReader reads what appendRow writes. Anything else is damage.
type rowReader struct{ proofReader }

func (r *rowReader) node(known int) (*node, error) {
	n, err := r.child(known)
	if err != nil {
		return nil, fmt.Errorf("%w: the row of a node: %w", disk.ErrDamaged, err)
	}
	return n, nil
}

func (r *rowReader) child(known int) (*node, error) {
	if len(r.rest) == 0 || kind(r.rest[0]) != inner {
		return r.proofReader.node(known)
	}
	key, bits, err := r.innerPath(known)
	if err != nil {
		return nil, err
	}
	const size = 8 + len(Hash{})
	if len(r.rest) < size {
		return nil, errCutOff
	}
	n := &node{kind: inner, key: key, bits: uint16(bits), version: binary.BigEndian.Uint64(r.rest), hash: Hash(r.rest[8:])}
	r.rest = r.rest[size:]
	return n, nil
}
