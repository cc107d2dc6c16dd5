package proof

import "encoding/hex"

// isWeakEd25519 reports whether an Ed25519 encoding is that of a point of small
// order, or not the one canonical encoding of its point (RFC 8032, section
// 5.1.3). For the former, signatures exist that verify for any text; the latter
// would let one key pass for two. It compares bytes and does no curve arithmetic.
func isWeakEd25519(pub []byte) bool {
	y := [32]byte(pub)
	y[31] &= 0x7f // without the sign of x
	for _, low := range smallOrderY {
		if y == low {
			return true
		}
	}
	for i := 31; i > 0; i-- { // p = 2^255 − 19 is 7f ff … ff ed, high byte first
		full := byte(0xff)
		if i == 31 {
			full = 0x7f
		}
		if y[i] != full {
			return false
		}
	}
	return y[0] >= 0xed
}

// smallOrderY has the y coordinates, little-endian, of the eight points whose
// order divides the cofactor.
var smallOrderY = [][32]byte{
	mustPoint("0100000000000000000000000000000000000000000000000000000000000000"), // order 1
	mustPoint("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), // 2
	mustPoint("0000000000000000000000000000000000000000000000000000000000000000"), // 4
	mustPoint("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), // 8
	mustPoint("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), // 8
}

func mustPoint(s string) [32]byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return [32]byte(b)
}
