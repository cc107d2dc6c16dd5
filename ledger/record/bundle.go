package record

import (
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// The two names that sigstore_bundle.proto gives version 0.3; cosign writes the first.
const (
	bundleMediaType    = "application/vnd.dev.sigstore.bundle.v0.3+json"
	bundleMediaTypeAlt = "application/vnd.dev.sigstore.bundle+json;version=0.3"
)

// sigstoreBundleEnvelope takes the dsseEnvelope out of a Sigstore bundle. Sigstore's own
// types read the whole of it, so that nothing else passes for a bundle; what
// they read is dropped, and the envelope is read again strictly, because
// protojson takes URL-safe and unpadded base64.
func sigstoreBundleEnvelope(raw []byte, object Object) (Envelope, error) {
	var (
		mediaType string
		envelope  Object
	)
	for _, m := range object {
		switch m.Name {
		case "mediaType":
			mediaType, _ = m.Value.(string)
		case "dsseEnvelope":
			envelope, _ = m.Value.(Object)
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
