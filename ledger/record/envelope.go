package record

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Limits of what is read from outside. An entry keeps less: [MaxEntryBytes],
// [MaxSignatures].
const (
	MaxSubmissionBytes     = 256 << 10 // bytes of an envelope or bundle as submitted
	MaxSubmittedSignatures = 32        // signatures in an envelope as submitted
)

// Envelope is a payload and its signatures, in DSSE's words (DSSE protocol v1).
// Nothing in it has been verified: [Open] does that.
type Envelope struct {
	PayloadType string
	Payload     []byte
	Signatures  []Signature
}

// Signature is one signature over [PAE]. KeyID is only a hint of the key to try
// first, may be any text, and may be missing.
type Signature struct {
	KeyID string
	Sig   []byte
}

// ParseEnvelope reads a DSSE envelope, or a Sigstore bundle v0.3 that holds one.
// The JSON passes the strict scanner and the base64 is strict; whatever else the
// bytes are, the refusal names it. Errors are a *[Refusal], Malformed or TooLarge.
func ParseEnvelope(raw []byte) (Envelope, error) {
	if len(raw) > MaxSubmissionBytes {
		return Envelope{}, tooLarge(MaxSubmissionBytes, len(raw), "the envelope is %d bytes; at most %d are read", len(raw), MaxSubmissionBytes)
	}
	value, err := schema.ParseJSON(raw)
	switch object, _ := value.(schema.Object); {
	case err != nil && looksLikeJSON(raw):
		return Envelope{}, Refuse(Malformed, "envelope: %v", err)
	case detectFormat(object) == inputEnvelope:
		return decodeEnvelope(object)
	case detectFormat(object) == inputBundle:
		return sigstoreBundleEnvelope(raw, object)
	case detectFormat(object) == inputStatement, detectFormat(object) == inputShortForm:
		return Envelope{}, Refuse(Malformed, "this is %s; wanted an envelope: sign it first (docket sign)", DescribeInput(raw))
	}
	return Envelope{}, Refuse(Malformed, "this is %s; wanted an envelope", DescribeInput(raw))
}

func decodeEnvelope(object schema.Object) (Envelope, error) {
	var (
		e    Envelope
		list []any
		err  error
	)
	for _, m := range object {
		switch m.Name {
		case "payloadType":
			e.PayloadType, _ = m.Value.(string)
			if e.PayloadType != PayloadType {
				return Envelope{}, Refuse(Malformed, "envelope: payloadType %q, want %q", e.PayloadType, PayloadType)
			}
		case "payload":
			if e.Payload, err = decodeBase64Member(m); err != nil {
				return Envelope{}, Refuse(Malformed, "envelope: %v", err)
			}
		case "signatures":
			list, _ = m.Value.([]any)
		default:
			return Envelope{}, Refuse(Malformed, "envelope: unknown field %q; wanted payloadType, payload, signatures", m.Name)
		}
	}
	switch limit := MaxPayload(AlgEd25519); {
	case e.PayloadType == "":
		return Envelope{}, Refuse(Malformed, "envelope: no payloadType, want %q", PayloadType)
	case len(e.Payload) == 0:
		return Envelope{}, Refuse(Malformed, "envelope: no payload")
	case len(e.Payload) > limit:
		return Envelope{}, tooLarge(limit, len(e.Payload), "the payload is %d bytes; with one signature at most %d fit into an entry", len(e.Payload), limit)
	case len(list) == 0:
		return Envelope{}, Refuse(Malformed, "envelope: no signatures, want at least one")
	case len(list) > MaxSubmittedSignatures:
		return Envelope{}, tooLarge(MaxSubmittedSignatures, len(list), "the envelope has %d signatures; at most %d are read", len(list), MaxSubmittedSignatures)
	}
	e.Signatures = make([]Signature, len(list))
	for i, v := range list {
		if e.Signatures[i], err = decodeSignature(v); err != nil {
			return Envelope{}, Refuse(Malformed, "envelope: signature %d of %d: %v", i+1, len(list), err)
		}
	}
	return e, nil
}

func decodeSignature(v any) (Signature, error) {
	object, ok := v.(schema.Object)
	if !ok {
		return Signature{}, errors.New("not an object")
	}
	var (
		s   Signature
		err error
	)
	for _, m := range object {
		switch m.Name {
		case "keyid":
			if s.KeyID, ok = m.Value.(string); !ok {
				return Signature{}, errors.New("keyid is not a string")
			}
		case "sig":
			if s.Sig, err = decodeBase64Member(m); err != nil {
				return Signature{}, err
			}
		default:
			return Signature{}, fmt.Errorf("unknown field %q; wanted keyid, sig", m.Name)
		}
	}
	if len(s.Sig) == 0 {
		return Signature{}, errors.New("no sig")
	}
	return s, nil
}

func decodeBase64Member(m schema.Member) ([]byte, error) {
	text, ok := m.Value.(string)
	if !ok {
		return nil, fmt.Errorf("%s is not a string", m.Name)
	}
	b, err := decodeBase64([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name, err)
	}
	return b, nil
}

var (
	strictBase64 = base64.StdEncoding.Strict()

	errBase64 = errors.New("not base64 as wanted: standard alphabet, padded, no white space, unused bits zero")
)

// decodeBase64 takes the one spelling of each byte string that encoding gives.
// encoding/base64 ignores line ends even when strict; they show in the length.
func decodeBase64(text []byte) ([]byte, error) {
	b := make([]byte, strictBase64.DecodedLen(len(text)))
	n, err := strictBase64.Decode(b, text)
	if err != nil || base64.StdEncoding.EncodedLen(n) != len(text) {
		return nil, errBase64
	}
	return b[:n], nil
}

// Marshal writes the envelope as one line of JSON without a newline, as
// [ParseEnvelope] reads it; a signature without a key ID has no keyid member.
func (e Envelope) Marshal() []byte {
	b := append([]byte(nil), `{"payloadType":`...)
	b = schema.AppendString(b, e.PayloadType)
	b = append(b, `,"payload":"`...)
	b = base64.StdEncoding.AppendEncode(b, e.Payload)
	b = append(b, `","signatures":[`...)
	for i, s := range e.Signatures {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		if s.KeyID != "" {
			b = append(b, `"keyid":`...)
			b = schema.AppendString(b, s.KeyID)
			b = append(b, ',')
		}
		b = append(b, `"sig":"`...)
		b = base64.StdEncoding.AppendEncode(b, s.Sig)
		b = append(b, `"}`...)
	}
	return append(b, `]}`...)
}

// PAE is the bytes that a signature covers: DSSE's pre-authentication encoding
// of [PayloadType] and payload (DSSE protocol v1, "Signature Definition").
func PAE(payload []byte) []byte { return dsse.PAE(PayloadType, payload) }

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

// checkFits is [Envelope.CheckFits] of a signature of size bytes.
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

// CheckFits refuses one more signature by key where not even an entry of all signatures
// would hold the payload, and says what would fit.
func (e Envelope) CheckFits(key *Key) error { return e.checkFits(key.alg.maxSignatureSize()) }

func tooLarge(limit, size int, format string, args ...any) *Refusal {
	return &Refusal{Class: TooLarge, Detail: fmt.Sprintf(format, args...), Limit: limit, Size: size}
}

// The two names that sigstore_bundle.proto gives version 0.3; cosign writes the first.
const (
	bundleMediaType    = "application/vnd.dev.sigstore.bundle.v0.3+json"
	bundleMediaTypeAlt = "application/vnd.dev.sigstore.bundle+json;version=0.3"
)

// sigstoreBundleEnvelope takes the dsseEnvelope out of a Sigstore bundle. Sigstore's own
// types read the whole of it, so that nothing else passes for a bundle; what
// they read is dropped, and the envelope is read again strictly, because
// protojson takes URL-safe and unpadded base64.
func sigstoreBundleEnvelope(raw []byte, object schema.Object) (Envelope, error) {
	var (
		mediaType string
		envelope  schema.Object
	)
	for _, m := range object {
		switch m.Name {
		case "mediaType":
			mediaType, _ = m.Value.(string)
		case "dsseEnvelope":
			envelope, _ = m.Value.(schema.Object)
		case "messageSignature":
			return Envelope{}, Refuse(Malformed, "this Sigstore bundle signs a file, not a statement; make one with cosign attest-blob --statement")
		}
	}
	if mediaType != bundleMediaType && mediaType != bundleMediaTypeAlt {
		return Envelope{}, Refuse(Malformed, "Sigstore bundle: mediaType %q, want %q", mediaType, bundleMediaType)
	}
	if err := protojson.Unmarshal(raw, new(bundlepb.Bundle)); err != nil {
		return Envelope{}, Refuse(Malformed, "Sigstore bundle: not as version 0.3 has it: %v", err)
	}
	if envelope == nil {
		return Envelope{}, Refuse(Malformed, "Sigstore bundle: no dsseEnvelope")
	}
	return decodeEnvelope(envelope)
}
