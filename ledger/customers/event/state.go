package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// maxAhead is how far an event's time may be ahead of the log's clock.
const maxAhead = 5 * time.Minute

// State is a customer by his events so far. It is a value: [State.Apply] returns the next
// one and leaves this one as it is.
type State struct {
	Handle Handle
	Chain
	Life
}

// Chain is of a state what every event moves, the frequent accesses too.
type Chain struct {
	Filed                // its events: how many, under which leaf indexes
	Last       uint64    // leaf index of the newest event, if there is one
	Accesses   uint64    // how many of the events are accesses
	LastAccess time.Time // the latest time of one, zero before the first
	ClosedAt   time.Time // zero while the account is open
	Erased     bool
}

// Life is of a state what only the other events move.
type Life struct {
	Customer Opened    `json:"customer"` // as known by the newest change
	OpenedAt time.Time `json:"openedAt"` // when the account was opened
	// Verifications are the first and the newest that succeeded of each method, and the first
	// and the newest that failed since: by time, so that a repeated one moves no date.
	Verifications []Verification `json:"verifications,omitempty"`
	// Changes are, by element, the times of its first change, of the first after the newest
	// verification by each method, and of its newest.
	Changes     map[string][]time.Time `json:"changes,omitempty"`
	FormerNames []string               `json:"formerNames,omitempty"` // the earlier ones first
	Flags       []Flag                 `json:"flags,omitempty"`       // by designation and element: the newest hit, and its decision
	Holds       []Hold                 `json:"holds,omitempty"`       // that are not released
	Closure     *Closure               `json:"closure,omitempty"`
}

// Verification is one, and when it was.
type Verification struct {
	At time.Time `json:"at"`
	Verified
}

// Flag is a hit of screening with what was decided about it.
type Flag struct {
	At        time.Time `json:"at"`
	DecidedAt time.Time `json:"decidedAt,omitzero"`
	Flagged             // the hit; its outcome, by and reason are the decision's
}

// Hold is one that is not released.
type Hold struct {
	At time.Time `json:"at"`
	Held
}

// Closure is when and why the account was closed.
type Closure struct {
	At time.Time `json:"at"`
	Closed
}

// LastSeen is the latest time at which the customer did something, or something of him was learnt, however
// early the account is said to be closed.
func (s *State) LastSeen() time.Time {
	latest := s.ClosedAt
	seen := func(t time.Time) {
		if t.After(latest) {
			latest = t
		}
	}
	seen(s.OpenedAt)
	seen(s.LastAccess)
	for _, v := range s.Verifications {
		seen(v.At)
	}
	for _, times := range s.Changes {
		seen(times[len(times)-1])
	}
	return latest
}

func conflict(format string, args ...any) error {
	return record.Refuse(record.Conflict, format, args...)
}

// Apply is the state after an event, which stands at a leaf index. A *[record.Refusal] says
// why the event does not fit the customer's life.
func (s State) Apply(e *Event, index uint64) (State, error) {
	chain, err := s.Chain.Apply(e, index)
	if err != nil {
		return s, err
	}
	life, err := s.Life.apply(s.Chain, e)
	if err != nil {
		return s, err
	}
	return State{e.Handle, chain, life}, nil
}

// Apply is [State.Apply] as far as it concerns the chain: all of it, for an access.
func (c Chain) Apply(e *Event, index uint64) (Chain, error) {
	opening := e.Kind == KindOpened
	switch {
	case e.Kind.OfHouse() != (e.Handle == House):
		return c, fmt.Errorf("an event of kind %s in the chain of %s", e.Kind, e.Handle)
	case e.Number != c.Leaves || c.Leaves > 0 && e.Before != c.Last:
		return c, fmt.Errorf("event %d of %s, after leaf %d; want event %d, after leaf %d", e.Number, e.Handle, e.Before, c.Leaves, c.Last)
	case c.Leaves > 0 && index <= c.Last:
		return c, fmt.Errorf("event %d of %s at leaf %d, and the one before it at leaf %d", e.Number, e.Handle, index, c.Last)
	case e.Time.After(e.Logged.Add(maxAhead)):
		return c, conflict("its time %s is ahead of the log's clock (%s): send it when it has happened, and look at both clocks", timeText(e.Time), timeText(e.Logged))
	case c.Erased:
		return c, conflict("the customer is erased: a new account is a new customer")
	case opening && c.Leaves > 0:
		return c, conflict("the account is open already; what is known of it changes by a changed event")
	case !opening && c.Leaves == 0 && e.Handle != House:
		return c, conflict("the account is not open: its first event is opened")
	case e.Kind == KindAccess && !c.ClosedAt.IsZero() && e.Time.After(c.ClosedAt):
		return c, conflict("the account was closed at %s, and this is of %s", timeText(c.ClosedAt), timeText(e.Time))
	}
	c.Filed, c.Last = c.Filed.Add(index), index
	switch e.Kind {
	case KindAccess:
		c.Accesses++
		if e.Time.After(c.LastAccess) {
			c.LastAccess = e.Time
		}
	case KindClosed:
		c.ClosedAt = e.Time
	case KindErased:
		c.Erased = true
	}
	return c, nil
}

func (l Life) apply(c Chain, e *Event) (Life, error) {
	switch content := e.Content.(type) {
	case *Opened:
		l.Customer, l.OpenedAt = *content, e.Time
	case *Changed:
		return l.change(c, content, e.Time)
	case *Verified:
		return l.verify(Verification{e.Time, *content}), nil
	case *Flagged:
		return l.flag(content, e.Time)
	case *Held:
		if i := l.hold(content.Request); i >= 0 {
			return l, conflict("it is held already, since %s", timeText(l.Holds[i].At))
		}
		l.Holds = append(slices.Clip(l.Holds), Hold{e.Time, *content})
	case *Released:
		i := l.hold(content.Request)
		if i < 0 {
			return l, conflict("there is no such hold to release")
		}
		l.Holds = slices.Delete(slices.Clone(l.Holds), i, i+1)
	case *Closed:
		if !c.ClosedAt.IsZero() {
			return l, conflict("the account is closed already, since %s", timeText(c.ClosedAt))
		}
		l.Closure = &Closure{e.Time, *content}
	case *Erased:
		switch {
		case c.ClosedAt.IsZero():
			return l, conflict("the account is open: only what is closed is erased")
		case len(l.Holds) > 0:
			return l, conflict("it is held, since %s: release it first", timeText(l.Holds[0].At))
		}
		l = Life{}
	}
	return l, nil
}

func (l Life) change(c Chain, content *Changed, at time.Time) (Life, error) {
	if !c.ClosedAt.IsZero() {
		return l, conflict("the account is closed, since %s: what is known of it changes no more", timeText(c.ClosedAt))
	}
	customer, faults := content.apply(l.Customer)
	if len(faults) > 0 {
		for i := range faults {
			faults[i].Pointer = "/content" + faults[i].Pointer
		}
		return l, &record.Refusal{Class: record.Invalid, Detail: "what is known of the customer would break its rules", Faults: faults}
	}
	if former := l.Customer.Name; former != customer.Name && !slices.Contains(l.FormerNames, former) {
		l.FormerNames = append(slices.Clip(l.FormerNames), former)
	}
	l.Customer = customer
	changes := maps.Clone(l.Changes)
	if changes == nil {
		changes = make(map[string][]time.Time)
	}
	for _, name := range content.elements() {
		times := append(slices.Clip(changes[name]), at)
		slices.SortFunc(times, time.Time.Compare)
		changes[name] = times
	}
	l.Changes = changes
	l.pruneChanges()
	return l, nil
}

// verify adds a verification, and drops what it makes one between the first and the newest.
func (l Life) verify(v Verification) Life {
	all := append(slices.Clone(l.Verifications), v)
	slices.SortStableFunc(all, func(a, b Verification) int { return a.At.Compare(b.At) })
	newest := time.Time{}
	for _, v := range all {
		if v.Outcome == outcomeVerified {
			newest = v.At
		}
	}
	same := func(a, b Verification) bool {
		return a.Outcome == b.Outcome && (a.Outcome != outcomeVerified || a.Method == b.Method)
	}
	l.Verifications = nil
	for i, v := range all {
		before := slices.ContainsFunc(l.Verifications, func(o Verification) bool { return same(o, v) })
		after := slices.ContainsFunc(all[i+1:], func(o Verification) bool { return same(o, v) })
		if v.Outcome != outcomeVerified && v.At.Before(newest) || before && after {
			continue
		}
		l.Verifications = append(l.Verifications, v)
	}
	l.Changes = maps.Clone(l.Changes)
	l.pruneChanges()
	return l
}

// outcomeVerified is that of a verification that succeeded.
const outcomeVerified = "verified"

// pruneChanges drops of the changes what stands between those that [Life.Changes] keeps.
func (l *Life) pruneChanges() {
	marks := []time.Time{{}}
	for _, v := range l.Verifications {
		if v.Outcome == outcomeVerified {
			marks = append(marks, v.At)
		}
	}
	for name, times := range l.Changes {
		var kept []time.Time
		for i, t := range times {
			isFirst := func(mark time.Time) bool { return t.After(mark) && (i == 0 || !times[i-1].After(mark)) }
			if i == len(times)-1 || slices.ContainsFunc(marks, isFirst) {
				kept = append(kept, t)
			}
		}
		l.Changes[name] = kept
	}
}

func (l Life) flag(content *Flagged, at time.Time) (Life, error) {
	i := slices.IndexFunc(l.Flags, func(f Flag) bool { return f.Thread == content.Thread && f.Matched == content.Matched })
	l.Flags = slices.Clone(l.Flags)
	switch {
	case content.What == "hit" && i < 0:
		l.Flags = append(l.Flags, Flag{At: at, Flagged: *content})
	case content.What == "hit":
		if l.Flags[i].Outcome == "open" {
			at = l.Flags[i].At // who has not looked since then gets no more time
		}
		l.Flags[i] = Flag{At: at, Flagged: *content}
	case i < 0:
		return l, conflict("nothing of %s is flagged that could be decided", content.Thread)
	default:
		f := &l.Flags[i]
		f.DecidedAt, f.Outcome, f.By, f.Reason = at, content.Outcome, content.By, content.Reason
	}
	return l, nil
}

// hold finds the one for a request; −1 if there is none.
func (l Life) hold(request string) int {
	return slices.IndexFunc(l.Holds, func(h Hold) bool { return h.Request == request })
}

// Append appends the chain in binary: numbers, times in milliseconds.
func (c Chain) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, c.Leaves)
	b = append(b, c.Digest[:]...)
	b = binary.AppendUvarint(b, c.Last)
	b = binary.AppendUvarint(b, c.Accesses)
	for _, t := range []time.Time{c.LastAccess, c.ClosedAt} {
		if t.IsZero() {
			b = append(b, 0)
		} else {
			b = binary.AppendVarint(append(b, 1), t.UnixMilli())
		}
	}
	if c.Erased {
		return append(b, 1)
	}
	return append(b, 0)
}

// ParseChain reads what [Chain.Append] wrote.
func ParseChain(b []byte) (c Chain, err error) {
	r := reader{b: b}
	c.Leaves = r.uvarint()
	copy(c.Digest[:], r.take(len(c.Digest)))
	c.Last, c.Accesses = r.uvarint(), r.uvarint()
	for _, t := range []*time.Time{&c.LastAccess, &c.ClosedAt} {
		if r.byte() == 1 {
			*t = r.time()
		}
	}
	c.Erased = r.byte() == 1
	if r.failed || string(c.Append(nil)) != string(b) {
		return Chain{}, errors.New("not a row of a customer's chain")
	}
	return c, nil
}
