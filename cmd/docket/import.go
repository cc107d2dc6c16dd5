package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/ofac"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

func (a *app) importCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "import ofac FILE…",
		Short: "Carry a published list over: the difference to the register becomes records",
	}
	c.AddCommand(a.importOFAC())
	return c
}

func (a *app) importOFAC() *cobra.Command {
	m := importOFACCmd{app: a}
	c := &cobra.Command{
		Use:   "ofac SDN.csv ADD.csv ALT.csv",
		Short: "Import a list of the U.S. Treasury's Office of Foreign Assets Control",
		Long: `Reads the three files of OFAC's SDN list (sdn.csv, add.csv, alt.csv) or of its
consolidated list (cons_prim.csv, cons_add.csv, cons_alt.csv), in any order, and
compares them with the register: who is new becomes a designation, who changed an
amendment, who is gone a revocation "delisted". The Treasury publishes them at
https://sanctionslist.ofac.treas.gov; docket fetches nothing by itself.

Without --submit the statements go to stdout, one a line, unsigned. With it they are
signed with --key and sent, many at once; interrupted, the same command goes on
where it was, since what is on the ledger already is no difference any more.

Organisations, vessels and aircraft are taken; --individuals adds natural persons,
by name, alias and address. It stops, and writes nothing, on damaged files, and
where more would be revoked than the charter allows: if that is true, say how many
with --allow-removed.`,
		Example: `  docket import ofac --trust trust sdn.csv add.csv alt.csv > plan.jsonl
  docket import ofac --trust trust --submit --key nightly-import.key --individuals sdn.csv add.csv alt.csv`,
		Args:              cobra.ExactArgs(3),
		ValidArgsFunction: completeFiles("csv"),
		PreRunE: func(c *cobra.Command, _ []string) error {
			if m.submit {
				return nil
			}
			return idle(c, "without --submit: the statements are printed", "key", "receipts", "parallel", "wait", "json")
		},
		RunE: func(c *cobra.Command, args []string) error { return m.run(c, args) },
	}
	m.trust = a.trustFlags(c).asking(c).withMaxAgeFlag(c)
	f := c.Flags()
	f.BoolVar(&m.submit, "submit", false, "sign and send the records, instead of printing them")
	f.StringArrayVar(&m.keys, "key", nil, "with --submit: private key file or KMS URI of an importer; may be repeated")
	f.BoolVar(&m.options.Individuals, "individuals", false, "natural persons too")
	f.IntVar(&m.options.AllowRemoved, "allow-removed", 0, "allow up to so many revocations, whatever the charter's percentage")
	f.StringVar(&m.published, "published", "", "the day on which the list was published, like 2026-11-20")
	f.StringVar(&m.receipts, "receipts", "", "with --submit: directory for a receipt of each record")
	f.IntVar(&m.parallel, "parallel", 64, "with --submit: records under way at once")
	f.DurationVar(&m.wait, "wait", time.Minute, "with --submit: how long to go on while the server is busy or out of reach")
	f.BoolVar(&m.asJSON, "json", false, "with --submit: print the result as JSON")
	c.MarkFlagDirname("receipts")
	return c
}

// importOFACCmd is one run of docket import.
type importOFACCmd struct {
	app                 *app
	trust               *trustFlags
	keys                []string
	published, receipts string
	submit, asJSON      bool
	parallel            int
	wait                time.Duration
	options             listimport.Options
}

func (m *importOFACCmd) run(c *cobra.Command, files []string) error {
	if err := m.check(); err != nil {
		return err
	}
	signers := make([]*record.Signer, len(m.keys))
	for i, name := range m.keys {
		var err error
		if signers[i], err = m.app.signerFor(c, name); err != nil {
			return err
		}
	}
	list, err := m.read(files)
	if err != nil {
		return err
	}
	g, err := m.trust.baseState(c, "", false)
	if err != nil {
		return err
	}
	defer g.Close()
	plan, err := m.plan(g, list)
	if err != nil {
		return err
	}
	m.printPlan(list, plan)
	if !m.submit {
		return m.printStatements(g.ledger, plan)
	}
	return m.send(c.Context(), g, list, plan, signers)
}

func (m *importOFACCmd) check() error {
	switch {
	case m.submit && len(m.keys) == 0:
		return usageError("--submit needs --key, the private key of an importer")
	case m.parallel < 1 || m.parallel > 1024:
		return usageError("--parallel %d: from 1 to 1024", m.parallel)
	case m.trust.dir == "":
		_, err := m.trust.open() // says how to get one
		return err
	case m.published == "":
		return nil
	}
	d, err := record.ParseDate(m.published)
	if err != nil {
		return usageError("--published %q: want a date like 2026-11-20", m.published)
	}
	m.options.Published = &d
	return nil
}

// fileParts are how OFAC names its three files, in the order in which they are read.
var fileParts = [3][]string{{"sdn", "prim"}, {"add"}, {"alt"}}

// read finds out which file is which, and reads the list.
func (m *importOFACCmd) read(files []string) (*listimport.List, error) {
	var found [3]ofac.File
	for _, name := range files {
		base := filepath.Base(name)
		stem := strings.ToLower(strings.TrimSuffix(base, filepath.Ext(base)))
		part := slices.IndexFunc(fileParts[:], func(endings []string) bool {
			return slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(stem, e) })
		})
		if part < 0 || found[part].Reader != nil {
			return nil, usageError("%s: want three files whose names end in sdn (or prim), add and alt, one of each", name)
		}
		data, err := m.app.readFile(name)
		if f := (*failure)(nil); errors.As(err, &f) {
			return nil, f.hint("download the three files from https://sanctionslist.ofac.treas.gov; small fictional ones are in the source, in cmd/docket/internal/ofac/testdata")
		} else if err != nil {
			return nil, err
		}
		found[part] = ofac.File{Name: base, Reader: strings.NewReader(string(data))}
	}
	list, err := ofac.Read(ofac.ListOf(found[0].Name), found[0], found[1], found[2])
	if err != nil {
		return nil, refusal("%w", err).hint("nothing was written")
	}
	return list, nil
}

// plan compares the list with the register, under the charter's guard.
func (m *importOFACCmd) plan(g *baseState, list *listimport.List) (*listimport.Plan, error) {
	v, err := g.view()
	if err != nil {
		return nil, err
	}
	charter, err := v.Charter()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(charter.Charter.Imports, func(l record.ImportList) bool { return l.List == list.Name })
	if i < 0 {
		return nil, refusal("the list %s is not among the charter's imports", list.Name).hint("an amended charter can add it: imports: [{list: %s, maxRemovedPercent: 2}]", list.Name)
	}
	now := time.Now()
	m.options.MaxRemovedPercent = charter.Charter.Imports[i].MaxRemovedPercent
	m.options.Today = v.LocalDate(now)
	plan, err := listimport.Diff(list, currentOf(v, list.Name, now), m.options)
	var removal *listimport.RemovalError
	if errors.As(err, &removal) {
		return nil, refusal("%w", err).hint("no record of this plan was written; a list that lost so many may be a broken feed")
	} else if err != nil {
		return nil, refusal("%w", err)
	}
	return plan, nil
}

// currentOf yields what the register has of a list, ended designations too.
func currentOf(v *register.View, list string, now time.Time) iter.Seq2[listimport.Current, error] {
	return func(yield func(listimport.Current, error) bool) {
		var threads []string
		err := v.Designations(register.DesignationFilter{List: list}, now, func(d register.Designation) bool {
			threads = append(threads, d.Thread)
			return true
		})
		if err != nil {
			yield(listimport.Current{}, err)
			return
		}
		for _, thread := range threads {
			d, err := v.Designation(thread, now)
			cur := listimport.Current{Thread: thread, Newest: d.Record, Designation: &d.Current}
			for _, e := range d.Events {
				if e.Kind == record.KindRevocation {
					cur.Ended = e.Cause
				}
			}
			if !yield(cur, err) || err != nil {
				return
			}
		}
	}
}

// printPlan says what the plan is.
func (m *importOFACCmd) printPlan(list *listimport.List, p *listimport.Plan) {
	for _, note := range append(slices.Clone(list.Notes), p.Notes...) {
		m.app.logf("note: %s", printable(note))
	}
	text := fmt.Sprintf("%s: %d new, %d amended, %d gone, %d unchanged", list.Name, p.Designations, p.Amendments, p.Revocations, p.Unchanged)
	if p.Skipped > 0 {
		text += fmt.Sprintf("; %s left out (--individuals takes them)", plural(p.Skipped, "natural person"))
	}
	m.app.logf("%s", text)
}

// printStatements writes the plan unsigned, one statement a line.
func (m *importOFACCmd) printStatements(ledger record.ID, p *listimport.Plan) error {
	now := time.Now()
	for _, item := range p.Items {
		payload, err := record.EncodeStatement(item.Statement(ledger, record.Authority, now))
		if err != nil {
			return refusal("%s: %w", item.Thread, err)
		}
		m.app.printf("%s\n", payload)
	}
	return nil
}

// sign makes the envelope of one planned record.
func (m *importOFACCmd) sign(ctx context.Context, ledger record.ID, item listimport.Item, signers []*record.Signer) (record.Envelope, error) {
	payload, err := record.EncodeStatement(item.Statement(ledger, record.Authority, time.Now()))
	env := record.Envelope{PayloadType: record.PayloadType, Payload: payload}
	for _, s := range signers {
		if err == nil {
			env, err = env.Sign(ctx, s)
		}
	}
	if err != nil {
		return env, refusal("%s: %w", item.Thread, err)
	}
	return env, nil
}
