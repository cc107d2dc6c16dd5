//go:build unix

package keydir

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// A key that could not be written whole, as on a full disk, leaves nothing behind: the
// same command makes it once there is room.
func TestTornKeyLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	limit := func(bytes uint64) {
		t.Helper()
		var was syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Fatal(err)
		}
		was.Cur = min(bytes, was.Max)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Skipf("no limit on the size of files: %v", err)
		}
	}
	files := []File{{"log-ed25519.key", proof.Ed25519}}
	limit(10)
	err := Create(dir, "log.example", files)
	limit(1 << 62)
	if err == nil {
		t.Fatal("a key was written where there is no room for it")
	}
	if left, err := os.ReadDir(filepath.Join(dir, "keys")); err != nil || len(left) > 0 {
		t.Errorf("%v is left (%v)", left, err)
	}
	if err := Create(dir, "log.example", files); err != nil {
		t.Error(err)
	}
}
