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

var exampleRecipient = "age1pq1" + strings.Repeat("q", 1952)

// opening opens a sealed request, in a short form.
const opening = "open:\n  type: warrant\n  provider: brook-cloud\n  salts: {type: qL9zRVx4XNwZC0b6H3B8H0G3S2cT1kQyq0V7mP4dLhE=, provider: qL9zRVx4XNwZC0b6H3B8H0G3S2cT1kQyq0V7mP4dLhE=}\n"

// openRequest is a request that is not sealed, with parts of it replaced.
func openRequest(old, new string, more ...string) string {
	if old == "" {
		old = "no such text"
	}
	text := "kind: disclosure-request\nthread: disclosure/2027-7\nabout: " + exampleDigest + "\nissuer: authority\nstatus: requested\ntype: warrant\nprovider: brook-cloud\njurisdiction: XB\ndueOn: 2027-02-20\nrecipient: " + exampleRecipient + "\n"
	return strings.NewReplacer(append(more, old, new)...).Replace(text)
}

// laterRequest is a record on the thread of a request that says only what is given.
func laterRequest(says string) string {
	return "kind: disclosure-request\nthread: disclosure/2027-7\nabout: " + exampleDigest + "\nissuer: authority\nstatus: requested\nfollows: " + exampleDigest + "\n" + says
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
	changed := func(text string, words ...string) string {
		for i := 0; i < len(words); i += 2 {
			if !strings.Contains(text, words[i]) {
				t.Fatalf("no %q", words[i])
			}
			text = strings.Replace(text, words[i], words[i+1], 1)
		}
		return text
	}
	licence := func(words ...string) string {
		return changed("kind: licence\nthread: licence/2027-003\ndocument: {file: licence.pdf}\nissuer: authority\ntype: specific\nholder: brook-cloud\ndesignations: [2026-030]\nfrom: 2027-06-01\nuntil: 2027-09-30\npermits: wind-down\n", words...)
	}
	licenceRevoked := func(cause string) string {
		return "kind: revocation\nthread: licence/2027-003\ndocument: {file: d}\nissuer: authority\neffectiveOn: 2027-08-01\ncause: " + cause + "\nreason: r\n"
	}
	reseller := func(words ...string) string {
		return changed("kind: reseller\nthread: reseller/lumen-resale/brook-cloud\ndocument: {file: cip.pdf, private: true}\nissuer: brook-cloud\nprovider: brook-cloud\nstatus: unconfirmed\nreseller: {id: lumen-resale, legalName: Lumen, country: XC}\nattempts: [2026-11-02]\n", words...)
	}
	for _, c := range []struct{ name, text, want string }{
		{"root threshold beyond its holders", replaceOnce(t, "charter", "root: 2", "root: 3"), "short form 12:/predicate/thresholds/root"},
		{"a threshold of none", replaceOnce(t, "charter", "registrar: 1", "registrar: 0"), "short form 12:/predicate/thresholds/registrar"},
		{"a root key twice", replaceOnce(t, "charter", "root-2.pub", "root-1.pub"), "short form 11:/predicate/rootKeys/1/key"},
		{"a list within a list", replaceOnce(t, "charter", "imports: [", "imports: [{list: ofac, maxRemovedPercent: 1}, "), "short form 14:/predicate/imports/1/list"},
		{"a list twice", replaceOnce(t, "charter", "imports: [", "imports: [{list: ofac-sdn, maxRemovedPercent: 1}, "), "short form 14:/predicate/imports/1/list"},
		{"no lists", replaceOnce(t, "charter", "imports: [{list: ofac-sdn, maxRemovedPercent: 2}]", "imports: []"), ""},
		{"no field imports", replaceOnce(t, "charter", "imports: [{list: ofac-sdn, maxRemovedPercent: 2}]", ""), "short form 0:/predicate/imports"},
		{"nine root keys", replaceOnce(t, "charter", "rootKeys:", "rootKeys:\n"+strings.Repeat("  - {key: {file: k}, holder: h}\n", 7)), "short form 9:/predicate/rootKeys"},
		{"a charter's ledger without follows", replaceOnce(t, "charter", "rules: 1", "rules: 1\nledger: "+exampleDigest), ""}, // follows can still be filled in
		{"authority with another role", replaceOnce(t, "enrolment-authority", "[authority]", "[authority, provider]"), "short form 7:/predicate/roles"},
		{"another with authority's role", replaceOnce(t, "enrolment-provider", "[provider]", "[provider, authority]"), "short form 6:/predicate/roles"},
		{"functions of another's key", replaceOnce(t, "enrolment-provider", "holder: ci", "holder: ci, functions: [importer]"), "short form 12:/predicate/keys/1/functions"},
		{"an automation key that designates", replaceOnce(t, "enrolment-authority", "[importer]", "[importer, designator]"), "short form 10:/predicate/keys/1/functions"},
		{"a recovery key with functions", replaceOnce(t, "enrolment-authority", "use: automation", "use: recovery"), "short form 10:/predicate/keys/1/functions"},
		{"a key twice", replaceOnce(t, "enrolment-authority", "nightly.pub", "officer-1.pub"), "short form 10:/predicate/keys/1/key"},
		{"enrolment by the registrar", replaceOnce(t, "enrolment-provider", "issuer: brook-cloud", "issuer: authority"), "short form 3:/predicate/issuer 6:/predicate/roles"},
		{"a person's name as holder", replaceOnce(t, "enrolment-provider", "holder: ci", "holder: Ann Lee"), "short form 12:/predicate/keys/1/holder"},
		{"standing by the party", replaceOnce(t, "standing", "issuer: authority", "issuer: brook-cloud"), "short form 3:/predicate/issuer"},
		{"keys by a registrar", replaceOnce(t, "keys", "issuer: brook-cloud", "issuer: authority"), ""},
		{"keys by a stranger", replaceOnce(t, "keys", "issuer: brook-cloud", "issuer: other"), "short form 3:/predicate/issuer"},
		{"a key revoked twice", replaceOnce(t, "keys", "revoke:", "revoke:\n  - {keyid: \"SHA256:uNiVztksCsDhcc0u9e8BrJBnSvWkkwwAAAAAAAAAAAA\"}"), "short form 8:/predicate/revoke/1/keyid"},
		{"keys of nothing", "kind: keys\nthread: party/p\nissuer: p\n", "short form 0:/predicate"},
		{"a keyid in hexadecimal", replaceOnce(t, "keys", "SHA256:uNiVztksCsDhcc0u9e8BrJBnSvWkkwwAAAAAAAAAAAA", exampleDigest), "short form 7:/predicate/revoke/0/keyid"},
		{"no day of decision", replaceOnce(t, "designation", "determinedOn: 2026-12-01\n", ""), "short form 0:/predicate/determinedOn"},
		{"no first day", replaceOnce(t, "designation", "effectiveFrom: 2027-06-01\n", ""), "short form 0:/predicate/effectiveFrom"},
		{"no last day", replaceOnce(t, "designation", "effectiveUntil: 2028-05-31\n", ""), "short form 0:/predicate/effectiveUntil"},
		{"over before it begins", replaceOnce(t, "designation", "2028-05-31", "2027-05-31"), "short form 23:/predicate/effectiveUntil"},
		{"one day", replaceOnce(t, "designation", "2028-05-31", "2027-06-01"), ""},
		{"no role", replaceOnce(t, "designation", "  role: reseller\n", ""), "short form 9:/predicate/target/role"},
		{"a condition without conditions", replaceOnce(t, "designation", "conditions:\n  - {id: c1, text: Nothing new for the target.}\n", ""), "short form 0:/predicate/conditions"},
		{"two conditions of one ID", replaceOnce(t, "designation", "conditions:\n", "conditions:\n  - {id: c1, text: Other.}\n"), "short form 9:/predicate/conditions/1/id"},
		{"an alias twice", replaceOnce(t, "designation", "alias: [", "alias: [{name: WH, type: aka, weak: true}, "), "short form 13:/predicate/target/alias/2"},
		{"a jurisdiction's schema for a person", replaceOnce(t, "designation", "schema: Company", "schema: Jurisdiction"), "short form 10:/predicate/target/schema"},
		{"a person's schema for a jurisdiction", replaceOnce(t, "designation", "measure: person", "measure: jurisdiction"), "short form 10:/predicate/target/schema 11:/predicate/target/role"},
		{"an ASN beyond 32 bits", replaceOnce(t, "designation", "64512", "4294967296"), "short form 16:/predicate/target/asn/0"},
		{"a domain in capitals", replaceOnce(t, "designation", "wren.example", "Wren.example"), "short form 17:/predicate/target/domain/0"},
		{"a domain of one label", replaceOnce(t, "designation", "wren.example", "wren"), "short form 17:/predicate/target/domain/0"},
		{"imported", imported("id", "id"), ""},
		{"imported onto another thread", imported("ofac-sdn-36", "ofac-sdn-37"), "short form 2:/predicate/thread"},
		{"imported with a role", imported("schema: Company", "schema: Company, role: reseller"), "short form 7:/predicate/target/role"},
		{"imported with a duty", imported("program:", "responseDue: 2027-01-01\nprogram:"), "short form 8:/predicate/responseDue"},
		{"imported with dates", imported("program:", "determinedOn: 2020-01-01\neffectiveFrom: 2020-01-02\nprogram:"), ""},
		{"an open request", openRequest("", ""), ""},
		{"a request without a type", openRequest("type: warrant\n", ""), "short form 0:/predicate/type"},
		{"a request of nobody", openRequest("provider: brook-cloud\n", ""), "short form 0:/predicate/provider"},
		{"a request without a jurisdiction", openRequest("jurisdiction: XB\n", ""), "short form 0:/predicate/jurisdiction"},
		{"a request without a last day", openRequest("dueOn: 2027-02-20\n", ""), "short form 0:/predicate/dueOn"},
		{"a request without a recipient", openRequest("recipient: "+exampleRecipient+"\n", ""), "short form 0:/predicate/recipient"},
		{"a request to another state without a recipient", openRequest("type: warrant\n", "type: mlat\n", "recipient: "+exampleRecipient+"\n", ""), ""},
		{"a recipient that is too short", openRequest(exampleRecipient, exampleRecipient[:1958]), "short form 10:/predicate/recipient"},
		{"a recipient that is too long", openRequest(exampleRecipient, exampleRecipient+"q"), "short form 10:/predicate/recipient"},
		{"a recipient of another kind", openRequest(exampleRecipient, "age1tq1"+exampleRecipient[7:]), "short form 10:/predicate/recipient"},
		{"a recipient with a letter that is none", openRequest(exampleRecipient, exampleRecipient[:1958]+"b"), "short form 10:/predicate/recipient"},
		{"a seal over nothing", openRequest("jurisdiction:", "sealedUntil: 2027-06-30\njurisdiction:"), "short form 8:/predicate/sealedUntil"},
		{"another type of request", openRequest("type: warrant", "type: letter"), "short form 6:/predicate/type"},
		{"a request that is nothing yet", openRequest("status: requested", "status: answered"), "short form 5:/predicate/status"},
		{"a private document of an open request", openRequest("about: "+exampleDigest, "document: {file: warrant.pdf, private: true}"), ""},
		{"a sealed request", replaceOnce(t, "disclosure-request", "XB", "XB"), ""},
		{"a sealed type alone", replaceOnce(t, "disclosure-request", "{secret: brook-cloud}", "brook-cloud"), "short form 7:/predicate/provider"},
		{"a sealed provider alone", replaceOnce(t, "disclosure-request", "{secret: warrant}", "warrant"), "short form 6:/predicate/type"},
		{"a sealed request with a public document", replaceOnce(t, "disclosure-request", ", private: true", ""), "short form 3:/predicate/document"},
		{"a sealed request with a document's name", replaceOnce(t, "disclosure-request", "private: true", "private: true, name: brook-cloud.pdf"), "short form 3:/predicate/document"},
		{"sealed for ever", replaceOnce(t, "disclosure-request", "sealedUntil: 2027-06-30\n", ""), "short form 0:/predicate/sealedUntil"},
		{"sealed, to nobody's key", replaceOnce(t, "disclosure-request", "recipient:", "note:"), "short form 0:/predicate/recipient"},
		{"opened as it is asked", replaceOnce(t, "disclosure-request", "dueOn:", opening+"dueOn:"), ""}, // follows can still be filled in
		{"opened and typed", laterRequest(opening + "type: warrant\nprovider: brook-cloud\n"), "short form 11:/predicate/type 12:/predicate/provider"},
		{"opened with a short salt", laterRequest(strings.Replace(opening, "qL9z", "", 1)), "short form 10:/predicate/open/salts/type"},
		{"requested a second time", laterRequest(""), "short form 0:/predicate/type 0:/predicate/provider 0:/predicate/jurisdiction 0:/predicate/dueOn 0:/predicate/recipient 5:/predicate/status"},
		{"challenged before it is requested", strings.Replace(strings.Replace(laterRequest(""), "requested", "challenged", 1), "follows: "+exampleDigest+"\n", "", 1), ""},
		{"a receipt of another's request", replaceOnce(t, "disclosure-receipt", "issuer: brook-cloud", "issuer: acme"), "short form 4:/predicate/issuer"},
		{"a receipt that does not count", replaceOnce(t, "disclosure-receipt", "entries: 3\n", ""), "short form 0:/predicate/entries"},
		{"a receipt of no log", replaceOnce(t, "disclosure-receipt", "logSize: 4000\n", ""), "short form 0:/predicate/logSize"},
		{"more events than leaves", replaceOnce(t, "disclosure-receipt", "entries: 3", "entries: 4001"), "short form 6:/predicate/entries"},
		{"nothing to disclose", replaceOnce(t, "disclosure-receipt", "entries: 3", "entries: 0"), ""},
		{"a reason, and no challenge", replaceOnce(t, "disclosure-receipt", "entries: 3", "entries: 3\nreason: r"), "short form 7:/predicate/reason"},
		{"a challenge without a reason", replaceOnce(t, "disclosure-receipt", "entries: 3\nlogSize: 4000", "challenged: true"), "short form 0:/predicate/reason"},
		{"a challenge that discloses", replaceOnce(t, "disclosure-receipt", "entries: 3", "entries: 3\nchallenged: true\nreason: r"), "short form 6:/predicate/entries"},
		{"a challenge", replaceOnce(t, "disclosure-receipt", "entries: 3\nlogSize: 4000", "challenged: true\nreason: r"), ""},
		{"an assessment by another", replaceOnce(t, "assessment", "issuer: south-audit", "issuer: authority"), "short form 4:/predicate/issuer"},
		{"an auditor of itself", replaceOnce(t, "assessment", "auditee: brook-cloud", "auditee: south-audit"), "short form 5:/predicate/auditee"},
		{"an audit over before it began", replaceOnce(t, "assessment", "2026-12-31", "2025-12-31"), "short form 8:/predicate/periodUntil"},
		{"an opinion that is none", replaceOnce(t, "assessment", "qualified", "fine"), "short form 9:/predicate/opinion"},
		{"a root that is none", replaceOnce(t, "assessment", "qL9z", ""), "short form 12:/predicate/at/root"},
		{"a cosigner's key that states nothing", replaceOnce(t, "assessment", "opinion:", "vkey: w1.example+906067f9+BBbPuY4uH+YBLx4IXqRPp4gPQlRP3QQNSr23Mnxu5Msx\nopinion:"), "short form 0:/predicate/statement"},
		{"a statement of no key", replaceOnce(t, "assessment", "opinion:", "statement: s\nopinion:"), "short form 9:/predicate/statement"},
		{"evidence twice", replaceOnce(t, "designation", "program:", "evidence: ["+exampleDigest+", "+exampleDigest+"]\nprogram:"), "short form 19:/predicate/evidence/1"},
		{"evidence that is no record", replaceOnce(t, "designation", "program:", "evidence: [2027-003]\nprogram:"), "short form 19:/predicate/evidence/0"},
		{"amendment of nothing", "kind: amendment\nthread: designation/d\nissuer: authority\nabout: " + exampleDigest + "\ntype: correction\nreason: r\n", "short form 0:/predicate"},
		{"amendment that only re-opens", "kind: amendment\nthread: designation/d\nissuer: authority\nabout: " + exampleDigest + "\ntype: correction\nreason: r\nreopens: true\nresponseDue: 2027-01-01", ""},
		{"a day without re-opening", replaceOnce(t, "amendment", "reopens: false", "responseDue: 2027-01-01"), "short form 11:/predicate/responseDue"},
		{"an amendment of the measure", replaceOnce(t, "amendment", "set: {", "set: {measure: person, "), "short form 7:/predicate/set/measure"},
		{"an unset path that is none", replaceOnce(t, "amendment", "[federalRegisterNotice]", "[federalRegisterNotic]"), "short form 10:/predicate/unset/0"},
		{"an amendment's field unknown", replaceOnce(t, "amendment", "registrationNumber", "registrationNumbr"), "short form 7:/predicate/set/target/registrationNumbr"},
		{"a suspension that ends first", replaceOnce(t, "suspension", "until: 2027-10-31", "until: 2027-07-31"), "short form 6:/predicate/until"},
		{"answered without an answer", replaceOnce(t, "response", "winding-down", "answered"), "short form 0:/predicate/detail"},
		{"a response by another", replaceOnce(t, "response", "issuer: brook-cloud", "issuer: acme"), "short form 4:/predicate/issuer"},
		{"a period that ends first", replaceOnce(t, "cip-certification", "2026-12-31", "2025-12-31"), "short form 7:/predicate/periodUntil"},
		{"an initial one that follows", replaceOnce(t, "cip-certification", "initial: true", "initial: true\nfollows: "+exampleDigest), "short form 5:/predicate/initial"},
		{"a count's name with digits", replaceOnce(t, "cip-certification", "closed:", "closed2:"), "short form 15:/predicate/counts/closed2"},
		{"a count in clear", replaceOnce(t, "cip-certification", "{secret: 7}", "{commit: 7}"), "short form 15:/predicate/counts/closed/commit"},
		{"abuse reported backwards", "kind: abuse-report\nthread: abuse/p\nabout: " + exampleDigest + "\nissuer: p\nperiodFrom: 2027-01-31\nperiodUntil: 2027-01-01\nband: \"0\"\n", "short form 6:/predicate/periodUntil"},
		{"abuse without a root", "kind: abuse-report\nthread: abuse/p\nissuer: p\nperiodFrom: 2027-01-01\nperiodUntil: 2027-01-01\nband: \"0\"\n", "short form 0:/predicate/document"},
		{"a training run in public", "kind: ai-training-report\nthread: ai/r/p\nissuer: p\ndocument: {file: r.pdf}\nknownOn: 2027-01-01\nthreshold: t\n", "short form 4:/predicate/document"},
		{"a trainer in clear", "kind: ai-training-report\nthread: ai/r/p\nissuer: p\ndocument: {file: r.pdf, private: true}\nknownOn: 2027-01-01\nthreshold: t\nforeignPerson: Lumen\n", "short form 7:/predicate/foreignPerson"},
		{"a customer log about a document", "kind: customer-log\nthread: customer-log/p\nissuer: p\ndocument: {file: r.pdf}\n", "short form 0:/predicate/origin 0:/predicate/size 0:/predicate/checkpoint 0:/predicate/periodUntil 4:/predicate/document"},
		{"a note too long", replaceOnce(t, "response", "about: latest", "about: latest\nnote: "+strings.Repeat("é", 2001)), "short form 4:/predicate/note"},
		{"a note just long enough", replaceOnce(t, "response", "about: latest", "about: latest\nnote: "+strings.Repeat("é", 2000)), ""},
		{"a licence for everybody", licence("type: specific", "type: general", "holder: brook-cloud\n", ""), ""},
		{"everybody's licence with a holder", licence("type: specific", "type: general"), "short form 6:/predicate/holder"},
		{"a specific licence of nobody", licence("holder: brook-cloud\n", ""), "short form 0:/predicate/holder"},
		{"a licence for nothing", licence("designations: [2026-030]\n", ""), "short form 0:/predicate/designations"},
		{"a licence by sections", licence("designations: [2026-030]", "sections: [\"§ 7.306\"]"), ""},
		{"a licence by both", licence("from:", "sections: [\"§ 7.306\"]\nfrom:"), "short form 8:/predicate/sections"},
		{"an exemption alone", licence("type: specific", "type: adp-exemption", "designations: [2026-030]\n", ""), ""},
		{"a licence over before it begins", licence("2027-09-30", "2027-05-31"), "short form 9:/predicate/until"},
		{"a licence of a day", licence("2027-09-30", "2027-06-01"), ""},
		{"a licence without an end", licence("until: 2027-09-30\n", ""), "short form 0:/predicate/until"},
		{"a designation twice", licence("[2026-030]", "[2026-030, 2026-030]"), "short form 7:/predicate/designations/1"},
		{"a designation by its thread", licence("[2026-030]", "[designation/2026-030]"), "short form 7:/predicate/designations/0"},
		{"terms twice", licence("permits: wind-down", "terms: existing contracts\ntermsDigest: {sha256: "+exampleDigest+"}"), "short form 11:/predicate/termsDigest"},
		{"terms of two lines", licence("permits: wind-down", "terms: \"a\\nb\""), "short form 10:/predicate/terms"},
		{"a licence that a provider grants itself", licence("issuer: authority", "issuer: brook-cloud"), "short form 4:/predicate/issuer"},
		{"a licence revoked", licenceRevoked("lifted"), ""},
		{"a licence revoked as superseded", licenceRevoked("superseded"), ""},
		{"a licence revoked in error", licenceRevoked("error"), ""},
		{"a licence revoked by a court", licenceRevoked("court-order"), "short form 6:/predicate/cause"},
		{"a licence delisted", licenceRevoked("delisted"), "short form 6:/predicate/cause"},
		{"an amended licence", "kind: amendment\nthread: licence/1\nissuer: authority\nabout: " + exampleDigest + "\ntype: correction\nreason: r\nunset: [note]\n", "short form 2:/predicate/thread"},
		{"another provider than the thread's", reseller("provider: brook-cloud", "provider: acme-cloud"), "short form 5:/predicate/provider"},
		{"another reseller than the thread's", reseller("id: lumen-resale", "id: lumen"), "short form 7:/predicate/reseller/id"},
		{"a reseller without an ID", reseller("id: lumen-resale, ", ""), ""},
		{"an unconfirmed reseller of no name", reseller("reseller: {id: lumen-resale, legalName: Lumen, country: XC}\n", ""), "short form 0:/predicate/reseller"},
		{"active and not verified", reseller("status: unconfirmed", "status: active"), "short form 0:/predicate/verifiedAt"},
		{"active and verified", reseller("status: unconfirmed", "status: active\nverifiedAt: 2026-12-01"), ""},
		{"unconfirmed and verified", reseller("status: unconfirmed", "status: unconfirmed\nverifiedAt: 2026-12-01"), "short form 7:/predicate/verifiedAt"},
		{"terminated and verified", reseller("status: unconfirmed", "status: terminated\nverifiedAt: 2026-12-01"), "short form 7:/predicate/verifiedAt"},
		{"an attempt twice", reseller("[2026-11-02]", "[2026-11-02, 2026-11-02]"), "short form 8:/predicate/attempts/1"},
		{"a reseller of no status", reseller("status: unconfirmed", "status: dormant"), "short form 6:/predicate/status"},
		{"a reseller's programme in the open", reseller(", private: true", ""), "short form 3:/predicate/document"},
		{"a reseller by its own word", reseller("issuer: brook-cloud", "issuer: lumen-resale"), "short form 4:/predicate/issuer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseShortForm([]byte(c.text), fictionalResolver)
			switch {
			case c.want != "":
				checkRefusal(t, err, c.want)
			case err != nil:
				t.Error(err)
			}
		})
	}
}
