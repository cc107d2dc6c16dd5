package witness_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// hangingHandler takes a request and says nothing.
var hangingHandler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })

// slowHandler answers nothing of use, slowly, and notes what it was asked for.
type slowHandler struct {
	mu    sync.Mutex
	asked map[string]bool
}

func (d *slowHandler) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.asked[r.URL.Path] = true
	d.mu.Unlock()
	select {
	case <-r.Context().Done():
	case <-time.After(15 * time.Second):
		http.NotFound(rw, r)
	}
}

// newTestLogs are histories of many logs, a list of them, and where each can be read.
func newTestLogs(n int) (all []*testLog, list witness.LogList, sources map[string][]string) {
	sources = map[string][]string{}
	for i := range n {
		name := fmt.Sprintf("log-%02d.example", i)
		s := newSigner(proof.Ed25519, name)
		h := newTestLog(sharedKeys(), 12, 12, "")
		h.origin, h.signers = name, []*proof.Signer{s}
		all = append(all, h)
		list = append(list, logListOf(name, s)...)
		sources[name] = []string{"https://" + name}
	}
	return all, list, sources
}

// rewrittenLog is the same log with another end.
func rewrittenLog(h *testLog) *testLog {
	other := newTestLog(sharedKeys(), 12, 3, "B")
	other.origin, other.signers = h.origin, h.signers
	return other
}

// Peers that hang or drip, and logs that hang with their tiles, cost a witness of many
// logs some time; the evidence that it has goes out first, and a fork of another log
// is found and passed on in the same round.
func TestSlowPeersDelayNoOthers(t *testing.T) {
	const n, lazy = 40, 30
	all, list, sources := newTestLogs(n)
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		slow := &slowHandler{asked: map[string]bool{}}
		net.hosts["a.example"], net.hosts["b.example"] = hangingHandler, slow
		start := func(name string, peers ...string) *witness.Witness {
			cfg := config(t, name)
			cfg.Logs, cfg.Sources, cfg.Peers, cfg.Transport, cfg.Parallel = list, sources, peers, net, 0
			w := must(createAndOpen(cfg))
			net.hosts[name] = w.Handler()
			return w
		}
		w1 := start("w1.example", "https://a.example", "https://b.example", "https://w2.example")
		w2 := start("w2.example")
		defer w1.Close()
		defer w2.Close()
		for i, h := range all {
			net.hosts[h.origin] = &tileServer{h, 12}
			if i < lazy {
				net.hosts[h.origin] = splitHandler{&tileServer{h, 12}, hangingHandler}
			}
			mustCosign(t, w1, h.request(0, 10))
			if i < n-1 {
				mustCosign(t, w2, h.request(0, 7))
			}
		}
		mustCosign(t, w2, rewrittenLog(all[n-1]).request(0, 7))
		known := must(proof.NewEvidence(all[n-2].note(7), rewrittenLog(all[n-2]).note(7)))
		if _, _, err := w1.AcceptEvidence(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		go func() {
			time.Sleep(time.Second)
			checkEvidenceCount(t, w2, 1)
		}()
		r := gossip(t, w1)
		if r.Evidence != 1 || r.Delivered != 2 {
			t.Errorf("%+v", r)
		}
		checkEvidenceCount(t, w2, 2)
		if took := time.Since(begun); took > 4*time.Minute {
			t.Errorf("the round took %v", took)
		}
		for range n {
			gossip(t, w1)
		}
		count := 0
		for path := range slow.asked {
			if strings.HasSuffix(path, "/checkpoint") {
				count++
			}
		}
		if count != n {
			t.Errorf("the slow peer was asked about %d logs of %d", count, n)
		}
	})
}

func checkEvidenceCount(t *testing.T, w *witness.Witness, want int) {
	if all := must(w.Evidence().List()); len(all) != want {
		t.Errorf("%s keeps %d pieces of evidence, want %d", w.Name(), len(all), want)
	}
}

// A peer that does not serve a log yet, or does not know the key that signed, gets the
// evidence once its list has changed; what it has is not sent again.
func TestEvidenceIsOfferedAgain(t *testing.T) {
	a, b := newTestLog(sharedKeys(), 12, 12, ""), newTestLog(sharedKeys(), 12, 3, "B")
	known := must(proof.NewEvidence(a.note(7), b.note(7)))
	for why, list := range map[string]witness.LogList{
		"it does not serve the log":  nil,
		"it does not know the key":   logListOf(origin, sharedKeys().otherWitness),
		"it is not there":            logListOf(origin, sharedKeys().log...),
		"it lives behind a bad gate": logListOf(origin, sharedKeys().log...),
	} {
		t.Run(why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := newNetwork()
				cfg := config(t, "w1.example")
				cfg.Peers, cfg.Transport = []string{"https://w2.example"}, net
				w1 := must(createAndOpen(cfg))
				cfg = config(t, "w2.example")
				cfg.Logs = list
				w2 := must(createAndOpen(cfg))
				defer w1.Close()
				defer w2.Close()
				if _, _, err := w1.AcceptEvidence(t.Context(), known); err != nil {
					t.Fatal(err)
				}
				calls := 0
				counted := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/v1/evidence" {
						calls++
					}
					w2.Handler().ServeHTTP(rw, r)
				})
				net.hosts["w2.example"] = counted
				pause := time.Hour
				switch why {
				case "it is not there":
					net.hosts["w2.example"], pause = nil, time.Minute
				case "it lives behind a bad gate":
					net.hosts["w2.example"], pause = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
						rw.Header().Set("Retry-After", "600")
						http.Error(rw, "later", http.StatusServiceUnavailable)
					}), 10*time.Minute
				}
				for range 3 {
					if r := gossip(t, w1); r.Delivered != 0 {
						t.Fatalf("%+v", r)
					}
				}
				if calls > 1 {
					t.Errorf("it was asked %d times at once", calls)
				}
				net.hosts["w2.example"] = counted
				if err := w2.SetLogs(logListOf(origin, sharedKeys().log...)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(pause)
				if r := gossip(t, w1); r.Delivered != 1 {
					t.Errorf("%+v", r)
				}
				checkEvidenceCount(t, w2, 1)
				calls = 0
				time.Sleep(2 * pause)
				if r := gossip(t, w1); r.Delivered != 0 || calls != 0 {
					t.Errorf("sent again: %+v", r)
				}
			})
		})
	}
}
