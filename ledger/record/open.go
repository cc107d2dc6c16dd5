package record

import (
	"fmt"
	"slices"
	"time"
)

// Verified is a record whose signatures were checked. Only [Open] and [OpenEntry]
// make one; the zero value is none. It says who signed, never who may: that is
// the register's to judge.
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

// OpenEntry verifies an entry as replay must: each signature by exactly the key
// that its key ID names. keys returns that key, or nil if it does not know it; a
// key that the statement lists needs no knowing. Any signature that does not
// verify means that the bytes are no entry.
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

// ListedKeys are the keys that a statement itself introduces: a charter's root
// keys, an enrolment's keys, those that `keys` adds. A key that is not in its
// canonical form is a *[Refusal] Invalid.
func ListedKeys(st *Statement) ([]*Key, error) {
	var (
		texts   []PEM
		pointer string
	)
	switch p := st.Predicate.(type) {
	case *Charter:
		pointer = "/predicate/rootKeys/%d/key"
		for _, k := range p.RootKeys {
			texts = append(texts, k.Key)
		}
	case *Enrolment:
		pointer = "/predicate/keys/%d/key"
		for _, k := range p.Keys {
			texts = append(texts, k.Key)
		}
	case *Keys:
		pointer = "/predicate/add/%d/key"
		for _, k := range p.Add {
			texts = append(texts, k.Key)
		}
	}
	keys := make([]*Key, 0, len(texts))
	var faults []Fault
	for i, text := range texts {
		key, err := text.Key()
		if err != nil {
			faults = append(faults, Fault{Pointer: fmt.Sprintf(pointer, i), Detail: err.Error()})
			continue
		}
		keys = append(keys, key)
	}
	if faults != nil {
		return nil, &Refusal{Class: Invalid, Detail: fmt.Sprintf("the %s lists keys that cannot be used", st.Kind), Faults: faults}
	}
	return keys, nil
}
