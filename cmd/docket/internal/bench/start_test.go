package bench

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger/record"
)

var imported = flag.Bool("imported", false, "the records of BenchmarkStart are imported designations, which have five times the rows of responses")

// BenchmarkStart prints how long a new replica takes to its first answer, with a snapshot and by a replay, as docket bench
// store does:
//
//	go test ./cmd/docket/internal/bench -run - -bench Start -benchtime 1x -timeout 1h -records 1000000 -ledger /var/tmp/start
func BenchmarkStart(b *testing.B) {
	onKeptLedger(b, func(r *run) error {
		if !*imported {
			return r.records(b.Context())
		}
		w, err := r.newBenchLedger(b.Context(), "records", providers, node.Config{})
		if err != nil {
			return err
		}
		r.recordsLedger = w
		made := 0
		_, err = w.fill(b.Context(), r.Records, func(n int) []record.Envelope {
			from := made
			made += n
			return onEachCore(n, func(i int) record.Envelope {
				id := fmt.Sprintf("%07d", from+i)
				return w.ImportListed(id, w.NewListedDesignation(id, "Entity "+id))
			})
		})
		return err
	}, func(r *run) error {
		for _, old := range []string{"snapshots", "start-0", "start-1"} { // of another time
			if err := os.RemoveAll(filepath.Join(r.dir, old)); err != nil {
				return err
			}
		}
		return r.replicaStart(b.Context())
	})
}
