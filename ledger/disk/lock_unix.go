//go:build unix

package disk

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// LockShared takes a shared lock on an open directory until it is closed. It is false
// if another process holds the exclusive lock. Without file locks it is true.
func LockShared(dir vfs.File) bool {
	held, _ := lockDir(dir, unix.LOCK_SH)
	return !held
}

// TryLockExclusive takes an exclusive lock on an open directory. held: a reader has a
// shared lock. supported: the file system has locks.
func TryLockExclusive(dir vfs.File) (held, supported bool) { return lockDir(dir, unix.LOCK_EX) }

func lockDir(dir vfs.File, how int) (held, supported bool) {
	fd := dir.Fd()
	if fd == vfs.InvalidFd { // in memory
		return false, false
	}
	err := unix.Flock(int(fd), how|unix.LOCK_NB)
	held = errors.Is(err, unix.EWOULDBLOCK)
	return held, held || err == nil
}
