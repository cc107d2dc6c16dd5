package proof

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"filippo.io/mldsa"
)

// referenceTree is a log's leaves with everything about them computed straight from the
// definitions of RFC 6962, section 2.1, and tlog-tiles: no code of the package and
// none of the Merkle library.
type referenceTree struct {
	leaves []Hash
	memo   map[[2]int]Hash
}

func newReferenceTree(n int) *referenceTree {
	f := &referenceTree{memo: map[[2]int]Hash{}}
	for i := range n {
		f.leaves = append(f.leaves, sha256.Sum256(append([]byte{0}, testEntry(i)...)))
	}
	return f
}

func testEntry(i int) []byte { return fmt.Appendf(nil, "entry %d", i) }

// mth is MTH(D[lo:hi]).
func (f *referenceTree) mth(lo, hi int) Hash {
	switch hi - lo {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return f.leaves[lo]
	}
	key := [2]int{lo, hi}
	if h, ok := f.memo[key]; ok {
		return h
	}
	k := lo + largestPowerOfTwoBelow(hi-lo)
	l, r := f.mth(lo, k), f.mth(k, hi)
	h := Hash(sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...)))
	f.memo[key] = h
	return h
}

// largestPowerOfTwoBelow is the largest power of two smaller than n.
func largestPowerOfTwoBelow(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}

// path is PATH(m, D[lo:hi]).
func (f *referenceTree) path(m, lo, hi int) []Hash {
	if hi-lo <= 1 {
		return nil
	}
	k := largestPowerOfTwoBelow(hi - lo)
	if m < k {
		return append(f.path(m, lo, lo+k), f.mth(lo+k, hi))
	}
	return append(f.path(m-k, lo+k, hi), f.mth(lo, lo+k))
}

// subproof is SUBPROOF(m, D[lo:hi], whole).
func (f *referenceTree) subproof(m, lo, hi int, whole bool) []Hash {
	if m == hi-lo {
		if whole {
			return nil
		}
		return []Hash{f.mth(lo, hi)}
	}
	k := largestPowerOfTwoBelow(hi - lo)
	if m <= k {
		return append(f.subproof(m, lo, lo+k, whole), f.mth(lo+k, hi))
	}
	return append(f.subproof(m-k, lo+k, hi, false), f.mth(lo, lo+k))
}

func (f *referenceTree) tree(n int) Tree { return Tree{Size: uint64(n), Root: f.mth(0, n)} }

// tile is the tile's bytes: MTH(D[(n·256+i)·256^l : (n·256+i+1)·256^l]).
func (f *referenceTree) tile(id TileID) []byte {
	var b []byte
	span := 1 << (8 * int(id.Level))
	for i := range id.Width {
		lo := (int(id.Index)*256 + i) * span
		h := f.mth(lo, lo+span)
		b = append(b, h[:]...)
	}
	return b
}

// tileReader serves the tiles of a tree of that size and fails the test on a call that
// a log would answer with 404, or that asks twice.
type tileReader struct {
	t       testing.TB
	f       *referenceTree
	size    uint64
	calls   int
	corrupt func(id TileID, data []byte) []byte
}

func (r *tileReader) read(_ context.Context, ids []TileID) ([][]byte, error) {
	r.calls++
	seen := map[TileID]bool{}
	out := make([][]byte, len(ids))
	for i, id := range ids {
		if !id.In(r.size) {
			r.t.Errorf("asked for %v, which a tree of %d does not have", id, r.size)
		}
		if seen[id] {
			r.t.Errorf("asked for %v twice in one call", id)
		}
		seen[id] = true
		out[i] = r.f.tile(id)
		if r.corrupt != nil {
			out[i] = r.corrupt(id, out[i])
		}
	}
	return out, nil
}

// testKeys is the keys of a test: made once, since they cost.
type testKeys struct {
	log, logPQ *Signer
	logSeed    seededKey              // of logPQ, in a fixed cast
	witness    map[string]testWitness // w1, w2, w3 (Ed25519) and w1-pq, w2-pq, w3-pq
}

type testWitness struct {
	*Cosigner
	seeded seededKey
}

// seededKey signs without the library's signers, which stamp the clock's time and
// draw random bytes.
type seededKey struct {
	key  Key
	seed []byte
}

const testOrigin = "log.example/1"

var testTime = time.Date(2026, 11, 23, 18, 19, 6, 0, time.UTC)

func newTestKeys(t testing.TB) *testKeys {
	t.Helper()
	c := &testKeys{witness: map[string]testWitness{}}
	c.log, c.logPQ = newSigner(t, Ed25519), newSigner(t, MLDSA44)
	for _, w := range []string{"w1", "w2", "w3"} {
		c.witness[w] = newCosigner(t, CosignatureEd25519, w+".example")
		c.witness[w+"-pq"] = newCosigner(t, MLDSA44, w+".example")
	}
	return c
}

func newSigner(t testing.TB, alg Algorithm) *Signer {
	t.Helper()
	skey, _, err := GenerateKey(alg, testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newCosigner(t testing.TB, alg Algorithm, name string) testWitness {
	t.Helper()
	skey, _, err := GenerateKey(alg, name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCosigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, seed, err := splitPrivateKey(skey)
	if err != nil {
		t.Fatal(err)
	}
	return testWitness{c, seededKey{c.Key(), seed}}
}

// policy is two log keys, three witnesses with two keys each, and the quorum lines.
func (c *testKeys) policy(t testing.TB, quorum string) *Policy {
	t.Helper()
	text := fmt.Sprintf("log %s https://log.example/\nlog %s\n", c.log.Key(), c.logPQ.Key())
	for _, name := range slices.Sorted(maps.Keys(c.witness)) {
		text += fmt.Sprintf("witness %s %s\n", name, c.witness[name].Key())
	}
	p, err := ParsePolicy([]byte(text + quorum))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// cosignatureAt is a cosignature by one of the witnesses, stamped at that time.
func (c *testKeys) cosignatureAt(t testing.TB, name string, cp Checkpoint, stamp uint64) Signature {
	t.Helper()
	return c.witness[name].seeded.signAt(t, cp, stamp)
}

// signAt signs the messages of tlog-cosignature, written here a second time.
func (k seededKey) signAt(t testing.TB, cp Checkpoint, stamp uint64) Signature {
	t.Helper()
	var sig []byte
	if k.key.alg == MLDSA44 {
		m := []byte("subtree/v1\n\x00")
		m = append(append(m, byte(len(k.key.name))), k.key.name...)
		m = binary.BigEndian.AppendUint64(m, stamp)
		m = append(append(m, byte(len(cp.Origin))), cp.Origin...)
		m = binary.BigEndian.AppendUint64(m, 0)
		m = append(binary.BigEndian.AppendUint64(m, cp.Size), cp.Root[:]...)
		key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), k.seed)
		if err != nil {
			t.Fatal(err)
		}
		if sig, err = key.SignDeterministic(m, nil); err != nil {
			t.Fatal(err)
		}
	} else {
		sig = ed25519.Sign(ed25519.NewKeyFromSeed(k.seed), fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", stamp, cp.Body()))
	}
	return Signature{Name: k.key.name, ID: k.key.ID(), Sig: append(binary.BigEndian.AppendUint64(nil, stamp), sig...)}
}

func (c *testKeys) sign(t testing.TB, cp Checkpoint) []byte {
	t.Helper()
	signed, err := SignCheckpoint(cp, c.log, c.logPQ)
	if err != nil {
		t.Fatal(err)
	}
	return signed.Note()
}

func (c *testKeys) cosigned(t testing.TB, cp Checkpoint, sigs ...Signature) []byte {
	t.Helper()
	note, err := AddSignatures(c.sign(t, cp), sigs...)
	if err != nil {
		t.Fatal(err)
	}
	return note
}
