package bench

import (
	"bytes"
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
	answered, took, err := r.load(ctx, "http://"+l.Addr().String()+"/v1/records", bodies)
	end()
	if err := errors.Join(err, <-served); err != nil {
		return err
	}
	r.beside(fmt.Sprintf("POST /v1/records, %d connections", r.Conns), perSecond(answered, took), "records/s", r.verifies, "Ed25519 verifications")
	return nil
}

// load posts bodies over keep-alive connections until they or the time run out.
func (r *run) load(ctx context.Context, url string, bodies [][]byte) (answered int, took time.Duration, err error) {
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: r.Conns, MaxConnsPerHost: r.Conns}, Timeout: 30 * time.Second}
	defer c.CloseIdleConnections()
	var next, done atomic.Int64
	var wg sync.WaitGroup
	failed := make([]error, r.Conns)
	begun := time.Now()
	for k := range r.Conns {
		wg.Go(func() {
			for failed[k] == nil && time.Since(begun) < r.For && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(bodies) {
					return
				}
				if failed[k] = post(ctx, c, url, bodies[i]); failed[k] == nil {
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(done.Load()), time.Since(begun), errors.Join(failed...)
}

func post(ctx context.Context, c *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
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
