package customers

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/index"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Report is what a replay of the whole private log found.
type Report struct {
	Size uint64     // leaves
	Root proof.Hash // over them, as they were read

	Events    uint64 // opened, each of its leaf
	Erased    uint64 // events whose customer's key is destroyed: nobody can open them any more
	Padding   uint64
	Periods   uint64
	Customers uint64 // as [Stats] counts them: with a key, so that neither the house nor who is erased is among them
	Gone      uint64 // customers erased
	Late      uint64 // events of a day that a period before had fixed already

	Problems []string // what is wrong, at most 100; none: all leaves are accounted for
}

const maxProblems = 100

// Audit replays the log with its plaintexts. It reads every leaf, makes the tree over them
// anew, opens each (an event, padding, or a period's last), follows every customer's chain,
// and makes the map of each period anew. What it finds wrong is in the report; an
// error says that it could not go on. Events that come in meanwhile are not looked at.
func (l *Log) Audit(ctx context.Context, progress func(done, total uint64)) (Report, error) {
	if err := l.begin(); err != nil {
		return Report{}, err
	}
	head := l.engine.Head()
	l.end()
	a := &auditor{log: l, report: Report{Size: head.Size}, chains: make(map[vault.Ref]*audited)}
	tree := proof.NewAppender()
	for at := uint64(0); at < head.Size; {
		end := min(head.Size, at+1024)
		if err := a.some(ctx, at, end, tree); err != nil {
			return a.report, err
		}
		if at = end; progress != nil {
			progress(at, head.Size)
		}
	}
	s, err := tree.Snapshot()
	if err != nil {
		return a.report, err
	}
	if a.report.Root = s.Root; s.Root != head.Root {
		a.problem("the leaves have the root %s, and the log's head says %s", s.Root, head.Root)
	}
	return a.report, a.checkEnds()
}

// audited is a customer as the leaves so far say: little enough for millions of them.
type audited struct {
	event.Chain
	who    *identity // nil where the key is gone
	handle event.Handle
	gone   event.Filed // of events that cannot be opened any more
	last   uint64      // leaf index of the newest of all
	seen   bool        // an event of it was opened
}

type auditor struct {
	log    *Log
	report Report
	chains map[vault.Ref]*audited
	house  *identity

	logged time.Time // of the newest event
	period periodRow // the newest
	keys   []auditedKey
}

// auditedKey is a key of the map, whose it is, sorted when a map is made.
type auditedKey struct {
	key index.Key
	of  *audited // nil: a dummy, or the map's own salt
	n   uint64   // of a dummy, from 1; 0 is the salt
}

func (a *auditor) problem(format string, args ...any) {
	if len(a.report.Problems) < maxProblems {
		a.report.Problems = append(a.report.Problems, fmt.Sprintf(format, args...))
	}
}

// some audits the leaves [at, end).
func (a *auditor) some(ctx context.Context, at, end uint64, tree *proof.Appender) error {
	if err := a.log.begin(); err != nil {
		return err
	}
	defer a.log.end()
	leaves, err := a.log.config.Store.Entries(ctx, at, end)
	if err != nil {
		return err
	}
	rows := make(map[uint64]eventRow, len(leaves))
	err = scan(a.log.fold.db, numberKey(tableEvent, at), func(key, value []byte) (bool, error) {
		n := binary.BigEndian.Uint64(key[1:])
		if n >= end {
			return false, nil
		}
		r, err := parseEventRow(slices.Clone(value))
		rows[n] = r
		return true, err
	})
	if err != nil {
		return err
	}
	for i, leaf := range leaves {
		if err := tree.Append(proof.LeafHash(leaf)); err != nil {
			return err
		}
		r, ok := rows[at+uint64(i)]
		if err := a.leaf(ctx, at+uint64(i), leaf, r, ok); err != nil {
			return err
		}
	}
	tree.TakeTiles() // nobody wants them
	return nil
}

// leaf audits one leaf. Its error is one that says nothing of the log.
func (a *auditor) leaf(ctx context.Context, at uint64, leaf []byte, r eventRow, hasRow bool) error {
	f := a.log.fold
	switch {
	case !hasRow:
		salt, err := f.vault.Pad(at)
		if err != nil {
			return err
		}
		if err := f.scope.ShowPad(leaf, at, event.PadOpening(salt, at)); err != nil {
			a.problem("leaf %d: it is no padding, and there is no event for it", at)
		}
		a.report.Padding++
		return nil
	case r.sealer == byPeriod:
		return a.periodEnd(ctx, at, leaf, r)
	}
	c, err := a.customer(r)
	if err != nil {
		return err
	}
	if c.who == nil && r.sealer == byCustomer {
		a.report.Erased++
		c.gone, c.last = c.gone.Add(at), at
		return nil
	}
	who := c.who
	if r.sealer == byHouse {
		who = a.house
	}
	e, err := f.open(at, r, who)
	if errors.Is(err, vault.ErrLocked) {
		return err
	} else if err != nil {
		a.problem("leaf %d: %v", at, err)
		return nil
	}
	if string(f.scope.Leaf(e)) != string(leaf) {
		a.problem("leaf %d is not that of the event beside it", at)
	}
	a.event(at, c, e)
	return nil
}

// customer is whose event a row is.
func (a *auditor) customer(r eventRow) (*audited, error) {
	if a.house == nil {
		h, err := house(a.log.config.Vault)
		if err != nil {
			return nil, err
		}
		a.house = h
	}
	c := a.chains[r.ref]
	if c != nil {
		return c, nil
	}
	c = &audited{}
	a.chains[r.ref] = c
	if r.ref == (vault.Ref{}) {
		c.who = a.house
		return c, a.addKey(c)
	}
	who, err := a.log.identities.of(a.log.config.Keys, r.ref)
	switch {
	case err == nil:
		c.who, c.handle = who, who.handle
	case errors.Is(err, vault.ErrNoCustomer):
		if _, c.handle, err = a.log.fold.readChain(r.ref, nil); err != nil {
			a.problem("%v", err)
		}
	default:
		return nil, err
	}
	return c, a.addKey(c)
}

func (a *auditor) addKey(c *audited) error {
	k, err := a.log.fold.mapKey(c.handle)
	a.keys = append(a.keys, auditedKey{key: k, of: c})
	return err
}

// event follows the chain of an event's customer.
func (a *auditor) event(at uint64, c *audited, e *event.Event) {
	a.report.Events++
	if !c.seen {
		c.seen = true
		if c.who != a.house {
			a.report.Customers++
		}
	}
	if e.Logged.Before(a.logged) {
		a.problem("leaf %d is logged at %s, before the leaf before it, at %s: it was back-dated", at, e.Logged.Format(time.RFC3339Nano), a.logged.Format(time.RFC3339Nano))
	}
	a.logged = e.Logged
	if a.period.Number > 0 && !record.DateOf(e.Time, time.UTC).After(a.period.Until) {
		a.report.Late++
	}
	c.last = at
	if content, ok := e.Content.(*event.Erased); ok {
		a.report.Gone++
		if !c.Erased {
			a.report.Customers--
		}
		if c.gone.Leaves > 0 { // the key is gone: what it says of the events before must be what stands there
			if want := (event.Filed{Leaves: uint64(content.Events), Digest: c.gone.Digest}); want != c.gone || hex.EncodeToString(c.gone.Digest[:]) != content.Filed {
				a.problem("leaf %d says that %s had %d events when it was erased, and %d are there, or other ones", at, e.Handle, content.Events, c.gone.Leaves)
			}
			before, err := chainOf(content, e)
			if err != nil {
				a.problem("leaf %d: %v", at, err)
			}
			c.Chain = before
		}
		chain, err := c.Chain.Apply(e, at)
		if err != nil {
			a.problem("leaf %d: %v", at, err)
		}
		c.Chain = chain
		return
	}
	next, err := c.Chain.Apply(e, at)
	if err != nil {
		a.problem("leaf %d: %v", at, err)
		next = c.Chain
		next.Filed, next.Last = next.Filed.Add(at), at // filed it is
		next.Leaves = e.Number + 1                     // and the next one follows it
	}
	c.Chain = next
}

// filed is what the map must say of a customer.
func (c *audited) filed() event.Filed {
	if c.Leaves == 0 {
		return c.gone
	}
	return c.Filed
}

// periodEnd makes the map of a period anew.
func (a *auditor) periodEnd(ctx context.Context, at uint64, leaf []byte, r eventRow) error {
	f := a.log.fold
	p, err := f.openPeriod(at, r)
	if errors.Is(err, vault.ErrLocked) {
		return err
	} else if err != nil {
		a.problem("leaf %d: %v", at, err)
		return nil
	}
	salt, err := f.vault.Pad(at)
	if err != nil {
		return err
	}
	if _, err := f.scope.ShowMap(leaf, event.MapOpening(salt, p.MapRoot)); err != nil {
		a.problem("leaf %d does not fix the map root that lies beside it", at)
	}
	if p.Number != a.period.Number+1 || a.period.Number > 0 && !p.Until.After(a.period.Until) {
		a.problem("leaf %d ends period %d until %s, after period %d until %s", at, p.Number, p.Until, a.period.Number, a.period.Until)
	}
	if a.period.Number == 0 {
		a.keys = append(a.keys, auditedKey{key: saltKey()})
	}
	for n := a.period.Dummies; n < p.Dummies; n++ {
		e, err := f.dummyEntry(n)
		if err != nil {
			return err
		}
		a.keys = append(a.keys, auditedKey{key: e.Key, n: n + 1})
	}
	a.period, a.logged = p, p.ClosedAt
	a.report.Periods++
	root, err := a.mapRoot(ctx)
	if err != nil {
		return err
	}
	if root != p.MapRoot {
		a.problem("leaf %d fixes the map root %s, and what is filed makes %s: the map leaves something out, or lies", at, p.MapRoot, root)
	}
	return nil
}

// mapRoot is the root of the map of all that is filed so far.
func (a *auditor) mapRoot(ctx context.Context) (root proof.Hash, err error) {
	slices.SortFunc(a.keys, func(x, y auditedKey) int { return x.key.Compare(y.key) })
	root, buildErr := index.Root(func(yield func(index.Entry) bool) {
		for _, k := range a.keys {
			var e index.Entry
			switch {
			case k.of != nil:
				e, err = a.log.fold.mapEntry(k.of.handle, k.of.filed())
			case k.n > 0:
				e, err = a.log.fold.dummyEntry(k.n - 1)
			default:
				e, err = a.log.fold.saltEntry()
			}
			if err = errors.Join(err, ctx.Err()); err != nil || !yield(e) {
				return
			}
		}
	})
	return root, errors.Join(err, buildErr)
}

// checkEnds compares where the chains end with what the log holds as their ends, which
// whoever is shown a customer sees.
func (a *auditor) checkEnds() error {
	if err := a.log.begin(); err != nil {
		return err
	}
	defer a.log.end()
	refs := make([]vault.Ref, 0, len(a.chains))
	for ref := range a.chains {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, func(x, y vault.Ref) int { return slices.Compare(x[:], y[:]) })
	for _, ref := range refs {
		c := a.chains[ref]
		if c.gone.Leaves > 0 && !c.Erased {
			a.problem("the key of customer %s is gone, and no event says that it was erased", ref)
			continue
		}
		chain, _, err := a.log.fold.readChain(ref, c.who)
		if errors.Is(err, vault.ErrLocked) {
			return err
		} else if err != nil {
			a.problem("%v", err)
			continue
		}
		if chain.Last < a.report.Size && (chain.Filed != c.Filed || chain.Last != c.last) {
			a.problem("customer %s has %d events in the log, the last at leaf %d, and its row says %d, the last at leaf %d", c.handle, c.Leaves, c.last, chain.Leaves, chain.Last)
		}
	}
	return nil
}
