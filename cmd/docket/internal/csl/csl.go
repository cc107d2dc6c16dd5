// Package csl reads and writes the Consolidated Screening List, one CSV file in which the
// International Trade Administration of the U.S. Department of Commerce republishes the
// lists of three departments: OFAC's, the Bureau of Industry and Security's, the State
// Department's. Each row says of which source list it is, and each source list becomes a
// list of its own ("csl-sdn", "csl-el"), with its own threads and its own guard.
//
// [Read] is strict, because what it reads becomes signed records: a file that is empty, cut
// off or another one is an error that names file and line. It takes names, other names,
// kinds, programmes, addresses, notices, dates and the registration numbers of
// organisations. Dates and places of birth, nationalities, document numbers, titles and
// remarks stay out whole (RECORDS.md "No customer data").
//
// [Writer] writes designations in the same columns, so that reading them again finds what
// was written; what the columns cannot hold is listed there.
package csl

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Prefix begins the name of every list of this publication, in a charter's imports too.
const Prefix = "csl-"

// Read reads the source lists of a publication from its files, mostly one, each once. The
// lists are in the order in which the files begin them, entries in the order of their rows;
// a list's files are the one that it stands in. notes are about the files as a whole, a
// sentence each. Nothing is returned beside an error.
func Read(files ...listimport.Input) (lists []*listimport.List, notes []string, err error) {
	p := publication{byName: map[string]*sourceList{}, dropped: map[string]int{}}
	for _, f := range files {
		if err := p.read(f); err != nil {
			return nil, nil, err
		}
	}
	for _, s := range p.lists {
		lists = append(lists, s.finish())
	}
	return lists, p.finish(), nil
}

// publication gathers the source lists over the files.
type publication struct {
	lists   []*sourceList
	byName  map[string]*sourceList
	notes   []string
	dropped map[string]int // rows that have something in a column that no record carries
	hidden  int            // characters dropped, since no reader sees them
	merged  int            // rows that share an entry with another, where the file has no _id
	swapped int            // rows whose end_date was left out
}

// sourceList is one source list while it is read.
type sourceList struct {
	list    *listimport.List
	source  string   // as the rows name it
	in      *scanner // of its file
	entries []*entry
	byID    map[string]*entry
}

// entry is what the rows of one ID say, mostly one row.
type entry struct {
	listimport.Entry
	line      int // of its first row
	rows      hash.Hash
	flag      string
	countries []string
}

func (p *publication) read(f listimport.Input) error {
	s, err := newScanner(f)
	if err != nil {
		return err
	}
	before := len(p.lists)
	for {
		err := s.next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = s.locate(p.addRow(s))
		}
		if err != nil {
			return err
		}
	}
	if len(p.lists) == before {
		return fmt.Errorf("%s: a header and no rows: the publication is empty, download it again", s.name)
	}
	file := s.file()
	for _, l := range p.lists[before:] {
		l.list.Files = []listimport.File{file}
	}
	p.notes = append(p.notes, s.notes...)
	p.hidden += s.hidden
	return nil
}

// addRow adds the row that the scanner stands on to its list.
func (p *publication) addRow(s *scanner) error {
	source := s.value(colSource)
	abbreviation, err := abbreviationOf(source)
	if err != nil {
		return err
	}
	name := Prefix + abbreviation
	l := p.byName[name]
	switch {
	case l == nil:
		l = &sourceList{list: &listimport.List{Name: name, Source: source, HasTerms: true}, source: source, in: s, byID: map[string]*entry{}}
		p.byName[name] = l
		p.lists = append(p.lists, l)
	case l.source != source:
		return fmt.Errorf("column source: %q and %q are both %s: the file is damaged, download it again", l.source, source, name)
	case l.in != s:
		return fmt.Errorf("rows of %q stand in %s too: give each file once, and no two editions", source, l.in.name)
	}
	for _, column := range droppedColumns {
		if s.value(column) != "" {
			p.dropped[column]++
		}
	}
	e, swapped, err := newEntry(s, abbreviation)
	if err != nil {
		return err
	}
	if swapped {
		p.swapped++
	}
	first := l.byID[e.ID]
	switch {
	case first == nil:
		l.byID[e.ID] = e
		l.entries = append(l.entries, e)
		first = e
	case s.hasID || s.value(colEntityNumber) != "":
		return fmt.Errorf("%s of %s stands here again, first on line %d: the file was damaged or two were joined, download it again", e.ID, name, first.line)
	default:
		p.merged++
		first.merge(e)
	}
	first.rows.Write(s.raw)
	first.Bytes += int64(len(s.raw))
	return nil
}

// newEntry reads a row. swapped tells that its last day, being before its first, was left out.
func newEntry(s *scanner, abbreviation string) (e *entry, swapped bool, err error) {
	e = &entry{line: s.line, rows: sha256.New(), flag: s.value(colVesselFlag)}
	t := &e.Target
	if t.Name = s.value(colName); t.Name == "" {
		return nil, false, fmt.Errorf("column name: empty")
	}
	e.ID = idOf(s, t.Name)
	kind := s.value(colType)
	if t.Schema = schemas[strings.ToLower(kind)]; t.Schema == "" {
		return nil, false, fmt.Errorf("column type: unknown type %q (Entity, Individual, Vessel, Aircraft, or nothing)", kind)
	}
	for _, name := range splitList(s.value(colAltNames)) {
		t.Alias = append(t.Alias, record.Alias{Name: name, Type: "aka"})
	}
	for _, text := range splitList(s.value(colAddresses)) {
		a := parseAddress(text)
		if a != (record.Address{}) {
			t.Address = union(t.Address, []record.Address{a})
		}
		if a.Country != "" {
			e.countries = append(e.countries, a.Country)
		}
	}
	if t.Schema == "Organization" {
		t.RegistrationNumber = registrationNumber(s.value(colIDs))
	}
	if t.Schema != "Vessel" {
		e.flag = ""
	}
	if e.Program = splitList(s.value(colPrograms)); len(e.Program) == 0 {
		e.Program = []string{strings.ToUpper(abbreviation)}
	}
	e.FederalRegisterNotice = s.value(colNotice)
	e.URL = urlOf(s.value(colInformationURL))
	if e.EffectiveFrom, err = parseDate(s, colStart); err == nil {
		e.EffectiveUntil, err = parseDate(s, colEnd)
	}
	if from, until := e.EffectiveFrom, e.EffectiveUntil; from != nil && until != nil && until.Before(*from) {
		e.EffectiveUntil, swapped = nil, true
	}
	return e, swapped, err
}

// merge takes in another row of the same name.
func (e *entry) merge(other *entry) {
	e.Target.Alias = union(e.Target.Alias, other.Target.Alias)
	e.Target.Address = union(e.Target.Address, other.Target.Address)
	e.Program = union(e.Program, other.Program)
	e.countries = append(e.countries, other.countries...)
	if notice := other.FederalRegisterNotice; notice != "" && !slices.Contains(splitList(e.FederalRegisterNotice), notice) {
		e.FederalRegisterNotice = strings.TrimPrefix(e.FederalRegisterNotice+"; "+notice, "; ")
	}
	if from := other.EffectiveFrom; e.EffectiveFrom != nil && (from == nil || from.Before(*e.EffectiveFrom)) {
		e.EffectiveFrom = from
	}
	if until := other.EffectiveUntil; e.EffectiveUntil != nil && (until == nil || until.After(*e.EffectiveUntil)) {
		e.EffectiveUntil = until
	}
}

func union[T comparable](all, more []T) []T {
	for _, x := range more {
		if !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}

// idOf is the entity's ID within its list: the number that the source itself gave it,
// which stays as long as it is listed; else the publication's _id; else, in the older
// header, which has neither of most sources, a digest of the name. The last two are
// made of what a row says, so a renamed party is gone from the list and new on it.
func idOf(s *scanner, name string) string {
	if number := s.value(colEntityNumber); number != "" {
		return number
	}
	if s.hasID {
		return strings.ToLower(s.value(colID))
	}
	sum := sha256.Sum256([]byte(name))
	return "n-" + hex.EncodeToString(sum[:16])
}

func (l *sourceList) finish() *listimport.List {
	for _, e := range l.entries {
		e.Target.Country = listimport.CountryOf(e.flag, e.countries)
		e.rows.Sum(e.Digest[:0])
		l.list.Entries = append(l.list.Entries, e.Entry)
	}
	return l.list
}

// finish words what people should know about the files.
func (p *publication) finish() []string {
	notes := p.notes
	if len(p.dropped) > 0 {
		var columns []string
		for _, column := range slices.Sorted(maps.Keys(p.dropped)) {
			columns = append(columns, fmt.Sprintf("%s (%d)", column, p.dropped[column]))
		}
		notes = append(notes, "columns that no record carries, and how many rows have them: "+strings.Join(columns, ", ")+"; of ids only the registration numbers of entities are taken")
	}
	if p.hidden > 0 {
		notes = append(notes, fmt.Sprintf("characters that no reader sees were left out, %d of them: no record may hold such", p.hidden))
	}
	if p.merged > 0 {
		notes = append(notes, fmt.Sprintf("the file has no _id: rows of one name in one source list are one entry; rows that were joined to an earlier one: %d", p.merged))
	}
	if p.swapped > 0 {
		notes = append(notes, fmt.Sprintf("rows whose end_date is before their start_date, and was left out: %d", p.swapped))
	}
	return notes
}
