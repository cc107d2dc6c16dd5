package index

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// vectors are what testdata/vectors.json has: bytes in hexadecimal, proofs in base64.
type vectors struct {
	Maps    []vectorMap    `json:"maps"`
	Refused []refusedProof `json:"refused"`
}

type vectorMap struct {
	About   string        `json:"about"`
	Entries []vectorEntry `json:"entries"`
	Root    string        `json:"root"`
	Proofs  []vectorProof `json:"proofs"`
}

type vectorEntry struct {
	Segments []string `json:"segments"`
	Key      string   `json:"key"`
	Value    string   `json:"value"`
}

// vectorProof has as queries the bytes of keys, which end with 00, and of prefixes.
type vectorProof struct {
	About   string   `json:"about"`
	Queries []string `json:"queries"`
	Proof   *Proof   `json:"proof"`
	Keys    []string `json:"keys"` // of the map that the queries ask for
}

type refusedProof struct {
	About string `json:"about"`
	Root  string `json:"root"`
	Query string `json:"query"`
	Proof string `json:"proof"`
	Error string `json:"error"`
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

func queryHex(q Query) string { return hexOf([]byte(q.query())) }

// parseQuery reads the bytes of a key or of a prefix.
func parseQuery(t testing.TB, text string) Query {
	t.Helper()
	b := must(hex.DecodeString(text))
	if k, err := ParseKey(b); err == nil {
		return k
	}
	p, err := ParsePrefix(b)
	check(t, err)
	return p
}

func newVectorMap(about string, keys [][]string, proofs ...vectorProof) (vectorMap, referenceMap) {
	v := vectorMap{About: about, Entries: []vectorEntry{}}
	var entries []Entry
	for i, segments := range keys {
		e := Entry{must(NewKey(segments...)), value(fmt.Sprintf("value %d", i+1))}
		entries = append(entries, e)
		v.Entries = append(v.Entries, vectorEntry{segments, hexOf(e.Key.Bytes()), hexOf(e.Value[:])})
	}
	m := newReference(entries...)
	v.Root = hexOf(m.root())
	for _, p := range proofs {
		v.addProof(m, p.About, p.Queries...)
	}
	return v, m
}

// addProof asks for keys, and prefixes, which end with "*", of segments joined by "/".
func (v *vectorMap) addProof(m referenceMap, about string, asked ...string) {
	p := vectorProof{About: about, Keys: []string{}}
	var queries []Query
	for _, text := range asked {
		queries = append(queries, query(text))
		p.Queries = append(p.Queries, queryHex(query(text)))
	}
	for _, e := range m.answer(queries...) {
		p.Keys = append(p.Keys, hexOf(e.Key.Bytes()))
	}
	p.Proof = must(ParseProof(m.prove(queries...)))
	v.Proofs = append(v.Proofs, p)
}

func query(text string) Query {
	start, prefix := strings.CutSuffix(text, "*")
	segments := strings.FieldsFunc(start, func(c rune) bool { return c == '/' })
	if prefix {
		return must(NewPrefix(segments...))
	}
	return must(NewKey(segments...))
}

// theVectors are made by the reference, and not by what they test.
func theVectors() vectors {
	ask := func(about string, queries ...string) vectorProof { return vectorProof{About: about, Queries: queries} }
	split := func(keys ...string) (all [][]string) {
		for _, k := range keys {
			all = append(all, strings.Split(k, "/"))
		}
		return all
	}
	none, _ := newVectorMap("no keys", nil,
		ask("absent: the map is empty", "asn/64500"), ask("no keys begin with the empty prefix", "*"))
	one, _ := newVectorMap("one key", split("asn/64500"),
		ask("present", "asn/64500"), ask("absent: another key stands there", "asn/64501"),
		ask("all keys", "*"), ask("a segment that no key has first", "lei*"))
	several := split("asn/64500", "asn/64501", "country/XA", "country/XB", "country/XC", "country",
		"registration/XA/1001", "registration/XA/1002", "registration/XB/1001", "name/kestrel hosting", "name/königshafen", "name/")
	deep := split("a/b/c/d/e/f/g/h", "a/b/c/d/e/f/g", "a/b/c/d/e/f/g/i", "a")
	some, m := newVectorMap("keys of several segments, one of which begins others", several,
		ask("present", "registration/XA/1002"),
		ask("present, and the beginning of others", "country"),
		ask("absent: an inner node's path leads past it", "lei/5493"),
		ask("absent: another key stands there", "registration/XA/1003"),
		ask("all keys of a prefix, its own among them", "country*"),
		ask("all keys of a longer prefix", "registration/XA*"),
		ask("a prefix that no key has", "domain*"),
		ask("all keys", "*"),
		ask("many at once: present, absent, and a prefix", "asn/64500", "asn/64502", "name*", "thread/1"))
	longest, _ := newVectorMap("keys of one to eight segments", deep,
		ask("present", "a/b/c/d/e/f/g/h"), ask("absent", "a/b"), ask("all keys of seven segments", "a/b/c/d/e/f/g*"))
	return vectors{[]vectorMap{none, one, some, longest}, theRefused(m)}
}

// theRefused are proofs for the root of a map, and of others that are no maps.
func theRefused(m referenceMap) []refusedProof {
	var all []refusedProof
	add := func(about string, root []byte, q string, proof []byte) {
		all = append(all, refusedProof{about, hexOf(root), queryHex(query(q)), base64.StdEncoding.EncodeToString(proof), ""})
	}
	root, present := m.root(), m.prove(query("asn/64500"))
	add("nothing", root, "asn/64500", nil)
	add("cut off", root, "asn/64500", present[:len(present)-1])
	add("a byte too many", root, "asn/64500", append(bytes.Clone(present), 0))
	add("a kind that there is not", root, "asn/64500", []byte{4})
	add("only the root's hash", root, "asn/64500", append([]byte{3}, root...))
	add("of another map", sum([]byte{0}), "asn/64500", present)
	add("of another key, which is there", root, "asn/64501", present)
	add("of a prefix, where a key is asked for", root, "country", m.prove(query("country*")))
	add("of a key, where a prefix is asked for", root, "asn*", present)
	add("of one key more", root, "asn/64500", m.prove(query("asn/64500"), query("country/XA")))

	// Roots of what is no map: whoever makes the root can know these proofs' bytes.
	a, b := m.sorted()[0], m.sorted()[1]
	leafHash := func(e Entry) []byte { return sum([]byte{1}, e.Key.Bytes(), e.Value[:]) }
	leafNode := func(e Entry) []byte { return slices.Concat([]byte{1}, e.Key.Bytes(), e.Value[:]) }
	other := bytes.Repeat([]byte{7}, 32)
	node := func(path string, left, right []byte) (hash, start []byte) {
		return sum([]byte{2}, twoBytes(len(path)), packed(path), left, right), slices.Concat([]byte{2}, twoBytes(len(path)), packed(path))
	}
	hash, start := node("0000000111", leafHash(a), other)
	add("a leaf in another's place", hash, "asn/64500", slices.Concat(start, leafNode(a), []byte{3}, other))
	hash, start = node(bitString(string(a.Key.Bytes()))[:20], leafHash(b), leafHash(b))
	add("one leaf on both sides", hash, "*", slices.Concat(start, leafNode(b), leafNode(b)))
	hash, start = node("", sum([]byte{0}), leafHash(a))
	add("the empty map as a child", hash, "*", slices.Concat(start, []byte{0}, leafNode(a)))
	add("bits after the end of a path", hash, "*", slices.Concat([]byte{2, 0, 3, 0x10, 3}, other, []byte{3}, other))
	add("a path as long as the longest key", hash, "*", slices.Concat([]byte{2, 2120 >> 8, 2120 & 0xff}, make([]byte, 265)))
	for about, key := range map[string][]byte{
		"a key of no segments": {0}, "a key of nine segments": bytes.Repeat(append([]byte{1}, other...), 9), "a key without a mark before its segment": append([]byte{2}, other...),
	} {
		key = append(key, 0)
		add(about, sum([]byte{1}, key, other), "asn/64500", slices.Concat([]byte{1}, key, other))
	}
	slices.SortStableFunc(all, func(a, b refusedProof) int { return strings.Compare(a.About, b.About) })
	for i := range all {
		_, err := all[i].verify()
		all[i].Error = fmt.Sprint(err)
	}
	return all
}

func (r refusedProof) verify() ([]Entry, error) {
	var p Proof
	if err := p.UnmarshalText([]byte(r.Proof)); err != nil {
		return nil, err
	}
	q := must(hex.DecodeString(r.Query))
	if k, err := ParseKey(q); err == nil {
		return p.Verify(Hash(must(hex.DecodeString(r.Root))), k)
	}
	return p.Verify(Hash(must(hex.DecodeString(r.Root))), must(ParsePrefix(q)))
}

const vectorsFile = "testdata/vectors.json"

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	data, err := os.ReadFile(vectorsFile)
	check(t, err)
	check(t, json.Unmarshal(data, &v))
	return v
}

// The vectors are the format: those that were written stay as they are.
func TestVectorsStay(t *testing.T) {
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	check(t, enc.Encode(theVectors()))
	if refusaltest.Update() {
		check(t, os.MkdirAll("testdata", 0o755))
		check(t, os.WriteFile(vectorsFile, want.Bytes(), 0o644))
	}
	if got := must(os.ReadFile(vectorsFile)); !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s: what is written today differs; a format must not change (-update only for words and new vectors)", vectorsFile)
	}
}

func TestVectors(t *testing.T) {
	v := readVectors(t)
	for _, m := range v.Maps {
		var entries []Entry
		for _, e := range m.Entries {
			k := must(NewKey(e.Segments...))
			if k.String() != e.Key || must(ParseKey(must(hex.DecodeString(e.Key)))) != k {
				t.Errorf("%s: the key of %q is %s, want %s", m.About, e.Segments, k, e.Key)
			}
			entries = append(entries, Entry{k, Value(must(hex.DecodeString(e.Value)))})
		}
		slices.SortFunc(entries, func(a, b Entry) int { return a.Key.Compare(b.Key) })
		built := must(Build(slices.Values(entries)))
		root := Hash(must(hex.DecodeString(m.Root)))
		if built.Root() != root {
			t.Errorf("%s: root %s, want %s", m.About, built.Root(), root)
		}
		for _, p := range m.Proofs {
			var queries []Query
			for _, q := range p.Queries {
				queries = append(queries, parseQuery(t, q))
			}
			found, err := p.Proof.Verify(root, queries...)
			var keys []string
			for _, e := range found {
				keys = append(keys, e.Key.String())
			}
			if err != nil || !slices.Equal(keys, p.Keys) {
				t.Errorf("%s, %s: %v, %v; want %v", m.About, p.About, keys, err, p.Keys)
			}
			if made := must(built.Prove(queries...)); !bytes.Equal(made.Format(), p.Proof.Format()) {
				t.Errorf("%s, %s: the proof is made as %x", m.About, p.About, made.Format())
			}
		}
	}
	for _, r := range v.Refused {
		if found, err := r.verify(); err == nil || err.Error() != r.Error {
			t.Errorf("%s: %v, %v; want %q", r.About, found, err, r.Error)
		}
	}
}

func FuzzProof(f *testing.F) {
	v := readVectors(f)
	for _, m := range v.Maps {
		for _, p := range m.Proofs {
			f.Add(p.Proof.Format())
		}
	}
	for _, r := range v.Refused {
		f.Add(must(base64.StdEncoding.DecodeString(r.Proof)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProof(data)
		if err != nil {
			return
		}
		if out := p.Format(); !bytes.Equal(out, data) {
			t.Fatalf("%x is written as %x", data, out)
		}
		text := must(p.MarshalText())
		var again Proof
		if err := again.UnmarshalText(text); err != nil || !bytes.Equal(again.Format(), data) {
			t.Fatalf("%s is read as %x, %v", text, again.Format(), err)
		}
		// Whatever it shows, it is the whole answer to at most one of these.
		whole, err := p.Verify(p.root.hash, Prefix{})
		for _, e := range whole {
			if _, keyErr := p.Verify(p.root.hash, e.Key); keyErr == nil && len(whole) > 1 {
				t.Fatalf("%x is the proof of all keys, and of key %s alone", data, e.Key)
			}
		}
		if err == nil && len(whole) > 0 && !slices.IsSortedFunc(whole, func(a, b Entry) int { return a.Key.Compare(b.Key) }) {
			t.Fatalf("%x gives keys that are not in order", data)
		}
	})
}

func FuzzKey(f *testing.F) {
	for _, segments := range [][]string{{"a"}, {"asn", "64500"}, {"a", "b", "c", "d", "e", "f", "g", "h"}} {
		k := must(NewKey(segments...))
		f.Add(k.Bytes())
		f.Add(k.Prefix().Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParseKey(data)
		if err == nil && !bytes.Equal(k.Bytes(), data) {
			t.Fatalf("%x is written as %s", data, k)
		}
		p, prefixErr := ParsePrefix(data)
		if prefixErr == nil && !bytes.Equal(p.Bytes(), data) {
			t.Fatalf("%x is written as %s", data, p)
		}
		if err == nil && prefixErr == nil {
			t.Fatalf("%x is a key, and a prefix", data)
		}
		if err == nil && (!k.Prefix().Match(k) || must(k.Prefix().Key()) != k) {
			t.Fatalf("key %s does not begin with its prefix %s", k, k.Prefix())
		}
	})
}
