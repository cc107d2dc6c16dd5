// Package ofac reads the lists that the U.S. Treasury's Office of Foreign Assets
// Control publishes as three CSV files each: names, addresses, aliases (its
// "SDN file format"; the consolidated non-SDN list has the same layout).
//
// It is strict, because what it reads becomes signed records: a file that is
// empty, cut off, another one, or does not fit its companions is an error that
// names file and line. It takes names, kinds, programmes, aliases and
// addresses. Remarks stay out whole: they mix dates of birth and document
// numbers into free text (RECORDS.md "No customer data").
package ofac

import (
	"fmt"
	"strings"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
)

// The lists and their names in a charter's imports.
const (
	SDN          = "ofac-sdn"  // sdn.csv, add.csv, alt.csv
	Consolidated = "ofac-cons" // cons_prim.csv, cons_add.csv, cons_alt.csv
)

// ListOf is the list that a primary file belongs to, by OFAC's file names.
func ListOf(primary string) string {
	if strings.HasPrefix(strings.ToLower(primary), "cons") {
		return Consolidated
	}
	return SDN
}

// Read reads a list from its three files, each once, in this order. The entries
// are in the order of the primary file; nothing is returned beside an error.
func Read(list string, sdn, add, alt listimport.Input) (*listimport.List, error) {
	r := reader{list: &listimport.List{Name: list, HasAliasTypes: true}, indexByID: map[string]int{}}
	for _, step := range []struct {
		table
		listimport.Input
		row func(s *scanner, ent string) error
	}{
		{primary, sdn, r.addEntity},
		{addresses, add, r.addAddress},
		{aliases, alt, r.addAlias},
	} {
		s := newScanner(step.table, step.Input)
		if err := s.rows(func(ent string) error { return step.row(s, ent) }); err != nil {
			return nil, err
		}
		if err := r.closeFile(s); err != nil {
			return nil, err
		}
	}
	return r.finish(), nil
}

// reader gathers the rows of each entity over the files.
type reader struct {
	list      *listimport.List
	entities  []*entity
	indexByID map[string]int // index in entities by OFAC's number
	noEndMark []string       // files that were read without their end mark
}

func (r *reader) addEntity(s *scanner, ent string) error {
	if i, known := r.indexByID[ent]; known {
		return fmt.Errorf("entity %s stands here again, first on line %d: %s was damaged or two were joined, download it again",
			ent, r.entities[i].line, s.name)
	}
	e, err := newEntity(ent, s)
	if err != nil {
		return err
	}
	r.indexByID[ent] = len(r.entities)
	r.entities = append(r.entities, e)
	return nil
}

func (r *reader) addAddress(s *scanner, ent string) error {
	e, err := r.entityOf(s, ent)
	if err != nil {
		return err
	}
	return e.addAddress(s)
}

func (r *reader) addAlias(s *scanner, ent string) error {
	e, err := r.entityOf(s, ent)
	if err != nil {
		return err
	}
	return e.addAlias(s)
}

// entityOf is the entity that a row of a companion file is about.
func (r *reader) entityOf(s *scanner, ent string) (*entity, error) {
	i, known := r.indexByID[ent]
	if !known {
		return nil, fmt.Errorf("orphan row: entity %s is not in %s: the files are not of one day or one is cut off, download all three again",
			ent, r.list.Files[0].Name)
	}
	return r.entities[i], nil
}

// closeFile keeps what the records say about the file, and judges a trimmed copy.
func (r *reader) closeFile(s *scanner) error {
	f := listimport.File{Name: s.name, Size: s.size}
	s.sum.Sum(f.SHA256[:0])
	if s.droppedHidden > 0 {
		r.list.Notes = append(r.list.Notes, fmt.Sprintf("%s: characters that no reader sees were left out, %d of them: no record may hold such", s.name, s.droppedHidden))
	}
	r.list.Files = append(r.list.Files, f)
	if s.noEndMark {
		r.noEndMark = append(r.noEndMark, s.name)
	}
	if len(r.noEndMark) == 0 {
		return nil
	}
	// An editor that trims one file of a list trims all; one alone was truncated.
	if len(r.noEndMark) < len(r.list.Files) {
		return fmt.Errorf("%s: the end mark (a last line 0x1A) is missing, and not in its companions: it is cut off, download all three again",
			r.noEndMark[0])
	}
	if s.table != addresses {
		return nil
	}
	// Without end marks the two files vouch for each other: OFAC writes an
	// address row for each entity, an empty one at least.
	for _, e := range r.entities {
		if !e.hasAddress {
			return fmt.Errorf("%s: no row for entity %s, and no end mark (a last line 0x1A) in %s: a file is cut off, download all three again",
				s.name, e.id, strings.Join(r.noEndMark, ", "))
		}
	}
	return nil
}

func (r *reader) finish() *listimport.List {
	for _, name := range r.noEndMark {
		r.list.Notes = append(r.list.Notes, name+": no end mark: a converted copy, trimmed at its end. "+
			"If it was cut exactly between two rows, that cannot be seen")
	}
	for _, e := range r.entities {
		r.list.Entries = append(r.list.Entries, e.entry())
	}
	return r.list
}
