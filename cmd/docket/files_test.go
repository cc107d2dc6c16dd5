package main

import (
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
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
		t.Run(strconv.FormatUint(left, 10), func(t *testing.T) {
			err := checkFreeSpace(fixedFreeSpace{vfs.NewMem(), left}, "ledger")
			if (err != nil) != full {
				t.Fatal(err)
			}
			if !full {
				return
			}
			status, hint := exitStatusOf(err)
			if status != exitRefused || hint == "" {
				t.Errorf("exit status %d, hint %q", status, hint)
			}
			refusaltest.Words(t, err.Error()+"\nhint: "+hint)
		})
	}
}
