// Package bundle is what leaves the house when a provider answers a request to disclose: one
// file that shows events of the private customer log and proves what of it can be proven
// (ledger/record/RECORDS.md "The private customer log"). It does no I/O and keeps no key:
// package customers makes bundles, and whoever was given one verifies it offline, with
// nothing but the ledger's charter.
//
// # Format
//
// A bundle is UTF-8 text of lines, each with a final LF, and is encrypted as a whole by age to
// the recipient that the request names:
//
//	docket-disclosure/v1
//	{"ledger":…,"party":…,"request":…,…,"log":{…}}           what was asked, and the log it is taken from
//	{"handle":…,"filed":…,"filedSalt":…,"proof":…}           a customer: what the map says of the handle
//	{"leaf":17,"path":[…],"openings":[…]}                    an event of that customer, and so on, by leaf
//	chain 48210                                              so many bytes of receipts follow (tlog-proof)
//	digest 5f0c…                                             SHA-256 of all bytes above, in hexadecimal
//
// JSON lines have no white space and their members in one order: what [Parse] reads, [Bundle.Format]
// writes again, byte for byte. Every event that is filed under a handle has a line. One that was asked for
// is opened; of any other its time alone is, or its kind alone, which shows that it was not
// asked for. A line without a path is of an event that the log has beyond the size that a
// public record fixed: that it is there is the provider's word.
//
// The keys of the map are salted, and the salt is itself an entry of the map, at the key of
// the text "salt": so the provider cannot show the absence of a handle under another salt.
//
// The digest finds what was cut off or changed on its way. That the provider stands by it
// says the public disclosure-receipt, which has the digest of the encrypted file.
package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/index"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// What bounds a bundle.
const (
	MaxBytes     = 64 << 20 // of the plaintext
	MaxCustomers = 1000
	maxChains    = 16
)

const header = "docket-disclosure/v1\n"

// Bundle is the plaintext of a disclosure. A parsed one is untrusted until [Bundle.Verify]
// accepts it.
type Bundle struct {
	Head      Head
	Customers []Customer
	Chains    [][]byte // receipts from the charter to a public record, as the client's files have them: to Head.Log.Record, and to the request
}

// Head says from which log it is answered, and what was asked.
type Head struct {
	Source
	Asked
}

// Source is the log, and the request that is answered from it.
type Source struct {
	Ledger  record.ID `json:"ledger" rule:"required"`                   // of the charter
	Party   string    `json:"party" rule:"required fmt=segment max=64"` // whose log it is
	Request record.ID `json:"request" rule:"required"`                  // record ID of the disclosure-request
	Log     *Log      `json:"log,omitempty"`                            // nil where no public record fixes a log yet
}

// Asked is which events, and what of each.
type Asked struct {
	From      *record.Date `json:"from,omitempty"`                                // first day (UTC); nil: from the beginning
	Until     *record.Date `json:"until,omitempty"`                               // last day (UTC), inclusive; nil: to the end
	Kinds     []string     `json:"kinds,omitempty" rule:"fmt=word items=20"`      // none: all
	Fields    []string     `json:"fields,omitempty" rule:"fmt=word items=40"`     // members of the contents, such as ip; none: all
	LookedFor string       `json:"lookedFor,omitempty" rule:"fmt=lines max=1000"` // for people: how the customers were found, or not
}

// Log is the private log at the size that a public record fixed.
type Log struct {
	Record   record.ID `json:"record" rule:"required"` // record ID of the customer-log
	Size     int64     `json:"size" rule:"required lo=1"`
	Root     string    `json:"root" rule:"required fmt=root"`                     // base64, as checkpoints have it
	MapRoot  string    `json:"mapRoot" rule:"required fmt=sha256"`                // hexadecimal, as the last leaf commits to it
	MapSalt  string    `json:"mapSalt" rule:"required fmt=root"`                  // of that commitment
	MapPath  []string  `json:"mapPath" rule:"required fmt=root items=63 repeats"` // of the last leaf to the root
	KeySalt  string    `json:"keySalt" rule:"required fmt=root"`                  // of the map's keys
	KeyProof string    `json:"keyProof" rule:"required max=4000000"`              // that the map has this salt (package index)
}

// Customer is one handle, with all that is filed under it.
type Customer struct {
	Handle event.Handle
	Filed  *record.Opening // of the map's value: nil where nothing is filed, or no map is fixed
	Proof  *index.Proof    // of that value, or that there is none; nil where no map is fixed
	Erased bool            // the key is destroyed: the events are an erased one alone
	Events []Event         // ascending
}

// Event is a leaf and what opens it: the canonical event first (event.Scope.Openings).
type Event struct {
	Leaf     uint64
	Path     []proof.Hash // to the root of Head.Log; nil: it lies beyond
	Openings []record.Opening
}

var headShape = func() *schema.Shape {
	types := schema.Types{Scalars: record.Scalars()}
	return schema.Join(types.Shape(reflect.TypeFor[Source]()), types.Shape(reflect.TypeFor[Asked]()))
}()

// Format writes the bundle. It is an error where it is too large, or what [Parse] would not
// read again.
func (b *Bundle) Format() ([]byte, error) {
	out := append(make([]byte, 0, 1<<16), header...)
	out = append(schema.AppendObject(out, headShape, &b.Head.Source, &b.Head.Asked), '\n')
	for i := range b.Customers {
		out = b.Customers[i].append(out)
		if len(out) > MaxBytes {
			return nil, ErrTooLarge
		}
	}
	for _, c := range b.Chains {
		out = append(strconv.AppendInt(append(out, chainLine...), int64(len(c)), 10), '\n')
		out = append(out, c...)
	}
	sum := sha256.Sum256(out)
	out = append(hex.AppendEncode(append(out, digestLine...), sum[:]), '\n')
	if len(out) > MaxBytes {
		return nil, ErrTooLarge
	}
	if _, err := Parse(out); err != nil {
		return nil, fmt.Errorf("writing what cannot be read: %w", err)
	}
	return out, nil
}

// ErrTooLarge: it would be larger than [MaxBytes].
var ErrTooLarge = fmt.Errorf("the bundle would be larger than %d MiB", MaxBytes>>20)

const (
	chainLine  = "chain "
	digestLine = "digest "
)

// Size is how many bytes the customer takes in a bundle.
func (c *Customer) Size() int { return len(c.append(nil)) }

func (c *Customer) append(b []byte) []byte {
	b = schema.AppendString(append(b, `{"handle":`...), c.Handle.String())
	if c.Filed != nil {
		b = schema.AppendString(append(b, `,"filed":`...), c.Filed.Value)
		b = schema.AppendString(append(b, `,"filedSalt":`...), base64.StdEncoding.EncodeToString(c.Filed.Salt))
	}
	if c.Proof != nil {
		text, _ := c.Proof.MarshalText()
		b = schema.AppendString(append(b, `,"proof":`...), string(text))
	}
	if c.Erased {
		b = append(b, `,"erased":true`...)
	}
	b = append(b, "}\n"...)
	for _, e := range c.Events {
		b = append(e.append(b), '\n')
	}
	return b
}

func (e *Event) append(b []byte) []byte {
	b = strconv.AppendUint(append(b, `{"leaf":`...), e.Leaf, 10)
	for i, h := range e.Path {
		if i == 0 {
			b = append(b, `,"path":[`...)
		} else {
			b = append(b, ',')
		}
		b = schema.AppendString(b, h.String())
	}
	if len(e.Path) > 0 {
		b = append(b, ']')
	}
	b = event.AppendOpenings(append(b, `,"openings":`...), e.Openings)
	return append(b, '}')
}

// Digest is what is on the last line of a bundle, which Format wrote or Parse read: what
// approvals and the provider's log name it by.
func Digest(raw []byte) string {
	return string(raw[len(raw)-1-2*sha256.Size : len(raw)-1])
}

// ErrNotBundle: what was to be read is no bundle, or not all of one, or was changed.
var ErrNotBundle = errors.New("not a bundle as it was made")

func notBundle(format string, args ...any) error {
	return fmt.Errorf("%w: %w: ask for it again", ErrNotBundle, fmt.Errorf(format, args...))
}

// Parse reads a bundle strictly: Format gives the same bytes. Nothing of it is proven.
func Parse(raw []byte) (*Bundle, error) {
	if len(raw) > MaxBytes {
		return nil, notBundle("it is larger than %d MiB", MaxBytes>>20)
	}
	rest, ok := bytes.CutPrefix(raw, []byte(header))
	if !ok {
		if bytes.HasPrefix(raw, []byte("age-encryption.org/")) || bytes.HasPrefix(raw, []byte("-----BEGIN AGE")) {
			return nil, notBundle("it is encrypted still: open it with the identity of the request's recipient")
		}
		return nil, notBundle("its first line is not %s", strings.TrimSpace(header))
	}
	tail := len(raw) - len(digestLine) - 2*sha256.Size - 1
	if tail < len(header) {
		return nil, notBundle("it ends early")
	}
	sum := sha256.Sum256(raw[:tail])
	if want := digestLine + hex.EncodeToString(sum[:]) + "\n"; string(raw[tail:]) != want {
		return nil, notBundle("its last line is not the digest of what stands above: something was cut off, or changed")
	}
	rest = rest[:len(rest)-(len(raw)-tail)]
	b := &Bundle{}
	if err := b.parse(rest); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *Bundle) parse(rest []byte) error {
	for n := 2; len(rest) > 0; n++ {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			return notBundle("line %d ends early", n)
		}
		rest = after
		if text, ok := bytes.CutPrefix(line, []byte(chainLine)); ok && n > 2 {
			size, err := strconv.Atoi(string(text))
			if err != nil || strconv.Itoa(size) != string(text) || size < 1 || size > len(rest) || len(b.Chains) == maxChains {
				return notBundle("line %d does not begin a chain of receipts", n)
			}
			b.Chains = append(b.Chains, rest[:size:size])
			rest = rest[size:]
			continue
		}
		if len(b.Chains) > 0 {
			return notBundle("something stands after the chains of receipts")
		}
		if err := b.parseLine(n, line); err != nil {
			return notBundle("line %d: %w", n, err)
		}
	}
	if b.Head.Party == "" {
		return notBundle("it ends early")
	}
	return nil
}

// parseLine reads a line of JSON, and holds it against how it would be written.
func (b *Bundle) parseLine(n int, line []byte) error {
	v, err := schema.ParseJSON(line)
	if err != nil {
		return err
	}
	o, ok := v.(schema.Object)
	if !ok || len(o) == 0 {
		return errors.New("is no object")
	}
	var again []byte
	switch {
	case n == 2:
		var d schema.Decoder
		d.Object(o, headShape, &b.Head.Source, &b.Head.Asked)
		if len(d.Faults) > 0 {
			return errors.New(d.Faults[0].String())
		}
		again = schema.AppendObject(nil, headShape, &b.Head.Source, &b.Head.Asked)
	case o[0].Name == "handle":
		if len(b.Customers) == MaxCustomers {
			return fmt.Errorf("more than %d customers", MaxCustomers)
		}
		c, err := parseCustomer(o)
		if err != nil {
			return err
		}
		b.Customers = append(b.Customers, c)
		again = bytes.TrimSuffix(c.append(nil), []byte("\n"))
	case o[0].Name == "leaf" && len(b.Customers) > 0:
		e, err := parseEvent(o)
		if err != nil {
			return err
		}
		c := &b.Customers[len(b.Customers)-1]
		c.Events = append(c.Events, e)
		again = e.append(make([]byte, 0, len(line)))
	default:
		return errors.New("is neither a customer nor one of his events")
	}
	if !bytes.Equal(again, line) {
		return errors.New("is written in another way than its one")
	}
	return nil
}

func parseCustomer(o schema.Object) (c Customer, err error) {
	text := func(name string) string { s, _ := o.Lookup(name).(string); return s }
	if c.Handle, err = event.ParseHandle(text("handle")); err != nil {
		return c, err
	}
	if filed := text("filed"); filed != "" {
		salt, err := base64.StdEncoding.DecodeString(text("filedSalt"))
		f, filedErr := event.ParseFiled(filed)
		if err := errors.Join(err, filedErr); err != nil || len(salt) != len(event.Salt{}) {
			return c, errors.Join(errors.New("filed and its salt are not to be read"), err)
		}
		opening := event.FiledOpening(event.Salt(salt), f)
		c.Filed = &opening
	}
	if p := text("proof"); p != "" {
		c.Proof = new(index.Proof)
		if err := c.Proof.UnmarshalText([]byte(p)); err != nil {
			return c, err
		}
	}
	c.Erased, _ = o.Lookup("erased").(bool)
	return c, nil
}

func parseEvent(o schema.Object) (e Event, err error) {
	leaf, ok := o.Lookup("leaf").(int64)
	if !ok || leaf < 0 {
		return e, errors.New("leaf is no index")
	}
	e.Leaf = uint64(leaf)
	path, _ := o.Lookup("path").([]any)
	if len(path) > proof.MaxProofHashes {
		return e, errors.New("the path is too long")
	}
	for _, p := range path {
		text, _ := p.(string)
		h, err := proof.ParseHash(text)
		if err != nil {
			return e, err
		}
		e.Path = append(e.Path, h)
	}
	e.Openings, err = event.OpeningsOf(o.Lookup("openings"), nil)
	return e, err
}
