package simtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// network joins the machines of a world. It calls handlers in-process, and it is
// as bad as networks are: it refuses, delays, repeats, cuts off, and loses answers
// to requests that were carried out.
//
// What befalls a call is drawn from the seed, the link, what is asked and how often it
// was called before: not from the order of calls, which goroutines decide.
type network struct {
	seed uint64

	mu          sync.Mutex // guards what follows
	hosts       map[string]*host
	calls       map[string]uint64 // by link and what is asked
	faultFree   bool              // does its best: no fault at all
	blocked     map[link]bool     // nothing passes
	faultCounts map[fault]int

	faultOdds  int              // a mishap befalls one call in so many
	distant    map[string]bool  // calls to these hosts take some milliseconds, no two the same
	redirected map[link]string  // which host answers instead, since a name says little
	observe    responseObserver // may be nil
}

// responseObserver is shown every answer that a living process gave, whether it arrives or not.
type responseObserver func(l link, r *http.Request, body []byte, res *httptest.ResponseRecorder)

type link struct{ from, to string }

// host is a process that listens.
type host struct {
	handler http.Handler
	ctx     context.Context // ends with the process
}

// fault is what befalls one call.
type fault string

const (
	noFault           fault = ""
	connectionRefused fault = "connection refused"
	proxyBusy         fault = "503 of a proxy"
	requestDelayed    fault = "late request"
	responseDelayed   fault = "late answer"
	requestRepeated   fault = "carried out twice"
	responseLost      fault = "answer lost"
	responseCutOff    fault = "answer cut off"
)

var faults = []fault{connectionRefused, proxyBusy, requestDelayed, responseDelayed, requestRepeated, responseLost, responseCutOff}

var errNetwork = errors.New("network")

func newNetwork(seed uint64) *network {
	return &network{seed: seed, faultOdds: 4, hosts: make(map[string]*host), calls: make(map[string]uint64), blocked: make(map[link]bool), faultCounts: make(map[fault]int), distant: make(map[string]bool), redirected: make(map[link]string)}
}

// listen makes a process answer at a name, until life ends.
func (n *network) listen(name string, life context.Context, h http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[name] = &host{h, life}
}

// setFaultFree ends, or begins again, all mishaps.
func (n *network) setFaultFree(faultFree bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faultFree = faultFree
}

// setBlocked cuts a link in one direction, or mends it.
func (n *network) setBlocked(l link, blocked bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.blocked[l] = blocked
}

// redirect lets another host answer an actor under a name; no host if instead is empty.
func (n *network) redirect(l link, instead string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.redirected[l] = instead
}

// transportOf is the network as one actor sees it.
func (n *network) transportOf(actor string) http.RoundTripper { return &transport{n, actor} }

type transport struct {
	net   *network
	actor string
}

// RoundTrip implements [http.RoundTripper].
func (p *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	h, fault, rng := p.net.drawFault(link{p.actor, r.URL.Host}, r.Method+" "+r.URL.RequestURI())
	if h == nil {
		return nil, fmt.Errorf("%w: %s", errNetwork, connectionRefused)
	}
	delay := time.Duration(rng.Int64N(int64(20 * time.Second)))
	if p.net.distant[r.URL.Host] {
		if err := sleepContext(r.Context(), time.Millisecond+time.Duration(rng.Int64N(int64(40*time.Millisecond)))); err != nil {
			return nil, err
		}
	}
	switch fault {
	case proxyBusy:
		return busyResponse(r), nil
	case requestDelayed:
		if err := sleepContext(r.Context(), delay); err != nil {
			return nil, err
		}
	case requestRepeated:
		if _, err := p.call(h, r, body); err != nil {
			return nil, err
		}
		if err := sleepContext(r.Context(), delay); err != nil {
			return nil, err
		}
	}
	res, err := p.call(h, r, body)
	if err != nil {
		return nil, err
	}
	switch fault {
	case responseDelayed:
		if err := sleepContext(r.Context(), delay); err != nil {
			return nil, err
		}
	case responseLost:
		return nil, fmt.Errorf("%w: %s", errNetwork, responseLost)
	case responseCutOff:
		whole, _ := io.ReadAll(res.Body)
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(whole[:rng.IntN(len(whole)+1)]), cutReader{}))
	}
	return res, nil
}

// drawFault draws what befalls a call. No host: the call is refused.
func (n *network) drawFault(l link, asked string) (*host, fault, *rand.Rand) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := l.from + " " + l.to + " " + asked
	n.calls[key]++
	rng := rngOf(n.seed, key, n.calls[key])
	h := n.hosts[l.to]
	if instead := n.redirected[l]; instead != "" {
		h = n.hosts[instead]
	}
	drawn := noFault
	if !n.faultFree && rng.IntN(n.faultOdds) == 0 {
		drawn = faults[rng.IntN(len(faults))]
	}
	n.faultCounts[drawn]++
	if h == nil || h.ctx.Err() != nil || n.blocked[l] || drawn == connectionRefused {
		return nil, connectionRefused, rng
	}
	return h, drawn, rng
}

// rngOf are the dice for one thing of one world.
func rngOf(seed uint64, key string, n uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write(binary.BigEndian.AppendUint64([]byte(key), n))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// call lets the process carry out one request. If the process ends meanwhile, its
// connections do.
func (p *transport) call(h *host, r *http.Request, body []byte) (*http.Response, error) {
	if h.ctx.Err() != nil { // since the call was planned
		return nil, fmt.Errorf("%w: %s", errNetwork, connectionRefused)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	in := httptest.NewRequestWithContext(ctx, r.Method, r.URL.RequestURI(), bytes.NewReader(body))
	in.Header, in.RemoteAddr = r.Header.Clone(), addressOf(p.actor)
	out := httptest.NewRecorder()
	h.handler.ServeHTTP(out, in)
	if h.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: connection reset", errNetwork)
	}
	if p.net.observe != nil {
		p.net.observe(link{p.actor, r.URL.Host}, r, body, out)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	res := out.Result()
	res.Request = r
	return res, nil
}

// addressOf gives each actor an address of its own.
func addressOf(actor string) string {
	h := fnv.New32a()
	io.WriteString(h, actor)
	sum := h.Sum(nil)
	return fmt.Sprintf("10.%d.%d.%d:1024", sum[0], sum[1], sum[2])
}

func busyResponse(r *http.Request) *http.Response {
	out := httptest.NewRecorder()
	out.Header().Set("Retry-After", "1")
	http.Error(out, "the proxy has no connection left", http.StatusServiceUnavailable)
	res := out.Result()
	res.Request = r
	return res
}

func sleepContext(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// cutReader is where a connection breaks off.
type cutReader struct{}

func (cutReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
