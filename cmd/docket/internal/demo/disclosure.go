package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/customernode"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/customerscreen"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// disclosers let a bundle out, two of them.
var disclosers = []string{"discloser-1", "discloser-2"}

const askedAddress = "192.0.2.7" // of acct-1

// keepCustomerLog goes on with the private log: what is late, whom an order may mean, a demand,
// its answer, an erasure. Afterwards the log is closed, for whoever follows README.
func (s *scenario) keepCustomerLog(ctx context.Context) error {
	c := &s.customers
	s.printChapter("the private customer log of acme-cloud (only roots of it are public)")
	late, err := s.verifyLate(ctx)
	if err != nil {
		return err
	}
	hit, err := s.screenLog(ctx)
	if err != nil {
		return err
	}
	s.printStep("", "customers", fmt.Sprintf("4 foreign ones; acct-2 is verified, due by %s: late; acct-3 hits %s, and is decided to be another", late, hit))
	if err := c.add(ctx, access("acct-1", "login-2", time.Now(), askedAddress)); err != nil {
		return err
	}
	if err := s.publishPeriod(ctx, s.dates.today.AddDays(-1)); err != nil {
		return err
	}
	s.printStep("#25", "customer log", fmt.Sprintf("a second period: %d leaves, filled up so that the number tells nothing; it extends #15", c.public.Newest.Statement.Predicate.(*record.CustomerLog).Size))
	if err := s.disclose(ctx); err != nil {
		return err
	}
	if err := s.eraseCustomer(ctx); err != nil {
		return err
	}
	if err := c.close(); err != nil {
		return err
	}
	c.settings.Zone = zoneAfterMove // by the charter that is in force now
	return c.settings.Write(vfs.Default, filepath.Join(s.dir, customerLogDir))
}

func addresses(ip string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(ip)} }

// customer is what the log knows of an account.
func (c *customerLog) customer(ctx context.Context, account string) (event.State, error) {
	h, err := c.Handle(ctx, account)
	if err != nil {
		return event.State{}, err
	}
	return c.Customer(ctx, complianceOfficer, h)
}

// verifyLate verifies the customer whom the programme says to be late.
func (s *scenario) verifyLate(ctx context.Context) (due record.Date, err error) {
	history, err := customernode.Programme(vfs.Default, filepath.Join(s.dir, customerLogDir))
	if err != nil {
		return due, err
	}
	zone, err := rules1.Location(zoneAtFirst)
	if err != nil {
		return due, err
	}
	st, err := s.customers.customer(ctx, "acct-2")
	if err != nil {
		return due, err
	}
	for _, d := range history.Due(&st, zone, s.dates.today) {
		if d.Duty == programme.DutyVerify && d.Late(s.dates.today) {
			due = d.By
		}
	}
	if due.IsZero() {
		s.unexpected++
	}
	return due, s.customers.add(ctx, verified("acct-2", time.Now(), "passport", "XE"))
}

// screenLog screens the log's customers; who bears a name like that of an order's alias is
// another company.
func (s *scenario) screenLog(ctx context.Context) (hit string, err error) {
	c := &s.customers
	var hits []event.Input
	err = s.ask(ctx, func(v *view.View) error {
		designations, err := screening.NewDesignations(v, time.Now(), screening.InEffect)
		if err != nil {
			return err
		}
		by := &screening.Screener{Designations: designations, Threshold: screen.Threshold}
		return c.Each(ctx, event.Act{What: event.KindScreened, By: complianceOfficer.By}, func(st event.State) error {
			hits = append(hits, customerscreen.Hits(&st, by, time.Now())...)
			return nil
		})
	})
	if err != nil {
		return "", err
	}
	if err := c.add(ctx, hits...); err != nil {
		return "", err
	}
	st, err := c.customer(ctx, "acct-3")
	if err != nil {
		return "", err
	}
	if len(hits) != 1 || len(st.Flags) != 1 {
		s.unexpected++
		return fmt.Sprintf("%d times", len(hits)), nil
	}
	decision, faults := st.Decide(st.Flags[0], "false-positive", complianceOfficer.By, "Another company, by its country and its number.", time.Now())
	if len(faults) > 0 {
		return "", errors.New(faults[0].String())
	}
	return record.Thread(st.Flags[0].Thread).Name(), c.add(ctx, decision)
}

// disclose answers a demand: two disclosers approve what leaves the house, and the authority
// opens and verifies it.
func (s *scenario) disclose(ctx context.Context) error {
	c := &s.customers
	secret, recipient, err := vault.NewIdentity()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "keys", demandsKeyFile), secret, 0o600); err != nil {
		return err
	}
	due := s.datesAfterMove.due
	st := s.statement(record.RequestThread("2026-003"), record.Authority, &record.DisclosureRequest{
		Status: record.RequestRequested, Type: record.Sealable{Text: "warrant"}, Provider: record.Sealable{Text: "acme-cloud"},
		Jurisdiction: "XA", DueOn: &due, Recipient: recipient,
	})
	if err := s.attachDocument(st, "request-2026-003.txt", "REQUEST 2026-003: who used "+askedAddress+" (fictional)\n"); err != nil {
		return err
	}
	if _, err := s.submit(ctx, "disclosure-request-2026-003", st, "authority-officer-3"); err != nil {
		return err
	}
	public := bundle.Public{Logs: c.logs}
	chain, err := s.client.ChainUnverified(ctx, s.heads[st.Thread])
	if err != nil {
		return err
	}
	if public.Request, err = s.proven(ctx, chain); err != nil {
		return err
	}
	d, file, err := s.handOut(ctx, public, chain, recipient)
	if err != nil {
		return err
	}
	entries, size := int64(d.Events), int64(d.LogSize)
	receipt := s.statement(record.ReceiptThread("2026-003", "acme-cloud"), "acme-cloud", &record.DisclosureReceipt{Request: public.Request.ID, Entries: &entries, LogSize: &size})
	bytesOf := int64(len(file))
	receipt.Subject = record.Subject{Name: bundleFile, SHA256: record.IDOf(file)}
	receipt.Document = &record.Document{Name: bundleFile, MediaType: "application/octet-stream", Bytes: &bytesOf}
	if err := s.write(filepath.Join("documents", bundleFile), file); err != nil {
		return err
	}
	if _, err := s.submit(ctx, "disclosure-receipt-2026-003", receipt, "acme-cloud-compliance"); err != nil {
		return err
	}
	s.printStep("#26-27", "disclosure", fmt.Sprintf("2026-003 asks who used %s; two disclosers approve a bundle of %d events, encrypted to the authority", askedAddress, entries))
	return s.verifyBundle(file, secret, public)
}

// handOut prepares a bundle of whoever used the address that was asked about, and hands it out
// once two disclosers have signed. The chain is the request's.
func (s *scenario) handOut(ctx context.Context, public bundle.Public, requested []byte, recipient string) (*private.Disclosure, []byte, error) {
	c := &s.customers
	who := private.Who{By: disclosers[0], Role: "discloser", Request: string(public.Request.Statement.Thread)}
	found, _, err := c.Find(ctx, who, "ip:"+askedAddress, 10)
	if err != nil {
		return nil, nil, err
	}
	ask := private.Ask{Public: public, Recipient: recipient, Asked: bundle.Asked{Kinds: []string{"opened", "access"}, LookedFor: "ip:" + askedAddress}}
	for _, st := range found {
		ask.Handles = append(ask.Handles, st.Handle)
	}
	periods := c.Periods()
	chain, err := c.Receipt(periods[len(periods)-1].Number)
	if err != nil {
		return nil, nil, err
	}
	ask.Chains = [][]byte{chain, requested}
	d, err := c.Prepare(ctx, who, ask)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range disclosers {
		signer, err := s.keyring.signer("acme-cloud-" + name)
		if err != nil {
			return nil, nil, err
		}
		signature, err := signer.SignMessage(ctx, c.Message(d))
		if err != nil {
			return nil, nil, err
		}
		if d, err = c.Approve(ctx, private.Who{By: name, Role: "discloser"}, d.Number, signer.Key().ID(), signature); err != nil {
			return nil, nil, err
		}
	}
	file, _, err := c.HandOut(ctx, who, d.Number)
	return d, file, err
}

// verifyBundle is the authority: it decrypts, verifies, and refuses the same with one byte off.
func (s *scenario) verifyBundle(file, secret []byte, public bundle.Public) error {
	identities, err := vault.ParseIdentities(secret, nil)
	if err != nil {
		return err
	}
	opened, err := age.Decrypt(bytes.NewReader(file), identities...)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(opened)
	if err != nil {
		return err
	}
	table, err := verifyDisclosed(raw, public)
	if err != nil {
		return err
	}
	n := table.Counts()
	told := fmt.Sprintf("%d of %d events logged before the demand, and all there are", n.Before, n.Events)
	if n.Customers != 1 || n.Events != 3 || n.Before != n.Events || n.Late > 0 {
		s.unexpected++
	}
	s.printOutcome("bundle", "the authority opens it, offline", told)
	_, err = verifyDisclosed(falsify(raw), public)
	s.expectRefused("one byte off", "the address, and its digest put right", err)
	return nil
}

func verifyDisclosed(raw []byte, public bundle.Public) (*bundle.Table, error) {
	b, err := bundle.Parse(raw)
	if err != nil {
		return nil, err
	}
	return b.Verify(public)
}

// falsify changes a digit of an address in a bundle, and puts the digest of its last line right.
func falsify(raw []byte) []byte {
	raw = bytes.Clone(raw)
	at := bytes.LastIndex(raw, []byte(askedAddress)) + len(askedAddress) - 1
	raw[at]++
	tail := bytes.LastIndex(raw, []byte("digest "))
	return fmt.Appendf(raw[:tail:tail], "digest %x\n", sha256.Sum256(raw[:tail]))
}

// eraseCustomer destroys the key of the customer who left, and replays what is left.
func (s *scenario) eraseCustomer(ctx context.Context) error {
	c := &s.customers
	left, err := c.customer(ctx, "acct-4")
	if err != nil {
		return err
	}
	outcomes, err := c.Erase(ctx, complianceOfficer, left.Handle)
	if err = errors.Join(append(outcomes, err)...); err != nil {
		return err
	}
	found, _, err := c.Find(ctx, complianceOfficer, "tam ferry", 10)
	if err != nil {
		return err
	}
	report, err := c.Audit(ctx, nil)
	if err != nil {
		return err
	}
	told := fmt.Sprintf("%d leaves, the log is whole", report.Size)
	if len(found) > 0 || len(report.Problems) > 0 || report.Gone != 1 {
		s.unexpected++
		told = fmt.Sprintf("NOT whole: %d found, %q", len(found), report.Problems)
	}
	s.printOutcome("erased", fmt.Sprintf("acct-4, who left on %s, 2 years ago", record.DateOf(left.ClosedAt, time.UTC)), fmt.Sprintf("nobody opens its %d events any more; %s", left.Leaves, told))
	return nil
}
