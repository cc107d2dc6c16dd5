package client

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// BenchmarkPublication is what a publication of 100 entries costs a live copy from its announcement on: while it
// takes less than the writer's interval, the copy is no more than one publication behind.
func BenchmarkPublication(b *testing.B) {
	w := newWorld(b, "acme-cloud")
	trust := w.trust(vfs.Default, b.TempDir())
	must(b, trust.Sync(b.Context(), w.client(), nil))
	l, err := trust.OpenLive(b.Context())
	must(b, err)
	defer l.Close()
	n := 0
	for b.Loop() {
		b.StopTimer()
		var batch []record.Envelope
		for range 100 {
			id := fmt.Sprintf("%07d", n)
			n++
			batch = append(batch, w.ImportListed(id, w.NewListedDesignation(id, "Entity "+id)))
		}
		w.admit(batch...)
		b.StartTimer()
		must(b, l.Sync(b.Context(), w.client()))
	}
}
