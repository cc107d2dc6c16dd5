package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

func TestParseStatementRefuses(t *testing.T) {
	good := string(responsePayload())
	for _, c := range []struct{ name, old, new, want string }{
		{"another _type", `"_type":"https://in-toto.io/Statement/v1"`, `"_type":"https://in-toto.io/Statement/v2"`, "invalid /_type"},
		{"no _type", `"_type":"https://in-toto.io/Statement/v1",`, ``, "invalid /_type"},
		{"an older _type", `Statement/v1"`, `Statement/v0.1"`, ""},
		{"no predicateType", `"predicateType":"urn:docket:response:v1",`, ``, "invalid /predicateType"},
		{"a kind of a newer binary", `urn:docket:response:v1`, `urn:docket:index:v1`, "unsupported /predicateType"},
		{"a kind in a newer version", `urn:docket:response:v1`, `urn:docket:response:v2`, "unsupported /predicateType"},
		{"a kind misspelt", `urn:docket:response:v1`, `urn:docket:respnse:v1`, "unsupported /predicateType"},
		{"not a record of Docket", `urn:docket:response:v1`, `https://slsa.dev/provenance/v1`, "invalid /predicateType"},
		{"two subjects", `"subject":[`, `"subject":[{"digest":{"sha256":"` + exampleDigest + `"}},`, "invalid /subject"},
		{"a subject with a URI", `"name":"designation/2026-014",`, `"uri":"x",`, "invalid /subject/0/uri"},
		{"a subject without a name", `"name":"designation/2026-014",`, ``, ""},
		{"a subject by SHA-1", `"digest":{"sha256"`, `"digest":{"sha1"`, "invalid /subject/0/digest/sha1 /subject/0/digest/sha256"},
		{"a digest in capitals", `"digest":{"sha256":"1f`, `"digest":{"sha256":"1F`, "invalid /subject/0/digest/sha256"},
		{"a member too many", `"predicate":{`, `"extra":1,"predicate":{`, "invalid /extra"},
		{"a field in capitals", `"predicate":{`, `"predicate":{"Status":"x",`, "invalid /predicate/Status"},
		{"no ledger", `"ledger":"` + exampleDigest + `",`, ``, "invalid /predicate/ledger"},
		{"a ledger of zeros", `"ledger":"` + exampleDigest, `"ledger":"` + ID{}.String(), "invalid /predicate/ledger"},
		{"a time of four digits", `09:30:00.125Z`, `09:30:00.1255Z`, "invalid /predicate/issuedAt"},
		{"a date as a number", `"windDownBy":"2027-05-15"`, `"windDownBy":20270515`, "invalid /predicate/windDownBy"},
		{"a list as text", `["c1"]`, `"c1"`, "invalid /predicate/conditions"},
		{"an item twice", `["c1"]`, `["c1","c1"]`, "invalid /predicate/conditions/1"},
	} {
		if !strings.Contains(good, c.old) {
			t.Fatalf("no %q", c.old)
		}
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseStatement([]byte(strings.Replace(good, c.old, c.new, 1)))
			switch {
			case c.want != "":
				CheckRefusal(t, err, c.want)
			case err != nil:
				t.Error(err)
			}
		})
	}
}

// TestAllFaultsAtOnce: a person corrects a record once, not fault by fault.
func TestAllFaultsAtOnce(t *testing.T) {
	payload := strings.NewReplacer(`"issuer":"acme-cloud"`, `"issuer":"Acme"`, `"winding-down"`, `"winding"`, `"2027-05-15"`, `"2027-05-32"`).Replace(string(responsePayload()))
	_, err := ParseStatement([]byte(payload))
	var r *Refusal
	if !errors.As(err, &r) || len(r.Faults) != 3 {
		t.Fatalf("got %v, want 3 faults", err)
	}
}

// TestFaultsAreBounded: nobody makes us compare a hundred thousand names.
func TestFaultsAreBounded(t *testing.T) {
	o := mustObject(t, string(responsePayload()))
	for i := range o {
		if o[i].Name == "predicate" {
			p := o[i].Value.(schema.Object)
			for n := range 10_000 {
				p = append(p, schema.Member{Name: fmt.Sprintf("unknown%d", n), Value: int64(0)})
			}
			o[i].Value = p
		}
	}
	payload, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	_, err = ParseStatement(payload)
	var r *Refusal
	if !errors.As(err, &r) || len(r.Faults) != 100 {
		t.Fatalf("got %.200v", err)
	}
}

func TestStatementParts(t *testing.T) {
	s, err := ParseStatement(responsePayload())
	if err != nil {
		t.Fatal(err)
	}
	if s.Party() != "acme-cloud" || s.Subject.Name != "designation/2026-014" {
		t.Errorf("got %s, %+v", s.Party(), s.Subject)
	}
	seen := map[string]string{}
	s.VisitStrings(func(pointer, value string) { seen[pointer] = value })
	for pointer, want := range map[string]string{"/predicate/status": "winding-down", "/predicate/conditions/0": "c1", "/predicate/accountsClosed/commit": exampleDigest} {
		if seen[pointer] != want {
			t.Errorf("%s: got %q, want %q", pointer, seen[pointer], want)
		}
	}
	// Made in Go, a statement has the same tree as when it is read.
	made := &Statement{Kind: s.Kind, Subject: s.Subject, Common: s.Common, Predicate: s.Predicate}
	got, _ := json.Marshal(made.Object())
	want, _ := json.Marshal(s.Object())
	if string(got) != string(want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEncodeStatementRefuses(t *testing.T) {
	if _, err := EncodeStatement(&Statement{}); err == nil {
		t.Error("a statement without predicate was encoded")
	}
	if _, err := EncodeStatement(&Statement{Predicate: &Response{}}); err == nil {
		t.Error("an empty response was encoded")
	}
}

func TestCommitment(t *testing.T) {
	ledger := IDOf([]byte("ledger"))
	s := NewOpening("/counts/foreignAccounts", "1204")
	c := s.Commit(ledger, "cip/p")
	if err := c.Verify(ledger, "cip/p", s); err != nil {
		t.Error(err)
	}
	if again := NewOpening(s.Pointer, s.Value).Commit(ledger, "cip/p"); again == c {
		t.Error("two salts gave one commitment")
	}
	for name, change := range map[string]func(l *ID, thread *Thread, s *Opening){
		"ledger":  func(l *ID, _ *Thread, _ *Opening) { l[0] ^= 1 },
		"thread":  func(_ *ID, thread *Thread, _ *Opening) { *thread = "cip/q" },
		"pointer": func(_ *ID, _ *Thread, s *Opening) { s.Pointer = "/counts/closed" },
		"value":   func(_ *ID, _ *Thread, s *Opening) { s.Value = "1205" },
		"salt":    func(_ *ID, _ *Thread, s *Opening) { s.Salt = append([]byte{s.Salt[0] ^ 1}, s.Salt[1:]...) },
		"length":  func(_ *ID, _ *Thread, s *Opening) { s.Value, s.Salt = string(s.Salt[31:])+s.Value, s.Salt[:31] },
	} {
		l, thread, other := ledger, CertificationThread("p"), s
		change(&l, &thread, &other)
		if err := c.Verify(l, thread, other); !errors.Is(err, errWrongOpening) {
			t.Errorf("another %s opens it: %v", name, err)
		}
	}
	// The text of RECORDS.md, byte for byte.
	fixed := Opening{Pointer: "/subject", Value: "v", Salt: []byte(strings.Repeat("s", saltSize))}
	want := IDOf([]byte("docket-commitment/v1\n" + ledger.String() + "\ncip/p\n/subject\n" + strings.Repeat("s", saltSize) + "v")).String()
	if got := fixed.Commit(ledger, "cip/p").Commit; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

const exampleDigest = "1f0c5e9a7b6d4c3b2a190807f6e5d4c3b2a1f0e9d8c7b6a5948372615f4e3d2c"

func responsePayload() []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"designation/2026-014","digest":{"sha256":"%[1]s"}}],"predicateType":"urn:docket:response:v1","predicate":{"ledger":"%[1]s","thread":"response/2026-014/acme-cloud","issuer":"acme-cloud","issuedAt":"2026-12-02T09:30:00.125Z","follows":"%[1]s","status":"winding-down","windDownBy":"2027-05-15","conditions":["c1"],"accountsClosed":{"commit":"%[1]s"},"screening":{"sha256":"%[1]s"}}}`, exampleDigest)
}

// A payload that is no strict JSON, or no object, is at fault where it breaks.
func TestFaultsOfThePayload(t *testing.T) {
	for payload, want := range map[string]string{
		``:                             "(whole)",
		`hello`:                        "(whole)",
		`[1]`:                          "(whole)",
		`"text"`:                       "(whole)",
		`null`:                         "(whole)",
		`{} {}`:                        "(whole)",
		`{"a":1`:                       "(whole)",
		`{"a" 1}`:                      "/a",
		`{"predicate":{"note":null}}`:  "/predicate/note",
		`{"a/b":[0,{"~":1.5}]}`:        "/a~1b/1/~0",
		`{"a":{"b":1,"b":2}}`:          "/a/b",
		`{"a":["x","` + "\xff" + `"]}`: "/a/1",
	} {
		t.Run(payload, func(t *testing.T) {
			_, err := ParseStatement([]byte(payload))
			CheckRefusal(t, err, "invalid "+want)
		})
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
