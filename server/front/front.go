// Package front limits connections and requests of a public HTTP handler, the ledger's
// or a witness's: in total and by network address, with a bound on every wait for a
// client and on the memory of incomplete bodies. Near the limit it closes the
// connections that have waited longest for their client; where all are working, one of
// the address with the most. So no client can keep others out by holding connections.
// Health probes are answered beside the limit.
//
// It does not bound what a complete request costs; that is the handler's.
package front

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config is a front. Handler is required; the zero value of every other field is the
// default beside it.
type Config struct {
	Handler http.Handler

	// Refuse writes the answer to a request that the handler never sees: 400, or 503 with
	// Retry-After set. Nil: one line of text.
	Refuse func(w http.ResponseWriter, r *http.Request, status int, words string)

	// Metrics are for Prometheus, at /metrics of MetricsListener alone: clients do not
	// see them, and cannot keep the operator out. Either may be nil.
	Metrics         prometheus.Gatherer
	MetricsListener net.Listener

	TLS *tls.Config  // brings the certificate, and HTTP/2; nil: plain HTTP
	Log *slog.Logger // what net/http says of connections, at the level Debug; nil: none

	// Probes are the paths of health probes. A connection that finds no place gets one
	// of a few reserved ones, where they alone are answered, within 2 s.
	Probes []string

	// Proxies are those before the server. Many clients share the address of one, so it
	// counts only to the limit of all.
	Proxies []netip.Prefix

	MaxConnections int // open at once, and requests at work at once; 4,096
	MaxPerAddress  int // the same of one address (/64 of IPv6); an eighth of all, at least 16

	MaxHeader     int           // bytes of one request's header; 16 KiB
	HeaderTimeout time.Duration // for a TLS handshake, and for a request's header; 5 s
	ReadTimeout   time.Duration // header and body; 20 s
	WriteTimeout  time.Duration // from the header's end to the answer's; 60 s
	IdleTimeout   time.Duration // between requests of a connection; 2 min
	Grace         time.Duration // for requests at work when the server stops; 20 s
}

// Bounds of what one HTTP/2 connection holds: requests at once, and bytes that wait for
// the handler.
const (
	maxStreams      = 128
	maxStreamBuffer = 64 << 10
	maxConnBuffer   = 256 << 10
)

// maxMetricsConns bounds the connections to the metrics.
const maxMetricsConns = 64

func (c Config) withDefaults() Config {
	c.MaxConnections = cmp.Or(c.MaxConnections, 4096)
	c.MaxPerAddress = min(cmp.Or(c.MaxPerAddress, max(c.MaxConnections/8, 16)), c.MaxConnections)
	c.MaxHeader = cmp.Or(c.MaxHeader, 16<<10)
	c.HeaderTimeout = cmp.Or(c.HeaderTimeout, 5*time.Second)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 20*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, time.Minute)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 2*time.Minute)
	c.Grace = cmp.Or(c.Grace, 20*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Refuse == nil {
		c.Refuse = func(w http.ResponseWriter, _ *http.Request, status int, words string) { http.Error(w, words, status) }
	}
	return c
}

// Serve answers requests on l until ctx ends; then it stops accepting, finishes the
// requests at work and returns nil. At half of Grace their contexts end; after the
// whole of it the connections are closed and the error says so. It closes l, and
// MetricsListener.
func (c Config) Serve(ctx context.Context, l net.Listener) error {
	c = c.withDefaults()
	defer c.exposeMetrics(ctx)()
	requests, cancelWaits := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelWaits()
	hs := &http.Server{
		BaseContext:       func(net.Listener) context.Context { return requests },
		ConnContext:       withConn,
		Handler:           http.HandlerFunc(c.serveHTTP),
		ReadHeaderTimeout: c.HeaderTimeout,
		ReadTimeout:       c.ReadTimeout,
		WriteTimeout:      c.WriteTimeout,
		IdleTimeout:       c.IdleTimeout,
		MaxHeaderBytes:    c.MaxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: maxStreamBuffer, MaxReceiveBufferPerConnection: maxConnBuffer,
		},
		ErrorLog: log.New(connectionLog{c.Log}, "", 0),
	}
	guarded := &countingListener{Listener: l, table: newConnTable(c.MaxConnections, c.MaxPerAddress, c.Proxies)}
	serve := func() error { return hs.Serve(guarded) }
	if c.TLS != nil {
		hs.TLSConfig = c.TLS.Clone() // net/http adds its protocols
		serve = func() error { return hs.ServeTLS(guarded, "", "") }
	}

	failed := make(chan error, 1)
	go func() { failed <- serve() }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	defer time.AfterFunc(c.Grace/2, cancelWaits).Stop()
	err := shutdown(context.WithoutCancel(ctx), hs, c.Grace)
	if e := <-failed; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// exposeMetrics serves the metrics until the function that it returns is called. Without
// them the server goes on: it says so.
func (c Config) exposeMetrics(ctx context.Context) (end func()) {
	if c.MetricsListener == nil {
		return func() {}
	}
	mux := http.NewServeMux()
	if c.Metrics != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(c.Metrics, promhttp.HandlerOpts{}))
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := (Config{Handler: mux, Log: c.Log, MaxConnections: maxMetricsConns, Grace: time.Second}).Serve(ctx, c.MetricsListener); err != nil {
			c.Log.Error("the metrics are not served", "err", err)
		}
	}()
	return func() { cancel(); <-ended }
}

func shutdown(ctx context.Context, hs *http.Server, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := hs.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were still at work after %s: %w", grace, err), hs.Close())
	}
	return nil
}

// serveHTTP lets a request through to the handler, if there is a place for it.
func (c Config) serveHTTP(w http.ResponseWriter, r *http.Request) {
	conn := connOf(r)
	if conn.reserved || r.ProtoMajor == 1 && r.ProtoMinor == 0 {
		// What follows a body that HTTP/1.0 frames may be what another server on the way
		// took for its end (RFC 9112 section 6.1).
		w.Header().Set("Connection", "close")
	}
	switch {
	case len(r.TransferEncoding) > 0:
		// Of two lengths net/http drops Content-Length before a handler sees it, so no
		// request may have a Transfer-Encoding at all: otherwise a client behind a
		// proxy that uses the other length can smuggle a request past it (RFC 9112
		// sections 6.3 and 11.2). HTTP/1.1 lets a server insist on Content-Length.
		w.Header().Set("Connection", "close")
		c.Refuse(w, r, http.StatusBadRequest, "the request has a Transfer-Encoding: say the body's length in Content-Length alone")
	case conn.reserved && !slices.Contains(c.Probes, r.URL.Path):
		c.refuseFull(w, r, "all connections are in use, or all those of your address")
	case !conn.beginRequest():
		c.refuseFull(w, r, "too many requests are at work at once, of all or of your address")
	default:
		defer conn.endRequest()
		whole := *r // the caller's own stays as it is
		if r.Body != http.NoBody {
			b := &trackedBody{ReadCloser: r.Body, conn: conn}
			defer func() { conn.dropBody(b.read) }()
			whole.Body = b
		}
		c.Handler.ServeHTTP(trackedWriter{w, conn}, &whole)
	}
}

func (c Config) refuseFull(w http.ResponseWriter, r *http.Request, words string) {
	w.Header().Set("Retry-After", "1")
	c.Refuse(w, r, http.StatusServiceUnavailable, words)
}

// connectionLog takes what net/http says about connections (a TLS handshake broken off,
// a header too long): the clients' faults, so at debug level only.
type connectionLog struct{ log *slog.Logger }

func (l connectionLog) Write(line []byte) (int, error) {
	l.log.Debug("connection", "err", strings.TrimSpace(string(line)))
	return len(line), nil
}
