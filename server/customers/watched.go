package customers

import (
	"context"
	"iter"
	"sync"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// watched are the customers of whom something is due, or who are held: what the queue and the
// holds show. They are kept from one page to the next, and brought up to date by who has changed
// since: a page costs what happened, and not what the log holds. Where they are too many, each
// page reads all customers. They are forgotten when the vault locks.
type watched struct {
	mu    sync.Mutex // held while they are brought up to date, and while a page of them is made
	rules *rules     // by which they were chosen; nil: there are none
	many  bool
	by    map[event.Handle]*event.State
}

// maxWatched is how many are kept, of some 2 KiB each.
const maxWatched = 1 << 15

// rules decide of whom something is due: the programme's versions and the day.
type rules struct {
	versions string
	day      record.Date
}

func rulesOf(h *programme.History, day record.Date) rules {
	var digests []byte
	for _, p := range h.Versions() {
		sum := p.Digest()
		digests = append(digests, sum[:]...)
	}
	return rules{string(digests), day}
}

func (w *watched) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clear()
}

func (w *watched) clear() { w.rules, w.many, w.by = nil, false, nil }

// eachWatched calls f with all customers of whom something is due today, or who are held, and may be
// with others.
func (s *Server) eachWatched(ctx context.Context, l *private.Log, h *programme.History, f func(iter.Seq2[*event.State, error]) error) error {
	w := &s.watched
	w.mu.Lock()
	defer w.mu.Unlock()
	today := rulesOf(h, s.today())
	fresh := w.rules != nil && *w.rules == today
	if !fresh || !w.many {
		err := l.EachChanged(ctx, !fresh, func() {
			w.clear()
			w.by = make(map[event.Handle]*event.State)
		}, func(st event.State) error {
			switch {
			case w.many:
			case len(st.Holds) == 0 && len(h.Due(&st, s.cfg.Zone, today.day)) == 0:
				delete(w.by, st.Handle)
			case len(w.by) == maxWatched && w.by[st.Handle] == nil:
				w.many, w.by = true, nil
			default:
				w.by[st.Handle] = &st
			}
			return nil
		})
		if err != nil {
			w.clear()
			return err
		}
		w.rules = &today
	}
	if w.many {
		return f(states(ctx, l, event.Act{}))
	}
	return f(func(yield func(*event.State, error) bool) {
		for _, st := range w.by {
			if !yield(st, nil) {
				return
			}
		}
	})
}
