package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Refresh fetches the newest checkpoint without the entries, and the server's chain of
// charters where the known ones do not do: [ErrNoChain] from a mirror of tiles alone. It
// believes the checkpoint only if it continues the trusted one: a fork is a
// *[InconsistencyError] that names both, what is older a *[BehindError].
func (t *Trust) Refresh(ctx context.Context, c *Client) error {
	return t.untilFresh(c, func() error {
		_, err := ask(ctx, c, func(c *Client) (struct{}, error) { return struct{}{}, t.refresh(ctx, c) })
		return err
	})
}

func (t *Trust) refresh(ctx context.Context, c *Client) error {
	next, err := t.fetchCheckpoint(ctx, c)
	if err != nil {
		return err
	}
	if next.published == nil || !t.charters.proven() {
		if err := t.refreshCharters(ctx, c); err != nil {
			return errors.Join(next.unproven, err)
		}
		if next.published, err = t.verify(next.note); err != nil {
			return err
		}
	}
	if err := t.checkExtends(ctx, c, next.published); err != nil {
		return err
	}
	return t.setTrusted(next.published)
}

// ErrNoChain: the source shows the charters only among the entries.
var ErrNoChain = errors.New("no chain of charters is handed out")

// newestCheckpoint is what a source shows as the newest of the log.
type newestCheckpoint struct {
	note      []byte
	tree      proof.Tree
	published *proof.Published // nil if no policy known so far is satisfied: a charter among its entries may have the one that is
	unproven  error            // then: what is missing by the policy known
}

// Sync brings the replayed copy to the ledger's newest checkpoint, from C2SP tiles alone,
// which any mirror serves. The charters are found among the entries, each signed by the root
// keys of the one before: under the policy of the last one the checkpoint is believed, or
// nothing is. Every entry is
// fetched, hashed, held against the tree that the checkpoint signs, its signatures
// verified, folded; then the times of the quorums of the checkpoints that the ledger
// has kept meanwhile are learnt, which say what was knowable when. It is incremental
// and can be interrupted at any point; so it goes on at another server where one is away in the
// middle of it, or behind what is trusted. progress, if not nil, is told the size reached
// and the size to reach.
//
// A *[SourceError] is what the server handed out twice and the log did not sign: none of
// it was kept. A *[InconsistencyError] is the log's own.
//
// One process syncs a directory at a time; [ErrSyncing] after half a minute of waiting.
func (t *Trust) Sync(ctx context.Context, c *Client, progress func(reached, size uint64)) error {
	return t.untilFresh(c, func() error {
		_, err := ask(ctx, c, func(c *Client) (int, error) { return t.sync(ctx, c, progress, false) })
		return err
	})
}

// VerifyCopy is Sync that replays the whole copy anew from its own files first, and fetches
// what is damaged in them or missing. It returns how many bundles of entries that were.
func (t *Trust) VerifyCopy(ctx context.Context, c *Client, progress func(reached, size uint64)) (mended int, err error) {
	fromScratch := true
	err = t.untilFresh(c, func() error {
		more, err := ask(ctx, c, func(c *Client) (int, error) { return t.sync(ctx, c, progress, fromScratch) })
		mended, fromScratch = mended+more, false
		return err
	})
	return mended, err
}

// untilFresh makes an attempt, and another one at the next of several servers while what one shows as
// the newest is older than MaxAge: that server may be cut off from the ledger, and all that it
// shows is true. What was taken in from it stays.
func (t *Trust) untilFresh(c *Client, attempt func() error) error {
	for {
		if err := attempt(); err != nil {
			return err
		}
		if old := CheckAge(t.checkpoint, t.MaxAge, t.now()); old == nil || !c.servers.Leave(old) {
			return nil
		}
	}
}

func (t *Trust) sync(ctx context.Context, c *Client, progress func(reached, size uint64), fromScratch bool) (mended int, err error) {
	release, err := t.lockForSync(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, release()) }()
	return t.syncLocked(ctx, c, progress, fromScratch)
}

// syncLocked is sync of a directory whose lock is held.
func (t *Trust) syncLocked(ctx context.Context, c *Client, progress func(reached, size uint64), fromScratch bool) (mended int, err error) {
	t.reloadCheckpoint()
	next, err := t.fetchCheckpoint(ctx, c)
	if err != nil {
		return 0, err
	}
	if t.live != nil && next.published == nil {
		if err := t.live.believe(ctx, c, &next); err != nil {
			return 0, err
		}
	}
	if err := t.checkContinues(ctx, c, next); err != nil {
		return 0, err // before the copy takes in a single entry of another history
	}
	own, noCopy := t.Register()
	var edge error
	if noCopy == nil {
		_, edge = t.rightEdge(ctx, t.checkpoint.Checkpoint().Tree())
	}
	intact := noCopy == nil && edge == nil
	if t.live != nil {
		if err := t.live.begin(ctx, c, next.published, edge); err != nil {
			return 0, err
		}
	}
	if p := next.published; p != nil && intact && !fromScratch && own.Size() == t.size() && t.checkpoint.Checkpoint() == p.Checkpoint() { // nothing is new but cosignatures
		return 0, t.trustAndFetchTimes(ctx, c, own, t.checkpoint, p)
	}
	fromScratch = fromScratch || noCopy == nil && !intact // what is damaged is read anew
	if next.published != nil {                            // else the size is anybody's word
		entries, rows := next.tree.Size-t.size(), next.tree.Size
		if !fromScratch {
			rows = entries
		}
		if err := Room(t.files, t.dir, entries, rows); err != nil {
			return 0, err
		}
	}
	r, err := t.openNext(fromScratch)
	if err != nil {
		return 0, err
	}
	files := t.copyDir()
	source := &copySource{local: t.copyDir(), localSize: t.size(), server: c, with: t.With, damaged: make(map[uint64]bool)}
	if withheld := t.Withheld(); withheld != nil {
		source.localSize = withheld.Index
	}
	signed := &signedTree{url: c.URL(), tree: next.tree}
	size := next.tree.Size // to which it is replayed
	var withheld *wire.WithheldError
	for {
		signed.tiles = proof.NewTileReader(c.log.Tiles, 0)
		err = t.replayTo(ctx, r, files, source.bundle, signed, size, progress)
		if w := (*wire.WithheldError)(nil); errors.As(err, &w) && w.Index > 0 && w.Index < size {
			withheld, size = w, w.Index
			continue
		}
		if err == nil {
			_, err = r.Charters() // which are judged next: rows that a short replay may not have met
		}
		if register.IsDamaged(err) && !fromScratch && t.live == nil { // which the replay met on its way
			fromScratch = true
			if err := r.Close(); err != nil && !register.IsDamaged(err) {
				return 0, err
			}
			if r, err = t.openNext(fromScratch); err != nil {
				return 0, err
			}
			continue
		}
		sourceErr := (*SourceError)(nil)
		if !errors.As(err, &sourceErr) || ctx.Err() != nil || !source.mayRetry(sourceErr) {
			break
		}
	}
	if withheld != nil && err == nil {
		return len(source.damaged), t.finishWithheld(ctx, c, r, files, next, withheld, fromScratch)
	}
	return len(source.damaged), t.finishReplay(ctx, c, r, files, next, err)
}

// copySource reads entries from a copy's own files as far as those are good, and from
// the server otherwise.
type copySource struct {
	local        *TileDir // reads alone; what is written stands elsewhere
	localSize    uint64   // entries that the files should have
	server       *Client
	with         []Source // that may have what the server withholds
	serverFailed bool     // the server has handed out what the log did not sign once

	mu      sync.Mutex      // guards damaged
	damaged map[uint64]bool // bundles that are damaged in the files, or missing
}

// bundle reads one bundle.
func (s *copySource) bundle(ctx context.Context, id proof.EntryBundleID) ([][]byte, error) {
	if id.Index*proof.TileWidth+uint64(id.Width) <= s.localSize && !s.isDamaged(id.Index) {
		if entries, err := s.local.Bundle(ctx, id); err == nil {
			return entries, nil
		}
		s.markDamaged(id.Index)
	}
	entries, err := s.server.log.Bundle(ctx, id)
	if w := (*wire.WithheldError)(nil); errors.As(err, &w) {
		return s.bundleAround(ctx, id)
	}
	return entries, err
}

// mayRetry reports whether a run that does not match the signed tree may be read again:
// from the server if it came from the files, otherwise once more, since it may have
// been damaged in transit.
func (s *copySource) mayRetry(bad *SourceError) bool {
	before := len(s.damaged)
	if bad.Err == nil {
		for id := range proof.EntryBundles(bad.First, bad.End) {
			if id.Index*proof.TileWidth+uint64(id.Width) <= s.localSize {
				s.markDamaged(id.Index)
			}
		}
	}
	if len(s.damaged) > before {
		return true
	}
	first := !s.serverFailed
	s.serverFailed = true
	return first
}

func (s *copySource) isDamaged(bundle uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damaged[bundle]
}

func (s *copySource) markDamaged(bundle uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.damaged[bundle] = true
}

// rightEdge goes on from a tree that the copy's files make: a *[DamageError] where they do not. Where a
// copy that began with a snapshot has not got them yet, the source's do: then an error is the source's.
func (t *Trust) rightEdge(ctx context.Context, tree proof.Tree) (*proof.Appender, error) {
	grown, err := proof.LoadAppender(ctx, tree, t.copyDir().Tiles)
	if err == nil {
		return grown, nil
	}
	if t.live == nil || t.live.partial == nil || !errors.Is(err, reader.ErrMissing) {
		return nil, &DamageError{Dir: t.dir, Where: " at its right edge", Err: err}
	}
	grown, err = proof.LoadAppender(ctx, tree, t.tiles)
	if errors.Is(err, proof.ErrCorrupt) {
		err = &SourceError{URL: t.Remote.URL(), End: tree.Size, Signed: tree, Err: err}
	}
	return grown, err
}

// checkContinues proves, by the server's own tiles, that what is shown continues the trusted
// checkpoint. What satisfies no known policy accuses no log.
func (t *Trust) checkContinues(ctx context.Context, c *Client, next newestCheckpoint) error {
	if next.published != nil {
		return t.checkExtends(ctx, c, next.published)
	}
	if t.checkpoint == nil {
		return nil
	}
	one, err := t.isExtendedBy(ctx, c, next.tree)
	if err != nil && !isTransient(ctx, err) || err == nil && !one {
		return next.unproven
	}
	return err
}

// checkExtends proves, by the server's own tiles, that a checkpoint continues the
// trusted one.
func (t *Trust) checkExtends(ctx context.Context, c *Client, next *proof.Published) error {
	if t.checkpoint == nil || next.Checkpoint().Size <= t.size() {
		return nil // fetch has compared them
	}
	one, err := t.isExtendedBy(ctx, c, next.Checkpoint().Tree())
	if err == nil && !one {
		return t.forkOrBehindError(ctx, c, next)
	}
	return err
}

// isExtendedBy reports whether a larger tree begins with the trusted one, by the server's
// tiles. Those that do not make its root are a *[SourceError].
func (t *Trust) isExtendedBy(ctx context.Context, c *Client, larger proof.Tree) (bool, error) {
	s := &signedTree{url: c.URL(), tree: larger, tiles: proof.NewTileReader(c.log.Tiles, -1)}
	return s.hasPrefix(ctx, t.checkpoint.Checkpoint().Tree())
}

// finishReplay makes the replayed register the current copy and trusts its checkpoint,
// if the replay succeeded. Until then the previous copy stays as it is.
func (t *Trust) finishReplay(ctx context.Context, c *Client, r *register.Register, files *TileDir, next newestCheckpoint, err error) error {
	published := next.published
	var bad *register.EntryError
	var upgrade *register.UpgradeError
	if err == nil {
		published, err = t.judgeReplayed(ctx, r, files, next)
	} else if published == nil && errors.As(err, &bad) && !errors.As(err, &upgrade) { // it need not be the log's
		err = fmt.Errorf("%w; nor do its entries show a charter under which it counts: %w", next.unproven, err)
	}
	if err == nil {
		if late := admittedInTime(r.LastAdmitted(), published); late != nil {
			err = fmt.Errorf("entry %d: %w", next.tree.Size-1, late)
		}
	}
	synced := files.Sync() // after an error too: the next run goes on from here
	if synced == nil {
		synced = files.Prune()
	}
	if err := errors.Join(err, synced); err != nil {
		err = errors.Join(err, t.dropReplayed(r))
		if next.published == nil && !isTransient(ctx, err) { // of a tree that nobody signed, perhaps: the next sync begins with what is believed
			err = errors.Join(err, t.files.RemoveAll(t.nextPath()))
		}
		return err
	}
	if err := t.keepReplayed(r); err != nil {
		return err
	}
	if err := t.trustReplayed(ctx, c, published); err != nil {
		return err
	}
	return t.clearWithheld()
}

// trustReplayed trusts the checkpoint of the newest generation.
func (t *Trust) trustReplayed(ctx context.Context, c *Client, published *proof.Published) error {
	last := t.checkpoint
	t.checkpoint = published
	own, err := t.Register()
	if err != nil {
		t.checkpoint = last
		return err
	}
	return t.trustAndFetchTimes(ctx, c, own, last, published)
}

// judgeReplayed judges a checkpoint whose entries were all replayed, by the policy of the
// newest charter among them, and keeps the charters that the replay met.
func (t *Trust) judgeReplayed(ctx context.Context, r *register.Register, files *TileDir, next newestCheckpoint) (*proof.Published, error) {
	met, err := r.Charters()
	if err != nil {
		return nil, err
	}
	known := t.charters.below(r.Size())
	for i, k := range known {
		if i >= len(met) || met[i].Index != k.index || met[i].ID != k.id {
			return nil, fmt.Errorf("%d charters are among the first %d entries, and %d others were known", len(met), r.Size(), len(known))
		}
	}
	if len(met) == len(known) && known.proven() {
		return t.verify(next.note)
	}
	tree := proof.NewTileReader(files.Tiles, 0).At(next.tree)
	var chain []proof.Receipt
	for _, m := range met {
		entries, err := files.Entries(ctx, m.Index, m.Index+1)
		if err != nil {
			return nil, err
		}
		in, err := tree.InclusionProof(ctx, m.Index)
		if err != nil {
			return nil, err
		}
		chain = append(chain, proof.Receipt{Entry: entries[0], Index: m.Index, Path: in.Path, Checkpoint: next.note})
	}
	for _, beyond := range t.charters[len(known):] {
		chain = append(chain, beyond.receipt)
	}
	all, err := checkCharters(t.pin.Charter, chain, t.now())
	if err != nil {
		return nil, err
	}
	t.charters = all
	if err := t.writeCharters(); err != nil {
		return nil, err
	}
	return t.verify(next.note)
}

// trustAndFetchTimes makes a replayed checkpoint the trusted one and fetches the quorum
// times up to it.
func (t *Trust) trustAndFetchTimes(ctx context.Context, c *Client, r *register.Register, last, next *proof.Published) error {
	if err := t.setTrusted(next); err != nil {
		return err
	}
	t.removeOldGenerations() // not before: until here the older generation is the copy
	if t.live != nil {       // all is judged: whoever reads it does not wait for what follows
		if err := t.live.show(); err != nil || time.Now().Before(t.live.timesAgain) {
			return err
		}
	}
	// The entries are what counts: a ledger that cannot say when which size was
	// cosigned does not make the copy invalid. It is asked again by the next sync; by a live
	// copy, whose next checkpoint waits meanwhile, a while later.
	times, err := t.fetchQuorumTimes(ctx, c, r, last)
	if fork := (*InconsistencyError)(nil); errors.As(err, &fork) || ctx.Err() != nil {
		return err
	} else if err != nil {
		t.timesErr = fmt.Errorf("what was knowable when could not be learnt: %w", err)
		if t.live != nil {
			t.live.timesAgain = time.Now().Add(liveTimesPause)
		}
		return nil
	}
	t.timesErr = nil
	return t.writeTimes(times)
}

// replayTo brings the copy to a size of a signed tree, from where it stands.
func (t *Trust) replayTo(ctx context.Context, r *register.Register, files *TileDir, read readBundle, signed *signedTree, size uint64, progress func(reached, size uint64)) error {
	if t.live != nil {
		return t.live.replayTo(ctx, files, read, signed, size)
	}
	grown, err := files.resume(ctx, r)
	if err != nil {
		return err
	}
	own, err := grown.Tree()
	if err != nil {
		return err
	}
	// What an earlier server made this copy hold, beyond what was ever believed, need not
	// be of this tree.
	one, err := signed.hasPrefix(ctx, own)
	if err != nil {
		return err
	}
	if !one {
		if err := r.Reset(); err != nil {
			return err
		}
		grown = proof.NewAppender()
	}
	f := &logReplayer{read: read, tree: grown, register: r, signedTree: signed, write: files.writeRun}
	if progress != nil {
		f.progress = func(reached uint64) { progress(reached, signed.tree.Size) }
	}
	_, err = f.replayTo(ctx, size)
	return err
}

// signedTree is a tree that a log has signed, and what tells which smaller trees it
// begins with.
type signedTree struct {
	url   string // of the source that is followed
	tree  proof.Tree
	tiles *proof.TileReader // of that source
}

// hasPrefix reports whether the signed tree begins with another. Tiles that do not make the
// signed root are a *[SourceError].
func (s *signedTree) hasPrefix(ctx context.Context, smaller proof.Tree) (bool, error) {
	if smaller.Size > s.tree.Size {
		return false, nil
	}
	begins, err := s.tiles.At(s.tree).TreeAt(ctx, smaller.Size)
	if errors.Is(err, proof.ErrCorrupt) {
		return false, &SourceError{URL: s.url, End: s.tree.Size, Signed: s.tree, Err: err}
	} else if err != nil {
		return false, fmt.Errorf("comparing size %d with size %d: %w", smaller.Size, s.tree.Size, err)
	}
	return begins == smaller, nil
}

// checkRun refuses a run of entries that are not those of the signed tree.
func (s *signedTree) checkRun(ctx context.Context, r *entryRun) error {
	if !r.beginsAsBefore() {
		return &SourceError{URL: s.url, First: r.bundles[0].id.Index * proof.TileWidth, End: r.head.Size, Signed: s.tree}
	}
	if one, err := s.hasPrefix(ctx, r.head); err != nil || one {
		return err
	}
	return &SourceError{URL: s.url, First: r.start, End: r.head.Size, Signed: s.tree}
}

// SourceError says that a source handed out what is not in the tree that the log
// signed: entries [First, End), or tiles of the tree up to End (then Err says so). It
// says nothing about the log, whose signature stands on another content, and nothing of
// it was kept.
type SourceError struct {
	URL        string
	First, End uint64     // indexes of entries
	Signed     proof.Tree // by the log
	Err        error      // nil if the entries are at fault
}

func (e *SourceError) Unwrap() error { return e.Err }

func (e *SourceError) Error() string {
	what := fmt.Sprintf("the entries [%d, %d) that %s hands out are", e.First, e.End, e.URL)
	if e.Err != nil {
		what = fmt.Sprintf("the tiles that %s hands out are", e.URL)
	}
	return fmt.Sprintf("%s not those of the tree of size %d that the log signed: a fault of this source, not of the log; nothing of them was kept", what, e.Signed.Size)
}

// TimesErr is why the last sync did not learn the quorum times of the sizes that it
// brought; nil if it did. Until another one does, what was knowable goes by the times
// known before.
func (t *Trust) TimesErr() error { return t.timesErr }

// fetchCheckpoint gets the newest checkpoint and judges its signatures, not yet its
// history, by the policies known. What satisfies none may still be believed once a newer
// charter is known, if it is larger than what is trusted.
func (t *Trust) fetchCheckpoint(ctx context.Context, c *Client) (next newestCheckpoint, err error) {
	if next.note, err = c.checkpoint(ctx); err != nil {
		return next, err
	}
	cp, _, err := proof.ParseCheckpoint(next.note)
	if err != nil {
		return next, &NoLedgerError{URL: c.URL(), What: "what it hands out as /checkpoint is none", Err: err}
	}
	next.tree = cp.Tree()
	if len(t.charters) == 0 {
		first, err := t.fetchFirstCharter(ctx, c, cp)
		if err != nil {
			return next, err
		}
		t.charters = charters{first}
	}
	if next.published, err = t.verify(next.note); err != nil && next.tree.Size <= t.size() {
		return next, err
	} else if err != nil {
		next.unproven = err
		return next, nil
	}
	if t.checkpoint == nil {
		return next, nil
	}
	if last := t.checkpoint.Checkpoint().Tree(); next.tree.Size < last.Size || next.tree.Size == last.Size && next.tree.Root != last.Root {
		return next, t.forkOrBehindError(ctx, c, next.published)
	}
	return next, nil
}

// refreshCharters fetches the server's chain of charters, which must go on from those known.
func (t *Trust) refreshCharters(ctx context.Context, c *Client) error {
	raw, err := c.ChainUnverified(ctx, t.pin.Charter)
	if TilesAlone(err) {
		return fmt.Errorf("%w by %s: %w", ErrNoChain, c.URL(), err)
	} else if err != nil {
		return fmt.Errorf("fetching the charters: %w", err)
	}
	known := t.charters
	if err := t.setCharters(raw); err != nil {
		return err
	}
	if len(t.charters) < len(known) {
		t.charters = known
		return errors.New("the ledger hides a charter that is known here")
	}
	return t.writeCharters()
}

// TilesAlone says of the error of a call beside C2SP's, such as for a receipt, that the server
// has no such calls: it is a refusal without a problem of ours, or a web page.
func TilesAlone(err error) bool {
	var p *Problem
	var page *wire.PageError
	return errors.As(err, &p) && p.Type == "" && !p.Retryable() || errors.As(err, &page)
}

// setTrusted makes a checkpoint the trusted one.
func (t *Trust) setTrusted(next *proof.Published) error {
	if err := disk.WriteFile(t.files, t.path(checkpointFile), next.Note(), 0o644, disk.SyncNow); err != nil {
		return err
	}
	t.checkpoint = next
	return nil
}
