package index

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxProofBytes is how long a proof may be.
const MaxProofBytes = 4 << 20

// ErrTooLarge: the answer takes a longer proof than there may be. A longer prefix, or fewer
// queries at a time, has a shorter answer.
var ErrTooLarge = fmt.Errorf("the proof would have more than %d bytes", MaxProofBytes)

// Proof is what a map shows of itself to answer queries. Having read one proves nothing:
// [Proof.Verify] does.
type Proof struct{ root *node }

// Verify returns all entries of the map with that root that the queries ask for, in the order
// of their keys, each once. A key or prefix that none of them has is proven to be absent.
//
// Errors: the proof is of another map, or it does not answer these queries, or it shows what
// they do not need, for there is one proof for each set of queries.
func (p *Proof) Verify(root Hash, queries ...Query) ([]Entry, error) {
	if p.root.hash != root {
		return nil, fmt.Errorf("the proof is of the map with root %s, want %s", p.root.hash, root)
	}
	asked, err := queryStrings(queries)
	if err != nil {
		return nil, err
	}
	var found []Entry
	err = p.check(p.root, asked, &found)
	if err != nil {
		return nil, err
	}
	return found, nil
}

// VerifyKey is [Proof.Verify] for one key: its value, or that it has none.
func (p *Proof) VerifyKey(root Hash, k Key) (v Value, ok bool, err error) {
	found, err := p.Verify(root, k)
	if err != nil || len(found) == 0 {
		return Value{}, false, err
	}
	return found[0].Value, true, nil
}

// check holds what is shown of a node to be what the queries that reach it need.
func (p *Proof) check(n *node, queries []string, found *[]Entry) error {
	switch {
	case n.kind == omitted && len(queries) == 0:
		return nil
	case n.kind == omitted:
		return errors.New("the proof leaves out what answers the query: it is a proof for another one")
	case len(queries) == 0:
		return errors.New("the proof shows more than answers the query: it is a proof for another one")
	case n.kind == leaf:
		if asksFor(queries, n.key) {
			*found = append(*found, n.entry())
		}
		return nil
	case n.kind == empty:
		return nil
	}
	for side, q := range below(n, queries) {
		if err := p.check(n.children[side], q, found); err != nil {
			return err
		}
	}
	return nil
}

// loader gives a node with its children, which a store has to read.
type loader func(*node) (*node, error)

// prove makes the proof of queries from the root of a map.
func prove(root *node, queries []Query, load loader) (*Proof, error) {
	asked, err := queryStrings(queries)
	if err != nil {
		return nil, err
	}
	room := MaxProofBytes
	shown, err := prune(root, 0, asked, load, &room)
	if err != nil {
		return nil, err
	}
	return &Proof{shown}, nil
}

// prune leaves out of a node what no query needs. known is how many bits of its path the
// parent tells.
func prune(n *node, known int, queries []string, load loader, room *int) (*node, error) {
	if len(queries) == 0 {
		n = &node{kind: omitted, hash: n.hash}
	}
	if *room -= encodedBytes(n, known); *room < 0 {
		return nil, ErrTooLarge
	}
	if n.kind != inner {
		return n, nil
	}
	n, err := load(n)
	if err != nil {
		return nil, err
	}
	shown := *n
	shown.version = 0
	for side, q := range below(n, queries) {
		if shown.children[side], err = prune(n.children[side], int(n.bits)+1, q, load, room); err != nil {
			return nil, err
		}
	}
	return &shown, nil
}

// errStop ends a visit.
var errStop = errors.New("enough")

// visit calls f for each entry that the queries ask for, in the order of their keys.
func visit(n *node, queries []string, load loader, f func(Entry) error) error {
	switch {
	case len(queries) == 0 || n.kind == empty:
		return nil
	case n.kind == leaf:
		if asksFor(queries, n.key) {
			return f(n.entry())
		}
		return nil
	}
	n, err := load(n)
	if err != nil {
		return err
	}
	for side, q := range below(n, queries) {
		if err := visit(n.children[side], q, load, f); err != nil {
			return err
		}
	}
	return nil
}

// all asks for every key.
var all = []string{""}

// queryStrings are the queries as beginnings of keys, sorted.
func queryStrings(queries []Query) ([]string, error) {
	if len(queries) == 0 {
		return nil, errors.New("a proof of nothing: ask for a key or a prefix")
	}
	asked := make([]string, len(queries))
	for i, q := range queries {
		if asked[i] = q.query(); q == (Key{}) {
			return nil, errors.New("a proof for the zero key, which no map has")
		}
	}
	slices.Sort(asked)
	return slices.Compact(asked), nil
}

// asksFor tells whether a query is the beginning of the key.
func asksFor(queries []string, key string) bool {
	return slices.ContainsFunc(queries, func(q string) bool { return strings.HasPrefix(key, q) })
}

// below sorts queries that reach an inner node by the child of which they are asked next.
func below(n *node, queries []string) (sides [2][]string) {
	for i, q := range queries {
		switch common := min(commonBits(n.key, q), int(n.bits)); {
		case common == 8*len(q):
			return [2][]string{all, all}
		case common == int(n.bits):
			side := bitAt(q, common)
			if sides[side] == nil {
				sides[side] = make([]string, 0, len(queries)-i)
			}
			sides[side] = append(sides[side], q)
		}
	}
	return sides
}

// Format writes the proof. [ParseProof] reads it.
func (p *Proof) Format() []byte { return appendNode(nil, p.root, 0) }

// MarshalText is the proof in standard base64, for JSON.
func (p *Proof) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, p.Format()), nil
}

// UnmarshalText reads what MarshalText writes, and no other form of it.
func (p *Proof) UnmarshalText(text []byte) error {
	if len(text) > base64.StdEncoding.EncodedLen(MaxProofBytes) {
		return tooLong(base64.StdEncoding.DecodedLen(len(text)))
	}
	if slices.Contains(text, '\n') || slices.Contains(text, '\r') {
		return errors.New("a proof in base64 is broken into lines")
	}
	b, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("a proof that is not base64: %w", err)
	}
	read, err := ParseProof(b)
	if err == nil {
		*p = *read
	}
	return err
}

func tooLong(n int) error {
	return fmt.Errorf("a proof of %d bytes, which may have %d", n, MaxProofBytes)
}

// encodedBytes is how many bytes appendNode takes for the node without its children.
func encodedBytes(n *node, known int) int {
	switch n.kind {
	case leaf:
		return 1 + len(n.key) + len(n.value)
	case inner:
		return 1 + 2 + (int(n.bits)-known+7)/8
	case omitted:
		return 1 + len(n.hash)
	}
	return 1
}

func appendNode(b []byte, n *node, known int) []byte {
	b = append(b, byte(n.kind))
	switch n.kind {
	case leaf:
		b = append(b, n.key...)
		b = append(b, n.value[:]...)
	case inner:
		b = appendPath(b, n, known)
		for _, c := range n.children {
			b = appendNode(b, c, int(n.bits)+1)
		}
	case omitted:
		b = append(b, n.hash[:]...)
	}
	return b
}

// appendPath writes what the parent does not tell of an inner node's path.
func appendPath(b []byte, n *node, known int) []byte {
	b = binary.BigEndian.AppendUint16(b, n.bits-uint16(known))
	return appendBits(b, n.key, known, int(n.bits))
}

// ParseProof reads a proof. What it accepts, [Proof.Format] writes again to the byte.
func ParseProof(b []byte) (*Proof, error) {
	if len(b) > MaxProofBytes {
		return nil, tooLong(len(b))
	}
	r := proofReader{size: len(b), rest: b}
	root, err := r.node(0)
	if err != nil {
		return nil, fmt.Errorf("byte %d of a proof: %w", r.size-len(r.rest), err)
	}
	if len(r.rest) > 0 {
		return nil, fmt.Errorf("%d bytes after the end of a proof", len(r.rest))
	}
	if root.kind == omitted {
		return nil, errors.New("a proof that shows nothing but a root")
	}
	return &Proof{root}, nil
}

// proofReader reads nodes from the root downwards. path has what they told so far.
type proofReader struct {
	size int
	rest []byte
	path pathBuffer
}

var errCutOff = errors.New("it is cut off")

// node reads a node of whose path that many bits are known, with all below it.
func (r *proofReader) node(known int) (*node, error) {
	if len(r.rest) == 0 {
		return nil, errCutOff
	}
	switch k := kind(r.rest[0]); {
	case k == empty && known == 0:
		r.rest = r.rest[1:]
		return newEmpty(), nil
	case k == leaf:
		return r.leaf(known)
	case k == inner:
		return r.inner(known)
	case k == omitted:
		if len(r.rest) < 1+len(Hash{}) {
			return nil, errCutOff
		}
		n := &node{kind: omitted, hash: Hash(r.rest[1:])}
		r.rest = r.rest[1+len(n.hash):]
		return n, nil
	default:
		return nil, fmt.Errorf("%#02x is no kind of node here", r.rest[0])
	}
}

func (r *proofReader) leaf(known int) (*node, error) {
	key, rest, err := cutKey(r.rest[1:])
	switch {
	case err != nil:
		return nil, err
	case len(rest) < len(Value{}):
		return nil, errCutOff
	case commonBits(key.bytes, r.path.first(known)) < known:
		return nil, fmt.Errorf("key %s in a place where no key can be that has it", key)
	}
	e := Entry{key, Value(rest)}
	r.rest = rest[len(e.Value):]
	return newLeaf(e), nil
}

func (r *proofReader) inner(known int) (*node, error) {
	key, bits, err := r.innerPath(known)
	if err != nil {
		return nil, err
	}
	var children [2]*node
	for side := range children {
		r.path.set(bits, side)
		if children[side], err = r.node(bits + 1); err != nil {
			return nil, err
		}
	}
	return newInner(key, uint16(bits), children[0], children[1]), nil
}

// innerPath reads what the parent does not tell of an inner node's path.
func (r *proofReader) innerPath(known int) (key string, bits int, err error) {
	if len(r.rest) < 3 {
		return "", 0, errCutOff
	}
	more := int(binary.BigEndian.Uint16(r.rest[1:]))
	bits = known + more
	end := 3 + (more+7)/8
	switch {
	case bits >= 8*maxKeyBytes:
		return "", 0, fmt.Errorf("a path of %d bits, as no two keys have in common", bits)
	case len(r.rest) < end:
		return "", 0, errCutOff
	case more%8 > 0 && r.rest[end-1]<<(more%8) != 0:
		return "", 0, errors.New("bits after the end of a path are not zero")
	}
	r.path.put(known, r.rest[3:end], more)
	r.rest = r.rest[end:]
	return r.path.first(bits), bits, nil
}
