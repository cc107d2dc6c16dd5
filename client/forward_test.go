package client

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/client/wire"
)

// What is sent on goes, whole, to the first server that is neither away nor busy; where none is, the answer
// is the last one that there was.
func TestForward(t *testing.T) {
	const dead = 0
	for name, c := range map[string]struct {
		a, b   int // what they answer
		answer int
		asked  string
	}{
		"the first one answers": {201, 201, 201, "a"},
		"it refuses":            {422, 201, 422, "a"},
		"it is busy":            {503, 201, 201, "ab"},
		"it is dead":            {dead, 200, 200, "ab"},
		"both are busy":         {503, 502, 502, "ab"},
		"busy and dead":         {503, dead, 503, "ab"},
		"both are dead":         {dead, dead, dead, "ab"},
	} {
		asked := ""
		all, err := wire.NewServers(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil || string(body) != "a record" || r.URL.Path != "/at/v1/records" || r.URL.RawQuery != "dry-run=true" || r.Header.Get("Via") != "1.1 x" {
				t.Errorf("%s: it is sent %q at %s with %v, %v", name, body, r.URL, r.Header, err)
			}
			status := c.a
			if asked += r.URL.Host[:1]; r.URL.Host == "b.example" {
				status = c.b
			}
			if status == dead {
				return nil, errLost
			}
			res := answerOf(status, r.URL.Host)
			res.Request = r
			return res, nil
		}), "http://a.example/at", "http://b.example/at/")
		must(t, err)
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/records?dry-run=true", strings.NewReader("a record"))
		must(t, err)
		q.Header.Set("Via", "1.1 x")
		got := dead
		res, err := At(all).Forward(q)
		if err == nil {
			got = res.StatusCode
			res.Body.Close()
		} else if !errors.As(err, new(*wire.UnreachableError)) {
			t.Errorf("%s: %v", name, err)
		}
		if got != c.answer || asked != c.asked {
			t.Errorf("%s: %d of %q, want %d of %q", name, got, asked, c.answer, c.asked)
		}
	}
}
