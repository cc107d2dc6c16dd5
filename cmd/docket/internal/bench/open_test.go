package bench

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/register"
)

var openRecords = flag.Int("records", 5_000, "how many responses stand on the ledger that BenchmarkOpen opens")

// BenchmarkOpen opens a ledger, and its register alone, whose cursor is at its head, so that
// nothing is replayed. Either is to take less than a second at a million records:
//
//	go test ./cmd/docket/internal/bench -run - -bench Open -benchtime 5x -timeout 1h -records 1000000
//
// The ledger is made first, in $TMPDIR, and takes some 3 GB there for a million.
func BenchmarkOpen(b *testing.B) {
	ctx := b.Context()
	r := &run{dir: b.TempDir(), Options: Options{Records: *openRecords, Fatal: func(reason string) { panic(reason) }, Report: func(Row) {}}}
	if _, err := r.filledLedger(ctx); err != nil {
		b.Fatal(err)
	}
	w := r.recordsLedger
	size := w.node.Register.Size()
	b.Logf("%d entries", size)
	b.Run("ledger", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			if err := w.node.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if err := w.reopen(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := w.node.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("register", func(b *testing.B) {
		for b.Loop() {
			o := client.RegisterOptions()
			o.Health = disk.NewHealth(disk.Config{Fatal: r.Fatal})
			reg, err := register.Open(vfs.Default, filepath.Join(r.dir, "records", "register", "1"), o)
			if err != nil {
				b.Fatal(err)
			}
			if reg.Size() != size {
				b.Fatalf("it knows %d entries of %d", reg.Size(), size)
			}
			b.StopTimer()
			if err := reg.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}
