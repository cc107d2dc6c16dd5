package proof

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

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
		if c < 0x20 && c != '\t' || c == 0x7f {
			return fmt.Errorf("control character 0x%02x", c)
		}
	}
	// White space is space and tab only: other spaces are part of a name.
	items := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
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
		m, ok := r.members[name]
		switch {
		case name == quorumNone:
			return errors.New("none cannot be a member of a group")
		case !ok:
			return fmt.Errorf("%q is not defined on a line above", name)
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
	case r.hasQuorum:
		return errors.New("a second quorum line")
	}
	r.hasQuorum = true
	if args[0] == quorumNone {
		return nil
	}
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
	if k < 1 || k > uint64(n) {
		return 0, fmt.Errorf("threshold %s of %d members: want 1 to %d", s, n, n)
	}
	return int(k), nil
}

// parseURL wants scheme://something, and leaves the rest to whoever calls it: a
// charter's policy is judged again by every replay, so the judgement must not hang
// on what a library's next version takes for a URL.
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
