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

// conn is a connection that has a place. It waits for its client whenever no request is
// at work on it: before the first, in the middle of a header or a TLS handshake, between
// two; and while what is at work reads a body that does not come, or writes an answer
// that is not taken.
type conn struct {
	net.Conn
	crowd    *crowd
	network  netip.Prefix // that it counts for; invalid if for none
	reserved bool         // its place is beside the limit
	until    time.Time    // with reserved: when all waiting for it ends

	// crowd.mu guards these.
	from       *address      // nil if it counts for none
	requests   int           // at work
	body       int           // bytes that these have read of their bodies
	work       int           // those that do not wait for the client
	gone       bool          // closed, or about to be
	cancel     func()        // ends its requests; nil before net/http has it
	since      time.Time     // of its waiting
	place, own *list.Element // in the crowd's list and in its address's, nil while it does not wait
}

// Close gives the place back.
func (c *conn) Close() error {
	c.crowd.mu.Lock()
	c.crowd.leave(c)
	c.crowd.mu.Unlock()
	return c.Conn.Close()
}

// SetDeadline, and its like, cannot make a reserved connection stay.
func (c *conn) SetDeadline(t time.Time) error      { return c.Conn.SetDeadline(c.within(t)) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.Conn.SetReadDeadline(c.within(t)) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(c.within(t)) }

func (c *conn) within(t time.Time) time.Time {
	if c.reserved && (t.IsZero() || t.After(c.until)) {
		return c.until
	}
	return t
}

// begin tells whether a request may be worked on. An HTTP/1 connection has one at a time;
// those of HTTP/2 count as if each had a connection of its own, and like connections make
// room if they wait for their clients.
func (c *conn) begin() bool {
	g := c.crowd
	var closing []*conn
	g.mu.Lock()
	ok := !c.gone
	if ok && !c.reserved {
		g.busy(c) // it is not to make room for itself
		switch own := c.from != nil && c.from.work >= g.perAddress; {
		case own:
			closing = g.breakOff(&c.from.waiting, nil)
		case g.work >= g.max:
			if closing = g.breakOff(&g.waiting, nil); closing == nil {
				closing = g.level(c.from, (*address).requests, g.breakOff, nil)
			}
		}
		ok = g.work < g.max && (c.from == nil || c.from.work < g.perAddress)
	}
	if ok {
		c.requests++
		c.work++
		g.count(c, 1)
	} else if c.work == 0 {
		g.await(c, time.Now())
	}
	g.mu.Unlock()
	hangUp(closing)
	return ok
}

func (c *conn) end() {
	g := c.crowd
	g.mu.Lock()
	defer g.mu.Unlock()
	if !c.gone {
		g.count(c, -1)
	}
	c.requests--
	c.rest()
}

// read notes that a request at work has so much more of its body; forget, that it ends.
func (c *conn) read(n int) {
	c.crowd.mu.Lock()
	closing := c.crowd.hold(c, n)
	c.crowd.mu.Unlock()
	hangUp(closing)
}

func (c *conn) forget(n int) {
	c.crowd.mu.Lock()
	defer c.crowd.mu.Unlock()
	if !c.gone {
		c.crowd.carry(c, -n)
	}
}

func hangUp(all []*conn) {
	for _, c := range all {
		c.Conn.Close()
	}
}

// pause is for as long as a request at work waits for the client; resume ends it.
func (c *conn) pause() {
	c.crowd.mu.Lock()
	c.rest()
	c.crowd.mu.Unlock()
}

func (c *conn) resume() {
	c.crowd.mu.Lock()
	if c.work++; !c.gone {
		c.crowd.busy(c)
	}
	c.crowd.mu.Unlock()
}

// rest notes that one request less is at work. crowd.mu is held.
func (c *conn) rest() {
	if c.work--; c.work == 0 {
		c.crowd.await(c, time.Now())
	}
}

// body is a request's: to read it is to wait for the client, and what was read is taken to
// be in memory until the request ends.
type body struct {
	io.ReadCloser
	conn *conn
	n    int // bytes read
}

func (b *body) Read(p []byte) (int, error) {
	b.conn.pause()
	n, err := b.ReadCloser.Read(p)
	b.conn.resume()
	if n > 0 {
		b.n += n
		b.conn.read(n)
	}
	return n, err
}

// writer is an answer's: to write it is to wait for the client.
type writer struct {
	http.ResponseWriter
	conn *conn
}

func (w writer) Write(p []byte) (int, error) {
	w.conn.pause()
	defer w.conn.resume()
	return w.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher].
func (w writer) Flush() {
	w.conn.pause()
	defer w.conn.resume()
	http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for [http.ResponseController].
func (w writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type connKey struct{}

// withConn is an [http.Server]'s ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	own := c.(*conn)
	ctx, cancel := context.WithCancel(ctx)
	own.crowd.mu.Lock()
	defer own.crowd.mu.Unlock()
	if own.cancel = cancel; own.gone {
		cancel()
	}
	return context.WithValue(ctx, connKey{}, own)
}

func connOf(r *http.Request) *conn { return r.Context().Value(connKey{}).(*conn) }
