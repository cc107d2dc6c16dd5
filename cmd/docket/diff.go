package main

import (
	"bufio"
	"cmp"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func (a *app) diff() *cobra.Command {
	c := &cobra.Command{
		Use:   "diff SIZE|DATE [SIZE|DATE]",
		Short: "Say what changed between two sizes or two dates, from the replayed copy",
		Long: `Says which threads changed between two states of the ledger: their status or standing
before and after, the fields that differ, the records that were added. A state is a
size (the first N entries, when the last of them was admitted) or a date (its last
moment, in the charter's time zone, with all that was knowable then: see docket show).
The second is now, with all that the copy has, if it is left out.

--csv prints a table, in which a cell that a spreadsheet would take for a formula (it
begins with one of = + - @) has an apostrophe before it, behind a byte order mark, by which
it knows UTF-8; --atom an Atom feed (RFC 4287),
of which an entry's ID stays until the thread changes again.`,
		Example: `  docket diff --trust trust 9 13
  docket diff --trust trust 2027-05-31 2027-06-01
  docket diff --trust trust 2027-05-31 --csv > changes.csv`,
		Args: cobra.RangeArgs(1, 2),
	}
	t := a.trustFlags(c)
	q := &queryFlags{app: a, trust: t}
	var asCSV, asAtom bool
	c.Flags().BoolVar(&q.asJSON, "json", false, "print one JSON object a line")
	c.Flags().BoolVar(&asCSV, "csv", false, "print a table for a spreadsheet")
	c.Flags().BoolVar(&asAtom, "atom", false, "print an Atom feed")
	c.MarkFlagsMutuallyExclusive("json", "csv", "atom")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case asCSV:
			return q.writeChanges(args, view.NewChangesCSV)
		case asAtom:
			return q.writeChanges(args, func(w io.Writer, s view.Source) view.ChangeWriter {
				return view.NewChangesFeed(w, s, view.FeedLinks{})
			})
		}
		return printList(q, func(r *copyView, yield func(view.Change) bool) error {
			states, err := q.statesBetween(r, args)
			if err != nil {
				return err
			}
			return states.changes(yield)
		}, showChange, func(*copyView) error {
			if len(args) == 2 {
				q.app.logf("nothing changed between %s and %s", args[0], args[1])
			} else {
				q.app.logf("nothing changed since %s", args[0])
			}
			return nil
		})
	}
	return c
}

// states are the two that are compared.
type states struct {
	before, after *view.View
	then, now     time.Time
}

func (s states) changes(yield func(view.Change) bool) error {
	return s.after.Changes(s.before, s.then, s.now, "", yield)
}

// statesBetween finds the states that the arguments name.
func (q *queryFlags) statesBetween(r *copyView, args []string) (s states, err error) {
	if s.before, s.then, err = q.viewAt(r, args[0]); err != nil {
		return s, err
	}
	s.after, s.now = r.View, r.at
	if len(args) == 2 {
		if s.after, s.now, err = q.viewAt(r, args[1]); err != nil {
			return s, err
		}
	}
	if s.before.Size() > s.after.Size() || s.then.After(s.now) {
		return s, usageError("%s is later than %s", args[0], strings.Join(args[1:], "")).hint("the earlier one comes first")
	}
	return s, nil
}

// writeChanges writes what changed in a format that others read.
func (q *queryFlags) writeChanges(args []string, format func(io.Writer, view.Source) view.ChangeWriter) error {
	r, err := q.open()
	if err != nil {
		return err
	}
	defer r.trust.Close()
	states, err := q.statesBetween(r, args)
	if err != nil {
		return err
	}
	source, err := q.source(r, states.after, states.now)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(q.app.out)
	w, failed := format(out, source), error(nil)
	err = states.changes(func(ch view.Change) bool {
		failed = w.Add(ch)
		return failed == nil
	})
	return cmp.Or(err, failed, w.Close(), out.Flush())
}

func showChange(w *table, ch view.Change) {
	status := ch.After
	if ch.Before != ch.After {
		status = ch.Before + " → " + ch.After
	}
	printRow(w, errorPrefix(ch.Error)+status, ch.Thread, ch.Name, recordCount(len(ch.Records)), strings.Join(ch.Changed, ", "))
}

func recordCount(n int) string {
	if n == 0 {
		return "by the clock"
	}
	return plural(n, "record")
}

// viewAt finds a state of the ledger by its size, or as of the end of a date; then it
// says on stderr how much that is, and by whose word.
func (q *queryFlags) viewAt(r *copyView, text string) (*view.View, time.Time, error) {
	if day, err := time.ParseInLocation(time.DateOnly, text, r.zone); err == nil {
		end := endOfDay(day)
		k, err := r.Knowable(end)
		if err != nil {
			return nil, time.Time{}, err
		}
		if r.Ahead(end, time.Now()) {
			q.app.logf("%s is a day to come: by what is on the ledger, %s (%s)", text, register.FormatEntryCount(k.Size), k)
		} else {
			q.app.logf("knowable on %s: %s (%s)", text, register.FormatEntryCount(k.Size), k)
		}
		v, err := r.trust.ViewAt(k.Size)
		return v, end, err
	}
	if _, err := strconv.ParseUint(text, 10, 63); err != nil {
		return nil, time.Time{}, usageError("%q: want a size (a number of entries) or a date like 2027-06-01", text)
	}
	size, err := parseSize(text, r.Size())
	if err != nil {
		return nil, time.Time{}, err
	}
	v, err := r.trust.ViewAt(size)
	if err != nil || size == 0 {
		return v, time.Time{}, err
	}
	last, err := v.RecordAt(size - 1)
	return v, last.Admitted, err
}
