package client

import (
	"flag"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
	"github.com/seed-53cf897a/docket/server"
)

var benchEntries = flag.Int("entries", 2000, "entries of the ledger that BenchmarkStart begins a copy of")

// BenchmarkStart is how long a new copy takes until it answers, in a directory of this machine's disk: with a
// snapshot, and by a replay of all (-entries 100000 -benchtime 1x). The server is in the same process, and
// shares its cores.
func BenchmarkStart(b *testing.B) {
	w := newWorld(b, "acme-cloud")
	var batch []record.Envelope
	for i := w.ledger.Head().Size; i < uint64(*benchEntries); i++ {
		id := fmt.Sprintf("%07d", i)
		if batch = append(batch, w.ImportListed(id, w.NewListedDesignation(id, "Entity "+id))); len(batch) == 5000 {
			w.admit(batch...)
			batch = nil
		}
	}
	w.admit(batch...)
	made, err := snapshot.OpenDir(vfs.Default, b.TempDir(), nodeSigner())
	must(b, err)
	s, err := server.New(server.Config{Ledger: w.ledger, Register: w.register, Snapshots: made})
	must(b, err)
	w.net.handler = s.Handler()
	w.makeSnapshot(vfs.Default, made, nil, nil)
	keys := SnapshotKeys{Own: []proof.Key{nodeSigner().Key()}}
	b.Run("snapshot", func(b *testing.B) {
		for b.Loop() {
			trust := w.startTrust(vfs.Default, b.TempDir(), keys)
			must(b, trust.StartFromSnapshot(b.Context(), w.client(), keys, nil))
			l, err := trust.OpenLive(b.Context())
			must(b, err)
			must(b, l.Sync(b.Context(), w.client()))
			b.ReportMetric(float64(made.Newest().Bytes())/1e6, "MB")
			b.StopTimer()
			must(b, l.Close())
			b.StartTimer()
		}
	})
	b.Run("replay", func(b *testing.B) {
		for b.Loop() {
			trust := w.startTrust(vfs.Default, b.TempDir(), keys)
			must(b, trust.Sync(b.Context(), w.client(), nil))
			l, err := trust.OpenLive(b.Context())
			must(b, err)
			b.StopTimer()
			must(b, l.Close())
			b.StartTimer()
		}
	})
}

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
