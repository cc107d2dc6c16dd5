package record_test

import (
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// A record as people write it, with three slips.
func ExampleParseShortForm() {
	_, err := record.ParseShortForm([]byte(`
kind: response
thread: response/2026-014/acme-cloud
issuer: acme-cloud
status: winding-dwn
windDownBy: 2027-02-29
conditons: [c1]
`), record.ShortFormResolver{})
	fmt.Println(err)
	// Output:
	// line 5: status is "winding-dwn"; want one of acknowledged, no-relationship, licensed, conditions-met, winding-down, wound-down, answered; did you mean "winding-down"?
	// line 6: windDownBy "2027-02-29" is no day of the calendar
	// line 7: conditons is no field of kind response; did you mean "conditions"?
}

// An amendment, and what it changes.
func ExampleAmend() {
	order := &record.Designation{
		Measure: "person", Action: "prohibit", Program: []string{"CLOUD-1"},
		Target: record.Target{Schema: "Company", Name: "Kestrel Hosting FZ-LLC (fictional)", RegistrationNumber: "0048213"},
		Source: &record.Source{List: "ofac-sdn", ID: "36"},
	}
	corrected := *order
	corrected.Target.RegistrationNumber = "0048231"
	corrected.Target.Domain = []string{"kestrel-cloud.example"}

	amendment, err := record.Diff(order, &corrected)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, changes, err := record.Amend(order, amendment)
	fmt.Println(amendment.Type, err)
	for _, c := range changes {
		fmt.Println(c)
	}
	// Output:
	// target-detail <nil>
	// target.registrationNumber: 0048213 → 0048231
	// target.domain: + kestrel-cloud.example
}
