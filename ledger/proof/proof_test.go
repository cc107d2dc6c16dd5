package proof

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"
)

// The eight leaves and their roots that RFC 6962 implementations share, since the
// first one (certificate-transparency, merkletree/merkle_tree_test.cc).
var (
	knownLeaves = []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	knownRoots  = []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
)

func TestKnownRoots(t *testing.T) {
	f := &referenceTree{memo: map[[2]int]Hash{}}
	for _, l := range knownLeaves {
		b, _ := hex.DecodeString(l)
		f.leaves = append(f.leaves, LeafHash(b))
	}
	for n, want := range knownRoots {
		if got := f.mth(0, n); hex.EncodeToString(got[:]) != want {
			t.Errorf("root of %d leaves: got %x, want %s", n, got, want)
		}
	}
	if empty := EmptyRoot(); hex.EncodeToString(empty[:]) != knownRoots[0] {
		t.Errorf("empty root: %x", empty)
	}
}

func TestHashesAreRFC6962(t *testing.T) {
	a, b := LeafHash([]byte("a")), LeafHash([]byte("b"))
	if got := rfc6962.DefaultHasher.HashLeaf([]byte("a")); Hash(got) != a {
		t.Errorf("leaf: got %v, want %x", a, got)
	}
	if got := rfc6962.DefaultHasher.HashChildren(a[:], b[:]); Hash(got) != NodeHash(a, b) {
		t.Errorf("node: got %v, want %x", NodeHash(a, b), got)
	}
}

// Every leaf of every tree to 100, and every way of spoiling its proof.
func TestInclusion(t *testing.T) {
	f := newReferenceTree(101)
	for n := 1; n <= 100; n++ {
		tree := f.tree(n)
		for i := range n {
			path := f.path(i, 0, n)
			if err := VerifyInclusion(f.leaves[i], uint64(i), path, tree); err != nil {
				t.Fatalf("%d of %d: %v", i, n, err)
			}
			for what, bad := range corruptPaths(path, tree.Root) {
				if err := VerifyInclusion(f.leaves[i], uint64(i), bad, tree); !errors.Is(err, ErrNotIncluded) {
					t.Errorf("%d of %d, %s: %v", i, n, what, err)
				}
			}
			if n > 40 { // the rest does not depend on the path's shape
				continue
			}
			for j := range n + 2 {
				if j != i && VerifyInclusion(f.leaves[i], uint64(j), path, tree) == nil {
					t.Errorf("%d of %d: verifies at %d", i, n, j)
				}
				if j < n && j != i && VerifyInclusion(f.leaves[j], uint64(i), path, tree) == nil {
					t.Errorf("%d of %d: verifies leaf %d", i, n, j)
				}
			}
			other := tree
			other.Root[7] ^= 1
			if VerifyInclusion(f.leaves[i], uint64(i), path, other) == nil {
				t.Errorf("%d of %d: verifies against another root", i, n)
			}
		}
	}
}

func TestConsistency(t *testing.T) {
	f := newReferenceTree(101)
	for n := 0; n <= 100; n++ {
		to := f.tree(n)
		for m := 0; m <= n; m++ {
			from := f.tree(m)
			var path []Hash
			if m > 0 {
				path = f.subproof(m, 0, n, true)
			}
			if err := VerifyConsistency(from, to, path); err != nil {
				t.Fatalf("%d to %d: %v", m, n, err)
			}
			for what, bad := range corruptPaths(path, to.Root) {
				if err := VerifyConsistency(from, to, bad); !errors.Is(err, ErrInconsistent) {
					t.Errorf("%d to %d, %s: %v", m, n, what, err)
				}
			}
			for _, spoil := range []func(a, b *Tree){
				func(a, b *Tree) { a.Root[3] ^= 1 },
				func(a, b *Tree) { b.Root[3] ^= 1 },
				func(a, b *Tree) { a.Size = b.Size + 1 },
			} {
				a, b := from, to
				spoil(&a, &b)
				// Any root may follow the empty tree: that one case proves nothing.
				if err := VerifyConsistency(a, b, path); !errors.Is(err, ErrInconsistent) && !(m == 0 && n > 0 && a == from) {
					t.Errorf("%d to %d, wrong tree: %v", m, n, err)
				}
			}
		}
	}
}

// corruptPaths is every bit-flip of one byte of each hash, and hashes lost, added,
// doubled and swapped.
func corruptPaths(path []Hash, extra Hash) map[string][]Hash {
	bad := map[string][]Hash{
		"one added before": append([]Hash{extra}, path...),
		"one added after":  append(slices.Clone(path), extra),
		"too long":         make([]Hash, MaxProofHashes+1),
	}
	for i := range path {
		flipped := slices.Clone(path)
		flipped[i][i%32] ^= 1 << (i % 8)
		bad["flipped "+string(rune('a'+i))] = flipped
		bad["lost "+string(rune('a'+i))] = slices.Delete(slices.Clone(path), i, i+1)
		bad["doubled "+string(rune('a'+i))] = slices.Insert(slices.Clone(path), i, path[i])
		if i > 0 {
			swapped := slices.Clone(path)
			swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
			bad["swapped "+string(rune('a'+i))] = swapped
		}
	}
	return bad
}

// The mutations that transparency-dev/merkle publishes (testdata/SOURCES.md). Those
// whose hashes are not 32 bytes cannot be said in our types: parsers refuse them.
func TestPublishedVectors(t *testing.T) {
	tried := 0
	for _, v := range readVectors(t, "testdata/merkle-inclusion.jsonl") {
		path, ok := parseHashes(append(v.Proof, v.LeafHash, v.Root)...)
		if !ok {
			if !v.WantErr {
				t.Errorf("%s: good, and cannot be said", v.File)
			}
			continue
		}
		tried++
		leaf, root, path := path[len(v.Proof)], path[len(v.Proof)+1], path[:len(v.Proof)]
		if err := VerifyInclusion(leaf, v.LeafIdx, path, Tree{v.TreeSize, root}); (err != nil) != v.WantErr {
			t.Errorf("%s (%s): %v, want error: %v", v.File, v.Desc, err, v.WantErr)
		}
	}
	// Where we are stricter: the library takes roots of any length for equal, and any
	// root for that of the empty tree, which has one (tlog-witness "add-checkpoint").
	stricter := map[string]bool{
		"consistency/additional/consistency-check-on-empty-tree-size1-is-zero-is-useless": true,
		"consistency/additional/size1-is-zero-and-does-not-equal-size2":                   true,
		"consistency/additional/size1-is-zero-and-size2-is-not-zero":                      true,
		"consistency/additional/sizes-are-equal-zero-and-proof-is-empty":                  true,
		"consistency/additional/sizes-are-equal-one-and-proof-is-empty":                   true,
	}
	for _, v := range readVectors(t, "testdata/merkle-consistency.jsonl") {
		path, ok := parseHashes(append(v.Proof, v.Root1, v.Root2)...)
		if !ok {
			if !v.WantErr && !stricter[v.File] {
				t.Errorf("%s: good, and cannot be said", v.File)
			}
			continue
		}
		tried++
		root1, root2, path := path[len(v.Proof)], path[len(v.Proof)+1], path[:len(v.Proof)]
		err := VerifyConsistency(Tree{v.Size1, root1}, Tree{v.Size2, root2}, path)
		if (err != nil) != (v.WantErr || stricter[v.File]) {
			t.Errorf("%s (%s): %v, want error: %v", v.File, v.Desc, err, v.WantErr)
		}
	}
	if tried < 140 {
		t.Errorf("only %d vectors were tried", tried)
	}
}

type merkleVector struct {
	File              string
	LeafIdx, TreeSize uint64
	Root, LeafHash    []byte
	Size1, Size2      uint64
	Root1, Root2      []byte
	Proof             [][]byte
	Desc              string
	WantErr           bool
}

func readVectors(t *testing.T, name string) (vs []merkleVector) {
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var v merkleVector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		vs = append(vs, v)
	}
	return vs
}

func parseHashes(raw ...[]byte) (hs []Hash, ok bool) {
	for _, b := range raw {
		if len(b) != len(Hash{}) {
			return nil, false
		}
		hs = append(hs, Hash(b))
	}
	return hs, true
}
