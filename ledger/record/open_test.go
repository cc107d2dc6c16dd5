package record_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	sigstoredsse "github.com/sigstore/sigstore/pkg/signature/dsse"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/record/draft/drafttest"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const someID = "5d3c9a17e8b04f2266c1d07a9be4f5381f0a6c2d7e9b4853a1c6f0d2e8b73a94"

// responseOf is a response by acme-cloud of about n bytes.
func responseOf(n int) []byte {
	const format = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"designation/2026-014","digest":{"sha256":"%[1]s"}}],` +
		`"predicateType":"urn:docket:response:v1","predicate":{"ledger":"%[1]s","thread":"response/2026-014/acme-cloud","issuer":"acme-cloud",` +
		`"issuedAt":"2026-11-23T11:58:00Z","status":"winding-down","windDownBy":"2027-05-15","conditions":["c1"],"note":"%[2]s"}}`
	pad := max(1, n-len(fmt.Sprintf(format, someID, "")))
	return fmt.Appendf(nil, format, someID, strings.Repeat("n", pad))
}

// enrolmentOf is an enrolment of acme-cloud that lists the keys.
func enrolmentOf(t testing.TB, keys ...*record.Key) []byte {
	t.Helper()
	type partyKey struct {
		Key    record.PEM `json:"key"`
		Use    string     `json:"use"`
		Holder string     `json:"holder"`
	}
	listed := make([]partyKey, len(keys))
	for i, k := range keys {
		listed[i] = partyKey{k.PEM(), "officer", fmt.Sprintf("officer-%d", i+1)}
	}
	b, err := json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": "first key", "digest": map[string]string{"sha256": record.IDOf(keys[0].DER()).String()}}},
		"predicateType": "urn:docket:enrolment:v1",
		"predicate": map[string]any{
			"ledger": someID, "thread": "party/acme-cloud", "issuer": "acme-cloud", "issuedAt": "2026-11-23T11:58:00Z",
			"legalName": "Acme Cloud, Inc. (fictional)", "country": "US", "roles": []string{"provider"}, "keys": listed,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func envelopeBy(t testing.TB, payload []byte, signers ...*draft.Signer) record.Envelope {
	t.Helper()
	e := record.Envelope{PayloadType: record.PayloadType, Payload: payload}
	for _, s := range signers {
		var err error
		if e, err = s.Sign(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// withoutKeyIDs drops the key IDs, as other tools leave them out.
func withoutKeyIDs(e record.Envelope) record.Envelope {
	e.Signatures = slices.Clone(e.Signatures)
	for i := range e.Signatures {
		e.Signatures[i].KeyID = ""
	}
	return e
}

func knownKeys(keys ...*record.Key) func(*record.Statement) []*record.Key {
	return func(*record.Statement) []*record.Key { return keys }
}

func anyKey(*record.Key) bool { return true }

func keysOf(signers []*draft.Signer) []*record.Key {
	keys := make([]*record.Key, len(signers))
	for i, s := range signers {
		keys[i] = s.Key()
	}
	return keys
}

// TestSigstoreAcceptsEveryEntry: sigstore's own DSSE verifier takes the envelope
// of every entry, under each of its keys and under all together.
func TestSigstoreAcceptsEveryEntry(t *testing.T) {
	var signers []*draft.Signer
	for _, alg := range drafttest.Algorithms {
		signers = append(signers, drafttest.Signer(t, alg))
	}
	for n := 1; n <= len(signers); n++ {
		// In every rotation, so that each algorithm is once alone and once first.
		for shift := range signers {
			some := slices.Concat(signers[shift:], signers[:shift])[:n]
			v, err := record.Open(withoutKeyIDs(envelopeBy(t, responseOf(800), some...)), knownKeys(keysOf(signers)...))
			if err != nil {
				t.Fatal(err)
			}
			entry, err := v.Entry(noon, anyKey)
			if err != nil {
				t.Fatal(err)
			}
			var outer struct{ Envelope json.RawMessage }
			if err := json.Unmarshal(entry.Marshal(), &outer); err != nil {
				t.Fatal(err)
			}
			var verifiers []signature.Verifier
			for _, s := range some {
				hash := crypto.SHA256
				if s.Key().Algorithm() == record.AlgECDSAP384 {
					hash = crypto.SHA384
				}
				verifier, err := signature.LoadVerifier(s.Key().Public(), hash)
				if err != nil {
					t.Fatal(err)
				}
				verifiers = append(verifiers, verifier)
				one := sigstoredsse.WrapVerifier(verifier, sigstoredsse.WithExpectedPayloadType(record.PayloadType))
				if err := one.VerifySignature(bytes.NewReader(outer.Envelope), nil); err != nil {
					t.Errorf("%d signatures, %s: %v", n, s.Key().Algorithm(), err)
				}
			}
			together := sigstoredsse.WrapMultiVerifierWithOpts(record.PayloadType, n, verifiers)
			if err := together.VerifySignature(bytes.NewReader(outer.Envelope), nil); err != nil {
				t.Errorf("%d signatures together: %v", n, err)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	own, stranger := drafttest.Signer(t, record.AlgEd25519), drafttest.Signer(t, record.AlgEd25519)
	good := envelopeBy(t, responseOf(400), own)
	changed := good
	changed.Payload = bytes.Replace(good.Payload, []byte("2027-05-15"), []byte("2028-05-15"), 1)
	otherType := good
	otherType.PayloadType = "application/json"
	noStatement := envelopeBy(t, []byte(`{"a":1}`), own)
	for name, c := range map[string]struct {
		env  record.Envelope
		keys []*record.Key
		want string
	}{
		"unknown key":      {envelopeBy(t, responseOf(400), stranger), []*record.Key{own.Key()}, "forbidden"},
		"no key known":     {good, nil, "forbidden"},
		"changed payload":  {changed, []*record.Key{own.Key()}, "forbidden"},
		"changed, no hint": {withoutKeyIDs(changed), []*record.Key{own.Key()}, "forbidden"},
		"other type":       {otherType, []*record.Key{own.Key()}, "malformed"},
		"no statement":     {noStatement, []*record.Key{own.Key()}, "invalid /predicateType"},
		"no signatures":    {record.Envelope{PayloadType: record.PayloadType, Payload: good.Payload}, []*record.Key{own.Key()}, "forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := record.Open(c.env, knownKeys(c.keys...))
			if v.Statement() != nil {
				t.Error("opened")
			}
			record.CheckRefusal(t, err, c.want, own.Key().ID(), "SHA256:own", stranger.Key().ID(), "SHA256:stranger")
		})
	}
}

func TestVerifiedEntry(t *testing.T) {
	var signers []*draft.Signer
	for range record.MaxSignatures + 1 {
		signers = append(signers, drafttest.Signer(t, record.AlgEd25519))
	}
	env := envelopeBy(t, responseOf(400), signers...)
	v, err := record.Open(env, knownKeys(keysOf(signers)...))
	if err != nil {
		t.Fatal(err)
	}
	var r *record.Refusal
	if _, err := v.Entry(noon, anyKey); !errors.As(err, &r) || r.Class != record.TooLarge || r.Limit != record.MaxSignatures || r.Size != record.MaxSignatures+1 {
		t.Errorf("nine kept: %v", err)
	}
	if _, err := v.Entry(noon, func(*record.Key) bool { return false }); !errors.As(err, &r) || r.Class != record.Forbidden {
		t.Errorf("none kept: %v", err)
	}
	drop := signers[4].Key()
	admitted := noon.Add(1234567 * time.Nanosecond).In(time.FixedZone("elsewhere", 3600))
	e, err := v.Entry(admitted, func(k *record.Key) bool { return !k.Equal(drop) })
	if err != nil {
		t.Fatal(err)
	}
	if !e.Admitted.Equal(noon.Add(time.Millisecond)) || len(e.Envelope.Signatures) != record.MaxSignatures {
		t.Errorf("admitted %v with %d signatures", e.Admitted, len(e.Envelope.Signatures))
	}
	parsed, err := record.ParseEntry(e.Marshal())
	if err != nil || !bytes.Equal(parsed.Marshal(), e.Marshal()) || !parsed.Admitted.Equal(e.Admitted) {
		t.Errorf("its bytes give %v, %v", parsed, err)
	}
}

func TestVerifiedEntryBounds(t *testing.T) {
	// Two officers with RSA keys meet a lower limit than one with Ed25519: the
	// envelope passes, the entry does not.
	small, big := drafttest.Signer(t, record.AlgEd25519), drafttest.Signer(t, record.AlgRSA4096)
	limit := record.MaxPayload(record.AlgEd25519, record.AlgRSA4096)
	payload := func(n int) []byte { // white space is the signer's own
		p := responseOf(400)
		return append(p, bytes.Repeat([]byte{' '}, n-len(p))...)
	}
	for size, ok := range map[int]bool{limit: true, limit + 1: false} {
		env := envelopeBy(t, payload(size), small)
		other := envelopeBy(t, payload(size), big)
		env, err := record.Merge(env, other)
		if err != nil {
			t.Fatal(err)
		}
		v, err := record.Open(env, knownKeys(small.Key(), big.Key()))
		if err != nil {
			t.Fatal(err)
		}
		e, err := v.Entry(noon, anyKey)
		var r *record.Refusal
		switch {
		case ok && (err != nil || len(e.Marshal()) > record.MaxEntryBytes):
			t.Errorf("payload of %d: %v", size, err)
		case !ok && (!errors.As(err, &r) || r.Class != record.TooLarge || r.Limit != record.MaxEntryBytes || r.Size <= record.MaxEntryBytes):
			t.Errorf("payload of %d: %v", size, err)
		case !ok:
			record.CheckRefusal(t, err, "too large")
		}
	}
}

func TestListedKeys(t *testing.T) {
	a, b := drafttest.Signer(t, record.AlgEd25519).Key(), drafttest.Signer(t, record.AlgECDSAP384).Key()
	for _, p := range []record.Predicate{
		&record.Charter{RootKeys: []record.RootKey{{Key: a.PEM()}, {Key: b.PEM()}}},
		&record.Enrolment{Keys: []record.PartyKey{{Key: a.PEM()}, {Key: b.PEM()}}},
		&record.Keys{Add: []record.PartyKey{{Key: a.PEM()}, {Key: b.PEM()}}},
	} {
		got, err := record.ListedKeys(&record.Statement{Kind: p.Kind(), Predicate: p})
		if err != nil || len(got) != 2 || !got[0].Equal(a) || !got[1].Equal(b) {
			t.Errorf("%s: %v, %v", p.Kind(), got, err)
		}
	}
	if got, err := record.ListedKeys(&record.Statement{Predicate: &record.Response{}}); err != nil || len(got) != 0 {
		t.Errorf("response: %v, %v", got, err)
	}
	_, err := record.ListedKeys(&record.Statement{Kind: record.KindKeys, Predicate: &record.Keys{Add: []record.PartyKey{{Key: a.PEM()}, {Key: a.PEM() + "\n"}}}})
	var r *record.Refusal
	if !errors.As(err, &r) || r.Class != record.Invalid || len(r.Faults) != 1 || r.Faults[0].Pointer != "/predicate/add/1/key" {
		t.Errorf("a key that is not canonical: %v", err)
	}
}

// TestOpenInParallel shares keys between goroutines; it is for -race.
func TestOpenInParallel(t *testing.T) {
	var signers []*draft.Signer
	for _, alg := range drafttest.Algorithms[:3] {
		signers = append(signers, drafttest.Signer(t, alg))
	}
	keys := keysOf(signers)
	env := withoutKeyIDs(envelopeBy(t, responseOf(800), signers...))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if v, err := record.Open(env, knownKeys(keys...)); err != nil || len(v.Signatures()) != 3 {
					t.Errorf("%v", err)
				}
			}
		})
	}
	wg.Wait()
}

func TestOpenFindsTheKeys(t *testing.T) {
	var signers []*draft.Signer
	for _, alg := range drafttest.Algorithms {
		signers = append(signers, drafttest.Signer(t, alg), drafttest.Signer(t, alg))
	}
	keys := keysOf(signers)
	stranger := drafttest.Signer(t, record.AlgEd25519)
	env := envelopeBy(t, responseOf(800), signers[0], signers[3], stranger, signers[9])
	wrong := withoutKeyIDs(env)
	wrong.Signatures[0].KeyID = signers[1].Key().ID()
	wrong.Signatures[1].KeyID = "SHA256:of nobody"

	same := withoutKeyIDs(env)
	for i := range same.Signatures {
		same.Signatures[i].KeyID = keys[0].ID()
	}

	for name, e := range map[string]record.Envelope{"key IDs": env, "no key IDs": withoutKeyIDs(env), "wrong key IDs": wrong, "one key ID for all": same} {
		t.Run(name, func(t *testing.T) {
			v, err := record.Open(e, knownKeys(append(keys, keys[0], nil, keys[3])...))
			if err != nil {
				t.Fatal(err)
			}
			if v.ID() != record.IDOf(e.Payload) || !bytes.Equal(v.Payload(), e.Payload) || v.Statement().Issuer != "acme-cloud" || v.Ignored() != 1 {
				t.Errorf("opened %s, ignored %d", v.ID(), v.Ignored())
			}
			want := []string{keys[0].ID(), keys[3].ID(), keys[9].ID()}
			slices.Sort(want)
			var got []string
			for _, s := range v.Signatures() {
				got = append(got, s.Key.ID())
			}
			if !slices.Equal(got, want) {
				t.Errorf("signed by %v, want %v", got, want)
			}
		})
	}
}

func TestOpenKeepsOneSignaturePerKey(t *testing.T) {
	s := drafttest.Signer(t, record.AlgECDSAP256) // signs another way each time
	env := envelopeBy(t, responseOf(400), s, s, s)
	if len(env.Signatures) != 3 {
		t.Fatalf("%d signatures", len(env.Signatures))
	}
	env.Signatures = append(env.Signatures, env.Signatures[0])
	for _, e := range []record.Envelope{env, withoutKeyIDs(env)} {
		v, err := record.Open(e, knownKeys(s.Key()))
		if err != nil || len(v.Signatures()) != 1 || v.Ignored() != 3 || !bytes.Equal(v.Signatures()[0].Sig, env.Signatures[0].Sig) {
			t.Errorf("%d signatures, %d ignored, %v", len(v.Signatures()), v.Ignored(), err)
		}
	}
}

func TestOpenTriesTheKeysThatTheRecordLists(t *testing.T) {
	one, two, registrar := drafttest.Signer(t, record.AlgEd25519), drafttest.Signer(t, record.AlgECDSAP256), drafttest.Signer(t, record.AlgEd25519)
	env := envelopeBy(t, enrolmentOf(t, one.Key(), two.Key()), two, registrar, one)
	v, err := record.Open(withoutKeyIDs(env), knownKeys(registrar.Key()))
	if err != nil || len(v.Signatures()) != 3 {
		t.Fatalf("%d signatures, %v", len(v.Signatures()), err)
	}
	if v, err = record.Open(env, nil); err != nil || len(v.Signatures()) != 2 || v.Ignored() != 1 {
		t.Errorf("without candidates: %d signatures, %d ignored, %v", len(v.Signatures()), v.Ignored(), err)
	}
}

func TestOpenLimitsVerifications(t *testing.T) {
	own := drafttest.Signer(t, record.AlgEd25519)
	env := envelopeBy(t, responseOf(400), own)
	var others []*record.Key
	for range record.MaxVerifications {
		others = append(others, drafttest.Signer(t, record.AlgEd25519).Key())
	}
	// A P-384 key verifies over SHA-256 and over SHA-384: each costs two of the tries.
	own384 := drafttest.Signer(t, record.AlgECDSAP384)
	env384 := envelopeBy(t, responseOf(400), own384)
	var others384 []*record.Key
	for range record.MaxVerifications / 2 {
		others384 = append(others384, drafttest.Signer(t, record.AlgECDSAP384).Key())
	}
	// Whoever else signed names a key of which nothing is known: those signatures are no
	// reason to refuse one whose key is.
	strangers := envelopeBy(t, responseOf(400), drafttest.Signer(t, record.AlgEd25519), drafttest.Signer(t, record.AlgEd25519), own)
	for name, c := range map[string]struct {
		env  record.Envelope
		keys []*record.Key
		ok   bool
	}{
		"last of 16 P-384":           {withoutKeyIDs(env384), append(slices.Clone(others384[1:]), own384.Key()), true},
		"last of 17 P-384":           {withoutKeyIDs(env384), append(slices.Clone(others384), own384.Key()), false},
		"last of 17 P-384, hinted":   {env384, append(slices.Clone(others384), own384.Key()), true},
		"last of 32":                 {withoutKeyIDs(env), append(slices.Clone(others[1:]), own.Key()), true},
		"last of 33":                 {withoutKeyIDs(env), append(slices.Clone(others), own.Key()), false},
		"last of 33, hinted":         {env, append(slices.Clone(others), own.Key()), true},
		"hinted, beside strangers":   {strangers, append(slices.Clone(others[1:]), own.Key()), true},
		"last of 65 of another sort": {withoutKeyIDs(env), append(slices.Repeat([]*record.Key{drafttest.Signer(t, record.AlgECDSAP256).Key()}, 64), own.Key()), true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := record.Open(c.env, knownKeys(c.keys...))
			switch {
			case c.ok && err != nil:
				t.Error(err)
			case !c.ok:
				record.CheckRefusal(t, err, "forbidden")
			}
		})
	}

	t.Run("keys of other drafttest.Algorithms are free", func(t *testing.T) {
		keys := []*record.Key{own.Key()}
		for range 20 {
			keys = append(keys, drafttest.Signer(t, record.AlgECDSAP256).Key(), drafttest.Signer(t, record.AlgECDSAP384).Key())
		}
		slices.Reverse(keys)
		if _, err := record.Open(withoutKeyIDs(env), knownKeys(keys...)); err != nil {
			t.Error(err)
		}
	})
}

func TestOpenEntry(t *testing.T) {
	var signers []*draft.Signer
	for _, alg := range drafttest.Algorithms {
		signers = append(signers, drafttest.Signer(t, alg))
	}
	directory := func(keys ...*record.Key) func(string) *record.Key {
		return func(id string) *record.Key {
			for _, k := range keys {
				if k.ID() == id {
					return k
				}
			}
			return nil
		}
	}
	keys := keysOf(signers)
	v, err := record.Open(envelopeBy(t, responseOf(800), signers...), knownKeys(keys...))
	if err != nil {
		t.Fatal(err)
	}
	entry, err := v.Entry(noon, anyKey)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := record.ParseEntry(entry.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	again, err := record.OpenEntry(parsed, directory(keys...))
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != v.ID() || again.Ignored() != 0 || !slices.EqualFunc(again.Signatures(), v.Signatures(), func(a, b record.VerifiedSignature) bool {
		return a.Key.Equal(b.Key) && bytes.Equal(a.Sig, b.Sig)
	}) {
		t.Errorf("reopened %v, want %v", again, v)
	}

	t.Run("a key that the record lists", func(t *testing.T) {
		v, err := record.Open(envelopeBy(t, enrolmentOf(t, keys[0], keys[1]), signers[0], signers[1]), nil)
		if err != nil {
			t.Fatal(err)
		}
		e, err := v.Entry(noon, anyKey)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := record.OpenEntry(e, directory()); err != nil {
			t.Error(err)
		}
	})

	// A caller that takes one key for another does not make the one's signature the other's.
	t.Run("another key than was asked for", func(t *testing.T) {
		named, signed := drafttest.Signer(t, record.AlgEd25519).Key(), drafttest.Signer(t, record.AlgEd25519)
		v, err := record.Open(envelopeBy(t, responseOf(800), signed), knownKeys(signed.Key()))
		if err != nil {
			t.Fatal(err)
		}
		e, err := v.Entry(noon, anyKey)
		if err != nil {
			t.Fatal(err)
		}
		e.Envelope.Signatures[0].KeyID = named.ID()
		_, err = record.OpenEntry(e, func(string) *record.Key { return signed.Key() })
		record.CheckRefusal(t, err, "error", named.ID(), "SHA256:named")
	})

	change := func(f func(e *record.Entry)) record.Entry {
		e := parsed
		e.Envelope.Signatures = slices.Clone(parsed.Envelope.Signatures)
		f(&e)
		return e
	}
	for name, c := range map[string]struct {
		entry record.Entry
		keys  []*record.Key
	}{
		"a key not known": {parsed, keys[1:]},
		"one signature spoilt": {change(func(e *record.Entry) {
			e.Envelope.Signatures[2].Sig = bytes.Clone(e.Envelope.Signatures[2].Sig)
			e.Envelope.Signatures[2].Sig[20] ^= 1
		}), keys},
		"two signatures swapped": {change(func(e *record.Entry) {
			s := e.Envelope.Signatures
			s[0].Sig, s[1].Sig = s[1].Sig, s[0].Sig
		}), keys},
		"order":             {change(func(e *record.Entry) { slices.Reverse(e.Envelope.Signatures) }), keys},
		"no signature":      {change(func(e *record.Entry) { e.Envelope.Signatures = nil }), keys},
		"another type":      {change(func(e *record.Entry) { e.Envelope.PayloadType = "" }), keys},
		"another payload":   {change(func(e *record.Entry) { e.Envelope.Payload = responseOf(801) }), keys},
		"payload no record": {change(func(e *record.Entry) { e.Envelope.Payload = []byte("{}") }), keys},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := record.OpenEntry(c.entry, directory(c.keys...)); err == nil {
				t.Error("reopened")
			}
		})
	}
	t.Run("a directory that answers with another key", func(t *testing.T) {
		if _, err := record.OpenEntry(parsed, func(string) *record.Key { return keys[0] }); err == nil {
			t.Error("reopened")
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	for _, alg := range drafttest.Algorithms {
		b.Run(string(alg), func(b *testing.B) {
			s := drafttest.Signer(b, alg)
			env := envelopeBy(b, responseOf(800), s)
			keys := knownKeys(s.Key())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := record.Open(env, keys); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	// What the same record costs at the least.
	b.Run("raw ed25519.Verify", func(b *testing.B) {
		private := drafttest.PrivateKey(b, record.AlgEd25519).(ed25519.PrivateKey)
		message := record.PAE(responseOf(800))
		sig := ed25519.Sign(private, message)
		public := private.Public().(ed25519.PublicKey)
		for b.Loop() {
			if !ed25519.Verify(public, message, sig) {
				b.Fatal("does not verify")
			}
		}
	})
}

func BenchmarkOpenEntry(b *testing.B) {
	s := drafttest.Signer(b, record.AlgEd25519)
	v, err := record.Open(envelopeBy(b, responseOf(800), s), knownKeys(s.Key()))
	if err != nil {
		b.Fatal(err)
	}
	e, err := v.Entry(noon, anyKey)
	if err != nil {
		b.Fatal(err)
	}
	line := e.Marshal()
	for b.Loop() {
		e, err := record.ParseEntry(line)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := record.OpenEntry(e, func(string) *record.Key { return s.Key() }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseEnvelope(b *testing.B) {
	text := envelopeBy(b, responseOf(800), drafttest.Signer(b, record.AlgEd25519)).Marshal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.ParseEnvelope(text); err != nil {
			b.Fatal(err)
		}
	}
}
