package front

import (
	"container/list"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// trackedConn is a connection that has a place. It waits for its client whenever no request is
// at work on it: before the first, in the middle of a header or a TLS handshake, between
// two; and while what is at work reads a body that does not come, or writes an answer
// that is not taken.
type trackedConn struct {
	net.Conn
	table    *connTable
	network  netip.Prefix // that it counts for; invalid if for none
	reserved bool         // its place is beside the limit
	until    time.Time    // with reserved: when all waiting for it ends

	// crowd.mu guards these.
	address                  *addressState // nil if it counts for none
	requests                 int           // at work
	bodyBytes                int           // bytes that these have read of their bodies
	working                  int           // those that do not wait for the client
	closed                   bool          // closed, or about to be
	cancel                   func()        // ends its requests; nil before net/http has it
	waitingSince             time.Time     // of its waiting
	tablePlace, addressPlace *list.Element // in the crowd's list and in its address's, nil while it does not wait
}

// Close gives the place back.
func (c *trackedConn) Close() error {
	c.table.mu.Lock()
	c.table.remove(c)
	c.table.mu.Unlock()
	return c.Conn.Close()
}

// SetDeadline, and its like, cannot make a reserved connection stay.
func (c *trackedConn) SetDeadline(t time.Time) error { return c.Conn.SetDeadline(c.capDeadline(t)) }
func (c *trackedConn) SetReadDeadline(t time.Time) error {
	return c.Conn.SetReadDeadline(c.capDeadline(t))
}
func (c *trackedConn) SetWriteDeadline(t time.Time) error {
	return c.Conn.SetWriteDeadline(c.capDeadline(t))
}

func (c *trackedConn) capDeadline(t time.Time) time.Time {
	if c.reserved && (t.IsZero() || t.After(c.until)) {
		return c.until
	}
	return t
}

// beginRequest tells whether a request may be worked on. An HTTP/1 connection has one at a time;
// those of HTTP/2 count as if each had a connection of its own, and like connections make
// room if they wait for their clients.
func (c *trackedConn) beginRequest() bool {
	g := c.table
	var closing []*trackedConn
	g.mu.Lock()
	ok := !c.closed
	if ok && !c.reserved {
		g.markBusy(c) // it is not to make room for itself
		switch own := c.address != nil && c.address.requestCount >= g.perAddress; {
		case own:
			closing = g.abortOldest(&c.address.waiting, nil)
		case g.requestCount >= g.max:
			if closing = g.abortOldest(&g.waiting, nil); closing == nil {
				closing = g.evictFromBusiest(c.address, (*addressState).requests, g.abortOldest, nil)
			}
		}
		ok = g.requestCount < g.max && (c.address == nil || c.address.requestCount < g.perAddress)
	}
	if ok {
		c.requests++
		c.working++
		g.addRequests(c, 1)
	} else if c.working == 0 {
		g.markWaiting(c, time.Now())
	}
	g.mu.Unlock()
	closeAll(closing)
	return ok
}

func (c *trackedConn) endRequest() {
	g := c.table
	g.mu.Lock()
	defer g.mu.Unlock()
	if !c.closed {
		g.addRequests(c, -1)
	}
	c.requests--
	c.workEnded()
}

// countBody notes that a request at work has so much more of its body; forget, that it ends.
func (c *trackedConn) countBody(n int) {
	c.table.mu.Lock()
	closing := c.table.addBody(c, n)
	c.table.mu.Unlock()
	closeAll(closing)
}

func (c *trackedConn) dropBody(n int) {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	if !c.closed {
		c.table.addBodyBytes(c, -n)
	}
}

func closeAll(all []*trackedConn) {
	for _, c := range all {
		c.Conn.Close()
	}
}

// beginWait is for as long as a request at work waits for the client; resume ends it.
func (c *trackedConn) beginWait() {
	c.table.mu.Lock()
	c.workEnded()
	c.table.mu.Unlock()
}

func (c *trackedConn) endWait() {
	c.table.mu.Lock()
	if c.working++; !c.closed {
		c.table.markBusy(c)
	}
	c.table.mu.Unlock()
}

// workEnded notes that one request less is at work. crowd.mu is held.
func (c *trackedConn) workEnded() {
	if c.working--; c.working == 0 {
		c.table.markWaiting(c, time.Now())
	}
}

// trackedBody is a request's: to read it is to wait for the client, and what was read is taken to
// be in memory until the request ends.
type trackedBody struct {
	io.ReadCloser
	conn *trackedConn
	read int // bytes read
}

func (b *trackedBody) Read(p []byte) (int, error) {
	b.conn.beginWait()
	n, err := b.ReadCloser.Read(p)
	b.conn.endWait()
	if n > 0 {
		b.read += n
		b.conn.countBody(n)
	}
	return n, err
}

// trackedWriter is an answer's: to write it is to wait for the client.
type trackedWriter struct {
	http.ResponseWriter
	conn *trackedConn
}

func (w trackedWriter) Write(p []byte) (int, error) {
	w.conn.beginWait()
	defer w.conn.endWait()
	return w.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher].
func (w trackedWriter) Flush() {
	w.conn.beginWait()
	defer w.conn.endWait()
	http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for [http.ResponseController].
func (w trackedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type connContextKey struct{}

// withConn is an [http.Server]'s ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	own := c.(*trackedConn)
	ctx, cancel := context.WithCancel(ctx)
	own.table.mu.Lock()
	defer own.table.mu.Unlock()
	if own.cancel = cancel; own.closed {
		cancel()
	}
	return context.WithValue(ctx, connContextKey{}, own)
}

func connOf(r *http.Request) *trackedConn { return r.Context().Value(connContextKey{}).(*trackedConn) }
