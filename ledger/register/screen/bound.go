package screen

import "math"

// atMost is no less than the points that two names have, found without aligning them: most pairs that
// blocking leaves have words on both sides that are like nothing of the other name. It looks more
// closely only while they may have the points that are needed.
func (s *scratch) atMost(a, b *name, person bool, needed int) int {
	if a.whole == b.whole {
		return math.MaxInt32
	}
	// Whether a word may have a partner, by word. Words that may be run together stay so.
	alikeA, alikeB := couldJoin(a.tokens, b.tokens)
	fromB, fromA := couldJoin(b.tokens, a.tokens)
	alikeA, alikeB = alikeA|fromA, alikeB|fromB
	surelyA, surelyB := alikeA, alikeB
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
	if most := ceiling(a, b, person, alikeA, alikeB); most < needed {
		return most
	}
	for i := range a.tokens {
		for j := range b.tokens {
			if rows[i]&(1<<j) == 0 || surelyA&(1<<i) != 0 && surelyB&(1<<j) != 0 {
				continue
			}
			if _, ok := s.likePair(&a.tokens[i], &b.tokens[j]); ok {
				surelyA |= 1 << i
				surelyB |= 1 << j
			}
		}
	}
	return ceiling(a, b, person, surelyA, surelyB)
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
		return a.text[0] == b.text[0]
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
			first, second := &b[j], &b[j+1]
			could := joinable(first, second, t)
			if !could && t.text[0] == first.text[0] {
				could = t.text[1] == second.text[0] || j+2 < len(b) && joinable(first, &b[j+2], t) ||
					len(first.text) > maxWord || len(second.text) > maxWord
			}
			if could {
				ofA |= 1 << i
				ofB |= (1<<max(4, min(8, len(t.text))) - 1) << j
			}
		}
	}
	return ofA, ofB
}

// ceiling is no less than the points of two names, if of their words only those that are given, by
// their bits, may have partners. It counts as [scratch.measure] does.
func ceiling(a, b *name, person bool, alikeA, alikeB uint32) int {
	total := max(1, int(sumBits(a.tokens)+sumBits(b.tokens))/2)
	place := hasPlace(a.tokens) || hasPlace(b.tokens)
	restA := restOf(a.tokens, alikeA, total, place, person)
	restB := restOf(b.tokens, alikeB, total, place, person)
	points := startPoints + restA.numbers + restB.numbers +
		isqrt(int(restA.alike+restB.alike)/2*16)*evidencePoints/100
	words := restA.words + restB.words
	if words == 0 {
		return points + wholePoints + equalPoints
	}
	// All of the one or all of the other stand in another's place, whichever are fewer in the end.
	most := max(restA.paired+restB.beside(restA), restB.paired+restA.beside(restB))
	return points + min(0, most+words*(4+1200/total)) // what rounding may take off
}

func hasPlace(tokens []token) bool {
	for i := range tokens {
		if tokens[i].kind == kindPlace {
			return true
		}
	}
	return false
}

// rest is what the words of a name without a partner have in points, at most.
type rest struct {
	alike   int32 // bits of the words that may have a partner
	words   int   // that say who it is, and are no numbers
	numbers int   // points of numbers
	paired  int   // points of words, if each stands in another's place
	second  int   // if it does, or has none, and the other was counted
	alone   int   // if it does, or has none
}

func (r rest) beside(other rest) int {
	if other.words == 0 {
		return r.alone
	}
	return r.second
}

func restOf(tokens []token, alike uint32, total int, place, person bool) (r rest) {
	for i := range tokens {
		t := &tokens[i]
		switch {
		case alike&(1<<i) != 0:
			r.alike += t.bits
			continue
		case !t.kind.matters():
			continue
		case t.kind == kindNumber:
			r.numbers += max(numberOtherPoints/2, numberOnePoints)
			continue
		}
		r.words++
		share := int(t.bits) * 1000 / total
		second := share * otherPoints / 2 / 1000 // half of what both words have by their share
		paired, extra := otherWordPoints+second, bodyExtraWord+share*bodyExtraPoints/1000
		switch t.kind {
		case kindPlace:
			paired, extra = placeOtherPoints, placeExtraPoints
		case kindGeneric:
			paired, extra = otherGeneralPoints+second, share*genericExtraPoints/1000
		}
		if place {
			paired, second = max(paired, placeOtherPoints), 0
		}
		if person {
			extra = share * personExtraPoints / 1000
		}
		r.paired += paired
		r.second += max(second, extra)
		r.alone += max(paired, extra)
	}
	return r
}
