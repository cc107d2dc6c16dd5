package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/record"
)

func (a *app) customersVerify() *cobra.Command {
	v := customersVerify{app: a}
	c := &cobra.Command{
		Use:   "verify BUNDLE --trust T --identity FILE",
		Short: "Verify what a provider disclosed, offline, and show it",
		Long: `Verifies a bundle against the public ledger, as the copy in the trust directory has it, and
shows it as a table: which events, field by field, and what is proven of them and what is
not. Nobody is asked. An encrypted bundle is opened with --identity; --open writes it in
clear to a new file, for a court, which verifies as well.

--charter takes no copy: the receipts in the bundle show its two public records, the request
and the log's, under the charter of that record ID. What other records of the log say is not
known then.`,
		Example: `  docket customers verify 2027-014.disclosure.age --trust trust --identity authority.key
  docket customers verify 2027-014.disclosure.age --trust trust --identity authority.key --open 2027-014.disclosure
  docket customers verify 2027-014.disclosure --charter 6f1c…9e`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return v.run(c, args[0]) },
	}
	v.trust = a.trustFlags(c)
	c.Flags().StringVar(&v.identity, "identity", a.getenv(identityEnv), "file of the secret key that it is encrypted to (or $"+identityEnv+")")
	c.Flags().StringVar(&v.open, "open", "", "write the bundle in clear to this new file")
	c.Flags().StringVar(&v.charter, "charter", "", "the ledger's charter by its record ID (or its envelope or receipt), in place of --trust")
	c.Flags().BoolVar(&v.asJSON, "json", false, "print JSON")
	return c
}

// customersVerify is one run of docket customers verify.
type customersVerify struct {
	app            *app
	trust          *trustFlags
	charter        string
	identity, open string
	asJSON         bool
}

const ageHeader = "age-encryption.org/"

func (v *customersVerify) run(c *cobra.Command, name string) error {
	raw, err := v.read(c, name)
	if err != nil {
		return err
	}
	b, err := bundle.Parse(raw)
	if err != nil {
		return refusal("%s: %w", name, err).hint("it was cut off or altered on its way, or is no bundle: ask the provider for it again")
	}
	public, err := v.public(c, b)
	if err != nil {
		return err
	}
	table, err := b.Verify(public)
	if err != nil {
		return refusal("%s: %w", name, err)
	}
	if v.open != "" {
		if err := writeNew(v.open, raw, 0o600); err != nil {
			return err
		}
	}
	if v.asJSON {
		return v.app.printJSON(tableJSON(table))
	}
	v.print(table)
	return nil
}

// public are the public records that it rests on, by the copy of the ledger or by its own chains.
func (v *customersVerify) public(c *cobra.Command, b *bundle.Bundle) (bundle.Public, error) {
	if v.charter == "" {
		trust, err := v.trust.open()
		if err != nil {
			return bundle.Public{}, err
		}
		defer trust.Close()
		return publicOf(c, trust, b)
	}
	if v.trust.given("trust") {
		return bundle.Public{}, usageError("--charter stands alone").hint("a trust directory pins a charter already, and knows all records")
	}
	id, err := v.app.charterID(v.charter)
	if err != nil {
		return bundle.Public{}, err
	}
	return publicShown(c.Context(), b, id)
}

// publicShown is what the bundle's own chains show under a charter.
func publicShown(ctx context.Context, b *bundle.Bundle, charter record.ID) (p bundle.Public, err error) {
	if b.Head.Ledger != charter {
		return p, refusal("the bundle is of ledger %s, and not of %s", b.Head.Ledger, charter).hint("compare the charter's record ID with what the authority gives out")
	}
	p.Partial = true
	for i, raw := range b.Chains {
		r, err := client.Verify(ctx, raw, client.PinnedCharter{ID: charter}, time.Now())
		if err == nil && r.Authorship == client.AuthorshipNotChecked {
			err = fmt.Errorf("it does not show that who signed record %s had the right to", r.ID)
		}
		if err != nil {
			return p, refusal("chain %d of the bundle: %w", i+1, err)
		}
		one := bundle.Record{ID: r.ID, Index: r.Index, Admitted: r.Entry.Admitted, Statement: r.Statement}
		if r.ID == b.Head.Request {
			p.Request = one
		}
		p.Logs = append(p.Logs, one) // of which those of the log count
	}
	if p.Request.Statement == nil {
		return p, refusal("no chain of receipts in the bundle shows the request %s", b.Head.Request).hint("verify it by a copy of the ledger: --trust DIR")
	}
	return p, nil
}

// read is the bundle in clear.
func (v *customersVerify) read(c *cobra.Command, name string) ([]byte, error) {
	from, err := v.app.openFile(name)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	const most = bundle.MaxBytes + 1<<20
	raw, err := io.ReadAll(io.LimitReader(from, most+1))
	if err != nil {
		return nil, refusal("reading %s: %w", name, err)
	}
	if len(raw) > most {
		return nil, refusal("%s is larger than a bundle may be", name)
	}
	armored := bytes.HasPrefix(bytes.TrimSpace(raw), []byte(armor.Header))
	if !armored && !bytes.HasPrefix(raw, []byte(ageHeader)) {
		return raw, nil
	}
	if v.identity == "" {
		return nil, usageError("%s is encrypted", name).hint("name the secret key that it is encrypted to with --identity FILE or $%s", identityEnv)
	}
	ids, err := v.app.identities(c.Context(), v.identity)
	if err != nil {
		return nil, err
	}
	var sealed io.Reader = bytes.NewReader(raw)
	if armored {
		sealed = armor.NewReader(bytes.NewReader(bytes.TrimSpace(raw)))
	}
	opened, err := age.Decrypt(sealed, ids...)
	var other *age.NoIdentityMatchError
	if errors.As(err, &other) {
		return nil, refusal("%s is encrypted to another key than that in %s", name, v.identity)
	}
	if err == nil {
		raw, err = io.ReadAll(io.LimitReader(opened, bundle.MaxBytes+1))
	}
	if err != nil {
		return nil, refusal("%s: it was cut off or altered: %w", name, err).hint("ask the provider for it again")
	}
	return raw, nil
}

// publicOf is what the copy of the ledger has of the request and of the provider's log.
func publicOf(c *cobra.Command, trust *client.Trust, b *bundle.Bundle) (p bundle.Public, err error) {
	if b.Head.Ledger != trust.Ledger() {
		return p, refusal("the bundle is of ledger %s, and %s is of %s", b.Head.Ledger, trust.Dir(), trust.Ledger()).hint("name the trust directory of that ledger with --trust")
	}
	reg, err := trust.Register()
	if err != nil {
		return p, err
	}
	v, err := trust.ViewAt(reg.Size())
	if err != nil {
		return p, err
	}
	row, err := v.Record(b.Head.Request)
	if err != nil {
		return p, refusal("the request %s that it answers is not in the copy: %w", b.Head.Request, err).hint("docket sync fetches what is newer")
	}
	request, err := publicRecord(c.Context(), trust, row)
	if err != nil {
		return p, err
	}
	// Of a request that was sealed a later record says whom it asks.
	if opened, err := v.Request(row.Thread, time.Now()); err == nil && opened.Provider != "" && opened.Provider != b.Head.Party {
		return p, refusal("the bundle is of %s, and the request asks %s", b.Head.Party, opened.Provider)
	}
	logs, _, err := customerLogRecords(c.Context(), trust, b.Head.Party)
	if err != nil {
		return p, err
	}
	if p.Request, err = request.Record(); err != nil {
		return p, err
	}
	for _, l := range logs {
		one, err := l.Record()
		if err != nil {
			return p, err
		}
		p.Logs = append(p.Logs, one)
	}
	return p, nil
}

func (v *customersVerify) print(t *bundle.Table) {
	a := v.app
	a.printf("disclosed by %s, on request %s\n", t.Party, t.Request)
	if !t.Fixed.ID.IsZero() {
		a.printf("log fixed by record %s until %s\n", t.Fixed.ID, t.Until)
	}
	a.printOpened(t, math.MaxInt)
	for _, part := range []struct {
		title string
		lines []string
	}{{"proven", t.Proven()}, {"not proven", t.NotProven()}} {
		a.printf("%s\n", part.title)
		for _, line := range part.lines {
			a.printf("  %s\n", line)
		}
	}
}

// shownOnScreen is how many lines of values an approver is shown before the question.
const shownOnScreen = 200

// printOpened prints what a bundle shows of each customer, most lines of it at most, and how many
// there are more.
func (a *app) printOpened(t *bundle.Table, most int) {
	left := 0
	line := func(format string, args ...any) {
		if most--; most < 0 {
			left++
			return
		}
		a.printf(format, args...)
	}
	for _, c := range t.Customers {
		line("customer %s: %d filed, %d shown\n", c.Handle, c.Filed, len(c.Events))
		for _, r := range c.Events {
			h := r.Header()
			line("  leaf %d  %s  %s\n", r.Leaf, formatTime(h.Time), h.Kind)
			for _, value := range r.Values {
				line("    %s: %s\n", printable(strings.TrimPrefix(value.Pointer, "/")), printable(value.Text))
			}
		}
	}
	if left > 0 {
		a.printf("and %s more, which are not shown here: --out FILE writes all\n", plural(left, "line"))
	}
}

// tableJSON is a table for scripts.
func tableJSON(t *bundle.Table) any {
	type row struct {
		Leaf   uint64            `json:"leaf"`
		Fields map[string]string `json:"fields"`
		Values map[string]string `json:"values"`
		Word   bool              `json:"providersWord,omitempty"`
		Before bool              `json:"beforeTheDemand,omitempty"`
		Late   bool              `json:"late,omitempty"`
	}
	type one struct {
		Handle string `json:"handle"`
		Filed  uint64 `json:"filed"`
		Erased bool   `json:"erased,omitempty"`
		Events []row  `json:"events"`
	}
	out := struct {
		Party     string    `json:"party"`
		Request   record.ID `json:"request"`
		Customers []one     `json:"customers"`
		Proven    []string  `json:"proven"`
		NotProven []string  `json:"notProven"`
	}{t.Party, t.Request, []one{}, t.Proven(), t.NotProven()}
	for _, c := range t.Customers {
		o := one{Handle: fmt.Sprint(c.Handle), Filed: c.Filed, Erased: c.Erased != nil, Events: []row{}}
		for _, r := range c.Events {
			line := row{Leaf: r.Leaf, Fields: map[string]string{}, Values: map[string]string{}, Word: r.FixedBy == nil, Before: r.Before, Late: r.Late}
			for _, f := range r.Fields {
				line.Fields[f.Pointer] = f.Text
			}
			for _, value := range r.Values {
				line.Values[value.Pointer] = value.Text
			}
			o.Events = append(o.Events, line)
		}
		out.Customers = append(out.Customers, o)
	}
	return out
}
