// Package listimport makes records of a published list: the difference between
// a parsed list and the designations that a register has from it (RECORDS.md
// "Importing a list").
//
// Because what is planned is a difference, a plan needs no memory: after any part
// of it was admitted, the same list against the newer register gives the rest.
// Nothing here signs, sends or reads a clock.
package listimport

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// List is a published list as its parser read it.
type List struct {
	Name    string   // as in the charter's imports: "ofac-sdn"
	Files   []File   // in reading order; the first is the one that says who is listed
	Entries []Entry  // in the first file's order, each ID once
	Notes   []string // what people should know about the files, a sentence each
}

// File is one published file, as it was read.
type File struct {
	Name   string // base name
	Size   int64  // bytes
	SHA256 [sha256.Size]byte
}

// Entry is one listed party.
type Entry struct {
	ID      string            // the list's own; with the list it makes the thread
	Digest  [sha256.Size]byte // of the entry's raw rows with their line ends
	Bytes   int64             // of these rows
	Target  record.Target
	Program []string
}

// isPerson tells natural persons, who are imported only when asked for.
func isPerson(t record.Target) bool { return t.Schema == "Person" }

// Thread is the thread of a list's entry.
func Thread(list, id string) string { return "designation/" + list + "-" + id }

// threadSegment is the grammar of a thread's segment (RECORDS.md "Threads").
var threadSegment = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)

// check refuses a list from which no plan can be made.
func (l *List) check() error {
	if len(l.Files) == 0 || len(l.Entries) == 0 {
		return fmt.Errorf("%s: the list is empty", l.Name)
	}
	seen := make(map[string]bool, len(l.Entries))
	for _, e := range l.Entries {
		if !threadSegment.MatchString(e.ID) || !threadSegment.MatchString(l.Name+"-"+e.ID) {
			return fmt.Errorf("%s: %q cannot name a thread: it takes a-z, 0-9, '.' and '-', 64 characters with the list's name", l.Name, e.ID)
		}
		if seen[e.ID] {
			return fmt.Errorf("%s: %s stands twice on the list", l.Name, e.ID)
		}
		seen[e.ID] = true
	}
	return nil
}

// source is what each record of this list carries about where it is from.
func (l *List) source(id string, published *record.Date) *record.Source {
	s := &record.Source{List: l.Name, ID: id, PublishedOn: published}
	for _, f := range l.Files {
		s.Files = append(s.Files, record.SourceFile{Name: f.Name, SHA256: hex.EncodeToString(f.SHA256[:])})
	}
	return s
}

// edition says in people's words which edition of the list is meant.
func (l *List) edition(published *record.Date) string {
	if published == nil {
		return l.Name + " as in these files"
	}
	return fmt.Sprintf("%s as published on %s", l.Name, published)
}

// ErrForeign is wrapped when a register's thread does not carry the list's own
// (list, id): the register and the import disagree about what the thread is.
var ErrForeign = errors.New("not this list's designation")
