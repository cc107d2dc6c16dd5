package proof

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/transparency-dev/formats/log"
)

// Bounds on notes. signed-note "Format" asks for at least 16 signatures and
// reminds of nearly 5 kB each; tlog-cosignature "ML-DSA-44 signed message" gives
// origins and key names one byte of length.
const (
	MaxNoteBytes   = 512 << 10 // bytes of a checkpoint with its signatures
	MaxSignatures  = 100       // signature lines of one note
	MaxOriginBytes = 255       // bytes of an origin or a key name
)

// Checkpoint is the text that a log signs (tlog-checkpoint "Note text"): exactly
// three lines. Extension lines are refused, because an ML-DSA signature does not
// cover them and a reader could be shown others than the signer saw.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
}

// ParseCheckpoint reads a checkpoint and its signature lines, at least one. It
// verifies nothing: what it returns is somebody's claim until [Policy.Verify] or
// [VerifyLog] has accepted the same bytes.
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
	size, err := parseDecimal(lines[1])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint of %s: size %q: %w", lines[0], lines[1], err)
	}
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
	case s == "":
		return errors.New("the origin is empty")
	case len(s) > MaxOriginBytes:
		return fmt.Errorf("origin of %d bytes, limit %d", len(s), MaxOriginBytes)
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
