package customers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
)

// Logged is an event and the leaf that stands for it.
type Logged struct {
	Index uint64
	*event.Event
}

// Handle is that of an account's customer: vault.ErrNoCustomer if there is none. It shows
// nothing of the customer, and is not logged.
func (l *Log) Handle(_ context.Context, account string) (event.Handle, error) {
	if err := l.begin(); err != nil {
		return event.Handle{}, err
	}
	defer l.end()
	who, err := l.identities.lookUp(l.config.Keys, account)
	if err != nil {
		return event.Handle{}, err
	}
	return who.handle, nil
}

// byHandle is the identity of a handle, the house's too.
func (l *Log) byHandle(h event.Handle) (*identity, error) {
	if h == event.House {
		return house(l.config.Vault)
	}
	ref, err := l.config.Keys.ByHandle(vault.Handle(h))
	if err != nil {
		return nil, err
	}
	return l.identities.of(l.config.Keys, ref)
}

// Customer is what is known of a customer by all events. It logs that it was shown.
// vault.ErrNoCustomer: there is none, or it is erased.
func (l *Log) Customer(ctx context.Context, who Who, h event.Handle) (event.State, error) {
	if err := l.begin(); err != nil {
		return event.State{}, err
	}
	defer l.end()
	if err := l.shown(ctx, who, h); err != nil {
		return event.State{}, err
	}
	c, err := l.byHandle(h)
	if err != nil {
		return event.State{}, err
	}
	return l.stateOf(c)
}

// shown logs that a customer, who exists, is shown.
func (l *Log) shown(ctx context.Context, who Who, h event.Handle) error {
	if _, err := l.byHandle(h); err != nil {
		return err
	}
	a := who.act(event.KindShown)
	a.Customer = h.String()
	_, err := l.act(ctx, a)
	return err
}

func (l *Log) stateOf(c *identity) (s event.State, err error) {
	s.Handle = c.handle
	if s.Chain, _, err = l.fold.readChain(c.ref, c); err != nil || c.handle == event.House {
		return s, err
	}
	life, err := l.fold.readLife(c)
	if err == nil {
		s.Life = *life
	}
	return s, err
}

// maxEvents is how many events one call shows.
const maxEvents = 10_000

// Events are a customer's events, the newest first: at most limit of those whose leaf lies
// before an index, or of all where that is 0; more says that there are earlier ones. Each call
// is logged as shown.
func (l *Log) Events(ctx context.Context, who Who, h event.Handle, before uint64, limit int) (events []Logged, more bool, err error) {
	if err := l.begin(); err != nil {
		return nil, false, err
	}
	defer l.end()
	if err := l.shown(ctx, who, h); err != nil {
		return nil, false, err
	}
	return l.chain(ctx, h, before, limit)
}

// EventsOf are [Log.Events] for whoever has logged the reading already: by [Log.Customer] of the
// same customer, or by the act of [Log.Each].
func (l *Log) EventsOf(ctx context.Context, h event.Handle, before uint64, limit int) (events []Logged, more bool, err error) {
	if err := l.begin(); err != nil {
		return nil, false, err
	}
	defer l.end()
	return l.chain(ctx, h, before, limit)
}

// House are the events of the house's own chain, as [Log.Events] are a customer's. To read
// them is not logged: whoever did would never come to an end.
func (l *Log) House(ctx context.Context, before uint64, limit int) (events []Logged, more bool, err error) {
	if err := l.begin(); err != nil {
		return nil, false, err
	}
	defer l.end()
	return l.chain(ctx, event.House, before, limit)
}

// chain walks a chain backwards.
func (l *Log) chain(ctx context.Context, h event.Handle, before uint64, limit int) (events []Logged, more bool, err error) {
	c, err := l.byHandle(h)
	if err != nil {
		return nil, false, err
	}
	chain, _, err := l.fold.readChain(c.ref, c)
	if err != nil || chain.Leaves == 0 {
		return nil, false, err
	}
	limit = max(1, min(limit, maxEvents))
	at := chain.Last
	for expected := chain.Leaves; expected > 0; expected-- {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		e, _, err := l.fold.readEvent(at)
		if err != nil {
			return nil, false, err
		}
		if e.Handle != h || e.Number != expected-1 {
			return nil, false, fmt.Errorf("%w: leaf %d is event %d of customer %s, and should be event %d of %s", ledger.ErrCorrupt, at, e.Number, e.Handle, expected-1, h)
		}
		if before == 0 || at < before {
			if len(events) == limit {
				return events, true, nil
			}
			events = append(events, Logged{at, e})
		}
		at = e.Before
	}
	return events, false, nil
}

// Find are the customers that a query finds (vault.ParseQuery), at most limit, the best first;
// more says that there are others, or more to look at than one search may. It logs the query
// and how many it found.
func (l *Log) Find(ctx context.Context, who Who, query string, limit int) (found []event.State, more bool, err error) {
	terms, err := vault.ParseQuery(query)
	if err != nil {
		return nil, false, err
	}
	if err := l.begin(); err != nil {
		return nil, false, err
	}
	defer l.end()
	candidates, err := l.config.Keys.Find(ctx, terms, limit)
	if err != nil {
		return nil, false, err
	}
	for _, ref := range candidates.Refs {
		c, err := l.identities.of(l.config.Keys, ref)
		if errors.Is(err, vault.ErrNoCustomer) {
			continue
		} else if err != nil {
			return nil, false, err
		}
		s, err := l.stateOf(c)
		if err != nil {
			return nil, false, err
		}
		if s.Leaves > 0 && bears(&s, terms) {
			found = append(found, s)
		}
	}
	a := who.act(event.KindSearched)
	a.Query = query
	n := int64(len(found))
	a.Count = &n
	if _, err := l.act(ctx, a); err != nil {
		return nil, false, err
	}
	return found, candidates.More, nil
}

// bears tells whether a candidate has what is asked for. Addresses are taken from the search
// rows alone: those of accesses do not stand in a state.
func bears(s *event.State, query []vault.Term) bool {
	var rest []vault.Term
	for _, t := range query {
		if t.Kind != vault.IP && !(t.Kind == vault.Any && isIP(t.Text)) {
			rest = append(rest, t)
		}
	}
	if len(rest) == 0 {
		return true
	}
	terms := append(termsOf(&s.Customer), vault.Term{Kind: vault.Account, Text: s.Customer.Account})
	for _, name := range s.FormerNames {
		terms = append(terms, vault.Term{Kind: vault.Name, Text: name})
	}
	_, ok := vault.Matches(rest, terms)
	return ok
}

// Matched says in words why a query (vault.ParseQuery) finds a customer, for each of its terms:
// what was borne, and whether as it was asked for. Nil where the query cannot be read.
func Matched(s *event.State, query string) (why []string) {
	terms, err := vault.ParseQuery(query)
	if err != nil {
		return nil
	}
	borne := append(termsOf(&s.Customer), vault.Term{Kind: vault.Account, Text: s.Customer.Account})
	current := len(borne)
	for _, name := range s.FormerNames {
		borne = append(borne, vault.Term{Kind: vault.Name, Text: name})
	}
	for i, b := range borne {
		if b.Kind == vault.Name && strings.EqualFold(strings.Join(strings.Fields(query), " "), b.Text) {
			return []string{matchWords(vault.Match{Score: 1_000_000}, b, i >= current)} // its words apart are parts
		}
	}
	for _, asked := range terms {
		if asked.Kind == vault.IP || asked.Kind == vault.Any && isIP(asked.Text) {
			why = append(why, "IP address")
			continue
		}
		best, at := vault.Match{}, -1
		for i, b := range borne {
			m, ok := vault.Matches([]vault.Term{asked}, []vault.Term{b})
			if ok && (at < 0 || m.How < best.How || m.How == best.How && m.Score > best.Score) {
				best, at = m, i
			}
		}
		if at >= 0 {
			why = append(why, matchWords(best, borne[at], at >= current))
		}
	}
	slices.Sort(why)
	return slices.Compact(why)
}

// matchWords say how a term fits what a customer bears.
func matchWords(m vault.Match, borne vault.Term, former bool) string {
	words := map[vault.Kind]string{vault.Name: "name", vault.Email: "e-mail address", vault.Phone: "telephone number", vault.Account: "account", vault.Number: "number"}[borne.Kind]
	if former {
		words = "former name " + borne.Text
	}
	switch {
	case borne.Kind != vault.Name:
		return words
	case m.How == vault.Similar:
		return fmt.Sprintf("similar to the %s (%.2f)", words, float64(m.Score)/1_000_000)
	case m.How == vault.InLatin:
		return words + ", in Latin letters"
	case m.Score < 1_000_000:
		return "part or beginning of the " + words
	}
	return "exact " + words
}

func isIP(text string) bool {
	_, addrErr := netip.ParseAddr(text)
	_, prefixErr := netip.ParsePrefix(text)
	return addrErr == nil || prefixErr == nil
}

// Each calls f for each customer who has a key, in no order that means anything. What it is for
// is logged before: exported, screened; nothing where the act has no kind, for what is
// computed and not shown one by one.
func (l *Log) Each(ctx context.Context, a event.Act, f func(event.State) error) error {
	if a.What != "" {
		if _, err := l.Act(ctx, a); err != nil {
			return err
		}
	}
	for after := (vault.Ref{}); ; {
		refs, err := l.eachPage(ctx, after, f)
		if err != nil || len(refs) == 0 {
			return err
		}
		after = refs[len(refs)-1]
	}
}

const eachPage = 256

// eachPage is some of them, between which a period may close or the vault be locked.
func (l *Log) eachPage(ctx context.Context, after vault.Ref, f func(event.State) error) (refs []vault.Ref, err error) {
	all, err := l.states(ctx, func() ([]vault.Ref, error) {
		refs, err = l.config.Keys.Refs(after, eachPage)
		return refs, err
	})
	for _, s := range all {
		if err != nil {
			break
		}
		err = f(s)
	}
	return refs, err
}

// states are those of the customers whom list names, but for who is erased.
func (l *Log) states(ctx context.Context, list func() ([]vault.Ref, error)) (all []event.State, err error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	refs, err := list()
	for _, ref := range refs {
		if err = errors.Join(err, ctx.Err()); err != nil {
			break
		}
		c, ofErr := l.identities.of(l.config.Keys, ref)
		if errors.Is(ofErr, vault.ErrNoCustomer) {
			continue
		}
		if err = ofErr; err != nil {
			break
		}
		var s event.State
		if s, err = l.stateOf(c); err != nil {
			break
		}
		if s.Leaves > 0 {
			all = append(all, s)
		}
	}
	return all, err
}
