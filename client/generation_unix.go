//go:build unix

package client

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// lockShared takes a shared lock on an open directory, until it is closed; it reports whether
// nobody has claimed it. Where the file system has no locks, nobody can.
func lockShared(dir vfs.File) bool {
	held, _ := lockDir(dir, unix.LOCK_SH)
	return !held
}

// tryLockExclusive takes an exclusive lock on an open directory. held says that somebody reads
// there, told that the file system tells.
func tryLockExclusive(dir vfs.File) (held, supported bool) { return lockDir(dir, unix.LOCK_EX) }

func lockDir(dir vfs.File, how int) (held, supported bool) {
	fd := dir.Fd()
	if fd == vfs.InvalidFd { // in memory
		return false, false
	}
	err := unix.Flock(int(fd), how|unix.LOCK_NB)
	held = errors.Is(err, unix.EWOULDBLOCK)
	return held, held || err == nil
}
