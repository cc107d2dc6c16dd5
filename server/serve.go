package server

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/seed-53cf897a/docket/server/front"
)

// Serve answers requests on l until ctx ends; then it stops accepting, finishes
// the requests at work and returns nil. The ledger must go on committing and
// publishing until Serve has returned: then no accepted record is lost, and each
// submitter has been told. Whoever waits for the quorum longer than half of
// ShutdownGrace is answered 202; after the whole of it the connections are
// closed and the error says so.
//
// Serve closes l and the listener of the metrics. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	defer context.AfterFunc(ctx, func() { s.stopping.Store(true) })()
	return front.Config{
		Handler:         s.Handler(),
		Refuse:          s.refuseUnrouted(),
		Probes:          []string{"/healthz", "/readyz"},
		Metrics:         s.metrics.registry,
		MetricsListener: s.cfg.MetricsListener,
		TLS:             s.cfg.TLS,
		Log:             s.log,
		Proxies:         s.proxies,
		MaxConnections:  s.cfg.MaxConnections,
		MaxPerAddress:   s.cfg.MaxPerAddress,
		MaxHeader:       s.cfg.MaxHeader,
		HeaderTimeout:   s.cfg.HeaderTimeout,
		ReadTimeout:     s.cfg.ReadTimeout,
		WriteTimeout:    s.cfg.WriteTimeout,
		IdleTimeout:     s.cfg.IdleTimeout,
		Grace:           s.cfg.ShutdownGrace,
	}.Serve(ctx, l)
}

// refuseUnrouted answers what never reaches a route, like any failure of one.
func (s *Server) refuseUnrouted() func(w http.ResponseWriter, r *http.Request, status int, words string) {
	type key struct{}
	e := gin.New()
	e.NoRoute(s.ginHandler("none", func(x *request) error { return x.Request.Context().Value(key{}).(*problem) }, (*request).answerProblem))
	return func(w http.ResponseWriter, r *http.Request, status int, words string) {
		p := newProblem(problemFraming, "%s", words)
		if status == http.StatusServiceUnavailable {
			p = newProblem(problemOverloaded, "%s", words)
			p.retryAfter = time.Second
		}
		e.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, p)))
	}
}
