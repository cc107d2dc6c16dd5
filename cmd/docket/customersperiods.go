package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/customers"
)

func (a *app) customersClosePeriod() *cobra.Command {
	var until string
	c := &cobra.Command{
		Use:   "close-period --dir C [--until DATE]",
		Short: "End a period, and sign its checkpoint; publish does it too",
		Long: `Ends a period: fills the log up, so that its size tells nothing, fixes what is filed under
each customer's handle, and signs a checkpoint. What a public customer-log record then says
of it holds for ever. docket customers publish does this and publishes it.`,
		Example: `  docket customers close-period --dir C --until 2027-01-31`,
		Args:    cobra.NoArgs,
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withJSON(c)
	c.Flags().StringVar(&until, "until", "", "the period's last day; default yesterday's end")
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, _ []string) error {
		day, err := untilOf(s, until)
		if err != nil {
			return err
		}
		var p customers.Period
		if err := s.post(c.Context(), "periods", customers.CloseQuery{Until: day}, &p); err != nil {
			return err
		}
		if f.asJSON {
			return a.printJSON(p)
		}
		a.printf("period %d until %s: %d leaves, root %s\n", p.Number, p.Until, p.Size, p.Root)
		return nil
	})
	return c
}

func (a *app) customersPeriods() *cobra.Command {
	c := &cobra.Command{
		Use:     "periods --dir C",
		Short:   "Show the closed periods, and which are published",
		Example: `  docket customers periods --dir C`,
		Args:    cobra.NoArgs,
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withJSON(c)
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, _ []string) error {
		var all customers.Periods
		if err := s.get(c.Context(), "periods", &all); err != nil {
			return err
		}
		if f.asJSON {
			return printJSONLines(a, all.Periods)
		}
		if len(all.Periods) == 0 {
			a.logf("no period is closed yet: docket customers publish closes one and publishes it")
		}
		t := a.table()
		for _, p := range all.Periods {
			fmt.Fprintf(t, "%d\tuntil %s\t%d leaves\t%s\t%s\n", p.Number, p.Until, p.Size, p.Root, publishedText(p))
		}
		return t.Flush()
	})
	return c
}

func publishedText(p customers.Period) string {
	switch {
	case p.Record != nil:
		return "published as " + p.Record.String()
	case p.Checkpoint == "":
		return "not signed yet"
	}
	return "not published yet"
}

// untilOf is the last day of a period: yesterday, unless another is named.
func untilOf(s *customersServer, text string) (record.Date, error) {
	zone, err := s.settings.Location()
	if err != nil {
		return record.Date{}, err
	}
	yesterday := record.DateOf(time.Now(), zone).AddDays(-1)
	if text == "" {
		return yesterday, nil
	}
	d, err := record.ParseDate(text)
	if err != nil {
		return d, usageError("--until: %w", err)
	}
	if d.After(yesterday) {
		return d, usageError("--until %s: that day is not over yet, and what is still logged on it would be late", d).hint("the newest day that is over is %s", yesterday)
	}
	return d, nil
}
