package standby

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/front"
)

// retryAfter is when who asked is to ask again, in seconds: nothing changes sooner.
const retryAfter = "1"

// readiness is the body of /healthz and /readyz.
type readiness struct {
	Status  string   `json:"status"`
	Role    string   `json:"role"`
	Epoch   uint64   `json:"epoch"`
	Writer  string   `json:"writer,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
}

// problem is the body of every other answer (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Writer string `json:"writer,omitempty"`
}

// ServeHTTP tells whoever asks that this process lives and stands by, and where the writer is.
func (s *Standby) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	st := s.Status()
	w.Header().Set("Cache-Control", "no-store")
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case read && r.URL.Path == "/healthz":
		answer(w, http.StatusOK, "application/json", readiness{Status: "ok", Role: "standby", Epoch: st.Epoch, Writer: st.Writer})
	case read && r.URL.Path == "/readyz":
		h := readiness{Status: "not ready", Role: "standby", Epoch: st.Epoch, Writer: st.Writer, Reasons: []string{st.words()}}
		if st.Cannot != nil {
			h.Reasons = append(h.Reasons, "it could not take over now: its log says why")
		}
		answer(w, http.StatusServiceUnavailable, "application/json", h)
	default:
		front.LetPagesRead(w.Header(), r.Method, "Retry-After")
		w.Header().Set("Retry-After", retryAfter)
		detail := "nothing was written or read: this server stands by for the one that writes this ledger"
		if st.Writer != "" {
			detail += ", at " + st.Writer
		}
		answer(w, http.StatusServiceUnavailable, "application/problem+json", problem{
			Type: record.ProblemURN + "stopped", Title: "The ledger takes no records", Status: http.StatusServiceUnavailable, Detail: detail, Writer: st.Writer,
		})
	}
}

// words say how it stands, for people.
func (st Status) words() string {
	words := fmt.Sprintf("standby, epoch %d", st.Epoch)
	if st.Writer != "" {
		words += " of " + st.Writer
	}
	if st.Lapsed {
		words += ", whose lease has lapsed"
	}
	return words
}

func answer(w http.ResponseWriter, status int, kind string, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings and numbers
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	w.Write(append(text, '\n'))
}

// Serve answers on both listeners until ctx ends, and leaves them open for who serves next. The
// second one, for metrics, may be nil.
func (s *Standby) Serve(ctx context.Context, c front.Config, l, metrics net.Listener) error {
	lent := []*lent{lend(l)}
	c.Handler, c.Probes, c.Grace = s, []string{"/healthz", "/readyz"}, time.Second
	if metrics != nil {
		registry := prometheus.NewRegistry()
		registry.MustRegister(s.Metrics(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		lent = append(lent, lend(metrics))
		c.Metrics, c.MetricsListener = registry, lent[1]
	}
	err := c.Serve(ctx, lent[0])
	for _, l := range lent {
		err = errors.Join(err, l.giveBack())
	}
	if ctx.Err() != nil {
		return nil // who was not served in time asks again
	}
	return err
}

// lent is a listener that stays open when who serves on it closes it.
type lent struct {
	net.Listener
	mu     sync.Mutex // guards closed
	closed bool
}

func lend(l net.Listener) *lent { return &lent{Listener: l} }

// Accept implements [net.Listener].
func (l *lent) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && l.closed && errors.Is(err, os.ErrDeadlineExceeded) {
		err = net.ErrClosed
	}
	return c, err
}

// deadliner is a listener of TCP.
type deadliner interface{ SetDeadline(time.Time) error }

// Close has Accept return, now and from now on.
func (l *lent) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return l.Listener.(deadliner).SetDeadline(time.Unix(1, 0))
}

// giveBack ends the loan.
func (l *lent) giveBack() error { return l.Listener.(deadliner).SetDeadline(time.Time{}) }
