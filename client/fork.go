package client

import (
	"bytes"
	"context"
	"errors"
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

	inOne bool      // both stand in one chain, and neither was trusted
	kept  time.Time // of its quorum, if Shown is a checkpoint of the past: then it is no rollback
}

func (e *ForkError) Error() string {
	switch t, s := e.Trusted, e.Shown; {
	case e.inOne:
		return fmt.Sprintf("fork: the chain is of two histories: size %d with root %s, and size %d with root %s, are not of one log", t.Size, t.Root, s.Size, s.Root)
	case !e.kept.IsZero():
		return fmt.Sprintf("fork: of %s the ledger keeps size %d with root %s, which size %d with root %s does not continue", e.kept.UTC().Format(time.RFC3339), s.Size, s.Root, t.Size, t.Root)
	case s.Size < t.Size && e.Evidence == nil:
		return fmt.Sprintf("rollback: the ledger shows size %d (root %s), and size %d (root %s) was trusted before", s.Size, s.Root, t.Size, t.Root)
	default:
		return fmt.Sprintf("fork: size %d with root %s is shown, which is another history than size %d with root %s that was trusted before", s.Size, s.Root, t.Size, t.Root)
	}
}

// agrees holds a receipt, from wherever it came, against what is trusted: its tree
// against the trusted checkpoint of the same size, or against the copy, if that covers
// it; its entry against the copy's where the tree is larger. Otherwise it is a
// *[ForkError]: a quorum that cosigned another history once makes no receipt good. What
// is beyond the copy says nothing. c is the server, for its tiles; nil offline.
func (t *Trust) agrees(ctx context.Context, c *Client, v *proof.VerifiedReceipt) error {
	if t.checkpoint == nil {
		return nil
	}
	one, err := t.oneHistory(ctx, v)
	if err != nil || one {
		return err
	}
	return t.fork(ctx, c, v.Published())
}

func (t *Trust) oneHistory(ctx context.Context, v *proof.VerifiedReceipt) (bool, error) {
	shown, last := v.Published().Checkpoint().Tree(), t.checkpoint.Checkpoint().Tree()
	var one bool
	var err error
	switch {
	case shown.Size == last.Size:
		return shown == last, nil
	case shown.Size < last.Size:
		var own proof.Tree
		own, err = proof.NewBuilder(copyDir{files: t.files, dir: t.dir}.tiles, -1).TreeAt(ctx, shown.Size, last)
		one = own == shown
	case v.Index() < last.Size:
		var own []byte
		own, _, err = t.included(ctx, v.Index())
		one = bytes.Equal(own, v.Entry())
	default:
		return true, nil
	}
	if err == nil {
		return one, nil
	}
	// The files say nothing. That is damage, unless no sync has ever brought them so
	// far: the register is not asked before, since one that a sync has left unfinished
	// is no reason to believe what the files disprove.
	if _, none := t.Copy(); errors.Is(none, ErrNoCopy) {
		return true, nil
	} else if none != nil {
		return false, none
	}
	return false, err
}

// Newest is for what a server makes against its newest checkpoint, receipts and chains:
// with a smaller tree than is trusted the log has gone back, which is a *[ForkError].
func (t *Trust) Newest(ctx context.Context, shown *proof.Published) error {
	if shown.Checkpoint().Size < t.size() {
		return t.fork(ctx, nil, shown)
	}
	return nil
}

// fork is the error of a checkpoint that is not of one history with the trusted one.
// The evidence takes the tiles of the larger tree: the copy's, or the server's.
func (t *Trust) fork(ctx context.Context, c *Client, shown *proof.Published) error {
	read := copyDir{files: t.files, dir: t.dir}.tiles
	if c != nil && shown.Checkpoint().Size > t.checkpoint.Checkpoint().Size {
		read = c.log.Tiles
	}
	return newFork(ctx, read, t.checkpoint, shown)
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
