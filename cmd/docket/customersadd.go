package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/customerfile"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/sheet"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/server/customers"
)

func (a *app) customersAdd() *cobra.Command {
	m := customersAdd{app: a}
	c := &cobra.Command{
		Use:   "add --dir C FILE",
		Short: "Take in a file of customers, of accesses, or of events",
		Long: `Takes in a file in bulk: a table of customers or of accesses as a spreadsheet exports it,
or events as JSON Lines ("-": standard input). What the columns are is found by their
headings, or said by --column; which encoding a file has that is no UTF-8, and what 1/2/2027
means, by --encoding and --dates. An event is the same event when it comes again, by its
account and its ID, or where a row has no ID by what it says: the same file twice adds
nothing, and a run that was interrupted goes on where it was. Where no column says when an account was opened, it is
when the file was written last.

A row that is refused keeps no other back. Refused rows are written to FILE.refused.csv (or
.jsonl) with what is wrong: mend them there and add that file. The number of a payment card
is refused wherever it stands, and is masked in the file of refused rows but for its last
four digits; your own file still has it.`,
		Example: `  docket customers add --dir C customers.csv
  docket customers add --dir C --type entity --column account=Konto kunden.csv
  docket customers add --dir C events.jsonl`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFiles("csv", "jsonl"),
	}
	var encoding, dates string
	m.f = a.customersFlags(c).withIdentity(c).withServerFlags(c).withJSON(c)
	f := c.Flags()
	f.StringArrayVar(&m.options.Columns, "column", nil, "FIELD=HEADING, as account=Konto: what a column holds (#3: by number; FIELD= none); may be repeated")
	f.StringVar(&m.options.Type, "type", "", "person or entity, of whom no column says it")
	f.StringVar(&m.options.By, "by", "", "who verified, where no column says it")
	f.StringVar(&encoding, "encoding", "", "utf-8, the default, or windows-1252, as spreadsheets on Windows write CSV")
	f.StringVar(&dates, "dates", "", "dmy or mdy: which comes first in dates with slashes or dashes, as 1/2/2027")
	c.RunE = m.f.withServer(func(c *cobra.Command, s *customersServer, args []string) (err error) {
		if m.options.Encoding, err = oneOf("encoding", encoding, customerfile.Encodings()); err != nil {
			return err
		}
		if m.options.Dates, err = oneOf("dates", dates, customerfile.AllDates()); err != nil {
			return err
		}
		return m.run(c, s, args)
	})
	return c
}

// customersAdd is one run of docket customers add.
type customersAdd struct {
	app     *app
	f       *customersFlags
	options customerfile.Options
}

// markSuffix is that of the file, beside the one that is taken in, which says how far that is.
const markSuffix = ".docket-import"

func (m *customersAdd) run(c *cobra.Command, s *customersServer, args []string) error {
	name := args[0]
	from, err := m.app.openFile(name)
	if err != nil {
		return err
	}
	source, err := screening.NewSource(asFile(from))
	if err != nil {
		return refusal("reading %s: %w", name, err)
	}
	defer source.Close()
	m.options.Now = writtenAt(from)
	if m.options.Zone, err = s.settings.Location(); err != nil {
		return err
	}
	bar := m.app.progress("adding", source.Bytes())
	defer bar.Finish()
	reader, err := customerfile.Open(io.TeeReader(source, bar), m.options)
	var no *sheet.Error
	if errors.As(err, &no) {
		return usageError("%s: %w", name, err)
	} else if err != nil {
		return refusal("reading %s: %w", name, err)
	}
	m.tellColumns(reader)
	im := &customerfile.Import{Reader: reader, SHA256: source.SHA256(), Send: func(ctx context.Context, in []event.Input) ([]customerfile.Outcome, error) {
		return s.addInputs(ctx, in)
	}}
	shown := 0
	im.Row = func(r *customerfile.Row) {
		if shown++; shown <= 10 {
			m.app.logf("%s: %s", r.Place(), r.Faulty())
		}
	}
	end, err := m.resume(im, name, reader.Kind())
	if err != nil {
		return err
	}
	totals, err := im.Run(c.Context())
	refused, endErr := end(err == nil, totals)
	if errors.Is(err, customerfile.ErrAnotherFile) {
		return refusal("%s is another file than the one that was begun with", name).hint("remove %s to take it in from the start: what is there already stays what it is", name+markSuffix)
	} else if err = errors.Join(err, endErr); err != nil {
		m.app.logf("%s done", plural(totals.Rows, "row"))
		return err
	}
	for _, text := range reader.Assumed() {
		m.app.logf("taken for granted: %s", text)
	}
	if m.f.asJSON {
		err = m.app.printJSON(map[string]any{"rows": totals.Rows, "taken": totals.Taken - im.From.Totals.Taken, "takenBefore": im.From.Totals.Taken, "same": totals.Same, "refused": totals.Refused})
	} else {
		before := ""
		if n := im.From.Totals.Taken; n > 0 {
			before = fmt.Sprintf(" and %d before it was cut off", n)
		}
		m.app.printf("%s: %s taken%s, %d there already, %s refused\n", printable(name), plural(totals.Taken-im.From.Totals.Taken, "event"), before, totals.Same, plural(totals.Refused, "row"))
	}
	if err == nil && totals.Refused > 0 {
		return refusal("%s refused", beAre(totals.Refused, "row", "rows")).hint("mend them in %s and add that file", refused)
	}
	return err
}

// writtenAt is when a file was written last: the same file tells the same again. Of what is no
// file it is now.
func writtenAt(r io.ReadCloser) time.Time {
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.ModTime().Before(time.Now()) {
			return info.ModTime().UTC().Truncate(time.Millisecond)
		}
	}
	return time.Now()
}

// asFile keeps a file a file, of which the digest is taken without a copy.
func asFile(r io.ReadCloser) io.Reader {
	if f, ok := r.(*os.File); ok {
		return f
	}
	return r
}

func (m *customersAdd) tellColumns(r *customerfile.Reader) {
	if m.f.asJSON {
		return
	}
	if all := r.Columns(); len(all) > 0 {
		m.app.logf("%s; columns: %s", r.Kind(), strings.Join(all, ", "))
	}
	if unused := r.Unused(); len(unused) > 0 {
		m.app.logf("not read: %s", strings.Join(unused, ", "))
	}
}

// resume lets an import go on where an earlier one of the same file was broken off. end is
// called after it: it keeps or removes the mark, and says where refused rows are.
func (m *customersAdd) resume(im *customerfile.Import, name, kind string) (end func(whole bool, t customerfile.Totals) (string, error), err error) {
	if name == "-" {
		return func(bool, customerfile.Totals) (string, error) { return "the file that it came from", nil }, nil
	}
	mark := name + markSuffix
	raw, err := os.ReadFile(mark)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case json.Unmarshal(raw, &im.From) != nil:
		return nil, refusal("%s is damaged", mark).hint("remove it to take the file in from the start: what is there already stays what it is")
	default:
		if im.From.SHA256 == im.SHA256 {
			m.app.logf("going on after row %d", im.From.Row)
		}
	}
	ext := ".csv"
	if kind == "events" {
		ext = ".jsonl"
	}
	refusedName := strings.TrimSuffix(name, filepath.Ext(name)) + ".refused" + ext
	refused := &lazyFile{name: refusedName, size: im.From.RefusedBytes}
	im.Refused = refused
	im.Mark = func(at customerfile.Mark) error {
		if err := refused.sync(); err != nil {
			return err
		}
		raw, err := json.Marshal(at)
		if err != nil {
			return err
		}
		return disk.WriteFile(vfs.Default, mark, raw, 0o600, disk.SyncNow)
	}
	return func(whole bool, t customerfile.Totals) (string, error) {
		err := refused.close()
		if whole {
			if e := os.Remove(mark); !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
		return refusedName, err
	}, nil
}

// lazyFile is a file, of its owner alone, that is there once something is written to it.
type lazyFile struct {
	name string
	size int64 // that is kept of one that is there
	file *os.File
}

// Write appends.
func (l *lazyFile) Write(p []byte) (int, error) {
	if l.file == nil {
		f, err := os.OpenFile(l.name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return 0, err
		}
		l.file = f
		if err := f.Truncate(l.size); err != nil {
			return 0, err
		}
		if _, err := f.Seek(0, io.SeekEnd); err != nil {
			return 0, err
		}
	}
	return l.file.Write(p)
}

func (l *lazyFile) sync() error {
	if l.file == nil {
		return nil
	}
	return l.file.Sync()
}

func (l *lazyFile) close() error {
	if l.file == nil {
		return nil
	}
	return errors.Join(l.file.Sync(), l.file.Close())
}

// maxSend is how much one request holds, which the server takes.
const maxSend = 6 << 20 // bytes

// addInputs sends events, as many at once as one request holds.
func (s *customersServer) addInputs(ctx context.Context, all []event.Input) (out []customerfile.Outcome, err error) {
	var body []byte
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		some, err := s.addLines(ctx, body)
		if err == nil && len(some) != n {
			err = refusal("%d events were sent, and %d answered", n, len(some))
		}
		for _, o := range some {
			out = append(out, customerfile.Outcome{Same: o.Duplicate, Fault: outcomeText(o)})
		}
		body, n = body[:0], 0
		return err
	}
	for _, in := range all {
		body = append(in.Append(body), '\n')
		if n++; n == 1000 || len(body) > maxSend {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return out, flush()
}

// addLines sends one request's events, and takes refusals for what they are.
func (s *customersServer) addLines(ctx context.Context, body []byte) ([]customers.Outcome, error) {
	var taken customers.Taken
	err := s.request(ctx, http.MethodPost, "/v1/customers/events", "application/jsonl", body, &taken)
	var p *customersProblem
	if errors.As(err, &p) && len(p.Events) > 0 {
		return p.Events, nil
	}
	return taken.Events, err
}

// outcomeText is why an event was refused; "" if it was not.
func outcomeText(o customers.Outcome) string {
	if o.Problem == "" {
		return ""
	}
	var b bytes.Buffer
	b.WriteString(o.Detail)
	for i, f := range o.Faults {
		if b.WriteString(": "); i > 0 {
			b.Truncate(b.Len() - 2)
			b.WriteString("; ")
		}
		b.WriteString(f.String())
	}
	return b.String()
}
