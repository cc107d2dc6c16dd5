package proof

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	fproof "github.com/transparency-dev/formats/proof"
)

// testReceipt is entry i of a tree of n, cosigned by w1.
func testReceipt(t testing.TB, c *testKeys, f *referenceTree, i, n int) Receipt {
	t.Helper()
	tree := f.tree(n)
	cp := Checkpoint{testOrigin, tree.Size, tree.Root}
	return Receipt{
		Entry:      testEntry(i),
		Index:      uint64(i),
		Path:       f.path(i, 0, n),
		Checkpoint: c.cosigned(t, cp, c.cosignatureAt(t, "w1", cp, uint64(testTime.Unix()))),
	}
}

func TestReceipt(t *testing.T) {
	c, f := newTestKeys(t), newReferenceTree(20)
	p := c.policy(t, "quorum w1\n")
	for _, n := range []int{1, 2, 3, 7, 8, 20} {
		for i := range n {
			r := testReceipt(t, c, f, i, n)
			text, err := r.Format()
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseReceipt(text)
			if err != nil {
				t.Fatal(err)
			}
			v, err := got.Verify(p, testTime)
			if err != nil {
				t.Fatalf("%d of %d: %v", i, n, err)
			}
			if !bytes.Equal(v.Entry(), r.Entry) || v.Index() != uint64(i) || v.Published().Checkpoint().Size != uint64(n) {
				t.Errorf("%d of %d: %+v", i, n, v)
			}
			// A published parser reads the same.
			var theirs fproof.TLogProof
			if err := theirs.Unmarshal(text); err != nil || theirs.Index != r.Index || !bytes.Equal(theirs.ExtraData, r.Entry) ||
				!bytes.Equal(theirs.Checkpoint, r.Checkpoint) || len(theirs.Hashes) != len(r.Path) || !bytes.Equal(theirs.Marshal(), text) {
				t.Errorf("%d of %d: formats reads %+v, %v", i, n, theirs, err)
			}
		}
	}
}

// Whichever byte of a receipt is changed, it does not verify as what it was; where
// it still verifies, an unknown signature line has changed, or nothing that counts.
func TestReceiptWithOneByteChanged(t *testing.T) {
	c, f := newTestKeys(t), newReferenceTree(8)
	p := c.policy(t, "quorum w1\n")
	r := testReceipt(t, c, f, 5, 8)
	r.Checkpoint = c.cosignedBy(t, r.Checkpoint, c.log) // Ed25519 only: fewer bytes, each tried
	text, err := r.Format()
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		for _, flip := range []byte{1, 0x20} {
			bad := bytes.Clone(text)
			bad[i] ^= flip
			got, err := ParseReceipt(bad)
			if err != nil {
				continue
			}
			if _, err := got.Verify(p, testTime); err == nil {
				t.Errorf("byte %d (%q instead of %q) does not matter", i, bad[i], text[i])
			}
		}
	}
}

// cosignedBy keeps the signatures of that log key and of witnesses.
func (c *testKeys) cosignedBy(t *testing.T, note []byte, log *Signer) []byte {
	t.Helper()
	cp, sigs, err := ParseCheckpoint(note)
	if err != nil {
		t.Fatal(err)
	}
	var kept []Signature
	for _, s := range sigs {
		if s.Name != testOrigin || s.ID == log.Key().ID() {
			kept = append(kept, s)
		}
	}
	out, err := FormatNote(cp, kept...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReceiptRefuses(t *testing.T) {
	c, f := newTestKeys(t), newReferenceTree(8)
	p := c.policy(t, "quorum w1\n")
	r := testReceipt(t, c, f, 5, 8)
	for what, spoil := range map[string]func(*Receipt){
		"another entry": func(r *Receipt) { r.Entry = testEntry(4) },
		"another index": func(r *Receipt) { r.Index = 4 },
		"beyond":        func(r *Receipt) { r.Index = 8 },
		"shorter path":  func(r *Receipt) { r.Path = r.Path[1:] },
		"no path":       func(r *Receipt) { r.Path = nil },
		"another tree":  func(r *Receipt) { r.Checkpoint = testReceipt(t, c, f, 5, 7).Checkpoint },
	} {
		bad := r
		spoil(&bad)
		if _, err := bad.Verify(p, testTime); !errors.Is(err, ErrNotIncluded) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var short *QuorumError
	if _, err := r.Verify(c.policy(t, "quorum w2\n"), testTime); !errors.As(err, &short) {
		t.Errorf("another quorum: %v", err)
	}
	if _, err := (Receipt{Entry: []byte("x"), Checkpoint: []byte("no note\n")}).Format(); err == nil {
		t.Error("a receipt without a note is written")
	}
	if _, err := (Receipt{Checkpoint: r.Checkpoint}).Format(); err == nil {
		t.Error("a receipt without an entry is written")
	}
	if _, err := (Receipt{Entry: r.Entry, Path: make([]Hash, MaxProofHashes+1), Checkpoint: r.Checkpoint}).Format(); err == nil {
		t.Error("a receipt with a path of 64 is written")
	}
}

// The example of tlog-proof, whose extra line and signatures are cut there: those
// are filled up here, the rest is the text's.
func TestExampleReceipt(t *testing.T) {
	const example = `c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

— example.com/fancylog hI2DJwAA1roloI==
— witness1.example mJirIklj9qY9v2B/5bg=
— witness2.example TnKKVHLXxwYwrSjgow==
— witness3.example S4X82uH53oEcROGLFQ==
`
	text := strings.Replace(example, "hI2DJwAA1roloI==", "hI2DJwAA1roloA==", 1) // canonical base64
	r, err := ParseReceipt([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if string(r.Entry) != "age-v1.2.1-darwin-arm64.tar.gz" || r.Index != 73894 || len(r.Path) != 5 {
		t.Errorf("got %+v", r)
	}
	if out, err := r.Format(); err != nil || string(out) != text {
		t.Errorf("written again: %s, %v", out, err)
	}
	if _, err := ParseReceipt([]byte(example)); err == nil {
		t.Error("base64 with stray bits is read")
	}
}

func TestReceiptGrammar(t *testing.T) {
	c, f := newTestKeys(t), newReferenceTree(8)
	good, err := testReceipt(t, c, f, 5, 8).Format()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(good), "\n")
	with := func(i int, line string) string {
		l := append([]string{}, lines...)
		l[i] = line
		return strings.Join(l, "")
	}
	for what, text := range map[string]string{
		"empty":              "",
		"header only":        lines[0],
		"another version":    with(0, "c2sp.org/tlog-proof@v2\n"),
		"another header":     with(0, "c2sp.org/tlog-proof@v1 \n"),
		"byte order mark":    "\ufeff" + string(good),
		"line end before":    "\n" + string(good),
		"carriage returns":   strings.ReplaceAll(string(good), "\n", "\r\n"),
		"no extra":           with(1, ""),
		"empty extra":        with(1, "extra \n"),
		"extra unpadded":     with(1, "extra eA\n"),
		"extra twice":        with(1, lines[1]+lines[1]),
		"extra with a tab":   with(1, strings.Replace(lines[1], " ", "\t", 1)),
		"extra too long":     with(1, "extra "+strings.Repeat("AAAA", 16*1024)+"\n"),
		"no index":           with(2, ""),
		"empty index":        with(2, "index \n"),
		"index with zero":    with(2, "index 05\n"),
		"index with sign":    with(2, "index +5\n"),
		"index of 2^64":      with(2, "index 18446744073709551616\n"),
		"short hash":         with(3, "AAAA\n"),
		"hash with space":    with(3, lines[3][:len(lines[3])-1]+" \n"),
		"64 hashes":          with(3, strings.Repeat(lines[3], 62)),
		"no empty line":      with(6, ""),
		"two empty lines":    with(6, "\n\n"),
		"no final newline":   strings.TrimSuffix(string(good), "\n"),
		"a line after":       string(good) + "\n",
		"bytes after":        string(good) + "x\n",
		"another receipt":    string(good) + string(good),
		"cut in a signature": string(good[:len(good)-100]),
	} {
		if r, err := ParseReceipt([]byte(text)); err == nil {
			t.Errorf("%s: read as %+v", what, r)
		}
	}
}

// The longest entry that a published parser's 64 KiB buffer takes, and one more.
func TestReceiptLineLimit(t *testing.T) {
	c, f := newTestKeys(t), newReferenceTree(8)
	r := testReceipt(t, c, f, 5, 8)
	r.Entry = make([]byte, (maxLineBytes-len("extra "))/4*3)
	text, err := r.Format()
	if err != nil {
		t.Fatal(err)
	}
	var theirs fproof.TLogProof
	if err := theirs.Unmarshal(text); err != nil {
		t.Errorf("formats: %v", err)
	}
	r.Entry = append(r.Entry, 0)
	if _, err := r.Format(); err == nil {
		t.Error("a longer line is written")
	}
	r.Entry = make([]byte, 48_000) // the ledger's own limit
	if _, err := r.Format(); err != nil {
		t.Error(err)
	}
}

func TestChain(t *testing.T) {
	c, f := newTestKeys(t), newReferenceTree(20)
	var chain []Receipt
	var text []byte
	for _, n := range []int{1, 3, 20} {
		r := testReceipt(t, c, f, n-1, n)
		one, err := r.Format()
		if err != nil {
			t.Fatal(err)
		}
		chain, text = append(chain, r), append(text, one...)
		got, err := FormatChain(chain)
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%d receipts: %v", len(chain), err)
		}
		back, err := ParseChain(got)
		if err != nil || len(back) != len(chain) || back[len(back)-1].Index != uint64(n-1) {
			t.Errorf("%d receipts are read as %d: %v", len(chain), len(back), err)
		}
	}
	for what, bad := range map[string][]byte{
		"empty":          nil,
		"line between":   bytes.Replace(text, []byte("\nc2sp"), []byte("\n\nc2sp"), 1),
		"line after":     append(bytes.Clone(text), '\n'),
		"something else": append(bytes.Clone(text), "hello\n"...),
		"cut":            text[:len(text)-1],
	} {
		if got, err := ParseChain(bad); err == nil {
			t.Errorf("%s: read as %d receipts", what, len(got))
		}
	}
	if _, err := FormatChain(nil); err == nil {
		t.Error("a chain of nothing is written")
	}
}

// receiptOf is a receipt of entry i in the tree of the forest's first n, as if verified.
func receiptOf(f *referenceTree, i, n int) *VerifiedReceipt {
	p := &Published{signedCheckpoint: signedCheckpoint{cp: Checkpoint{Origin: "log.example", Size: uint64(n), Root: f.mth(0, n)}}}
	return &VerifiedReceipt{entry: testEntry(i), index: uint64(i), path: f.path(i, 0, n), published: p}
}

// alteredTree is the history in which another leaf stands in the place of one.
func alteredTree(n, leaf int) *referenceTree {
	f := newReferenceTree(n)
	f.leaves[leaf] = sha256.Sum256([]byte("another"))
	return f
}

// Every pair of receipts of one history is found to be of one, and the tree of size m
// to be continued where the path of entry m, or m−1, makes it up. Nothing is called
// shown that the paths do not show.
func TestCompareTrees(t *testing.T) {
	const most = 20
	f := newReferenceTree(most)
	for large := 1; large <= most; large++ {
		for small := 1; small <= large; small++ {
			for i := range large {
				for j := range small {
					trees, err := CompareTrees([]*VerifiedReceipt{receiptOf(f, j, small), receiptOf(f, i, large)})
					if err != nil || trees.Newest != f.tree(large) {
						t.Fatalf("entries %d of %d and %d of %d: %v, %v", i, large, j, small, trees, err)
					}
					switch n := len(trees.Extended) + len(trees.Unproven); {
					case small == large && n != 0, small < large && n != 1:
						t.Fatalf("entries %d of %d and %d of %d: %v", i, large, j, small, trees)
					case (i == small || i == small-1) && small < large && len(trees.Extended) != 1:
						t.Fatalf("the path of entry %d makes up the tree of %d, and it is not shown: %v", i, small, trees)
					}
				}
			}
		}
	}
}

// Where another history comes in, it is found out or nothing is shown of it.
func TestCompareTreesOfTwoHistories(t *testing.T) {
	const most = 12
	f := newReferenceTree(most)
	found := 0
	for leaf := range most {
		g := alteredTree(most, leaf)
		for large := 1; large <= most; large++ {
			for small := leaf + 1; small <= large; small++ { // smaller ones do not differ
				for i := range large {
					for j := range small {
						if j == leaf {
							continue // its entry would be another
						}
						trees, err := CompareTrees([]*VerifiedReceipt{receiptOf(f, i, large), receiptOf(g, j, small)})
						var two *SplitViewError
						switch {
						case errors.As(err, &two):
							found++
						case err != nil:
							t.Fatal(err)
						case small == large || i == small || i == small-1 || len(trees.Extended) != 0 || len(trees.Unproven) != 1:
							t.Fatalf("leaf %d is another: entries %d of %d and %d of %d pass: %v", leaf, i, large, j, small, trees)
						}
					}
				}
			}
		}
	}
	if found == 0 {
		t.Error("none was found out")
	}
}

// A tree that leads to another shows that one too; two that are not the newest are held
// against each other; two logs are not compared.
func TestCompareTreesOfMany(t *testing.T) {
	f := newReferenceTree(40)
	trees, err := CompareTrees([]*VerifiedReceipt{receiptOf(f, 0, 9), receiptOf(f, 9, 21), receiptOf(f, 21, 40)})
	if want := []Tree{f.tree(21), f.tree(9)}; err != nil || !slices.Equal(trees.Extended, want) || trees.Unproven != nil {
		t.Errorf("%v, %v; want %v continued", trees, err, want)
	}
	g := alteredTree(40, 3)
	var two *SplitViewError
	if _, err := CompareTrees([]*VerifiedReceipt{receiptOf(f, 0, 9), receiptOf(g, 9, 21), receiptOf(f, 30, 40)}); !errors.As(err, &two) || two.One.cp.Size != 21 && two.Other.cp.Size != 21 {
		t.Errorf("two histories: %v", err)
	}
	other := receiptOf(f, 1, 2)
	other.published.cp.Origin = "other.example"
	var origin *OriginError
	if _, err := CompareTrees([]*VerifiedReceipt{receiptOf(f, 0, 9), other}); !errors.As(err, &origin) {
		t.Errorf("two logs: %v", err)
	}
	if trees, err := CompareTrees(nil); err != nil || trees.Newest.Size != 0 {
		t.Errorf("nothing: %v, %v", trees, err)
	}
}
