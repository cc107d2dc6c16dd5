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

	"github.com/seed-53cf897a/docket/server"
)

// http measures POST /v1/records over loopback: signatures verified, records
// judged, durable and published before the answer. Beside it stands what the machine
// can do at most: the same requests to a handler that verifies one signature and answers
// without a body.
func (r *run) http(ctx context.Context) error {
	const most = 200_000
	n := min(most, int(r.For.Seconds()*15_000))
	w, err := r.newBenchLedger(ctx, "http", n)
	if err != nil {
		return err
	}
	defer w.node.Close()
	bodies := make([][]byte, n)
	for i, env := range w.responses(n) {
		bodies[i] = env.Marshal()
	}
	before, err := r.baseline(ctx, bodies)
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
	answered, took, err := r.loadHTTP(ctx, l.Addr().String(), bodies, r.For)
	end()
	if err = errors.Join(err, <-served); err != nil {
		return err
	}
	after, err := r.baseline(ctx, bodies)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("POST /v1/records, %d connections", r.Conns)
	r.rowWithLimit(name, perSecond(answered, took), "records/s", (before+after)/2, "net/http and one Ed25519 verification")
	return nil
}

// baseline is how many of the bodies a handler takes in a second that reads them and
// verifies one signature.
func (r *run) baseline(ctx context.Context, bodies [][]byte) (perSec float64, err error) {
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
	answered, took, err := r.loadHTTP(ctx, l.Addr().String(), bodies, r.For/2)
	return perSecond(answered, took), err
}

// loadHTTP posts bodies over keep-alive connections until they or the time run out. It
// writes and reads the connections itself: net/http's client would cost as much as
// the server, and both share the cores.
func (r *run) loadHTTP(ctx context.Context, address string, bodies [][]byte, duration time.Duration) (answered int, took time.Duration, err error) {
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
				i := int(next.Add(1)) - 1
				if i >= len(bodies) {
					return
				}
				if failed[k] = post(c, in, bodies[i]); failed[k] == nil {
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(done.Load()), time.Since(begun), errors.Join(failed...)
}

// post sends one record and reads its receipt.
func post(c net.Conn, in *bufio.Reader, body []byte) error {
	request := fmt.Appendf(make([]byte, 0, len(body)+128),
		"POST /v1/records HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body))
	if _, err := c.Write(append(request, body...)); err != nil {
		return err
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		why, _ := io.ReadAll(io.LimitReader(res.Body, 1024))
		return fmt.Errorf("the server answered %s: %s", res.Status, why)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}
