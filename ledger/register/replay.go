package register

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Replayer takes in the entries of a log that is there already, for a follower,
// an auditor, or a ledger that lost its register. It has two steps, so that the
// second can follow behind the first: [Replayer.Verify] checks signatures on all
// cores, [Replayer.Take] folds in order.
//
// Verify calls follow one another in log order, Take calls likewise.
type Replayer struct {
	r       *Register
	workers int
	// listed are the keys in the records that Verify has seen: a key may sign from
	// the next index on, when Take has not yet come so far. Whether it may, Take
	// decides. Owned by Verify.
	listed map[string]*record.Key
	held   sync.Map // keyid → *record.Key, those of the register: to whom a key belongs never changes
	next   uint64   // index of the first entry of the next Verify
}

// Replayer replays on top of the register as it is, with so many workers (0 = one
// a core).
func (r *Register) Replayer(workers int) *Replayer {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return &Replayer{r: r, workers: workers, listed: make(map[string]*record.Key), next: r.Size()}
}

// Batch is a run of entries whose signatures all verify.
type Batch struct {
	entries  []record.Entry
	verified []record.Verified
}

// Len is the number of entries.
func (b *Batch) Len() int { return len(b.entries) }

// Signatures is the number of signatures that verified.
func (b *Batch) Signatures() (n uint64) {
	for _, e := range b.entries {
		n += uint64(len(e.Envelope.Signatures))
	}
	return n
}

// EntryError says which entry of the log is not one.
type EntryError struct {
	Index uint64
	Err   error
}

func (e *EntryError) Error() string { return fmt.Sprintf("entry %d: %v", e.Index, e.Err) }
func (e *EntryError) Unwrap() error { return e.Err }

// Verify parses the entries that come next and checks every signature in them.
// Errors: *[EntryError] of the first entry at fault.
func (p *Replayer) Verify(ctx context.Context, entries [][]byte) (*Batch, error) {
	b := &Batch{entries: make([]record.Entry, len(entries)), verified: make([]record.Verified, len(entries))}
	err := p.each(ctx, len(entries), func(i int) error {
		var err error
		b.entries[i], err = record.ParseEntry(entries[i])
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, e := range b.entries {
		if err := p.list(e.Envelope.Payload); err != nil {
			return nil, &EntryError{p.next + uint64(i), err}
		}
	}
	err = p.each(ctx, len(entries), func(i int) error {
		var err error
		b.verified[i], err = record.Reopen(b.entries[i], p.key)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.next += uint64(len(entries))
	return b, nil
}

// each runs f for [0, n) on all workers and returns the error of the least index.
func (p *Replayer) each(ctx context.Context, n int, f func(i int) error) error {
	first := make([]*EntryError, p.workers)
	g, ctx := errgroup.WithContext(ctx)
	for w := range p.workers {
		g.Go(func() error {
			for i := w * n / p.workers; i < (w+1)*n/p.workers; i++ {
				if err := f(i); err != nil {
					first[w] = &EntryError{p.next + uint64(i), err}
					return nil // the others go on: theirs may be an earlier one
				}
				if i%256 == 0 && ctx.Err() != nil {
					return ctx.Err()
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, e := range first {
		if e != nil {
			return e
		}
	}
	return nil
}

// bringsKeys are the kinds in whose records keys are listed.
var bringsKeys = [][]byte{
	[]byte(record.KindCharter.PredicateType()), []byte(record.KindEnrolment.PredicateType()), []byte(record.KindKeys.PredicateType()),
}

// list remembers the keys that a record lists.
func (p *Replayer) list(payload []byte) error {
	if !mayBringKeys(payload) {
		return nil
	}
	st, err := record.ParseStatement(payload)
	if err != nil {
		return err
	}
	keys, err := record.ListedKeys(st)
	if err != nil {
		return err
	}
	for _, k := range keys {
		p.listed[k.ID()] = k
	}
	return nil
}

// mayBringKeys spares parsing most payloads twice. Only an escape could hide the
// name of the kind.
func mayBringKeys(payload []byte) bool {
	for _, kind := range bringsKeys {
		if bytes.Contains(payload, kind) {
			return true
		}
	}
	return bytes.IndexByte(payload, '\\') >= 0
}

// key finds a key by its ID among those listed in this replay, and those that the
// register held before it.
func (p *Replayer) key(id string) *record.Key {
	if k := p.listed[id]; k != nil {
		return k
	}
	if k, ok := p.held.Load(id); ok {
		return k.(*record.Key)
	}
	k := p.r.KeyByID(id)
	if k != nil {
		p.held.Store(id, k)
	}
	return k
}

// Take folds a batch that continues the register, and makes root, the log's at the
// batch's end, the register's. Errors: *[EntryError] of an entry that must not be
// in a ledger, wrapping an [UpgradeError] where this binary cannot tell. After an
// error the register stands where it stood before the batch.
func (p *Replayer) Take(b *Batch, root [32]byte) error {
	if b.Len() == 0 {
		return nil
	}
	d := p.r.Begin(b.entries[0].Admitted)
	for i, e := range b.entries {
		if err := d.Apply(e, b.verified[i]); err != nil {
			return &EntryError{d.start + uint64(i), err}
		}
	}
	return p.r.Advance(d, root)
}
