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
// judged, durable and published before the answer.
func (r *run) http(ctx context.Context) error {
	const most = 200_000
	n := min(most, int(r.For.Seconds()*15_000))
	w, err := r.newWorld(ctx, "http", n)
	if err != nil {
		return err
	}
	defer w.node.Close()
	bodies := make([][]byte, n)
	for i, env := range w.responses(n) {
		bodies[i] = env.Marshal()
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
	name := fmt.Sprintf("POST /v1/records, %d connections", r.Conns)
	err = r.besideVerifications(name, "records/s", func() (float64, error) {
		answered, took, err := r.load(ctx, l.Addr().String(), bodies)
		return perSecond(answered, took), err
	})
	end()
	return errors.Join(err, <-served)
}

// load posts bodies over keep-alive connections until they or the time run out. It
// writes and reads the connections itself: net/http's client would cost as much as
// the server, and both share the cores.
func (r *run) load(ctx context.Context, address string, bodies [][]byte) (answered int, took time.Duration, err error) {
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
			for failed[k] == nil && time.Since(begun) < r.For && ctx.Err() == nil {
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
