package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/record"
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
	if tn.forger != nil || tn.ledger.node == nil || !tn.plan.sound() || tn.unsaid != nil ||
		tn.last.After(time.Now()) || tn.cast.Head("party/authority").IsZero() {
		return nil
	}
	l := tn.ledger.node.Ledger
	if l.Published() == nil {
		return nil
	}
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
