package pgstore

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection to a server that says nothing more ends soon, whether something was sent or not.
func TestSilentServersEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	config, err := newStore(Config{}).parse("postgres://docket@" + l.Addr().String() + "/docket")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.ConnConfig.DialFunc(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		for name, o := range map[string]struct{ level, option, want int }{
			"keep-alives":          {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			"the first of them":    {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 5},
			"between them":         {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 2},
			"how many of them":     {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
			"what was sent, in ms": {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 11000},
		} {
			if got, err := unix.GetsockoptInt(int(fd), o.level, o.option); err != nil || got != o.want {
				t.Errorf("%s: %d, %v; want %d", name, got, err, o.want)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
