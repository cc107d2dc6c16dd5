package record

import (
	"strings"
	"testing"
)

// customerLogPayload is the first record of a private log, or the next, as the examples
// have them.
func customerLogPayload(first bool) string {
	const (
		head  = `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"customer-log/acme-cloud","digest":{"sha256":"SUBJECT"}}],"predicateType":"urn:docket:customer-log:v1","predicate":{"ledger":"` + exampleDigest + `","thread":"customer-log/acme-cloud","issuer":"acme-cloud","issuedAt":"2027-03-02T09:30:00Z",`
		begin = `"origin":"acme-cloud.example/customers","size":1000,"checkpoint":"acme-cloud.example/customers\n1000\n/vFEGNR0kAOL30lXTLo4zhXAi2qAA0R+79xU5qw5l6w=\n\n— acme-cloud.example/customers OnSYPwe5LSvVowKTw8NvdF3VQHH886CHVjn54OXfbcrfjL3gwvF7lDHPQplwFY0sAWRZx1glf5N6MAFon62RRFVe1wk=\n","periodUntil":"2027-01-31"`
	)
	payload := strings.Replace(head+begin, "SUBJECT", "fef14418d47490038bdf49574cba38ce15c08b6a8003447eefdc54e6ac3997ac", 1)
	if first {
		return payload + `,"vkey":"acme-cloud.example/customers+3a74983f+Acpf/KS9lZxR2lHCa4kU/17zhOs1oaQ+7qf9hgjWWQzo"}}`
	}
	return strings.Replace(payload, `"origin"`, `"follows":"`+exampleDigest+`","origin"`, 1) + `,"consistency":["7IsdHidALjKYQt+UnQURzM15chm9a0QgIwK+v+Olk/8="]}}`
}

// What a customer log says of its own checkpoint agrees with it, whatever stood before.
func TestCustomerLogRefuses(t *testing.T) {
	hash := `"7IsdHidALjKYQt+UnQURzM15chm9a0QgIwK+v+Olk/8="`
	for _, c := range []struct {
		name     string
		first    bool
		old, new string
		want     string
	}{
		{"the first", true, "", "", ""},
		{"the next", false, "", "", ""},
		{"the first without a key", true, `,"vkey":"acme-cloud.example/customers+3a74983f+Acpf/KS9lZxR2lHCa4kU/17zhOs1oaQ+7qf9hgjWWQzo"`, ``, "invalid /predicate/vkey"},
		{"the first with a proof", true, `,"vkey"`, `,"consistency":[` + hash + `],"vkey"`, "invalid /predicate/consistency"},
		{"the first as a restart", true, `,"vkey"`, `,"restart":{"reason":"r"},"vkey"`, "invalid /predicate/restart"},
		{"a restart without a key", false, `,"consistency":[` + hash + `]`, `,"restart":{"reason":"r"}`, "invalid /predicate/vkey"},
		{"a restart without a reason", false, `,"consistency":[` + hash + `]`, `,"restart":{}`, "invalid /predicate/restart/reason"},
		{"a restart with a proof", false, `,"consistency"`, `,"restart":{"reason":"r"},"vkey":"acme-cloud.example/customers+3a74983f+Acpf/KS9lZxR2lHCa4kU/17zhOs1oaQ+7qf9hgjWWQzo","consistency"`, "invalid /predicate/consistency"},
		{"a key ID that is not the key's", true, `+3a74983f+`, `+3a74983e+`, "invalid /predicate/vkey"},
		{"a key of another name", true, `"vkey":"acme-cloud.example/customers+3a74983f+Acpf`, `"vkey":"w1.example+906067f9+BBbPuY4uH+YBLx4IXqRPp4gPQlRP3QQNSr23Mnxu5Msx","note":"Acpf`, "invalid /predicate/vkey"},
		{"another origin", true, `"origin":"acme-cloud.example/customers"`, `"origin":"acme-cloud.example/other"`, "invalid /predicate/vkey /predicate/origin"},
		{"another size", true, `"size":1000`, `"size":1001`, "invalid /predicate/size"},
		{"a size below zero", true, `"size":1000`, `"size":-1`, "invalid /predicate/size"},
		{"another subject", true, `fef14418`, `fef14419`, "invalid /subject/0/digest/sha256"},
		{"a checkpoint cut short", true, `1wk=\n`, `1wk=`, "invalid /predicate/checkpoint"},
		{"a checkpoint with an extension", true, `5l6w=\n\n`, `5l6w=\nmore\n\n`, "invalid /predicate/checkpoint"},
		{"a checkpoint that nobody signed", true, `\n\n— acme-cloud.example/customers OnSYPwe5LSvVowKTw8NvdF3VQHH886CHVjn54OXfbcrfjL3gwvF7lDHPQplwFY0sAWRZx1glf5N6MAFon62RRFVe1wk=\n`, `\n\n`, "invalid /predicate/checkpoint"},
		{"a checkpoint too long", true, `1wk=\n`, `1wk=\n` + strings.Repeat("x", 16_000), "invalid /predicate/checkpoint"},
		{"no leaves and a root", true, `customers\n1000`, `customers\n0`, "invalid /predicate/size /predicate/checkpoint"},
		{"a hash twice", false, `[` + hash + `]`, `[` + hash + `,` + hash + `]`, ""}, // trees have it where two leaves are alike
		{"64 hashes", false, `[` + hash + `]`, `[` + hash + strings.Repeat(`,`+hash, 63) + `]`, "invalid /predicate/consistency"},
		{"a hash of 31 bytes", false, `Olk/8=`, `Ok/8==`, "invalid /predicate/consistency/0"},
		{"by another", true, `"issuer":"acme-cloud"`, `"issuer":"borealis"`, "invalid /predicate/issuer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			good := customerLogPayload(c.first)
			if !strings.Contains(good, c.old) {
				t.Fatalf("no %q", c.old)
			}
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

// The keys of refusals and receipts are what signs notes.
func TestCharterNoteKeys(t *testing.T) {
	const vkey = "acme-cloud.example/customers+3a74983f+Acpf/KS9lZxR2lHCa4kU/17zhOs1oaQ+7qf9hgjWWQzo"
	for _, c := range []struct{ refusals, receipts, want string }{
		{vkey, "", ""},
		{"", vkey, ""},
		{strings.Replace(vkey, "3a74983f", "3a74983e", 1), "", "/predicate/refusalsKey"},
		{"", "w1.example+906067f9+BBbPuY4uH+YBLx4IXqRPp4gPQlRP3QQNSr23Mnxu5Msx", "/predicate/receiptKey"}, // a witness's
	} {
		var f faultList
		charter := &Charter{RefusalsKey: c.refusals, ReceiptKey: c.receipts, Thresholds: Thresholds{}}
		charter.check(&Statement{}, &f)
		var got []string
		for _, fault := range f.list {
			got = append(got, fault.Pointer)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v", c, f.list)
		}
	}
}

// The key by which an auditor cosigns is one by which it can.
func TestAssessmentKey(t *testing.T) {
	for vkey, want := range map[string]string{
		"w1.example+906067f9+BBbPuY4uH+YBLx4IXqRPp4gPQlRP3QQNSr23Mnxu5Msx":                   "",
		"w1.example+906067f8+BBbPuY4uH+YBLx4IXqRPp4gPQlRP3QQNSr23Mnxu5Msx":                   "/predicate/vkey", // another key's ID
		"acme-cloud.example/customers+3a74983f+Acpf/KS9lZxR2lHCa4kU/17zhOs1oaQ+7qf9hgjWWQzo": "/predicate/vkey", // a log's
	} {
		var f faultList
		(&Assessment{Auditee: "acme-cloud", VKey: vkey, Statement: "s"}).check(&Statement{}, &f)
		var got []string
		for _, fault := range f.list {
			got = append(got, fault.Pointer)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v", vkey, f.list)
		}
	}
}
