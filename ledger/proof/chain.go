package proof

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// A chain file is of at most MaxChainReceipts receipts and MaxChainBytes bytes.
const (
	MaxChainReceipts = 1024
	MaxChainBytes    = 16 << 20
)

// ParseChain reads a file of one or more receipts, one after another with nothing
// between: each begins with the header line of a tlog-proof, which cannot be a
// signature line, so there is one way to read it.
func ParseChain(data []byte) ([]Receipt, error) {
	if len(data) > MaxChainBytes {
		return nil, fmt.Errorf("chain: %d bytes, the limit is %d", len(data), MaxChainBytes)
	}
	var chain []Receipt
	for rest := string(data); rest != ""; {
		if len(chain) == MaxChainReceipts {
			return nil, fmt.Errorf("chain: more than %d receipts", MaxChainReceipts)
		}
		r, after, err := cutReceipt(rest)
		if err != nil {
			return nil, fmt.Errorf("chain: receipt %d: %w", len(chain)+1, err)
		}
		chain, rest = append(chain, r), after
	}
	if len(chain) == 0 {
		return nil, errors.New("chain: the file is empty")
	}
	return chain, nil
}

// FormatChain writes receipts one after another. It refuses what [ParseChain]
// would not read.
func FormatChain(chain []Receipt) ([]byte, error) {
	if len(chain) == 0 || len(chain) > MaxChainReceipts {
		return nil, fmt.Errorf("chain of %d receipts, want 1 to %d", len(chain), MaxChainReceipts)
	}
	var b []byte
	for i, r := range chain {
		one, err := r.Format()
		if err != nil {
			return nil, fmt.Errorf("chain: receipt %d: %w", i+1, err)
		}
		if b = append(b, one...); len(b) > MaxChainBytes {
			return nil, fmt.Errorf("chain: more than %d bytes with receipt %d", MaxChainBytes, i+1)
		}
	}
	return b, nil
}

// TreeComparison says how the trees of several receipts go together, as far as the receipts'
// own paths show it: nobody was asked for a consistency proof.
type TreeComparison struct {
	Newest   Tree   // the largest
	Extended []Tree // smaller ones that Newest is shown to continue, the largest first
	Unproven []Tree // smaller ones of which neither that is shown nor the contrary, the largest first
}

// SplitViewError is two published checkpoints that no one history has: whoever signed and
// cosigned both has shown two.
type SplitViewError struct{ One, Other *Published }

func (e *SplitViewError) Error() string {
	a, b := e.One.cp, e.Other.cp
	return fmt.Sprintf("two histories of %s: size %d with root %s, and size %d with root %s, are not of one log", a.Origin, a.Size, a.Root, b.Size, b.Root)
}

// CompareTrees holds the trees of receipts against each other; those of another log than
// the first one's are an *[OriginError]. Each receipt's path shows
// nodes of its tree, and a full node that two trees of one history have is the same in
// both: where it is not, that is a *[SplitViewError]. Where the nodes of a larger tree make
// up a smaller one, as those on the path of entry m make up the tree of size m, the
// larger continues it (RFC 6962, section 2.1).
func CompareTrees(receipts []*VerifiedReceipt) (TreeComparison, error) {
	var views []*knownNodes // one a tree, the largest first
	seen := make(map[compact.NodeID]*knownNodes)
	for _, r := range receipts {
		if want := receipts[0].published.cp.Origin; r.published.cp.Origin != want {
			return TreeComparison{}, &OriginError{Origin: r.published.cp.Origin, Want: []string{want}}
		}
		at := slices.IndexFunc(views, func(v *knownNodes) bool { return v.published.cp.Size <= r.published.cp.Size })
		if at < 0 {
			at = len(views)
		}
		if at == len(views) || views[at].published.cp.Size != r.published.cp.Size {
			views = slices.Insert(views, at, &knownNodes{r.published, make(map[compact.NodeID]Hash)})
		}
		v := views[at]
		if v.published.cp.Tree() != r.published.cp.Tree() {
			return TreeComparison{}, &SplitViewError{v.published, r.published}
		}
		if err := v.addReceipt(r); err != nil {
			return TreeComparison{}, err
		}
	}
	for _, v := range views {
		for id, hash := range v.nodes {
			if other := seen[id]; other == nil {
				seen[id] = v
			} else if other.nodes[id] != hash {
				return TreeComparison{}, &SplitViewError{other.published, v.published}
			}
		}
	}
	return compareWithNewest(views)
}

// compareWithNewest finds the trees that the newest one continues. What is shown of one that
// it continues is shown of it too, so one may lead to the next.
func compareWithNewest(views []*knownNodes) (TreeComparison, error) {
	var trees TreeComparison
	if len(views) == 0 {
		return trees, nil
	}
	newest, open := views[0], views[1:]
	trees.Newest = newest.published.cp.Tree()
	for found := true; found; {
		found = false
		var still []*knownNodes
		for _, v := range open {
			root, known, err := newest.rootAt(v.published.cp.Size)
			switch {
			case err != nil:
				return TreeComparison{}, err
			case !known:
				still = append(still, v)
				continue
			case root != v.published.cp.Root:
				return TreeComparison{}, &SplitViewError{newest.published, v.published}
			}
			found = true
			trees.Extended = append(trees.Extended, v.published.cp.Tree())
			for id, hash := range v.nodes {
				newest.add(id, hash)
			}
		}
		open = still
	}
	for _, v := range open {
		trees.Unproven = append(trees.Unproven, v.published.cp.Tree())
	}
	slices.SortFunc(trees.Extended, func(a, b Tree) int { return cmp.Compare(b.Size, a.Size) })
	return trees, nil
}

// knownNodes is what receipts show of one tree: full nodes, of 2^level leaves each.
type knownNodes struct {
	published *Published
	nodes     map[compact.NodeID]Hash
}

// addReceipt adds the nodes on a verified receipt's path.
func (v *knownNodes) addReceipt(r *VerifiedReceipt) error {
	at, err := merkle.Inclusion(r.index, r.published.cp.Size)
	if err != nil {
		return fmt.Errorf("the path of entry %d: %w", r.index, err)
	}
	v.add(compact.NewNodeID(0, r.index), LeafHash(r.entry))
	// The nodes of the tree's ragged right edge come folded into one hash, which is no
	// node of a larger tree.
	_, begin, end := at.Ephem()
	folded := max(0, end-begin-1)
	for i, id := range at.IDs {
		switch {
		case i >= begin && i < end && folded > 0:
		case i >= end:
			v.add(id, r.path[i-folded])
		default:
			v.add(id, r.path[i])
		}
	}
	return nil
}

// add keeps a node, and its parent where that is now known.
func (v *knownNodes) add(id compact.NodeID, hash Hash) {
	for {
		if _, known := v.nodes[id]; known {
			return // two verified paths to one root cannot differ
		}
		v.nodes[id] = hash
		other, known := v.nodes[id.Sibling()]
		if !known {
			return
		}
		left, right := hash, other
		if id.Index%2 == 1 {
			left, right = other, hash
		}
		hash = Hash(rfc6962.DefaultHasher.HashChildren(left[:], right[:]))
		id = id.Parent()
	}
}

// rootAt is the root of the first size entries, if the nodes make it up.
func (v *knownNodes) rootAt(size uint64) (root Hash, known bool, err error) {
	if size == 0 {
		return EmptyRoot(), true, nil
	}
	var hashes [][]byte
	for _, id := range compact.RangeNodes(0, size, nil) {
		hash, known := v.nodes[id]
		if !known {
			return Hash{}, false, nil
		}
		hashes = append(hashes, hash[:])
	}
	ranges := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	edge, err := ranges.NewRange(0, size, hashes)
	if err != nil {
		return Hash{}, false, fmt.Errorf("the tree of size %d: %w", size, err)
	}
	b, err := edge.GetRootHash(nil)
	if err != nil {
		return Hash{}, false, fmt.Errorf("the root of size %d: %w", size, err)
	}
	return Hash(b), true, nil
}
