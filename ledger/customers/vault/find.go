package vault

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

// Found are candidates: their own terms decide ([Matches]). Those that bear every word of a
// name come first, then those whose names may be similar, the more alike the earlier.
type Found struct {
	Refs []Ref
	More bool // there are more, or more was to be looked at than one search may
}

// What one search looks at, at most.
const (
	maxFind        = 1_000  // candidates
	maxSteps       = 20_000 // rows of the terms that all must fit
	maxSimilarRows = 500    // of one key of similar names
)

// Find looks for customers that fit all terms of a query, at most limit (up to 1,000).
// [ErrLocked] while the vault is locked.
func (s *Store) Find(ctx context.Context, query []Term, limit int) (found Found, err error) {
	if err := checkQuery(query); err != nil {
		return found, err
	}
	for _, t := range query {
		if err := t.Check(); err != nil {
			return found, err
		}
	}
	limit = max(1, min(limit, maxFind))
	err = s.read(func(db *disk.DB) (err error) {
		x := &search{ctx: ctx, db: db, steps: maxSteps}
		defer func() { err = errors.Join(err, x.close()) }()
		var all every
		var hints [][][]byte
		err = s.vault.hashes(func(hash func(byte, string) [32]byte) { all, hints = x.plan(query, hash) })
		if err != nil {
			return err
		}
		found, err = x.run(all, hints, limit)
		return err
	})
	return found, err
}

// search is one search.
type search struct {
	ctx   context.Context
	db    *disk.DB
	open  []*pebble.Iterator
	steps int // that may still be taken
}

func (x *search) close() (err error) {
	for _, it := range x.open {
		err = errors.Join(err, it.Close())
	}
	return err
}

// plan says which customers a query asks for, and for each of its terms the hashes of keys
// of similar names.
func (x *search) plan(query []Term, hash func(byte, string) [32]byte) (all every, hints [][][]byte) {
	hashed := func(t token) []byte {
		sum := hash(t.domain, t.text)
		return bytes.Clone(sum[:shortHash])
	}
	for _, t := range query {
		var ways some
		for _, way := range t.asked() {
			var groups every
			for _, group := range way {
				var one some
				for _, token := range group {
					one = append(one, &postings{x: x, prefix: append([]byte{tableSearch}, hashed(token)...)})
				}
				groups = append(groups, one)
			}
			if len(groups) > 0 {
				ways = append(ways, groups)
			}
		}
		var similar [][]byte
		for _, token := range t.similar() {
			similar = append(similar, hashed(token))
		}
		all, hints = append(all, ways), append(hints, similar)
	}
	return all, hints
}

// errSteps ends a search that has looked at enough.
var errSteps = errors.New("looked at enough")

func (x *search) run(all every, hints [][][]byte, limit int) (found Found, err error) {
	seen := make(map[Ref]bool)
	for at, more := (Ref{}), true; more; {
		ref, ok, err := all.seek(at)
		if errors.Is(err, errSteps) || ok && len(found.Refs) == limit {
			found.More = true
			break
		}
		if err != nil || !ok {
			if err != nil {
				return found, err
			}
			break
		}
		seen[ref] = true
		found.Refs = append(found.Refs, ref)
		at, more = after(ref)
	}
	for i, keys := range hints {
		if len(found.Refs) >= limit {
			break
		}
		others := slices.Concat(all[:i:i], all[i+1:])
		x.steps = maxSteps
		similar, err := x.similar(keys)
		if err != nil {
			return found, err
		}
		for _, ref := range similar {
			if seen[ref] {
				continue
			}
			got, ok, err := others.seek(ref)
			if errors.Is(err, errSteps) || len(found.Refs) == limit {
				found.More = true
				break
			} else if err != nil {
				return found, err
			}
			if len(others) == 0 || ok && got == ref {
				seen[ref] = true
				found.Refs = append(found.Refs, ref)
			}
		}
	}
	return found, nil
}

// similar are the customers with names under these keys, those first that share most with a
// query: a key counts the more, the fewer customers have it.
func (x *search) similar(keys [][]byte) ([]Ref, error) {
	weights := make(map[Ref]int)
	it, err := x.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableSearch}, UpperBound: []byte{tableSearch + 1}})
	if err != nil {
		return nil, err
	}
	x.open = append(x.open, it)
	var refs []Ref
	for _, key := range slices.SortedFunc(slices.Values(keys), bytes.Compare) { // as they lie on the disk
		refs = refs[:0]
		prefix := append([]byte{tableSearch}, key...)
		for ok := it.SeekGE(prefix); ok && bytes.HasPrefix(it.Key(), prefix) && len(refs) < maxSimilarRows; ok = it.Next() {
			if len(it.Key()) == 1+shortHash+16 {
				refs = append(refs, Ref(it.Key()[1+shortHash:]))
			}
		}
		if err := errors.Join(it.Error(), x.ctx.Err()); err != nil {
			return nil, err
		}
		for _, ref := range refs {
			weights[ref] += 1_000_000 / (10 + len(refs))
		}
	}
	return slices.SortedFunc(maps.Keys(weights), func(a, b Ref) int {
		return cmp.Or(cmp.Compare(weights[b], weights[a]), bytes.Compare(a[:], b[:]))
	}), nil
}

// set is a set of customers in the order of refs.
type set interface {
	// seek is the first one at or behind a ref.
	seek(from Ref) (ref Ref, ok bool, err error)
}

// postings are the customers of one search hash.
type postings struct {
	x      *search
	prefix []byte
	it     *pebble.Iterator
	from   Ref // what was sought last
	at     Ref // what was found then, if valid
	valid  bool
}

func (p *postings) seek(from Ref) (Ref, bool, error) {
	if p.it != nil && bytes.Compare(p.from[:], from[:]) <= 0 && (!p.valid || bytes.Compare(from[:], p.at[:]) <= 0) {
		return p.at, p.valid, nil
	}
	if p.x.steps--; p.x.steps < 0 {
		return Ref{}, false, errSteps
	}
	if p.x.steps%256 == 0 && p.x.ctx.Err() != nil {
		return Ref{}, false, p.x.ctx.Err()
	}
	if p.it == nil {
		it, err := p.x.db.NewIter(&pebble.IterOptions{LowerBound: p.prefix, UpperBound: past(p.prefix)})
		if err != nil {
			return Ref{}, false, err
		}
		p.it = it
		p.x.open = append(p.x.open, it)
	}
	p.from = from
	p.valid = p.it.SeekGE(append(p.prefix[:1+shortHash:1+shortHash], from[:]...)) && len(p.it.Key()) == 1+shortHash+16
	if !p.valid {
		return Ref{}, false, p.it.Error()
	}
	p.at = Ref(p.it.Key()[1+shortHash:])
	return p.at, true, nil
}

// some are the customers of any of several sets.
type some []set

func (s some) seek(from Ref) (least Ref, found bool, err error) {
	for _, one := range s {
		ref, ok, err := one.seek(from)
		if err != nil {
			return ref, false, err
		}
		if ok && (!found || bytes.Compare(ref[:], least[:]) < 0) {
			least, found = ref, true
		}
	}
	return least, found, nil
}

// every are the customers of all sets; of none, nobody.
type every []set

func (s every) seek(from Ref) (Ref, bool, error) {
	for agreed, i := 0, 0; len(s) > 0; i = (i + 1) % len(s) {
		ref, ok, err := s[i].seek(from)
		if err != nil || !ok {
			return ref, false, err
		}
		if agreed++; ref != from {
			from, agreed = ref, 1
		}
		if agreed == len(s) {
			return from, true, nil
		}
	}
	return Ref{}, false, nil
}

// after is the next ref; more is false behind the last one.
func after(ref Ref) (next Ref, more bool) {
	for i := len(ref) - 1; i >= 0; i-- {
		if ref[i]++; ref[i] != 0 {
			return ref, true
		}
	}
	return ref, false
}

// How says in which way somebody fits a query.
type How int

// The ways, best first.
const (
	AsWritten How = iota // each word begins one of the name's, or it is the same address, number or account
	InLatin              // so in Latin letters
	Similar              // the name is a similar one
)

// String is the way in words.
func (h How) String() string {
	return [...]string{"as written", "in Latin letters", "similar"}[h]
}

// Match is how somebody fits a query.
type Match struct {
	How   How          // of the term that fits least
	Score screen.Score // of the name that fits least; 0 if none was looked for
}

// SimilarFrom is the score from which on a name is found as a similar one, as on the public
// register's search.
const SimilarFrom screen.Score = 300_000

// Matches says whether and how somebody with these terms fits all terms of a query: where
// several terms fit one of the query, by the best.
func Matches(query, bears []Term) (m Match, ok bool) {
	for _, asked := range query {
		var best Match
		found := false
		for _, reading := range asked.readings() {
			for _, borne := range bears {
				if one, fits := matches(reading, borne); fits && (!found || one.better(best)) {
					best, found = one, true
				}
			}
		}
		if !found {
			return Match{}, false
		}
		m.How = max(m.How, best.How)
		if best.Score > 0 && (m.Score == 0 || best.Score < m.Score) {
			m.Score = best.Score
		}
	}
	return m, len(query) > 0
}

func (m Match) better(than Match) bool {
	return m.How < than.How || m.How == than.How && m.Score > than.Score
}

// eachWordFits tells whether each word of a name that is asked for begins one of the other's,
// or is similar to one: somebody else of the same family does not fit both words. One word
// may stand for several that are written apart, and several for one.
func eachWordFits(asked, borne string) bool {
	form, other := screen.FormOf(asked), screen.FormOf(borne)
	words, theirs := strings.Fields(form.Latin), strings.Fields(other.Latin)
	if len(words) < 2 {
		return true // the score of the whole has said so
	}
	for i, pair := range theirs[:max(0, len(theirs)-1)] {
		theirs = append(theirs, pair+theirs[i+1])
	}
	begins := func(text string) bool {
		_, inLatin := screen.FormOf(text).CoveredBy(other)
		return inLatin
	}
	fits := func(text string) bool {
		q := screen.Query{Name: text}
		return begins(text) || slices.ContainsFunc(theirs, func(word string) bool {
			return screen.Compare(q, &screen.Subject{Names: []screen.Name{{Text: word, Use: screen.Current}}}).Score >= SimilarFrom
		})
	}
	for i, word := range words {
		if len(word) > 1 && !fits(word) && (i == 0 || !begins(words[i-1]+word)) && (i+1 == len(words) || !begins(word+words[i+1])) {
			return false
		}
	}
	return true
}

// matches compares two terms of one kind.
func matches(asked, borne Term) (m Match, ok bool) {
	if asked.Kind != borne.Kind {
		return m, false
	}
	switch asked.Kind {
	case Name:
		q := screen.Query{Name: asked.Text}
		m.Score = screen.Compare(q, &screen.Subject{Names: []screen.Name{{Text: borne.Text, Use: screen.Current}}}).Score
		written, latin := screen.FormOf(asked.Text).CoveredBy(screen.FormOf(borne.Text))
		switch {
		case written:
		case latin:
			m.How = InLatin
		default:
			m.How = Similar
			return m, m.Score >= SimilarFrom && eachWordFits(asked.Text, borne.Text)
		}
		return m, true
	case Email:
		local, domain := emailOf(asked.Text)
		other, there := emailOf(borne.Text)
		return m, domain != "" && domain == there && (local == "" || local == other)
	case Phone:
		return m, samePhone(asked.Text, borne.Text)
	case IP:
		p, err := prefixOf(asked.Text)
		q, wrong := prefixOf(borne.Text)
		return m, err == nil && wrong == nil && q.IsSingleIP() && p.Contains(q.Addr())
	case Account:
		return m, accountOf(asked.Text) == accountOf(borne.Text)
	case Number:
		return m, numberOf(asked.Text) == numberOf(borne.Text)
	}
	return m, false
}
