// Package disk is the floor under all that must last: files that are durable, whole or not
// there at all ([WriteFile], [WriteNew]), locks ([Lock]), and Pebble, opened in the one way
// in which Docket does, for every database: the ledger's store, the register, a witness's
// state, a reader's copy.
//
// Of a database it promises that no read ends the process: what cannot be read is an error
// ([Damaged]), and reported once ([Health]). A server waits while the disk is full
// ([Config.WaitForSpace]); a background write that fails again and again is tried ever more
// seldom, and logged once a minute. A write whose outcome is unknown still ends the
// process, since the state of the disk is unknown then: the next start recovers.
//
// It does not know what lies in a database, nor what to do about damage.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrDamaged: what lies on the disk cannot be read, and asking again does not help.
var ErrDamaged = errors.New("the disk holds what cannot be read")

// Damaged tells whether an error, of opening or of reading, is that of damage.
func Damaged(err error) bool {
	if err == nil || err == pebble.ErrNotFound { // as it is of every row that is not there, and to look into it takes long
		return false
	}
	return errors.Is(err, ErrDamaged) || pebble.IsCorruptionError(err)
}

// Options say which database is opened, and how. FS, Dir and Name are needed.
type Options struct {
	FS   vfs.FS
	Dir  string
	Name string // in logs and metrics: one of a closed set, like "store"

	Remedy   string                // what to do about damage, in the log's line about it
	Existing bool                  // do not make it: pebble.ErrDBDoesNotExist if it is not there
	ReadOnly bool                  // nothing is written or locked: for a directory that is not written to
	Health   *Health               // is told what happens; nil: a new one
	Tune     func(*pebble.Options) // sizes, and what depends on the rows; nil: Pebble's defaults
}

// DB is an open database. What Pebble cannot write ends the process by [Health].
type DB struct {
	*pebble.DB
	watch *watch
}

// Open opens a database, and makes it if it may. Its errors are those of [AsDamaged].
func Open(o Options) (*DB, error) {
	if o.Health == nil {
		o.Health = NewHealth(Config{})
	}
	w := &watch{Health: o.Health, name: o.Name, remedy: o.Remedy, dir: o.Dir, done: make(chan struct{})}
	p := &pebble.Options{FormatMajorVersion: pebble.FormatValueSeparation}
	if o.Tune != nil {
		o.Tune(p)
	}
	p.FS, p.ReadOnly, p.ErrorIfNotExists = &files{o.FS, w}, o.ReadOnly, o.Existing
	p.Logger, p.EventListener = w, w.listener()
	p.DisableTableStats = true // its job would try a table that is damaged again and again, without a pause
	if o.ReadOnly {
		p.FS = unlocked{p.FS}
	}
	db, err := open(o.Dir, p)
	switch {
	case errors.Is(err, pebble.ErrDBDoesNotExist) && (o.Existing || o.ReadOnly):
		return nil, err
	case err != nil:
		if err = AsDamaged(err); Damaged(err) {
			w.damaged(o.Dir, err)
		}
		return nil, err
	}
	w.opened.Store(true)
	return &DB{db, w}, nil
}

// Exists tells whether a directory has a database; one that is not there has none.
func Exists(files vfs.FS, dir string) (bool, error) {
	desc, err := pebble.Peek(dir, files)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && desc.Exists, err
}

// open is pebble.Open, and releases what that holds if it panics, as it may on a file
// of another content than it wrote.
func open(dir string, p *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return pebble.Open(dir, p)
}

// AsDamaged wraps an error of opening a database, or of its first reads, as [ErrDamaged]:
// any but one of a lock, of space, of permission, or of what the process may have open.
// Pebble has no class of errors for all that a flipped bit in one of its files can do.
func AsDamaged(err error) error {
	if err == nil || Damaged(err) {
		return err
	}
	for _, other := range []error{fs.ErrPermission, syscall.EAGAIN, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, other) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// Damaged tells of damage that Pebble did not tell of itself: of rows that are not what
// they should be, and of some files that it cannot open.
func (db *DB) Damaged(err error) {
	if pebble.ExtractDataCorruptionInfo(err) == nil {
		db.watch.damaged(db.watch.dir, err)
	}
}

// Rescue is deferred by methods that read rows: it turns Pebble's panic over a file
// that is not as it was written into [ErrDamaged], and reports damage that Pebble did
// not report.
func (db *DB) Rescue(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", ErrDamaged, r)
	}
	*err = db.Explain(*err)
}

// Explain tells of an error that is damage, and says in its words where that is.
func (db *DB) Explain(err error) error {
	if !Damaged(err) || errors.As(err, new(worded)) {
		return err
	}
	db.Damaged(err)
	return worded{err, db.watch.dir}
}

// worded leaves out of an error's words the one that only carries what Pebble's listener
// is told.
type worded struct {
	error
	dir string
}

func (e worded) Unwrap() error { return e.error }

func (e worded) Error() string {
	return e.dir + " is damaged: " + strings.ReplaceAll(e.error.Error(), "\n<corruption detail carrier>", "")
}

// Get reads one row.
func (db *DB) Get(key []byte) (value []byte, closer io.Closer, err error) {
	defer db.Rescue(&err)
	return db.DB.Get(key)
}

// Row copies one row; nil if there is none.
func (db *DB) Row(key []byte) (value []byte, err error) {
	shared, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return append(make([]byte, 0, len(shared)), shared...), closer.Close()
}

// Retire says that another database has taken this one's place: nothing that still
// happens to it is reported. It stays open until Close, for its readers.
func (db *DB) Retire() { db.watch.retired.Store(true) }

// Close waits for reads and writes in progress, and for no failing one.
func (db *DB) Close() error {
	db.watch.close()
	defer func() {
		// Pebble forgets to let go of a file that it could not open, and panics at the end of
		// Close, where all is written.
		if r := recover(); r != nil && fmt.Sprint(r) != "element has outstanding references" {
			panic(r)
		}
	}()
	return db.DB.Close()
}

// Apply commits a batch. Like every write, it ends the process where its outcome would
// be unknown.
func (db *DB) Apply(b *pebble.Batch, o *pebble.WriteOptions) error {
	defer db.watch.ends()
	return db.DB.Apply(b, o)
}

// Set writes one row.
func (db *DB) Set(key, value []byte, o *pebble.WriteOptions) error {
	defer db.watch.ends()
	return db.DB.Set(key, value, o)
}

// Delete deletes one row.
func (db *DB) Delete(key []byte, o *pebble.WriteOptions) error {
	defer db.watch.ends()
	return db.DB.Delete(key, o)
}

// DeleteRange deletes the rows [start, end).
func (db *DB) DeleteRange(start, end []byte, o *pebble.WriteOptions) error {
	defer db.watch.ends()
	return db.DB.DeleteRange(start, end, o)
}

// Flush writes out what is in memory.
func (db *DB) Flush() error {
	defer db.watch.ends()
	return db.DB.Flush()
}

// unlocked is a file system on which many processes open one database read-only: Pebble
// locks a directory even to read it.
type unlocked struct{ vfs.FS }

// Lock locks nothing.
func (unlocked) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Generations are the numbers by which the databases in a directory are named, 1, 2 and
// so on, highest first: what is derived is made anew beside the one that it replaces.
func Generations(files vfs.FS, dir string) ([]int, error) {
	names, err := files.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var all []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil && n > 0 && strconv.Itoa(n) == name {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all, nil
}
