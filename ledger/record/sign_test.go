package record_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
)

func TestPAE(t *testing.T) {
	// DSSE protocol v1, "Signature Definition", with our payload type.
	if got, want := string(record.PAE([]byte("hello world"))), "DSSEv1 28 application/vnd.in-toto+json 11 hello world"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestMergeSignaturesOfTwoOfficers: one signs and hands the file on; or both sign
// apart and somebody merges. Either way the payload stays.
func TestMergeSignaturesOfTwoOfficers(t *testing.T) {
	payload := []byte(`{"any":"bytes"}`)
	first, second := signerOf(t, record.AlgEd25519), signerOf(t, record.AlgECDSAP384)
	one, err := record.Sign(t.Context(), payload, first)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := record.ParseEnvelope(one.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	both, err := saved.Sign(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	if len(one.Signatures) != 1 || len(saved.Signatures) != 1 {
		t.Error("signing changed the envelope that it was given")
	}
	apart, err := record.Sign(t.Context(), payload, second)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := record.Merge(one, apart)
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]record.Envelope{"gained": both, "merged": merged} {
		if !bytes.Equal(e.Payload, payload) || len(e.Signatures) != 2 {
			t.Errorf("%s: %s", name, e.Marshal())
			continue
		}
		for i, s := range []*record.Signer{first, second} {
			if e.Signatures[i].KeyID != s.Key().ID() {
				t.Errorf("%s: signature %d has keyid %s", name, i, e.Signatures[i].KeyID)
			}
			if err := s.Key().Verify(record.PAE(payload), e.Signatures[i].Sig); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if again, err := record.Merge(merged, one); err != nil || len(again.Signatures) != 2 {
		t.Errorf("merging what is there: %d signatures, %v", len(again.Signatures), err)
	}
	if again, err := one.Sign(t.Context(), first); err != nil || len(again.Signatures) != 1 {
		t.Errorf("signing again with one Ed25519 key: %d signatures, %v", len(again.Signatures), err)
	}
}

func TestMergeRefuses(t *testing.T) {
	s := signerOf(t, record.AlgEd25519)
	a, err := record.Sign(t.Context(), []byte("a"), s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := record.Sign(t.Context(), []byte("b"), s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := record.Merge(a, b); !errors.Is(err, record.ErrOtherPayload) || !strings.Contains(err.Error(), record.IDOf([]byte("b")).String()) {
		t.Errorf("two payloads: %v", err)
	}
	crowd := a
	for i := range record.MaxSubmittedSignatures {
		crowd = crowd.AddSignature(record.Signature{Sig: []byte{1, byte(i)}})
	}
	var r *record.Refusal
	if _, err := record.Merge(a, crowd); !errors.As(err, &r) || r.Class != record.TooLarge {
		t.Errorf("%d signatures: %v", len(crowd.Signatures), err)
	}
}

func TestAddSignatureLearnsTheKeyID(t *testing.T) {
	bare := record.Envelope{Signatures: []record.Signature{{Sig: []byte("x")}}}
	named := bare.AddSignature(record.Signature{KeyID: "SHA256:x", Sig: []byte("x")})
	if len(named.Signatures) != 1 || named.Signatures[0].KeyID != "SHA256:x" || bare.Signatures[0].KeyID != "" {
		t.Errorf("got %v from %v", named.Signatures, bare.Signatures)
	}
}

func TestAttach(t *testing.T) {
	payload := []byte("signed elsewhere")
	for _, alg := range algorithms {
		s := signerOf(t, alg)
		outside, err := record.Sign(t.Context(), payload, s) // in place of openssl on another machine
		if err != nil {
			t.Fatal(err)
		}
		e := record.Envelope{PayloadType: record.PayloadType, Payload: payload}
		got, err := e.Attach(s.Key(), outside.Signatures[0].Sig)
		if err != nil || len(got.Signatures) != 1 || got.Signatures[0].KeyID != s.Key().ID() {
			t.Errorf("%s: %v, %v", alg, got, err)
		}
		if _, err := e.Attach(signerOf(t, record.AlgEd25519).Key(), outside.Signatures[0].Sig); err == nil {
			t.Errorf("%s: attached a signature by another key", alg)
		}
		e.Payload = []byte("something else")
		if _, err := e.Attach(s.Key(), outside.Signatures[0].Sig); err == nil || !strings.Contains(err.Error(), "--pae") {
			t.Errorf("%s: attached a signature over other bytes: %v", alg, err)
		}
	}
}

func TestSignReportsPayloadLimit(t *testing.T) {
	s := signerOf(t, record.AlgEd25519)
	limit := record.MaxPayload(record.AlgEd25519)
	one, err := record.Sign(t.Context(), make([]byte, limit), s)
	if err != nil {
		t.Fatal(err)
	}
	var r *record.Refusal
	if _, err := record.Sign(t.Context(), make([]byte, limit+1), s); !errors.As(err, &r) || r.Class != record.TooLarge || r.Limit != limit || r.Size != limit+1 {
		t.Errorf("one byte more: %v", err)
	}
	two := record.MaxPayload(record.AlgEd25519, record.AlgRSA4096)
	if _, err := one.Sign(t.Context(), signerOf(t, record.AlgRSA4096)); !errors.As(err, &r) || r.Limit != two || r.Size != limit {
		t.Errorf("a second signature: %v, want limit %d", err, two)
	}
}
