package simtest

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// digest is the SHA-256 of a register's dump.
type digest [sha256.Size]byte

// registerOptions are the options of a register that judges as a ledger's does.
func registerOptions() register.Options {
	o, small := client.RegisterOptions(), registertest.SmallOptions()
	o.CacheBytes, o.MemTableBytes, o.CachedThreads, o.Health = small.CacheBytes, small.MemTableBytes, small.CachedThreads, small.Health
	return o
}

// checkRegister: the register is that of one replayed beside it, byte for byte, and
// finds every record.
func (l *ledgerInvariants) checkRegister(m *ledgerNode) error {
	size := l.published.Size
	if err := l.advanceShadow(); err != nil {
		return err
	}
	if m.node.Ledger.Backlog() > 0 {
		return nil // it is ahead of what is published: the next step will do
	}
	if err := l.checkCommitted(); err != nil {
		return err
	}
	if size == l.compared {
		return nil
	}
	got, err := digestOf(m.node.Register)
	if err != nil {
		return err
	}
	if got != l.digests[size] {
		return fmt.Errorf("at size %d the register differs from one that was replayed", size)
	}
	for id, want := range l.indexes {
		if index, ok, err := m.node.Register.Lookup(id); err != nil || !ok || index != want {
			return fmt.Errorf("record %s at index %d is looked up as %d, %v (%v)", id, want, index, ok, err)
		}
	}
	l.compared = size
	return nil
}

// advanceShadow takes the shadow to the published size.
func (l *ledgerInvariants) advanceShadow() error {
	at := l.shadowRegister.Size()
	if at == l.published.Size {
		return nil
	}
	if err := replayEntries(l.shadowRegister, l.entries[at:], l.published.Root); err != nil {
		return err
	}
	var err error
	l.digests[l.published.Size], err = digestOf(l.shadowRegister)
	return err
}

// replayEntries replays entries as a follower does.
func replayEntries(r *register.Register, entries [][]byte, root proof.Hash) error {
	replayer := r.NewReplayer(1)
	b, err := replayer.Verify(context.Background(), entries)
	if err != nil {
		return err
	}
	return replayer.Fold(b, root)
}

func digestOf(r *register.Register) (digest, error) {
	h := sha256.New()
	err := r.Dump(h)
	return digest(h.Sum(nil)), err
}
