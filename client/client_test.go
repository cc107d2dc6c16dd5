package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func rewriteTo(answer []byte) func(*http.Request, []byte) []byte {
	return func(*http.Request, []byte) []byte { return answer }
}

// Submitting twice is submitting once: the same index, and a receipt that verifies.
func TestSubmitTwice(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.runLedger()
	env := w.Designate("2026-014", w.NewDesignation("Kestrel Hosting"))
	for i, known := range []bool{false, true, true} {
		s, err := w.client().Submit(t.Context(), env.Marshal(), SinglePolicy{w.policy}, Retry{})
		must(t, err)
		if s.Existed != known || s.Receipt == nil || s.Receipt.Index() != 3 || s.ID != record.IDOf(env.Payload) {
			t.Errorf("time %d: %+v", i+1, s)
		}
	}
	a, err := w.client().Commit(t.Context(), env.Marshal(), Retry{})
	must(t, err)
	if !a.Existed || a.Index != 3 {
		t.Errorf("committing it once more: %+v", a)
	}
	w.NoteAdmitted(env)
	w.Now = time.Now()
	env = w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged"})
	v, err := w.client().DryRun(t.Context(), env.Marshal())
	must(t, err)
	if v.ID != record.IDOf(env.Payload) || len(v.Effects) == 0 {
		t.Errorf("dry run: %+v", v)
	}
	if a, err = w.client().Commit(t.Context(), env.Marshal(), Retry{}); err != nil || a.Existed || a.Index != 4 {
		t.Errorf("committing: %+v, %v", a, err)
	}
}

// redirectTransport answers every call with a redirection.
type redirectTransport struct {
	status, asked int
	to            string
}

func (s *redirectTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked++
	out := httptest.NewRecorder()
	out.Header().Set("Location", s.to)
	out.WriteHeader(s.status)
	res := out.Result()
	res.Request = r
	return res, nil
}

// What is sent to one server goes to no other, neither does a question, and nothing is
// waited for.
func TestNoOtherHostIsAsked(t *testing.T) {
	env := record.Envelope{PayloadType: record.PayloadType, Payload: []byte("{}"), Signatures: []record.Signature{{Sig: []byte("x")}}}
	for _, c := range []redirectTransport{
		{status: 307, to: "https://elsewhere.example/v1/records"},
		{status: 308, to: "http://ledger.example/v1/records"},
		{status: 301, to: "https://elsewhere.example/v1/records"},
		{status: 302, to: "https://ledger.example/v1/records"}, // by GET, whose answer is no receipt
	} {
		synctest.Test(t, func(t *testing.T) {
			server, err := New("https://ledger.example", &c)
			must(t, err)
			var elsewhere *wire.RedirectError
			begun := time.Now()
			if _, err := server.Commit(t.Context(), env.Marshal(), Retry{MaxElapsed: time.Hour}); !errors.As(err, &elsewhere) || c.asked != 1 || time.Since(begun) > 0 {
				t.Errorf("%d to %s: %v after %d calls and %s", c.status, c.to, err, c.asked, time.Since(begun))
			}
			if c.status == 302 {
				return
			}
			if _, err := server.GetUnverified(t.Context(), "/v1/records"); !errors.As(err, &elsewhere) || c.asked != 2 {
				t.Errorf("%d to %s: %v after %d calls", c.status, c.to, err, c.asked)
			}
		})
	}
}

// deafTransport refuses the first call and takes every later one, which it never answers.
type deafTransport struct{ asked int }

func (d *deafTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	d.asked++
	if d.asked == 1 {
		return nil, errors.New("connection refused")
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A call under way does not outlast the patience of whoever sends; without any it has as long as
// a call may take.
func TestNoCallOutlastsPatience(t *testing.T) {
	env := record.Envelope{PayloadType: record.PayloadType, Payload: []byte("{}"), Signatures: []record.Signature{{Sig: []byte("x")}}}
	for _, c := range []struct {
		asked          int // calls before
		patience, want time.Duration
	}{{0, 5 * time.Second, 5 * time.Second}, {1, 5 * time.Second, 5 * time.Second}, {1, 0, time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			deaf := &deafTransport{asked: c.asked}
			server, err := New("https://ledger.example", deaf)
			must(t, err)
			begun := time.Now()
			_, err = server.Commit(t.Context(), env.Marshal(), Retry{MaxElapsed: c.patience})
			var unreachable *wire.UnreachableError
			if took := time.Since(begun); !errors.As(err, &unreachable) || took != c.want || deaf.asked < 2 {
				t.Errorf("after %d calls and with a patience of %s: %v after %s and %d calls", c.asked, c.patience, err, took, deaf.asked)
			}
		})
	}
}

// A refusal is not repeated, and says what the ledger says.
func TestSubmitRefused(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.runLedger()
	one := w.Sign(w.Statement("designation/2026-014", record.Authority, w.NewDesignation("Kestrel Hosting")), "authority/officer-1")
	_, err := w.client().Submit(t.Context(), one.Marshal(), SinglePolicy{w.policy}, Retry{MaxElapsed: time.Hour})
	var p *Problem
	wantRefused(t, err, "problem 403")
	if _, err := w.client().DryRun(t.Context(), one.Marshal()); !errors.As(err, &p) || p.Retryable() {
		t.Errorf("dry run: %v", err)
	}
	if _, err := w.client().Submit(t.Context(), []byte("no envelope"), SinglePolicy{w.policy}, Retry{}); err == nil {
		t.Error("no envelope was sent")
	}
}

// While the server is busy, or out of reach, the same bytes are sent again: after
// the pause that it asks for, or after growing ones, until patience ends.
func TestSubmitRetries(t *testing.T) {
	w := newWorld(t)
	env := w.Designate("2026-014", w.NewDesignation("Kestrel Hosting"))
	w.admit(env)
	receipt, err := w.client().Receipt(t.Context(), record.IDOf(env.Payload), SinglePolicy{w.policy})
	must(t, err)
	busy := func(status int, after string) func() (*http.Response, error) {
		return func() (*http.Response, error) {
			r := httptest.NewRecorder()
			r.Header().Set("Retry-After", after)
			r.WriteHeader(status)
			r.WriteString(`{"status":503,"detail":"the quorum does not answer"}`)
			return r.Result(), nil
		}
	}
	lost := func() (*http.Response, error) { return nil, errLost }
	fine := func() (*http.Response, error) {
		r := httptest.NewRecorder()
		r.WriteHeader(http.StatusCreated)
		r.Write(receipt.Text)
		return r.Result(), nil
	}
	for _, c := range []struct {
		name     string
		answers  []func() (*http.Response, error)
		patience time.Duration
		min, max time.Duration // of all pauses
		fails    bool
	}{
		{"at once", []func() (*http.Response, error){fine}, 0, 0, 0, false},
		{"busy, without patience", []func() (*http.Response, error){busy(503, "2")}, 0, 0, 0, true},
		{"busy twice", []func() (*http.Response, error){busy(503, "2"), busy(429, "5"), fine}, time.Minute, 7 * time.Second, 7 * time.Second, false},
		{"lost, busy, lost", []func() (*http.Response, error){lost, busy(503, ""), lost, fine}, time.Minute, time.Millisecond, 10 * time.Second, false},
		{"failed, perhaps after it wrote", []func() (*http.Response, error){busy(500, ""), fine}, time.Minute, time.Millisecond, 10 * time.Second, false},
		{"away for longer", []func() (*http.Response, error){busy(503, "40"), busy(503, "40")}, time.Minute, 40 * time.Second, 40 * time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls, told := 0, 0
				transport := roundTripFunc(func(r *http.Request) (*http.Response, error) {
					calls++
					if calls > len(c.answers) {
						t.Fatalf("call %d, expected %d", calls, len(c.answers))
					}
					return c.answers[calls-1]()
				})
				client, err := New("http://ledger.example", transport)
				must(t, err)
				start := time.Now()
				_, err = client.Submit(context.Background(), env.Marshal(), SinglePolicy{w.policy}, Retry{MaxElapsed: c.patience, Notify: func(error, time.Duration) { told++ }})
				if took := time.Since(start); took < c.min || took > c.max {
					t.Errorf("paused %s, want %s to %s", took, c.min, c.max)
				}
				if c.fails != (err != nil) || calls != len(c.answers) {
					t.Errorf("%d calls: %v", calls, err)
				}
				if told != calls-1 {
					t.Errorf("told %d times of %d repetitions", told, calls-1)
				}
				var p *Problem
				var gone *wire.UnreachableError
				if c.fails && !(errors.As(err, &p) && p.Retryable()) && !errors.As(err, &gone) {
					t.Errorf("not one that passes: %v", err)
				}
			})
		})
	}
}

// roundTripFunc is a transport made of a function.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A record that is committed and not published has no receipt yet; asking for one
// says so.
func TestUnpublished(t *testing.T) {
	w := newWorld(t)
	env := w.Designate("2026-014", w.NewDesignation("Kestrel Hosting"))
	v, err := record.Open(env, w.register.CandidateKeys)
	must(t, err)
	_, err = w.ledger.Append(t.Context(), v)
	must(t, err)
	must(t, w.ledger.Commit(t.Context()))
	if _, err := w.client().Receipt(t.Context(), record.IDOf(env.Payload), SinglePolicy{w.policy}); !errors.Is(err, ErrUnpublished) {
		t.Errorf("its receipt: %v", err)
	}
	if _, err := w.client().ChainUnverified(t.Context(), record.IDOf(env.Payload)); !errors.Is(err, ErrUnpublished) {
		t.Errorf("its chain: %v", err)
	}
	a, err := w.client().Commit(t.Context(), env.Marshal(), Retry{})
	if err != nil || a.Index != 2 {
		t.Errorf("committing it again: %+v, %v", a, err)
	}
	var p *Problem
	if _, err := w.client().Receipt(t.Context(), record.ID{7}, SinglePolicy{w.policy}); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Errorf("a record that is not there: %v", err)
	}
}

// The status of an answer is nobody's signature: whoever stands between may call new what
// the ledger has long known, and accuses it of nothing by that.
func TestSubmitCalledNew(t *testing.T) {
	for _, synced := range []bool{true, false} {
		w := newWorld(t)
		env := w.Designate("2026-014", w.NewDesignation("Kestrel Hosting"))
		w.admit(env)
		w.growTo(8)
		trust := w.trust(vfs.NewMem(), "trust")
		if synced {
			must(t, trust.Sync(t.Context(), w.client(), nil))
		} else {
			must(t, trust.Refresh(t.Context(), w.client()))
		}
		w.growTo(10)
		c, err := New("http://ledger.example", roundTripFunc(func(r *http.Request) (*http.Response, error) {
			res, err := w.net.RoundTrip(r)
			if r.Method == http.MethodPost {
				res.StatusCode = http.StatusCreated
			}
			return res, err
		}))
		must(t, err)
		s, err := c.Submit(t.Context(), env.Marshal(), trust, Retry{})
		if err != nil || !s.Existed || s.Receipt.Index() != 2 {
			t.Errorf("synced %v: %+v, %v", synced, s, err)
		}
	}
}

// A server that names a pause of centuries is not waited for.
func TestRetryAfterOverflows(t *testing.T) {
	env := record.Envelope{PayloadType: record.PayloadType, Payload: []byte("{}"), Signatures: []record.Signature{{Sig: []byte("x")}}}
	for _, after := range []string{"9223372036", "9223372037", "18446744073", "9223372036854775807", "99999999999999999999"} {
		synctest.Test(t, func(t *testing.T) {
			c, err := New("http://ledger.example", roundTripFunc(func(r *http.Request) (*http.Response, error) {
				time.Sleep(time.Second)
				out := httptest.NewRecorder()
				out.Header().Set("Retry-After", after)
				out.WriteHeader(http.StatusServiceUnavailable)
				return out.Result(), nil
			}))
			must(t, err)
			begun := time.Now()
			_, err = c.Commit(t.Context(), env.Marshal(), Retry{MaxElapsed: time.Minute})
			var p *Problem
			if took := time.Since(begun); !errors.As(err, &p) || took > 2*time.Minute {
				t.Errorf("%s: %v after %s", after, err, took)
			}
			if p != nil && p.RetryAfter < 0 {
				t.Errorf("%s: a pause of %s", after, p.RetryAfter)
			}
		})
	}
}

// What a server names goes into commands that people are told to run, if it is what it
// should be.
func TestProblemsNameNoCommands(t *testing.T) {
	ask := func(current, earliest, retryAt string) *Problem {
		c, err := New("http://ledger.example", roundTripFunc(func(*http.Request) (*http.Response, error) {
			out := httptest.NewRecorder()
			out.WriteHeader(http.StatusConflict)
			fmt.Fprintf(out, `{"detail":"stale","current":%q,"earliest":%q,"retryAt":%q}`, current, earliest, retryAt)
			return out.Result(), nil
		}))
		must(t, err)
		_, err = c.GetUnverified(t.Context(), "/v1/records")
		var p *Problem
		if !errors.As(err, &p) {
			t.Fatal(err)
		}
		wantRefused(t, err, "problem 409")
		return p
	}
	id := record.ID{1}.String()
	if p := ask(id, "2027-01-08", "2027-01-08T09:30:00.000Z"); p.Current != id || p.Earliest != "2027-01-08" || p.RetryAt != "2027-01-08T09:30:00.000Z" {
		t.Errorf("%+v", p)
	}
	if p := ask("$(reboot)", "; reboot", "`reboot`"); p.Current+p.Earliest+p.RetryAt != "" {
		t.Errorf("%+v", p)
	}
}

// A server of files that answers a POST as such servers do takes no records: that does not
// pass, and nothing is tried again.
func TestTakesNoRecords(t *testing.T) {
	w := newWorld(t)
	for status, taken := range map[int]bool{404: false, 405: false, 501: false, 502: true, 503: true} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.WriteHeader(status)
		}))
		defer server.Close()
		c, err := New(server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Submit(t.Context(), w.Charter().Marshal(), SinglePolicy{w.policy}, Retry{})
		none := (*NoRecordsError)(nil)
		if errors.As(err, &none) == taken || asked != 1 {
			t.Errorf("%d: %v, asked %d times", status, err, asked)
		}
		var p *Problem
		if errors.As(err, &p) && p.Retryable() != taken {
			t.Errorf("%d: retryable %v", status, p.Retryable())
		}
	}
}

// The server's search and the copy's find the same, page by page.
func TestSearchUnverified(t *testing.T) {
	w := newWorld(t, "acme-cloud", "borealis")
	w.admit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")), w.Designate("2026-015", w.NewDesignation("Kestrel Resale")))
	trust := w.syncedTrust()
	defer trust.Close()
	v, err := trust.ViewAt(trust.CoveredSize())
	must(t, err)
	own, err := v.Search("kestrel", view.SearchFilter{}, time.Now())
	must(t, err)
	var hits []view.Hit
	for after := ""; ; {
		page, err := w.client().SearchUnverified(t.Context(), "kestrel", view.SearchFilter{Limit: 1, Kind: "designation"}, after)
		must(t, err)
		if page.AsOf.Size != trust.CoveredSize() || page.Total != 2 {
			t.Fatalf("%+v", page)
		}
		hits = append(hits, page.Hits...)
		if after = page.Next; after == "" {
			break
		}
	}
	if len(hits) != 2 || !slices.Equal(hits, own.Hits) {
		t.Errorf("the server finds %+v, the copy %+v", hits, own.Hits)
	}
	_, err = w.client().SearchUnverified(t.Context(), "…", view.SearchFilter{}, "")
	if p := (*Problem)(nil); !errors.As(err, &p) || p.Status != http.StatusBadRequest {
		t.Errorf("nothing to look for: %v", err)
	}
}
