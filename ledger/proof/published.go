package proof

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// MaxSkew is how far a cosignature's time may be ahead of the verifier's clock.
const MaxSkew = 5 * time.Minute

// MaxRepeat is how old a witness's cosignatures may be when it gives them again to
// whoever asks for its newest checkpoint once more (DESIGN.md section 6): so nobody can
// make it sign more often, and a ledger knows how far back what it hears may lie.
const MaxRepeat = 10 * time.Second

// Signed is a checkpoint that a log key signed. The log may have signed another
// history too: only [Published] says that witnesses compared. Made by whoever signs,
// [SignCheckpoint], by [VerifyLog] and [Policy.VerifyLog], and part of Published.
type Signed struct{ signed }

// Published is a checkpoint that satisfies a policy: signed by one of its logs,
// cosigned by its quorum. Made by [Policy.Verify] and [Policy.Cosigned] only.
type Published struct {
	signed
	policy       *Policy
	cosignatures []Cosignature
	existedBy    time.Time
}

// Cosignature is a witness's verified word that it saw this checkpoint as the log's
// largest, at that second.
type Cosignature struct {
	Witness string // its name in the policy
	Key     Key
	Time    time.Time // UTC
}

// signed is what both verified types share; its fields are the verifier's alone.
type signed struct {
	cp    Checkpoint
	note  []byte
	lines []Signature // all of the note's, in its order
	logs  []Key
	good  []Signature // theirs, each made or verified here
}

// Checkpoint is what the log signed.
func (s *signed) Checkpoint() Checkpoint { return s.cp }

// Note is the signed note as it was verified, unknown signatures included.
func (s *signed) Note() []byte { return bytes.Clone(s.note) }

// Own is the note with the log's verified signatures alone, without what strangers may
// have added.
func (s *signed) Own() []byte {
	note, _, err := writeNote(s.cp, s.good)
	if err != nil {
		panic(err) // they were read from a note, or made here
	}
	return note
}

// LogKeys are the known keys of the log that signed; at least one.
func (s *signed) LogKeys() []Key { return slices.Clone(s.logs) }

// Cosignatures are those that counted, one a key, by time.
func (p *Published) Cosignatures() []Cosignature { return slices.Clone(p.cosignatures) }

// Witnessed are those of the [Policy.QuorumMembers] that the cosignatures stamped no later than that instant satisfy.
func (p *Published) Witnessed(by time.Time) []string {
	q := p.policy.quorum
	if q == nil {
		return nil
	}
	cosigned := func(m *member) bool {
		return slices.ContainsFunc(p.cosignatures, func(c Cosignature) bool { return c.Witness == m.name && !c.Time.After(by) })
	}
	_, members := q.voices()
	var names []string
	for _, m := range members {
		if m.satisfied(cosigned) {
			names = append(names, m.name)
		}
	}
	return names
}

// With is the same checkpoint with further signatures, of keys that are not on it yet.
// Nothing is verified here.
func (s *Signed) With(sigs []Signature) (*Signed, error) {
	sigs = slices.DeleteFunc(slices.Clone(sigs), func(n Signature) bool {
		return slices.ContainsFunc(s.lines, n.sameKey)
	})
	more := *s
	var err error
	if more.note, more.lines, err = writeNote(s.cp, merge(s.lines, sigs)); err != nil {
		return nil, err
	}
	return &more, nil
}

// Signed is the checkpoint without what its policy says of it.
func (p *Published) Signed() *Signed { return &Signed{p.signed} }

// Policy is the one under which the checkpoint is published.
func (p *Published) Policy() *Policy { return p.policy }

// ExistedBy is the least T such that the cosignatures stamped ≤ T already satisfy
// the quorum: the tree existed no later. Zero with quorum none: nothing proves a
// time then.
func (p *Published) ExistedBy() time.Time { return p.existedBy }

// CosignedAt is the newest time among the cosignatures, for judging how fresh the
// checkpoint is; zero without one.
func (p *Published) CosignedAt() time.Time {
	if len(p.cosignatures) == 0 {
		return time.Time{}
	}
	return p.cosignatures[len(p.cosignatures)-1].Time
}

// PostQuantum reports whether ML-DSA signatures alone publish this checkpoint: one
// of the log, and a quorum.
func (p *Published) PostQuantum() bool {
	isPQ := func(k Key) bool { return k.alg == MLDSA44 }
	return p.policy.quorum != nil && slices.ContainsFunc(p.logs, isPQ) &&
		p.policy.quorum.satisfied(func(m *member) bool {
			return isPQ(m.key) && slices.ContainsFunc(p.cosignatures, func(c Cosignature) bool { return c.Witness == m.name })
		})
}

// OriginError is a checkpoint of another log than those that were wanted.
type OriginError struct {
	Origin string
	Want   []string
}

func (e *OriginError) Error() string {
	if len(e.Want) == 0 {
		return fmt.Sprintf("the checkpoint is of %s, and the policy lists no log", e.Origin)
	}
	return fmt.Sprintf("the checkpoint is of another log: %s, wanted %s", e.Origin, strings.Join(e.Want, " or "))
}

// LogSignatureError is a checkpoint that bears no signature by a known log key.
type LogSignatureError struct {
	Origin string
	Keys   []Key // the known ones
}

func (e *LogSignatureError) Error() string {
	ids := make([]string, len(e.Keys))
	for i, k := range e.Keys {
		ids[i] = fmt.Sprintf("%08x", k.ID())
	}
	return fmt.Sprintf("no signature of the log %s by a key that is trusted for it (%s)", e.Origin, strings.Join(ids, ", "))
}

// VerifyLog checks a note as the given log's, by any one of its keys, whatever they
// are named. A signature line of one of the keys that does not verify condemns the
// note (signed-note "Signatures"). Errors: [OriginError], [LogSignatureError],
// [SignatureError], or the note is malformed.
func VerifyLog(note []byte, origin string, keys ...Key) (*Signed, error) {
	cp, sigs, err := ParseCheckpoint(note)
	if err != nil {
		return nil, err
	}
	if cp.Origin != origin {
		return nil, &OriginError{Origin: cp.Origin, Want: []string{origin}}
	}
	s := signed{cp: cp, note: bytes.Clone(note), lines: sigs}
	if err := s.verifyLog(keys, nil); err != nil {
		return nil, err
	}
	return &Signed{s}, nil
}

// VerifyLog checks that one of the policy's logs signed the note, and says nothing
// about witnesses. Errors as of the function [VerifyLog].
func (p *Policy) VerifyLog(note []byte) (*Signed, error) {
	cp, sigs, err := ParseCheckpoint(note)
	if err != nil {
		return nil, err
	}
	s := signed{cp: cp, note: bytes.Clone(note), lines: sigs}
	if err := p.verifyLog(&s, nil); err != nil {
		return nil, err
	}
	return &Signed{s}, nil
}

func (p *Policy) verifyLog(s *signed, known []Signature) error {
	keys := p.LogKeys(s.cp.Origin)
	if len(keys) == 0 {
		return &OriginError{Origin: s.cp.Origin, Want: p.Origins()}
	}
	return s.verifyLog(keys, known)
}

// verifyLog verifies what the keys signed, but for the known signatures: those were
// found good on the same text.
func (s *signed) verifyLog(keys []Key, known []Signature) error {
	body := s.cp.Body()
	for _, k := range keys {
		if slices.ContainsFunc(s.logs, func(seen Key) bool { return seen.name == k.name && seen.SameKey(k) }) {
			continue // it is known twice
		}
		good := false
		for _, sig := range s.lines {
			if !k.made(sig) {
				continue
			}
			if !slices.ContainsFunc(known, sig.equal) {
				if err := k.verify(body, sig); err != nil {
					return err
				}
			}
			good = true
			s.good = append(s.good, sig)
		}
		if good {
			s.logs = append(s.logs, k)
		}
	}
	if len(s.logs) == 0 {
		return &LogSignatureError{Origin: s.cp.Origin, Keys: slices.Clone(keys)}
	}
	return nil
}

// Verify checks a note against the policy (tlog-proof "Verifying a tlog proof",
// steps 2 and 3). A cosignature counts only with a time after 1970, below 2^63 and
// not more than [MaxSkew] after now; of several by one key the earliest. The log's
// own signature never counts to the quorum: a key has one role in a policy.
// Errors: those of [VerifyLog], [QuorumError].
func (p *Policy) Verify(note []byte, now time.Time) (*Published, error) {
	cp, sigs, err := ParseCheckpoint(note)
	if err != nil {
		return nil, err
	}
	return p.publish(signed{cp: cp, note: bytes.Clone(note), lines: sigs}, nil, now)
}

// Cosigned is [Policy.Verify] of a checkpoint with more signatures on it, as
// [AddSignatures] puts them there. What the log signed is known to be good and is not
// verified again: that is most of the work where a log has just signed, and for
// whoever counts cosignatures as they come.
func (p *Policy) Cosigned(s *Signed, cosignatures []Signature, now time.Time) (*Published, error) {
	note, lines, err := writeNote(s.cp, merge(s.lines, cosignatures))
	if err != nil {
		return nil, err
	}
	return p.publish(signed{cp: s.cp, note: note, lines: lines}, s.good, now)
}

// publish makes s, of which nothing is verified but the known signatures, a published
// checkpoint.
func (p *Policy) publish(s signed, known []Signature, now time.Time) (*Published, error) {
	if err := p.verifyLog(&s, known); err != nil {
		return nil, err
	}
	if err := s.cp.check(); err != nil {
		return nil, fmt.Errorf("checkpoint of %s: %w", s.cp.Origin, err)
	}
	cosigs, ignored, err := p.cosignatures(s.cp, s.lines, now)
	if err != nil {
		return nil, err
	}
	pub := &Published{signed: s, policy: p, cosignatures: cosigs}
	if p.quorum == nil {
		return pub, nil
	}
	for i, c := range cosigs {
		if p.quorum.satisfied(cosignedIn(cosigs[:i+1])) {
			pub.existedBy = c.Time
			return pub, nil
		}
	}
	short := p.quorum.shortfall(cosignedIn(cosigs))
	short.Ignored = ignored
	return nil, short
}

// cosignatures verifies those of the policy's witnesses and returns the ones that
// count, by time, and why others do not.
func (p *Policy) cosignatures(cp Checkpoint, sigs []Signature, now time.Time) (counted []Cosignature, ignored []string, err error) {
	body := cp.Body()
	latest := now.Add(MaxSkew).Unix()
	for _, w := range p.witnesses {
		var first time.Time
		for _, sig := range sigs {
			if !w.Key.made(sig) {
				continue
			}
			if err := w.Key.verify(body, sig); err != nil {
				return nil, nil, err
			}
			stamp := binary.BigEndian.Uint64(sig.Sig) // verified, so at least eight bytes
			switch {
			case stamp == 0:
				ignored = append(ignored, w.Name+" (no time)")
				continue
			case stamp > math.MaxInt64 || int64(stamp) > latest:
				ignored = append(ignored, w.Name+" (stamped in the future; is the clock here right?)")
				continue
			}
			if at := time.Unix(int64(stamp), 0).UTC(); first.IsZero() || at.Before(first) {
				first = at
			}
		}
		if !first.IsZero() {
			counted = append(counted, Cosignature{Witness: w.Name, Key: w.Key, Time: first})
		}
	}
	slices.SortStableFunc(counted, func(a, b Cosignature) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Witness, b.Witness))
	})
	return counted, ignored, nil
}

func cosignedIn(cosigs []Cosignature) func(*member) bool {
	return func(m *member) bool {
		return slices.ContainsFunc(cosigs, func(c Cosignature) bool { return c.Witness == m.name })
	}
}
