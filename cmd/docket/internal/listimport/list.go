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
	"io"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Input is a published file that is yet to be read. Name is its base name: it goes into
// records and errors.
type Input struct {
	Name   string
	Reader io.Reader
}

// List is a published list as its parser read it.
type List struct {
	Name    string   // as in the charter's imports: "ofac-sdn"
	Source  string   // as its publication calls it, of one that has many; else ""
	Files   []File   // in reading order; the first is the one that says who is listed
	Entries []Entry  // in the first file's order, each ID once
	Notes   []string // what people should know about the files, a sentence each

	HasAliasTypes bool // it tells former names from others
	HasTerms      bool // it publishes notices and dates: what a record has of them is the list's
	Vanished      bool // its file has nothing of it any more: no entries, and that is no mistake of the parser
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
	URL     string // where the source says more about it; "" if it does not

	// Of a list that publishes them (HasTerms).
	FederalRegisterNotice         string
	EffectiveFrom, EffectiveUntil *record.Date
}

// isPerson tells natural persons, and who may be one, who are imported only when asked for.
func isPerson(t record.Target) bool { return t.Schema == "Person" || t.Schema == "LegalEntity" }

// named tells whether an entity's ID can name a thread, alone and with the list's name.
func (l *List) named(id string) bool {
	for _, t := range []record.Thread{record.DesignationThread(id), record.ImportThread(l.Name, id)} {
		if _, err := record.ParseThread(string(t)); err != nil {
			return false
		}
	}
	return true
}

// check refuses a list from which no plan can be made.
func (l *List) check() error {
	if len(l.Files) == 0 || len(l.Entries) == 0 && !l.Vanished {
		return fmt.Errorf("%s: the list is empty", l.Name)
	}
	seen := make(map[string]bool, len(l.Entries))
	for _, e := range l.Entries {
		if !l.named(e.ID) {
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

// Plan is the difference of a list to the register, as records to be signed.
type Plan struct {
	// Items are in the order in which they are to be admitted: new designations,
	// amendments, revocations, each in the order of the list's IDs. No two are on
	// one thread, so they may be in flight together.
	Items []Item
	// Notes are what the plan leaves alone and people should know, a sentence each.
	Notes []string

	Designations, Amendments, Revocations int // of Items
	Unchanged                             int // entries that the register already has so
	Skipped                               int // persons on the list, or who may be persons, that were left out
	Unseen                                int // such persons that the register has, whose delisting would not show
}

// Item is one planned record: all of its statement that the list decides.
type Item struct {
	Thread    record.Thread
	Follows   record.ID // zero on a new thread
	Subject   record.Subject
	Document  *record.Document
	Predicate record.Predicate // *record.Designation, *record.Amendment or *record.Revocation
}

// Statement completes the item for signing.
func (i Item) Statement(ledger record.ID, issuer string, issuedAt time.Time) *record.Statement {
	return &record.Statement{
		Kind:    i.Predicate.Kind(),
		Subject: i.Subject,
		Common: record.Common{
			Ledger:   ledger,
			Thread:   i.Thread,
			Issuer:   issuer,
			IssuedAt: issuedAt,
			Follows:  i.Follows,
			Document: i.Document,
		},
		Predicate: i.Predicate,
	}
}

// Current is what the register says about one thread of the list.
type Current struct {
	Thread      record.Thread
	Newest      record.ID           // the thread's newest record: what the next one follows
	Designation *record.Designation // the newest one, with all amendments applied
	Ended       string              // the revocation's cause; empty while the thread lives, suspended or not
}

// Options say what an import may do.
type Options struct {
	Individuals       bool         // natural persons too; without, those on the list and in the register stay as they are
	MaxRemovedPercent int64        // the charter's, for this list
	AllowRemoved      int          // allow up to so many removals, whatever the percentage
	Published         *record.Date // the list's date of publication, if known
	Today             record.Date  // in the charter's time zone: revocations take effect on it
}
