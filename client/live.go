package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
)

// Live is the replayed copy of a trust directory that goes on while it is read: a replica
// serves it. One register is advanced in place, and what is shown is a checkpoint of which
// all entries were fetched, verified and judged, as by [Trust.Sync]; of one that began with a snapshot, and
// where the source withholds an entry, as many of them as its state says. Until Close the directory
// is this process's: nobody else syncs it.
//
// [Live.Follow] has one goroutine; all else may be called from any.
type Live struct {
	trust    *Trust
	register *register.Register
	reader   *reader.Reader
	owner    reader.Owner
	release  func() error
	partial  *partialCopy     // nil: the copy has all that it shows
	pending  *proof.Published // towards which the register is replayed; owned by Follow

	wrong bool // the snapshot was; set by Replay, read by Close

	timesAgain time.Time // when it next learns what was knowable when; owned by Follow

	times    atomic.Pointer[quorumTimes]
	charters atomic.Pointer[charters]

	mu         sync.Mutex
	state      LiveState          // guarded by mu
	unreplayed *snapshot.Verified // the snapshot that it began with; guarded by mu
}

// LiveState is how a live copy stands to its source.
type LiveState struct {
	Size    uint64    // that is shown, as far as it is judged
	Source  uint64    // of the newest checkpoint that the source has shown, never below Size
	Reached time.Time // when the source last showed its newest checkpoint; zero: not since the start
	Err     error     // why the last try to go on failed, or the *[Withheld] beyond which it does not; nil if it goes on
}

// Lag is how many entries the source has published that are not shown yet, as far as is known.
func (s LiveState) Lag() uint64 { return s.Source - s.Size }

// OpenLive opens the copy, to be read and to go on: [ErrNoCopy] where no sync has made one. What a
// crash has cut off is replayed first, from the copy's own files. The Trust is the Live's
// until that is closed.
func (t *Trust) OpenLive(ctx context.Context) (_ *Live, err error) {
	release, err := t.lockForSync(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close(), release())
		}
	}()
	if err := t.Close(); err != nil {
		return nil, err
	}
	t.reloadCheckpoint()
	if t.checkpoint == nil {
		return nil, fmt.Errorf("%s: %w", t.dir, ErrNoCopy)
	}
	l := &Live{trust: t, release: release}
	var r *register.Register
	if t.hasStarted() {
		r, err = l.openStarted()
	} else if r, err = t.openNext(false); err == nil {
		if err = t.replayLocal(ctx, r); err != nil {
			err = errors.Join(err, r.Close())
		}
	}
	if err != nil {
		return nil, err
	}
	l.register, t.copy = r, &generation{Register: r}
	times, err := t.readTimes()
	if err != nil && !errors.As(err, new(*DamageError)) { // they are learnt anew
		return nil, err
	}
	l.times.Store(&times)
	var source reader.Source = t.copyDir()
	if l.partial != nil {
		source = l.partial
	}
	l.reader, l.owner = reader.NewOwned(source, reader.Config{Published: t.checkpoint, Verify: t.verify})
	l.keepCharters()
	l.state = LiveState{Size: min(t.size(), r.Size()), Source: t.size()}
	t.live = l
	return l, nil
}

// openStarted opens a register that began with a snapshot.
func (l *Live) openStarted() (*register.Register, error) {
	t := l.trust
	began, err := t.Unreplayed()
	if err != nil {
		return nil, err
	}
	if l.unreplayed = began; t.Remote != nil {
		l.partial = newPartialCopy(t.copyDir(), t.Remote)
	} else if began != nil {
		return nil, fmt.Errorf("%s: %w: it began with a snapshot, and is not whole", t.dir, ErrNoCopy)
	}
	t.nextDir = startedDir
	return register.Open(t.files, t.nextPath(), t.registerOptions())
}

// replayLocal brings a register to the trusted checkpoint, from the copy's own files. What an
// interrupted run has brought it beyond that stays, if it is of the same history.
func (t *Trust) replayLocal(ctx context.Context, r *register.Register) error {
	covered, err := t.coveredTree(ctx)
	if err != nil {
		return err
	}
	files := t.copyDir()
	grown, err := files.resume(ctx, r)
	if err != nil {
		return err
	}
	own, err := grown.Tree()
	if err != nil {
		return err
	}
	smaller, larger := own, covered
	if own.Size > covered.Size {
		smaller, larger = covered, own
	}
	if begins, err := proof.NewTileReader(files.Tiles, 0).At(larger).TreeAt(ctx, smaller.Size); err != nil || begins != smaller {
		if err := r.Reset(); err != nil {
			return err
		}
		grown = proof.NewAppender()
	}
	if grown.Size() >= covered.Size {
		return nil
	}
	f := &logReplayer{read: files.Bundle, tree: grown, register: r}
	head, err := f.replayTo(ctx, covered.Size)
	if err == nil && head != covered {
		err = fmt.Errorf("its entries have the root %s, and the trusted checkpoint %s", head.Root, covered.Root)
	}
	if err != nil && ctx.Err() == nil {
		err = &DamageError{Dir: t.dir, NoCopy: true, Err: err}
	}
	return err
}

// Register is the copy's. It may be ahead of what is shown.
func (l *Live) Register() *register.Register { return l.register }

// Reader reads the copy as of the newest checkpoint that is shown, and says when another is. All that
// it reads it checks against that.
func (l *Live) Reader() *reader.Reader { return l.reader }

// State is how the copy stands.
func (l *Live) State() LiveState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// CosignedBy is [Trust.CosignedBy].
func (l *Live) CosignedBy(at time.Time) (view.Knowable, error) {
	k := l.times.Load().merged(timesIfAny(l.reader.Published())...).newestBy(at)
	return view.Knowable{Size: k.size, Cosigned: k.existedBy}, nil
}

// CharterReceipt is the receipt by which the charter of an index is known, which proves it under
// its own policy; false where none is kept.
func (l *Live) CharterReceipt(index uint64) (proof.Receipt, bool) {
	for _, c := range *l.charters.Load() {
		if c.index == index && len(c.receipt.Checkpoint) > 0 {
			return c.receipt, true
		}
	}
	return proof.Receipt{}, false
}

func (l *Live) keepCharters() {
	known := l.trust.charters
	l.charters.Store(&known)
}

// Verify judges what another hands out as a checkpoint of this ledger that is no larger than what
// is shown: by the policy of its size, and against the copy.
func (l *Live) Verify(ctx context.Context, note []byte) (*proof.Published, error) {
	p, err := verifyNote(*l.charters.Load(), note, time.Now())
	if err != nil {
		return nil, err
	}
	tree := p.Checkpoint().Tree()
	own, err := l.reader.TreeAt(ctx, tree.Size)
	if err != nil {
		return nil, err
	}
	if own != tree {
		return nil, newInconsistencyError(ctx, l.trust.copyDir().Tiles, l.reader.Published(), p)
	}
	return p, nil
}

// believe learns the charters under which a checkpoint may count that counts under none that is
// known. A live copy takes in nothing before: of a source that shows charters only among the
// entries, those are replayed beside it first.
func (l *Live) believe(ctx context.Context, c *Client, next *newestCheckpoint) error {
	t := l.trust
	err := t.refreshCharters(ctx, c)
	if errors.Is(err, ErrNoChain) {
		beside := &Trust{Fatal: t.Fatal, Health: t.Health, With: t.With, files: t.files, dir: t.dir, now: t.now, pin: t.pin, charters: t.charters, checkpoint: t.checkpoint, nextDir: besideDir}
		_, err = beside.syncLocked(ctx, c, nil, false)
		err = errors.Join(err, beside.Close())
		t.charters, t.checkpoint = beside.charters, beside.checkpoint
	}
	if err != nil {
		return errors.Join(next.unproven, err)
	}
	next.published, err = t.verify(next.note)
	return err
}

// begin notes what the source shows before the copy goes on towards it, if its right edge is there.
func (l *Live) begin(ctx context.Context, c *Client, next *proof.Published, edge error) error {
	t := l.trust
	l.mu.Lock()
	l.state.Source, l.state.Reached = max(l.state.Size, next.Checkpoint().Size), time.Now()
	l.mu.Unlock()
	if edge != nil {
		return edge
	}
	cursor := l.register.Cursor()
	own := proof.Tree{Size: cursor.Size, Root: cursor.Root}
	shown := &signedTree{url: c.URL(), tree: next.Checkpoint().Tree(), tiles: proof.NewTileReader(c.log.Tiles, 0)}
	if l.pending != nil && l.pending.Checkpoint().Size <= shown.tree.Size { // of which the register may have the beginning alone
		one, err := shown.hasPrefix(ctx, l.pending.Checkpoint().Tree())
		if err == nil && !one {
			err = newInconsistencyError(ctx, c.log.Tiles, l.pending, next)
		}
		if err != nil {
			return err
		}
	}
	switch one, err := shown.hasPrefix(ctx, own); {
	case err != nil:
		return err
	case one:
		if l.pending == nil || l.pending.Checkpoint().Size <= shown.tree.Size {
			l.pending = next
		}
		return nil
	case own.Size > shown.tree.Size:
		return &BehindError{Trusted: own, Shown: shown.tree, At: next.LastCosignedAt()}
	case l.pending != nil: // whose beginning the register is
		return newInconsistencyError(ctx, c.log.Tiles, l.pending, next)
	}
	return &DamageError{Dir: t.dir, Where: " in its register", Err: fmt.Errorf("an interrupted run has left %s of another history than size %d is of", register.FormatEntryCount(own.Size), shown.tree.Size)}
}

// replayTo brings the register to a size of a signed tree, which begins with the register's own.
func (l *Live) replayTo(ctx context.Context, files *TileDir, read readBundle, signed *signedTree, size uint64) error {
	cursor := l.register.Cursor()
	if cursor.Size >= size {
		return nil
	}
	grown, err := l.trust.rightEdge(ctx, proof.Tree{Size: cursor.Size, Root: cursor.Root})
	if err != nil {
		return err
	}
	f := &logReplayer{read: read, tree: grown, register: l.register, signedTree: signed, write: files.writeRun}
	_, err = f.replayTo(ctx, size)
	return err
}

// show shows what was synced.
func (l *Live) show() error {
	t := l.trust
	times, err := t.readTimes()
	if err != nil && !errors.As(err, new(*DamageError)) {
		return err
	}
	l.times.Store(&times)
	l.keepCharters()
	if t.checkpoint != l.reader.Published() {
		l.owner.Show(t.checkpoint)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.Size, l.state.Err = min(t.size(), l.register.Size()), nil
	l.state.Source = max(l.state.Source, t.size())
	if w := t.Withheld(); w != nil {
		l.state.Err = w
	}
	return nil
}

// Sync brings the copy to the newest checkpoint of a source, once, and shows it. It stands in for a turn
// of [Live.Follow], not beside that.
func (l *Live) Sync(ctx context.Context, c *Client) error {
	if err := l.trust.Sync(ctx, c, nil); err != nil {
		return err
	}
	return l.show()
}

// Follow keeps the copy up to date until ctx ends, as [Trust.Follow] does, and shows what came.
// A fork of the log ends it: the error is, or wraps, an *[InconsistencyError]. Everything else
// is told to notify and tried again: meanwhile what is there stays.
func (l *Live) Follow(ctx context.Context, c *Client, notify func(err error, next time.Duration)) error {
	failed := func(err error, next time.Duration) {
		l.mu.Lock()
		l.state.Err = err
		l.mu.Unlock()
		notify(err, next)
	}
	pauses := backoff.NewExponentialBackOff()
	pauses.MaxInterval = liveMaxPause
	var told time.Time
	for {
		err := l.trust.Follow(ctx, c, failed, func() error {
			pauses.Reset()
			if err := l.trust.timesErr; err != nil && l.timesAgain != told {
				told = l.timesAgain
				notify(err, time.Until(told))
			}
			return l.show()
		})
		var fork *InconsistencyError
		if ctx.Err() != nil || errors.As(err, &fork) {
			return err
		}
		next := pauses.NextBackOff()
		failed(err, next)
		if err := pause(ctx, next); err != nil {
			return err
		}
	}
}

// Close ends it: what it has replayed is the copy of the directory from now on. Nobody may read any
// more.
func (l *Live) Close() error {
	t := l.trust
	t.live, t.copy = nil, nil
	defer func() { t.nextDir = "" }()
	if l.wrong {
		return errors.Join(l.register.Close(), t.discardStarted(t.keepWrongNote), l.release())
	} else if unreplayed, _ := l.Unreplayed(); unreplayed != nil {
		return errors.Join(l.register.Flush(), l.register.Close(), l.release())
	}
	err := t.commitGeneration(l.register)
	if err == nil {
		t.removeOldGenerations()
	}
	return errors.Join(err, t.files.RemoveAll(t.path(besideDir)), l.release())
}
