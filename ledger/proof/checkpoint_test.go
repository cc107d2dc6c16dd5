package proof

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// The example of tlog-cosignature, and with its first signature of tlog-checkpoint.
const exampleNote = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
`

func TestExampleNote(t *testing.T) {
	cp, sigs, err := ParseCheckpoint([]byte(exampleNote))
	if err != nil {
		t.Fatal(err)
	}
	if cp.Origin != "example.com/behind-the-sofa" || cp.Size != 20852163 || cp.Root.String() != "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=" {
		t.Errorf("got %+v", cp)
	}
	if len(sigs) != 2 || sigs[1].Name != "witness.example.com/w1" || sigs[1].ID != 0x8d66cf3f {
		t.Errorf("got %+v", sigs)
	}
	back, err := FormatNote(cp, sigs[1], sigs[0])
	if err != nil || string(back) != exampleNote {
		t.Errorf("written again: %v\n%s", err, back)
	}
}

// The example of signed-note "Verifier keys": a published key and a note by it.
func TestSignedNoteExample(t *testing.T) {
	key, err := ParseLogKey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
	if err != nil {
		t.Fatal(err)
	}
	sigs, err := ParseSignatures([]byte("— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"))
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("This is an example message.\n")
	if !key.matchesKeyID(sigs[0]) || key.verify(text, sigs[0]) != nil {
		t.Error("the example does not verify")
	}
	var bad *SignatureError
	if err := key.verify([]byte("This is another message.\n"), sigs[0]); !errors.As(err, &bad) || bad.ID != 0x530d903a {
		t.Errorf("another text: %v", err)
	}
}

// The example response of tlog-witness "add-checkpoint", whose names are those of
// two keys of one witness and a second witness.
func TestExampleCosignatures(t *testing.T) {
	const lines = `— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
— witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==
`
	sigs, err := ParseSignatures([]byte(lines))
	if err != nil || len(sigs) != 3 || sigs[0].ID != 0x08ca7ee8 || len(sigs[2].Sig) != 72 {
		t.Errorf("got %+v, %v", sigs, err)
	}
	for _, bad := range []string{"", "\n", lines + "\n", strings.TrimSuffix(lines, "\n"), strings.Repeat(lines, 40), strings.Repeat("x", MaxNoteBytes+1)} {
		if _, err := ParseSignatures([]byte(bad)); err == nil {
			t.Errorf("%.20q… is read", bad)
		}
	}
}

func TestBadCheckpoints(t *testing.T) {
	lines := strings.SplitAfter(exampleNote, "\n")
	sig := lines[4]
	with := func(i int, line string) string {
		l := slices.Clone(lines)
		l[i] = line
		return strings.Join(l, "")
	}
	for what, text := range map[string]string{
		"empty":                      "",
		"no signature":               strings.Join(lines[:4], ""),
		"no empty line":              strings.Join(lines[:3], "") + sig,
		"no final newline":           strings.TrimSuffix(exampleNote, "\n"),
		"extension line":             with(2, lines[2]+"extension\n"),
		"two lines":                  with(2, ""),
		"empty origin":               with(0, "\n"),
		"long origin":                with(0, strings.Repeat("a", 256)+"\n"),
		"control in origin":          with(0, "a\tb\n"),
		"origin not UTF-8":           with(0, "a\xff\n"),
		"carriage returns":           strings.ReplaceAll(exampleNote, "\n", "\r\n"),
		"size with zero":             with(1, "020852163\n"),
		"size with sign":             with(1, "+20852163\n"),
		"negative size":              with(1, "-1\n"),
		"empty size":                 with(1, "\n"),
		"size with space":            with(1, "20852163 \n"),
		"size of 2^64":               with(1, "18446744073709551616\n"),
		"size in other digits":       with(1, "٢\n"),
		"root too short":             with(2, "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==\n"),
		"root without padding":       with(2, "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n"),
		"root with stray bits":       with(2, "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n"),
		"root URL-safe":              with(2, "CsUYapGGPo4dkMgIAUqom_Xajj7h2fB2MPA3j2jxq2I=\n"),
		"signature without em dash":  with(4, "- "+strings.TrimPrefix(sig, "— ")),
		"signature without name":     with(4, "—  "+strings.SplitN(sig, " ", 3)[2]),
		"signature name with plus":   with(4, "— a+b "+strings.SplitN(sig, " ", 3)[2]),
		"signature name with spaces": with(4, "— a\u00a0b "+strings.SplitN(sig, " ", 3)[2]),
		"signature of four bytes":    with(4, "— a AAAAAA==\n"),
		"signature not base64":       with(4, "— a AAAAAAAAAA!=\n"),
		"signature then space":       with(4, strings.TrimSuffix(sig, "\n")+" \n"),
		"empty line between":         with(4, sig+"\n"),
		"too many signatures":        with(4, strings.Repeat(sig, MaxSignatures+1)),
		"too long a signature":       with(4, string(Signature{"a", 1, make([]byte, maxSignatureBytes)}.Line())),
	} {
		if cp, _, err := ParseCheckpoint([]byte(text)); err == nil {
			t.Errorf("%s: read as %+v", what, cp)
		}
	}
	if _, _, err := ParseCheckpoint([]byte(with(4, strings.Repeat(sig, MaxSignatures-1)))); err != nil {
		t.Errorf("the most signatures: %v", err)
	}
	// An impossible empty tree parses, since it is evidence, and is never signed.
	impossible := Checkpoint{testOrigin, 0, Hash{1}}
	if cp, err := ParseCheckpointBody(impossible.Body()); err != nil || cp != impossible {
		t.Errorf("size 0 with a root: %v", err)
	}
	if _, err := SignCheckpoint(impossible, newSigner(t, Ed25519)); err == nil {
		t.Error("size 0 with a root is signed")
	}
}

// What we sign, sumdb/note and formats verify; what they sign, we do.
func TestNoteLibrariesAgree(t *testing.T) {
	c := newTestKeys(t)
	cp := Checkpoint{testOrigin, 13, LeafHash(nil)}
	signed := c.sign(t, cp)
	ours, err := note.NewVerifier(c.log.Key().String())
	if err != nil {
		t.Fatal(err)
	}
	oursPQ, err := fnote.NewMLDSAVerifier(c.logPQ.Key().String())
	if err != nil {
		t.Fatal(err)
	}
	verifiers := []note.Verifier{oursPQ}
	for name, w := range c.witness {
		sig, err := w.Cosign(cp)
		if err != nil {
			t.Fatal(err)
		}
		if signed, err = AddSignatures(signed, sig); err != nil {
			t.Fatal(err)
		}
		v, err := fnote.NewVerifierForCosignatureV1(w.Key().String())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		verifiers = append(verifiers, v)
	}
	got, rest, n, err := log.ParseCheckpoint(signed, testOrigin, ours, verifiers...)
	if err != nil || len(rest) != 0 || got.Size != 13 || len(n.Sigs) != 8 || len(n.UnverifiedSigs) != 0 {
		t.Fatalf("got %+v, %q, %+v, %v", got, rest, n, err)
	}

	skey, vkey, err := note.GenerateKey(rand.Reader, testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := note.NewSigner(skey)
	cosigner, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := note.Sign(&note.Note{Text: string(cp.Body())}, signer, cosigner)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseLogKey(vkey)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := VerifyLog(theirs, testOrigin, key); err != nil || s.Checkpoint() != cp || !bytes.Equal(s.Note(), theirs) {
		t.Errorf("their note: %v", err)
	}
	cokey, _ := fnote.VKeyToCosignatureV1(vkey)
	if _, err := ParseWitnessKey(cokey); err != nil {
		t.Errorf("their witness key: %v", err)
	}
}

func TestAddSignatures(t *testing.T) {
	c := newTestKeys(t)
	cp := Checkpoint{testOrigin, 5, LeafHash(nil)}
	base := c.sign(t, cp)
	var sigs []Signature
	for _, name := range []string{"w3-pq", "w1", "w2", "w1-pq"} {
		sigs = append(sigs, c.cosignatureAt(t, name, cp, 1000))
	}
	want := c.mustAddSignatures(t, base, sigs...)
	for range 4 { // any order, at once or one by one
		sigs = append(sigs[1:len(sigs):len(sigs)], sigs[0])
		step := base
		for _, s := range sigs {
			var err error
			if step, err = AddSignatures(step, s); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(step, want) || !bytes.Equal(c.mustAddSignatures(t, base, sigs...), want) {
			t.Fatal("the order of adding shows")
		}
	}
	_, got, _ := ParseCheckpoint(want)
	var order []string
	for _, s := range got {
		order = append(order, fmt.Sprintf("%s/%d", s.Name, len(s.Sig)))
	}
	if o := strings.Join(order, " "); o != "log.example/1/64 log.example/1/2428 w1.example/72 w1.example/2428 w2.example/72 w3.example/2428" {
		t.Errorf("order: %s", o)
	}
	newer, err := AddSignatures(want, c.cosignatureAt(t, "w1", cp, 2000))
	if err != nil {
		t.Fatal(err)
	}
	if _, got, _ := ParseCheckpoint(newer); len(got) != len(order) {
		t.Errorf("a second cosignature by one key stands beside the first")
	}
	if _, err := AddSignatures(base, Signature{Name: "a b", ID: 1, Sig: []byte{1}}); err == nil {
		t.Error("a bad name is added")
	}
	if _, err := AddSignatures([]byte("nothing"), sigs...); err == nil {
		t.Error("signatures are added to nothing")
	}
}

// mustAddSignatures is AddSignatures, which must not fail.
func (c *testKeys) mustAddSignatures(t *testing.T, base []byte, sigs ...Signature) []byte {
	t.Helper()
	note, err := AddSignatures(base, sigs...)
	if err != nil {
		t.Fatal(err)
	}
	return note
}

func TestSignCheckpointRefuses(t *testing.T) {
	s := newSigner(t, Ed25519)
	for what, f := range map[string]func() (*Signed, error){
		"no signer":    func() (*Signed, error) { return SignCheckpoint(Checkpoint{testOrigin, 1, Hash{}}) },
		"other origin": func() (*Signed, error) { return SignCheckpoint(Checkpoint{"other.example", 1, Hash{}}, s) },
		"bad origin":   func() (*Signed, error) { return SignCheckpoint(Checkpoint{"a\nb", 1, Hash{}}, s) },
		"long origin":  func() (*Signed, error) { return SignCheckpoint(Checkpoint{strings.Repeat("o", 256), 1, Hash{}}, s) },
	} {
		if note, err := f(); err == nil {
			t.Errorf("%s: signed %q", what, note.Note())
		}
	}
}
