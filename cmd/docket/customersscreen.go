package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/customerscreen"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
	"github.com/seed-53cf897a/docket/server/customers"
)

func (a *app) customersScreen() *cobra.Command {
	m := customersScreen{app: a}
	c := &cobra.Command{
		Use:   "screen --dir C",
		Short: "Compare all customers with the designations in effect",
		Long: `Compares each customer, each owner and the countries of their addresses with the
designations that are in effect today, as docket screen compares a list. Each hit is logged
and waits for a decision (docket customers queue --duty decide, docket customers decide);
screened again, a hit is known, by the day on which it was first found, and one that was
decided comes back only when the designation or the customer has changed.`,
		Example: `  docket sync --trust trust && docket customers screen --dir C`,
		Args:    cobra.NoArgs,
	}
	m.f = a.customersFlags(c).withIdentity(c).withServerFlags(c).withJSON(c)
	m.trust = a.trustFlags(c)
	c.Flags().StringVar(&m.threshold, "threshold", screen.Threshold.String(), "least score of a hit, "+minThreshold.String()+" at least")
	c.RunE = m.f.withServer(m.run)
	return c
}

// customersScreen is one run of docket customers screen.
type customersScreen struct {
	app       *app
	f         *customersFlags
	trust     *trustFlags
	threshold string
}

func (m *customersScreen) run(c *cobra.Command, s *customersServer, _ []string) error {
	if m.trust.dir == "" {
		m.trust.dir = s.settings.Trust
	}
	by, err := m.screener()
	if err != nil {
		return err
	}
	body, err := json.Marshal(customers.ExportQuery{For: "screened"})
	if err != nil {
		return err
	}
	resp, err := s.send(c.Context(), "POST", "/v1/customers/export", "application/json", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var hits []event.Input
	screened := 0
	lines := bufio.NewReaderSize(resp.Body, 1<<20)
	for ended := false; !ended; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return refusal("the customers were not sent to their end: %w", err).hint("run the same command again")
		}
		var one struct {
			customers.Customer
			End bool `json:"end"`
		}
		if err := json.Unmarshal(line, &one); err != nil {
			return err
		}
		if ended = one.End; ended {
			break
		}
		screened++
		st := one.State()
		hits = append(hits, customerscreen.Hits(&st, by, time.Now())...)
	}
	fresh, same, faulty := 0, 0, 0
	outcomes, err := s.addInputs(c.Context(), hits)
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		switch {
		case o.Fault != "":
			faulty++
			m.app.logf("not logged: %s", o.Fault)
		case o.Same:
			same++
		default:
			fresh++
		}
	}
	if m.f.asJSON {
		if err := m.app.printJSON(map[string]int{"customers": screened, "new": fresh, "known": same}); err != nil {
			return err
		}
	} else {
		m.app.printf("%s screened: %s, %d known already\n", plural(screened, "customer"), plural(fresh, "new hit"), same)
	}
	if faulty > 0 {
		return refusal("%s not logged", beAre(faulty, "hit", "hits"))
	}
	return nil
}

func (m *customersScreen) screener() (*screening.Screener, error) {
	least, err := screen.ParseScore(m.threshold)
	if err != nil {
		return nil, usageError("--threshold: %w", err)
	}
	if least < minThreshold {
		return nil, usageError("--threshold %s: want %s at least; below that, everything resembles everything", m.threshold, minThreshold.String())
	}
	q := &queryFlags{app: m.app, trust: m.trust}
	r, err := q.open()
	if err != nil {
		return nil, err
	}
	defer r.trust.Close()
	day := record.DateOf(time.Now(), r.zone)
	begin, err := time.ParseInLocation(time.DateOnly, day.String(), r.zone)
	if err != nil {
		return nil, err
	}
	designations, err := screening.NewDesignations(r.View, endOfDay(begin), screening.InEffect)
	if err != nil {
		return nil, err
	}
	return &screening.Screener{Designations: designations, Threshold: least}, nil
}

func (a *app) customersDecide() *cobra.Command {
	var outcome, by, reason string
	c := &cobra.Command{
		Use:   "decide --dir C ACCOUNT DESIGNATION --outcome OUTCOME --by WHO --reason WHY",
		Short: "Log what was decided about a hit of screening",
		Long: `Logs a decision about a customer's hits on a designation: false-positive, true-match, or open
again. A true match is due to be closed (docket customers queue --duty close).`,
		Example: `  docket customers decide acct-20417 designation/2026-014 --dir C --outcome false-positive --by compliance-1 --reason 'another date of birth'`,
		Args:    cobra.ExactArgs(2),
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c)
	c.Flags().StringVar(&outcome, "outcome", "", "false-positive, true-match or open")
	c.Flags().StringVar(&by, "by", "", "whose decision it is: a post, or a system")
	c.Flags().StringVar(&reason, "reason", "", "why, for people")
	for _, name := range []string{"outcome", "by", "reason"} {
		c.MarkFlagRequired(name)
	}
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, args []string) error {
		if _, err := oneOf("outcome", outcome, []string{"false-positive", "true-match", "open"}); err != nil {
			return err
		}
		var shown customers.Shown
		q := customers.ShowQuery{Limit: 1, Purpose: customers.Purpose{Reason: "to decide about a hit"}}
		q.Handle, q.Account = nameOf(args[0])
		if err := s.post(c.Context(), "show", q, &shown); err != nil {
			return err
		}
		if shown.Customer == nil {
			return errors.New("the server shows no customer")
		}
		st := shown.Customer.State()
		var inputs []event.Input
		for _, flag := range st.Flags {
			if flag.Thread != args[1] {
				continue
			}
			in, faults := st.Decide(flag, outcome, by, reason, time.Now())
			if len(faults) > 0 {
				return usageError("%s", fmt.Sprint(faults[0]))
			}
			inputs = append(inputs, in)
		}
		if len(inputs) == 0 {
			return refusal("%s has no hit on %s", args[0], args[1]).hint("docket customers show %s shows its hits", args[0])
		}
		outcomes, err := s.addInputs(c.Context(), inputs)
		if err != nil {
			return err
		}
		for _, o := range outcomes {
			if o.Fault != "" {
				return refusal("%s", o.Fault)
			}
		}
		a.printf("%s: %s decided, %s\n", printable(args[0]), plural(len(inputs), "hit"), outcome)
		return nil
	})
	return c
}
