package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/csl"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/ofac"
	"github.com/seed-53cf897a/docket/ledger/disk"
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
all of those sources that do not tell persons from others (of Commerce and State). It
stops, and writes nothing, on a damaged file, and where more of a list would be revoked
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
	if p.lists, p.notes, err = m.choose(lists, charter.Charter.Imports); err != nil {
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
func (m *importRun) choose(lists []*listimport.List, imports []record.ImportList) (chosen []*listimport.List, notes []string, err error) {
	var out []string
	for _, l := range lists {
		if slices.ContainsFunc(imports, func(i record.ImportList) bool { return i.List == l.Name }) {
			chosen = append(chosen, l)
		} else {
			out = append(out, l.Name)
		}
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

// sign makes the envelope of one planned record.
func (m *importRun) sign(ctx context.Context, ledger record.ID, item listimport.Item, signers []*draft.Signer) (record.Envelope, error) {
	payload, err := record.EncodeStatement(item.Statement(ledger, record.Authority, time.Now()))
	env := record.Envelope{PayloadType: record.PayloadType, Payload: payload}
	if err == nil {
		env, err = signAll(ctx, env, signers)
	}
	if err != nil {
		return env, refusal("%s: %w", item.Thread, err)
	}
	return env, nil
}

// committedItem is a planned record that the server admitted.
type committedItem struct {
	listimport.Item
	client.UnverifiedCommit
}

// send signs and sends the plan, many records at once: no two are on one thread.
// Then it waits until the copy, synced and replayed, has them all.
func (m *importRun) send(ctx context.Context, g *baseState, lists []*listimport.List, p *importPlan, signers []*draft.Signer) error {
	url := m.trust.ledger
	if url == "" {
		url = g.trust.URL()
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = m.parallel
	server, err := client.New(url, transport)
	if err != nil {
		return usageError("%w", err)
	}
	defer transport.CloseIdleConnections()
	all, p, err := m.sendAll(ctx, server, g, lists, p, signers)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		m.app.logf("nothing to do: the register says what the list says")
		return m.printResult(p, g.trust, nil)
	}
	last := slices.MaxFunc(all, func(a, b committedItem) int { return cmp.Compare(a.Index, b.Index) }).Index
	there, err := m.awaitInCopy(ctx, g, server, func() (bool, error) { return g.trust.CoveredSize() > last, nil })
	if err != nil {
		return m.interruptedError(ctx, len(all), len(all), err)
	}
	if !there {
		return notYet("all %d records are committed, and not all published yet", len(all)).hint("run the same command again, or docket sync, to see them published")
	}
	if err := m.writeReceipts(ctx, g.trust, all); err != nil {
		return err
	}
	return m.printResult(p, g.trust, all)
}

// sendAll sends the plan. Where the ledger knows more than the copy, as after an
// earlier run whose records are not published yet, it waits for that, and plans anew.
// It returns all that was sent, and the newest plan.
func (m *importRun) sendAll(ctx context.Context, server *client.Client, g *baseState, lists []*listimport.List, p *importPlan, signers []*draft.Signer) ([]committedItem, *importPlan, error) {
	var all []committedItem
	for len(p.items) > 0 {
		of := len(all) + len(p.items)
		admitted, err := m.commitItems(ctx, server, g.ledger, p, signers)
		all = append(all, admitted...)
		if err == nil {
			break
		}
		newer := newerThanCopy(g, err)
		if newer.IsZero() {
			return nil, nil, m.interruptedError(ctx, len(all), of, err)
		}
		m.app.logf("the ledger has records that are not published yet: waiting for them")
		there, err := m.awaitInCopy(ctx, g, server, func() (bool, error) { _, ok, err := g.register.Lookup(newer); return ok, err })
		if err == nil && !there {
			err = notYet("the ledger has records on these threads that are not published yet")
		}
		if err != nil {
			return nil, nil, m.interruptedError(ctx, len(all), of, err)
		}
		if p, err = m.plan(g, lists); err != nil {
			return nil, nil, m.interruptedError(ctx, len(all), of, err)
		}
		m.printPlan(p)
	}
	return all, p, nil
}

// newerThanCopy is the record that the server has on a thread, and the copy has not:
// why it refused one that follows an older. Zero if it refused for any other reason.
func newerThanCopy(g *baseState, err error) record.ID {
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != http.StatusConflict {
		return record.ID{}
	}
	newer, err := record.ParseID(p.Current)
	if err != nil {
		return record.ID{}
	}
	if _, known, err := g.register.Lookup(newer); known || err != nil {
		return record.ID{}
	}
	return newer
}

// commitItems sends every item and returns those that the server admitted. After an
// error nothing more is sent; it waits for the requests in flight, so that their
// outcome is known.
func (m *importRun) commitItems(ctx context.Context, server *client.Client, ledger record.ID, p *importPlan, signers []*draft.Signer) (admitted []committedItem, err error) {
	bar := m.app.progress("sending", int64(len(p.items)))
	defer bar.Finish()
	var mu sync.Mutex // guards admitted
	var failed atomic.Bool
	one := func(item listimport.Item) error {
		env, err := m.sign(ctx, ledger, item, signers)
		if err != nil {
			return err
		}
		a, err := server.Commit(ctx, env.Marshal(), client.Retry{MaxElapsed: m.wait})
		if err != nil {
			return fmt.Errorf("%s: %w", item.Thread, err)
		}
		bar.Add(1)
		mu.Lock()
		defer mu.Unlock()
		admitted = append(admitted, committedItem{item, *a})
		return nil
	}
	var g errgroup.Group
	g.SetLimit(m.parallel)
	for _, item := range p.items {
		if failed.Load() {
			break
		}
		g.Go(func() error {
			err := one(item)
			if err != nil {
				failed.Store(true)
			}
			return err
		})
	}
	err = g.Wait()
	return admitted, err
}

// interruptedError says how far an import came.
func (m *importRun) interruptedError(ctx context.Context, sent, of int, err error) error {
	status, next := exitStatusOf(err)
	if ctx.Err() != nil {
		status, err = exitNotYet, ctx.Err()
	}
	if status == exitNotYet {
		next = "run the same command again: it goes on where it was"
	}
	return &failure{status: status, err: fmt.Errorf("%d of %d records were sent: %w", sent, of, err), nextStep: next}
}

// awaitInCopy syncs the copy until something is there, for as long as --wait says.
func (m *importRun) awaitInCopy(ctx context.Context, g *baseState, server *client.Client, something func() (bool, error)) (there bool, err error) {
	end := time.Now().Add(m.wait)
	for {
		if err := m.app.syncTrust(ctx, g.trust, server); err != nil {
			return false, err
		}
		if g.register, err = g.trust.Register(); err != nil {
			return false, err
		}
		if there, err := something(); there || err != nil || time.Now().After(end) {
			return there, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// writeReceipts makes a receipt of each record from the copy, which is proven by now.
func (m *importRun) writeReceipts(ctx context.Context, trust *client.Trust, all []committedItem) error {
	if m.receipts == "" {
		return nil
	}
	bar := m.app.progress("receipts", int64(len(all)))
	defer bar.Finish()
	for _, s := range all {
		r, err := trust.Receipt(ctx, s.ID)
		if err != nil {
			return err
		}
		text, err := r.Format()
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s-%d%s", strings.ReplaceAll(string(s.Thread), "/", "-"), s.Index, receiptSuffix)
		if err := writeReceipt(filepath.Join(m.receipts, name), text, s.ID, disk.SyncLater); err != nil {
			kept := refusal("every record is published; docket receipt ID fetches each receipt that is missing; keeping them: %w", err)
			if ofMachine(err) {
				return kept
			}
			return kept.hint("files are never overwritten: move it away")
		}
		bar.Add(1)
	}
	return nil
}

// printResult says what was sent, and what the list has beside that.
func (m *importRun) printResult(p *importPlan, trust *client.Trust, all []committedItem) error {
	cp := trust.Checkpoint()
	if cp == nil {
		return errors.New("the trust directory has no checkpoint")
	}
	if m.asJSON {
		kinds := make(map[record.Kind]int)
		for _, s := range all {
			kinds[s.Predicate.Kind()]++
		}
		unchanged, skipped := 0, 0
		for _, plan := range p.plans {
			unchanged += plan.Unchanged
			skipped += plan.Skipped
		}
		return m.app.printJSON(map[string]any{
			"designations": kinds[record.KindDesignation], "amendments": kinds[record.KindAmendment], "revocations": kinds[record.KindRevocation],
			"unchanged": unchanged, "outside": skipped, "sent": len(all), "size": cp.Checkpoint().Size,
		})
	}
	m.app.printf("%s published; %s\n", plural(len(all), "record"), asOf(cp))
	return nil
}
