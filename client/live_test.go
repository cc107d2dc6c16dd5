package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// live opens a trust directory's copy as a replica does.
func openLive(t *testing.T, trust *Trust) *Live {
	t.Helper()
	l, err := trust.OpenLive(t.Context())
	must(t, err)
	return l
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
		must(t, l.Sync(t.Context(), w.client()))
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
	must(t, l.Sync(t.Context(), w.client()))
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
	must(t, l.Sync(t.Context(), w.client()))
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
// another history, even though it was not shown yet: whether the histories part in what was folded of it, or
// in what was not.
func TestLiveForkWithinReplay(t *testing.T) {
	w := newWorld(t)
	trust := w.syncedTrust()
	w.growTo(1100)
	for _, c := range []struct{ parts, size, older int }{{600, 1150, 0}, {1050, 1150, 0}, {600, 1060, 0}, {1080, 1150, 1060}} {
		l := openLive(t, trust)
		w.net.respond = func(r *http.Request) *http.Response {
			if strings.HasPrefix(r.URL.Path, "/tile/entries/004") { // the last: what came before is folded
				return answerOf(503, "busy")
			}
			return nil
		}
		if err := l.Sync(t.Context(), w.client()); !mayPass(err) || l.Reader().PublishedSize() != 2 || l.Register().Size() != 1024 {
			t.Fatalf("cut off: %v at size %d of %d", err, l.Reader().PublishedSize(), l.Register().Size())
		}
		if c.older > 0 { // what is shown between is of the one history, and makes nothing unsigned
			w.net.respond = mirrored(sourceOf(t, w.entries()[:c.older]))
			must(t, l.Sync(t.Context(), w.client()))
		}
		others := append(w.entries(), w.entries()[:50]...)[:c.size]
		others[c.parts].Admitted = others[c.parts].Admitted.Add(time.Millisecond)
		w.net.respond = mirrored(sourceOf(t, others))
		var fork *InconsistencyError
		if err := l.Sync(t.Context(), w.client()); !errors.As(err, &fork) || c.size > 1100 && fork.Evidence == nil || fork.Trusted.Size != 1100 || fork.Shown.Size != uint64(c.size) {
			t.Errorf("size %d, parted at %d: %v", c.size, c.parts, err)
		}
		w.net.respond = nil
		must(t, l.Close())
	}
}

// A ledger that takes in what the rules refuse is no fork: what was judged before goes on being
// shown, and nothing of it is.
func TestLiveAndForbiddenEntry(t *testing.T) {
	w := newWorld(t)
	l := openLive(t, w.syncedTrust())
	defer l.Close()
	w.growTo(30)
	entries := w.entries()
	entries[20] = entries[19]
	w.net.respond = mirrored(sourceOf(t, entries))
	told, err := untilPause(t, func(ctx context.Context, notify func(error, time.Duration)) error {
		return l.Follow(ctx, w.client(), notify)
	})
	if refused := (*register.EntryError)(nil); !errors.As(told, &refused) || refused.Index != 20 || !errors.Is(err, context.Canceled) || l.State().Size != 2 {
		t.Errorf("told %v, ended with %v, shows %d", told, err, l.State().Size)
	}
}

// What a source does not hand out, or hands out spoilt, is asked for again: what was judged before goes
// on being shown.
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
	must(t, l.Sync(t.Context(), w.client()))
	if s := l.State(); s.Size != 300 || s.Err != nil {
		t.Errorf("%+v", s)
	}
	w.wantSameRegister(trust)
}

// Beyond an entry that its source withholds a live copy says that it judges nothing, and does not fetch the
// hashes from there on again with each checkpoint.
func TestLiveAndWithheldEntry(t *testing.T) {
	w := newWorld(t)
	trust := w.syncedTrust()
	w.growTo(600)
	l := openLive(t, trust)
	defer l.Close()
	w.withhold(10)
	must(t, l.Sync(t.Context(), w.client()))
	w.growTo(700)
	w.net.bundles()
	must(t, l.Sync(t.Context(), w.client()))
	if slices.Contains(w.net.paths, "/tile/0/001") {
		t.Errorf("what it has of the hashes was fetched again: %v", w.net.paths)
	}
	if s := l.State(); s.Size != 10 || s.Lag() != 690 || !errors.As(s.Err, new(*Withheld)) {
		t.Errorf("it says %+v", s)
	}
	w.wantWithheld(trust, 10, 700)
	w.withhold()
	must(t, l.Sync(t.Context(), w.client()))
	if s := l.State(); s.Size != 700 || s.Lag() != 0 || s.Err != nil {
		t.Errorf("once it is served: %+v", s)
	}
	w.wantSameRegister(trust)
}

// A checkpoint is shown before it is learnt what was knowable when, for which a source may take its
// time; one that does not tell is not asked with each checkpoint.
func TestLiveShowsBeforeItLearnsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWitnessedWorld(t)
		trust := w.trust(vfs.NewMem(), "trust")
		must(t, trust.Sync(t.Context(), w.client(), nil))
		l := openLive(t, trust)
		defer l.Close()
		var shown atomic.Uint64
		w.net.respond = func(r *http.Request) *http.Response {
			if r.URL.Path == "/v1/checkpoints" {
				shown.Store(l.State().Size)
				return answerOf(503, "busy")
			}
			return nil
		}
		next := func(id string) (asked int) {
			time.Sleep(time.Minute)
			w.admitDesignation(id)
			w.net.countRequests()
			must(t, l.Sync(t.Context(), w.client()))
			return w.net.countRequests()
		}
		if asked := next("a"); asked == 0 || shown.Load() != 5 {
			t.Errorf("asked %d times, while %d was shown", asked, shown.Load())
		}
		if asked := next("b"); asked != 0 || l.State().Size != 6 || trust.TimesErr() == nil {
			t.Errorf("asked %d times more, at size %d: %v", asked, l.State().Size, trust.TimesErr())
		}
		w.net.respond = nil
		time.Sleep(liveTimesPause)
		if asked := next("c"); asked == 0 || trust.TimesErr() != nil {
			t.Errorf("asked %d times a while later: %v", asked, trust.TimesErr())
		}
	})
}

func answerOf(status int, body string) *http.Response {
	w := httptest.NewRecorder()
	w.WriteHeader(status)
	w.WriteString(body)
	return w.Result()
}
