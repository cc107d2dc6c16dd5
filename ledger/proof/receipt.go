package proof

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/transparency-dev/merkle/compact"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// receiptHeader is the first line of a tlog-proof.
const receiptHeader = "c2sp.org/tlog-proof@v1"

// maxLineBytes bounds a line of a receipt, its newline not counted: published parsers
// read with a buffer of 64 KiB. The longest line is the entry's.
const maxLineBytes = 64<<10 - 1

// ReceiptSuffix is what the names of receipt files end in.
const ReceiptSuffix = ".tlog-proof"

// Receipt is a tlog-proof whose extra line is the entry: everything but the policy that
// is needed to check offline that the entry is on the ledger. A parsed receipt is
// untrusted until [Receipt.Verify] accepts it.
type Receipt struct {
	Entry      []byte
	Index      uint64
	Path       []Hash // from the leaf's sibling to the root's child
	Checkpoint []byte // the signed note
}

// ParseReceipt reads one receipt strictly: Format gives the same bytes.
func ParseReceipt(data []byte) (Receipt, error) {
	r, rest, err := cutReceipt(string(data))
	switch {
	case err != nil:
		return Receipt{}, fmt.Errorf("receipt: %w", err)
	case strings.HasPrefix(rest, receiptHeader+"\n"):
		return Receipt{}, errors.New("receipt: another receipt follows, so this is a chain")
	case rest != "":
		return Receipt{}, errors.New("receipt: bytes after the last signature line")
	}
	return r, nil
}

// Format writes the receipt. It refuses what [ParseReceipt] would not read.
func (r Receipt) Format() ([]byte, error) {
	extra := len("extra ") + base64.StdEncoding.EncodedLen(len(r.Entry))
	switch {
	case len(r.Entry) == 0:
		return nil, errors.New("writing a receipt: no entry")
	case extra > maxLineBytes:
		return nil, fmt.Errorf("writing a receipt: entry of %d bytes makes a line of %d, limit %d", len(r.Entry), extra, maxLineBytes)
	case len(r.Path) > MaxProofHashes:
		return nil, fmt.Errorf("writing a receipt: path of %d hashes, limit %d", len(r.Path), MaxProofHashes)
	}
	if _, _, err := ParseCheckpoint(r.Checkpoint); err != nil {
		return nil, fmt.Errorf("writing a receipt: %w", err)
	}
	const hashLine = 44 + 1
	b := make([]byte, 0, extra+hashLine*len(r.Path)+len(r.Checkpoint)+64)
	// SPEC: tlog-proof Format: the first line is c2sp.org/tlog-proof@v1
	b = append(b, receiptHeader+"\nextra "...)
	b = base64.StdEncoding.AppendEncode(b, r.Entry)
	b = fmt.Appendf(b, "\nindex %d\n", r.Index)
	for _, h := range r.Path {
		b = append(base64.StdEncoding.AppendEncode(b, h[:]), '\n')
	}
	return append(append(b, '\n'), r.Checkpoint...), nil
}

// cutReceipt reads the receipt that the text begins with and returns what follows
// its last signature line (tlog-proof "Format").
func cutReceipt(text string) (r Receipt, rest string, err error) {
	line, rest, err := cutLine(text)
	switch {
	case errors.Is(err, errLineEnds):
		return Receipt{}, "", err
	// SPEC: tlog-proof Format: the first line is c2sp.org/tlog-proof@v1
	case err != nil || line != receiptHeader:
		return Receipt{}, "", fmt.Errorf("the first line is not %s: this is something else", receiptHeader)
	}
	if line, rest, err = cutLine(rest); err != nil {
		return Receipt{}, "", err
	}
	extra, ok := strings.CutPrefix(line, "extra ")
	if !ok || extra == "" {
		return Receipt{}, "", errors.New("no extra line: a receipt of this ledger carries its entry there")
	}
	if r.Entry, err = decodeBase64(extra); err != nil {
		return Receipt{}, "", fmt.Errorf("extra: %w", err)
	}
	if line, rest, err = cutLine(rest); err != nil {
		return Receipt{}, "", err
	}
	index, ok := strings.CutPrefix(line, "index ")
	if !ok || index == "" {
		return Receipt{}, "", errors.New("no index line after the entry")
	}
	// SPEC: tlog-proof Format: the next line is "index", one space, and the index in decimal without leading zeros
	if r.Index, err = parseDecimal(index); err != nil {
		return Receipt{}, "", fmt.Errorf("index %q: %w", index, err)
	}
	if r.Path, rest, err = cutHashes(rest, MaxProofHashes); err != nil {
		return Receipt{}, "", err
	}
	// SPEC: tlog-proof Format: after an empty line the checkpoint follows as it was issued
	note, rest, err := cutNote(rest)
	if err != nil {
		return Receipt{}, "", err
	}
	r.Checkpoint = note
	return r, rest, nil
}

// errLineEnds: mail programs and editors change the ends of lines.
var errLineEnds = errors.New("a line ends in CR LF, not in LF: something on its way has changed the line ends; ask for the file again")

// cutLine takes one line off; it must end in a newline.
func cutLine(text string) (line, rest string, err error) {
	line, rest, ok := strings.Cut(text, "\n")
	switch {
	case !ok:
		return "", "", errors.New("the file ends within a line: is it whole?")
	case strings.HasSuffix(line, "\r"):
		return "", "", errLineEnds
	case len(line) > maxLineBytes:
		return "", "", fmt.Errorf("line of %d bytes, limit %d", len(line), maxLineBytes)
	}
	return line, rest, nil
}

// cutHashes takes hash lines and the empty line after them off.
func cutHashes(text string, limit int) (path []Hash, rest string, err error) {
	for rest = text; ; {
		var line string
		if line, rest, err = cutLine(rest); err != nil {
			return nil, "", err
		}
		if line == "" {
			return path, rest, nil
		}
		if len(path) == limit {
			return nil, "", fmt.Errorf("more than %d hashes", limit)
		}
		// SPEC: tlog-proof Format: the lines after it are one hash each, the leaf's sibling first
		h, err := ParseHash(line)
		if err != nil {
			return nil, "", fmt.Errorf("hash %d: %w", len(path)+1, err)
		}
		path = append(path, h)
	}
}

// cutNote takes a checkpoint off: three lines, an empty one, and the signature
// lines, as far as lines begin like signatures.
func cutNote(text string) (note []byte, rest string, err error) {
	_, lines, ok := strings.Cut(text, "\n\n")
	if !ok {
		return nil, "", errors.New("checkpoint: no empty line before the signatures")
	}
	for strings.HasPrefix(lines, sigPrefix) {
		if _, lines, err = cutLine(lines); err != nil {
			return nil, "", err
		}
	}
	note = []byte(text[:len(text)-len(lines)])
	if _, _, err := ParseCheckpoint(note); err != nil {
		return nil, "", err
	}
	return note, lines, nil
}

// VerifiedReceipt is an entry that is at that index of a published checkpoint's
// tree. It shows inclusion, not authorship. Made by [Receipt.Verify] only.
type VerifiedReceipt struct {
	entry     []byte
	index     uint64
	path      []Hash
	published *Published
}

// Entry is the leaf's bytes; the caller must not change them.
func (v *VerifiedReceipt) Entry() []byte { return v.entry }

// Index is the entry's place on the ledger, from 0.
func (v *VerifiedReceipt) Index() uint64 { return v.index }

// Published is the checkpoint whose tree the entry is in.
func (v *VerifiedReceipt) Published() *Published { return v.published }

// Verify does tlog-proof "Verifying a tlog proof": the leaf is the hash of the
// entry, the checkpoint satisfies the policy at that time, the path leads from one
// to the other. Errors: those of [Policy.Verify], [ErrNotIncluded].
func (r Receipt) Verify(p *Policy, now time.Time) (*VerifiedReceipt, error) {
	pub, err := p.Verify(r.Checkpoint, now)
	if err != nil {
		return nil, err
	}
	// SPEC: tlog-proof Format: nothing trusts the extra data before it is shown to be a leaf of the tree
	// SPEC: tlog-proof Verifying a tlog proof: step 1: the leaf is hashed
	// SPEC: tlog-proof Verifying a tlog proof: step 4: the proof binds the leaf to the root of the checkpoint
	if err := VerifyInclusion(LeafHash(r.Entry), r.Index, r.Path, pub.cp.Tree()); err != nil {
		return nil, err
	}
	return &VerifiedReceipt{entry: []byte(string(r.Entry)), index: r.Index, path: slices.Clone(r.Path), published: pub}, nil
}

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
		switch {
		case err != nil && len(chain) == 0:
			return nil, fmt.Errorf("receipt: %w", err)
		case err != nil && !strings.HasPrefix(rest, receiptHeader):
			return nil, errors.New("receipt: bytes after the last signature line")
		case err != nil:
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

// TreeComparison is what the receipts' own inclusion paths show about the relation of
// their trees. No consistency proof is requested.
type TreeComparison struct {
	Newest   Tree   // the largest
	Extended []Tree // smaller ones that Newest is shown to continue, the largest first
	Unproven []Tree // smaller ones of which neither that is shown nor the contrary, the largest first
}

// SplitViewError is two published checkpoints that cannot belong to one history.
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
