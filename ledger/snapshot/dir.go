package snapshot

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/transfer"
)

// manifestName is the manifest's beside the files; no file of a snapshot can bear it, since it is
// not in its own list.
const manifestName = "manifest"

// maxParallel is how many files are fetched at once.
const maxParallel = 4

// floor is how slowly a file may come: four at once are 64 KiB a second, on a line of half a Mbit/s.
var floor = transfer.Floor{Patience: time.Minute, PerSecond: 16 << 10}

// maxKept is how many snapshots stay: one that is being fetched, and the newest.
const maxKept = 2

// Dir holds the snapshots that a node hands out: a directory each, named by the size. Its methods may be
// called from any goroutine; one makes.
type Dir struct {
	files  vfs.FS
	dir    string
	signer *Signer

	mu   sync.Mutex
	kept []*Verified // those that are handed out, newest first; guarded by mu
}

// OpenDir opens a directory of snapshots, which need not be there.
func OpenDir(files vfs.FS, dir string, signer *Signer) (*Dir, error) {
	d := &Dir{files: files, dir: dir, signer: signer}
	all, err := disk.Generations(files, dir)
	if err != nil {
		return nil, err
	}
	for _, size := range all {
		raw, err := disk.ReadFile(files, d.path(uint64(size), manifestName))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		if v, err := Verify(raw, signer.Key()); err == nil && v.Tree.Size == uint64(size) { // else it is of another key
			d.kept = append(d.kept, v)
		}
	}
	d.kept = d.kept[:min(maxKept, len(d.kept))]
	return d, nil
}

func (d *Dir) path(size uint64, name string) string {
	return d.files.PathJoin(d.dir, strconv.FormatUint(size, 10), name)
}

// Newest is the newest snapshot; nil if there is none.
func (d *Dir) Newest() *Verified {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.kept) == 0 {
		return nil
	}
	return d.kept[0]
}

// Open opens a file of the newest snapshot, or of the one that is kept beside it, and says what was signed
// of it: fs.ErrNotExist for any other.
func (d *Dir) Open(size uint64, name string) (vfs.File, File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range d.kept {
		i := slices.IndexFunc(v.Files, func(f File) bool { return f.Name == name })
		if v.Tree.Size == size && i >= 0 {
			f, err := d.files.Open(d.path(size, name))
			return f, v.Files[i], err
		}
	}
	return nil, File{}, fs.ErrNotExist
}

// Make signs a snapshot. write makes the files in a directory that is not there yet, and says what they
// are of, without the files. Older snapshots but one go.
func (d *Dir) Make(ctx context.Context, write func(dir string) (Manifest, error)) (err error) {
	if err := disk.MakeDir(d.files, d.dir, 0o755); err != nil {
		return err
	}
	making := d.files.PathJoin(d.dir, "making")
	if err := d.files.RemoveAll(making); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("making a snapshot: %w", errors.Join(err, d.files.RemoveAll(making)))
		}
	}()
	m, err := write(making)
	if err != nil {
		return err
	}
	if m.Files, err = hashFiles(ctx, d.files, making); err != nil {
		return err
	}
	signed, err := d.signer.Sign(m)
	if err != nil {
		return err
	}
	if err := disk.WriteFile(d.files, d.files.PathJoin(making, manifestName), signed, 0o644, disk.SyncNow); err != nil {
		return err
	}
	v, err := Verify(signed, d.signer.Key())
	if err != nil {
		return err
	}
	return d.keep(making, v)
}

// keep puts a snapshot where it is handed out, in the place of one of the same size, and removes those that
// are too many. Until it is there nothing is opened: no file is taken for one of another manifest.
func (d *Dir) keep(making string, v *Verified) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = slices.DeleteFunc(d.kept, func(k *Verified) bool { return k.Tree.Size == v.Tree.Size })
	if err := d.files.RemoveAll(d.path(v.Tree.Size, "")); err != nil {
		return err
	}
	if err := disk.Rename(d.files, making, d.files.PathJoin(d.dir, strconv.FormatUint(v.Tree.Size, 10))); err != nil {
		return err
	}
	d.kept = append([]*Verified{v}, d.kept...)
	d.kept = d.kept[:min(maxKept, len(d.kept))]
	all, err := disk.Generations(d.files, d.dir)
	if err != nil {
		return err
	}
	for _, old := range all {
		if slices.ContainsFunc(d.kept, func(k *Verified) bool { return k.Tree.Size == uint64(old) }) {
			continue
		}
		if err := d.files.RemoveAll(d.path(uint64(old), "")); err != nil {
			return err
		}
	}
	return nil
}

// hashFiles lists the files of a directory.
func hashFiles(ctx context.Context, files vfs.FS, dir string) (all []File, err error) {
	names, err := files.List(dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		if name == "LOCK" {
			continue
		}
		f, err := hashFile(ctx, files, files.PathJoin(dir, name))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		f.Name = name
		all = append(all, f)
	}
	return all, nil
}

func hashFile(ctx context.Context, files vfs.FS, name string) (f File, err error) {
	in, err := files.Open(name)
	if err != nil {
		return f, err
	}
	defer in.Close()
	h := sha256.New()
	n, err := io.Copy(h, contextReader{ctx, in})
	f.Bytes = uint64(n)
	h.Sum(f.SHA256[:0])
	return f, err
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

// Fetch brings the files of a snapshot into a directory, some at a time. open reads one from an offset on:
// a transfer that is cut off goes on there. A file that an earlier call has brought whole is kept, and what is
// of another snapshot goes. Each file is held against the manifest: no more is written than it says, and what
// is another file is gone again. One that comes too slowly is given up: [transfer.ErrSlow].
func (v *Verified) Fetch(ctx context.Context, files vfs.FS, dir string, open func(ctx context.Context, f File, offset uint64) (io.ReadCloser, error), progress func(bytes uint64)) error {
	if err := disk.MakeDir(files, dir, 0o755); err != nil {
		return err
	}
	names, err := files.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names { // of another snapshot
		if !slices.ContainsFunc(v.Files, func(f File) bool { return f.Name == name }) {
			if err := files.RemoveAll(files.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	var mu sync.Mutex
	told := func(n uint64) {
		mu.Lock()
		defer mu.Unlock()
		progress(n)
	}
	g, fetching := errgroup.WithContext(ctx)
	g.SetLimit(maxParallel)
	for _, f := range v.Files {
		g.Go(func() error {
			if err := fetchFile(fetching, files, files.PathJoin(dir, f.Name), f, open, told); err != nil {
				return fmt.Errorf("fetching %s of the snapshot: %w", f.Name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var paths []string
	for _, f := range v.Files {
		paths = append(paths, files.PathJoin(dir, f.Name))
	}
	return disk.SyncTree(files, dir, paths...)
}

// ErrOtherFile: what was handed out is not the file that was signed.
var ErrOtherFile = errors.New("it is not the file that was signed")

func fetchFile(ctx context.Context, files vfs.FS, name string, want File, open func(ctx context.Context, f File, offset uint64) (io.ReadCloser, error), progress func(uint64)) error {
	if have, err := hashFile(ctx, files, name); err == nil && have.Bytes == want.Bytes && have.SHA256 == want.SHA256 {
		progress(want.Bytes)
		return nil
	}
	out, err := files.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	h, written := sha256.New(), uint64(0)
	fail := func(err error) error { return errors.Join(err, out.Close(), files.Remove(name)) }
	ctx, watched := floor.Watch(ctx) // all tries together: who is cut off after each byte drips too
	defer watched.Close()
	for tries := 0; written < want.Bytes || tries == 0; tries++ { // a transfer that is cut off goes on where it was
		before := written
		in, err := open(ctx, want, written)
		if err != nil {
			return fail(cmp.Or(context.Cause(ctx), err))
		}
		// Hashed first: a file of a vfs may change the bytes that it is given.
		n, err := io.Copy(io.MultiWriter(h, out), io.LimitReader(watched.Reader(contextReader{ctx, in}), int64(want.Bytes-written)))
		written += uint64(n)
		in.Close()
		progress(uint64(n))
		if written < want.Bytes && (written == before || ctx.Err() != nil) {
			return fail(cmp.Or(context.Cause(ctx), errors.Join(err, io.ErrUnexpectedEOF)))
		}
	}
	var sum [sha256.Size]byte
	if h.Sum(sum[:0]); sum != want.SHA256 {
		return fail(ErrOtherFile)
	}
	return out.Close()
}

// Of says whether a snapshot is of a log, by its origin, and readable by who has these rules and rows.
func (m Manifest) Of(origin string, rules, rows uint64) error {
	switch {
	case m.Origin != origin:
		return fmt.Errorf("the snapshot is of the log %.100q, not of %s", m.Origin, origin)
	case m.Rules != rules:
		return fmt.Errorf("the snapshot is by rules %d, and this version of docket has %d", m.Rules, rules)
	case m.Rows != rows:
		return fmt.Errorf("the snapshot has rows of form %d, and this version of docket has %d", m.Rows, rows)
	}
	return nil
}
