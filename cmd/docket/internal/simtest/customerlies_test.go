package simtest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// tell lets a provider live through some days without mishaps, two days apart. The log is up when
// each begins.
func tell(t *testing.T, days ...func(n *customerNode) error) {
	t.Helper()
	const seed = 7
	cryptotest.SetGlobalRandom(t, seed)
	sim := newSimulation(seed, scenario{customers: true})
	err := sim.runDay(t, sim.enrolProvider)
	for i := 0; i < len(days) && err == nil; i++ {
		sim.now = sim.now.Add(48 * time.Hour)
		err = sim.runDay(t, func() error {
			if err := sim.endFaults(); err != nil {
				return err
			}
			if ok, err := sim.customers.start(sim.dayCtx); err != nil || !ok {
				return err
			}
			return days[i](sim.customers)
		})
	}
	if err != nil {
		t.Fatalf("%v (seed %d)\n%s", err, seed, strings.Join(sim.trace, "\n"))
	}
}

// opens opens an account, with so many accesses.
func (n *customerNode) opens(accesses int) (*account, error) {
	a := &account{name: fmt.Sprintf("liar-%d", len(n.accounts))}
	n.accounts = append(n.accounts, a)
	opened := &event.Opened{Account: a.name, Type: "person", Name: a.person(), Email: []string{a.email()}}
	return a, errors.Join(n.send([]event.Input{n.input(a, opened)}), n.logsIn(a, accesses))
}

func (n *customerNode) logsIn(a *account, times int) error {
	var batch []event.Input
	for range times {
		batch = append(batch, n.input(a, &event.Access{IP: netip.AddrFrom4([4]byte{198, 51, 100, 7}), Action: "login"}))
	}
	return n.send(batch)
}

// publishesPeriod closes a period and publishes it.
func (n *customerNode) publishesPeriod() error {
	return errors.Join(n.closePeriod(), n.publishAll())
}

// wantFound holds what a check said against what it should have found.
func wantFound(err error, what string) error {
	if err == nil || !strings.Contains(err.Error(), what) {
		return fmt.Errorf("a lie is answered with %v; want %q", err, what)
	}
	return nil
}

func drop(i int) func(b *bundle.Bundle) {
	return func(b *bundle.Bundle) { b.Customers[0].Events = slices.Delete(b.Customers[0].Events, i, i+1) }
}

// A provider that drops an event from what it shows is found by the chain, in its middle, where
// no period has fixed anything yet; and by the map where one has, at its end too.
func TestProviderThatDropsFromDisclosure(t *testing.T) {
	tell(t, func(n *customerNode) error {
		fixed, err := n.opens(3)
		if err := errors.Join(err, n.publishesPeriod()); err != nil {
			return err
		}
		d, table, err := n.answer(fixed)
		if err != nil {
			return err
		}
		if c := table.Counts(); c.Before != 4 || c.Word != 0 {
			return fmt.Errorf("a bundle shows %+v", c)
		}
		for i := range 4 {
			if _, err = d.verify(drop(i)); !errors.Is(err, bundle.ErrUnproven) {
				return fmt.Errorf("event %d is dropped: %w", i, err)
			}
			if err := wantFound(err, "the map files 4 leaves under it, and those shown are 3"); err != nil {
				return err
			}
		}
		word, err := n.opens(3)
		if err != nil {
			return err
		}
		if d, table, err = n.answer(word); err != nil {
			return err
		}
		if c := table.Counts(); c.Before != 0 || c.Word != 4 {
			return fmt.Errorf("a bundle shows %+v", c)
		}
		for i := range 3 {
			_, err = d.verify(drop(i))
			if err := wantFound(err, fmt.Sprintf("it is number %d of the handle's chain, and stands here as number %d", i+1, i)); err != nil {
				return err
			}
		}
		// The last one, which no period has fixed, can be kept back. The words say so.
		table, err = d.verify(drop(3))
		if err != nil {
			return fmt.Errorf("what nothing proves yet is dropped: %w", err)
		}
		return wantSaid(table.NotProven(), "the provider's word, and so is that there are no others since")
	})
}

func wantSaid(said []string, what string) error {
	if !strings.Contains(strings.Join(said, "\n"), what) {
		return fmt.Errorf("it is said %q; want %q", said, what)
	}
	return nil
}

// A provider that drops an event in the map too is not found by a bundle, which says so, but by
// an auditor who replays the log with its plaintexts.
func TestProviderThatDropsFromMap(t *testing.T) {
	tell(t, func(n *customerNode) error {
		a, err := n.opens(2)
		if err != nil {
			return err
		}
		ref, err := n.keys.ByHandle(vault.Handle(a.handle))
		if err != nil {
			return err
		}
		row, err := n.rawRow('c', ref[:])
		if err == nil {
			err = n.logsIn(a, 1)
			a.events = a.events[:3] // nothing of it was, says who lies
		}
		if err := errors.Join(err, n.setRawRow('c', ref[:], row), n.publishesPeriod()); err != nil {
			return err
		}
		_, table, err := n.answer(a)
		if err != nil {
			return fmt.Errorf("the bundle of who lied to the map: %w", err)
		}
		if c := table.Counts(); c.Before != 3 {
			return fmt.Errorf("a bundle shows %+v of 4 events; the lie did not work", c)
		}
		if err := wantSaid(table.NotProven(), "That the provider filed everything that happened, or that it filed all of one person under one handle: only an auditor who replays the private log with its plaintexts can tell."); err != nil {
			return err
		}
		return wantFound(n.audit(), "the map leaves something out")
	})
}

// rawRow is a row of the log's data as it lies on the disk, read while the process is down.
func (n *customerNode) rawRow(table byte, key []byte) (row []byte, err error) {
	err = n.withRaw(func(db *disk.DB) error {
		value, closer, err := db.Get(append([]byte{table}, key...))
		if err != nil {
			return err
		}
		row = slices.Clone(value)
		return closer.Close()
	})
	return row, err
}

func (n *customerNode) setRawRow(table byte, key, row []byte) error {
	return n.withRaw(func(db *disk.DB) error { return db.Set(append([]byte{table}, key...), row, pebble.Sync) })
}

func (n *customerNode) withRaw(do func(db *disk.DB) error) error {
	if err := n.end(); err != nil {
		return err
	}
	db, err := openRaw(n.disk, "data")
	if err != nil {
		return err
	}
	if err := errors.Join(do(db), db.Close()); err != nil {
		return err
	}
	_, err = n.start(n.sim.dayCtx)
	return err
}

// A provider that logs an event with a time that a period had fixed already is found by the public
// record of that period: the bundle proves it, and says that it was logged late.
func TestProviderThatBackDates(t *testing.T) {
	var a *account
	var began time.Time
	tell(t, func(n *customerNode) (err error) {
		began = time.Now().UTC().Truncate(time.Millisecond)
		a, err = n.opens(1)
		return err
	}, func(n *customerNode) error { return n.publishesPeriod() }, func(n *customerNode) error {
		in := n.input(a, &event.Access{IP: netip.AddrFrom4([4]byte{198, 51, 100, 9}), Action: "administrative"})
		in.Time = began.Add(time.Minute)
		if err := errors.Join(n.send([]event.Input{in}), n.logsIn(a, 1), n.publishesPeriod()); err != nil {
			return err
		}
		_, table, err := n.answer(a)
		if err != nil {
			return err
		}
		var late []bool
		for _, row := range table.Customers[0].Events {
			late = append(late, row.Late)
		}
		if want := []bool{false, false, true, false}; !slices.Equal(late, want) {
			return fmt.Errorf("logged late are %v; want %v", late, want)
		}
		return errors.Join(n.audit(), wantSaid(table.NotProven(), "That 1 event happened when the provider says: a public record before had fixed that period without it, so that it was logged late."))
	})
}

// A provider that lost its log begins another. The ledger takes that for a restart alone, with a
// reason, and the record of it stays.
func TestProviderThatLostItsLog(t *testing.T) {
	tell(t, func(n *customerNode) error {
		a, err := n.opens(1)
		if err := errors.Join(err, n.publishesPeriod()); err != nil {
			return err
		}
		before, _, err := n.answer(a)
		if err != nil {
			return err
		}
		if err := n.end(); err != nil {
			return err
		}
		n.disk, n.accounts, n.periods = vfs.NewCrashableMem(), nil, nil
		n.begin(n.origin + "-2")
		if _, err := n.start(n.sim.dayCtx); err != nil {
			return err
		}
		if a, err = n.opens(2); err != nil {
			return err
		}
		if err := n.closePeriod(); err != nil {
			return err
		}
		public, _ := n.sim.publicLog()
		_, err = n.log.NextRecord(n.sim.dayCtx, officer, public, "")
		if !errors.Is(err, customers.ErrNotLedUp) {
			return fmt.Errorf("another log would go on where the lost one stopped: %w", err)
		}
		if err := wantFound(err, "publish with a restart that says why: it is shown for ever"); err != nil {
			return err
		}
		next, err := n.log.NextRecord(n.sim.dayCtx, officer, public, "the disk burned")
		if err != nil {
			return err
		}
		denied := *next.Predicate
		denied.Restart = nil
		if err := n.submitLog(&denied, public); err != nil {
			return err
		}
		if now, _ := n.sim.publicLog(); now.Newest.ID != public.Newest.ID {
			return errors.New("the ledger takes another log for the one that was lost")
		}
		if err := errors.Join(n.submitLog(next.Predicate, public), n.keepReceipts()); err != nil {
			return err
		}
		_, table, err := n.answer(a)
		if err != nil {
			return err
		}
		if c := table.Counts(); c.Before != 3 {
			return fmt.Errorf("a bundle of the new log shows %+v", c)
		}
		_, all := n.sim.publicLog()
		before.public.Logs = all
		if _, err := before.verify(nil); err != nil {
			return fmt.Errorf("what was disclosed of the lost log: %w", err)
		}
		return nil
	}, func(n *customerNode) error {
		if err := n.publishesPeriod(); err != nil {
			return err
		}
		_, all := n.sim.publicLog()
		var restarts []string
		for _, r := range all {
			reason := ""
			if restart := r.Statement.Predicate.(*record.CustomerLog).Restart; restart != nil {
				reason = restart.Reason
			}
			restarts = append(restarts, reason)
		}
		if want := []string{"", "the disk burned", ""}; !slices.Equal(restarts, want) {
			return fmt.Errorf("the ledger shows the restarts %q; want %q", restarts, want)
		}
		return n.check()
	})
}

// submitLog submits a record of the log, whatever becomes of it.
func (n *customerNode) submitLog(c *record.CustomerLog, public customers.PublicLog) error {
	n.sim.authors.Now = time.Now().UTC().Truncate(time.Millisecond)
	st := n.sim.authors.Statement(record.CustomerLogThread(provider), provider, c)
	st.Follows = public.Newest.ID
	n.sim.authors.send(n.sim.authors.newSubmission("a log begins anew", n.sim.authors.Sign(st, provider+"/ci")))
	return errors.Join(n.sim.commitAndPublish(), n.sim.commitAndPublish())
}

// A provider whose backup was brought back publishes nothing from it.
func TestProviderOnBackup(t *testing.T) {
	var old *vfs.MemFS
	tell(t, func(n *customerNode) error {
		_, err := n.opens(1)
		if err := errors.Join(err, n.publishesPeriod(), n.end()); err != nil {
			return err
		}
		old = crashedDisk(n.disk, 100, 0)
		_, err = n.start(n.sim.dayCtx)
		return err
	}, func(n *customerNode) error {
		_, err := n.opens(1)
		return errors.Join(err, n.publishesPeriod())
	}, func(n *customerNode) error {
		if err := n.end(); err != nil {
			return err
		}
		n.disk, n.periods = old, n.periods[:1]
		if _, err := n.start(n.sim.dayCtx); err != nil {
			return err
		}
		public, _ := n.sim.publicLog()
		for range 2 { // as it was, and once it has a period that is as large as the public one
			_, err := n.log.NextRecord(n.sim.dayCtx, officer, public, "")
			if !errors.Is(err, customers.ErrNotLedUp) {
				return fmt.Errorf("a restored backup publishes: %w", err)
			}
			if err := wantFound(err, "Was a backup of the log restored?"); err != nil {
				return err
			}
			n.accounts = n.accounts[:1]
			if err := errors.Join(n.logsIn(n.accounts[0], 3), n.closePeriod()); err != nil {
				return err
			}
		}
		return nil
	})
}

// An erasure is whole wherever the power fails in it: either the customer is there, or nothing by
// which one was known lies in any file.
func TestErasureAtEveryWrite(t *testing.T) {
	const step = 4 // writes
	var gone *account
	tell(t, func(n *customerNode) (err error) {
		if gone, err = n.opens(3); err != nil {
			return err
		}
		_, err = n.opens(2)
		return errors.Join(err, n.send([]event.Input{n.input(gone, &event.Closed{Reason: "left", By: "customer"})}), n.publishesPeriod())
	}, func(n *customerNode) error { return nil }, func(n *customerNode) error {
		gone.closed = true
		if err := n.end(); err != nil {
			return err
		}
		before := crashedDisk(n.disk, 100, 0)
		cut := 0
		for at := 0; ; at += step {
			n.disk, n.erased = crashedDisk(before, 100, 0), nil
			before = crashedDisk(before, 100, 0)
			gone.erased, gone.erasing = false, nil
			if _, err := n.start(n.sim.dayCtx); err != nil {
				return err
			}
			n.fault.arm(false, at, at/step%2*100, uint64(at))
			if err := n.erase(); err != nil {
				return err
			}
			if n.log != nil { // there are no more writes
				if !gone.erased || cut < 8 {
					return fmt.Errorf("erased: %v, after %d erasures that were cut off", gone.erased, cut)
				}
				return n.audit()
			}
			cut++
			if _, err := n.start(n.sim.dayCtx); err != nil {
				return fmt.Errorf("after write %d: %w", at, err)
			}
			if err := n.checkRecovered(); err != nil {
				return fmt.Errorf("after write %d: %w", at, err)
			}
			if err := errors.Join(n.check(), n.end()); err != nil {
				return fmt.Errorf("after write %d: %w", at, err)
			}
		}
	})
}
