package screen

import (
	"math"
	"math/bits"
)

// atMost is no less than the points that two names have, found without aligning them: most pairs that
// blocking leaves have words on both sides that are like nothing of the other name. It looks more
// closely only while they may have the points that are needed.
func (s *scratch) atMost(a, b *name, person bool, needed int) int {
	most := s.wholeAtMost(a, b, person, needed)
	for i := -1; i < len(a.readings); i++ {
		first := a
		if i >= 0 {
			first = a.readings[i].name
			most = max(most, s.wholeAtMost(first, b, person, needed))
		}
		for _, r := range b.readings {
			most = max(most, s.wholeAtMost(first, r.name, person, needed))
		}
	}
	return most
}

// wholeAtMost is atMost without the names' readings.
func (s *scratch) wholeAtMost(a, b *name, person bool, needed int) int {
	if a.whole == b.whole {
		return math.MaxInt32
	}
	restA, restB := &s.rests[0], &s.rests[1]
	restA.near, restB.near = 0, 0
	joinedA, joinedB := couldJoin(a.tokens, b.tokens)
	fromB, fromA := couldJoin(b.tokens, a.tokens)
	joinedA, joinedB = joinedA|fromA, joinedB|fromB
	alikeA, alikeB := joinedA, joinedB
	var rows [maxTokens]uint32
	for i := range a.tokens {
		for j := range b.tokens {
			if couldPair(&a.tokens[i], &b.tokens[j]) {
				rows[i] |= 1 << j
			}
		}
		if rows[i] != 0 {
			alikeA |= 1 << i
			alikeB |= rows[i]
		}
	}
	total := max(1, int(sumBits(a.tokens)+sumBits(b.tokens))/2)
	restA.alike, restB.alike = alikeA, alikeB
	restA.count(a.tokens, total, person)
	restB.count(b.tokens, total, person)
	if most := ceiling(restA, restB, total); most < needed {
		return most
	}
	restA.alike, restB.alike = 0, 0
	if joinedA|joinedB != 0 {
		s.pairs = s.pairs[:0]
		s.joins(a.tokens, b.tokens, false)
		s.joins(b.tokens, a.tokens, true)
		for _, p := range s.pairs {
			restA.alike |= 1<<p.aEnd - 1<<p.a
			restB.alike |= 1<<p.bEnd - 1<<p.b
		}
	}
	for i := range a.tokens {
		for j := range b.tokens {
			if rows[i]&(1<<j) == 0 || restA.alike&(1<<i) != 0 && restB.alike&(1<<j) != 0 {
				continue
			}
			if p, ok := s.likePair(&a.tokens[i], &b.tokens[j]); ok {
				restA.meet(&a.tokens[i], i, p, total)
				restB.meet(&b.tokens[j], j, p, total)
			}
		}
	}
	restA.count(a.tokens, total, person)
	restB.count(b.tokens, total, person)
	return ceiling(restA, restB, total)
}

// couldPair is true of all words that likePair pairs, and of few others.
func couldPair(a, b *token) bool {
	switch {
	case a.text == b.text:
		return true
	case a.sign != 0 && b.sign != 0 && a.sign != b.sign:
		return false
	case a.number >= 0 && b.number >= 0:
		return a.number == b.number
	case a.kind == kindNumber && b.kind == kindNumber:
		return false
	case a.nicks&b.nicks != 0, a.abjad, b.abjad:
		return true
	case len(a.text) == 1 || len(b.text) == 1:
		return a.start[0] == b.start[0]
	}
	limit := max(len(a.text), len(b.text)) * likeness / 10
	return !farApart(&a.marks[0], &b.marks[0], limit) || !farApart(&a.marks[1], &b.marks[1], limit-soundEdits)
}

// couldJoin has the words of a that may be several of b run together, by [scratch.joins], and those of b.
func couldJoin(a, b []token) (ofA, ofB uint32) {
	for i := range a {
		t := &a[i]
		if len(t.text) < 2 || t.kind == kindNumber {
			continue
		}
		for j := 0; j+1 < len(b); j++ {
			initials := t.start[0] == b[j].start[0]
			if initials && t.start[1] == b[j+1].start[0] && j+len(t.text) <= len(b) || couldRun(t, b[j:], initials) {
				ofA |= 1 << i
				ofB |= (1<<max(4, min(8, len(t.text))) - 1) << j
			}
		}
	}
	return ofA, ofB
}

// couldRun says that a word may be the first of some words run together.
func couldRun(t *token, b []token, initials bool) bool {
	if len(t.text) < 4 || len(t.text) < 6 && !initials {
		return false
	}
	long := len(b[0].text) > maxWord || len(b[1].text) > maxWord
	if !joinable(&b[0], &b[1], t) && !(initials && (long || len(b) > 2 && joinable(&b[0], &b[2], t))) {
		return false
	}
	var letters uint64
	for i := range b[:min(4, len(b))] {
		letters |= b[i].marks[0].letters
	}
	const strange = 1 << 31 // bytes that stand for several letters
	own := t.marks[0].letters
	return (own|letters)&strange != 0 || bits.OnesCount32(uint32(own&^letters))*oneLetter <= maxJoinEdits
}

// ceiling is no less than the points of two names. It counts as [scratch.measure] does.
func ceiling(a, b *rest, total int) int {
	points := startPoints + a.apart + b.apart + isqrt(int(a.bits+b.bits)/2*16)*evidencePoints/100
	rounding := (a.words + b.words + a.places + b.places + a.nears + b.nears) * (4 + 1200/total) // what it may take off
	if a.words+b.words+a.places+b.places == 0 {
		switch all := wholePoints + a.similar + b.similar; {
		case a.nears+b.nears == 0:
			return points + wholePoints + equalPoints
		default:
			return points + min(wholePoints, rounding+max(all, a.either+b.either))
		}
	}
	// All of the one or all of the other stand in another's place, whichever are fewer in the end.
	lost := max(a.paired+b.beside(a), b.paired+a.beside(b)) + a.either + b.either
	return points + min(0, lost+rounding)
}

// A rest is what the words of a name that are not the same in the other have in points, at most.
type rest struct {
	alike uint32 // words that may have a partner without losing points, by their bits
	near  uint32 // words that may have a similar one
	best  [maxTokens]struct {
		points int   // half of a pair's, at most
		bits   int32 // in common, at most
	} // of words that are near

	bits    int32 // of the words that may have a partner
	words   int   // how many have none, say who it is, and are no numbers or places
	places  int   // how many places have none
	apart   int   // points of numbers and places that have none
	paired  int   // points of words, if each stands in another's place
	second  int   // if it does, or has none, and the other was counted
	alone   int   // if it does, or has none
	nears   int   // how many are near
	similar int   // their points, if they are paired
	either  int   // if they are or not
}

// meet notes a partner of the word at i.
func (r *rest) meet(t *token, i int, p pair, total int) {
	if p.kind != pairSimilar || !t.kind.matters() || t.kind == kindNumber {
		r.alike |= 1 << i
		return
	}
	share := int(t.bits) * 1000 / total
	points := min(int(p.edits), maxEdits)*editPoints/edit/2 + share*int(p.ratio)/1000*ratioPoints/2000
	points = max(points, otherWordPoints/2+share*otherPoints/2000)
	bits := t.bits * (1000 - 2*p.ratio) / 1000
	if best := &r.best[i]; r.near&(1<<i) == 0 {
		best.points, best.bits = points, bits
	} else {
		best.points, best.bits = max(best.points, points), max(best.bits, bits)
	}
	r.near |= 1 << i
}

func (r *rest) beside(other *rest) int {
	if other.words == 0 {
		return r.alone
	}
	return r.second
}

// count adds up the words of a name.
func (r *rest) count(tokens []token, total int, person bool) {
	r.bits, r.words, r.places, r.apart, r.paired, r.second, r.alone, r.nears, r.similar, r.either = 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
	for i := range tokens {
		t := &tokens[i]
		switch {
		case r.alike&(1<<i) != 0:
			r.bits += t.bits
			continue
		case !t.kind.matters():
			continue
		case t.kind == kindNumber:
			r.apart += max(numberOtherPoints/2, numberOnePoints)
			continue
		}
		share := int(t.bits) * 1000 / total
		second := share * otherPoints / 2000 // half of what both words have by their share
		paired, extra := otherWordPoints+second, bodyExtraWord+share*bodyExtraPoints/1000
		switch {
		case t.branch:
			second, extra = placeOtherPoints/2, t.placeExtra(min(2000, bitsWord*1000/total))
		case t.kind == kindGeneric:
			paired, extra = otherGeneralPoints+second, share*genericExtraPoints/1000
		}
		if person {
			extra = share * personExtraPoints / 1000
		}
		if r.near&(1<<i) != 0 {
			best := r.best[i]
			r.nears++
			r.bits += best.bits
			r.similar += best.points
			r.either += max(best.points, second, extra)
			continue
		}
		if t.branch {
			r.places++
			r.apart += max(second, extra)
			continue
		}
		r.words++
		r.paired += paired
		r.second += max(second, extra)
		r.alone += max(paired, extra)
	}
}
