package register_test

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// suppose admits a statement without its signatures' cost.
func suppose(t *testing.T, b *registertest.Fixture, st *record.Statement) {
	t.Helper()
	env := b.Sign(st)
	b.NoteAdmitted(env)
	d := b.Register.Begin(b.Now)
	if err := d.AdmitUnsigned(record.IDOf(env.Payload), st); err != nil {
		t.Fatal(err)
	}
	if err := b.Register.Advance(d, [32]byte{}); err != nil {
		t.Fatal(err)
	}
}

// A provider may answer one order as often as it likes: what it owes by it is found in as
// many rows as if it had answered once, at each moment that may be asked about.
func TestDutiesOfManyAnswers(t *testing.T) {
	many := 2000
	if testing.Short() {
		many = 500
	}
	statuses := []string{"acknowledged", "wound-down", "acknowledged", "no-relationship", "winding-down"}
	for name, c := range map[string]struct {
		status func(n int) string
		amend  int             // the order is amended after so many answers, and then again
		reopen bool            // which re-opens the duty
		about  func(n int) int // of the records on the order's thread: -1 the newest
	}{
		"the same":                         {status: func(int) string { return "acknowledged" }},
		"begun and met in turns":           {status: func(n int) string { return statuses[n%5] }},
		"to an order that asks anew":       {status: func(n int) string { return statuses[n%5] }, amend: 100, reopen: true},
		"to an order with small changes":   {status: func(n int) string { return statuses[n%5] }, amend: 10},
		"each about a later, old record":   {status: func(n int) string { return statuses[n%5] }, amend: 10, about: func(n int) int { return n / 20 }},
		"each about an older, asking anew": {status: func(n int) string { return "no-relationship" }, amend: 100, reopen: true, about: func(n int) int { return n / 200 }},
	} {
		t.Run(name, func(t *testing.T) {
			b := registertest.NewFixture(start, "acme-cloud")
			defer b.Register.Close()
			b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
			order := []record.ID{b.Head("designation/1")}
			ask := func(at time.Time) (said string, rows uint64) {
				v := latestView(t, b).WithBudget(register.ReadBudget{Rows: 400, Bytes: 1 << 20})
				before := b.Register.RowsRead()
				err := v.Duties(view.DutyFilter{Designation: "1"}, at, func(d view.Duty) bool {
					said += fmt.Sprintf("%s %s %v %v\n", d.Kind, d.State, d.MetBy, d.Due)
					return true
				})
				if err != nil {
					t.Fatalf("at %s: %v", at, err)
				}
				return said, b.Register.RowsRead() - before
			}
			var moments []time.Time
			once := uint64(0)
			openings := 0
			for n := range many {
				b.Now = b.Now.Add(time.Minute)
				if c.amend > 0 && n%c.amend == c.amend-1 {
					a := &record.Amendment{Type: "correction", Reason: "r", Set: setMember("program", []any{fmt.Sprintf("P-%d", n)})}
					if c.reopen {
						openings++
						a = &record.Amendment{Type: "scope", Reason: "r", Set: setMember("scope", setMember("successors", openings%2 == 0)), ResponseDue: ptr(today(b).AddDays(60))}
					}
					suppose(t, b, b.Statement("designation/1", "authority", a))
					order = append(order, b.Head("designation/1"))
				}
				r := b.Statement("response/1/acme-cloud", "acme-cloud", &record.Response{Status: c.status(n)})
				if c.about != nil {
					r.Subject.SHA256 = order[min(c.about(n), len(order)-1)]
				}
				suppose(t, b, r)
				if n == 0 {
					_, once = ask(b.Now)
				}
				if n%(many/10) == 0 {
					moments = append(moments, b.Now, b.Now.Add(30*time.Second))
				}
			}
			for _, at := range append(moments, b.Now, start, b.Now.AddDate(1, 0, 0)) {
				said, rows := ask(at)
				// The order's own history, which asks anew, is read beside; and what began,
				// promised and met what is to be concluded.
				allowed := once + uint64(openings) + 4
				if at.Before(b.Now) {
					allowed += 1 + uint64(bits.Len64(latestView(t, b).Size())) // which entries were admitted by then
				}
				if c.about != nil {
					allowed += uint64(bits.Len64(latestView(t, b).Size())) // which of them was the first
				}
				if rows > allowed {
					t.Errorf("at %s: %d rows, %d for one answer and %d openings:\n%s", at, rows, once, openings, said)
				}
			}
			if said, _ := ask(b.Now); !strings.Contains(said, "respond") {
				t.Errorf("said:\n%s", said)
			}
		})
	}
}
