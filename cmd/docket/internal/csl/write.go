package csl

import (
	"encoding/csv"
	"io"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Writer writes designations as a publication, in the current header, a row each.
//
// A designation that was read from such a file is read again as what it is, to the last
// field that an import compares. Of others the columns cannot hold: the type of an alias
// (formerly, now known as) and that it is weak; the parts of an address, which becomes one
// line; a semicolon in a name or an address, which becomes a comma; role, conditions,
// findings, evidence, scope, LEI, networks and domains. What is restricted by the ledger's
// own authority stands under a source of its own, "(LEDGER)", by its name, and what came
// from OFAC's own files under "(OFAC-SDN)" and "(OFAC-CONS)": [ThreadOf] finds the thread
// of each again.
type Writer struct {
	csv    *csv.Writer
	ledger string
}

// NewWriter begins a publication. ledger is the name of whose ledger it is.
func NewWriter(w io.Writer, ledger string) *Writer {
	out := &Writer{csv.NewWriter(w), oneItem(ledger)}
	out.csv.Write(header)
	return out
}

// Add writes a designation as it stands.
func (w *Writer) Add(thread record.Thread, d *record.Designation) error {
	list, id := "", thread.Name()
	if d.Source != nil {
		list, id = d.Source.List, d.Source.ID
	}
	source := w.sourceOf(list)
	short, err := abbreviationOf(source.source)
	if err != nil {
		return err
	}
	t := &d.Target
	cells := map[string]string{
		colID:             id,
		colSource:         source.source,
		colType:           typeOf(t.Schema),
		colName:           t.Name,
		colNotice:         d.FederalRegisterNotice,
		colStart:          formatDate(d.EffectiveFrom),
		colEnd:            formatDate(d.EffectiveUntil),
		colListURL:        source.listURL,
		colAltNames:       joinList(t.Alias, func(a record.Alias) string { return oneItem(a.Name) }),
		colAddresses:      joinList(addresses(t), formatAddress),
		colInformationURL: source.informationURL,
		colIDs:            formatIDs(t.RegistrationNumber),
	}
	if strings.Trim(id, "0123456789") == "" {
		cells[colEntityNumber] = id
	}
	if t.Schema == "Vessel" {
		cells[colVesselFlag] = t.Country
	}
	if !slices.Equal(d.Program, []string{strings.ToUpper(short)}) {
		cells[colPrograms] = joinList(d.Program, oneItem)
	}
	row := make([]string, len(header))
	for i, column := range header {
		row[i] = cells[column]
	}
	return w.csv.Write(row)
}

// Close ends the publication; its error is the first of all writes.
func (w *Writer) Close() error {
	w.csv.Flush()
	return w.csv.Error()
}

// OwnList is the list that a ledger's own designations are read as.
const OwnList = Prefix + "ledger"

// OwnSource is how the [Writer] of a ledger of that name calls the source of these.
func OwnSource(ledger string) string { return "Designations (LEDGER) - " + oneItem(ledger) }

// ThreadOf is the thread of what the [Writer] wrote, by the list and the ID that it is read
// again with, and the list that it was imported from, "" of a ledger's own.
func ThreadOf(list, id string) (thread record.Thread, from string) {
	if list == OwnList {
		return record.DesignationThread(id), ""
	}
	from = list
	short := strings.TrimPrefix(list, Prefix)
	if other, ok := strings.CutPrefix(short, otherList); ok {
		from = other
	} else if _, ok := sourceNames[short]; ok { // OFAC's own files
		from = short
	}
	return record.ImportThread(from, id), from
}

// otherList begins the abbreviation of a list that is of no such publication.
const otherList = "list-"

// sourceOf is how a list is named here.
func (w *Writer) sourceOf(list string) sourceName {
	if known, ok := sourceNames[list]; ok {
		return known
	}
	short, ours := strings.CutPrefix(list, Prefix)
	switch {
	case list == "":
		return sourceName{source: OwnSource(w.ledger)}
	case !ours: // it may bear the name of a source list
		short = otherList + short
	}
	return sourceName{source: "List (" + strings.ToUpper(short) + ") - " + w.ledger}
}

// addresses are the target's, and where they do not tell its country, that alone.
func addresses(t *record.Target) []record.Address {
	if t.Country == "" || t.Schema == "Vessel" || slices.ContainsFunc(t.Address, func(a record.Address) bool { return a.Country != "" }) {
		return t.Address
	}
	return append(slices.Clip(t.Address), record.Address{Country: t.Country})
}

func joinList[T any](list []T, text func(T) string) string {
	texts := make([]string, len(list))
	for i, x := range list {
		texts[i] = text(x)
	}
	return strings.Join(texts, "; ")
}

func formatDate(d *record.Date) string {
	if d == nil {
		return ""
	}
	return d.String()
}
