package server

import (
	"context"
	"log/slog"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// The request log has a line for every record that was admitted, for which a party paid.
// Of everything else, which costs a stranger nothing, it has as many lines as a disk bears
// for ever: 2 GB a day. The metrics count all.
const (
	logLinesPerSecond = 100
	logLinesBurst     = 1_000
)

// lineLimiter bounds the lines of one level, so that no flood of one keeps out another.
type lineLimiter struct {
	lines   *rate.Limiter
	omitted atomic.Uint64 // since the last line
}

func newLineLimiter() *lineLimiter {
	return &lineLimiter{lines: rate.NewLimiter(logLinesPerSecond, logLinesBurst)}
}

// allow says whether a line is written; one that must be is, and counts.
func (l *lineLimiter) allow(must bool) bool {
	if l.lines.Allow() || must {
		return true
	}
	l.omitted.Add(1)
	return false
}

// log writes it, and how many were left out before.
func (l *lineLimiter) log(to *slog.Logger, level slog.Level, attrs []slog.Attr) {
	if n := l.omitted.Swap(0); n > 0 {
		attrs = append(attrs, slog.Uint64("omitted", n))
	}
	to.LogAttrs(context.Background(), level, "request", attrs...)
}
