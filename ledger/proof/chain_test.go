package proof

import (
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
)

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
