package server

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// A keptList has a few words on each item of a whole list, as of one size and day: for the numbers above the list,
// and to find what a reader chooses without reading all else. A list that the work of one page reads is read with the
// request. A longer one is read beside the requests ([keptList.run]), again where the ledger has grown, and its
// pages are of the size of the newest reading, and say so.
//
// mu guards what is below it, and is held for no longer than it takes to look.
type keptList[T, I any] struct {
	read  func(v *view.View, at time.Time, yield func(T) bool) error
	index func([]T) I // what is looked up in the items, which it may sort
	most  int         // items; a longer list is never whole

	mu     sync.Mutex
	newest []*kept[T, I] // as they were read, the last first
	wanted *moment       // one that somebody chose, to be read beside the requests
	begun  bool          // it was read beside the requests
	long   bool          // the present list is more than a request may read
}

// keptMoments is how many moments of one list are kept, keptItems how many items they have together at most, as a
// multiple of those of one.
const (
	keptMoments = 4
	keptItems   = 2
)

// pageBudget is what a page may read of a list that is not kept: a tenth of a question's work, some 10 ms of one core. Who
// looks at his own copy waits for nobody else, and reads all.
func (s *Server) pageBudget() register.ReadBudget {
	work := s.cfg.QueryBudget
	if !s.cfg.own() {
		work = register.ReadBudget{Rows: work.Rows / 10, Bytes: work.Bytes / 10}
	}
	return work
}

// kept is a list as of a moment. It is never changed, but for what is counted once.
type kept[T, I any] struct {
	moment
	Items []T
	Whole bool // those are all
	Index I

	counting sync.Once
	counts   []map[string]int // of all items, by the members that they are counted by
}

// moment is as of when a list is read.
type moment struct {
	size     uint64
	day      record.Date
	at       time.Time   // any instant of the day, unless early
	early    bool        // before the last record was admitted: the instant matters
	present  bool        // nobody chose it
	withheld *[]Withheld // whoever asks under another list is not told
}

// same says that a list as of either is the same.
func (m moment) same(o moment) bool {
	return m.size == o.size && m.day == o.day && m.withheld == o.withheld && m.early == o.early && (!m.early || m.at.Equal(o.at))
}

// moment is that of a question.
func (q *registerQuery) moment() (m moment, err error) {
	m = moment{size: q.asOf.Size, day: q.view.LocalDate(q.asOf.At), at: q.asOf.At, withheld: q.withheld}
	m.present = !q.has("at") && !q.has("size") && !q.has("after")
	if m.size > 0 {
		last, err := q.view.RecordAt(m.size - 1)
		if err != nil {
			return m, err
		}
		m.early = last.Admitted.After(m.at)
	}
	return m, nil
}

// get is the list as of the moment of a question; where that is of the present, and the list is long, as of the newest
// size of which it was read today. What is not Whole ends where the work of a page does.
func (l *keptList[T, I]) get(s *Server, q *registerQuery) (*kept[T, I], error) {
	m, err := q.moment()
	if err != nil {
		return nil, err
	}
	if k := l.find(m); k != nil {
		return k, nil
	}
	k, err := l.readAt(q.view.WithBudget(s.pageBudget()), m, func() bool { return true })
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	if m.present {
		l.long = !k.Whole
	}
	if k.Whole {
		l.keep(k)
	} else if !m.present {
		l.wanted = &m
	}
	l.mu.Unlock()
	return k, nil
}

// follow is get, and makes the question one as of the size of what it got.
func (l *keptList[T, I]) follow(s *Server, x *request, q *registerQuery) (*kept[T, I], error) {
	k, err := l.get(s, q)
	if err != nil {
		return nil, err
	}
	return k, q.follow(s, x, k.size)
}

// find is what is kept as of a moment, nil if nothing is.
func (l *keptList[T, I]) find(m moment) *kept[T, I] {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, exact := range []bool{true, false} {
		for _, k := range l.newest {
			if k.same(m) || !exact && m.present && l.long && k.present && k.day == m.day && k.withheld == m.withheld {
				return k
			}
		}
	}
	return nil
}

// keep makes it the newest. It is called with mu held.
func (l *keptList[T, I]) keep(k *kept[T, I]) {
	l.newest = slices.Insert(slices.DeleteFunc(l.newest, func(o *kept[T, I]) bool { return o.same(k.moment) }), 0, k)
	n, items := 0, 0
	for n < len(l.newest) && n < keptMoments && (n == 0 || items+len(l.newest[n].Items) <= keptItems*l.most) {
		items += len(l.newest[n].Items)
		n++
	}
	clear(l.newest[n:])
	l.newest = l.newest[:n]
}

// readAt reads the list as of a moment, as long as goOn says so and the view's work lasts.
func (l *keptList[T, I]) readAt(v *view.View, m moment, goOn func() bool) (*kept[T, I], error) {
	k := &kept[T, I]{moment: m, Whole: true}
	err := l.read(v, m.at, func(item T) bool {
		if k.Whole = len(k.Items) < l.most && goOn(); k.Whole {
			k.Items = append(k.Items, item)
		}
		return k.Whole
	})
	if partial := (*view.PartialListError)(nil); errors.As(err, &partial) || errors.Is(err, register.ErrOverBudget) {
		k.Whole, err = false, nil
	}
	if err != nil {
		return nil, err
	}
	k.Index = l.index(k.Items)
	return k, nil
}

// step reads what is wanted, and the present where it is too long for a request and the ledger has grown, or the day
// is another. The first step reads the present of any.
func (l *keptList[T, I]) step(ctx context.Context, s *Server) error {
	now, err := s.presentMoment()
	if err != nil {
		return err
	}
	l.mu.Lock()
	var todo []moment
	if l.long || !l.begun {
		todo = append(todo, now)
	}
	if l.wanted != nil {
		todo = append(todo, *l.wanted)
	}
	l.wanted, l.begun = nil, true
	l.mu.Unlock()
	for _, m := range todo {
		if l.has(m) {
			continue
		}
		v, err := view.At(s.cfg.Register, m.size)
		if err != nil {
			return err
		}
		k, err := l.readAt(v, m, func() bool { return ctx.Err() == nil })
		if err != nil || ctx.Err() != nil {
			return err
		}
		l.mu.Lock()
		l.keep(k)
		l.mu.Unlock()
	}
	return nil
}

func (l *keptList[T, I]) has(m moment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.newest, func(k *kept[T, I]) bool { return k.same(m) })
}

// presentMoment is now, at the published size.
func (s *Server) presentMoment() (moment, error) {
	s.cfg.Ledger.withheld.now()
	withheld := s.cfg.Ledger.withheld.last() // before the view is made
	v, err := view.At(s.cfg.Register, s.publishedSize())
	if err != nil {
		return moment{}, err
	}
	now := time.Now().UTC()
	return moment{size: v.Size(), day: v.LocalDate(now), at: now, present: true, withheld: withheld}, nil
}

// keepEvery is how often it is looked whether the ledger has grown. A reading that takes longer is followed by a pause
// nine times as long, so that a tenth of a core does it.
const keepEvery = 2 * time.Second

// run reads the list, as far as it is too long for a request, until ctx ends.
func (l *keptList[T, I]) run(ctx context.Context, s *Server) {
	for {
		begun := time.Now()
		if err := l.step(ctx, s); err != nil && ctx.Err() == nil {
			s.log.Warn("a list is not counted for pages", "err", err)
		}
		pause := time.NewTimer(max(keepEvery, 9*time.Since(begun)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// follow makes the question one as of the size of what is kept.
func (q *registerQuery) follow(s *Server, x *request, size uint64) error {
	if size == q.asOf.Size {
		return nil
	}
	v, err := view.At(s.cfg.Register, size)
	if err != nil {
		return err
	}
	tree, err := s.cfg.Ledger.TreeAt(x.Request.Context(), size)
	if err != nil {
		return err
	}
	q.view = v.WithCheckpointTimes(s.checkpointTimes(x.Request.Context())).WithBudget(s.cfg.QueryBudget)
	q.asOf.Size, q.asOf.Root = size, tree.Root.String()
	return nil
}
