// Package stand puts one witness together: its keys, its state and its HTTP face,
// in one directory.
//
//	W/keys/witness-ed25519.key, W/keys/witness-mldsa44.key   its signing keys, or
//	W/keys/witness.kms                                       where its one key is kept
//	W/state/                                                 what it has cosigned; without it the keys are of no use
//	W/evidence/                                              what it caught, as files
package stand

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"github.com/seed-53cf897a/docket/witness"
)

// Limits of the HTTP face. A request is small, and a log waits for the answer.
const (
	maxConnections = 1024
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	grace          = 10 * time.Second
)

// Server answers for one witness.
type Server struct {
	Witness *witness.Witness
	Metrics *prometheus.Registry // served at /metrics; nil: not
	TLS     *tls.Config          // with the certificate; nil: plain HTTP
	Every   time.Duration        // between two rounds of gossip; 0: no rounds
	Log     *slog.Logger
}

// Serve answers on l and gossips until ctx ends, then finishes the requests at
// work. It closes l.
func (s Server) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("/", s.Witness.Handler())
	if s.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{}))
	}
	hs := &http.Server{
		Handler: mux, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	l = netutil.LimitListener(l, maxConnections)
	serve := func() error { return hs.Serve(l) }
	if s.TLS != nil {
		hs.TLSConfig = s.TLS.Clone() // net/http adds its protocols
		serve = func() error { return hs.ServeTLS(l, "", "") }
	}
	rounds, stop := context.WithCancel(ctx)
	gossiped := make(chan struct{})
	go func() {
		defer close(gossiped)
		s.Witness.Run(rounds, s.Every)
	}()
	defer func() { stop(); <-gossiped }()

	failed := make(chan error, 1)
	go func() { failed <- serve() }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := hs.Shutdown(ending); err != nil {
		return errors.Join(fmt.Errorf("requests were still at work after %s: %w", grace, err), hs.Close())
	}
	return nil
}
