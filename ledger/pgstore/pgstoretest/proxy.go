package pgstoretest

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy is a way to a server over loopback that can be cut, or have what is sent get stuck.
type Proxy struct {
	t        testing.TB
	server   *Server
	listener net.Listener

	mu    sync.Mutex
	held  *sync.Cond // of stuck
	stuck bool       // what clients send is held
	pipes map[*pipe]struct{}
	all   sync.WaitGroup

	// Cut, if set, is asked after each piece that went through, whether that connection ends
	// now; toServer says which way the piece of that many bytes went, arrived that it was passed on.
	Cut func(toServer bool, size int) (cut, arrived bool)
}

// pipe is one connection.
type pipe struct{ client, server net.Conn }

func (p *pipe) close() {
	p.client.Close()
	p.server.Close()
}

// NewProxy is a way to a server, which ends with the test.
func NewProxy(t testing.TB, server *Server) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, server: server, listener: l, pipes: map[*pipe]struct{}{}}
	p.held = sync.NewCond(&p.mu)
	p.all.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// URL is that of the database docket by this way.
func (p *Proxy) URL() string {
	return fmt.Sprintf("postgres://docket@%s/docket?sslmode=disable", p.listener.Addr())
}

// Close cuts all connections.
func (p *Proxy) Close() {
	p.listener.Close()
	p.mu.Lock()
	p.stuck = false
	p.held.Broadcast()
	for c := range p.pipes {
		c.close()
	}
	p.mu.Unlock()
	p.all.Wait()
}

// Hold has whatever clients send from now on get stuck, until flow lets it go on.
func (p *Proxy) Hold() (flow func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stuck = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.stuck = false
		p.held.Broadcast()
	}
}

// Strand is Hold of clients that never come back: release lets what is stuck arrive, waits until the
// server has done with it, and takes no more connections.
func (p *Proxy) Strand() (release func()) {
	flow := p.Hold()
	return func() {
		p.listener.Close()
		flow()
		p.all.Wait()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.server.Socket())
		if err != nil {
			client.Close()
			continue
		}
		c := &pipe{client, server}
		p.mu.Lock()
		p.pipes[c] = struct{}{}
		p.mu.Unlock()
		p.all.Go(func() { p.upstream(c) })
		p.all.Go(func() { p.downstream(c) })
	}
}

// upstream passes on what a client sends, also after it has gone.
func (p *Proxy) upstream(c *pipe) {
	defer c.server.(*net.UnixConn).CloseWrite()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.client.Read(buf)
		p.mu.Lock()
		for p.stuck {
			p.held.Wait()
		}
		p.mu.Unlock()
		if n > 0 && !p.pass(c, true, c.server, buf[:n]) {
			return
		}
		if err != nil {
			return
		}
	}
}

// downstream passes on what the server sends, and waits for its end.
func (p *Proxy) downstream(c *pipe) {
	defer func() {
		c.close()
		p.mu.Lock()
		delete(p.pipes, c)
		p.mu.Unlock()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.server.Read(buf)
		if n > 0 && !p.pass(c, false, c.client, buf[:n]) {
			io.Copy(io.Discard, c.server)
			return
		}
		if err != nil {
			return
		}
	}
}

// pass passes one piece on, unless the connection is cut.
func (p *Proxy) pass(c *pipe, toServer bool, to net.Conn, piece []byte) bool {
	cut, arrived := false, true
	if p.Cut != nil {
		cut, arrived = p.Cut(toServer, len(piece))
	}
	if !cut || arrived {
		if _, err := to.Write(piece); err != nil {
			return false
		}
	}
	if cut {
		c.client.Close()
		if toServer && arrived {
			return true // the server does what it was told
		}
		if toServer {
			return false
		}
	}
	return !cut
}
