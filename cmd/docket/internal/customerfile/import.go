package customerfile

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// Outcome is what became of one event: taken, there already (Same), or refused (Fault).
type Outcome struct {
	Same  bool
	Fault string
}

// Mark is how far an import has come: what is before it is durable, in the log or among the
// refused rows.
type Mark struct {
	SHA256       string `json:"sha256"`       // of the file, in hexadecimal
	Row          int    `json:"row"`          // the last row that is done
	RefusedBytes int64  `json:"refusedBytes"` // of the file of refused rows
	Totals       Totals `json:"totals"`
}

// Totals are how an import went so far.
type Totals struct {
	Rows    int `json:"rows"`
	Taken   int `json:"taken"`   // events
	Same    int `json:"same"`    // events that were there already
	Refused int `json:"refused"` // rows
}

// defaultBatch is how many events are sent at once, more or less.
const defaultBatch = 1000

// Import sends the events of a file in batches, and writes apart, with their faults, the
// rows that were refused: by this package or by the log. An import that is broken off begins
// anew at its last mark; what was sent since then is there already, by its IDs.
type Import struct {
	Reader *Reader
	// Send sends a batch, and returns an outcome an event once they are durable. An error ends
	// the import; the batch may be there or not.
	Send    func(context.Context, []event.Input) ([]Outcome, error)
	Batch   int              // events that are sent at once, and one more at most; 0: 1,000
	Refused io.Writer        // nil: rows that are refused end up nowhere but in the totals
	Row     func(*Row)       // called with each row that was refused, for people; may be nil
	Mark    func(Mark) error // keeps a mark, durably; may be nil
	From    Mark             // of the import that is gone on with; zero: a new one
	SHA256  string           // of the file
}

// ErrAnotherFile: the mark is of a file of other bytes.
var ErrAnotherFile = errors.New("the file is another than the one that was begun with")

// Run imports until the end of the file. The totals hold also where there is an error.
func (im *Import) Run(ctx context.Context) (Totals, error) {
	mark := im.From
	if mark.SHA256 != "" && mark.SHA256 != im.SHA256 {
		return mark.Totals, ErrAnotherFile
	}
	mark.SHA256 = im.SHA256
	most := cmp.Or(im.Batch, defaultBatch)
	refused := newRefused(im.Refused, im.Reader, mark.RefusedBytes)
	for ended := false; !ended; {
		var rows []Row
		events := 0
		for events < most && len(rows) < 4*most {
			row, err := im.Reader.Next()
			if errors.Is(err, io.EOF) {
				ended = true
				break
			} else if err != nil {
				return mark.Totals, err
			}
			if row.Number <= im.From.Row {
				continue
			}
			rows = append(rows, row)
			events += len(row.Inputs)
		}
		if len(rows) == 0 {
			break
		}
		totals, err := im.batch(ctx, rows, mark.Totals, refused)
		if err != nil {
			return mark.Totals, err
		}
		mark.Row, mark.Totals, mark.RefusedBytes = rows[len(rows)-1].Number, totals, refused.bytes
		if im.Mark != nil {
			if err := im.Mark(mark); err != nil {
				return mark.Totals, err
			}
		}
	}
	return mark.Totals, nil
}

func (im *Import) batch(ctx context.Context, rows []Row, totals Totals, refused *refused) (Totals, error) {
	var inputs []event.Input
	for i := range rows {
		inputs = append(inputs, rows[i].Inputs...)
	}
	var outcomes []Outcome
	if len(inputs) > 0 {
		var err error
		if outcomes, err = im.Send(ctx, inputs); err != nil {
			return totals, err
		}
		if len(outcomes) != len(inputs) {
			return totals, fmt.Errorf("%d events were sent, and %d answered", len(inputs), len(outcomes))
		}
	}
	for i := range rows {
		row := &rows[i]
		totals.Rows++
		for range row.Inputs {
			switch o := outcomes[0]; {
			case o.Fault != "":
				row.Faults = append(row.Faults, Fault{Detail: o.Fault})
			case o.Same:
				totals.Same++
			default:
				totals.Taken++
			}
			outcomes = outcomes[1:]
		}
		if len(row.Faults) == 0 {
			continue
		}
		totals.Refused++
		if im.Row != nil {
			im.Row(row)
		}
		if err := refused.add(row); err != nil {
			return totals, fmt.Errorf("writing the refused rows: %w", err)
		}
	}
	return totals, refused.flush()
}

// refused writes rows that were refused so that they can be mended and imported: the
// columns of the file and one with the faults, or JSON Lines with a member of the faults. A
// row that could not be taken apart is in the first cell, or member, as it was. Card numbers
// are masked but for their last four digits.
type refused struct {
	w      io.Writer
	reader *Reader
	table  *csv.Writer
	bytes  int64
}

func newRefused(w io.Writer, r *Reader, already int64) *refused {
	f := &refused{w: w, reader: r, bytes: already}
	if w != nil && r.table != nil {
		f.table = csv.NewWriter(f)
		f.table.UseCRLF = true
	}
	return f
}

// Write counts what is written.
func (f *refused) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	f.bytes += int64(n)
	return n, err
}

func (f *refused) add(row *Row) error {
	switch {
	case f.w == nil:
		return nil
	case f.table == nil:
		_, err := f.Write(append(refusedLine(row), '\n'))
		return err
	}
	if f.bytes == 0 {
		if _, err := io.WriteString(f, view.ByteOrderMark); err != nil {
			return err
		}
		if err := f.cells(f.without(f.reader.table.Header), faultColumn); err != nil {
			return err
		}
	}
	cells := slices.Clone(row.cells)
	if cells == nil {
		cells = []string{row.raw}
	}
	for i := range cells {
		if row.cells == nil || !f.reader.columns.keeps(i) {
			cells[i] = event.MaskCards(cells[i])
		}
	}
	return f.cells(f.without(cells), row.Faulty())
}

// without leaves out the faults of an earlier import.
func (f *refused) without(cells []string) []string {
	if at := slices.Index(f.reader.table.Header, faultColumn); at >= 0 && at < len(cells) {
		return slices.Delete(slices.Clone(cells), at, at+1)
	}
	return cells
}

// cells writes one row; the fault stands in the column behind the header's.
func (f *refused) cells(cells []string, fault string) error {
	all := make([]string, max(len(cells), len(f.without(f.reader.table.Header)))+1)
	for i, c := range cells {
		all[i] = view.SpreadsheetText(c)
	}
	all[len(all)-1] = view.SpreadsheetText(fault)
	return f.table.Write(all)
}

func (f *refused) flush() error {
	if f.table == nil {
		return nil
	}
	f.table.Flush()
	return f.table.Error()
}

// refusedLine is the event with its faults as a member before the others, or both in an
// object where the line is none.
func refusedLine(row *Row) []byte {
	fault := schema.AppendString([]byte(`{"`+faultColumn+`":`), row.Faulty())
	raw := row.raw
	if at := strings.Index(raw, `"content"`); at >= 0 && strings.Contains(row.Faulty(), "card number") || strings.Contains(row.Faulty(), "E.164") {
		raw = raw[:max(at, 0)] + event.MaskCards(raw[max(at, 0):])
	}
	v, err := schema.ParseJSON([]byte(raw))
	if o, ok := v.(schema.Object); err == nil && ok && len(o) > 0 {
		return append(append(fault, ','), raw[1:]...)
	}
	return append(schema.AppendString(append(fault, `,"text":`...), event.MaskCards(raw)), '}')
}
