package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func (a *app) duties() *cobra.Command {
	var kind, state, failOn string
	var calendar bool
	var f view.DutyFilter
	c := &cobra.Command{
		Use:   "duties",
		Short: "List who owes what by when, from the replayed copy",
		Long: `Lists duties as they stand at a time (--at, default now): to respond to a designation,
to conclude what a response began, to certify the customer identification programme, to
commit to the private customer log and to batches of abuse reports again (from the first
on), to verify a reseller anew or to end it after a breach, to disclose what a request
asks for, and which training runs were reported, in time or late.
One that falls due while the designation is suspended, or while a licence permits
otherwise, is due a response period after that, and paused as long as nobody knows when;
one that was not due when the designation ended, or the reseller was terminated, has
lapsed. Asked about a day to come, nobody is overdue yet: what is overdue
then unless it is met before is shown as "due by then".
They are computed from what is on the ledger, never stored; with --json each lists
the records that it rests on, and "ahead" if the day is to come. Those of one party
come by due date (more than 10,000 by designation), all others by designation and request.

--ics prints a calendar (iCalendar, RFC 5545) of those with a due date: each an all-day
event on a date of the charter's time zone. Without --state it has what is still to be
met. The event of a duty keeps its UID when its date moves.

--fail-on is for cron: it lists those alone that are overdue, late (met after their due
date), or due within a period from the day asked about (due-in=P7D), and exits 1 if there
are any. Bring the copy up to date first: docket sync exits 3 where it cannot.`,
		Example: `  docket duties --trust trust --party acme-cloud
  docket duties --trust trust --party acme-cloud --ics > duties.ics
  docket duties --trust trust --party acme-cloud --fail-on overdue,due-in=P7D
  docket duties --trust trust --designation 2026-014 --state open
  docket duties --trust trust --state overdue --at 2027-02-01`,
		Args: cobra.NoArgs,
	}
	q := a.queryFlags(c, "limit", "wide", "ics", "fail-on").addListFlags(c, "STATE", "DUE", "PARTY", "DUTY", "ABOUT", "")
	c.Flags().StringVar(&f.Party, "party", "", "of this party")
	c.Flags().StringVar(&f.Designation, "designation", "", "about this designation")
	c.Flags().StringVar(&kind, "kind", "", joinTexts(view.DutyKinds))
	c.Flags().StringVar(&state, "state", "", joinTexts(view.DutyStates))
	c.Flags().BoolVar(&calendar, "ics", false, "print a calendar")
	c.Flags().StringVar(&failOn, "fail-on", "", "list these alone, and exit 1 if there are any: overdue, late, due-in=PERIOD, or several with commas")
	for _, other := range []string{"json", "wide", "limit", "fail-on"} {
		c.MarkFlagsMutuallyExclusive("ics", other)
	}
	c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(toStrings(view.DutyKinds), cobra.ShellCompDirectiveNoFileComp))
	c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(toStrings(view.DutyStates), cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if f.Kind, err = oneOf("kind", kind, view.DutyKinds); err != nil {
			return err
		}
		if f.State, err = oneOf("state", state, view.DutyStates); err != nil {
			return err
		}
		f.Party = partyID(f.Party)
		if q.remote {
			return q.queryServer(c, "register/duties", queryValues("party", f.Party, "designation", f.Designation, "kind", kind, "state", state))
		}
		alarm, err := parseFailOn(failOn)
		if err != nil {
			return err
		}
		if calendar {
			return q.printCalendar(f)
		}
		found := 0
		err = printList(q, func(r *copyView, yield func(view.Duty) bool) error {
			each := yield
			if failOn != "" {
				if q.ahead {
					return usageError("--fail-on: %s is a day to come, on which nobody is overdue yet", r.LocalDate(r.at)).hint("--fail-on due-in=P7D asks today what falls due within a week")
				}
				today := r.LocalDate(r.at)
				each = func(d view.Duty) bool {
					if !alarm.raisedBy(d, today) {
						return true
					}
					found++
					return yield(d)
				}
			}
			if f.Party != "" {
				return dutiesByDueDate(r, f, each)
			}
			return r.Duties(f, r.at, each)
		}, func(w *table, d view.Duty) {
			printRow(w, errorPrefix(d.Error)+d.State.Words(q.ahead), dueText(d.Due), d.Party, d.Kind, aboutDuty(d), withDate("met on ", d.MetOn))
		}, func(r *copyView) error {
			if failOn != "" {
				q.app.logf("nothing is %s, of %s", failOn, register.FormatEntryCount(r.Size()))
				return nil
			}
			return q.printNothingOwed(r, f)
		})
		if err == nil && found > 0 {
			return refusal("%s: %s", failOn, countDuties(found)).hint("docket new response begins an answer; docket duties --party P has all that is owed")
		}
		return err
	}
	return c
}

func countDuties(n int) string {
	if n == 1 {
		return "1 duty"
	}
	return fmt.Sprintf("%d duties", n)
}

// dutyAlarm is what --fail-on is to be told of.
type dutyAlarm struct {
	overdue, late bool
	dueIn         *record.Period // nil: not asked
}

func parseFailOn(text string) (alarm dutyAlarm, err error) {
	if text == "" {
		return alarm, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		within, isPeriod := strings.CutPrefix(word, "due-in=")
		switch {
		case word == string(view.DutyOverdue):
			alarm.overdue = true
		case word == string(view.DutyLate):
			alarm.late = true
		case isPeriod:
			alarm.dueIn = new(record.Period)
			if err := alarm.dueIn.UnmarshalText([]byte(within)); err != nil {
				return alarm, usageError("--fail-on %s: %w", word, err)
			}
		default:
			return alarm, usageError("--fail-on %q%s", word, schema.DidYouMean(word, []string{"overdue", "late", "due-in=P7D"})).hint("overdue, late, due-in=PERIOD, or several of them with commas between")
		}
	}
	return alarm, nil
}

// raisedBy reports whether a duty is one to be told of on a day.
func (a dutyAlarm) raisedBy(d view.Duty, today record.Date) bool {
	switch {
	case d.State == view.DutyOverdue:
		return a.overdue
	case d.State == view.DutyLate:
		return a.late
	}
	return a.dueIn != nil && d.State == view.DutyOpen && d.Due != nil && !d.Due.After(today.Add(*a.dueIn))
}

// printCalendar prints the duties that a filter chooses as a calendar.
func (q *queryFlags) printCalendar(f view.DutyFilter) error {
	r, err := q.open()
	if err != nil {
		return err
	}
	defer r.trust.Close()
	source, err := q.source(r, r.View, r.at)
	if err != nil {
		return err
	}
	c := view.NewCalendar(q.app.out, f.CalendarTitle(source.Name), source, q.ahead)
	if err := r.Duties(f, r.at, func(d view.Duty) bool {
		if f.InCalendar(d) {
			c.Add(d)
		}
		return true
	}); err != nil {
		return err
	}
	return c.Close()
}

// maxSortedDuties is how many duties are kept to be sorted: a party may have as many as there
// are designations.
const maxSortedDuties = 10_000

// dutiesByDueDate yields the duties of one party as it has to do them, those without a date
// last; more than maxSortedDuties as they come.
func dutiesByDueDate(r *copyView, f view.DutyFilter, yield func(view.Duty) bool) error {
	var all []view.Duty
	more, sorted := true, true
	err := r.Duties(f, r.at, func(d view.Duty) bool {
		if len(all) == maxSortedDuties {
			sorted = false
			for _, d := range all {
				more = more && yield(d)
			}
			all = nil
		}
		if all == nil && !sorted {
			more = more && yield(d)
			return more
		}
		all = append(all, d)
		return true
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b view.Duty) int { return cmp.Compare(dueText(a.Due), dueText(b.Due)) })
	for _, d := range all {
		if !yield(d) {
			return nil
		}
	}
	return nil
}

// printNothingOwed prints that nothing is overdue, and the states of the other duties.
func (q *queryFlags) printNothingOwed(r *copyView, f view.DutyFilter) error {
	state, day := f.State, r.LocalDate(r.at)
	f.State = ""
	in := make(map[view.DutyState]int)
	if err := r.Duties(f, r.at, func(d view.Duty) bool { in[d.State]++; return true }); err != nil {
		return err
	}
	var others []string
	for _, s := range view.DutyStates {
		if in[s] > 0 {
			others = append(others, fmt.Sprintf("%d %s", in[s], s.Words(q.ahead)))
		}
	}
	is := "is"
	if q.ahead {
		is = "will be"
	}
	if len(others) > 0 {
		q.app.logf("nothing %s %s on %s (%s)", is, state, day, strings.Join(others, ", "))
		return nil
	}
	q.app.logf("nothing %s owed on %s, by all %s", is, day, register.FormatEntryCount(r.Size()))
	q.app.logf("hint: a party owes nothing before its enrolment, nor before a designation or a request to disclose; docket sync fetches what was submitted since, and --at asks about another day")
	return nil
}

// aboutDuty is what a duty is about, and the day from which on it is owed again.
func aboutDuty(d view.Duty) string {
	return cmp.Or(d.About(), withDate("from ", d.From))
}

// dueText is a due date for people; as text, no date comes after every date.
func dueText(d *record.Date) string {
	if d == nil {
		return "no date"
	}
	return d.String()
}
