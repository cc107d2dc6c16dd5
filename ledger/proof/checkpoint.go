package proof

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/transparency-dev/formats/log"
)

// Bounds on notes. signed-note "Format" asks for at least 16 signatures and
// reminds of nearly 5 kB each; tlog-cosignature "ML-DSA-44 signed message" gives
// origins and key names one byte of length.
const (
	MaxNoteBytes = 512 << 10 // bytes of a checkpoint with its signatures
	// SPEC: signed-note Format: a note may have 16 signatures at least
	MaxSignatures  = 100 // signature lines of one note
	MaxOriginBytes = 255 // bytes of an origin or a key name
)

// Checkpoint is the text that a log signs (tlog-checkpoint "Note text"): exactly
// three lines. Extension lines are refused, because an ML-DSA signature does not
// cover them and a reader could be shown others than the signer saw.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
}

// ParseCheckpoint reads a checkpoint and its signature lines, at least one. It verifies
// nothing: the result is untrusted until [Policy.Verify] or [VerifyLog] has accepted
// the same bytes.
func ParseCheckpoint(note []byte) (Checkpoint, []Signature, error) {
	if len(note) > MaxNoteBytes {
		return Checkpoint{}, nil, fmt.Errorf("checkpoint: %d bytes, limit %d", len(note), MaxNoteBytes)
	}
	text := string(note)
	end := strings.Index(text, "\n\n")
	if end < 0 {
		return Checkpoint{}, nil, errors.New("checkpoint: no empty line before the signatures")
	}
	cp, err := parseCheckpointBody(text[:end+1])
	if err != nil {
		return Checkpoint{}, nil, err
	}
	sigs, err := parseSignatures(text[end+2:])
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("checkpoint of %s at %d: %w", cp.Origin, cp.Size, err)
	}
	return cp, sigs, nil
}

// ParseCheckpointBody reads the three lines of a checkpoint, without signatures.
func ParseCheckpointBody(text []byte) (Checkpoint, error) { return parseCheckpointBody(string(text)) }

func parseCheckpointBody(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	switch {
	case len(lines) > 4:
		return Checkpoint{}, errors.New("checkpoint: extension lines are not accepted: three lines, then the signatures")
	case len(lines) < 4 || lines[3] != "":
		return Checkpoint{}, errors.New("checkpoint: want three lines: origin, size, root hash")
	}
	if err := checkOrigin(lines[0]); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	// SPEC: tlog-checkpoint Note text: the size is a decimal without leading zeros, and zero is 0
	size, err := parseDecimal(lines[1])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint of %s: size %q: %w", lines[0], lines[1], err)
	}
	// SPEC: tlog-checkpoint Note text: the root is the base64 of the RFC 6962 tree hash
	root, err := ParseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint of %s: root: %w", lines[0], err)
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// Body is the text that is signed: three lines, each with its newline.
func (cp Checkpoint) Body() []byte {
	return log.Checkpoint{Origin: cp.Origin, Size: cp.Size, Hash: cp.Root[:]}.Marshal()
}

// Tree is the checkpoint without its origin.
func (cp Checkpoint) Tree() Tree { return Tree{Size: cp.Size, Root: cp.Root} }

// check says whether the checkpoint could be one at all, so that nothing is
// signed that [ParseCheckpointBody] would refuse.
func (cp Checkpoint) check() error {
	if err := checkOrigin(cp.Origin); err != nil {
		return err
	}
	if cp.Size == 0 && cp.Root != EmptyRoot() {
		return errEmptyRoot
	}
	return nil
}

// errEmptyRoot: size zero has one root only (tlog-witness "add-checkpoint"). Such
// a checkpoint parses, since it is evidence once a log has signed it.
var errEmptyRoot = errors.New("size 0 with a root that is not the empty tree's")

func checkOrigin(s string) error {
	switch {
	// SPEC: tlog-checkpoint Note text: the origin is not empty
	case s == "":
		return errors.New("the origin is empty")
	case len(s) > MaxOriginBytes:
		return fmt.Errorf("origin of %d bytes, limit %d", len(s), MaxOriginBytes)
	// SPEC: tlog-checkpoint Note text: no form of an origin is assumed: it need be no URL
	// SPEC: signed-note Format: a note is UTF-8 without control characters but newline
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 }):
		return fmt.Errorf("origin %q: not UTF-8, or with control characters", s)
	}
	return nil
}

// parseDecimal reads an ASCII decimal without sign or leading zeros.
func parseDecimal(s string) (uint64, error) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, errors.New("not a decimal number")
		}
	}
	if len(s) > 1 && s[0] == '0' {
		return 0, errors.New("leading zeros")
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, errors.New("not a number below 2^64")
	}
	return n, nil
}

// Signature is one signature line of a note (signed-note "Signatures"), as it was
// read: nothing is verified. Name and ID together say which key it claims.
type Signature struct {
	Name string
	ID   uint32 // key ID
	Sig  []byte // the bytes after the key ID
}

// A line of a signature that no assigned algorithm exceeds ("nearly 5 kB").
const maxSignatureBytes = 8 << 10

const sigPrefix = "— " // em dash (U+2014), space

// ParseSignatures reads one or more signature lines, such as a witness answers
// with (tlog-witness "add-checkpoint").
func ParseSignatures(lines []byte) ([]Signature, error) { return parseSignatures(string(lines)) }

func parseSignatures(lines string) ([]Signature, error) {
	if len(lines) > MaxNoteBytes {
		return nil, fmt.Errorf("signatures: %d bytes, limit %d", len(lines), MaxNoteBytes)
	}
	body, ok := strings.CutSuffix(lines, "\n")
	if !ok {
		return nil, errors.New("signatures: no newline at the end")
	}
	n := 1 + strings.Count(body, "\n")
	if n > MaxSignatures {
		return nil, fmt.Errorf("signatures: %d lines, limit %d", n, MaxSignatures)
	}
	sigs := make([]Signature, 0, n)
	for line := range strings.SplitSeq(body, "\n") {
		s, err := parseSignature(line)
		if err != nil {
			return nil, fmt.Errorf("signature line %d: %w", len(sigs)+1, err)
		}
		sigs = append(sigs, s)
	}
	return sigs, nil
}

func parseSignature(line string) (Signature, error) {
	rest, ok := strings.CutPrefix(line, sigPrefix)
	if !ok {
		return Signature{}, errors.New("does not begin with an em dash and a space")
	}
	name, b64, _ := strings.Cut(rest, " ")
	if err := checkName(name); err != nil {
		return Signature{}, err
	}
	raw, err := decodeBase64(b64)
	switch {
	case err != nil:
		return Signature{}, fmt.Errorf("%s: %w", name, err)
	case len(raw) < 4:
		return Signature{}, fmt.Errorf("%s: %d bytes are too short for a key ID and a signature", name, len(raw))
	}
	s := Signature{Name: name, ID: binary.BigEndian.Uint32(raw), Sig: raw[4:]}
	return s, s.check()
}

// check says whether the signature could stand on a line.
func (s Signature) check() error {
	if err := checkName(s.Name); err != nil {
		return err
	}
	switch n := len(s.Sig); {
	case n == 0:
		return fmt.Errorf("%s: no signature after the key ID", s.Name)
	case n > maxSignatureBytes-4:
		return fmt.Errorf("%s: signature of %d bytes, limit %d", s.Name, n, maxSignatureBytes-4)
	}
	return nil
}

func (s Signature) equal(t Signature) bool {
	return s.sameKeyID(t) && bytes.Equal(s.Sig, t.Sig)
}

// Line is the signature as one line of a note, with its newline.
func (s Signature) Line() []byte {
	return s.appendLine(make([]byte, 0, s.lineSize()))
}

func (s Signature) lineSize() int {
	return len(sigPrefix) + len(s.Name) + len(" \n") + base64.StdEncoding.EncodedLen(4+len(s.Sig))
}

func (s Signature) appendLine(b []byte) []byte {
	raw := make([]byte, 0, 4+8+mldsaSignatureSize) // on the stack, for what is no larger
	raw = append(binary.BigEndian.AppendUint32(raw, s.ID), s.Sig...)
	// SPEC: tlog-witness add-checkpoint: a signature line begins with an em dash and ends in a newline
	b = append(append(append(b, sigPrefix...), s.Name...), ' ')
	return append(base64.StdEncoding.AppendEncode(b, raw), '\n')
}

// FormatNote puts a checkpoint and its signatures together, in the order in which
// every note of ours stands: the origin's own signatures first, then by name; of
// one name the shorter first (Ed25519 before ML-DSA), then by key ID.
func FormatNote(cp Checkpoint, sigs ...Signature) ([]byte, error) {
	note, _, err := formatNote(cp, sigs)
	return note, err
}

// formatNote is FormatNote; lines are the signatures in the note's order.
func formatNote(cp Checkpoint, sigs []Signature) (note []byte, lines []Signature, err error) {
	if err := checkOrigin(cp.Origin); err != nil {
		return nil, nil, fmt.Errorf("writing a checkpoint: %w", err)
	}
	if n := len(sigs); n == 0 || n > MaxSignatures {
		return nil, nil, fmt.Errorf("writing a checkpoint: %d signatures, of 1 to %d", n, MaxSignatures)
	}
	body := cp.Body()
	size := len(body) + 1
	for _, s := range sigs {
		if err := s.check(); err != nil {
			return nil, nil, fmt.Errorf("writing a checkpoint: %w", err)
		}
		size += s.lineSize()
	}
	if size > MaxNoteBytes {
		return nil, nil, fmt.Errorf("writing a checkpoint: %d bytes, limit %d", size, MaxNoteBytes)
	}
	lines = sortSignatures(cp, sigs)
	note = append(append(make([]byte, 0, size), body...), '\n')
	for _, s := range lines {
		note = s.appendLine(note)
	}
	return note, lines, nil
}

func sortSignatures(cp Checkpoint, sigs []Signature) []Signature {
	rank := func(s Signature) int {
		if s.Name == cp.Origin {
			return 0
		}
		return 1
	}
	sigs = slices.Clone(sigs)
	for i, s := range sigs {
		sigs[i].Sig = bytes.Clone(s.Sig) // what was verified is not the caller's to change
	}
	slices.SortStableFunc(sigs, func(a, b Signature) int {
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)),
			cmp.Compare(a.Name, b.Name),
			cmp.Compare(len(a.Sig), len(b.Sig)),
			cmp.Compare(a.ID, b.ID),
			bytes.Compare(a.Sig, b.Sig))
	})
	return sigs
}

// AddSignatures puts further signatures on a note. A signature by a key that has signed
// already replaces the older one, as in note.Sign. Callers that want to keep the older
// one must not add the newer. Nothing is verified here.
func AddSignatures(note []byte, sigs ...Signature) ([]byte, error) {
	cp, old, err := ParseCheckpoint(note)
	if err != nil {
		return nil, err
	}
	return FormatNote(cp, mergeSignatures(old, sigs)...)
}

// mergeSignatures puts further signatures beside old ones: of one key the last.
func mergeSignatures(old, more []Signature) []Signature {
	merged := make([]Signature, 0, len(old)+len(more))
	for _, s := range slices.Concat(old, more) {
		if i := slices.IndexFunc(merged, s.sameKeyID); i >= 0 {
			merged[i] = s
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

func (s Signature) sameKeyID(t Signature) bool { return s.Name == t.Name && s.ID == t.ID }

// checkName holds the rule for key names: signed-note "Format", and the one byte
// of length that tlog-cosignature leaves for them.
func checkName(s string) error {
	switch {
	// SPEC: signed-note Format: a key name is not empty, and has no space and no plus
	case s == "":
		return errors.New("the key name is empty")
	case len(s) > MaxOriginBytes:
		return fmt.Errorf("key name of %d bytes, limit %d", len(s), MaxOriginBytes)
	// SPEC: signed-note Format: a note is UTF-8 without control characters but newline
	case !utf8.ValidString(s) || strings.ContainsFunc(s, notInName):
		return fmt.Errorf("key name %q: not UTF-8, or with a space, a plus or a control character", s)
	}
	return nil
}

// notInName also refuses control characters, because notes are printed as they are and
// any party on the way can add signature lines.
func notInName(r rune) bool {
	// SPEC: signed-note Format: a key name is not empty, and has no space and no plus
	return r == '+' || unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf)
}
