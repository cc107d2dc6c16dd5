package event

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Scope is what every commitment of a log is bound to.
type Scope struct {
	Ledger record.ID     // of the charter under which the provider is enrolled
	Thread record.Thread // customer-log/P
}

// NewScope is that of a party's log.
func NewScope(ledger record.ID, party string) Scope {
	return Scope{ledger, record.CustomerLogThread(party)}
}

// LeafSize is the length of a leaf in bytes: of all alike, so that it tells nothing.
const LeafSize = len(leafHeader) + 44 + 1

const leafHeader = "docket-customer/v1\n"

// Commitment is the 32 bytes of one.
type Commitment = [sha256.Size]byte

func leafOf(c Commitment) []byte {
	b := append(make([]byte, 0, LeafSize), leafHeader...)
	return append(base64.StdEncoding.AppendEncode(b, c[:]), '\n')
}

// ParseLeaf reads the commitment of a leaf.
func ParseLeaf(leaf []byte) (c Commitment, err error) {
	if text, ok := bytes.CutPrefix(leaf, []byte(leafHeader)); ok && len(leaf) == LeafSize {
		if n, err := base64.StdEncoding.Decode(make([]byte, 33), text[:44]); err == nil && n == len(c) {
			base64.StdEncoding.Decode(c[:], text[:44])
			if bytes.Equal(leafOf(c), leaf) {
				return c, nil
			}
		}
	}
	return c, fmt.Errorf("not the leaf of a customer log: %s", schema.Quote(string(leaf[:min(len(leaf), LeafSize)])))
}

// The pointers of what a leaf commits to.
const (
	pointerEvent   = "/event"
	pointerContent = "/event/content"
	pointerPad     = "/pad"
	pointerMap     = "/map"
	pointerFiled   = "/filed"
)

// fields are those of the header, in the order of the canonical event.
var fields = [...]string{"handle", "kind", "time", "logged", "number", "before", "content"}

// salter derives the salts of one event.
type salter struct {
	mac     hash.Hash
	sum     [sha256.Size]byte
	pointer []byte
}

func (s *Salt) salter() *salter {
	return &salter{mac: hmac.New(sha256.New, s[:]), pointer: make([]byte, 0, 48)}
}

// at is the salt of a pointer, of which these are the parts, until the next one is asked for.
func (s *salter) at(parts ...string) []byte {
	s.pointer = s.pointer[:0]
	for _, part := range parts {
		s.pointer = append(s.pointer, part...)
	}
	s.mac.Reset()
	s.mac.Write(s.pointer)
	return s.mac.Sum(s.sum[:0])
}

// committing is room for what one commitment hashes, but for long texts.
type committing = [1024]byte

func (s Scope) committer(room *committing) record.Committer {
	return record.NewCommitter(room[:0], s.Ledger, s.Thread)
}

// Value is the text of one value of a content, under its pointer from the content's root.
type Value struct {
	Pointer string
	Text    string
}

// valuesOf takes a content apart, as [AppendContent] wrote it, in the order of the pointers' bytes.
func valuesOf(content []byte) []Value {
	v, err := schema.ParseJSON(content)
	if err != nil {
		panic("event: encoding a content: " + err.Error())
	}
	return valuesIn(v)
}

func valuesIn(v any) []Value {
	values := appendValues(make([]Value, 0, 4), "", v)
	slices.SortFunc(values, func(a, b Value) int { return strings.Compare(a.Pointer, b.Pointer) })
	return values
}

func appendValues(to []Value, pointer string, v any) []Value {
	switch v := v.(type) {
	case schema.Object:
		for _, m := range v {
			to = appendValues(to, pointer+"/"+schema.EscapePointer(m.Name), m.Value)
		}
	case []any:
		for i, item := range v {
			to = appendValues(to, pointer+"/"+strconv.Itoa(i), item)
		}
	case int64:
		to = append(to, Value{pointer, strconv.FormatInt(v, 10)})
	case bool:
		to = append(to, Value{pointer, strconv.FormatBool(v)})
	default:
		to = append(to, Value{pointer, v.(string)})
	}
	return to
}

// contentLine commits to each value of a content.
func contentLine(c record.Committer, salts *salter, values []Value) string {
	b := append(make([]byte, 0, 96*len(values)+2), '{')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(schema.AppendString(b, v.Pointer), ':', '"')
		sum := sha256.Sum256(append(c.Before(salts.at(pointerContent, v.Pointer), pointerContent, v.Pointer), v.Text...))
		b = append(hex.AppendEncode(b, sum[:]), '"')
	}
	return string(append(b, '}'))
}

// Prepared is an event of which all is hashed but what only its place in the log gives:
// when it is logged, its number, and the event before it.
type Prepared struct {
	*Event
	content     []byte // of the event, as it is written
	scope       Scope
	salts       *salter
	contentLine string
	sums        [len(fields)]Commitment
}

// Prepare hashes what can be hashed before an event has its place.
func (s Scope) Prepare(e *Event) *Prepared {
	content := AppendContent(nil, e.Content)
	return s.prepare(e, content, valuesOf(content))
}

func (s Scope) prepare(e *Event, content []byte, values []Value) *Prepared {
	p := &Prepared{Event: e, content: content, scope: s, salts: e.Salt.salter()}
	var room committing
	c := s.committer(&room)
	p.contentLine = contentLine(c, p.salts, values)
	for i, name := range fields {
		if !ofPlace(name) {
			p.sums[i] = p.field(c, name)
		}
	}
	return p
}

// ofPlace tells whether a field of the header comes from the event's place in the log.
func ofPlace(name string) bool { return name == "logged" || name == "number" || name == "before" }

func (p *Prepared) field(c record.Committer, name string) Commitment {
	return sha256.Sum256(p.appendText(c.Before(p.salts.at(pointerEvent, "/", name), pointerEvent, "/", name), name))
}

// appendText appends the value of a field of the header.
func (p *Prepared) appendText(b []byte, name string) []byte {
	switch name {
	case "handle":
		return hex.AppendEncode(b, p.Handle[:])
	case "kind":
		return append(b, p.Kind...)
	case "time":
		return record.Instant{Time: p.Time}.Append(b)
	case "logged":
		return record.Instant{Time: p.Logged}.Append(b)
	case "number":
		return strconv.AppendUint(b, p.Number, 10)
	case "before":
		if p.Number == 0 {
			return b
		}
		return strconv.AppendUint(b, p.Before, 10)
	}
	return append(b, p.contentLine...)
}

// setPlace commits to what the event's place in the log gives, once it has it.
func (p *Prepared) setPlace(c record.Committer) {
	for i, name := range fields {
		if ofPlace(name) {
			p.sums[i] = p.field(c, name)
		}
	}
}

// Append is [Event.Append] with the content that is written already.
func (p *Prepared) Append(b []byte) []byte { return append(p.Event.appendHead(b), p.content...) }

// appendCanonical appends the canonical event.
func appendCanonical(b []byte, sums [len(fields)]Commitment) []byte {
	b = append(b, '{')
	for i, name := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(schema.AppendString(b, name), ':', '"')
		b = append(hex.AppendEncode(b, sums[i][:]), '"')
	}
	return append(b, '}')
}

// Leaf is the leaf of the event, once it has its place.
func (p *Prepared) Leaf() []byte {
	var room committing
	c := p.scope.committer(&room)
	p.setPlace(c)
	return leafOf(sha256.Sum256(appendCanonical(c.Before(p.salts.at(pointerEvent), pointerEvent), p.sums)))
}

// Leaf is the leaf of an event.
func (s Scope) Leaf(e *Event) []byte { return s.Prepare(e).Leaf() }

// LeafOf is the leaf that an opening of its own commitment opens.
func (s Scope) LeafOf(o record.Opening) []byte { return leafOf(o.Sum(s.Ledger, s.Thread)) }

// PadOpening opens the leaf at an index that only fills up.
func PadOpening(salt Salt, index uint64) record.Opening {
	return record.Opening{Pointer: pointerPad, Value: strconv.FormatUint(index, 10), Salt: salt[:]}
}

// MapOpening opens the last leaf of a period, which fixes the root of its map.
func MapOpening(salt Salt, root [32]byte) record.Opening {
	return record.Opening{Pointer: pointerMap, Value: hex.EncodeToString(root[:]), Salt: salt[:]}
}
