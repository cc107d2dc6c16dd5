package record_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
)

func TestOpenFindsTheKeys(t *testing.T) {
	var signers []*record.Signer
	for _, alg := range algorithms {
		signers = append(signers, signerOf(t, alg), signerOf(t, alg))
	}
	keys := keysOf(signers)
	stranger := signerOf(t, record.AlgEd25519)
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
	s := signerOf(t, record.AlgECDSAP256) // signs another way each time
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
	one, two, registrar := signerOf(t, record.AlgEd25519), signerOf(t, record.AlgECDSAP256), signerOf(t, record.AlgEd25519)
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
	own := signerOf(t, record.AlgEd25519)
	env := envelopeBy(t, responseOf(400), own)
	var others []*record.Key
	for range record.MaxVerifications {
		others = append(others, signerOf(t, record.AlgEd25519).Key())
	}
	for name, c := range map[string]struct {
		env  record.Envelope
		keys []*record.Key
		ok   bool
	}{
		"last of 32":                 {withoutKeyIDs(env), append(slices.Clone(others[1:]), own.Key()), true},
		"last of 33":                 {withoutKeyIDs(env), append(slices.Clone(others), own.Key()), false},
		"last of 33, hinted":         {env, append(slices.Clone(others), own.Key()), true},
		"last of 65 of another sort": {withoutKeyIDs(env), append(slices.Repeat([]*record.Key{signerOf(t, record.AlgECDSAP256).Key()}, 64), own.Key()), true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := record.Open(c.env, knownKeys(c.keys...))
			var r *record.Refusal
			switch {
			case c.ok && err != nil:
				t.Error(err)
			case !c.ok && (!errors.As(err, &r) || r.Class != record.Forbidden || !strings.Contains(r.Detail, "set keyid")):
				t.Errorf("got %v, want the words too many keys", err)
			}
		})
	}

	t.Run("keys of other algorithms are free", func(t *testing.T) {
		keys := []*record.Key{own.Key()}
		for range 20 {
			keys = append(keys, signerOf(t, record.AlgECDSAP256).Key(), signerOf(t, record.AlgECDSAP384).Key())
		}
		slices.Reverse(keys)
		if _, err := record.Open(withoutKeyIDs(env), knownKeys(keys...)); err != nil {
			t.Error(err)
		}
	})
}
