package proof_test

import (
	"crypto/ed25519"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

var keyID = regexp.MustCompile(`\b[0-9a-f]{8}\b`)

// A cosignature made by a keeper elsewhere counts like any other; what the keeper
// gets wrong never leaves.
func TestNewCosigner(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	logKey, vkey, err := proof.GenerateKey(proof.Ed25519, "log.example")
	if err != nil {
		t.Fatal(err)
	}
	log, err := proof.ParseSigner(logKey)
	if err != nil {
		t.Fatal(err)
	}
	cp := proof.Checkpoint{Origin: "log.example", Size: 1, Root: proof.LeafHash([]byte("x"))}
	signed, err := proof.SignCheckpoint(cp, log)
	if err != nil {
		t.Fatal(err)
	}

	w, err := proof.NewCosigner("w.example", public, func(m []byte) ([]byte, error) { return ed25519.Sign(private, m), nil })
	if err != nil {
		t.Fatal(err)
	}
	sig, err := w.Cosign(cp)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := proof.ParsePolicy([]byte("log " + vkey + "\nwitness w " + w.Key().String() + "\nquorum w\n"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.VerifyCosigned(signed, []proof.Signature{sig}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got := len(p.Cosignatures()); got != 1 {
		t.Errorf("%d cosignatures counted, want 1", got)
	}

	down := errors.New("keeper is down")
	for name, sign := range map[string]func([]byte) ([]byte, error){
		"down":              func([]byte) ([]byte, error) { return nil, down },
		"another signature": func(m []byte) ([]byte, error) { return ed25519.Sign(private, append(m, 'x')), nil },
	} {
		w, err := proof.NewCosigner("w.example", public, sign)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			_, err := w.Cosign(cp)
			if err == nil || errors.Is(err, down) != (name == "down") {
				t.Fatalf("got %v", err)
			}
			refusaltest.Words(t, keyID.ReplaceAllString(err.Error(), "X"))
		})
	}
	if _, err := proof.NewCosigner("w.example", public[:31], nil); err == nil {
		t.Error("a key of 31 bytes was taken")
	}
}

// A log's key that a keeper elsewhere has signs checkpoints that verify like any other's;
// what the keeper gets wrong never leaves.
func TestNewSigner(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	cp := proof.Checkpoint{Origin: "log.example", Size: 1, Root: proof.LeafHash([]byte("x"))}
	log, err := proof.NewSigner("log.example", public, func(m []byte) ([]byte, error) { return ed25519.Sign(private, m), nil })
	if err != nil {
		t.Fatal(err)
	}
	signed, err := proof.SignCheckpoint(cp, log)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := proof.ParsePolicy([]byte("log " + log.Key().String() + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.VerifyCosigned(signed, nil, time.Now()); err != nil {
		t.Errorf("what the keeper signed does not verify: %v", err)
	}
	down := errors.New("keeper is down")
	for name, sign := range map[string]func([]byte) ([]byte, error){
		"down":              func([]byte) ([]byte, error) { return nil, down },
		"another signature": func(m []byte) ([]byte, error) { return ed25519.Sign(private, append(m, 'x')), nil },
	} {
		log, err := proof.NewSigner("log.example", public, sign)
		if err != nil {
			t.Fatal(err)
		}
		if signed, err := proof.SignCheckpoint(cp, log); signed != nil || err == nil || errors.Is(err, down) != (name == "down") {
			t.Errorf("%s: %v, %v", name, signed, err)
		}
	}
	if _, err := proof.NewSigner("log.example", public[:31], nil); err == nil {
		t.Error("a key of 31 bytes was taken")
	}
}
