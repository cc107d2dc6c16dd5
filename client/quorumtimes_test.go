package client

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// Whatever is taken in, in whatever order and parts, the answer for every moment is
// that of the definition: the largest checkpoint that is stamped no later.
func TestQuorumTimes(t *testing.T) {
	const seeds = 500
	for seed := range uint64(seeds) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var all []checkpointTimes
		var q quorumTimes
		for range rng.IntN(5) {
			var part []checkpointTimes
			for range rng.IntN(6) {
				part = append(part, checkpointTimes{size: 1 + rng.Uint64N(12), existedBy: noon.Add(time.Duration(rng.IntN(12)) * time.Second)})
			}
			all, q = append(all, part...), q.merged(part...)
		}
		q = q.merged(checkpointTimes{size: 99}) // of quorum none
		for s := -2; s < 14; s++ {
			at := noon.Add(time.Duration(s) * time.Second)
			var want checkpointTimes
			for _, c := range all {
				if !c.existedBy.After(at) && c.size > want.size {
					want = c
				}
			}
			got := q.newestBy(at)
			if want.size == 0 {
				if !got.existedBy.IsZero() || len(q) > 0 && got.size != q[0].size {
					t.Errorf("seed %d, second %d: %v before the first of %v", seed, s, got, q)
				}
			} else if got.size != want.size || got.existedBy.After(at) {
				t.Errorf("seed %d, second %d: got %v, want size %d", seed, s, got, want.size)
			}
		}
		for i, c := range q { // the earliest time of each size
			for _, o := range all {
				if o.size >= c.size && o.existedBy.Before(c.existedBy) || i > 0 && (q[i-1].size >= c.size || !q[i-1].existedBy.Before(c.existedBy)) {
					t.Errorf("seed %d: %v stands in %v beside %v", seed, c, q, o)
				}
			}
		}
		again, err := parseQuorumTimes(q.format())
		must(t, err)
		if !slices.Equal(again, q) {
			t.Errorf("seed %d: %v read back is %v", seed, q, again)
		}
	}
}

func FuzzQuorumTimes(f *testing.F) {
	f.Add(quorumTimes{}.format())
	f.Add(quorumTimes{{size: 3, existedBy: noon}, {size: 9, existedBy: noon.Add(time.Second)}, {size: 1 << 40, existedBy: noon.AddDate(50, 0, 0)}}.format())
	for _, text := range []string{
		"", timesHeader, "docket-quorum-times/v2\n",
		timesHeader + "\n9 2026-11-23T12:00:00Z", timesHeader + "\n\n", timesHeader + "\n09 2026-11-23T12:00:00Z\n",
		timesHeader + "\n9 2026-11-23T12:00:00.000Z\n", timesHeader + "\n9 2026-11-23T13:00:00+01:00\n", timesHeader + "\n0 2026-11-23T12:00:00Z\n",
		timesHeader + "\n9 0001-01-01T00:00:00Z\n", timesHeader + "\n9 2026-11-23T12:00:00Z\n8 2026-11-23T12:00:01Z\n",
		timesHeader + "\n9 2026-11-23T12:00:00Z\n10 2026-11-23T12:00:00Z\n", timesHeader + "\n9  2026-11-23T12:00:00Z\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		q, err := parseQuorumTimes(text)
		if err == nil && !bytes.Equal(q.format(), text) {
			t.Errorf("%q is read, and written as %q", text, q.format())
		}
		if err == nil && !slices.Equal(q, q.merged()) {
			t.Errorf("%q does not rise", text)
		}
	})
}
