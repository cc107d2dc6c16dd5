package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The weights, in points: 400 points are one unit of log-odds. They were fitted once to the even rows of
// the name benchmark of opensanctions/nomenklatura (those whose first name has a SHA-256 that ends
// in a bit 0; TestQuality reports on the others) by logistic regression with a ridge penalty of 0.2 on
// features scaled to 1, and rounded; signs were held to what each feature means. Those marked "set" were
// set by hand: labelled pairs that were written to be near each other do not tell how many strangers share
// a common word. Most were set before the rest was fitted, otherGeneralPoints and initialPoints after it;
// ratioPoints and startPoints were moved afterwards too, on the same rows, against short names that one
// letter makes another.
const (
	startPoints = 200 // so that the best threshold on the even rows is at 0

	evidencePoints = 600 // for each 100 of the square root of the information in common; set
	wholePoints    = 790 // no word that matters is without its partner
	equalPoints    = 240 // and all are spelled alike; set

	editPoints         = -555  // for each edit
	ratioPoints        = -1700 // for a name that is spelled otherwise as a whole, by how far
	nicknamePoints     = -200  // for a name of nicknames alone; set
	initialPoints      = -600  // for a name of initials alone; set
	maxEdits           = 4 * edit
	otherWordPoints    = -1020 // for each word that stands in another's place
	otherGeneralPoints = -500  // for each general word in another's place; set
	otherPoints        = -1120 // and for a name that is another as a whole

	personExtraPoints  = -240  // for a person's name that only one has as a whole; set
	bodyExtraPoints    = -560  // for a body's, and
	bodyExtraWord      = -330  // for each word of it
	genericExtraPoints = -1380 // for general words of a body's, as a whole

	countryExtra      = 900   // for each country that one name has, in thousandths of what another rare word costs; set
	branchExtra       = 500   // and for each city, and word for a branch; set
	placeOtherPoints  = -1170 // for each place in another's
	numberExtraPoints = -1840 // for each number that one name has
	numberOnePoints   = -120  // but "I" and "1" are often left out; set
	numberOtherPoints = -240  // for each number in another's place; set
	numberEditPoints  = -320  // and for each of its edits

	orderPoints      = -200 // for each two words that change places, up to maxOrder, without a comma
	maxOrder         = 3
	formPoints       = -675  // for legal forms of two classes
	qualifierPoints  = -100  // for what qualifies a name in brackets, or after c/o; set
	lonePoints       = -240  // for a body's name of one word within one of several; set
	lonePersonPoints = -880  // for a person's; set
	emptyPoints      = -9000 // names that are legal forms alone, or nothing

	// Set, since labelled pairs have no such things.
	countrySamePoints  = 200
	countryOtherPoints = -400
	weakAliasPoints    = -1600
	leiOtherPoints     = -400
	identifierPoints   = 1500 // more than what another country and another LEI take away
)

// add appends a feature with points, and is the only one that does.
func (s *scratch) add(name string, points int, detail func() string) {
	if points == 0 && !s.explain {
		return
	}
	f := Feature{Name: name, Points: points}
	if s.explain && detail != nil {
		f.Detail = detail()
	}
	s.features = append(s.features, f)
}

// compare scores two names, by the readings of both that have the most points, and leaves the features
// in s. It does not matter which of both is which. How is of names that are borne now.
func (s *scratch) compare(a, b *name, person bool) (points int, how How) {
	if !inOrder(a, b) {
		a, b = b, a
	}
	points, how = s.compareWhole(a, b, person)
	if len(a.readings)+len(b.readings) == 0 {
		return points, how
	}
	bestA, bestB, other := -1, -1, otherPlaces(a, b)
	for i := -1; i < len(a.readings); i++ {
		for j := -1; j < len(b.readings); j++ {
			if other && (i >= 0 && len(a.readings[i].left) > 0 || j >= 0 && len(b.readings[j].left) > 0) {
				continue
			}
			if n, _ := s.compareReadings(a, b, i, j, person); n > points {
				points, bestA, bestB = n, i, j
			}
		}
	}
	return s.compareReadings(a, b, bestA, bestB, person)
}

// compareReadings scores readings i and j of two names, -1 for a name as a whole.
func (s *scratch) compareReadings(a, b *name, i, j int, person bool) (points int, how How) {
	first, second := reading{name: a}, reading{name: b}
	if i >= 0 {
		first = a.readings[i]
	}
	if j >= 0 {
		second = b.readings[j]
	}
	points, how = s.compareWhole(first.name, second.name, person)
	if i < 0 && j < 0 {
		return points, how
	}
	if how == Exact {
		how = Part
	}
	before := len(s.features)
	for n, r := range []reading{first, second} {
		switch {
		case len(r.left) > 0:
			s.add("qualifier left out", qualifierPoints, func() string { return "“" + strings.Join(r.left, "”, “") + "”" })
		case n == 0 && i >= 0, n == 1 && j >= 0:
			s.add("one of several names", 0, func() string { return "“" + strings.TrimSpace(r.text) + "”" })
		}
	}
	for _, f := range s.features[before:] {
		points += f.Points
	}
	return points, how
}

// otherPlaces says that each of two names has a country that the other has not: they may not be left out.
func otherPlaces(a, b *name) bool {
	lacks := func(a, b *name) bool {
		return slices.ContainsFunc(a.places, func(place string) bool { return !slices.Contains(b.places, place) })
	}
	return lacks(a, b) && lacks(b, a)
}

// inOrder says which of two names is the first, so that it does not matter which is asked for.
func inOrder(a, b *name) bool {
	return cmp.Or(strings.Compare(a.whole, b.whole), strings.Compare(a.text, b.text)) <= 0
}

// compareWhole scores two names as they stand.
func (s *scratch) compareWhole(a, b *name, person bool) (points int, how How) {
	s.features = s.features[:0]
	if !inOrder(a, b) {
		a, b = b, a
	}
	s.a, s.b = a, b
	how = s.measure(person)
	for i := range s.features {
		points += s.features[i].Points
	}
	return points, how
}

// matters says whether a kind of word says who somebody is.
func (k wordKind) matters() bool { return k != kindForm && k != kindParticle && k != kindTitle }

func (n *name) matters() bool { return mattering(n.tokens) }

func mattering(tokens []token) bool {
	return slices.ContainsFunc(tokens, func(t token) bool { return t.kind.matters() })
}

func (s *scratch) addNothing() {
	s.add("nothing to compare", emptyPoints, func() string { return "no name, or a legal form alone" })
}

// measure adds the features of two names.
func (s *scratch) measure(person bool) How {
	a, b := s.a.tokens, s.b.tokens
	if !s.a.matters() || !s.b.matters() {
		s.addNothing()
		return Similar
	}
	s.add("start", startPoints, nil)
	if s.a.whole == s.b.whole && slices.Equal(s.a.signs, s.b.signs) {
		s.addEvidence(max(sumBits(a), sumBits(b)), "all letters are the same")
		s.add("all words", wholePoints+equalPoints, nil)
		return Exact
	}
	s.align()
	total := max(1, (sumBits(a)+sumBits(b))/2)
	share := func(bits int32) int { return int(min(2000, bits*1000/total)) } // in thousandths of a name
	matched, matches, missing := int32(0), 0, false
	equal, within := true, true
	for _, p := range s.chosen {
		first, second := &a[p.a], &b[p.b]
		bitsA, bitsB := sumBits(a[p.a:p.aEnd]), sumBits(b[p.b:p.bEnd])
		bits := (bitsA + bitsB) / 2
		both := func() string {
			return "“" + joinTokens(a[p.a:p.aEnd]) + "”, “" + joinTokens(b[p.b:p.bEnd]) + "”"
		}
		matters := first.kind.matters() || second.kind.matters()
		if p.kind != pairSame && p.kind != pairNumber && matters {
			equal, within = false, false
		}
		switch p.kind {
		case pairSame, pairNumber:
			matched += min(bitsA, bitsB)
		case pairNickname:
			matched += bits * 3 / 4
			s.add("forms of one name", share(bits)*nicknamePoints/1000, both)
		case pairInitials:
			matched += min(bitsA, bitsB) / 4
			s.add("initials", share(bits)*initialPoints/1000, both)
		case pairSimilar:
			matched += bits * (1000 - 2*p.ratio) / 1000
			if matters {
				points := min(int(p.edits), maxEdits)*editPoints/edit + share(bits)*int(p.ratio)/1000*ratioPoints/1000
				s.add("spelled otherwise", max(points, otherWordPoints+share(bits)*otherPoints/1000), both)
			}
		case pairOther:
			switch {
			case !matters:
				continue
			case first.kind == kindNumber:
				s.add("another number", numberOtherPoints+min(int(p.edits), maxEdits)*numberEditPoints/edit, both)
				continue
			case first.branch && second.branch:
				s.add("another country", placeOtherPoints, both)
			case first.kind == kindGeneric && second.kind == kindGeneric:
				s.add("another general word", otherGeneralPoints+share(bits)*otherPoints/1000, both)
			default:
				s.add("another word", otherWordPoints+share(bits)*otherPoints/1000, both)
			}
			missing = true
			continue
		}
		if matters && p.kind != pairInitials {
			matches++
		}
	}
	extraA := s.addExtras(a, s.usedA[:len(a)], share, person)
	extraB := s.addExtras(b, s.usedB[:len(b)], share, person)
	equal, within = equal && extraA < 2 && extraB < 2, within && (extraA < 2 || extraB < 2)
	missing = missing || extraA == 3 || extraB == 3
	s.addEvidence(matched, "")
	switch {
	case !missing && matches > 0:
		points := wholePoints
		if equal {
			points += equalPoints
		}
		s.add("all words", points, nil)
	case missing && matches <= 1 && min(len(a), len(b)) == 1:
		points := lonePoints
		if person {
			points = lonePersonPoints
		}
		s.add("one word alone", points, nil)
	}
	if n := min(s.inversions(), maxOrder); n > 0 && !s.a.comma && !s.b.comma {
		s.add("order of words", n*orderPoints, nil)
	}
	if len(s.a.forms) > 0 && len(s.b.forms) > 0 && !slices.Equal(s.a.forms, s.b.forms) {
		s.add("legal form", formPoints, func() string {
			return strings.Join(s.a.forms, " and ") + ", " + strings.Join(s.b.forms, " and ")
		})
	}
	switch {
	case equal && matches > 0:
		return Exact
	case within && matches > 0:
		return Part
	}
	return Similar
}

// addEvidence adds what the words in common say: its square root, since ten words more of one
// name say less than ten names.
func (s *scratch) addEvidence(bits int32, detail string) {
	s.add("words in common", isqrt(int(bits)*16)*evidencePoints/100, func() string {
		if detail == "" {
			var words []string
			for _, p := range s.chosen {
				if p.kind != pairOther {
					words = append(words, "“"+joinTokens(s.a.tokens[p.a:p.aEnd])+"”")
				}
			}
			detail = strings.Join(words, ", ")
		}
		return fmt.Sprintf("%s; %d.%d bits", detail, bits/16, bits%16*10/16)
	})
}

// addExtras adds the words that one name alone has. It returns 0 if there is none, 1 if none of
// them matters, 2 if numbers do, and 3 if a word is missing that says who it is.
func (s *scratch) addExtras(tokens []token, used []bool, share func(int32) int, person bool) (missing int) {
	for i := range tokens {
		t := &tokens[i]
		if used[i] {
			continue
		}
		word := func() string { return "“" + t.text + "”" }
		grade := 3
		switch {
		case !t.kind.matters():
			grade = 1
		case t.kind == kindNumber && t.number == 1:
			s.add("number in one name alone", numberOnePoints, word)
			grade = 2
		case t.kind == kindNumber:
			s.add("number in one name alone", numberExtraPoints, word)
			grade = 2
		case person:
			s.add("in one name alone", share(t.bits)*personExtraPoints/1000, word)
		case t.branch:
			s.add("place in one name alone", t.placeExtra(share(bitsWord)), word)
		case t.kind == kindGeneric:
			s.add("in one name alone", share(t.bits)*genericExtraPoints/1000, word)
		default:
			s.add("in one name alone", bodyExtraWord+share(t.bits)*bodyExtraPoints/1000, word)
		}
		missing = max(missing, grade)
	}
	return missing
}

// placeExtra is what a place costs that one name alone has, by the share that another rare word would have.
func (t *token) placeExtra(share int) int {
	points := bodyExtraWord + share*bodyExtraPoints/1000
	if t.kind == kindPlace {
		return points * countryExtra / 1000
	}
	return points * branchExtra / 1000
}

func joinTokens(tokens []token) string {
	words := make([]string, len(tokens))
	for i := range tokens {
		words[i] = tokens[i].text
	}
	return strings.Join(words, " ")
}

func sumBits(tokens []token) (sum int32) {
	for i := range tokens {
		sum += tokens[i].bits
	}
	return sum
}

// inversions counts pairs of matched words that stand the other way round.
func (s *scratch) inversions() (n int) {
	for _, p := range s.chosen {
		if p.kind == pairOther || s.a.tokens[p.a].kind == kindParticle {
			continue
		}
		for _, q := range s.chosen {
			if q.kind != pairOther && p.a < q.a && p.b > q.b && s.a.tokens[q.a].kind != kindParticle {
				n++
			}
		}
	}
	return n
}

// isqrt is the square root, rounded down, of a number below 2^32.
func isqrt(n int) (root int) {
	for bit := 1 << 15; bit > 0; bit >>= 1 {
		if (root+bit)*(root+bit) <= n {
			root += bit
		}
	}
	return root
}
