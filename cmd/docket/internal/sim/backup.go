package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// backup is an old state of the ledger's disk.
type backup struct {
	disk *vfs.MemFS
	head uint64 // entries that it holds
}

// rollBack lets the operator of an honest ledger make a backup of its disk, or bring
// one back by mistake. From then on the ledger signs nothing but what it published
// before, and as soon as it reaches its witnesses it says what is wrong, loudly, and
// stops, whatever it has admitted meanwhile. Then the operator finds the right disk.
func (tn *town) rollBack() error {
	if !tn.settled() {
		return nil
	}
	if tn.chance(40) {
		return tn.loseStore()
	}
	l := tn.ledger.node.Ledger
	published := l.Published().Checkpoint().Size
	if tn.backup.disk == nil || published <= tn.backup.head {
		tn.note("a backup of the ledger is made at %d entries", l.Head().Size)
		tn.backup = backup{afterCrash(tn.ledger.disk, 100, 0), l.Head().Size}
		return nil
	}
	tn.note("the ledger is restored from a backup of %d entries, %d were published", tn.backup.head, published)
	tn.saw("ledger restored from a backup")
	tn.ledger.crash(100, 0)
	right := tn.ledger.disk
	tn.ledger.disk = afterCrash(tn.backup.disk, 100, 0)
	tn.backup.disk = nil
	if ok, err := tn.ledger.up(tn.ctx); err != nil || !ok {
		return fmt.Errorf("starting from a backup: %v, %w", ok, err)
	}
	tn.misled = true
	if err := tn.liveOnBackup(); err != nil {
		return err
	}
	tn.misled = false
	tn.ledger.crash(100, 0)
	tn.ledger.disk = right
	tn.note("the right disk is back")
	return tn.bootAll()
}

// settled says that the ledger is honest, up, and has published something.
func (tn *town) settled() bool {
	return tn.forger == nil && tn.ledger.node != nil && tn.plan.sound() && tn.unsaid == nil &&
		!tn.last.After(time.Now()) && !tn.cast.Head("party/authority").IsZero() && tn.ledger.node.Ledger.Published() != nil
}

// loseStore takes the ledger's store away, perhaps what was derived from it too, and
// perhaps the marks of its keys. It does not start; or if nothing at home knows that it
// was there, the operator begins anew with a charter, and the witnesses keep it
// from a second history. Then the operator finds the right disk.
func (tn *town) loseStore() error {
	tn.ledger.crash(100, 0)
	right := tn.ledger.disk
	tn.ledger.disk = afterCrash(right, 100, 0)
	marks, register := tn.chance(50), tn.chance(50)
	for name, lost := range map[string]bool{"store": true, "register": !register, "keys": !marks} {
		if lost {
			must(tn.ledger.disk.RemoveAll("ledger/" + name))
		}
	}
	tn.note("the ledger's store is lost; its keys' marks are left: %v, its register: %v", marks, register)
	tn.saw("ledger's store lost")
	switch ok, err := tn.ledger.up(tn.ctx); {
	case (marks || register) && errors.Is(err, ledger.ErrRollback):
	case marks:
		return fmt.Errorf("the ledger's store was lost, and it starts: %v, %w", ok, err)
	case err != nil || !ok:
		return fmt.Errorf("starting on an empty disk: %v, %w", ok, err)
	default: // the register too had lost what was not synced
		if err := tn.beginAgain(); err != nil {
			return err
		}
		tn.ledger.crash(100, 0)
	}
	tn.ledger.disk = right
	tn.note("the right disk is back")
	return tn.bootAll()
}

// beginAgain begins a ledger anew whose store was lost.
func (tn *town) beginAgain() error {
	l := tn.ledger.node.Ledger
	tn.misled = true
	defer func() { tn.misled = false }()
	if err := tn.kind(); err != nil {
		return err
	}
	defer tn.net.behave(false)
	time.Sleep(2 * time.Minute)
	charter := registertest.New(time.Now().UTC().Truncate(time.Millisecond), origin, tn.policy.Text()).Charter()
	v, err := record.Open(charter, tn.ledger.node.Register.Candidates)
	if err != nil {
		return err
	}
	if _, err := l.Append(tn.ctx, v); err != nil {
		return err
	}
	if err := tn.ledger.step(tn.ctx, l.Commit); err != nil {
		return err
	}
	tn.saw("second history refused")
	err = errors.Join(tn.ledger.step(tn.ctx, l.Publish), l.TakeLate(tn.ctx))
	tn.note("the ledger that lost its store publishes: %s", brief(err))
	if !errors.Is(err, ledger.ErrRollback) || l.Published() != nil {
		return fmt.Errorf("the ledger's store was lost, it reaches its witnesses, and goes on: %w", err)
	}
	return nil
}

// liveOnBackup lets the ledger live on a disk of before: first as the network is,
// then without mishaps.
func (tn *town) liveOnBackup() error {
	l := tn.ledger.node.Ledger
	before := l.Published().Checkpoint().Tree()
	for range tn.roll(4) {
		if err := tn.tryOnce(l); err != nil {
			return err
		}
	}
	c := pick(tn, tn.watchers...)
	if err := c.look(tn.chance(60)); err != nil {
		return err
	}
	if err := tn.kind(); err != nil {
		return err
	}
	defer tn.net.behave(false)
	time.Sleep(2 * time.Minute)
	if err := tn.tryOnce(l); err != nil {
		return err
	}
	switch {
	case !errors.Is(l.Err(), ledger.ErrRollback):
		return fmt.Errorf("the ledger was restored from a backup, reaches its witnesses, and goes on: %w", l.Err())
	case !tn.ledger.cried("rolled back"):
		return errors.New("the ledger stopped, and told nobody why")
	case l.Published().Checkpoint().Tree() != before:
		return fmt.Errorf("the ledger was restored from a backup, and published %d entries", l.Published().Checkpoint().Size)
	}
	return nil
}

// tryOnce admits a record and publishes, whatever comes of it.
func (tn *town) tryOnce(l *ledger.Ledger[record.Verified]) error {
	env := tn.next()
	v, err := record.Open(env, tn.ledger.node.Register.Candidates)
	if err != nil {
		return err
	}
	if _, err := l.Append(tn.ctx, v); err == nil {
		err = tn.ledger.step(tn.ctx, l.Commit)
		if err != nil && !errors.Is(err, ledger.ErrClock) {
			return err
		}
	}
	err = errors.Join(tn.ledger.step(tn.ctx, l.Publish), l.TakeLate(tn.ctx))
	tn.note("the restored ledger publishes: %s", brief(err))
	if err == nil {
		return errors.New("the ledger was restored from a backup, and publishes")
	}
	return nil
}
