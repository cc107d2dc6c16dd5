package pgstore_test

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/pgstore/pgstoretest"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// BenchmarkExtend compares the stores, on the same disk, by the entries of a commit.
func BenchmarkExtend(b *testing.B) {
	for _, size := range []int{1, 100, 1000} {
		for _, engine := range []string{"pebble", "postgres", "postgres with a standby"} {
			b.Run(fmt.Sprintf("%s/%d", engine, size), func(b *testing.B) {
				s := openBench(b, engine)
				if err := s.Take(b.Context()); err != nil {
					b.Fatal(err)
				}
				log := &storetest.ReferenceLog{}
				for b.Loop() {
					b.StopTimer()
					x := log.Grow(size)
					b.StartTimer()
					if err := s.Extend(b.Context(), x); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "entries/s")
			})
		}
	}
}

func openBench(b *testing.B, engine string) ledger.Store {
	b.Helper()
	if engine == "pebble" {
		s, err := pebblestore.Open(vfs.Default, b.TempDir(), pebblestore.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { s.Close() })
		return s
	}
	server := pgstoretest.StartOnDisk(b)
	if engine != "postgres" {
		server.Standby()
	}
	return openStore(b, server.URL())
}
