// Package transfer bounds how slowly bytes may come from elsewhere. A limit on the whole time either cuts
// off what is large and on its way, or lets a source that drips hold whoever reads it for hours: here what
// counts is progress. It promises that a transfer ends whose source is silent for longer than the floor's patience,
// or slower than the floor for as long; what comes in time has no limit.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrSlow: too few bytes came.
var ErrSlow = errors.New("the bytes come too slowly")

// Floor is how slowly bytes may come.
type Floor struct {
	Patience  time.Duration // for how long none may come
	PerSecond int64         // bytes that are to come on the average, of which a quick beginning saves up one Patience at most
}

// Watch begins a transfer, which may be of several requests. The context ends with a cause that is
// [ErrSlow] once the transfer is too slow. The caller closes it.
func (f Floor) Watch(ctx context.Context) (context.Context, *Transfer) {
	ctx, end := context.WithCancelCause(ctx)
	t := &Transfer{floor: f, end: end, until: time.Now().Add(f.Patience)}
	t.timer = time.AfterFunc(f.Patience, func() {
		end(fmt.Errorf("%w: fewer than %d a second, for %s", ErrSlow, f.PerSecond, f.Patience))
	})
	return ctx, t
}

// Transfer is one that is watched. One goroutine reads.
type Transfer struct {
	floor Floor
	end   context.CancelCauseFunc
	timer *time.Timer

	mu    sync.Mutex
	until time.Time // when it is too slow, if nothing comes before; guarded by mu
}

// Reader reads a part of the transfer, and counts what came.
func (t *Transfer) Reader(r io.Reader) io.Reader { return counted{r, t} }

type counted struct {
	io.Reader
	t *Transfer
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if n > 0 {
		c.t.came(int64(n))
	}
	return n, err
}

// came moves the end on by the time that the floor gives for so many bytes.
func (t *Transfer) came(bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.until = t.until.Add(time.Duration(bytes) * time.Second / time.Duration(t.floor.PerSecond))
	if most := now.Add(t.floor.Patience); t.until.After(most) {
		t.until = most
	}
	if t.timer.Stop() {
		t.timer.Reset(t.until.Sub(now))
	}
}

// Close ends the watch, and its context.
func (t *Transfer) Close() {
	t.timer.Stop()
	t.end(nil)
}
