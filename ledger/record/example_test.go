package record_test

import (
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/record"
)

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
