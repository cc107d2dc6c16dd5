package draft

import (
	"os"
	"strings"
	"testing"
)

const exampleDigest = "1f0c5e9a7b6d4c3b2a190807f6e5d4c3b2a1f0e9d8c7b6a5948372615f4e3d2c"

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
