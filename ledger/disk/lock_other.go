//go:build !unix

package disk

import "github.com/cockroachdb/pebble/v2/vfs"

// LockShared and TryLockExclusive lock nothing here.
func LockShared(vfs.File) bool                         { return true }
func TryLockExclusive(vfs.File) (held, supported bool) { return false, false }
