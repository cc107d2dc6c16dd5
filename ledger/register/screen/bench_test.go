package screen

import (
	"runtime"
	"sync"
	"testing"
)

// BenchmarkScreen screens 100,000 customers against OFAC's list of 2021 with all its names, on as
// many cores as there are.
func BenchmarkScreen(b *testing.B) {
	subjects := ofacSubjects(b)
	x := NewIndex(subjects)
	queries := customers(b, subjects, 100_000, 1)
	for b.Loop() {
		var wait sync.WaitGroup
		hits := make([]int, runtime.GOMAXPROCS(0))
		for w := range hits {
			wait.Go(func() {
				for i := w; i < len(queries); i += len(hits) {
					hits[w] += len(x.Screen(queries[i], Threshold))
				}
			})
		}
		wait.Wait()
		n := 0
		for _, h := range hits {
			n += h
		}
		b.ReportMetric(float64(n)/float64(len(queries)), "hits/row")
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(queries)), "µs/row")
}

func BenchmarkNewIndex(b *testing.B) {
	subjects := ofacSubjects(b)
	for b.Loop() {
		NewIndex(subjects)
	}
}
