package screen

import (
	"math/rand/v2"
	"testing"
)

// What keeps names from being aligned never keeps a hit away: of random names, and of real ones as they are
// where the list is.
func TestAtMost(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, and long: run without -short")
	}
	rnd := rand.New(rand.NewPCG(21, 22))
	t.Run("random", func(t *testing.T) {
		words := append([]string{"china", "germany", "berlin", "(uk)", "(berlin)", "(quark)", "gmbh", "c/o", "t/a", "hk", "general", "bank", "i", "2", "khm", "aabbcc", "ssh", "k"}, vocabulary...)
		name := func() string {
			text := ""
			for range 1 + rnd.IntN(6) {
				word := words[rnd.IntN(len(words))]
				for rnd.IntN(3) == 0 {
					word = slip(word+"s", rnd)
				}
				text += word + []string{" ", " ", " ", "", "-"}[rnd.IntN(5)]
			}
			return text
		}
		x := NewIndex(fictional())
		for range 3_000 {
			checkAtMost(t, x, name(), name())
		}
	})
	t.Run("real", func(t *testing.T) {
		subjects := ofacSubjects(t)
		x := NewIndex(subjects)
		s := x.pool.Get().(*search)
		for _, q := range customers(t, subjects, 10, 23) {
			for _, at := range x.candidates(s, prepare(&q)) {
				checkAtMost(t, x, q.Name, x.names[at].text)
			}
		}
	})
}

func checkAtMost(t *testing.T, x *Index, first, second string) {
	t.Helper()
	for _, bare := range []bool{false, true} {
		a, b := parse(first, bare), parse(second, bare)
		x.weigh(a)
		x.weigh(b)
		for _, person := range []bool{false, true} {
			s := new(scratch)
			points, _ := s.compare(a, b, person)
			for _, needed := range []int{-1 << 30, 1 << 30} { // with a second look, and without
				if most := s.atMost(a, b, person, needed); most < points {
					t.Fatalf("%q and %q (bare %v, person %v): at most %d points (needed %d), but they have %d: %v", first, second, bare, person, most, needed, points, s.features)
				}
			}
		}
	}
}

// Words that are told apart by their letters are told apart by edits.
func TestFarApart(t *testing.T) {
	rnd := rand.New(rand.NewPCG(24, 25))
	const letters = "aeiouybpdtgkqcszxvwfj01l5mnrrhhss7é"
	far := 0
	for range 50_000 {
		var words [2]string
		for i := range words {
			for range 1 + rnd.IntN(9) {
				words[i] += string([]rune(letters)[rnd.IntN(34+rnd.IntN(60)/59)])
			}
		}
		if rnd.IntN(2) == 0 {
			words[1] = slip(slip(words[0], rnd)+"s", rnd)
		}
		a, b := spell(words[0]), spell(words[1])
		marksA, marksB := a.marks(), b.marks()
		d := distance(&a, &b, 1<<20)
		if farApart(&marksA, &marksB, d) {
			t.Fatalf("%q and %q are %d apart, and called farther", words[0], words[1], d)
		}
		if farApart(&marksA, &marksB, d*3/4) {
			far++
		}
	}
	if far < 12_500 {
		t.Errorf("only %d of 50,000 pairs are told apart", far)
	}
}
