package server

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// Serve answers requests on l until ctx ends; then it stops accepting, finishes
// the requests at work and returns nil. The ledger must go on committing and
// publishing until Serve has returned: then no accepted record is lost, and each
// submitter has been told. Whoever waits for the quorum longer than half of
// ShutdownGrace is answered 202; after the whole of it the connections are
// closed and the error says so.
//
// Serve closes l. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	requests, hurry := context.WithCancel(context.WithoutCancel(ctx))
	defer hurry()
	hs := &http.Server{
		BaseContext:       func(net.Listener) context.Context { return requests },
		Handler:           s.Handler(),
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		ReadTimeout:       s.cfg.ReadTimeout,
		WriteTimeout:      s.cfg.WriteTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    s.cfg.MaxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 250},
		ErrorLog:          log.New(connectionLog{s.log}, "", 0),
	}
	l = netutil.LimitListener(l, s.cfg.MaxConnections)
	serve := func() error { return hs.Serve(l) }
	if s.cfg.TLS != nil {
		hs.TLSConfig = s.cfg.TLS.Clone() // net/http adds its protocols
		serve = func() error { return hs.ServeTLS(l, "", "") }
	}

	failed := make(chan error, 1)
	go func() { failed <- serve() }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	err := s.shutdown(context.WithoutCancel(ctx), hs, hurry)
	if e := <-failed; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// shutdown lets requests finish. hurry ends the wait for the quorum of those
// that still wait at half time.
func (s *Server) shutdown(ctx context.Context, hs *http.Server, hurry func()) error {
	s.stopping.Store(true)
	defer time.AfterFunc(s.cfg.ShutdownGrace/2, hurry).Stop()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ShutdownGrace)
	defer cancel()
	if err := hs.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were still at work after %s: %w", s.cfg.ShutdownGrace, err), hs.Close())
	}
	return nil
}

// connectionLog takes what net/http says about connections (a TLS handshake
// broken off, a header too long): the strangers' doing, so for the curious only.
type connectionLog struct{ log *slog.Logger }

func (l connectionLog) Write(line []byte) (int, error) {
	l.log.Debug("connection", "err", strings.TrimSpace(string(line)))
	return len(line), nil
}
