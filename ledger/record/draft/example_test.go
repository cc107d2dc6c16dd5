package draft_test

import (
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

// A record as people write it, with three slips.
func ExampleParseShortForm() {
	_, err := draft.ParseShortForm([]byte(`
kind: response
thread: response/2026-014/acme-cloud
issuer: acme-cloud
status: winding-dwn
windDownBy: 2027-02-29
conditons: [c1]
`), draft.ShortFormResolver{})
	fmt.Println(err)
	// Output:
	// line 5: status is "winding-dwn"; want one of acknowledged, no-relationship, licensed, conditions-met, winding-down, wound-down, answered; did you mean "winding-down"?
	// line 6: windDownBy "2027-02-29" is no day of the calendar
	// line 7: conditons is no field of kind response; did you mean "conditions"?
}
