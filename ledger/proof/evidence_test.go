package proof

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// split makes evidence from two histories of a log: f, and g which has another
// entry at the index `at`.
func forkedTrees(at, n int) (f, g *referenceTree) {
	f, g = newReferenceTree(n), newReferenceTree(n)
	g.leaves[at] = LeafHash([]byte("another"))
	return f, g
}

func (c *testKeys) signedHead(t testing.TB, f *referenceTree, n int) []byte {
	t.Helper()
	tree := f.tree(n)
	return c.sign(t, Checkpoint{testOrigin, tree.Size, tree.Root})
}

// nodes are the compact ranges of [0,m) and [m,n), as TreeReader.CompactRanges gives them.
func compactRangesOf(t testing.TB, f *referenceTree, m, n int) []Hash {
	t.Helper()
	r := &tileReader{t: t, f: f, size: uint64(n)}
	left, right, err := NewTileReader(r.read, 0).At(f.tree(n)).CompactRanges(t.Context(), uint64(m))
	if err != nil {
		t.Fatal(err)
	}
	return append(left, right...)
}

// Every pair of sizes to 20: a fork below the smaller size is evidence; one beyond
// it, or none, is not; and no spoiled evidence convinces.
func TestEvidenceOfEverySize(t *testing.T) {
	c := newTestKeys(t)
	f, g := forkedTrees(2, 20)
	key := c.log.Key()
	sign := func(f *referenceTree, n int) []byte { // Ed25519 alone, for speed
		tree := f.tree(n)
		note, err := SignCheckpoint(Checkpoint{testOrigin, tree.Size, tree.Root}, c.log)
		if err != nil {
			t.Fatal(err)
		}
		return note.Note()
	}
	for n := 1; n <= 20; n++ {
		for m := 1; m <= n; m++ {
			var nodes []Hash
			if m < n {
				nodes = compactRangesOf(t, g, m, n)
			}
			e, err := NewEvidence(sign(g, n), sign(f, m), nodes...)
			if err != nil {
				t.Fatal(err)
			}
			split, err := e.Verify(key)
			if m <= 2 || m == n && n <= 2 {
				if !errors.Is(err, ErrNoEvidence) {
					t.Errorf("%d and %d agree: %v", m, n, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%d and %d: %v", m, n, err)
			}
			want := SplitInconsistent
			if m == n {
				want = SplitSameSize
			}
			if split.Kind() != want || split.First().Checkpoint().Size != uint64(m) || split.Second().Checkpoint().Size != uint64(n) {
				t.Errorf("%d and %d: %v", m, n, split)
			}
			for what, bad := range corruptPaths(nodes, f.tree(n).Root) {
				spoiled := e
				spoiled.Nodes = bad
				if _, err := spoiled.Verify(key); !errors.Is(err, ErrNoEvidence) {
					t.Errorf("%d and %d, %s: %v", m, n, what, err)
				}
			}
		}
	}
}

func TestEvidence(t *testing.T) {
	c, other := newTestKeys(t), newTestKeys(t)
	f, g := forkedTrees(2, 20)
	both := []Key{c.log.Key(), c.logPQ.Key()}
	impossible := Checkpoint{testOrigin, 0, Hash{1}}
	single, err := FormatNote(impossible, signWithNoteLibrary(t, c, impossible))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		a, b  []byte
		nodes []Hash
		keys  []Key
		says  string // "" if it is no evidence
	}{
		{"same size", c.signedHead(t, f, 7), c.signedHead(t, g, 7), nil, both, testOrigin + " signed two trees of 7 entries"},
		{"rewritten", c.signedHead(t, f, 7), c.signedHead(t, g, 13), compactRangesOf(t, g, 7, 13), both, "one of 13 entries whose first 7 have the root"},
		{"one of two keys", c.signedHead(t, f, 7), c.signedHead(t, g, 7), nil, both[1:], "signed two trees"},
		{"empty root", single, nil, nil, both, "signed an empty tree with the root"},

		{"the same twice", c.signedHead(t, f, 7), c.signedHead(t, f, 7), nil, both, ""},
		{"honest growth", c.signedHead(t, f, 7), c.signedHead(t, f, 13), compactRangesOf(t, f, 7, 13), both, ""},
		{"honest growth, nodes of nowhere", c.signedHead(t, f, 7), c.signedHead(t, f, 13), compactRangesOf(t, g, 7, 13), both, ""},
		{"without nodes", c.signedHead(t, f, 7), c.signedHead(t, g, 13), nil, both, ""},
		{"nodes for one size", c.signedHead(t, f, 7), c.signedHead(t, g, 7), []Hash{{}}, both, ""},
		{"a good empty tree", c.signedHead(t, f, 0), nil, nil, both, ""},
		{"a single checkpoint", c.signedHead(t, f, 7), nil, nil, both, ""},
		{"nodes for a single one", single, nil, []Hash{{}}, both, ""},
		{"somebody else's key", c.signedHead(t, f, 7), other.signedHead(t, g, 7), nil, both, ""},
		{"no key", c.signedHead(t, f, 7), c.signedHead(t, g, 7), nil, nil, ""},
	} {
		e, err := NewEvidence(test.a, test.b, test.nodes...)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		swapped := e
		if test.b != nil {
			if swapped, err = NewEvidence(test.b, test.a, test.nodes...); err != nil || !bytes.Equal(swapped.First, e.First) && test.says != "" {
				t.Errorf("%s: the order of arguments shows: %v", test.name, err)
			}
		}
		text, err := e.Format()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseEvidence(text)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		split, err := back.Verify(test.keys...)
		if test.says == "" {
			if err == nil || split != nil {
				t.Errorf("%s: %v", test.name, split)
			}
			continue
		}
		if err != nil || !strings.Contains(fmt.Sprint(split), test.says) || back.Origin() != testOrigin {
			t.Errorf("%s: %v, %v", test.name, split, err)
		}
	}
}

func TestEvidenceGrammar(t *testing.T) {
	c := newTestKeys(t)
	f, g := forkedTrees(2, 20)
	e, err := NewEvidence(c.signedHead(t, f, 7), c.signedHead(t, g, 13), compactRangesOf(t, g, 7, 13)...)
	if err != nil {
		t.Fatal(err)
	}
	good, err := e.Format()
	if err != nil {
		t.Fatal(err)
	}
	text := string(good)
	for what, bad := range map[string]string{
		"empty":            "",
		"another header":   strings.Replace(text, "@v1", "@v2", 1),
		"a receipt":        strings.Replace(text, evidenceHeader, receiptHeader, 1),
		"no final newline": strings.TrimSuffix(text, "\n"),
		"a line after":     text + "\n",
		"a third":          text + "\n" + string(e.First),
		"no line between":  strings.Replace(text, "\n\n"+testOrigin+"\n13", "\n"+testOrigin+"\n13", 1),
		"too many hashes":  strings.Replace(text, "\n", "\n"+strings.Repeat(Hash{}.String()+"\n", maxEvidenceHashes), 1),
		"carriage returns": strings.ReplaceAll(text, "\n", "\r\n"),
	} {
		if got, err := ParseEvidence([]byte(bad)); err == nil {
			t.Errorf("%s: read as %+v", what, got)
		}
	}
	if _, err := NewEvidence([]byte("no note"), nil); err == nil {
		t.Error("no note is evidence")
	}
	if _, err := NewEvidence(e.First, []byte("no note")); err == nil {
		t.Error("half a note is evidence")
	}
}

// Two logs owe each other nothing, whosever keys judge them.
func TestEvidenceOfTwoLogs(t *testing.T) {
	c := newTestKeys(t)
	f := newReferenceTree(2)
	secret, _, err := GenerateKey(Ed25519, "other.example")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ParseSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	other, err := SignCheckpoint(Checkpoint{"other.example", 1, LeafHash([]byte("another"))}, signer)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEvidence(c.signedHead(t, f, 1), other.Note())
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Verify(c.log.Key())
	if !errors.Is(err, ErrNoEvidence) {
		t.Fatalf("got %v", err)
	}
	checkWords(t, err)
}
