package customers

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/index"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// plaintext makes the bundle of a disclosure, the same one each time as long as nobody in it is erased.
func (l *Log) plaintext(ctx context.Context, d *Disclosure) ([]byte, error) {
	if err := l.fits(d); err != nil {
		return nil, err
	}
	b := &bundle.Bundle{Head: bundle.Head{Source: bundle.Source{Ledger: l.config.Ledger, Party: l.config.Party, Request: d.Request}, Asked: d.Asked}, Chains: d.Chains}
	if d.Period > 0 {
		if err := l.bundleLog(ctx, d, b); err != nil {
			return nil, err
		}
	}
	size := 0
	for _, h := range d.Handles {
		c, err := l.bundleCustomer(ctx, d, h)
		if err != nil {
			return nil, fmt.Errorf("customer %s: %w", h, err)
		}
		if size += c.Size(); size > bundle.MaxBytes { // before the next ones are read
			return nil, tooLarge(d)
		}
		b.Customers = append(b.Customers, c)
	}
	raw, err := b.Format()
	if errors.Is(err, bundle.ErrTooLarge) {
		err = tooLarge(d)
	}
	return raw, err
}

// leastLine is how many bytes an event takes in a bundle at the least: its canonical form and a salt.
const leastLine = 700

// maxEventsShown is of how many events a bundle has room at the most, whatever is asked of each.
const maxEventsShown = bundle.MaxBytes / leastLine

// fits refuses what is too large by the number of its events alone, before one of them is read.
func (l *Log) fits(d *Disclosure) error {
	events := uint64(0)
	for _, h := range d.Handles {
		n, err := l.filedNow(h)
		if err != nil {
			return err
		}
		if n > maxEventsShown {
			return record.Refuse(record.Invalid, "customer %s has %d events, and a bundle has room for %d (%d MiB): each of a customer's events has a line in it, asked for or not, or it would not show that these are all. Agree on another way with the authority", h, n, maxEventsShown, bundle.MaxBytes>>20)
		}
		events += n
	}
	if events > maxEventsShown {
		return record.Refuse(record.Invalid, "these %d customers have %d events, and a bundle has room for %d (%d MiB): each of a customer's events has a line in it, asked for or not. Answer in several disclosures, each of fewer customers (--handle)", len(d.Handles), events, maxEventsShown, bundle.MaxBytes>>20)
	}
	return nil
}

// tooLarge says how what is asked for becomes smaller.
func tooLarge(d *Disclosure) error {
	several := ""
	if len(d.Handles) > 1 {
		several = "fewer customers (--handle), "
	}
	return record.Refuse(record.Invalid, "the bundle would be larger than %d MiB: answer in several disclosures, each of %sa shorter time (--from, --until), or fewer kinds and fields (--kind, --field); the lines of all other events are short", bundle.MaxBytes>>20, several)
}

// filedNow is how many events a customer has; 0 where he is erased or there is none.
func (l *Log) filedNow(h event.Handle) (uint64, error) {
	c, err := l.byHandle(h)
	if errors.Is(err, vault.ErrNoCustomer) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	chain, _, err := l.fold.readChain(c.ref, c)
	return chain.Leaves, err
}

// bundleLog is what a bundle says of the log at the period's end.
func (l *Log) bundleLog(ctx context.Context, d *Disclosure, b *bundle.Bundle) error {
	ev, err := l.mapEvidence(ctx, d.Period)
	if err != nil {
		return err
	}
	keyProof, err := ev.SaltProof.MarshalText()
	if err != nil {
		return err
	}
	b.Head.Log = &bundle.Log{
		Record: d.Record, Size: int64(ev.Period.Size), Root: ev.Period.Root.String(),
		MapRoot: ev.Map.Value, MapSalt: base64.StdEncoding.EncodeToString(ev.Map.Salt),
		KeySalt: base64.StdEncoding.EncodeToString(ev.MapSalt), KeyProof: string(keyProof),
	}
	for _, h := range ev.Last.Path {
		b.Head.Log.MapPath = append(b.Head.Log.MapPath, h.String())
	}
	return nil
}

func (l *Log) bundleCustomer(ctx context.Context, d *Disclosure, h event.Handle) (c bundle.Customer, err error) {
	c.Handle = h
	var ev *Evidence
	_, err = l.byHandle(h)
	erased := errors.Is(err, vault.ErrNoCustomer)
	if err != nil && !erased {
		return c, err
	}
	switch {
	case erased:
		ev, err = l.erasedEvidence(ctx, h, d)
		c.Erased = err == nil
		if erased = c.Erased; !erased && errors.Is(err, vault.ErrNoCustomer) && d.Period > 0 {
			c.Proof, err = l.proveAbsent(ctx, h, d.Period) // nobody ever had the handle
			return c, err
		}
	case d.Period > 0:
		ev, err = l.evidence(ctx, h, d.Period)
	default:
		ev = &Evidence{Scope: l.fold.scope, Handle: h}
	}
	if err != nil {
		return c, err
	}
	c.Filed, c.Proof = ev.Filed, ev.MapProof
	if !erased {
		if ev.Events, err = l.beyond(ctx, ev, d.Upto); err != nil {
			return c, err
		}
	}
	for _, e := range ev.Events {
		o, err := l.openings(d, c.Erased, e.Event)
		if err != nil {
			return c, err
		}
		c.Events = append(c.Events, bundle.Event{Leaf: e.Index, Path: e.Path, Openings: o})
	}
	return c, nil
}

// beyond are an evidence's events, and those that the log has beyond its period.
func (l *Log) beyond(ctx context.Context, ev *Evidence, upto uint64) ([]Proven, error) {
	var later []Proven
	for before := upto; ; {
		some, more, err := l.chain(ctx, ev.Handle, before, maxEvents)
		if err != nil {
			return nil, err
		}
		for _, e := range some {
			if e.Index < ev.Period.Size {
				more = false
				break
			}
			later = append(later, Proven{Logged: e})
		}
		if !more {
			break
		}
		before = some[len(some)-1].Index
	}
	slices.Reverse(later)
	return append(ev.Events, later...), nil
}

// openings are those of an event that was asked for, or that show that it was not.
func (l *Log) openings(d *Disclosure, all bool, e *event.Event) ([]record.Opening, error) {
	scope := l.fold.scope
	switch {
	case all:
		return scope.Openings(e)
	case !d.Asked.Within(e.Time):
		return scope.Openings(e, "time")
	case !d.Asked.WantsKind(e.Kind):
		return scope.Openings(e, "kind")
	}
	o, err := scope.Openings(e)
	const contents = "/event/content"
	return slices.DeleteFunc(o, func(o record.Opening) bool {
		pointer, of := bytes.CutPrefix([]byte(o.Pointer), []byte(contents+"/"))
		return of && !d.Asked.WantsValue("/"+string(pointer))
	}), err
}

// erasedEvidence is that of an erased customer: the event that says so, and what the map files
// under the handle.
func (l *Log) erasedEvidence(ctx context.Context, h event.Handle, d *Disclosure) (*Evidence, error) {
	ref, chain, err := l.findErased(ctx, h)
	if err != nil {
		return nil, err
	}
	e, _, err := l.fold.readEvent(chain.Last)
	if err != nil {
		return nil, err
	}
	ev := &Evidence{Scope: l.fold.scope}
	if d.Period > 0 {
		if ev, err = l.mapEvidence(ctx, d.Period); err != nil {
			return nil, err
		}
	}
	ev.Handle, ev.Events = h, []Proven{{Logged: Logged{chain.Last, e}}}
	if d.Period == 0 {
		return ev, nil
	}
	there, err := l.proveHandle(ev)
	if err != nil {
		return nil, err
	}
	if there {
		filed := chain.Filed
		if chain.Last >= ev.Period.Size { // erased since: which leaves were filed then, their rows still say
			if filed, err = l.filedOf(ctx, ref, ev.Period.Size); err != nil {
				return nil, err
			}
		}
		o, err := l.fold.filedOpening(h, filed)
		if err != nil {
			return nil, err
		}
		ev.Filed = &o
	}
	if chain.Last < ev.Period.Size {
		if ev.Events[0], err = l.prove(ctx, ev.tree, ev.Events[0].Logged); err != nil {
			return nil, err
		}
	}
	return ev, nil
}

// proveAbsent proves that nothing is filed under a handle that nobody has, nor had.
func (l *Log) proveAbsent(ctx context.Context, h event.Handle, period uint64) (*index.Proof, error) {
	ev, err := l.mapEvidence(ctx, period)
	if err != nil {
		return nil, err
	}
	ev.Handle = h
	there, err := l.proveHandle(ev)
	if err == nil && there {
		err = fmt.Errorf("%w: the map of period %d files something under %s, and there is no chain of it", ledger.ErrCorrupt, period, h)
	}
	return ev.MapProof, err
}

// findErased finds an erased customer by the handle: vault.ErrNoCustomer if nobody had it. It
// reads the chains of all customers.
func (l *Log) findErased(ctx context.Context, h event.Handle) (ref vault.Ref, chain event.Chain, err error) {
	found := false
	err = scan(l.fold.db, []byte{tableChain}, func(key, value []byte) (bool, error) {
		if len(value) == 0 || value[0] != byHouse || vault.Ref(key[1:]) == (vault.Ref{}) {
			return true, ctx.Err()
		}
		c, handle, err := l.fold.readChain(vault.Ref(key[1:]), nil)
		if err == nil && handle == h && c.Erased {
			ref, chain, found = vault.Ref(key[1:]), c, true
		}
		return !found, err
	})
	if err == nil && !found {
		err = vault.ErrNoCustomer
	}
	return ref, chain, err
}

// filedOf is what was filed of a ref below a size, by the rows of its events.
func (l *Log) filedOf(ctx context.Context, ref vault.Ref, size uint64) (filed event.Filed, err error) {
	err = scan(l.fold.db, []byte{tableEvent}, func(key, value []byte) (bool, error) {
		at := binary.BigEndian.Uint64(key[1:])
		r, err := parseEventRow(value)
		if err == nil && r.sealer != byPeriod && r.ref == ref && at < size {
			filed = filed.Add(at)
		}
		return at < size, errors.Join(err, ctx.Err())
	})
	return filed, err
}
