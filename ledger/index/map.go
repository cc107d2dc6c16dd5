package index

import (
	"fmt"
	"iter"
)

// Map is a map in memory. It does not change, and many may read it at once.
type Map struct{ root *node }

// Build makes a map of entries in ascending order of their keys ([Key.Compare]), each key once.
// It takes about 300 bytes for each.
func Build(sorted iter.Seq[Entry]) (*Map, error) {
	root, err := build(sorted, newInner)
	if err != nil {
		return nil, err
	}
	return &Map{root}, nil
}

// Root is the root of the map that [Build] would make, in memory that does not grow with it.
func Root(sorted iter.Seq[Entry]) (Hash, error) {
	root, err := build(sorted, func(key string, bits uint16, left, right *node) *node {
		n := newInner(key, bits, left, right)
		n.children = [2]*node{}
		return n
	})
	if err != nil {
		return Hash{}, err
	}
	return root.hash, nil
}

// build makes the trie from left to right. The spine are the inner nodes, from the root
// downwards, whose right side is not complete: of each its left child, and how many
// bits its path has.
func build(sorted iter.Seq[Entry], join func(key string, bits uint16, left, right *node) *node) (*node, error) {
	type open struct {
		left *node
		bits int
	}
	var spine []open
	var last *node // what hangs on the right of the spine's end
	var previous Key
	closeTo := func(bits int) {
		for len(spine) > 0 && spine[len(spine)-1].bits > bits {
			end := spine[len(spine)-1]
			last = join(end.left.key, uint16(end.bits), end.left, last)
			spine = spine[:len(spine)-1]
		}
	}
	for e := range sorted {
		if e.Key == (Key{}) {
			return nil, fmt.Errorf("an entry without a key after key %s", previous)
		}
		if last != nil {
			switch c := e.Key.Compare(previous); {
			case c == 0:
				return nil, fmt.Errorf("key %s twice", e.Key)
			case c < 0:
				return nil, fmt.Errorf("key %s after key %s: entries go in the order of their keys", e.Key, previous)
			}
			bits := commonBits(previous.bytes, e.Key.bytes)
			closeTo(bits)
			spine = append(spine, open{last, bits})
		}
		last, previous = newLeaf(e), e.Key
	}
	if last == nil {
		return newEmpty(), nil
	}
	closeTo(-1)
	return last, nil
}

// Root is the map's root.
func (m *Map) Root() Hash { return m.root.hash }

// Value is what the map has for a key.
func (m *Map) Value(k Key) (v Value, ok bool) {
	for e := range m.entries(k.bytes) {
		if ok = e.Key == k; ok {
			v = e.Value
		}
		break
	}
	return v, ok
}

// Entries are those whose keys begin with the prefix, in the order of their keys.
func (m *Map) Entries(p Prefix) iter.Seq[Entry] { return m.entries(p.bytes) }

func (m *Map) entries(query string) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		visit(m.root, []string{query}, inMemory, func(e Entry) error {
			if !yield(e) {
				return errStop
			}
			return nil
		})
	}
}

// Prove makes the proof that answers the queries, at least one.
//
// Errors: [ErrTooLarge].
func (m *Map) Prove(queries ...Query) (*Proof, error) { return prove(m.root, queries, inMemory) }

// inMemory loads a node that is there.
func inMemory(n *node) (*node, error) { return n, nil }
