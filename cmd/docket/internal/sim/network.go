package sim

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

	mu    sync.Mutex // guards what follows
	hosts map[string]*host
	calls map[string]uint64 // by link and what is asked
	kind  bool              // does its best: no fault at all
	cut   map[link]bool     // nothing passes
	count map[mishap]int

	odds  int             // a mishap befalls one call in so many
	far   map[string]bool // calls to these hosts take some milliseconds, no two the same
	shown map[link]string // which host answers instead, since a name says little
	tap   tap             // may be nil
}

// tap is shown every answer that a living process gave, whether it arrives or not.
type tap func(l link, r *http.Request, body []byte, res *httptest.ResponseRecorder)

type link struct{ from, to string }

// host is a process that listens.
type host struct {
	handler http.Handler
	life    context.Context // ends with the process
}

// mishap is what befalls one call.
type mishap string

const (
	none         mishap = ""
	refused      mishap = "connection refused"
	busy         mishap = "503 of a proxy"
	lateRequest  mishap = "late request"
	lateAnswer   mishap = "late answer"
	repeated     mishap = "carried out twice"
	answerLost   mishap = "answer lost"
	answerCutOff mishap = "answer cut off"
)

var mishaps = []mishap{refused, busy, lateRequest, lateAnswer, repeated, answerLost, answerCutOff}

var errNetwork = errors.New("network")

func newNetwork(seed uint64) *network {
	return &network{seed: seed, odds: 4, hosts: make(map[string]*host), calls: make(map[string]uint64), cut: make(map[link]bool), count: make(map[mishap]int), far: make(map[string]bool), shown: make(map[link]string)}
}

// up makes a process answer at a name, until life ends.
func (n *network) up(name string, life context.Context, h http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[name] = &host{h, life}
}

// behave ends, or begins again, all mishaps.
func (n *network) behave(kind bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kind = kind
}

// sever cuts a link in one direction, or mends it.
func (n *network) sever(l link, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[l] = cut
}

// show lets another host answer to an actor under a name; to nobody in place of it
// if instead is empty.
func (n *network) show(l link, instead string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.shown[l] = instead
}

// from is the network as one actor sees it.
func (n *network) from(actor string) http.RoundTripper { return &port{n, actor} }

type port struct {
	net   *network
	actor string
}

// RoundTrip implements [http.RoundTripper].
func (p *port) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	h, what, dice := p.net.plan(link{p.actor, r.URL.Host}, r.Method+" "+r.URL.RequestURI())
	if h == nil {
		return nil, fmt.Errorf("%w: %s", errNetwork, refused)
	}
	late := time.Duration(dice.Int64N(int64(20 * time.Second)))
	if p.net.far[r.URL.Host] {
		if err := wait(r.Context(), time.Millisecond+time.Duration(dice.Int64N(int64(40*time.Millisecond)))); err != nil {
			return nil, err
		}
	}
	switch what {
	case busy:
		return proxy(r), nil
	case lateRequest:
		if err := wait(r.Context(), late); err != nil {
			return nil, err
		}
	case repeated:
		if _, err := p.call(h, r, body); err != nil {
			return nil, err
		}
		if err := wait(r.Context(), late); err != nil {
			return nil, err
		}
	}
	res, err := p.call(h, r, body)
	if err != nil {
		return nil, err
	}
	switch what {
	case lateAnswer:
		if err := wait(r.Context(), late); err != nil {
			return nil, err
		}
	case answerLost:
		return nil, fmt.Errorf("%w: %s", errNetwork, answerLost)
	case answerCutOff:
		whole, _ := io.ReadAll(res.Body)
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(whole[:dice.IntN(len(whole)+1)]), broken{}))
	}
	return res, nil
}

// plan draws what befalls a call. No host: the call is refused.
func (n *network) plan(l link, asked string) (*host, mishap, *rand.Rand) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := l.from + " " + l.to + " " + asked
	n.calls[key]++
	dice := diceOf(n.seed, key, n.calls[key])
	h := n.hosts[l.to]
	if instead := n.shown[l]; instead != "" {
		h = n.hosts[instead]
	}
	what := none
	if !n.kind && dice.IntN(n.odds) == 0 {
		what = mishaps[dice.IntN(len(mishaps))]
	}
	n.count[what]++
	if h == nil || h.life.Err() != nil || n.cut[l] || what == refused {
		return nil, refused, dice
	}
	return h, what, dice
}

// diceOf are the dice for one thing of one world.
func diceOf(seed uint64, key string, n uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write(binary.BigEndian.AppendUint64([]byte(key), n))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// call lets the process carry out one request. If the process ends meanwhile, its
// connections do.
func (p *port) call(h *host, r *http.Request, body []byte) (*http.Response, error) {
	if h.life.Err() != nil { // since the call was planned
		return nil, fmt.Errorf("%w: %s", errNetwork, refused)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.life, cancel)()
	in := httptest.NewRequestWithContext(ctx, r.Method, r.URL.RequestURI(), bytes.NewReader(body))
	in.Header, in.RemoteAddr = r.Header.Clone(), addressOf(p.actor)
	out := httptest.NewRecorder()
	h.handler.ServeHTTP(out, in)
	if h.life.Err() != nil {
		return nil, fmt.Errorf("%w: connection reset", errNetwork)
	}
	if p.net.tap != nil {
		p.net.tap(link{p.actor, r.URL.Host}, r, body, out)
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

func proxy(r *http.Request) *http.Response {
	out := httptest.NewRecorder()
	out.Header().Set("Retry-After", "1")
	http.Error(out, "the proxy has no connection left", http.StatusServiceUnavailable)
	res := out.Result()
	res.Request = r
	return res
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// broken is where a connection breaks off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
