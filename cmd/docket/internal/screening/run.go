package screening

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"golang.org/x/sync/errgroup"
)

// Run makes one report.
type Run struct {
	Head     Head
	List     *List
	Screener *Screener
	Workers  int // that screen side by side; at least 1
}

// Write writes the report to w, a line a call, and calls each with every row in the order of
// the list, also with those that the report leaves out. Where an earlier run was broken off,
// partial is what it wrote: that much is read again and not written. After each mark it
// calls marked. Nothing it does depends on the number of workers but the time it takes.
func (r *Run) Write(ctx context.Context, w io.Writer, partial *Partial, each func(Line) error, marked func() error) (totals Totals, err error) {
	r.List.Jurisdictions = r.Screener.Designations
	g, ctx := errgroup.WithContext(ctx)
	inOrder, work := make(chan batch, 4*r.Workers), make(chan batch, 4*r.Workers)
	g.Go(func() error {
		defer close(inOrder)
		defer close(work)
		return r.read(ctx, inOrder, work)
	})
	for range r.Workers {
		g.Go(func() error {
			for b := range work {
				lines := make([]Line, len(b.rows))
				for i, row := range b.rows {
					if row.Number > partial.Rows() {
						lines[i] = r.Screener.Screen(row)
					}
				}
				b.lines <- lines
			}
			return nil
		})
	}
	g.Go(func() error {
		var err error
		totals, err = r.gather(ctx, inOrder, &writer{w: w, sum: sha256.New()}, partial, each, marked)
		return err
	})
	err = g.Wait()
	return totals, err
}

// batch is some rows and, once they are screened, what came of them.
type batch struct {
	rows  []Row
	lines chan []Line
}

const batchRows = 32

// read hands the rows out, in batches, to be screened and to be gathered.
func (r *Run) read(ctx context.Context, inOrder, work chan<- batch) error {
	send := func(rows []Row) error {
		b := batch{rows, make(chan []Line, 1)}
		for _, to := range []chan<- batch{inOrder, work} {
			select {
			case to <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	var rows []Row
	for {
		row, err := r.List.Next()
		if err == nil {
			rows = append(rows, row)
		}
		if (err != nil || len(rows) == batchRows) && len(rows) > 0 {
			if err := send(rows); err != nil {
				return err
			}
			rows = nil
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the list: %w", err)
		}
	}
}

// gather writes what came of the rows, in their order.
func (r *Run) gather(ctx context.Context, inOrder <-chan batch, w *writer, partial *Partial, each func(Line) error, marked func() error) (totals Totals, err error) {
	if partial == nil {
		err = w.line(r.Head)
	} else {
		w.sum.Write(partial.head)
	}
	if err != nil {
		return totals, err
	}
	used := newUses(r.Screener.Exceptions)
	for b := range inOrder {
		var lines []Line
		select {
		case lines = <-b.lines:
		case <-ctx.Done():
			return totals, ctx.Err()
		}
		for i, l := range lines {
			row := b.rows[i]
			told := row.Number <= partial.Rows()
			if told {
				if l, err = partial.line(row, w.sum); err != nil {
					return totals, err
				}
			}
			totals.add(l)
			used.note(row, l.Hits)
			if !told && !l.silent() {
				if err := w.line(l); err != nil {
					return totals, err
				}
			}
			if err := each(l); err != nil {
				return totals, err
			}
			if totals.Rows%markEvery != 0 {
				continue
			}
			if told {
				err = partial.passMark(w.sum)
			} else if err = w.line(Mark{row.Number, w.digest()}); err == nil {
				err = marked()
			}
			if err != nil {
				return totals, err
			}
		}
	}
	if ctx.Err() != nil { // the list was not read to its end
		return totals, ctx.Err()
	}
	totals.Unused = used.unused()
	totals.SHA256 = w.digest()
	return totals, w.line(totals)
}

// writer writes lines, and keeps the digest of all so far.
type writer struct {
	w   io.Writer
	sum hash.Hash
}

func (w *writer) digest() string { return hex.EncodeToString(w.sum.Sum(nil)) }

func (w *writer) line(v any) error {
	line, err := EncodeLine(v)
	if err != nil {
		return err
	}
	w.sum.Write(line)
	_, err = w.w.Write(line)
	return err
}
