package screening_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/ofac"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
)

// BenchmarkList reads rows of a list, one an iteration.
func BenchmarkList(b *testing.B) {
	var text strings.Builder
	text.WriteString("id,name,country,lei,website\n")
	for i := range b.N {
		fmt.Fprintf(&text, "C-%d,\"Harbour Bakery %d, Ltd\",XB,,https://www.bakery%d.example/\n", i, i, i)
	}
	b.ResetTimer()
	rows, err := readList(text.String(), nil)
	if err != nil || len(rows) != b.N {
		b.Fatal(len(rows), err)
	}
}

// shared is where the public data lie beside the checkout; they are read there and never
// copied.
const shared = "../../../../../shared/data"

// BenchmarkReport makes whole reports on 100,000 customers, half of them names of the SDN
// list of 2021 in which a letter is missing, against all of that list.
func BenchmarkReport(b *testing.B) {
	if _, err := os.Stat(shared); os.IsNotExist(err) {
		b.Skipf("no public data in %s: no real list is screened", shared)
	}
	w := newWorld(b)
	var files [3]listimport.Input
	for i, name := range []string{"sdn.csv", "add.csv", "alt.csv"} {
		f, err := os.Open(filepath.Join(shared, "ofac-2021", name))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		files[i] = listimport.Input{Name: name, Reader: f}
	}
	list, err := ofac.Read(ofac.ListOf("sdn.csv"), files[0], files[1], files[2])
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(12, 0))
	var customers strings.Builder
	customers.WriteString("id,name,country\n")
	var names []string
	for _, e := range list.Entries {
		d := w.NewListedDesignation(e.ID, "")
		d.Target, d.Program = e.Target, e.Program
		w.Must(w.ImportListed(e.ID, d))
		names = append(names, e.Target.Name)
	}
	const rows = 100_000
	for i := range rows {
		name := []rune(names[random.IntN(len(names))])
		at := random.IntN(len(name))
		text := string(name[:at]) + string(name[at+1:])
		if i%2 == 0 {
			text = fmt.Sprintf("%s %s Trading", names[random.IntN(len(names))][:1], strings.Repeat(string(rune('a'+random.IntN(26))), 5))
		}
		fmt.Fprintf(&customers, "C-%d,\"%s\",\n", i, strings.ReplaceAll(text, `"`, ""))
	}
	for b.Loop() {
		began := time.Now()
		r, err := w.run(customers.String(), "")
		if err != nil {
			b.Fatal(err)
		}
		ready := time.Since(began)
		r.Workers = runtime.GOMAXPROCS(0)
		totals, err := r.Write(b.Context(), io.Discard, nil, func(screening.Line) error { return nil }, unmarked)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(ready.Seconds(), "s-to-index")
		b.ReportMetric(float64(totals.Hits)/rows, "hits/row")
	}
}
