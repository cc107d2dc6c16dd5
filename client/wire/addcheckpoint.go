package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// AddCheckpoint is the body of the add-checkpoint call (C2SP tlog-witness,
// "add-checkpoint"): a log asks a witness to cosign a checkpoint, and shows that it
// extends the one that the witness cosigned before.
type AddCheckpoint struct {
	Old  uint64       // the size that the witness cosigned last; 0 if none is known
	Path []proof.Hash // the consistency proof from Old to the checkpoint's size; at most proof.MaxProofHashes
	Note []byte       // the checkpoint, signed by the log
}

// ParseAddCheckpoint reads a body strictly: Format gives the same bytes. The
// checkpoint in it is not looked at, but for there being one.
func ParseAddCheckpoint(body []byte) (AddCheckpoint, error) {
	a, err := parseAddCheckpoint(body)
	if err != nil {
		return AddCheckpoint{}, fmt.Errorf("add-checkpoint: %w", err)
	}
	return a, nil
}

func parseAddCheckpoint(body []byte) (AddCheckpoint, error) {
	line, rest, ok := bytes.Cut(body, []byte("\n"))
	number, isOld := bytes.CutPrefix(line, []byte("old "))
	if !ok || !isOld {
		return AddCheckpoint{}, errors.New("the first line is not \"old\", a space and a size")
	}
	old, err := parseSize(string(number))
	if err != nil {
		return AddCheckpoint{}, fmt.Errorf("old size: %w", err)
	}
	a := AddCheckpoint{Old: old}
	for {
		if line, rest, ok = bytes.Cut(rest, []byte("\n")); !ok {
			return AddCheckpoint{}, errors.New("no empty line before the checkpoint")
		}
		if len(line) == 0 {
			break
		}
		if len(a.Path) == proof.MaxProofHashes {
			return AddCheckpoint{}, fmt.Errorf("more than %d proof lines", proof.MaxProofHashes)
		}
		h, err := proof.ParseHash(string(line))
		if err != nil {
			return AddCheckpoint{}, fmt.Errorf("proof line %d: %w", len(a.Path)+1, err)
		}
		a.Path = append(a.Path, h)
	}
	if len(rest) == 0 || rest[len(rest)-1] != '\n' {
		return AddCheckpoint{}, errors.New("no checkpoint after the empty line, or it lacks its last newline")
	}
	a.Note = rest
	return a, nil
}

// Format writes the body.
func (a AddCheckpoint) Format() []byte {
	b := fmt.Appendf(nil, "old %d\n", a.Old)
	for _, h := range a.Path {
		b = append(append(b, h.String()...), '\n')
	}
	return append(append(b, '\n'), a.Note...)
}

// parseSize reads a tree size: an ASCII decimal without leading zeros.
func parseSize(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%.32q is not a decimal number below 2^64 without leading zeros", s)
	}
	return n, nil
}
