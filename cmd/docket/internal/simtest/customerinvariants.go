package simtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// check checks what the log promises while it is up.
func (n *customerNode) check() error {
	if n.log == nil {
		return nil
	}
	if n.fault.failed() {
		n.sim.tracef("the customer log has lost its power")
		n.sim.countEvent("customer log loses power")
		n.end()
		return nil
	}
	if err := n.checkFiled(); err != nil {
		return err
	}
	return n.checkPeriods()
}

// checkFiled: under each handle stand the events that were acknowledged, each at its leaf, and
// no other.
func (n *customerNode) checkFiled() error {
	if len(n.unknown) > 0 {
		return nil // some of them may be there
	}
	all := make(map[event.Handle]event.State)
	err := n.log.Each(n.sim.dayCtx, event.Act{}, func(s event.State) error {
		all[s.Handle] = s
		return nil
	})
	if err != nil {
		return err
	}
	for _, a := range n.accounts {
		if !a.decided() || a.gone() {
			continue
		}
		var indexes []uint64
		for _, e := range a.events {
			indexes = append(indexes, e.index)
		}
		if got := all[a.handle].Filed; got != event.FiledOf(indexes) {
			return fmt.Errorf("%s has %d events, and acknowledged were those at the leaves %d", a.name, got.Leaves, indexes)
		}
		delete(all, a.handle)
	}
	for h := range all {
		if !slices.ContainsFunc(n.accounts, func(a *account) bool { return a.handle == h }) {
			return fmt.Errorf("there is a customer %s, whom nobody opened", h)
		}
	}
	return nil
}

// checkPeriods: what was said to be closed is closed, each period leads up to the next, and so do the
// public records of this log.
func (n *customerNode) checkPeriods() error {
	periods := n.log.Periods()
	if len(periods) < len(n.periods) {
		return fmt.Errorf("%d periods were closed, and now there are %d", len(n.periods), len(periods))
	}
	for i, p := range n.periods {
		if periods[i].Size != p.Size || periods[i].Root != p.Root {
			return fmt.Errorf("period %d had %d leaves with the root %s, and now %d with %s", p.Number, p.Size, p.Root, periods[i].Size, periods[i].Root)
		}
	}
	var trees []proof.Tree
	for _, p := range periods {
		trees = append(trees, proof.Tree{Size: p.Size, Root: p.Root})
	}
	_, records := n.sim.publicLog()
	for _, r := range records {
		if said := r.Statement.Predicate.(*record.CustomerLog); said.Origin == n.origin {
			trees = append(trees, proof.Tree{Size: uint64(said.Size), Root: r.Statement.Subject.SHA256})
		}
	}
	slices.SortStableFunc(trees, proof.Tree.Compare)
	for i := 1; i < len(trees); i++ {
		path, err := n.log.Consistency(n.sim.dayCtx, trees[i-1].Size, trees[i].Size)
		if err != nil {
			return err
		}
		if err := proof.VerifyConsistency(trees[i-1], trees[i], path); err != nil {
			return fmt.Errorf("a period of %d leaves does not lead up to one of %d: %w", trees[i-1].Size, trees[i].Size, err)
		}
	}
	return nil
}

// checkRecovered holds what a start found against all that was acknowledged before: each
// event is known when it comes again, each leaf has its event or its tombstone, and who
// was erased has left no trace.
func (n *customerNode) checkRecovered() error {
	for _, a := range n.accounts {
		if a.erasing == nil || a.erased {
			continue
		}
		switch _, err := n.log.Handle(n.sim.dayCtx, a.name); {
		case errors.Is(err, vault.ErrNoCustomer):
			n.noteErased(a)
			n.sim.countEvent("erasure cut off, and finished")
		case err != nil:
			return err
		default:
			a.erasing = nil
			n.sim.countEvent("erasure cut off, and not begun")
		}
	}
	if err := errors.Join(n.checkNoTraces(), n.checkNoneStaged()); err != nil {
		return err
	}
	if ok, err := n.resolve(); err != nil || !ok {
		return err
	}
	var known []event.Input
	for _, a := range n.accounts {
		for _, e := range a.events {
			if !a.gone() {
				known = append(known, e.Input)
			}
		}
	}
	size := uint64(0)
	if s, err := n.log.Stats(); err == nil {
		size = s.Size
	}
	if err := n.send(known); err != nil || n.log == nil || len(n.unknown) > 0 {
		n.unknown = nil // all were acknowledged before
		return err
	}
	if s, err := n.log.Stats(); err != nil || s.Size != size {
		return fmt.Errorf("the log grew from %d to %d leaves by events that it knew (%w)", size, s.Size, err)
	}
	return n.audit()
}

// checkNoneStaged: no sealed event lies on the disk whose leaf never came.
func (n *customerNode) checkNoneStaged() error {
	s, err := n.log.Stats()
	if err != nil {
		return err
	}
	db, err := openRaw(crashedDisk(n.disk, 100, 0), "data")
	if err != nil {
		return err
	}
	defer db.Close()
	it, err := db.NewIter(nil)
	if err != nil {
		return err
	}
	defer it.Close()
	if it.SeekLT([]byte{'e' + 1}) && it.Key()[0] == 'e' {
		if at := binary.BigEndian.Uint64(it.Key()[1:]); at >= s.Size {
			return fmt.Errorf("there is an event for leaf %d, and the log has %d leaves", at, s.Size)
		}
	}
	return nil
}

// audit: an auditor with the plaintexts accounts for every leaf.
func (n *customerNode) audit() error {
	r, err := n.log.Audit(n.sim.dayCtx, nil)
	if err != nil {
		return err
	}
	gone := uint64(0)
	for _, a := range n.accounts {
		if a.erased {
			gone++
		}
	}
	n.sim.tracef("the customer log is audited: %d leaves, %d events, %d erased, %d periods", r.Size, r.Events, r.Erased, r.Periods)
	switch {
	case len(r.Problems) > 0:
		return fmt.Errorf("an audit of the customer log finds %q", r.Problems)
	case r.Size != r.Events+r.Erased+r.Padding+r.Periods:
		return fmt.Errorf("of %d leaves %d are events, %d erased, %d padding and %d periods", r.Size, r.Events, r.Erased, r.Padding, r.Periods)
	case r.Gone != gone:
		return fmt.Errorf("%d customers were erased, and the audit finds %d", gone, r.Gone)
	}
	return nil
}

// tracesOf are the bytes by which a customer is known in the key store's files: the sealed key, and
// the hashes that lead to it. They are read by a look at the raw rows, and are there before
// the erasure, or to find none after it would say nothing.
func (n *customerNode) tracesOf(a *account) (traces [][]byte, err error) {
	ref, err := n.keys.ByHandle(vault.Handle(a.handle))
	if err != nil {
		return nil, err
	}
	db, err := openRaw(crashedDisk(n.disk, 100, 0), "keys")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	it, err := db.NewIter(nil)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		key, value := it.Key(), it.Value()
		switch {
		case key[0] == 'k' && bytes.Equal(key[1:], ref[:]):
			traces = append(traces, bytes.Clone(value[4:]))
		case bytes.Equal(value, ref[:]), key[0] == 's' && bytes.HasSuffix(key, ref[:]):
			traces = append(traces, bytes.Clone(key[1:]))
		}
	}
	found, err := holdsAny(n.disk, traces)
	if err != nil {
		return nil, err
	}
	if len(traces) < 6 || found[string(traces[0])] == "" && found[string(traces[len(traces)-1])] == "" {
		return nil, fmt.Errorf("of %d traces of %s %d lie on the disk before the erasure: the look for them would see nothing", len(traces), a.name, len(found))
	}
	return traces, nil
}

// openRaw opens one of the log's stores to look at its rows as they lie on the disk.
func openRaw(fs vfs.FS, dir string) (*disk.DB, error) {
	return disk.Open(disk.Options{FS: fs, Dir: dir, Name: dir, Existing: true, Health: disk.NewHealth(disk.Config{})})
}

// checkNoTraces: of who is erased nothing lies in any file of the machine, nor would after a crash
// now; and no name lies there in clear at all.
func (n *customerNode) checkNoTraces() error {
	traces := slices.Clone(n.erased)
	for _, a := range n.accounts {
		traces = append(traces, []byte(a.person()), []byte(a.email()))
	}
	for _, fs := range []*vfs.MemFS{n.disk, crashedDisk(n.disk, 0, 0)} {
		found, err := holdsAny(fs, traces)
		if err != nil {
			return err
		}
		for trace, name := range found {
			return fmt.Errorf("what must lie in no file, or not in clear, %x, lies in %s", trace, name)
		}
	}
	return nil
}

// demand is a demand that was answered.
type demand struct {
	public bundle.Public
	raw    []byte // the bundle in clear
}

// verify is what whoever was handed the bundle does, perhaps after somebody changed it.
func (d *demand) verify(change func(b *bundle.Bundle)) (*bundle.Table, error) {
	b, err := bundle.Parse(d.raw)
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(b)
		again, err := b.Format()
		if err != nil {
			return nil, err
		}
		if b, err = bundle.Parse(again); err != nil {
			return nil, err
		}
	}
	return b.Verify(d.public)
}

func decrypt(file []byte, ids []age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(file), ids...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// verifyChains verifies the receipts in a bundle by the policy and the charter's ID alone: they
// show the record that the bundle rests on.
func (n *customerNode) verifyChains(d *demand) error {
	b, err := bundle.Parse(d.raw)
	if err != nil || b.Head.Log == nil {
		return err
	}
	for _, chain := range b.Chains {
		r, err := client.Verify(n.sim.dayCtx, chain, n.sim.authors.policies, time.Now())
		if err != nil {
			return fmt.Errorf("the chain in a bundle: %w", err)
		}
		if r.ID != b.Head.Log.Record {
			return fmt.Errorf("the chain in a bundle shows record %s, and it rests on %s", r.ID, b.Head.Log.Record)
		}
	}
	return nil
}

// lastDay is a day without mishaps, at whose end every period is published and every leaf
// accounted for.
func (n *customerNode) lastDay() error {
	if err := n.sim.endFaults(); err != nil {
		return err
	}
	n.fault.disarm()
	for range 3 {
		if n.log == nil {
			if err := n.restart(); err != nil {
				return err
			}
		}
	}
	if n.log == nil {
		return errors.New("the customer log does not start on a day without mishaps")
	}
	n.fault.disarm()
	if err := n.addSome(); err != nil {
		return err
	}
	if err := n.closePeriod(); err != nil {
		return err
	}
	if err := n.publishAll(); err != nil {
		return err
	}
	for _, p := range n.log.Periods() {
		if p.Record.IsZero() {
			return fmt.Errorf("period %d is not published on a day without mishaps", p.Number)
		}
		if _, err := n.log.Receipt(p.Number); err != nil {
			return err
		}
	}
	if err := errors.Join(n.disclose(), n.check(), n.audit()); err != nil {
		return err
	}
	return n.checkNoTraces()
}
