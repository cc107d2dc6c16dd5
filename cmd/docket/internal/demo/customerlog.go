package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/customernode"
	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// The files of acme-cloud's private customer log.
const (
	customerLogDir = "customers"
	vaultKeyFile   = "acme-cloud-vault.key"    // opens it; beside the keys of everybody
	demandsKeyFile = "authority-demands.key"   // of the authority: opens what is disclosed to it
	bundleFile     = "2026-003.disclosure.age" // what it was given
)

// customerLog is acme-cloud's private log while the story has it open.
type customerLog struct {
	settings customernode.Settings
	node     *customernode.Node
	*private.Log
	public private.PublicLog // what the public ledger has of it
	logs   []bundle.Record
}

// Who acts in the log.
var (
	complianceOfficer = private.Who{By: "compliance-1", Role: "compliance"}
	automation        = private.Who{By: "ci", Role: "compliance"}
)

// beginCustomerLog makes the log as docket customers init does, takes four foreign customers
// in, and publishes a first period.
func (s *scenario) beginCustomerLog(ctx context.Context) (err error) {
	file, recipient, err := vault.NewIdentity()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "keys", vaultKeyFile), file, 0o600); err != nil {
		return err
	}
	recipients, err := vault.ParseRecipients([]byte(recipient), nil)
	if err != nil {
		return err
	}
	identities, err := vault.ParseIdentities(file, nil)
	if err != nil {
		return err
	}
	trust, err := filepath.Abs(s.trustDir())
	if err != nil {
		return err
	}
	c := &s.customers
	c.settings = customernode.Settings{
		Version: 1, Party: "acme-cloud", Ledger: s.ledger, Origin: origin + "/customers/acme-cloud", Trust: trust, Zone: zoneAtFirst,
	}
	for _, name := range disclosers {
		c.settings.Disclosers = append(c.settings.Disclosers, customernode.Discloser{Name: name, Key: s.keyring.pem("acme-cloud-" + name)})
	}
	dir := filepath.Join(s.dir, customerLogDir)
	if _, err := customernode.Create(ctx, vfs.Default, dir, c.settings, recipients, s.dates.today.AddDays(-90)); err != nil {
		return err
	}
	if c.node, err = customernode.Lock(customernode.Config{Dir: dir, Settings: c.settings, Fatal: s.fatal}); err != nil {
		return err
	}
	if c.Log, err = c.node.Open(ctx, identities...); err != nil {
		return err
	}
	if err := c.add(ctx, firstEvents(time.Now())...); err != nil {
		return err
	}
	return s.publishPeriod(ctx, s.dates.today.AddDays(-8))
}

// close ends the log, so that others can open it.
func (c *customerLog) close() error {
	if c.node == nil {
		return nil
	}
	return c.node.Close()
}

// add logs events, of which none may be refused.
func (c *customerLog) add(ctx context.Context, events ...event.Input) error {
	results, err := c.Add(ctx, events)
	if err != nil {
		return err
	}
	for i, r := range results {
		if r.Err != nil {
			return fmt.Errorf("%s of %s: %w", events[i].Kind, events[i].Account, r.Err)
		}
	}
	return nil
}

// firstEvents are what acme-cloud knew when it began its log: of four customers, one of whom
// nobody has verified, and one who left more than two years ago.
func firstEvents(now time.Time) []event.Input {
	ago := func(years, days int) time.Time { return now.AddDate(-years, 0, -days) }
	foreign := true
	opened := func(account, kind, name, country string, at time.Time, more func(*event.Opened)) event.Input {
		place := event.Address{Full: "1 Quay Street, Port Salt", Country: country}
		o := &event.Opened{
			Account: account, Type: kind, Name: name, Country: country, Address: &place, Foreign: &foreign,
			Email: []string{account + "@mail.example"}, Telephone: []string{"+99 555 0101"}, Payment: []event.Payment{{Kind: "card", Reference: "4242"}},
		}
		if kind == "entity" {
			o.BusinessPlace, o.Owners = &place, []event.Owner{{Name: "Owner of " + name, Country: country}}
		}
		more(o)
		return eventOf(account, "signup", event.KindOpened, at, o)
	}
	from := func(ip string) func(*event.Opened) { return func(o *event.Opened) { o.IP = addresses(ip) } }
	return []event.Input{
		opened("acct-1", "entity", "Marsh Lantern Trading (fictional)", "XC", ago(0, 60), from("192.0.2.7")),
		verified("acct-1", ago(0, 55), "certificate of incorporation", "XC"),
		access("acct-1", "login-1", ago(0, 40), "192.0.2.7"),
		opened("acct-2", "person", "Ilse Fenwick (fictional)", "XE", ago(0, 60), from("192.0.2.20")),
		access("acct-2", "login-1", ago(0, 50), "192.0.2.20"),
		opened("acct-3", "entity", "Kestrel Cloud Ltd", "XE", ago(0, 30), from("198.51.100.3")),
		verified("acct-3", ago(0, 29), "certificate of incorporation", "XE"),
		opened("acct-4", "person", "Tam Ferry (fictional)", "XC", ago(4, 0), from("203.0.113.9")),
		verified("acct-4", ago(4, 0), "passport", "XC"),
		access("acct-4", "login-1", ago(3, 0), "203.0.113.9"),
		eventOf("acct-4", "left", event.KindClosed, ago(2, 1), &event.Closed{Reason: "by the customer", By: "customer"}),
	}
}

func verified(account string, at time.Time, document, issuer string) event.Input {
	return eventOf(account, "verification-1", event.KindVerified, at, &event.Verified{
		Method: "documentary", Outcome: "verified", By: complianceOfficer.By, Document: &event.IdentityDocument{Kind: document, Issuer: issuer, Number: "F-0001"},
	})
}

func access(account, id string, at time.Time, ip string) event.Input {
	return eventOf(account, id, event.KindAccess, at, &event.Access{IP: addresses(ip)[0], Action: "login"})
}

func eventOf(account, id string, kind event.Kind, at time.Time, content event.Content) event.Input {
	return event.Input{Account: account, ID: id, Kind: kind, Time: at.UTC().Truncate(time.Millisecond), Content: content}
}

// publishPeriod closes a period and publishes what fixes it, as docket customers publish does:
// the receipt that the log keeps is a chain from the charter.
func (s *scenario) publishPeriod(ctx context.Context, until record.Date) error {
	c := &s.customers
	if _, err := c.ClosePeriod(ctx, until); err != nil {
		return err
	}
	next, err := c.NextRecord(ctx, automation, c.public, "")
	if err != nil {
		return err
	}
	st := s.statement(record.CustomerLogThread("acme-cloud"), "acme-cloud", next.Predicate)
	st.Subject.SHA256 = record.ID(next.Period.Root)
	if _, err := s.submit(ctx, fmt.Sprintf("customer-log-acme-cloud-%d", next.Period.Number), st, "acme-cloud-ci"); err != nil {
		return err
	}
	chain, err := s.client.ChainUnverified(ctx, s.heads[st.Thread])
	if err != nil {
		return err
	}
	if c.public.Newest, err = s.proven(ctx, chain); err != nil {
		return err
	}
	if next.Predicate.VKey != "" {
		c.public.VKey = next.Predicate.VKey
	}
	c.logs = append(c.logs, c.public.Newest)
	_, err = c.Recorded(ctx, automation, chain)
	return err
}

// proven is a public record by a chain that shows it, and by nothing else but the charter's ID.
func (s *scenario) proven(ctx context.Context, chain []byte) (bundle.Record, error) {
	r, err := client.Verify(ctx, chain, client.PinnedCharter{ID: s.ledger}, time.Now())
	if err != nil {
		return bundle.Record{}, err
	}
	return bundle.Record{ID: r.ID, Index: r.Index, Admitted: r.Entry.Admitted, Statement: r.Statement}, nil
}
