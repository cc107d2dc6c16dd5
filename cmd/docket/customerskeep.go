package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/customers"
)

func (a *app) customersErase() *cobra.Command {
	var q customers.EraseQuery
	var yes bool
	var despite []string
	c := &cobra.Command{
		Use:   "erase --dir C (--due | HANDLE…)",
		Short: "Erase customers whose accounts were closed long enough ago",
		Long: `Destroys customers' keys, in every file of the key store, for ever: nobody can read their
events any more, neither here nor in a backup of the data. Their leaves stay, and the log
still verifies; an erased event tells. A customer may be erased two years after closing, or
what retention in C/customers.json says, unless held (docket customers hold) or in a
disclosure that waits. Backups of the key store have the key for up to 30 days more.

Searches and reasons are the house's own, and stay: a query that named the customer is
still shown by docket customers house, and on the page "Who looked".

A request on the public ledger that nothing answers keeps whom the disclosures on it name,
handed out or not, until the disclosure-receipt is there; and where nothing was prepared on it
yet, it keeps everybody, unless --despite says that it concerns none of them. A copy of the
ledger says which these are, that of the log's trust directory: docket sync first. A sealed
request keeps nobody but whom a disclosure on it names, until it is opened.

--due takes all who may be erased; --dry-run says who that is.`,
		Example: `  docket customers erase --dir C --due --dry-run
  docket customers erase --dir C --due --yes`,
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withJSON(c)
	c.Flags().BoolVar(&q.Due, "due", false, "all who may be erased by now")
	c.Flags().BoolVar(&q.DryRun, "dry-run", false, "say who would be, and who not and why")
	c.Flags().BoolVar(&yes, "yes", false, "erase without asking (it asks on a terminal only)")
	c.Flags().StringVar(&q.Reason, "reason", "", "why: logged; default: the retention")
	c.Flags().StringArrayVar(&despite, "despite", nil, "thread of a request that waits for an answer and concerns none of them: logged; may be repeated")
	c.Flags().StringVar(&f.trust, "trust", "", "where nobody serves the directory: trust directory with the copy of the ledger; default: that of C/customers.json")
	c.MarkFlagDirname("trust")
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, args []string) error {
		if q.Due == (len(args) > 0) {
			return usageError("want handles, or --due for all who may be erased").hint("docket customers find prints handles")
		}
		if s.served {
			if err := idle(c, "where docket customers serve has the log: that has a --trust of its own", "trust"); err != nil {
				return err
			}
		}
		q.Handles = args
		for _, thread := range despite {
			q.Despite = append(q.Despite, record.Thread(thread))
		}
		if !q.DryRun && !yes {
			if ok, err := a.confirm(c.Context(), "Erase for ever?"); err != nil || !ok {
				return orError(err, refusal("nobody was erased"))
			}
		}
		var out customers.Erased
		if err := s.post(c.Context(), "erase", q, &out); err != nil {
			return err
		}
		return f.printErased(out, q.DryRun)
	})
	return c
}

func orError(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func (f *customersFlags) printErased(out customers.Erased, dry bool) error {
	a, refused := f.app, 0
	for _, one := range out.Customers {
		words := "erased"
		if dry {
			words = "may be erased"
		}
		if one.Detail != "" {
			words = "not erased: " + one.Detail
			refused++
		}
		if f.asJSON {
			if err := a.printJSON(one); err != nil {
				return err
			}
			continue
		}
		a.printf("%s  %s\n", one.Handle, printable(words))
	}
	if len(out.Customers) == 0 {
		a.logf("nobody may be erased today")
	}
	if dry && refused < len(out.Customers) && !f.asJSON {
		a.logf("searches and reasons that name them stay in the house's own record (docket customers house)")
	}
	if refused > 0 && !dry {
		return refusal("%s not erased", beAre(refused, "customer", "customers"))
	}
	return nil
}

func (a *app) customersReport() *cobra.Command {
	var period, initial string
	var from record.Date
	c := &cobra.Command{
		Use:   "report --dir C --period FROM/UNTIL",
		Short: "Count what a cip-certification of a period commits to",
		Long: `Counts a period from the log: accounts opened, closed and verified, how and how late, who
could not be verified and what became of them, hits of screening and decisions. An event
counts on the day on which it happened, so the same log gives the same report.

--certification prints it as the short form of a cip-certification instead, about that
document, for docket sign; what it commits to are these counts.`,
		Example: `  docket customers report --dir C --period 2026-01-01/2026-12-31
  docket customers report --dir C --period 2026-01-01/2026-12-31 --certification cip-2026.pdf > cip-2026.yaml`,
		Args: cobra.NoArgs,
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withJSON(c)
	c.Flags().StringVar(&period, "period", "", "first and last day, like 2026-01-01/2026-12-31")
	c.Flags().StringVar(&initial, "certification", "", "print the short form of a certification about this document")
	c.MarkFlagRequired("period")
	c.MarkFlagsMutuallyExclusive("json", "certification")
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, _ []string) error {
		var q customers.ReportQuery
		var err error
		if len(period) != len("2026-01-01/2026-12-31") || period[10] != '/' {
			return usageError("--period %q: want the first and the last day, like 2026-01-01/2026-12-31", period)
		}
		if from, err = record.ParseDate(period[:10]); err == nil {
			q.From = from
			q.Until, err = record.ParseDate(period[11:])
		}
		if err != nil {
			return usageError("--period: %w", err)
		}
		var r programme.Report
		if err := s.post(c.Context(), "report", q, &r); err != nil {
			return err
		}
		switch {
		case f.asJSON:
			return a.printJSON(r)
		case initial != "":
			a.printf("%s", r.ShortForm(programme.Certification{Party: s.settings.Party, Document: initial}))
			return nil
		}
		return a.printReport(&r)
	})
	return c
}

func (a *app) printReport(r *programme.Report) error {
	a.printf("from %s until %s, by the programme %s\n", r.From, r.Until, orWords(printable(r.Programme), "(none in force)"))
	t := a.table()
	r.Counts.Each(func(name string, n *int64) { fmt.Fprintf(t, "  %s\t%d\n", name, *n) })
	fmt.Fprintf(t, "  unverifiableResolved\t%t\n", r.UnverifiableResolved)
	return t.Flush()
}

func (a *app) customersAudit() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit --dir C",
		Short: "Replay the whole private log with its plaintexts",
		Long: `Reads every leaf of the log, makes the tree anew, opens each leaf as an event, padding or a
period's end, follows every customer's chain and makes every map anew. What an auditor's
assessment names is the size and the root that it prints. Erased customers' events can be
opened by nobody: they are counted. Exit status 1 where anything is wrong.`,
		Example: `  docket customers audit --dir C`,
		Args:    cobra.NoArgs,
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withJSON(c)
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, _ []string) error {
		var r customers.Audit
		if err := s.post(c.Context(), "audit", struct{}{}, &r); err != nil {
			return err
		}
		if f.asJSON {
			if err := a.printJSON(r); err != nil {
				return err
			}
		} else {
			t := a.table()
			fmt.Fprintf(t, "leaves\t%d\nroot\t%s\nevents opened\t%d\nevents of erased customers\t%d\npadding\t%d\nperiods\t%d\ncustomers\t%d\nerased customers\t%d\nlogged late\t%d\n",
				r.Size, r.Root, r.Events, r.ErasedEvents, r.Pads, r.Periods, r.Customers, r.ErasedCustomers, r.Late)
			if err := t.Flush(); err != nil {
				return err
			}
		}
		for _, text := range r.Problems {
			a.logf("wrong: %s", text)
		}
		if len(r.Problems) > 0 {
			return refusal("%s wrong in the log", beAre(len(r.Problems), "thing", "things"))
		}
		return nil
	})
	return c
}

func (a *app) customersRotate() *cobra.Command {
	var recipients string
	c := &cobra.Command{
		Use:   "rotate --dir C [--recipients FILE]",
		Short: "Give the vault a new wrapping key, and other holders",
		Long: `Wraps all customers' keys anew under a new key of the vault; no event is written again.
With --recipients the vault is encrypted to those public keys of age from then on: whoever
is not among them opens it no more. A copy of the vault file of before, together with a
copy of the key store of before, still opens what was there then.`,
		Example: `  docket customers rotate --dir C
  docket customers rotate --dir C --recipients recipients.txt`,
		Args: cobra.NoArgs,
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c)
	c.Flags().StringVar(&recipients, "recipients", "", "file of the public keys of age that open the vault from then on, one a line; default: as before")
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, _ []string) error {
		var q customers.RotateQuery
		if recipients != "" {
			raw, err := a.readFile(recipients)
			if err != nil {
				return err
			}
			q.Recipients = string(raw)
		}
		if err := s.post(c.Context(), "rotate", q, nil); err != nil {
			return err
		}
		a.logf("rotated: back up the keys (docket customers backup-keys), since older backups need the vault file of before")
		return nil
	})
	return c
}

func (a *app) customersBackupKeys() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "backup-keys --dir C --to B",
		Short: "Back up the customers' sealed keys, for 30 days at most",
		Long: `Writes the customers' sealed keys, and the vault file as it is, to a new file in B, and
deletes those in B that are older than 30 days: an erased customer must not live on in a
backup. Keep them apart from backups of the rest of C, which may be kept for ever: without
the keys they say nothing.`,
		Example: `  docket customers backup-keys --dir C --to /backup/keys`,
		Args:    cobra.NoArgs,
	}
	f := a.customersFlags(c).withIdentity(c).withJSON(c)
	c.Flags().StringVar(&to, "to", "", "directory of the backups")
	c.MarkFlagRequired("to")
	c.MarkFlagDirname("to")
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, _ []string) error {
		dir, err := filepath.Abs(to)
		if err != nil {
			return err
		}
		var out customers.Backup
		if err := s.post(c.Context(), "backup-keys", customers.BackupQuery{Dir: dir}, &out); err != nil {
			return err
		}
		if f.asJSON {
			return a.printJSON(out)
		}
		a.printf("%s\n", out.Name)
		for _, name := range out.Deleted {
			a.logf("deleted %s, which was too old", name)
		}
		return nil
	})
	return c
}
