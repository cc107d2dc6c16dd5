package proof

import (
	"errors"
	"fmt"
	"strings"

	"github.com/transparency-dev/merkle/compact"
)

// evidenceHeader is the first line of an evidence file.
const evidenceHeader = "docket/split-view@v1"

// maxEvidenceHashes is the most hashes of two compact ranges.
const maxEvidenceHashes = 64 + 2*64

// EvidenceSuffix is what the names of evidence files end in.
const EvidenceSuffix = ".split-view"

// Evidence is what shows that a log signed two histories: one file, checked with
// nothing but the log's key. It is
//
//	docket/split-view@v1
//	<zero or more hashes, one a line>
//	<empty line>
//	<the checkpoint of the smaller size, a signed note>
//	[<empty line>
//	<the other checkpoint>]
//
// One checkpoint and no hash: it is of size 0 with a root that is not the empty
// tree's. Two of one size, the smaller root first, and no hash: the roots differ.
// Two of sizes m < n and the nodes of the compact ranges [0,m) and [m,n), from left
// to right: all of them fold to the larger root, those of [0,m) to another than the
// smaller checkpoint's. Nothing else is evidence; a proof that fails is none.
type Evidence struct {
	Nodes  []Hash
	First  []byte
	Second []byte // nil with a single checkpoint
}

// SplitKind says in which way two histories show.
type SplitKind string

const (
	SplitEmptyRoot    SplitKind = "empty-root" // size 0 with a root that is not the empty tree's
	SplitSameSize     SplitKind = "same-size"  // two roots of one size
	SplitInconsistent SplitKind = "rewritten"  // the larger tree does not begin with the smaller
)

// ErrNoEvidence is a file that is well formed and shows no split view.
var ErrNoEvidence = errors.New("this is no evidence of a split view")

// NewEvidence arranges what [Evidence] holds: b is nil for a single checkpoint,
// the nodes are those of [TreeReader.CompactRanges] at the smaller size in the larger tree,
// left then right, or none where sizes are equal. It shows something only if Verify
// says so.
func NewEvidence(a, b []byte, nodes ...Hash) (Evidence, error) {
	if b != nil {
		ca, _, err := ParseCheckpoint(a)
		if err != nil {
			return Evidence{}, err
		}
		cb, _, err := ParseCheckpoint(b)
		if err != nil {
			return Evidence{}, err
		}
		if ca.Tree().Compare(cb.Tree()) > 0 {
			a, b = b, a
		}
	}
	e := Evidence{Nodes: nodes, First: a, Second: b}
	_, err := e.Format()
	return e, err
}

// ParseEvidence reads an evidence file strictly: Format gives the same bytes.
func ParseEvidence(data []byte) (Evidence, error) {
	e, err := parseEvidence(string(data))
	if err != nil {
		return Evidence{}, fmt.Errorf("evidence: %w", err)
	}
	return e, nil
}

func parseEvidence(text string) (e Evidence, err error) {
	line, rest, err := cutLine(text)
	if err != nil || line != evidenceHeader {
		return Evidence{}, fmt.Errorf("the first line is not %s: this is something else", evidenceHeader)
	}
	if e.Nodes, rest, err = cutHashes(rest, maxEvidenceHashes); err != nil {
		return Evidence{}, err
	}
	if e.First, rest, err = cutNote(rest); err != nil || rest == "" {
		return e, err
	}
	rest, ok := strings.CutPrefix(rest, "\n")
	if !ok {
		return Evidence{}, errors.New("no empty line after the first checkpoint")
	}
	if e.Second, rest, err = cutNote(rest); err != nil {
		return Evidence{}, err
	}
	if rest != "" {
		return Evidence{}, errors.New("bytes after the second checkpoint")
	}
	return e, nil
}

// Format writes the file. It refuses what [ParseEvidence] would not read.
func (e Evidence) Format() ([]byte, error) {
	var b strings.Builder
	b.WriteString(evidenceHeader + "\n")
	for _, h := range e.Nodes {
		b.WriteString(h.String() + "\n")
	}
	b.WriteByte('\n')
	b.Write(e.First)
	if e.Second != nil {
		b.WriteByte('\n')
		b.Write(e.Second)
	}
	if _, err := ParseEvidence([]byte(b.String())); err != nil {
		return nil, fmt.Errorf("writing %w", err)
	}
	return []byte(b.String()), nil
}

// Origin is the log that the first checkpoint names: whose keys Verify needs. It is
// a claim.
func (e Evidence) Origin() string {
	cp, _, err := ParseCheckpoint(e.First)
	if err != nil {
		return ""
	}
	return cp.Origin
}

// CheckSameLog is [ErrNoEvidence] if the two checkpoints are of two logs: whatever those signed,
// they owe each other nothing. It takes no key.
func (e Evidence) CheckSameLog() error {
	if e.Second == nil {
		return nil
	}
	second, _, err := ParseCheckpoint(e.Second)
	if err != nil {
		return err
	}
	if first := e.Origin(); second.Origin != first {
		return fmt.Errorf("%w: its checkpoints are of two logs, %s and %s", ErrNoEvidence, first, second.Origin)
	}
	return nil
}

// SplitView is a log's verified misbehaviour: it signed two histories, or a tree
// that cannot be. Made by [Evidence.Verify] only.
type SplitView struct {
	kind          SplitKind
	first, second *Signed
	prefixRoot    Hash // SplitInconsistent: the root that [0,m) of the larger tree has
}

// Kind is the way in which it shows.
func (s *SplitView) Kind() SplitKind { return s.kind }

// First is the checkpoint of the smaller size.
func (s *SplitView) First() *Signed { return s.first }

// Second is the other checkpoint, nil with [SplitEmptyRoot].
func (s *SplitView) Second() *Signed { return s.second }

// String says in one sentence what the log did.
func (s *SplitView) String() string {
	a := s.first.cp
	switch s.kind {
	case SplitEmptyRoot:
		return fmt.Sprintf("%s signed an empty tree with the root %s", a.Origin, a.Root)
	case SplitSameSize:
		return fmt.Sprintf("%s signed two trees of %d entries: roots %s and %s", a.Origin, a.Size, a.Root, s.second.cp.Root)
	}
	return fmt.Sprintf("%s signed a tree of %d entries with the root %s, and one of %d entries whose first %d have the root %s",
		a.Origin, a.Size, a.Root, s.second.cp.Size, a.Size, s.prefixRoot)
}

// Verify checks the evidence with the keys that the verifier trusts for
// [Evidence.Origin]. Only origin, size and root are compared: one tree signed by
// two keys, or twice, is no misbehaviour. Errors: [ErrNoEvidence], or those of
// [VerifyLog].
func (e Evidence) Verify(keys ...Key) (*SplitView, error) {
	if err := e.CheckSameLog(); err != nil {
		return nil, err
	}
	first, err := VerifyLog(e.First, e.Origin(), keys...)
	if err != nil {
		return nil, fmt.Errorf("evidence: first checkpoint: %w", err)
	}
	s := &SplitView{first: first}
	if e.Second == nil {
		if len(e.Nodes) > 0 || first.cp.Size != 0 || first.cp.Root == EmptyRoot() {
			return nil, fmt.Errorf("%w: a single checkpoint is, only at size 0 with a root that is not the empty tree's", ErrNoEvidence)
		}
		s.kind = SplitEmptyRoot
		return s, nil
	}
	if s.second, err = VerifyLog(e.Second, first.cp.Origin, keys...); err != nil {
		return nil, fmt.Errorf("evidence: second checkpoint: %w", err)
	}
	a, b := first.cp.Tree(), s.second.cp.Tree()
	if a.Compare(b) >= 0 {
		return nil, fmt.Errorf("%w: the checkpoints are equal, or not in order", ErrNoEvidence)
	}
	if a.Size == b.Size {
		s.kind = SplitSameSize
		if len(e.Nodes) > 0 {
			return nil, fmt.Errorf("%w: hashes are not needed for two trees of one size", ErrNoEvidence)
		}
		return s, nil
	}
	s.kind = SplitInconsistent
	if s.prefixRoot, err = e.prefixRoot(a, b); err != nil {
		return nil, err
	}
	return s, nil
}

// prefixRoot shows which root the first a.Size entries of the tree b have, and that
// it is not a's.
func (e Evidence) prefixRoot(a, b Tree) (Hash, error) {
	n := compact.RangeSize(0, a.Size)
	if want := n + compact.RangeSize(a.Size, b.Size); len(e.Nodes) != want {
		return Hash{}, fmt.Errorf("%w: %d hashes, want %d for sizes %d and %d", ErrNoEvidence, len(e.Nodes), want, a.Size, b.Size)
	}
	whole, err := treeFromRanges(a.Size, b.Size, e.Nodes[:n], e.Nodes[n:])
	if err != nil {
		return Hash{}, fmt.Errorf("evidence: %w", err)
	}
	if whole != b {
		return Hash{}, fmt.Errorf("%w: the hashes do not fold to the root of the larger tree", ErrNoEvidence)
	}
	prefix, err := treeFromRanges(a.Size, a.Size, e.Nodes[:n], nil)
	if err != nil {
		return Hash{}, fmt.Errorf("evidence: %w", err)
	}
	if prefix == a {
		return Hash{}, fmt.Errorf("%w: the larger tree begins with the smaller", ErrNoEvidence)
	}
	return prefix.Root, nil
}
