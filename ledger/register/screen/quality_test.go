package screen

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"unicode"
)

// labelled is a row of the benchmark: two names, and whether people say that they are one party's.
type labelled struct {
	schema, name1, name2 string
	match                bool
	points               int
	blocked              bool    // the names share a blocking key
	frozen               float64 // OpenSanctions' logic-v2 score, NaN if it has none
}

// readLabelled reads the rows of one side of the benchmark alone.
func readLabelled(t *testing.T, wantEven bool) (rows []labelled) {
	t.Helper()
	frozen := make(map[[3]string]float64)
	for _, r := range readCSV(t, "names/logicv2-frozen.csv")[1:] {
		score, err := strconv.ParseFloat(r[9], 64)
		if err != nil {
			t.Fatalf("logicv2-frozen.csv: %v", err)
		}
		frozen[[3]string{r[2], r[3], r[4]}] = score
	}
	for _, r := range readCSV(t, "names/name_bench_cases.csv")[1:] {
		if even(r[2]) != wantEven {
			continue
		}
		l := labelled{schema: r[1], name1: r[2], name2: r[3], match: r[4] == "true", frozen: math.NaN()}
		hit := Compare(Query{Name: l.name1}, &Subject{Schema: l.schema, Names: []Name{{l.name2, Current}}})
		l.points = hit.Points
		keys := BlockingKeys(l.name2)
		l.blocked = slices.ContainsFunc(BlockingKeys(l.name1), func(k string) bool { return slices.Contains(keys, k) })
		if score, ok := frozen[[3]string{r[1], r[2], r[3]}]; ok {
			l.frozen = score
		}
		rows = append(rows, l)
	}
	return rows
}

func (l labelled) hit() bool { return l.blocked && l.points >= 0 }

func isOrganisation(l labelled) bool {
	return slices.Contains([]string{"Company", "Organization", "LegalEntity"}, l.schema)
}

func f1(rows []labelled, yes func(labelled) bool) float64 {
	both, either := 0, 0
	for _, l := range rows {
		if l.match {
			either++
		}
		if yes(l) {
			either++
			if l.match {
				both++
			}
		}
	}
	return 2 * float64(both) / float64(max(either, 1))
}

func recall(rows []labelled, found func(labelled) bool) float64 {
	n, all := 0, 0
	for _, l := range rows {
		if l.match {
			all++
			if found(l) {
				n++
			}
		}
	}
	return float64(n) / float64(max(all, 1))
}

// precisionAt is the precision where recall first reaches least.
func precisionAt(rows []labelled, least float64) float64 {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b labelled) int { return cmp.Compare(b.points, a.points) })
	all := 0
	for _, l := range rows {
		if l.match {
			all++
		}
	}
	hits := 0
	for i, l := range rows {
		if l.match && l.blocked {
			hits++
		}
		if float64(hits) >= least*float64(all) && (i+1 == len(rows) || rows[i+1].points != l.points) {
			return float64(hits) / float64(i+1)
		}
	}
	return 0
}

// bestThreshold is that of the highest F1, the lowest of several.
func bestThreshold(rows []labelled, score func(labelled) float64) (best float64) {
	most := -1.0
	for _, l := range rows {
		at := score(l)
		if f := f1(rows, func(l labelled) bool { return score(l) >= at }); f > most || f == most && at < best {
			most, best = f, at
		}
	}
	return best
}

// interval is the range in which 95 of 100 differences of F1 lie, ours less theirs, when rows are drawn again.
func interval(rows []labelled, ours, theirs func(labelled) bool) (low, high float64) {
	rnd := rand.New(rand.NewPCG(12, 0))
	const times = 2000
	differences := make([]float64, times)
	sample := make([]labelled, len(rows))
	for i := range differences {
		for j := range sample {
			sample[j] = rows[rnd.IntN(len(rows))]
		}
		differences[i] = f1(sample, ours) - f1(sample, theirs)
	}
	slices.Sort(differences)
	return differences[times*25/1000], differences[times*975/1000]
}

func filter(rows []labelled, keep func(labelled) bool) []labelled {
	return slices.DeleteFunc(slices.Clone(rows), func(l labelled) bool { return !keep(l) })
}

func scriptOf(l labelled) string {
	script := func(name string) string {
		for _, r := range name {
			if r >= 0x80 && unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) {
				return "other"
			}
		}
		if isASCII(name) {
			return "ASCII"
		}
		return "Latin"
	}
	a, b := script(l.name1), script(l.name2)
	switch {
	case a == "other" && b == "other":
		return "both of another script"
	case a == "other" || b == "other":
		return "across scripts"
	case a == "Latin" || b == "Latin":
		return "Latin with accents"
	}
	return "ASCII"
}

// The benchmark of opensanctions/nomenklatura, on the rows that nothing was tuned on, against
// OpenSanctions' logic-v2 with its threshold fixed on the even rows, as ours was. The bars are what was
// promised; go test -v prints the table. Blocking's recall is no blind figure there: keys for percent
// signs and for Slavic adjectives of places were added after the two pairs without a key in common were seen.
func TestQuality(t *testing.T) {
	tuning, rows := readLabelled(t, true), readLabelled(t, false)
	scored := func(l labelled) bool { return !math.IsNaN(l.frozen) }
	frozen := func(l labelled) float64 { return l.frozen }
	always := func(labelled) bool { return true }
	theirsFor := func(group func(labelled) bool) func(labelled) bool {
		at := bestThreshold(filter(filter(tuning, group), scored), frozen)
		return func(l labelled) bool { return l.frozen >= at }
	}
	everyone := func(labelled) bool { return true }
	groups := []struct {
		name    string
		keep    func(labelled) bool
		f1, key float64 // the bars, 0 for none
	}{
		{"all", everyone, 0.785, 0.98},
		{"organisations", isOrganisation, 0.859, 0.99},
	}
	for _, schema := range []string{"Company", "Organization", "LegalEntity", "Person", "Vessel"} {
		groups = append(groups, struct {
			name    string
			keep    func(labelled) bool
			f1, key float64
		}{"  " + schema, func(l labelled) bool { return l.schema == schema }, 0, 0})
	}
	for _, script := range []string{"ASCII", "Latin with accents", "both of another script", "across scripts"} {
		groups = append(groups, struct {
			name    string
			keep    func(labelled) bool
			f1, key float64
		}{"  " + script, func(l labelled) bool { return scriptOf(l) == script }, 0, 0})
	}
	t.Logf("%-26s %4s %4s  %5s %5s %5s  %-18s  %7s  %7s  %4s  %6s", "held-out rows", "rows", "true", "F1", "v2", "yes", "F1 less v2's, 95 %", "P@R=0.9", "blocked", "lost", "tuning")
	for _, g := range groups {
		group, even := filter(rows, g.keep), filter(tuning, g.keep)
		// Both on the rows that both scored.
		common := filter(group, scored)
		theirs := theirsFor(everyone)
		if g.f1 > 0 {
			theirs = theirsFor(g.keep)
		}
		low, high := interval(common, labelled.hit, theirs)
		ours, bar := f1(group, labelled.hit), f1(common, theirs)
		keys := recall(group, func(l labelled) bool { return l.blocked })
		n, lost := 0, 0 // pairs that match; those that would be hits, if only they were compared
		for _, l := range group {
			if l.match {
				n++
			}
			if l.points >= 0 && !l.blocked {
				lost++
			}
		}
		t.Logf("%-26s %4d %4d  %.3f %.3f %.3f  %+.3f to %+.3f    %.3f    %.4f   %4d   %.3f", g.name, len(group), n, ours, bar, f1(group, always),
			low, high, precisionAt(group, 0.9), keys, lost, f1(even, labelled.hit))
		if g.f1 > 0 && (ours <= g.f1 || f1(common, labelled.hit) <= bar) {
			t.Errorf("%s: F1 %.3f, %.3f on the rows of logic-v2; want more than %.3f and logic-v2's %.3f", g.name, ours, f1(common, labelled.hit), g.f1, bar)
		}
		if lost > 0 {
			t.Errorf("%s: %d pairs that would be hits are not compared", g.name, lost)
		}
		if keys < g.key {
			t.Errorf("%s: blocking finds %.4f of the pairs that match, want %.2f", g.name, keys, g.key)
		}
	}
	for _, side := range []struct {
		name string
		rows []labelled
	}{{"tuning", tuning}, {"held out", rows}} {
		for _, l := range side.rows {
			if l.match && !l.blocked {
				t.Logf("not blocked (%s): %s %q and %q", side.name, l.schema, l.name1, l.name2)
			}
		}
	}
}

// Names across scripts are a help, and no goal: the test prints what there is.
func TestAcrossScripts(t *testing.T) {
	rows, hits, blocked := 0, 0, 0
	for _, r := range readCSV(t, "names/watchman_cross_script_pairs.csv") {
		if len(r) < 3 || r[0] == "" || r[0][0] == '#' {
			continue
		}
		rows++
		hit := Compare(Query{Name: r[0]}, &Subject{Schema: "Person", Names: []Name{{r[1], Current}}})
		if hit.Score >= Threshold {
			hits++
		} else {
			t.Logf("%s (%v), %s (%v): %v", r[0], Tokens(r[0]), r[1], Tokens(r[1]), hit.Score)
		}
		keys := BlockingKeys(r[1])
		if slices.ContainsFunc(BlockingKeys(r[0]), func(k string) bool { return slices.Contains(keys, k) }) {
			blocked++
		}
	}
	t.Logf("%d of %d pairs are hits, %d are compared", hits, rows, blocked)
	if hits < rows/2 {
		t.Errorf("%d of %d pairs are hits, less than half", hits, rows)
	}
}
