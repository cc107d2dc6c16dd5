package main

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fullDisk has so many bytes left.
type fullDisk struct {
	vfs.FS
	left uint64
}

func (d fullDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.left}, nil
}

// On a full disk nothing is opened: a sentence says why.
func TestRoomToOpen(t *testing.T) {
	for left, full := range map[uint64]bool{0: true, leastToOpen - 1: true, leastToOpen: false} {
		err := roomToOpen(fullDisk{vfs.NewMem(), left}, "ledger")
		if (err != nil) != full || full && !strings.Contains(err.Error(), "the disk of ledger is full") {
			t.Errorf("%d bytes: %v", left, err)
		}
		if status, hint := statusOf(err); full && (status != statusRefused || hint == "") {
			t.Errorf("exit status %d, hint %q", status, hint)
		}
	}
}
