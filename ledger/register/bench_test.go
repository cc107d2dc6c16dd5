package register_test

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// BenchmarkResponses folds responses whose signatures were verified beforehand,
// in batches of 1,024, Advance included: each answers on a thread of its own.
func BenchmarkResponses(b *testing.B) {
	const providers, batch, pool = 16, 1024, 32 << 10
	w := registertest.New(start, "docket.example/test", "any")
	o := registertest.SmallOptions()
	o.CacheBytes, o.MemTableBytes, o.CachedThreads = 0, 0, 0
	r, err := register.Open(vfs.NewMem(), "register", o)
	if err != nil {
		b.Fatal(err)
	}
	book := &registertest.Fixture{World: w, Register: r}
	book.Must(w.Charter())
	book.Must(w.Authority())
	for i := range providers {
		book.Must(w.Provider(fmt.Sprintf("provider-%d", i)))
	}
	for i := range pool / providers {
		name := fmt.Sprintf("2026-%05d", i)
		book.Must(w.Designate(name, w.NewDesignation("Kestrel "+name)))
	}
	verified := make([]record.Verified, 0, pool)
	for i := range pool {
		env := w.Respond(fmt.Sprintf("2026-%05d", i/providers), fmt.Sprintf("provider-%d", i%providers),
			&record.Response{Status: "acknowledged", Conditions: []string{"c1"}})
		v, err := record.Open(env, r.CandidateKeys)
		if err != nil {
			b.Fatal(err)
		}
		verified = append(verified, v)
	}
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for b.Loop() {
		if n == pool { // begin again on a copy of nothing: delete what was answered
			b.StopTimer()
			b.Fatal("pool exhausted: raise it, or lower -benchtime")
		}
		d := r.Begin(w.Now)
		for range batch {
			if _, err := d.Judge(verified[n]); err != nil {
				b.Fatal(err)
			}
			n++
		}
		if err := r.Advance(d, [32]byte{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/1000, "µs/record")
}
