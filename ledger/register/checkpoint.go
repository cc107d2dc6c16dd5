package register

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Checkpoint makes a copy of the register, as it is at some moment of the call, in a directory of its own
// file system that is not there yet. It shares what lies on the disk and is never changed, so that it costs
// little; [Open] reads it.
func (r *Register) Checkpoint(dir string) error {
	if err := r.Flush(); err != nil { // so that whoever opens it has nothing to replay
		return err
	}
	if err := r.db.Load().Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("copying register %s: %w", r.dir, err)
	}
	return nil
}

// CursorOf is how far a [Register.Checkpoint] in a directory has come. Afterwards all of that
// lies in its tables: a log of Pebble's is a file that was used before, and carries what it held then,
// up to a memtable of bytes that are nobody's.
func (r *Register) CursorOf(dir string) (Cursor, error) {
	o := r.o
	o.CacheBytes, o.Health = 1<<20, nil
	copied, err := Open(r.fs, dir, o)
	if err != nil {
		return Cursor{}, err
	}
	cursor := copied.Cursor()
	return cursor, errors.Join(copied.Flush(), copied.Close())
}
