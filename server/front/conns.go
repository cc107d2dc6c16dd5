package front

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	// idleWhenFull is how long a connection may wait for its client once three quarters of
	// all places are taken.
	idleWhenFull = 5 * time.Second

	// newConnGrace is how long a new connection may wait for its first bytes before it
	// can be closed for another.
	newConnGrace = time.Second

	// maxReserved connections find a place beside the limit, maxReservedPerAddress of one
	// address, each for reservedFor at most.
	maxReserved           = 16
	maxReservedPerAddress = 4
	reservedFor           = 2 * time.Second

	// maxBodyBytes is how much of all bodies may be in memory, in bytes; of one address an
	// eighth of it.
	maxBodyBytes = 64 << 20
)

// connTable has all connections of a server. mu guards what is below it, the fields of
// every addressState, and those of a trackedConn that say so.
type connTable struct {
	max, perAddress int
	proxies         []netip.Prefix

	mu           sync.Mutex
	connCount    int       // without the reserved ones
	requestCount int       // requests at work
	bodyBytes    int       // bytes that those have read of their bodies
	waiting      list.List // of conns, in the order in which they began to wait for their clients
	reserved     list.List // of conns, in the order in which they came
	byAddress    map[netip.Prefix]*addressState
}

// addressState is what one network address has open.
type addressState struct {
	open         map[*trackedConn]struct{}
	requestCount int
	bodyBytes    int
	waiting      list.List // as connTable's
}

// connections and requests are what an address has; nil has none.
func (a *addressState) connections() int {
	if a == nil {
		return 0
	}
	return len(a.open)
}

func (a *addressState) requests() int {
	if a == nil {
		return 0
	}
	return a.requestCount
}

func newConnTable(most, perAddress int, proxies []netip.Prefix) *connTable {
	return &connTable{max: most, perAddress: perAddress, proxies: proxies, byAddress: make(map[netip.Prefix]*addressState)}
}

// add gives a new connection a place. If its address is at its limit, it takes that of
// the address's connection that has waited longest; if the server is at its limit, that
// of the connection that has waited longest of all. Where all are working, it takes one
// of the address with the most, if that has more than the new one's would have; else
// the new connection gets a reserved place.
func (g *connTable) add(c net.Conn) *trackedConn {
	now := time.Now()
	n := &trackedConn{Conn: c, table: g, network: g.networkOf(c.RemoteAddr())}
	g.mu.Lock()
	closing := g.closeIdle(now)
	from := g.byAddress[n.network]
	if from != nil && len(from.open) >= g.perAddress {
		closing = g.evictOldest(&from.waiting, closing)
	} else if g.connCount >= g.max {
		closing = g.makeRoom(from, now, closing)
	}
	if from = g.byAddress[n.network]; g.connCount >= g.max || from != nil && len(from.open) >= g.perAddress {
		closing = append(closing, g.addReserved(n, now)...)
	} else {
		g.addCounted(n, now)
	}
	g.mu.Unlock()
	closeAll(closing)
	if n.reserved {
		c.SetDeadline(n.until)
	}
	return n
}

// closeIdle ends the connections that have waited too long for times like these.
func (g *connTable) closeIdle(now time.Time) (closing []*trackedConn) {
	for g.connCount >= g.max-g.max/4 {
		oldest := g.waiting.Front()
		if oldest == nil || now.Sub(oldest.Value.(*trackedConn).waitingSince) < idleWhenFull {
			break
		}
		closing = g.evictOldest(&g.waiting, closing)
	}
	return closing
}

// evictOldest takes its place from the connection that has waited longest.
func (g *connTable) evictOldest(waiting *list.List, closing []*trackedConn) []*trackedConn {
	oldest := waiting.Front()
	if oldest == nil {
		return closing
	}
	c := oldest.Value.(*trackedConn)
	g.remove(c)
	return append(closing, c)
}

// abortOldest ends the connection that has waited longest in the middle of a request.
func (g *connTable) abortOldest(waiting *list.List, closing []*trackedConn) []*trackedConn {
	for e := waiting.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*trackedConn); c.requests > 0 {
			g.remove(c)
			return append(closing, c)
		}
	}
	return closing
}

// makeRoom takes the place of the connection that has waited longest. Of one that had no
// time to say anything only where no address has more than the newcomer's would, and its
// own has more than that has.
func (g *connTable) makeRoom(newcomer *addressState, now time.Time, closing []*trackedConn) []*trackedConn {
	oldest := g.waiting.Front()
	if oldest != nil && now.Sub(oldest.Value.(*trackedConn).waitingSince) >= newConnGrace {
		return g.evictOldest(&g.waiting, closing)
	}
	closing = g.evictFromBusiest(newcomer, (*addressState).connections, g.evictOldest, closing)
	if g.connCount < g.max || oldest == nil {
		return closing
	}
	if from := oldest.Value.(*trackedConn).address; from == nil || from.connections() > newcomer.connections() {
		return g.evictOldest(&g.waiting, closing)
	}
	return closing
}

// evictFromBusiest takes a place from the address that has most of something, so that a
// few that keep all places working cannot keep others out: only if the newcomer's would
// not have as much with one more.
func (g *connTable) evictFromBusiest(newcomer *addressState, has func(*addressState) int, take func(*list.List, []*trackedConn) []*trackedConn, closing []*trackedConn) []*trackedConn {
	var most *addressState
	for _, a := range g.byAddress {
		if most == nil || has(a) > has(most) {
			most = a
		}
	}
	if most == nil || has(most) <= has(newcomer)+1 {
		return closing
	}
	if more := take(&most.waiting, closing); len(more) > len(closing) {
		return more
	}
	for c := range most.open {
		if c.requests > 0 {
			g.remove(c)
			return append(closing, c)
		}
	}
	return closing
}

// addBody notes that a request at work has read so much more of its body. Where that is too
// much, of its address or of all, the connection that has waited longest for the rest of
// a body ends; where none waits, it is this one.
func (g *connTable) addBody(c *trackedConn, n int) (closing []*trackedConn) {
	if c.closed {
		return nil
	}
	g.addBodyBytes(c, n)
	if c.address != nil {
		for c.address.bodyBytes > maxBodyBytes/8 && !c.closed {
			closing = g.evictReading(&c.address.waiting, c, closing)
		}
	}
	for g.bodyBytes > maxBodyBytes && !c.closed {
		closing = g.evictReading(&g.waiting, c, closing)
	}
	return closing
}

func (g *connTable) evictReading(waiting *list.List, otherwise *trackedConn, closing []*trackedConn) []*trackedConn {
	victim := otherwise
	for e := waiting.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*trackedConn); c.bodyBytes > 0 {
			victim = c
			break
		}
	}
	g.remove(victim)
	return append(closing, victim)
}

// addBodyBytes counts bytes of bodies.
func (g *connTable) addBodyBytes(c *trackedConn, n int) {
	c.bodyBytes += n
	g.bodyBytes += n
	if c.address != nil {
		c.address.bodyBytes += n
	}
}

// addRequests notes that so many requests more are at work.
func (g *connTable) addRequests(c *trackedConn, n int) {
	if c.reserved {
		return
	}
	g.requestCount += n
	if c.address != nil {
		c.address.requestCount += n
	}
}

// freeDescriptors closes connections that wait, where the process can open no more files.
func (g *connTable) freeDescriptors() {
	g.mu.Lock()
	var closing []*trackedConn
	for range g.connCount/16 + 1 {
		closing = g.evictOldest(&g.waiting, closing)
	}
	g.mu.Unlock()
	closeAll(closing)
}

// addReserved gives a connection a place beside the limit, if need be that of another one:
// of its own address, if that has its share.
func (g *connTable) addReserved(n *trackedConn, now time.Time) (closing []*trackedConn) {
	var own []*trackedConn
	for e := g.reserved.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*trackedConn); c.network == n.network {
			own = append(own, c)
		}
	}
	switch {
	case len(own) >= maxReservedPerAddress:
		closing = own[:1]
	case g.reserved.Len() >= maxReserved:
		closing = []*trackedConn{g.reserved.Front().Value.(*trackedConn)}
	}
	for _, c := range closing {
		g.remove(c)
	}
	n.reserved, n.until = true, now.Add(reservedFor)
	n.tablePlace = g.reserved.PushBack(n)
	return closing
}

func (g *connTable) addCounted(n *trackedConn, now time.Time) {
	g.connCount++
	if n.network.IsValid() {
		n.address = g.byAddress[n.network]
		if n.address == nil {
			n.address = &addressState{open: make(map[*trackedConn]struct{})}
			g.byAddress[n.network] = n.address
		}
		n.address.open[n] = struct{}{}
	}
	g.markWaiting(n, now)
}

// remove takes a connection out, and ends the requests that are at work on it. It does so
// once.
func (g *connTable) remove(c *trackedConn) {
	if c.closed {
		return
	}
	c.closed = true
	if c.cancel != nil {
		c.cancel()
	}
	g.addBodyBytes(c, -c.bodyBytes)
	if c.reserved {
		g.reserved.Remove(c.tablePlace)
		return
	}
	g.markBusy(c)
	g.addRequests(c, -c.requests)
	g.connCount--
	if c.address == nil {
		return
	}
	if delete(c.address.open, c); len(c.address.open) == 0 {
		delete(g.byAddress, c.network)
	}
}

// markWaiting notes that a connection waits for its client from now on.
func (g *connTable) markWaiting(c *trackedConn, now time.Time) {
	if c.closed || c.reserved || c.tablePlace != nil {
		return
	}
	c.waitingSince = now
	c.tablePlace = g.waiting.PushBack(c)
	if c.address != nil {
		c.addressPlace = c.address.waiting.PushBack(c)
	}
}

// markBusy notes that the server works for a connection.
func (g *connTable) markBusy(c *trackedConn) {
	if c.reserved || c.tablePlace == nil {
		return
	}
	g.waiting.Remove(c.tablePlace)
	if c.address != nil {
		c.address.waiting.Remove(c.addressPlace)
	}
	c.tablePlace, c.addressPlace = nil, nil
}

// networkOf is the address that a connection counts for; none if it is a proxy's, or no
// network's.
func (g *connTable) networkOf(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr()
	if anyContains(g.proxies, ip) {
		return netip.Prefix{}
	}
	return Network(ip)
}

// Network is what one client of the network has: an IPv4 address, or the /64 that one
// customer of a provider has at least (RFC 6177 section 2).
func Network(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // the zero prefix of the zero address
	return p
}

// ParseProxies reads addresses and networks (CIDR).
func ParseProxies(texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			ip, bad := netip.ParseAddr(text)
			if bad != nil {
				return nil, fmt.Errorf("%q is neither an address nor a network like 10.0.0.0/8", text)
			}
			p = netip.PrefixFrom(ip.Unmap().WithZone(""), ip.Unmap().BitLen())
		}
		all = append(all, p)
	}
	return all, nil
}

func anyContains(networks []netip.Prefix, ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, p := range networks {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// countingListener gives every connection that it accepts a place.
type countingListener struct {
	net.Listener
	table *connTable
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			l.table.freeDescriptors() // net/http tries again in a moment
		}
		return nil, err
	}
	return l.table.add(c), nil
}

// trackedConn is a counted connection. It waits for its client whenever no request of
// it is working: before the first, within a header or a TLS handshake, between two; and
// while a request reads a body that does not come, or writes an answer that is not
// read.
type trackedConn struct {
	net.Conn
	table    *connTable
	network  netip.Prefix // that it counts for; invalid if for none
	reserved bool         // its place is beside the limit
	until    time.Time    // with reserved: when all waiting for it ends

	// connTable.mu guards these.
	address                  *addressState // nil if it counts for none
	requests                 int           // at work
	bodyBytes                int           // bytes that these have read of their bodies
	working                  int           // those that do not wait for the client
	closed                   bool          // closed, or about to be
	cancel                   func()        // ends its requests; nil before net/http has it
	waitingSince             time.Time     // of its waiting
	tablePlace, addressPlace *list.Element // in the table's list and in its address's, nil while it does not wait
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

// workEnded notes that one request less is working. connTable.mu is held.
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
