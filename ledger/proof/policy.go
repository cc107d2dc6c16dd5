package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Policy says which checkpoints a verifier accepts (tlog-policy): signed by any
// one of its logs, cosigned by its quorum of witnesses. It is immutable and made
// by [ParsePolicy] only.
type Policy struct {
	logs      []Log
	witnesses []Witness
	quorum    *member // nil with "quorum none"
	text      string
}

// Log is one `log` line. The key's name is the origin of the checkpoints that it
// signs. A log that signs with two algorithms has two lines.
type Log struct {
	Key Key
	URL string // "" if the policy gives none
}

// Witness is one `witness` line. Name is the policy's own word for it; cosignatures
// bear the name of the key.
type Witness struct {
	Name string
	Key  Key
	URL  string // submission prefix; "" if the policy gives none
}

// Logs are the `log` lines in their order.
func (p *Policy) Logs() []Log { return slices.Clone(p.logs) }

// LogURLs are where the log of that origin is served, by the `log` lines in their order: a log
// that signs with two algorithms may name two places.
func (p *Policy) LogURLs(origin string) (urls []string) {
	for _, l := range p.logs {
		if l.Key.Name() == origin && l.URL != "" && !slices.Contains(urls, l.URL) {
			urls = append(urls, l.URL)
		}
	}
	return urls
}

// Witnesses are the `witness` lines in their order, those outside the quorum too.
func (p *Policy) Witnesses() []Witness { return slices.Clone(p.witnesses) }

// LogKeys are the keys under which checkpoints of that origin are accepted.
func (p *Policy) LogKeys(origin string) []Key {
	var keys []Key
	for _, l := range p.logs {
		// SPEC: tlog-policy Defining a log: the name of a log's key is its origin
		if l.Key.name == origin {
			keys = append(keys, l.Key)
		}
	}
	return keys
}

// Origins are the names of the logs, each once.
func (p *Policy) Origins() []string {
	var names []string
	for _, l := range p.logs {
		if !slices.Contains(names, l.Key.name) {
			names = append(names, l.Key.name)
		}
	}
	return names
}

// Text is the policy in canonical form: its lines in their order, without
// comments, empty lines and superfluous white space, each with its newline.
func (p *Policy) Text() string { return p.text }

// Fingerprint is the SHA-256 of [Policy.Text], as "SHA256:" and lower-case hex. The
// same value from the file, in a shell:
//
//	sed -E '/^[ \t]*(#|$)/d; s/[ \t]+/ /g; s/^ //; s/ $//' policy.txt | sha256sum
func (p *Policy) Fingerprint() string {
	sum := sha256.Sum256([]byte(p.text))
	return "SHA256:" + hex.EncodeToString(sum[:])
}

// QuorumIsNone reports whether the policy says "quorum none". Then only the log vouches
// for a checkpoint: a rollback or a second history goes unnoticed, and no time is
// proven.
func (p *Policy) QuorumIsNone() bool { return p.quorum == nil }

// QuorumName is the name that the quorum line gives: of a witness, a group, or "none".
func (p *Policy) QuorumName() string {
	if p.quorum == nil {
		return quorumNone
	}
	return p.quorum.name
}

// QuorumSize is k and n of the quorum: how many of its [Policy.QuorumMembers] must
// have witnessed. A single witness, with however many keys, is 1 of 1, none is 0 of 0.
func (p *Policy) QuorumSize() (k, n int) {
	if p.quorum == nil {
		return 0, 0
	}
	need, of := p.quorum.quorumMembers()
	return need, len(of)
}

// QuorumMembers returns the names of the groups or witnesses that the quorum counts. A
// group that holds one witness's keys counts as that witness.
func (p *Policy) QuorumMembers() []string {
	if p.quorum == nil {
		return nil
	}
	_, of := p.quorum.quorumMembers()
	names := make([]string, len(of))
	for i, m := range of {
		names[i] = m.name
	}
	return names
}

// QuorumWitnesses are the witnesses that can contribute to the quorum.
func (p *Policy) QuorumWitnesses() []Witness {
	var in []Witness
	if p.quorum == nil {
		return nil
	}
	for _, leaf := range p.quorum.witnesses(nil) {
		in = append(in, p.witness(leaf))
	}
	return in
}

// Satisfied reports whether cosignatures by those witnesses, given by their names
// in the policy, make a quorum.
func (p *Policy) Satisfied(names ...string) bool {
	return p.quorum == nil || p.quorum.satisfied(func(m *member) bool { return slices.Contains(names, m.name) })
}

// ForkCost is the least number of dishonest witnesses with which a log can have
// two histories accepted: the size of the smallest intersection of two quorums.
// Keys with one key name are one witness, whose honesty covers them all. 0: the
// quorums need not meet at all, or there is none.
func (p *Policy) ForkCost() int {
	if p.quorum == nil {
		return 0
	}
	return p.quorum.forkCost()
}

// ErrDisjointQuorums is a policy with two quorums that have no witness in common: a log
// can show each of them its own history while every witness is honest.
var ErrDisjointQuorums = errors.New("two quorums of this policy need not have a witness in common, so no witness has to be dishonest for a split view; raise the thresholds above one half")

// CheckQuorumsIntersect returns [ErrDisjointQuorums] if the policy has two quorums
// without a common witness. "quorum none" passes, and is reported by [Policy.Warnings].
func (p *Policy) CheckQuorumsIntersect() error {
	if p.quorum != nil && p.ForkCost() == 0 {
		return ErrDisjointQuorums
	}
	return nil
}

// Warnings returns sentences about weaknesses of the policy, for a person who is asked
// to trust it.
func (p *Policy) Warnings() []string {
	var w []string
	if len(p.logs) == 0 {
		w = append(w, "the policy lists no log: no checkpoint satisfies it")
	}
	if p.QuorumIsNone() {
		w = append(w, "quorum none: no witness watches this log, so a rollback or a second history cannot be noticed and no time is proven")
	} else if err := p.CheckQuorumsIntersect(); err != nil {
		w = append(w, err.Error())
	}
	return w
}

// PostQuantum reports whether everything that the policy accepts rests on ML-DSA
// alone: each log key and each key of the quorum, of which there must be one. A
// policy that also takes Ed25519 can still have single checkpoints that are
// post-quantum: [Published.PostQuantum].
func (p *Policy) PostQuantum() bool {
	if p.quorum == nil || len(p.logs) == 0 {
		return false
	}
	for _, l := range p.logs {
		if l.Key.alg != MLDSA44 {
			return false
		}
	}
	for _, w := range p.QuorumWitnesses() {
		if w.Key.alg != MLDSA44 {
			return false
		}
	}
	return true
}

func (p *Policy) witness(leaf *member) Witness {
	i := slices.IndexFunc(p.witnesses, func(w Witness) bool { return w.Name == leaf.name })
	return p.witnesses[i]
}

// Bounds on policies. tlog-policy "Implementation limits" asks for 32 each.
const (
	MaxPolicyBytes   = 1 << 20 // bytes
	MaxPolicyMembers = 128     // logs, witnesses and groups, each
)

const quorumNone = "none"

// ParsePolicy reads a tlog-policy text strictly. Beyond the grammar it refuses: a
// key ID that name and key do not give, a key twice or as log and as witness
// (whatever it is called), k outside 1…n, a name as a member twice, none or more
// than one quorum line, a last line without newline (a truncated file), and the
// keys of one witness in different groups (they would count twice). Errors name
// the line.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > MaxPolicyBytes {
		return nil, fmt.Errorf("policy of %d bytes, limit %d", len(text), MaxPolicyBytes)
	}
	// SPEC: tlog-policy Structure: each line ends in a newline
	if len(text) > 0 && text[len(text)-1] != '\n' {
		return nil, errors.New("policy: the last line has no newline: is the file whole?")
	}
	r := policyParser{policy: &Policy{}, members: map[string]*member{}}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if err := r.line(strings.TrimSuffix(line, "\n")); err != nil {
			return nil, fmt.Errorf("policy line %d: %w", n, err)
		}
	}
	// SPEC: tlog-policy Defining the quorum: there is exactly one quorum line
	if !r.hasQuorum {
		return nil, errors.New("policy: no quorum line; to require no witness, say so: quorum none")
	}
	return r.policy, nil
}

// policyParser is what is known after some lines.
type policyParser struct {
	policy    *Policy
	members   map[string]*member // witnesses and groups share one name space
	groups    int
	hasQuorum bool
}

func (r *policyParser) line(line string) error {
	for _, c := range []byte(line) { // tlog-policy "Character set"
		// SPEC: tlog-policy Character set: tab and newline are the only control characters
		if c < 0x20 && c != '\t' || c == 0x7f {
			return fmt.Errorf("control character 0x%02x", c)
		}
	}
	// White space is space and tab only: other spaces are part of a name.
	// SPEC: tlog-policy Structure: items are separated by spaces and tabs alone
	items := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
	// SPEC: tlog-policy Structure: empty lines and comments are ignored
	if len(items) == 0 || items[0][0] == '#' {
		return nil
	}
	var err error
	switch items[0] {
	case "log":
		err = r.log(items[1:])
	case "witness":
		err = r.witness(items[1:])
	case "group":
		err = r.group(items[1:])
	case "quorum":
		err = r.quorum(items[1:])
	default:
		err = fmt.Errorf("%q: want log, witness, group or quorum", items[0])
	}
	r.policy.text += strings.Join(items, " ") + "\n"
	return err
}

// log reads: log <vkey> [<url>]
func (r *policyParser) log(args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("want: log <vkey> [<url>]")
	}
	if len(r.policy.logs) == MaxPolicyMembers {
		return fmt.Errorf("more than %d logs", MaxPolicyMembers)
	}
	key, err := ParseLogKey(args[0])
	if err != nil {
		return err
	}
	link, err := parseURL(args[1:])
	if err != nil {
		return err
	}
	if err := r.checkNewKey(key); err != nil {
		return err
	}
	r.policy.logs = append(r.policy.logs, Log{Key: key, URL: link})
	return nil
}

// witness reads: witness <name> <vkey> [<url>]
func (r *policyParser) witness(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return errors.New("want: witness <name> <vkey> [<url>]")
	}
	if len(r.policy.witnesses) == MaxPolicyMembers {
		return fmt.Errorf("more than %d witnesses", MaxPolicyMembers)
	}
	if err := r.checkNewName(args[0]); err != nil {
		return err
	}
	key, err := ParseWitnessKey(args[1])
	if err != nil {
		return err
	}
	link, err := parseURL(args[2:])
	if err != nil {
		return err
	}
	if err := r.checkNewKey(key); err != nil {
		return err
	}
	r.policy.witnesses = append(r.policy.witnesses, Witness{Name: args[0], Key: key, URL: link})
	r.members[args[0]] = &member{name: args[0], key: key}
	return nil
}

// group reads: group <name> all|any|<k> <name>…
func (r *policyParser) group(args []string) error {
	// SPEC: tlog-policy Defining a witness group: a group has one member or more
	if len(args) < 3 {
		return errors.New("want: group <name> all|any|<k> <name>…")
	}
	if r.groups++; r.groups > MaxPolicyMembers {
		return fmt.Errorf("more than %d groups", MaxPolicyMembers)
	}
	if err := r.checkNewName(args[0]); err != nil {
		return err
	}
	g := &member{name: args[0]}
	for _, name := range args[2:] {
		// SPEC: tlog-policy Character set: names are compared as bytes
		m, ok := r.members[name]
		switch {
		// SPEC: tlog-policy Defining a witness group: none is no member of a group
		case name == quorumNone:
			return errors.New("none cannot be a member of a group")
		// SPEC: tlog-policy Defining a witness group: members are defined on lines above
		case !ok:
			return fmt.Errorf("%q is not defined on a line above", name)
		// SPEC: tlog-policy Defining a witness group: a name is a member of one group at most
		case m.parent != nil:
			return fmt.Errorf("%q is already a member of %q; a name can be a member once", name, m.parent.name)
		}
		m.parent = g
		g.members = append(g.members, m)
	}
	k, err := parseThreshold(args[1], len(g.members))
	if err != nil {
		return err
	}
	g.threshold = k
	r.members[args[0]] = g
	return nil
}

// quorum reads: quorum <name>|none
func (r *policyParser) quorum(args []string) error {
	switch {
	case len(args) != 1:
		return errors.New("want: quorum <name>")
	// SPEC: tlog-policy Defining the quorum: there is exactly one quorum line
	case r.hasQuorum:
		return errors.New("a second quorum line")
	}
	r.hasQuorum = true
	if args[0] == quorumNone {
		return nil
	}
	// SPEC: tlog-policy Defining the quorum: the quorum is defined on a line above
	q, ok := r.members[args[0]]
	if !ok {
		return fmt.Errorf("%q is not defined on a line above", args[0])
	}
	r.policy.quorum = q
	return q.checkOneGroupPerWitness()
}

func (r *policyParser) checkNewName(name string) error {
	if name == quorumNone {
		return errors.New("the name none is reserved")
	}
	// SPEC: tlog-policy What is a "policy"?: witnesses and groups share one name space
	if _, ok := r.members[name]; ok {
		return fmt.Errorf("%q is defined twice; witnesses and groups share one name space", name)
	}
	return nil
}

// checkNewKey refuses a key that stands in the policy already, in either role, under
// whatever name and type; and two keys that a signature line could not tell apart.
func (r *policyParser) checkNewKey(key Key) error {
	old := make([]Key, 0, len(r.policy.logs)+len(r.policy.witnesses))
	for _, l := range r.policy.logs {
		old = append(old, l.Key)
	}
	for _, w := range r.policy.witnesses {
		old = append(old, w.Key)
	}
	i := slices.IndexFunc(old, func(o Key) bool {
		// SPEC: tlog-policy Defining a log: no public key stands on two log lines
		// SPEC: tlog-policy Defining a witness: no public key stands on two witness lines
		return o.SamePublicKey(key) || o.name == key.name && o.ID() == key.ID()
	})
	switch {
	case i < 0:
		return nil
	case !old[i].SamePublicKey(key):
		return fmt.Errorf("two keys named %s share the key ID %08x", key.name, key.ID())
	case i < len(r.policy.logs):
		return fmt.Errorf("the key of %s is already that of the log %s", key.name, old[i].name)
	}
	return fmt.Errorf("the key of %s is already that of the witness %s", key.name, r.policy.witnesses[i-len(r.policy.logs)].Name)
}

func parseThreshold(s string, n int) (int, error) {
	switch s {
	case "any":
		return 1, nil
	case "all":
		return n, nil
	}
	k, err := parseDecimal(s)
	if err != nil {
		return 0, fmt.Errorf("threshold %q: want all, any or a number", s)
	}
	// SPEC: tlog-policy Defining a witness group: k is a decimal from 1 to the number of members
	if k < 1 || k > uint64(n) {
		return 0, fmt.Errorf("threshold %s of %d members: want 1 to %d", s, n, n)
	}
	return int(k), nil
}

// parseURL requires scheme://something and nothing more. Every replay parses a
// charter's policy again, so the result must not depend on the version of a URL
// library.
func parseURL(args []string) (string, error) {
	if len(args) == 0 {
		return "", nil
	}
	scheme, rest, ok := strings.Cut(args[0], "://")
	if !ok || scheme == "" || rest == "" || rest[0] == '/' || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz") != "" {
		return "", fmt.Errorf("%q is not an absolute URL", args[0])
	}
	return args[0], nil
}

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
	// SPEC: tlog-policy Defining a witness group: a group is witnessed if k or more of its members are
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

// quorumMembers returns the threshold and the members that count towards it; a single
// witness with all its keys is its own only member.
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

// bloc is the members of a group that act together: one nested group, or one witness
// with all its keys in this group.
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

// CheckCharterPolicy checks the policy in a charter: it parses, names a log of the
// charter's origin and no other, and its quorums intersect, so that one honest witness
// is enough to prevent a fork (DESIGN.md section 3; "quorum none" is allowed, and
// warned of wherever it is read). It is part of the admission rules: a charter with a
// policy that it refuses is never admitted.
func CheckCharterPolicy(text, origin string) error {
	p, err := ParsePolicy([]byte(text))
	if err != nil {
		return err
	}
	if len(p.logs) == 0 {
		return fmt.Errorf("the policy names no log key; want those of %s", origin)
	}
	for _, name := range p.Origins() {
		if name != origin {
			return fmt.Errorf("the policy names a key of the log %s; the charter's origin is %s", name, origin)
		}
	}
	return p.CheckQuorumsIntersect()
}

// PolicyEd25519Keys are the raw Ed25519 public keys, 32 bytes each, of the logs and
// witnesses that a policy names: those that might also be used to sign records,
// and must not be.
func PolicyEd25519Keys(text string) ([][]byte, error) {
	p, err := ParsePolicy([]byte(text))
	if err != nil {
		return nil, err
	}
	var raw [][]byte
	add := func(k Key) {
		if public, ok := k.Public().(ed25519.PublicKey); ok {
			raw = append(raw, public)
		}
	}
	for _, l := range p.logs {
		add(l.Key)
	}
	for _, w := range p.witnesses {
		add(w.Key)
	}
	return raw, nil
}
