package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// maxClockOffset is the largest difference between the ledger's clock and the
// witnesses' clocks at which the ledger still admits entries. It equals what verifiers
// and auditors tolerate (proof.MaxClockSkew): an entry admitted outside it would fail
// every later audit.
const maxClockOffset = proof.MaxClockSkew

// maxClockStep is how far the wall clock may move against the monotonic one before the
// witnesses have to confirm it anew. Corrections by NTP are far smaller; a machine
// that was asleep, restored from a snapshot or set by hand is beyond it.
const maxClockStep = time.Minute

// ClockError is an [ErrClock] with its reason, in words that name what the clock is held
// against: the witnesses that disagree, or the newest entry.
type ClockError struct {
	Reason string
	Until  time.Time // when this clock will have caught up, if it is not set before; zero: once the witnesses confirm it
	Cause  error     // of the witnesses' silence, where that is the reason; nil otherwise
}

func (e *ClockError) Error() string {
	text := ErrClock.Error() + ": " + e.Reason
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Is makes every ClockError an [ErrClock].
func (e *ClockError) Is(target error) bool { return target == ErrClock }

func (e *ClockError) Unwrap() error { return e.Cause }

// clockSample is one comparison of the ledger's clock with those of a quorum.
type clockSample struct {
	wall time.Time // when; without a monotonic part
	mono time.Time // the same moment with it
	err  error     // why the clock is not to be trusted; nil if it was confirmed
}

// stepSince is how far the wall clock was moved since the reading.
func (r *clockSample) stepSince(now time.Time) time.Duration {
	return now.Round(0).Sub(r.wall) - now.Sub(r.mono)
}

// CheckClock has the witnesses confirm the ledger's clock if they have not done so
// since the ledger was opened, if it was off the last time, or if it was moved since.
// It has to, because an admission time cannot be corrected later. It returns [ErrClock]
// if the clock is off, or was moved and no quorum answers; call it again.
//
// It returns nil where the clock cannot be checked: the quorum is none, nothing is
// published, or no quorum answers and no evidence contradicts the clock. Refusing then
// would also refuse the charter that replaces lost witnesses.
func (l *Ledger[V]) CheckClock(ctx context.Context) error {
	if l.clockConfirmed() {
		return nil
	}
	l.publishing.Lock()
	defer l.publishing.Unlock()
	if err := errors.Join(ctx.Err(), l.Err()); err != nil {
		return err
	}
	if l.clockConfirmed() { // while this waited
		return nil
	}
	err := l.recosign(ctx)
	if errors.Is(err, ErrNoQuorum) && l.lastClockSample.Load() == nil {
		l.config.Log.Warn("no quorum confirms the clock; it is taken as it is", "origin", l.config.Origin, "size", l.Head().Size, "err", err)
		return nil
	}
	if errors.Is(err, ErrNoQuorum) && l.clockConfirmed() {
		return nil // by cosignatures that came too early to count for more
	}
	if err != nil && !errors.Is(err, ErrClock) {
		return &ClockError{Reason: "it was moved or off, and the witnesses have not confirmed it since", Cause: err}
	}
	return cmp.Or(err, l.clockErr(time.Now()))
}

// clockConfirmed says that a quorum has confirmed the clock, or that none has to.
func (l *Ledger[V]) clockConfirmed() bool {
	if l.lastClockSample.Load() != nil {
		return l.clockErr(time.Now()) == nil
	}
	if l.config.Cosign == nil || l.Published() == nil {
		return true
	}
	policy, _, err := l.fold.Policy(l.Head().Size)
	return err == nil && policy.QuorumIsNone()
}

// clockErr says why nothing must be admitted now, as far as is known.
func (l *Ledger[V]) clockErr(now time.Time) error {
	r := l.lastClockSample.Load()
	switch {
	case r == nil:
		return nil
	case r.err != nil:
		return r.err
	}
	if step := r.stepSince(now); step.Abs() > maxClockStep {
		return &ClockError{Reason: fmt.Sprintf("it was moved by %s, and the witnesses have not confirmed it since", step.Round(time.Second))}
	}
	return nil
}

// ClockErr returns why the clock lets nothing be admitted now, from what is known
// already; it sends no request. The error is a *[ClockError], or nil.
func (l *Ledger[V]) ClockErr() error {
	now := time.Now()
	return cmp.Or(l.clockErr(now), checkNotBehind(now, l.tree.Load().admitted))
}

// checkNotBehind refuses a clock that is farther behind the newest entry than verifiers
// tolerate: witnesses' times would always contradict what is admitted at that entry's
// time, and without any witness such a clock is more likely wrong than the entry.
func checkNotBehind(now, newest time.Time) error {
	by := newest.Sub(now)
	if by <= maxClockOffset {
		return nil
	}
	until := newest.Add(-maxClockOffset)
	return &ClockError{
		Reason: fmt.Sprintf("it says %s, %s behind the newest entry; records are admitted once it is set right, or says %s",
			now.UTC().Format(time.RFC3339), by.Round(time.Second), until.UTC().Format(time.RFC3339)),
		Until: until,
	}
}

// logClockError logs why the clock keeps records out, once a minute however many ask.
func (l *Ledger[V]) logClockError(err error) {
	if l.clockErrorLog.allow() {
		l.config.Log.Error("the clock is off; nothing is admitted", "origin", l.config.Origin, "size", l.Head().Size, "err", err)
	}
}

// oncePerMinute lets one line a minute into the log. Any goroutine may ask.
type oncePerMinute struct {
	mu   sync.Mutex
	last time.Time
}

func (m *oncePerMinute) allow() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if !m.last.IsZero() && now.Sub(m.last) < time.Minute {
		return false
	}
	m.last = now
	return true
}

// sampleClock compares the clock with the times of the cosignatures that have just
// come. It is right if those that agree with it make a quorum, so that no few
// witnesses can stop the ledger by lying; wrong if only all together do, and its
// error names them; and without a quorum of either, nothing is learned. published is what
// they made, nil if nothing or not they alone.
func (l *Ledger[V]) sampleClock(ask CosignRequest, cosignatures []proof.Signature, published *proof.Published) error {
	if ask.Policy.QuorumIsNone() || len(cosignatures) == 0 {
		return nil
	}
	if published == nil {
		var err error
		if published, err = l.verifyCosignedAt(ask, cosignatures, farFuture); err != nil {
			return nil
		}
	}
	now := time.Now()
	var agree, disagree []string
	for _, c := range published.Cosignatures() {
		if off := now.Sub(c.Time); off.Abs() <= maxClockOffset {
			agree = append(agree, c.Witness)
		} else {
			disagree = append(disagree, describeOffset(c.Witness, off))
		}
	}
	r := &clockSample{wall: now.Round(0), mono: now}
	if !ask.Policy.Satisfied(agree...) {
		r.err = clockOffsetError(agree, disagree)
		l.logClockError(r.err)
	}
	l.lastClockSample.Store(r)
	return r.err
}

// checkAdmissionTime refuses a tree whose newest entry is from the future: it was
// admitted by a clock that was ahead while no quorum answered. Witnesses would date the
// tree before its entries, and no verifier would accept it. A tree that no witness has
// seen can still be discarded.
func (t *treeSnapshot) checkAdmissionTime(now time.Time) error {
	if t.Size == 0 || !t.admitted.After(now.Add(proof.MaxClockSkew)) {
		return nil
	}
	return &ClockError{
		Reason: fmt.Sprintf("it says %s, and the newest entry was admitted %s: nothing that holds it is signed before then",
			now.UTC().Format(time.RFC3339), t.admitted.Format(time.RFC3339)),
		Until: t.admitted.Add(-proof.MaxClockSkew),
	}
}

// describeOffset says how far the clock is from that of one witness.
func describeOffset(witness string, off time.Duration) string {
	word := "ahead of"
	if off < 0 {
		word = "behind"
	}
	return fmt.Sprintf("%s %s %s", off.Abs().Round(time.Second), word, witness)
}

// maxNamedWitnesses is how many witnesses a reason names.
const maxNamedWitnesses = 8

// clockOffsetError names the witnesses that disagree, each with the difference, and those that
// do not.
func clockOffsetError(agree, disagree []string) error {
	name := func(all []string) string {
		if more := len(all) - maxNamedWitnesses; more > 0 {
			return fmt.Sprintf("%s and %d more", strings.Join(all[:maxNamedWitnesses], ", "), more)
		}
		return strings.Join(all, ", ")
	}
	reason := "it is " + name(disagree)
	if len(agree) > 0 {
		reason += "; it agrees with " + name(agree) + ", which is no quorum"
	}
	return &ClockError{Reason: reason}
}
