package record_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/record/draft/drafttest"
)

func readFile(t testing.TB, elem ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeyOfEachAlgorithm(t *testing.T) {
	for _, alg := range drafttest.Algorithms {
		t.Run(string(alg), func(t *testing.T) {
			private := drafttest.PrivateKey(t, alg)
			key, err := record.NewKey(private.Public())
			if err != nil {
				t.Fatal(err)
			}
			if key.Algorithm() != alg {
				t.Errorf("algorithm %s, want %s", key.Algorithm(), alg)
			}
			if want, err := dsse.SHA256KeyID(private.Public()); err != nil || key.ID() != want {
				t.Errorf("ID %s, want %s as sigstore's DSSE has it (%v)", key.ID(), want, err)
			}
			again, err := key.PEM().Key()
			if err != nil || !again.Equal(key) || again.ID() != key.ID() || again.PEM() != key.PEM() {
				t.Errorf("its PEM does not give it back: %v", err)
			}
			if other, _ := record.NewKey(drafttest.PrivateKey(t, record.AlgEd25519).Public()); other.Equal(key) {
				t.Error("equals another key")
			}
			if key.Equal(nil) || (*record.Key)(nil).Equal(key) || (*record.Key)(nil).Equal(nil) {
				t.Error("a nil key equals something")
			}
		})
	}
}

func TestRecordKeyMustBeCanonical(t *testing.T) {
	key := drafttest.Signer(t, record.AlgECDSAP256).Key()
	text := string(key.PEM())
	block, _ := pem.Decode([]byte(text))
	block.Headers = map[string]string{"Comment": "mine"}
	relined := strings.Replace(text, "\n", "\n ", 1)
	for name, other := range map[string]string{
		"CRLF":             strings.ReplaceAll(text, "\n", "\r\n"),
		"no final newline": strings.TrimSuffix(text, "\n"),
		"two newlines":     text + "\n",
		"leading space":    " " + text,
		"header":           string(pem.EncodeToMemory(block)),
		"inner space":      relined,
		"two keys":         text + text,
		"words before":     "my key\n" + text,
		"empty":            "",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := record.PEM(other).Key(); err == nil {
				t.Errorf("accepted %q", other)
			}
		})
	}
	if k, err := record.ParseKey([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil || k.PEM() != record.PEM(text) {
		t.Errorf("a person's file with CRLF must give the canonical key: %v", err)
	}
}

func TestKeyRefused(t *testing.T) {
	modulus := func(bits int) *big.Int {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return n.SetBit(n, 0, 1)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, public := range map[string]crypto.PublicKey{
		"P-224":            p224.Public(),
		"P-521":            p521.Public(),
		"RSA 2048":         &rsa.PublicKey{N: modulus(2048), E: 65537},
		"RSA 3071":         &rsa.PublicKey{N: modulus(3071), E: 65537},
		"RSA 3080":         &rsa.PublicKey{N: modulus(3080), E: 65537},
		"RSA 8192":         &rsa.PublicKey{N: modulus(8192), E: 65537},
		"RSA exponent 3":   &rsa.PublicKey{N: modulus(3072), E: 3},
		"RSA even":         &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 3071), E: 65537},
		"Ed25519 31 bytes": ed25519.PublicKey(make([]byte, 31)),
		"no key":           nil,
	} {
		t.Run(name, func(t *testing.T) {
			if key, err := record.NewKey(public); err == nil {
				t.Errorf("accepted as %s", key.Algorithm())
			}
		})
	}
}

func TestParseKeyDescribesInput(t *testing.T) {
	private, _, err := draft.GenerateKey(record.AlgEd25519, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"a PEM private key":    private,
		"an empty file":        nil,
		"an SSH public key":    []byte("ssh-ed25519 AAAA… officer@example"),
		"a DSSE envelope":      []byte(`{"payloadType":"x"}`),
		"more than one PEM":    append([]byte("x\n"), private...),
		"an unsigned record":   []byte("kind: response\n"),
		`type "WHAT"`:          pem.EncodeToMemory(&pem.Block{Type: "WHAT"}),
		"a PEM certificate":    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE"}),
		"a receipt":            []byte("c2sp.org/tlog-proof@v1\n"),
		"another signed note":  []byte("origin\n1\nAAAA\n\n\u2014 origin AAAA\n"),
		"binary data":          {0xff, 0xfd, 0x00},
		"HTML or XML":          []byte("<!doctype html>"),
		"does not know":        []byte("hello"),
		"no object":            []byte("[]"),
		"breaks the rules":     []byte(`{"a":null}`),
		"an unsigned state":    []byte(`{"_type":"x"}`),
		"a Sigstore bundle":    []byte(`{"mediaType":"x","dsseEnvelope":{}}`),
		"an entry of a ledger": []byte(`{"admitted":"x","envelope":{}}`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := record.ParseKey(text)
			record.CheckRefusal(t, err, "error")
		})
	}
}

func TestKeyVerifies(t *testing.T) {
	message := []byte("a message")
	sign := func(t *testing.T, private crypto.Signer, hash crypto.Hash) []byte {
		s, err := signature.LoadSigner(private, hash)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := s.SignMessage(bytes.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	for _, alg := range drafttest.Algorithms {
		t.Run(string(alg), func(t *testing.T) {
			private := drafttest.PrivateKey(t, alg)
			key, err := record.NewKey(private.Public())
			if err != nil {
				t.Fatal(err)
			}
			accepted := map[crypto.Hash]bool{
				crypto.SHA256: true,
				crypto.SHA384: alg == record.AlgEd25519 || alg == record.AlgECDSAP384,
				crypto.SHA512: alg == record.AlgEd25519, // which has no choice of hash
			}
			for hash, want := range accepted {
				if err := key.Verify(message, sign(t, private, hash)); (err == nil) != want {
					t.Errorf("%v: %v, want accepted %v", hash, err, want)
				}
			}
			sig := sign(t, private, crypto.SHA256)
			if key.Verify([]byte("another"), sig) == nil {
				t.Error("another message verifies")
			}
			if key.Verify(message, append(bytes.Clone(sig), 0)) == nil || key.Verify(message, sig[:len(sig)-1]) == nil || key.Verify(message, nil) == nil {
				t.Error("a signature of another length verifies")
			}
		})
	}

	t.Run("raw ECDSA", func(t *testing.T) {
		private := drafttest.PrivateKey(t, record.AlgECDSAP384).(*ecdsa.PrivateKey)
		digest := crypto.SHA384.New()
		digest.Write(message)
		r, s, err := ecdsa.Sign(rand.Reader, private, digest.Sum(nil))
		if err != nil {
			t.Fatal(err)
		}
		raw := append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...)
		v, err := signature.LoadVerifier(private.Public(), crypto.SHA384)
		if err != nil || v.VerifySignature(bytes.NewReader(raw), bytes.NewReader(message)) != nil {
			t.Fatalf("sigstore no longer takes r ‖ s (%v): the rule in fits may go", err)
		}
		key, err := record.NewKey(private.Public())
		if err != nil {
			t.Fatal(err)
		}
		if key.Verify(message, raw) == nil {
			t.Error("accepted the raw spelling of an ECDSA signature")
		}
	})

	// r is the x of a multiple k of the base point, so that a signer who tries some ten
	// thousand k finds one whose r ‖ s begins as DER of its length does.
	for alg, k := range map[record.Algorithm]int64{record.AlgECDSAP256: 82845, record.AlgECDSAP384: 46345} {
		t.Run("raw ECDSA that begins as DER, "+string(alg), func(t *testing.T) {
			private := drafttest.PrivateKey(t, alg).(*ecdsa.PrivateKey)
			n, size := private.Params().N, (private.Params().BitSize+7)/8
			curve := map[record.Algorithm]ecdh.Curve{record.AlgECDSAP256: ecdh.P256(), record.AlgECDSAP384: ecdh.P384()}[alg]
			nonce, err := curve.NewPrivateKey(big.NewInt(k).FillBytes(make([]byte, size)))
			if err != nil {
				t.Fatal(err)
			}
			secret, err := private.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			digest := sha256.Sum256(message)
			r := new(big.Int).SetBytes(nonce.PublicKey().Bytes()[1 : 1+size])
			s := new(big.Int).Mul(r, new(big.Int).SetBytes(secret))
			s.Add(s, new(big.Int).SetBytes(digest[:]))
			s.Mul(s, new(big.Int).ModInverse(big.NewInt(k), n)).Mod(s, n)
			raw := append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
			v, err := signature.LoadVerifier(private.Public(), crypto.SHA256)
			if err != nil || v.VerifySignature(bytes.NewReader(raw), bytes.NewReader(message)) != nil || raw[0] != 0x30 || int(raw[1]) != len(raw)-2 {
				t.Fatalf("%x is not the signature that was meant (%v)", raw, err)
			}
			key, err := record.NewKey(private.Public())
			if err != nil {
				t.Fatal(err)
			}
			if key.Verify(message, raw) == nil {
				t.Error("accepted the raw spelling of an ECDSA signature")
			}
		})
	}

	t.Run("RSA PSS", func(t *testing.T) {
		private := drafttest.PrivateKey(t, record.AlgRSA3072).(*rsa.PrivateKey)
		s, err := signature.LoadRSAPSSSigner(private, crypto.SHA256, nil)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := s.SignMessage(bytes.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		key, err := record.NewKey(private.Public())
		if err != nil {
			t.Fatal(err)
		}
		if key.Verify(message, sig) == nil {
			t.Error("accepted a PSS signature")
		}
	})
}

// Edwards25519 by its textbook law (RFC 8032, section 5.1), to compute what the
// table in key.go claims.
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
