package ledger

import (
	"context"
	"time"
)

// MoveClock makes the wall clock seem to have been moved by d since the witnesses
// confirmed it: no test can move the real one.
func (l *Ledger[V]) MoveClock(d time.Duration) {
	r := *l.lastClockSample.Load()
	r.wall = r.wall.Add(-d)
	l.lastClockSample.Store(&r)
}

// Archive is the archive of a store, for a test of its order.
type Archive struct{ a *archive }

func OpenArchive(ctx context.Context, s Store) (Archive, error) {
	a, err := openArchive(ctx, s)
	return Archive{a}, err
}

func (x Archive) Add(ctx context.Context, timestamp, size uint64, note []byte) error {
	published, err := x.a.store.Published(ctx)
	if err != nil {
		return err
	}
	return x.a.add(ctx, archivedCheckpoint{archiveKey{timestamp, size}, note}, published, note)
}

// UpTo returns no note if there is none.
func (x Archive) UpTo(ctx context.Context, timestamp, size uint64) (atTime, atSize uint64, note []byte, err error) {
	k, err := x.a.upTo(ctx, timestamp, size)
	if err != nil || k == nil {
		return 0, 0, nil, err
	}
	return k.timestamp, k.size, k.note, nil
}
