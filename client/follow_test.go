package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
)

// streaming answers the stream in the ledger's stead.
type streaming struct {
	http.RoundTripper
	stream string
}

func (s streaming) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/v1/stream" {
		return s.RoundTripper.RoundTrip(r)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.stream)), Request: r}, nil
}

// What a stream says is a wake-up alone: a record that it makes up is told to nobody, and
// whoever announces what never comes is asked ever more seldom.
func TestFollowBelievesNoStream(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	for _, c := range []struct{ stream, words string }{
		{"retry: 3000\n\nid: 99\nevent: record\ndata: {\"index\":99}\n\n", "and shows no checkpoint with it"},
		{"retry: 3000\n\n:\n\n", "it ended"},
		{"", "it ended"},
	} {
		server, err := New(w.client().URL(), streaming{w.net, c.stream})
		must(t, err)
		trust := w.trust(vfs.NewMem(), "trust")
		ctx, cancel := context.WithCancel(t.Context())
		synced := 0
		err = trust.Follow(ctx, server, func(err error, next time.Duration) {
			if !strings.Contains(err.Error(), c.words) || next <= 0 {
				t.Errorf("told %v, then a pause of %s", err, next)
			}
			cancel()
		}, func() error {
			if synced++; trust.CoveredSize() != 3 || synced > 2 {
				t.Errorf("sync %d ended at %d entries, want 3", synced, trust.CoveredSize())
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) || synced == 0 {
			t.Errorf("%q: %v after %d syncs", c.stream, err, synced)
		}
		must(t, trust.Close())
	}
}

// heartbeats is the body of a stream that says nothing but that it lives, so often, and then
// nothing at all.
type heartbeats struct {
	ctx  context.Context
	left int
}

func (h *heartbeats) Read(b []byte) (int, error) {
	if h.left == 0 {
		<-h.ctx.Done()
		return 0, h.ctx.Err()
	}
	h.left--
	time.Sleep(15 * time.Second)
	return copy(b, ":\n\n"), nil
}

func (h *heartbeats) Close() error { return nil }

// beating answers the stream by heartbeats.
type beating int

func (n beating) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: &heartbeats{r.Context(), int(n)}, Request: r}, nil
}

// A stream is waited for as long as it says that it lives, and given up once it says nothing.
func TestSilentStreamIsGivenUp(t *testing.T) {
	for beats, want := range map[int]time.Duration{0: streamSilence, 20: 5*time.Minute + streamSilence} {
		synctest.Test(t, func(t *testing.T) {
			c, err := New("https://docket.example", beating(beats))
			must(t, err)
			begun := time.Now()
			announced, err := c.waitForRecord(t.Context(), 5, (&Trust{}).pace())
			var unreachable *wire.UnreachableError
			if took := time.Since(begun); announced || !errors.As(err, &unreachable) || took != want {
				t.Errorf("%d heartbeats: %v, %v after %s, want %s", beats, announced, err, took, want)
			}
		})
	}
}
