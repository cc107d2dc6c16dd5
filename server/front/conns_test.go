package front

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// fakeConn is one end of a connection that says where it is from.
type fakeConn struct {
	net.Conn
	from net.Addr
}

func (e fakeConn) RemoteAddr() net.Addr { return e.from }

// fakeListener are a listener's connections, or its errors.
type fakeListener []any

func (a *fakeListener) Accept() (net.Conn, error) {
	next := (*a)[0]
	*a = (*a)[1:]
	if err, ok := next.(error); ok {
		return nil, err
	}
	return next.(net.Conn), nil
}
func (a *fakeListener) Close() error   { return nil }
func (a *fakeListener) Addr() net.Addr { return &net.TCPAddr{} }

// connectFrom lets a connection from that address arrive, and returns the client's end.
func connectFrom(t *testing.T, l *countingListener, from string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	l.Listener = &fakeListener{fakeConn{theirs, &net.TCPAddr{IP: net.ParseIP(from), Port: 1}}}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); ours.Close() })
	return ours
}

func ended(c net.Conn) bool {
	c.SetReadDeadline(time.Now())
	_, err := c.Read(make([]byte, 1))
	return err == io.EOF
}

// Where three quarters of the places are taken nobody waits for longer than a few seconds.
func TestIdleTimeIsShortWhenFull(t *testing.T) {
	for _, c := range []struct {
		open int
		wait time.Duration
		want bool // they are closed when the next one comes
	}{
		{5, time.Minute, false}, {6, idleWhenFull - 1, false}, {6, idleWhenFull, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &countingListener{table: newConnTable(8, 8, nil)}
			var all []net.Conn
			for range c.open {
				all = append(all, connectFrom(t, l, "192.0.2.1"))
			}
			time.Sleep(c.wait)
			connectFrom(t, l, "192.0.2.2")
			if got := ended(all[0]); got != c.want {
				t.Errorf("of 8 places %d were taken for %s: closed %v, want %v", c.open, c.wait, got, c.want)
			}
		})
	}
}

// Somebody who has just come, and has no more than others, does not make room for the next
// one of those who hold all the rest.
func TestNewConnectionsHaveAGracePeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &countingListener{table: newConnTable(8, 4, nil)}
		for _, from := range []string{"192.0.2.1", "192.0.2.2"} {
			for range 4 {
				_, theirs := net.Pipe()
				l.table.add(fakeConn{theirs, &net.TCPAddr{IP: net.ParseIP(from)}}).beginRequest()
			}
		}
		newcomer := connectFrom(t, l, "192.0.2.3")
		connectFrom(t, l, "192.0.2.1")
		connectFrom(t, l, "192.0.2.4")
		if ended(newcomer) {
			t.Error("its place was taken before it could say anything")
		}
	})
}

// A customer's whole /64 is one address; the next /64 is another.
func TestAddressesOfIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &countingListener{table: newConnTable(64, 2, nil)}
		first := connectFrom(t, l, "2001:db8:0:1::1")
		connectFrom(t, l, "2001:db8:0:1::2")
		connectFrom(t, l, "2001:db8:0:2::1")
		if ended(first) {
			t.Fatal("another customer's connection counts too")
		}
		connectFrom(t, l, "2001:db8:0:1::3")
		if !ended(first) {
			t.Error("a third address of the /64 got a place beside the first")
		}
	})
}

// Whoever takes his share of the reserved places takes from himself.
func TestReservedPlacesAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &countingListener{table: newConnTable(1, 1, nil)}
		_, theirs := net.Pipe()
		l.table.add(fakeConn{theirs, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}}).beginRequest()
		monitor := connectFrom(t, l, "192.0.2.2")
		for range 2 * maxReserved {
			connectFrom(t, l, "192.0.2.3")
		}
		if ended(monitor) {
			t.Error("one address took the reserved place of another")
		}
		if n := l.table.reserved.Len(); n != 1+maxReservedPerAddress {
			t.Errorf("%d places are taken", n)
		}
	})
}

// Everything that was counted is given back.
func TestNothingStaysCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newConnTable(4, 2, nil)
		l := &countingListener{table: g}
		for i := range 20 {
			ours, theirs := net.Pipe()
			l.Listener = &fakeListener{fakeConn{theirs, &net.TCPAddr{IP: net.IPv4(192, 0, 2, byte(i%3))}}}
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			switch conn := c.(*trackedConn); i % 4 {
			case 0:
				conn.beginRequest()
				conn.Close()
				conn.endRequest()
			case 1:
				if conn.beginRequest() {
					conn.beginWait()
					conn.countBody(5)
					conn.Close()
					conn.endWait()
					conn.endRequest()
				}
			case 2:
				if conn.beginRequest() {
					conn.countBody(7)
					conn.dropBody(7)
					conn.endRequest()
				}
			}
			c.Close()
			c.Close()
			ours.Close()
		}
		if g.connCount != 0 || g.requestCount != 0 || g.bodyBytes != 0 || g.waiting.Len() != 0 || g.reserved.Len() != 0 || len(g.byAddress) != 0 {
			t.Errorf("%d open, %d at work, %d waiting, %d reserved, %d addresses", g.connCount, g.requestCount, g.waiting.Len(), g.reserved.Len(), len(g.byAddress))
		}
	})
}

// A process that can open no more files makes room, and says that it could not accept.
func TestOutOfFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &countingListener{table: newConnTable(64, 64, nil)}
		oldest := connectFrom(t, l, "192.0.2.1")
		newest := connectFrom(t, l, "192.0.2.1")
		l.Listener = &fakeListener{&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}}
		if _, err := l.Accept(); err == nil {
			t.Error("nothing was said")
		}
		if !ended(oldest) || ended(newest) {
			t.Error("want the oldest connection closed, and no other")
		}
	})
}
