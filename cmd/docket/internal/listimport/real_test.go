package listimport_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/ofac"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// shared is where the public data lie beside the checkout; they are read there
// and never copied.
const shared = "../../../../../shared/data"

// readYear reads one edition of OFAC's SDN list.
func readYear(t testing.TB, year string) *listimport.List {
	t.Helper()
	return read(t, "ofac-"+year, "sdn.csv", "add.csv", "alt.csv")
}

func read(t testing.TB, dir string, names ...string) *listimport.List {
	t.Helper()
	if _, err := os.Stat(shared); os.IsNotExist(err) {
		t.Skipf("no public data in %s: the real lists are not imported", shared)
	}
	var files [3]listimport.Input
	for i, name := range names {
		f, err := os.Open(filepath.Join(shared, dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = listimport.Input{Name: name, Reader: f}
	}
	l, err := ofac.Read(ofac.ListOf(names[0]), files[0], files[1], files[2])
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The 2019 list, then the change to 2021: refused first, then allowed; then the
// register says exactly what the 2021 list says, and importing it again says
// nothing. Of 843 entities whose rows differ (836 of them in the primary file)
// 354 differ in what a record carries; 487 differ in their remarks alone, one in a
// vessel's type, one in a row's number.
func TestRealChange(t *testing.T) {
	before, after := readYear(t, "2019"), readYear(t, "2021")
	for _, c := range []struct {
		individuals                                      bool
		first, designations, amendments, removed, living int
		refusal                                          listimport.RemovalError
	}{
		{true, 7379, 1858, 354, 261, 8976, listimport.RemovalError{List: "ofac-sdn", Removed: 261, InForce: 7379, MaxPercent: 2}},
		{false, 3534, 1006, 295, 184, 4356, listimport.RemovalError{List: "ofac-sdn", Removed: 184, InForce: 3534, MaxPercent: 2}},
	} {
		t.Run(fmt.Sprintf("individuals=%v", c.individuals), func(t *testing.T) {
			o := listimport.Options{Individuals: c.individuals, MaxRemovedPercent: 2, Today: today}
			b := testRegister{}
			first := plan(t, before, b, o)
			if first.Designations != c.first || len(first.Items) != c.first {
				t.Errorf("first import: %d designations of %d items", first.Designations, len(first.Items))
			}
			b.apply(t, first.Items...)
			b.wantEqual(t, before, c.individuals)
			if p := plan(t, before, b, o); len(p.Items) != 0 {
				t.Errorf("the same again: %d items", len(p.Items))
			}

			_, err := listimport.Diff(after, b.all(), o)
			if removal := new(listimport.RemovalError); !errors.As(err, &removal) || *removal != c.refusal {
				t.Fatalf("got  %v\nwant %v", err, &c.refusal)
			}
			o.AllowRemoved = c.removed - 1
			if _, err := listimport.Diff(after, b.all(), o); err == nil {
				t.Error("one less than needed was enough")
			}
			o.AllowRemoved = c.removed
			change := plan(t, after, b, o)
			if change.Designations != c.designations || change.Amendments != c.amendments || change.Revocations != c.removed {
				t.Errorf("change: %d designations, %d amendments, %d revocations", change.Designations, change.Amendments, change.Revocations)
			}
			resume(t, after, b, o, change)
			b.apply(t, change.Items...)
			b.wantEqual(t, after, c.individuals)
			if b.inForceCount() != c.living {
				t.Errorf("%d in force, want %d", b.inForceCount(), c.living)
			}
			o.AllowRemoved = 0
			if p := plan(t, after, b, o); len(p.Items) != 0 {
				t.Errorf("the same again: %d items", len(p.Items))
			}
		})
	}
}

// resume interrupts the import of p at random places: what was planned anew is
// what was left, item by item.
func resume(t *testing.T, l *listimport.List, b testRegister, o listimport.Options, p *listimport.Plan) {
	seed := uint64(20210707)
	rnd := rand.New(rand.NewPCG(seed, 0))
	cuts := []int{1, p.Designations, p.Designations + p.Amendments, len(p.Items)}
	for range 3 {
		cuts = append(cuts, rnd.IntN(len(p.Items)))
	}
	for _, cut := range cuts {
		half := maps.Clone(b)
		half.apply(t, p.Items[:cut]...)
		rest := plan(t, l, half, o)
		if len(rest.Items) != len(p.Items)-cut || len(rest.Items) > 0 && !reflect.DeepEqual(rest.Items, p.Items[cut:]) {
			t.Errorf("after %d of %d: %d items, not the ones that were left (seed %d)", cut, len(p.Items), len(rest.Items), seed)
		}
	}
	// Pipelined records can be admitted out of order: any subset will do.
	half, left := maps.Clone(b), 0
	for _, i := range p.Items {
		if rnd.IntN(2) == 0 {
			half.apply(t, i)
		} else {
			left++
		}
	}
	rest := plan(t, l, half, o)
	if len(rest.Items) != left {
		t.Errorf("after a random half: %d items, want %d (seed %d)", len(rest.Items), left, seed)
	}
	half.apply(t, rest.Items...)
	half.wantEqual(t, l, o.Individuals)
}

// Every record of the imports obeys its kind's rules and the register's tables,
// and fits into an entry.
func TestRealRecordsFit(t *testing.T) {
	published := record.Date{Year: 2021, Month: time.July, Day: 7}
	o := listimport.Options{Individuals: true, MaxRemovedPercent: 100, Published: &published, Today: today}
	at := time.Date(2026, 11, 23, 18, 19, 4, 123e6, time.UTC)
	largest, thread := 0, ""
	sdn, cons := testRegister{}, testRegister{}
	for _, step := range []struct {
		testRegister
		*listimport.List
	}{
		{sdn, readYear(t, "2019")},
		{sdn, readYear(t, "2021")},
		{cons, read(t, "ofac-nonsdn", "cons_prim.csv", "cons_add.csv", "cons_alt.csv")},
	} {
		p := plan(t, step.List, step.testRegister, o)
		for _, i := range p.Items {
			st := i.Statement(record.ID{1}, record.Authority, at)
			payload, err := record.EncodeStatement(st)
			if err != nil {
				t.Fatalf("%s: %v", i.Thread, err)
			}
			if faults := rules1.Check(st); len(faults) > 0 {
				t.Fatalf("%s: %v", i.Thread, faults)
			}
			if len(payload) > largest {
				largest, thread = len(payload), string(i.Thread)
			}
		}
		step.apply(t, p.Items...)
	}
	if limit := record.MaxPayload(record.AlgEd25519); largest > limit {
		t.Errorf("%s has %d bytes, the limit is %d", thread, largest, limit)
	}
	t.Logf("the largest record: %s, %d bytes", thread, largest)
}

func BenchmarkDiff(b *testing.B) {
	before, after := readYear(b, "2019"), readYear(b, "2021")
	o := listimport.Options{Individuals: true, MaxRemovedPercent: 100, Today: today}
	register := testRegister{}
	register.apply(b, plan(b, before, register, o).Items...)
	for b.Loop() {
		plan(b, after, register, o)
	}
}

// BenchmarkSearch searches the whole SDN list of 2021, persons too: names as they are, a part
// of each, and each with a letter missing.
func BenchmarkSearch(b *testing.B) {
	f := registertest.NewFixture(time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC))
	p := plan(b, readYear(b, "2021"), testRegister{}, listimport.Options{Individuals: true, MaxRemovedPercent: 100, Today: today})
	d := f.Register.Begin(f.Now)
	var names []string
	for _, i := range p.Items {
		designation := i.Predicate.(*record.Designation)
		v, err := record.Open(f.ImportListed(designation.Source.ID, designation), f.Register.CandidateKeys)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.Judge(v); err != nil {
			b.Fatal(err)
		}
		names = append(names, designation.Target.Name)
	}
	if err := f.Register.Advance(d, [32]byte{}); err != nil {
		b.Fatal(err)
	}
	v, err := view.Latest(f.Register)
	if err != nil {
		b.Fatal(err)
	}
	for name, ask := range map[string]func(name []rune) string{
		"whole":    func(name []rune) string { return string(name) },
		"begins":   func(name []rune) string { return string(name[:(len(name)+1)/2]) },
		"misspelt": func(name []rune) string { return string(slices.Delete(slices.Clone(name), len(name)/3, len(name)/3+1)) },
	} {
		b.Run(name, func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 1))
			var took []time.Duration
			found, rows := 0, f.Register.RowsRead()
			for b.Loop() {
				q := names[rng.IntN(len(names))]
				begin := time.Now()
				got, err := v.Search(ask([]rune(q)), view.SearchFilter{Limit: 20}, f.Now)
				took = append(took, time.Since(begin))
				if err == nil && slices.ContainsFunc(got.Hits, func(h view.Hit) bool { return h.Name == q }) {
					found++
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
			b.ReportMetric(100*float64(found)/float64(len(took)), "%found")
			b.ReportMetric(float64(f.Register.RowsRead()-rows)/float64(len(took)), "rows")
		})
	}
}
