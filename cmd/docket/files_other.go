//go:build !unix

package main

import "math"

// maxOpenFiles is how many files and connections this process may have open.
func maxOpenFiles() uint64 { return math.MaxInt32 }

// ownerOnly does nothing where files have no modes.
func ownerOnly() {}
