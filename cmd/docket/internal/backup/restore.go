package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Restore says what to make a ledger's directory of.
type Restore struct {
	Files            vfs.FS
	Backup, To       string
	With             []string          // URLs and directories: mirrors, copies, other backups
	WithoutWitnesses bool              // those who do not answer are gone for ever
	Transport        http.RoundTripper // to witnesses and URLs; nil is http.DefaultTransport
	Fatal            func(reason string)
	Progress         func(reached, size uint64)       // may be nil
	Room             func(entries uint64) error       // whether so many have room; may be nil
	Warn             func(format string, args ...any) // what to know, and no reason to stop
}

// RestoreReport is what was made.
type RestoreReport struct {
	Origin    string
	Ledger    record.ID
	Size      uint64 // entries
	Root      proof.Hash
	Backup    uint64 // how many of them the backup says it holds
	Published uint64 // size of the checkpoint that is published; 0 without one
	Unsigned  uint64 // entries at the end that were committed, and over which no signature of the log's was found
	Archived  uint64 // checkpoints kept of earlier times
	HasKeys   bool
	Quorum    string // whose word it is that there is no more: the policy's quorum, "none" without one
}

var (
	// ErrInTheWay: the directory to be made holds a ledger, or a part of one.
	ErrInTheWay = errors.New("it is not empty")

	// ErrUnopened: a source cannot be opened.
	ErrUnopened = errors.New("it cannot be read")

	// ErrNoQuorum: too few of the witnesses say how far the log goes.
	ErrNoQuorum = errors.New("too few witnesses say how far the log goes")
)

// Range is a run of entries, [Start, End).
type Range struct{ Start, End uint64 }

func (r Range) String() string { return fmt.Sprintf("[%d, %d)", r.Start, r.End) }

// MissingError says which entries nobody has who was asked.
type MissingError struct {
	Ranges    []Range
	Signed    proof.Tree // which the log has signed, and which has them
	ShownBy   []string   // who shows that
	Silent    []string   // sources that did not answer, and may have them
	Unwatched bool       // there are no witnesses
}

func (e *MissingError) Error() string {
	var all []string
	for _, r := range e.Ranges[:min(len(e.Ranges), maxRanges)] {
		all = append(all, r.String())
	}
	if more := len(e.Ranges) - maxRanges; more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("nobody has the entries %s: the log signed a tree of %d, as %s shows", strings.Join(all, ", "), e.Signed.Size, strings.Join(e.ShownBy, ", "))
}

// maxRanges is how many ranges are listed.
const maxRanges = 50

// ForkError says that the log signed two histories.
type ForkError struct {
	Smaller, Larger           proof.Tree
	SmallerShown, LargerShown []string
	Notes                     [][]byte
}

func (e *ForkError) Error() string {
	return fmt.Sprintf("the log signed two histories: %s shows size %d with root %s, and %s size %d, which does not begin with it", strings.Join(e.SmallerShown, ", "), e.Smaller.Size, e.Smaller.Root, strings.Join(e.LargerShown, ", "), e.Larger.Size)
}

// restoring is one run.
type restoring struct {
	Restore
	manifest manifest
	origin   string
	sources  []*source // the backup first
	tails    []*source // what was committed, of those of them that say so; none where they are not of this log
	tailUsed bool

	claims   []claim // what was shown
	signed   map[proof.Tree]*signedTree
	policies []*proof.Policy // whose log keys are this log's
	own      []proof.Key     // the keys in the backup
	chained  [][]byte        // checkpoints of receipts of charters

	store    *pebblestore.Store
	register *register.Register
	fold     ledger.Fold[record.Verified]
	tree     *proof.Appender
	head     ledger.Head
	pending  [][]byte // entries of the tree that are not in the store yet
}

// Make makes a ledger's directory of a backup and of what others hold, up to the largest tree
// that bears the log's own signature and is shown by them or by the witnesses of the newest
// charter, of whom as many as make a quorum must answer. It signs nothing. All entries are
// checked against that tree, and judged by the rules. An error leaves nothing that a ledger
// is opened in: [MissingError], [ForkError], [ErrNoQuorum], [ErrInTheWay], and those of the
// backup: [ErrNone], [ErrLater], [ErrDamaged].
func (o Restore) Make(ctx context.Context) (report *RestoreReport, err error) {
	r := &restoring{Restore: o, signed: make(map[proof.Tree]*signedTree)}
	if r.manifest, err = readManifest(o.Files, o.Backup); err != nil {
		return nil, err
	}
	if r.manifest.Size == 0 {
		return nil, fmt.Errorf("%w: %s: its first backup was not finished", ErrDamaged, o.Backup)
	}
	r.origin = r.manifest.Origin
	if err := r.requireFree(); err != nil {
		return nil, err
	}
	defer func() {
		for _, s := range r.sources {
			if s.close != nil {
				err = errors.Join(err, s.close())
			}
		}
	}()
	if err := r.openSources(ctx); err != nil {
		return nil, err
	}
	_, missing := o.Files.Stat(o.To)
	if err := disk.MakeDir(o.Files, o.To, 0o700); err != nil {
		return nil, err
	}
	lock, err := disk.Lock(o.Files, r.path(lockFile))
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("%s: %w: %w", o.To, ErrBusy, err)
	} else if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, lock.Close())
		if err != nil && missing != nil { // as it was
			o.Files.Remove(r.path(lockFile))
			o.Files.Remove(o.To)
		}
	}()
	for {
		report, err = r.build(ctx)
		if errors.Is(err, errTail) {
			r.warn("what was committed and not published when the backup was made is not what the log went on with; going on without it")
			r.tails = nil
			continue
		}
		return report, err
	}
}

func (r *restoring) path(name string) string { return r.Files.PathJoin(r.To, name) }

func (r *restoring) warn(format string, args ...any) {
	if r.Warn != nil {
		r.Warn(format, args...)
	}
}

// buildDir is where a directory is made, in itself; a rename makes it one.
const buildDir = node.RestoringDir

// requireFree refuses a directory that holds a ledger, or something else. Its keys may be
// there.
func (r *restoring) requireFree() error {
	names, err := r.Files.List(r.To)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	cutOff := slices.Contains(names, buildDir) && !slices.Contains(names, "store") // between the last steps of place
	for _, name := range names {
		switch {
		case name == keysDir, name == lockFile, name == buildDir, (name == "register" || name == auditorsDir) && cutOff:
		case cutOff && (name == node.WithheldFile || disk.Unfinished(name, node.WithheldFile)):
		default:
			return fmt.Errorf("%s: %w: there is %s", r.To, ErrInTheWay, name)
		}
	}
	return nil
}

func (r *restoring) openSources(ctx context.Context) error {
	b := openBackup(ctx, r.Files, r.Backup, r.manifest)
	r.sources = []*source{b}
	for _, name := range r.With {
		s, err := openSource(ctx, r.Files, name, r.Transport, r.Fatal)
		if err != nil {
			return err
		}
		r.sources = append(r.sources, s)
	}
	for _, s := range r.sources {
		if s.tail.Size > 0 {
			tail := *s
			r.tails = append(r.tails, &tail)
			if err := tail.settle(ctx, []proof.Tree{s.tail}); err != nil {
				return err
			}
		}
		for _, note := range s.shown {
			r.note(s.name, note)
		}
		if s.silent != nil && s != b {
			r.warn("%s shows no checkpoint: %v; what it holds is compared with what the others show", s.name, s.silent)
		}
	}
	keys, err := readKeys(r.Files, r.Files.PathJoin(r.Backup, keysDir))
	if err != nil {
		return err
	}
	for _, k := range keys {
		if s, err := proof.ParseSigner(strings.TrimSuffix(string(k.data), "\n")); err == nil {
			r.own = append(r.own, s.Key())
		}
	}
	return r.findCharter(ctx)
}

// build makes the directory anew.
func (r *restoring) build(ctx context.Context) (report *RestoreReport, err error) {
	work := r.path(buildDir)
	for _, left := range []string{r.path("register"), work} { // of one that was cut off
		if err := r.Files.RemoveAll(left); err != nil {
			return nil, err
		}
	}
	if err := disk.MakeDir(r.Files, work, 0o700); err != nil {
		return nil, err
	}
	health := disk.NewHealth(disk.Config{Fatal: r.Fatal})
	if r.store, err = pebblestore.Open(r.Files, r.Files.PathJoin(work, "store"), pebblestore.Options{Health: health}); err != nil {
		return nil, err
	}
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, r.closeAll())
		}
		if err != nil {
			r.Files.RemoveAll(work)
		}
	}()
	o := client.RegisterOptions()
	o.Health = health
	if err := disk.MakeDir(r.Files, r.Files.PathJoin(work, "register"), 0o755); err != nil {
		return nil, err
	}
	if r.register, err = register.Open(r.Files, r.Files.PathJoin(work, "register", "1"), o); err != nil {
		return nil, err
	}
	r.fold, r.tree, r.head, r.pending, r.tailUsed = public.Fold(r.register), proof.NewAppender(), ledger.Head{Root: proof.EmptyRoot()}, nil, false
	quorum, err := r.complete(ctx)
	if err != nil {
		return nil, err
	}
	report = &RestoreReport{Origin: r.origin, Ledger: r.manifest.Ledger, Size: r.head.Size, Root: r.head.Root, Backup: r.manifest.Size, Quorum: quorum}
	signed := r.largest()
	report.Unsigned = r.head.Size - min(signed.Size, r.head.Size)
	published, err := r.publish(ctx)
	if err != nil {
		return nil, err
	}
	if published != nil {
		report.Published = published.Checkpoint().Size
	}
	if report.Archived, err = r.restoreArchive(ctx, published); err != nil {
		return nil, err
	}
	closed = true
	if err := r.closeAll(); err != nil {
		return nil, err
	}
	report.HasKeys, err = r.place()
	return report, err
}

func (r *restoring) closeAll() error {
	var err error
	if r.register != nil {
		err = r.register.Close()
		r.register = nil
	}
	if r.store != nil {
		err = errors.Join(err, r.store.Close())
		r.store = nil
	}
	return err
}

// place gives what was made its names: the store's is the last, and without it no ledger is
// opened there ([node.ErrRestoring]).
func (r *restoring) place() (hasKeys bool, err error) {
	keys, err := readKeys(r.Files, r.Files.PathJoin(r.Backup, keysDir))
	if err != nil {
		return false, err
	}
	if err := placeKeys(r.Files, r.path(keysDir), keys); err != nil {
		if errors.Is(err, disk.ErrOtherContent) {
			err = fmt.Errorf("%w: %w", ErrInTheWay, err)
		}
		return false, err
	}
	if keys, err = readKeys(r.Files, r.path(keysDir)); err != nil {
		return false, err
	}
	if _, err := node.CopyWithheld(r.Files, r.Backup, r.To); err != nil {
		return false, err
	}
	if _, err := auditors.Copy(r.Files, r.Files.PathJoin(r.Backup, auditorsDir), r.path(auditorsDir)); err != nil {
		return false, err
	}
	work := r.path(buildDir)
	for _, name := range []string{"register", "store"} {
		if err := disk.Rename(r.Files, r.Files.PathJoin(work, name), r.path(name)); err != nil {
			return false, err
		}
	}
	return slices.ContainsFunc(keys, func(f keyFile) bool { return !f.isMark() }), r.Files.RemoveAll(work)
}
