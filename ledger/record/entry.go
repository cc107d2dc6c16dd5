package record

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// Entry is one leaf of a ledger: an envelope and the time at which it was
// admitted. Its bytes are one line of JSON, without the newline (DESIGN.md
// section 4, "Entry"):
//
//	{"admitted":"2026-11-23T18:19:04.123Z","envelope":{"payloadType":…,"payload":…,"signatures":[{"keyid":…,"sig":…}]}}
//
// An Entry comes from [Verified.Entry] or [ParseEntry]; it has 1 to
// [MaxSignatures] signatures, one per key, ordered bytewise by key ID.
type Entry struct {
	Admitted time.Time // UTC, whole milliseconds
	Envelope Envelope
}

const (
	admittedLayout = "2006-01-02T15:04:05.000Z"

	entryAdmitted   = `{"admitted":"`
	entryPayload    = `","envelope":{"payloadType":"` + PayloadType + `","payload":"`
	entrySignatures = `","signatures":[`
	entryKeyID      = `{"keyid":"`
	entrySig        = `","sig":"`
	entrySigEnd     = `"}`
	entryEnd        = `]}}`

	keyIDPrefix = "SHA256:"
	keyIDSize   = len(keyIDPrefix) + 43 // 32 bytes, base64 without padding

	entryOverhead     = len(entryAdmitted) + len(admittedLayout) + len(entryPayload) + len(entrySignatures) + len(entryEnd)
	signatureOverhead = len(entryKeyID) + keyIDSize + len(entrySig) + len(entrySigEnd)
)

// Marshal writes the entry's bytes. What Admitted has below a millisecond is cut
// off.
func (e Entry) Marshal() []byte {
	sizes := make([]int, 0, MaxSignatures)
	for _, s := range e.Envelope.Signatures {
		sizes = append(sizes, len(s.Sig))
	}
	b := make([]byte, 0, entrySize(len(e.Envelope.Payload), sizes...))
	b = append(b, entryAdmitted...)
	b = e.Admitted.UTC().AppendFormat(b, admittedLayout)
	b = append(b, entryPayload...)
	b = base64.StdEncoding.AppendEncode(b, e.Envelope.Payload)
	b = append(b, entrySignatures...)
	for i, s := range e.Envelope.Signatures {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, entryKeyID...)
		b = append(b, s.KeyID...)
		b = append(b, entrySig...)
		b = base64.StdEncoding.AppendEncode(b, s.Sig)
		b = append(b, entrySigEnd...)
	}
	return append(b, entryEnd...)
}

// ParseEntry reads an entry's bytes and takes nothing that [Entry.Marshal] would
// write otherwise. It verifies no signature: [OpenEntry] does.
func ParseEntry(line []byte) (Entry, error) {
	if len(line) > MaxEntryBytes {
		return Entry{}, fmt.Errorf("entry of %d bytes; at most %d are allowed", len(line), MaxEntryBytes)
	}
	r := entryReader{rest: line}
	r.literal(entryAdmitted)
	admitted := r.time()
	r.literal(entryPayload)
	payload := r.base64()
	r.literal(entrySignatures)
	signatures := make([]Signature, 0, 2)
	for r.err == nil {
		r.literal(entryKeyID)
		id := r.keyID()
		r.literal(entrySig)
		sig := r.base64()
		r.literal(entrySigEnd)
		signatures = append(signatures, Signature{KeyID: id, Sig: sig})
		if !bytes.HasPrefix(r.rest, []byte{','}) {
			break
		}
		r.literal(",")
	}
	r.literal(entryEnd)
	if r.err == nil && len(r.rest) > 0 {
		r.fail("its end")
	}
	if r.err != nil {
		return Entry{}, fmt.Errorf("entry: byte %d: %w", len(line)-len(r.rest), r.err)
	}
	e := Entry{Admitted: admitted, Envelope: Envelope{PayloadType: PayloadType, Payload: payload, Signatures: signatures}}
	if err := e.check(); err != nil {
		return Entry{}, fmt.Errorf("entry: %w", err)
	}
	return e, nil
}

// check holds what the grammar alone does not.
func (e Entry) check() error {
	signatures := e.Envelope.Signatures
	switch {
	case e.Envelope.PayloadType != PayloadType:
		return fmt.Errorf("payloadType %q, want %q", e.Envelope.PayloadType, PayloadType)
	case len(e.Envelope.Payload) == 0:
		return errors.New("no payload")
	case len(signatures) == 0 || len(signatures) > MaxSignatures:
		return fmt.Errorf("%d signatures, want 1 to %d", len(signatures), MaxSignatures)
	}
	for i, s := range signatures {
		switch {
		case len(s.Sig) == 0:
			return fmt.Errorf("signature %d is empty", i+1)
		case i > 0 && signatures[i-1].KeyID >= s.KeyID:
			return fmt.Errorf("signature %d: key IDs must ascend, each once", i+1)
		}
	}
	return nil
}

// MaxPayload is the largest payload, in bytes, of an entry that keeps one
// signature by a key of each algorithm named.
func MaxPayload(algs ...Algorithm) int {
	sizes := make([]int, len(algs))
	for i, a := range algs {
		sizes[i] = a.maxSignatureSize()
	}
	return maxPayloadBytes(sizes...)
}

func maxPayloadBytes(signatures ...int) int {
	return (MaxEntryBytes - entrySize(0, signatures...)) / 4 * 3
}

// entrySize is the length of an entry's bytes, given those of its payload and signatures.
func entrySize(payload int, signatures ...int) int {
	n := entryOverhead + base64.StdEncoding.EncodedLen(payload)
	for i, size := range signatures {
		if i > 0 {
			n++ // the comma
		}
		n += signatureOverhead + base64.StdEncoding.EncodedLen(size)
	}
	return n
}

// entryReader walks an entry; after the first fault it stands still.
type entryReader struct {
	rest []byte
	err  error
}

func (r *entryReader) fail(want string) {
	if r.err == nil {
		r.err = fmt.Errorf("want %s", want)
	}
}

func (r *entryReader) literal(s string) {
	if r.err != nil {
		return
	}
	if len(r.rest) < len(s) || string(r.rest[:len(s)]) != s {
		r.fail(s)
		return
	}
	r.rest = r.rest[len(s):]
}

func (r *entryReader) time() time.Time {
	if r.err != nil || len(r.rest) < len(admittedLayout) {
		r.fail("an instant like " + admittedLayout)
		return time.Time{}
	}
	text := r.rest[:len(admittedLayout)]
	t, err := time.Parse(admittedLayout, string(text))
	// time.Parse also takes a comma before the fraction.
	if err != nil || string(t.AppendFormat(make([]byte, 0, 32), admittedLayout)) != string(text) {
		r.fail("an instant like " + admittedLayout)
		return time.Time{}
	}
	r.rest = r.rest[len(admittedLayout):]
	return t
}

func (r *entryReader) base64() []byte {
	end := bytes.IndexByte(r.rest, '"')
	if r.err != nil || end < 0 {
		r.fail("base64")
		return nil
	}
	b, err := decodeBase64(r.rest[:end])
	if err != nil {
		r.fail("base64: " + err.Error())
		return nil
	}
	r.rest = r.rest[end:]
	return b
}

func (r *entryReader) keyID() string {
	if r.err != nil || len(r.rest) < keyIDSize || !validKeyID(r.rest[:keyIDSize]) {
		r.fail("a key ID of " + keyIDPrefix + " and 43 characters of base64")
		return ""
	}
	id := string(r.rest[:keyIDSize])
	r.rest = r.rest[keyIDSize:]
	return id
}

var strictRawBase64 = base64.RawStdEncoding.Strict()

func validKeyID(id []byte) bool {
	var hash [33]byte // DecodedLen of 43 is 32; one more, so that Decode never lacks room
	if len(id) != keyIDSize || string(id[:len(keyIDPrefix)]) != keyIDPrefix {
		return false
	}
	n, err := strictRawBase64.Decode(hash[:], id[len(keyIDPrefix):])
	return err == nil && n == 32
}
