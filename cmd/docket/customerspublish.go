package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/server/customers"
)

func (a *app) customersPublish() *cobra.Command {
	p := customersPublish{app: a}
	c := &cobra.Command{
		Use:   "publish --dir C --key FILE [--until DATE]",
		Short: "Close the period, and publish what fixes it",
		Long: `Ends the period (docket customers close-period), makes the public customer-log record of
it, with the proof that the log grew from what was published before, signs it with --key,
submits it, and keeps the receipt in C/receipts. Periods that were closed and not published
are caught up first, in order. Run it from a timer, or let docket customers serve do it
(--publish-key): a run that was cut off goes on.

If the public ledger has a record that this log does not lead up to, nothing is published:
a backup was restored, and what was logged since is missing. Bring back the newest copy of
the whole directory. Only where that is lost for ever, begin another log and publish it
with --restart and the reason, which is shown for ever.`,
		Example: `  docket customers publish --dir C --key ci.key
  docket customers publish --dir C --key ci.key --until 2027-01-31`,
		Args: cobra.NoArgs,
	}
	p.f = a.customersFlags(c).withIdentity(c)
	p.submit = submitCmd{app: a, chain: true, yes: true, brief: true}
	p.submit.trust = a.trustFlags(c).addLedgerFlag(c).withMaxAgeFlag(c)
	c.Flags().StringArrayVar(&p.submit.keys, "key", nil, "private key file or KMS URI of the party's automation; may be repeated")
	c.Flags().DurationVar(&p.submit.wait, "wait", 30*time.Second, "how long to go on trying while the ledger is busy or out of reach; 0: one call")
	c.Flags().StringVar(&p.until, "until", "", "the period's last day; default yesterday")
	c.Flags().StringVar(&p.restart, "restart", "", "the log before this one was lost: why")
	c.MarkFlagRequired("key")
	c.RunE = p.f.withServer(p.run)
	return c
}

// customersPublish is one run of docket customers publish.
type customersPublish struct {
	app            *app
	f              *customersFlags
	submit         submitCmd
	until, restart string
}

func (p *customersPublish) run(c *cobra.Command, s *customersServer, _ []string) error {
	if p.submit.trust.dir == "" {
		p.submit.trust.dir = s.settings.Trust
	}
	until, err := untilOf(s, p.until)
	if err != nil {
		return err
	}
	if err := p.catchUp(c, s); err != nil {
		return err
	}
	return p.closeAndPublish(c, s, until)
}

// catchUp publishes what is closed and not public yet, in order.
func (p *customersPublish) catchUp(c *cobra.Command, s *customersServer) error {
	for {
		next, err := p.next(c, s)
		if err != nil || next.Number == 0 {
			return err
		}
		if err := p.publish(c, s, next); err != nil {
			return err
		}
	}
}

// closeAndPublish ends a period, and publishes it.
func (p *customersPublish) closeAndPublish(c *cobra.Command, s *customersServer, until record.Date) error {
	if closed, err := p.close(c, s, until); err != nil || !closed {
		return err
	}
	return p.catchUp(c, s)
}

// close ends the period, unless one has ended there already.
func (p *customersPublish) close(c *cobra.Command, s *customersServer, until record.Date) (bool, error) {
	var all customers.Periods
	if err := s.get(c.Context(), "periods", &all); err != nil {
		return false, err
	}
	if n := len(all.Periods); n > 0 && !until.After(all.Periods[n-1].Until) {
		p.app.logf("all is published until %s", all.Periods[n-1].Until)
		return false, nil
	}
	var period customers.Period
	if err := s.post(c.Context(), "periods", customers.CloseQuery{Until: until}, &period); err != nil {
		return false, err
	}
	p.app.logf("closed period %d until %s: %d leaves", period.Number, period.Until, period.Size)
	return true, nil
}

// next is the public record that is due.
func (p *customersPublish) next(c *cobra.Command, s *customersServer) (next customers.Next, err error) {
	trust, err := p.submit.trust.open()
	if err != nil {
		return next, err
	}
	defer trust.Close()
	if trust.Ledger() != s.settings.Ledger {
		return next, usageError("%s is of another ledger than the log", trust.Dir()).hint("name the trust directory of ledger %.8s… with --trust", s.settings.Ledger)
	}
	if _, err := p.submit.trust.syncOrWarn(c, trust); err != nil {
		return next, err
	}
	logs, vkey, err := customerLogRecords(c.Context(), trust, s.settings.Party)
	if err != nil {
		return next, err
	}
	query := customers.NextQuery{VKey: vkey}
	if n := len(logs); n > 0 {
		query.Newest = &logs[n-1]
		if said, err := record.ParseStatement(logs[n-1].Payload); err == nil && said.Predicate.(*record.CustomerLog).Origin != s.settings.Origin {
			query.Restart = p.restart
		}
	}
	err = s.post(c.Context(), "publish/next", query, &next)
	return next, err
}

// customerLogRecords are a provider's customer-log records of a copy, the earliest first, and
// the verifier key that is in force by them.
func customerLogRecords(ctx context.Context, trust *client.Trust, party string) (all []customers.PublicRecord, vkey string, err error) {
	reg, err := trust.Register()
	if errors.Is(err, client.ErrNoCopy) {
		return nil, "", refusal("%w", err).hint("docket sync --trust %s", trust.Dir())
	} else if err != nil {
		return nil, "", err
	}
	v, err := trust.ViewAt(reg.Size())
	if err != nil {
		return nil, "", err
	}
	if public, err := v.CustomerLog(party); err != nil || public == nil {
		return nil, "", err
	}
	var rows []register.RecordRow
	if err := v.Thread(record.CustomerLogThread(party), 0, func(r register.RecordRow) bool { rows = append(rows, r); return true }); err != nil {
		return nil, "", err
	}
	for _, r := range rows {
		one, err := publicRecord(ctx, trust, r)
		if err != nil {
			return nil, "", err
		}
		st, err := record.ParseStatement(one.Payload)
		if err != nil {
			return nil, "", err
		}
		said, ok := st.Predicate.(*record.CustomerLog)
		if !ok {
			continue
		}
		if said.VKey != "" {
			vkey = said.VKey
		}
		all = append(all, one)
	}
	return all, vkey, nil
}

// publicRecord is a record of the copy with its bytes.
func publicRecord(ctx context.Context, trust *client.Trust, r register.RecordRow) (customers.PublicRecord, error) {
	raw, err := trust.Entry(ctx, r.Index)
	if err != nil {
		return customers.PublicRecord{}, err
	}
	e, err := record.ParseEntry(raw)
	if err != nil {
		return customers.PublicRecord{}, err
	}
	return customers.PublicRecord{Index: r.Index, Admitted: r.Admitted, Payload: e.Envelope.Payload}, nil
}

// publish submits one record, as docket submit does, and hands its receipt to the log.
func (p *customersPublish) publish(c *cobra.Command, s *customersServer, next customers.Next) error {
	dir := filepath.Join(p.f.dir, "receipts")
	if err := disk.MakeDir(vfs.Default, dir, 0o700); err != nil {
		return err
	}
	stem := filepath.Join(dir, fmt.Sprintf("customer-log-%d", next.Number))
	if err := writeNew(stem+".yaml", []byte(next.ShortForm), 0o600); err != nil {
		return err
	}
	if err := p.submit.run(c, []string{stem + ".yaml"}); err != nil {
		return err
	}
	receipt, err := os.ReadFile(stem + receiptSuffix)
	if err != nil {
		return err
	}
	var period customers.Period
	if err := s.request(c.Context(), "POST", "/v1/customers/publish/recorded", "text/plain", receipt, &period); err != nil {
		return err
	}
	p.app.logf("published period %d until %s; %s behind it", period.Number, period.Until, plural(next.Left, "period"))
	return nil
}
