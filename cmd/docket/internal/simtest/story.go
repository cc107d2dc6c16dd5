package simtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// simBase is what all worlds have: a seed, from which all else comes; a clock that
// goes by days; and a trace.
type simBase struct {
	seed   uint64
	rng    *rand.Rand
	dayCtx context.Context // of the day
	trace  []string
	now    time.Time // what the clocks show when the next day begins
	latest time.Time // the latest that they ever showed
}

func newSimBase(seed uint64) simBase {
	return simBase{
		seed: seed, rng: rand.New(rand.NewPCG(seed, 0)),
		now: time.Date(2026, 11, 23, 18, 19, 4, 123e6, time.UTC),
	}
}

// runDay opens a bubble at the story's time, and lets live live in it. evening
// comes after it, calls end, and leaves nothing under way.
func (s *simBase) runDay(t *testing.T, steps func() error, shutdown func(end func()) error) (err error) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(s.now)) // a bubble begins in the year 2000
		ctx, end := context.WithCancel(t.Context())
		s.dayCtx = ctx
		defer func() {
			err = errors.Join(err, shutdown(end))
			s.now = time.Now().UTC()
			s.latest = maxTime(s.latest, s.now)
		}()
		err = steps()
	})
	return err
}

// setClock sets the clock: on, or back.
func (s *simBase) setClock() {
	switch n := s.rng.IntN(10); {
	case n < 5:
		s.now = s.now.Add(time.Duration(s.rng.Int64N(int64(24 * time.Hour))))
	case n < 7:
		s.now = s.now.Add(time.Duration(s.rng.Int64N(int64(40 * 24 * time.Hour))))
	case n < 9:
		s.now = s.now.Add(-time.Duration(s.rng.Int64N(int64(time.Minute))))
	default:
		s.now = s.now.Add(-time.Duration(s.rng.Int64N(int64(time.Hour))))
	}
}

// setClockLater is a morning that is later than every time before.
func (s *simBase) setClockLater() { s.now = maxTime(s.now, s.latest).Add(time.Minute) }

// tracef writes one line of the trace.
func (s *simBase) tracef(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf("%4d  %s  ", len(s.trace), time.Now().UTC().Format("2006-01-02 15:04:05.000"))+fmt.Sprintf(format, args...))
}

// Trace is what happened, a line a step.
func (s *simBase) Trace() string { return strings.Join(s.trace, "\n") }

// chance is true so many times in a hundred.
func (s *simBase) chance(percent int) bool { return s.rng.IntN(100) < percent }

func (s *simBase) roll(n int) int { return s.rng.IntN(n) }

// pick is one of them.
func pick[T any](s interface{ roll(n int) int }, of ...T) T { return of[s.roll(len(of))] }

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
