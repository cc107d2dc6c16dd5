package proof

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// An auditor's cosignature is a cosignature as a witness makes it (tlog-cosignature), by a
// key whose holder states more ("Additional statements"): that it replayed and judged
// every entry below that size. It counts to no quorum: a verifier asks for it beside its
// policy.

// ErrNotCosigned: a checkpoint bears no cosignature of the key that was asked for.
var ErrNotCosigned = errors.New("not cosigned by that key")

// ParseAuditorKey reads the vkey of an auditor, of type 0x04 or 0x06.
func ParseAuditorKey(vkey string) (Key, error) {
	k, err := parseKey(vkey)
	if err == nil && k.alg == Ed25519 {
		return Key{}, fmt.Errorf("key %s: type 0x01 is a log's and has no timestamp; an auditor cosigns with 0x04 or 0x06", k.name)
	}
	return k, err
}

// Label is the key's name and ID, as they stand at the beginning of its vkey.
func (k Key) Label() string { return fmt.Sprintf("%s+%08x", k.name, k.ID()) }

// CosignedBy is when a key cosigned a checkpoint, of several times the first. Which log
// signed it is not looked at. Errors: [ErrNotCosigned], *[SignatureError], or the note is
// malformed.
func CosignedBy(note []byte, k Key, now time.Time) (time.Time, error) {
	cp, sigs, err := ParseCheckpoint(note)
	if err != nil {
		return time.Time{}, err
	}
	at, ignored, err := k.firstCosignature(cp, sigs, now)
	switch {
	case err != nil:
		return time.Time{}, err
	case at.IsZero() && len(ignored) > 0:
		return time.Time{}, fmt.Errorf("the checkpoint of size %d: %w: %s (%s)", cp.Size, ErrNotCosigned, k.Label(), strings.Join(ignored, ", "))
	case at.IsZero():
		return time.Time{}, fmt.Errorf("the checkpoint of size %d: %w: %s", cp.Size, ErrNotCosigned, k.Label())
	}
	return at, nil
}

// WithCosignatureOf is the published note with the signatures of the log, of the policy's
// witnesses and of one key more, as another note of the same checkpoint bears them:
// without lines that others may have added. Nothing of that key is verified here.
func (p *Published) WithCosignatureOf(k Key, note []byte) ([]byte, error) {
	_, more, err := ParseCheckpoint(note)
	if err != nil {
		return nil, err
	}
	sigs := p.logSignatures
	for _, s := range p.signatures {
		for _, w := range p.cosignatures {
			if w.Key.matchesKeyID(s) {
				sigs = mergeSignatures(sigs, []Signature{s})
			}
		}
	}
	for _, s := range more {
		if k.matchesKeyID(s) {
			sigs = mergeSignatures(sigs, []Signature{s})
		}
	}
	return FormatNote(p.cp, sigs...)
}

// InRole says as what a policy names a public key or its name, as "witness w1.example"; "" if
// it names neither.
func (p *Policy) InRole(k Key) string {
	for _, w := range p.witnesses {
		if w.Key.SamePublicKey(k) || w.Key.name == k.name {
			return "witness " + w.Key.name
		}
	}
	for _, origin := range p.Origins() {
		for _, l := range p.LogKeys(origin) {
			if l.SamePublicKey(k) || l.name == k.name {
				return "log " + l.name
			}
		}
	}
	return ""
}
