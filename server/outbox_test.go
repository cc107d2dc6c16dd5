package server

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
)

func TestAnswerMemory(t *testing.T) {
	o := newAnswerMemory(8 << 20)
	var broken []string
	take := func(address string, size int) (func(), error) {
		return o.reserve(address, size, func() { broken = append(broken, address) })
	}
	first, err := take("192.0.2.1", 900<<10)
	if err != nil {
		t.Fatal(err)
	}
	_, err = take("192.0.2.1", 200<<10)
	wantBusy(t, "beyond the share of one address", err)
	if _, err := take("192.0.2.1", maxUncountedAnswer); err != nil {
		t.Errorf("a small answer is refused: %v", err)
	}
	large, err := take("192.0.2.2", 7<<20)
	if err != nil {
		t.Fatalf("an address with nothing on its way is refused one large answer: %v", err)
	}
	if len(broken) > 0 {
		t.Errorf("answers to %v were broken off while there was room", broken)
	}
	third, err := take("192.0.2.3", 500<<10)
	if err != nil || fmt.Sprint(broken) != "[192.0.2.1]" {
		t.Errorf("beyond the whole: %v, broken off %v, want the first", err, broken)
	}
	large()
	large() // counts once
	first() // was broken off
	if o.total != 500<<10 || len(o.byAddress) != 1 || o.inFlight.Len() != 1 {
		t.Errorf("%d bytes of %d addresses in %d answers are counted, want the one under way", o.total, len(o.byAddress), o.inFlight.Len())
	}
	third()
	if o.total != 0 || len(o.byAddress) != 0 || o.inFlight.Len() != 0 {
		t.Errorf("%d bytes of %d addresses in %d answers are still counted", o.total, len(o.byAddress), o.inFlight.Len())
	}
}

// Those who read nothing, from many addresses, keep nobody from an answer: theirs are broken
// off.
func TestSlowReadersDoNotBlockOthers(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	const size = 24 << 20 // more than the connections themselves take
	s := &Server{log: slog.New(slog.DiscardHandler), answerMemory: newAnswerMemory(3 * size)}
	s.metrics = newMetrics(s)
	e := gin.New()
	e.GET("/x", s.ginHandler("/x", func(x *request) error {
		return x.answerBytes(http.StatusOK, typeText, make([]byte, size))
	}, (*request).answerProblem))
	for name, tls := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(e)
			if server.EnableHTTP2 = tls; tls {
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			get := func(from string) (*http.Response, error) {
				transport := server.Client().Transport.(*http.Transport).Clone()
				transport.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext
				t.Cleanup(transport.CloseIdleConnections)
				return (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get(server.URL + "/x")
			}
			var held []*http.Response
			for i := range 4 {
				res, err := get(fmt.Sprintf("127.0.0.%d", 2+i))
				if err != nil || res.StatusCode != 200 {
					t.Fatal(res, err)
				}
				defer res.Body.Close()
				held = append(held, res)
			}
			res, err := get("127.0.0.9")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if n, err := io.Copy(io.Discard, res.Body); res.StatusCode != 200 || n != size || err != nil {
				t.Errorf("behind answers that nobody reads: %d, %d bytes, %v", res.StatusCode, n, err)
			}
			if _, err := io.Copy(io.Discard, held[0].Body); err == nil {
				t.Error("the answer that was begun first is whole")
			}
		})
	}
}

// stalledWriter is a client that reads nothing until it is let go.
type stalledWriter struct {
	*httptest.ResponseRecorder
	letGo <-chan struct{}
}

func (w stalledWriter) Write(p []byte) (int, error) {
	<-w.letGo
	return w.ResponseRecorder.Write(p)
}

// Whoever does not read his answer keeps nobody else's question waiting: his turn
// ends before the answer is sent, and only its bytes are counted.
func TestSlowReadersReleaseTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gin.SetMode(gin.ReleaseMode)
		s := &Server{cfg: Config{}, queryLimiter: newConcurrencyLimiter("questions", 1, 4, time.Second), answerMemory: newAnswerMemory(8 << 20)}
		s.metrics = newMetrics(s)
		s.log = slog.New(slog.DiscardHandler)
		h := s.ginHandler("/x", s.queryLimiter.limit(func(x *request) error {
			return x.answerBytes(http.StatusOK, typeText, []byte(strings.Repeat("a", 1<<20)))
		}), (*request).answerProblem)
		e := gin.New()
		e.GET("/x", h)

		letGo, ended := make(chan struct{}), make(chan struct{})
		for i := range 7 {
			go func() {
				defer func() { ended <- struct{}{} }()
				r := httptest.NewRequest("GET", "/x", nil)
				r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", 10+i)
				e.ServeHTTP(stalledWriter{httptest.NewRecorder(), letGo}, r)
			}()
		}
		synctest.Wait()
		next := httptest.NewRecorder()
		e.ServeHTTP(next, httptest.NewRequest("GET", "/x", nil))
		if next.Code != http.StatusOK {
			t.Errorf("behind answers that nobody reads a question gets %d %s, want its answer", next.Code, next.Body)
		}
		close(letGo)
		for range 7 {
			<-ended
		}
		if s.answerMemory.total != 0 || len(s.queryLimiter.slots) != 0 {
			t.Errorf("%d bytes and %d turns are still held", s.answerMemory.total, len(s.queryLimiter.slots))
		}
	})
}
