//go:build !unix

package client

import "github.com/cockroachdb/pebble/v2/vfs"

// lockShared and tryLockExclusive lock nothing here.
func lockShared(vfs.File) bool                         { return true }
func tryLockExclusive(vfs.File) (held, supported bool) { return false, false }
