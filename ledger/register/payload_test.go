package register_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// TestAmendedPayload: whatever is added to a designation, it is at most 48,000 bytes as a
// payload; one more is refused with the size, and what drops as much is admitted again.
func TestAmendedPayload(t *testing.T) {
	const most = 48_000
	b := registertest.NewFixture(start)
	d := b.NewDesignation("Kestrel")
	b.Must(b.Designate("1", d))
	size := func() int {
		n, err := record.PayloadLen(&record.Statement{Kind: record.KindDesignation, Predicate: d, Common: record.Common{
			Ledger: b.Ledger, Thread: "designation/1", Issuer: record.Authority, IssuedAt: b.Now,
		}})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	submit := func(a *record.Amendment) error {
		env, _ := sign(b, "designation/1", "authority", a, officers...)
		if _, err := b.Submit(env); err != nil {
			return err
		}
		amended, _, err := record.Amend(d, a)
		if err != nil {
			t.Fatal(err)
		}
		d = amended
		return nil
	}
	named := func(name string) *record.Amendment {
		return &record.Amendment{Type: "alias", Reason: "r", Add: addAlias(name)}
	}
	n := 0
	for ; size() < most-600; n++ {
		if err := submit(named(fmt.Sprintf("%04d%s", n, strings.Repeat("a", 250)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := submit(named("a")); err != nil {
		t.Fatal(err)
	}
	first := size()
	if err := submit(named("b")); err != nil {
		t.Fatal(err)
	}
	around := size() - first - 1 // an alias beside its name
	name := strings.Repeat("c", most-size()-around)
	wantRefusal(t, submit(named(name+"c")), record.Invalid, "48001 bytes as a payload, at most 48000 are allowed")
	if err := submit(named(name)); err != nil || size() != most {
		t.Fatalf("%d bytes: %v", size(), err)
	}
	wantRefusal(t, submit(named("d")), record.Invalid, "as a payload")
	swap := named("d")
	swap.Drop = addAlias("a")
	if err := submit(swap); err != nil {
		t.Error(err)
	}
}
