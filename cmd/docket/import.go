package main

import (
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/csl"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/ofac"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

func (a *app) importCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "import ofac | csl FILE…",
		Short: "Carry a published list over: the difference to the register becomes records",
	}
	c.AddCommand(a.importOFAC(), a.importCSL())
	return c
}

// howImportsGo is the end of each import's help.
const howImportsGo = `

Without --submit the statements go to stdout, one a line, unsigned. With it they are
signed with --key and sent, many at once; interrupted, the same command goes on
where it was, since what is on the ledger already is no difference any more.`

func (a *app) importOFAC() *cobra.Command {
	m := importRun{app: a}
	m.read = m.readOFAC
	return m.flags(&cobra.Command{
		Use:   "ofac SDN.csv ADD.csv ALT.csv",
		Short: "Import a list of the U.S. Treasury's Office of Foreign Assets Control",
		Long: `Reads the three files of OFAC's SDN list (sdn.csv, add.csv, alt.csv) or of its
consolidated list (cons_prim.csv, cons_add.csv, cons_alt.csv), in any order, and
compares them with the register: who is new becomes a designation, who changed an
amendment, who is gone a revocation "delisted". The Treasury publishes them at
https://sanctionslist.ofac.treas.gov; docket fetches nothing by itself.` + howImportsGo + `

Organisations, vessels and aircraft are taken; --individuals adds natural persons,
by name, alias and address. It stops, and writes nothing, on damaged files, and
where more would be revoked than the charter allows: if that is true, say how many
with --allow-removed.`,
		Example: `  docket import ofac --trust trust sdn.csv add.csv alt.csv > plan.jsonl
  docket import ofac --trust trust --submit --key nightly-import.key --individuals sdn.csv add.csv alt.csv`,
		Args: cobra.ExactArgs(3),
	})
}

func (a *app) importCSL() *cobra.Command {
	m := importRun{app: a, prefix: csl.Prefix}
	m.read = m.readCSL
	return m.flags(&cobra.Command{
		Use:   "csl FILE…",
		Short: "Import the U.S. Consolidated Screening List",
		Long: `Reads the Consolidated Screening List as CSV, in its current header (29 columns, _id
first) or the older one without _id, and compares it with the register: who is new
becomes a designation, who changed an amendment, who is gone a revocation "delisted". The
International Trade Administration publishes it at
https://www.trade.gov/consolidated-screening-list; docket fetches nothing by itself.

Each source list in it is a list of its own: csl-sdn, csl-el (Entity List), csl-dpl, and
so on, by its abbreviation. Those that stand in the charter's imports are taken, each
under its own limit; the others are left out, and named. An entity's ID is the number
that its source gave it, else _id, else (in the older header) a digest of its name.

Names, other names, programmes (of a source without: its abbreviation), addresses,
notices, first and last days, and entities' registration numbers are taken; dates and
places of birth, document numbers, titles and remarks never are.` + howImportsGo + `

Organisations, vessels and aircraft are taken; --individuals adds natural persons, and
all of those sources that do not tell persons from others: the lists of Commerce and State
(csl-el, csl-dpl, csl-uvl, csl-meu, csl-isn, csl-dtc) are imported with it alone. Without
it, who of them is delisted does not show either. What docket export csl wrote is known
again: designations of this ledger's own, and from other imports, are left out. It stops, and writes nothing, on a damaged file, and where more of a list would be revoked
than the charter allows, all of a list that is not in the file at all: if that is
true, say how many with --allow-removed.`,
		Example: `  docket import csl --trust trust consolidated.csv > plan.jsonl
  docket import csl --trust trust --submit --key nightly-import.key --individuals consolidated.csv`,
		Args: cobra.MinimumNArgs(1),
	})
}

// importRun is one run of docket import.
type importRun struct {
	app                 *app
	read                func(files []string) ([]*listimport.List, []string, error) // and what to say of the files
	prefix              string                                                     // of the lists of a publication that has many; "" of one that is a list itself
	trust               *trustFlags
	keys                []string
	published, receipts string
	submit, asJSON      bool
	parallel            int
	wait                time.Duration
	options             listimport.Options
}

// flags adds to a verb what all imports have.
func (m *importRun) flags(c *cobra.Command) *cobra.Command {
	c.ValidArgsFunction = completeFiles("csv")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if m.submit {
			return nil
		}
		return idle(c, "without --submit: the statements are printed", "key", "receipts", "parallel", "wait", "json")
	}
	c.RunE = func(c *cobra.Command, args []string) error { return m.run(c, args) }
	m.trust = m.app.trustFlags(c).addLedgerFlag(c).withMaxAgeFlag(c)
	f := c.Flags()
	f.BoolVar(&m.submit, "submit", false, "sign and send the records, instead of printing them")
	f.StringArrayVar(&m.keys, "key", nil, "with --submit: private key file or KMS URI of an importer; may be repeated")
	f.BoolVar(&m.options.Individuals, "individuals", false, "natural persons too, and who may be one")
	f.IntVar(&m.options.AllowRemoved, "allow-removed", 0, "allow up to so many revocations, whatever the charter's percentage")
	f.StringVar(&m.published, "published", "", "the day on which the list was published, like 2026-11-20")
	f.StringVar(&m.receipts, "receipts", "", "with --submit: directory for a receipt of each record")
	f.IntVar(&m.parallel, "parallel", 64, "with --submit: records under way at once")
	f.DurationVar(&m.wait, "wait", time.Minute, "with --submit: how long to go on trying while the server is busy or out of reach, a call under way included; 0: one call, a minute at most")
	f.BoolVar(&m.asJSON, "json", false, "with --submit: print the result as JSON")
	c.MarkFlagDirname("receipts")
	return c
}

func (m *importRun) run(c *cobra.Command, files []string) error {
	if err := m.check(); err != nil {
		return err
	}
	signers := make([]*draft.Signer, len(m.keys))
	for i, name := range m.keys {
		var err error
		if signers[i], err = m.app.signerFor(c, name); err != nil {
			return err
		}
	}
	lists, notes, err := m.read(files)
	if err != nil {
		return err
	}
	m.printNotes(notes)
	m.trust.parallel = m.parallel
	g, err := m.trust.baseState(c, record.KindDesignation, "", false)
	if err != nil {
		return err
	}
	defer g.Close()
	plan, err := m.plan(g, lists)
	if err != nil {
		return err
	}
	m.printPlan(plan)
	if !m.submit {
		return m.printStatements(g.ledger, plan)
	}
	return m.send(c.Context(), g, lists, plan, signers)
}

func (m *importRun) check() error {
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
		return usageError("--published: %w", err)
	}
	m.options.Published = &d
	return nil
}

// fileParts are how OFAC names its three files, in the order in which they are read.
var fileParts = [3][]string{{"sdn", "prim"}, {"add"}, {"alt"}}

// readOFAC finds out which file is which, and reads the list.
func (m *importRun) readOFAC(files []string) ([]*listimport.List, []string, error) {
	var found [3]listimport.Input
	for _, name := range files {
		base := filepath.Base(name)
		stem := strings.ToLower(strings.TrimSuffix(base, filepath.Ext(base)))
		part := slices.IndexFunc(fileParts[:], func(endings []string) bool {
			return slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(stem, e) })
		})
		if part < 0 || found[part].Reader != nil {
			return nil, nil, usageError("%s: want three files whose names end in sdn (or prim), add and alt, one of each", name)
		}
		file, err := m.app.openFile(name)
		if f := (*failure)(nil); errors.As(err, &f) {
			return nil, nil, f.hint("download the three files from https://sanctionslist.ofac.treas.gov; small fictional ones are in the source, in cmd/docket/internal/ofac/testdata")
		} else if err != nil {
			return nil, nil, err
		}
		defer file.Close()
		found[part] = listimport.Input{Name: base, Reader: file}
	}
	list, err := ofac.Read(ofac.ListOf(found[0].Name), found[0], found[1], found[2])
	if err != nil {
		return nil, nil, refusal("%w", err).hint("nothing was written")
	}
	return []*listimport.List{list}, list.Notes, nil
}

// readCSL reads the files of the Consolidated Screening List.
func (m *importRun) readCSL(files []string) ([]*listimport.List, []string, error) {
	var inputs []listimport.Input
	for _, name := range files {
		file, err := m.app.openFile(name)
		if f := (*failure)(nil); errors.As(err, &f) {
			return nil, nil, f.hint("download consolidated.csv from https://www.trade.gov/consolidated-screening-list; a small fictional one is in the source, in cmd/docket/internal/csl/testdata")
		} else if err != nil {
			return nil, nil, err
		}
		defer file.Close()
		inputs = append(inputs, listimport.Input{Name: filepath.Base(name), Reader: file})
	}
	lists, notes, err := csl.Read(inputs...)
	if err != nil {
		return nil, nil, refusal("%w", err).hint("nothing was written")
	}
	return lists, notes, nil
}

// importPlan is what is to be done about all lists of a publication.
type importPlan struct {
	lists []*listimport.List
	plans []*listimport.Plan // of each
	items []listimport.Item  // of all
	notes []string
}

// plan compares the lists with the register, under the charter's guard.
func (m *importRun) plan(g *baseState, lists []*listimport.List) (*importPlan, error) {
	v, err := g.view()
	if err != nil {
		return nil, err
	}
	charter, err := v.Charter()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	m.options.Today = v.LocalDate(now)
	p := &importPlan{}
	if p.lists, p.notes, err = m.choose(v, lists, &charter.Charter); err != nil {
		return nil, err
	}
	var comparisons []listimport.Comparison
	for _, list := range p.lists {
		o := m.options
		i := slices.IndexFunc(charter.Charter.Imports, func(l record.ImportList) bool { return l.List == list.Name })
		o.MaxRemovedPercent = charter.Charter.Imports[i].MaxRemovedPercent
		comparisons = append(comparisons, listimport.Comparison{List: list, Current: currentOf(v, list.Name, now), Options: o})
	}
	p.plans, err = listimport.DiffAll(comparisons, m.options.AllowRemoved)
	var removal *listimport.RemovalError
	var removals listimport.RemovalsError
	if errors.As(err, &removal) || errors.As(err, &removals) {
		return nil, refusal("%w", err).hint("no record of this plan was written; a list that lost so many may be a broken feed")
	} else if err != nil {
		return nil, refusal("%w", err)
	}
	for _, plan := range p.plans {
		p.items = append(p.items, plan.Items...)
	}
	return p, nil
}

// choose finds the lists that the charter imports. Of a publication that has many lists
// it may leave some out, and those of them that it imports and the files have not at
// all have vanished.
//
// What an export of this ledger wrote is no news to it, and never becomes a list: its own
// designations, and what it has of lists that the charter does not import from here.
func (m *importRun) choose(v *view.View, lists []*listimport.List, charter *record.Charter) (chosen []*listimport.List, notes []string, err error) {
	imports := charter.Imports
	var out, foreign []string
	for _, l := range lists {
		imported := slices.ContainsFunc(imports, func(i record.ImportList) bool { return i.List == l.Name })
		if imported && l.Source != csl.OwnSource(charter.Name) {
			chosen = append(chosen, l)
			continue
		}
		known, from, err := m.knownOf(v, l)
		if err != nil {
			return nil, nil, err
		}
		if known > 0 {
			notes = append(notes, knownWords(l.Name, from, known))
		}
		switch unknown := len(l.Entries) - known; {
		case unknown == 0:
		case l.Name == csl.OwnList:
			one, many := "is an order", "are orders"
			foreign = append(foreign, fmt.Sprintf("%s: %s of another ledger, or newer than the copy: no list to be imported", l.Name, entriesAre(unknown, one, many)))
		default:
			out = append(out, l.Name)
		}
	}
	notes = append(notes, foreign...)
	if len(chosen) == 0 && len(out) == 0 {
		if len(foreign) > 0 {
			return nil, nil, refusal("%s", foreign[0]).hint("docket sync fetches what is newer; designations of another ledger are read there, with a trust directory of its own")
		}
		return nil, notes, nil // all of it is here
	}
	if len(chosen) == 0 {
		return nil, nil, refusal("%s among the charter's imports", theListsAre(out)).hint("an amended charter can add one: imports: [{list: %s, maxRemovedPercent: 2}]", out[0])
	}
	if len(out) > 0 {
		notes = append(notes, theListsAre(out)+" among the charter's imports, and left out")
	}
	if m.prefix == "" {
		return chosen, notes, nil
	}
	for _, i := range imports {
		there := slices.ContainsFunc(chosen, func(l *listimport.List) bool { return l.Name == i.List })
		if strings.HasPrefix(i.List, m.prefix) && !there {
			chosen = append(chosen, &listimport.List{Name: i.List, Files: lists[0].Files, HasTerms: true, Vanished: true})
		}
	}
	return chosen, notes, nil
}

// knownOf counts the entries of a list that the register has a thread of, and says of which
// list these are, "" of the ledger's own. An OFAC list has none: it is no export of ours.
func (m *importRun) knownOf(v *view.View, l *listimport.List) (known int, from string, err error) {
	if m.prefix == "" {
		return 0, "", nil
	}
	for _, e := range l.Entries {
		var thread record.Thread
		thread, from = csl.ThreadOf(l.Name, e.ID)
		absent := (*view.AbsentError)(nil)
		switch _, err := v.Head(thread); {
		case err == nil:
			known++
		case !errors.As(err, &absent):
			return 0, "", err
		}
	}
	return known, from, nil
}

// knownWords say why entries are left out that the ledger has.
func knownWords(list, from string, known int) string {
	switch from {
	case "":
		return list + ": " + entriesAre(known, "is the order of this ledger that its own export wrote: an import neither makes nor changes it", "are orders of this ledger that its own export wrote: an import neither makes nor changes them")
	case list:
		return list + ": " + entriesAre(known, "is", "are") + " on this ledger already, and the charter imports the list no more: left out"
	}
	return list + ": " + entriesAre(known, "is", "are") + " on this ledger already, from " + from + ", which this publication does not carry: left out"
}

// entriesAre begins a sentence on entries: "1 entry is …", "2 entries are …".
func entriesAre(n int, is, are string) string {
	if n == 1 {
		return "1 entry " + is
	}
	return fmt.Sprintf("%d entries %s", n, are)
}

// theListsAre begins a sentence on lists that are not something.
func theListsAre(names []string) string {
	if len(names) == 1 {
		return "the list " + names[0] + " is not"
	}
	return "the lists " + joinWords(names, "and") + " are not"
}

// currentOf yields what the register has of a list, ended designations too.
func currentOf(v *view.View, list string, now time.Time) iter.Seq2[listimport.Current, error] {
	return func(yield func(listimport.Current, error) bool) {
		more := true
		err := v.WholeDesignations(view.DesignationFilter{List: list}, now, func(d view.WholeDesignation) bool {
			cur := listimport.Current{Thread: d.Thread, Newest: d.Record, Designation: &d.Current}
			if d.Revoked != nil {
				cur.Ended = d.Revoked.Cause
			}
			more = yield(cur, nil)
			return more
		})
		if err != nil && more {
			yield(listimport.Current{}, err)
		}
	}
}

func (m *importRun) printNotes(notes []string) {
	for _, note := range notes {
		m.app.logf("note: %s", printable(note))
	}
}

// printPlan says what the plan is, list by list.
func (m *importRun) printPlan(all *importPlan) {
	m.printNotes(all.notes)
	for i, p := range all.plans {
		m.printNotes(p.Notes)
		text := fmt.Sprintf("%s: %d new, %d amended, %d gone, %d unchanged", all.lists[i].Name, p.Designations, p.Amendments, p.Revocations, p.Unchanged)
		switch {
		case p.Skipped > 0 && m.prefix == "":
			text += fmt.Sprintf("; %s left out (--individuals takes them)", plural(p.Skipped, "natural person"))
		case p.Skipped > 0:
			text += fmt.Sprintf("; %d left out who are natural persons, or may be (--individuals takes them)", p.Skipped)
		}
		m.app.logf("%s", text)
		m.printUnseen(all.lists[i], p)
	}
}

// printUnseen says what a run without persons leaves open: a list of which it took nothing, as of
// each that does not tell persons from organisations, and those on the ledger whose delisting it does not see.
func (m *importRun) printUnseen(l *listimport.List, p *listimport.Plan) {
	switch {
	case p.Skipped > 0 && p.Skipped == len(l.Entries):
		text := l.Name + ": nothing of it is taken: " + entriesAre(p.Skipped, "is a natural person, or may be one", "are natural persons, or may be") + "; --individuals takes them"
		if p.Unseen > 0 {
			text += fmt.Sprintf("; %d of it are on the ledger, and whether they are listed still was not compared", p.Unseen)
		}
		m.app.logf("docket: warning: %s", text)
	case p.Unseen == 1:
		m.app.logf("note: %s: 1 of it on the ledger is a natural person, or may be: whether it is listed still was not compared (--individuals does)", l.Name)
	case p.Unseen > 1:
		m.app.logf("note: %s: %d of it on the ledger are natural persons, or may be: whether they are listed still was not compared (--individuals does)", l.Name, p.Unseen)
	}
}

// printStatements writes the plan unsigned, one statement a line.
func (m *importRun) printStatements(ledger record.ID, p *importPlan) error {
	now := time.Now()
	for _, item := range p.items {
		payload, err := record.EncodeStatement(item.Statement(ledger, record.Authority, now))
		if err != nil {
			return refusal("%s: %w", item.Thread, err)
		}
		m.app.printf("%s\n", payload)
	}
	return nil
}
