package screen

import (
	"cmp"
	"math/bits"
	"slices"
)

// pairKind says what two words, or two runs of words, are to each other.
type pairKind uint8

const (
	pairSame     pairKind = iota // equal, but for where words are parted
	pairNumber                   // one number, written otherwise
	pairNickname                 // forms of one given name
	pairInitials                 // an initial, or the first letters of several words
	pairSimilar                  // a few edits apart
	pairOther                    // what is left over on both sides
)

// A pair is tokens [a, aEnd) of one name against [b, bEnd) of the other.
type pair struct {
	a, aEnd, b, bEnd int8
	kind             pairKind
	edits            int32 // in hundredths
	ratio            int32 // edits in thousandths of the longer word
}

// likeness is how far two words may be apart and still be spellings of one, in thousandths of
// the longer one.
const likeness = 400

// scratch is what comparing two names needs, kept to be used again.
type scratch struct {
	a, b         *name
	pairs        []pair // candidates
	chosen       []pair
	usedA, usedB [maxTokens]bool
	features     []Feature
	rests        [2]rest
	memo         []memo // by word of the query, then by word of the index
	known        int    // words of the index, and 1
	query        uint32 // that the memo is for
	explain      bool   // write the features' details, and keep those without points
}

// align pairs the words of two names, the most alike first.
func (s *scratch) align() {
	a, b := s.a.tokens, s.b.tokens
	s.pairs, s.chosen = s.pairs[:0], s.chosen[:0]
	s.usedA, s.usedB = [maxTokens]bool{}, [maxTokens]bool{}
	for i := range a {
		for j := range b {
			if p, ok := s.likePair(&a[i], &b[j]); ok {
				p.a, p.aEnd, p.b, p.bEnd = int8(i), int8(i+1), int8(j), int8(j+1)
				s.pairs = append(s.pairs, p)
			}
		}
	}
	s.joins(a, b, false)
	s.joins(b, a, true)
	slices.SortFunc(s.pairs, comparePairs)
	s.choose()
	s.pairRest()
}

// pairRest pairs the words that are left over, in their order: numbers with numbers, places with
// places, and what says who somebody is with what else does.
func (s *scratch) pairRest() {
	a, b := s.a.tokens, s.b.tokens
	var next [3]int // in b: for others, numbers, places
	for i := range a {
		if s.usedA[i] || !a[i].kind.matters() {
			continue
		}
		class := a[i].restClass()
		for ; next[class] < len(b); next[class]++ {
			j := next[class]
			if s.usedB[j] || !b[j].kind.matters() || b[j].restClass() != class {
				continue
			}
			p := pair{a: int8(i), aEnd: int8(i + 1), b: int8(j), bEnd: int8(j + 1), kind: pairOther}
			if class == 1 {
				p.edits = int32(distance(&a[i].spelled, &b[j].spelled, maxEdits))
			}
			s.usedA[i], s.usedB[j] = true, true
			s.chosen = append(s.chosen, p)
			break
		}
	}
}

// restClass parts the words that may stand in each other's place: numbers, places, others.
func (t *token) restClass() int {
	switch {
	case t.kind == kindNumber:
		return 1
	case t.branch:
		return 2
	}
	return 0
}

// choose takes candidates in order, as far as no word has its partner yet.
func (s *scratch) choose() {
next:
	for _, p := range s.pairs {
		for i := p.a; i < p.aEnd; i++ {
			if s.usedA[i] {
				continue next
			}
		}
		for j := p.b; j < p.bEnd; j++ {
			if s.usedB[j] {
				continue next
			}
		}
		for i := p.a; i < p.aEnd; i++ {
			s.usedA[i] = true
		}
		for j := p.b; j < p.bEnd; j++ {
			s.usedB[j] = true
		}
		s.chosen = append(s.chosen, p)
	}
}

// comparePairs orders candidates so that it does not matter which name is which.
func comparePairs(p, q pair) int {
	return cmp.Or(
		cmp.Compare(p.ratio, q.ratio),
		cmp.Compare(p.kind, q.kind),
		cmp.Compare(q.aEnd-q.a+q.bEnd-q.b, p.aEnd-p.a+p.bEnd-p.b),
		cmp.Compare(max(p.a-p.b, p.b-p.a), max(q.a-q.b, q.b-q.a)),
		cmp.Compare(p.a+p.b, q.a+q.b),
		cmp.Compare(p.a, q.a), cmp.Compare(p.aEnd, q.aEnd), cmp.Compare(p.bEnd, q.bEnd),
	)
}

// likePair compares two words.
func (s *scratch) likePair(a, b *token) (p pair, ok bool) {
	if a.sign != 0 && b.sign != 0 && a.sign != b.sign {
		return pair{kind: pairSimilar, edits: edit, ratio: 400}, a.text == b.text
	}
	if a.text == b.text {
		return pair{kind: pairSame}, true
	}
	if a.number >= 0 && b.number >= 0 {
		return pair{kind: pairNumber}, a.number == b.number
	}
	if a.kind == kindNumber && b.kind == kindNumber {
		return p, false
	}
	if a.nicks&b.nicks != 0 {
		return pair{kind: pairNickname, ratio: 100}, true
	}
	if len(a.text) == 1 || len(b.text) == 1 {
		initial := len(a.text) != len(b.text) && a.text[0] == b.text[0] && a.kind != kindParticle && b.kind != kindParticle &&
			a.kind != kindNumber && b.kind != kindNumber
		return pair{kind: pairInitials, ratio: 150}, initial
	}
	longer := max(len(a.text), len(b.text))
	limit := longer * likeness / 10
	best := s.near(a, b, limit)
	if (a.abjad || b.abjad) && len(a.skeleton.text)+len(b.skeleton.text) > 2 {
		best = min(best, skeletonEdits+distance(&a.skeleton, &b.skeleton, limit)*3/2)
	}
	if best > limit {
		return p, false
	}
	return pair{kind: pairSimilar, edits: int32(best), ratio: int32(best * 10 / longer)}, true
}

// near is how far two words are apart by spelling or by sound, more than limit if it is more. Of a query's
// words it is worked out once for each word of an index.
func (s *scratch) near(a, b *token, limit int) int {
	asked, known := a.id, b.id
	if asked > 0 {
		asked, known = known, asked
	}
	if asked >= 0 || known <= 0 {
		return near(a, b, limit)
	}
	m := &s.memo[-int(asked+1)*s.known+int(known)]
	if m.query != s.query {
		*m = memo{s.query, int32(near(a, b, limit))}
	}
	return int(m.near)
}

func near(a, b *token, limit int) int {
	best := limit + 1
	if !farApart(&a.marks[0], &b.marks[0], limit) {
		best = distance(&a.spelled, &b.spelled, limit)
	}
	if a.marks[1].letters == b.marks[1].letters && a.sound.text == b.sound.text {
		return min(best, soundEdits)
	}
	if best > 2*soundEdits && !farApart(&a.marks[1], &b.marks[1], limit-soundEdits) && len(a.sound.text) > 2 && len(b.sound.text) > 2 {
		best = min(best, soundEdits+distance(&a.sound, &b.sound, limit-soundEdits))
	}
	return best
}

// memo is what near found for a query's word and a word of the index.
type memo struct {
	query uint32 // that it was found for
	near  int32
}

// maxMemo is how many words of a query are remembered.
const maxMemo = 12

// Words that sound alike, or have the same consonants where vowels are not written, are at least so far
// apart, in hundredths of an edit.
const (
	soundEdits    = 30
	maxJoinEdits  = 150 // of words that are run together
	skeletonEdits = 50
)

// joins finds words of one name that are several words of the other, run together or by their
// first letters.
func (s *scratch) joins(a, b []token, swapped bool) {
	if len(b) < 2 {
		return
	}
	var joined [4 * maxWord]byte
	for i := range a {
		t := &a[i]
		if len(t.text) < 2 || t.kind == kindNumber {
			continue
		}
		for j := range b {
			initials := t.text[0] == b[j].text[0]
			if !initials && (j+1 == len(b) || !joinable(&b[j], &b[j+1], t)) {
				continue
			}
			buf := joined[:0]
			for k := j; k < len(b) && k < j+8; k++ {
				if len(buf)+len(b[k].text) <= len(joined) {
					buf = append(buf, b[k].text...)
				}
				if at := k - j; at >= len(t.text) || t.text[at] != b[k].text[0] {
					initials = false
				}
				size := k - j + 1
				if size < 2 {
					continue
				}
				p := pair{a: int8(i), aEnd: int8(i + 1), b: int8(j), bEnd: int8(k + 1)}
				ok := false
				if size <= 4 && len(buf) >= len(t.text)-2 && len(buf) <= len(t.text)+2 && len(t.text) >= 4 {
					if string(buf) == t.text {
						p.kind, ok = pairSame, true
					} else if size <= 3 && len(t.text) >= 6 && len(t.text) <= maxWord && joinable(&b[j], &b[k], t) {
						run := spell(string(buf))
						if d := distance(&t.spelled, &run, maxJoinEdits); d <= maxJoinEdits && d*10/len(t.text) < likeness/2 {
							p.kind, p.edits, p.ratio, ok = pairSimilar, int32(d), int32(d*10/len(t.text)), true
						}
					}
				}
				if !ok && initials && size == len(t.text) {
					p.kind, p.ratio, ok = pairInitials, 150, true
				}
				if ok {
					if swapped {
						p.a, p.aEnd, p.b, p.bEnd = p.b, p.bEnd, p.a, p.aEnd
					}
					s.pairs = append(s.pairs, p)
				}
			}
		}
	}
}

// joinable says whether two neighbours may be part of one word.
func joinable(a, b, whole *token) bool {
	if len(a.text)+len(b.text) > len(whole.text)+2 {
		return false
	}
	missing := uint32((a.marks[0].letters | b.marks[0].letters) &^ whole.marks[0].letters)
	return missing == 0 || len(whole.text) >= 6 && bits.OnesCount32(missing)*oneLetter <= maxJoinEdits
}
