package front

import (
	"container/list"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

const (
	// shortIdle is how long a connection may wait for its client once three quarters of
	// all places are taken.
	shortIdle = 5 * time.Second

	// firstWord is how long a new connection keeps its place from those who have less
	// right to one.
	firstWord = time.Second

	// maxReserved connections find a place beside the limit, maxReservedPerAddress of one
	// address, each for reservedFor at most.
	maxReserved           = 16
	maxReservedPerAddress = 4
	reservedFor           = 2 * time.Second

	// maxBodies is how much of all bodies may be in memory, in bytes; of one address an
	// eighth of it.
	maxBodies = 64 << 20
)

// crowd is all connections of a server. mu guards what is below it, the fields of every
// address, and those of a conn that say so.
type crowd struct {
	max, perAddress int
	proxies         []netip.Prefix

	mu       sync.Mutex
	open     int       // without the reserved ones
	work     int       // requests at work
	body     int       // bytes that those have read of their bodies
	waiting  list.List // of conns, in the order in which they began to wait for their clients
	reserved list.List // of conns, in the order in which they came
	from     map[netip.Prefix]*address
}

// address is what one network address has open.
type address struct {
	open    map[*conn]struct{}
	work    int
	body    int
	waiting list.List // as crowd's
}

// connections and requests are what an address has; nil has none.
func (a *address) connections() int {
	if a == nil {
		return 0
	}
	return len(a.open)
}

func (a *address) requests() int {
	if a == nil {
		return 0
	}
	return a.work
}

func newCrowd(most, perAddress int, proxies []netip.Prefix) *crowd {
	return &crowd{max: most, perAddress: perAddress, proxies: proxies, from: make(map[netip.Prefix]*address)}
}

// admit gives a new connection a place. If its address has none left it is that of the
// address's connection that has waited longest, if nobody has, that of the one that has
// waited longest of all. Where all are at work it is one of the address that has most, if
// that has more than the new one's would; else it is a reserved one.
func (g *crowd) admit(c net.Conn) *conn {
	now := time.Now()
	n := &conn{Conn: c, crowd: g, network: g.networkOf(c.RemoteAddr())}
	g.mu.Lock()
	closing := g.impatient(now)
	from := g.from[n.network]
	if from != nil && len(from.open) >= g.perAddress {
		closing = g.evict(&from.waiting, closing)
	} else if g.open >= g.max {
		closing = g.makeRoom(from, now, closing)
	}
	if from = g.from[n.network]; g.open >= g.max || from != nil && len(from.open) >= g.perAddress {
		closing = append(closing, g.reserve(n, now)...)
	} else {
		g.enter(n, now)
	}
	g.mu.Unlock()
	hangUp(closing)
	if n.reserved {
		c.SetDeadline(n.until)
	}
	return n
}

// impatient ends the connections that have waited too long for times like these.
func (g *crowd) impatient(now time.Time) (closing []*conn) {
	for g.open >= g.max-g.max/4 {
		oldest := g.waiting.Front()
		if oldest == nil || now.Sub(oldest.Value.(*conn).since) < shortIdle {
			break
		}
		closing = g.evict(&g.waiting, closing)
	}
	return closing
}

// evict takes its place from the connection that has waited longest.
func (g *crowd) evict(waiting *list.List, closing []*conn) []*conn {
	oldest := waiting.Front()
	if oldest == nil {
		return closing
	}
	c := oldest.Value.(*conn)
	g.leave(c)
	return append(closing, c)
}

// breakOff ends the connection that has waited longest in the middle of a request.
func (g *crowd) breakOff(waiting *list.List, closing []*conn) []*conn {
	for e := waiting.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*conn); c.requests > 0 {
			g.leave(c)
			return append(closing, c)
		}
	}
	return closing
}

// makeRoom takes the place of the connection that has waited longest. Of one that had no
// time to say anything only where no address has more than the newcomer's would, and its
// own has more than that has.
func (g *crowd) makeRoom(newcomer *address, now time.Time, closing []*conn) []*conn {
	oldest := g.waiting.Front()
	if oldest != nil && now.Sub(oldest.Value.(*conn).since) >= firstWord {
		return g.evict(&g.waiting, closing)
	}
	closing = g.level(newcomer, (*address).connections, g.evict, closing)
	if g.open < g.max || oldest == nil {
		return closing
	}
	if from := oldest.Value.(*conn).from; from == nil || from.connections() > newcomer.connections() {
		return g.evict(&g.waiting, closing)
	}
	return closing
}

// level takes a place from the address that has most of something, so that a few who keep
// all places at work keep nobody out: if a newcomer's would not have as much with one more.
func (g *crowd) level(newcomer *address, has func(*address) int, take func(*list.List, []*conn) []*conn, closing []*conn) []*conn {
	var most *address
	for _, a := range g.from {
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
			g.leave(c)
			return append(closing, c)
		}
	}
	return closing
}

// hold notes that a request at work has read so much more of its body. Where that is too
// much, of its address or of all, the connection that has waited longest for the rest of
// a body ends; where none waits, it is this one.
func (g *crowd) hold(c *conn, n int) (closing []*conn) {
	if c.gone {
		return nil
	}
	g.carry(c, n)
	if c.from != nil {
		for c.from.body > maxBodies/8 && !c.gone {
			closing = g.unload(&c.from.waiting, c, closing)
		}
	}
	for g.body > maxBodies && !c.gone {
		closing = g.unload(&g.waiting, c, closing)
	}
	return closing
}

func (g *crowd) unload(waiting *list.List, otherwise *conn, closing []*conn) []*conn {
	victim := otherwise
	for e := waiting.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*conn); c.body > 0 {
			victim = c
			break
		}
	}
	g.leave(victim)
	return append(closing, victim)
}

// carry counts bytes of bodies.
func (g *crowd) carry(c *conn, n int) {
	c.body += n
	g.body += n
	if c.from != nil {
		c.from.body += n
	}
}

// count notes that so many requests more are at work.
func (g *crowd) count(c *conn, n int) {
	if c.reserved {
		return
	}
	g.work += n
	if c.from != nil {
		c.from.work += n
	}
}

// relieve closes connections that wait, where the process can open no more files.
func (g *crowd) relieve() {
	g.mu.Lock()
	var closing []*conn
	for range g.open/16 + 1 {
		closing = g.evict(&g.waiting, closing)
	}
	g.mu.Unlock()
	hangUp(closing)
}

// reserve gives a connection a place beside the limit, if need be that of another one:
// of its own address, if that has its share.
func (g *crowd) reserve(n *conn, now time.Time) (closing []*conn) {
	var own []*conn
	for e := g.reserved.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*conn); c.network == n.network {
			own = append(own, c)
		}
	}
	switch {
	case len(own) >= maxReservedPerAddress:
		closing = own[:1]
	case g.reserved.Len() >= maxReserved:
		closing = []*conn{g.reserved.Front().Value.(*conn)}
	}
	for _, c := range closing {
		g.leave(c)
	}
	n.reserved, n.until = true, now.Add(reservedFor)
	n.place = g.reserved.PushBack(n)
	return closing
}

func (g *crowd) enter(n *conn, now time.Time) {
	g.open++
	if n.network.IsValid() {
		n.from = g.from[n.network]
		if n.from == nil {
			n.from = &address{open: make(map[*conn]struct{})}
			g.from[n.network] = n.from
		}
		n.from.open[n] = struct{}{}
	}
	g.await(n, now)
}

// leave takes a connection out, and ends the requests that are at work on it. It does so
// once.
func (g *crowd) leave(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	if c.cancel != nil {
		c.cancel()
	}
	g.carry(c, -c.body)
	if c.reserved {
		g.reserved.Remove(c.place)
		return
	}
	g.busy(c)
	g.count(c, -c.requests)
	g.open--
	if c.from == nil {
		return
	}
	if delete(c.from.open, c); len(c.from.open) == 0 {
		delete(g.from, c.network)
	}
}

// await notes that a connection waits for its client from now on.
func (g *crowd) await(c *conn, now time.Time) {
	if c.gone || c.reserved || c.place != nil {
		return
	}
	c.since = now
	c.place = g.waiting.PushBack(c)
	if c.from != nil {
		c.own = c.from.waiting.PushBack(c)
	}
}

// busy notes that the server works for a connection.
func (g *crowd) busy(c *conn) {
	if c.reserved || c.place == nil {
		return
	}
	g.waiting.Remove(c.place)
	if c.from != nil {
		c.from.waiting.Remove(c.own)
	}
	c.place, c.own = nil, nil
}

// networkOf is the address that a connection counts for; none if it is a proxy's, or no
// network's.
func (g *crowd) networkOf(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr()
	if within(g.proxies, ip) {
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

func within(networks []netip.Prefix, ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for _, p := range networks {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// listener gives every connection that it accepts a place.
type listener struct {
	net.Listener
	crowd *crowd
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			l.crowd.relieve() // net/http tries again in a moment
		}
		return nil, err
	}
	return l.crowd.admit(c), nil
}
