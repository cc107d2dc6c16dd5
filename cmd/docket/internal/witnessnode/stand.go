// Package witnessnode puts one witness together: its keys, its state and its HTTP face,
// in one directory.
//
//	W/keys/witness-ed25519.key, W/keys/witness-mldsa44.key   its signing keys, or
//	W/keys/witness.kms                                       where its one key is kept
//	W/state/                                                 what it has cosigned; without it the keys are of no use
//	W/evidence/                                              what it caught, as files
package witnessnode

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-53cf897a/docket/server/front"
	"github.com/seed-53cf897a/docket/witness"
)

// Limits of the HTTP face. A request is small, and a log waits for the answer.
const (
	maxConnections  = 1024
	maxHeader       = 16 << 10
	readTimeout     = 10 * time.Second
	writeTimeout    = 30 * time.Second
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 10 * time.Second
)

// Server answers for one witness.
type Server struct {
	Witness        *witness.Witness
	TLS            *tls.Config   // with the certificate; nil: plain HTTP
	GossipInterval time.Duration // between two rounds of gossip; 0: no rounds
	Log            *slog.Logger

	Metrics         *prometheus.Registry
	MetricsListener net.Listener // where Metrics are served, at /metrics; nil: nowhere

	MaxConnections int            // 1,024
	MaxPerAddress  int            // an eighth of them
	Proxies        []netip.Prefix // those before the witness, which MaxPerAddress does not bind
}

// Serve answers on l and gossips until ctx ends, then finishes the requests at
// work. It closes l and MetricsListener.
func (s Server) Serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, s.Witness.GiveUp)()
	rounds, stop := context.WithCancel(ctx)
	gossiped := make(chan struct{})
	go func() {
		defer close(gossiped)
		s.Witness.Run(rounds, s.GossipInterval)
	}()
	defer func() { stop(); <-gossiped }()
	c := front.Config{
		Handler: s.handler(), Probes: []string{"/healthz", "/readyz"}, TLS: s.TLS, Log: s.Log, Proxies: s.Proxies,
		MetricsListener: s.MetricsListener,
		MaxConnections:  cmp.Or(s.MaxConnections, maxConnections), MaxPerAddress: s.MaxPerAddress,
		MaxHeader: maxHeader, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, Grace: shutdownTimeout,
	}
	if s.Metrics != nil {
		c.Metrics = s.Metrics
	}
	return c.Serve(ctx, l)
}

// handler is the witness's face, beside what operators ask.
func (s Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", s.Witness.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.Witness.Err(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
		for _, d := range s.Witness.Damage() {
			fmt.Fprintln(w, d)
		}
	})
	return mux
}
