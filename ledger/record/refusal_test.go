package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// fixedRefusalSigner is a signer whose key never changes. It is in this file: trust it with
// nothing.
func fixedRefusalSigner(t testing.TB) *RefusalSigner {
	t.Helper()
	seed := sha256.Sum256([]byte("docket golden files: refusals"))
	secret := base64.StdEncoding.EncodeToString(append([]byte{byte(proof.Ed25519)}, seed[:]...))
	s, err := ParseRefusalSigner("PRIVATE+KEY+docket.example/test/refusals+33f590f5+" + secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testRefusalNote() RefusalNote {
	return RefusalNote{
		Ledger: IDOf([]byte("charter")), Record: IDOf([]byte("record")), Keys: []string{testKeyID("a"), testKeyID("b")},
		Size: 17, Rule: "invalid #/predicate/effectiveFrom #/predicate/k%C3%A4se%20%0A~1x", Time: time.Date(2026, 12, 2, 9, 30, 1, 250_000_000, time.UTC),
	}
}

func testKeyID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return keyIDPrefix + base64.RawStdEncoding.EncodeToString(sum[:])
}

func signedTestRefusal(t testing.TB, n RefusalNote) []byte {
	t.Helper()
	slices.Sort(n.Keys)
	signed, err := fixedRefusalSigner(t).Sign(n)
	if err != nil {
		t.Fatal(err)
	}
	return signed.Format()
}

// TestRefusalNoteGolden holds the format against a file that must not change.
func TestRefusalNoteGolden(t *testing.T) {
	const file = "testdata/record" + RefusalSuffix
	made := signedTestRefusal(t, testRefusalNote())
	if refusaltest.Update() {
		if err := os.WriteFile(file, made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, golden) {
		t.Errorf("a refusal is written as\n%s\nwant\n%s", made, golden)
	}
	n, err := ParseRefusalNote(golden)
	if err != nil {
		t.Fatal(err)
	}
	v, err := n.Verify(fixedRefusalSigner(t).Key())
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Note(); got.Size != 17 || got.Record != IDOf([]byte("record")) || len(got.Keys) != 2 || !got.Time.Equal(testRefusalNote().Time) {
		t.Errorf("read as %+v", got)
	}
}

// TestRefusalNoteWithOneByteChanged tries every byte: what is signed is all of it.
func TestRefusalNoteWithOneByteChanged(t *testing.T) {
	key := fixedRefusalSigner(t).Key()
	file := signedTestRefusal(t, testRefusalNote())
	for i := range file {
		changed := bytes.Clone(file)
		changed[i] ^= 1
		if n, err := ParseRefusalNote(changed); err == nil {
			if _, err := n.Verify(key); err == nil {
				t.Fatalf("byte %d changed verifies:\n%s", i, changed)
			}
		}
	}
}

func TestParseRefusalNoteRefuses(t *testing.T) {
	good := string(signedTestRefusal(t, testRefusalNote()))
	if _, err := ParseRefusalNote([]byte(good)); err != nil {
		t.Fatal(err)
	}
	keys := slices.Sorted(slices.Values(testRefusalNote().Keys))
	for name, change := range map[string][2]string{
		"another header":       {"docket-refusal/v1", "docket-refusal/v2"},
		"no ledger":            {"ledger ", "Ledger "},
		"ledger of zeros":      {IDOf([]byte("charter")).String(), strings.Repeat("0", 64)},
		"upper-case hex":       {IDOf([]byte("record")).String(), strings.ToUpper(IDOf([]byte("record")).String())},
		"no key":               {"key " + keys[0] + "\nkey " + keys[1] + "\n", ""},
		"keys out of order":    {keys[0] + "\nkey " + keys[1], keys[1] + "\nkey " + keys[0]},
		"a key twice":          {keys[1], keys[0]},
		"no fingerprint":       {keys[0], "SHA256:abc"},
		"size with a zero":     {"size 17", "size 017"},
		"size zero":            {"size 17", "size 0"},
		"size beyond 63 bits":  {"size 17", "size 9223372036854775808"},
		"no rule":              {"rule invalid", "rule "},
		"a rule of no ledger":  {"rule invalid", "rule unfit"},
		"two spaces":           {"invalid #", "invalid  #"},
		"an unescaped pointer": {"k%C3%A4se", "käse"},
		"escaped in lower":     {"k%C3%A4se", "k%c3%a4se"},
		"escaped for nothing":  {"/predicate", "/%70redicate"},
		"no pointer":           {"#/predicate/effectiveFrom", "effectiveFrom"},
		"no UTF-8":             {"k%C3%A4se", "k%C3se"},
		"no fraction":          {"01.250Z", "01Z"},
		"another zone":         {"01.250Z", "01.250+00:00"},
		"a line too many":      {"size 17\n", "size 17\nsize 18\n"},
		"CR LF":                {"size 17\n", "size 17\r\n"},
		"two signatures":       {"\n— ", "\n— x.example AAAAAAA=\n— "},
		"no signature":         {good[strings.Index(good, "— "):], ""},
		"no empty line":        {"\n\n— ", "\n— "},
		"no last newline":      {good[len(good)-3:], strings.TrimSpace(good[len(good)-3:])},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, change[0], change[1], 1)
			if bad == good {
				t.Fatal("nothing was changed")
			}
			n, err := ParseRefusalNote([]byte(bad))
			if err == nil {
				t.Fatalf("read as %+v", n)
			}
			refusaltest.Words(t, err.Error())
		})
	}
}

// TestRefusalIsNoCheckpoint: neither reader takes what the other's signer signs, and the key
// of a refusal is of another name than the log's.
func TestRefusalIsNoCheckpoint(t *testing.T) {
	n := testRefusalNote()
	if _, err := proof.ParseCheckpointBody([]byte(n.Text())); err == nil {
		t.Error("the text of a refusal is read as a checkpoint's")
	}
	if _, _, err := proof.ParseCheckpoint(signedTestRefusal(t, n)); err == nil {
		t.Error("a refusal is read as a checkpoint")
	}
	skey, _, err := proof.GenerateKey(proof.Ed25519, "docket-refusal/v1") // as near as an origin comes
	if err != nil {
		t.Fatal(err)
	}
	log, err := proof.ParseSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := proof.SignCheckpoint(proof.Checkpoint{Origin: log.Key().Name(), Size: 17}, log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseRefusalNote(cp.Note()); err == nil {
		t.Error("a checkpoint is read as a refusal")
	}
	for _, alg := range []proof.Algorithm{proof.CosignatureEd25519, proof.MLDSA44} {
		skey, vkey, err := proof.GenerateKey(alg, "w.example")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRefusalsKey(vkey); err == nil {
			t.Errorf("a key of %s is taken for a refusals key", alg)
		}
		if _, err := ParseRefusalSigner(skey); err == nil {
			t.Errorf("a private key of %s signs refusals", alg)
		}
	}
}

func TestRefusalNoteOfAnotherKey(t *testing.T) {
	skey, _, err := proof.GenerateKey(proof.Ed25519, fixedRefusalSigner(t).Key().Name())
	if err != nil {
		t.Fatal(err)
	}
	other, err := ParseRefusalSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := ParseRefusalNote(signedTestRefusal(t, testRefusalNote()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = n.Verify(other.Key())
	if err == nil {
		t.Fatal("verifies with another key of the same name")
	}
	refusaltest.Words(t, err.Error(), fmt.Sprintf("%08x", other.Key().ID()), "X")
}

// TestRefusalRule: every class has a word, and what a signer wrote cannot break the line or
// make the note long.
func TestRefusalRule(t *testing.T) {
	seen := map[string]bool{}
	for c := Malformed; c <= Unsupported; c++ {
		word := (&Refusal{Class: c}).Rule()
		if word == "" || seen[word] || checkRule(word) != nil {
			t.Errorf("class %d has the rule %q", c, word)
		}
		seen[word] = true
	}
	if RefusalClass(0).String() != "" || RefusalClass(99).String() != "" {
		t.Error("no class has a word")
	}
	odd := &Refusal{Class: Invalid, Faults: []Fault{{Pointer: ""}, {Pointer: "/a b\n— x\u2028/é#%/~0~1"}, {Pointer: "/" + strings.Repeat("long", 500)}, {Pointer: "/b"}}}
	rule := odd.Rule()
	if err := checkRule(rule); err != nil || len(rule) > maxRuleBytes || strings.ContainsAny(rule, "\n\u2028") {
		t.Errorf("%q: %v", rule, err)
	}
	if want := "invalid # #/a%20b%0A%E2%80%94%20x%E2%80%A8/%C3%A9%23%25/~0~1"; rule != want {
		t.Errorf("rule %q, want %q", rule, want)
	}
}

func FuzzRefusalNote(f *testing.F) {
	f.Add(signedTestRefusal(f, testRefusalNote()))
	n := testRefusalNote()
	n.Rule, n.Keys = "conflict", n.Keys[:1]
	f.Add(signedTestRefusal(f, n))
	key := fixedRefusalSigner(f).Key()
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := ParseRefusalNote(data)
		if err != nil {
			return
		}
		if out := n.Format(); !bytes.Equal(out, data) {
			t.Errorf("%q is written as %q", data, out)
		}
		if _, _, err := proof.ParseCheckpoint(data); err == nil {
			t.Errorf("%q is a checkpoint too", data)
		}
		if _, err := n.Verify(key); err == nil && n.Size != 17 {
			t.Errorf("%q verifies", data)
		}
	})
}
