package ledger

import "time"

// MoveClock makes the wall clock seem to have been moved by d since the witnesses
// confirmed it: no test can move the real one.
func (l *Ledger[V]) MoveClock(d time.Duration) {
	r := *l.lastClockSample.Load()
	r.wall = r.wall.Add(-d)
	l.lastClockSample.Store(&r)
}
