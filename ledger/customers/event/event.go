// Package event is what a provider's private customer log is made of: the events of a
// customer's life, the leaf that stands in the log for each of them, and what of an event
// is opened to whom (ledger/record/RECORDS.md "The private customer log"). It does no
// I/O, keeps no key and knows no clock; package customers keeps the log.
//
// # Format
//
// A customer has a handle, 16 random bytes. Each of his events has a header of seven
// fields, every one a text:
//
//	handle   32 lower-case hexadecimal digits; of the house's own events zeros
//	kind     opened, verified, changed, access, flagged, held, released, closed, erased; or an act of the house
//	time     when it happened, RFC 3339 in UTC, 0 to 3 fraction digits
//	logged   when the log took it in, likewise
//	number   its place in the chain of the handle's events, decimal, from 0 on
//	before   leaf index of the chain's event before, decimal; empty at number 0
//	content  the content line
//
// What a kind says beyond that is a JSON object, its content. The content line lists each
// of its values under its JSON pointer, in the order of the pointers' bytes, as a
// commitment to the value's text (numbers in decimal, true, false); the canonical event does the same for
// the seven fields, in the order above. Both are one line of JSON without white space:
//
//	{"/action":"3f0c…","/ip":"91be…"}
//	{"handle":"8c1d…","kind":"02aa…","time":"77fe…","logged":"…","number":"…","before":"…","content":"…"}
//
// A leaf is two lines, 64 bytes: "docket-customer/v1" and the base64 of the commitment to
// the canonical event. All commitments are those of records (RECORDS.md "Commitment"), in
// the ledger of the provider's charter, on his thread customer-log/P. Their pointers are
// /event for the canonical event, /event/time for a field of the header, and
// /event/content/ip for a value of the content. A leaf that is only there to fill up commits
// to its own index at /pad, the last leaf of a period to the root of its map at /map, both
// in the same two lines: who has no opening cannot tell one from another.
//
// An event has one random salt of 32 bytes. The salt of each of its commitments is
// HMAC-SHA256 (RFC 2104) of the commitment's pointer under it, so that one can be
// disclosed and tells nothing of the others.
package event

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Handle stands for a customer in the log: 16 random bytes, never derived from identity.
type Handle [16]byte

// House is the handle of the house's own chain: who searched, what was disclosed.
var House Handle

// NewHandle draws one.
func NewHandle() (h Handle) {
	rand.Read(h[:]) // never fails
	return h
}

// ParseHandle reads 32 lower-case hexadecimal digits.
func ParseHandle(s string) (h Handle, err error) {
	if b, err := hex.DecodeString(s); err == nil && len(b) == len(h) && hex.EncodeToString(b) == s {
		return Handle(b), nil
	}
	return Handle{}, fmt.Errorf("%s is not a customer's handle: 32 lower-case hexadecimal digits", schema.Quote(s))
}

func (h Handle) String() string { return hex.EncodeToString(h[:]) }

// MarshalText writes [Handle.String].
func (h Handle) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is [ParseHandle].
func (h *Handle) UnmarshalText(text []byte) (err error) {
	*h, err = ParseHandle(string(text))
	return err
}

// Header is what every event has beside its content. Times are UTC, whole milliseconds.
type Header struct {
	Handle Handle
	Kind   Kind
	Time   time.Time // when it happened, by the provider's word
	Logged time.Time // when the log took it in
	Number uint64    // place in the handle's chain
	Before uint64    // leaf index of the chain's event before; 0 at Number 0, where there is none
}

// Salt is what all salts of an event derive from.
type Salt [32]byte

// NewSalt draws one.
func NewSalt() (s Salt) {
	rand.Read(s[:]) // never fails
	return s
}

// Event is one event with all that opens its leaf.
type Event struct {
	Header
	ID      string // the provider's own, by which it is the same when it comes again; not in the leaf
	Salt    Salt
	Content Content
}

// The plaintext of an event: version, salt, kind's code, times in milliseconds, number,
// before, the ID with its length, and the content to the end. An erased event, which no
// customer's key seals, brings its handle.
const plaintextVersion = 1

// Append appends the event as it is kept under an AEAD.
func (e *Event) Append(b []byte) []byte { return AppendContent(e.appendHead(b), e.Content) }

// appendHead appends what stands before the content.
func (e *Event) appendHead(b []byte) []byte {
	b = append(b, plaintextVersion)
	b = append(b, e.Salt[:]...)
	b = append(b, e.Kind.code())
	if e.Kind == KindErased {
		b = append(b, e.Handle[:]...)
	}
	b = binary.AppendVarint(b, e.Time.UnixMilli())
	b = binary.AppendVarint(b, e.Logged.UnixMilli())
	b = binary.AppendUvarint(b, e.Number)
	if e.Number > 0 {
		b = binary.AppendUvarint(b, e.Before)
	}
	b = binary.AppendUvarint(b, uint64(len(e.ID)))
	return append(b, e.ID...)
}

var errPlaintext = errors.New("not the plaintext of an event")

// Parse reads what [Event.Append] wrote of an event of this handle, and nothing else. Where
// it is an erased event, its own handle counts.
func Parse(b []byte, h Handle) (*Event, error) {
	r := reader{b: b}
	e := &Event{Header: Header{Handle: h}}
	if r.byte() != plaintextVersion {
		return nil, fmt.Errorf("%w of version %d", errPlaintext, plaintextVersion)
	}
	copy(e.Salt[:], r.take(len(e.Salt)))
	var ok bool
	if e.Kind, ok = kindOfCode(r.byte()); !ok {
		return nil, fmt.Errorf("%w: of a kind that this version of docket does not read: upgrade", errPlaintext)
	}
	if e.Kind == KindErased {
		copy(e.Handle[:], r.take(len(e.Handle)))
	}
	e.Time, e.Logged = r.time(), r.time()
	if e.Number = r.uvarint(); e.Number > 0 {
		e.Before = r.uvarint()
	}
	e.ID = string(r.take(int(min(r.uvarint(), uint64(len(b))))))
	if r.failed {
		return nil, fmt.Errorf("%w: it ends early", errPlaintext)
	}
	v, err := schema.ParseJSON(r.b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPlaintext, err)
	}
	o, ok := v.(schema.Object)
	if !ok {
		return nil, fmt.Errorf("%w: its content is no object", errPlaintext)
	}
	var faults []schema.Fault
	if e.Content, faults = Decode(e.Kind, o); len(faults) > 0 {
		return nil, fmt.Errorf("%w: its content: %s", errPlaintext, faults[0])
	}
	if got := e.Append(make([]byte, 0, len(b))); string(got) != string(b) {
		return nil, fmt.Errorf("%w: it is written in another way than its one", errPlaintext)
	}
	return e, nil
}

// reader takes a plaintext apart.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.failed, n = true, 0
	}
	t := r.b[:n]
	r.b = r.b[n:]
	return t
}

func (r *reader) byte() byte {
	if t := r.take(1); len(t) == 1 {
		return t[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.take(max(n, -1))
	r.failed = r.failed || n <= 0
	return v
}

func (r *reader) time() time.Time {
	v, n := binary.Varint(r.b)
	r.take(max(n, -1))
	r.failed = r.failed || n <= 0
	return time.UnixMilli(v).UTC()
}

// timeText is a header's time as its commitment has it.
func timeText(t time.Time) string { return record.Instant{Time: t}.String() }
