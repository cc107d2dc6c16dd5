package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// PAE is the bytes that a signature covers: DSSE's pre-authentication encoding
// of [PayloadType] and payload (DSSE protocol v1, "Signature Definition").
func PAE(payload []byte) []byte { return dsse.PAE(PayloadType, payload) }

// Sign makes an envelope of payload with one signature. The payload is signed as
// it is; [ParseStatement] says whether it is a record.
func Sign(ctx context.Context, payload []byte, s *Signer) (Envelope, error) {
	return Envelope{PayloadType: PayloadType, Payload: payload}.Sign(ctx, s)
}

// Sign returns e with a signature by s added; no payload byte changes. ctx bounds
// the call to a KMS.
func (e Envelope) Sign(ctx context.Context, s *Signer) (Envelope, error) {
	if err := e.checkFits(s.key.alg.signatureSize()); err != nil {
		return Envelope{}, err
	}
	sig, err := s.SignMessage(ctx, PAE(e.Payload))
	if err != nil {
		return Envelope{}, fmt.Errorf("signing with %s: %w", s.key, err)
	}
	return e.Attach(s.key, sig)
}

// Attach returns e with a signature that was made outside, over [PAE], by the
// private half of key. It is verified first: a KMS or a smart card that signs
// something else is found here and not at the ledger.
func (e Envelope) Attach(key *Key, sig []byte) (Envelope, error) {
	e.PayloadType = PayloadType // what PAE covers
	if err := key.Verify(PAE(e.Payload), sig); err != nil {
		return Envelope{}, fmt.Errorf("attaching signature: %w; sign exactly the bytes that docket sign --pae prints", err)
	}
	if err := e.checkFits(len(sig)); err != nil {
		return Envelope{}, err
	}
	return e.AddSignature(Signature{KeyID: key.ID(), Sig: sig}), nil
}

// AddSignature returns e with s added, unless the same signature is there.
func (e Envelope) AddSignature(s Signature) Envelope {
	for i, old := range e.Signatures {
		if bytes.Equal(old.Sig, s.Sig) {
			if old.KeyID == "" && s.KeyID != "" {
				e.Signatures = slices.Clone(e.Signatures)
				e.Signatures[i].KeyID = s.KeyID
			}
			return e
		}
	}
	e.Signatures = append(slices.Clip(e.Signatures), s)
	return e
}

// ErrOtherPayload says that two envelopes are not about the same bytes.
var ErrOtherPayload = errors.New("the payloads differ")

// Merge joins the signatures of two envelopes of one payload, a's first.
func Merge(a, b Envelope) (Envelope, error) {
	if a.PayloadType != b.PayloadType || !bytes.Equal(a.Payload, b.Payload) {
		return Envelope{}, fmt.Errorf("merging envelopes: %w: record %s and record %s; everybody must sign the same file", ErrOtherPayload, IDOf(a.Payload), IDOf(b.Payload))
	}
	for _, s := range b.Signatures {
		a = a.AddSignature(s)
	}
	if len(a.Signatures) > MaxSubmittedSignatures {
		return Envelope{}, tooLarge(MaxSubmittedSignatures, len(a.Signatures), "merged, the envelope has %d signatures; at most %d are read", len(a.Signatures), MaxSubmittedSignatures)
	}
	return a, nil
}

// checkFits refuses one more signature of size bytes where not even an entry of all
// signatures would hold the payload, and says what would fit.
func (e Envelope) checkFits(size int) error {
	sizes := make([]int, 0, len(e.Signatures)+1)
	for _, s := range e.Signatures {
		sizes = append(sizes, len(s.Sig))
	}
	sizes = append(sizes, size)
	if limit := maxPayloadBytes(sizes...); len(e.Payload) > limit {
		return tooLarge(limit, len(e.Payload), "the payload is %d bytes; with these %d signatures at most %d fit into an entry; shorten it, or refer to a document", len(e.Payload), len(sizes), limit)
	}
	return nil
}
