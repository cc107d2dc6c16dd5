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
	mac hash.Hash
	sum [sha256.Size]byte
}

func (s Salt) salter() *salter { return &salter{mac: hmac.New(sha256.New, s[:])} }

// at is the salt of a pointer, until the next one is asked for.
func (s *salter) at(pointer string) []byte {
	s.mac.Reset()
	s.mac.Write([]byte(pointer))
	return s.mac.Sum(s.sum[:0])
}

func (s Scope) sum(salt []byte, pointer, value string) Commitment {
	return record.Opening{Pointer: pointer, Value: value, Salt: salt}.Sum(s.Ledger, s.Thread)
}

// Value is the text of one value of a content, under its pointer from the content's root.
type Value struct {
	Pointer string
	Text    string
}

// valuesOf takes a content apart, in the order of the pointers' bytes.
func valuesOf(c Content) []Value {
	v, err := schema.ParseJSON(AppendContent(nil, c))
	if err != nil {
		panic("event: encoding a content: " + err.Error())
	}
	values := appendValues(nil, "", v)
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
func (s Scope) contentLine(salts *salter, values []Value) string {
	b := append(make([]byte, 0, 96*len(values)+2), '{')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(schema.AppendString(b, v.Pointer), ':', '"')
		pointer := pointerContent + v.Pointer
		c := s.sum(salts.at(pointer), pointer, v.Text)
		b = append(hex.AppendEncode(b, c[:]), '"')
	}
	return string(append(b, '}'))
}

// Prepared is an event of which all is hashed but what only its place in the log gives:
// when it is logged, its number, and the event before it.
type Prepared struct {
	*Event
	scope       Scope
	salts       *salter
	contentLine string
	sums        [len(fields)]Commitment
}

// Prepare hashes what can be hashed before an event has its place.
func (s Scope) Prepare(e *Event) *Prepared {
	p := &Prepared{Event: e, scope: s, salts: e.Salt.salter()}
	p.contentLine = s.contentLine(p.salts, valuesOf(e.Content))
	for i, name := range fields {
		switch name {
		case "logged", "number", "before":
		default:
			p.sums[i] = p.field(name)
		}
	}
	return p
}

func (p *Prepared) field(name string) Commitment {
	pointer := pointerEvent + "/" + name
	return p.scope.sum(p.salts.at(pointer), pointer, p.text(name))
}

// text is the value of a field of the header.
func (p *Prepared) text(name string) string {
	switch name {
	case "handle":
		return p.Handle.String()
	case "kind":
		return string(p.Kind)
	case "time":
		return timeText(p.Time)
	case "logged":
		return timeText(p.Logged)
	case "number":
		return strconv.FormatUint(p.Number, 10)
	case "before":
		if p.Number == 0 {
			return ""
		}
		return strconv.FormatUint(p.Before, 10)
	}
	return p.contentLine
}

// canonical is the canonical event, once it has its place.
func (p *Prepared) canonical() string {
	for i, name := range fields {
		switch name {
		case "logged", "number", "before":
			p.sums[i] = p.field(name)
		}
	}
	return canonicalEvent(p.sums)
}

func canonicalEvent(sums [len(fields)]Commitment) string {
	b := append(make([]byte, 0, 600), '{')
	for i, name := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(schema.AppendString(b, name), ':', '"')
		b = append(hex.AppendEncode(b, sums[i][:]), '"')
	}
	return string(append(b, '}'))
}

// Leaf is the leaf of the event, once it has its place.
func (p *Prepared) Leaf() []byte {
	line := p.canonical()
	return leafOf(p.scope.sum(p.salts.at(pointerEvent), pointerEvent, line))
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
