package sharedsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/replica"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/standby"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/server"
)

// copyServer is a disk with a trust directory, and while it is up a process that serves it: a replica.
type copyServer struct {
	route
	fromStore bool // it follows the store, and otherwise whichever machine answers
	disk      *vfs.MemFS

	life    int
	kill    context.CancelFunc // nil while it is off
	running sync.WaitGroup
	dead    *atomic.Bool
	store   *objectstore.Store

	shown shownNote // the newest that was seen of it, in any life

	mu    sync.Mutex // guards what follows
	door  *door      // nil while it serves nothing
	over  bool       // its process has come to its end by itself
	fork  *client.InconsistencyError
	moved http.RoundTripper // where its source is instead; nil: where it was
}

type shownNote struct {
	note []byte
	size uint64
}

// start starts a process.
func (c *copyServer) start() {
	if c.kill != nil {
		return
	}
	c.sim.tracef("%s starts", c.name)
	c.sim.countEvent("a replica starts")
	c.life++
	ctx, kill := context.WithCancel(c.sim.ctx)
	c.kill, c.dead = kill, new(atomic.Bool)
	source, over := c.source(ctx, c.dead, time.Duration(1+c.sim.rng.IntN(40))*time.Millisecond)
	disk := c.disk
	c.running.Go(func() {
		err := c.serve(ctx, disk, source, over)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.door = nil
		if ctx.Err() != nil {
			return
		}
		c.over = true
		c.sim.tracef("%s ends: %v", c.name, err)
		c.sim.countEvent("a replica ends")
		if errors.As(err, &c.fork) && !c.sim.forked.Load() {
			c.sim.laws.breach(fmt.Errorf("%w: %s finds a fork: %w", errLaw, c.name, err))
		} else if pin := (*client.PinError)(nil); errors.As(err, &pin) {
			c.sim.laws.breach(fmt.Errorf("%w: %s cannot go on with its own copy: %w", errLaw, c.name, err))
		}
	})
}

// source is whom it follows, and the store if it is that. It verifies whatever that says, so it is told lies too.
func (c *copyServer) source(ctx context.Context, dead *atomic.Bool, delay time.Duration) (*client.Client, *replica.Store) {
	if !c.fromStore {
		var urls []string
		for _, m := range c.sim.machines {
			urls = append(urls, "http://"+m.name)
		}
		servers, err := wire.NewServers(throughGates{&c.route, lies{c, dead, calls{c.sim, c.name}}}, urls...)
		must(err)
		return client.At(servers), nil
	}
	link := c.storeLink(c.life, dead, delay)
	config := objectstoretest.Config(throughGates{&c.route, link})
	config.Manual = true
	var err error
	c.store, err = objectstore.Open(ctx, config)
	must(err)
	reads := replica.NewStore(c.store, c.at(), standby.Config{})
	reads.Ahead = throughGates{&c.route, calls{c.sim, c.name}}
	return client.At(wire.ServerOver(lies{c, dead, reads}, c.at())), reads
}

// at is the store as it is named.
func (c *copyServer) at() *url.URL {
	return &url.URL{Scheme: "s3", Host: objectstoretest.Bucket, Path: "/some/log"}
}

// serve is the process.
func (c *copyServer) serve(ctx context.Context, disk *vfs.MemFS, source *client.Client, over *replica.Store) error {
	var trust *client.Trust
	for {
		var err error
		if trust, err = client.CreateTrust(ctx, disk, "trust", source, c.sim.writing.Ledger); err == nil {
			break
		} else if pin := (*client.PinError)(nil); errors.As(err, &pin) {
			return err
		}
		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	trust.Health = registertest.Health()
	served, err := replica.Open(ctx, replica.Config{
		Trust: trust, Source: source, Over: over, Health: trust.Health, Log: c.log(),
		Forked: func(error) {},
	})
	if err != nil {
		return errors.Join(err, trust.Close())
	}
	in := newDoor()
	c.mu.Lock()
	c.door = in
	c.mu.Unlock()
	return errors.Join(served.Serve(ctx, in, server.Config{ShutdownGrace: 2 * time.Second}), served.Close(), trust.Close())
}

// log tells the trace what it says.
func (c *copyServer) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(traced{c}, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

type traced struct{ *copyServer }

func (t traced) Write(line []byte) (int, error) {
	t.sim.tracef("%s: %s", t.name, bytes.TrimSpace(line))
	return len(line), nil
}

// RoundTrip is a call to it.
func (c *copyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	in := c.door
	c.mu.Unlock()
	if in == nil {
		return nil, errCut
	}
	return in.RoundTrip(r)
}

// get asks it for something.
func (c *copyServer) get(path string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(c.sim.ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.name+path, nil)
	must(err)
	res, err := c.RoundTrip(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// hasEnded says that its process has come to its end by itself.
func (c *copyServer) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// reap has one be off whose process has come to its end.
func (c *copyServer) reap() {
	if c.hasEnded() {
		c.crash()
	}
}

// crash is as of a machine.
func (c *copyServer) crash() {
	if c.kill == nil {
		return
	}
	c.sim.tracef("%s crashes", c.name)
	c.sim.countEvent("a replica crashes")
	synctest.Wait()
	left := c.sim.crashed(c.disk)
	c.end()
	c.disk = left
}

// end ends its process, and leaves its disk as that does.
func (c *copyServer) end() {
	if c.kill == nil {
		return
	}
	c.dead.Store(true)
	c.kill()
	c.frozen.open()
	c.running.Wait()
	synctest.Wait()
	if c.store != nil {
		c.store.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kill, c.store, c.over = nil, nil, false
}

// move has it follow another source in place of its own, without its knowing.
func (c *copyServer) move(to http.RoundTripper) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved = to
}

// lies are the ways of somebody between a replica and its source.
type lies struct {
	to   *copyServer
	dead *atomic.Bool
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (l lies) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.dead.Load() {
		return nil, errCut
	}
	l.to.mu.Lock()
	next := l.next
	if l.to.moved != nil {
		next = l.to.moved
	}
	l.to.mu.Unlock()
	res, err := next.RoundTrip(r)
	sim := l.to.sim
	dice := sim.dice(fmt.Sprintf("lie %s %s %s", l.to.name, r.Method, r.URL.Path))
	if err != nil || res.StatusCode != http.StatusOK || sim.calm.Load() || dice%100 >= liePercent {
		return res, err
	}
	path := r.URL.Path
	isNote, isTile := strings.HasSuffix(path, "/checkpoint"), strings.Contains(path, "/tile/")
	if !isNote && !isTile {
		return res, nil
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	switch kind := dice / 100 % 3; {
	case isNote && kind == 0:
		sim.countEvent("lie: what no quorum cosigned")
		body = sim.laws.newestSigned()
	case isNote:
		sim.countEvent("lie: a note of another tree")
		body = bytes.Replace(body, []byte("\n"), []byte("x\n"), 1)
	case kind == 0:
		sim.countEvent("lie: half a tile")
		body = body[:len(body)/2]
	default:
		sim.countEvent("lie: a spoilt tile")
		body = bytes.Clone(body)
		body[dice/1000%uint64(len(body))] ^= 1
	}
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return res, nil
}

// door is a listener in this process, and the way to it.
type door struct {
	*http.Transport
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newDoor() *door {
	d := &door{conns: make(chan net.Conn), closed: make(chan struct{})}
	d.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case d.conns <- theirs:
			return ours, nil
		case <-d.closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	return d
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

func (d *door) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

func (d *door) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 80} }
