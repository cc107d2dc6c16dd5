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

// hangs takes a request and says nothing.
var hangs = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })

// drip answers nothing of use, slowly, and notes what it was asked for.
type drip struct {
	mu    sync.Mutex
	asked map[string]bool
}

func (d *drip) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.asked[r.URL.Path] = true
	d.mu.Unlock()
	select {
	case <-r.Context().Done():
	case <-time.After(15 * time.Second):
		http.NotFound(rw, r)
	}
}

// logs are histories of many logs, a list of them, and where each can be read.
func logs(n int) (all []*history, list witness.LogList, sources map[string][]string) {
	sources = map[string][]string{}
	for i := range n {
		name := fmt.Sprintf("log-%02d.example", i)
		s := newSigner(proof.Ed25519, name)
		h := newHistory(players(), 12, 12, "")
		h.origin, h.signers = name, []*proof.Signer{s}
		all = append(all, h)
		list = append(list, listed(name, s)...)
		sources[name] = []string{"https://" + name}
	}
	return all, list, sources
}

// rewritten is the same log with another end.
func rewritten(h *history) *history {
	other := newHistory(players(), 12, 3, "B")
	other.origin, other.signers = h.origin, h.signers
	return other
}

// Peers that hang or drip, and logs that hang with their tiles, cost a witness of many
// logs some time; the evidence that it has goes out first, and a fork of another log
// is found and passed on in the same round.
func TestDawdlersHoldUpNobody(t *testing.T) {
	const n, lazy = 40, 30
	all, list, sources := logs(n)
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		slow := &drip{asked: map[string]bool{}}
		net.hosts["a.example"], net.hosts["b.example"] = hangs, slow
		start := func(name string, peers ...string) *witness.Witness {
			cfg := config(t, name)
			cfg.Logs, cfg.Sources, cfg.Peers, cfg.Transport, cfg.Parallel = list, sources, peers, net, 0
			w := must(begin(cfg))
			net.hosts[name] = w.Handler()
			return w
		}
		w1 := start("w1.example", "https://a.example", "https://b.example", "https://w2.example")
		w2 := start("w2.example")
		defer w1.Close()
		defer w2.Close()
		for i, h := range all {
			net.hosts[h.origin] = &server{h, 12}
			if i < lazy {
				net.hosts[h.origin] = mixed{&server{h, 12}, hangs}
			}
			mustCosign(t, w1, h.ask(0, 10))
			if i < n-1 {
				mustCosign(t, w2, h.ask(0, 7))
			}
		}
		mustCosign(t, w2, rewritten(all[n-1]).ask(0, 7))
		known := must(proof.NewEvidence(all[n-2].note(7), rewritten(all[n-2]).note(7)))
		if _, _, err := w1.Accept(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		go func() {
			time.Sleep(time.Second)
			checkShelf(t, w2, 1)
		}()
		r := gossip(t, w1)
		if r.Evidence != 1 || r.Delivered != 2 {
			t.Errorf("%+v", r)
		}
		checkShelf(t, w2, 2)
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

func checkShelf(t *testing.T, w *witness.Witness, want int) {
	if all := must(w.Evidence().List()); len(all) != want {
		t.Errorf("%s keeps %d pieces of evidence, want %d", w.Name(), len(all), want)
	}
}

// A peer that does not serve a log yet, or does not know the key that signed, gets the
// evidence once its list has changed; what it has is not sent again.
func TestEvidenceIsOfferedAgain(t *testing.T) {
	a, b := newHistory(players(), 12, 12, ""), newHistory(players(), 12, 3, "B")
	known := must(proof.NewEvidence(a.note(7), b.note(7)))
	for why, list := range map[string]witness.LogList{
		"it does not serve the log":  nil,
		"it does not know the key":   listed(origin, players().stranger),
		"it is not there":            listed(origin, players().log...),
		"it lives behind a bad gate": listed(origin, players().log...),
	} {
		t.Run(why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := newNetwork()
				cfg := config(t, "w1.example")
				cfg.Peers, cfg.Transport = []string{"https://w2.example"}, net
				w1 := must(begin(cfg))
				cfg = config(t, "w2.example")
				cfg.Logs = list
				w2 := must(begin(cfg))
				defer w1.Close()
				defer w2.Close()
				if _, _, err := w1.Accept(t.Context(), known); err != nil {
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
				if err := w2.SetLogs(listed(origin, players().log...)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(pause)
				if r := gossip(t, w1); r.Delivered != 1 {
					t.Errorf("%+v", r)
				}
				checkShelf(t, w2, 1)
				calls = 0
				time.Sleep(2 * pause)
				if r := gossip(t, w1); r.Delivered != 0 || calls != 0 {
					t.Errorf("sent again: %+v", r)
				}
			})
		})
	}
}
