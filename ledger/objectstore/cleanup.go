package objectstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// cleanUp is when stages were seen first that no head names any more.
type cleanUp struct {
	mu    sync.Mutex
	since map[stageName]time.Time
}

// keepClean cleans up until ctx ends. Nothing waits for it, so it asks a store that does not answer no
// longer than cleanUpTime at once.
func (s *Store) keepClean(ctx context.Context) {
	cleaning := time.NewTicker(s.config.KeepStages / 6)
	defer cleaning.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-cleaning.C:
		}
		once, cancel := context.WithTimeout(ctx, cleanUpTime)
		if err := s.CleanUp(once); err != nil && ctx.Err() == nil {
			s.config.Log.Warn("stages that nobody needs any more are not deleted", "err", err)
		}
		cancel()
	}
}

const cleanUpTime = time.Minute

// CleanUp deletes stages that no head will ever name: those that a head of a size above their
// old one does not name, whoever staged them. A head that names one is a swap from its old
// size, and a head only grows; one that was named was left out once all in it was public. It keeps
// each for Config.KeepStages after it saw it first, for who reads by an older head. Only a
// handle that has taken the store cleans up; one that was taken over may, and deletes nothing
// that a newer head names.
func (s *Store) CleanUp(ctx context.Context) error {
	w, err := s.everWriter()
	if err != nil {
		return err
	}
	prefix := s.private("stages/")
	keys, err := s.bucket.all(ctx, prefix)
	if err != nil {
		return fmt.Errorf("listing the stages: %w", err)
	}
	s.mu.Lock()
	h := s.view.body // whichever it is: what a later one may name has an old size that is not below its own
	s.mu.Unlock()
	named := map[stageName]bool{}
	for _, n := range h.Stages {
		named[n] = true
	}
	due := w.clean.due(keys, func(key string) (stageName, bool) {
		n, ok := parseStageKey(strings.TrimPrefix(key, prefix))
		return n, ok && !named[n] && n.Old < h.Size
	}, s.config.KeepStages)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxConcurrent)
	for _, n := range due {
		g.Go(func() error { return again(ctx, func() error { return s.bucket.remove(ctx, s.stageKey(n)) }) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("deleting stages: %w", err)
	}
	return nil
}

// due are those of the listed stages that have not been needed for so long.
func (c *cleanUp) due(keys []string, unneeded func(string) (stageName, bool), keep time.Duration) (due []stageName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	since := map[stageName]time.Time{}
	for _, key := range keys {
		n, ok := unneeded(key)
		if !ok {
			continue
		}
		first, known := c.since[n]
		if !known {
			first = now
		}
		if since[n] = first; now.Sub(first) >= keep {
			due = append(due, n)
		}
	}
	c.since = since
	return due
}
