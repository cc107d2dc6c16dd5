package main

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func (a *app) list() *cobra.Command {
	c := &cobra.Command{
		Use:   "list designations | parties | records | licences | requests | cooperation",
		Short: "List designations, parties, records, licences, or requests to disclose, from the replayed copy",
		Long: `Lists designations, parties, records, licences or requests to disclose, one a line. On a terminal the
columns have a header, and what does not fit is cut with …; --wide leaves it whole, as it is
in a pipe.`,
	}
	c.AddCommand(a.listDesignations(), a.listParties(), a.listRecords(), a.listLicences(), a.listRequests(), a.listCooperation())
	return c
}

func (a *app) listDesignations() *cobra.Command {
	var status, identified string
	var f view.DesignationFilter
	c := &cobra.Command{
		Use:   "designations",
		Short: "List designations as they stand at a time",
		Long: `Lists designations, by thread, as they stand at a time (--at, default now): the first
column is their status by their dates with every correction known now. With --json
one object a line, which also has the status that was knowable then (knowableBy: the
size that a quorum had cosigned, and when; without a time, by admission times) and
the records that it rests on.`,
		Example: `  docket list designations --trust trust --status in-force
  docket list designations --trust trust --country XB --at 2027-06-01 --json`,
		Args: cobra.NoArgs,
	}
	q := a.queryFlags(c, "identifier", "limit", "wide").addListFlags(c, "STATUS", "THREAD", "NAME", "COUNTRY", "FROM", "UNTIL", "PROGRAM")
	c.Flags().StringVar(&status, "status", "", joinTexts(view.Statuses))
	c.Flags().StringVar(&f.Country, "country", "", "the target's country: its name in English, or its ISO 3166-1 code, of two or three letters")
	c.Flags().StringVar(&f.Program, "program", "", "a programme under which it stands")
	c.Flags().StringVar(&f.List, "list", "", "imported from this list")
	c.Flags().StringVar(&f.Name, "name", "", "a whole name, alias or former name, exact but for case, spacing and punctuation; docket search finds parts and similar ones")
	c.Flags().StringVar(&identified, "identifier", "", "SCHEME:VALUE, like domain:kestrel.example")
	c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(toStrings(view.Statuses), cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if f.Status, err = oneOf("status", status, view.Statuses); err != nil {
			return err
		}
		if f.Country != "" {
			if f.Country, err = register.Country(f.Country); err != nil {
				return usageError("--country: %w", err)
			}
		}
		if identified != "" {
			var ok bool
			if f.Scheme, f.Value, ok = view.SplitIdentifier(identified); !ok {
				return usageError("--identifier %q: want SCHEME:VALUE", identified).hint("schemes: %s", joinTexts(register.IdentifierSchemes))
			}
		}
		if q.remote {
			return q.queryServer(c, "register/designations", queryValues("status", status, "country", f.Country, "program", f.Program, "list", f.List, "name", f.Name))
		}
		next := "other --status, --at or filters may have some; docket new designation begins one; docket sync fetches newer ones"
		if f.Name != "" {
			next = "only whole names were compared: docket search finds parts, other spellings and scripts; " + next
		}
		return printList(q, func(r *copyView, yield func(view.Designation) bool) error {
			return r.Designations(f, r.at, yield)
		}, func(w *table, d view.Designation) {
			printRow(w, errorPrefix(d.Error)+string(d.Status), d.Thread, d.Name, d.Country, d.EffectiveFrom, dateOrNone(d.EffectiveUntil), joinTexts(d.Program))
		}, q.printNone("designation", next))
	}
	return c
}

func (a *app) listParties() *cobra.Command {
	var role, standing string
	c := &cobra.Command{
		Use:     "parties",
		Short:   "List parties as they stand at a time",
		Example: "  docket list parties --trust trust --role provider",
		Args:    cobra.NoArgs,
	}
	q := a.queryFlags(c, "limit", "wide").addListFlags(c, "STATUS", "PARTY", "NAME", "COUNTRY", "ROLES")
	c.Flags().StringVar(&role, "role", "", "authority, provider, reseller or auditor")
	c.Flags().StringVar(&standing, "status", "", "active, suspended or withdrawn")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		f := view.PartyFilter{}
		if f.Role, err = oneOf("role", role, []record.Role{record.RoleAuthority, record.RoleProvider, record.RoleReseller, record.RoleAuditor}); err != nil {
			return err
		}
		if f.Standing, err = oneOf("status", standing, []string{"active", "suspended", "withdrawn"}); err != nil {
			return err
		}
		if q.remote {
			return q.queryServer(c, "register/parties", queryValues("role", role, "status", standing))
		}
		return printList(q, func(r *copyView, yield func(view.Party) bool) error {
			return r.Parties(f, r.at, yield)
		}, func(w *table, p view.Party) {
			printRow(w, p.Standing, p.ID, p.LegalName, p.Country, joinTexts(p.Roles))
		}, q.printNone("party", "docket new enrolment begins one; docket sync fetches newer ones"))
	}
	return c
}

func (a *app) listRecords() *cobra.Command {
	var kind string
	var f view.RecordFilter
	c := &cobra.Command{
		Use:     "records",
		Short:   "List records, oldest first",
		Example: "  docket list records --trust trust --kind response --issuer acme-cloud",
		Args:    cobra.NoArgs,
	}
	q := a.askingRecords(c, "from", "limit", "wide").addListFlags(c, "INDEX", "KIND", "THREAD", "ISSUER", "ADMITTED", "RECORD")
	c.Flags().StringVar(&kind, "kind", "", "kind of record")
	c.Flags().StringVar((*string)(&f.Thread), "thread", "", "on this thread")
	c.Flags().StringVar(&f.Issuer, "issuer", "", "by this party")
	c.Flags().Uint64Var(&f.From, "from", 0, "from this index on")
	c.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(toStrings(record.Kinds()), cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if f.Kind, err = oneOf("kind", kind, record.Kinds()); err != nil {
			return err
		}
		f.Issuer = partyID(f.Issuer)
		if q.remote {
			return q.queryServer(c, "records", queryValues("kind", kind, "thread", string(f.Thread), "issuer", f.Issuer))
		}
		return printList(q, func(r *copyView, yield func(register.RecordRow) bool) error {
			return foundOrKnown(r, f.Issuer, f.Thread, yield, func(yield func(register.RecordRow) bool) error { return r.Records(f, yield) })
		}, func(w *table, rec register.RecordRow) {
			printRow(w, rec.Index, rec.Kind, rec.Thread, rec.Issuer, formatTime(rec.Admitted), rec.ID)
		}, q.printNone("record", "docket sync fetches newer ones"))
	}
	return c
}

func (a *app) listLicences() *cobra.Command {
	var status string
	var f view.LicenceFilter
	c := &cobra.Command{
		Use:   "licences",
		Short: "List licences as they stand at a time",
		Long: `Lists licences, by thread, as they stand at a time (--at, default now): the status, the
thread, the holder ("everybody" of a general one), the first and the last day, and what it
is for. With --json one object a line, which names the records that it rests on.`,
		Example: `  docket list licences --trust trust --status active --party acme-cloud
  docket list licences --trust trust --jurisdiction XB --at 2027-06-01`,
		Args: cobra.NoArgs,
	}
	q := a.queryFlags(c, "limit", "wide").addListFlags(c, "STATUS", "THREAD", "HOLDER", "FROM", "UNTIL", "FOR")
	c.Flags().StringVar(&status, "status", "", joinTexts(view.LicenceStatuses))
	c.Flags().StringVar(&f.Holder, "party", "", "held by this provider")
	c.Flags().StringVar(&f.Designation, "designation", "", "for this designation")
	c.Flags().StringVar(&f.Jurisdiction, "jurisdiction", "", "for a designation of a target there: a country's name in English, or its ISO 3166-1 code")
	c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(toStrings(view.LicenceStatuses), cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if f.Status, err = oneOf("status", status, view.LicenceStatuses); err != nil {
			return err
		}
		if f.Jurisdiction, err = jurisdictionCode(f.Jurisdiction); err != nil {
			return err
		}
		if q.remote {
			return q.queryServer(c, "register/licences", queryValues("status", status, "party", f.Holder, "designation", f.Designation, "jurisdiction", f.Jurisdiction))
		}
		return printList(q, func(r *copyView, yield func(view.Licence) bool) error {
			return r.Licences(f, r.at, yield)
		}, func(w *table, l view.Licence) {
			names := append(slices.Clip(l.Current.Designations), l.Current.Sections...)
			printRow(w, errorPrefix(l.Error)+string(l.Status), l.Thread, cmp.Or(l.Current.Holder, "everybody"), l.Current.From, l.Current.Until, joinTexts(names))
		}, q.printNone("licence", "other --status, --at or filters may have some; docket new licence begins one; docket sync fetches newer ones"))
	}
	return c
}

// foundOrKnown yields what a query finds. Where that is nothing since the copy knows no such
// party or thread, it says so.
func foundOrKnown[T any](r *copyView, party string, thread record.Thread, yield func(T) bool, query func(func(T) bool) error) error {
	found := false
	err := query(func(item T) bool { found = true; return yield(item) })
	if err == nil && !found && party != "" {
		_, err = r.PartySummary(party, r.at)
	}
	if err == nil && !found && thread != "" {
		_, err = r.Head(thread)
	}
	return err
}

// partyID is a party's ID, which may be written as the thread of its enrolment.
func partyID(text string) string {
	if t := record.Thread(text); t.Family() == record.FamilyParty && t.Name() != "" {
		return t.Name()
	}
	return text
}

// maxTableRows is how many rows of a table are kept to align their columns: a list may be
// as long as the ledger.
const maxTableRows = 1000

// printList prints what a query yields: a table, or one JSON object a line. That there
// is nothing is an answer too, and a proven one: nothing words it.
func printList[T any](q *queryFlags, query func(*copyView, func(T) bool) error, show func(*table, T), printNone func(*copyView) error) error {
	r, err := q.open()
	if err != nil {
		return err
	}
	defer r.trust.Close()
	n, failed, more := 0, error(nil), false
	w := q.newTable()
	err = query(r, func(item T) bool {
		if more = q.limit > 0 && n == q.limit; more {
			return false
		}
		if n++; n%maxTableRows == 0 {
			failed = w.Flush()
		}
		if failed != nil {
			return false
		}
		if q.asJSON {
			failed = q.printJSON(item)
			return failed == nil
		}
		show(w, item)
		return true
	})
	if err == nil {
		err = failed
	}
	if err == nil && n == 0 {
		err = printNone(r)
		w.rows = nil // a header alone
	}
	if err != nil {
		return err
	}
	if err := w.Flush(); err != nil || !more {
		return err
	}
	q.app.logf("the first %d; there are more, which --limit 0 or another filter shows", n)
	return nil
}

// newTable is the table of a list, on a terminal with its header and cut to the width.
func (q *queryFlags) newTable() *table {
	w := q.app.table()
	if width := q.app.terminalWidth(); (width > 0 || q.headed) && !q.asJSON && len(q.header) > 0 {
		fmt.Fprintln(w, strings.Join(q.header, "\t"))
		if !q.wide {
			w.width = width
		}
	}
	return w
}

// addListFlags adds those of a list, whose columns have these names.
func (q *queryFlags) addListFlags(c *cobra.Command, header ...string) *queryFlags {
	q.header = header
	c.Flags().IntVar(&q.limit, "limit", 0, "list that many at most; 0: all")
	c.Flags().BoolVar(&q.wide, "wide", false, "do not cut lines to the width of the terminal")
	c.MarkFlagsMutuallyExclusive("wide", "json")
	return q
}

// dateOrNone is a date, or nothing where there is none.
func dateOrNone(d *record.Date) string {
	if d == nil {
		return ""
	}
	return d.String()
}

func withDate(word string, d *record.Date) string {
	if d == nil {
		return ""
	}
	return word + d.String()
}

// printNone words that there is no such thing, and what to do.
func (q *queryFlags) printNone(noun, next string) func(*copyView) error {
	return func(r *copyView) error {
		if q.narrowed {
			q.app.logf("no such %s among all %s", noun, register.FormatEntryCount(r.Size()))
		} else {
			q.app.logf("no %s yet among all %s", noun, register.FormatEntryCount(r.Size()))
		}
		q.app.logf("hint: %s", next)
		return nil
	}
}

// queryValues are the parameters of a query that have a value.
func queryValues(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

func toStrings[T ~string](list []T) []string {
	texts := make([]string, len(list))
	for i, w := range list {
		texts[i] = string(w)
	}
	return texts
}
