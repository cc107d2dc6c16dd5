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

// MaxClockSkew is how far a cosignature's time may be ahead of the verifier's clock.
const MaxClockSkew = 5 * time.Minute

// MaxCosignatureReuse is how long a witness may answer a repeated request with the
// cosignature it made before. It limits how often a client can make a witness sign, and
// how old a repeated answer can be.
const MaxCosignatureReuse = 10 * time.Second

// Signed is a checkpoint that a log key signed. The log may have signed another history
// too: only [Published] adds that witnesses compared. Made by [SignCheckpoint],
// [VerifyLog], [Policy.VerifyLog] and [Published.Signed].
type Signed struct{ signedCheckpoint }

// Published is a checkpoint that satisfies a policy: signed by one of its logs,
// cosigned by its quorum. Made by [Policy.Verify] and [Policy.VerifyCosigned] only.
type Published struct {
	signedCheckpoint
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

// signedCheckpoint holds what [Signed] and [Published] have in common. Only the
// verifying functions set its fields.
type signedCheckpoint struct {
	cp            Checkpoint
	note          []byte
	signatures    []Signature // all of the note's, in its order
	logKeys       []Key
	logSignatures []Signature // theirs, each made or verified here
}

// Checkpoint is what the log signed.
func (s *signedCheckpoint) Checkpoint() Checkpoint { return s.cp }

// Note is the signed note as it was verified, unknown signatures included.
func (s *signedCheckpoint) Note() []byte { return bytes.Clone(s.note) }

// WithoutCosignatures is the note with the log's verified signatures alone, without
// lines that others may have added.
func (s *signedCheckpoint) WithoutCosignatures() []byte {
	note, _, err := formatNote(s.cp, s.logSignatures)
	if err != nil {
		panic(err) // they were read from a note, or made here
	}
	return note
}

// LogKeys are the known keys of the log that signed; at least one.
func (s *signedCheckpoint) LogKeys() []Key { return slices.Clone(s.logKeys) }

// Cosignatures are those that counted, one a key, by time.
func (p *Published) Cosignatures() []Cosignature { return slices.Clone(p.cosignatures) }

// SatisfiedMembers returns those of the policy's [Policy.QuorumMembers] that the
// cosignatures stamped no later than `by` satisfy.
func (p *Published) SatisfiedMembers(by time.Time) []string {
	q := p.policy.quorum
	if q == nil {
		return nil
	}
	cosigned := func(m *member) bool {
		return slices.ContainsFunc(p.cosignatures, func(c Cosignature) bool { return c.Witness == m.name && !c.Time.After(by) })
	}
	_, members := q.quorumMembers()
	var names []string
	for _, m := range members {
		if m.satisfied(cosigned) {
			names = append(names, m.name)
		}
	}
	return names
}

// WithSignatures is the same checkpoint with further signatures, of keys that are not on it yet.
// Nothing is verified here.
func (s *Signed) WithSignatures(sigs []Signature) (*Signed, error) {
	sigs = slices.DeleteFunc(slices.Clone(sigs), func(n Signature) bool {
		return slices.ContainsFunc(s.signatures, n.sameKeyID)
	})
	extended := *s
	var err error
	if extended.note, extended.signatures, err = formatNote(s.cp, mergeSignatures(s.signatures, sigs)); err != nil {
		return nil, err
	}
	return &extended, nil
}

// Signed is the checkpoint without what its policy says of it.
func (p *Published) Signed() *Signed { return &Signed{p.signedCheckpoint} }

// Policy is the one under which the checkpoint is published.
func (p *Published) Policy() *Policy { return p.policy }

// ExistedBy is the least T such that the cosignatures stamped ≤ T already satisfy
// the quorum: the tree existed no later. Zero with quorum none: nothing proves a
// time then.
func (p *Published) ExistedBy() time.Time { return p.existedBy }

// LastCosignedAt is the newest time among the cosignatures, zero without one: for people,
// since it is the word of one witness, whether the quorum needs it or not.
func (p *Published) LastCosignedAt() time.Time {
	if len(p.cosignatures) == 0 {
		return time.Time{}
	}
	return p.cosignatures[len(p.cosignatures)-1].Time
}

// PostQuantum reports whether ML-DSA signatures alone publish this checkpoint: one
// of the log, and a quorum.
func (p *Published) PostQuantum() bool {
	isPQ := func(k Key) bool { return k.alg == MLDSA44 }
	return p.policy.quorum != nil && slices.ContainsFunc(p.logKeys, isPQ) &&
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
	s := signedCheckpoint{cp: cp, note: bytes.Clone(note), signatures: sigs}
	// SPEC: signed-note Note: the text counts for nothing before a signature by a trusted key is verified
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
	s := signedCheckpoint{cp: cp, note: bytes.Clone(note), signatures: sigs}
	if err := p.verifyLog(&s, nil); err != nil {
		return nil, err
	}
	return &Signed{s}, nil
}

func (p *Policy) verifyLog(s *signedCheckpoint, known []Signature) error {
	keys := p.LogKeys(s.cp.Origin)
	// SPEC: tlog-proof Verifying a tlog proof: step 2: a key of that origin signed the checkpoint
	if len(keys) == 0 {
		return &OriginError{Origin: s.cp.Origin, Want: p.Origins()}
	}
	return s.verifyLog(keys, known)
}

// verifyLog verifies what the keys signed, but for the known signatures: those were
// found good on the same text.
func (s *signedCheckpoint) verifyLog(keys []Key, known []Signature) error {
	body := s.cp.Body()
	for _, k := range keys {
		if slices.ContainsFunc(s.logKeys, func(seen Key) bool { return seen.name == k.name && seen.SamePublicKey(k) }) {
			continue // it is known twice
		}
		found := false
		for _, sig := range s.signatures {
			// SPEC: tlog-witness add-checkpoint: signatures by unknown keys are ignored
			if !k.matchesKeyID(sig) {
				continue
			}
			if !slices.ContainsFunc(known, sig.equal) {
				// SPEC: signed-note Signatures: a signature of a known key's name and ID is verified
				if err := k.verify(body, sig); err != nil {
					return err
				}
				// SPEC: tlog-cosignature Format: a timestamp is at most 2^63 - 1
				if k.alg == MLDSA44 && binary.BigEndian.Uint64(sig.Sig) > math.MaxInt64 {
					return &SignatureError{Name: sig.Name, ID: sig.ID}
				}
			}
			found = true
			s.logSignatures = append(s.logSignatures, sig)
		}
		if found {
			s.logKeys = append(s.logKeys, k)
		}
	}
	// SPEC: signed-note Signatures: a note is refused if no signature by a known key verifies
	if len(s.logKeys) == 0 {
		return &LogSignatureError{Origin: s.cp.Origin, Keys: slices.Clone(keys)}
	}
	return nil
}

// Verify checks a note against the policy (tlog-proof "Verifying a tlog proof",
// steps 2 and 3). A cosignature counts only with a time after 1970, below 2^63 and
// not more than [MaxClockSkew] after now; of several by one key the earliest. The log's
// own signature never counts to the quorum: a key has one role in a policy.
// Errors: those of [VerifyLog], [QuorumError].
func (p *Policy) Verify(note []byte, now time.Time) (*Published, error) {
	cp, sigs, err := ParseCheckpoint(note)
	if err != nil {
		return nil, err
	}
	return p.verifyPublished(signedCheckpoint{cp: cp, note: bytes.Clone(note), signatures: sigs}, nil, now)
}

// VerifyCosigned is [Policy.Verify] of a checkpoint with more signatures on it, as
// [AddSignatures] puts them there. The log's signature is not verified again, because
// that is most of the cost, both for a log that has just signed and while cosignatures
// arrive one by one.
func (p *Policy) VerifyCosigned(s *Signed, cosignatures []Signature, now time.Time) (*Published, error) {
	note, lines, err := formatNote(s.cp, mergeSignatures(s.signatures, cosignatures))
	if err != nil {
		return nil, err
	}
	return p.verifyPublished(signedCheckpoint{cp: s.cp, note: note, signatures: lines}, s.logSignatures, now)
}

// verifyPublished makes s, of which nothing is verified but the known signatures, a published
// checkpoint.
func (p *Policy) verifyPublished(s signedCheckpoint, known []Signature, now time.Time) (*Published, error) {
	// SPEC: tlog-policy What is a "policy"?: a checkpoint is valid if any one of the logs signed it and the quorum cosigned it
	if err := p.verifyLog(&s, known); err != nil {
		return nil, err
	}
	if err := s.cp.check(); err != nil {
		return nil, fmt.Errorf("checkpoint of %s: %w", s.cp.Origin, err)
	}
	// SPEC: tlog-proof Verifying a tlog proof: step 3: all cosignatures of known witnesses are verified, and judged by the policy
	cosigs, ignored, err := p.cosignatures(s.cp, s.signatures, now)
	if err != nil {
		return nil, err
	}
	pub := &Published{signedCheckpoint: s, policy: p, cosignatures: cosigs}
	if p.quorum == nil {
		return pub, nil
	}
	for i, c := range cosigs {
		if p.quorum.satisfied(cosignedIn(cosigs[:i+1])) {
			pub.existedBy = c.Time
			return pub, nil
		}
	}
	shortfall := p.quorum.quorumError(cosignedIn(cosigs))
	shortfall.Ignored = ignored
	return nil, shortfall
}

// cosignatures verifies those of the policy's witnesses and returns the ones that
// count, by time, and why others do not.
func (p *Policy) cosignatures(cp Checkpoint, sigs []Signature, now time.Time) (counted []Cosignature, ignored []string, err error) {
	for _, w := range p.witnesses {
		first, why, err := w.Key.firstCosignature(cp, sigs, now)
		if err != nil {
			return nil, nil, err
		}
		for _, reason := range why {
			ignored = append(ignored, w.Name+" ("+reason+")")
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

// firstCosignature verifies those of a key, and returns the earliest time that counts; zero
// if there is none, with why others do not.
func (k Key) firstCosignature(cp Checkpoint, sigs []Signature, now time.Time) (first time.Time, ignored []string, err error) {
	body, latest := cp.Body(), now.Add(MaxClockSkew).Unix()
	for _, sig := range sigs {
		// SPEC: tlog-checkpoint Signatures: unknown signatures are ignored
		if !k.matchesKeyID(sig) {
			continue
		}
		if err := k.verify(body, sig); err != nil {
			return time.Time{}, nil, err
		}
		stamp := binary.BigEndian.Uint64(sig.Sig) // verified, so at least eight bytes
		switch {
		// SPEC: tlog-witness add-checkpoint: the timestamp of a cosignature is there and not zero
		case stamp == 0:
			ignored = append(ignored, "no time")
			continue
		// SPEC: tlog-cosignature Format: a timestamp is at most 2^63 - 1
		case stamp > math.MaxInt64 || int64(stamp) > latest:
			ignored = append(ignored, "stamped in the future; is the clock here right?")
			continue
		}
		if at := time.Unix(int64(stamp), 0).UTC(); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first, ignored, nil
}

func cosignedIn(cosigs []Cosignature) func(*member) bool {
	return func(m *member) bool {
		return slices.ContainsFunc(cosigs, func(c Cosignature) bool { return c.Witness == m.name })
	}
}
