package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Index holds the designations of one checkpoint, ready to be searched. It is not changed
// once built, and safe for use by many goroutines.
type Index struct {
	subjects []Subject
	blocks   map[string][]int32 // subjects by blocking key, ascending
	bearers  map[string]int     // by token: how many subjects bear it
}

// NewIndex indexes subjects. Their order does not matter; threads are distinct.
func NewIndex(subjects []Subject) *Index {
	x := &Index{subjects: slices.Clone(subjects), blocks: make(map[string][]int32), bearers: make(map[string]int)}
	slices.SortFunc(x.subjects, func(a, b Subject) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), strings.Compare(a.Thread, b.Thread))
	})
	for i, s := range x.subjects {
		for _, n := range s.Names {
			for _, k := range BlockingKeys(n.Text) {
				if list := x.blocks[k]; len(list) == 0 || list[len(list)-1] != int32(i) {
					x.blocks[k] = append(list, int32(i))
				}
			}
		}
	}
	return x
}

// Len is the number of subjects.
func (x *Index) Len() int { return len(x.subjects) }

// Screen lists the subjects that a query may mean, those with the highest score first,
// down to the threshold. Equal identifiers are hits at every threshold up to [Threshold].
func (x *Index) Screen(q Query, threshold Score) []Hit {
	var hits []Hit
	for i := range x.subjects {
		if h := x.Compare(q, &x.subjects[i]); h.Score >= threshold {
			hits = append(hits, h)
		}
	}
	slices.SortStableFunc(hits, func(a, b Hit) int { return cmp.Compare(b.Points, a.Points) })
	return hits
}

// Compare scores one pair, whatever its score, with this index's counts of tokens.
func (x *Index) Compare(q Query, s *Subject) Hit { return Compare(q, s) }

// Compare scores one pair without an index: how rare a word is comes from a built-in prior.
func Compare(q Query, s *Subject) Hit {
	best := Hit{Subject: s, How: Similar, Points: -halfway}
	for i, n := range s.Names {
		a, b := Tokens(q.Name), Tokens(n.Text)
		shared := 0
		for _, t := range a {
			if slices.Contains(b, t) {
				shared++
			}
		}
		if len(a)+len(b) == 0 {
			continue
		}
		points := 2000*shared/(len(a)+len(b)) - 700
		if i == 0 || points > best.Points {
			best.Points, best.Name = points, n
			best.Features = []Feature{{"words", fmt.Sprintf("%d of %d and %d", shared, len(a), len(b)), points}}
			if best.How = Similar; slices.Equal(a, b) {
				best.How = map[Use]How{Current: Exact, Alias: ByAlias, Weak: ByAlias, Former: ByFormer}[n.Use]
			}
		}
	}
	if q.LEI != "" && q.LEI == s.LEI {
		best.Features = []Feature{{"LEI", q.LEI, 1500}}
		best.Points, best.How = 1500, ByIdentifier
	}
	best.Score = ScoreOf(best.Points)
	best.OFAC = best.Score
	return best
}
