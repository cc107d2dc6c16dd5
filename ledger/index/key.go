package index

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// MaxSegments is how many segments a key or a prefix may have.
const MaxSegments = 8

const (
	segmentMark = '\x01' // before each segment
	keyEnd      = '\x00' // after a key's last one

	segmentBytes = 1 + sha256.Size
	maxKeyBytes  = MaxSegments*segmentBytes + 1
)

// Key is a key of a map. Keys are compared with ==, and ordered by [Key.Compare]. The zero
// Key is that of no map.
type Key struct{ bytes string }

// Prefix is the beginning of keys: their first segments. Prefixes are compared with ==. The
// zero Prefix is the beginning of all keys.
type Prefix struct{ bytes string }

// Query is what a proof answers: a [Key] (which value has it, if any?) or a [Prefix] (which
// keys begin with it?).
type Query interface {
	// query is the beginning, in bytes, of the keys that are asked for.
	query() string
}

func (k Key) query() string    { return k.bytes }
func (p Prefix) query() string { return p.bytes }

// NewKey is the key of segments with these texts.
func NewKey(segments ...string) (Key, error) {
	p, err := NewPrefix(segments...)
	if err != nil {
		return Key{}, err
	}
	return p.Key()
}

// HashedKey is the key of one segment whose SHA-256 is given: for who keeps the text to
// himself.
func HashedKey(sum [sha256.Size]byte) Key {
	return Key{string(segmentMark) + string(sum[:]) + string(keyEnd)}
}

// NewPrefix is the beginning of all keys whose first segments have these texts.
func NewPrefix(segments ...string) (Prefix, error) {
	if len(segments) > MaxSegments {
		return Prefix{}, fmt.Errorf("%d segments in a key, which may have %d", len(segments), MaxSegments)
	}
	var b strings.Builder
	for _, s := range segments {
		sum := sha256.Sum256([]byte(s))
		b.WriteByte(segmentMark)
		b.Write(sum[:])
	}
	return Prefix{b.String()}, nil
}

// Key is the key that has these segments and no more.
func (p Prefix) Key() (Key, error) {
	if p.bytes == "" {
		return Key{}, errors.New("a key of no segments")
	}
	return Key{p.bytes + string(keyEnd)}, nil
}

// Prefix is the beginning of all keys that have this key's segments first, its own among them.
func (k Key) Prefix() Prefix { return Prefix{strings.TrimSuffix(k.bytes, string(keyEnd))} }

// ParseKey reads a key's bytes.
func ParseKey(b []byte) (Key, error) {
	k, rest, err := cutKey(b)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes after the end of a key", len(rest))
	}
	if err != nil {
		return Key{}, err
	}
	return k, nil
}

// ParsePrefix reads a prefix's bytes.
func ParsePrefix(b []byte) (Prefix, error) {
	if len(b) == 0 {
		return Prefix{}, nil
	}
	k, err := ParseKey(append(b[:len(b):len(b)], keyEnd))
	if err != nil {
		return Prefix{}, fmt.Errorf("reading a prefix as a key that ends after it: %w", err)
	}
	return k.Prefix(), nil
}

// cutKey reads the key with which b begins.
func cutKey(b []byte) (k Key, rest []byte, err error) {
	for n := 0; ; n += segmentBytes {
		switch {
		case n >= len(b):
			return Key{}, nil, fmt.Errorf("a key of %d bytes is cut off", len(b))
		case b[n] == keyEnd && n == 0:
			return Key{}, nil, errors.New("a key of no segments")
		case b[n] == keyEnd:
			return Key{string(b[:n+1])}, b[n+1:], nil
		case b[n] != segmentMark:
			return Key{}, nil, fmt.Errorf("byte %d of a key is %#02x, want 0x01 before a segment or 0x00 at the end", n, b[n])
		case n == MaxSegments*segmentBytes:
			return Key{}, nil, fmt.Errorf("more than %d segments in a key", MaxSegments)
		}
	}
}

// Bytes are the key's, as they are hashed.
func (k Key) Bytes() []byte { return []byte(k.bytes) }

// Bytes are the prefix's, with which its keys begin.
func (p Prefix) Bytes() []byte { return []byte(p.bytes) }

// Compare orders keys by their bytes.
func (k Key) Compare(o Key) int { return strings.Compare(k.bytes, o.bytes) }

// Match tells whether the key begins with the prefix.
func (p Prefix) Match(k Key) bool { return strings.HasPrefix(k.bytes, p.bytes) }

// String is the bytes in hexadecimal.
func (k Key) String() string { return fmt.Sprintf("%x", k.bytes) }

// String is the bytes in hexadecimal.
func (p Prefix) String() string { return fmt.Sprintf("%x", p.bytes) }

// bitAt is a bit of a key's bytes, 0 or 1, counted from the highest of the first.
func bitAt(s string, i int) int { return int(s[i/8]>>(7-i%8)) & 1 }

// commonBits is how many bits two strings of bytes have in common from the start.
func commonBits(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if x := a[i] ^ b[i]; x != 0 {
			return 8*i + bits.LeadingZeros8(x)
		}
	}
	return 8 * n
}
