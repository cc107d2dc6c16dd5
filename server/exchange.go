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

// exchange is one request and its answer: what gin knows of it, and what the
// request log and the metrics say about it afterwards.
type exchange struct {
	*gin.Context
	server  *Server
	number  uint64
	index   *uint64  // of the record that the exchange is about, where known
	problem *problem // the failure that was answered, nil if none
	turn    func()   // ends the exchange's turn at a gate, nil if it has none
}

// handler answers one request: decode, call, encode. An error becomes a problem.
type handler func(*exchange) error

// enter waits for a turn at a gate, which lasts until leave; an exchange has one at
// a time.
func (x *exchange) enter(g *gate) error {
	if err := g.enter(x.Request.Context()); err != nil {
		return err
	}
	x.turn = g.leave
	return nil
}

// leave ends the exchange's turn, if it has one.
func (x *exchange) leave() {
	if x.turn != nil {
		x.turn()
		x.turn = nil
	}
}

// about notes the index of the record that the exchange is about.
func (x *exchange) about(index uint64) { x.index = &index }

// urn names this very request, in problems and in the log.
func (x *exchange) urn() string {
	return "urn:docket:request:" + x.server.boot + "-" + strconv.FormatUint(x.number, 10)
}

// serve makes a gin handler of h: the answer, then one line in the log.
// fail says how an error is shown: as a problem, or as a page for people.
func (s *Server) serve(route string, h handler, fail func(*exchange, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		x := &exchange{Context: c, server: s, number: s.requests.Add(1)}
		c.Writer.Header()["X-Content-Type-Options"] = nosniff
		defer func() {
			if err := recover(); err != nil {
				if err == http.ErrAbortHandler {
					panic(err)
				}
				x.crash(err, fail)
			}
			s.observe(x, route, time.Since(start))
		}()
		if err := h(x); err != nil {
			fail(x, err)
		}
	}
}

var nosniff = []string{"nosniff"}

// crash answers for a handler that panicked; the process goes on, the log says
// what a person must look at.
func (x *exchange) crash(reason any, fail func(*exchange, error)) {
	err := fmt.Errorf("panic: %v", reason)
	x.server.log.Error("panic in a handler", "err", err, "stack", string(debug.Stack()))
	if !x.Writer.Written() {
		fail(x, err)
	}
}

// observe writes the request log's one line, unless there are too many, and counts.
func (s *Server) observe(x *exchange, route string, took time.Duration) {
	status := x.Writer.Status()
	s.metrics.request(route, x.Request.Method, status, took)
	level, lines := slog.LevelInfo, s.requestLines
	if x.problem != nil {
		s.metrics.problem(x.problem.kind)
		if x.problem.kind == internal || x.problem.kind == stopped || x.problem.kind == damaged {
			level, lines = slog.LevelError, s.faultLines
		}
	}
	if !s.log.Enabled(context.Background(), level) || !lines.open(status == http.StatusCreated) {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("method", method(x.Request.Method)),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Int("bytes", max(0, x.Writer.Size())),
		slog.String("duration", took.Round(time.Microsecond).String()),
		slog.Uint64("request", x.number),
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
	lines.write(s.log, level, attrs)
}

// method keeps a made-up method out of logs and labels.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost:
		return m
	}
	return "other"
}
