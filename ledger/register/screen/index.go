package screen

import (
	"cmp"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Index holds the designations of one checkpoint, ready to be searched. It is not changed
// once built, and safe for use by many goroutines.
type Index struct {
	subjects []Subject
	names    []indexedName
	blocks   map[string][]int32 // names by blocking key, ascending
	numbers  map[string][]int32 // subjects by identifier, ascending
	bearers  map[string]int32   // how many subjects bear a token
	pool     sync.Pool          // of *search
}

// indexedName is a name of a subject.
type indexedName struct {
	*name
	subject int32
	use     Use
	person  bool // the subject is one
	bare    bool // its name has no legal form
}

// search is what one query needs, kept to be used again.
type search struct {
	scratch
	seen []uint32 // by name: the number of the query that saw it last
	best []int32  // names to be compared
}

// NewIndex indexes subjects. Their order does not matter; threads are distinct.
func NewIndex(subjects []Subject) *Index {
	x := &Index{
		subjects: slices.Clone(subjects),
		blocks:   make(map[string][]int32),
		numbers:  make(map[string][]int32),
		bearers:  make(map[string]int32),
	}
	shapes := make(map[string]*token)
	last := make(map[string]int32) // the subject that was counted last for a token, and 1
	for i := range x.subjects {
		s, at := &x.subjects[i], int32(i)
		for _, n := range s.Names {
			parsed := indexedName{parse(n.Text, s.isBare()), at, n.Use, s.isPerson(), s.isBare()}
			for j := range parsed.tokens {
				t := &parsed.tokens[j]
				if known := shapes[t.text]; known != nil {
					t.text, t.shape, t.id = known.text, known.shape, known.id
				} else {
					t.id = int32(len(shapes) + 1)
					shapes[t.text] = t
				}
				if last[t.text] != at+1 {
					last[t.text] = at + 1
					x.bearers[t.text]++
				}
			}
			for _, r := range parsed.readings {
				for j := range r.tokens {
					t := &r.tokens[j]
					if known := shapes[t.text]; known != nil {
						t.text, t.shape, t.id = known.text, known.shape, known.id
					}
				}
			}
			body, person := parsed.name, parseWords(n.Text, !s.isBare())
			if s.isBare() {
				body, person = person, body
			}
			for _, k := range blockingKeys(body, person) {
				x.blocks[k] = append(x.blocks[k], int32(len(x.names)))
			}
			x.names = append(x.names, parsed)
		}
		for _, id := range identifiers(s.LEI, s.RegistrationNumber, s.ASN, s.Domain) {
			x.numbers[id] = append(x.numbers[id], at)
		}
	}
	for _, n := range x.names {
		x.weigh(n.name)
	}
	words := len(shapes) + 1
	x.pool.New = func() any {
		return &search{
			scratch: scratch{memo: make([]memo, maxMemo*words), known: words},
			seen:    make([]uint32, len(x.names)),
		}
	}
	return x
}

func compareSubjects(a, b Subject) int {
	return cmp.Or(cmp.Compare(a.Index, b.Index), strings.Compare(a.Thread, b.Thread))
}

func (s *Subject) isPerson() bool { return s.Schema == "Person" }

// isBare says that a subject's name has no legal form: a person's, and a ship's.
func (s *Subject) isBare() bool {
	return s.Schema == "Person" || s.Schema == "Vessel" || s.Schema == "Airplane"
}

// Len is the number of subjects.
func (x *Index) Len() int { return len(x.subjects) }

// weigh sets the information of a name's tokens by how many subjects bear them, as if the names that
// the built-in lists speak of had been counted with them.
func (x *Index) weigh(n *name) {
	for _, r := range n.readings {
		x.weigh(r.name)
	}
	for i := range n.tokens {
		t := &n.tokens[i]
		if t.kind == kindWord || t.kind == kindGeneric {
			prior := uint64(priorNames) << 4 >> min(t.bits/16, 17) // in sixteenths
			t.bits = max(16, int32(log2(uint64(len(x.subjects)+priorNames)<<4)-log2(uint64(x.bearers[t.text])<<4+max(prior, 1))))
		}
	}
}

// log2 is the binary logarithm of a number from 1 to 2^32-1 in sixteenths, rounded down.
func log2(n uint64) int {
	whole := bits.Len64(n) - 1
	l, m := 16*whole, n<<(31-whole) // m is in [2^31, 2^32)
	for bit := 8; bit > 0; bit >>= 1 {
		if m = m * m >> 31; m >= 1<<32 {
			m >>= 1
			l += bit
		}
	}
	return l
}

// asked is a query taken apart: its name as a body's, and as one without a legal form.
type asked struct {
	*Query
	names [2]*name
	ids   []string
}

func prepare(q *Query) *asked {
	a := &asked{Query: q, ids: identifiers(q.LEI, q.RegistrationNumber, q.ASN, q.Domain)}
	if strings.TrimSpace(q.Name) != "" {
		a.names = [2]*name{parse(q.Name, false), parse(q.Name, true)}
	}
	return a
}

// number gives the words of the query numbers of their own, below 0.
func (a *asked) number() {
	var texts []string
	number := func(n *name) {
		for i := range n.tokens {
			t := &n.tokens[i]
			at := slices.Index(texts, t.text)
			if at < 0 && len(texts) < maxMemo {
				at, texts = len(texts), append(texts, t.text)
			}
			t.id = -int32(at + 1)
		}
	}
	for _, n := range a.names {
		number(n)
		for _, r := range n.readings {
			number(r.name)
		}
	}
}

func (a *asked) nameFor(bare bool) *name {
	if bare {
		return a.names[1]
	}
	return a.names[0]
}

// identifiers are the numbers and domains that find a subject, each with its scheme.
func identifiers(lei, registration string, asn []int64, domain []string) (ids []string) {
	if lei = evenID(lei); lei != "" {
		ids = append(ids, "LEI "+lei)
	}
	if registration = evenID(registration); registration != "" {
		ids = append(ids, "registration number "+registration)
	}
	for _, n := range asn {
		ids = append(ids, "AS"+strconv.FormatInt(n, 10))
	}
	for _, d := range domain {
		if d = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(d)), "."); d != "" {
			ids = append(ids, "domain "+d)
		}
	}
	return ids
}

// evenID is an identifier without what people put between its letters and digits.
func evenID(id string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '.', '/', '\t', '\u00a0':
			return -1
		}
		return r
	}, strings.ToUpper(id))
}

// Screen lists the subjects that a query may mean, those with the most points first, then by
// index, down to the threshold. Equal identifiers are hits at every threshold up to [Threshold].
func (x *Index) Screen(q Query, threshold Score) []Hit {
	a := prepare(&q)
	for _, n := range a.names {
		if n != nil {
			x.weigh(n)
		}
	}
	s := x.pool.Get().(*search)
	defer x.pool.Put(s)
	found := make(map[int32]bool) // subjects at or above the threshold
	for _, id := range a.ids {
		for _, i := range x.numbers[id] {
			found[i] = true
		}
	}
	needed := pointsOf(threshold)
	for _, at := range x.candidates(s, a) {
		n := &x.names[at]
		if found[n.subject] {
			continue
		}
		person := n.person || q.Schema == "Person"
		name := a.nameFor(n.bare)
		needed := needed - usePoints(n.use)
		if q.Country != "" {
			needed -= max(0, countryPoints(q.Country, x.subjects[n.subject].Country))
		}
		if s.atMost(name, n.name, person, needed) < needed {
			continue
		}
		if points, _ := s.compare(name, n.name, person); points >= needed {
			found[n.subject] = true
		}
	}
	var hits []Hit
	for i := range found {
		if h := x.hit(&s.scratch, a, i); h.Score >= threshold {
			hits = append(hits, h)
		}
	}
	slices.SortFunc(hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.Points, a.Points), compareSubjects(*a.Subject, *b.Subject))
	})
	return hits
}

// candidates are the names that have a blocking key in common with a name, ascending.
func (x *Index) candidates(s *search, a *asked) []int32 {
	s.best = s.best[:0]
	if a.names[0] == nil {
		return nil
	}
	if s.query++; s.query == 0 {
		clear(s.seen)
		clear(s.memo)
		s.query = 1
	}
	a.number()
	for _, k := range blockingKeys(a.names[0], a.names[1]) {
		for _, at := range x.blocks[k] {
			if s.seen[at] != s.query {
				s.seen[at] = s.query
				s.best = append(s.best, at)
			}
		}
	}
	slices.Sort(s.best)
	return s.best
}

// hit explains a query against the subject at i.
func (x *Index) hit(s *scratch, a *asked, i int32) Hit {
	subject := &x.subjects[i]
	from, _ := slices.BinarySearchFunc(x.names, i, func(n indexedName, i int32) int { return cmp.Compare(n.subject, i) })
	end := from
	for end < len(x.names) && x.names[end].subject == i {
		end++
	}
	return explain(s, a, subject, x.names[from:end])
}

// Compare scores one pair, whatever its score, with this index's counts of tokens.
func (x *Index) Compare(q Query, s *Subject) Hit { return compare(q, s, x) }

// Compare scores one pair without an index: how rare a word is comes from built-in lists alone.
func Compare(q Query, s *Subject) Hit { return compare(q, s, nil) }

func compare(q Query, s *Subject, x *Index) Hit {
	a := prepare(&q)
	names := make([]indexedName, len(s.Names))
	for i, n := range s.Names {
		names[i] = indexedName{parse(n.Text, s.isBare()), 0, n.Use, s.isPerson(), s.isBare()}
	}
	if x != nil {
		for _, n := range names {
			x.weigh(n.name)
		}
		for _, n := range a.names {
			if n != nil {
				x.weigh(n)
			}
		}
	}
	return explain(new(scratch), a, s, names)
}

func countryPoints(a, b string) int {
	switch {
	case a == "" || b == "":
		return 0
	case a == b:
		return countrySamePoints
	}
	return countryOtherPoints
}

func usePoints(u Use) int {
	if u == Weak {
		return weakAliasPoints
	}
	return 0
}

// explain is the hit of a query on a subject: of its names the one with the most points counts,
// the first of several; an identifier in common counts whatever the names are.
func explain(s *scratch, a *asked, subject *Subject, names []indexedName) Hit {
	hit := Hit{Subject: subject, How: Similar, OFAC: 1}
	person := subject.isPerson() || a.Schema == "Person"
	asked := a.nameFor(subject.isBare())
	best := -1
	most := 0
	if asked != nil {
		for i, n := range names {
			points, _ := s.compare(asked, n.name, person)
			if points += usePoints(n.use); best < 0 || points > most {
				best, most = i, points
			}
			hit.OFAC = max(hit.OFAC, ofacScore(asked, n.name))
		}
	}
	s.explain = true
	defer func() { s.explain = false }()
	var shared []string
	theirs := identifiers(subject.LEI, subject.RegistrationNumber, subject.ASN, subject.Domain)
	for _, id := range a.ids {
		if slices.Contains(theirs, id) && !slices.Contains(shared, id) {
			shared = append(shared, id)
		}
	}
	switch {
	case best >= 0:
		n := names[best]
		_, how := s.compare(asked, n.name, person)
		hit.Name, hit.How = Name{n.text, n.use}, how
		if how == Exact {
			hit.How = map[Use]How{Current: Exact, Alias: ByAlias, Weak: ByAlias, Former: ByFormer}[n.use]
		}
		if n.use == Weak {
			s.add("weak alias", weakAliasPoints, func() string { return "its list calls it too common to match on alone" })
		}
		if len(shared) > 0 && most < 0 {
			s.features = s.features[:0]
			s.add("names differ", 0, func() string { return "which does not count against an identifier" })
		}
	default:
		s.features = s.features[:0]
		if len(shared) == 0 {
			s.addNothing()
		}
	}
	if p := countryPoints(a.Country, subject.Country); p != 0 {
		s.add("country", p, func() string { return a.Country + ", " + subject.Country })
	}
	if a.LEI != "" && subject.LEI != "" && evenID(a.LEI) != evenID(subject.LEI) {
		s.add("another LEI", leiOtherPoints, func() string { return a.LEI + ", " + subject.LEI })
	}
	for _, id := range shared {
		hit.How = ByIdentifier
		s.add("identifier", identifierPoints, func() string { return id })
	}
	hit.Features = slices.Clone(s.features)
	for _, f := range hit.Features {
		hit.Points += f.Points
	}
	hit.Score = ScoreOf(hit.Points)
	return hit
}
