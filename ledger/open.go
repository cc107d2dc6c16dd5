package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
)

// Open makes a ledger of what a store and a fold hold: a new one of empty ones,
// and otherwise the one that was there, whatever happened to it before. It is
// the one recovery path. It checks that the right edge hashes to the head, that
// the published checkpoint is this log's and leads up to the head, and that the
// fold has seen a prefix of this log, and replays what it is missing. Where the store
// holds less than the fold has seen, or nothing beside keys that have signed entries,
// it has lost something: [ErrRollback]. Nothing else may write to either while the
// ledger is open; both stay the caller's to close.
func Open[V any](ctx context.Context, store Store, fold Fold[V], c Config) (*Ledger[V], error) {
	l, err := newLedger(store, fold, c)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{l.takeStore, l.loadTree, l.loadClock, l.replayFold, l.loadFilter, l.loadPublished, l.loadArchive} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("opening the ledger %s: %w", l.config.Origin, err)
		}
	}
	l.notifyCommit() // publishes what is left over, and shows the published checkpoint again
	return l, nil
}

// newLedger is a ledger that has read nothing yet.
func newLedger[V any](store Store, fold Fold[V], c Config) (*Ledger[V], error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Ledger[V]{
		config:     c,
		fold:       fold,
		pool:       newPool[V](c.MaxPoolItems, c.MaxBatchItems),
		commitWake: make(chan struct{}, 1),
		stopped:    make(chan struct{}),
		openedAt:   time.Now(), // before the store is read
		late:       lateResponses{wake: make(chan struct{}, 1)},
	}
	l.store = boundedStore{store, c.StoreTimeout}
	l.Reader, l.owner = reader.NewOwned(l.store, reader.Config{
		CacheTiles: max(64, int(c.CacheBytes)/proof.CachedTileBytes),
		Remake:     true,
		Log:        c.Log.With("origin", c.Origin),
	})
	return l, nil
}

func (l *Ledger[V]) takeStore(ctx context.Context) error {
	if l.config.Take == nil {
		return l.store.Take(ctx)
	}
	return boundedStore{timeout: l.config.StoreTimeout}.write(ctx, l.config.Take)
}

// loadTree makes the right edge and checks it.
func (l *Ledger[V]) loadTree(ctx context.Context) (err error) {
	if l.head, err = l.store.Head(ctx); err != nil {
		return fmt.Errorf("reading the head: %w", err)
	}
	if l.edge, err = l.owner.LoadAppender(ctx, l.head); err != nil {
		return err
	}
	if err := l.showCommitted(time.Time{}); err != nil { // loadClock adds the time
		return err
	}
	if l.config.KeysMarked && l.head.Size == 0 {
		return fmt.Errorf("%w: it is empty, and the log's keys have signed entries", ErrRollback)
	}
	return nil
}

// loadClock reads when the newest entry was admitted.
func (l *Ledger[V]) loadClock(ctx context.Context) error {
	if l.head.Size == 0 {
		return nil
	}
	last, err := l.owner.Entries(ctx, l.tree.Load().Snapshot, l.head.Size-1, l.head.Size)
	if err != nil {
		return err
	}
	if l.newestAdmitted, err = l.fold.AdmittedAt(last[0]); err != nil {
		return fmt.Errorf("admission time of entry %d: %w", l.head.Size-1, err)
	}
	return l.showCommitted(l.newestAdmitted)
}

// treeSnapshot is the tree at one head, for readers: immutable.
type treeSnapshot struct {
	*proof.Snapshot
	admitted time.Time // of the newest entry
}

// showCommitted shows the tree as it was opened.
func (l *Ledger[V]) showCommitted(admitted time.Time) error {
	s, err := l.edge.Snapshot()
	if err != nil {
		return err
	}
	l.owner.Commit(s, nil)
	l.tree.Store(&treeSnapshot{s, admitted})
	return nil
}

// replayBatch is how many entries a fold replays between two cursors.
const replayBatch = 1024

// replayFold brings the fold to the head. The fold advances only after the store has made
// the same entries durable, so one that is ahead of the store, or has seen others, is
// the witness of a loss: its state is not to be deleted.
func (l *Ledger[V]) replayFold(ctx context.Context) error {
	return l.follow(ctx, l.fold, l.tree.Load().Size)
}

// follow brings any fold up to a size of the committed tree.
func (l *Ledger[V]) follow(ctx context.Context, fold Fold[V], size uint64) error {
	tree, cursor := l.tree.Load(), fold.Cursor()
	if cursor.Size > tree.Size {
		return fmt.Errorf("%w: it holds %d entries, and what was derived from it, %d", ErrRollback, tree.Size, cursor.Size)
	}
	if cursor.Size > 0 {
		was, err := l.owner.TreeAt(ctx, tree.Snapshot, cursor.Size)
		if err != nil {
			return err
		}
		if cursor.Root != was.Root {
			return fmt.Errorf("%w: what was derived from its first %d entries had the root %s, they have %s", ErrRollback, cursor.Size, cursor.Root, was.Root)
		}
	}
	if cursor.Size >= size {
		return nil
	}
	begun := time.Now()
	level := slog.LevelInfo
	if l.standsBy && size-cursor.Size <= replayBatch {
		level = slog.LevelDebug // it goes on for as long as another one writes
	}
	l.config.Log.Log(ctx, level, "replaying", "origin", l.config.Origin, "from", cursor.Size, "size", size)
	for at := cursor.Size; at < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		end := min(size, at+replayBatch)
		entries, err := l.owner.Entries(ctx, tree.Snapshot, at, end)
		if err != nil {
			return err
		}
		head, err := l.owner.TreeAt(ctx, tree.Snapshot, end)
		if err != nil {
			return err
		}
		if err := fold.Replay(ctx, entries, head); err != nil {
			return fmt.Errorf("replaying the entries [%d, %d): %w", at, end, err)
		}
		at = end
	}
	l.config.Log.Log(ctx, level, "replayed", "origin", l.config.Origin, "size", size, "took", time.Since(begun).Round(time.Millisecond).String())
	return nil
}

// loadFilter fills the filter from the fold's index.
func (l *Ledger[V]) loadFilter(context.Context) error {
	l.admittedIDs = newBloomFilter(l.head.Size)
	err := l.fold.IDs(func(id ID) error {
		l.admittedIDs.add(id)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the known record IDs: %w", err)
	}
	return nil
}

// farFuture is after every cosignature. They were compared with the clock when the
// checkpoint was published; a clock that went back since must not stop the reads.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// loadPublished checks the published checkpoint against the tree and shows it.
func (l *Ledger[V]) loadPublished(ctx context.Context) error {
	note, err := l.store.Published(ctx)
	if err != nil {
		return fmt.Errorf("reading the published checkpoint: %w", err)
	}
	if note == nil {
		return nil
	}
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		return fmt.Errorf("the published checkpoint: %w", err)
	}
	if err := l.checkPublished(ctx, cp); err != nil {
		return err
	}
	return l.showPublished(note)
}

// checkPublished says whether the tree leads up to the published checkpoint.
func (l *Ledger[V]) checkPublished(ctx context.Context, cp proof.Checkpoint) error {
	tree := l.tree.Load()
	// SPEC: tlog-checkpoint Signatures: a log signs nothing that is inconsistent with what it signed before
	if cp.Size > tree.Size {
		return fmt.Errorf("%w: it is the one that this store published, of size %d; its head is of %d", ErrRollback, cp.Size, tree.Size)
	}
	made, err := l.owner.TreeAt(ctx, tree.Snapshot, cp.Size)
	if err != nil {
		return err
	}
	if cp.Tree() != made {
		return fmt.Errorf("%w: it is the one that this store published, of size %d", ErrRollback, cp.Size)
	}
	return nil
}

// showPublished shows the published checkpoint, for whose size the fold has the policy.
func (l *Ledger[V]) showPublished(note []byte) error {
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		return err
	}
	policy, _, err := l.fold.Policy(cp.Size)
	if err != nil {
		return fmt.Errorf("policy for size %d: %w", cp.Size, err)
	}
	published, err := policy.Verify(note, farFuture)
	if err != nil {
		return fmt.Errorf("the published checkpoint of size %d: %w", cp.Size, err)
	}
	if origin := published.Checkpoint().Origin; origin != l.config.Origin {
		return errors.New("the store is of another log: " + origin)
	}
	l.owner.Show(published)
	return nil
}

// loadArchive reads how far the archive goes.
func (l *Ledger[V]) loadArchive(ctx context.Context) (err error) {
	l.archived, err = openArchive(ctx, l.store)
	return err
}
