package ofac

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// An entity is what the three files say about one number.
type entity struct {
	id         string
	line       int             // in the primary file
	rows       hash.Hash       // over its raw rows with their line ends: primary, addresses, aliases
	bytes      int64           // of these rows
	seen       map[string]bool // numbers of its address and alias rows
	hasAddress bool            // has an address row
	flag       string          // a vessel's flag, as written

	target    record.Target
	program   []string
	countries []string // of its addresses; "" for one that is not in the table
}

// The columns of the primary file that are read. The others are title, call
// sign, vessel type, tonnages, owner and remarks.
const (
	colName    = 1
	colType    = 2
	colProgram = 3
	colFlag    = 9
)

func newEntity(id string, s *scanner) (*entity, error) {
	e := &entity{id: id, line: s.line, rows: sha256.New(), seen: map[string]bool{}}
	schema, known := schemas[s.value(colType)]
	if !known {
		return nil, fmt.Errorf("column %d: unknown type %q (individual, vessel, aircraft, or -0- for an organisation)",
			colType+1, s.row[colType].text)
	}
	e.target.Schema = schema
	if e.target.Name = s.value(colName); e.target.Name == "" {
		return nil, fmt.Errorf("column %d: entity %s has no name", colName+1, id)
	}
	if e.program = programs(s.value(colProgram)); len(e.program) == 0 {
		return nil, fmt.Errorf("column %d: entity %s stands under no programme", colProgram+1, id)
	}
	if schema == "Vessel" {
		e.flag = s.value(colFlag)
	}
	e.addRow(s)
	return e, nil
}

// schemas are OFAC's types in FollowTheMoney's words. The list does not tell a
// company from another organisation.
var schemas = map[string]string{
	"":           "Organization",
	"individual": "Person",
	"vessel":     "Vessel",
	"aircraft":   "Airplane",
}

// programs splits "SDGT] [IFSR": OFAC encloses the whole list in brackets where
// it is printed, so the file has only those in between.
func programs(s string) []string {
	var all []string
	for _, p := range strings.Split(s, "] [") {
		p = strings.Trim(p, "[] ")
		if p != "" && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// addRow adds the row that the scanner stands on to the entity's digest.
func (e *entity) addRow(s *scanner) {
	e.rows.Write(s.raw)
	e.bytes += int64(len(s.raw))
}

// addCompanionRow is keep for a row of a companion file, which has a number of its own.
func (e *entity) addCompanionRow(s *scanner) error {
	n, err := s.row[1].number()
	if err != nil {
		return fmt.Errorf("column 2: %w", err)
	}
	if key := s.usualName + n; !e.seen[key] {
		e.seen[key] = true
		e.addRow(s)
		return nil
	}
	return fmt.Errorf("row %s of entity %s stands here again: %s was damaged or two were joined, download it again", n, e.id, s.name)
}

// addAddress reads street, "city/state/province/postal code" and country. What
// a record carries is the address in one line; the country goes into its own
// field if it is in the table, and stays in the line as written if not.
func (e *entity) addAddress(s *scanner) error {
	if err := e.addCompanionRow(s); err != nil {
		return err
	}
	e.hasAddress = true
	street, city, country := s.value(2), s.value(3), s.value(4)
	code := listimport.CountryCode(country)
	if country != "" {
		e.countries = append(e.countries, code)
	}
	if code == "" {
		city = joinLine(city, country)
	}
	a := record.Address{Full: joinLine(street, city), Country: code}
	if a == (record.Address{}) {
		return nil
	}
	if !slices.Contains(e.target.Address, a) {
		e.target.Address = append(e.target.Address, a)
	}
	return nil
}

func joinLine(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ", " + b
}

// addAlias reads type and name. Aliases in the alias file are strong ones; weak
// ones OFAC writes into the remarks.
func (e *entity) addAlias(s *scanner) error {
	if err := e.addCompanionRow(s); err != nil {
		return err
	}
	a := record.Alias{Type: s.value(2), Name: s.value(3)}
	switch a.Type {
	case "aka", "fka", "nka":
	default:
		return fmt.Errorf("column 3: unknown kind of alias %q (aka, fka or nka)", s.row[2].text)
	}
	if a.Name == "" {
		return fmt.Errorf("column 4: an alias without a name")
	}
	if !slices.Contains(e.target.Alias, a) { // the 2021 list has two twice
		e.target.Alias = append(e.target.Alias, a)
	}
	return nil
}

func (e *entity) entry() listimport.Entry {
	e.target.Country = listimport.CountryOf(e.flag, e.countries)
	x := listimport.Entry{ID: e.id, Bytes: e.bytes, Target: e.target, Program: e.program}
	e.rows.Sum(x.Digest[:0])
	return x
}
