package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
)

// A snapshot that is wrong ends the replica, whatever else is said beside it; a source that is
// away does not.
func TestWrongSnapshotEnds(t *testing.T) {
	wrong := &client.SnapshotError{Wrong: 1}
	for _, err := range []error{wrong, errors.Join(wrong), fmt.Errorf("replaying: %w", wrong)} {
		if !isWrong(err) {
			t.Errorf("%v: it would be served on", err)
		}
	}
	for _, err := range []error{nil, errors.New("away")} {
		if isWrong(err) {
			t.Errorf("%v ends it", err)
		}
	}
}

// A source that is busy, or has a newer snapshot by then, is asked again when it says, and not for ever.
func TestStartAsksAgain(t *testing.T) {
	away, cut := &wire.UnreachableError{Err: errors.New("refused")}, fmt.Errorf("fetching: %w", io.ErrUnexpectedEOF)
	busy, gone := &client.Problem{Status: 503, RetryAfter: 5 * time.Second}, &client.Problem{Status: 404}
	source, err := client.New("http://writer.example", nil)
	check(t, err)
	for name, c := range map[string]struct {
		answers []error // the last one for ever
		came    uint64  // bytes, before the first
		begins  bool
		asked   int
		took    time.Duration
	}{
		"busy":                {[]error{busy, fmt.Errorf("fetching: %w", busy), nil}, 0, true, 3, 10 * time.Second},
		"a newer one":         {[]error{gone, nil}, 0, true, 2, time.Second},
		"its manifest":        {[]error{&wire.StatusError{Code: 429, RetryAfter: time.Hour}, nil}, 0, true, 2, 30 * time.Second},
		"busy for ever":       {[]error{busy}, 0, false, startTries, (startTries - 1) * 5 * time.Second},
		"away on the way":     {[]error{away, cut, nil}, 1, true, 3, 2 * time.Second},
		"away":                {[]error{away, nil}, 0, false, 1, 0},
		"another's signature": {[]error{snapshot.ErrNotSigned, nil}, 0, false, 1, 0},
		"none":                {[]error{client.ErrNoSnapshot, nil}, 0, false, 1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			begun, asked := time.Now(), 0
			begins := Start(t.Context(), source, slog.New(slog.DiscardHandler), func(progress func(done, all uint64)) error {
				if asked++; asked == 1 {
					progress(c.came, 100)
				}
				return c.answers[min(asked, len(c.answers))-1]
			})
			if took := time.Since(begun); begins != c.begins || asked != c.asked || took != c.took {
				t.Errorf("%s: begins %v, asked %d times within %s", name, begins, asked, took)
			}
		})
	}
}

// Why the replay behind a snapshot stands still is said to whoever asks, in words that name nothing of the
// operator's, until it is tried again.
func TestWhyNothingIsReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, vkey, err := proof.GenerateKey(proof.Ed25519, "n1.example")
		check(t, err)
		by, err := snapshot.ParseNodeKey(vkey)
		check(t, err)
		goOn := make(chan struct{})
		b := &Behind{Log: slog.New(slog.DiscardHandler), Unreplayed: func() (*snapshot.Verified, bool) {
			return &snapshot.Verified{By: by}, true
		}}
		tries := 0
		b.Replay = func(context.Context, func(reached, size uint64)) error {
			if tries++; tries == 1 {
				return &wire.UnreachableError{Err: errors.New("dial tcp 10.0.0.7")}
			}
			<-goOn
			return nil
		}
		ended := make(chan error)
		go func() { ended <- b.Run(t.Context()) }()
		synctest.Wait()
		if words := b.Away(); words != "the log is not replayed behind the snapshot now: the source is out of reach, or busy" {
			t.Errorf("it says %q", words)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if words := b.Away(); tries != 2 || words != "" {
			t.Errorf("it is tried again, and it says %q", words)
		}
		close(goOn)
		check(t, <-ended)
	})
}
