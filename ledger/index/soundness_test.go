package index

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// badTrie is a trie as a liar makes it: of a map, with some nodes swapped, moved or said to have
// another path, and the hashes above made to fit.
func badTrie(n *node, rng *rand.Rand, others []Entry) *node {
	if n.kind == leaf {
		if rng.IntN(4) == 0 {
			return newLeaf(others[rng.IntN(len(others))])
		}
		return n
	}
	left, right := badTrie(n.children[0], rng, others), badTrie(n.children[1], rng, others)
	key, bits := n.key, n.bits
	switch rng.IntN(6) {
	case 0:
		left, right = right, left
	case 1:
		key = others[rng.IntN(len(others))].Key.bytes
	case 2:
		bits += uint16(rng.IntN(9))
	case 3:
		right = left
	}
	return newInner(key, min(bits, uint16(8*len(key))), left, right)
}

// shownIn are all the ways to show a trie: each node as it is, or by its hash, or an inner node with
// the path of another key.
func shownIn(n *node, rng *rand.Rand, others []Entry) []*node {
	all := []*node{{kind: omitted, hash: n.hash}}
	if n.kind != inner {
		return append(all, n)
	}
	lie := n.key
	if key := others[rng.IntN(len(others))].Key.bytes; 8*len(key) >= int(n.bits) {
		lie = key
	}
	for _, left := range shownIn(n.children[0], rng, others) {
		for _, right := range shownIn(n.children[1], rng, others) {
			for _, key := range []string{n.key, lie} {
				shown := *n
				shown.key, shown.children = key, [2]*node{left, right}
				all = append(all, &shown)
			}
		}
	}
	return all
}

// However a root was made, and whatever is shown of it: to one question there is one answer, and
// the answers to different questions agree.
func TestNoRootHasTwoAnswers(t *testing.T) {
	skipIfRaced(t)
	accepted := 0
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 10))
		m := randomMap(rng, 3+rng.IntN(2), []func(*rand.Rand) Key{someKey, closeKey}[seed%2])
		others := append(m.sorted(), randomMap(rng, 3, someKey).sorted()...)
		bad := badTrie(must(Build(slices.Values(m.sorted()))).root, rng, others)
		queries := []Query{Prefix{}}
		for _, e := range others {
			queries = append(queries, e.Key, e.Key.Prefix(), Prefix{e.Key.bytes[:segmentBytes]})
		}
		answers := map[Query]string{}
		values := map[Key]string{} // what any answer says of a key
		for _, shown := range shownIn(bad, rng, others) {
			p, err := ParseProof((&Proof{shown}).Format())
			if err != nil {
				continue
			}
			for _, q := range queries {
				found, err := p.Verify(bad.hash, q)
				if err != nil {
					continue
				}
				accepted++
				if old, ok := answers[q]; ok && old != fmt.Sprint(found) {
					t.Fatalf("seed %d: two answers to %s: %v and %v", seed, q, found, old)
				}
				answers[q] = fmt.Sprint(found)
				for _, e := range others {
					if !(Prefix{q.query()}).Match(e.Key) {
						continue
					}
					says := "absent"
					if i := slices.IndexFunc(found, func(f Entry) bool { return f.Key == e.Key }); i >= 0 {
						says = fmt.Sprintf("%x", found[i].Value)
					}
					if old, ok := values[e.Key]; ok && old != says {
						t.Fatalf("seed %d: key %s is %s to one, and %s to who asks for %s", seed, e.Key, old, says, q)
					}
					values[e.Key] = says
				}
			}
		}
	}
	if accepted < 1000 {
		t.Errorf("%d proofs were accepted: too few for this to say anything", accepted)
	}
}

// A map with one value changed, or one key less, has another root.
func TestTwoMapsHaveTwoRoots(t *testing.T) {
	skipIfRaced(t)
	roots := map[Hash]uint64{}
	for seed, m := range mapsToTry {
		if seed > 12 && seed%10 != 0 {
			continue
		}
		root := must(Build(slices.Values(m.sorted()))).Root()
		if other, ok := roots[root]; ok {
			t.Fatalf("maps %d and %d have one root", other, seed)
		}
		roots[root] = seed
		for _, e := range m.sorted() { // another value, or a key less
			changed := newReference(m.sorted()...)
			bits := bitString(e.Key.bytes)
			changed.entries[bits] = Entry{e.Key, value("another")}
			if must(Build(slices.Values(changed.sorted()))).Root() == root {
				t.Fatalf("map %d has the same root with another value for %s", seed, e.Key)
			}
			delete(changed.entries, bits)
			if must(Build(slices.Values(changed.sorted()))).Root() == root {
				t.Fatalf("map %d has the same root without %s", seed, e.Key)
			}
		}
	}
}

// A proof has its bound, and so has what is read.
func TestProofTooLarge(t *testing.T) {
	skipIfRaced(t)
	build := func(n int) *Map {
		return must(Build(func(yield func(Entry) bool) {
			for i := range n {
				var h [32]byte
				h[0], h[1], h[2] = byte(i>>16), byte(i>>8), byte(i)
				if !yield(Entry{HashedKey(h), Value{}}) {
					return
				}
			}
		}))
	}
	m := build(59_900)
	p, err := m.Prove(Prefix{})
	if err != nil || len(p.Format()) > MaxProofBytes || len(p.Format()) < MaxProofBytes-10_000 {
		t.Fatalf("a proof of all keys that is nearly too long: %v", err)
	}
	if _, err := ParseProof(p.Format()); err != nil {
		t.Error(err)
	}
	m = build(60_000)
	if _, err := m.Prove(Prefix{}); err != ErrTooLarge {
		t.Errorf("a proof of all of 60,000 keys: %v", err)
	}
	if _, err := ParseProof(make([]byte, MaxProofBytes+1)); err == nil {
		t.Error("a proof that is too long is read")
	}
	if err := new(Proof).UnmarshalText(make([]byte, 2*MaxProofBytes)); err == nil {
		t.Error("a text that is too long is read")
	}
}
