package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

const (
	// streamSilence is how long a server may say nothing, not even a heartbeat, before its
	// stream is taken for dead.
	streamSilence = 45 * time.Second
	// followInterval is how often a source without a stream, as a mirror of tiles, is asked.
	followInterval = time.Minute
	// maxFollowPause is the longest pause after a failure.
	maxFollowPause = 5 * time.Minute

	// A live copy is what others read: a source without a stream is asked more often, and so is
	// one that was away; and cosignatures that are newer than the newest record are fetched
	// too, by which its readers see that nothing is kept from them.
	liveInterval     = 10 * time.Second
	liveMaxPause     = 20 * time.Second
	liveCosignatures = time.Minute
	// What was knowable when holds up the next checkpoint while it is learnt: for so long at most, and
	// not again for a while where that was not enough.
	liveTimesTimeout = time.Minute
	liveTimesPause   = 15 * time.Minute
)

// pace is how often a follower asks.
type pace struct {
	interval time.Duration // a source without a stream
	maxPause time.Duration // after failures
	most     time.Duration // a stream is waited for; 0: for ever
}

func (t *Trust) pace() pace {
	if t.live != nil {
		return pace{liveInterval, liveMaxPause, liveCosignatures}
	}
	return pace{followInterval, maxFollowPause, 0}
}

// Follow brings the copy up to date again and again, until ctx ends: whenever the server's
// stream says that there is something new, and every minute where it has none. After each
// sync, the first included, it calls synced, whose error ends it. What the stream says is a
// wake-up alone, and never believed: whatever synced reads of the copy was fetched, verified
// and judged as by [Trust.Sync].
//
// What may pass (the server is out of reach, busy, or behind) is tried again with growing
// pauses, and told to notify; everything else, a fork above all, is returned. Whoever has no copy
// yet cannot tell what is behind from a log that has gone back: that may pass too.
func (t *Trust) Follow(ctx context.Context, c *Client, notify func(err error, next time.Duration), synced func() error) error {
	pauses := backoff.NewExponentialBackOff()
	pace := t.pace()
	pauses.MaxInterval = pace.maxPause
	size, announced := t.size(), false
	for {
		err := t.Sync(ctx, c, nil)
		if err == nil {
			if err := synced(); err != nil {
				return err
			}
			switch grown := t.size() > size; {
			case grown:
				pauses.Reset()
			case announced: // or whoever announces what never comes would keep this busy
				err = &wire.UnreachableError{Err: fmt.Errorf("%s announces entry %d, and shows no checkpoint with it", c.URL(), size)}
			}
			size = t.size()
		}
		if announced = false; err == nil {
			announced, err = c.waitForRecord(ctx, size, pace)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
		case !mayPass(err):
			return err
		default:
			next := pauses.NextBackOff()
			notify(err, next)
			if err := pause(ctx, next); err != nil {
				return err
			}
		}
	}
}

// mayPass reports whether the same call may be fine later.
func mayPass(err error) bool {
	var p *Problem
	var u *wire.UnreachableError
	var s *wire.StatusError
	var behind *BehindError
	var fork *InconsistencyError
	return errors.As(err, &fork) && fork.uncompared != nil || errors.As(err, &p) && p.Retryable() || errors.As(err, &u) || errors.As(err, &s) && s.Code >= 500 ||
		errors.As(err, &behind) || errors.Is(err, ErrUnpublished) || errors.Is(err, ErrSyncing)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waitForRecord waits until the server says that it has published a record of that index,
// or until there is nothing to wait by: a stream that ends is asked for again, and where
// there is none the next look is a minute later.
func (c *Client) waitForRecord(ctx context.Context, index uint64, pace pace) (announced bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var enough atomic.Bool
	if pace.most > 0 {
		defer time.AfterFunc(pace.most, func() { enough.Store(true); cancel() }).Stop()
		defer func() {
			if enough.Load() {
				err = nil
			}
		}()
	}
	silence := time.AfterFunc(streamSilence, cancel)
	defer silence.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/v1/stream?from=%d&limit=1", c.URL(), index), nil)
	if err != nil {
		return false, err
	}
	res, err := c.servers.Stream(req) // silence ends it
	if err != nil {
		return false, fmt.Errorf("asking %s: %w", c.URL(), wire.CallError(err))
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotFound, res.StatusCode == http.StatusMethodNotAllowed:
		silence.Stop()
		return false, pause(ctx, pace.interval)
	case res.StatusCode >= 300:
		return false, readProblem(res)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 4096), proof.MaxNoteBytes)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "id:") {
			return true, nil
		}
		silence.Reset(streamSilence)
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("reading the stream of %s: %w", c.URL(), &wire.UnreachableError{Err: err})
	}
	return false, fmt.Errorf("the stream of %s: %w", c.URL(), &wire.UnreachableError{Err: errors.New("it ended")})
}
