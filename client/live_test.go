package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// live opens a trust directory's copy as a replica does.
func openLive(t *testing.T, trust *Trust) *Live {
	t.Helper()
	l, err := trust.OpenLive(t.Context())
	must(t, err)
	return l
}

// step is one turn of [Live.Follow].
func (l *Live) step(ctx context.Context, c *Client) error {
	if err := l.trust.Sync(ctx, c, nil); err != nil {
		return err
	}
	return l.show()
}

// A live copy grows while it is read: each checkpoint that it shows is whole, its rows are the
// ledger's, and what it leaves is a copy like any other.
func TestLive(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	files := vfs.NewMem()
	trust := w.trust(files, "trust")
	if _, err := trust.OpenLive(t.Context()); !errors.Is(err, ErrNoCopy) {
		t.Fatalf("a live copy of nothing: %v", err)
	}
	must(t, trust.Sync(t.Context(), w.client(), nil))
	l := openLive(t, trust)
	for _, size := range []uint64{3, 4, 255, 256, 300, 300, 700} {
		w.growTo(size)
		_, next := l.Reader().Next()
		must(t, l.step(t.Context(), w.client()))
		select {
		case <-next:
		default:
			if size != 3 && size != 300 {
				t.Errorf("nobody was told of size %d", size)
			}
		}
		if s := l.State(); s.Size != size || s.Lag() != 0 || s.Reached.IsZero() || s.Err != nil {
			t.Errorf("size %d: %+v", size, s)
		}
		for _, i := range []uint64{0, size / 2, size - 1} {
			r, err := l.Reader().Receipt(t.Context(), i)
			must(t, err)
			if _, err := r.Verify(w.policy, time.Now()); err != nil {
				t.Errorf("the receipt of %d at size %d: %v", i, size, err)
			}
		}
	}
	w.wantSameRegister(trust)
	if other, err := OpenTrust(files, "trust"); err != nil {
		t.Error(err)
	} else if _, err := other.lockForSync(ended(t)); err == nil {
		t.Error("another process may sync beside it")
	}
	must(t, l.Close())
	reader, err := OpenTrust(files, "trust")
	must(t, err)
	defer reader.Close()
	w.wantSameRegister(reader)
	if reader.CoveredSize() != 700 {
		t.Errorf("it leaves a copy of %d entries, want 700", reader.CoveredSize())
	}
}

func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// Whatever is cut off, the next start goes on from what is durable, asks for no entry twice that
// the checkpoint it trusted covers, and shows nothing that was not judged.
func TestLiveCrash(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	mem := vfs.NewCrashableMem()
	trust := w.trust(mem, "trust")
	must(t, trust.Sync(t.Context(), w.client(), nil))
	l := openLive(t, trust)
	w.growTo(600)
	must(t, l.step(t.Context(), w.client()))
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	must(t, l.Close())

	trust, err := OpenTrust(crashed, "trust")
	must(t, err)
	t.Cleanup(func() { trust.Close() })
	w.net.bundles()
	l = openLive(t, trust)
	defer l.Close()
	if got := l.State().Size; got != 600 || l.Register().Size() != 600 {
		t.Errorf("after a crash it shows %d entries, and judged %d; want 600", got, l.Register().Size())
	}
	if asked := w.net.bundles(); len(asked) > 0 {
		t.Errorf("it asked again for %v", asked)
	}
	w.wantSameRegister(trust)
	w.growTo(601)
	must(t, l.step(t.Context(), w.client()))
	w.wantSameRegister(trust)
}

// A fork is returned with its evidence; what was shown before stays, and nothing of the other
// history is in the register.
func TestLiveFork(t *testing.T) {
	ours, theirs := newWorld(t), newWorld(t)
	ours.growTo(300)
	for _, size := range []uint64{200, 300, 700} {
		theirs.growTo(size)
		trust := ours.syncedTrust()
		l := openLive(t, trust)
		told := false
		err := l.Follow(t.Context(), theirs.client(), func(error, time.Duration) { told = true })
		var fork *InconsistencyError
		if !errors.As(err, &fork) || told {
			t.Errorf("size %d: %v, told %v", size, err, told)
		} else if e, err := proof.ParseEvidence(fork.Evidence); err != nil {
			t.Error(err)
		} else if _, err := e.Verify(logKey().Key()); err != nil {
			t.Error(err)
		}
		if l.State().Size != 300 || l.Reader().PublishedSize() != 300 {
			t.Errorf("size %d: it shows %d", size, l.Reader().PublishedSize())
		}
		ours.wantSameRegister(trust)
		must(t, l.Close())
	}
}

// What was signed and cosigned while it was replayed counts against a log that goes on with
// another history, even though it was not shown yet.
func TestLiveForkWithinReplay(t *testing.T) {
	ours, theirs := newWorld(t), newWorld(t)
	theirs.growTo(900)
	trust := ours.syncedTrust()
	l := openLive(t, trust)
	defer l.Close()
	ours.growTo(700)
	c := ours.client()
	// The last bundle does not come: what came before it is folded.
	ours.net.fail = func(r *http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/tile/entries/002") {
			return errLost
		}
		return nil
	}
	if err := l.step(t.Context(), c); !mayPass(err) || l.Reader().PublishedSize() != 2 {
		t.Fatalf("cut off: %v at size %d", err, l.Reader().PublishedSize())
	}
	ours.net.fail = nil
	must(t, l.step(t.Context(), c))
	if l.Reader().PublishedSize() != 700 {
		t.Errorf("it goes on to %d", l.Reader().PublishedSize())
	}
	var fork *InconsistencyError
	if err := l.step(t.Context(), theirs.client()); !errors.As(err, &fork) {
		t.Errorf("another history: %v", err)
	}
}

// A ledger that takes in what the rules refuse is no fork: what was judged before goes on being
// shown, and nothing of it is.
func TestLiveGoesOnThroughFaults(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	trust := w.syncedTrust()
	l := openLive(t, trust)
	defer l.Close()
	w.growTo(300)
	for name, spoil := range map[string]func(r *http.Request) *http.Response{
		"no answer":  func(*http.Request) *http.Response { return answerOf(503, "busy") },
		"a web page": func(*http.Request) *http.Response { return answerOf(200, "<html>") },
		"spoilt entries": func(r *http.Request) *http.Response {
			if strings.HasPrefix(r.URL.Path, "/tile/entries/") {
				return answerOf(200, "\x00\x01x")
			}
			return nil
		},
	} {
		w.net.respond = spoil
		ctx, cancel := context.WithCancel(t.Context())
		var why error
		err := l.Follow(ctx, w.client(), func(err error, next time.Duration) {
			if why = err; next <= 0 || next > 2*liveMaxPause {
				t.Errorf("%s: a pause of %s", name, next)
			}
			cancel()
		})
		if why == nil || !errors.Is(err, context.Canceled) || l.State().Size != 3 || l.State().Err == nil {
			t.Errorf("%s: told %v, ended with %v, shows %d", name, why, err, l.State().Size)
		}
	}
	w.net.respond = nil
	must(t, l.step(t.Context(), w.client()))
	if s := l.State(); s.Size != 300 || s.Err != nil {
		t.Errorf("%+v", s)
	}
	w.wantSameRegister(trust)
}

func answerOf(status int, body string) *http.Response {
	w := httptest.NewRecorder()
	w.WriteHeader(status)
	w.WriteString(body)
	return w.Result()
}
