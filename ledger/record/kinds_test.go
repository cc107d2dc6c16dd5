package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// replaceOnce is a short form of testdata with one line, or part of one, changed.
func replaceOnce(t *testing.T, form, old, new string) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/short/" + form + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), old) {
		t.Fatalf("%s has no %q", form, old)
	}
	return strings.Replace(string(raw), old, new, 1)
}

// TestRules breaks each rule across fields once; "" means that it still stands.
func TestRules(t *testing.T) {
	imported := func(old, new string) string {
		const text = "kind: designation\nthread: designation/ofac-sdn-36\nabout: " + exampleDigest + "\nissuer: authority\nmeasure: person\naction: prohibit\ntarget: {schema: Company, name: AEROCARIBBEAN AIRLINES}\nprogram: [CUBA]\nsource: {list: ofac-sdn, id: \"36\"}\n"
		if !strings.Contains(text, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(text, old, new, 1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"root threshold beyond its holders", replaceOnce(t, "charter", "root: 2", "root: 3"), "thresholds.root is 3, but the root keys have 2 holders"},
		{"a threshold of none", replaceOnce(t, "charter", "registrar: 1", "registrar: 0"), "thresholds.registrar is 0; want 1 to 8"},
		{"a root key twice", replaceOnce(t, "charter", "root-2.pub", "root-1.pub"), "rootKeys.1.key is listed twice"},
		{"a list within a list", replaceOnce(t, "charter", "imports: [", "imports: [{list: ofac, maxRemovedPercent: 1}, "), "imports.1.list begins with another list's name"},
		{"a list twice", replaceOnce(t, "charter", "imports: [", "imports: [{list: ofac-sdn, maxRemovedPercent: 1}, "), "imports.1.list is listed twice"},
		{"no lists", replaceOnce(t, "charter", "imports: [{list: ofac-sdn, maxRemovedPercent: 2}]", "imports: []"), ""},
		{"no field imports", replaceOnce(t, "charter", "imports: [{list: ofac-sdn, maxRemovedPercent: 2}]", ""), "imports is missing"},
		{"nine root keys", replaceOnce(t, "charter", "rootKeys:", "rootKeys:\n"+strings.Repeat("  - {key: {file: k}, holder: h}\n", 7)), "rootKeys holds 9 items; at most 8"},
		{"a charter's ledger without follows", replaceOnce(t, "charter", "rules: 1", "rules: 1\nledger: "+exampleDigest), ""}, // follows can still be filled in
		{"authority with another role", replaceOnce(t, "enrolment-authority", "[authority]", "[authority, provider]"), "roles must be [authority]"},
		{"another with authority's role", replaceOnce(t, "enrolment-provider", "[provider]", "[provider, authority]"), "roles names authority"},
		{"functions of another's key", replaceOnce(t, "enrolment-provider", "holder: ci", "holder: ci, functions: [importer]"), "keys.1.functions only the authority's keys"},
		{"an automation key that designates", replaceOnce(t, "enrolment-authority", "[importer]", "[importer, designator]"), "keys.1.functions an automation key can be an importer"},
		{"a recovery key with functions", replaceOnce(t, "enrolment-authority", "use: automation", "use: recovery"), "keys.1.functions a recovery key signs nothing"},
		{"a key twice", replaceOnce(t, "enrolment-authority", "nightly.pub", "officer-1.pub"), "keys.1.key is listed twice"},
		{"enrolment by the registrar", replaceOnce(t, "enrolment-provider", "issuer: brook-cloud", "issuer: authority"), `issuer is "authority"; the thread belongs to "brook-cloud"`},
		{"a person's name as holder", replaceOnce(t, "enrolment-provider", "holder: ci", "holder: Ann Lee"), `keys.1.holder "Ann Lee" is not`},
		{"standing by the party", replaceOnce(t, "standing", "issuer: authority", "issuer: brook-cloud"), `issued by "authority"`},
		{"keys by a registrar", replaceOnce(t, "keys", "issuer: brook-cloud", "issuer: authority"), ""},
		{"keys by a stranger", replaceOnce(t, "keys", "issuer: brook-cloud", "issuer: other"), `or its registrar`},
		{"a key revoked twice", replaceOnce(t, "keys", "revoke:", "revoke:\n  - {keyid: \"SHA256:uNiVztksCsDhcc0u9e8BrJBnSvWkkwwAAAAAAAAAAAA\"}"), "revoke.1.keyid is revoked twice"},
		{"keys of nothing", "kind: keys\nthread: party/p\nissuer: p\n", "neither adds nor revokes"},
		{"a keyid in hexadecimal", replaceOnce(t, "keys", "SHA256:uNiVztksCsDhcc0u9e8BrJBnSvWkkwwAAAAAAAAAAAA", exampleDigest), "revoke.0.keyid"},
		{"no day of decision", replaceOnce(t, "designation", "determinedOn: 2026-12-01\n", ""), "determinedOn is missing"},
		{"no first day", replaceOnce(t, "designation", "effectiveFrom: 2027-06-01\n", ""), "effectiveFrom is missing"},
		{"no last day", replaceOnce(t, "designation", "effectiveUntil: 2028-05-31\n", ""), "effectiveUntil is missing"},
		{"over before it begins", replaceOnce(t, "designation", "2028-05-31", "2027-05-31"), "effectiveUntil is 2027-05-31, before effectiveFrom (2027-06-01)"},
		{"one day", replaceOnce(t, "designation", "2028-05-31", "2027-06-01"), ""},
		{"no role", replaceOnce(t, "designation", "  role: reseller\n", ""), "target.role is missing"},
		{"a condition without conditions", replaceOnce(t, "designation", "conditions:\n  - {id: c1, text: Nothing new for the target.}\n", ""), "conditions is missing"},
		{"two conditions of one ID", replaceOnce(t, "designation", "conditions:\n", "conditions:\n  - {id: c1, text: Other.}\n"), "conditions.1.id names two conditions"},
		{"an alias twice", replaceOnce(t, "designation", "alias: [", "alias: [{name: WH, type: aka, weak: true}, "), "target.alias.2 is the same as item 0"},
		{"a jurisdiction's schema for a person", replaceOnce(t, "designation", "schema: Company", "schema: Jurisdiction"), "target.schema is Jurisdiction, but"},
		{"a person's schema for a jurisdiction", replaceOnce(t, "designation", "measure: person", "measure: jurisdiction"), "target.schema must be Jurisdiction"},
		{"an ASN beyond 32 bits", replaceOnce(t, "designation", "64512", "4294967296"), "target.asn.0 is 4294967296; want 0 to 4294967295"},
		{"a domain in capitals", replaceOnce(t, "designation", "wren.example", "Wren.example"), "target.domain.0"},
		{"a domain of one label", replaceOnce(t, "designation", "wren.example", "wren"), "target.domain.0"},
		{"imported", imported("id", "id"), ""},
		{"imported onto another thread", imported("ofac-sdn-36", "ofac-sdn-37"), `thread is "designation/ofac-sdn-37"; what is imported as 36 of list ofac-sdn stands on "designation/ofac-sdn-36"`},
		{"imported with a role", imported("schema: Company", "schema: Company, role: reseller"), "target.role a published list does not say it"},
		{"imported with a duty", imported("program:", "responseDue: 2027-01-01\nprogram:"), "responseDue an imported designation has no duty"},
		{"imported with dates", imported("program:", "determinedOn: 2020-01-01\neffectiveFrom: 2020-01-02\nprogram:"), ""},
		{"amendment of nothing", "kind: amendment\nthread: designation/d\nissuer: authority\nabout: " + exampleDigest + "\ntype: correction\nreason: r\n", "changes nothing"},
		{"amendment that only re-opens", "kind: amendment\nthread: designation/d\nissuer: authority\nabout: " + exampleDigest + "\ntype: correction\nreason: r\nreopens: true\nresponseDue: 2027-01-01", ""},
		{"a day without re-opening", replaceOnce(t, "amendment", "reopens: false", "responseDue: 2027-01-01"), "responseDue only an amendment that re-opens"},
		{"an amendment of the measure", replaceOnce(t, "amendment", "set: {", "set: {measure: person, "), "set.measure measure can never be amended"},
		{"an unset path that is none", replaceOnce(t, "amendment", "[federalRegisterNotice]", "[federalRegisterNotic]"), `did you mean "federalRegisterNotice"?`},
		{"an amendment's field unknown", replaceOnce(t, "amendment", "registrationNumber", "registrationNumbr"), `set.target.registrationNumbr is no field here; did you mean "registrationNumber"?`},
		{"a suspension that ends first", replaceOnce(t, "suspension", "until: 2027-10-31", "until: 2027-07-31"), "until is 2027-07-31, before effectiveOn"},
		{"answered without an answer", replaceOnce(t, "response", "winding-down", "answered"), "detail is missing"},
		{"a response by another", replaceOnce(t, "response", "issuer: brook-cloud", "issuer: acme"), `the thread belongs to "brook-cloud"`},
		{"a period that ends first", replaceOnce(t, "cip-certification", "2026-12-31", "2025-12-31"), "periodUntil is 2025-12-31, before periodFrom"},
		{"an initial one that follows", replaceOnce(t, "cip-certification", "initial: true", "initial: true\nfollows: "+exampleDigest), "initial is true, but this follows"},
		{"a count's name with digits", replaceOnce(t, "cip-certification", "closed:", "closed2:"), "counts.closed2 the name"},
		{"a count in clear", replaceOnce(t, "cip-certification", "{secret: 7}", "{commit: 7}"), `counts.closed.commit "7" is not 64 lower-case`},
		{"a note too long", replaceOnce(t, "response", "about: latest", "about: latest\nnote: "+strings.Repeat("é", 2001)), "note is 2001 characters long; at most 2000"},
		{"a note just long enough", replaceOnce(t, "response", "about: latest", "about: latest\nnote: "+strings.Repeat("é", 2000)), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseShortForm([]byte(c.text), fictionalResolver)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestParseStatementRefuses(t *testing.T) {
	good := string(responsePayload())
	for _, c := range []struct {
		old, new string
		class    RefusalClass
		want     string
	}{
		{`"_type":"https://in-toto.io/Statement/v1"`, `"_type":"https://in-toto.io/Statement/v2"`, Invalid, "/_type"},
		{`"_type":"https://in-toto.io/Statement/v1",`, ``, Invalid, "/_type: is missing"},
		{`Statement/v1"`, `Statement/v0.1"`, 0, ""},
		{`"predicateType":"urn:docket:response:v1",`, ``, Invalid, "/predicateType: is missing"},
		{`urn:docket:response:v1`, `urn:docket:licence:v1`, Unsupported, "upgrade"},
		{`urn:docket:response:v1`, `urn:docket:response:v2`, Unsupported, "upgrade"},
		{`urn:docket:response:v1`, `urn:docket:respnse:v1`, Unsupported, `did you mean "response"`},
		{`urn:docket:response:v1`, `https://slsa.dev/provenance/v1`, Invalid, "no Docket record"},
		{`"subject":[`, `"subject":[{"digest":{"sha256":"` + exampleDigest + `"}},`, Invalid, "/subject: want exactly one subject"},
		{`"name":"designation/2026-014",`, `"uri":"x",`, Invalid, "/subject/0/uri"},
		{`"name":"designation/2026-014",`, ``, 0, ""},
		{`"digest":{"sha256"`, `"digest":{"sha1"`, Invalid, "/subject/0/digest/sha1"},
		{`"digest":{"sha256":"1f`, `"digest":{"sha256":"1F`, Invalid, "/subject/0/digest/sha256"},
		{`"predicate":{`, `"extra":1,"predicate":{`, Invalid, "/extra: is no member of a statement"},
		{`"predicate":{`, `"predicate":{"Status":"x",`, Invalid, `/predicate/Status: is no field here; did you mean "status"?`},
		{`"ledger":"` + exampleDigest + `",`, ``, Invalid, "/predicate/ledger: is missing"},
		{`"ledger":"` + exampleDigest, `"ledger":"` + zeroDigest, Invalid, "/predicate/ledger: is all zeros"},
		{`09:30:00.125Z`, `09:30:00.1255Z`, Invalid, "/predicate/issuedAt"},
		{`"windDownBy":"2027-05-15"`, `"windDownBy":20270515`, Invalid, "/predicate/windDownBy: is the number 20270515; want text"},
		{`["c1"]`, `"c1"`, Invalid, "/predicate/conditions: is text; want a list"},
		{`["c1"]`, `["c1","c1"]`, Invalid, "/predicate/conditions/1: is the same as item 0"},
	} {
		if !strings.Contains(good, c.old) {
			t.Fatalf("no %q", c.old)
		}
		payload := strings.Replace(good, c.old, c.new, 1)
		_, err := ParseStatement([]byte(payload))
		if c.class == 0 {
			if err != nil {
				t.Errorf("%s: %v", c.new, err)
			}
			continue
		}
		var r *Refusal
		if !errors.As(err, &r) || r.Class != c.class || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngot  %v\nwant %v %s", c.new, err, c.class, c.want)
		}
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
			p := o[i].Value.(Object)
			for n := range 10_000 {
				p = append(p, Member{fmt.Sprintf("unknown%d", n), int64(0)})
			}
			o[i].Value = p
		}
	}
	_, err := ParseStatement(appendJSON(nil, o))
	var r *Refusal
	if !errors.As(err, &r) || len(r.Faults) != maxFaults {
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
	for name, change := range map[string]func(l *ID, thread *string, s *Opening){
		"ledger":  func(l *ID, _ *string, _ *Opening) { l[0] ^= 1 },
		"thread":  func(_ *ID, thread *string, _ *Opening) { *thread = "cip/q" },
		"pointer": func(_ *ID, _ *string, s *Opening) { s.Pointer = "/counts/closed" },
		"value":   func(_ *ID, _ *string, s *Opening) { s.Value = "1205" },
		"salt":    func(_ *ID, _ *string, s *Opening) { s.Salt = append([]byte{s.Salt[0] ^ 1}, s.Salt[1:]...) },
		"length":  func(_ *ID, _ *string, s *Opening) { s.Value, s.Salt = string(s.Salt[31:])+s.Value, s.Salt[:31] },
	} {
		l, thread, other := ledger, "cip/p", s
		change(&l, &thread, &other)
		if err := c.Verify(l, thread, other); !errors.Is(err, ErrWrongOpening) {
			t.Errorf("another %s opens it: %v", name, err)
		}
	}
	// The text of RECORDS.md, byte for byte.
	fixed := Opening{Pointer: "/subject", Value: "v", Salt: []byte(strings.Repeat("s", SaltSize))}
	want := IDOf([]byte("docket-commitment/v1\n" + ledger.String() + "\ncip/p\n/subject\n" + strings.Repeat("s", SaltSize) + "v")).String()
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
