package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/customernode"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
	"github.com/seed-53cf897a/docket/server/customers"
)

func (a *app) customersDisclose() *cobra.Command {
	d := customersDisclose{app: a}
	c := &cobra.Command{
		Use:   "disclose --dir C REQUEST (--handle H… | --find | --nobody)",
		Short: "Prepare what a request to disclose is answered with",
		Long: `Prepares the answer to a request on the public ledger (disclosure/2027-014): exactly the
events asked for, of the customers named by --handle, or of those whom a search finds that
--find reads from a line of standard input, since others can see a command line: by an
identifier, the account, or whole words of the name as it is written. It asks about them
first, or takes --yes; several take --all too, or a choice with --handle. --nobody
answers that there is no such customer, which nothing proves: it is your word.

It prints what would leave the house, and what that proves and what not. Nothing leaves
before two holders of the role discloser have approved it (docket customers approve), each
with a key of their own; docket customers hand-out then encrypts it to the request's key.`,
		Example: `  docket customers disclose disclosure/2027-014 --dir C --handle 8c1d… --from 2026-01-01 --until 2026-12-31
  docket customers disclose disclosure/2027-014 --dir C --find --kind access --field ip --yes < query.txt`,
		Args: cobra.ExactArgs(1),
	}
	d.f = a.customersFlags(c).withIdentity(c).withServerFlags(c).withReason(c).withJSON(c)
	d.trust = a.trustFlags(c)
	f := c.Flags()
	f.StringArrayVar(&d.query.Handles, "handle", nil, "a customer's handle; may be repeated")
	f.BoolVar(&d.find, "find", false, "the customers that a search finds: it is read from standard input")
	f.BoolVar(&d.all, "all", false, "with --find: of all whom it finds, where there are several")
	f.BoolVar(&d.yes, "yes", false, "with --find: prepare it of whom it finds without asking")
	f.BoolVar(&d.nobody, "nobody", false, "there is no such customer")
	f.StringVar(&d.from, "from", "", "first day of the events asked for, in UTC; default: from the beginning")
	f.StringVar(&d.until, "until", "", "last day of the events asked for, in UTC; default: to the end")
	f.StringArrayVar(&d.query.Asked.Kinds, "kind", nil, "kind of the events asked for; may be repeated; default: all")
	f.StringArrayVar(&d.query.Asked.Fields, "field", nil, "what of their contents is asked for, as ip or name; may be repeated; default: all")
	f.Uint64Var(&d.query.Period, "period", 0, "number of the published period that it rests on; 0: the newest")
	c.MarkFlagsMutuallyExclusive("handle", "find", "nobody")
	c.MarkFlagsOneRequired("handle", "find", "nobody")
	c.RunE = d.f.withServer(d.run)
	return c
}

// customersDisclose is one run of docket customers disclose.
type customersDisclose struct {
	app          *app
	f            *customersFlags
	trust        *trustFlags
	query        customers.PrepareQuery
	find, nobody bool
	all, yes     bool
	from, until  string
}

func (d *customersDisclose) run(c *cobra.Command, s *customersServer, args []string) error {
	for _, day := range []struct {
		flag, text string
		to         **record.Date
	}{{"from", d.from, &d.query.Asked.From}, {"until", d.until, &d.query.Asked.Until}} {
		if day.text == "" {
			continue
		}
		one, err := record.ParseDate(day.text)
		if err != nil {
			return usageError("--%s: %w", day.flag, err)
		}
		*day.to = &one
	}
	d.query.Reason = d.f.reason
	if d.trust.dir == "" {
		d.trust.dir = s.settings.Trust
	}
	if err := d.readRequest(c, s, args[0]); err != nil {
		return err
	}
	if d.find {
		if err := d.findHandles(c, s, args[0]); err != nil {
			return err
		}
	}
	var out customers.Disclosure
	if err := s.post(c.Context(), "disclosures/prepare", d.query, &out); err != nil {
		return err
	}
	if d.f.asJSON {
		return d.app.printJSON(out)
	}
	d.app.printDisclosure(out)
	d.app.logf("next: two holders look at it and approve it: docket customers approve %d --key FILE", out.Number)
	return nil
}

// readRequest takes the request and the party's customer-log records from the copy of the
// ledger.
func (d *customersDisclose) readRequest(c *cobra.Command, s *customersServer, thread string) error {
	trust, err := d.trust.open()
	if err != nil {
		return err
	}
	defer trust.Close()
	requests, err := threadRecords(c, trust, record.Thread(thread))
	if err != nil {
		return err
	}
	for _, one := range requests {
		st, err := record.ParseStatement(one.Payload)
		if err != nil {
			return err
		}
		if asked, ok := st.Predicate.(*record.DisclosureRequest); ok && asked.Recipient != "" {
			d.query.Request, d.query.Recipient = one, asked.Recipient
		}
	}
	if d.query.Recipient == "" {
		return refusal("%s is no request that names a key to encrypt to", thread).hint("docket show %s shows it; docket sync fetches what is newer", thread)
	}
	if d.query.Logs, _, err = customerLogRecords(c.Context(), trust, s.settings.Party); err != nil {
		return err
	}
	var before []uint64 // the newest record of the log before the demand
	for _, l := range d.query.Logs {
		if l.Index < d.query.Request.Index {
			before = []uint64{l.Index}
		}
	}
	if d.query.Chain, err = trust.RecordChain(c.Context(), d.query.Request.Index, before...); err != nil {
		var many *client.TooManyRecordsError
		if !errors.As(err, &many) {
			return err
		}
		d.app.logf("docket: warning: no chain to %s goes with it (%v): who has no copy of the ledger is not shown what was logged before the demand", thread, err)
	}
	r, err := (&queryFlags{app: d.app, trust: d.trust}).openCopy(trust)
	if err != nil {
		return err
	}
	return d.tellAnswered(c, s, r, record.Thread(thread))
}

// threadRecords are the records of a thread, the earliest first.
func threadRecords(c *cobra.Command, trust *client.Trust, thread record.Thread) (all []customers.PublicRecord, err error) {
	reg, err := trust.Register()
	if errors.Is(err, client.ErrNoCopy) {
		return nil, refusal("%w", err).hint("docket sync --trust %s", trust.Dir())
	} else if err != nil {
		return nil, err
	}
	v, err := trust.ViewAt(reg.Size())
	if err != nil {
		return nil, err
	}
	var rows []register.RecordRow
	if err := v.Thread(thread, 0, func(r register.RecordRow) bool { rows = append(rows, r); return true }); err != nil {
		return nil, err
	}
	for _, r := range rows {
		one, err := publicRecord(c.Context(), trust, r)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (d *customersDisclose) findHandles(c *cobra.Command, s *customersServer, thread string) error {
	query, err := d.app.readLine("-")
	if err != nil {
		return err
	}
	var found customers.Found
	q := customers.FindQuery{Query: query, Limit: 1000, Purpose: customers.Purpose{Request: thread, Reason: d.f.reason}}
	if err := s.post(c.Context(), "find", q, &found); err != nil {
		return err
	}
	if len(found.Customers) == 0 {
		return refusal("nobody is found").hint("--nobody answers that, as your word")
	}
	if found.More {
		return refusal("the search finds too many").hint("narrow it, or name handles with --handle")
	}
	terms, err := vault.ParseQuery(query)
	if err != nil {
		return usageError("%w", err)
	}
	others := 0
	for i := range found.Customers {
		one := &found.Customers[i]
		how, exact := exactly(terms, one)
		if !exact {
			others++
			continue
		}
		d.query.Handles = append(d.query.Handles, one.Handle.String())
		d.app.logf("%s  %s  by %s", one.Handle, printable(one.Customer.Name), how)
	}
	switch n := len(d.query.Handles); {
	case n == 0:
		return refusal("nobody bears exactly that, and %d are similar", others).hint("docket customers find shows them: name whom it is about with --handle; --nobody answers that there is none, as your word")
	case n > 1 && !d.all:
		return refusal("%d customers bear that", n).hint("name whom it is about with --handle, or all of them with --all")
	}
	if d.yes {
		return nil
	}
	ok, err := d.app.confirm(c.Context(), "Preparing a disclosure of them")
	if err == nil && !ok {
		return refusal("not prepared")
	}
	return err
}

// exactly tells by what a customer who was found bears all terms of a query: an identifier,
// the account, or whole words of one name as they are written.
func exactly(query []vault.Term, one *customers.Customer) (how string, ok bool) {
	names := append([]string{one.Customer.Name}, one.FormerNames...)
	var borne []vault.Term
	for _, name := range names {
		borne = append(borne, vault.Term{Kind: vault.Name, Text: name})
	}
	var by []string
	for _, t := range query {
		text := strings.TrimSpace(t.Text)
		named := slices.ContainsFunc(names, func(name string) bool {
			words := strings.Fields(screen.FormOf(name).Own)
			asked := strings.Fields(screen.FormOf(text).Own)
			return len(asked) > 0 && !slices.ContainsFunc(asked, func(w string) bool { return !slices.Contains(words, w) })
		})
		_, similar := vault.Matches([]vault.Term{t}, borne)
		switch {
		case strings.EqualFold(text, one.Customer.Account):
			by = append(by, "account")
		case (t.Kind == vault.Any || t.Kind == vault.Name) && named:
			by = append(by, "name")
		case t.Kind == vault.Name, t.Kind == vault.Any && (similar || !strings.ContainsAny(text, "0123456789@")):
			return "", false
		default: // addresses and numbers are found as they are, or not at all
			by = append(by, "identifier")
		}
	}
	return strings.Join(by, " and "), true
}

func (a *app) printDisclosure(d customers.Disclosure) {
	a.printf("disclosure %d to %s: %s, %d of 2 approvals\n  digest  %s\n", d.Number, d.Thread, d.State, len(d.Approved), d.Digest)
	for _, part := range []struct {
		title string
		lines []string
	}{{"leaves the house", d.Leaves}, {"proves", d.Proven}, {"does not prove", d.NotProven}} {
		if len(part.lines) > 0 {
			a.printf("  %s\n", part.title)
		}
		for _, line := range part.lines {
			a.printf("    %s\n", line)
		}
	}
}

func (a *app) customersDisclosures() *cobra.Command {
	c := &cobra.Command{
		Use:     "disclosures --dir C",
		Short:   "Show what was prepared, approved and handed out",
		Example: `  docket customers disclosures --dir C`,
		Args:    cobra.NoArgs,
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withJSON(c)
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, _ []string) error {
		var all customers.Disclosures
		if err := s.get(c.Context(), "disclosures", &all); err != nil {
			return err
		}
		if f.asJSON {
			return printJSONLines(a, all.Disclosures)
		}
		if len(all.Disclosures) == 0 {
			a.logf("nothing was prepared yet: docket customers disclose prepares an answer to a request")
		}
		t := a.table()
		for _, d := range all.Disclosures {
			fmt.Fprintf(t, "%d\t%s\t%s\t%s\tby %s\t%s\n", d.Number, d.State, printable(string(d.Thread)), plural(d.Events, "event"), printable(d.PreparedBy), formatTime(d.PreparedAt))
		}
		return t.Flush()
	})
	return c
}

func (a *app) customersApprove() *cobra.Command {
	var key, out string
	var yes bool
	c := &cobra.Command{
		Use:   "approve --dir C NUMBER --key FILE",
		Short: "Approve a disclosure, by the signature of one holder",
		Long: `Shows what would leave the house, customer by customer and value by value, verified by the
copy of the ledger as the authority will, and, after a question, signs that with a
discloser's key (docket customers discloser). Without a terminal to ask on it signs with
--yes alone. Two of them are needed, with two keys. A long answer is not shown whole: --out
writes the bundle as the authority would read it, to be looked at first; keep that file no
longer than it takes.

With --server a holder approves on a machine of their own, where nobody else has the key: the
bundle comes there, is verified by the copy of the ledger there, and the signature alone goes back.`,
		Example: `  docket customers approve 1 --dir C --key discloser-1
  docket customers approve 1 --server https://customers.acme.example:8443 --access me.pem --trust trust --key discloser-2`,
		Args: cobra.ExactArgs(1),
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withReason(c)
	trust := a.trustFlags(c)
	c.Flags().StringVar(&key, "key", "", "private key file or KMS URI of a discloser; without it the disclosure is only shown")
	c.Flags().StringVar(&out, "out", "", "write the bundle as it would leave the house, in clear, to this new file")
	c.Flags().BoolVar(&yes, "yes", false, "sign without asking (it asks on a terminal only)")
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, args []string) error {
		q, err := numberQuery(args[0], f.reason)
		if err != nil {
			return err
		}
		var review customers.Review
		if err := s.post(c.Context(), "disclosures/review", q, &review); err != nil {
			return err
		}
		table, message, err := a.checkReview(c, trust, s, q.Number, &review)
		if err != nil {
			return err
		}
		a.printDisclosure(review.Disclosure)
		a.printOpened(table, shownOnScreen)
		if out != "" {
			if err := writeNew(out, review.Bundle, 0o600); err != nil {
				return err
			}
		}
		if key == "" {
			return nil
		}
		signer, err := a.signerFor(c, key)
		if err != nil {
			return err
		}
		if err := a.confirmSigning(c.Context(), yes, "Approve this?"); err != nil {
			return err
		}
		if q.Signature, err = signer.SignMessage(c.Context(), message); err != nil {
			return refusal("signing: %w", err)
		}
		q.KeyID = signer.Key().ID()
		var d customers.Disclosure
		if err := s.post(c.Context(), "disclosures/approve", q, &d); err != nil {
			return err
		}
		a.logf("approved: %d of 2", len(d.Approved))
		return nil
	})
	return c
}

func numberQuery(text, reason string) (q customers.NumberQuery, err error) {
	if _, err := fmt.Sscanf(text, "%d", &q.Number); err != nil || fmt.Sprint(q.Number) != text {
		return q, usageError("%q is no number of a disclosure", text).hint("docket customers disclosures lists them")
	}
	q.Reason = reason
	return q, nil
}

func (a *app) customersHandOut() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "hand-out --dir C NUMBER --out FILE",
		Short: "Write an approved disclosure, encrypted to the request's key",
		Long: `Writes the bundle of a disclosure that two holders have approved, encrypted to the key that
the request names, and logs that it left the house. It prints the file's SHA-256, and writes
the public disclosure-receipt about it beside it, FILE.receipt.yaml, for an officer to sign: of
a sealed request once that is opened.`,
		Example: `  docket customers hand-out 1 --dir C --out 2027-014.disclosure.age`,
		Args:    cobra.ExactArgs(1),
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withReason(c)
	c.Flags().StringVar(&out, "out", "", "new file for the bundle")
	c.MarkFlagRequired("out")
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, args []string) error {
		q, err := numberQuery(args[0], f.reason)
		if err != nil {
			return err
		}
		receipt := strings.TrimSuffix(out, ".age") + ".receipt.yaml"
		for _, name := range []string{out, receipt} { // before anything leaves the house
			if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
				return orError(err, refusal("%s is there already", name).hint("files are never overwritten: move it away or name another with --out"))
			}
		}
		var handed customers.HandedOut
		if err := s.post(c.Context(), "disclosures/hand-out", q, &handed); err != nil {
			return err
		}
		if err := writeNew(out, handed.File, 0o600); err != nil {
			return err
		}
		a.printf("%s  %s\n", handed.SHA256, printable(out))
		if err := writeNew(receipt, receiptForm(s.settings.Party, out, handed), 0o600); err != nil {
			return err
		}
		when := ""
		if handed.Sealed != nil {
			when = fmt.Sprintf(", once %s is opened, from %s on", handed.Thread, handed.Sealed)
		}
		a.logf("next: give it to the authority, and have an officer sign and file the receipt%s:\n  docket submit --trust %s --key OFFICER.key %s", when, orWords(s.settings.Trust, "trust"), receipt)
		return nil
	})
	return c
}

// receiptForm is the short form of the public record about a bundle that was handed out.
func receiptForm(party, file string, h customers.HandedOut) []byte {
	return fmt.Appendf(nil, `# %[1]s, encrypted to the recipient of %[2]s: SHA-256 %[3]s
kind: %[4]s
thread: %[2]s/%[5]s
document: {file: %[6]q}
issuer: %[5]s
request: %[7]s
entries: %[8]d
logSize: %[9]d
`, filepath.Base(file), h.Thread, h.SHA256, record.KindDisclosureReceipt, party, filepath.Base(file), h.Of, h.Entries, h.LogSize)
}

func (a *app) customersWithdraw() *cobra.Command {
	c := &cobra.Command{
		Use:     "withdraw --dir C NUMBER --reason WHY",
		Short:   "Say that a prepared disclosure is not to leave the house",
		Long:    "Withdraws a disclosure that was prepared and not handed out. Its customers may be erased again.",
		Example: `  docket customers withdraw 1 --dir C --reason 'the request was withdrawn'`,
		Args:    cobra.ExactArgs(1),
	}
	f := a.customersFlags(c).withIdentity(c).withServerFlags(c).withReason(c)
	c.MarkFlagRequired("reason")
	c.RunE = f.withServer(func(c *cobra.Command, s *customersServer, args []string) error {
		q, err := numberQuery(args[0], f.reason)
		if err != nil {
			return err
		}
		var d customers.Disclosure
		if err := s.post(c.Context(), "disclosures/withdraw", q, &d); err != nil {
			return err
		}
		a.logf("disclosure %d is withdrawn", d.Number)
		return nil
	})
	return c
}

func (a *app) customersDiscloser() *cobra.Command {
	c := &cobra.Command{
		Use:   "discloser VERB",
		Short: "Say whose signatures let a disclosure out",
		Long: `Says who holds the role discloser: two of them, with two keys on two machines, approve what
leaves the house. docket customers serve asks each time who holds the role: whoever is added
may approve at once, and the approval of one who is removed counts no more.`,
	}
	add := &cobra.Command{
		Use: "add NAME KEY.pub", Short: "Let one approve, by a public key",
		Example: `  docket keygen --out discloser-1
  docket customers discloser add discloser-1 discloser-1.pub --dir C`,
		Args: cobra.ExactArgs(2),
	}
	addFlags := a.customersFlags(add)
	add.RunE = func(c *cobra.Command, args []string) error {
		s, err := addFlags.settings()
		if err != nil {
			return err
		}
		key, err := a.readPublicKey(args[1])
		if err != nil {
			return err
		}
		if slices.ContainsFunc(s.Disclosers, func(d customernode.Discloser) bool { return d.Name == args[0] }) {
			return refusal("%s is a discloser already", args[0]).hint("docket customers discloser remove %s first", args[0])
		}
		s.Disclosers = append(s.Disclosers, customernode.Discloser{Name: args[0], Key: key.PEM()})
		if err := s.Write(vfs.Default, addFlags.dir); err != nil {
			return err
		}
		a.logf("%s may approve by the key %s: %d of the 2 who are needed", printable(args[0]), key.ID(), len(s.Disclosers))
		return nil
	}
	list := &cobra.Command{Use: "list", Short: "Show who may approve", Example: "  docket customers discloser list --dir C", Args: cobra.NoArgs}
	listFlags := a.customersFlags(list)
	list.RunE = func(*cobra.Command, []string) error {
		s, err := listFlags.settings()
		if err != nil {
			return err
		}
		if len(s.Disclosers) < 2 {
			a.logf("%d of the 2 who are needed", len(s.Disclosers))
		}
		for _, d := range s.Disclosers {
			key, err := record.ParseKey([]byte(d.Key))
			if err != nil {
				return refusal("%s: %w", d.Name, err)
			}
			a.printf("%s  %s\n", printable(d.Name), key.ID())
		}
		return nil
	}
	remove := &cobra.Command{Use: "remove NAME", Short: "Let one approve no more", Example: "  docket customers discloser remove discloser-1 --dir C", Args: cobra.ExactArgs(1)}
	removeFlags := a.customersFlags(remove)
	remove.RunE = func(_ *cobra.Command, args []string) error {
		s, err := removeFlags.settings()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(s.Disclosers, func(d customernode.Discloser) bool { return d.Name == args[0] })
		if i < 0 {
			return refusal("%s is no discloser", args[0])
		}
		s.Disclosers = slices.Delete(s.Disclosers, i, i+1)
		if err := s.Write(vfs.Default, removeFlags.dir); err != nil {
			return err
		}
		a.logf("%s may approve no more, and what it approved counts no more where it is not handed out yet", printable(args[0]))
		return nil
	}
	c.AddCommand(add, list, remove)
	return c
}
