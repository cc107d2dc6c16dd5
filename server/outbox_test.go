package server

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"
)

func TestOutbox(t *testing.T) {
	o := newOutbox(8 << 20)
	first, err := o.take("192.0.2.1", 900<<10)
	if err != nil {
		t.Fatal(err)
	}
	_, err = o.take("192.0.2.1", 200<<10)
	wantBusy(t, "beyond the share of one address", err)
	if _, err := o.take("192.0.2.1", smallAnswer); err != nil {
		t.Errorf("a small answer is refused: %v", err)
	}
	large, err := o.take("192.0.2.2", 7<<20)
	if err != nil {
		t.Fatalf("an address with nothing on its way is refused one large answer: %v", err)
	}
	_, err = o.take("192.0.2.3", 500<<10)
	wantBusy(t, "beyond the whole", err)
	large()
	large() // counts once
	if _, err = o.take("192.0.2.3", 500<<10); err != nil {
		t.Errorf("what was given back is not free: %v", err)
	}
	first()
	if o.sum != 500<<10 || len(o.from) != 1 {
		t.Errorf("%d bytes of %d addresses are counted, want those of the one under way", o.sum, len(o.from))
	}
}

// stalled is a client that reads nothing until it is let go.
type stalled struct {
	*httptest.ResponseRecorder
	letGo <-chan struct{}
}

func (w stalled) Write(p []byte) (int, error) {
	<-w.letGo
	return w.ResponseRecorder.Write(p)
}

// Whoever does not read his answer keeps nobody else's question waiting: his turn
// ends before the answer is sent, and only its bytes are counted.
func TestSlowReadersHoldNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gin.SetMode(gin.ReleaseMode)
		s := &Server{cfg: Config{}, queries: newGate("questions", 1, 4, time.Second), outbox: newOutbox(8 << 20)}
		s.metrics = newMetrics(s)
		s.log = slog.New(slog.DiscardHandler)
		h := s.serve("/x", s.queries.behind(func(x *exchange) error {
			return x.bytes(http.StatusOK, typeText, []byte(strings.Repeat("a", 1<<20)))
		}), (*exchange).fail)
		e := gin.New()
		e.GET("/x", h)

		letGo, ended := make(chan struct{}), make(chan struct{})
		for i := range 7 {
			go func() {
				defer func() { ended <- struct{}{} }()
				r := httptest.NewRequest("GET", "/x", nil)
				r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", 10+i)
				e.ServeHTTP(stalled{httptest.NewRecorder(), letGo}, r)
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
		if s.outbox.sum != 0 || len(s.queries.slots) != 0 {
			t.Errorf("%d bytes and %d turns are still held", s.outbox.sum, len(s.queries.slots))
		}
	})
}
