package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/sheet"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
)

func (a *app) screen() *cobra.Command {
	m := screenCmd{app: a}
	c := &cobra.Command{
		Use:   "screen LIST.csv",
		Short: "Find which customers of a list a designation may mean, offline, and show why",
		Long: `Compares each row of a list with the designations in the replayed copy, offline. Bring the
copy up to date first: docket sync.

The list is a table with a header, as spreadsheets export it (- is standard input): a name,
and if there are an id, aliases (; between them), country, lei, registrationNumber, asn and
domain. Columns are recognised by what they are commonly called, like company or legal name;
--column says it of others. A row that cannot be read, or only in part, is said so, and the
others are screened.

A score is from 0 to 1 and never reaches either; 0.7 is the threshold. Equal identifiers
always hit, and so does a country that is a designated jurisdiction. --explain shows the
points that make up each score. Beside it stands a score after OFAC's description of its own
search (FAQ 249); nothing depends on that one. Designations that are announced, in force or
suspended count, by their dates on the day of the copy's checkpoint (with --size, the day on
which the last of the N entries was admitted).

--out REPORT keeps a report: what it rests on, then each row that was hit or not screened.
The same list, copy, day and exceptions give the same bytes, on any machine: --check REPORT
makes it anew and compares, or says what differs. Interrupted, the same command goes on
where it was (REPORT.partial). Its digest goes into a response, as screening: {file: REPORT}.

An exception is a hit that somebody has reviewed: who, when and why. --exceptions-template
--out FILE writes the hits that none covers as a table to be filled in and given to
--exceptions; rows without by, on and why count for nothing. With --exceptions OLD too, what
was reviewed is carried along; what has lapsed is to be reviewed again, and says who excepted
it. An exception hides nothing: its hit is marked, and open again once the customer's row or
the designation changes. A review is of the day of the report, or before.

Exit status: 0 nobody has to look: no hits, or an exception covers each (and of a template
that was made); 1 there are open hits, or rows that were not screened or only in part, or
nobody was compared with anything, or the report is another; 2 misuse, or a file that is no such table; 3 interrupted, or the copy does not
reach a report's size.`,
		Example: `  docket screen --trust trust customers.csv
  docket screen --trust trust customers.csv --exceptions reviewed.csv --out 2027-06.screening
  docket screen --trust trust customers.csv --exceptions-template --out reviewed.csv
  docket screen --trust trust customers.csv --exceptions reviewed.csv --check 2027-06.screening
  docket screen --trust trust kunden.csv --column name=Firma --column country=Land`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFiles("csv"),
		PreRunE: func(c *cobra.Command, _ []string) error {
			if m.check == "" {
				return nil
			}
			return idle(c, "beside --check: the report says it", "size", "at", "threshold", "column", "ended")
		},
		RunE: func(c *cobra.Command, args []string) error { return m.run(c, args[0]) },
	}
	m.query = &queryFlags{app: a, trust: a.trustFlags(c)}
	f := c.Flags()
	f.StringArrayVar(&m.columns, "column", nil, "FIELD=HEADING, as alias=Marke: what a column holds (#3: by number; FIELD= none); may be repeated")
	f.StringVar(&m.threshold, "threshold", screen.Threshold.String(), "least score of a hit, "+minThreshold.String()+" at least")
	f.BoolVar(&m.ended, "ended", false, "compare with designations that have expired or were revoked too")
	f.StringVar(&m.query.at, "at", "", "as designations stand on this day (2027-06-01), in the charter's time zone")
	f.StringVar(&m.query.size, "size", "", "as the first N entries have it; default all that the copy has")
	f.StringVar(&m.exceptions, "exceptions", "", "file of hits that were reviewed")
	f.StringVar(&m.out, "out", "", "write the report, or the template, to this file")
	f.StringVar(&m.check, "check", "", "make this report anew, and compare")
	f.BoolVar(&m.asTable, "csv", false, "print a table for a spreadsheet")
	f.BoolVar(&m.query.asJSON, "json", false, "print the report itself, one JSON object a line")
	f.BoolVar(&m.template, "exceptions-template", false, "print a file of exceptions, to be filled in, or write it to --out")
	f.BoolVar(&m.explain, "explain", false, "show the points that make up each score")
	f.BoolVar(&m.wide, "wide", false, "do not cut lines to the width of the terminal")
	c.MarkFlagsMutuallyExclusive("csv", "json", "exceptions-template", "explain", "wide", "check")
	c.MarkFlagsMutuallyExclusive("out", "check")
	c.MarkFlagFilename("exceptions", "csv")
	return c
}

// screenCmd is one run of docket screen.
type screenCmd struct {
	app                   *app
	query                 *queryFlags
	columns               []string
	threshold, exceptions string
	out, check            string
	ended                 bool
	asTable, template     bool
	explain, wide         bool

	report *screening.Head // that is made anew; nil: a new one
	told   screening.Columns
	least  screen.Score
}

// minThreshold is the least threshold: the memory of a run is that of the hits of some rows.
const minThreshold = screen.Threshold / 2

func (m *screenCmd) run(c *cobra.Command, name string) error {
	if err := m.readFlags(); err != nil {
		return err
	}
	source, err := m.openList(c.Context(), name)
	if err != nil {
		return err
	}
	defer source.Close()
	if m.report != nil && source.SHA256() != m.report.Input.SHA256 {
		return refusal("%s is a report on another list: its SHA-256 is %s, that of %s %s", m.check, m.report.Input.SHA256, name, source.SHA256())
	}
	bar := m.app.progress("screening", source.Bytes())
	defer bar.Finish()
	list, err := screening.NewList(io.TeeReader(source, bar), m.told)
	if err != nil {
		return wrongTable(name, err)
	}
	trust, err := m.query.trust.open()
	if err != nil {
		return err
	}
	defer trust.Close()
	if m.report != nil {
		if err := m.reachesReport(trust); err != nil {
			return err
		}
	}
	r, err := m.query.openCopy(trust)
	if err != nil {
		return err
	}
	run, err := m.prepare(r, list, source)
	if err != nil {
		return err
	}
	if m.report != nil {
		return m.compare(c.Context(), run, source, name)
	}
	return m.write(c.Context(), run, source, name)
}

// readFlags reads what the report is to be made of from the flags, or from the report that
// is to be made anew.
func (m *screenCmd) readFlags() (err error) {
	if m.check != "" {
		return m.readReport()
	}
	if m.least, err = screen.ParseScore(m.threshold); err != nil {
		return usageError("--threshold: %w", err)
	}
	if m.least < minThreshold {
		return usageError("--threshold %s: want %s at least; below that, everything resembles everything", m.threshold, minThreshold)
	}
	if m.query.at != "" {
		if _, err := record.ParseDate(m.query.at); err != nil {
			return usageError("--at: %w", err)
		}
	}
	if m.told, err = screening.ParseColumns(m.columns); err != nil {
		return usageError("--column %w", err)
	}
	return nil
}

func (m *screenCmd) readReport() error {
	f, err := openNamed(m.check)
	if err != nil {
		return err
	}
	defer f.Close()
	h, _, err := screening.ReadHead(bufio.NewReader(f))
	if err != nil {
		return wrongTable(m.check, err)
	}
	m.report, m.told, m.least, m.ended = &h, h.Input.Columns.Exactly(), h.Threshold, !slices.Equal(h.Statuses, screening.InEffect)
	m.query.size, m.query.at = fmt.Sprint(h.Size), h.Day.String()
	switch {
	case h.Exceptions != nil && m.exceptions == "":
		return usageError("%s was made with a file of exceptions (SHA-256 %s)", m.check, h.Exceptions.SHA256).hint("name that file with --exceptions")
	case h.Exceptions == nil && m.exceptions != "":
		return usageError("%s was made without exceptions", m.check).hint("leave out --exceptions")
	}
	return nil
}

// reachesReport wants a copy of the report's ledger that reaches its size.
func (m *screenCmd) reachesReport(trust *client.Trust) error {
	if m.report.Ledger != trust.Ledger() {
		return refusal("%s is a report on another ledger (%s, this is %s)", m.check, m.report.Ledger, trust.Ledger()).
			hint("name the trust directory of that ledger with --trust")
	}
	reg, err := trust.Register()
	if err == nil && m.report.Size > reg.Size() {
		err = notYet("%s is as of size %d, and the copy has %s", m.check, m.report.Size, register.FormatEntryCount(reg.Size())).
			hint("docket sync, then the same command again")
	}
	if errors.Is(err, client.ErrNoCopy) {
		return nil // openCopy says so
	}
	return err
}

// wrongTable is what a file is that was read and cannot be used; other errors are of the disk.
func wrongTable(name string, err error) error {
	var no *sheet.Error
	if errors.As(err, &no) {
		return usageError("%s: %w", name, err)
	}
	return refusal("reading %s: %w", name, err)
}

// openList opens a list and takes its digest. Nobody waits for a pipe that says nothing, once
// they have interrupted.
func (m *screenCmd) openList(ctx context.Context, name string) (*screening.Source, error) {
	from := m.app.in
	if name != "-" {
		f, err := openNamed(name)
		if err != nil {
			return nil, err
		}
		from = f
	}
	if f, ok := from.(*os.File); ok && name == "-" && term.IsTerminal(int(f.Fd())) {
		m.app.logf("reading the list from the terminal: end it with Ctrl-D on a line of its own")
	}
	type opened struct {
		source *screening.Source
		err    error
	}
	done := make(chan opened, 1)
	go func() {
		s, err := screening.NewSource(from)
		done <- opened{s, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case o := <-done:
		if o.err != nil {
			return nil, refusal("reading %s: %w", name, o.err)
		}
		return o.source, nil
	}
}

// prepare reads the designations and the exceptions.
func (m *screenCmd) prepare(r *copyView, list *screening.List, source *screening.Source) (*screening.Run, error) {
	day, err := m.day(r)
	if err != nil {
		return nil, err
	}
	statuses := screening.InEffect
	if m.ended {
		statuses = append(slices.Clone(statuses), screening.Ended...)
	}
	begin, err := time.ParseInLocation(time.DateOnly, day.String(), r.zone)
	if err != nil {
		return nil, err
	}
	designations, err := screening.NewDesignations(r.View, endOfDay(begin), statuses)
	if err != nil {
		return nil, err
	}
	for _, thread := range designations.Cut {
		m.app.logf("docket: warning: %s has more former names than are compared: docket show %s has all", thread, thread)
	}
	of, err := m.query.source(r, r.View, time.Time{})
	if err != nil {
		return nil, err
	}
	run := &screening.Run{
		Head:     screening.NewHead(of, day, statuses, m.least, designations),
		List:     list,
		Screener: &screening.Screener{Designations: designations, Threshold: m.least},
		Workers:  runtime.GOMAXPROCS(0),
	}
	run.Head.Input = source.Head(list)
	if m.exceptions != "" {
		err = m.readExceptions(run)
	}
	m.app.logf("designations as they stand on %s: %d; columns: %s", day, designations.Len(), run.Head.Input)
	return run, err
}

// day is that on which designations are asked about: by default that of the copy's
// checkpoint, so that the same checkpoint gives the same report tomorrow. It is a day in the
// zone of the view's newest charter, in which it ends: cosignatures tell whole seconds, so
// the last one may seem older than that charter, and in the zone before it have been made on
// another day.
func (m *screenCmd) day(r *copyView) (record.Date, error) {
	newest := r.trust.Checkpoint()
	switch at := newest.LastCosignedAt(); {
	case m.query.at != "":
		return record.ParseDate(m.query.at)
	case r.Size() == newest.Checkpoint().Size && !at.IsZero():
		return record.DateOf(at, r.zone), nil
	case r.Size() == 0:
		return record.Date{}, refusal("size 0: there is nothing to compare with")
	}
	last, err := r.RecordAt(r.Size() - 1)
	return record.DateOf(last.Admitted, r.zone), err
}

func (m *screenCmd) readExceptions(run *screening.Run) error {
	raw, err := m.app.readFile(m.exceptions)
	if err != nil {
		return err
	}
	x, err := screening.ParseExceptions(bytes.NewReader(raw))
	if err == nil {
		err = x.Resolve(run.Screener.Designations, run.Head.Day)
	}
	if err != nil {
		return wrongTable(m.exceptions, err)
	}
	run.Screener.Exceptions = x
	run.Head.Exceptions = &screening.ExceptionsHead{SHA256: fmt.Sprintf("%x", sha256.Sum256(raw)), Count: x.Len(), Blank: x.Blank}
	if x.Blank > 0 {
		m.app.logf("%s: %s without by, on and why: nobody has reviewed them, and they count for nothing", m.exceptions, plural(x.Blank, "row"))
	}
	return nil
}

// compare makes a report anew and compares it with the one that there is.
func (m *screenCmd) compare(ctx context.Context, run *screening.Run, source *screening.Source, name string) error {
	if all := run.Head.Differences(*m.report); len(all) > 0 {
		return refusal("%s is not what these make: %s", m.check, strings.Join(all, "; ")).
			hint("the list, the exceptions and the copy it was made of give it again, with a docket of its algorithm")
	}
	f, err := openNamed(m.check)
	if err != nil {
		return err
	}
	defer f.Close()
	with := &screening.Comparer{Report: bufio.NewReader(f)}
	totals, err := run.Write(ctx, with, nil, func(screening.Line) error { return nil }, func() error { return nil })
	if err == nil {
		err = with.Close()
	}
	if err == nil && source.Changed() {
		return changedMeanwhile(name)
	}
	var differs *screening.DifferenceError
	switch {
	case errors.As(err, &differs):
		return refusal("%s: %w", m.check, err).hint("all that it says it rests on is the same, so it was altered, or cut off, after it was made")
	case err != nil:
		return err
	}
	m.app.printf("%s: the same bytes, made anew of %s as of size %d, %s: %s\n", m.check, name, run.Head.Size, run.Head.Root, summary(totals))
	return nil
}

func changedMeanwhile(name string) error {
	return refusal("%s was changed while it was read", name).hint("run the same command again")
}

// write makes a report, and prints what it says.
func (m *screenCmd) write(ctx context.Context, run *screening.Run, source *screening.Source, name string) error {
	if m.template && m.out != "" {
		return m.writeTemplate(ctx, run, source, name)
	}
	print, err := m.printer(run, m.app.out)
	if err != nil {
		return err
	}
	to, marked := io.Discard, func() error { return nil }
	var partial *screening.Partial
	var file *screening.ReportFile
	if m.query.asJSON {
		to = m.app.out
	}
	if m.out != "" {
		if file, err = m.openReport(run.Head); err != nil {
			return err
		}
		defer file.Close()
		to, marked, partial = file, file.Marked, file.Partial
	}
	totals, err := run.Write(ctx, to, partial, print.add, marked)
	if err == nil && source.Changed() {
		if file != nil {
			err = file.Discard()
		}
		return errors.Join(err, changedMeanwhile(name))
	}
	if err == nil && file != nil {
		err = m.finishReport(file, totals)
	}
	if err == nil {
		err = print.close(totals)
	}
	if err != nil {
		return err
	}
	m.tell(run.Head, totals)
	if m.template {
		return nil
	}
	return m.somebodyHasToLook(run.Head, totals)
}

// writeTemplate writes a file of exceptions. It is nobody else's to read, and never written
// over one that somebody has filled in.
func (m *screenCmd) writeTemplate(ctx context.Context, run *screening.Run, source *screening.Source, name string) error {
	var totals screening.Totals
	err := disk.StreamNew(vfs.Default, m.out, 0o600, disk.SyncNow, func(w io.Writer) error {
		print, err := m.printer(run, w)
		if err == nil {
			totals, err = run.Write(ctx, io.Discard, nil, print.add, func() error { return nil })
		}
		if err == nil && source.Changed() {
			err = changedMeanwhile(name)
		}
		if err == nil {
			err = print.close(totals)
		}
		return err
	})
	if errors.Is(err, disk.ErrOtherContent) {
		return refusal("%w", err).hint("files are never overwritten: --exceptions %s carries along what was reviewed there, with --out and another name", m.out)
	} else if err != nil {
		return err
	}
	m.tell(run.Head, totals)
	m.app.logf("wrote %s: fill in by, on and why, and give it to --exceptions", m.out)
	return nil
}

// openReport begins the report's file, or goes on with it.
func (m *screenCmd) openReport(head screening.Head) (*screening.ReportFile, error) {
	file, err := screening.OpenReportFile(m.out, head)
	var other *screening.OtherReportError
	var no *sheet.Error
	switch {
	case errors.As(err, &other):
		return nil, refusal("%s, or what was begun of it in %s%s, is another report: %w", m.out, m.out, screening.PartialSuffix, err).
			hint("files are never overwritten: move it away or name another; what was begun goes on with what it was begun with")
	case errors.As(err, &no):
		return nil, refusal("%s exists, and %w", m.out, err).hint("files are never overwritten: move it away or name another")
	case errors.Is(err, screening.ErrInUse):
		return nil, notYet("%w", err).hint("run the same command again when it has ended")
	case err != nil:
		return nil, err
	}
	if n := file.Partial.Rows(); n > 0 {
		m.app.logf("going on after row %d, where %s%s ends", n, m.out, screening.PartialSuffix)
	}
	return file, nil
}

func (m *screenCmd) finishReport(file *screening.ReportFile, totals screening.Totals) error {
	known, err := file.Finish()
	var differs *screening.DifferenceError
	if errors.As(err, &differs) {
		err = refusal("%s exists: %w", m.out, err)
	}
	if err = neverOverwritten(err); err != nil {
		return err
	}
	raw, err := os.Open(m.out)
	if err != nil {
		return err
	}
	defer raw.Close()
	h := sha256.New()
	to := io.Writer(h)
	if m.query.asJSON {
		to = io.MultiWriter(h, m.app.out)
	}
	if _, err := io.Copy(to, raw); err != nil {
		return err
	}
	was := "wrote"
	if known {
		was = "already there, the same bytes:"
	}
	m.app.logf("%s %s, SHA-256 %x; a response commits to it as screening: {file: %s}", was, m.out, h.Sum(nil), m.out)
	return nil
}
