// Package listexport writes designations in formats that others read: the Consolidated
// Screening List's columns, a table for a spreadsheet, JSON lines, and FollowTheMoney's
// entities. The same designations give the same bytes, and nothing is kept but the one
// that is being written.
//
// The table and the JSON carry every field that the register has of a designation, and
// FollowTheMoney's lines carry those that it has no name for beside its own. Each row of
// the three names the checkpoint of the tree that it rests on; the Consolidated Screening
// List has no column for that.
package listexport

import (
	"encoding/json"
	"io"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/csl"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// Source says of which ledger the designations are, and as of when.
type Source struct {
	view.Source
	Day   record.Date // by which their status is told, in the charter's time zone
	Ahead bool        // that day is to come
}

// Writer writes designations in a format that others read.
type Writer interface {
	Add(view.WholeDesignation) error
	Close() error // the format's end; its error is the first of all writes
}

// cslWriter is [NewCSL].
type cslWriter struct{ *csl.Writer }

// NewCSL begins a publication in the Consolidated Screening List's columns.
func NewCSL(w io.Writer, source Source) Writer {
	return cslWriter{csl.NewWriter(w, source.Name)}
}

func (w cslWriter) Add(d view.WholeDesignation) error { return w.Writer.Add(d.Thread, &d.Current) }

// jsonLines is [NewJSON].
type jsonLines struct {
	e      *json.Encoder
	source Source
}

// NewJSON begins JSON lines: an object each, which is the designation as docket list
// --json shows it, under designation all that its records say, the day by which its status
// is told, and the checkpoint.
func NewJSON(w io.Writer, source Source) Writer {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &jsonLines{e, source}
}

// line is one object of NewJSON.
type line struct {
	Ahead bool `json:"ahead,omitempty"`
	view.WholeDesignation
	AsOf       record.Date `json:"asOf"`
	Checkpoint string      `json:"checkpoint"`
}

func (s Source) line(d view.WholeDesignation) line { return line{s.Ahead, d, s.Day, s.Checkpoint()} }

func (w *jsonLines) Add(d view.WholeDesignation) error { return w.e.Encode(w.source.line(d)) }

func (w *jsonLines) Close() error { return nil }
