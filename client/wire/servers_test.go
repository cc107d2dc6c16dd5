package wire

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// handlers answers by host. One without a handler never answers.
type handlers map[string]http.HandlerFunc

func (h handlers) RoundTrip(r *http.Request) (*http.Response, error) {
	handle := h[r.URL.Host]
	if handle == nil {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	handle(w, r)
	res := w.Result()
	res.Request = r
	return res, nil
}

func says(words string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, words) }
}

// A server that says nothing holds nobody up for longer than [patience], nor for longer than its
// share of the time that a caller has; the last one may take all of it. One whose answer is only
// long in coming is heard out.
func TestSilentServerTakesItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slowly := func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(12 * time.Second)
			io.WriteString(w, "slowly")
		}
		for _, c := range []struct {
			a, b         http.HandlerFunc
			deadline     time.Duration
			answer, told string
			took         time.Duration
		}{
			{nil, says("b"), time.Hour, "b", "nothing within 15s", patience},
			{nil, says("b"), 8 * time.Second, "b", "nothing within 4s", 4 * time.Second},
			{slowly, says("b"), time.Hour, "slowly", "", 12 * time.Second},
			{nil, slowly, time.Hour, "slowly", "nothing within 15s", 27 * time.Second},
			{nil, nil, 8 * time.Second, "", "", 8 * time.Second},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), c.deadline)
			s, err := NewServers(handlers{"a.example": c.a, "b.example": c.b}, "http://a.example", "http://b.example")
			if err != nil {
				t.Fatal(err)
			}
			told := ""
			s.OnSwitch = func(_, _ string, why error) { told += why.Error() }
			start := time.Now()
			got, err := LogAt(s).Checkpoint(ctx)
			var unreachable *UnreachableError
			if string(got) != c.answer || c.answer == "" && !errors.As(err, &unreachable) || time.Since(start) != c.took {
				t.Errorf("got %q, %v after %s, want %q after %s", got, err, time.Since(start), c.answer, c.took)
			}
			if (told != "") != (c.told != "") || !strings.Contains(told, c.told) {
				t.Errorf("told %q, want %q", told, c.told)
			}
			cancel()
		}
	})
}

// Calls that are under way together leave a dead server once.
func TestManyCallsSwitchOnce(t *testing.T) {
	var mu sync.Mutex
	told := 0
	s, err := NewServers(handlers{"a.example": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "b.example": says("b")}, "http://a.example", "http://b.example")
	if err != nil {
		t.Fatal(err)
	}
	s.OnSwitch = func(string, string, error) { mu.Lock(); defer mu.Unlock(); told++ }
	var calls sync.WaitGroup
	for range 32 {
		calls.Go(func() {
			if got, err := LogAt(s).Checkpoint(t.Context()); string(got) != "b" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	calls.Wait()
	if told != 1 || s.URL() != "http://b.example" {
		t.Errorf("told %d times; the first to be asked is %s", told, s.URL())
	}
}

// A server that is away is asked after those that are not; one that has answered since is not away.
func TestAwayServersAreAskedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }
		h := handlers{"a.example": http.NotFound, "b.example": fails, "c.example": says("c")}
		s, err := NewServers(h, "http://a.example", "http://b.example", "http://c.example")
		if err != nil {
			t.Fatal(err)
		}
		ask := func(want, then string) {
			t.Helper()
			if got, err := LogAt(s).Checkpoint(t.Context()); string(got) != want || s.URL() != then {
				t.Errorf("got %q, %v; then asks %s", got, err, s.URL())
			}
		}
		ask("c", "http://a.example")
		h["a.example"], h["b.example"] = fails, nil
		start := time.Now()
		ask("c", "http://c.example")
		if took := time.Since(start); took > 0 {
			t.Errorf("it took %s: the silent one was asked", took)
		}
		h["a.example"], h["b.example"], h["c.example"] = says("a"), fails, fails
		ask("a", "http://a.example")
		time.Sleep(awayFor + time.Second)
		h["a.example"], h["c.example"] = http.NotFound, says("c")
		ask("c", "http://a.example")
		time.Sleep(awayFor + time.Second) // b was away, and has its turn again
		h["a.example"], h["b.example"] = fails, says("b")
		ask("b", "http://b.example")
	})
}

// What one server lacks is not looked for at one that is away: nobody waits for that.
func TestWhatOneServerLacksAndOthersAreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handlers{"a.example": http.NotFound, "b.example": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }}
		s, err := NewServers(h, "http://a.example", "http://b.example")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			start := time.Now()
			if _, err := LogAt(s).Checkpoint(t.Context()); !IsNotFound(err) || time.Since(start) > 0 {
				t.Errorf("after %s: %v, want 404", time.Since(start), err)
			}
			h["b.example"] = nil // says nothing
		}
	})
}

// What one server lacks another is asked for, and nobody is left for it. Where none has it, that
// is the answer, and not that one of them is away.
func TestWhatOneServerLacks(t *testing.T) {
	h := handlers{"a.example": http.NotFound, "b.example": says("b"), "c.example": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }}
	s, err := NewServers(h, "http://a.example", "http://b.example", "http://c.example")
	if err != nil {
		t.Fatal(err)
	}
	s.OnSwitch = func(from, to string, why error) { t.Errorf("%s → %s: %v", from, to, why) }
	if got, err := LogAt(s).Checkpoint(t.Context()); string(got) != "b" || s.URL() != "http://a.example" {
		t.Errorf("got %q, %v; then asks %s", got, err, s.URL())
	}
	h["b.example"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }
	if _, err := LogAt(s).Checkpoint(t.Context()); !IsNotFound(err) {
		t.Errorf("got %v, want the first one's 404", err)
	}
	h["a.example"], h["b.example"] = h["c.example"], h["c.example"]
	var status *StatusError
	if _, err := LogAt(s).Checkpoint(t.Context()); !errors.As(err, &status) || status.Code != 500 {
		t.Errorf("got %v, want 500", err)
	}
	h["a.example"] = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://evil.example/", http.StatusTemporaryRedirect)
	}
	h["b.example"] = says("b")
	s, _ = NewServers(h, "http://a.example", "http://b.example")
	var elsewhere *RedirectError
	if got, err := LogAt(s).Checkpoint(t.Context()); !errors.As(err, &elsewhere) {
		t.Errorf("a redirection: %q, %v", got, err)
	}
}
