package pgstore

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// endUnacknowledged ends a connection once what was sent stays unacknowledged for deadAfter: keep-alives are not
// sent meanwhile, and Linux would repeat it for a quarter of an hour.
func endUnacknowledged(network, _ string, c syscall.RawConn) (err error) {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	failed := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
	})
	if failed != nil {
		return failed
	}
	return err
}
