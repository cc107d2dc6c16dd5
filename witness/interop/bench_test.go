package interop

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// BenchmarkSideBySide asks our witness, which signs with Ed25519 and ML-DSA-44, or as
// "like" with Ed25519 alone, and transparency-dev's with SQLite, which signs with Ed25519,
// for the same cosignatures: each log for its next checkpoint once the last one is
// answered.
//
//	cd witness/interop && go test -run - -bench . -benchtime 4000x
func BenchmarkSideBySide(b *testing.B) {
	for _, logs := range []int{1, 8, 1000} {
		b.Run(fmt.Sprintf("ours/logs=%d", logs), func(b *testing.B) {
			benchRequests(b, logs, func(list witness.LogList) string { return newDocketWitness(b, "w1.example", list).url })
		})
		b.Run(fmt.Sprintf("like/logs=%d", logs), func(b *testing.B) {
			benchRequests(b, logs, func(list witness.LogList) string {
				return newDocketWitness(b, "w1.example", list, proof.CosignatureEd25519).url
			})
		})
		b.Run(fmt.Sprintf("theirs/logs=%d", logs), func(b *testing.B) {
			benchRequests(b, logs, func(list witness.LogList) string {
				url, _ := newPeerWitness(b, "w3.example", list)
				return url
			})
		})
	}
}

func benchRequests(b *testing.B, logs int, open func(witness.LogList) string) {
	each := min((b.N+logs-1)/logs, 200) // to stay within one tile
	var list witness.LogList
	bodies := make([][][]byte, logs)
	for i := range bodies {
		l := newLog(fmt.Sprintf("log.example/%d", i), each)
		list = slices.Concat(list, l.list)
		for n := range uint64(each) {
			bodies[i] = append(bodies[i], l.request(n, n+1).Format())
		}
	}
	url := open(list)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: logs}}
	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for _, asks := range bodies {
		wg.Go(func() {
			for _, body := range asks {
				for {
					res, err := client.Post(url+"/add-checkpoint", "text/plain", bytes.NewReader(body))
					if err != nil {
						b.Error(err)
						return
					}
					said, _ := io.ReadAll(res.Body)
					res.Body.Close()
					if res.StatusCode == 200 {
						break
					}
					if res.StatusCode != http.StatusTooManyRequests { // "busy", of theirs
						b.Errorf("%d: %s", res.StatusCode, said)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(each*logs)/time.Since(start).Seconds(), "cosigned/s")
}
