package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/server"
)

// http measures POST /v1/records over loopback: signatures verified, records
// judged, durable and published before the answer. Beside it stands what the machine
// can do at most: the same requests to a handler that verifies one signature and answers
// without a body.
func (r *run) http(ctx context.Context) error {
	const most = 200_000
	n := min(most, int(r.For.Seconds()*15_000))
	w, err := r.newBenchLedger(ctx, "http", n, node.Config{})
	if err != nil {
		return err
	}
	defer w.node.Close()
	posts := make([][]byte, n)
	for i, env := range w.responses(n) {
		posts[i] = post(env.Marshal())
	}
	before, err := r.baseline(ctx, posts)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	serving, end := context.WithCancel(ctx)
	defer end()
	served := make(chan error, 1)
	go func() {
		served <- w.node.Serve(serving, l, server.Config{IssuerRate: server.Rate{PerSecond: -1}})
	}()
	answered, took, err := r.loadHTTP(ctx, l.Addr().String(), inOrder(posts), http.StatusCreated, r.For)
	end()
	if err = errors.Join(err, <-served); err != nil {
		return err
	}
	after, err := r.baseline(ctx, posts)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("POST /v1/records, %d connections", r.Conns)
	r.rowWithLimit(name, perSecond(answered, took), "records/s", (before+after)/2, "net/http and one Ed25519 verification")
	return nil
}

// baseline is how many of the requests a handler takes in a second that reads them and
// verifies one signature.
func (r *run) baseline(ctx context.Context, posts [][]byte) (perSec float64, err error) {
	verify, err := newVerification()
	if err != nil {
		return 0, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		io.Copy(io.Discard, q.Body)
		verify()
		w.WriteHeader(http.StatusCreated)
	})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() {
		s.Close()
		<-served
	}()
	answered, took, err := r.loadHTTP(ctx, l.Addr().String(), inOrder(posts), http.StatusCreated, r.For/2)
	return perSecond(answered, took), err
}

// inOrder sends each request once.
func inOrder(requests [][]byte) func(i int) []byte {
	return func(i int) []byte {
		if i >= len(requests) {
			return nil
		}
		return requests[i]
	}
}

// loadHTTP sends requests over keep-alive connections until they or the time run out. It
// writes and reads the connections itself: net/http's client would cost as much as
// the server, and both share the cores.
func (r *run) loadHTTP(ctx context.Context, address string, request func(i int) []byte, want int, duration time.Duration) (answered int, took time.Duration, err error) {
	var next, done atomic.Int64
	var wg sync.WaitGroup
	failed := make([]error, r.Conns)
	begun := time.Now()
	for k := range r.Conns {
		wg.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				failed[k] = err
				return
			}
			defer c.Close()
			in := bufio.NewReader(c)
			for failed[k] == nil && time.Since(begun) < duration && ctx.Err() == nil {
				q := request(int(next.Add(1)) - 1)
				if q == nil {
					return
				}
				if failed[k] = exchange(c, in, q, want); failed[k] == nil {
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(done.Load()), time.Since(begun), errors.Join(failed...)
}

// post is the request that submits a record, and getRequest one that reads.
func post(body []byte) []byte {
	return append(fmt.Appendf(make([]byte, 0, len(body)+128),
		"POST /v1/records HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body)), body...)
}

func getRequest(path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path)
}

// exchange sends a request and reads the answer.
func exchange(c net.Conn, in *bufio.Reader, request []byte, want int) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != want {
		why, _ := io.ReadAll(io.LimitReader(res.Body, 1024))
		return fmt.Errorf("the server answered %s: %s", res.Status, why)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}
