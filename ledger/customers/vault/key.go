package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
)

// Errors of keys.
var (
	// ErrSealed: what is to be opened was sealed by another key or for another place, or is
	// not as it was sealed.
	ErrSealed = errors.New("sealed by another key, or altered")

	// ErrLocked: the vault is locked, so that its keys and what they sealed cannot be used.
	ErrLocked = errors.New("the vault is locked")
)

// Key is an AES-256-GCM key. It may be used by many goroutines at once, up to 2^32 times:
// its nonces are random (SP 800-38D, section 8.3).
type Key struct {
	mu   sync.RWMutex
	raw  [32]byte    // zero once wiped; guarded by mu
	aead cipher.AEAD // nil once wiped; guarded by mu
}

// Overhead is how many bytes longer something is when it is sealed: a nonce and a tag.
const Overhead = 12 + 16

// NewKey is a random key.
func NewKey() *Key {
	var raw [32]byte
	rand.Read(raw[:])
	return keyOf(&raw)
}

// keyOf takes over the bytes: they are zero afterwards.
func keyOf(raw *[32]byte) *Key {
	block, err := aes.NewCipher(raw[:])
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	k := &Key{raw: *raw, aead: aead}
	clear(raw[:])
	return k
}

// Seal appends plaintext to dst, sealed for ad: what says where it belongs, and is not in
// it. [ErrLocked] once the key was wiped.
func (k *Key) Seal(dst, plaintext, ad []byte) ([]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.aead == nil {
		return nil, ErrLocked
	}
	return k.aead.Seal(dst, nil, plaintext, ad), nil
}

// Open appends to dst what was sealed for ad. [ErrSealed] if it was not by this key, for
// this ad, and is unaltered; [ErrLocked] once the key was wiped.
func (k *Key) Open(dst, sealed, ad []byte) ([]byte, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.aead == nil {
		return nil, ErrLocked
	}
	plaintext, err := k.aead.Open(dst, nil, sealed, ad)
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}

// Derive is a secret for one purpose, which says nothing of the key or of other ones:
// HKDF-Expand with SHA-256 (RFC 5869) of the key, the purpose being its info.
func (k *Key) Derive(purpose string) (secret [32]byte, err error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.aead == nil {
		return secret, ErrLocked
	}
	derived, err := hkdf.Expand(sha256.New, k.raw[:], purpose, len(secret))
	copy(secret[:], derived)
	return secret, err
}

// Wipe zeroes the key, as far as Go lets: the cipher's own schedule is left to the
// collector.
func (k *Key) Wipe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.raw[:])
	k.aead = nil
}

// bytes copies the key out, to be sealed; nil once it was wiped.
func (k *Key) bytes() []byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.aead == nil {
		return nil
	}
	raw := k.raw
	return raw[:]
}
