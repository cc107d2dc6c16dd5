package proof

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
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

// Witnesses are the `witness` lines in their order, those outside the quorum too.
func (p *Policy) Witnesses() []Witness { return slices.Clone(p.witnesses) }

// LogKeys are the keys under which checkpoints of that origin are accepted.
func (p *Policy) LogKeys(origin string) []Key {
	var keys []Key
	for _, l := range p.logs {
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

// Fingerprint is the SHA-256 of [Policy.Text], as "SHA256:" and lower-case hex.
// Whoever has the file can take it too:
//
//	sed -E '/^[ \t]*(#|$)/d; s/[ \t]+/ /g; s/^ //; s/ $//' policy.txt | sha256sum
func (p *Policy) Fingerprint() string {
	sum := sha256.Sum256([]byte(p.text))
	return "SHA256:" + hex.EncodeToString(sum[:])
}

// QuorumIsNone reports "quorum none": the log's word alone, so that neither a rollback
// nor a second history can be noticed, and no time is proven.
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

// QuorumMembers are whom the quorum counts, groups or witnesses by their names in the
// policy: a group of one witness's keys is one.
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

// CheckQuorumsIntersect is for whoever writes a policy: [ErrDisjointQuorums], or nil. "quorum none" is
// allowed, and warned of wherever it is read.
func (p *Policy) CheckQuorumsIntersect() error {
	if p.quorum != nil && p.ForkCost() == 0 {
		return ErrDisjointQuorums
	}
	return nil
}

// Warnings are sentences for whoever reads a policy that somebody else wrote.
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
