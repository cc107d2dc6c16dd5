package record

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// saltSize is the length in bytes of a commitment's salt.
const saltSize = 32

// Opening is the value and the salt of one commitment. The party that committed keeps
// it, and discloses openings one at a time.
type Opening struct {
	Pointer string `json:"pointer"` // from the predicate's root; "/subject" for the subject
	Value   string `json:"value"`
	Salt    []byte `json:"salt"` // 32 bytes
}

// NewOpening draws a salt for a value.
func NewOpening(pointer, value string) Opening {
	s := Opening{Pointer: pointer, Value: value, Salt: make([]byte, saltSize)}
	rand.Read(s.Salt) // never fails
	return s
}

// Commit is the commitment that s opens in a record on a thread of a ledger. All three
// are hashed, so that a commitment cannot be reused in another record (RECORDS.md
// "Commitment").
func (s Opening) Commit(ledger ID, thread Thread) Commitment {
	sum := s.Sum(ledger, thread)
	return Commitment{Commit: hex.EncodeToString(sum[:])}
}

// Sum is the commitment's 32 bytes, for who has more of them than one record holds.
func (s Opening) Sum(ledger ID, thread Thread) [sha256.Size]byte {
	c := NewCommitter(make([]byte, 0, 512), ledger, thread)
	return sha256.Sum256(append(c.Before(s.Salt, s.Pointer), s.Value...))
}

// Committer writes what commitments on one thread of a ledger hash. All of them begin alike:
// that is written once. One goroutine at a time may use it.
type Committer struct{ start []byte }

// NewCommitter writes into buf, behind its length.
func NewCommitter(buf []byte, ledger ID, thread Thread) Committer {
	b := append(buf, "docket-commitment/v1\n"...)
	b = append(hex.AppendEncode(b, ledger[:]), '\n')
	return Committer{append(append(b, thread...), '\n')}
}

// Before is what a commitment hashes before its value; parts are those of the pointer. It holds until
// the next call: who appends the value and hashes by SHA-256 has the commitment.
func (c Committer) Before(salt []byte, parts ...string) []byte {
	b := c.start
	for _, part := range parts {
		b = append(b, part...)
	}
	return append(append(b, '\n'), salt...)
}

// errWrongOpening: the value and the salt do not hash to the commitment.
var errWrongOpening = errors.New("the salt and the value do not give this commitment")

// Verify checks that s opens c in a record on a thread of a ledger.
func (c Commitment) Verify(ledger ID, thread Thread, s Opening) error {
	if len(s.Salt) != saltSize {
		return fmt.Errorf("opening %s: a salt of %d bytes, want %d: %w", s.Pointer, len(s.Salt), saltSize, errWrongOpening)
	}
	got, want := s.Commit(ledger, thread), c
	if !bytes.Equal([]byte(got.Commit), []byte(want.Commit)) {
		return fmt.Errorf("opening %s on %s: %w", s.Pointer, thread, errWrongOpening)
	}
	return nil
}

// Commitment is what stands at a salt's pointer in the statement and may be a commitment:
// a member {commit: …}, the digest of a screening report, or for "/subject" the subject's
// digest. Only opening it tells. ok is false where there is none of these.
func (s *Statement) Commitment(pointer string) (c Commitment, ok bool) {
	if pointer == "/subject" {
		return Commitment{Commit: hex.EncodeToString(s.Subject.SHA256[:])}, true
	}
	segments, ok := strings.CutPrefix(pointer, "/")
	if !ok {
		return Commitment{}, false
	}
	var at any = s.Object()
	for segment := range strings.SplitSeq(segments, "/") {
		o, ok := at.(schema.Object)
		if !ok {
			return Commitment{}, false
		}
		at = o.Lookup(strings.NewReplacer("~1", "/", "~0", "~").Replace(segment))
	}
	o, _ := at.(schema.Object)
	for _, name := range []string{"commit", "sha256"} {
		if hash, ok := o.Lookup(name).(string); ok && len(o) == 1 {
			return Commitment{Commit: hash}, true
		}
	}
	return Commitment{}, false
}
