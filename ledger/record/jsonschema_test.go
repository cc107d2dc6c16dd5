package record_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

func compileSchema(t testing.TB, kind record.Kind) *jsonschema.Schema {
	t.Helper()
	raw, err := record.SchemaJSON(kind)
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
	compiled, err := c.Compile(where)
	if err != nil {
		t.Fatalf("%s: %v\n%s", kind, err, raw)
	}
	return compiled
}

// examplePayloads are the short forms of package draft, filled in, by kind.
func examplePayloads(t testing.TB) map[record.Kind][][]byte {
	key := func(name string) (record.PEM, error) {
		seed := sha256.Sum256([]byte(name))
		key, err := record.NewKey(ed25519.NewKeyFromSeed(seed[:]).Public())
		if err != nil {
			return "", err
		}
		return key.PEM(), nil
	}
	resolver := draft.ShortFormResolver{Key: key, KMS: key, Document: func(file string) (draft.DocumentFile, error) {
		return draft.DocumentFile{Name: file, MediaType: "text/plain", Bytes: int64(len(file)), SHA256: sha256.Sum256([]byte(file))}, nil
	}}
	some := record.IDOf([]byte("some record"))
	out := map[record.Kind][][]byte{}
	for _, pattern := range []string{"draft/testdata/short/*.yaml", "draft/examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sh, err := draft.ParseShortForm(raw, resolver)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			f := draft.FillValues{Ledger: some, Follows: some, SubjectRecord: some, IssuedAt: time.Date(2026, 12, 2, 9, 30, 0, 0, time.UTC)}
			payload, _, err := sh.Fill(f)
			if err != nil {
				f.Follows = record.ID{}
				if sh.Statement.Kind == record.KindCharter {
					f.Ledger = record.ID{}
				}
				if payload, _, err = sh.Fill(f); err != nil {
					t.Fatalf("%s: %v", file, err)
				}
			}
			out[sh.Statement.Kind] = append(out[sh.Statement.Kind], payload)
		}
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
			compiled := compileSchema(t, kind)
			seed := uint64(time.Now().UnixNano())
			rng := rand.New(rand.NewPCG(seed, 0))
			refused := 0
			for i := range rounds {
				v, err := schema.ParseJSON(examples[i%len(examples)])
				if err != nil {
					t.Fatal(err)
				}
				if i >= len(examples) {
					v = mutate(rng, v, 1+rng.IntN(2))
				}
				o, ok := v.(schema.Object)
				if !ok {
					continue
				}
				raw, err := o.MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				inst, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
				if err != nil {
					t.Fatalf("%v\n%s", err, raw)
				}
				theirs := compiled.Validate(inst)
				ours := record.ShapeFaults(o)
				switch {
				case len(ours) == 0 && theirs != nil:
					t.Fatalf("seed %d: the schema refuses what we accept: %v\n%s", seed, theirs, raw)
				case len(ours) > 0 && theirs == nil && !onlyKnownDifferences(ours):
					t.Fatalf("seed %d: the schema accepts what we refuse: %+v\n%s", seed, ours, raw)
				case len(ours) > 0:
					refused++
				}
				if s, err := record.ParseStatement(raw); err == nil {
					roundTrip(t, s)
				} else if len(ours) == 0 && err.(*record.Refusal).Class != record.Invalid {
					t.Fatalf("seed %d: %v\n%s", seed, err, raw)
				}
			}
			if refused < rounds/10 {
				t.Errorf("only %d of %d changes were refused: the test changes too little", refused, rounds)
			}
		})
	}
}

func onlyKnownDifferences(faults []record.Fault) bool {
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
		"P1Y", "P1Y2M", "P01D", "XB", someID, record.ID{}.String(), "https://a.example/?q=\"", "https://a.example/x", "a.example", "A.example",
		int64(0), int64(1), int64(-1), int64(4294967296), true, false, []any{}, []any{"c1"}, []any{"c1", "c1"}, schema.Object{}, schema.Object{{Name: "commit", Value: someID}}, strings.Repeat("é", 1000), strings.Repeat("é", 1001)}
	other := func() any { return values[rng.IntN(len(values))] }
	switch v := v.(type) {
	case schema.Object:
		o := append(schema.Object(nil), v...)
		switch n := rng.IntN(12); {
		case n == 0 && len(o) > 0:
			i := rng.IntN(len(o))
			return append(o[:i], o[i+1:]...)
		case n == 1:
			name := []string{"note", "follows", "weak", "country", "lei", "notAfter", "until", "other", "Kind", "counts", "commit"}[rng.IntN(11)]
			if o.Lookup(name) == nil {
				o = append(o, schema.Member{Name: name, Value: other()})
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
func roundTrip(t *testing.T, s *record.Statement) {
	t.Helper()
	payload, err := record.EncodeStatement(s)
	if err != nil {
		t.Fatalf("encoding %+v: %v", s, err)
	}
	again, err := record.ParseStatement(payload)
	if err != nil {
		t.Fatal(err)
	}
	second, err := record.EncodeStatement(again)
	if err != nil || !bytes.Equal(payload, second) {
		t.Fatalf("encoded twice: %v\n%s\n%s", err, payload, second)
	}
}

func TestSchemaOfUnknownKind(t *testing.T) {
	for _, kind := range []record.Kind{"index", "desgination", "x"} {
		t.Run(string(kind), func(t *testing.T) {
			_, err := record.SchemaJSON(kind)
			record.CheckRefusal(t, err, "unsupported")
		})
	}
}

// FuzzParseStatement: whatever is accepted can be written, and reads back as
// itself.
func FuzzParseStatement(f *testing.F) {
	for _, examples := range examplePayloads(f) {
		for _, payload := range examples {
			f.Add(payload)
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := record.ParseStatement(payload)
		if err != nil {
			var r *record.Refusal
			if !errors.As(err, &r) || r.Class == record.Invalid && len(r.Faults) == 0 {
				t.Fatalf("got %T %v, want a refusal with its faults", err, err)
			}
			return
		}
		roundTrip(t, s)
		s.VisitStrings(func(pointer, value string) {
			if pointer == "" || value == "" {
				t.Errorf("an empty string at %q", pointer)
			}
		})
	})
}
