package index

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// skipIfRaced leaves out what one goroutine does, and the race detector slows down.
func skipIfRaced(t *testing.T) {
	if testing.Short() {
		t.Skip("runs without -short")
	}
}

func value(text string) (v Value) {
	copy(v[:], text)
	return v
}

// someKey is of one to three segments, few enough texts that keys begin others.
func someKey(rng *rand.Rand) Key {
	segments := make([]string, 1+rng.IntN(3))
	for i := range segments {
		segments[i] = fmt.Sprint(rng.IntN([]int{60, 6, 3}[i]))
	}
	return must(NewKey(segments...))
}

// closeKey parts from the others late, or early, at any bit of a segment.
func closeKey(rng *rand.Rand) Key {
	var h [32]byte
	for range 1 + rng.IntN(2) {
		bit := rng.IntN(256)
		h[bit/8] |= 0x80 >> (bit % 8)
	}
	return HashedKey(h)
}

func randomMap(rng *rand.Rand, size int, makeKey func(*rand.Rand) Key) referenceMap {
	values := map[Key]Value{}
	for len(values) < size {
		values[makeKey(rng)] = value(fmt.Sprint(rng.Uint32()))
	}
	var entries []Entry
	for k, v := range values {
		entries = append(entries, Entry{k, v})
	}
	return newReference(entries...)
}

// mapsToTry are one of each size up to 100.
func mapsToTry(yield func(seed uint64, m referenceMap) bool) {
	for size := range 101 {
		rng := rand.New(rand.NewPCG(uint64(size), 1))
		makeKey := []func(*rand.Rand) Key{someKey, closeKey}[size%2]
		if !yield(uint64(size), randomMap(rng, size, makeKey)) {
			return
		}
	}
}

// queriesToTry are each prefix of each key, and some that the map does not have.
func queriesToTry(m referenceMap, rng *rand.Rand) []Query {
	asked := map[Query]bool{Prefix{}: true}
	add := func(k Key) {
		for n := 0; n < len(k.bytes); n += segmentBytes {
			asked[Prefix{k.bytes[:n]}] = true
			if n > 0 {
				asked[must(Prefix{k.bytes[:n]}.Key())] = true
			}
		}
		asked[k] = true
	}
	for _, e := range m.sorted() {
		if rng.IntN(8) == 0 {
			add(e.Key)
		}
	}
	for range 5 {
		add(someKey(rng))
		add(closeKey(rng))
	}
	var all []Query
	for q := range asked {
		all = append(all, q)
	}
	slices.SortFunc(all, func(a, b Query) int { return strings.Compare(a.query(), b.query()) })
	return all
}

// Each map up to 100 keys, and each question about it and many at once: root, proof and answer
// are those of the definition.
func TestEveryMapProvesEveryAnswer(t *testing.T) {
	skipIfRaced(t)
	for seed, m := range mapsToTry {
		rng := rand.New(rand.NewPCG(seed, 2))
		built := must(Build(slices.Values(m.sorted())))
		root := built.Root()
		if want := m.root(); !bytes.Equal(root[:], want) {
			t.Fatalf("map %d: root %x, want %x", seed, root, want)
		}
		if alone := must(Root(slices.Values(m.sorted()))); alone != root {
			t.Fatalf("map %d: Root gives %s, Build %s", seed, alone, root)
		}
		if got := slices.Collect(built.Entries(Prefix{})); !slices.Equal(got, m.sorted()) {
			t.Fatalf("map %d has the entries %v, want %v", seed, got, m.sorted())
		}
		try := func(queries ...Query) {
			t.Helper()
			p := must(built.Prove(queries...))
			data := p.Format()
			if want := m.prove(queries...); !bytes.Equal(data, want) {
				t.Fatalf("map %d: the proof of %s is %x, want %x", seed, queries, data, want)
			}
			read, err := ParseProof(data)
			if err != nil {
				t.Fatalf("map %d: the proof of %s: %v", seed, queries, err)
			}
			found, err := read.Verify(root, queries...)
			if want := m.answer(queries...); err != nil || !slices.Equal(found, want) {
				t.Fatalf("map %d: the proof of %s gives %v, %v, want %v", seed, queries, found, err, want)
			}
		}
		all := queriesToTry(m, rng)
		for _, q := range all {
			try(q)
			if k, ok := q.(Key); ok {
				v, ok := built.Value(k)
				if want := m.answer(k); ok != (len(want) == 1) || ok && v != want[0].Value {
					t.Fatalf("map %d: %s has %x, %v; want %v", seed, k, v, ok, want)
				}
			}
		}
		for range 6 {
			some := make([]Query, 2+rng.IntN(10))
			for i := range some {
				some[i] = all[rng.IntN(len(all))]
			}
			try(some...)
		}
	}
}

// A proof answers one set of questions: it is that of another one only where both need the
// same nodes, and then it is the same proof.
func TestProofIsOfItsQueriesAlone(t *testing.T) {
	for seed, m := range mapsToTry {
		if seed%9 != 4 {
			continue
		}
		built := must(Build(slices.Values(m.sorted())))
		all := queriesToTry(m, rand.New(rand.NewPCG(seed, 3)))
		proofs := make([][]byte, len(all))
		for i, q := range all {
			proofs[i] = must(built.Prove(q)).Format()
		}
		for i, data := range proofs {
			p := must(ParseProof(data))
			for j, q := range all {
				if _, err := p.Verify(built.Root(), q); (err == nil) != bytes.Equal(proofs[j], data) {
					t.Fatalf("map %d: the proof of %s is taken for %s: %v", seed, all[i], q, err)
				}
			}
		}
	}
}

// Whatever is changed in a proof, it is refused.
func TestChangedProofIsRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 4))
	m := randomMap(rng, 40, someKey)
	built := must(Build(slices.Values(m.sorted())))
	present, absent := m.sorted()[7].Key, must(NewKey("not there"))
	for _, q := range []Query{present, absent, present.Prefix(), must(NewPrefix("0"))} {
		data := must(built.Prove(q)).Format()
		for i := range data {
			for bit := range 8 {
				changed := bytes.Clone(data)
				changed[i] ^= 1 << bit
				if p, err := ParseProof(changed); err == nil {
					if found, err := p.Verify(built.Root(), q); err == nil {
						t.Fatalf("the proof of %s with bit %d of byte %d changed gives %v", q, bit, i, found)
					}
				}
			}
			if _, err := ParseProof(data[:i]); err == nil {
				t.Fatalf("the first %d bytes of a proof of %d are read as one", i, len(data))
			}
		}
		if _, err := ParseProof(append(data, 0)); err == nil {
			t.Fatal("a byte after a proof is read with it")
		}
	}
}
