package disk

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Room watches the space that a disk has left for what is to be written: what fills up
// can only fail.
type Room struct {
	FS     vfs.FS
	Dir    string
	Min    uint64  // bytes that must be free
	Health *Health // whose databases are there

	mu    sync.Mutex // guards what follows
	asked time.Time
	err   error
}

// Check returns why no new write is to begin, in words that may be shown to clients;
// nil if there is no reason. It asks the disk at most once a second. If the disk does
// not say how much is left, that is a reason.
func (r *Room) Check() error {
	if err := r.Health.Failing(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); r.asked.IsZero() || now.Sub(r.asked) >= time.Second {
		r.asked, r.err = now, r.ask()
	}
	return r.err
}

func (r *Room) ask() error {
	usage, err := r.FS.GetDiskUsage(r.Dir)
	if err != nil {
		return errors.New("how much of the disk is free cannot be told")
	}
	if usage.AvailBytes < r.Min {
		return fmt.Errorf("the disk is nearly full: %d MiB are free, and %d must be", usage.AvailBytes>>20, r.Min>>20)
	}
	return nil
}
