package register_test

import (
	"fmt"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// Lists as long as OFAC's: the cost of one designation in a list of all, and of
// looking whether it makes anybody owe something.
func BenchmarkViewLists(b *testing.B) {
	const n = 4000
	book := registertest.NewFixture(start, "acme-cloud", "borealis-compute")
	for i := range n {
		id := fmt.Sprint(i)
		book.Must(book.ImportListed(id, book.NewListedDesignation(id, "Entity "+id)))
	}
	v, err := book.Register.LatestView()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("designations", func(b *testing.B) {
		for b.Loop() {
			seen := 0
			v.Designations(register.DesignationFilter{Status: register.StatusInForce}, book.Now, func(register.Designation) bool { seen++; return true })
			if seen != n {
				b.Fatal(seen)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/designation")
	})
	b.Run("duties", func(b *testing.B) {
		for b.Loop() {
			if err := v.Duties(register.DutyFilter{}, book.Now, func(register.Duty) bool { return true }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/designation")
	})
}
