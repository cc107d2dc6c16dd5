package witness_test

import (
	"bytes"
	"fmt"
	"io"
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
// "of-bound" is the rate as a part of 1/(sync + signing + verification), each
// measured in the same run.
//
//	go test ./witness -run - -bench Cosign -benchtime 2000x
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
		cfg.Logs = append(cfg.Logs, listed(name, signers...)...)
		h := newHistory(&cast{log: signers}, each, each, "")
		h.origin = name
		for n := range uint64(each) {
			asks[i] = append(asks[i], h.ask(n, n+1).Format())
		}
	}
	w := open(b, cfg)
	s := httptest.NewServer(w.Handler())
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: logs}}
	var bound time.Duration
	if logs == 1 {
		bound = apiece(b, cfg, asks[0][len(asks[0])/2])
	}

	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for _, bodies := range asks {
		wg.Go(func() {
			for _, body := range bodies {
				res, err := client.Post(s.URL+"/add-checkpoint", "text/plain", bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				said, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if res.StatusCode != 200 {
					b.Errorf("%d: %s", res.StatusCode, said)
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	rate := float64(each*logs) / took.Seconds()
	b.ReportMetric(rate, "cosigned/s")
	if bound > 0 {
		b.ReportMetric(rate*bound.Seconds(), "of-bound")
		b.ReportMetric(float64(bound.Microseconds()), "bound-µs")
	}
}

// apiece is what one cosignature costs at least: to verify the log's two signatures,
// to sync a checkpoint to the disk, to sign twice.
func apiece(b *testing.B, cfg witness.Config, body []byte) time.Duration {
	const rounds = 200
	a := must(wire.ParseAddCheckpoint(body))
	cp, _, err := proof.ParseCheckpoint(a.Note)
	if err != nil {
		b.Fatal(err)
	}
	f := must(os.Create(filepath.Join(b.TempDir(), "synced")))
	defer f.Close()
	start := time.Now()
	for range rounds {
		must(proof.VerifyLog(a.Note, cp.Origin, cfg.Logs[0].Keys...))
		must(f.Write(a.Note))
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		for _, k := range cfg.Keys {
			must(k.Cosign(cp))
		}
	}
	return time.Since(start) / rounds
}

// BenchmarkStep is one Cosign without HTTP and without a disk: what the simulation
// pays.
func BenchmarkStep(b *testing.B) {
	cfg := config(b, "w1.example")
	cfg.Log = nil
	w := open(b, cfg)
	h := newHistory(players(), b.N+1, b.N+1, "")
	asks := make([]wire.AddCheckpoint, b.N)
	for n := range asks {
		asks[n] = h.ask(uint64(n), uint64(n)+1)
	}
	b.ResetTimer()
	for _, a := range asks {
		if _, err := w.Cosign(b.Context(), a); err != nil {
			b.Fatal(err)
		}
	}
}
