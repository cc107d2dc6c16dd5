package record

import (
	"errors"
	"fmt"
	"testing"
)

const exampleDigest = "1f0c5e9a7b6d4c3b2a190807f6e5d4c3b2a1f0e9d8c7b6a5948372615f4e3d2c"

func responsePayload() []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"designation/2026-014","digest":{"sha256":"%[1]s"}}],"predicateType":"urn:docket:response:v1","predicate":{"ledger":"%[1]s","thread":"response/2026-014/acme-cloud","issuer":"acme-cloud","issuedAt":"2026-12-02T09:30:00.125Z","follows":"%[1]s","status":"winding-down","windDownBy":"2027-05-15","conditions":["c1"],"accountsClosed":{"commit":"%[1]s"},"screening":{"sha256":"%[1]s"}}}`, exampleDigest)
}

// A payload that is no strict JSON, or no object, is at fault where it breaks.
func TestFaultsOfThePayload(t *testing.T) {
	for payload, want := range map[string]Fault{
		``:                             {"", "JSON at byte 0: a value is missing"},
		`hello`:                        {"", "JSON at byte 0: 'h' cannot begin a value"},
		`[1]`:                          {"", "is a list; want an object"},
		`"text"`:                       {"", "is text; want an object"},
		`null`:                         {"", "JSON at byte 0: null is not allowed: leave the member out"},
		`{} {}`:                        {"", "JSON at byte 3: more after the value"},
		`{"a":1`:                       {"", "JSON at byte 6: want , or } after a member"},
		`{"a" 1}`:                      {"/a", `JSON at byte 5: want : after the name "a"`},
		`{"predicate":{"note":null}}`:  {"/predicate/note", "JSON at byte 21: null is not allowed: leave the member out"},
		`{"a/b":[0,{"~":1.5}]}`:        {"/a~1b/1/~0", "JSON at byte 15: only integers are allowed, written as digits"},
		`{"a":{"b":1,"b":2}}`:          {"/a/b", `JSON at byte 12: the name "b" stands here twice`},
		`{"a":["x","` + "\xff" + `"]}`: {"/a/1", "JSON at byte 11: a string that is not valid UTF-8"},
	} {
		_, err := ParseStatement([]byte(payload))
		var r *Refusal
		if !errors.As(err, &r) || r.Class != Invalid || len(r.Faults) != 1 || r.Faults[0] != want {
			t.Errorf("%s: got %v, want %v", payload, err, want)
		}
	}
}

func BenchmarkParseStatement(b *testing.B) {
	payload := responsePayload()
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseStatement(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseJSON(b *testing.B) {
	payload := responsePayload()
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseJSON(payload); err != nil {
			b.Fatal(err)
		}
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
		s, err := ParseStatement(payload)
		if err != nil {
			var r *Refusal
			if !errors.As(err, &r) || r.Class == Invalid && len(r.Faults) == 0 {
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
