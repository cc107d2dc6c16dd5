package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/server/customers"
)

func (a *app) customersFind() *cobra.Command {
	var q customers.FindQuery
	c := &cobra.Command{
		Use:   "find --dir C [QUERY…]",
		Short: "Find customers, in any spelling",
		Long: `Finds customers by name, in any spelling or script, e-mail address, telephone number, IP
address or network, account, LEI or registration number. A word may say what it is: name:,
email:, phone:, ip:, account:, number:. All that is named must fit. The search is logged.
The last column says why each was found: the exact name, a part of it, a former or a similar one.

Without a QUERY it is read from a line of standard input: other users of the machine can see
command lines, and shells keep them.`,
		Example: `  docket customers find --dir C
  docket customers find --dir C marsh lantern
  docket customers find --dir C ip:192.0.2.0/24
  docket customers find --dir C email:desk@marsh.example --reason 'ticket 4711'`,
		Args: cobra.ArbitraryArgs,
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withReason(c).withJSON(c)
	c.Flags().IntVar(&q.Limit, "limit", 20, "customers at most")
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, args []string) error {
		q.Query, q.Reason = strings.Join(args, " "), f.reason
		if len(args) == 0 {
			if a.tty {
				fmt.Fprint(a.err, "find: ")
			}
			var err error
			if q.Query, err = a.readLine("-"); err != nil {
				return err
			}
		}
		var found customers.Found
		if err := s.post(c.Context(), "find", q, &found); err != nil {
			return err
		}
		if f.asJSON {
			if err := printJSONLines(a, found.Customers); err != nil {
				return err
			}
		} else if err := a.printCustomers(found.Customers); err != nil {
			return err
		}
		switch {
		case len(found.Customers) == 0:
			return refusal("nobody is found").hint("a name may be written in any script; of an address or a number, give it whole; erased customers are found no more")
		case found.More:
			a.logf("the first %d; there are more, or more to look at: narrow the search, or raise --limit", len(found.Customers))
		}
		return nil
	})
	return c
}

func (a *app) printCustomers(all []customers.Customer) error {
	t := a.table()
	t.width = a.terminalWidth()
	for _, one := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", one.Handle, printable(one.Customer.Account), printable(one.Customer.Name), one.Customer.Country, customerStatus(one), printable(strings.Join(one.Matched, ", ")))
	}
	return t.Flush()
}

// customerStatus is how a customer stands, in words.
func customerStatus(c customers.Customer) string {
	var words []string
	if c.ClosedAt != nil {
		words = append(words, "closed "+c.ClosedAt.Format(time.DateOnly))
	}
	switch at, ok := newestVerification(c); {
	case !ok:
		words = append(words, "unverified")
	default:
		words = append(words, at)
	}
	if len(c.Holds) > 0 {
		words = append(words, "held")
	}
	for _, flag := range c.Flags {
		if flag.Outcome == "open" {
			words = append(words, "hit open")
			break
		}
	}
	return strings.Join(words, ", ")
}

func newestVerification(c customers.Customer) (string, bool) {
	var newest *event.Verification
	for i, v := range c.Verifications {
		if newest == nil || v.At.After(newest.At) {
			newest = &c.Verifications[i]
		}
	}
	if newest == nil {
		return "", false
	}
	return newest.Outcome + " " + newest.At.Format(time.DateOnly), true
}

func (a *app) customersShow() *cobra.Command {
	var q customers.ShowQuery
	var all bool
	c := &cobra.Command{
		Use:   "show --dir C (HANDLE | ACCOUNT)",
		Short: "Show a customer, with what is due and all events",
		Long: `Shows what is known of a customer, what is due by the programme, and the events, the newest
first. A customer is named by the handle (32 hexadecimal digits, as find prints it) or by
the account. That it was shown is logged.`,
		Example: `  docket customers show --dir C acct-20417 --reason 'ticket 4711'`,
		Args:    cobra.ExactArgs(1),
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withReason(c).withJSON(c)
	c.Flags().IntVar(&q.Limit, "limit", 20, "events at most")
	c.Flags().BoolVar(&all, "all", false, "all events")
	c.MarkFlagsMutuallyExclusive("limit", "all")
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, args []string) error {
		if q.Handle, q.Account = nameOf(args[0]); all {
			q.Limit = 1000
		}
		q.Reason = f.reason
		for {
			var shown customers.Shown
			if err := s.post(c.Context(), "show", q, &shown); err != nil {
				return err
			}
			if err := a.printShown(shown, f.asJSON, q.Before == 0); err != nil {
				return err
			}
			if !shown.More || len(shown.Events) == 0 {
				return nil
			}
			if !all {
				a.logf("the newest %s; --all shows all", plural(len(shown.Events), "event"))
				return nil
			}
			q.Before = shown.Events[len(shown.Events)-1].Index
		}
	})
	return c
}

// nameOf tells a handle from an account.
func nameOf(text string) (handle, account string) {
	if _, err := event.ParseHandle(text); err == nil {
		return text, ""
	}
	return "", text
}

func (a *app) printShown(shown customers.Shown, asJSON, first bool) error {
	if asJSON {
		return a.printJSON(shown)
	}
	if c := shown.Customer; c != nil && first {
		a.printf("customer %s, account %s: %s\n", c.Handle, printable(c.Customer.Account), customerStatus(*c))
		if err := a.printContent("  ", event.AppendContent(nil, &c.Customer)); err != nil {
			return err
		}
		if len(c.FormerNames) > 0 {
			a.printf("  former names: %s\n", printable(strings.Join(c.FormerNames, "; ")))
		}
		for _, h := range c.Holds {
			a.printf("  held since %s: %s\n", h.At.Format(time.DateOnly), printable(h.Reason))
		}
		if c.NotErasable != "" {
			a.printf("  not to be erased yet: %s\n", printable(c.NotErasable))
		} else {
			a.printf("  may be erased now\n")
		}
		for _, d := range c.Due {
			a.printf("  due by %s: %s (%s)\n", d.By, dutyText(d), printable(d.Why))
		}
		a.printf("events, the newest first\n")
	}
	for _, e := range shown.Events {
		a.printf("%s  %s  leaf %d\n", formatTime(e.Time), e.Kind, e.Index)
		if err := a.printContent("    ", e.Content); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printContent(indent string, content []byte) error {
	v, err := schema.ParseJSON(content)
	if err != nil {
		return err
	}
	o, _ := v.(schema.Object)
	for _, m := range o {
		showMember(a.out, indent, m)
	}
	return nil
}

func dutyText(d programme.Due) string {
	words := string(d.Duty)
	if d.About != "" {
		words += " " + d.About
	}
	for _, list := range [][]string{d.Elements, d.Methods} {
		if len(list) > 0 {
			words += ": " + strings.Join(list, ", ")
		}
	}
	return printable(words)
}

func (a *app) customersHouse() *cobra.Command {
	var q customers.HouseQuery
	c := &cobra.Command{
		Use:     "house --dir C",
		Short:   "Show who searched, read, published and erased",
		Long:    "Shows the log's own events, the newest first: who searched for what, whom somebody was shown, what was published and disclosed.",
		Example: `  docket customers house --dir C --limit 100`,
		Args:    cobra.NoArgs,
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withJSON(c)
	c.Flags().IntVar(&q.Limit, "limit", 50, "events at most")
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, _ []string) error {
		var shown customers.Shown
		if err := s.post(c.Context(), "house", q, &shown); err != nil {
			return err
		}
		return a.printShown(shown, f.asJSON, false)
	})
	return c
}

func (a *app) customersQueue() *cobra.Command {
	var q customers.QueueQuery
	var duty, day string
	c := &cobra.Command{
		Use:   "queue --dir C",
		Short: "Show what is due of whom, by the programme",
		Long: `Shows what is due of customers by the programme in C/programme: elements that have to be
known, verifications, the first and again, those that could not be verified, hits of
screening that wait for a decision. What was due first comes first.`,
		Example: `  docket customers queue --dir C --late`,
		Args:    cobra.NoArgs,
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withJSON(c)
	c.Flags().BoolVar(&q.Late, "late", false, "only what is late")
	c.Flags().StringVar(&duty, "duty", "", "only elements, verify, reverify, resolve, decide or close")
	c.Flags().StringVar(&day, "day", "", "as of this day, like 2027-01-31; default today")
	c.Flags().IntVar(&q.Limit, "limit", 100, "rows at most")
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, _ []string) (err error) {
		if q.Duty, err = oneOf("duty", duty, duties); err != nil {
			return err
		}
		if day != "" {
			d, err := record.ParseDate(day)
			if err != nil {
				return usageError("--day: %w", err)
			}
			q.Day = &d
		}
		var page programme.Page
		if err := s.post(c.Context(), "queue", q, &page); err != nil {
			return err
		}
		if f.asJSON {
			return a.printJSON(page)
		}
		if len(page.Rows) == 0 {
			a.logf("nothing is due on %s", page.Day)
			return nil
		}
		t := a.table()
		t.width = a.terminalWidth()
		for _, r := range page.Rows {
			late := ""
			if r.Late(page.Day) {
				late = "late"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", r.By, late, printable(r.Account), printable(r.Name), dutyText(r.Due))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		a.logf("%d due on %s, %d of them late", page.Due, page.Day, page.Late)
		return nil
	})
	return c
}

// duties are what the queue can be asked for.
var duties = []programme.Duty{programme.DutyElements, programme.DutyVerify, programme.DutyReverify, programme.DutyResolve, programme.DutyDecide, programme.DutyClose}

func (a *app) customersStats() *cobra.Command {
	c := &cobra.Command{
		Use:     "stats --dir C",
		Short:   "Show how large the log is",
		Example: `  docket customers stats --dir C`,
		Args:    cobra.NoArgs,
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withJSON(c)
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, _ []string) error {
		var st customers.Stats
		if err := s.get(c.Context(), "stats", &st); err != nil {
			return err
		}
		if f.asJSON {
			return a.printJSON(st)
		}
		a.printf("%s of %s\n", s.settings.Origin, s.settings.Party)
		t := a.table()
		fmt.Fprintf(t, "customers\t%d\nleaves\t%d\nin closed periods\t%d\nperiods\t%d\nsealed events, bytes\t%d\nkeys, bytes\t%d\n",
			st.Customers, st.Size, st.Published, st.Periods, st.DataBytes, st.KeyBytes)
		return t.Flush()
	})
	return c
}
