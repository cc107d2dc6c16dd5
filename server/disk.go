package server

import (
	"fmt"
	"sync"
	"time"
)

// disk watches the space that the store has left. It asks at most once a
// second; mu guards the answer.
type disk struct {
	free func() (uint64, error) // nil: not watched
	min  uint64                 // bytes

	mu    sync.Mutex
	asked time.Time
	err   error
}

// check refuses writes while less than the minimum is left, or nobody can say
// how much is: a store that fills up can only fail.
func (d *disk) check() error {
	if d.free == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.asked.IsZero() || now.Sub(d.asked) >= time.Second {
		d.asked, d.err = now, d.ask()
	}
	return d.err
}

func (d *disk) ask() error {
	const detail = "the server's disk is nearly full; nothing was written, reads go on"
	left, err := d.free()
	if err != nil {
		return later(diskLow, 30*time.Second, fmt.Errorf("asking for the free space: %w", err), detail)
	}
	if left < d.min {
		return later(diskLow, 30*time.Second, fmt.Errorf("%d bytes are left, the minimum is %d", left, d.min), detail)
	}
	return nil
}
