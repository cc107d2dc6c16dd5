package proof

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// receiptHeader is the first line of a tlog-proof.
const receiptHeader = "c2sp.org/tlog-proof@v1"

// maxLineBytes bounds a line of a receipt, its newline not counted: published parsers
// read with a buffer of 64 KiB. The longest line is the entry's.
const maxLineBytes = 64<<10 - 1

// ReceiptSuffix is what the names of receipt files end in.
const ReceiptSuffix = ".tlog-proof"

// Receipt is a tlog-proof whose extra line is the entry: everything but the policy
// that is needed to check offline that the entry is on the ledger. As parsed it is
// a claim; [Receipt.Verify] makes it a fact.
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
	if err != nil || line != receiptHeader {
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
	if r.Index, err = parseDecimal(index); err != nil {
		return Receipt{}, "", fmt.Errorf("index %q: %w", index, err)
	}
	if r.Path, rest, err = cutHashes(rest, MaxProofHashes); err != nil {
		return Receipt{}, "", err
	}
	note, rest, err := cutNote(rest)
	if err != nil {
		return Receipt{}, "", err
	}
	r.Checkpoint = note
	return r, rest, nil
}

// cutLine takes one line off; it must end in a newline.
func cutLine(text string) (line, rest string, err error) {
	line, rest, ok := strings.Cut(text, "\n")
	switch {
	case !ok:
		return "", "", errors.New("the file ends within a line: is it whole?")
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
	if err := VerifyInclusion(LeafHash(r.Entry), r.Index, r.Path, pub.cp.Tree()); err != nil {
		return nil, err
	}
	return &VerifiedReceipt{entry: []byte(string(r.Entry)), index: r.Index, path: slices.Clone(r.Path), published: pub}, nil
}
