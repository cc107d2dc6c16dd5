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
type quorumTimes []checkpointTimes

// merged are the times with others. Those that are none, of quorum none, are left out.
func (q quorumTimes) merged(others ...checkpointTimes) quorumTimes {
	all := slices.Concat(q, others)
	slices.SortFunc(all, func(a, b checkpointTimes) int {
		return cmp.Or(a.existedBy.Compare(b.existedBy), cmp.Compare(b.size, a.size))
	})
	var rising quorumTimes
	for _, t := range all {
		if !t.existedBy.IsZero() && t.size > rising.last().size {
			rising = append(rising, checkpointTimes{size: t.size, existedBy: t.existedBy.UTC()})
		}
	}
	return rising
}

// last is the newest; the zero one if there is none.
func (q quorumTimes) last() checkpointTimes {
	if len(q) == 0 {
		return checkpointTimes{}
	}
	return q[len(q)-1]
}

// newestBy is the newest by an instant. Before the first, no time is proven, and no more than
// the first one's size can have been there.
func (q quorumTimes) newestBy(at time.Time) checkpointTimes {
	n := sort.Search(len(q), func(i int) bool { return q[i].existedBy.After(at) })
	switch {
	case n > 0:
		return q[n-1]
	case len(q) > 0:
		return checkpointTimes{size: q[0].size}
	}
	return checkpointTimes{size: math.MaxUint64}
}

// timesHeader is the first line of the file.
const timesHeader = "docket-quorum-times/v1"

// format writes a line for each: "9 2026-11-23T18:19:06Z".
func (q quorumTimes) format() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, timesHeader)
	for _, t := range q {
		fmt.Fprintln(&b, t.size, t.existedBy.Format(time.RFC3339))
	}
	return b.Bytes()
}

// parseQuorumTimes reads what format wrote, and nothing else.
func parseQuorumTimes(text []byte) (quorumTimes, error) {
	var q quorumTimes
	n := 0
	for line := range strings.Lines(string(text)) {
		if n++; n == 1 {
			continue
		}
		size, at, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var t checkpointTimes
		var bad error
		if t.size, bad = strconv.ParseUint(size, 10, 64); bad == nil {
			t.existedBy, bad = time.Parse(time.RFC3339, at)
		}
		if bad != nil {
			return nil, fmt.Errorf("line %d: %w", n, bad)
		}
		q = append(q, t)
	}
	if !bytes.Equal(q.merged().format(), text) {
		return nil, errors.New("it is not a list of quorum times as this binary writes it")
	}
	return q.merged(), nil
}
