package record_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
)

func TestOpenEntry(t *testing.T) {
	var signers []*record.Signer
	for _, alg := range algorithms {
		signers = append(signers, signerOf(t, alg))
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
