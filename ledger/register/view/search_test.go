package view_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// searched is what the model of search knows of a thread: who bears what, and bore it.
type searched struct {
	name    string
	weak    map[string]bool // aliases
	former  []string        // names that were replaced
	dropped []string        // aliases that were
	other   []string        // identifiers that have parts
	numbers []string        // asn, lei, … as they are asked for
	gone    []string        // numbers of before
}

func (s searched) clone() searched {
	s.weak, s.former, s.dropped = maps.Clone(s.weak), slices.Clone(s.former), slices.Clone(s.dropped)
	return s
}

// matches is the naive search: how a question finds one thing, by looking at all of it.
func (s searched) matches(q string) view.How {
	same := func(a, b string) bool { return rules1.NameKey(a) == rules1.NameKey(b) }
	isSame := func(n string) bool { return same(n, q) }
	texts := append(slices.Collect(maps.Keys(s.weak)), s.name)
	switch {
	case slices.Contains(s.numbers, q):
		return view.HowIdentifier
	case isSame(s.name):
		return view.HowExact
	case slices.ContainsFunc(texts, isSame):
		return view.HowAlias
	case slices.ContainsFunc(s.former, isSame), slices.ContainsFunc(s.dropped, isSame), slices.Contains(s.gone, q):
		return view.HowFormer
	}
	for _, text := range slices.Concat(texts, s.former, s.other) {
		if naivelyCovers(rules1.NameKey(q), rules1.NameKey(text)) || naivelyCovers(strings.Join(screen.Tokens(q), " "), strings.Join(screen.Tokens(text), " ")) {
			return view.HowPart
		}
	}
	return ""
}

// naivelyCovers tries each word at each place of a text at which one begins.
func naivelyCovers(words, text string) bool {
	chars := []rune(text)
	for _, word := range strings.Fields(words) {
		found := false
		for i, c := range chars {
			if (i == 0 || chars[i-1] == ' ' || unicode.In(c, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana)) && strings.HasPrefix(string(chars[i:]), word) {
				found = true
			}
		}
		if !found {
			return false
		}
	}
	return strings.TrimSpace(words) != ""
}

// TestSearchAgainstModel: on random histories of names that are given, replaced, dropped and
// given again, search finds as of any size what a look at everything finds, in the same way;
// and of all others those that screening finds similar, as far as they share a key with what
// was looked for.
func TestSearchAgainstModel(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, and long: run without -short")
	}
	words := []string{"kestrel", "Kestrels", "hosting", "Host", "Ltd.", "11420", "114", "O'Neil", "Кестрел", "хостинг", "雪鸮云计算", "云", "Żółć", "zolc", "한빛", "ひかり", "S.A."}
	counted := make(map[view.How]int)
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 12))
		pick := func() string { return words[rng.IntN(len(words))] }
		newName := func() string {
			name := pick()
			for range rng.IntN(3) {
				name += []string{" ", " ", "-"}[rng.IntN(3)] + pick()
			}
			return name
		}
		b := registertest.NewFixture(start, "acme-cloud")
		now := map[record.Thread]searched{"party/acme-cloud": {name: "acme-cloud, Inc. (fictional)", other: []string{"acme-cloud"}}}
		authority, err := latestView(t, b).PartySummary("authority", b.Now)
		if err != nil {
			t.Fatal(err)
		}
		now["party/authority"] = searched{name: authority.LegalName, other: []string{"authority"}}
		type state struct {
			size    uint64
			threads map[record.Thread]searched
		}
		var states []state
		for range 50 {
			id := fmt.Sprint(36 + rng.IntN(5))
			thread := record.ImportThread("ofac-sdn", id)
			s, known := now[thread]
			s = s.clone()
			alias := func(name string, weak bool) schema.Object {
				o := schema.Object{{Name: "name", Value: name}, {Name: "type", Value: "aka"}}
				if weak {
					o = append(o, schema.Object{{Name: "weak", Value: true}}...)
				}
				return setMember("target", setMember("alias", []any{o}))
			}
			var p record.Predicate
			switch kind := rng.IntN(6); {
			case kind == 0:
				party := now["party/acme-cloud"].clone()
				name := newName()
				if name != party.name {
					party.former = append(party.former, party.name)
				}
				party.name = name
				e := &record.Enrolment{LegalName: name, Country: "US", Roles: []record.Role{record.RoleProvider}}
				submit(t, b, "party/acme-cloud", "acme-cloud", e, "acme-cloud/compliance", "authority/officer-1")
				now = maps.Clone(now)
				now["party/acme-cloud"] = party
				states = append(states, state{b.Register.Size(), now})
				continue
			case !known || kind == 1:
				if known {
					b.Must(b.ImportListed(id, &record.Revocation{EffectiveOn: today(b), Cause: "delisted", Reason: "r"}))
				}
				d := b.NewListedDesignation(id, newName())
				d.Target.ASN, d.Target.RegistrationNumber = []int64{64500 + int64(rng.IntN(3))}, "HRB "+pick()
				for a := range s.weak {
					s.dropped = append(s.dropped, a)
				}
				if known && s.name != d.Target.Name {
					s.former = append(s.former, s.name)
				}
				s.name, s.weak = d.Target.Name, map[string]bool{}
				s.gone = append(slices.Clip(s.gone), s.numbers...)
				s.other = []string{d.Target.RegistrationNumber, id, "ofac-sdn-" + id}
				s.numbers = []string{fmt.Sprintf("AS%d", d.Target.ASN[0]), fmt.Sprint(d.Target.ASN[0]), d.Target.RegistrationNumber, "ofac-sdn-" + id, string(thread)}
				p = d
			case kind == 2:
				name := newName()
				if name == s.name {
					continue
				}
				s.former, s.name = append(s.former, s.name), name
				p = &record.Amendment{Type: "correction", Reason: "r", Set: setMember("target", setMember("name", name))}
			case kind == 3 && len(s.weak) > 0:
				name := slices.Sorted(maps.Keys(s.weak))[rng.IntN(len(s.weak))]
				p = &record.Amendment{Type: "alias", Reason: "r", Drop: alias(name, s.weak[name])}
				delete(s.weak, name)
				s.dropped = append(s.dropped, name)
			default:
				name, weak := newName(), rng.IntN(3) == 0
				if _, listed := s.weak[name]; listed {
					continue
				}
				s.weak[name] = weak
				p = &record.Amendment{Type: "alias", Reason: "r", Add: alias(name, weak)}
			}
			b.Must(b.ImportListed(id, p))
			now = maps.Clone(now)
			now[thread] = s
			states = append(states, state{b.Register.Size(), now})
		}
		for _, s := range states {
			v, err := view.At(b.Register, s.size)
			if err != nil {
				t.Fatal(err)
			}
			for range 8 {
				q := pick()
				switch rng.IntN(6) {
				case 0:
					q = newName()
				case 1:
					q += " " + pick()
				case 2:
					_, first := utf8.DecodeRuneInString(q)
					q = q[:first]
				case 3:
					if len(s.threads) > 1 {
						all := s.threads[slices.Sorted(maps.Keys(s.threads))[0]]
						q = slices.Concat(all.former, all.dropped, all.numbers, []string{all.name})[0]
					}
				case 4:
					q = []string{"64500", "as64501", "ofac-sdn-37", "designation/ofac-sdn-38", "37", "HRB", "acme"}[rng.IntN(7)]
					q = strings.Replace(q, "as", "AS", 1)
				}
				found, err := v.Search(q, view.SearchFilter{}, b.Now)
				if err != nil || len(found.More) > 0 {
					t.Fatalf("%q: %v, more %q", q, err, found.More)
				}
				got, want := make(map[record.Thread]view.How), make(map[record.Thread]view.How)
				for _, h := range found.Hits {
					got[h.Thread] = h.How
				}
				from := view.SimilarFrom
				for _, s := range s.threads {
					if how := s.matches(q); how != "" && how != view.HowPart {
						from = screen.Threshold
					}
				}
				for thread, s := range s.threads {
					how := s.matches(q)
					if how == "" {
						how = s.similar(q, from)
					}
					if how != "" {
						want[thread] = how
					} else if got[thread] == view.HowSimilar { // a thread whose name differs by a slip of the pen
						delete(got, thread)
					}
				}
				if !maps.Equal(got, want) {
					t.Fatalf("seed %d, size %d: %q finds %v, want %v of %+v", seed, s.size, q, got, want, s.threads)
				}
				for _, how := range want {
					counted[how]++
				}
			}
		}
	}
	t.Logf("hits: %v", counted)
	for _, how := range view.Hows {
		if counted[how] < 10 && how != view.HowSimilar {
			t.Errorf("%d hits are %s: the histories are too dull", counted[how], how)
		}
	}
}

// similar is whether screening finds a name of it similar, of those that share a key with the
// question.
func (s searched) similar(q string, from screen.Score) view.How {
	subject := &screen.Subject{Names: []screen.Name{{Text: s.name, Use: screen.Current}}}
	for a, weak := range s.weak {
		use := screen.Alias
		if weak {
			use = screen.Weak
		}
		subject.Names = append(subject.Names, screen.Name{Text: a, Use: use})
	}
	for _, n := range s.former {
		subject.Names = append(subject.Names, screen.Name{Text: n, Use: screen.Former})
	}
	shared := false
	for _, n := range append(slices.Clone(s.dropped), slices.Collect(func(yield func(string) bool) {
		for _, n := range subject.Names {
			if !yield(n.Text) {
				return
			}
		}
	})...) {
		shared = shared || slices.ContainsFunc(register.SimilarKeys(n), func(key string) bool { return slices.Contains(register.SimilarKeys(q), key) })
	}
	if shared && screen.Compare(screen.Query{Name: q}, subject).Score >= from {
		return view.HowSimilar
	}
	return ""
}

// namesakes is a ledger with so many imported entities that share a word, and one that does
// not.
func namesakes(tb testing.TB, n int) *registertest.Fixture {
	tb.Helper()
	b := registertest.NewFixture(start)
	b.Must(b.ImportListed("x", b.NewListedDesignation("x", "Quetzal Trading")))
	d := b.Register.Begin(b.Now)
	for i := range n {
		id := fmt.Sprint(i)
		st := b.Statement(record.ImportThread("ofac-sdn", id), record.Authority, b.NewListedDesignation(id, fmt.Sprintf("Trading Company %d", i)))
		env := b.Sign(st, "authority/nightly-import")
		v, err := record.Open(env, b.Register.CandidateKeys)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := d.Judge(v); err != nil {
			tb.Fatal(err)
		}
	}
	if err := b.Register.Advance(d, [32]byte{}); err != nil {
		tb.Fatal(err)
	}
	return b
}

// A word that very many bear, and a letter that begins every one, are looked at as far as the
// bound goes, which is said; a rare word beside it finds who is meant, whatever the order. The
// answer is the same each time, and a budget cuts it short without an error.
func TestSearchIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, and long: run without -short")
	}
	b := namesakes(t, 1_500)
	v := latestView(t, b)
	for q, bound := range map[string][2]int{"trading": {250, 300}, "t": {250, 300}, "company trading": {900, 1_300}} {
		found, err := v.Search(q, view.SearchFilter{Limit: 10}, b.Now)
		if err != nil {
			t.Fatal(err)
		}
		if found.Total < bound[0] || found.Total > bound[1] || len(found.Hits) != 10 || len(found.More) != 1 || !strings.HasPrefix(q+" trading", found.More[0]) {
			t.Errorf("%q: %d hits, more %q", q, found.Total, found.More)
		}
		again, err := v.Search(q, view.SearchFilter{Limit: 10}, b.Now)
		if err != nil || !slices.Equal(again.Hits, found.Hits) || again.Total != found.Total {
			t.Errorf("%q finds %d hits, then %d: %v", q, found.Total, again.Total, err)
		}
	}
	for _, q := range []string{"trading quetzal", "Quetzal trad", "company 1234", "trading company 1234"} {
		found, err := v.Search(q, view.SearchFilter{}, b.Now)
		if err != nil || len(found.More) > 0 || found.Hits[0].How == view.HowSimilar || found.Hits[0].Thread != "designation/ofac-sdn-x" && found.Hits[0].Thread != "designation/ofac-sdn-1234" {
			t.Errorf("%q: %+v, more %q, %v", q, found.Hits, found.More, err)
		}
	}
	before := b.Register.RowsRead()
	found, err := v.WithBudget(register.ReadBudget{Rows: 300, Bytes: 1 << 20}).Search("trading", view.SearchFilter{}, b.Now)
	if read := b.Register.RowsRead() - before; err != nil || !slices.Contains(found.More, "") || read > 301 {
		t.Errorf("with a budget: %d hits, %d rows, more %q, %v", found.Total, read, found.More, err)
	}
}

// Pages are the whole list in order, and the counts are those of the other filters.
func TestSearchPages(t *testing.T) {
	b := namesakes(t, 40)
	v := latestView(t, b)
	all, err := v.Search("trading", view.SearchFilter{}, b.Now)
	if err != nil || all.Total != 41 || all.Counts.Kind["designation"] != 41 || all.Counts.Status["in-force"] != 41 {
		t.Fatalf("%d, %+v, %v", all.Total, all.Counts, err)
	}
	var paged []view.Hit
	for after := 0; ; {
		page, err := v.Search("trading", view.SearchFilter{Limit: 7, After: after}, b.Now)
		if err != nil || page.Total != 41 {
			t.Fatalf("%d, %v", page.Total, err)
		}
		paged = append(paged, page.Hits...)
		if after = page.Next; after == 0 {
			break
		}
	}
	if !slices.Equal(paged, all.Hits) {
		t.Errorf("the pages have %d hits, not the %d in order", len(paged), len(all.Hits))
	}
	filtered, err := v.Search("trading", view.SearchFilter{Kind: "party", Status: "in-force"}, b.Now)
	if err != nil || filtered.Total != 0 || filtered.Counts.Kind["designation"] != 41 || len(filtered.Counts.Status) != 0 {
		t.Errorf("%+v, %v", filtered, err)
	}
}

// FuzzSearch asks whatever comes: nothing fails but what cannot be compared, each hit matches
// by the rule, and the order is that of the ways.
func FuzzSearch(f *testing.F) {
	b := registertest.NewFixture(start, "acme-cloud")
	for i, name := range []string{"Kestrel Hosting FZ-LLC", "11420 O'Neil", "雪鸮云计算", "Кестрел", "שלום بنك", "ｆｕｌｌ　ｗｉｄｔｈ", "ǅ ß ŉ"} {
		id := fmt.Sprint(i)
		b.Must(b.ImportListed(id, b.NewListedDesignation(id, name)))
	}
	v, err := view.Latest(b.Register)
	if err != nil {
		f.Fatal(err)
	}
	for _, q := range []string{"kestrel", "AS64496", "lei:x", "#1", "0123456789abcdef", "https://a.example/?q", "a@b.example", "\x1f\x00\xff", "\u202eevil\u2066", "بنك", "云 计", "designation/", "'", "domain:", strings.Repeat("a b ", 200)} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, q string) {
		found, err := v.Search(q, view.SearchFilter{}, b.Now)
		if clean, bad := view.CleanQuery(q); (bad != nil) != (err != nil) || err == nil && clean != found.Query {
			t.Fatalf("%q: %v, but cleaned %q, %v", q, err, clean, bad)
		}
		if err != nil {
			return
		}
		if again, err := view.CleanQuery(found.Query); err != nil || again != found.Query {
			t.Fatalf("%q is cleaned to %q, and then to %q: %v", q, found.Query, again, err)
		}
		last := 0
		for _, h := range found.Hits {
			way := slices.Index(view.Hows, h.How)
			if way < last {
				t.Fatalf("%q: %s after %s", q, h.How, view.Hows[last])
			}
			if last = way; h.Record.IsZero() || h.Thread == "" || h.Matched == "" || h.Scheme == "" {
				t.Fatalf("%q: %+v", q, h)
			}
		}
		for _, form := range found.Compared {
			if form.Words() == "" || strings.HasPrefix(form.Words(), " ") {
				t.Fatalf("%q: %+v has no words", q, form)
			}
		}
	})
}
