package sim

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

// judging are the options of a register that judges as a ledger's does.
func judging() register.Options {
	o, small := client.RegisterOptions(), registertest.Small()
	o.CacheBytes, o.MemTableBytes, o.Threads, o.Health = small.CacheBytes, small.MemTableBytes, small.Threads, small.Health
	return o
}

// keepsRegister: the register is that of one replayed beside it, byte for byte, and
// finds every record.
func (l *laws) keepsRegister(m *machine) error {
	size := l.published.Size
	if err := l.replay(); err != nil {
		return err
	}
	if m.node.Ledger.Backlog() > 0 {
		return nil // it is ahead of what is published: the next step will do
	}
	if err := l.keepsPromises(); err != nil {
		return err
	}
	if size == l.compared {
		return nil
	}
	got, err := dump(m.node.Register)
	if err != nil {
		return err
	}
	if got != l.dumps[size] {
		return fmt.Errorf("at size %d the register differs from one that was replayed", size)
	}
	for id, want := range l.at {
		if index, ok, err := m.node.Register.Lookup(id); err != nil || !ok || index != want {
			return fmt.Errorf("record %s at index %d is looked up as %d, %v (%v)", id, want, index, ok, err)
		}
	}
	l.compared = size
	return nil
}

// replay takes the shadow to the published size.
func (l *laws) replay() error {
	at := l.shadow.Size()
	if at == l.published.Size {
		return nil
	}
	if err := refold(l.shadow, l.entries[at:], l.published.Root); err != nil {
		return err
	}
	var err error
	l.dumps[l.published.Size], err = dump(l.shadow)
	return err
}

// refold replays entries as a follower does.
func refold(r *register.Register, entries [][]byte, root proof.Hash) error {
	replayer := r.Replayer(1)
	b, err := replayer.Verify(context.Background(), entries)
	if err != nil {
		return err
	}
	return replayer.Take(b, root)
}

func dump(r *register.Register) (digest, error) {
	h := sha256.New()
	err := r.Dump(h)
	return digest(h.Sum(nil)), err
}
