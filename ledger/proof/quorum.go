package proof

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// member is a witness or a group in the quorum's tree (tlog-policy "Defining a
// witness group"). Each is a member of at most one group, so the tree is one.
type member struct {
	name      string
	key       Key // of a witness
	threshold int // k of a group
	members   []*member
	parent    *member
}

func (m *member) isWitness() bool { return len(m.members) == 0 }

// satisfied reports whether the member has witnessed, given which witnesses have.
func (m *member) satisfied(has func(*member) bool) bool {
	if m.isWitness() {
		return has(m)
	}
	return m.countSatisfied(has) >= m.threshold
}

// countSatisfied counts the group's own members that have witnessed.
func (m *member) countSatisfied(has func(*member) bool) int {
	n := 0
	for _, c := range m.members {
		if c.satisfied(has) {
			n++
		}
	}
	return n
}

// witnesses appends the witnesses below the member, in the order of the policy.
func (m *member) witnesses(to []*member) []*member {
	if m.isWitness() {
		return append(to, m)
	}
	for _, c := range m.members {
		to = c.witnesses(to)
	}
	return to
}

// isSingleWitness: the member is one witness, by a key or by a group of its keys, which
// all bear its name.
func (m *member) isSingleWitness() bool {
	return m.isWitness() || len(m.members) > 1 && !slices.ContainsFunc(m.members, func(c *member) bool {
		return !c.isWitness() || c.key.name != m.members[0].key.name
	})
}

// quorumMembers are what counts towards the member: its own members, or itself where it is
// one witness with all its keys.
func (m *member) quorumMembers() (need int, of []*member) {
	if m.isSingleWitness() {
		return 1, []*member{m}
	}
	return m.threshold, m.members
}

// checkOneGroupPerWitness refuses keys of one witness in different groups: an honest
// witness with two keys would count twice, and no analysis by groups would hold.
func (m *member) checkOneGroupPerWitness() error {
	seen := map[string]*member{}
	for _, leaf := range m.witnesses(nil) {
		first, ok := seen[leaf.key.name]
		if ok && first.parent != leaf.parent {
			return fmt.Errorf("witnesses %q and %q have the same key name %s, so one operator: both keys must stand in one group",
				first.name, leaf.name, leaf.key.name)
		}
		seen[leaf.key.name] = leaf
	}
	return nil
}

// forkCost is the least number of dishonest witnesses with which the member
// witnesses two histories. An honest one sides with one history only, with all of
// its keys; if all honest ones side with the first history, the first is always
// satisfied, so only "both" has a cost. Groups share no witness, so the costs of a
// group's members are independent: the least sum over how the members are divided
// into "first", "second" and "both" such that both reach the threshold.
func (m *member) forkCost() int {
	if m.isWitness() {
		return 1
	}
	k := m.threshold
	cheapest := newCostTable(k) // cheapest[a][b]: a members satisfied for the first, b for the second; k means k or more
	cheapest[0][0] = 0
	for _, p := range m.blocs() {
		next := newCostTable(k)
		for a := range cheapest {
			for b, cost := range cheapest[a] {
				if cost == math.MaxInt {
					continue
				}
				a2, b2 := min(a+p.votes, k), min(b+p.votes, k)
				next[a2][b] = min(next[a2][b], cost)
				next[a][b2] = min(next[a][b2], cost)
				next[a2][b2] = min(next[a2][b2], cost+p.bothCost)
			}
		}
		cheapest = next
	}
	return cheapest[k][k]
}

// bloc is what sides together in a group: a group within, or a witness with all
// keys that it has there.
type bloc struct {
	votes    int // members that it satisfies
	bothCost int // dishonest witnesses needed for it to satisfy both histories
}

func (m *member) blocs() []bloc {
	var ps []bloc
	at := map[string]int{} // key name → position
	for _, c := range m.members {
		if !c.isWitness() {
			ps = append(ps, bloc{votes: 1, bothCost: c.forkCost()})
			continue
		}
		i, ok := at[c.key.name]
		if !ok {
			i = len(ps)
			at[c.key.name] = i
			ps = append(ps, bloc{bothCost: 1})
		}
		ps[i].votes++
	}
	return ps
}

func newCostTable(k int) [][]int {
	s := make([][]int, k+1)
	for i := range s {
		s[i] = slices.Repeat([]int{math.MaxInt}, k+1)
	}
	return s
}

// QuorumError is a checkpoint of the right log that too few witnesses cosigned.
type QuorumError struct {
	Have, Need int      // members of the quorum that witnessed, and that must
	Missing    []string // members of the quorum that did not, by their names in the policy
	Witnesses  []string // the single witnesses below those that did not cosign
	Ignored    []string // cosignatures that verify and do not count, each with why
}

func (e *QuorumError) Error() string {
	s := fmt.Sprintf("not enough cosignatures: %d of %d (%s missing)", e.Have, e.Need, strings.Join(e.Missing, ", "))
	if len(e.Ignored) > 0 {
		s += "; not counted: " + strings.Join(e.Ignored, ", ")
	}
	return s
}

// quorumError says what the quorum lacks.
func (m *member) quorumError(has func(*member) bool) *QuorumError {
	need, of := m.quorumMembers()
	e := &QuorumError{Need: need}
	for _, c := range of {
		if c.satisfied(has) {
			e.Have++
			continue
		}
		name := c.name
		if n := c.countSatisfied(has); n > 0 {
			name = fmt.Sprintf("%s: %d of %d", c.name, n, c.threshold)
		}
		e.Missing = append(e.Missing, name)
		for _, leaf := range c.witnesses(nil) {
			if !has(leaf) {
				e.Witnesses = append(e.Witnesses, leaf.name)
			}
		}
	}
	return e
}
