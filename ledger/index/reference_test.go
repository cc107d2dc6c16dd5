package index

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The reference is the format's definition, word by word, on strings of '0' and '1': it
// shares nothing with the package but the types, and takes no care of time.

// bitString is a byte string as its bits.
func bitString(b string) string {
	var s []byte
	for _, c := range []byte(b) {
		for place := 7; place >= 0; place-- {
			s = append(s, '0'+c>>place&1)
		}
	}
	return string(s)
}

// packed are bits in as few bytes as hold them.
func packed(bits string) []byte {
	var b []byte
	for len(bits) > 0 {
		c, _ := strconv.ParseUint((bits[:min(8, len(bits))] + "0000000")[:8], 2, 8)
		b, bits = append(b, byte(c)), bits[min(8, len(bits)):]
	}
	return b
}

func twoBytes(n int) []byte { return []byte{byte(n >> 8), byte(n)} }

func sum(parts ...[]byte) []byte {
	h := sha256.Sum256(bytes.Join(append([][]byte{[]byte("docket-index/v1")}, parts...), nil))
	return h[:]
}

// referenceMap has entries by the bits of their keys.
type referenceMap struct {
	entries map[string]Entry
	known   map[string][]byte // roots so far, by the common path of the keys below: only to save time
}

func newReference(entries ...Entry) referenceMap {
	m := referenceMap{map[string]Entry{}, map[string][]byte{}}
	for _, e := range entries {
		m.entries[bitString(string(e.Key.Bytes()))] = e
	}
	return m
}

// commonPath is the longest beginning that all keys have in common.
func (m referenceMap) commonPath() string {
	path, first := "", true
	for bits := range m.entries {
		if first {
			path, first = bits, false
		}
		for !strings.HasPrefix(bits, path) {
			path = path[:len(path)-1]
		}
	}
	return path
}

// from has the keys that begin with those bits.
func (m referenceMap) from(bits string) referenceMap {
	some := referenceMap{map[string]Entry{}, m.known}
	for k, e := range m.entries {
		if strings.HasPrefix(k, bits) {
			some.entries[k] = e
		}
	}
	return some
}

func (m referenceMap) root() []byte {
	path := m.commonPath()
	if m.known[path] == nil {
		m.known[path] = m.hash(path)
	}
	return m.known[path]
}

func (m referenceMap) hash(path string) []byte {
	switch len(m.entries) {
	case 0:
		return sum([]byte{0})
	case 1:
		e := m.entries[path]
		return sum([]byte{1}, e.Key.Bytes(), e.Value[:])
	}
	return sum([]byte{2}, twoBytes(len(path)), packed(path), m.from(path+"0").root(), m.from(path+"1").root())
}

// proof is what is written of a node that lies below the bits of its parents.
func (m referenceMap) proof(parents string, queries []string) []byte {
	path := m.commonPath()
	switch {
	case len(queries) == 0:
		return append([]byte{3}, m.root()...)
	case len(m.entries) == 0:
		return []byte{0}
	case len(m.entries) == 1:
		e := m.entries[path]
		return slices.Concat([]byte{1}, e.Key.Bytes(), e.Value[:])
	}
	var sides [2][]string
	for _, q := range queries {
		switch {
		case strings.HasPrefix(path, q):
			sides[0], sides[1] = append(sides[0], ""), append(sides[1], "")
		case strings.HasPrefix(q, path+"0"):
			sides[0] = append(sides[0], q)
		case strings.HasPrefix(q, path+"1"):
			sides[1] = append(sides[1], q)
		}
	}
	more := strings.TrimPrefix(path, parents)
	return slices.Concat([]byte{2}, twoBytes(len(more)), packed(more),
		m.from(path+"0").proof(path+"0", sides[0]), m.from(path+"1").proof(path+"1", sides[1]))
}

func (m referenceMap) prove(queries ...Query) []byte {
	var bits []string
	for _, q := range queries {
		bits = append(bits, bitString(q.query()))
	}
	return m.proof("", bits)
}

// answer is what queries ask for.
func (m referenceMap) answer(queries ...Query) []Entry {
	var found []Entry
	for _, e := range m.sorted() {
		if slices.ContainsFunc(queries, func(q Query) bool { return strings.HasPrefix(string(e.Key.Bytes()), q.query()) }) {
			found = append(found, e)
		}
	}
	return found
}

func (m referenceMap) sorted() []Entry {
	return slices.SortedFunc(maps.Values(m.entries), func(a, b Entry) int { return bytes.Compare(a.Key.Bytes(), b.Key.Bytes()) })
}
