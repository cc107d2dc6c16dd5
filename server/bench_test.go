package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// BenchmarkSubmit is POST /v1/records on loopback over 256 connections: real
// `response` records, signatures verified, the whole fold, Pebble on the disk,
// and the receipt waited for. The client's share of the two cores is in it.
func BenchmarkSubmit(b *testing.B) {
	for _, wait := range []string{"published", "committed"} {
		b.Run("wait="+wait, func(b *testing.B) {
			w := newEnrolledWorld(b, settings{
				fs: vfs.Default, dir: b.TempDir(), fast: true,
				server: Config{IssuerRate: Rate{PerSecond: -1}, ImporterRate: Rate{PerSecond: -1}},
			})
			requests := w.responses(b.N, "?wait="+wait)
			stop := w.listen()
			b.ResetTimer()
			cpu := cpuTime(b)
			latency := driveLoad(b, w.address, requests, 256)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/record")
			b.ReportMetric(float64(latency(50).Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(latency(99).Microseconds())/1000, "p99-ms")
			stop()
		})
	}
}

// BenchmarkKnown sends what is on the ledger: no signature is verified.
func BenchmarkKnown(b *testing.B) {
	w := newEnrolledWorld(b, settings{fs: vfs.Default, dir: b.TempDir(), fast: true, server: Config{IssuerRate: Rate{PerSecond: -1}}}, "acme-cloud")
	one := rawRequest(w.Provider("acme-cloud"), "")
	stop := w.listen()
	b.ResetTimer()
	driveLoad(b, w.address, slices.Repeat([][]byte{one}, b.N), 256)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	stop()
}

// cpuTime is what this process has used of the processors: the client, the
// server and Pebble. On a machine that others use too it says more than the clock.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// responses are n requests that are all admitted, in any order.
func (w *world) responses(n int, query string) [][]byte {
	const providers = 100
	names := make([]string, providers)
	for i := range names {
		names[i] = fmt.Sprintf("provider-%d", i)
		w.mustSubmit(w.Provider(names[i]))
	}
	requests := make([][]byte, 0, n)
	for d := 0; len(requests) < n; d++ {
		id := fmt.Sprintf("2026-%d", d)
		w.mustSubmit(w.Designate(id, w.NewDesignation(fmt.Sprintf("Kestrel %d", d))))
		for _, p := range names[:min(providers, n-len(requests))] {
			env := w.Respond(id, p, &record.Response{Status: "acknowledged"})
			requests = append(requests, rawRequest(env, query))
		}
	}
	return requests
}

func rawRequest(env record.Envelope, query string) []byte {
	body := env.Marshal()
	return append(fmt.Appendf(nil, "POST /v1/records%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", query, len(body)), body...)
}

// listen serves the world on loopback; the function that it returns ends it.
func (w *world) listen() func() {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(ctx, l) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			w.t.Errorf("serving: %v", err)
		}
	})
}

// driveLoad sends all requests over so many connections, as fast as answers come,
// and returns the latencies' percentiles.
func driveLoad(b testing.TB, address string, requests [][]byte, connections int) func(percent int) time.Duration {
	var next atomic.Int64
	var all sync.WaitGroup
	took := make([]time.Duration, len(requests))
	for range connections {
		all.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			r := bufio.NewReader(c)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					return
				}
				start := time.Now()
				if _, err := c.Write(requests[i]); err != nil {
					b.Error(err)
					return
				}
				status, body, err := readAnswer(r)
				if err != nil || status/100 != 2 {
					b.Errorf("%d %s %v", status, body, err)
					return
				}
				took[i] = time.Since(start)
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	return func(percent int) time.Duration { return took[min(len(took)-1, len(took)*percent/100)] }
}

var lengthHeader = []byte("Content-Length: ")

// readAnswer reads one answer without allocating much; the body only if it is a problem.
func readAnswer(r *bufio.Reader) (status int, body []byte, err error) {
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if len(line) < 12 {
				return 0, nil, http.ErrNotSupported
			}
			status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
		case bytes.HasPrefix(line, lengthHeader):
			length = 0
			for _, c := range line[len(lengthHeader):] {
				length = length*10 + int(c-'0')
			}
		case len(line) == 0:
			if length < 0 {
				return status, nil, http.ErrNotSupported
			}
			if status/100 == 2 {
				_, err := r.Discard(length)
				return status, nil, err
			}
			body = make([]byte, length)
			_, err := io.ReadFull(r, body)
			return status, body, err
		}
	}
}
