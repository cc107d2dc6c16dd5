package proof

import (
	"bytes"
	"math/rand/v2"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

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
