package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
)

// A live copy may begin with a snapshot of another node's register, and replay behind it. Then
// register/started is the register that is read and advanced, register/snapshot what it
// began as, and register/next the replay from the first entry on; entries and tiles that the
// copy does not have yet are read from the source, and held against the trusted root.
// snapshot.note is there until the replay has come to the same rows: until then the directory
// has no copy for any other command, and it never becomes a generation. Where the replay shows
// it wrong, it is kept as snapshot-wrong.note, and no other snapshot is begun with.
const (
	startedDir        = registerDir + "/started"
	snapshotDir       = registerDir + "/snapshot"
	snapshotFile      = "snapshot.note"
	wrongSnapshotFile = "snapshot-wrong.note"
)

// SnapshotKeys say by whose node keys a live copy may begin with a snapshot: of nodes of the same
// operator, whose replay is as good as one's own, and of others'.
type SnapshotKeys struct{ Own, Others []proof.Key }

// Any says whether there is any.
func (k SnapshotKeys) Any() bool { return len(k.all()) > 0 }

func (k SnapshotKeys) all() []proof.Key { return slices.Concat(k.Own, k.Others) }

// SnapshotError is a snapshot whose rows are not those that the replay of the log makes, or that is of
// an entry which the rules refuse: whoever signed it lied, or its disk or its binary did. Nothing of it is
// left but what was signed, in snapshot-wrong.note.
type SnapshotError struct {
	By          proof.Key
	Size        uint64
	Rows, Wrong uint64
	Err         error // a *[register.EntryError] where the replay ends at an entry
}

func (e *SnapshotError) Unwrap() error { return e.Err }

func (e *SnapshotError) Error() string {
	why := fmt.Sprintf("of %d rows of the register %d are others, missing or too many", e.Rows, e.Wrong)
	if e.Err != nil {
		why = e.Err.Error()
	}
	return fmt.Sprintf("the snapshot of size %d that %s signed is not what the log says: %s", e.Size, e.By.Label(), why)
}

// ErrNoSnapshot: the source hands out none.
var ErrNoSnapshot = errors.New("no snapshot of the register is handed out")

// StartFromSnapshot fetches the newest snapshot of the source's register, for a directory that has no copy:
// then [Trust.OpenLive] begins with it. It is believed if one of the keys has signed it, and it is of
// this ledger, by the rules and in the form of this binary, up to a tree that the newest checkpoint
// continues: what was published since is judged after it. Files that were fetched whole before it was cut off
// are not fetched again.
func (t *Trust) StartFromSnapshot(ctx context.Context, c *Client, keys SnapshotKeys, progress func(done, all uint64)) error {
	return t.StartRegister(ctx, c, keys, t.path(startedDir), progress)
}

// StartRegister is [Trust.StartFromSnapshot] for a register that is not the directory's own: it makes one
// of the same rows at another place of the same disk, where there is none. [Trust.Unreplayed] is the
// snapshot until [Trust.ReplayBehind] has come to the same rows.
func (t *Trust) StartRegister(ctx context.Context, c *Client, keys SnapshotKeys, to string, progress func(done, all uint64)) (err error) {
	release, err := t.lockForSync(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if t.has(wrongSnapshotFile) {
		return fmt.Errorf("a snapshot that this directory began with was wrong: %s says which; no other is begun with while that is there", t.path(wrongSnapshotFile))
	}
	if err := t.Refresh(ctx, c); err != nil {
		return err
	}
	signed, err := c.log.Snapshot(ctx, snapshot.MaxManifestBytes)
	if wire.IsNotFound(err) {
		return fmt.Errorf("%w by %s", ErrNoSnapshot, c.URL())
	} else if err != nil {
		return err
	}
	v, err := snapshot.Verify(signed, keys.all()...)
	if err != nil {
		return err
	}
	if err := t.checkSnapshot(ctx, c, v); err != nil {
		return err
	}
	if err := Room(t.files, t.dir, 0, v.Bytes()/rowsRoom); err != nil {
		return err
	}
	var done uint64
	err = v.Fetch(ctx, t.files, t.path(snapshotDir), c.openSnapshot(v.Tree.Size), func(n uint64) {
		if done += n; progress != nil {
			progress(done, v.Bytes())
		}
	})
	if err != nil {
		return err
	}
	if err := t.checkSnapshotRegister(v); err != nil {
		return errors.Join(err, t.files.RemoveAll(t.path(snapshotDir)))
	}
	if err := disk.WriteFile(t.files, t.path(snapshotFile), v.Note, 0o644, disk.SyncNow); err != nil {
		return err
	}
	making := to + ".making"
	for _, step := range []func() error{
		func() error { return t.files.RemoveAll(making) },
		func() error { return t.clone(t.path(snapshotDir), making) },
		func() error { return disk.SyncDirs(t.files, making) },
		func() error { return disk.Rename(t.files, making, to) }, // a whole one, or none
	} {
		if err := step(); err != nil {
			return fmt.Errorf("making a register of the snapshot: %w", err)
		}
	}
	return nil
}

// checkSnapshot refuses a snapshot that is not of this ledger as it is trusted.
func (t *Trust) checkSnapshot(ctx context.Context, c *Client, v *snapshot.Verified) error {
	charter, _ := t.Charter()
	if err := v.Of(charter.Origin, register.RulesVersion, register.FormatVersion); err != nil {
		return err
	}
	policy, err := t.Policy(t.size())
	if err != nil {
		return err
	}
	if role := policy.InRole(v.By); role != "" {
		return fmt.Errorf("the snapshot is signed with the key of the %s: a node's key is nobody else's", role)
	}
	if v.Tree.Size > t.size() {
		return fmt.Errorf("%w: the snapshot is of size %d, and %d entries are published", ErrUnpublished, v.Tree.Size, t.size())
	}
	tree, err := proof.NewTileReader(c.log.Tiles, 0).At(t.checkpoint.Checkpoint().Tree()).TreeAt(ctx, v.Tree.Size)
	if err != nil {
		return fmt.Errorf("comparing the snapshot with the log: %w", err)
	}
	if tree != v.Tree {
		return fmt.Errorf("the snapshot of size %d is of another log: its root is %s, and that of the log %s", v.Tree.Size, v.Tree.Root, tree.Root)
	}
	return nil
}

// checkSnapshotRegister looks whether the files are a register, and of what the manifest says.
func (t *Trust) checkSnapshotRegister(v *snapshot.Verified) error {
	o := RegisterOptions()
	o.ReadOnly = true
	o.Health = disk.NewHealth(disk.Config{})
	r, err := register.Open(t.files, t.path(snapshotDir), o)
	if err != nil {
		return fmt.Errorf("the snapshot: %w", err)
	}
	cursor, ledger := r.Cursor(), r.Ledger()
	if err := r.Close(); err != nil {
		return err
	}
	if (proof.Tree{Size: cursor.Size, Root: cursor.Root}) != v.Tree || ledger != t.pin.Charter {
		return fmt.Errorf("the snapshot is signed as of size %d of ledger %s, and its rows are of size %d of ledger %s", v.Tree.Size, t.pin.Charter, cursor.Size, ledger)
	}
	return nil
}

// openSnapshot reads a file of the source's snapshot of a size.
func (c *Client) openSnapshot(size uint64) func(ctx context.Context, f snapshot.File, offset uint64) (io.ReadCloser, error) {
	return func(ctx context.Context, f snapshot.File, offset uint64) (io.ReadCloser, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/v1/snapshot/%d/%s", c.URL(), size, f.Name), nil)
		if err != nil {
			return nil, err
		}
		want := http.StatusOK
		if offset > 0 {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
			want = http.StatusPartialContent
		}
		res, err := c.servers.Stream(req) // however long it is: who reads it ends what drips
		if err != nil {
			return nil, wire.CallError(err)
		}
		if res.StatusCode != want {
			defer res.Body.Close()
			return nil, readProblem(res)
		}
		return res.Body, nil
	}
}

// Unreplayed is the snapshot that a register began with and no replay has come up to yet; nil if there is
// none.
func (t *Trust) Unreplayed() (*snapshot.Verified, error) {
	note, err := disk.ReadFile(t.files, t.path(snapshotFile))
	if missing(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	v, err := snapshot.Verify(note, t.Snapshots.all()...)
	if errors.Is(err, snapshot.ErrNotSigned) {
		err = fmt.Errorf("%w: give that key again, or remove %s and %s, and the copy begins anew", err, t.path(startedDir), t.path(snapshotFile))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: the copy began with a snapshot: %w", t.dir, err)
	}
	return v, nil
}

// hasStarted says that the live register is one that began with a snapshot.
func (t *Trust) hasStarted() bool { return t.has(startedDir) }

// has says that one of these is in the directory.
func (t *Trust) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		_, err := t.files.Stat(t.path(name))
		return err == nil
	})
}

// maxRemoteReads is how many bundles are fetched at once for those who read a copy that is not whole:
// their reads are the source's, whole bundles for single entries, up to 16 MiB each.
const maxRemoteReads = 4

// partialCopy reads what the copy has from its files, and the rest from the source.
type partialCopy struct {
	*TileDir
	remote  *Client
	reading chan struct{} // of maxRemoteReads
}

func newPartialCopy(own *TileDir, remote *Client) *partialCopy {
	return &partialCopy{own, remote, make(chan struct{}, maxRemoteReads)}
}

func (p partialCopy) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	rows := make([][]byte, len(ids))
	var lacking []proof.TileID
	for i, id := range ids {
		own, err := p.TileDir.Tiles(ctx, ids[i:i+1])
		if errors.Is(err, reader.ErrMissing) {
			lacking = append(lacking, id)
			continue
		} else if err != nil {
			return nil, err
		}
		rows[i] = own[0]
	}
	if len(lacking) == 0 {
		return rows, nil
	}
	others, err := p.remote.log.Tiles(ctx, lacking)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		if rows[i] == nil {
			rows[i], others = others[0], others[1:]
		}
	}
	return rows, nil
}

func (p partialCopy) Entries(ctx context.Context, start, end uint64) ([][]byte, error) {
	return EntriesOf(ctx, p.Bundle, start, end)
}

func (p partialCopy) Bundle(ctx context.Context, id proof.EntryBundleID) ([][]byte, error) {
	entries, err := p.TileDir.Bundle(ctx, id)
	if !errors.Is(err, reader.ErrMissing) {
		return entries, err
	}
	select {
	case p.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-p.reading }()
	return p.remote.log.Bundle(ctx, id)
}

// tiles reads tiles of the copy; of one that is not whole yet, of the source too.
func (t *Trust) tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	if t.live != nil && t.live.partial != nil {
		return t.live.partial.Tiles(ctx, ids)
	}
	return t.copyDir().Tiles(ctx, ids)
}

// Unreplayed is the snapshot that the copy began with, as long as no replay has come to the same rows; nil
// otherwise. own says that a node of the same operator signed it.
func (l *Live) Unreplayed() (v *snapshot.Verified, own bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v = l.unreplayed
	return v, v != nil && slices.ContainsFunc(l.trust.Snapshots.Own, func(k proof.Key) bool { return k.SamePublicKey(v.By) && k.ID() == v.By.ID() })
}

// Replay is [Trust.ReplayBehind] from a source. It fetches all entries below the snapshot, so that the copy
// is whole then. It goes on from where it was cut off, beside [Live.Follow], in another goroutine.
func (l *Live) Replay(ctx context.Context, c *Client, progress func(reached, size uint64)) error {
	v, _ := l.Unreplayed()
	if v == nil {
		return nil
	}
	t := l.trust
	files := t.copyDir()
	source := &copySource{local: t.copyDir(), localSize: v.Tree.Size, server: c, with: t.With, damaged: make(map[uint64]bool)}
	signed := &signedTree{url: c.URL(), tree: v.Tree, tiles: proof.NewTileReader(c.log.Tiles, 0)}
	beside := &Trust{files: t.files, dir: t.dir}
	err := t.ReplayBehind(v, func(own *register.Register) error {
		for {
			err := beside.replayTo(ctx, own, files, source.bundle, signed, v.Tree.Size, progress)
			if bad := (*SourceError)(nil); errors.As(err, &bad) && ctx.Err() == nil && source.mayRetry(bad) {
				continue
			}
			return errors.Join(err, files.Sync())
		}
	})
	if wrong := (*SnapshotError)(nil); errors.As(err, &wrong) {
		l.wrong = true // Close discards it; killed before, the note says still that nothing was replayed
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unreplayed = nil
	return nil
}

// ReplayBehind has the log replayed from its first entry up to the snapshot that a register began with, into
// one of its own, which goes on from where it was cut off, and compares every row: a *[SnapshotError] where
// one is another, or where the log has an entry that the rules refuse, of which no honest replay makes rows.
// Once they are the same nothing of the snapshot, or of the replay, is left beside the register.
func (t *Trust) ReplayBehind(v *snapshot.Verified, replay func(*register.Register) error) error {
	own, err := register.Open(t.files, t.path(nextGenerationDir), t.registerOptions())
	if err != nil {
		return err
	}
	rows, wrong, err := uint64(0), uint64(0), replay(own)
	if err == nil {
		rows, wrong, err = t.compareSnapshot(own)
	}
	if refused := (*register.EntryError)(nil); errors.As(err, &refused) && !errors.As(err, new(*register.UpgradeError)) {
		return errors.Join(&SnapshotError{By: v.By, Size: v.Tree.Size, Err: refused}, own.Close())
	}
	if err := errors.Join(err, own.Close()); err != nil {
		return err
	}
	if wrong > 0 {
		return &SnapshotError{By: v.By, Size: v.Tree.Size, Rows: rows, Wrong: wrong}
	}
	if err := disk.Remove(t.files, t.path(snapshotFile)); err != nil {
		return err // while the note is there, so is what it is compared with
	}
	return errors.Join(t.files.RemoveAll(t.path(snapshotDir)), t.files.RemoveAll(t.path(nextGenerationDir)))
}

// compareSnapshot holds the snapshot's rows against those of a replay.
func (t *Trust) compareSnapshot(own *register.Register) (rows, wrong uint64, err error) {
	o := t.registerOptions()
	o.ReadOnly = true
	theirs, err := register.Open(t.files, t.path(snapshotDir), o)
	if err != nil {
		return 0, 0, err
	}
	rows, wrong, err = own.Compare(theirs)
	return rows, wrong, errors.Join(err, theirs.Close())
}

// ReplayedBehind is where [Trust.ReplayBehind] has what it has replayed, as far as that came.
func (t *Trust) ReplayedBehind() string { return t.path(nextGenerationDir) }

// discardStarted removes a register that began with a snapshot, and what was fetched of one. The note goes
// last, by forget: a register without it counts as replayed.
func (t *Trust) discardStarted(forget func() error) error {
	gone := t.path(startedDir + ".making")
	err := t.files.RemoveAll(gone)
	if err == nil && t.hasStarted() {
		err = disk.Rename(t.files, t.path(startedDir), gone)
	}
	if err != nil {
		return err
	}
	return errors.Join(forget(), t.files.RemoveAll(gone), t.files.RemoveAll(t.path(snapshotDir)))
}

// keepWrongNote keeps what was signed of a snapshot that was wrong.
func (t *Trust) keepWrongNote() error {
	return disk.Rename(t.files, t.path(snapshotFile), t.path(wrongSnapshotFile))
}
