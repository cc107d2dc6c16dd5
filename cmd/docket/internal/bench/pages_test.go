package bench

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/ofac"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

var keptLedger = flag.String("ledger", "", "a directory in which the ledger of BenchmarkPages is made, and stays")

var listed = flag.String("list", "", "a directory with OFAC's sdn.csv, add.csv and alt.csv, of which BenchmarkPages makes the ledger instead")

// BenchmarkPages prints what each page costs on a ledger of -records responses, or of a whole published list:
//
//	go test ./cmd/docket/internal/bench -run - -bench Pages -benchtime 1x -timeout 1h -records 1000000 -ledger /var/tmp/pages
func BenchmarkPages(b *testing.B) {
	onKeptLedger(b, func(r *run) error {
		if *listed != "" {
			return r.fillFromList(b)
		}
		return r.fillWithResponses(b)
	}, func(r *run) error { return r.measurePages(b.Context(), r.recordsLedger) })
}

// onKeptLedger measures on a ledger that is filled first, unless it was kept from another time.
func onKeptLedger(b *testing.B, fill, measure func(*run) error) {
	r := &run{dir: *keptLedger, Options: Options{Records: *openRecords, Conns: 64, For: 5 * time.Second, Fatal: func(reason string) { panic(reason) }}}
	r.Report = func(row Row) {
		fmt.Printf("%-66s %10.2f %-12s first %8.2f   p99 %8.2f   cpu %8.2f   %6d bytes %6d rows   beside %10.2f %s\n",
			row.Name, row.Value, row.Unit, row.First, row.P99, row.CPU, row.Bytes, row.Rows, row.Limit, row.LimitName)
	}
	if r.dir == "" {
		r.dir = b.TempDir()
	}
	dir := filepath.Join(r.dir, "records")
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		if err := fill(r); err != nil {
			b.Fatal(err)
		}
	} else {
		keys, err := node.LoadKeys(dir)
		if err != nil {
			b.Fatal(err)
		}
		n, err := node.Open(b.Context(), node.Config{Dir: dir, Keys: keys, Fatal: r.Fatal, Ledger: ledger.Config{MaxBacklog: 1 << 40}})
		if err != nil {
			b.Fatal(err)
		}
		w := &benchLedger{World: registertest.New(time.Now(), benchOrigin, ""), node: n}
		if w.Ledger = n.Register.Ledger(); w.Ledger.IsZero() {
			b.Fatal("the ledger that was kept is empty")
		}
		r.recordsLedger = w
	}
	if err := measure(r); err != nil {
		b.Fatal(err)
	}
	if err := r.recordsLedger.node.Close(); err != nil {
		b.Fatal(err)
	}
}

func (r *run) fillWithResponses(b *testing.B) error {
	if err := r.records(b.Context()); err != nil {
		return err
	}
	return r.recordsLedger.appendOthers(b.Context(), max(r.Records/100, 20))
}

// fillFromList imports a published list, persons too, as the nightly import does.
func (r *run) fillFromList(b *testing.B) error {
	ctx := b.Context()
	var files [3]listimport.Input
	for i, name := range []string{"sdn.csv", "add.csv", "alt.csv"} {
		f, err := os.Open(filepath.Join(*listed, name))
		if err != nil {
			b.Skipf("no list: %v", err)
		}
		defer f.Close()
		files[i] = listimport.Input{Name: name, Reader: f}
	}
	list, err := ofac.Read(ofac.ListOf("sdn.csv"), files[0], files[1], files[2])
	if err != nil {
		return err
	}
	w, err := r.newBenchLedger(ctx, "records", providers*20, node.Config{})
	if err != nil {
		return err
	}
	p, err := listimport.Diff(list, func(func(listimport.Current, error) bool) {}, listimport.Options{Individuals: true, MaxRemovedPercent: 100, Today: w.Today()})
	if err != nil {
		return err
	}
	var envs []record.Envelope
	for _, i := range p.Items {
		d := i.Predicate.(*record.Designation)
		envs = append(envs, w.ImportListed(d.Source.ID, d))
	}
	envs = append(envs, w.responses(providers*20)...)
	if _, err := w.fill(ctx, len(envs), inTurn(envs)); err != nil {
		return err
	}
	b.Logf("%d designations", len(p.Items))
	r.recordsLedger = w
	return w.appendOthers(ctx, 100)
}
