package programme

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Period is the days of a report, both inclusive.
type Period struct {
	From  record.Date `json:"periodFrom"`
	Until record.Date `json:"periodUntil"`
}

// contains reports whether a day is one of the period's.
func (p Period) contains(d record.Date) bool { return !d.Before(p.From) && !d.After(p.Until) }

// Counts are what a report counts. Accounts are counted once, whatever befell them twice.
// "At the end" is the end of the period's last day.
type Counts struct {
	Accounts             int64 `json:"accounts"`             // open at the end
	ForeignAccounts      int64 `json:"foreignAccounts"`      // of these, whoever is not known to be a United States person
	Opened               int64 `json:"opened"`               // in the period
	Closed               int64 `json:"closed"`               // in the period
	Verified             int64 `json:"verified"`             // in the period, for the first time or again
	Documentary          int64 `json:"documentary"`          // of these, by a document
	NonDocumentary       int64 `json:"nonDocumentary"`       // of these, without one
	Unverified           int64 `json:"unverified"`           // open at the end, of those whom the programme is for, never verified
	LateVerifications    int64 `json:"lateVerifications"`    // open at the end, whose verification, the first or one again, is late
	MissingElements      int64 `json:"missingElements"`      // open at the end, of whom an element that is wanted is not known
	Unverifiable         int64 `json:"unverifiable"`         // could not be verified, in the period or still at its beginning
	UnverifiableVerified int64 `json:"unverifiableVerified"` // of these, were verified after all
	UnverifiableClosed   int64 `json:"unverifiableClosed"`   // of these, were closed
	UnverifiableOpen     int64 `json:"unverifiableOpen"`     // of these, are neither, at the end
	UnverifiableLate     int64 `json:"unverifiableLate"`     // of these, beyond the day that the programme gives
	Hits                 int64 `json:"hits"`                 // of screening, in the period
	FalsePositives       int64 `json:"falsePositives"`       // decisions in the period
	TrueMatches          int64 `json:"trueMatches"`          // decisions in the period
	HitsOpen             int64 `json:"hitsOpen"`             // at the end
	Accesses             int64 `json:"accesses"`             // in the period
}

// Each calls f with every count, in the order in which people read them.
func (c *Counts) Each(f func(name string, n *int64)) {
	for _, one := range []struct {
		name string
		n    *int64
	}{
		{"accounts", &c.Accounts}, {"foreignAccounts", &c.ForeignAccounts}, {"opened", &c.Opened}, {"closed", &c.Closed},
		{"verified", &c.Verified}, {"documentary", &c.Documentary}, {"nonDocumentary", &c.NonDocumentary}, {"unverified", &c.Unverified},
		{"lateVerifications", &c.LateVerifications}, {"missingElements", &c.MissingElements},
		{"unverifiable", &c.Unverifiable}, {"unverifiableVerified", &c.UnverifiableVerified}, {"unverifiableClosed", &c.UnverifiableClosed},
		{"unverifiableOpen", &c.UnverifiableOpen}, {"unverifiableLate", &c.UnverifiableLate},
		{"hits", &c.Hits}, {"falsePositives", &c.FalsePositives}, {"trueMatches", &c.TrueMatches}, {"hitsOpen", &c.HitsOpen}, {"accesses", &c.Accesses},
	} {
		f(one.name, one.n)
	}
}

// Report is what a cip-certification of a period commits to, counted from the log.
type Report struct {
	Period
	Programme string `json:"programme"` // of the version in force on the last day; "" if none was
	Counts    Counts `json:"counts"`
	// UnverifiableResolved: at the end, nobody who could not be verified is beyond the day that
	// the programme gives; where there is no programme, nobody is left at all.
	UnverifiableResolved bool `json:"unverifiableResolved"`
}

// Chain is the events of one customer, in the order of the chain.
type Chain = iter.Seq2[Logged, error]

// Logged is an event and its leaf index.
type Logged struct {
	*event.Event
	Index uint64
}

// Report counts a period over all customers. An event counts on the day on which it happened,
// in the zone, however late it was logged: the same log at the same size gives the same
// report. Of an erased customer nothing is left that could be counted.
func (h *History) Report(customers iter.Seq2[Chain, error], zone *time.Location, period Period) (*Report, error) {
	if period.Until.Before(period.From) {
		return nil, fmt.Errorf("the period ends (%s) before it begins (%s)", period.Until, period.From)
	}
	r := &Report{Period: period}
	if p := h.On(period.Until); p != nil {
		r.Programme = p.Name
	}
	for chain, err := range customers {
		if err != nil {
			return nil, err
		}
		t := tally{Period: period, zone: zone}
		if err := t.read(chain); err != nil {
			return nil, err
		}
		t.count(h, &r.Counts)
	}
	r.UnverifiableResolved = r.Counts.UnverifiableLate == 0 && (r.Programme != "" || r.Counts.UnverifiableOpen == 0)
	return r, nil
}

// tally is one customer in a period.
type tally struct {
	Period
	zone  *time.Location
	state event.State // at the end

	within       []event.Kind     // kinds that happened in the period
	methods      []string         // by which it was verified in the period
	unverifiable bool             // in the period or at its beginning
	flagged      map[string]int64 // hits and decisions in the period
	accesses     int64
}

// read folds what happened until the end of the period. A chain is in the order in which it
// was logged; what is of a later day is left out, and the rest closes ranks.
func (t *tally) read(chain Chain) error {
	var before []event.Verification // the period
	gone := false                   // closed before it
	for e, err := range chain {
		if err != nil {
			return err
		}
		day := record.DateOf(e.Time, t.zone)
		if day.After(t.Until) || e.Kind == event.KindErased {
			continue
		}
		own := *e.Event
		own.Number, own.Before = t.state.Chain.Leaves, t.state.Chain.Last
		next, err := t.state.Apply(&own, e.Index)
		var unfit *record.Refusal
		switch {
		case errors.As(err, &unfit):
			continue // it rests on one that is left out
		case err != nil:
			return fmt.Errorf("event %d of %s: %w", e.Number, e.Handle, err)
		}
		t.state = next
		if t.contains(day) {
			t.note(&own)
			continue
		}
		switch c := e.Content.(type) {
		case *event.Verified:
			before = append(before, event.Verification{At: e.Time, Verified: *c})
		case *event.Closed:
			gone = true
		}
	}
	slices.SortStableFunc(before, func(a, b event.Verification) int { return a.At.Compare(b.At) })
	if _, failed := unresolved(before); failed && !gone {
		t.unverifiable = true
	}
	return nil
}

func (t *tally) note(e *event.Event) {
	t.within = append(t.within, e.Kind)
	switch c := e.Content.(type) {
	case *event.Access:
		t.within = t.within[:len(t.within)-1] // they are many
		t.accesses++
	case *event.Verified:
		if c.Outcome == "verified" {
			t.methods = append(t.methods, c.Method)
		} else {
			t.unverifiable = true
		}
	case *event.Flagged:
		if t.flagged == nil {
			t.flagged = make(map[string]int64)
		}
		t.flagged[c.Outcome]++
	}
}

func (t *tally) count(h *History, c *Counts) {
	s := &t.state
	if s.OpenedAt.IsZero() {
		return
	}
	one := func(n *int64, is bool) {
		if is {
			*n++
		}
	}
	open := s.ClosedAt.IsZero()
	p := h.On(t.Until)
	_, failed := unresolved(s.Verifications)
	verifiedEver := slices.ContainsFunc(s.Verifications, func(v event.Verification) bool { return v.Outcome == "verified" })
	one(&c.Accounts, open)
	one(&c.ForeignAccounts, open && (s.Customer.Foreign == nil || *s.Customer.Foreign))
	one(&c.Opened, slices.Contains(t.within, event.KindOpened))
	one(&c.Closed, slices.Contains(t.within, event.KindClosed))
	one(&c.Verified, len(t.methods) > 0)
	one(&c.Documentary, slices.Contains(t.methods, "documentary"))
	one(&c.NonDocumentary, slices.Contains(t.methods, "non-documentary"))
	one(&c.Unverified, open && p != nil && p.concerns(&s.Customer) && !verifiedEver)
	one(&c.Unverifiable, t.unverifiable)
	one(&c.UnverifiableVerified, t.unverifiable && !failed)
	one(&c.UnverifiableClosed, t.unverifiable && failed && !open)
	one(&c.UnverifiableOpen, t.unverifiable && failed && open)
	c.Hits += t.flagged["open"]
	c.FalsePositives += t.flagged["false-positive"]
	c.TrueMatches += t.flagged["true-match"]
	for _, f := range s.Flags {
		one(&c.HitsOpen, f.Outcome == "open")
	}
	c.Accesses += t.accesses
	due := h.Due(s, t.zone, t.Until)
	is := func(late bool, duties ...Duty) bool {
		return slices.ContainsFunc(due, func(d Due) bool { return slices.Contains(duties, d.Duty) && (!late || d.Late(t.Until)) })
	}
	one(&c.LateVerifications, is(true, DutyVerify, DutyReverify))
	one(&c.MissingElements, is(false, DutyElements))
	one(&c.UnverifiableLate, is(true, DutyResolve))
}

// Certification is what a report does not count: the officer's own word, and the form.
type Certification struct {
	Party    string // of the provider
	Document string // file of the form; its digest is committed to
	Initial  bool   // the first on the thread
	// Reviewed, UpdatedForServices, UpdatedForThreats and Compliant are attested by the
	// officer who signs; nil leaves the line open, which signing refuses.
	Reviewed, UpdatedForServices, UpdatedForThreats, Compliant *bool
}

// ShortForm is the certification as docket sign reads it: each count is a secret, to which
// signing commits, and whose salt it keeps beside the record.
func (r *Report) ShortForm(c Certification) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	open := func(name string, value *bool, asks string) {
		text := ""
		if value != nil {
			text = " " + strconv.FormatBool(*value)
		}
		line("%-40s # true | false; the word of the officer who signs: %s", name+":"+text, asks)
	}
	line("# Counted from the private log for %s to %s, by the programme %s.", r.From, r.Until, strconv.Quote(r.Programme))
	line("kind: cip-certification")
	line("thread: cip/%s", c.Party)
	line("document: {file: %s, private: true}", strconv.Quote(c.Document))
	line("issuer: %s", c.Party)
	if c.Initial {
		line("initial: true")
	}
	line("periodFrom: %s", r.From)
	line("periodUntil: %s", r.Until)
	open("reviewed", c.Reviewed, "the programme was reviewed")
	open("updatedForServices", c.UpdatedForServices, "updated for changes of the services")
	open("updatedForThreats", c.UpdatedForThreats, "updated for changes of the threats")
	open("compliant", c.Compliant, "complied with in the period")
	line("%-40s # counted: %d could not be verified, %d of them beyond their day", fmt.Sprintf("unverifiableResolved: %t", r.UnverifiableResolved), r.Counts.Unverifiable, r.Counts.UnverifiableLate)
	line("counts:")
	r.Counts.Each(func(name string, n *int64) { line("  %s: {secret: \"%d\"}", name, *n) })
	return b.String()
}

// Differences are what the openings of a certification say otherwise than the report; none
// if they say the same. Whether they open it is another question
// ([record.Commitment.Verify]).
func (r *Report) Differences(openings []record.Opening) (all []string) {
	told := make(map[string]string)
	for _, o := range openings {
		if name, ok := strings.CutPrefix(o.Pointer, "/counts/"); ok {
			told[name] = o.Value
		}
	}
	r.Counts.Each(func(name string, n *int64) {
		value, ok := told[name]
		delete(told, name)
		switch want := strconv.FormatInt(*n, 10); {
		case !ok:
			all = append(all, fmt.Sprintf("%s is not committed to; the log has %s", name, want))
		case value != want:
			all = append(all, fmt.Sprintf("%s is %s; the log has %s", name, value, want))
		}
	})
	var others []string
	for name := range told {
		others = append(others, fmt.Sprintf("%s is none of the report's counts", name))
	}
	slices.Sort(others)
	return append(all, others...)
}
