package simtest

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// officer is in whose name the provider's people act.
var officer = customers.Who{By: "compliance-1", Role: "compliance"}

// enrolProvider is a day without mishaps, at whose end the provider is enrolled on the ledger.
func (sim *simulation) enrolProvider() error {
	if err := sim.endFaults(); err != nil {
		return err
	}
	defer sim.net.setFaultFree(false)
	for sim.authors.Head(record.PartyThread(provider)).IsZero() {
		if l := sim.authors.nextSubmission(); l != nil {
			sim.authors.send(l)
		}
		if err := sim.commitAndPublish(); err != nil {
			return err
		}
	}
	return nil
}

// stepCustomers is one thing that happens to a provider's private log, or to the ledger that it is
// published on.
func (sim *simulation) stepCustomers() error {
	n := sim.customers
	if sim.ledger.node == nil {
		return sim.startLedger()
	}
	if n.log == nil {
		return n.restart()
	}
	switch d := sim.intn(100); {
	case d < 32:
		return n.addSome()
	case d < 40:
		return n.closePeriod()
	case d < 50:
		if err := n.publish(); err != nil || sim.ledger.node == nil {
			return err
		}
		return sim.commitOrPublish()
	case d < 56:
		return n.erase()
	case d < 62:
		return n.disclose()
	case d < 65:
		return n.search()
	case d < 68:
		return n.lock()
	case d < 76:
		after := sim.intn(pick(sim, 6, 60))
		sim.tracef("the power of the customer log will fail after %d writes", after)
		n.fault.arm(false, after, pick(sim, 0, 0, 100), sim.rng.Uint64())
		return pick(sim, n.addSome, n.closePeriod, n.erase)()
	case d < 81:
		keep := pick(sim, 0, 50, 100)
		sim.tracef("the customer log crashes, %d %% of what it had not synced is kept", keep)
		sim.countEvent("customer log crashes")
		n.crash(keep, sim.rng.Uint64())
	case d < 83:
		sim.tracef("the customer log is restarted")
		if err := n.end(); err != nil {
			return err
		}
		return n.restart()
	case d < 88:
		return n.backUpOrRestore()
	case d < 90:
		sim.crashLedgerNow()
	case d < 94:
		return sim.commitOrPublish()
	default:
		d := pick(sim, 3*time.Millisecond, time.Second, 5*time.Minute) // Pebble ticks ten times a second
		sim.tracef("%v pass", d)
		time.Sleep(d)
	}
	return nil
}

// restart starts the process, now and then with another power failure meanwhile, and holds what
// it finds against what it ever acknowledged.
func (n *customerNode) restart() error {
	if n.sim.chance(20) {
		n.fault.arm(false, n.sim.intn(40), pick(n.sim, 0, 100), n.sim.rng.Uint64())
	}
	ok, err := n.start(n.sim.dayCtx)
	n.sim.tracef("the customer log starts: %v", ok)
	if err != nil {
		return err
	}
	if !ok {
		n.sim.countEvent("customer log loses power as it starts")
		return nil
	}
	n.fault.disarm()
	return n.checkRecovered()
}

// addSome sends a batch: new customers, and what befalls those who are there. Now and then an
// event goes along that was acknowledged before.
func (n *customerNode) addSome() error {
	if ok, err := n.resolve(); err != nil || !ok {
		return err
	}
	var batch []event.Input
	opened := make(map[string]bool)
	for range 1 + n.sim.intn(6) {
		open := n.openAccounts()
		if len(open) == 0 || len(n.accounts) < 12 && n.sim.chance(25) {
			a := &account{name: fmt.Sprintf("%s-%d", n.label(), len(n.accounts))}
			n.accounts = append(n.accounts, a)
			batch = append(batch, n.input(a, &event.Opened{Account: a.name, Type: "person", Name: a.person(), Country: "XB", Email: []string{a.email()}}))
			opened[a.name] = true
			continue
		}
		a := open[n.sim.intn(len(open))]
		if !a.decided() && !opened[a.name] || a.closed {
			continue
		}
		batch = append(batch, n.input(a, n.content(a)))
	}
	if a := n.anyAccount(); a != nil && len(a.events) > 0 && !a.gone() && n.sim.chance(30) {
		batch = append(batch, a.events[n.sim.intn(len(a.events))].Input)
	}
	return n.send(batch)
}

// label tells the accounts of one log from those of another that it lost.
func (n *customerNode) label() string { return fmt.Sprintf("a%d", n.sim.seed) }

func (a *account) person() string { return "Quillfeather " + a.name }
func (a *account) email() string  { return a.name + "@mail.example" }

// decided tells whether the account's opening was acknowledged.
func (a *account) decided() bool { return len(a.events) > 0 }

// gone tells whether the customer is erased, or perhaps.
func (a *account) gone() bool { return a.erased || a.erasing != nil }

// openAccounts are the accounts to which something may happen.
func (n *customerNode) openAccounts() (open []*account) {
	for _, a := range n.accounts {
		if !a.gone() && !a.closed {
			open = append(open, a)
		}
	}
	return open
}

func (n *customerNode) anyAccount() *account {
	if len(n.accounts) == 0 {
		return nil
	}
	return n.accounts[n.sim.intn(len(n.accounts))]
}

// input is an event of now, with an ID that no other has.
func (n *customerNode) input(a *account, c event.Content) event.Input {
	n.ids++
	return event.Input{Account: a.name, ID: fmt.Sprint(n.ids), Kind: c.Kind(), Time: time.Now().UTC().Truncate(time.Millisecond), Content: c}
}

// content is something that may befall an open account. What it makes of the account it notes at
// once: events of an account stay in their order.
func (n *customerNode) content(a *account) event.Content {
	switch d := n.sim.intn(20); {
	case d < 9:
		ip := netip.AddrFrom4([4]byte{198, 51, 100, byte(n.sim.intn(256))})
		return &event.Access{IP: ip, Action: "login"}
	case d < 11:
		return &event.Changed{Set: schema.ObjectOf("telephone", []any{fmt.Sprintf("+99 555 %04d", n.sim.intn(10000))})}
	case d < 13:
		return &event.Verified{Method: "documentary", Outcome: "verified", Document: &event.IdentityDocument{Kind: "passport", Issuer: "XB"}, By: "compliance-1"}
	case d < 15 && !a.held:
		a.held = true
		return &event.Held{Reason: "a proceeding", By: "legal"}
	case d < 18 && a.held:
		a.held = false
		return &event.Released{Reason: "it has ended", By: "legal"}
	case d >= 18:
		a.closed = true
		return &event.Closed{Reason: "left", By: "customer"}
	}
	return &event.Flagged{What: "hit", Thread: "designation/2026-000", Outcome: "open"}
}

// resolve sends again what was not answered, until it is: false if the log cannot take it now.
func (n *customerNode) resolve() (bool, error) {
	if n.log == nil {
		return false, nil
	}
	if len(n.unknown) == 0 {
		return true, nil
	}
	n.sim.tracef("%d events are sent again, whose answer never came", len(n.unknown))
	err := n.send(n.unknown)
	return err == nil && n.log != nil && len(n.unknown) == 0, err
}

// send sends events, of which none may be refused, and notes what was acknowledged.
func (n *customerNode) send(batch []event.Input) error {
	n.unknown = batch
	var results []customers.Result
	done, err := n.run(func(l *customers.Log) (err error) {
		results, err = l.Add(n.sim.dayCtx, batch)
		return err
	})
	n.sim.tracef("%d events are sent to the customer log: done %v, %s", len(batch), done, firstLine(err))
	if errors.Is(err, ledger.ErrClock) || errors.Is(err, customers.ErrUnpublished) {
		n.sim.countEvent("customer log waits")
		return nil
	}
	if err != nil || !done {
		return err
	}
	n.unknown = nil
	for i, r := range results {
		if r.Err != nil {
			return fmt.Errorf("an event of kind %s of %s is refused: %w", batch[i].Kind, batch[i].Account, r.Err)
		}
		if err := n.acknowledged(batch[i], r); err != nil {
			return err
		}
	}
	return nil
}

// acknowledged notes what the log said, or holds it against what it said before.
func (n *customerNode) acknowledged(in event.Input, r customers.Result) error {
	a := n.accountOf(in.Account)
	for _, e := range a.events {
		if e.ID != in.ID {
			continue
		}
		if !r.Duplicate || r.Index != e.index || r.Handle != a.handle {
			return fmt.Errorf("event %s of %s was acknowledged as leaf %d of %s, and is now leaf %d of %s (known: %v)", in.ID, a.name, e.index, a.handle, r.Index, r.Handle, r.Duplicate)
		}
		n.sim.countEvent("known event comes again")
		return nil
	}
	if a.decided() && r.Handle != a.handle {
		return fmt.Errorf("account %s has the handle %s, and had %s", a.name, r.Handle, a.handle)
	}
	a.handle = r.Handle
	a.events = append(a.events, loggedInput{in, r.Index})
	n.sim.countEvent("customer event: " + string(in.Kind))
	return nil
}

func (n *customerNode) accountOf(name string) *account {
	for _, a := range n.accounts {
		if a.name == name {
			return a
		}
	}
	panic("sim: no account " + name)
}

// closePeriod ends a period with yesterday.
func (n *customerNode) closePeriod() error {
	until := record.DateOf(time.Now(), time.UTC).AddDays(-1)
	if k := len(n.periods); k > 5 || k > 0 && !until.After(n.periods[k-1].Until) {
		return nil
	}
	var p customers.Period
	done, err := n.run(func(l *customers.Log) (err error) {
		p, err = l.ClosePeriod(n.sim.dayCtx, until)
		return err
	})
	n.sim.tracef("the period until %s is closed with %d leaves: done %v, %s", until, p.Size, done, firstLine(err))
	switch {
	case errors.Is(err, ledger.ErrClock):
		return nil
	case errors.Is(err, customers.ErrPeriod): // the one before was closed, and the power failed before it was said
		return nil
	case err != nil || !done:
		return err
	}
	n.periods = append(n.periods[:0:0], n.log.Periods()...)
	n.sim.countEvent("period closed")
	return nil
}

// publicLog is what the ledger has published of the provider's log.
func (sim *simulation) publicLog() (public customers.PublicLog, all []bundle.Record) {
	thread := record.CustomerLogThread(provider)
	for i, raw := range sim.invariants.entries {
		r := recordOf(uint64(i), raw)
		if r.Statement.Thread != thread {
			continue
		}
		all = append(all, r)
		public.Newest = r
		if vkey := r.Statement.Predicate.(*record.CustomerLog).VKey; vkey != "" {
			public.VKey = vkey
		}
	}
	return public, all
}

func recordOf(index uint64, raw []byte) bundle.Record {
	e, err := record.ParseEntry(raw)
	must(err)
	st, err := record.ParseStatement(e.Envelope.Payload)
	must(err)
	return bundle.Record{ID: record.IDOf(e.Envelope.Payload), Index: index, Admitted: e.Admitted, Statement: st}
}

// publish sends the public record of the next period to the ledger, as far as it is due.
func (n *customerNode) publish() error {
	public, _ := n.sim.publicLog()
	var next *customers.NextRecord
	done, err := n.run(func(l *customers.Log) (err error) {
		next, err = l.NextRecord(n.sim.dayCtx, officer, public, n.lost)
		return err
	})
	if errors.Is(err, customers.ErrAllPublished) || errors.Is(err, ledger.ErrClock) || errors.Is(err, customers.ErrUnpublished) {
		return nil
	}
	if err != nil || !done {
		return err
	}
	n.sim.authors.Now = time.Now().UTC().Truncate(time.Millisecond)
	thread := record.CustomerLogThread(provider)
	st := n.sim.authors.Statement(thread, provider, next.Predicate)
	st.Follows = next.Follows // of a record whose receipt never came the authors know nothing
	l := n.sim.authors.newSubmission(fmt.Sprintf("period %d of the private log", next.Period.Number), n.sim.authors.Sign(st, provider+"/ci"))
	n.sim.countEvent("customer log published")
	n.sim.authors.send(l)
	return n.sim.finishTasks()
}

// publishAll publishes every closed period and keeps the receipts; the network does its best.
func (n *customerNode) publishAll() error {
	n.fault.disarm()
	for range 2 * len(n.log.Periods()) {
		if err := n.publish(); err != nil {
			return err
		}
		if err := n.sim.commitAndPublish(); err != nil {
			return err
		}
	}
	return n.keepReceipts()
}

// keepReceipts fetches what shows that a period is published, where the answer to the submission
// never came.
func (n *customerNode) keepReceipts() error {
	_, all := n.sim.publicLog()
	for _, r := range all {
		if r.Statement.Predicate.(*record.CustomerLog).Origin != n.origin {
			continue
		}
		chain, err := n.chainOf(r.ID)
		if err == nil {
			_, err = n.log.Recorded(n.sim.dayCtx, officer, chain)
		}
		if err != nil {
			return fmt.Errorf("the receipt of record %s: %w", r.ID, err)
		}
	}
	return nil
}

// erase erases a customer whose time is over.
func (n *customerNode) erase() error {
	if ok, err := n.resolve(); err != nil || !ok {
		return err
	}
	var a *account
	for _, b := range n.accounts {
		if b.closed && !b.held && b.decided() && !b.erased && time.Since(b.events[len(b.events)-1].Time) > 3*24*time.Hour && (a == nil || n.sim.chance(50)) {
			a = b
		}
	}
	if a == nil {
		return nil
	}
	if a.erasing == nil {
		traces, err := n.tracesOf(a)
		if err != nil {
			return err
		}
		a.erasing = traces
	}
	var refused []error
	done, err := n.run(func(l *customers.Log) (err error) {
		refused, err = l.Erase(n.sim.dayCtx, officer, a.handle)
		return err
	})
	n.sim.tracef("%s is erased: done %v, %v, %s", a.name, done, refused, firstLine(err))
	if errors.Is(err, ledger.ErrClock) || errors.Is(err, customers.ErrUnpublished) {
		a.erasing = nil
		return nil
	}
	if err != nil || !done {
		return err
	}
	if refused[0] != nil && !errors.Is(refused[0], vault.ErrNoCustomer) { // a disclosure waits, or the clock was set back
		a.erasing = nil
		n.sim.countEvent("erasure refused")
		return nil
	}
	n.noteErased(a)
	return n.checkNoTraces()
}

func (n *customerNode) noteErased(a *account) {
	n.erased = append(n.erased, a.erasing...)
	a.erased = true
	n.sim.countEvent("customer erased")
}

// search looks somebody up, who must be found while not erased.
func (n *customerNode) search() error {
	a := n.anyAccount()
	if a == nil || !a.decided() || a.gone() && !a.erased {
		return nil
	}
	var found []event.State
	done, err := n.run(func(l *customers.Log) (err error) {
		found, _, err = l.Find(n.sim.dayCtx, officer, "email:"+a.email(), 10)
		return err
	})
	if errors.Is(err, ledger.ErrClock) || errors.Is(err, customers.ErrUnpublished) {
		return nil
	}
	if err != nil || !done {
		return err
	}
	n.sim.tracef("%s is looked for, and found: %d", a.name, len(found))
	if a.erased && len(found) != 0 || !a.erased && (len(found) != 1 || found[0].Handle != a.handle) {
		return fmt.Errorf("%s (erased: %v) is looked for, and found are %d", a.name, a.erased, len(found))
	}
	return nil
}

// lock locks the vault: nothing is taken in then, and nothing shown.
func (n *customerNode) lock() error {
	n.sim.tracef("the vault is locked, and opened again")
	n.log.Lock()
	in := n.input(&account{name: "nobody"}, &event.Access{IP: netip.AddrFrom4([4]byte{192, 0, 2, 1}), Action: "login"})
	if _, err := n.log.Add(n.sim.dayCtx, []event.Input{in}); !errors.Is(err, vault.ErrLocked) {
		return fmt.Errorf("a locked vault takes an event: %w", err)
	}
	return n.log.Unlock(n.identity...)
}

// backUpOrRestore makes a backup of the whole machine, or brings the one that there is back for
// a while: then nothing may be published if the public record is beyond it.
func (n *customerNode) backUpOrRestore() error {
	public, _ := n.sim.publicLog()
	if n.backup == nil || publicSize(public) <= n.backedUp {
		n.sim.tracef("a backup of the customer log is made")
		n.backedUp = 0
		for _, p := range n.log.Periods() {
			n.backedUp = p.Size
		}
		if err := n.end(); err != nil {
			return err
		}
		n.backup = crashedDisk(n.disk, 100, 0)
		return n.restart()
	}
	n.sim.tracef("the customer log is restored from its backup")
	n.sim.countEvent("customer log restored from a backup")
	if err := n.end(); err != nil {
		return err
	}
	newest := n.disk
	n.disk = crashedDisk(n.backup, 100, 0)
	if ok, err := n.start(n.sim.dayCtx); err != nil || !ok {
		return errors.Join(err, fmt.Errorf("a backup opens: %v", ok))
	}
	_, err := n.log.NextRecord(n.sim.dayCtx, officer, public, "")
	n.sim.tracef("  it is asked for the next public record: %s", firstLine(err))
	if !errors.Is(err, customers.ErrNotLedUp) {
		return fmt.Errorf("a backup of the customer log was restored, a public record fixes more, and it would publish: %w", err)
	}
	err = n.end()
	n.disk = newest
	return errors.Join(err, n.restart())
}

// publicSize is how many leaves the newest public record fixes.
func publicSize(p customers.PublicLog) uint64 {
	if p.Newest.Statement == nil {
		return 0
	}
	return uint64(p.Newest.Statement.Predicate.(*record.CustomerLog).Size)
}

// request is a demand of the authority to disclose, on the ledger.
func (n *customerNode) request() (bundle.Record, error) {
	sim := n.sim
	n.demands++
	sim.authors.Now = time.Now().UTC().Truncate(time.Millisecond)
	r := sim.authors.NewRequest(provider)
	r.Recipient = n.recipient
	env := sim.authors.Request(fmt.Sprintf("%s-%d", provider, n.demands), r)
	l := sim.authors.newSubmission("a request to disclose", env)
	sim.authors.send(l)
	for range 2 {
		if err := sim.commitAndPublish(); err != nil {
			return bundle.Record{}, err
		}
	}
	index, ok := sim.invariants.indexes[l.id]
	if !ok {
		return bundle.Record{}, errors.New("a request to disclose was not admitted on a network that does its best")
	}
	return recordOf(index, sim.invariants.entries[index]), nil
}

// disclose answers a demand: two holders approve, the authority opens the file and verifies it
// against the public ledger and nothing else.
func (n *customerNode) disclose() error {
	a := n.anyAccount()
	if a == nil || !a.decided() || a.gone() && !a.erased || len(n.unknown) > 0 || n.demands > 3 {
		return nil
	}
	n.fault.disarm()
	if _, err := n.log.Act(n.sim.dayCtx, event.Act{What: event.KindUnlocked, By: "compliance-1"}); err != nil {
		return nil // the clock was set back
	}
	n.sim.ledger.fault.disarm()
	n.sim.net.setFaultFree(true)
	defer n.sim.net.setFaultFree(false)
	if err := n.publishAll(); err != nil {
		return err
	}
	_, table, err := n.answer(a)
	if err != nil {
		return fmt.Errorf("a disclosure about %s: %w", a.name, err)
	}
	n.sim.tracef("a demand is answered: %+v", table.Counts())
	n.sim.countEvent("disclosure verified")
	shown := table.Customers[0]
	if a.erased {
		if shown.Erased == nil {
			return fmt.Errorf("%s is erased, and the bundle does not say so", a.name)
		}
		n.sim.countEvent("disclosure about an erased customer")
		return nil
	}
	if len(shown.Events) != len(a.events) {
		return fmt.Errorf("a bundle shows %d events of %s, and %d were acknowledged", len(shown.Events), a.name, len(a.events))
	}
	return nil
}

// answer answers a demand about a customer, and returns the bundle and what it proves.
func (n *customerNode) answer(a *account) (*demand, *bundle.Table, error) {
	ctx := n.sim.dayCtx
	request, err := n.request()
	if err != nil {
		return nil, nil, err
	}
	public, logs := n.sim.publicLog()
	d := &demand{public: bundle.Public{Request: request, Logs: logs}}
	ask := customers.Ask{Public: d.public, Recipient: n.recipient, Handles: []event.Handle{a.handle}}
	if public.Newest.Statement != nil {
		chain, err := n.chainOf(public.Newest.ID)
		if err != nil {
			return nil, nil, err
		}
		ask.Chains = [][]byte{chain}
	}
	prepared, err := n.log.Prepare(ctx, officer, ask)
	if err != nil {
		return nil, nil, err
	}
	for _, h := range n.holders {
		if _, err := n.log.Approve(ctx, officer, prepared.Number, h.key.ID(), ed25519.Sign(h.private, n.log.Message(prepared))); err != nil {
			return nil, nil, err
		}
	}
	file, _, err := n.log.HandOut(ctx, officer, prepared.Number)
	if err != nil {
		return nil, nil, err
	}
	if d.raw, err = decrypt(file, n.authority); err != nil {
		return nil, nil, err
	}
	table, err := d.verify(nil)
	if err != nil {
		return nil, nil, err
	}
	return d, table, n.verifyChains(d)
}

// chainOf is the chain from the charter to a record.
func (n *customerNode) chainOf(id record.ID) ([]byte, error) {
	c, err := client.New(ledgerURL, n.sim.net.transportOf("provider"))
	must(err)
	return c.ChainUnverified(n.sim.dayCtx, id)
}
