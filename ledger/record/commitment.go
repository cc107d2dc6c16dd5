package record

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// SaltSize is the length in bytes of a commitment's salt.
const SaltSize = 32

// Salt opens one commitment: the value, and the salt that kept it from being
// guessed. It stays with whoever committed and is disclosed one by one.
type Salt struct {
	Pointer string `json:"pointer"` // from the predicate's root; "/subject" for the subject
	Value   string `json:"value"`
	Salt    []byte `json:"salt"` // SaltSize bytes
}

// NewSalt draws a salt for a value.
func NewSalt(pointer, value string) Salt {
	s := Salt{Pointer: pointer, Value: value, Salt: make([]byte, SaltSize)}
	rand.Read(s.Salt) // never fails
	return s
}

// Commit is the commitment that s opens in a record on a thread of a ledger. All
// three are in the hash, so nobody can pass another's commitment off as theirs
// (RECORDS.md "Commitment").
func (s Salt) Commit(ledger ID, thread string) Commitment {
	h := sha256.New()
	fmt.Fprintf(h, "docket-commitment/v1\n%s\n%s\n%s\n", ledger, thread, s.Pointer)
	h.Write(s.Salt)
	h.Write([]byte(s.Value))
	return Commitment{Commit: hex.EncodeToString(h.Sum(nil))}
}

// ErrNotCommitted says that a salt does not open the commitment.
var ErrNotCommitted = errors.New("the salt and the value do not give this commitment")

// Open checks that s opens c in a record on a thread of a ledger; any other error
// than nil wraps [ErrNotCommitted].
func (c Commitment) Open(ledger ID, thread string, s Salt) error {
	if len(s.Salt) != SaltSize {
		return fmt.Errorf("opening %s: a salt of %d bytes, want %d: %w", s.Pointer, len(s.Salt), SaltSize, ErrNotCommitted)
	}
	got, want := s.Commit(ledger, thread), c
	if !bytes.Equal([]byte(got.Commit), []byte(want.Commit)) {
		return fmt.Errorf("opening %s on %s: %w", s.Pointer, thread, ErrNotCommitted)
	}
	return nil
}
