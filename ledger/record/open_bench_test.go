package record_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
)

func BenchmarkOpen(b *testing.B) {
	for _, alg := range algorithms {
		b.Run(string(alg), func(b *testing.B) {
			s := signerOf(b, alg)
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
		private := privateKey(b, record.AlgEd25519).(ed25519.PrivateKey)
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
	s := signerOf(b, record.AlgEd25519)
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
	text := envelopeBy(b, responseOf(800), signerOf(b, record.AlgEd25519)).Marshal()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := record.ParseEnvelope(text); err != nil {
			b.Fatal(err)
		}
	}
}
