package event

import (
	"strings"
	"testing"
)

// What must not get in is refused where a person would write it, and what looks like it is not.
func TestEntry(t *testing.T) {
	opened := func(more string) string {
		return `{"account":"4111111111111111","id":"o1","kind":"opened","time":"2026-10-01T09:00:00Z","content":{"type":"entity","name":"Marsh Lantern","country":"XB"` + more + `}}`
	}
	verified := func(expires string) string {
		return `{"account":"C-1","id":"v1","kind":"verified","time":"2026-11-01T09:00:00Z","content":{"method":"documentary","outcome":"verified","document":{"kind":"passport","issuer":"XB","expiresOn":"` + expires + `"},"by":"compliance-1"}}`
	}
	for _, test := range []struct{ name, line, fault string }{
		{"an account", opened(``), ""},
		{"a name", strings.Replace(opened(``), "Marsh Lantern", "Marsh 12 card 5500005555555559", 1), "/content/name: holds what looks like a whole card number"},
		{"grouped", opened(`,"address":{"full":"12 5500 0055 5555 5559, Port Salt"}`), "/content/address/full: holds what looks like"},
		{"an owner", opened(`,"owners":[{"name":"Ilse 5500005555555559"}]`), "/content/owners/0/name: holds"},
		{"a registration number", opened(`,"registrationNumber":"5500005555555559"`), ""},
		{"no check digit", strings.Replace(opened(``), "Marsh Lantern", "Marsh 5500005555555558", 1), ""},
		{"a telephone", opened(`,"telephone":["5500005555555559"]`), "/content/telephone/0: has 16 digits, and a telephone number 15 at most"},
		{"15 digits", opened(`,"telephone":["+99 555 010 123 456"]`), ""},
		{"a reference", opened(`,"payment":[{"kind":"card","reference":"4.11111E+15"}]`), "/content/payment/0/reference: is \"4.11111E+15\", which a spreadsheet has made"},
		{"expired", verified("2026-10-30"), "/content/document/expiresOn: is 2026-10-30, before the verification"},
		{"not expired", verified("2026-11-01"), ""},
	} {
		_, faults := ParseInput([]byte(test.line))
		got := ""
		if len(faults) > 0 {
			got = faults[0].String()
		}
		if len(faults) > 1 || (got == "") != (test.fault == "") || !strings.Contains(got, test.fault) {
			t.Errorf("%s: %v; want %q", test.name, faults, test.fault)
		}
		if strings.Contains(got, "5500005555555559") {
			t.Errorf("%s: the fault has the number: %s", test.name, got)
		}
	}
	if got := MaskCards("card 5500 0055 5555 5559, 5500005555555559"); got != "card xxxx xxxx xxxx 5559, xxxxxxxxxxxx5559" {
		t.Errorf("masked: %q", got)
	}
}
