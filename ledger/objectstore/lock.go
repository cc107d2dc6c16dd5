package objectstore

import "context"

// lock is a mutex that may be held while the store is asked, since who waits for it gives up
// with its context.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

func (l lock) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeAnyhow waits for whoever holds it.
func (l lock) takeAnyhow() { l <- struct{}{} }

func (l lock) release() { <-l }
