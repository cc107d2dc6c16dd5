package register_test

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
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
		effects, err := view.Effects(draft)
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
