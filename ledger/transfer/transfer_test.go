package transfer

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// source gives as many bytes at once as each second of its life says; after the last one it goes on as it ended.
type source struct {
	ctx   context.Context
	each  []int
	given int
}

func (s *source) Read(b []byte) (int, error) {
	select {
	case <-time.After(time.Second):
	case <-s.ctx.Done():
		return 0, context.Cause(s.ctx)
	}
	n := s.each[min(s.given, len(s.each)-1)]
	s.given++
	return n, nil
}

// A transfer goes on for ever at the floor, ends as soon as its source was silent for the patience, and
// below the floor when that is used up; a quick beginning saves up no more than that.
func TestFloor(t *testing.T) {
	floor := Floor{Patience: 10 * time.Second, PerSecond: 1000}
	for name, c := range map[string]struct {
		each []int
		ends time.Duration // 0: not within an hour
	}{
		"at the floor":                 {[]int{1000}, 0},
		"a quick one":                  {[]int{1 << 20}, 0},
		"seldom much":                  {[]int{9000, 0, 0, 0, 0, 0, 0, 0, 0, 9000, 1000}, 0},
		"silent from the beginning":    {[]int{0}, 10 * time.Second},
		"silent after a quick minute":  {append(repeat(1<<20, 60), 0), 70 * time.Second},
		"half the floor":               {[]int{500}, 19 * time.Second},
		"a drip after a quick minute":  {append(repeat(1<<20, 60), 1), 70 * time.Second},
		"a byte a second":              {[]int{1}, 10 * time.Second},
		"below after a quick minute":   {append(repeat(1<<20, 60), 500), 79 * time.Second},
		"once more at the floor again": {append(append(repeat(1000, 5), repeat(100, 8)...), 1000), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				ctx, w := floor.Watch(t.Context())
				defer w.Close()
				in, b := w.Reader(&source{ctx: ctx, each: c.each}), make([]byte, 1<<20)
				var err error
				for err == nil && time.Since(begun) < time.Hour {
					_, err = in.Read(b)
				}
				if c.ends == 0 && err != nil || c.ends > 0 && !errors.Is(err, ErrSlow) {
					t.Fatalf("after %s: %v", time.Since(begun), err)
				}
				if took := time.Since(begun); c.ends > 0 && (took < c.ends || took > c.ends+time.Second) {
					t.Errorf("it ended after %s, want %s", took, c.ends)
				}
			})
		})
	}
}

// What was closed ends its context, and by nothing else than that.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, w := Floor{Patience: time.Second, PerSecond: 1}.Watch(t.Context())
		if _, err := io.ReadAll(w.Reader(io.LimitReader(zeros{}, 100))); err != nil {
			t.Fatal(err)
		}
		w.Close()
		time.Sleep(time.Minute)
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrSlow) {
			t.Errorf("it ended by %v", err)
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func repeat(n, times int) (all []int) {
	for range times {
		all = append(all, n)
	}
	return all
}
