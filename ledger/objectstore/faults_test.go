package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// keptBy are the faults that a store which keeps its promises may have, all that a network and
// a busy server do.
var keptBy = slices.DeleteFunc(objectstoretest.All(), func(f objectstoretest.Fault) bool {
	return f == objectstoretest.OldBody || f == objectstoretest.Cut
})

// faulty makes a third of the requests of each link go wrong, in every way.
func faulty(seed uint64) func(*objectstoretest.Link) {
	var links uint64
	return func(l *objectstoretest.Link) {
		links++
		var mu sync.Mutex
		rng := rand.New(rand.NewPCG(seed, links))
		l.ReleaseEvery = 7
		l.FaultOf = func(r objectstoretest.Request) objectstoretest.Fault {
			mu.Lock()
			defer mu.Unlock()
			if rng.IntN(3) > 0 {
				return objectstoretest.None
			}
			f := keptBy[rng.IntN(len(keptBy))]
			if strings.Contains(r.Key, "/blobs/") && (f == objectstoretest.OldList || f == objectstoretest.Later || f == objectstoretest.HangLater) {
				return objectstoretest.None // the law lists and reads what was just put, and a write that comes late may win
			}
			return f
		}
	}
}

// The laws hold whatever becomes of a third of the requests.
func TestStoreLawsWithFaults(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			storetest.RunInBubbles(t, func(testing.TB) storetest.Medium {
				w := newWorld()
				w.config = func(c *objectstore.Config) { c.RequestTimeout = 250 * time.Millisecond }
				w.faults, w.small = faulty(seed), true
				return w
			})
		})
	}
}

// handle is a store in a world with a link of its own, which has taken it.
func taken(t testing.TB, w *world) (*objectstore.Store, *objectstoretest.Link) {
	t.Helper()
	h := w.Handle(t).(*objectstore.Store)
	t.Cleanup(func() { h.Close() })
	if err := h.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h, w.links[h]
}

// manual has a world's stores do nothing by themselves.
func manual(c *objectstore.Config) { c.Manual = true }

// once has the first request for that key with that method go wrong, and then go on.
func once(method, key string, fault objectstoretest.Fault) func(objectstoretest.Request) objectstoretest.Fault {
	done := false
	return func(r objectstoretest.Request) objectstoretest.Fault {
		if done || r.Method != method || !strings.HasSuffix(r.Key, key) {
			return objectstoretest.None
		}
		done = true
		return fault
	}
}

// Each fault of each request of each write: the write is done, or is a conflict only if there is
// another writer.
func TestEachFaultOfEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, fault := range keptBy {
			for _, request := range []struct{ method, key string }{{"PUT", "private/head"}, {"PUT", "private/published"}, {"GET", "private/head"}, {"GET", "private/published"}} {
				w := newWorld()
				w.config = manual
				s, link := taken(t, w)
				log := &storetest.ReferenceLog{}
				link.Set(once(request.method, request.key, fault))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				err := errors.Join(s.Take(ctx), s.Extend(ctx, log.Grow(3)), s.Archive(ctx, 0, []byte("a")), s.Publish(ctx, nil, []byte("b")), s.Extend(ctx, log.Grow(3)), s.Publish(ctx, []byte("b"), []byte("c")))
				if h, headErr := s.Head(ctx); err != nil || headErr != nil || h != log.Head(6) {
					t.Errorf("%s of %s: %v: %v; head %v, %v", request.method, request.key, fault, err, h, headErr)
				}
				cancel()
				link.Release()
				if h, err := s.Head(t.Context()); err != nil || h != log.Head(6) {
					t.Errorf("%s of %s: %v, and what was held: head %v, %v", request.method, request.key, fault, h, err)
				}
			}
		}
	})
}

// What no answer can be had for has an outcome that is unknown, at the end of its context; then
// the store is where it is, and a next write from there succeeds.
func TestOutcomeUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, fault := range []objectstoretest.Fault{objectstoretest.Hang, objectstoretest.HangLater, objectstoretest.Lost, objectstoretest.Unheard, objectstoretest.Error, objectstoretest.ErrorDone, objectstoretest.SlowDown, objectstoretest.Conflict} {
			w := newWorld()
			w.config = manual
			s, link := taken(t, w)
			log := &storetest.ReferenceLog{}
			if err := s.Extend(t.Context(), log.Grow(3)); err != nil {
				t.Fatal(err)
			}
			link.Set(func(r objectstoretest.Request) objectstoretest.Fault {
				if strings.HasSuffix(r.Key, "private/head") {
					return fault
				}
				return objectstoretest.None
			})
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			err := s.Extend(ctx, log.Clone().Grow(5))
			cancel()
			if took := time.Since(begun); err == nil || errors.Is(err, ledger.ErrConflict) || !errors.Is(err, context.DeadlineExceeded) || took != time.Minute {
				t.Errorf("%v: %v after %v", fault, err, took)
			}
			link.Set(nil)
			link.Release()
			h, err := s.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if h.Size == 8 {
				log.Grow(5)
			}
			if err := s.Extend(t.Context(), log.Grow(4)); err != nil {
				t.Errorf("%v, and then from size %d: %v", fault, h.Size, err)
			}
		}
	})
}

// A body that is cut off and told as whole is damage that is found, and read again.
func TestCutBody(t *testing.T) {
	w := newWorld()
	w.config = manual
	s, link := taken(t, w)
	log := &storetest.ReferenceLog{}
	if err := s.Extend(t.Context(), log.Grow(300)); err != nil {
		t.Fatal(err)
	}
	link.Set(once("GET", "private/head", objectstoretest.Cut))
	if h, err := s.Head(t.Context()); err != nil || h != log.Head(300) {
		t.Errorf("a head that was cut off once: %v, %v", h, err)
	}
	link.Set(func(objectstoretest.Request) objectstoretest.Fault { return objectstoretest.Cut })
	if h, err := s.Head(t.Context()); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("a head that is cut off each time: %v, %v; want ErrCorrupt", h, err)
	}
	link.Set(nil)
	reader := w.Handle(t)
	w.links[reader].Set(func(r objectstoretest.Request) objectstoretest.Fault {
		if strings.Contains(r.Key, "stages/") {
			return objectstoretest.Cut
		}
		return objectstoretest.None
	})
	if e, err := reader.Entries(t.Context(), 0, 300); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("a stage that is cut off: %d entries, %v; want ErrCorrupt", len(e), err)
	}
}

// A store that takes nothing more, or forbids it, is told as what it is.
func TestRefusals(t *testing.T) {
	w := newWorld()
	c := objectstoretest.Config(objectstoretest.NewLink(w.server))
	c.Bucket = "another"
	s, err := objectstore.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Take(t.Context()); err == nil || !strings.Contains(err.Error(), `no bucket "another"`) {
		t.Errorf("without a bucket: %v", err)
	}
	if _, err := s.Head(t.Context()); err == nil || !strings.Contains(err.Error(), `no bucket "another"`) {
		t.Errorf("without a bucket: %v", err)
	}
	for name, want := range map[string]error{`{"format":2,"later":"fields"}`: objectstore.ErrLaterVersion, `{"format":1}`: ledger.ErrCorrupt, `none of ours`: ledger.ErrCorrupt} {
		w := newWorld()
		w.server.Put("some/log/private/head", []byte(name))
		h := w.Handle(t)
		if err := h.Take(t.Context()); !errors.Is(err, want) {
			t.Errorf("the head %s: %v, want %v", name, err, want)
		}
		if string(w.server.Objects()["some/log/private/head"]) != name {
			t.Errorf("the head %s was replaced", name)
		}
	}
	for _, prefix := range []string{"a/../b", "a//b", ".hidden", "a b"} {
		c.Prefix = prefix
		if _, err := objectstore.Open(t.Context(), c); err == nil {
			t.Errorf("the prefix %q was taken", prefix)
		}
	}
}

// Without credentials that is what is said, and at once: not that the store does not answer.
func TestNoCredentials(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
	} {
		t.Setenv(name, value)
	}
	c := objectstoretest.Config(nil)
	c.Credentials, c.Transport = nil, nil
	if _, err := objectstore.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), "no credentials are found: set AWS_ACCESS_KEY_ID") {
		t.Errorf("without credentials: %v", err)
	}
}

// With several endpoints, one that is dead is left for another.
func TestEndpoints(t *testing.T) {
	w := newWorld()
	w.config = func(c *objectstore.Config) {
		manual(c)
		c.Endpoints = []string{"http://dead.example", "http://alive.example"}
	}
	w.faults = func(l *objectstoretest.Link) {
		l.FaultOf = func(r objectstoretest.Request) objectstoretest.Fault {
			if r.Host == "dead.example" {
				return objectstoretest.Lost
			}
			return objectstoretest.None
		}
	}
	s, _ := taken(t, w)
	log := &storetest.ReferenceLog{}
	if err := s.Extend(t.Context(), log.Grow(3)); err != nil {
		t.Fatal(err)
	}
	if h, err := s.Head(t.Context()); err != nil || h != log.Head(3) {
		t.Errorf("head %v, %v", h, err)
	}
}

// Whoever gives up what it has asked says nothing of the endpoint: the next request does not go to another,
// which may be dead.
func TestEndpointOfWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.config = func(c *objectstore.Config) {
			manual(c)
			c.Endpoints = []string{"http://alive.example", "http://dead.example"}
		}
		w.faults = func(l *objectstoretest.Link) {
			l.FaultOf = func(r objectstoretest.Request) objectstoretest.Fault {
				if r.Host == "dead.example" || strings.HasSuffix(r.Key, "/slow") {
					return objectstoretest.Hang
				}
				return objectstoretest.None
			}
		}
		s, _ := taken(t, w)
		for name, ask := range map[string]func(context.Context) error{
			"GET":    func(ctx context.Context) error { _, err := s.Blob(ctx, "slow"); return err },
			"PUT":    func(ctx context.Context) error { return s.PutBlob(ctx, "slow", []byte("x")) },
			"DELETE": func(ctx context.Context) error { return s.DeleteBlob(ctx, "slow") },
		} {
			ctx, hangUp := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, hangUp)
			if err := ask(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
			begun := time.Now()
			if _, err := s.Head(t.Context()); err != nil || time.Since(begun) > 0 {
				t.Errorf("%s: the next request took %s, %v", name, time.Since(begun), err)
			}
		}
	})
}

// That nothing can be fanned out is logged, and whoever waits for it is told why.
func TestFanOutFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var warned bytes.Buffer
		w := newWorld()
		w.config = func(c *objectstore.Config) { c.Log = slog.New(slog.NewTextHandler(&warned, nil)) }
		s, link := taken(t, w)
		log := newSignedLog(t)
		log.commit(s, 256)
		synctest.Wait()
		link.Set(func(r objectstoretest.Request) objectstoretest.Fault {
			if strings.HasPrefix(r.Key, publicPrefix) {
				return objectstoretest.SlowDown
			}
			return objectstoretest.None
		})
		for range 32 {
			log.commit(s, 256)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 61*time.Second)
		defer cancel()
		err := s.Extend(ctx, log.Clone().Grow(1))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "503 SlowDown") || !strings.Contains(warned.String(), "503 SlowDown") {
			t.Errorf("%v; and what was logged is %q", err, &warned)
		}
		link.Set(nil)
		log.commit(s, 1)
	})
}

// An endpoint that does not answer keeps nobody from trying the store over the others, and says so.
func TestProbeWithoutAnEndpoint(t *testing.T) {
	for _, fault := range []objectstoretest.Fault{objectstoretest.Lost, objectstoretest.Hang} {
		synctest.Test(t, func(t *testing.T) {
			link := objectstoretest.NewLink(objectstoretest.NewServer())
			alive := "alive.example"
			link.FaultOf = func(r objectstoretest.Request) objectstoretest.Fault {
				if r.Host != alive {
					return fault
				}
				return objectstoretest.None
			}
			var warned bytes.Buffer
			c := objectstoretest.Config(link)
			c.Log = slog.New(slog.NewTextHandler(&warned, nil))
			c.Endpoints = []string{"http://dead.example", "http://alive.example"}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := objectstore.Probe(ctx, c, nil); err != nil || !strings.Contains(warned.String(), "endpoint=http://dead.example") {
				t.Errorf("%v: %v, and it said %q", fault, err, &warned)
			}
			alive = "" // now none is
			if err := objectstore.Probe(ctx, c, nil); err == nil || errors.Is(err, objectstore.ErrUnfit) || ctx.Err() != nil {
				t.Errorf("%v, of all: %v", fault, err)
			}
		})
	}
}

// An answer without an ETag makes no write unconditional: who was taken over writes nothing.
func TestNoETag(t *testing.T) {
	without := func(method, key string) func(objectstoretest.Request) objectstoretest.Fault {
		return func(r objectstoretest.Request) objectstoretest.Fault {
			if r.Method == method && strings.HasSuffix(r.Key, key) {
				return objectstoretest.NoETag
			}
			return objectstoretest.None
		}
	}
	for _, key := range []string{"private/head", "private/published", "public/checkpoint"} {
		w := newWorld()
		w.config = manual
		w.faults = func(l *objectstoretest.Link) { l.FaultOf = without("PUT", key) }
		zombie, link := taken(t, w)
		log := newSignedLog(t)
		log.commit(zombie, 10)
		log.publish(zombie, 10)
		fanOut(t, zombie)
		after, _ := taken(t, w)
		late := log.Clone()
		late.Salt = "of a zombie"
		log.commit(after, 5)
		log.publish(after, 15)
		fanOut(t, after)
		if err := zombie.Extend(t.Context(), late.Grow(3)); !errors.Is(err, ledger.ErrTakenOver) {
			t.Errorf("%s without an ETag: a zombie extended: %v", key, err)
		}
		if err := zombie.Publish(t.Context(), log.sign(10), log.sign(5)); !errors.Is(err, ledger.ErrTakenOver) {
			t.Errorf("%s without an ETag: a zombie published: %v", key, err)
		}
		log.check(w.Handle(t))
		// Where reading gives none either, nothing is swapped.
		link.Set(without("GET", key))
		err := errors.Join(zombie.Take(t.Context()), zombie.FanOut(t.Context()))
		if key != "public/checkpoint" && !errors.Is(err, objectstore.ErrUnfit) {
			t.Errorf("%s is never read with an ETag: %v", key, err)
		}
		log.check(w.Handle(t))
	}
}

// Before anything was published, that nothing is there is no loss: neither where the head cannot be read,
// nor where the first writer comes meanwhile.
func TestNothingPublishedIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.config = manual
		reader := w.Handle(t)
		lost := func(r objectstoretest.Request) objectstoretest.Fault {
			if strings.HasSuffix(r.Key, "private/head") {
				return objectstoretest.Lost
			}
			return objectstoretest.None
		}
		w.links[reader].Set(lost)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if p, err := reader.Published(ctx); err == nil || errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("the head of a new store cannot be read: %q, %v", p, err)
		}
		log := newSignedLog(t)
		begun := false
		w.links[reader].Set(func(r objectstoretest.Request) objectstoretest.Fault {
			if !begun && strings.HasSuffix(r.Key, "private/head") {
				begun = true
				writer, _ := taken(t, w)
				log.commit(writer, 3)
			}
			return objectstoretest.None
		})
		if p, err := reader.Published(t.Context()); p != nil || err != nil || !begun {
			t.Errorf("a first writer came meanwhile: %q, %v", p, err)
		}
	})
}
