package record

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
)

// Ed25519 keys are little-endian y with the sign of x in the top bit (RFC 8032,
// section 5.1.2). crypto/ed25519 accepts two sorts of key that nobody should
// have: a point of small order, for which a signature can be made that verifies
// over any message, and a y that is not reduced modulo p = 2^255 − 19, a second
// spelling of the same key. Both are in Chalkias, Garillot, Nikolaenko: "Taming
// the many EdDSAs" (2020), sections 3 and 4 and appendix C.

// prime25519 is p, little-endian.
var prime25519 = mustHex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")

// smallOrderY are the y of all eight points of small order. Each stands for both
// signs of x; where x is 0 the sign 1 is a non-canonical spelling, so with these
// out, any y below p is canonical.
var smallOrderY = [5][]byte{
	mustHex("0100000000000000000000000000000000000000000000000000000000000000"), // order 1
	mustHex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), // order 2
	mustHex("0000000000000000000000000000000000000000000000000000000000000000"), // order 4, twice
	mustHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), // order 8, twice
	mustHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), // order 8, twice
}

func checkEd25519(public ed25519.PublicKey) error {
	if len(public) != ed25519.PublicKeySize {
		return errors.New("Ed25519 key is not 32 bytes")
	}
	y := bytes.Clone(public)
	y[31] &= 0x7f
	if !lessLE(y, prime25519) {
		return errors.New("Ed25519 key is not in its canonical form; generate another")
	}
	for _, small := range smallOrderY {
		if bytes.Equal(y, small) {
			return errors.New("Ed25519 key has small order: anyone could sign for it; generate another")
		}
	}
	return nil
}

// lessLE compares two little-endian numbers of one length.
func lessLE(a, b []byte) bool {
	for i := len(a) - 1; i >= 0; i-- {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
