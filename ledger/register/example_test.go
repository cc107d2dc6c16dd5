package register_test

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// A record is opened with the keys that may have signed it, judged on a draft,
// and part of the register once the log has it.
func Example() {
	r, err := register.Open(vfs.NewMem(), "register", registertest.SmallOptions())
	if err != nil {
		panic(err)
	}
	now := time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)
	world := registertest.New(now, "docket.example/test", "any policy")

	for _, say := range []func() record.Envelope{
		world.Charter, world.Authority,
		func() record.Envelope { return world.Provider("acme-cloud") },
		func() record.Envelope { return world.Designate("2026-014", world.NewDesignation("Kestrel Hosting")) },
	} {
		env := say()
		v, err := record.Open(env, r.CandidateKeys)
		if err != nil {
			panic(err)
		}
		draft := r.Begin(now)
		entry, err := draft.Judge(v)
		if err != nil {
			panic(err)
		}
		effects, err := draft.Effects()
		if err != nil {
			panic(err)
		}
		// Here the ledger makes the entry durable; root is its log's.
		if err := r.Advance(draft, [32]byte{}); err != nil {
			panic(err)
		}
		world.NoteAdmitted(env)
		fmt.Printf("%d signatures; %s\n", len(entry.Envelope.Signatures), effects[len(effects)-1])
	}

	one := world.Statement("designation/2026-015", "authority", world.NewDesignation("Lumen Resale"))
	v, err := record.Open(world.Sign(one, "authority/officer-1"), r.CandidateKeys)
	if err != nil {
		panic(err)
	}
	_, err = r.Begin(now).Judge(v)
	fmt.Println(err)
	// Output:
	// 3 signatures; opens the ledger docket.example/test
	// 6 signatures; enrols authority as authority with 4 keys; they sign from index 2 on
	// 4 signatures; enrols acme-cloud as provider with 3 keys; they sign from index 3 on
	// 2 signatures; opens 1 duty to respond, due 2027-01-08
	// 2 officers needed, 1 signed (officer-1)
}

// Who is designated, and who has not answered: today, and in a year.
func ExampleView() {
	b := registertest.NewFixture(start, "acme-cloud", "borealis-compute")
	b.Must(b.Designate("2026-014", b.NewDesignation("Kestrel Hosting FZ-LLC (fictional)")))
	b.Must(b.Respond("2026-014", "acme-cloud", &record.Response{Status: "no-relationship"}))

	v, err := b.Register.LatestView()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, at := range []int{0, 365} {
		at := b.Now.Add(days(at))
		fmt.Println("on", v.LocalDate(at))
		v.Designations(register.DesignationFilter{}, at, func(d register.Designation) bool {
			fmt.Println(" ", d.Thread, d.Name, d.Status)
			return true
		})
		v.Duties(register.DutyFilter{Kind: register.DutyRespond}, at, func(d register.Duty) bool {
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
