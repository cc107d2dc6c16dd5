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
	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/ofac"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/ledger/register/view"
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
	m.trust = a.trustFlags(c).addLedgerFlag(c).withMaxAgeFlag(c)
	f := c.Flags()
	f.BoolVar(&m.submit, "submit", false, "sign and send the records, instead of printing them")
	f.StringArrayVar(&m.keys, "key", nil, "with --submit: private key file or KMS URI of an importer; may be repeated")
	f.BoolVar(&m.options.Individuals, "individuals", false, "natural persons too")
	f.IntVar(&m.options.AllowRemoved, "allow-removed", 0, "allow up to so many revocations, whatever the charter's percentage")
	f.StringVar(&m.published, "published", "", "the day on which the list was published, like 2026-11-20")
	f.StringVar(&m.receipts, "receipts", "", "with --submit: directory for a receipt of each record")
	f.IntVar(&m.parallel, "parallel", 64, "with --submit: records under way at once")
	f.DurationVar(&m.wait, "wait", time.Minute, "with --submit: how long to go on trying while the server is busy or out of reach, a call under way included; 0: one call, a minute at most")
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
	signers := make([]*draft.Signer, len(m.keys))
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
	g, err := m.trust.baseState(c, record.KindDesignation, "", false)
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
		return usageError("--published: %w", err)
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
func currentOf(v *view.View, list string, now time.Time) iter.Seq2[listimport.Current, error] {
	return func(yield func(listimport.Current, error) bool) {
		var threads []record.Thread
		err := v.Designations(view.DesignationFilter{List: list}, now, func(d view.Designation) bool {
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
func (m *importOFACCmd) sign(ctx context.Context, ledger record.ID, item listimport.Item, signers []*draft.Signer) (record.Envelope, error) {
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
func (m *importOFACCmd) send(ctx context.Context, g *baseState, list *listimport.List, p *listimport.Plan, signers []*draft.Signer) error {
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
	all, p, err := m.sendAll(ctx, server, g, list, p, signers)
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
func (m *importOFACCmd) sendAll(ctx context.Context, server *client.Client, g *baseState, list *listimport.List, p *listimport.Plan, signers []*draft.Signer) ([]committedItem, *listimport.Plan, error) {
	var all []committedItem
	for len(p.Items) > 0 {
		of := len(all) + len(p.Items)
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
		if p, err = m.plan(g, list); err != nil {
			return nil, nil, m.interruptedError(ctx, len(all), of, err)
		}
		m.printPlan(list, p)
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
func (m *importOFACCmd) commitItems(ctx context.Context, server *client.Client, ledger record.ID, p *listimport.Plan, signers []*draft.Signer) (admitted []committedItem, err error) {
	bar := m.app.progress("sending", int64(len(p.Items)))
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
	for _, item := range p.Items {
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
func (m *importOFACCmd) interruptedError(ctx context.Context, sent, of int, err error) error {
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
func (m *importOFACCmd) awaitInCopy(ctx context.Context, g *baseState, server *client.Client, something func() (bool, error)) (there bool, err error) {
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
func (m *importOFACCmd) writeReceipts(ctx context.Context, trust *client.Trust, all []committedItem) error {
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
func (m *importOFACCmd) printResult(p *listimport.Plan, trust *client.Trust, all []committedItem) error {
	cp := trust.Checkpoint()
	if cp == nil {
		return errors.New("the trust directory has no checkpoint")
	}
	if m.asJSON {
		kinds := make(map[record.Kind]int)
		for _, s := range all {
			kinds[s.Predicate.Kind()]++
		}
		return m.app.printJSON(map[string]any{
			"designations": kinds[record.KindDesignation], "amendments": kinds[record.KindAmendment], "revocations": kinds[record.KindRevocation],
			"unchanged": p.Unchanged, "outside": p.Skipped, "sent": len(all), "size": cp.Checkpoint().Size,
		})
	}
	m.app.printf("%s published; %s\n", plural(len(all), "record"), asOf(cp))
	return nil
}
