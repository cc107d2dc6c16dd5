package proof

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

func TestGenerateKey(t *testing.T) {
	for _, alg := range []Algorithm{Ed25519, CosignatureEd25519, MLDSA44} {
		skey, vkey, err := GenerateKey(alg, "name.example/1")
		if err != nil {
			t.Fatal(err)
		}
		key, err := parseKey(vkey)
		if err != nil || key.String() != vkey || key.Name() != "name.example/1" || key.Algorithm() != alg {
			t.Errorf("%s: %v, %v", alg, key, err)
		}
		pub, _, err := parsePrivateKey(skey)
		if err != nil || pub.String() != vkey {
			t.Errorf("%s: the private key's public half is %v, %v", alg, pub, err)
		}
		_, errLog := ParseLogKey(vkey)
		_, errWitness := ParseWitnessKey(vkey)
		_, errSigner := ParseSigner(skey)
		_, errCosigner := ParseCosigner(skey)
		if (errLog == nil) != (alg != CosignatureEd25519) || (errSigner == nil) != (errLog == nil) {
			t.Errorf("%s as a log's: %v, %v", alg, errLog, errSigner)
		}
		if (errWitness == nil) != (alg != Ed25519) || (errCosigner == nil) != (errWitness == nil) {
			t.Errorf("%s as a witness's: %v, %v", alg, errWitness, errCosigner)
		}
		switch pub := key.Public().(type) {
		case ed25519.PublicKey:
			if len(pub) != 32 || alg == MLDSA44 {
				t.Errorf("%s: %T", alg, pub)
			}
		case *mldsa44.PublicKey:
			if alg != MLDSA44 {
				t.Errorf("%s: %T", alg, pub)
			}
		}
		flip := byte('0')
		if strings.Contains(skey, "+0") {
			flip = '1'
		}
		parts := strings.Split(skey, "+")
		parts[3] = string(flip) + parts[3][1:]
		if parts[3] != strings.Split(skey, "+")[3] {
			if _, _, err := parsePrivateKey(strings.Join(parts, "+")); err == nil {
				t.Errorf("%s: a wrong key ID in a private key is accepted", alg)
			}
		}
	}
	for _, bad := range []string{"", "a b", "a+b", "a\n", "\xff", "a\x7f", "a\u009b31m", "a\u202eb", strings.Repeat("n", 256)} {
		if _, _, err := GenerateKey(Ed25519, bad); err == nil {
			t.Errorf("a key named %q", bad)
		}
	}
	if _, _, err := GenerateKey(2, "a"); err == nil {
		t.Error("an ECDSA key")
	}
}

// Keys that the libraries' own tests and texts publish.
func TestPublishedKeys(t *testing.T) {
	for _, vkey := range []string{
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", // signed-note "Verifier keys"
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",    // golang.org/x/mod/sumdb/note, package comment
	} {
		if _, err := ParseLogKey(vkey); err != nil {
			t.Errorf("%s: %v", vkey, err)
		}
		if _, err := ParseWitnessKey(vkey); err == nil {
			t.Errorf("%s is taken for a witness's", vkey)
		}
	}
	remora := "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2" // a witness in formats' tests
	if _, err := ParseWitnessKey(remora); err != nil {
		t.Errorf("%s: %v", remora, err)
	}
}

func TestBadKeys(t *testing.T) {
	good := "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
	pub, _ := base64.StdEncoding.DecodeString(strings.Split(good, "+")[2])
	for what, vkey := range map[string]string{
		"empty":             "",
		"name only":         "example.com/foo",
		"no key":            "example.com/foo+530d903a",
		"empty key":         "example.com/foo+530d903a+",
		"wrong ID":          strings.Replace(good, "530d903a", "530d903b", 1),
		"upper-case ID":     strings.Replace(good, "530d903a", "530D903A", 1),
		"short ID":          strings.Replace(good, "530d903a", "30d903a", 1),
		"other name":        strings.Replace(good, "foo", "bar", 1),
		"line end":          good + "\n",
		"line end within":   good[:40] + "\n" + good[40:],
		"space":             " " + good,
		"unpadded":          "a+00000000+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U",
		"short Ed25519":     vkeyOf("a", 1, pub[1:32]),
		"long Ed25519":      vkeyOf("a", 1, append(pub[1:33:33], 0)),
		"type 0x02":         vkeyOf("a", 2, pub[1:]),
		"type 0x05":         vkeyOf("a", 5, pub[1:]),
		"short ML-DSA":      vkeyOf("a", 6, pub[1:]),
		"ML-DSA-65":         vkeyOf("a", 6, make([]byte, mldsa.MLDSA65PublicKeySize)),
		"small order 1":     vkeyOf("a", 1, point25519("0100000000000000000000000000000000000000000000000000000000000000")),
		"small order 4":     vkeyOf("a", 1, point25519("0000000000000000000000000000000000000000000000000000000000000080")),
		"small order 8":     vkeyOf("a", 1, point25519("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85")),
		"witness, order 8":  vkeyOf("a", 4, point25519("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")),
		"not canonical":     vkeyOf("a", 1, point25519("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")),
		"not canonical, p":  vkeyOf("a", 1, point25519("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff")),
		"name of 256 bytes": vkeyOf(strings.Repeat("n", 256), 1, pub[1:]),
	} {
		if k, err := parseKey(vkey); err == nil {
			t.Errorf("%s: read as %v", what, k)
		}
	}
	for _, skey := range []string{"", good, "PRIVATE+KEY+a+00000000+", "PRIVATE+KEY+a+00000000+AQ==", "PRIVATE+KEY+a+zz", "PRIVATE+KEY+a+0000000g+" + base64.StdEncoding.EncodeToString(pub)} {
		if _, err := ParseSigner(skey); err == nil {
			t.Errorf("%q is a log's private key", skey)
		}
		if _, err := ParseCosigner(skey); err == nil {
			t.Errorf("%q is a witness's private key", skey)
		}
	}
}

// A small-order key is what its refusal says: a signature of nothing but the
// identity verifies for any text.
func TestWeakKeyVerifiesAnything(t *testing.T) {
	identity := point25519("0100000000000000000000000000000000000000000000000000000000000000")
	sig := append(identity, make([]byte, 32)...)
	for _, text := range []string{"one", "two"} {
		if !ed25519.Verify(identity, []byte(text), sig) {
			t.Errorf("%s: crypto/ed25519 refuses the forgery, so our check is no longer needed", text)
		}
	}
}

func vkeyOf(name string, alg Algorithm, pub []byte) string {
	k := Key{name: name, alg: alg, material: string(pub), id: keyID(name, alg, pub)}
	return fmt.Sprint(k)
}

func point25519(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// Two implementations of ML-DSA-44 and of tlog-cosignature's message agree on keys,
// on signatures of either, and on what is none.
func TestMLDSAAgreesWithSecondImplementation(t *testing.T) {
	skey, vkey, err := fnote.GenerateMLDSAKey("log.example/1")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := fnote.NewMLDSASigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	theirVerifier, err := fnote.NewMLDSAVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	key, seed, err := parsePrivateKey(skey)
	if err != nil || key.String() != vkey {
		t.Fatalf("one private key, two public ones: %v", err)
	}
	ours := newMLDSASigner(key, seed)
	seeded := rand.New(rand.NewPCG(1, 2))
	for size := range uint64(40) {
		cp := Checkpoint{"log.example/1", size, EmptyRoot()}
		if size > 0 {
			cp.Root = LeafHash([]byte{byte(size)})
		}
		for name, sign := range map[string]func() ([]byte, error){
			"ours":   func() ([]byte, error) { return ours.sign(cp, size) },
			"theirs": func() ([]byte, error) { return theirs.SignSubtree(size, cp.Origin, 0, cp.Size, cp.Root[:]) },
		} {
			sig, err := sign()
			if err != nil {
				t.Fatal(err)
			}
			for i, flip := range []byte{0, 1 << seeded.IntN(8)} {
				sig := bytes.Clone(sig)
				sig[seeded.IntN(len(sig))] ^= flip
				for whose, v := range map[string]note.Verifier{"ours": key.verifier, "theirs": theirVerifier} {
					if v.Verify(cp.Body(), sig) != (i == 0) {
						t.Errorf("%s by %s, verified by %s: bit flipped %t", cp.Body(), name, whose, i == 1)
					}
				}
			}
		}
	}
	signed, err := note.Sign(&note.Note{Text: string(Checkpoint{"log.example/1", 3, LeafHash(nil)}.Body())}, theirs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyLog(signed, "log.example/1", key); err != nil {
		t.Error(err)
	}
}
