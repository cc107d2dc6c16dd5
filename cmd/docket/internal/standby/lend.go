package standby

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// Lent is a listener of TCP that stays open when who serves on it closes it: who stands by answers on the
// ports of the ledger that it becomes.
type Lent struct {
	net.Listener
	mu     sync.Mutex // guards closed
	closed bool
}

// Lend lends a listener until [Lent.GiveBack].
func Lend(l net.Listener) *Lent { return &Lent{Listener: l} }

// Accept implements [net.Listener].
func (l *Lent) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && l.closed && errors.Is(err, os.ErrDeadlineExceeded) {
		err = net.ErrClosed
	}
	return c, err
}

// deadliner is a listener of TCP.
type deadliner interface{ SetDeadline(time.Time) error }

// Close has Accept return, now and from now on.
func (l *Lent) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return l.Listener.(deadliner).SetDeadline(time.Unix(1, 0))
}

// GiveBack ends the loan.
func (l *Lent) GiveBack() error { return l.Listener.(deadliner).SetDeadline(time.Time{}) }
