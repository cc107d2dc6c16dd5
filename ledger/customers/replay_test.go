package customers_test

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// tell does the whole story.
func (n *node) tell(t testing.TB) {
	t.Helper()
	at := told{results: map[string]customers.Result{}}
	for i, s := range story {
		next, err := s.do(t, n, at)
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		at = next
	}
}

// What replay makes of the sealed events is what was in use, an erased customer's too, whose
// events nobody can open any more.
func TestReplayMakesTheSame(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	n.tell(t)
	want, err := n.Derived(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.ForgetDerived(); err != nil {
		t.Fatal(err)
	}
	n = w.reopen(t, n)
	defer func() { n.close() }()
	got, err := n.Derived(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for k := range maps.Keys(want) { // the IDs of events whose key is gone are of no use
		if k[0] == 'i' && got[k] == "" {
			delete(want, k)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("replayed:\n%v\nwant\n%v", got, want)
	}
	n.audit(t)
	n.add(t, access("a-1", 6, "192.0.2.7"))
}

// However events are cut into calls, and whatever other accounts do between, a customer is the
// same.
func TestBatchesDoNotMatter(t *testing.T) {
	var all []event.Input
	for _, s := range story {
		all = append(all, without(s.inputs, "old")...)
	}
	states := func(cut int) map[string]event.State {
		w := newWorld(t)
		n := w.mustOpen(t)
		defer n.close()
		for at := 0; at < len(all); at += cut {
			n.add(t, all[at:min(len(all), at+cut)]...)
		}
		out := make(map[string]event.State)
		err := n.Each(t.Context(), event.Act{}, func(s event.State) error {
			s.Handle = event.Handle{}
			out[s.Customer.Account] = s
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := states(1)
	for _, cut := range []int{2, 3, len(all)} {
		for account, got := range states(cut) {
			if w := want[account]; got.Chain != w.Chain || got.Customer.Name != w.Customer.Name || len(got.Changes) != len(w.Changes) {
				t.Errorf("by %d: %s is %+v, want %+v", cut, account, got, w)
			}
		}
	}
	if len(want) != 3 {
		t.Errorf("customers %v", want)
	}
}

// A customer may be erased from the day on which the retention is over, if nothing holds him,
// and then nobody can show, find or prove anything of him; the account may open anew.
func TestErase(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer func() { n.close() }()
	who := customers.Who{By: "compliance-1", Reason: "retention is over"}
	gone := n.add(t, input("old", 2*threeYearsAgo, &event.Opened{Account: "old", Type: "person", Name: "Ola Vanish"}), access("old", threeYearsAgo-1, "192.0.2.66"))[0].Handle
	used := n.add(t, input("used", 2*threeYearsAgo, &event.Opened{Account: "used", Type: "person", Name: "Una Lately"}), access("used", 1, "192.0.2.67"), closed("used", threeYearsAgo))[0].Handle
	stay := n.add(t, opened("a-1", "Ada Reed"))[0].Handle
	erase := func(want ...string) {
		t.Helper()
		outcomes, err := n.Erase(t.Context(), who, gone, stay)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			if got := outcomes[i]; (got == nil) != (w == "") || got != nil && !containsText(got, w) {
				t.Errorf("erasing: %v, want %q", got, w)
			}
		}
	}
	erase("the account is open", "the account is open")
	n.add(t, closed("a-1", 2), input("old", threeYearsAgo, &event.Held{Reason: "litigation", By: "legal-1"}), closed("old", threeYearsAgo+1))
	erase("it is held", "may be erased from")
	n.add(t, input("old", threeYearsAgo+2, &event.Released{Reason: "settled", By: "legal-1"}))
	if _, _, err := n.keys.Backup(t.Context(), w.fs, w.path("backups"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := n.ClosePeriod(t.Context(), day(-1)); err != nil {
		t.Fatal(err)
	}
	erase("", "may be erased from")
	if outcomes, err := n.Erase(t.Context(), who, used); err != nil || outcomes[0] == nil || !containsText(outcomes[0], "it was last seen at") {
		t.Errorf("closed, as it is said, long before the newest access: %v, %v", outcomes, err)
	}
	nobody := func() {
		t.Helper()
		_, err1 := n.Customer(t.Context(), reader, gone)
		_, _, err2 := n.Events(t.Context(), reader, gone, 0, 10)
		_, err3 := n.Evidence(t.Context(), gone, 1)
		_, err4 := n.Handle(t.Context(), "old")
		for i, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, vault.ErrNoCustomer) {
				t.Errorf("asked for an erased customer in way %d: %v", i, err)
			}
		}
		if found, _, err := n.Find(t.Context(), reader, "vanish", 10); err != nil || len(found) != 0 {
			t.Errorf("found %v, %v", found, err)
		}
		if r := n.audit(t); r.Gone != 1 || r.Erased != 5 {
			t.Errorf("audit: %+v", r)
		}
	}
	nobody()
	n = w.reopen(t, n)
	nobody()

	// A backup of the keys is brought back: what is logged as erased is erased again.
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	if err := w.fs.RemoveAll(w.path("keys")); err != nil {
		t.Fatal(err)
	}
	backups := must(w.fs.List(w.path("backups")))
	if _, err := vault.Restore(t.Context(), vault.StoreOptions{FS: w.fs, Dir: w.path("keys")}, w.path("vault.age"), w.fs.PathJoin(w.path("backups"), backups[0]), w.id); err != nil {
		t.Fatal(err)
	}
	n = w.mustOpen(t)
	nobody()
	if s, err := n.Customer(t.Context(), reader, stay); err != nil || s.Customer.Name != "Ada Reed" {
		t.Errorf("who was not erased: %+v, %v", s, err)
	}
	again := n.add(t, opened("old", "Ola Again"))[0].Handle
	if again == gone {
		t.Error("the account's new customer is the old one")
	}
}

// Keys that are gone without an erased event, and leaves whose events are gone, are damage;
// nothing is lost by trying, and what is brought back is whole.
func TestLostParts(t *testing.T) {
	for name, lose := range map[string]struct {
		dir  string
		want error
	}{"the keys": {"keys", customers.ErrLost}, "the events": {"c/data", ledger.ErrCorrupt}, "the leaves": {"log", ledger.ErrRollback}} {
		w := newWorld(t)
		n := w.mustOpen(t)
		n.add(t, opened("a-1", "Ada Reed"))
		if err := n.close(); err != nil {
			t.Fatal(err)
		}
		if err := w.fs.Rename(w.path(lose.dir), w.path("away")); err != nil {
			t.Fatal(err)
		}
		if n, err := w.open(t); !errors.Is(err, lose.want) {
			t.Errorf("without %s: %v, want %v", name, err, lose.want)
			n.close()
		}
		if err := errors.Join(w.fs.RemoveAll(w.path(lose.dir)), w.fs.Rename(w.path("away"), w.path(lose.dir))); err != nil {
			t.Fatal(err)
		}
		n = w.mustOpen(t)
		if r := n.audit(t); r.Events != 1 {
			t.Errorf("%s brought back: %+v", name, r)
		}
		n.close()
	}
}

// A backup of the keys that is older than some customers is refused, with how many they are and
// since when; a newer one is all that is needed.
func TestKeysOlderThanCustomers(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	backUp := func(at time.Time) string {
		name, _, err := n.keys.Backup(t.Context(), w.fs, w.path("backups"), at)
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	bringBack := func(name string) (*node, error) {
		n.close()
		if err := w.fs.RemoveAll(w.path("keys")); err != nil {
			t.Fatal(err)
		}
		if _, err := vault.Restore(t.Context(), vault.StoreOptions{FS: w.fs, Dir: w.path("keys")}, w.path("vault.age"), name, w.id); err != nil {
			t.Fatal(err)
		}
		return w.open(t)
	}
	n.add(t, opened("a-1", "Ada Reed"))
	if _, err := n.ClosePeriod(t.Context(), day(-2)); err != nil {
		t.Fatal(err)
	}
	old := backUp(time.Now())
	n.add(t, access("a-1", 1, "192.0.2.7"), opened("b-2", "Bo"), opened("c-3", "Cy"), access("b-2", 2, "192.0.2.7"))
	newer := backUp(time.Now().Add(time.Hour))
	var err error
	if n, err = bringBack(old); !errors.Is(err, customers.ErrLost) || !containsText(err, "the keys of 2 customers are not in keys/") || !containsText(err, "leaf 1001, after the period that ended on "+day(-2).String()) {
		t.Errorf("keys of before two customers: %v", err)
	}
	if n, err = bringBack(newer); err != nil {
		t.Fatal(err)
	}
	defer func() { n.close() }()
	if r := n.audit(t); r.Customers != 3 {
		t.Errorf("audit: %+v", r)
	}
}

// What was staged for leaves that never came is not there after the opening: no customer, and
// no event where padding comes to stand.
func TestStagedAndNeverLogged(t *testing.T) {
	w := newWorld(t)
	w.wrapStore = func(s ledger.Store) ledger.Store {
		return &storetest.FaultyStore{Store: s, FaultOf: func(int) storetest.Fault { return storetest.WriteLost }}
	}
	n := w.mustOpen(t)
	if _, err := n.Add(t.Context(), []event.Input{opened("a-1", "Ada Reed"), access("a-1", 1, "192.0.2.7")}); !errors.Is(err, ledger.ErrUnknown) {
		t.Fatalf("a lost write: %v", err)
	}
	w.wrapStore = nil
	n = w.reopen(t, n)
	defer func() { n.close() }()
	if h, err := n.Handle(t.Context(), "a-1"); !errors.Is(err, vault.ErrNoCustomer) {
		t.Errorf("an account that was never opened is %s, %v", h, err)
	}
	if s, err := n.Stats(); err != nil || s.Customers != 0 {
		t.Errorf("stats %+v, %v", s, err)
	}
	if _, err := n.ClosePeriod(t.Context(), day(-1)); err != nil {
		t.Fatal(err)
	}
	n = w.reopen(t, n)
	if r := n.audit(t); r.Padding != 999 || r.Events != 0 {
		t.Errorf("audit: %+v", r)
	}
}

// Damage of one customer's row keeps that one's events out, and nobody else's.
func TestOneCustomerDamaged(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer n.close()
	h := n.add(t, opened("a-1", "Ada Reed"), opened("b-2", "Bo"))[0].Handle
	if err := n.SpoilChain(h); err != nil {
		t.Fatal(err)
	}
	results, err := n.Add(t.Context(), []event.Input{access("a-1", 1, "192.0.2.7"), access("b-2", 1, "192.0.2.7")})
	if err != nil || !errors.Is(results[0].Err, ledger.ErrCorrupt) || results[1].Err != nil || n.Err() != nil {
		t.Errorf("%+v, %v, %v", results, err, n.Err())
	}
}
