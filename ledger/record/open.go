package record

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Verified is a record whose signatures were checked. Only [Open] and [OpenEntry] make
// one; the zero value is none. It says who signed. Whether they had the right to is
// decided by the register.
type Verified struct {
	id         ID
	statement  *Statement
	payload    []byte
	signatures []VerifiedSignature
	ignored    int
}

// VerifiedSignature is a signature and the key that it verifies with.
type VerifiedSignature struct {
	Key *Key
	Sig []byte
}

// Open decodes the payload and finds the key of each signature, among the
// candidates for that statement and the keys that the statement itself lists
// (which thereby prove possession). It needs at least one signature that
// verifies; the others are counted and dropped. candidates may return any number
// of keys, in any order, the same ones too; at most [MaxVerifications] verifications are
// done. Open keeps no state and may run in any number of goroutines. Errors are
// a *[Refusal].
func Open(env Envelope, candidates func(*Statement) []*Key) (Verified, error) {
	if env.PayloadType != PayloadType {
		return Verified{}, Refuse(Malformed, "envelope: payloadType %q, want %q", env.PayloadType, PayloadType)
	}
	st, err := ParseStatement(env.Payload)
	if err != nil {
		return Verified{}, err
	}
	keys, err := ListedKeys(st)
	if err != nil {
		return Verified{}, err
	}
	if candidates != nil {
		keys = slices.Concat(candidates(st), keys)
	}
	search := signatureSearch{message: PAE(env.Payload), keys: uniqueKeys(keys)}
	if err := search.verifySignatures(env.Signatures); err != nil {
		return Verified{}, err
	}
	if len(search.found) == 0 {
		return Verified{}, search.refusal(st, env.Signatures)
	}
	return Verified{
		id:         IDOf(env.Payload),
		statement:  st,
		payload:    env.Payload,
		signatures: search.found,
		ignored:    len(env.Signatures) - len(search.found),
	}, nil
}

// OpenEntry verifies an entry of the log: each signature with exactly the key that its
// key ID names. keys returns that key, or nil if it is unknown; keys that the statement
// itself lists are known. One signature that does not verify makes the entry invalid.
func OpenEntry(e Entry, keys func(keyID string) *Key) (Verified, error) {
	if err := e.check(); err != nil {
		return Verified{}, fmt.Errorf("entry: %w", err)
	}
	st, err := ParseStatement(e.Envelope.Payload)
	if err != nil {
		return Verified{}, err
	}
	listed, err := ListedKeys(st)
	if err != nil {
		return Verified{}, err
	}
	message := PAE(e.Envelope.Payload)
	found := make([]VerifiedSignature, len(e.Envelope.Signatures))
	for i, s := range e.Envelope.Signatures {
		key := keys(s.KeyID)
		if key == nil {
			key = keyByID(listed, s.KeyID)
		}
		if key == nil || key.ID() != s.KeyID {
			return Verified{}, fmt.Errorf("entry: signature %d: no key %s is known", i+1, s.KeyID)
		}
		if err := key.Verify(message, s.Sig); err != nil {
			return Verified{}, fmt.Errorf("entry: signature %d: %w", i+1, err)
		}
		found[i] = VerifiedSignature{Key: key, Sig: s.Sig}
	}
	return Verified{id: IDOf(e.Envelope.Payload), statement: st, payload: e.Envelope.Payload, signatures: found}, nil
}

// ID is the record ID.
func (v Verified) ID() ID { return v.id }

// Statement is the decoded payload. Callers must not change it.
func (v Verified) Statement() *Statement { return v.statement }

// Payload is the bytes that were signed. Callers must not change them.
func (v Verified) Payload() []byte { return v.payload }

// Signatures are those that verify, one per key, ordered bytewise by key ID.
// Callers must not change them.
func (v Verified) Signatures() []VerifiedSignature { return v.signatures }

// Ignored counts the signatures that were dropped: no key verifies them, or
// another one by the same key was taken.
func (v Verified) Ignored() int { return v.ignored }

// Entry is the leaf for a record admitted at that time, with the signatures
// whose keys are kept, under the key IDs that the ledger writes. More than
// [MaxSignatures] kept, or more than [MaxEntryBytes] bytes, is a *[Refusal] TooLarge.
func (v Verified) Entry(admitted time.Time, counts func(*Key) bool) (Entry, error) {
	e := Entry{
		Admitted: admitted.UTC().Truncate(time.Millisecond),
		Envelope: Envelope{PayloadType: PayloadType, Payload: v.payload, Signatures: make([]Signature, 0, len(v.signatures))},
	}
	sizes := make([]int, 0, MaxSubmittedSignatures)
	for _, s := range v.signatures {
		if counts(s.Key) {
			e.Envelope.Signatures = append(e.Envelope.Signatures, Signature{KeyID: s.Key.ID(), Sig: s.Sig})
			sizes = append(sizes, len(s.Sig))
		}
	}
	switch n, size := len(sizes), entrySize(len(v.payload), sizes...); {
	case n == 0:
		return Entry{}, Refuse(Forbidden, "none of the signatures counts for this record")
	case n > MaxSignatures:
		return Entry{}, tooLarge(MaxSignatures, n, "%d signatures count for this record; an entry holds %d: send fewer", n, MaxSignatures)
	case size > MaxEntryBytes:
		limit := maxPayloadBytes(sizes...)
		return Entry{}, tooLarge(MaxEntryBytes, size, "the entry would be %d bytes; at most %d are allowed: with these %d signatures a payload of %d, this one is %d", size, MaxEntryBytes, n, limit, len(v.payload))
	}
	return e, nil
}

// A keyLister is a predicate that introduces keys, which may sign from the next record on.
type keyLister interface {
	// listedKeys are those keys, and the name of the member that lists them. A root key
	// has neither use nor functions.
	listedKeys() (keys []PartyKey, member string)
}

// ListedPartyKeys are the keys that a statement itself introduces, as it lists them: a
// charter's root keys, an enrolment's keys, those that `keys` adds. A root key has neither
// use nor functions.
func ListedPartyKeys(st *Statement) []PartyKey {
	keys, _ := listedKeys(st.Predicate)
	return keys
}

func listedKeys(p Predicate) (keys []PartyKey, member string) {
	if l, ok := p.(keyLister); ok {
		return l.listedKeys()
	}
	return nil, ""
}

// ListedKeys are the [ListedPartyKeys] themselves. One that is not in its canonical form is
// a *[Refusal] Invalid.
func ListedKeys(st *Statement) ([]*Key, error) {
	listed, member := listedKeys(st.Predicate)
	keys := make([]*Key, 0, len(listed))
	var faults []Fault
	for i, k := range listed {
		key, err := k.Key.Key()
		if err != nil {
			faults = append(faults, Fault{Pointer: fmt.Sprintf("/predicate/%s/%d/key", member, i), Detail: err.Error()})
			continue
		}
		keys = append(keys, key)
	}
	if faults != nil {
		return nil, &Refusal{Class: Invalid, Detail: fmt.Sprintf("the %s lists keys that cannot be used", st.Kind), Faults: faults}
	}
	return keys, nil
}

// signatureSearch finds the key of each signature.
type signatureSearch struct {
	message       []byte
	keys          []*Key
	verifications int
	found         []VerifiedSignature
}

// verifySignatures first tries the keys that the key IDs name, for every signature, so
// that signatures with key IDs are never affected by the limit because of one without.
func (s *signatureSearch) verifySignatures(signatures []Signature) error {
	remaining := make([]Signature, 0, len(signatures))
	for i, sig := range signatures {
		if slices.ContainsFunc(signatures[:i], func(o Signature) bool { return bytes.Equal(o.Sig, sig.Sig) }) {
			continue
		}
		switch ok, err := s.verifyWith(keyByID(s.keys, sig.KeyID), sig.Sig); {
		case err != nil:
			return err
		case !ok:
			remaining = append(remaining, sig)
		}
	}
	// A key ID of ours that is no candidate's is most likely a stranger's, whose signature
	// counts for nothing: those come last, and are no reason to refuse what was found.
	named := func(sig Signature) bool { return schema.FormatKeyID.Fault(sig.KeyID) == "" }
	for _, strangers := range []bool{false, true} {
		for _, sig := range remaining {
			if named(sig) != strangers {
				continue
			}
			if err := s.tryAll(sig); err != nil && (!strangers || len(s.found) == 0) {
				return err
			}
		}
	}
	slices.SortFunc(s.found, func(a, b VerifiedSignature) int { return strings.Compare(a.Key.ID(), b.Key.ID()) })
	return nil
}

// tryAll tries every key but the one that the signature names.
func (s *signatureSearch) tryAll(sig Signature) error {
	for _, key := range s.keys {
		if key.ID() == sig.KeyID || s.hasKey(key) {
			continue
		}
		if ok, err := s.verifyWith(key, sig.Sig); ok || err != nil {
			return err
		}
	}
	return nil
}

// verifyWith counts every verification towards MaxVerifications; a P-384 key costs two.
// A key of another algorithm costs nothing. Of two signatures by one key, as ECDSA can
// make them, the first stays.
func (s *signatureSearch) verifyWith(key *Key, sig []byte) (bool, error) {
	if key == nil || !key.plausibleSignature(sig) {
		return false, nil
	}
	if s.verifications += len(key.verifiers); s.verifications > MaxVerifications {
		return false, Refuse(Forbidden, "too many keys to try; set keyid in each signature to the SHA256:… of its key")
	}
	if key.Verify(s.message, sig) != nil {
		return false, nil
	}
	if !s.hasKey(key) {
		s.found = append(s.found, VerifiedSignature{Key: key, Sig: sig})
	}
	return true, nil
}

func (s *signatureSearch) hasKey(key *Key) bool {
	return slices.ContainsFunc(s.found, func(f VerifiedSignature) bool { return f.Key.Equal(key) })
}

// refusal says which of the reasons it is that nothing verified, and what to do.
func (s *signatureSearch) refusal(st *Statement, signatures []Signature) *Refusal {
	if len(s.keys) == 0 {
		return Refuse(Forbidden, "no key is known for %s, and the record lists none; is the issuer enrolled, and its ID spelt right?", st.Issuer)
	}
	if key := s.findEd25519phKey(signatures); key != nil {
		return Refuse(Forbidden, "the signature by %s is Ed25519ph, as cosign makes it with an Ed25519 key, not Ed25519; use docket sign, or an ECDSA key with cosign", key)
	}
	for _, sig := range signatures {
		if key := keyByID(s.keys, sig.KeyID); key != nil {
			return Refuse(Forbidden, "the signature by %s does not verify; the payload was changed after signing, or something else was signed: sign again", key)
		}
	}
	const maxNamed = 4
	names := make([]string, 0, maxNamed+1)
	for _, k := range s.keys[:min(maxNamed, len(s.keys))] {
		names = append(names, k.ID())
	}
	if more := len(s.keys) - maxNamed; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return Refuse(Forbidden, "no signature verifies with a key known for %s or listed in the record; sign with one of these: %s", st.Issuer, strings.Join(names, ", "))
}

// findEd25519phKey finds a key that made one of the signatures with Ed25519ph (RFC 8032,
// section 5.1), within what is left of the tries. It serves only to word a refusal.
func (s *signatureSearch) findEd25519phKey(signatures []Signature) *Key {
	for _, sig := range signatures {
		for _, key := range s.keys {
			public, ok := key.public.(ed25519.PublicKey)
			if !ok || !key.plausibleSignature(sig.Sig) {
				continue
			}
			if s.verifications++; s.verifications > MaxVerifications {
				return nil
			}
			v, err := signature.LoadED25519phVerifier(public)
			if err == nil && v.VerifySignature(bytes.NewReader(sig.Sig), bytes.NewReader(s.message)) == nil {
				return key
			}
		}
	}
	return nil
}

// uniqueKeys drops nils and repeated keys, keeping the order.
func uniqueKeys(keys []*Key) []*Key {
	out := keys[:0]
	for _, k := range keys {
		if k != nil && keyByID(out, k.ID()) == nil {
			out = append(out, k)
		}
	}
	return out
}

func keyByID(keys []*Key, id string) *Key {
	if i := slices.IndexFunc(keys, func(k *Key) bool { return k.ID() == id }); i >= 0 {
		return keys[i]
	}
	return nil
}
