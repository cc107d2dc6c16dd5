package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
)

// request is one request and its answer: what gin knows of it, and what the
// request log and the metrics say about it afterwards.
type request struct {
	*gin.Context
	server      *Server
	serial      uint64
	index       *uint64  // of the record that the exchange is about, where known
	problem     *problem // the failure that was answered, nil if none
	releaseTurn func()   // ends the exchange's turn at a gate, nil if it has none
}

// handler answers one request: decode, call, encode. An error becomes a problem.
type handler func(*request) error

// acquire waits for a turn at a gate, which lasts until leave; an exchange has one at
// a time.
func (x *request) acquire(g *concurrencyLimiter) error {
	if err := g.acquire(x.Request.Context()); err != nil {
		return err
	}
	x.releaseTurn = g.release
	return nil
}

// release ends the exchange's turn, if it has one.
func (x *request) release() {
	if x.releaseTurn != nil {
		x.releaseTurn()
		x.releaseTurn = nil
	}
}

// setIndex notes the index of the record that the exchange is about.
func (x *request) setIndex(index uint64) { x.index = &index }

// instanceURN names this very request, in problems and in the log.
func (x *request) instanceURN() string {
	return "urn:docket:request:" + x.server.processID + "-" + strconv.FormatUint(x.serial, 10)
}

// ginHandler makes a gin handler of h: the answer, then one line in the log.
// fail says how an error is shown: as a problem, or as a page for people.
func (s *Server) ginHandler(route string, h handler, fail func(*request, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		x := &request{Context: c, server: s, serial: s.requestCount.Add(1)}
		c.Writer.Header()["X-Content-Type-Options"] = nosniff
		defer func() {
			if err := recover(); err != nil {
				if err == http.ErrAbortHandler {
					panic(err)
				}
				x.answerPanic(err, fail)
			}
			s.logAndCount(x, route, time.Since(start))
		}()
		if err := h(x); err != nil {
			fail(x, err)
		}
	}
}

var nosniff = []string{"nosniff"}

// answerPanic answers for a handler that panicked; the process goes on, the log says
// what a person must look at.
func (x *request) answerPanic(reason any, fail func(*request, error)) {
	err := fmt.Errorf("panic: %v", reason)
	x.server.log.Error("panic in a handler", "err", err, "stack", string(debug.Stack()))
	if !x.Writer.Written() {
		fail(x, err)
	}
}

// logAndCount writes the request log's one line, unless there are too many, and counts.
func (s *Server) logAndCount(x *request, route string, took time.Duration) {
	status := x.Writer.Status()
	s.metrics.countRequest(route, x.Request.Method, status, took)
	level, lines := slog.LevelInfo, s.requestLog
	if x.problem != nil {
		s.metrics.countProblem(x.problem.kind)
		if x.problem.kind == problemInternal || x.problem.kind == problemStopped || x.problem.kind == damaged {
			level, lines = slog.LevelError, s.faultLog
		}
	}
	if !s.log.Enabled(context.Background(), level) || !lines.allow(status == http.StatusCreated) {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("method", knownMethod(x.Request.Method)),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Int("bytes", max(0, x.Writer.Size())),
		slog.String("duration", took.Round(time.Microsecond).String()),
		slog.Uint64("request", x.serial),
	)
	if x.index != nil {
		attrs = append(attrs, slog.Uint64("index", *x.index))
	}
	if x.problem != nil {
		attrs = append(attrs, slog.String("problem", string(x.problem.kind)))
		if x.problem.cause != nil {
			attrs = append(attrs, slog.Any("err", x.problem.cause))
		}
	}
	lines.log(s.log, level, attrs)
}

// knownMethod keeps a made-up method out of logs and labels.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost:
		return m
	}
	return "other"
}
