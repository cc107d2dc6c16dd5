// Package backup makes backups of a ledger's directory, and a ledger's directory of a backup
// and of whatever else holds parts of the log: mirrors, copies, other backups.
//
//	B/backup.json                whose backup it is, and how far it goes: written last
//	B/log/checkpoint, tile/…     what is committed, in the layout of C2SP tlog-tiles, and what is published
//	B/archive/0, 1, …            the checkpoints that were published before, 256 a file
//	B/withheld.json              entries whose bytes are not served, where there are some
//	B/auditors/…                 the newest cosignature of each auditor, where there are some
//	B/keys/…                     the log's keys, and the marks of those that have signed
//
// It promises of a backup that backup.json and what it names are whole at every moment,
// whatever happened to the process or to the machine, and that one log alone is in it. A
// backup is no ledger, and nobody signs from it: what was signed since it was made is not in
// it. [Restore] looks for that first.
//
// It does not protect what it holds: the keys lie in it as they lie beside the store.
package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Names in a backup.
const (
	manifestFile   = node.BackupFile
	logDir         = "log"
	archiveDir     = "archive"
	auditorsDir    = node.AuditorsDir
	keysDir        = "keys"
	checkpointFile = "checkpoint"
	lockFile       = "lock"
)

// manifest is what backup.json holds.
type manifest struct {
	Format   int       `json:"docketBackup"`
	Origin   string    `json:"origin"`
	Ledger   record.ID `json:"ledger"`   // the first charter's record ID
	Size     uint64    `json:"size"`     // entries that were committed
	Root     string    `json:"root"`     // over them, as checkpoints write it
	Archived uint64    `json:"archived"` // checkpoints in the archive
	Made     time.Time `json:"made"`
}

const manifestFormat = 1

// head is the tree of what was committed.
func (m manifest) head() ledger.Head {
	root, _ := proof.ParseHash(m.Root) // readManifest has looked
	return ledger.Head{Size: m.Size, Root: root}
}

var (
	// ErrNone: the directory holds no backup.
	ErrNone = errors.New("no backup")

	// ErrOther: what is in the directory is of another ledger, or something else.
	ErrOther = errors.New("another place is needed for this backup")

	// ErrLater: a later version of docket made the backup.
	ErrLater = errors.New("upgrade docket")

	// ErrForked: the ledger and its backup do not hold one history.
	ErrForked = errors.New("the ledger is not what its backup began with")

	// ErrOlder: the ledger holds less than its backup.
	ErrOlder = errors.New("the ledger holds less than its backup")

	// ErrDamaged: the backup cannot be read, or what is to be backed up.
	ErrDamaged = errors.New("damaged")

	// ErrBusy: another process writes to the directory.
	ErrBusy = errors.New("another process is at work there")
)

// Options say what to back up, and where to.
type Options struct {
	From        node.Committed
	Keys        string // directory of the log's keys, in the ledger's
	Files       vfs.FS // of the keys and of the backup
	To          string
	WithoutKeys bool                       // the keys stay where they are; their marks are backed up
	Progress    func(reached, size uint64) // may be nil
	Room        func(entries uint64) error // whether so many entries have room; may be nil
}

// Report is what a backup holds.
type Report struct {
	Origin          string
	Ledger          record.ID
	Size, New       uint64 // entries, and how many of them were new
	Root            proof.Hash
	Published       uint64 // size of the published checkpoint; 0 without one
	Archived        uint64 // checkpoints kept
	Keys            int    // files of keys; 0 without
	Auditors        int    // auditors whose newest cosignature is kept
	Withheld        int    // entries whose bytes the ledger does not serve; the backup has them
	BackedUpEarlier bool
}

// backup is one that is written.
type backup struct {
	Options
	old  manifest
	tree *proof.Appender
	log  *client.TileDir
}

func (b *backup) path(name string) string { return b.Files.PathJoin(b.To, name) }

// Write brings a backup to what the ledger has committed. Only what is new is written. An
// error leaves the backup that was there. [ErrOther], [ErrLater], [ErrForked], [ErrOlder],
// [ErrDamaged], [ErrBusy].
func Write(ctx context.Context, o Options) (*Report, error) {
	b := &backup{Options: o, log: client.NewTileDir(o.Files, o.Files.PathJoin(o.To, logDir))}
	next, published, err := b.look(ctx)
	if err != nil {
		return nil, err
	}
	if next.Size == 0 {
		return nil, ErrEmpty
	}
	if _, err := readManifest(b.Files, b.To); errors.Is(err, ErrNone) {
		if err := b.requireEmpty(); err != nil {
			return nil, err
		}
		if err := disk.MakeDir(b.Files, b.To, 0o700); err != nil {
			return nil, err
		}
	}
	lock, err := disk.Lock(b.Files, b.path(lockFile))
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("%s: %w: %w", b.To, ErrBusy, err)
	} else if err != nil {
		return nil, err
	}
	var r *Report
	if err = b.begin(next); err == nil {
		r, err = b.write(ctx, next, published)
	}
	return r, errors.Join(err, lock.Close())
}

// look reads how far the ledger goes. The order makes the three fit together: what is
// archived was published before, and what is published was committed before.
func (b *backup) look(ctx context.Context) (next manifest, published []byte, err error) {
	next = manifest{Format: manifestFormat, Made: time.Now().UTC().Truncate(time.Second)}
	if next.Archived, err = b.From.ArchivedCount(ctx); err != nil {
		return next, nil, err
	}
	if published, err = b.From.Published(ctx); err != nil {
		return next, nil, err
	}
	head, err := b.From.Head(ctx)
	if err != nil {
		return next, nil, err
	}
	if head.Size == 0 {
		return next, nil, nil
	}
	next.Size, next.Root = head.Size, head.Root.String()
	first, err := b.From.Entries(ctx, 0, 1)
	if err != nil {
		return next, nil, err
	}
	id, charter, err := firstCharter(first)
	if err != nil {
		return next, nil, fmt.Errorf("%w: the ledger's first entry: %w", ErrDamaged, err)
	}
	next.Ledger, next.Origin = id, charter.Origin
	return next, published, nil
}

// firstCharter is what the first entry holds.
func firstCharter(entries [][]byte) (record.ID, *record.Charter, error) {
	if len(entries) != 1 {
		return record.ID{}, nil, errors.New("it is not there")
	}
	e, err := record.ParseEntry(entries[0])
	if err != nil {
		return record.ID{}, nil, err
	}
	st, err := record.ParseStatement(e.Envelope.Payload)
	if err != nil {
		return record.ID{}, nil, err
	}
	c, ok := st.Predicate.(*record.Charter)
	if !ok {
		return record.ID{}, nil, fmt.Errorf("it is of kind %s, and no charter", st.Kind)
	}
	return record.IDOf(e.Envelope.Payload), c, nil
}

// ErrEmpty: the ledger has no charter yet, and so nothing to back up but its keys.
var ErrEmpty = errors.New("the ledger has no charter yet")

// begin finds the backup that is there, and begins one where there is none.
func (b *backup) begin(next manifest) error {
	old, err := readManifest(b.Files, b.To)
	switch {
	case errors.Is(err, ErrNone):
		// First of all: what is interrupted now is known for a backup, and gone on with.
		b.old = manifest{Format: manifestFormat, Origin: next.Origin, Ledger: next.Ledger, Root: proof.EmptyRoot().String(), Made: next.Made}
		return b.writeManifest(b.old)
	case err != nil:
		return err
	case old.Ledger != next.Ledger || old.Origin != next.Origin:
		return fmt.Errorf("%w: %s holds that of %s (%s), and this ledger is %s (%s)", ErrOther, b.To, old.Ledger, old.Origin, next.Ledger, next.Origin)
	case old.Size > next.Size:
		return fmt.Errorf("%w: %d entries, and %s has %d of them", ErrOlder, next.Size, b.To, old.Size)
	}
	b.old = old
	return nil
}

func (b *backup) requireEmpty() error {
	names, err := b.Files.List(b.To)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %s is a file", ErrOther, b.To)
	case err != nil:
		return err
	}
	for _, name := range names {
		if name != lockFile && !disk.Unfinished(name, manifestFile) {
			return fmt.Errorf("%w: %s is no backup, and holds %s", ErrOther, b.To, name)
		}
	}
	return nil
}

func readManifest(files vfs.FS, dir string) (m manifest, err error) {
	raw, err := disk.ReadFile(files, files.PathJoin(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return m, fmt.Errorf("%w in %s: there is no %s", ErrNone, dir, manifestFile)
	} else if err != nil {
		return m, err
	}
	err = json.Unmarshal(raw, &m)
	switch {
	case m.Format > manifestFormat:
		return m, fmt.Errorf("%s holds a backup of format %d, and this version of docket reads no later one than %d: %w", dir, m.Format, manifestFormat, ErrLater)
	case err == nil && (m.Format != manifestFormat || m.Ledger.IsZero()):
		err = errors.New("it does not say whose backup it is")
	case err == nil:
		_, err = proof.ParseHash(m.Root)
	}
	if err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrDamaged, files.PathJoin(dir, manifestFile), err)
	}
	return m, nil
}

func (b *backup) writeManifest(m manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return disk.WriteFile(b.Files, b.path(manifestFile), append(text, '\n'), 0o644, disk.SyncNow)
}

// write writes all that is new, and last what says so.
func (b *backup) write(ctx context.Context, next manifest, published []byte) (*Report, error) {
	if b.Room != nil {
		if err := b.Room(next.Size - b.old.Size); err != nil {
			return nil, err
		}
	}
	if err := b.writeLog(ctx, next, published); err != nil {
		return nil, err
	}
	if err := b.writeArchive(ctx, next.Archived); err != nil {
		return nil, err
	}
	keys, err := b.writeKeys()
	if err != nil {
		return nil, err
	}
	withheld, err := node.CopyWithheld(b.Files, b.Files.PathDir(b.Keys), b.To)
	if err != nil {
		return nil, err
	}
	words, err := auditors.Copy(b.Files, b.Files.PathJoin(b.Files.PathDir(b.Keys), auditorsDir), b.path(auditorsDir))
	if err != nil {
		return nil, err
	}
	r := &Report{Auditors: words, Withheld: withheld, Origin: next.Origin, Ledger: next.Ledger, Size: next.Size, New: next.Size - b.old.Size, Root: next.head().Root,
		Archived: next.Archived, Keys: keys, BackedUpEarlier: b.old.Size > 0}
	if published != nil {
		cp, _, err := proof.ParseCheckpoint(published)
		if err != nil {
			return nil, err
		}
		r.Published = cp.Size
		if err := disk.WriteFile(b.Files, b.Files.PathJoin(b.path(logDir), checkpointFile), published, 0o644, disk.SyncNow); err != nil {
			return nil, err
		}
	}
	if err := b.writeManifest(next); err != nil {
		return nil, err
	}
	return r, b.log.Prune()
}

// writeLog copies the entries that are new, and makes their tiles. All are checked against
// the ledger's own root, and the published checkpoint against them.
func (b *backup) writeLog(ctx context.Context, next manifest, published []byte) (err error) {
	if b.tree, err = b.loadTree(ctx); err != nil {
		return err
	}
	for id := range proof.EntryBundles(b.old.Size, next.Size) {
		if err := b.writeBundle(ctx, id); err != nil {
			return err
		}
		if b.Progress != nil {
			b.Progress(b.tree.Size(), next.Size)
		}
	}
	switch made, err := b.tree.Tree(); {
	case err != nil:
		return err
	case made != next.head():
		return b.explainRoot(ctx, next)
	}
	if err := b.log.WriteTiles(b.tree.PartialTiles()); err != nil {
		return err
	}
	if err := b.checkPublished(ctx, next, published); err != nil {
		return err
	}
	return b.log.Sync()
}

// loadTree is the tree of the backup that is there.
func (b *backup) loadTree(ctx context.Context) (*proof.Appender, error) {
	if b.old.Size == 0 {
		return proof.NewAppender(), nil
	}
	tree, err := proof.LoadAppender(ctx, b.old.head(), b.log.Tiles)
	if err != nil {
		return nil, fmt.Errorf("%w: the newest tiles of the backup in %s: %w", ErrDamaged, b.To, err)
	}
	return tree, nil
}

// writeBundle copies one bundle: whole, since its file is written whole. What the backup has
// of it already must be the same.
func (b *backup) writeBundle(ctx context.Context, id proof.EntryBundleID) error {
	first := id.Index * proof.TileWidth
	entries, err := b.From.Entries(ctx, first, first+uint64(id.Width))
	if err != nil {
		return fmt.Errorf("reading the entries [%d, %d): %w", first, first+uint64(id.Width), err)
	}
	if len(entries) != id.Width {
		return fmt.Errorf("%w: %d entries for [%d, %d)", ErrDamaged, len(entries), first, first+uint64(id.Width))
	}
	known := int(b.tree.Size() - first)
	if known > 0 {
		rows, err := b.log.Tiles(ctx, []proof.TileID{{Index: id.Index, Width: known}})
		if err != nil {
			return err
		}
		for i, e := range entries[:known] {
			if leaf := proof.LeafHash(e); !bytes.Equal(leaf[:], rows[0][i*len(leaf):(i+1)*len(leaf)]) {
				return fmt.Errorf("%w: entry %d is another one", ErrForked, first+uint64(i))
			}
		}
	}
	for _, e := range entries[known:] {
		if err := b.tree.Append(proof.LeafHash(e)); err != nil {
			return err
		}
	}
	if err := b.log.WriteBundle(id, entries); err != nil {
		return err
	}
	return b.log.WriteTiles(slices.DeleteFunc(b.tree.TakeTiles(), func(t proof.Tile) bool { return t.ID.Width < proof.TileWidth }))
}

// explainRoot says why the entries do not make the ledger's root: some of the new ones are
// not what they were, or those before them are others than the backup's.
func (b *backup) explainRoot(ctx context.Context, next manifest) error {
	anew := proof.NewAppender()
	for id := range proof.EntryBundles(0, next.Size) {
		first := id.Index * proof.TileWidth
		entries, err := b.From.Entries(ctx, first, first+uint64(id.Width))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := anew.Append(proof.LeafHash(e)); err != nil {
				return err
			}
		}
	}
	made, err := anew.Tree()
	if err != nil {
		return err
	}
	if made == next.head() {
		return fmt.Errorf("%w: its first %d entries have another root than in %s", ErrForked, b.old.Size, b.To)
	}
	return fmt.Errorf("%w: the ledger's %d entries have the root %s, and its store says %s", ErrDamaged, next.Size, made.Root, next.Root)
}

// checkPublished compares what is published with what was copied.
func (b *backup) checkPublished(ctx context.Context, next manifest, published []byte) error {
	if published == nil {
		return nil
	}
	cp, _, err := proof.ParseCheckpoint(published)
	if err != nil {
		return fmt.Errorf("%w: the ledger's published checkpoint: %w", ErrDamaged, err)
	}
	var made proof.Tree
	if cp.Size <= next.Size {
		if made, err = proof.NewTileReader(b.log.Tiles, 0).At(next.head()).TreeAt(ctx, cp.Size); err != nil {
			return err
		}
	}
	if cp.Origin != next.Origin || cp.Tree() != made {
		return fmt.Errorf("%w: the ledger's published checkpoint of size %d is not of its entries", ErrDamaged, cp.Size)
	}
	return nil
}

// archiveBlock is how many blobs are in a file of the archive.
const archiveBlock = 256

func archivePath(files vfs.FS, dir string, block uint64) string {
	return files.PathJoin(dir, archiveDir, strconv.FormatUint(block, 10))
}

// writeArchive copies the blobs that are new. The newest file is written again as it grows,
// and begins with what it held.
func (b *backup) writeArchive(ctx context.Context, count uint64) error {
	if count == b.old.Archived {
		return nil
	}
	if count < b.old.Archived {
		return fmt.Errorf("%w: %d kept checkpoints, and %s has %d of them", ErrOlder, count, b.To, b.old.Archived)
	}
	if err := disk.MakeDir(b.Files, b.path(archiveDir), 0o755); err != nil {
		return err
	}
	for block := b.old.Archived / archiveBlock; block*archiveBlock < count; block++ {
		start, end := block*archiveBlock, min(count, (block+1)*archiveBlock)
		blobs, err := b.From.Archived(ctx, start, end)
		if err != nil {
			return fmt.Errorf("reading the kept checkpoints [%d, %d): %w", start, end, err)
		}
		var text []byte
		for _, blob := range blobs {
			text = append(fmt.Appendf(text, "%d\n", len(blob)), blob...)
		}
		if err := disk.WriteFile(b.Files, archivePath(b.Files, b.To, block), text, 0o644, disk.SyncNow); err != nil {
			return err
		}
	}
	return nil
}

// readArchive reads the blobs of a block, at most as many; those before what is damaged.
func readArchive(files vfs.FS, dir string, block uint64, most int) (blobs [][]byte, err error) {
	text, err := disk.ReadFile(files, archivePath(files, dir, block))
	for len(text) > 0 && len(blobs) < most && err == nil {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		var n uint64
		if n, err = strconv.ParseUint(string(line), 10, 32); err == nil && n > uint64(len(rest)) {
			err = errors.New("it is cut off")
		}
		if err == nil {
			blobs, text = append(blobs, rest[:n]), rest[n:]
		}
	}
	if err == nil && len(blobs) < most {
		err = errors.New("it is cut off")
	}
	if err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrDamaged, archivePath(files, dir, block), err)
	}
	return blobs, err
}
