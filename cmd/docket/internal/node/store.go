package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
)

// storeFile notes, in a ledger's directory, the store that the ledger is kept in where that
// is a bucket or a database; without it that is Pebble's, in the directory. It holds no
// password.
const storeFile = "store.url"

// ErrOtherStore: the directory belongs to another store than the one named.
var ErrOtherStore = errors.New("the ledger of this directory is kept elsewhere")

// StoreURL is where the ledger of a directory is kept: the store that it notes, else the
// directory itself.
func StoreURL(files vfs.FS, dir string) (stores.URL, error) {
	path := files.PathJoin(dir, storeFile)
	text, err := disk.ReadFile(files, path)
	if errors.Is(err, fs.ErrNotExist) {
		return stores.URL{Directory: dir}, nil
	} else if err != nil {
		return stores.URL{}, err
	}
	at, err := stores.Parse(strings.TrimSpace(string(text)))
	if err == nil && !at.IsShared() {
		err = errors.New("it names no bucket and no database")
	}
	if err != nil {
		return stores.URL{}, fmt.Errorf("%s: %w", path, err)
	}
	return at, nil
}

// NoteStore notes where the ledger of a directory is kept; a directory's name: in itself.
func NoteStore(files vfs.FS, dir string, at stores.URL) error {
	path := files.PathJoin(dir, storeFile)
	if !at.IsShared() {
		err := disk.Remove(files, path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := disk.MakeDir(files, dir, 0o755); err != nil {
		return err
	}
	return disk.WriteFile(files, path, []byte(at.String()+"\n"), 0o644, disk.SyncNow)
}

// HasStore is [fs.ErrNotExist] where a directory has no store, and notes none.
func HasStore(files vfs.FS, dir string) error {
	at, err := StoreURL(files, dir)
	if err != nil || at.IsShared() {
		return err
	}
	_, err = files.Stat(files.PathJoin(dir, storeDir))
	return err
}

// lookTime is how long a store is asked what it holds, before a ledger is opened on it.
const lookTime = time.Minute

// OpenStore opens the store of a ledger's directory for who is to write: given, or without it
// the one that the directory notes; nil if that is Pebble's, which [Open] opens. What was given is noted, where the
// directory has no store yet or its ledger has moved there; otherwise it must be the one that
// it has ([ErrOtherStore]). A store that breaks a promise is refused ([stores.BrokenError]), and one that is
// sealed ([ledger.SealedError]).
func OpenStore(ctx context.Context, files vfs.FS, dir string, given stores.URL, o stores.Options) (stores.Shared, error) {
	if err := requireLedger(files, dir); err != nil {
		return nil, err
	}
	noted, err := StoreURL(files, dir)
	if err != nil {
		return nil, err
	}
	at, isNew := noted, false
	if !given.IsZero() {
		if !given.IsShared() {
			return nil, fmt.Errorf("%s is a directory: %w", given, ErrOtherStore)
		}
		if at, isNew = given, !given.IsSame(noted); isNew {
			if err := mayLeave(ctx, files, dir, noted, given, o); err != nil {
				return nil, err
			}
		}
	}
	if !at.IsShared() {
		return nil, nil
	}
	if err := stores.Probe(ctx, at, o, nil); err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	store, err := stores.OpenShared(ctx, at, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	asked, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	why, err := store.Sealed(asked)
	if err == nil && why != "" {
		err = &ledger.SealedError{Why: why}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", at, err), store.Close())
	}
	if isNew {
		if err = checkNew(asked, files, dir, at, store); err == nil {
			err = NoteStore(files, dir, at)
		}
		if err != nil {
			return nil, errors.Join(err, store.Close())
		}
	}
	return store, nil
}

// checkNew refuses an empty store beside keys that have signed entries.
func checkNew(ctx context.Context, files vfs.FS, dir string, at stores.URL, store ledger.Store) error {
	head, err := store.Head(ctx)
	if err != nil || head.Size > 0 {
		return err
	}
	names, err := files.List(files.PathJoin(dir, "keys"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, markSuffix) }) {
		return lostStore(at.String())
	}
	return nil
}

// lostStore is why an empty store, or none, is not to be begun.
func lostStore(where string) error {
	return fmt.Errorf("%w: %s is gone, and the log's keys have signed entries", ledger.ErrRollback, where)
}

// mayLeave says whether the ledger of a directory may be kept elsewhere from now on: if it has none
// yet, or what it has is sealed, since the ledger has moved there.
func mayLeave(ctx context.Context, files vfs.FS, dir string, noted, given stores.URL, o stores.Options) error {
	switch err := HasStore(files, dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	store, err := openToRead(ctx, files, dir, o, nil)
	if err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	why, err := store.Sealed(asked)
	if err = errors.Join(err, store.Close()); err != nil {
		return err
	}
	if _, moved := ledger.MovedTo(why); moved { // there, or from there on: what is given has to have it all
		return nil
	}
	return fmt.Errorf("%w: in %s, and not in %s", ErrOtherStore, noted, given)
}

// readable is a store that is read.
type readable interface {
	ledger.Sealer
	Close() error
}

// openToRead opens the store of a directory, of which the caller has the lock if it is
// Pebble's, and takes and writes nothing. health is Pebble's, and may be nil.
func openToRead(ctx context.Context, files vfs.FS, dir string, o stores.Options, health *disk.Health) (readable, error) {
	at, err := StoreURL(files, dir)
	if err != nil {
		return nil, err
	}
	if !at.IsShared() {
		return pebblestore.Open(files, files.PathJoin(dir, storeDir), pebblestore.Options{ReadOnly: true, Health: health})
	}
	store, err := stores.OpenShared(ctx, at, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at, err)
	}
	return store, nil
}

// OpenDirectory opens Pebble's store in a directory that no other process has open, and makes
// it if there is none: for who copies it, or into it. [ErrInUse].
func OpenDirectory(files vfs.FS, dir string, health *disk.Health) (ledger.Sealer, io.Closer, error) {
	if err := requireLedger(files, dir); err != nil {
		return nil, nil, err
	}
	if err := disk.MakeDir(files, dir, 0o755); err != nil {
		return nil, nil, err
	}
	lock, err := Lock(files, dir)
	if err != nil {
		return nil, nil, err
	}
	s, err := pebblestore.Open(files, files.PathJoin(dir, storeDir), pebblestore.Options{Health: health})
	if err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return s, &closers{[]io.Closer{s, lock}}, nil
}

// Lock keeps every other process out of a ledger's directory. [ErrInUse] if one is in there.
func Lock(files vfs.FS, dir string) (io.Closer, error) {
	lock, err := disk.Lock(files, files.PathJoin(dir, "lock"))
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("%w: %w", ErrInUse, err)
	}
	return lock, err
}
