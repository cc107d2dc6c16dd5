package stores

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/storetest"
)

// TestLaws checks the laws of a store where handles reach the bucket through two gateways.
func TestLaws(t *testing.T) {
	g := startGateways(t, 2)
	storetest.Run(t, func(t testing.TB) storetest.Medium { return newMedium(t, g) })
}

// TestProbe probes the store by both gateways. Where each of them checks conditions for itself
// alone, as several object stores do, a probe finds that out sooner or later (here in one of
// five), and says what is missing.
func TestProbe(t *testing.T) {
	probe := func(g *gateways) (broken string, err error) {
		err = objectstore.Probe(t.Context(), newMedium(t, g).config(0), func(promise string, err error) {
			if err != nil {
				broken = promise
			}
		})
		return broken, err
	}
	sound := startGateways(t, 2)
	for range 3 {
		if broken, err := probe(sound); err != nil {
			t.Fatalf("%v, broken: %q", err, broken)
		}
	}
	alone := startGateways(t, 2, "--alone")
	for tries := range 100 {
		broken, err := probe(alone)
		if err == nil {
			continue
		}
		if !errors.Is(err, objectstore.ErrUnfit) || broken != objectstore.AtomicCreation && broken != objectstore.AtomicSwap {
			t.Errorf("%v, broken: %q", err, broken)
		}
		t.Logf("probe %d: %v", tries+1, err)
		return
	}
	t.Error("gateways that check conditions each for itself were never found out")
}

// medium is a bucket, as storetest wants it.
type medium struct {
	gateways *gateways
	bucket   string

	mu    sync.Mutex
	ways  map[storetest.SharedHandle]*way // guarded by mu
	count int                             // of handles made, guarded by mu
}

var buckets atomic.Int64

func newMedium(t testing.TB, g *gateways) *medium {
	t.Helper()
	m := &medium{gateways: g, bucket: fmt.Sprintf("bucket-%d", buckets.Add(1)), ways: make(map[storetest.SharedHandle]*way)}
	if err := os.Mkdir(filepath.Join(g.dir, m.bucket), 0o700); err != nil {
		t.Fatal(err)
	}
	return m
}

// config is that of a handle whose requests go to both gateways, from the n-th on.
func (m *medium) config(n int) objectstore.Config {
	c := objectstore.Config{
		Bucket: m.bucket, Prefix: "some/log", Region: "us-east-1", PathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	}
	for i := range m.gateways.all {
		c.Endpoints = append(c.Endpoints, m.gateways.all[(n+i)%len(m.gateways.all)].url)
	}
	return c
}

func (m *medium) Open(t testing.TB) storetest.ClosableStore                   { return m.Handle(t) }
func (m *medium) Second(t testing.TB, _ storetest.ClosableStore) ledger.Store { return m.Handle(t) }

func (m *medium) Handle(t testing.TB) storetest.SharedHandle {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	c := m.config(m.count)
	w := &way{transport: &http.Transport{}}
	t.Cleanup(w.transport.CloseIdleConnections)
	c.Transport, c.RequestTimeout = w, 2*time.Second
	s, err := objectstore.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	m.ways[s] = w
	return s
}

func (m *medium) Delay(_ testing.TB, h storetest.SharedHandle) (release func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ways[h].stick()
}

// Crash is the bucket as it is on the disk now: no gateway keeps anything in memory.
func (m *medium) Crash(*rand.Rand) storetest.Medium {
	c := &medium{gateways: m.gateways, bucket: fmt.Sprintf("bucket-%d", buckets.Add(1)), ways: make(map[storetest.SharedHandle]*way)}
	if err := copyBucket(filepath.Join(m.gateways.dir, m.bucket), filepath.Join(m.gateways.dir, c.bucket)); err != nil {
		panic(err)
	}
	return c
}

// copyBucket copies a directory with the attributes in which a gateway keeps ETags.
func copyBucket(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			err = os.Mkdir(target, 0o700)
		} else {
			var data []byte
			if data, err = os.ReadFile(path); err == nil {
				err = os.WriteFile(target, data, 0o600)
			}
		}
		if err != nil {
			return err
		}
		names := make([]byte, 4096)
		n, err := syscall.Listxattr(path, names)
		if err != nil {
			return err
		}
		for len(names[:n]) > 0 {
			end := 0
			for names[end] != 0 {
				end++
			}
			name := string(names[:end])
			names, n = names[end+1:], n-end-1
			value := make([]byte, 4096)
			size, err := syscall.Getxattr(path, name, value)
			if err == nil {
				err = syscall.Setxattr(target, name, value[:size], 0)
			}
			if err != nil {
				return fmt.Errorf("%s: %s: %w", path, name, err)
			}
		}
		return nil
	})
}

// way is one machine's way to the gateways, on which conditional writes may get stuck.
type way struct {
	transport *http.Transport

	mu    sync.Mutex
	stuck chan struct{} // closed once they go on; nil if none is held
	held  sync.WaitGroup
}

// stick holds every conditional write that is sent from now on. release lets them arrive.
func (w *way) stick() (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck = make(chan struct{})
	return sync.OnceFunc(func() {
		close(w.stuck)
		w.held.Wait()
	})
}

var errCutOff = errors.New("cut off")

// RoundTrip implements [http.RoundTripper].
func (w *way) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	stuck := w.stuck
	w.mu.Unlock()
	if stuck == nil || r.Method != http.MethodPut || r.Header.Get("If-Match")+r.Header.Get("If-None-Match") == "" {
		return w.transport.RoundTrip(r)
	}
	select {
	case <-stuck:
		return nil, errCutOff // nothing new is sent once it was held
	default:
	}
	body, err := io.ReadAll(r.Body) // the caller will have given up, and taken it back
	if err != nil {
		return nil, err
	}
	late := r.Clone(context.WithoutCancel(r.Context()))
	late.Body = io.NopCloser(bytes.NewReader(body))
	w.held.Go(func() {
		<-stuck
		if res, err := w.transport.RoundTrip(late); err == nil {
			res.Body.Close()
		}
	})
	<-r.Context().Done()
	return nil, r.Context().Err()
}
