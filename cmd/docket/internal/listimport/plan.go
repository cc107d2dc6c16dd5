package listimport

import (
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

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
	Skipped                               int // persons on the list that were left out
}

// Item is one planned record: all of its statement that the list decides.
type Item struct {
	Thread    string
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
	Thread      string
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
