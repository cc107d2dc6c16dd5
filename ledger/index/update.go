package index

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/cockroachdb/pebble/v2"
)

// MaxUpdate is how many entries one [Store.Update] takes.
const MaxUpdate = 1 << 16

// levelsInMemory is how many levels of inner nodes are kept from one update to the next: to read
// one takes longer than all else that is done with it. There are at most about 2^17 of them, and
// with what hangs on them they take some 50 MiB in a map of a million keys.
const levelsInMemory = 17

// Update makes the map of a size: that of the newest size with these entries, in any order,
// each key once. It is durable when it returns, whole, and it costs what the entries cost, not
// what the map has. After an error the store stands where it stood.
func (s *Store) Update(size uint64, entries []Entry) (root Hash, err error) {
	defer s.db.Rescue(&err)
	s.updating.Lock()
	defer s.updating.Unlock()
	old := s.Newest()
	switch {
	case size <= old.size:
		return Hash{}, fmt.Errorf("updating the map to size %d: it is of size %d already", size, old.size)
	case len(entries) > MaxUpdate:
		return Hash{}, fmt.Errorf("updating the map with %d entries: at most %d at a time", len(entries), MaxUpdate)
	}
	sorted := slices.SortedFunc(slices.Values(entries), func(a, b Entry) int { return a.Key.Compare(b.Key) })
	for i, e := range sorted {
		switch {
		case e.Key == Key{}:
			return Hash{}, errors.New("updating the map with an entry without a key")
		case i > 0 && e.Key == sorted[i-1].Key:
			return Hash{}, fmt.Errorf("updating the map: key %s twice", e.Key)
		}
	}
	u := update{old: old, size: size, batch: s.db.NewBatch()}
	defer u.batch.Close()
	next := &View{store: s, size: size}
	next.root, err = u.merge(old.root, 0, sorted)
	if err = errors.Join(err, u.err); err != nil {
		return Hash{}, fmt.Errorf("updating the map to size %d: %w", size, err)
	}
	if err := next.write(u.batch); err != nil {
		return Hash{}, err
	}
	if err := s.db.Apply(u.batch, pebble.Sync); err != nil {
		return Hash{}, fmt.Errorf("updating the map to size %d: %w", size, err)
	}
	s.mu.Lock()
	s.newest = next
	s.mu.Unlock()
	return next.Root(), nil
}

// update is one being made. Its batch has a row for each new inner node.
type update struct {
	old   *View
	size  uint64
	batch *pebble.Batch
	err   error // of the batch
}

// merge puts entries, sorted, into what hangs below n, at a level of inner nodes counted from
// the root. It returns n itself where nothing changes.
func (u *update) merge(n *node, level int, entries []Entry) (*node, error) {
	switch {
	case len(entries) == 0:
		return n, nil
	case n.kind == empty:
		return u.build(entries)
	case n.kind == leaf:
		at, found := slices.BinarySearchFunc(entries, n.entry(), func(a, b Entry) int { return a.Key.Compare(b.Key) })
		if found && len(entries) == 1 && entries[0].Value == n.value {
			return n, nil
		}
		if !found {
			entries = slices.Insert(slices.Clone(entries), at, n.entry())
		}
		return u.build(entries)
	}
	// So many bits of n's path do all entries share. They are sorted, so that the first or the last
	// of them shares the fewest.
	shared := min(int(n.bits), commonBits(n.key, entries[0].Key.bytes), commonBits(n.key, entries[len(entries)-1].Key.bytes))
	ones := sort.Search(len(entries), func(i int) bool { return bitAt(entries[i].Key.bytes, shared) == 1 })
	sides := [2][]Entry{entries[:ones], entries[ones:]}
	var children [2]*node
	if shared < int(n.bits) { // a new node above n
		side := bitAt(n.key, shared)
		var err error
		if children[side], err = u.merge(n, level+1, sides[side]); err != nil {
			return nil, err
		}
		if children[1-side], err = u.build(sides[1-side]); err != nil {
			return nil, err
		}
	} else {
		loaded, err := u.old.load(n)
		if err != nil {
			return nil, err
		}
		for side, child := range loaded.children {
			if children[side], err = u.merge(child, level+1, sides[side]); err != nil {
				return nil, err
			}
		}
		if children == loaded.children {
			return n, nil
		}
	}
	made := u.join(entries[0].Key.bytes, uint16(shared), children[0], children[1])
	if level < levelsInMemory {
		made.children = children
	}
	return made, nil
}

// build makes a trie of entries alone.
func (u *update) build(entries []Entry) (*node, error) {
	return build(slices.Values(entries), u.join)
}

// join makes an inner node and writes its row; the children are in that row then.
func (u *update) join(key string, bits uint16, left, right *node) *node {
	n := newInner(key[:(bits+7)/8], bits, left, right)
	n.version = u.size
	row := appendRow(appendRow(make([]byte, 0, 192), left, int(bits)+1), right, int(bits)+1)
	u.err = errors.Join(u.err, u.batch.Set(nodeRow(n), row, nil))
	n.children = [2]*node{}
	return n
}

// pruneRows is how many rows Prune deletes at a time.
const pruneRows = 10_000

// Prune lets the maps of sizes below one go, for ever, and frees what no other needs. It goes
// over all that is stored, while others read and update; when it is cut short, the maps are gone,
// and the next one frees what is left.
//
// Errors: a size above the newest; ctx's.
func (s *Store) Prune(ctx context.Context, size uint64) (err error) {
	defer s.db.Rescue(&err)
	s.pruning.Lock()
	defer s.pruning.Unlock()
	if newest := s.Newest().size; size > newest {
		return fmt.Errorf("pruning the maps below size %d: the newest is of size %d", size, newest)
	}
	// Readers know that a map is let go before a row of it is.
	if !s.pruned(size) {
		if err := s.db.Set([]byte{rowOldest}, binary.BigEndian.AppendUint64(nil, size), pebble.Sync); err != nil {
			return fmt.Errorf("pruning the maps below size %d: %w", size, err)
		}
		s.mu.Lock()
		s.oldest = size
		s.mu.Unlock()
	}
	if err := s.free(ctx); err != nil {
		return fmt.Errorf("pruning the maps below size %d: %w", size, err)
	}
	return nil
}

// free deletes the rows that no map has that is kept.
func (s *Store) free(ctx context.Context) (err error) {
	oldest, err := s.oldestRoot()
	if err != nil {
		return err
	}
	nodes, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{rowNode}, UpperBound: []byte{rowNode + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nodes.Close()) }()
	b := s.db.NewBatch()
	defer func() { b.Close() }()
	flush := func() error {
		err := errors.Join(ctx.Err(), s.db.Apply(b, pebble.NoSync), b.Close())
		b = s.db.NewBatch()
		return err
	}
	// Of the rows of one path, which are beside each other, the last not after the oldest map
	// is needed by it, and those before by none.
	var previous []byte
	for ok := nodes.First(); ok; ok = nodes.Next() {
		key := nodes.Key()
		path, version := key[:len(key)-8], binary.BigEndian.Uint64(key[len(key)-8:])
		if len(previous) == len(key) && string(previous[:len(path)]) == string(path) && version <= oldest {
			if err := b.Delete(previous, nil); err != nil {
				return err
			}
		}
		previous = append(previous[:0], key...)
		if b.Count() >= pruneRows {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(nodes.Error(), b.DeleteRange(rootRow(0), rootRow(oldest), nil)); err != nil {
		return err
	}
	return flush()
}

// oldestRoot is the size of the oldest map that is kept.
func (s *Store) oldestRoot() (size uint64, err error) {
	s.mu.Lock()
	from := s.oldest
	s.mu.Unlock()
	roots, err := s.roots(from)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, roots.Close()) }()
	if !roots.First() {
		return 0, errors.Join(roots.Error(), errors.New("there is no root"))
	}
	return binary.BigEndian.Uint64(roots.Key()[1:]), nil
}
