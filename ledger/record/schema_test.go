package record

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compileSchema(t testing.TB, kind Kind) *jsonschema.Schema {
	t.Helper()
	raw, err := SchemaJSON(kind)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	where := "https://docket.test/schemas/" + string(kind) + "/v1"
	if err := c.AddResource(where, doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile(where)
	if err != nil {
		t.Fatalf("%s: %v\n%s", kind, err, raw)
	}
	return schema
}

// examplePayloads are filled short forms, by kind.
func examplePayloads(t testing.TB) map[Kind][][]byte {
	out := map[Kind][][]byte{}
	for file, raw := range shortForms(t) {
		sh, err := ParseShortForm(raw, fictionalResolver)
		if err != nil {
			continue // a later kind; TestShortFormExamples judges
		}
		payload, _, err := sh.Fill(exampleFillValues)
		if err != nil {
			f := exampleFillValues
			f.Follows = ID{}
			if sh.Statement.Kind == KindCharter {
				f.Ledger = ID{}
			}
			if payload, _, err = sh.Fill(f); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
		out[sh.Statement.Kind] = append(out[sh.Statement.Kind], payload)
	}
	return out
}

// TestSchemaAgreesWithDecoder changes valid statements at random and asks both the JSON
// Schema and the decoder. They differ in two named rules only: equal items may be
// written differently (weak: false), and a PEM must hold a key.
func TestSchemaAgreesWithDecoder(t *testing.T) {
	rounds := 1500
	if testing.Short() {
		rounds = 150
	}
	for kind, examples := range examplePayloads(t) {
		t.Run(string(kind), func(t *testing.T) {
			schema := compileSchema(t, kind)
			seed := uint64(time.Now().UnixNano())
			rng := rand.New(rand.NewPCG(seed, 0))
			refused := 0
			for i := range rounds {
				v, err := ParseJSON(examples[i%len(examples)])
				if err != nil {
					t.Fatal(err)
				}
				if i >= len(examples) {
					v = mutate(rng, v, 1+rng.IntN(2))
				}
				o, ok := v.(Object)
				if !ok {
					continue
				}
				raw := appendJSON(nil, o)
				inst, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
				if err != nil {
					t.Fatalf("%v\n%s", err, raw)
				}
				theirs := schema.Validate(inst)
				ours := shapeFaults(o)
				switch {
				case len(ours) == 0 && theirs != nil:
					t.Fatalf("seed %d: the schema refuses what we accept: %v\n%s", seed, theirs, raw)
				case len(ours) > 0 && theirs == nil && !onlyKnownDifferences(ours):
					t.Fatalf("seed %d: the schema accepts what we refuse: %+v\n%s", seed, ours, raw)
				case len(ours) > 0:
					refused++
				}
				if s, err := ParseStatement(raw); err == nil {
					roundTrip(t, s)
				} else if len(ours) == 0 && err.(*Refusal).Class != Invalid {
					t.Fatalf("seed %d: %v\n%s", seed, err, raw)
				}
			}
			if refused < rounds/10 {
				t.Errorf("only %d of %d changes were refused: the test changes too little", refused, rounds)
			}
		})
	}
}

// shapeFaults are those of the decoder alone, without the rules across fields.
func shapeFaults(o Object) []Fault {
	name, ok := o.Lookup("predicateType").(string)
	if !ok {
		return []Fault{{"/predicateType", "is missing"}}
	}
	sp, err := findSpecByType(name)
	if err != nil {
		return []Fault{{"/predicateType", err.Error()}}
	}
	s := &Statement{Kind: sp.kind, Predicate: sp.newPredicate()}
	return s.decode(o, sp)
}

func onlyKnownDifferences(faults []Fault) bool {
	for _, f := range faults {
		if !strings.Contains(f.Detail, "is the same as item") && !strings.HasSuffix(f.Pointer, "/key") {
			return false
		}
	}
	return true
}

// mutate changes one place of a tree: another value, a member less or more, an
// item twice.
func mutate(rng *rand.Rand, v any, times int) any {
	for range times {
		v = mutateOnce(rng, v)
	}
	return v
}

func mutateOnce(rng *rand.Rand, v any) any {
	values := []any{"", "x", "X", "acme-cloud", "a\nb", "a\u202eb", "a\u0085b", "2027-02-29", "2028-02-29", "0999-01-01", "2027-01-01T00:00:60Z",
		"P1Y", "P1Y2M", "P01D", "XB", exampleDigest, zeroDigest, "https://a.example/?q=\"", "https://a.example/x", "a.example", "A.example",
		int64(0), int64(1), int64(-1), int64(4294967296), true, false, []any{}, []any{"c1"}, []any{"c1", "c1"}, Object{}, Object{{"commit", exampleDigest}}, strings.Repeat("é", 1000), strings.Repeat("é", 1001)}
	other := func() any { return values[rng.IntN(len(values))] }
	switch v := v.(type) {
	case Object:
		o := append(Object(nil), v...)
		switch n := rng.IntN(12); {
		case n == 0 && len(o) > 0:
			i := rng.IntN(len(o))
			return append(o[:i], o[i+1:]...)
		case n == 1:
			name := []string{"note", "follows", "weak", "country", "lei", "notAfter", "until", "other", "Kind", "counts", "commit"}[rng.IntN(11)]
			if o.Lookup(name) == nil {
				o = append(o, Member{name, other()})
			}
			return o
		case n == 2:
			return other()
		case len(o) > 0:
			i := rng.IntN(len(o))
			o[i].Value = mutateOnce(rng, o[i].Value)
		}
		return o
	case []any:
		l := append([]any(nil), v...)
		switch n := rng.IntN(6); {
		case n == 0 && len(l) > 0:
			return append(l, l[rng.IntN(len(l))])
		case n == 1:
			return append(l, other())
		case n == 2 && len(l) > 0:
			return l[1:]
		case len(l) > 0:
			i := rng.IntN(len(l))
			l[i] = mutateOnce(rng, l[i])
		}
		return l
	}
	return other()
}

// roundTrip: a statement that is encoded and read again is the same statement.
func roundTrip(t *testing.T, s *Statement) {
	t.Helper()
	payload, err := EncodeStatement(s)
	if err != nil {
		t.Fatalf("encoding %+v: %v", s, err)
	}
	again, err := ParseStatement(payload)
	if err != nil {
		t.Fatal(err)
	}
	second, err := EncodeStatement(again)
	if err != nil || !bytes.Equal(payload, second) {
		t.Fatalf("encoded twice: %v\n%s\n%s", err, payload, second)
	}
}

func TestSchemaOfUnknownKind(t *testing.T) {
	for kind, want := range map[Kind]string{"licence": "upgrade", "desgination": `did you mean "designation"?`, "x": "upgrade"} {
		if _, err := SchemaJSON(kind); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", kind, err, want)
		}
	}
}

// TestGrammars: the quick matcher of each class format is its published pattern.
func TestGrammars(t *testing.T) {
	for name, g := range grammars {
		if g.rest == "" {
			continue
		}
		g := *g
		re := compileGrammars(map[Format]*grammar{name: {pattern: g.pattern}})[name].compiled
		for a := range 128 {
			for _, s := range []string{string(rune(a)), "a" + string(rune(a)), "A" + string(rune(a)), fmt.Sprintf("a%cb", a), strings.Repeat("a", a), strings.Repeat("0", a), fmt.Sprintf("A%sz", strings.Repeat("b", a%5))} {
				if g.matches(s) != re.MatchString(s) {
					t.Errorf("%s: %q: got %v", name, s, g.matches(s))
				}
			}
		}
	}
}

func TestDidYouMean(t *testing.T) {
	words := []string{"acme-cloud", "borealis", "2026-014", "2026-015"}
	for written, want := range map[string]string{
		"acme-cluod": "acme-cloud",
		"Borealsi":   "borealis",
		"2026-14":    "2026-014", // a letter is missing in two words: the first
		"acme":       "acme-cloud",
		"BOR":        "borealis",
		"bo":         "", // two letters begin too much
		"2026":       "", // two words
		"cloud":      "",
		"":           "",
	} {
		if want != "" {
			want = `; did you mean "` + want + `"?`
		}
		if got := DidYouMean(written, words); got != want {
			t.Errorf("%q: got %q, want %q", written, got, want)
		}
	}
}
