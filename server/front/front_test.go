package front

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// serve serves a front on loopback for the length of the test.
func serve(t *testing.T, c Config) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	if c.Grace == 0 {
		c.Grace = time.Second // a request that is held to the end is broken off
	}
	go func() { served <- c.Serve(ctx, l) }()
	t.Cleanup(func() { stop(); <-served })
	return l.Addr().String()
}

// hello answers every path.
var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	io.WriteString(w, "hello "+r.URL.Path+"\n")
})

// dialFrom connects from that loopback address; the connection lasts for the test's length.
func dialFrom(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask makes one request on a new connection from that address, and reads the whole answer.
func ask(t *testing.T, from, to, path string) (status int, body string) {
	t.Helper()
	return askOn(t, dialFrom(t, from, to), path)
}

func askOn(t *testing.T, c net.Conn, path string) (status int, body string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err.Error()
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

// closed tells whether the server has ended a connection, or does so soon.
func closed(c net.Conn) bool {
	c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// countClosed counts those that the server has ended by now.
func countClosed(all []net.Conn) (n int) {
	until := time.Now().Add(200 * time.Millisecond) // for what is on its way
	for _, c := range all {
		c.SetReadDeadline(until)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			n++
		}
	}
	return n
}

// Whatever one machine opens and holds, in whatever state, everybody else is answered at
// once, and so is its own newest connection. The states are those in which a connection
// costs its holder nothing.
func TestOneAddressCannotTakeEveryPlace(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	secure := &tls.Config{Certificates: certified.TLS.Certificates}
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	idle := func(t *testing.T, c net.Conn) {
		if status, body := askOn(t, c, "/"); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	for name, hold := range map[string]struct {
		tls  *tls.Config
		hold func(*testing.T, net.Conn)
	}{
		"nothing sent":         {nil, func(*testing.T, net.Conn) {}},
		"idle after a request": {nil, idle},
		"half a header":        {nil, func(_ *testing.T, c net.Conn) { io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-") }},
		"half a body": {nil, func(_ *testing.T, c net.Conn) {
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
		}},
		"an answer not taken":    {nil, func(_ *testing.T, c net.Conn) { io.WriteString(c, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n") }},
		"no TLS handshake":       {secure, func(*testing.T, net.Conn) {}},
		"half a TLS handshake":   {secure, func(_ *testing.T, c net.Conn) { c.Write([]byte{22, 3, 1, 2, 0, 1}) }},
		"HTTP/2 without streams": {secure, func(t *testing.T, c net.Conn) { http2(t, c, roots, 0) }},
		"HTTP/2 with streams":    {secure, func(t *testing.T, c net.Conn) { http2(t, c, roots, 50) }},
	} {
		t.Run(name, func(t *testing.T) {
			large := make([]byte, 16<<20)
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/large" {
					w.Write(large)
					return
				}
				hello(w, r)
			})
			to := serve(t, Config{
				Handler: handler, TLS: hold.tls, MaxConnections: 64,
				HeaderTimeout: time.Hour, ReadTimeout: time.Hour, WriteTimeout: time.Hour, IdleTimeout: time.Hour, // no wait ends by itself
			})
			scheme := "http://"
			if hold.tls != nil {
				scheme = "https://"
			}
			for range 200 {
				hold.hold(t, dialFrom(t, "127.0.0.2", to))
			}
			for _, from := range []string{"127.0.0.3", "127.0.0.2"} {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
				transport := &http.Transport{DialContext: d.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
				res, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get(scheme + to + "/x")
				if err != nil {
					t.Fatalf("from %s: %v", from, err)
				}
				res.Body.Close()
				if res.StatusCode != 200 {
					t.Errorf("from %s: %d", from, res.StatusCode)
				}
			}
		})
	}
}

// http2 opens a connection of HTTP/2 with so many streams that wait for their bodies.
func http2(t *testing.T, c net.Conn, roots *x509.CertPool, streams int) {
	t.Helper()
	secure := tls.Client(c, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{"h2"}})
	if err := secure.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if streams == 0 {
		io.WriteString(secure, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		return
	}
	var wire strings.Builder
	wire.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	for i := range streams {
		// HPACK (RFC 7541): POST, https and / are in the static table, :authority x is spelt out.
		block := "\x83\x87\x84\x41\x01x"
		fmt.Fprintf(&wire, "\x00\x00%c\x01\x04\x00\x00%c%c%s", len(block), byte((2*i+1)>>8), byte(2*i+1), block)
	}
	io.WriteString(secure, wire.String())
}

// An address that takes all it may have takes from itself: the connection that has
// waited longest ends, and those of others stay.
func TestFullAddressEvictsItsOwn(t *testing.T) {
	to := serve(t, Config{Handler: hello, MaxConnections: 64, MaxPerAddress: 4})
	other := dialFrom(t, "127.0.0.3", to)
	var own []net.Conn
	for range 6 {
		c := dialFrom(t, "127.0.0.2", to)
		if status, body := askOn(t, c, "/"); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		own = append(own, c)
	}
	for i, c := range own {
		if got, want := closed(c), i < 2; got != want {
			t.Errorf("connection %d of 6: closed %v, want %v", i, got, want)
		}
	}
	if closed(other) {
		t.Error("the other address lost its connection")
	}
}

// Near the limit of all it is the oldest that waits, whoever's it is; a proxy's count only there.
func TestOldestGoesFirst(t *testing.T) {
	proxies, err := ParseProxies([]string{"127.0.0.2"})
	if err != nil {
		t.Fatal(err)
	}
	to := serve(t, Config{Handler: hello, MaxConnections: 20, MaxPerAddress: 2, Proxies: proxies})
	oldest := dialFrom(t, "127.0.0.3", to)
	if status, body := askOn(t, oldest, "/"); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	for range 19 {
		if status, body := askOn(t, dialFrom(t, "127.0.0.2", to), "/"); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	if closed(oldest) {
		t.Fatal("a connection was closed while there was room")
	}
	if status, body := askOn(t, dialFrom(t, "127.0.0.4", to), "/"); status != 200 {
		t.Errorf("a newcomer: %d %s", status, body)
	}
	if !closed(oldest) {
		t.Error("the oldest connection stayed")
	}
}

// While everything works, newcomers are told so, questions about health are answered
// beside the limit, and nobody holds those places.
func TestProbesAreAnsweredBesideTheLimit(t *testing.T) {
	const most = 8
	working := make(chan struct{}, most)
	release := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/work" {
			working <- struct{}{}
			<-release
		}
		hello(w, r)
	})
	to := serve(t, Config{Handler: handler, MaxConnections: most, MaxPerAddress: 1, Probes: []string{"/healthz"}})
	for i := range most {
		fmt.Fprint(dialFrom(t, fmt.Sprintf("127.0.0.%d", 2+2*i), to), "GET /work HTTP/1.1\r\nHost: x\r\n\r\n")
		<-working
	}
	defer close(release)

	for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
		if status, body := ask(t, from, to, "/healthz"); status != 200 {
			t.Errorf("from %s, /healthz: %d %s", from, status, body)
		}
		status, body := ask(t, from, to, "/x")
		if status != 503 {
			t.Errorf("from %s, /x: %d %s", from, status, body)
		}
		refusaltest.Words(t, body)
	}
	var held []net.Conn
	for i := range 100 {
		held = append(held, dialFrom(t, fmt.Sprintf("127.0.0.%d", 10+i%50), to))
	}
	begun := time.Now()
	if n := len(held) - countClosed(held); n > maxReserved {
		t.Errorf("%d connections are beside the limit, want at most %d", n, maxReserved)
	}
	if status, body := ask(t, "127.0.0.3", to, "/healthz"); status != 200 {
		t.Errorf("while others hold the reserved places: %d %s", status, body)
	}
	for _, c := range held {
		c.SetReadDeadline(begun.Add(reservedFor + 3*time.Second))
		if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("a reserved place is held for longer than it may be")
		}
	}
}

// A few addresses whose requests are all at work keep nobody out who has less: one of
// theirs ends, and what was done for it.
func TestBusyAddressesMakeRoom(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	for name, c := range map[string]struct {
		tls  *tls.Config
		work func(t *testing.T, from, to string)
	}{
		"HTTP/1": {nil, func(t *testing.T, from, to string) {
			for range 8 {
				fmt.Fprint(dialFrom(t, from, to), "GET /work HTTP/1.1\r\nHost: x\r\n\r\nGET /"+strings.Repeat("x", 8<<10)) // net/http sees no end behind the next request
			}
		}},
		"HTTP/2": {&tls.Config{Certificates: certified.TLS.Certificates}, func(t *testing.T, from, to string) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			client := &http.Client{Transport: &http.Transport{DialContext: d.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
			t.Cleanup(client.CloseIdleConnections)
			if _, err := client.Get("https://" + to + "/x"); err != nil { // one connection for all
				t.Fatal(err)
			}
			for range 8 {
				go client.Get("https://" + to + "/work")
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			const most = 32
			working, broken := make(chan struct{}, 2*most), make(chan struct{}, 2*most)
			to := serve(t, Config{TLS: c.tls, MaxConnections: most, MaxPerAddress: 8, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/work" {
					working <- struct{}{}
					<-r.Context().Done()
					broken <- struct{}{}
				}
				hello(w, r)
			})})
			for i := range 4 {
				c.work(t, fmt.Sprintf("127.0.0.%d", 2+i), to)
			}
			for range most {
				<-working
			}
			scheme := "http://"
			if c.tls != nil {
				scheme = "https://"
			}
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.9")}}
			client := &http.Client{Transport: &http.Transport{DialContext: d.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}, Timeout: 10 * time.Second}
			defer client.CloseIdleConnections()
			res, err := client.Get(scheme + to + "/x")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != 200 {
				t.Fatalf("somebody who has nothing open gets %d", res.StatusCode)
			}
			select {
			case <-broken:
			case <-time.After(5 * time.Second):
				t.Error("what was broken off is still worked for")
			}
		})
	}
}

// What has come of bodies that are not whole is bounded, of one address and of all: the
// one that has waited longest for its rest ends, and whoever sends his at once is heard.
func TestBodiesAreBounded(t *testing.T) {
	const half = 256 << 10
	to := serve(t, Config{Handler: hello, MaxConnections: 1024})
	stuff := make([]byte, half)
	send := func(from string) net.Conn {
		c := dialFrom(t, from, to)
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 2*half)
		c.Write(stuff) // an error means that it was ended already
		return c
	}
	ask := func(from string) {
		t.Helper()
		c := dialFrom(t, from, to)
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", half)
		c.Write(stuff)
		c.SetDeadline(time.Now().Add(5 * time.Second))
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 200 {
			t.Errorf("a body from %s that comes at once: %v %v", from, res, err)
		}
	}
	var one, all []net.Conn
	for range 2 * maxBodyBytes / 8 / half {
		one = append(one, send("127.0.0.2"))
	}
	ask("127.0.0.2")
	held := func(halves []net.Conn, most int) {
		t.Helper()
		n := most + 1
		for begun := time.Now(); n > most && time.Since(begun) < 5*time.Second; { // the server may not have read all yet
			n = 0
			for _, c := range halves {
				c.SetReadDeadline(time.Now().Add(time.Millisecond))
				if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
					n++
				}
			}
		}
		if n > most {
			t.Errorf("%d halves of bodies are held, want at most %d", n, most)
		}
	}
	held(one, maxBodyBytes/8/half)
	for i := range 2 * maxBodyBytes / half {
		all = append(all, send(fmt.Sprintf("127.0.1.%d", i%32)))
	}
	ask("127.0.0.3")
	held(all, maxBodyBytes/half)
}

// One connection of HTTP/2 carries no more requests at once than as many connections.
func TestStreamsCountLikeConnections(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	release := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/work" {
			<-release
		}
		hello(w, r)
	})
	to := serve(t, Config{Handler: handler, TLS: &tls.Config{Certificates: certified.TLS.Certificates}, MaxConnections: 64, MaxPerAddress: 4})
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}, Timeout: 10 * time.Second}
	if _, err := client.Get("https://" + to); err != nil { // one connection for all
		t.Fatal(err)
	}
	statuses := make(chan int, 10)
	for range cap(statuses) {
		go func() {
			res, err := client.Get("https://" + to + "/work")
			if err != nil {
				t.Error(err)
				statuses <- 0
				return
			}
			res.Body.Close()
			statuses <- res.StatusCode
		}()
	}
	got := make(map[int]int)
	for i := range cap(statuses) {
		if i == 6 {
			close(release)
		}
		got[<-statuses]++
	}
	if got[200] != 4 || got[503] != 6 {
		t.Errorf("%v, want four of ten at work", got)
	}
}

// Of two lengths no server on the way may choose: what has any but Content-Length is
// refused, and the connection ends with it, whatever was sent after it.
func TestFramingIsNotAmbiguous(t *testing.T) {
	to := serve(t, Config{Handler: hello})
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, c := range map[string]struct {
		request string
		status  string
	}{
		"both":            {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "400"},
		"both, reversed":  {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n" + smuggled, "400"},
		"chunked alone":   {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "400"},
		"another coding":  {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + smuggled, "501"},
		"hidden by space": {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + smuggled, "400"},
		"two lengths":     {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + smuggled, "400"},
		"HTTP/1.0":        {"POST / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled, "200"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialFrom(t, "127.0.0.1", to)
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			io.WriteString(conn, c.request)
			got, err := io.ReadAll(conn)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection stays open")
			}
			if _, status, _ := strings.Cut(string(got), " "); !strings.HasPrefix(status, c.status) || strings.Contains(string(got), "smuggled") {
				t.Errorf("got %q, want %s and nothing else", got, c.status)
			}
		})
	}
}

// The metrics are on their own listener, and on no other.
func TestMetricsAreApart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := serve(t, Config{Handler: hello, MetricsListener: l, Metrics: prometheus.NewRegistry()})
	if status, body := ask(t, "127.0.0.1", l.Addr().String(), "/metrics"); status != 200 || strings.Contains(body, "hello") {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := ask(t, "127.0.0.1", l.Addr().String(), "/healthz"); status != 404 {
		t.Errorf("the listener of the metrics answers /healthz: %d", status)
	}
	if _, body := ask(t, "127.0.0.1", to, "/metrics"); !strings.Contains(body, "hello") {
		t.Errorf("strangers are told the metrics: %s", body)
	}
}

func TestNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7":                  "192.0.2.7/32",
		"::ffff:192.0.2.7":           "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6":       "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff:4:5:6%e0": "2001:db8:1:2::/64",
	} {
		if got := Network(netip.MustParseAddr(text)).String(); got != want {
			t.Errorf("%s is of %s, want %s", text, got, want)
		}
	}
	if got := Network(netip.Addr{}); got.IsValid() {
		t.Errorf("no address is of %s", got)
	}
	for _, bad := range []string{"", "10.0.0.0/33", "proxy.example"} {
		if _, err := ParseProxies([]string{bad}); err == nil {
			t.Errorf("%q was taken for a proxy", bad)
		}
	}
}
