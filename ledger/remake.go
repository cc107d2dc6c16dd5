package ledger

import "context"

// Refold brings another, empty fold over the log, while the ledger goes on with the one
// that it has, and calls adopt once it has come to the committed head, between two
// commits: that puts it in the place of the other.
func (l *Ledger[V]) Refold(ctx context.Context, next Fold[V], adopt func() error) error {
	if err := l.follow(ctx, next, l.tree.Load().Size); err != nil {
		return err
	}
	l.sequencing.Lock()
	defer l.sequencing.Unlock()
	if err := l.waitInFlight(); err != nil {
		return err
	}
	if err := l.follow(ctx, next, l.tree.Load().Size); err != nil { // what was committed meanwhile
		return err
	}
	return adopt()
}
