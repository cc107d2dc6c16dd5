package main

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fixedFreeSpace has so many bytes left.
type fixedFreeSpace struct {
	vfs.FS
	left uint64
}

func (d fixedFreeSpace) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.left}, nil
}

// On a full disk nothing is opened: a sentence says why.
func TestCheckFreeSpace(t *testing.T) {
	for left, full := range map[uint64]bool{0: true, minFreeToOpen - 1: true, minFreeToOpen: false} {
		err := checkFreeSpace(fixedFreeSpace{vfs.NewMem(), left}, "ledger")
		if (err != nil) != full || full && !strings.Contains(err.Error(), "the disk of ledger is full") {
			t.Errorf("%d bytes: %v", left, err)
		}
		if status, hint := exitStatusOf(err); full && (status != exitRefused || hint == "") {
			t.Errorf("exit status %d, hint %q", status, hint)
		}
	}
}
