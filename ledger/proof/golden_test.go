package proof

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/mldsa"
	fnote "github.com/transparency-dev/formats/note"
	fproof "github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"

	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// fixedTestKeys is a cast whose keys never change. They are in this file: trust them
// with nothing.
func fixedTestKeys(t testing.TB) *testKeys {
	t.Helper()
	c := &testKeys{witness: map[string]testWitness{}}
	skey := func(alg Algorithm, name string) (string, []byte) {
		seed := sha256.Sum256(fmt.Appendf(nil, "docket golden files: %s %d", name, alg))
		var pub []byte
		if alg == MLDSA44 {
			key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed[:])
			if err != nil {
				t.Fatal(err)
			}
			pub = key.PublicKey().Bytes()
		} else {
			pub = ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
		}
		key, err := newKey(name, alg, pub)
		if err != nil {
			t.Fatal(err)
		}
		secret := base64.StdEncoding.EncodeToString(append([]byte{byte(alg)}, seed[:]...))
		return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, key.ID(), secret), seed[:]
	}
	signer := func(alg Algorithm) (*Signer, []byte) {
		secret, seed := skey(alg, testOrigin)
		s, err := ParseSigner(secret)
		if err != nil {
			t.Fatal(err)
		}
		return s, seed
	}
	c.log, _ = signer(Ed25519)
	var seed []byte
	c.logPQ, seed = signer(MLDSA44)
	c.logSeed = seededKey{c.logPQ.Key(), seed}
	for _, w := range []string{"w1", "w2", "w3"} {
		for suffix, alg := range map[string]Algorithm{"": CosignatureEd25519, "-pq": MLDSA44} {
			secret, seed := skey(alg, w+".example")
			cosigner, err := ParseCosigner(secret)
			if err != nil {
				t.Fatal(err)
			}
			c.witness[w+suffix] = testWitness{cosigner, seededKey{cosigner.Key(), seed}}
		}
	}
	return c
}

// goldenNote signs with both log keys, and the same bytes every time: ML-DSA without
// its random part.
func (c *testKeys) goldenNote(t testing.TB, cp Checkpoint, stamps map[string]uint64) []byte {
	t.Helper()
	sigs := []Signature{signWithNoteLibrary(t, c, cp), c.logSeed.signAt(t, cp, 0)}
	for name, stamp := range stamps {
		sigs = append(sigs, c.cosignatureAt(t, name, cp, stamp))
	}
	text, err := FormatNote(cp, sigs...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestGolden holds the formats still: what older versions wrote is what is written
// today, to the byte.
func TestGolden(t *testing.T) {
	c := fixedTestKeys(t)
	f, g := forkedTrees(2, 300)
	stamp := uint64(testTime.Unix())
	note := func(f *referenceTree, n int, stamps map[string]uint64) []byte {
		return c.goldenNote(t, Checkpoint{testOrigin, uint64(n), f.mth(0, n)}, stamps)
	}
	chain := []Receipt{
		{testEntry(0), 0, f.path(0, 0, 1), note(f, 1, map[string]uint64{"w1": stamp - 90, "w2": stamp - 90})},
		{testEntry(7), 7, f.path(7, 0, 13), note(f, 13, map[string]uint64{"w1-pq": stamp - 60, "w2-pq": stamp - 58})},
		{testEntry(131), 131, f.path(131, 0, 300), note(f, 300, map[string]uint64{"w1": stamp - 3, "w3": stamp, "w3-pq": stamp, "w2-pq": stamp + 1})},
	}
	write := func(name string, format func() ([]byte, error)) {
		t.Helper()
		text, err := format()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		compareGolden(t, name, text)
	}
	write("policy.txt", func() ([]byte, error) {
		return []byte("# Golden files of Docket's receipts. The keys are worthless.\n\n" + c.policy(t, threeOperatorsPolicy).Text()), nil
	})
	write("one.tlog-proof", chain[2].Format)
	write("chain.tlog-proof", func() ([]byte, error) { return FormatChain(chain) })
	write("same-size.split-view", func() ([]byte, error) {
		return formatEvidence(NewEvidence(note(f, 13, nil), note(g, 13, nil)))
	})
	write("rewritten.split-view", func() ([]byte, error) {
		return formatEvidence(NewEvidence(note(f, 13, nil), note(g, 300, nil), compactRangesOf(t, g, 13, 300)...))
	})
	write("empty-root.split-view", func() ([]byte, error) {
		return formatEvidence(NewEvidence(c.goldenNote(t, Checkpoint{testOrigin, 0, Hash{1}}, nil), nil))
	})
	write("entry.bundle", func() ([]byte, error) { return FormatEntryBundle([][]byte{testEntry(0), nil, testEntry(2)}) })
}

func formatEvidence(e Evidence, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return e.Format()
}

func compareGolden(t *testing.T, name string, want []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if refusaltest.Update() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := golden(t, name); !bytes.Equal(got, want) {
		t.Errorf("%s: what is written today differs; a format must not change (-update only for a new file)", path)
	}
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGoldenVerifies(t *testing.T) {
	p, err := ParsePolicy(golden(t, "policy.txt"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseReceipt(golden(t, "one.tlog-proof"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := r.Verify(p, testTime)
	if err != nil {
		t.Fatal(err)
	}
	if v.Index() != 131 || string(v.Entry()) != "entry 131" || !v.Published().ExistedBy().Equal(testTime) || !v.Published().PostQuantum() {
		t.Errorf("got %d %q, existed by %v", v.Index(), v.Entry(), v.Published().ExistedBy())
	}
	if _, err := r.Verify(p, testTime.Add(-time.Hour)); err == nil {
		t.Error("verifies an hour before it was cosigned")
	}
	chain, err := ParseChain(golden(t, "chain.tlog-proof"))
	if err != nil || len(chain) != 3 {
		t.Fatalf("chain of %d: %v", len(chain), err)
	}
	for i, r := range chain {
		if _, err := r.Verify(p, testTime); err != nil {
			t.Errorf("chain %d: %v", i, err)
		}
	}
	if _, err := ParseReceipt(golden(t, "chain.tlog-proof")); err != nil {
		checkWords(t, err)
	} else {
		t.Error("a chain passes as a receipt")
	}
	for name, kind := range map[string]SplitKind{"same-size": SplitSameSize, "rewritten": SplitInconsistent, "empty-root": SplitEmptyRoot} {
		e, err := ParseEvidence(golden(t, name+".split-view"))
		if err != nil {
			t.Fatal(err)
		}
		if split, err := e.Verify(p.LogKeys(e.Origin())...); err != nil || split.Kind() != kind {
			t.Errorf("%s: %v, %v", name, split, err)
		}
	}
}

// A published parser reads the golden receipt, and published verifiers its note.
func TestGoldenWithNoteLibraries(t *testing.T) {
	var theirs fproof.TLogProof
	text := golden(t, "one.tlog-proof")
	if err := theirs.Unmarshal(text); err != nil || !bytes.Equal(theirs.Marshal(), text) {
		t.Fatalf("formats/proof: %v", err)
	}
	p, err := ParsePolicy(golden(t, "policy.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var verifiers []note.Verifier
	for _, l := range p.Logs() {
		v, err := fnote.NewVerifier(l.Key.String())
		if err != nil {
			t.Fatal(err)
		}
		verifiers = append(verifiers, v)
	}
	for _, w := range p.Witnesses() {
		v, err := fnote.NewVerifierForCosignatureV1(w.Key.String())
		if err != nil {
			t.Fatal(err)
		}
		verifiers = append(verifiers, v)
	}
	n, err := note.Open(theirs.Checkpoint, note.VerifierList(verifiers...))
	if err != nil || len(n.Sigs) != 6 || len(n.UnverifiedSigs) != 0 {
		t.Errorf("sumdb/note: %v", err)
	}
	stamp, err := fnote.CoSigV1Timestamp(n.Sigs[2])
	if err != nil || stamp.Unix() != testTime.Unix()-3 {
		t.Errorf("the first cosignature is stamped %v, %v", stamp, err)
	}
	if logPQ := sigsOf(t, theirs.Checkpoint)[1]; binary.BigEndian.Uint64(logPQ.Sig) != 0 {
		t.Error("the log's ML-DSA signature has a time")
	}
}
