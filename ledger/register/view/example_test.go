package view_test

import (
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// Who is designated, and who has not answered: today, and in a year.
func Example() {
	b := registertest.NewFixture(start, "acme-cloud", "borealis-compute")
	b.Must(b.Designate("2026-014", b.NewDesignation("Kestrel Hosting FZ-LLC (fictional)")))
	b.Must(b.Respond("2026-014", "acme-cloud", &record.Response{Status: "no-relationship"}))

	v, err := view.Latest(b.Register)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, at := range []int{0, 365} {
		at := b.Now.Add(days(at))
		fmt.Println("on", v.LocalDate(at))
		v.Designations(view.DesignationFilter{}, at, func(d view.Designation) bool {
			fmt.Println(" ", d.Thread, d.Name, d.Status)
			return true
		})
		v.Duties(view.DutyFilter{Kind: view.DutyRespond}, at, func(d view.Duty) bool {
			fmt.Println("   ", d.Party, d.State, "due", d.Due)
			return true
		})
	}
	// Output:
	// on 2026-11-23
	//   designation/2026-014 Kestrel Hosting FZ-LLC (fictional) announced
	//     acme-cloud met due 2027-01-08
	//     borealis-compute open due 2027-01-08
	// on 2027-11-23
	//   designation/2026-014 Kestrel Hosting FZ-LLC (fictional) in-force
	//     acme-cloud met due 2027-01-08
	//     borealis-compute overdue due 2027-01-08
}
