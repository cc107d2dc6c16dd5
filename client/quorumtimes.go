package client

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// quorumTimes says when a quorum had cosigned how much of a log: sizes and times,
// both rising. A checkpoint that another one of its size or more precedes says
// nothing beside it, and is left out.
type quorumTimes []timed

// with are the times with others. Those that are none, of quorum none, are left out.
func (q quorumTimes) with(others ...timed) quorumTimes {
	all := slices.Concat(q, others)
	slices.SortFunc(all, func(a, b timed) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(b.size, a.size)) })
	var rising quorumTimes
	for _, t := range all {
		if !t.at.IsZero() && t.size > rising.last().size {
			rising = append(rising, timed{size: t.size, at: t.at.UTC()})
		}
	}
	return rising
}

// last is the newest; the zero one if there is none.
func (q quorumTimes) last() timed {
	if len(q) == 0 {
		return timed{}
	}
	return q[len(q)-1]
}

// by is the newest by an instant. Before the first, no time is proven, and no more than
// the first one's size can have been there.
func (q quorumTimes) by(at time.Time) timed {
	n := sort.Search(len(q), func(i int) bool { return q[i].at.After(at) })
	switch {
	case n > 0:
		return q[n-1]
	case len(q) > 0:
		return timed{size: q[0].size}
	}
	return timed{size: math.MaxUint64}
}

// timesTitle is the first line of the file.
const timesTitle = "docket-quorum-times/v1"

// format writes a line for each: "9 2026-11-23T18:19:06Z".
func (q quorumTimes) format() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, timesTitle)
	for _, t := range q {
		fmt.Fprintln(&b, t.size, t.at.Format(time.RFC3339))
	}
	return b.Bytes()
}

// parseTimes reads what format wrote, and nothing else.
func parseTimes(text []byte) (quorumTimes, error) {
	var q quorumTimes
	n := 0
	for line := range strings.Lines(string(text)) {
		if n++; n == 1 {
			continue
		}
		size, at, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var t timed
		var bad error
		if t.size, bad = strconv.ParseUint(size, 10, 64); bad == nil {
			t.at, bad = time.Parse(time.RFC3339, at)
		}
		if bad != nil {
			return nil, fmt.Errorf("line %d: %w", n, bad)
		}
		q = append(q, t)
	}
	if !bytes.Equal(q.with().format(), text) {
		return nil, errors.New("it is not a list of quorum times as this binary writes it")
	}
	return q.with(), nil
}
