package proof

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
)

// ForkCost against its definition: the least number of dishonest operators such
// that the honest ones can be divided so that both sides make a quorum.
func TestForkCost(t *testing.T) {
	const rounds = 300
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 1))
		text, operators := randomPolicy(rng)
		p, err := ParsePolicy([]byte(text))
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if got, want := p.ForkCost(), forkCostByBruteForce(p, operators); got != want {
			t.Errorf("got %d, want %d (seed %d)\n%s", got, want, seed, text)
		}
	}
}

func forkCostByBruteForce(p *Policy, operators int) int {
	quorum := func(set uint) bool {
		return p.quorum.satisfied(func(m *member) bool {
			var o int
			fmt.Sscanf(m.key.name, "op%d", &o)
			return set>>o&1 == 1
		})
	}
	best := operators + 1
	for bad := uint(0); bad < 1<<operators; bad++ {
		if bits.OnesCount(bad) >= best {
			continue
		}
		honest := 1<<operators - 1 - bad
		for side := honest; ; side = (side - 1) & honest {
			if quorum(side|bad) && quorum(honest&^side|bad) {
				best = bits.OnesCount(bad)
				break
			}
			if side == 0 {
				break
			}
		}
	}
	return best
}

// randomPolicy is a tree of groups over up to six operators with one to three keys
// each, an operator's keys in one group, some in a group of their own.
func randomPolicy(rng *rand.Rand) (text string, operators int) {
	operators = 1 + rng.IntN(6)
	var b strings.Builder
	key := 0
	var open [][]string // units that a group may take, each whole
	for o := range operators {
		var unit []string
		for range 1 + rng.IntN(3) {
			name := fmt.Sprintf("k%d", key)
			fmt.Fprintf(&b, "witness %s %s\n", name, vkeyOf(fmt.Sprintf("op%d", o), CosignatureEd25519, numberedKey(2, key)))
			unit = append(unit, name)
			key++
		}
		open = append(open, unit)
	}
	for g := 0; ; g++ {
		rng.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
		take := 1 + rng.IntN(len(open))
		if g > 6 {
			take = len(open)
		}
		var members []string
		for _, u := range open[:take] {
			members = append(members, u...)
		}
		fmt.Fprintf(&b, "group g%d %d %s\n", g, 1+rng.IntN(len(members)), strings.Join(members, " "))
		open = append(open[take:], []string{fmt.Sprintf("g%d", g)})
		if len(open) == 1 {
			fmt.Fprintf(&b, "quorum g%d\n", g)
			return b.String(), operators
		}
	}
}

func TestForkCostOfKnownPolicies(t *testing.T) {
	witnesses := func(n, keys int) (text string) {
		for i := range n {
			var names []string
			for k := range keys {
				names = append(names, fmt.Sprintf("w%d-%d", i, k))
				text += fmt.Sprintf("witness w%d-%d %s\n", i, k, vkeyOf(fmt.Sprintf("w%d.example", i), CosignatureEd25519, numberedKey(byte(2+k), i)))
			}
			text += fmt.Sprintf("group w%d any %s\n", i, strings.Join(names, " "))
		}
		return text
	}
	all := func(n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("w%d", i)
		}
		return strings.Join(names, " ")
	}
	for _, test := range []struct {
		n, keys int
		rest    string
		want    int
	}{
		{1, 1, "quorum w0", 1},
		{3, 1, "group g 2 w0 w1 w2\nquorum g", 1},
		{3, 2, "group g 2 w0 w1 w2\nquorum g", 1}, // two keys do not let an honest witness be in both quorums
		{3, 1, "group g all w0 w1 w2\nquorum g", 3},
		{3, 1, "group g any w0 w1 w2\nquorum g", 0},
		{4, 1, "group g 2 w0 w1 w2 w3\nquorum g", 0},
		{5, 1, "group g 4 w0 w1 w2 w3 w4\nquorum g", 3},
		{6, 1, "group x 2 w0 w1 w2\ngroup y any w3 w4 w5\ngroup g all x y\nquorum g", 1}, // the text's example: x must meet
		{32, 2, "group g 22 " + all(32) + "\nquorum g", 12},
	} {
		p, err := ParsePolicy([]byte(witnesses(test.n, test.keys) + test.rest + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.ForkCost(); got != test.want {
			t.Errorf("%d witnesses, %s: got %d, want %d", test.n, test.rest, got, test.want)
		}
	}
}
