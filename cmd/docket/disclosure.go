package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func (a *app) listRequests() *cobra.Command {
	var status string
	var f view.RequestFilter
	c := &cobra.Command{
		Use:   "requests",
		Short: "List requests to disclose as they stand at a time",
		Long: `Lists the requests to disclose, by thread, as they stand at a time (--at, default now):
the status, the thread, whose cooperation is asked for, the last day to answer, whom it
asks and by what. Of a sealed request nothing but the jurisdiction is told before it is
opened. With --json one object a line, which also has the status that was knowable then
and the records that it rests on.`,
		Example: `  docket list requests --trust trust --jurisdiction XB
  docket list requests --trust trust --status unanswered --at 2027-06-01 --json`,
		Args: cobra.NoArgs,
	}
	q := a.queryFlags(c, "limit", "wide").addListFlags(c, "STATUS", "THREAD", "FOR", "DUE", "ASKS", "BY")
	c.Flags().StringVar(&status, "status", "", joinTexts(view.RequestStatuses))
	c.Flags().StringVar(&f.Jurisdiction, "jurisdiction", "", "whose cooperation is asked for: a country's name in English, or its ISO 3166-1 code")
	c.Flags().StringVar(&f.Provider, "party", "", "that ask this provider; a sealed one is nobody's")
	c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(toStrings(view.RequestStatuses), cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if f.Status, err = oneOf("status", status, view.RequestStatuses); err != nil {
			return err
		}
		if f.Jurisdiction, err = jurisdictionCode(f.Jurisdiction); err != nil {
			return err
		}
		f.Provider = partyID(f.Provider)
		if q.remote {
			return q.queryServer(c, "register/requests", queryValues("status", status, "jurisdiction", f.Jurisdiction, "party", f.Provider))
		}
		return printList(q, func(r *copyView, yield func(view.Request) bool) error {
			return foundOrKnown(r, f.Provider, "", yield, func(yield func(view.Request) bool) error { return r.Requests(f, r.at, yield) })
		}, func(w *table, d view.Request) {
			printRow(w, d.Status, d.Thread, d.Jurisdiction, requestDue(d), sealedOr(d, d.Provider), sealedOr(d, string(d.Type)))
		}, q.printNone("request to disclose", "other --status, --at or filters may have some; docket new disclosure-request begins one; docket sync fetches newer ones"))
	}
	return c
}

func (a *app) listCooperation() *cobra.Command {
	var jurisdiction string
	c := &cobra.Command{
		Use:   "cooperation",
		Short: "Count how requests to disclose fared, by jurisdiction",
		Long: `Counts the requests to disclose by the jurisdiction whose cooperation they ask for, as they
stand at a time (--at, default now): how many were asked, and of these were answered, went
unanswered, were challenged or withdrawn, or are open; and the median of the days that an
answer took, from the day on which it could be given (a sealed request's: on which it was
opened). Each request counts once. With --json one object a line, with the records that it
rests on: docket list requests --jurisdiction XB has them one by one, to count anew.`,
		Example: `  docket list cooperation --trust trust
  docket list cooperation --trust trust --jurisdiction XB --at 2027-12-31 --json`,
		Args: cobra.NoArgs,
	}
	q := a.queryFlags(c, "limit", "wide").addListFlags(c, "FOR", "ASKED", "ANSWERED", "UNANSWERED", "CHALLENGED", "WITHDRAWN", "OPEN", "MEDIAN DAYS")
	q.headed = true // numbers alone say nothing
	c.Flags().StringVar(&jurisdiction, "jurisdiction", "", "of this country alone: its name in English, or its ISO 3166-1 code")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if jurisdiction, err = jurisdictionCode(jurisdiction); err != nil {
			return err
		}
		if q.remote {
			return q.queryServer(c, "register/cooperation", queryValues("jurisdiction", jurisdiction))
		}
		return printList(q, func(r *copyView, yield func(view.Cooperation) bool) error {
			list, err := r.Cooperation(jurisdiction, r.at)
			for _, item := range list {
				if !yield(item) {
					break
				}
			}
			return err
		}, func(w *table, n view.Cooperation) {
			days := "-"
			if n.MedianDays != nil {
				days = fmt.Sprint(*n.MedianDays)
			}
			printRow(w, n.Jurisdiction, n.Asked, n.Answered, n.Unanswered, n.Challenged, n.Withdrawn, n.Open, days)
		}, q.printNone("request to disclose", "docket list requests has all; docket sync fetches newer ones"))
	}
	return c
}

// jurisdictionCode reads --jurisdiction, which may be left out.
func jurisdictionCode(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	code, err := register.Country(text)
	if err != nil {
		return "", usageError("--jurisdiction: %w", err)
	}
	return code, nil
}

// requestDue is the last day to answer; of a sealed request the one that it names, which the
// day of its opening may put off.
func requestDue(r view.Request) string {
	if r.Sealed {
		return r.DueOn.String()
	}
	return dueText(r.Due)
}

// sealedOr is what is told of a request that is not sealed.
func sealedOr(r view.Request, text string) string {
	if r.Sealed {
		return "sealed"
	}
	return text
}

// showRequest shows one request to disclose, what became of it, and all records on it.
func (q *queryFlags) showRequest(ctx context.Context, r *copyView, thread record.Thread) error {
	d, err := r.Request(thread, r.at)
	if err != nil {
		return err
	}
	if q.asJSON {
		return q.printJSON(d)
	}
	q.app.printf("%s  for the cooperation of %s\n", d.Thread, d.Jurisdiction)
	line := q.linePrinter()
	on := r.LocalDate(r.at)
	line("status", "on %s: %s", on, d.Status)
	line("knowable", "on %s: %s (%s)", on, cmp.Or(string(d.Knowable), "nothing"), d.KnowableBy)
	line("asked", "%s, due on %s", d.Asked, d.DueOn)
	if d.Sealed {
		line("sealed", "until %s: whom it asks, and by what, is not public", d.SealedUntil)
	} else {
		line("asks", "%s, by %s, until %s", d.Provider, d.Type, dueText(d.Due))
	}
	if d.Decided != nil {
		line(string(d.Status), "%s%s", d.Decided, daysText(d.Days))
	}
	if d.Recipient != "" {
		line("recipient", "%s", shortened(d.Recipient))
	}
	q.printCut(d.Cut, d.Thread, "history", "receipts")
	threads := []record.Thread{thread}
	if d.Provider != "" {
		threads = append(threads, record.ReceiptThread(thread.Request(), d.Provider))
	}
	for _, t := range threads {
		var failed error
		err := r.Records(view.RecordFilter{Thread: t}, func(rec register.RecordRow) bool {
			var st *record.Statement
			if st, failed = statementAt(ctx, r, rec.Index); failed != nil {
				return false
			}
			q.app.printf("  #%-6d %-18s %s  %s\n          %s\n", rec.Index, rec.Kind, formatTime(rec.Admitted), printable(view.Summary(st)), rec.ID)
			return true
		})
		if err := cmp.Or(err, failed); err != nil {
			return err
		}
	}
	return nil
}

func daysText(days *int) string {
	if days == nil {
		return ""
	}
	return fmt.Sprintf(", after %d days", *days)
}
