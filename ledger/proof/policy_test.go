package proof

import (
	"cmp"
	"regexp"

	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// One line for each thing that tlog-policy, or DESIGN.md section 4, requires. L1,
// L2, W1 … are vkeys, see policyKeys.
func TestPolicyTable(t *testing.T) {
	keys := policyKeys(t)
	for _, test := range []struct {
		name, text string
		err        string // "" if it must be read
	}{
		// Structure
		{"the least", "quorum none\n", ""},
		{"a log", "log L1\nquorum none\n", ""},
		{"several logs", "log L1\nlog L2 https://l2.example/\nquorum none\n", ""},
		{"a log of both types", "log L1\nlog L1pq\nquorum none\n", ""},
		{"white space and comments", "\n \t \n# c\n\t # c\n \tlog\t \tL1  \n#\nquorum  none\t\n", ""},
		{"witnesses after the quorum", "witness a W1\nquorum a\nwitness b W2\n", ""},
		{"logs after the quorum", "quorum none\nlog L1\n", ""},
		{"any, all, numbers", "witness a W1\nwitness b W2\nwitness c W3\ngroup x any a b\ngroup y 2 x c\nquorum y\n", ""},
		{"nested groups", "witness a W1\nwitness b W2\nwitness c W3\ngroup x 1 a\ngroup y all x b\ngroup z any y c\nquorum z\n", ""},
		{"names like keywords", "witness any W1\nwitness all W2\nwitness log W3\ngroup 2 2 any all log\nquorum 2\n", ""},
		{"opaque octets", "witness \xff\xfe W1 https://\u00e9.example/\ngroup K\u00a0x any \xff\xfe\nquorum K\u00a0x\n# \x80\n", ""},
		{"Kelvin is not K", "witness K W1\nwitness \u212a W2\nquorum K\n", ""},
		{"unused witnesses and groups", "witness a W1\nwitness b W2\ngroup g any b\nquorum a\n", ""},
		{"two keys in one group", "witness a W1\nwitness b W1pq\ngroup g any a b\nquorum g\n", ""},
		{"a spare key outside the quorum", "witness a W1\nwitness b W1pq\nquorum a\n", ""},

		{"empty", "", "whole"},
		{"no quorum", "log L1\n", "whole"},
		{"two quorums", "quorum none\nquorum none\n", "line 2"},
		{"two quorums, one set", "witness a W1\nquorum none\nquorum a\n", "line 3"},
		{"quorum of two", "witness a W1\nwitness b W2\nquorum a b\n", "line 3"},
		{"quorum of nothing", "quorum\n", "line 1"},
		{"quorum defined below", "quorum a\nwitness a W1\n", "line 1"},
		{"quorum is a log", "log L1\nquorum log.example/1\n", "line 2"},
		{"no final newline", "log L1\nquorum none", "whole"},
		{"unknown word", "log L1\nmonitor x\nquorum none\n", "line 2"},
		{"upper case", "Quorum none\n", "line 1"},
		{"comment after items", "quorum none # really\n", "line 1"},
		// Character set
		{"carriage return", "quorum none\r\n", "line 1"},
		{"NUL in a comment", "# \x00\nquorum none\n", "line 1"},
		{"DEL", "# a\n# \x7f\nquorum none\n", "line 2"},
		{"no-break space is no white space", "quorum\u00a0none\n", "line 1"},
		// Logs
		{"log without key", "log\nquorum none\n", "line 1"},
		{"log with a name", "log l L1 https://l.example/\nquorum none\n", "line 1"},
		{"log with a witness's key", "log W1\nquorum none\n", "line 1"},
		{"log with a wrong key ID", "log L1bad\nquorum none\n", "line 1"},
		{"log twice", "log L1\nlog L1\nquorum none\n", "line 2"},
		{"log twice under two names", "log L1\nlog L1renamed\nquorum none\n", "line 2"},
		{"log with a bad URL", "log L1 log.example\nquorum none\n", "line 1"},
		{"log with a path for a URL", "log L1 file:///tmp\nquorum none\n", "line 1"},
		{"log with a URL of nothing", "log L1 https://\nquorum none\n", "line 1"},
		// Witnesses
		{"witness without key", "witness a\nquorum none\n", "line 1"},
		{"witness with a log's key", "witness a L1\nquorum none\n", "line 1"},
		{"witness with a wrong key ID", "witness a W1bad\nquorum none\n", "line 1"},
		{"witness twice", "witness a W1\nwitness b W1\nquorum none\n", "line 2"},
		{"witness twice under two names", "witness a W1\nwitness b W1renamed\nquorum none\n", "line 2"},
		{"log key as witness, other type", "log L1\nwitness a L1cosig\nquorum none\n", "line 2"},
		{"log key as witness, same type", "log L1pq\nwitness a L1pq\nquorum none\n", "line 2"},
		{"witness key as log", "witness a W1\nlog W1log\nquorum none\n", "line 2"},
		{"witness named none", "witness none W1\nquorum none\n", "line 1"},
		{"a name twice", "witness a W1\nwitness a W2\nquorum none\n", "line 2"},
		{"a name for a witness and a group", "witness a W1\ngroup a any a\nquorum a\n", "line 2"},
		// Groups
		{"k = 0", "witness a W1\ngroup g 0 a\nquorum g\n", "line 2"},
		{"k > n", "witness a W1\ngroup g 2 a\nquorum g\n", "line 2"},
		{"k negative", "witness a W1\ngroup g -1 a\nquorum g\n", "line 2"},
		{"k with sign", "witness a W1\ngroup g +1 a\nquorum g\n", "line 2"},
		{"k with zeros", "witness a W1\ngroup g 01 a\nquorum g\n", "line 2"},
		{"k in hexadecimal", "witness a W1\ngroup g 0x1 a\nquorum g\n", "line 2"},
		{"k enormous", "witness a W1\ngroup g 18446744073709551617 a\nquorum g\n", "line 2"},
		{"no threshold", "witness a W1\ngroup g a\nquorum g\n", "line 2"},
		{"no member", "group g any\nquorum g\n", "line 1"},
		{"no member, number", "group g 0\nquorum g\n", "line 1"},
		{"none as a member", "witness a W1\ngroup g any a none\nquorum g\n", "line 2"},
		{"group named none", "witness a W1\ngroup none any a\nquorum none\n", "line 2"},
		{"member defined below", "group g any a\nwitness a W1\nquorum g\n", "line 1"},
		{"itself as a member", "group g any g\nquorum g\n", "line 1"},
		{"member twice", "witness a W1\nwitness b W2\ngroup g 2 a a b\nquorum g\n", "line 3"},
		{"member of two groups", "witness a W1\nwitness b W2\ngroup g any a\ngroup h any a b\nquorum h\n", "line 4"},
		{"a log as a member", "log L1\ngroup g any log.example/1\nquorum g\n", "line 2"},
		{"one operator in two groups", "witness a W1\nwitness b W1pq\nwitness c W2\ngroup g any b c\ngroup h all a g\nquorum h\n", "line 6"},
	} {
		p, err := ParsePolicy([]byte(keys.Replace(test.text)))
		switch {
		case test.err == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.err == "":
			again, err := ParsePolicy([]byte(p.Text()))
			if err != nil || again.Text() != p.Text() || again.Fingerprint() != p.Fingerprint() {
				t.Errorf("%s: the canonical text reads as %v", test.name, err)
			}
		case err == nil:
			t.Errorf("%s: no error, want one at %s", test.name, test.err)
		default:
			t.Run(test.name, func(t *testing.T) { checkLine(t, err, test.err) })
		}
	}
}

// checkLine asserts on which line of a text an error lies, "whole" for none, and its words.
func checkLine(t *testing.T, err error, want string) {
	t.Helper()
	if got := cmp.Or(lineOf.FindString(err.Error()), "whole"); got != want {
		t.Errorf("got %v, want one at %s", err, want)
	}
	checkWords(t, err)
}

// checkWords holds an error's words against the golden file, without what is other in every run.
func checkWords(t *testing.T, err error) {
	t.Helper()
	refusaltest.Words(t, ofThisRun.ReplaceAllString(err.Error(), "X"))
}

var (
	lineOf    = regexp.MustCompile(`\bline \d+`)
	ofThisRun = regexp.MustCompile(`\b[0-9a-f]{8}\b|[A-Za-z0-9+/]{40,}=*`)
)

// policyKeys replaces names of keys by vkeys: W1 and W1pq are one operator's two,
// W1renamed the same key under another name, W1log the same key as a log's, ….
func policyKeys(t *testing.T) *strings.Replacer {
	c := newTestKeys(t)
	w := func(name string) Key { return c.witness[name].Key() }
	as := func(k Key, name string, alg Algorithm) string { return vkeyOf(name, alg, []byte(k.material)) }
	bad := func(k Key) string {
		return strings.Replace(k.String(), fmt.Sprintf("%08x", k.ID()), fmt.Sprintf("%08x", k.ID()^1), 1)
	}
	l := c.log.Key()
	return strings.NewReplacer(
		"L1pq", c.logPQ.Key().String(),
		"L1bad", bad(l),
		"L1renamed", as(l, "other.example", Ed25519),
		"L1cosig", as(l, testOrigin, CosignatureEd25519),
		"L1", l.String(),
		"L2", newSigner(t, Ed25519).Key().String(),
		"W1pq", w("w1-pq").String(),
		"W1bad", bad(w("w1")),
		"W1renamed", as(w("w1"), "other.example", CosignatureEd25519),
		"W1log", as(w("w1"), "w1.example", Ed25519),
		"W1", w("w1").String(),
		"W2", w("w2").String(),
		"W3", w("w3").String(),
	)
}

// "It is strongly recommended that an implementation supports at least up to 32
// logs, 32 witnesses, and 32 groups."
func TestPolicyLimits(t *testing.T) {
	lines := func(logs, witnesses, groups int) string {
		var b strings.Builder
		for i := range logs {
			fmt.Fprintf(&b, "log %s\n", vkeyOf(fmt.Sprintf("l%d", i), Ed25519, numberedKey(1, i)))
		}
		for i := range witnesses {
			fmt.Fprintf(&b, "witness w%d %s\n", i, vkeyOf(fmt.Sprintf("w%d", i), CosignatureEd25519, numberedKey(2, i)))
		}
		last := "none"
		for i := range groups {
			fmt.Fprintf(&b, "group g%d any w%d", i, i)
			if i > 0 {
				fmt.Fprintf(&b, " g%d", i-1)
			}
			b.WriteByte('\n')
			last = fmt.Sprintf("g%d", i)
		}
		return b.String() + "quorum " + last + "\n"
	}
	for _, n := range []int{32, MaxPolicyMembers} {
		p, err := ParsePolicy([]byte(lines(n, n, n)))
		if err != nil {
			t.Fatalf("%d each: %v", n, err)
		}
		if len(p.Logs()) != n || len(p.Witnesses()) != n || len(p.QuorumWitnesses()) != n || p.ForkCost() != 0 {
			t.Errorf("%d each: %d logs, %d witnesses, %d in the quorum, fork %d", n, len(p.Logs()), len(p.Witnesses()), len(p.QuorumWitnesses()), p.ForkCost())
		}
	}
	const over = MaxPolicyMembers + 1
	for _, text := range []string{lines(over, 1, 1), lines(1, over, 1), lines(1, 1, 1) + strings.Repeat("# comment\n", MaxPolicyBytes/10)} {
		if _, err := ParsePolicy([]byte(text)); err == nil {
			t.Error("a policy over a limit is read")
		}
	}
	tooManyGroups := lines(1, 1, 1)
	for i := range over {
		tooManyGroups += fmt.Sprintf("group h%d any %s\n", i, map[bool]string{true: "g0", false: fmt.Sprintf("h%d", i-1)}[i == 0])
	}
	if _, err := ParsePolicy([]byte(tooManyGroups)); err == nil {
		t.Error("too many groups are read")
	}
}

// numberedKey is 32 bytes that pass for an Ed25519 key in a policy.
func numberedKey(role byte, i int) []byte {
	b := make([]byte, 32)
	b[0], b[1], b[2] = byte(i), byte(i>>8), role
	return b
}

// The keys of one witness count once, and under one name, that of their group.
func TestQuorumMembers(t *testing.T) {
	keys := policyKeys(t)
	for _, test := range []struct{ lines, want string }{
		{"quorum none\n", "0 of 0 ()"},
		{"witness a W1\nquorum a\n", "1 of 1 (a)"},
		{"witness a W1\nwitness b W1pq\ngroup g any a b\nquorum g\n", "1 of 1 (g)"},
		{"witness a W1\nwitness b W1pq\ngroup g all a b\nquorum g\n", "1 of 1 (g)"},
		{"witness a W1\nwitness b W1pq\nwitness c W2\ngroup g any a b\ngroup q 2 g c\nquorum q\n", "2 of 2 (g, c)"},
		{"witness a W1\nwitness b W1pq\nwitness c W2\ngroup q any a b c\nquorum q\n", "1 of 3 (a, b, c)"},
		{"witness a W1\ngroup g any a\nquorum g\n", "1 of 1 (a)"},
	} {
		p, err := ParsePolicy([]byte(keys.Replace(test.lines)))
		if err != nil {
			t.Fatal(err)
		}
		k, n := p.QuorumSize()
		if got := fmt.Sprintf("%d of %d (%s)", k, n, strings.Join(p.QuorumMembers(), ", ")); got != test.want {
			t.Errorf("%q: got %s, want %s", test.lines, got, test.want)
		}
	}
}

func TestPolicyAccessors(t *testing.T) {
	keys := policyKeys(t)
	text := keys.Replace("# ours\nlog L1 https://log.example/\n\tlog  L1pq\nwitness a W1 https://w1.example/\nwitness b W2\nwitness c W3\ngroup g 2 a b\nquorum g\n")
	p, err := ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if k, n := p.QuorumSize(); p.QuorumName() != "g" || p.QuorumIsNone() || k != 2 || n != 2 {
		t.Errorf("quorum %s, %d of %d", p.QuorumName(), k, n)
	}
	if p.Logs()[0].URL != "https://log.example/" || p.Witnesses()[0].URL != "https://w1.example/" || len(p.Witnesses()) != 3 || len(p.QuorumWitnesses()) != 2 {
		t.Errorf("got %+v", p)
	}
	if len(p.LogKeys(testOrigin)) != 2 || len(p.LogKeys("other")) != 0 || !slices.Equal(p.Origins(), []string{testOrigin}) {
		t.Errorf("origins %v", p.Origins())
	}
	if p.Satisfied("a") || p.Satisfied("a", "c") || !p.Satisfied("a", "b") {
		t.Error("Satisfied")
	}
	if len(p.Warnings()) != 0 || p.CheckQuorumsIntersect() != nil || p.ForkCost() != 2 || p.PostQuantum() {
		t.Errorf("warnings %q, fork %d", p.Warnings(), p.ForkCost())
	}
	// The fingerprint is what its comment says, with the tools that everybody has.
	if sed, err := exec.LookPath("sed"); err == nil {
		cmd := exec.Command(sed, "-E", `/^[ \t]*(#|$)/d; s/[ \t]+/ /g; s/^ //; s/ $//`)
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.Output(); err != nil || string(out) != p.Text() {
			t.Errorf("sed gives %q, %v", out, err)
		}
	}
	disjoint, err := ParsePolicy([]byte(keys.Replace("log L1\nwitness a W1\nwitness b W2\ngroup g any a b\nquorum g\n")))
	if err != nil || !errors.Is(disjoint.CheckQuorumsIntersect(), ErrDisjointQuorums) || len(disjoint.Warnings()) != 1 {
		t.Errorf("disjoint: %v", err)
	}
	none, err := ParsePolicy([]byte(keys.Replace("log L1\nquorum none\n")))
	if err != nil || none.CheckQuorumsIntersect() != nil || len(none.Warnings()) != 1 || !none.QuorumIsNone() || none.QuorumName() != "none" || !none.Satisfied() || none.PostQuantum() {
		t.Errorf("none: %v", err)
	}
	pq, err := ParsePolicy([]byte(keys.Replace("log L1pq\nwitness x W2\nwitness a W1pq\nquorum a\n")))
	if err != nil || !pq.PostQuantum() {
		t.Errorf("post-quantum: %v", err)
	}
}

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

func TestCheckCharterPolicy(t *testing.T) {
	keys := policyKeys(t)
	for _, test := range []struct{ text, err string }{
		{"log L1\nlog L1pq\nquorum none\n", ""},
		{"log L1\nwitness a W1\nwitness b W2\nwitness c W3\ngroup g 2 a b c\nquorum g\n", ""},
		{"log L1\nwitness a W1\nwitness b W2\ngroup g any a b\nquorum g\n", "disjoint"},
		{"log L1\n", "whole"},
		{"quorum none\n", "whole"},
		{"log L1\nlog another's\nquorum none\n", "whole"},
	} {
		text := keys.Replace(strings.ReplaceAll(test.text, "another's", "\x00")) // whose key may have a name of another key in it
		err := CheckCharterPolicy(strings.ReplaceAll(text, "\x00", otherSigner(t).Key().String()), testOrigin)
		if test.err == "" && err != nil || test.err != "" && err == nil || test.err == "disjoint" != errors.Is(err, ErrDisjointQuorums) {
			t.Errorf("%q: got %v, want %q", test.text, err, test.err)
		} else if err != nil {
			checkWords(t, err)
		}
	}
	if err := CheckCharterPolicy(keys.Replace("log L1\nquorum none\n"), "another.example"); err == nil || errors.Is(err, ErrDisjointQuorums) {
		t.Errorf("another origin: %v", err)
	}
}

func TestPolicyKeys(t *testing.T) {
	c := newTestKeys(t)
	raw, err := PolicyEd25519Keys(c.policy(t, "quorum w1\n").Text())
	if err != nil || len(raw) != 4 { // one log key and three witnesses' are Ed25519
		t.Fatalf("%d keys, %v", len(raw), err)
	}
	if !bytes.Equal(raw[0], c.log.Key().Public().(ed25519.PublicKey)) {
		t.Error("the log's key is not the first")
	}
	if _, err := PolicyEd25519Keys("quorum"); err == nil {
		t.Error("keys of no policy")
	}
}
