package main

import (
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
The second is now, with all that the copy has, if it is left out.`,
		Example: `  docket diff --trust trust 9 13
  docket diff --trust trust 2027-05-31 2027-06-01`,
		Args: cobra.RangeArgs(1, 2),
	}
	t := a.trustFlags(c)
	q := &queryFlags{app: a, trust: t}
	c.Flags().BoolVar(&q.asJSON, "json", false, "print one JSON object a line")
	c.RunE = func(c *cobra.Command, args []string) error {
		return printList(q, func(r *copyView, yield func(view.Change) bool) error {
			before, then, err := q.viewAt(r, args[0])
			if err != nil {
				return err
			}
			after, now := r.View, r.at
			if len(args) == 2 {
				if after, now, err = q.viewAt(r, args[1]); err != nil {
					return err
				}
			}
			if before.Size() > after.Size() || then.After(now) {
				return usageError("%s is later than %s", args[0], strings.Join(args[1:], "")).hint("the earlier one comes first")
			}
			return after.Changes(before, then, now, yield)
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
