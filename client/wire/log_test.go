package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// hostMapTransport answers by URL, and notes who was asked.
type hostMapTransport struct {
	to    map[string]string // redirections
	asked []string
}

func (p *hostMapTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	p.asked = append(p.asked, r.Method+" "+r.URL.String())
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
	}
	out := httptest.NewRecorder()
	if to := p.to[r.URL.String()]; to != "" {
		out.Header().Set("Location", to)
		out.WriteHeader(307)
	} else {
		io.WriteString(out, "answer\n")
	}
	res := out.Result()
	res.Request = r
	return res, nil
}

// A log is asked where the caller said, and nowhere else.
func TestNoOtherHostIsAsked(t *testing.T) {
	const asked = "https://log.example/checkpoint"
	for to, follow := range map[string]bool{
		"https://log.example/moved":           true,
		"/moved":                              true,
		"http://log.example/moved":            false, // no TLS
		"https://elsewhere.example/":          false,
		"https://log.example:8443/checkpoint": false,
		"https://log.example.evil.example/":   false,
		"http://127.0.0.1:9/":                 false,
		"//elsewhere.example/checkpoint":      false,
	} {
		p := &hostMapTransport{to: map[string]string{asked: to}}
		l, err := NewLog("https://log.example", p)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.Checkpoint(t.Context())
		var elsewhere *RedirectError
		if follow != (err == nil) || !follow && !errors.As(err, &elsewhere) {
			t.Errorf("%s: %v", to, err)
		}
		if want := map[bool]int{true: 2, false: 1}[follow]; len(p.asked) != want {
			t.Errorf("%s: asked %q", to, p.asked)
		}
	}
	p := &hostMapTransport{to: map[string]string{"http://log.example/checkpoint": "https://log.example/checkpoint"}}
	l, _ := NewLog("http://log.example", p)
	if _, err := l.Checkpoint(t.Context()); err != nil {
		t.Errorf("on to TLS: %v", err)
	}
	p = &hostMapTransport{to: map[string]string{asked: asked}}
	l, _ = NewLog("https://log.example", p)
	if _, err := l.Checkpoint(t.Context()); err == nil || len(p.asked) > 3 {
		t.Errorf("in a circle: %v after %d calls", err, len(p.asked))
	}
}

// A witness that closes an idle connection just as it is used again is asked once more.
func TestClosedIdleConnectionIsNoFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	context.AfterFunc(ctx, func() { l.Close() })
	defer func() { cancel(); <-ended }()
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.Copy(io.Discard, r.Body)
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(exampleResponse), exampleResponse)
			}
			c.Read(make([]byte, 1)) // the next request has begun
			c.Close()
		}
	}()
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	w, err := NewWitness("http://"+l.Addr().String(), transport)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := w.AddCheckpoint(t.Context(), AddCheckpoint{Note: []byte(strings.Repeat("x", 100) + "\n"), Path: []proof.Hash{{}}}); err != nil {
			t.Errorf("request %d: %v", i+1, err)
		}
	}
}

// TestMalformed tries answers that no log gives: what a log never signs is the fault of
// whoever hands it out, and the error names them.
func TestMalformed(t *testing.T) {
	page := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "\n<!doctype html><title>Log in</title>")
	}
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter)
		ask    func(context.Context, *Log) error
	}{
		{"a page for a checkpoint", page, func(ctx context.Context, l *Log) error { _, err := l.Checkpoint(ctx); return err }},
		{"a page for a tile", page, func(ctx context.Context, l *Log) error {
			_, err := l.Tiles(ctx, []proof.TileID{{Width: 2}})
			return err
		}},
		{"a short tile", func(w http.ResponseWriter) { w.Write(make([]byte, 63)) }, func(ctx context.Context, l *Log) error {
			_, err := l.Tiles(ctx, []proof.TileID{{Width: 2}})
			return err
		}},
		{"a bundle that is cut off", func(w http.ResponseWriter) { w.Write([]byte{0, 9, 1}) }, func(ctx context.Context, l *Log) error {
			_, err := l.Bundle(ctx, proof.EntryBundleID{Width: 1})
			return err
		}},
		{"a checkpoint without end", func(w http.ResponseWriter) { w.Write(make([]byte, maxCheckpoint+1)) }, func(ctx context.Context, l *Log) error {
			_, err := l.Checkpoint(ctx)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.answer(w) }))
			defer s.Close()
			l, err := NewLog(s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			var malformed *MalformedError
			if err := c.ask(t.Context(), l); !errors.As(err, &malformed) || malformed.URL != s.URL {
				t.Fatalf("got %v, want a *MalformedError of %s", err, s.URL)
			}
			refusaltest.Words(t, malformed.Error(), s.URL, "URL", strings.TrimPrefix(s.URL, "http://"), "HOST")
		})
	}
}

// TestStatusSaysWhy tries what is told of an answer that is no problem of ours: its first
// line of text, no page and no JSON.
func TestStatusSaysWhy(t *testing.T) {
	for name, c := range map[string]struct{ body, tells string }{
		"a line":    {"Client sent an HTTP request to an HTTPS server.\n", "Client sent an HTTP request to an HTTPS server."},
		"a page":    {"<html><h1>400</h1></html>", ""},
		"JSON":      {`{"message":"no"}`, ""},
		"a problem": {`{"detail":"too long"}`, "too long"},
		"nothing":   {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := (&StatusError{Code: 400, Body: []byte(c.body)}).Error()
			if !strings.Contains(got, c.tells) || c.tells == "" && c.body != "" && strings.Contains(got, c.body) {
				t.Errorf("of %q: %q, want %q of it", c.body, got, c.tells)
			}
			refusaltest.Words(t, got)
		})
	}
}

// TestLargestCheckpoint fetches a checkpoint with as many post-quantum signatures as a note may
// have, from a log and from a witness: what a ledger publishes, whoever reads it can fetch.
func TestLargestCheckpoint(t *testing.T) {
	cp := proof.Checkpoint{Origin: "log.example/1", Root: proof.EmptyRoot()}
	var sigs []proof.Signature
	for i := range uint32(proof.MaxSignatures) {
		sigs = append(sigs, proof.Signature{Name: "w.example", ID: i, Sig: make([]byte, 8+2420)})
	}
	note, err := proof.FormatNote(cp, sigs...)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(note) }))
	defer s.Close()
	l, err := NewLog(s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWitness(s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for what, fetch := range map[string]func() ([]byte, error){
		"newest":      func() ([]byte, error) { return l.Checkpoint(t.Context()) },
		"of a moment": func() ([]byte, error) { return l.CheckpointAt(t.Context(), time.Unix(1, 0)) },
		"a witness's": func() ([]byte, error) { return w.Checkpoint(t.Context(), cp.Origin) },
	} {
		if got, err := fetch(); err != nil || !bytes.Equal(got, note) {
			t.Errorf("%s: %d of %d bytes, %v", what, len(got), len(note), err)
		}
	}
}

// A part of the tree is asked for again when a busy server says so, and not for ever; a checkpoint, which
// may be another by then, is not.
func TestBusyServerIsAskedAgain(t *testing.T) {
	for _, c := range []struct {
		name  string
		after string        // Retry-After
		busy  int           // answers before the whole one
		takes time.Duration // by the clock
		fails bool
	}{
		{"a moment", "2", 3, 6 * time.Second, false},
		{"for ever", "4", 1 << 20, 28 * time.Second, true},
		{"for an hour", "3600", 1, 0, true},
		{"it does not say", "", 1, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left := 0
				l, err := NewLog("https://log.example", roundTripFunc(func(r *http.Request) *http.Response {
					out := httptest.NewRecorder()
					if left--; left >= 0 {
						out.Header().Set("Retry-After", c.after)
						http.Error(out, "busy", http.StatusServiceUnavailable)
					} else if strings.HasPrefix(r.URL.Path, "/tile/entries/") {
						out.WriteString("\x00\x01x")
					} else {
						out.Write(make([]byte, 32))
					}
					return out.Result()
				}))
				if err != nil {
					t.Fatal(err)
				}
				for what, ask := range map[string]func() error{
					"tiles":   func() error { _, err := l.Tiles(t.Context(), []proof.TileID{{Width: 1}}); return err },
					"entries": func() error { _, err := l.Bundle(t.Context(), proof.EntryBundleID{Width: 1}); return err },
				} {
					left = c.busy
					begun := time.Now()
					err := ask()
					if took := time.Since(begun); c.fails != (err != nil) || took != c.takes {
						t.Errorf("%s, after %s: %v; want %s", what, took, err, c.takes)
					}
				}
				begun := time.Now()
				left = 1
				if _, err = l.Checkpoint(t.Context()); err == nil || time.Since(begun) > 0 {
					t.Errorf("a checkpoint: %v after %s", err, time.Since(begun))
				}
			})
		})
	}
}

// Within an attempt at one of several servers nobody waits for it.
func TestBusyServerIsLeftForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewServers(roundTripFunc(func(r *http.Request) *http.Response {
			out := httptest.NewRecorder()
			if r.URL.Host == "busy.example" {
				out.Header().Set("Retry-After", "2")
				http.Error(out, "busy", http.StatusServiceUnavailable)
			} else {
				out.Write(make([]byte, 32))
			}
			return out.Result()
		}), "https://busy.example", "https://other.example")
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		err = s.Ask(t.Context(), Lacks, func(one *Servers) error {
			_, err := LogAt(one).Tiles(t.Context(), []proof.TileID{{Width: 1}})
			return err
		})
		if took := time.Since(begun); err != nil || took > 0 {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

type roundTripFunc func(*http.Request) *http.Response

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) {
	res := f(r)
	res.Request = r
	return res, nil
}
