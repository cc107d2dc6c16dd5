package ledger

import (
	"context"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Item is one thing to be admitted, already verified as far as that is possible
// without the ledger's state: record.Verified, for the public ledger.
type Item interface {
	// ID is what makes two submissions the same: the record ID.
	ID() record.ID
}

// Fold is what a log means: it judges what may enter, and remembers what has
// (DESIGN.md section 6). The register is the one of the public ledger ([RegisterFold]
// makes a Fold of it); the private customer log and the core benchmark use
// smaller ones. A fold is derived: it may be deleted at any time and comes back
// by replay.
//
// The ledger calls Begin, Judge, Advance and Replay one at a time, but for
// one overlap: while it advances over a draft, it may already begin the next one
// on top of that and judge into it. Lookup and Policy are called at any time.
type Fold[V Item] interface {
	// Cursor is how much of the log the fold has taken in: the head it was last
	// advanced to. It may be behind the log's head after a crash, never ahead: then the
	// store has lost something ([ErrRollback]).
	Cursor() Head

	// Begin starts a draft for items that are all admitted at this instant (UTC,
	// milliseconds): on top of below, which nobody judges into any more and which
	// is advanced over before this one is; or, if that is nil, of the newest state.
	Begin(below Draft[V], admitted time.Time) Draft[V]

	// Advance makes the state of d the fold's own, as of head. It is called once
	// per draft that judged at least one item well, after the store has made its
	// entries durable, and need not sync.
	Advance(d Draft[V], head Head) error

	// Replay takes in entries that are in the log already: those from the cursor
	// up to head. An error says that the log holds an entry that is not one.
	Replay(ctx context.Context, entries [][]byte, head Head) error

	// Lookup finds the index of an item that the fold has advanced over.
	Lookup(id record.ID) (index uint64, ok bool, err error)

	// IDs yields the ID of every item that the fold has advanced over, in any
	// order, until yield returns an error, which it returns.
	IDs(yield func(record.ID) error) error

	// Policy is the policy that a checkpoint of this size has to satisfy, and the
	// index of the item that set it: it holds for the sizes above that.
	Policy(size uint64) (policy *proof.Policy, since uint64, err error)

	// AdmittedAt reads the admission time of an entry, so that the clock of a
	// reopened ledger does not go back.
	AdmittedAt(entry []byte) (time.Time, error)
}

// Draft judges items one after another, each on top of those before it, and
// writes nothing. A dropped draft leaves no trace.
type Draft[V Item] interface {
	// Judge returns the bytes of the entry that v becomes. A *record.Refusal
	// concerns v alone, and the draft goes on without it; any other error is a
	// fault of the fold's store, and the draft is over: [ErrFold] where it is damage.
	Judge(v V) (entry []byte, err error)
}
