package customers

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Erasable is nil if a customer may be erased now, and else a *[record.Refusal] that says why
// not, and from when on.
func (l *Log) Erasable(s event.State, now time.Time) error {
	switch {
	case s.Erased:
		return record.Refuse(record.Conflict, "the customer is erased already")
	case s.ClosedAt.IsZero():
		return record.Refuse(record.Conflict, "the account is open: only what is closed is erased")
	case len(s.Holds) > 0:
		return record.Refuse(record.Conflict, "it is held, since %s: release it first", record.Instant{Time: s.Holds[0].At})
	}
	if from := l.config.Retention.AddTo(s.ClosedAt); now.Before(from) {
		return record.Refuse(record.Conflict, "it was closed at %s and is kept for %s: it may be erased from %s on", record.Instant{Time: s.ClosedAt}, l.config.Retention, record.Instant{Time: from})
	}
	return nil
}

// Erase destroys customers' keys, durably, in every file of the key store, and logs an erased
// event of each before. It answers for each customer by itself: nil, or why not. Whoever
// appends or reads waits meanwhile, and it costs as much for many as for one.
func (l *Log) Erase(ctx context.Context, who Who, handles ...event.Handle) ([]error, error) {
	l.holding.Lock()
	defer l.holding.Unlock()
	if err := errors.Join(l.usable(), l.mayAppend()); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // a key that is to go, goes
	outcomes := make([]error, len(handles))
	now := time.Now()
	for i, h := range handles {
		err := l.logErasure(ctx, who, h, now)
		if err != nil && !isRefusal(err) && !errors.Is(err, vault.ErrNoCustomer) {
			return nil, errors.Join(err, l.finishErasures(ctx))
		}
		outcomes[i] = err
	}
	return outcomes, l.finishErasures(ctx)
}

// logErasure logs the erased event; from then on the key is only to be destroyed.
func (l *Log) logErasure(ctx context.Context, who Who, h event.Handle, now time.Time) error {
	if h == event.House {
		return vault.ErrNoCustomer
	}
	c, err := l.byHandle(h)
	if err != nil {
		return err
	}
	s, err := l.stateOf(c)
	if err == nil {
		err = l.Erasable(s, now)
	}
	if err == nil {
		var number uint64
		if number, err = l.waiting(h); number > 0 {
			err = record.Refuse(record.Conflict, "disclosure %d names it and is not handed out: hand it out or withdraw it first", number)
		}
	}
	if err != nil {
		return err
	}
	reason := who.Reason
	if reason == "" {
		reason = "kept for " + l.config.Retention.String() + " after it was closed"
	}
	backups := record.DateOf(now.Add(vault.KeepBackups), time.UTC)
	e := &event.Event{
		Header:  event.Header{Handle: h, Kind: event.KindErased, Time: now.UTC().Truncate(time.Millisecond)},
		Salt:    event.NewSalt(),
		Content: &event.Erased{Reason: reason, By: who.By, Events: int64(s.Leaves), Filed: hex.EncodeToString(s.Digest[:]), BackupsUntil: &backups},
	}
	result := make([]Result, 1)
	if err := l.append(ctx, []item{{id: randomID(), who: c, event: l.fold.scope.Prepare(e)}}, result); err != nil {
		return err
	}
	return result[0].Err
}

// finishErasures destroys the keys of all who are logged as erased: now, or before what cut
// it off, or again after a backup of the keys was brought back.
func (l *Log) finishErasures(ctx context.Context) error {
	var refs []vault.Ref
	err := scan(l.fold.db, []byte{tableErasing}, func(key, _ []byte) (bool, error) {
		refs = append(refs, vault.Ref(key[1:]))
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, ref := range l.fold.erased {
		if _, err := l.config.Keys.Customer(ref); err == nil {
			refs = append(refs, ref)
		} else if !errors.Is(err, vault.ErrNoCustomer) {
			return err
		}
	}
	if len(refs) == 0 {
		return nil
	}
	if err := l.config.Keys.Erase(ctx, refs...); err != nil {
		return err
	}
	l.identities.forget()
	l.fold.forget()
	l.fold.erased = nil
	return l.fold.db.DeleteRange([]byte{tableErasing}, []byte{tableErasing + 1}, pebble.Sync)
}
