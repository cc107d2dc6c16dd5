package record_test

import (
	"crypto/ed25519"
	"math/big"
	"slices"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Edwards25519 by its textbook law (RFC 8032, section 5.1), to compute what the
// table in smallorder.go claims.
var (
	prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	curve = func() *big.Int { // d = −121665/121666
		d := new(big.Int).ModInverse(big.NewInt(121666), prime)
		return d.Mod(d.Mul(d, big.NewInt(-121665)), prime)
	}()
)

type point struct{ x, y *big.Int }

func (p point) add(q point) point {
	mul := func(a, b *big.Int) *big.Int { return new(big.Int).Mod(new(big.Int).Mul(a, b), prime) }
	one := big.NewInt(1)
	k := mul(curve, mul(mul(p.x, q.x), mul(p.y, q.y)))
	x := new(big.Int).Add(mul(p.x, q.y), mul(p.y, q.x))
	y := new(big.Int).Add(mul(p.y, q.y), mul(p.x, q.x))
	x = mul(x, new(big.Int).ModInverse(new(big.Int).Add(one, k), prime))
	y = mul(y, new(big.Int).ModInverse(new(big.Int).Mod(new(big.Int).Sub(one, k), prime), prime))
	return point{x, y}
}

func (p point) times(n int) point {
	sum := point{big.NewInt(0), big.NewInt(1)}
	for range n {
		sum = sum.add(p)
	}
	return sum
}

func (p point) identity() bool { return p.x.Sign() == 0 && p.y.Cmp(big.NewInt(1)) == 0 }

// decompress finds x for y, if the curve has one.
func decompress(y *big.Int, odd uint) (point, bool) {
	y = new(big.Int).Mod(y, prime)
	yy := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(yy, big.NewInt(1))
	v := new(big.Int).Add(new(big.Int).Mul(curve, yy), big.NewInt(1))
	xx := u.Mod(u.Mul(u, new(big.Int).ModInverse(v.Mod(v, prime), prime)), prime)
	x := new(big.Int).ModSqrt(xx, prime)
	if x == nil {
		return point{}, false
	}
	if x.Bit(0) != odd {
		x.Sub(prime, x).Mod(x, prime)
	}
	return point{x, y}, true
}

// encode spells y and the sign in 32 bytes; y may be at or above p.
func encode(y *big.Int, sign uint) ed25519.PublicKey {
	b := y.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	b[31] |= byte(sign << 7)
	return b
}

func TestSmallOrderKeysAreRefused(t *testing.T) {
	// Any point times the order of the prime subgroup has small order; the
	// multiples of one of order 8 are all eight.
	order, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	order.Add(order, new(big.Int).Lsh(big.NewInt(1), 252))
	var generator point
	for y := int64(2); ; y++ {
		p, ok := decompress(big.NewInt(y), 0)
		if !ok {
			continue
		}
		q := point{big.NewInt(0), big.NewInt(1)}
		for i := order.BitLen() - 1; i >= 0; i-- {
			if q = q.add(q); order.Bit(i) == 1 {
				q = q.add(p)
			}
		}
		if !q.times(4).identity() {
			generator = q
			break
		}
	}
	if !generator.times(8).identity() {
		t.Fatal("the arithmetic of this test is wrong")
	}
	seen := map[string]bool{}
	spellings := 0
	for i := range 8 {
		p := generator.times(i)
		seen[p.x.String()+","+p.y.String()] = true
		for _, y := range []*big.Int{p.y, new(big.Int).Add(p.y, prime)} { // canonical or not
			if y.BitLen() > 255 {
				continue
			}
			for sign := range uint(2) {
				spellings++
				if _, err := record.NewKey(encode(y, sign)); err == nil {
					t.Errorf("accepted %x, the point %d × order 8", encode(y, sign), i)
				}
			}
		}
	}
	if len(seen) != 8 || spellings < 16 {
		t.Errorf("%d points in %d spellings, want all 8", len(seen), spellings)
	}
}

// TestSmallOrderKeysNeedRefusing shows why: one signature, every message.
func TestSmallOrderKeysNeedRefusing(t *testing.T) {
	identity := encode(big.NewInt(1), 0)
	forged := append([]byte(identity), make([]byte, 32)...)
	for _, message := range []string{"pay", "do not pay"} {
		if !ed25519.Verify(identity, []byte(message), forged) {
			t.Skip("crypto/ed25519 refuses small-order keys itself now")
		}
	}
}

func TestNonCanonicalEd25519KeysAreRefused(t *testing.T) {
	for k := range int64(19) { // p … 2^255 − 1
		y := new(big.Int).Add(prime, big.NewInt(k))
		for sign := range uint(2) {
			if _, err := record.NewKey(encode(y, sign)); err == nil {
				t.Errorf("accepted y = p + %d, sign %d", k, sign)
			}
		}
	}
}
