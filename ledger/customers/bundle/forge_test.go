package bundle_test

import (
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle/bundletest"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// What a provider puts into the log itself, map and all, is found as far as the chains tell;
// what it never put there, or filed under another handle, is not, and the words say so.
func TestForgedLogs(t *testing.T) {
	for _, c := range bundletest.All(t) {
		table, err := c.Bundle.Verify(c.Public)
		if (err == nil) != (c.Want == "") || err != nil && !strings.Contains(err.Error(), c.Want) {
			t.Errorf("%s: %v, want %q", c.Name, err, c.Want)
		}
		if err == nil && !strings.Contains(strings.Join(table.NotProven(), "\n"), "only an auditor who replays the private log") {
			t.Errorf("%s: %q does not say who could tell", c.Name, table.NotProven())
		}
	}
}

// A sealed request is opened later than it was made. Whoever rests on the record that opens it would have
// everything that was published meanwhile be from before the demand.
func TestOpeningIsNoDemand(t *testing.T) {
	b, public := bundletest.Forger{Events: []*event.Event{bundletest.Login(bundletest.Ann, 0, 0)}, Filed: []uint64{0}}.Bundle(t)
	demand := public.Request.Statement.Predicate.(*record.DisclosureRequest)
	demand.Open = &record.RequestOpen{Type: "warrant", Provider: "acme-cloud"}
	if _, err := b.Verify(public); err == nil || !strings.Contains(err.Error(), "only the one that asks is a demand") {
		t.Errorf("resting on the opening: %v", err)
	}
	demand.Open, demand.Status = nil, record.RequestWithdrawn
	if _, err := b.Verify(public); err == nil || !strings.Contains(err.Error(), "only the one that asks is a demand") {
		t.Errorf("resting on the withdrawal: %v", err)
	}
}

// A log that was lost and begun anew: what the records before fixed is not of this one.
func TestRestartedLog(t *testing.T) {
	b, public := bundletest.Forger{Events: []*event.Event{bundletest.Login(bundletest.Ann, 0, 0)}, Filed: []uint64{0}}.Bundle(t)
	lost := public.Logs[0]
	said := *lost.Statement.Predicate.(*record.CustomerLog)
	said.Size, said.Origin = 5000, "lost"
	st := *lost.Statement
	st.Predicate, lost.Statement, lost.ID, lost.Index = &said, &st, record.ID{3}, 5
	public.Logs = append(public.Logs, lost)
	public.Logs[0].Statement.Predicate.(*record.CustomerLog).Restart = &record.LogRestart{Reason: "lost"}
	table, err := b.Verify(public)
	if err != nil {
		t.Fatal(err)
	}
	if r := table.Customers[0].Events[0]; r.Late || r.FixedBy.ID != public.Logs[0].ID {
		t.Errorf("after a restart: fixed by %v, late %t", r.FixedBy.ID, r.Late)
	}
	if text := strings.Join(table.NotProven(), "\n"); !strings.Contains(text, "before it was begun anew on") || table.Newer.ID != (record.ID{}) {
		t.Errorf("after a restart: %q, newer %v", text, table.Newer.ID)
	}
}

// A provider rests its answer on an old record, or on none, where newer ones from before the demand
// would show that more was filed: who knows of them is told.
func TestRestsOnOldRecord(t *testing.T) {
	b, public := bundletest.Forger{Events: []*event.Event{bundletest.Login(bundletest.Ann, 0, 0)}, Filed: []uint64{0}}.Bundle(t)
	add := func(id byte, index uint64) {
		newer := public.Logs[0]
		said := *newer.Statement.Predicate.(*record.CustomerLog)
		said.Size, said.PeriodUntil = 5000, record.Date{Year: 2027, Month: 4, Day: 1}
		st := *newer.Statement
		st.Predicate, newer.Statement, newer.ID, newer.Index = &said, &st, record.ID{id}, index
		public.Logs = append(public.Logs, newer)
	}
	verify := func() (*bundle.Table, string) {
		t.Helper()
		table, err := b.Verify(public)
		if err != nil {
			t.Fatal(err)
		}
		return table, strings.Join(table.NotProven(), "\n")
	}
	public.Request.Index = 10
	add(4, 11) // after the demand: nothing that it could have rested on is kept back
	if table, text := verify(); !table.Newer.ID.IsZero() || strings.Contains(text, "does not rest on it") {
		t.Errorf("a record after the demand: %q", text)
	}
	add(5, 9)
	if table, text := verify(); table.Newer.ID != (record.ID{5}) || !strings.Contains(text, "covers the log until 2027-04-01, and the bundle does not rest on it") ||
		strings.Contains(strings.Join(table.Proven(), "\n"), "before the demand (periods") {
		t.Errorf("on an old record: %q, %q", text, table.Proven())
	}
	b.Head.Log = nil
	b.Customers[0] = bundle.Customer{Handle: bundletest.Ann}
	if table, text := verify(); table.Newer.ID != (record.ID{5}) || !strings.Contains(text, "the bundle does not rest on it") {
		t.Errorf("on none: %q", text)
	}
}
