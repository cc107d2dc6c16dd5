package customers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// MaxAdd is how many events one [Log.Add] takes.
const MaxAdd = 1000

// Result is what became of one event.
type Result struct {
	Index     uint64 // the leaf that stands for it
	Handle    event.Handle
	Duplicate bool // it was there before: Index is the first one's

	// SeenAfter is, of an account's closing that is dated before something else that the log has
	// of the customer, when that was: it is from then on that the customer is kept. Else it is zero.
	SeenAfter time.Time

	// Err says why this one event was not taken in: a *[record.Refusal], whose pointers lead from
	// the input's root, or ledger.ErrCorrupt where what lies on the disk of this customer is
	// damaged. Others of the same call may have been taken in.
	Err error
}

// Add takes events in, in their order. When it returns nil, each is durable or refused by
// itself. An error concerns the whole: vault.ErrLocked, [ErrTooMany], [ErrUnpublished],
// ledger.ErrStopped, or that the outcome is unknown; some of the events may have been taken in
// then, and to send all again is right: what is there is a duplicate.
func (l *Log) Add(ctx context.Context, inputs []event.Input) ([]Result, error) {
	if len(inputs) > MaxAdd {
		return nil, fmt.Errorf("%w, not %d", ErrTooMany, len(inputs))
	}
	checked, refused := make([]event.Checked, len(inputs)), make([]error, len(inputs))
	inParallel(len(inputs), func(i int) {
		var faults []schema.Fault
		checked[i], faults = inputs[i].Checked()
		refused[i] = faultsOf(faults)
	})
	return l.add(ctx, checked, refused)
}

// AddChecked is [Log.Add] of events that are checked already.
func (l *Log) AddChecked(ctx context.Context, inputs []event.Checked) ([]Result, error) {
	if len(inputs) > MaxAdd {
		return nil, fmt.Errorf("%w, not %d", ErrTooMany, len(inputs))
	}
	return l.add(ctx, inputs, make([]error, len(inputs)))
}

// add takes in those that are not refused.
func (l *Log) add(ctx context.Context, inputs []event.Checked, refused []error) ([]Result, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	if err := l.mayAppend(); err != nil {
		return nil, err
	}
	results := make([]Result, len(inputs))
	items := make([]item, len(inputs))
	opening := make([]bool, len(inputs))
	defer func() {
		for i, is := range opening {
			if is {
				l.identities.release(inputs[i].Account())
			}
		}
	}()
	for i := range inputs {
		if results[i].Err = refused[i]; results[i].Err != nil {
			continue
		}
		var err error
		items[i].who, opening[i], err = l.identities.find(l.config.Keys, inputs[i].Account(), inputs[i].Kind() == event.KindOpened)
		if refusal := (*record.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
			return nil, err
		}
		results[i].Err = err
	}
	inParallel(len(inputs), func(i int) {
		if results[i].Err == nil {
			who := items[i].who
			results[i].Handle = who.handle
			items[i] = item{id: who.itemID(inputs[i].ID()), who: who, event: l.fold.scope.PrepareInput(who.handle, inputs[i])}
		}
	})
	err := l.append(ctx, items, results)
	if err != nil {
		return nil, err
	}
	for i := range results {
		if results[i].Duplicate && results[i].Err == nil {
			if results[i].Err = l.sameAsBefore(items[i].event.Event, results[i].Index); results[i].Err != nil && !isRefusal(results[i].Err) {
				return nil, results[i].Err
			}
		}
		if results[i].Err == nil && items[i].event.Kind == event.KindClosed {
			if results[i].SeenAfter, err = l.seenAfterClosing(items[i].who); err != nil {
				return nil, err
			}
		}
	}
	return results, nil
}

// seenAfterClosing is when a customer was last seen, where that is after the account is said to
// be closed.
func (l *Log) seenAfterClosing(who *identity) (time.Time, error) {
	s, err := l.stateOf(who)
	if seen := s.LastSeen(); err == nil && seen.After(s.ClosedAt) {
		return seen, nil
	}
	return time.Time{}, err
}

func isRefusal(err error) bool {
	var refusal *record.Refusal
	return errors.As(err, &refusal)
}

// faultsOf is the refusal of an input with faults; nil of one without.
func faultsOf(faults []schema.Fault) error {
	if len(faults) == 0 {
		return nil
	}
	return &record.Refusal{Class: record.Invalid, Detail: "the event breaks its schema", Faults: faults}
}

// inParallel calls f for 0 to n−1, on as many processors as there are where that is worth it.
func inParallel(n int, f func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n/64)
	if workers < 2 {
		for i := range n {
			f(i)
		}
		return
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w * n / workers; i < (w+1)*n/workers; i++ {
				f(i)
			}
		})
	}
	wg.Wait()
}

// append puts items that are not refused into the log and waits until they are durable.
// Whoever appends also commits: what others appended meanwhile goes along, so that one sync
// serves many.
func (l *Log) append(ctx context.Context, items []item, results []Result) error {
	commit := context.WithoutCancel(ctx) // it is others' too
	tickets := make([]*ledger.Ticket, len(items))
	for i, it := range items {
		if results[i].Err != nil {
			continue
		}
		t, err := l.engine.Append(ctx, it)
		for errors.Is(err, ledger.ErrBusy) {
			if err = l.engine.Commit(commit); err == nil {
				t, err = l.engine.Append(ctx, it)
			}
		}
		if err != nil {
			return errors.Join(err, l.engine.Commit(commit)) // nothing waits once nobody is here
		}
		tickets[i] = t
	}
	if err := l.engine.Commit(commit); err != nil {
		return err
	}
	for i, t := range tickets {
		if t == nil {
			continue
		}
		at, err := t.AwaitCommitted(commit)
		if refusal := ledger.Refusal(nil); errors.Is(err, vault.ErrLocked) || err != nil && !errors.As(err, &refusal) {
			return err
		}
		results[i].Index, results[i].Duplicate, results[i].Err = at.Index, at.Duplicate, err
	}
	return nil
}

// sameAsBefore refuses another event under the ID of one that is there.
func (l *Log) sameAsBefore(e *event.Event, index uint64) error {
	before, _, err := l.fold.readEvent(index)
	if err != nil {
		return err
	}
	if before.Kind == e.Kind && before.Time.Equal(e.Time) && bytes.Equal(event.AppendContent(nil, before.Content), event.AppendContent(nil, e.Content)) {
		return nil
	}
	if hit, ok := e.Content.(*event.Flagged); ok && hit.SameHit(before.Content) {
		return nil
	}
	return &record.Refusal{Class: record.Conflict, Detail: "another event of this account has this ID already", Faults: []schema.Fault{
		{Pointer: "/id", Detail: fmt.Sprintf("is that of the event of kind %s of %s at leaf %d: give this one an ID of its own", before.Kind, before.Time.Format(time.RFC3339Nano), index)}}}
}

// Who is who reads or acts, and what for. It is logged before anything is shown.
type Who struct {
	By      string // a key's or certificate's name
	Role    string
	Request string // thread of the request that it is for
	Reason  string
}

func (w Who) act(what event.Kind) event.Act {
	reason := w.Reason
	if w.Role != "" {
		reason = w.Role
		if w.Reason != "" {
			reason += ": " + w.Reason
		}
	}
	return event.Act{What: what, By: w.By, Request: w.Request, Reason: reason}
}

// Act logs an act of the house, durably: what the log does not do itself, such as that a
// disclosure was prepared.
func (l *Log) Act(ctx context.Context, a event.Act) (uint64, error) {
	if err := l.begin(); err != nil {
		return 0, err
	}
	defer l.end()
	return l.act(ctx, a)
}

func (l *Log) act(ctx context.Context, a event.Act) (uint64, error) {
	if err := l.mayAppend(); err != nil {
		return 0, err
	}
	v, err := schema.ParseJSON(event.AppendContent(nil, &a))
	if err != nil {
		return 0, err
	}
	content, faults := event.Decode(a.What, v.(schema.Object))
	if len(faults) > 0 {
		return 0, &record.Refusal{Class: record.Invalid, Detail: "the act breaks its schema", Faults: faults}
	}
	who, err := house(l.config.Vault)
	if err != nil {
		return 0, err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	e := &event.Event{Header: event.Header{Kind: a.What, Time: now}, Salt: event.NewSalt(), Content: content}
	one := []item{{id: randomID(), who: who, event: l.fold.scope.Prepare(e)}}
	result := make([]Result, 1)
	if err := l.append(ctx, one, result); err != nil {
		return 0, err
	}
	return result[0].Index, result[0].Err
}
