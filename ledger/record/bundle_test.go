package record_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// The bundles were recorded with cosign (testdata/cosign/README.md).
func TestCosignBundlesOpen(t *testing.T) {
	key, err := record.ParseKey(readFile(t, "cosign", "cosign.pub"))
	if err != nil {
		t.Fatal(err)
	}
	known := func(st *record.Statement) []*record.Key {
		if st.Issuer != "acme-cloud" {
			t.Errorf("issuer %q", st.Issuer)
		}
		return []*record.Key{key}
	}
	for _, name := range []string{"response.bundle.json", "statement-v0.1.bundle.json", "predicate.bundle.json"} {
		t.Run(name, func(t *testing.T) {
			env, err := record.ParseEnvelope(readFile(t, "cosign", name))
			if err != nil {
				t.Fatal(err)
			}
			v, err := record.Open(env, known)
			if err != nil {
				t.Fatal(err)
			}
			if st := v.Statement(); st.Kind != record.KindResponse || st.Thread != "response/2026-014/acme-cloud" {
				t.Errorf("opened %+v", st)
			}
			if name == "response.bundle.json" && !bytes.Equal(v.Payload(), readFile(t, "cosign", "response.statement.json")) {
				t.Error("the payload is not the statement that was signed")
			}
		})
	}
}

// TestCosignEd25519ph: the key is fine, the algorithm is another; the refusal
// must not leave people guessing.
func TestCosignEd25519ph(t *testing.T) {
	key, err := record.ParseKey(readFile(t, "cosign", "ed25519ph.pub"))
	if err != nil {
		t.Fatal(err)
	}
	env, err := record.ParseEnvelope(readFile(t, "cosign", "ed25519ph.bundle.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = record.Open(env, knownKeys(signerOf(t, record.AlgEd25519).Key(), key))
	var r *record.Refusal
	if !errors.As(err, &r) || r.Class != record.Forbidden || !strings.Contains(r.Detail, key.ID()+" is Ed25519ph") {
		t.Errorf("got %v, want a refusal that names Ed25519ph", err)
	}
}

func TestBundleRefused(t *testing.T) {
	good := string(readFile(t, "cosign", "response.bundle.json"))
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the fixture has no %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, c := range map[string]struct {
		raw string
		lax bool // sigstore's own reader takes it
	}{
		"version 0.2":        {replace("bundle.v0.3+json", "bundle.v0.2+json"), true},
		"no version":         {replace("bundle.v0.3+json", "bundle+json"), true},
		"unknown field":      {replace(`"verificationMaterial"`, `"more":1, "verificationMaterial"`), false},
		"unknown deep field": {replace(`"hint"`, `"hind"`), false},
		"snake case":         {replace(`"dsseEnvelope"`, `"dsse_envelope"`), true},
		"both spellings":     {replace(`"dsseEnvelope"`, `"dsse_envelope":{}, "dsseEnvelope"`), false},
		"null material":      {replace(`"verificationMaterial":{`, `"x":null, "verificationMaterial":{`), false},
		"null envelope":      {`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":null}`, true},
		"no envelope":        {`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{}}`, true},
		"unpadded payload":   {replace(`Cn0K"`, `Cn0KIA"`), true},
		"newline in base64":  {replace(`"payload":"ewog`, `"payload":"ewog\n`), true},
		"unpadded signature": {replace(`4I="`, `4I"`), true},
		"no signatures":      {replace(`"signatures":[`, `"signatures":[], "x":[`), false},
		"other payloadType":  {replace("vnd.in-toto+json", "json"), true},
		"signed file":        {`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{},"messageSignature":{"signature":"AAAA"}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := protojson.Unmarshal([]byte(c.raw), new(bundlepb.Bundle)); (err == nil) != c.lax {
				t.Errorf("sigstore's reader says %v: the case does not show what it should", err)
			}
			wantRefusal(t, c.raw, record.Malformed)
		})
	}
	if old := replace("bundle.v0.3+json", "bundle+json;version=0.3"); true {
		if _, err := record.ParseEnvelope([]byte(old)); err != nil {
			t.Errorf("the older name of version 0.3: %v", err)
		}
	}
}

func FuzzBundle(f *testing.F) {
	for _, name := range []string{"response.bundle.json", "statement-v0.1.bundle.json", "predicate.bundle.json"} {
		f.Add(readFile(f, "cosign", name))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := record.ParseEnvelope(raw)
		var b bundlepb.Bundle
		if err != nil || json.Unmarshal(raw, &map[string]any{}) != nil || protojson.Unmarshal(raw, &b) != nil {
			if r := (*record.Refusal)(nil); err != nil && !errors.As(err, &r) {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		// What we take for the envelope is what sigstore takes for it.
		d := b.GetDsseEnvelope()
		if d == nil || d.PayloadType != e.PayloadType || !bytes.Equal(d.Payload, e.Payload) || len(d.Signatures) != len(e.Signatures) {
			t.Fatalf("sigstore reads %v, we read %v", d, e)
		}
		for i, s := range d.Signatures {
			if s.Keyid != e.Signatures[i].KeyID || !bytes.Equal(s.Sig, e.Signatures[i].Sig) {
				t.Fatalf("signature %d: sigstore reads %v, we read %v", i, s, e.Signatures[i])
			}
		}
	})
}
