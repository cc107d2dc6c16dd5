//go:build !unix

package client

import "github.com/cockroachdb/pebble/v2/vfs"

// hold and claim lock nothing here.
func hold(vfs.File) bool               { return true }
func claim(vfs.File) (held, told bool) { return false, false }
