package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrLocked: another process, or another part of this one, holds the lock.
var ErrLocked = errors.New("locked by another process")

// Lock holds a lock file, which it makes, until what it returns is closed, or the process
// ends: for a directory that one process at a time may write to. It does not wait.
// [ErrLocked] if it is held; any other error says nothing of another process.
func Lock(files vfs.FS, name string) (io.Closer, error) {
	held, err := files.Lock(name)
	unopened, refused := new(fs.PathError), syscall.Errno(0)
	switch {
	case err == nil, errors.As(err, &unopened):
		return held, err
	case errors.As(err, &refused) && refused != syscall.EAGAIN && refused != syscall.EACCES:
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrLocked, err)
}
