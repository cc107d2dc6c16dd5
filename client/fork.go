package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// ForkError says that a log shows two histories, or has gone back. Both notes are
// signed by the log: keep them, and show them to witnesses.
type ForkError struct {
	Trusted, Shown proof.Tree
	TrustedNote    []byte
	ShownNote      []byte // nil where only the entries show it

	// Evidence is a file that shows the split view to anybody who has the log's key
	// ([proof.Evidence]); nil where the two checkpoints alone do not, as when a log
	// goes back to an older part of the one history.
	Evidence []byte

	kept time.Time // of its quorum, if Shown is a checkpoint of the past: then it is no rollback
}

func (e *ForkError) Error() string {
	switch t, s := e.Trusted, e.Shown; {
	case !e.kept.IsZero():
		return fmt.Sprintf("fork: of %s the ledger keeps size %d with root %s, which size %d with root %s does not continue", e.kept.UTC().Format(time.RFC3339), s.Size, s.Root, t.Size, t.Root)
	case s.Size < t.Size:
		return fmt.Sprintf("rollback: the ledger shows size %d (root %s), and size %d (root %s) was trusted before", s.Size, s.Root, t.Size, t.Root)
	default:
		return fmt.Sprintf("fork: the ledger shows size %d with root %s, which does not continue size %d with root %s that was trusted before", s.Size, s.Root, t.Size, t.Root)
	}
}

// fork is the error of a checkpoint that does not continue the trusted one. The
// evidence takes the tiles of the larger tree: the server's, or the copy's.
func (t *Trust) fork(ctx context.Context, c *Client, next *proof.Published) error {
	read := c.log.Tiles
	if next.Checkpoint().Size < t.checkpoint.Checkpoint().Size {
		read = copyDir{t.files, t.dir}.tiles
	}
	return newFork(ctx, read, t.checkpoint, next)
}

// signed is a *[proof.Signed] or a *[proof.Published].
type signed interface {
	Checkpoint() proof.Checkpoint
	Note() []byte
	LogKeys() []proof.Key
}

// newFork keeps what a log signed against itself. That no evidence can be made of it
// changes nothing about the error.
func newFork(ctx context.Context, larger proof.ReadTiles, trusted, shown signed) *ForkError {
	e := &ForkError{
		Trusted: trusted.Checkpoint().Tree(), TrustedNote: trusted.Note(),
		Shown: shown.Checkpoint().Tree(), ShownNote: shown.Note(),
	}
	small, large := e.Trusted, e.Shown
	if small.Size > large.Size {
		small, large = large, small
	}
	var nodes []proof.Hash
	if small.Size < large.Size {
		left, right, err := proof.NewBuilder(larger, -1).Ranges(ctx, small.Size, large)
		if err != nil {
			return e
		}
		nodes = slices.Concat(left, right)
	}
	evidence, err := proof.NewEvidence(e.TrustedNote, e.ShownNote, nodes...)
	if err != nil {
		return e
	}
	if _, err := evidence.Verify(append(trusted.LogKeys(), shown.LogKeys()...)...); err != nil {
		return e
	}
	e.Evidence, _ = evidence.Format() // NewEvidence has formatted it
	return e
}
