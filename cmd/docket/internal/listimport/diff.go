package listimport

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Diff plans what makes the register say what the list says. current yields
// each thread of the list that the register has, ended ones included, in any
// order; an error of its ends the planning.
//
// New on the list: a designation. Target or programme differ: an amendment.
// Gone from the list: a revocation "delisted". Back on it: a new designation on
// the old thread. A thread that ended otherwise, by the authority's own hand, stays
// as it is, with a note if it is listed: only a delisting can be reversed
// (RECORDS.md "Kinds", revocation).
//
// A [*RemovalError] says that more would go than the charter allows.
func Diff(list *List, current iter.Seq2[Current, error], o Options) (*Plan, error) {
	if err := list.check(); err != nil {
		return nil, err
	}
	known, err := currentByID(list, current)
	if err != nil {
		return nil, err
	}
	d := differ{list: list, opts: o}
	if list.Vanished && len(known) == 0 {
		d.out.Notes = append(d.out.Notes, "nothing of "+list.Name+" is in "+list.Files[0].Name+", nor in the register")
	}
	listed := make(map[string]bool, len(list.Entries))
	for _, e := range list.Entries {
		listed[e.ID] = true
		if err := d.addEntry(e, known[e.ID]); err != nil {
			return nil, fmt.Errorf("%s: %w", record.ImportThread(list.Name, e.ID), err)
		}
	}
	removed, inForce := 0, 0
	for id, c := range known {
		switch {
		case d.ended(c) != "":
			continue
		case d.skip(c.Designation.Target):
			d.out.Unseen++
			continue
		}
		inForce++
		if !listed[id] {
			removed++
			d.revoke(id, c)
		}
	}
	if err := d.checkRemovals(removed, inForce); err != nil {
		return nil, err
	}
	return d.plan(), nil
}

// A Comparison is one list, and what the register has of it.
type Comparison struct {
	List    *List
	Current iter.Seq2[Current, error] // yields the same, each time
	Options Options
}

// DiffAll plans the lists of one publication, each under its own limit, a plan each. What
// allowRemoved allows is for all of those together whose limits are exceeded, so that a
// number that was meant for one of them lets no other go; of the options' own
// AllowRemoved nothing is used. A [RemovalsError] names these lists; of one list alone it is
// a [*RemovalError].
func DiffAll(all []Comparison, allowRemoved int) ([]*Plan, error) {
	plans := make([]*Plan, len(all))
	var over RemovalsError
	removed := 0
	for pass := range 2 {
		for i, c := range all {
			if plans[i] != nil {
				continue
			}
			c.Options.AllowRemoved = pass * removed // in the second they are allowed together
			var err error
			plans[i], err = Diff(c.List, c.Current, c.Options)
			if removal := (*RemovalError)(nil); errors.As(err, &removal) {
				over = append(over, removal)
				removed += removal.Removed
			} else if err != nil {
				return nil, err
			}
		}
		switch {
		case removed <= allowRemoved:
		case len(all) == 1: // which list is plain
			return nil, over[0]
		default:
			return nil, over
		}
	}
	return plans, nil
}

// currentByID reads the register's side, by the list's IDs.
func currentByID(list *List, current iter.Seq2[Current, error]) (map[string]*Current, error) {
	known := map[string]*Current{}
	for c, err := range current {
		if err != nil {
			return nil, fmt.Errorf("reading the designations of %s: %w", list.Name, err)
		}
		if c.Designation == nil || c.Designation.Source == nil {
			return nil, fmt.Errorf("%s: %w: it names no source", c.Thread, ErrForeign)
		}
		s := c.Designation.Source
		if s.List != list.Name || c.Thread != record.ImportThread(s.List, s.ID) {
			return nil, fmt.Errorf("%s: %w: its source is %s of %s", c.Thread, ErrForeign, s.ID, s.List)
		}
		known[s.ID] = &c
	}
	return known, nil
}

// differ gathers the three kinds of change.
type differ struct {
	list *List
	opts Options
	out  Plan

	over int // entries whose last day was over before they were ever designated

	designations, amendments, revocations []change
}

type change struct {
	id string
	Item
}

// skip tells whether this import leaves such a target alone.
func (d *differ) skip(t record.Target) bool { return isPerson(t) && !d.opts.Individuals }

func (d *differ) addEntry(e Entry, c *Current) error {
	switch {
	case d.skip(e.Target), c != nil && d.skip(c.Designation.Target):
		d.out.Skipped++
	case (c == nil || c.Ended == "delisted") && d.isOver(e.EffectiveUntil):
		d.over++
	case c == nil:
		d.designate(e, record.ID{})
	case c.Ended == "delisted":
		d.designate(e, c.Newest)
	case c.Ended == "" && d.isOver(c.Designation.EffectiveUntil) && d.isOver(e.EffectiveUntil): // both say so
		d.out.Unchanged++
	case d.ended(c) != "":
		d.out.Notes = append(d.out.Notes, fmt.Sprintf("%s is still listed, but its designation %s: the import leaves it so", c.Thread, d.ended(c)))
	default:
		return d.amend(e, c)
	}
	return nil
}

// ended says how a thread ended, "" while it lives. One that the clock ended
// takes no amendment either.
func (d *differ) ended(c *Current) string {
	switch until := c.Designation.EffectiveUntil; {
	case c.Ended != "":
		return "was revoked (" + c.Ended + ")"
	case d.isOver(until):
		return "expired with " + until.String()
	}
	return ""
}

// isOver tells whether a last day has passed.
func (d *differ) isOver(until *record.Date) bool { return until != nil && d.opts.Today.After(*until) }

func (d *differ) designate(e Entry, follows record.ID) {
	d.designations = append(d.designations, change{e.ID, d.item(e, follows, &record.Designation{
		Measure: "person",
		Action:  "prohibit",
		Target:  e.Target,
		Program: e.Program,
		Source:  d.list.source(e.ID, d.opts.Published),

		FederalRegisterNotice: e.FederalRegisterNotice,
		EffectiveFrom:         e.EffectiveFrom,
		EffectiveUntil:        e.EffectiveUntil,
	})})
}

func (d *differ) amend(e Entry, c *Current) error {
	am, err := amendment(c.Designation, e, d.list)
	if err != nil {
		return err
	}
	if am == nil {
		d.out.Unchanged++
		return nil
	}
	am.Reason = "Changed on " + d.list.edition(d.opts.Published) + "."
	am.Source = d.list.source(e.ID, d.opts.Published)
	d.amendments = append(d.amendments, change{e.ID, d.item(e, c.Newest, am)})
	return nil
}

// item is about the entity's source rows.
func (d *differ) item(e Entry, follows record.ID, p record.Predicate) Item {
	document := &record.Document{MediaType: "text/csv", Bytes: &e.Bytes}
	if e.URL != "" {
		document.URL = []string{e.URL}
	}
	return Item{
		Thread:    record.ImportThread(d.list.Name, e.ID),
		Follows:   follows,
		Subject:   record.Subject{Name: d.list.Name + " " + e.ID + ", source rows", SHA256: e.Digest},
		Document:  document,
		Predicate: p,
	}
}

// revoke is about the file in which the entity is no longer found.
func (d *differ) revoke(id string, c *Current) {
	f := d.list.Files[0]
	d.revocations = append(d.revocations, change{id, Item{
		Thread:   c.Thread,
		Follows:  c.Newest,
		Subject:  record.Subject{Name: f.Name, SHA256: f.SHA256},
		Document: &record.Document{Name: f.Name, MediaType: "text/csv", Bytes: &f.Size},
		Predicate: &record.Revocation{
			EffectiveOn: d.opts.Today,
			Cause:       "delisted",
			Reason:      "No longer on " + d.list.edition(d.opts.Published) + " (file SHA-256 " + hex.EncodeToString(f.SHA256[:]) + ").",
		},
	}})
}

func (d *differ) plan() *Plan {
	p := d.out
	if d.over > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: entries whose last day is over, and which are left out: %d", d.list.Name, d.over))
	}
	p.Designations, p.Amendments, p.Revocations = len(d.designations), len(d.amendments), len(d.revocations)
	for _, changes := range [][]change{d.designations, d.amendments, d.revocations} {
		slices.SortFunc(changes, func(a, b change) int { return compareIDs(a.id, b.id) })
		for _, c := range changes {
			p.Items = append(p.Items, c.Item)
		}
	}
	return &p
}

// compareIDs orders decimal numbers by value and anything by length, then bytes.
func compareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// amendment turns a designation into what the list says, nil if it says so
// already. Only what the list publishes is compared: what the authority added to
// the thread by hand (identifiers, domains, networks) stays, and so does what is the
// same in the list's words: a company, which to a list is an organisation; the parts of
// an address; the type of an alias, where the list tells none. A registration number
// is replaced where the list has one, and no list takes it away.
func amendment(old *record.Designation, e Entry, l *List) (*record.Amendment, error) {
	next := *old
	if old.Target.Schema != "Company" || e.Target.Schema != "Organization" {
		next.Target.Schema = e.Target.Schema
	}
	next.Target.Name = e.Target.Name
	next.Target.Country = e.Target.Country
	next.Target.Alias = mergeItems(old.Target.Alias, e.Target.Alias, func(a record.Alias) record.Alias {
		if l.HasAliasTypes {
			return a
		}
		return record.Alias{Name: a.Name}
	})
	next.Target.Address = mergeItems(old.Target.Address, e.Target.Address, func(a record.Address) record.Address {
		return record.Address{Full: AddressLine(a), Country: a.Country}
	})
	if e.Target.RegistrationNumber != "" {
		next.Target.RegistrationNumber = e.Target.RegistrationNumber
	}
	next.Program = mergeItems(old.Program, e.Program, func(program string) string { return program })
	if l.HasTerms {
		next.FederalRegisterNotice = e.FederalRegisterNotice
		next.EffectiveFrom, next.EffectiveUntil = e.EffectiveFrom, e.EffectiveUntil
	}
	return record.Diff(old, &next)
}

// mergeItems gives the new items, those that stay first and in the old order and words.
// The order of a list's rows means nothing, so a list that only reorders them gives
// no record, and one that adds a name gives a record of that name alone. Items are the
// same whose keys are.
func mergeItems[T comparable](old, new []T, key func(T) T) []T {
	var items []T
	has := func(list []T, x T) bool {
		return slices.ContainsFunc(list, func(y T) bool { return key(y) == key(x) })
	}
	for _, x := range old {
		if has(new, x) {
			items = append(items, x)
		}
	}
	for _, x := range new {
		if !has(old, x) {
			items = append(items, x)
		}
	}
	return items
}

// RemovalError is the guard against a broken feed: more would be revoked than the
// charter lets one import revoke. Nothing was planned.
type RemovalError struct {
	List       string
	Vanished   bool  // its file has nothing of it any more
	Removed    int   // threads that are no longer on the list
	InForce    int   // the list's threads that live, without persons where those are outside
	MaxPercent int64 // the charter's imports[].maxRemovedPercent
}

func (e *RemovalError) Error() string {
	return fmt.Sprintf("%s; if true: --allow-removed %d", e.share(), e.Removed)
}

func (e *RemovalError) share() string {
	share := fmt.Sprintf("%s of %s would go (%s %%, limit %d %%)", withThousands(e.Removed), withThousands(e.InForce), e.percent(), e.MaxPercent)
	if e.Vanished {
		share = "nothing of it is in the file: " + share
	}
	return share
}

// RemovalsError is that of several lists of one publication, at least of one.
type RemovalsError []*RemovalError

func (e RemovalsError) Error() string {
	shares, removed := make([]string, len(e)), 0
	for i, list := range e {
		shares[i] = list.List + ": " + list.share()
		removed += list.Removed
	}
	return fmt.Sprintf("%s; if true: --allow-removed %d", strings.Join(shares, "; "), removed)
}

// percent has one digit behind the point, more where it would read like the limit.
func (e *RemovalError) percent() string {
	share := 100 * float64(e.Removed) / float64(e.InForce)
	for digits := 1; ; digits++ {
		s := strconv.FormatFloat(share, 'f', digits, 64)
		if shown, _ := strconv.ParseFloat(s, 64); shown > float64(e.MaxPercent) || digits == 6 {
			return s
		}
	}
}

// checkRemovals allows removals within the charter's percentage, or up to the number
// given by AllowRemoved.
func (d *differ) checkRemovals(removed, inForce int) error {
	if int64(removed)*100 <= d.opts.MaxRemovedPercent*int64(inForce) || removed <= d.opts.AllowRemoved {
		return nil
	}
	return &RemovalError{d.list.Name, d.list.Vanished, removed, inForce, d.opts.MaxRemovedPercent}
}

// withThousands writes 7379 as "7,379".
func withThousands(n int) string {
	s := strconv.Itoa(n)
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return strings.Join(append([]string{s}, parts...), ",")
}
