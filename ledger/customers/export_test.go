package customers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
)

// What a lying provider does to their own log, who has every key.

// ForgetEvents makes a customer's chain what it was after its first n events.
func (l *Log) ForgetEvents(ctx context.Context, h event.Handle, n uint64) error {
	events, _, err := l.chain(ctx, h, 0, maxEvents)
	if err != nil {
		return err
	}
	who, err := l.byHandle(h)
	if err != nil {
		return err
	}
	var c event.Chain
	for i := range n {
		e := events[len(events)-1-int(i)]
		if c, err = c.Apply(e.Event, e.Index); err != nil {
			return err
		}
	}
	row, err := l.fold.sealChain(who, c)
	if err != nil {
		return err
	}
	l.fold.forget()
	return l.fold.db.Set(refKey(tableChain, who.ref), row, pebble.Sync)
}

// ClaimEvents makes a customer's chain say that it has so many events.
func (l *Log) ClaimEvents(h event.Handle, n uint64) error {
	who, err := l.byHandle(h)
	if err != nil {
		return err
	}
	c, _, err := l.fold.readChain(who.ref, who)
	if err != nil {
		return err
	}
	c.Leaves = n
	row, err := l.fold.sealChain(who, c)
	if err != nil {
		return err
	}
	return l.fold.db.Set(refKey(tableChain, who.ref), row, pebble.Sync)
}

// SpoilChain flips a bit of a customer's chain on the disk.
func (l *Log) SpoilChain(h event.Handle) error {
	who, err := l.byHandle(h)
	if err != nil {
		return err
	}
	row, err := l.fold.db.Row(refKey(tableChain, who.ref))
	if err != nil {
		return err
	}
	row[len(row)-1] ^= 1
	l.fold.forget()
	return l.fold.db.Set(refKey(tableChain, who.ref), row, pebble.Sync)
}

// DropRow takes away the event beside a leaf.
func (l *Log) DropRow(index uint64) error {
	return l.fold.db.Delete(numberKey(tableEvent, index), pebble.Sync)
}

// SwapRows puts the events beside two leaves in each other's place.
func (l *Log) SwapRows(i, j uint64) error {
	one, err := l.fold.db.Row(numberKey(tableEvent, i))
	if err != nil {
		return err
	}
	other, err := l.fold.db.Row(numberKey(tableEvent, j))
	if err != nil {
		return err
	}
	if err := l.fold.db.Set(numberKey(tableEvent, i), other, pebble.Sync); err != nil {
		return err
	}
	return l.fold.db.Set(numberKey(tableEvent, j), one, pebble.Sync)
}

// ForgetDerived takes away what replay makes anew, so that the next opening does.
func (l *Log) ForgetDerived() error {
	for _, table := range []byte{tableChain, tableLife, tableID, tablePeriod, tableRecord, tableErasing} {
		if err := l.fold.db.DeleteRange([]byte{table}, []byte{table + 1}, pebble.Sync); err != nil {
			return err
		}
	}
	return l.fold.db.Delete(metaCursor, pebble.Sync)
}

// Derived is what replay makes, in clear: states by handle, and the other rows in hexadecimal.
func (l *Log) Derived(ctx context.Context) (map[string]string, error) {
	out := make(map[string]string)
	refs, err := l.refsSince(ctx, 0)
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		who, err := l.fold.identityOf(eventRow{sealer: byCustomer, ref: ref})
		if errors.Is(err, vault.ErrNoCustomer) {
			c, h, err := l.fold.readChain(ref, nil)
			if err != nil {
				return nil, err
			}
			out[h.String()] = fmt.Sprintf("%d %d erased %t", c.Leaves, c.Last, c.Erased)
			continue
		}
		if ref == (vault.Ref{}) {
			who, err = house(l.config.Vault)
		}
		if err != nil {
			return nil, err
		}
		s, err := l.stateOf(who)
		if err != nil {
			return nil, err
		}
		life, err := json.Marshal(s.Life)
		out[s.Handle.String()] = fmt.Sprintf("%+v %s", s.Chain, life)
		if err != nil {
			return nil, err
		}
	}
	for _, table := range []byte{tableID, tablePeriod, tableRecord, tableErasing} {
		err := scan(l.fold.db, []byte{table}, func(key, value []byte) (bool, error) {
			out[fmt.Sprintf("%c %x", table, key)] = fmt.Sprintf("%x", value)
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// BackDate makes every event from now on logged so much earlier.
func (l *Log) BackDate(ctx context.Context, by time.Duration) (err error) {
	f := backDating{l.fold, by}
	l.engine, err = ledger.Open(ctx, store{l.config.Store, l.fold}, f, ledger.Config{Origin: l.config.Origin, Signers: l.config.Signers, MaxBacklog: maxBacklog})
	return err
}

type backDating struct {
	*fold
	by time.Duration
}

func (f backDating) Begin(admitted time.Time) ledger.Draft[item] {
	return f.fold.Begin(admitted.Add(-f.by))
}
