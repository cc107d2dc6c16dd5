package bench

import (
	"slices"
	"testing"
	"time"
)

// How far a reader is behind, in publications and in time, by when each size was shown.
func TestLagBehind(t *testing.T) {
	at := func(ms int, size uint64) shownSize {
		return shownSize{time.UnixMilli(1e12).Add(time.Duration(ms) * time.Millisecond), size}
	}
	published := []shownSize{at(0, 10), at(1000, 20), at(2000, 30), at(3000, 40), at(4000, 50)}
	for name, c := range map[string]struct {
		shown    []shownSize
		p50, p99 float64 // publications
		took     []int   // ms
	}{
		"at once":                {[]shownSize{at(0, 10), at(1000, 20), at(2000, 30), at(3000, 40), at(4000, 50)}, 0, 0, []int{0, 0, 0, 0}},
		"a little later":         {[]shownSize{at(1, 10), at(1100, 20), at(2100, 30), at(3100, 40), at(4100, 50)}, 0, 1, []int{100, 100, 100, 100}},
		"almost one behind":      {[]shownSize{at(1, 10), at(1900, 20), at(2900, 30), at(3900, 40), at(4900, 50)}, 1, 1, []int{900, 900, 900, 900}},
		"more than one behind":   {[]shownSize{at(1, 10), at(2700, 20), at(3700, 30), at(4700, 40), at(5700, 50)}, 1, 2, []int{1700, 1700, 1700, 1700}},
		"two at a time":          {[]shownSize{at(2500, 30), at(4500, 50)}, 1, 2, []int{500, 500, 1500, 1500}},
		"all at the end":         {[]shownSize{at(1, 10), at(9000, 50)}, 4, 4, []int{5000, 6000, 7000, 8000}},
		"before it was seen out": {[]shownSize{at(0, 10), at(900, 20), at(1900, 30), at(2900, 40), at(3900, 50)}, 0, 0, []int{0, 0, 0, 0}},
	} {
		l := lagBehind(published, c.shown)
		var took []int
		for _, d := range l.took {
			took = append(took, int(d.Milliseconds()))
		}
		if p50, p99 := l.publications(0.5), l.publications(0.99); p50 != c.p50 || p99 != c.p99 || !slices.Equal(took, c.took) || l.interval != 1000 {
			t.Errorf("%s: p50 %v, p99 %v publications, after %v, of %v ms; want %v, %v, %v", name, p50, p99, took, l.interval, c.p50, c.p99, c.took)
		}
	}
}
