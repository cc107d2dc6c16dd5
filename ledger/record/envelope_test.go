package record_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/record/draft/drafttest"
)

const payloadType = `"payloadType":"application/vnd.in-toto+json"`

func TestEnvelopeParses(t *testing.T) {
	want := record.Envelope{
		PayloadType: record.PayloadType,
		Payload:     []byte("payload"),
		Signatures:  []record.Signature{{Sig: []byte("one")}, {KeyID: "any <text> \"ü\" \u2028", Sig: []byte("two!")}},
	}
	for _, raw := range []string{
		string(want.Marshal()),
		" \n" + string(want.Marshal()) + "\n",
		`{"signatures":[{"sig":"b25l"},{"sig":"dHdvIQ==","keyid":"any \u003ctext> \"\u00fc\" \u2028"}],"payload":"cGF5bG9hZA==",` + payloadType + `}`,
		`{"signatures":[{"sig":"b25l","keyid":""},{"sig":"dHdvIQ==","keyid":"any <text> \"ü\" \u2028"}],"payload":"cGF5bG9hZA\u003d=",` + payloadType + `}`,
	} {
		got, err := record.ParseEnvelope([]byte(raw))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if !bytes.Equal(got.Marshal(), want.Marshal()) {
			t.Errorf("%s: got %s, want %s", raw, got.Marshal(), want.Marshal())
		}
	}
}

// TestEnvelopeIsStricterThanEncodingJSON: each text is fine by encoding/json,
// and by DSSE's own decoder where it gets so far; none may pass here.
func TestEnvelopeIsStricterThanEncodingJSON(t *testing.T) {
	const rest = `,"signatures":[{"sig":"c2ln"}]}`
	for name, raw := range map[string]string{
		"name in another case":       `{"PayloadType":"application/vnd.in-toto+json","payload":"cGF5bG9hZA=="` + rest,
		"name twice":                 `{` + payloadType + `,"payload":"b3RoZXI=","payload":"cGF5bG9hZA=="` + rest,
		"name twice, once escaped":   `{` + payloadType + `,"payload":"b3RoZXI=","p\u0061yload":"cGF5bG9hZA=="` + rest,
		"unknown field":              `{` + payloadType + `,"payload":"cGF5bG9hZA==","note":"x"` + rest,
		"unknown field of signature": `{` + payloadType + `,"payload":"cGF5bG9hZA==","signatures":[{"sig":"c2ln","cert":"x"}]}`,
		"null":                       `{` + payloadType + `,"payload":"cGF5bG9hZA==","signatures":[{"keyid":null,"sig":"c2ln"}]}`,
		"invalid UTF-8":              `{` + payloadType + `,"payload":"cGF5bG9hZA==","signatures":[{"keyid":"` + "\xff" + `","sig":"c2ln"}]}`,
		"lone surrogate":             `{` + payloadType + `,"payload":"cGF5bG9hZA==","signatures":[{"keyid":"\ud800","sig":"c2ln"}]}`,
		"deep":                       `{` + payloadType + `,"payload":"cGF5bG9hZA==","x":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + rest,
		"fraction":                   `{` + payloadType + `,"payload":"cGF5bG9hZA==","x":1.5` + rest,
	} {
		t.Run(name, func(t *testing.T) {
			var lax dsse.Envelope
			if err := json.Unmarshal([]byte(raw), &lax); err != nil {
				t.Fatalf("encoding/json refuses this itself: %v", err)
			}
			if payload, err := lax.DecodeB64Payload(); err != nil || string(payload) != "payload" {
				t.Fatalf("the case does not show what it should: %q, %v", payload, err)
			}
			wantRefusal(t, raw, record.Malformed)
		})
	}
}

func TestEnvelopeRefused(t *testing.T) {
	const head, rest = `{` + payloadType + `,"payload":"cGF5bG9hZA=="`, `,"signatures":[{"sig":"c2ln"}]}`
	many := func(n int) string {
		return head + `,"signatures":[` + strings.TrimSuffix(strings.Repeat(`{"sig":"c2ln"},`, n), ",") + `]}`
	}
	if _, err := record.ParseEnvelope([]byte(many(record.MaxSubmittedSignatures))); err != nil {
		t.Errorf("%d signatures: %v", record.MaxSubmittedSignatures, err)
	}
	for name, c := range map[string]struct {
		raw   string
		class record.RefusalClass
	}{
		"two values":             {head + rest + `{}`, record.Malformed},
		"no payloadType":         {`{"payload":"cGF5bG9hZA=="` + rest, record.Malformed},
		"other payloadType":      {`{"payloadType":"application/json","payload":"cGF5bG9hZA=="` + rest, record.Malformed},
		"payloadType with space": {`{"payloadType":"application/vnd.in-toto+json ","payload":"cGF5bG9hZA=="` + rest, record.Malformed},
		"payloadType a number":   {`{"payloadType":1,"payload":"cGF5bG9hZA=="` + rest, record.Malformed},
		"no payload":             {`{` + payloadType + rest, record.Malformed},
		"empty payload":          {`{` + payloadType + `,"payload":""` + rest, record.Malformed},
		"payload an object":      {`{` + payloadType + `,"payload":{}` + rest, record.Malformed},
		"no signatures":          {head + `}`, record.Malformed},
		"empty signatures":       {head + `,"signatures":[]}`, record.Malformed},
		"signatures an object":   {head + `,"signatures":{"sig":"c2ln"}}`, record.Malformed},
		"signature a string":     {head + `,"signatures":["c2ln"]}`, record.Malformed},
		"signature without sig":  {head + `,"signatures":[{"keyid":"x"}]}`, record.Malformed},
		"signature empty":        {head + `,"signatures":[{"sig":""}]}`, record.Malformed},
		"keyid a number":         {head + `,"signatures":[{"sig":"c2ln","keyid":1}]}`, record.Malformed},
		"too many signatures":    {many(record.MaxSubmittedSignatures + 1), record.TooLarge},
		"too large":              {strings.Repeat(" ", record.MaxSubmissionBytes) + head + rest, record.TooLarge},
		"not JSON":               {"hello", record.Malformed},
		"a list":                 {"[]", record.Malformed},
		"empty":                  {"", record.Malformed},
	} {
		t.Run(name, func(t *testing.T) { wantRefusal(t, c.raw, c.class) })
	}
}

func TestEnvelopeBase64IsStrict(t *testing.T) {
	payload := []byte("payload?>") // "cGF5bG9hZD8+" has no padding and a + where the URL alphabet has -
	template := func(payload, sig string) string {
		return fmt.Sprintf(`{%s,"payload":"%s","signatures":[{"sig":"%s"}]}`, payloadType, payload, sig)
	}
	if e, err := record.ParseEnvelope([]byte(template("cGF5bG9hZD8+", "c2lnbg=="))); err != nil || !bytes.Equal(e.Payload, payload) {
		t.Fatalf("%q, %v", e.Payload, err)
	}
	for name, text := range map[string]string{
		"URL alphabet":      "cGF5bG9hZD8-",
		"newline":           `cGF5\nbG9hZD8+`,
		"CRLF":              `cGF5\r\nbG9hZD8+`,
		"newline at end":    `cGF5bG9hZD8+\n`,
		"four newlines":     `cGF5bG9hZD8+\n\n\n\n`,
		"space":             "cGF5 bG9hZD8+",
		"tab":               `cGF5\tbG9hZD8+`,
		"no padding":        "cGF5bG9hZA",
		"half the padding":  "cGF5bG9hZA=",
		"too much padding":  "cGF5bG9hZA===",
		"padding amid":      "cGF5bA==bG9h",
		"unused bits":       "cGF5bG9hZB==",
		"unused bits, one":  "cGF5bG9hZDF=",
		"another character": "cGF5bG9h*D8+",
		"only padding":      "====",
	} {
		t.Run(name, func(t *testing.T) {
			wantRefusal(t, template(text, "c2lnbg=="), record.Malformed)
			wantRefusal(t, template("cGF5bG9hZD8+", text), record.Malformed)
		})
	}
}

func TestEnvelopePayloadLimit(t *testing.T) {
	limit := record.MaxPayload(record.AlgEd25519)
	for size, ok := range map[int]bool{limit: true, limit + 1: false} {
		e := record.Envelope{PayloadType: record.PayloadType, Payload: make([]byte, size), Signatures: []record.Signature{{Sig: make([]byte, 64)}}}
		_, err := record.ParseEnvelope(e.Marshal())
		var r *record.Refusal
		switch {
		case ok && err != nil:
			t.Errorf("%d bytes: %v", size, err)
		case !ok && (!errors.As(err, &r) || r.Class != record.TooLarge || r.Limit != limit || r.Size != size):
			t.Errorf("%d bytes: %v, want TooLarge with limit %d", size, err, limit)
		}
	}
}

func TestParseEnvelopeDescribesInput(t *testing.T) {
	_, public, err := draft.GenerateKey(record.AlgEd25519, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"a public key": string(public),
		"a statement":  `{"_type":"https://in-toto.io/Statement/v1"}`,
		"an entry":     `{"admitted":"","envelope":{}}`,
		"a short form": "# mine\nkind: response\n",
		"a receipt":    "c2sp.org/tlog-proof@v1\nextra AAAA\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := record.ParseEnvelope([]byte(raw))
			record.CheckRefusal(t, err, "malformed")
		})
	}
}

func wantRefusal(t *testing.T, raw string, class record.RefusalClass) error {
	t.Helper()
	e, err := record.ParseEnvelope([]byte(raw))
	var r *record.Refusal
	if !errors.As(err, &r) || r.Class != class {
		t.Errorf("%.200q: got %v, %v, want a refusal of class %d", raw, e, err, class)
	}
	return err
}

func FuzzEnvelope(f *testing.F) {
	for _, name := range []string{"response.bundle.json", "statement-v0.1.bundle.json", "predicate.bundle.json"} {
		f.Add(readFile(f, "cosign", name))
	}
	f.Add([]byte(`{` + payloadType + `,"payload":"cGF5bG9hZA==","signatures":[{"keyid":"x","sig":"c2ln"},{"sig":"c2ln"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		record.DescribeInput(raw) // never panics
		e, err := record.ParseEnvelope(raw)
		if err != nil {
			if r := (*record.Refusal)(nil); !errors.As(err, &r) {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		text := e.Marshal()
		again, err := record.ParseEnvelope(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !bytes.Equal(again.Marshal(), text) {
			t.Fatalf("%s became %s", text, again.Marshal())
		}
		// A lax reader sees the same payload.
		var lax dsse.Envelope
		if err := json.Unmarshal(text, &lax); err != nil || lax.Payload != base64.StdEncoding.EncodeToString(e.Payload) {
			t.Fatalf("%s: encoding/json reads another payload (%v)", text, err)
		}
	})
}

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
	_, err = record.Open(env, knownKeys(drafttest.Signer(t, record.AlgEd25519).Key(), key))
	record.CheckRefusal(t, err, "forbidden")
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
	first, second := drafttest.Signer(t, record.AlgEd25519), drafttest.Signer(t, record.AlgECDSAP384)
	one, err := first.Sign(t.Context(), record.Envelope{Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	saved, err := record.ParseEnvelope(one.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	both, err := second.Sign(t.Context(), saved)
	if err != nil {
		t.Fatal(err)
	}
	if len(one.Signatures) != 1 || len(saved.Signatures) != 1 {
		t.Error("signing changed the envelope that it was given")
	}
	apart, err := second.Sign(t.Context(), record.Envelope{Payload: payload})
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
		for i, s := range []*draft.Signer{first, second} {
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
	if again, err := first.Sign(t.Context(), one); err != nil || len(again.Signatures) != 1 {
		t.Errorf("signing again with one Ed25519 key: %d signatures, %v", len(again.Signatures), err)
	}
}

func TestMergeRefuses(t *testing.T) {
	s := drafttest.Signer(t, record.AlgEd25519)
	a, err := s.Sign(t.Context(), record.Envelope{Payload: []byte("a")})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Sign(t.Context(), record.Envelope{Payload: []byte("b")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := record.Merge(a, b); !errors.Is(err, record.ErrOtherPayload) {
		t.Errorf("two payloads: %v", err)
	} else {
		record.CheckRefusal(t, err, "error")
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
	for _, alg := range drafttest.Algorithms {
		s := drafttest.Signer(t, alg)
		outside, err := s.Sign(t.Context(), record.Envelope{Payload: payload}) // in place of openssl on another machine
		if err != nil {
			t.Fatal(err)
		}
		e := record.Envelope{PayloadType: record.PayloadType, Payload: payload}
		got, err := e.Attach(s.Key(), outside.Signatures[0].Sig)
		if err != nil || len(got.Signatures) != 1 || got.Signatures[0].KeyID != s.Key().ID() {
			t.Errorf("%s: %v, %v", alg, got, err)
		}
		if _, err := e.Attach(drafttest.Signer(t, record.AlgEd25519).Key(), outside.Signatures[0].Sig); err == nil {
			t.Errorf("%s: attached a signature by another key", alg)
		}
		e.Payload = []byte("something else")
		t.Run(string(alg)+" over other bytes", func(t *testing.T) {
			_, err := e.Attach(s.Key(), outside.Signatures[0].Sig)
			record.CheckRefusal(t, err, "error", s.Key().ID(), "SHA256:own")
		})
	}
}
