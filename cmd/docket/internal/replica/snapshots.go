package replica

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
)

// Snapshots makes snapshots of a register, of a writer or a replica, every so often.
type Snapshots struct {
	Dir       *snapshot.Dir
	Register  *register.Register
	Origin    string
	Published func() uint64 // the size that is: of no more a snapshot is handed out
	May       func() bool   // whether the rows were replayed by this operator; nil: they were
	Every     time.Duration
	Log       *slog.Logger
}

// Run makes one at once, where there is none of the present size, and then every so often, until ctx ends.
func (s Snapshots) Run(ctx context.Context) {
	wait := time.Duration(0)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = s.Every
		if s.May != nil && !s.May() || s.Register.Size() == 0 {
			wait = min(wait, time.Minute)
			continue
		}
		if newest := s.Dir.Newest(); newest != nil && newest.Tree.Size == s.Register.Size() {
			continue
		}
		if err := s.Make(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("no snapshot of the register was made", "err", err)
			wait = min(wait, 10*time.Minute)
		}
	}
}

// publishedSoon is how long a snapshot waits until what it is of is published.
const publishedSoon = 100 * time.Millisecond

// Make makes one. It is of what is committed: it waits until that is published.
func (s Snapshots) Make(ctx context.Context) error {
	begun := time.Now()
	err := s.Dir.Make(ctx, func(dir string) (m snapshot.Manifest, err error) {
		if err := s.Register.Checkpoint(dir); err != nil {
			return m, err
		}
		cursor, err := s.Register.CursorOf(dir)
		if err != nil {
			return m, err
		}
		for s.Published() < cursor.Size {
			select {
			case <-time.After(publishedSoon):
			case <-ctx.Done():
				return m, ctx.Err()
			}
		}
		return snapshot.Manifest{Origin: s.Origin, Tree: proof.Tree{Size: cursor.Size, Root: cursor.Root}, Rules: register.RulesVersion, Rows: register.FormatVersion}, nil
	})
	if err != nil {
		return err
	}
	newest := s.Dir.Newest()
	s.Log.Info("a snapshot of the register", "size", newest.Tree.Size, "bytes", newest.Bytes(), "files", len(newest.Files), "took", time.Since(begun).Round(time.Millisecond).String())
	return nil
}

// startTries is how often a snapshot is asked for whose source is busy, or has a newer one by then.
const startTries = 10

// Start fetches a snapshot to begin with, and reports whether it did. A source that is busy is asked again,
// when it says, and so is one that is away once something has come of it; what was fetched whole stays.
// Whatever else is wrong, the log is replayed instead.
func Start(ctx context.Context, source *client.Client, log *slog.Logger, fetch func(progress func(done, all uint64)) error) bool {
	said, came := time.Now(), false
	for tries := 1; ; tries++ {
		err := fetch(func(done, all uint64) {
			came = came || done > 0
			if time.Since(said) > 10*time.Second {
				said = time.Now()
				log.Info("fetching a snapshot of the register", "bytes", done, "of", all)
			}
		})
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		pause, again := askAgain(err, came)
		if !again || tries == startTries {
			log.Warn("no snapshot is begun with: the log is replayed", "url", source.URL(), "err", err)
			return false
		}
		log.Info("the snapshot is asked for again", "url", source.URL(), "again", pause.String(), "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false
		}
	}
}

// askAgain says of an error whether the same snapshot, or a newer one, may be had a little later. Who is away
// and has handed out nothing may be so for long.
func askAgain(err error, came bool) (pause time.Duration, again bool) {
	var file *client.Problem
	var manifest *wire.StatusError
	switch {
	case errors.As(err, &file) && (file.Retryable() || file.Status == http.StatusNotFound):
		pause = file.RetryAfter
	case errors.As(err, &manifest) && manifest.Retryable():
		pause = manifest.RetryAfter
	case came && (errors.As(err, new(*wire.UnreachableError)) || errors.Is(err, io.ErrUnexpectedEOF)):
	default:
		return 0, false
	}
	return min(max(pause, time.Second), 30*time.Second), true
}

// Behind replays the log behind the snapshot that a register began with.
type Behind struct {
	Unreplayed func() (v *snapshot.Verified, own bool)
	Replay     func(ctx context.Context, progress func(reached, size uint64)) error
	Log        *slog.Logger

	mu  sync.Mutex
	err error // why the newest try failed, until the next one; guarded by mu
}

func (b *Behind) failed(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// Away says to whoever asks why the replay does not go on; "" if it does.
func (b *Behind) Away() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		return ""
	}
	return "the log is not replayed behind the snapshot now: " + Away(b.err)
}

// Run replays until the rows are the same, or ctx ends; a *[client.SnapshotError] where they never are.
func (b *Behind) Run(ctx context.Context) error {
	v, own := b.Unreplayed()
	if v == nil {
		return nil
	}
	b.Log.Info("serving from a snapshot; the log is replayed behind it", "size", v.Tree.Size, "by", v.By.Label(), "same operator", own)
	begun, pause := time.Now(), time.Second
	for {
		said := time.Now()
		b.failed(nil)
		err := b.Replay(ctx, func(reached, size uint64) {
			if time.Since(said) > 30*time.Second {
				said = time.Now()
				b.Log.Info("replaying behind the snapshot", "reached", reached, "size", size)
			}
		})
		if err == nil || isWrong(err) || ctx.Err() != nil {
			if err == nil {
				b.Log.Info("the log was replayed: every row is as the snapshot has it", "size", v.Tree.Size, "took", time.Since(begun).Round(time.Second).String())
			}
			return err
		}
		b.failed(err)
		b.Log.Warn("the replay behind the snapshot does not go on now", "again", pause.String(), "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		pause = min(2*pause, time.Minute)
	}
}

// isWrong says of an error that the snapshot is not what the log says: no other try changes that.
func isWrong(err error) bool { return errors.As(err, new(*client.SnapshotError)) }
