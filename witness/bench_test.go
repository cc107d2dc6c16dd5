package witness_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// BenchmarkCosign asks over HTTP on a real disk, with both algorithms on both sides:
// each log asks for its next checkpoint once the last one is answered. For one log
// "of-bound" is the rate as a part of 1/(sync + signing + verification), which is
// measured between the requests, all along.
//
//	go test ./witness -run - -bench Cosign -benchtime 8000x
func BenchmarkCosign(b *testing.B) {
	for _, logs := range []int{1, 8, 1000} {
		b.Run(fmt.Sprintf("logs=%d", logs), func(b *testing.B) { benchCosign(b, logs) })
	}
}

func benchCosign(b *testing.B, logs int) {
	cfg := config(b, "w1.example")
	cfg.FS, cfg.Dir, cfg.Log, cfg.Logs = vfs.Default, b.TempDir(), nil, nil
	asks := make([][][]byte, logs) // bodies, by log
	each := (b.N + logs - 1) / logs
	for i := range asks {
		name := fmt.Sprintf("log.example/%d", i)
		signers := []*proof.Signer{newSigner(proof.Ed25519, name), newSigner(proof.MLDSA44, name)}
		cfg.Logs = append(cfg.Logs, logListOf(name, signers...)...)
		h := newTestLog(&testKeys{log: signers}, each, each, "")
		h.origin = name
		for n := range uint64(each) {
			asks[i] = append(asks[i], h.request(n, n+1).Format())
		}
	}
	s := httptest.NewServer(mustOpen(b, cfg).Handler())
	defer s.Close()
	var least *writeBound
	if logs == 1 {
		least = newWriteBound(b, cfg, asks[0][0])
	}

	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for _, bodies := range asks {
		wg.Go(func() {
			l := dial(b, s.Listener.Addr().String())
			for i, body := range bodies {
				if least != nil && i%50 == 0 {
					least.measure(20)
				}
				l.send(body)
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	if least == nil {
		b.ReportMetric(float64(each*logs)/took.Seconds(), "cosigned/s")
		return
	}
	rate := float64(each) / (took - least.took).Seconds()
	apiece := least.took.Seconds() / float64(least.rounds)
	b.ReportMetric(rate, "cosigned/s")
	b.ReportMetric(rate*apiece, "of-bound")
	b.ReportMetric(1e6*apiece, "bound-µs")
}

// benchConn is one log's connection. What it does itself is little: it shares the cores with
// the witness.
type benchConn struct {
	conn    net.Conn
	answers *bufio.Reader
}

func dial(b *testing.B, addr string) *benchConn {
	conn := must(net.Dial("tcp", addr))
	b.Cleanup(func() { conn.Close() })
	return &benchConn{conn, bufio.NewReader(conn)}
}

func (l *benchConn) send(body []byte) {
	head := fmt.Appendf(nil, "POST /add-checkpoint HTTP/1.1\r\nHost: w1.example\r\nContent-Length: %d\r\n\r\n", len(body))
	must(l.conn.Write(append(head, body...)))
	res := must(http.ReadResponse(l.answers, nil))
	if said := must(io.ReadAll(res.Body)); res.StatusCode != 200 {
		panic(fmt.Sprintf("%d: %s", res.StatusCode, said))
	}
}

// writeBound is what one cosignature costs where nothing overlaps and nobody asks: to verify
// the log's two signatures, to sync a checkpoint to the disk, to sign twice.
type writeBound struct {
	cfg    witness.Config
	note   []byte
	disk   *os.File
	took   time.Duration
	rounds int
}

func newWriteBound(b *testing.B, cfg witness.Config, body []byte) *writeBound {
	f := must(os.Create(filepath.Join(b.TempDir(), "synced")))
	b.Cleanup(func() { f.Close() })
	return &writeBound{cfg: cfg, note: must(wire.ParseAddCheckpoint(body)).Note, disk: f}
}

func (l *writeBound) measure(rounds int) {
	start := time.Now()
	for range rounds {
		cp := must(proof.VerifyLog(l.note, l.cfg.Logs[0].Origin, l.cfg.Logs[0].Keys...)).Checkpoint()
		must(l.disk.Write(l.note))
		if err := l.disk.Sync(); err != nil {
			panic(err)
		}
		for _, k := range l.cfg.Keys {
			must(k.Cosign(cp))
		}
	}
	l.took += time.Since(start)
	l.rounds += rounds
}

// BenchmarkStep is one Cosign without HTTP and without a disk: what the simulation
// pays.
func BenchmarkStep(b *testing.B) {
	cfg := config(b, "w1.example")
	cfg.Log = nil
	w := mustOpen(b, cfg)
	h := newTestLog(sharedKeys(), b.N+1, b.N+1, "")
	asks := make([]wire.AddCheckpoint, b.N)
	for n := range asks {
		asks[n] = h.request(uint64(n), uint64(n)+1)
	}
	b.ResetTimer()
	for _, a := range asks {
		if _, err := w.Cosign(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
}
