package record

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature"
)

// signatureSearch finds the key of each signature.
type signatureSearch struct {
	message       []byte
	keys          []*Key
	verifications int
	found         []VerifiedSignature
}

// verifySignatures tries first what the key IDs hint at, for every signature, so that honest
// hints never run into the limit because of a neighbour without one.
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
	for _, sig := range remaining {
		for _, key := range s.keys {
			if key.ID() == sig.KeyID || s.hasKey(key) {
				continue
			}
			ok, err := s.verifyWith(key, sig.Sig)
			if err != nil {
				return err
			}
			if ok {
				break
			}
		}
	}
	slices.SortFunc(s.found, func(a, b VerifiedSignature) int { return strings.Compare(a.Key.ID(), b.Key.ID()) })
	return nil
}

// verifyWith counts each verification, of which P-384 takes two; a key whose algorithm
// makes no such signature is free. Of two signatures by one key, as ECDSA can
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
