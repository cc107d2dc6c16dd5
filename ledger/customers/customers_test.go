package customers_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// A day of a provider: accounts are opened, used, changed, found and shown; a period is closed
// and proves what it says; after a restart all is as it was.
func TestFromOpeningToPeriod(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	first := n.add(t, opened("a-1", "Ada Reed"), access("a-1", 1, "192.0.2.7"), opened("b-2", "Bo Lindqvist"), access("a-1", 2, "192.0.2.8"))
	n.add(t, renamed("a-1", 3, "Ada Rush"))
	if first[0].Handle == first[2].Handle || first[0].Handle != first[3].Handle {
		t.Errorf("handles: %v", first)
	}
	again := n.add(t, opened("a-1", "Ada Reed"), access("a-1", 2, "192.0.2.8"))
	for i, want := range []uint64{0, 3} {
		if !again[i].Duplicate || again[i].Index != want {
			t.Errorf("sent again: %+v, want the duplicate of leaf %d", again[i], want)
		}
	}
	check := func(n *node) {
		t.Helper()
		s, err := n.Customer(t.Context(), reader, first[0].Handle)
		if err != nil || s.Leaves != 4 || s.Customer.Name != "Ada Rush" || s.Accesses != 2 || s.Last != 4 {
			t.Errorf("shown %+v, %v", s, err)
		}
		events, more, err := n.Events(t.Context(), reader, first[0].Handle, 0, 3)
		if err != nil || !more || len(events) != 3 || events[0].Index != 4 || events[2].Index != 1 {
			t.Errorf("events %v, more %t, %v", events, more, err)
		}
		events, more, err = n.Events(t.Context(), reader, first[0].Handle, 1, 3)
		if err != nil || more || len(events) != 1 || events[0].Kind != event.KindOpened {
			t.Errorf("events before leaf 1: %v, more %t, %v", events, more, err)
		}
		for query, want := range map[string]int{"rush": 1, "reed": 1, "lindqvist bo": 1, "192.0.2.8": 1, "ip:192.0.2.0/24": 1, "A-1@MAIL.example": 1, "account:b-2": 1, "nobody": 0} {
			found, _, err := n.Find(t.Context(), reader, query, 10)
			if err != nil || len(found) != want {
				t.Errorf("%q finds %d, want %d: %v", query, len(found), want, err)
			}
		}
	}
	check(n)
	p, err := n.ClosePeriod(t.Context(), day(-2))
	if err != nil {
		t.Fatal(err)
	}
	if p.Size != 1000 || p.Number != 1 || p.Customers != 3 {
		t.Errorf("period %+v", p)
	}
	check(n)
	n = w.reopen(t, n)
	check(n)
	if got := n.Periods(); len(got) != 1 || got[0].Size != p.Size || got[0].Root != p.Root || string(got[0].Checkpoint) != string(p.Checkpoint) {
		t.Errorf("periods after the restart: %+v, want %+v", got, p)
	}
	r := n.audit(t)
	if r.Customers != 2 || r.Periods != 1 || r.Events < 30 || r.Padding == 0 || r.Late != 0 {
		t.Errorf("audit: %+v", r)
	}
	acts, _, err := n.House(t.Context(), 0, 100)
	if err != nil || len(acts) < 20 || acts[0].Content.(*event.Act).By != "reader-1" {
		t.Errorf("%d acts: %v", len(acts), err)
	}
	n.close()
}

// What does not fit is refused by itself, with where and why; the rest is taken in.
func TestRefusals(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer n.close()
	bad := input("a-1", 5, &event.Verified{Method: "documentary", Outcome: "verified", By: "c"})
	other, later := access("a-1", 1, "192.0.2.9"), access("a-1", 1, "192.0.2.7")
	later.Time = later.Time.Add(time.Second)
	results, err := n.Add(t.Context(), []event.Input{
		access("a-1", 1, "192.0.2.7"), opened("a-1", "Ada Reed"), bad, access("a-1", 1, "192.0.2.7"), other, later, closed("a-1", 2), access("a-1", 3, "192.0.2.7")})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"not open here", "", "/content/document: is missing", "", "another event of this account has this ID", "another event of this account has this ID", "", "was closed at"} {
		if err := results[i].Err; (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("event %d: %v, want %q", i, err, want)
		}
	}
	if results, err = n.Add(t.Context(), []event.Input{access("zz", 1, "192.0.2.7")}); err != nil || results[0].Err == nil || !strings.Contains(results[0].Err.Error(), "not open here") {
		t.Errorf("an account that is not open: %v, %v", results, err)
	}
	if _, err := n.Add(t.Context(), make([]event.Input, customers.MaxAdd+1)); !errors.Is(err, customers.ErrTooMany) {
		t.Errorf("too many: %v", err)
	}
	if _, err := n.Customer(t.Context(), reader, event.Handle{1}); !errors.Is(err, vault.ErrNoCustomer) {
		t.Errorf("nobody: %v", err)
	}
	n.audit(t)
}

// A closing that is dated before something else of the customer is taken, and says from when on
// the customer is kept; one that is not says nothing.
func TestClosedBeforeLastSeen(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer n.close()
	n.add(t, opened("a-1", "Ada Reed"), access("a-1", 9, "192.0.2.7"), opened("b-2", "Bo"), access("b-2", 9, "192.0.2.7"))
	late := began.Add(9 * time.Minute)
	for i, r := range n.add(t, closed("a-1", 5), closed("b-2", 9)) {
		if want := []time.Time{late, {}}[i]; !r.SeenAfter.Equal(want) {
			t.Errorf("closing %d: seen after it at %v, want %v", i, r.SeenAfter, want)
		}
	}
	if r := n.add(t, closed("a-1", 5))[0]; !r.Duplicate || !r.SeenAfter.Equal(late) {
		t.Errorf("the same closing again: %+v", r)
	}
}

// A hit that is found again is the one of the first day: its time, and where its owner stands
// among the owners, do not make it another. A record, an element or a score does.
func TestHitFoundAgain(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer n.close()
	hit := func(days int, change func(*event.Flagged)) event.Input {
		score := int64(812)
		f := &event.Flagged{What: "hit", Record: record.ID{1}, Thread: "designation/2026-014", Matched: "/owners/0/name", Score: &score, Outcome: "open"}
		if change != nil {
			change(f)
		}
		in := input("a-1", 5, f)
		in.ID, in.Time = "hit:1", in.Time.AddDate(0, 0, days)
		return in
	}
	n.add(t, opened("a-1", "Ada Reed"), hit(0, nil))
	for name, tt := range map[string]struct {
		again event.Input
		same  bool
	}{
		"as it was":      {hit(0, nil), true},
		"a day later":    {hit(1, nil), true},
		"an owner moved": {hit(1, func(f *event.Flagged) { f.Matched = "/owners/2/name" }), true},
		"element":        {hit(1, func(f *event.Flagged) { f.Matched = "/owners/0/country" }), false},
		"record":         {hit(1, func(f *event.Flagged) { f.Record = record.ID{2} }), false},
		"thread":         {hit(1, func(f *event.Flagged) { f.Thread = "designation/2026-015" }), false},
		"score":          {hit(1, func(f *event.Flagged) { *f.Score++ }), false},
		"no score":       {hit(1, func(f *event.Flagged) { f.Score = nil }), false},
		"a decision":     {hit(1, func(f *event.Flagged) { f.What, f.Outcome, f.By, f.Reason = "decision", "true-match", "c", "r" }), false},
	} {
		results, err := n.Add(t.Context(), []event.Input{tt.again})
		if err != nil || !results[0].Duplicate || (results[0].Err == nil) != tt.same {
			t.Errorf("%s: %+v, %v; want the same: %t", name, results, err, tt.same)
		}
	}
	n.audit(t)
}

// Whatever shows something of a customer is an act of the house, with who and what for, also
// where it finds nothing.
func TestEveryReadIsLogged(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer n.close()
	h := n.add(t, opened("a-1", "Ada Reed"), access("a-1", 1, "192.0.2.7"))[0].Handle
	for what, read := range map[event.Kind]func() error{
		event.KindShown:    func() error { _, err := n.Customer(t.Context(), reader, h); return err },
		event.KindSearched: func() error { _, _, err := n.Find(t.Context(), reader, "no such name", 5); return err },
		event.KindExported: func() error {
			return n.Each(t.Context(), event.Act{What: event.KindExported, By: reader.By}, func(event.State) error { return nil })
		},
		"a later page": func() error { _, _, err := n.Events(t.Context(), reader, h, 1, 5); return err },
	} {
		if err := read(); err != nil {
			t.Fatal(err)
		}
		acts, _, err := n.House(t.Context(), 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if what == "a later page" {
			what = event.KindShown
		}
		if a := acts[0].Content.(*event.Act); a.What != what || a.By != reader.By || what == event.KindShown && a.Customer != h.String() || what == event.KindSearched && a.Query != "no such name" {
			t.Errorf("after a read that is %s the newest act is %+v", what, a)
		}
	}
	before, _, err := n.House(t.Context(), 0, 100)
	if err != nil || len(before) != 4 {
		t.Errorf("%d acts, %v", len(before), err)
	}
}

// While the vault is locked nothing is taken in and nothing shown; unlocked, all is there.
func TestLocked(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer n.close()
	h := n.add(t, opened("a-1", "Ada Reed"))[0].Handle
	n.Lock()
	_, err1 := n.Add(t.Context(), []event.Input{access("a-1", 1, "192.0.2.7")})
	_, err2 := n.Customer(t.Context(), reader, h)
	_, _, err3 := n.Find(t.Context(), reader, "reed", 10)
	_, err4 := n.ClosePeriod(t.Context(), day(-2))
	_, err5 := n.Audit(t.Context(), nil)
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if !errors.Is(err, vault.ErrLocked) {
			t.Errorf("call %d: %v, want ErrLocked", i, err)
		}
	}
	if err := n.Unlock(w.id); err != nil {
		t.Fatal(err)
	}
	n.add(t, access("a-1", 1, "192.0.2.7"))
	if s, err := n.Customer(t.Context(), reader, h); err != nil || s.Accesses != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

// Evidence verifies with nothing but the log's key: each leaf under the checkpoint, the map's
// root as the period's last leaf, all that is filed, and that nothing else is.
func TestEvidence(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer func() { n.close() }()
	h := n.add(t, opened("a-1", "Ada Reed"), opened("b-2", "Bo"), access("a-1", 1, "192.0.2.7"))[0].Handle
	if _, err := n.ClosePeriod(t.Context(), day(-2)); err != nil {
		t.Fatal(err)
	}
	n.add(t, access("a-1", 2, "192.0.2.7"), access("a-1", 3, "192.0.2.7"))
	if _, err := n.ClosePeriod(t.Context(), day(-1)); err != nil {
		t.Fatal(err)
	}
	for period, events := range map[uint64]int{1: 2, 2: 4} {
		for handle, want := range map[event.Handle]int{h: events, {7}: 0} {
			ev, err := n.Evidence(t.Context(), handle, period)
			if err != nil {
				t.Fatal(err)
			}
			if len(ev.Events) != want || (ev.Filed == nil) != (want == 0) {
				t.Errorf("period %d, %s: %d events", period, handle, len(ev.Events))
			}
			checkEvidence(t, w, ev)
		}
	}
	path, err := n.Consistency(t.Context(), n.Periods()[0].Size, n.Periods()[1].Size)
	if err != nil {
		t.Fatal(err)
	}
	tree := func(p customers.Period) proof.Tree { return proof.Tree{Size: p.Size, Root: p.Root} }
	if err := proof.VerifyConsistency(tree(n.Periods()[0]), tree(n.Periods()[1]), path); err != nil {
		t.Error(err)
	}
	if _, err := n.ClosePeriod(t.Context(), day(-1)); !errors.Is(err, customers.ErrPeriod) {
		t.Errorf("a period of the same day: %v", err)
	}
	if _, err := n.ClosePeriod(t.Context(), day(3)); !errors.Is(err, customers.ErrPeriod) {
		t.Errorf("a period that goes on: %v", err)
	}
	if err := n.Published(t.Context(), reader, 2, record.ID{9}); err != nil {
		t.Fatal(err)
	}
	n = w.reopen(t, n)
	if got := n.Periods(); got[1].Record != (record.ID{9}) || !got[0].Record.IsZero() || got[1].Size != 2000 {
		t.Errorf("periods %+v", got)
	}
}

func checkEvidence(t *testing.T, w *world, ev *customers.Evidence) {
	t.Helper()
	policy := must(proof.ParsePolicy([]byte("log " + w.signer.Key().String() + "\nquorum none\n")))
	published, err := policy.Verify(ev.Period.Checkpoint, began.AddDate(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	tree := published.Checkpoint().Tree()
	root, err := ev.Scope.ShowMap(ev.Last.Leaf, ev.Map)
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyInclusion(proof.LeafHash(ev.Last.Leaf), tree.Size-1, ev.Last.Path, tree); err != nil {
		t.Error(err)
	}
	value, there, err := ev.MapProof.VerifyKey(root, ev.MapKey)
	if err != nil || there != (ev.Filed != nil) {
		t.Fatalf("in the map: %t, %v", there, err)
	}
	var indexes []uint64
	for _, e := range ev.Events {
		indexes = append(indexes, e.Index)
		if err := proof.VerifyInclusion(proof.LeafHash(e.Leaf), e.Index, e.Path, tree); err != nil {
			t.Error(err)
		}
		openings := must(ev.Scope.Openings(e.Event, "handle", "time"))
		if sh, err := ev.Scope.Show(e.Leaf, openings); err != nil || sh.Header().Handle != ev.Handle {
			t.Errorf("%+v, %v", sh, err)
		}
	}
	if there {
		if filed, err := ev.Scope.VerifyFiled(value, *ev.Filed); err != nil || filed != event.FiledOf(indexes) {
			t.Errorf("filed %v, %v", filed, err)
		}
	}
}

// The vault's key is rotated while the log is used; all customers open under the new one, and
// after a restart.
func TestRotate(t *testing.T) {
	w := newWorld(t)
	n := w.mustOpen(t)
	defer func() { n.close() }()
	h := n.add(t, opened("a-1", "Ada Reed"), opened("b-2", "Bo"))[0].Handle
	if err := n.RotateVault(t.Context(), reader, nil, nil); err != nil {
		t.Fatal(err)
	}
	n.add(t, access("a-1", 1, "192.0.2.7"))
	n = w.reopen(t, n)
	if s, err := n.Customer(t.Context(), reader, h); err != nil || s.Accesses != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	n.audit(t)
}
