package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

func TestParseJSON(t *testing.T) {
	for _, c := range []struct {
		raw  string
		want any
	}{
		{`"a"`, "a"},
		{` [ ] `, []any{}},
		{`{}`, Object{}},
		{"\t{\"b\":1,\r\n\"a\":[true,false,-9007199254740991]}\n", Object{{"b", int64(1)}, {"a", []any{true, false, int64(-MaxInteger)}}}},
		{`{"a":{"a":{"a":0}}}`, Object{{"a", Object{{"a", Object{{"a", int64(0)}}}}}}},
		{`"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\té"`, "é😀\"\\/\b\f\n\r\té"},
		{strings.Repeat("[", 16) + strings.Repeat("]", 16), nil},
		{`{"a":1,"A":2}`, Object{{"a", int64(1)}, {"A", int64(2)}}},
	} {
		got, err := ParseJSON([]byte(c.raw))
		if err != nil {
			t.Errorf("%s: %v", c.raw, err)
		} else if c.want != nil && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %#v, want %#v", c.raw, got, c.want)
		}
	}
}

func TestParseJSONRefuses(t *testing.T) {
	many := func(last string) string {
		var b strings.Builder
		for i := range 100 {
			fmt.Fprintf(&b, `"k%d":0,`, i)
		}
		return "{" + b.String() + `"` + last + `":0}`
	}
	if _, err := ParseJSON([]byte(many("k100"))); err != nil {
		t.Error(err)
	}
	for raw, offset := range map[string]int{
		``:                           0,
		` `:                          1,
		`null`:                       0,
		`[null]`:                     1,
		`{"a":1,"a":2}`:              7,
		`{"a":1,"\u0061":2}`:         7,
		many("k7"):                   791,
		`{"a":1,}`:                   7,
		`[1,]`:                       3,
		`{a:1}`:                      1,
		`{"a" 1}`:                    5,
		`{"a":1 "b":2}`:              7,
		`1.0`:                        0,
		`1e3`:                        0,
		`01`:                         0,
		`-0`:                         0,
		`-`:                          1,
		`+1`:                         0,
		`9007199254740992`:           0,
		`-9007199254740992`:          0,
		`99999999999999999999999999`: 0,
		`"\ud800"`:                   1,
		`"\ud800\ud800"`:             1,
		`"\udc00\ud800"`:             1,
		`"\ud800x"`:                  1,
		`"\u12g4"`:                   1,
		`"\x"`:                       1,
		"\"\xff\"":                   1,
		"\"\xed\xa0\x80\"":           1, // a surrogate in UTF-8
		"\"\xc0\xaf\"":               1, // overlong
		"\"\\n\xff\"":                1,
		"\"a\nb\"":                   2,
		"\"\\na\nb\"":                4,
		`"a`:                         2,
		`"a\`:                        2,
		`{"a":1} {}`:                 8,
		`tru`:                        0,
		"\ufeff{}":                   0,
		strings.Repeat("[", 17) + strings.Repeat("]", 17): 16,
	} {
		t.Run(fmt.Sprintf("%.40q", raw), func(t *testing.T) {
			_, err := ParseJSON([]byte(raw))
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset != offset {
				t.Fatalf("got %v, want a fault at %d", err, offset)
			}
			refusaltest.Words(t, err.Error())
		})
	}
}

// FuzzParseJSON: what we accept, encoding/json reads as the same value; what it
// refuses, we refuse. What we write of it, reads back the same.
func FuzzParseJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2,"x\u00e9",true,{}],"b":{"c":"\ud83d\ude00"}}`, ` [0] `, `"\"\\\/\b\f\n\r\t"`, `{"a":1,"a":2}`, `null`, `1.5`, "\"\xff\"", statement} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := ParseJSON(raw)
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var want any
		theirs := json.Unmarshal(raw, new(any))
		if err != nil {
			return
		}
		if theirs != nil {
			t.Fatalf("we accept what encoding/json refuses: %v", theirs)
		}
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(asEncodingJSON(got), want) {
			t.Fatalf("got %#v, want %#v", got, want)
		}
		again, err := ParseJSON(AppendJSON(nil, got))
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("written and read: %#v, %v, want %#v", again, err, got)
		}
	})
}

// asEncodingJSON is a value as encoding/json has it with UseNumber.
func asEncodingJSON(v any) any {
	switch v := v.(type) {
	case int64:
		return json.Number(fmt.Sprint(v))
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = asEncodingJSON(item)
		}
		return out
	case Object:
		out := make(map[string]any, len(v))
		for _, m := range v {
			out[m.Name] = asEncodingJSON(m.Value)
		}
		return out
	}
	return v
}

// statement is JSON of the size and depth of a record.
const statement = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"designation/2026-014","digest":{"sha256":"1f0c5e9a7b6d4c3b2a190807f6e5d4c3b2a1f0e9d8c7b6a5948372615f4e3d2c"}}],"predicateType":"urn:docket:response:v1","predicate":{"ledger":"1f0c5e9a7b6d4c3b2a190807f6e5d4c3b2a1f0e9d8c7b6a5948372615f4e3d2c","thread":"response/2026-014/acme-cloud","issuer":"acme-cloud","issuedAt":"2026-12-02T09:30:00.125Z","status":"winding-down","windDownBy":"2027-05-15","conditions":["c1"]}}`

func BenchmarkParseJSON(b *testing.B) {
	b.SetBytes(int64(len(statement)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseJSON([]byte(statement)); err != nil {
			b.Fatal(err)
		}
	}
}
