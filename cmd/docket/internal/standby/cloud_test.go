package standby_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// cloud is a shared store in memory.
type cloud struct {
	mu    sync.Mutex
	store *pebblestore.Store
	epoch uint64
	why   string
	blobs map[string][]byte
	tell  func(epoch uint64, by *link)
}

// taken is the epoch.
func (c *cloud) taken() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch
}

// onTaken calls a function at each taking.
func (c *cloud) onTaken(f func(epoch uint64, by *link)) (taken func() uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell = f
	return c.taken
}

func newCloud(t *testing.T) *cloud {
	s, err := pebblestore.Open(vfs.NewMem(), "store", pebblestore.Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return &cloud{store: s, blobs: make(map[string][]byte)}
}

func (c *cloud) handle(l *link) ledger.Shared { return &handle{cloud: c, link: l} }

type handle struct {
	cloud *cloud
	link  *link
	epoch uint64
}

func through[T any](ctx context.Context, h *handle, f func(c *cloud) (T, error)) (v T, err error) {
	passed := h.link.pass(ctx, func(l *link) direction { return l.store }, func() {
		h.cloud.mu.Lock()
		defer h.cloud.mu.Unlock()
		v, err = f(h.cloud)
	})
	if passed != nil {
		var none T
		return none, passed
	}
	return v, err
}

func (h *handle) write(ctx context.Context, f func(c *cloud) error) error {
	epoch := h.epoch
	_, err := through(ctx, h, func(c *cloud) (struct{}, error) {
		switch {
		case epoch == 0:
			return struct{}{}, ledger.ErrNotTaken
		case c.epoch != epoch:
			return struct{}{}, ledger.ErrTakenOver
		}
		return struct{}{}, f(c)
	})
	return err
}

func (h *handle) Published(ctx context.Context) ([]byte, error) {
	return through(ctx, h, func(c *cloud) ([]byte, error) { return c.store.Published(context.Background()) })
}
func (h *handle) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	return through(ctx, h, func(c *cloud) ([][]byte, error) { return c.store.Tiles(context.Background(), ids) })
}
func (h *handle) Entries(ctx context.Context, a, b uint64) ([][]byte, error) {
	return through(ctx, h, func(c *cloud) ([][]byte, error) { return c.store.Entries(context.Background(), a, b) })
}
func (h *handle) Head(ctx context.Context) (ledger.Head, error) {
	return through(ctx, h, func(c *cloud) (ledger.Head, error) { return c.store.Head(context.Background()) })
}
func (h *handle) ArchivedCount(ctx context.Context) (uint64, error) {
	return through(ctx, h, func(c *cloud) (uint64, error) { return c.store.ArchivedCount(context.Background()) })
}
func (h *handle) Archived(ctx context.Context, n uint64) ([]byte, error) {
	return through(ctx, h, func(c *cloud) ([]byte, error) { return c.store.Archived(context.Background(), n) })
}
func (h *handle) Extend(ctx context.Context, x ledger.Extension) error {
	return h.write(ctx, func(c *cloud) error { return c.store.Extend(context.Background(), x) })
}
func (h *handle) Publish(ctx context.Context, old, next []byte) error {
	return h.write(ctx, func(c *cloud) error { return c.store.Publish(context.Background(), old, next) })
}
func (h *handle) Archive(ctx context.Context, n uint64, b []byte) error {
	return h.write(ctx, func(c *cloud) error { return c.store.Archive(context.Background(), n, b) })
}
func (h *handle) Take(ctx context.Context) error {
	e, err := h.Epoch(ctx)
	if err != nil {
		return err
	}
	return h.TakeAfter(ctx, e)
}
func (h *handle) TakeAfter(ctx context.Context, epoch uint64) error {
	e, err := through(ctx, h, func(c *cloud) (uint64, error) {
		switch {
		case c.why != "":
			return 0, &ledger.SealedError{Why: c.why}
		case c.epoch != epoch:
			return 0, ledger.ErrTakenOver
		}
		c.epoch++
		if c.tell != nil {
			c.tell(c.epoch, h.link)
		}
		return c.epoch, nil
	})
	if err == nil {
		h.epoch = e
	}
	return err
}
func (h *handle) Epoch(ctx context.Context) (uint64, error) {
	return through(ctx, h, func(c *cloud) (uint64, error) { return c.epoch, nil })
}
func (h *handle) Sealed(ctx context.Context) (string, error) {
	return through(ctx, h, func(c *cloud) (string, error) { return c.why, nil })
}
func (h *handle) Seal(ctx context.Context, why string) error {
	return h.write(ctx, func(c *cloud) error { c.why = why; c.epoch++; return nil })
}
func (h *handle) TakeSealed(context.Context, string) error { panic("not here") }
func (h *handle) Unseal(context.Context) error             { panic("not here") }
func (h *handle) PutBlob(ctx context.Context, name string, b []byte) error {
	_, err := through(ctx, h, func(c *cloud) (struct{}, error) { c.blobs[name] = slices.Clone(b); return struct{}{}, nil })
	return err
}
func (h *handle) Blob(ctx context.Context, name string) ([]byte, error) {
	return through(ctx, h, func(c *cloud) ([]byte, error) {
		if b, ok := c.blobs[name]; ok {
			return b, nil
		}
		return nil, ledger.ErrMissing
	})
}
func (h *handle) ListBlobs(ctx context.Context, prefix string) ([]string, error) {
	return through(ctx, h, func(c *cloud) (names []string, err error) {
		for n := range c.blobs {
			if strings.HasPrefix(n, prefix) {
				names = append(names, n)
			}
		}
		slices.Sort(names)
		return names, nil
	})
}
func (h *handle) DeleteBlob(ctx context.Context, name string) error {
	_, err := through(ctx, h, func(c *cloud) (struct{}, error) { delete(c.blobs, name); return struct{}{}, nil })
	return err
}
