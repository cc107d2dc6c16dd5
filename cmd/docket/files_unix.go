//go:build unix

package main

import (
	"math"
	"syscall"
)

// maxOpenFiles is how many files and connections this process may have open. The Go
// runtime has raised that to what it may be.
func maxOpenFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return math.MaxInt32
	}
	return min(uint64(limit.Cur), math.MaxInt32)
}

// ownerOnly lets nobody but their owner have a right to the files that this process makes
// from now on, those of its databases too.
func ownerOnly() { syscall.Umask(0o077) }
