package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// InconsistencyError says that a log shows two histories, or has gone back. Both notes are
// signed by the log: keep them, and show them to witnesses.
type InconsistencyError struct {
	Trusted, Shown proof.Tree
	TrustedNote    []byte
	ShownNote      []byte // nil where only the entries show it

	// Evidence is a file that proves the split view under the log's key alone
	// ([proof.Evidence]); nil where the two checkpoints alone do not, as when a log
	// goes back to an older part of the one history.
	Evidence []byte

	uncompared  error     // why nothing here tells whether the trusted tree begins with the shown one: it may be old only
	withinChain bool      // both stand in one chain, and neither was trusted
	archivedAt  time.Time // of its quorum, if Shown is a checkpoint of the past: then it is no rollback
}

func (e *InconsistencyError) Error() string {
	switch t, s := e.Trusted, e.Shown; {
	case e.withinChain:
		return fmt.Sprintf("fork: the chain is of two histories: size %d with root %s, and size %d with root %s, are not of one log", t.Size, t.Root, s.Size, s.Root)
	case !e.archivedAt.IsZero():
		return fmt.Sprintf("fork: of %s the ledger keeps size %d with root %s, which size %d with root %s does not continue", e.archivedAt.UTC().Format(time.RFC3339), s.Size, s.Root, t.Size, t.Root)
	case s.Size < t.Size && e.Evidence == nil:
		return fmt.Sprintf("rollback: size %d (root %s) is shown as the newest, and size %d (root %s) was trusted before: the ledger has gone back, or an old answer of it was handed out", s.Size, s.Root, t.Size, t.Root)
	default:
		return fmt.Sprintf("fork: size %d with root %s is shown, which is another history than size %d with root %s that was trusted before", s.Size, s.Root, t.Size, t.Root)
	}
}

// BehindError is a checkpoint of the trusted one's history that is older: its source,
// or a cache on the way, has nothing newer or keeps it back. Any server can return an
// old checkpoint, so this is no evidence against the log.
type BehindError struct {
	Trusted, Shown proof.Tree
	At             time.Time // newest cosignature of what is shown; zero with quorum none
}

func (e *BehindError) Error() string {
	cosigned := ""
	if !e.At.IsZero() {
		cosigned = ", cosigned " + e.At.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("what is shown is behind: size %d%s, and size %d, which continues it, was trusted before", e.Shown.Size, cosigned, e.Trusted.Size)
}

// Elsewhere is true: another server of the log may have what is newer ([wire.Servers]).
func (e *BehindError) Elsewhere() bool { return true }

// checkConsistent compares a receipt with the trusted state: its tree with the trusted
// checkpoint of the same size, or with the copy if that covers it; its entry with the
// copy's where the tree is larger. A mismatch is a *[InconsistencyError], although a quorum
// cosigned it. What is beyond the copy is not compared. c is the server, for its tiles;
// nil offline.
func (t *Trust) checkConsistent(ctx context.Context, c *Client, v *proof.VerifiedReceipt) error {
	if t.checkpoint == nil {
		return nil
	}
	one, err := t.isConsistent(ctx, v)
	if err != nil || one {
		return err
	}
	return t.forkOrBehindError(ctx, c, v.Published())
}

func (t *Trust) isConsistent(ctx context.Context, v *proof.VerifiedReceipt) (bool, error) {
	shown, last := v.Published().Checkpoint().Tree(), t.checkpoint.Checkpoint().Tree()
	var one bool
	var err error
	switch {
	case shown.Size == last.Size:
		return shown == last, nil
	case shown.Size < last.Size:
		var own proof.Tree
		own, err = proof.NewTileReader(t.copyDir().Tiles, -1).At(last).TreeAt(ctx, shown.Size)
		if one = own == shown; err != nil {
			err = &DamageError{Dir: t.dir, Err: err}
		}
	case v.Index() < last.Size:
		var own []byte
		own, err = t.readEntry(ctx, v.Index())
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
	if _, none := t.Register(); errors.Is(none, ErrNoCopy) {
		return true, nil
	} else if none != nil {
		return false, none
	}
	return false, err
}

// CheckNewest is for what a server makes against its newest checkpoint, receipts and chains:
// one of a smaller tree than is trusted is a *[BehindError], or a *[InconsistencyError] unless the
// copy shows that it is of the one history.
func (t *Trust) CheckNewest(ctx context.Context, shown *proof.Published) error {
	return t.checkNewest(ctx, nil, shown)
}

func (t *Trust) checkNewest(ctx context.Context, c *Client, shown *proof.Published) error {
	if shown.Checkpoint().Size < t.size() {
		return t.forkOrBehindError(ctx, c, shown)
	}
	return nil
}

// forkOrBehindError is the error of a checkpoint that does not continue the trusted one: a
// *[BehindError] or a *[InconsistencyError].
// The evidence takes the tiles of the larger tree: the copy's, or the server's.
func (t *Trust) forkOrBehindError(ctx context.Context, c *Client, shown *proof.Published) error {
	b, uncompared := asBehind(ctx, t.tiles, t.checkpoint, shown)
	if uncompared != nil && c != nil && c.servers.Whole() != c.servers { // another server can prove it: the trusted root holds its tiles
		b, uncompared = asBehind(ctx, wire.LogAt(c.servers.Whole()).Tiles, t.checkpoint, shown)
	}
	if b != nil {
		return b
	}
	read := t.tiles
	if c != nil && shown.Checkpoint().Size > t.checkpoint.Checkpoint().Size {
		read = c.log.Tiles
	}
	fork := newInconsistencyError(ctx, read, t.checkpoint, shown)
	fork.uncompared = uncompared
	return fork
}

// asBehind returns a *[BehindError] if the trusted tree begins with the shown one, and an error if
// the tiles do not tell that. If the quorum that cosigned it did so after the trusted checkpoint
// existed, it is a rollback and not a delay: quorums of one policy intersect.
func asBehind(ctx context.Context, tiles proof.ReadTiles, trusted, shown *proof.Published) (*BehindError, error) {
	b := &BehindError{Trusted: trusted.Checkpoint().Tree(), Shown: shown.Checkpoint().Tree(), At: shown.LastCosignedAt()}
	back := shown.Policy().Fingerprint() == trusted.Policy().Fingerprint() && newestQuorumTime(shown).After(trusted.ExistedBy())
	if b.Shown.Size >= b.Trusted.Size || back {
		return nil, nil
	}
	if past, err := proof.NewTileReader(tiles, -1).At(b.Trusted).TreeAt(ctx, b.Shown.Size); err != nil || past != b.Shown {
		return nil, err
	}
	return b, nil
}

// signedCheckpoint is a *[proof.Signed] or a *[proof.Published].
type signedCheckpoint interface {
	Checkpoint() proof.Checkpoint
	Note() []byte
	LogKeys() []proof.Key
}

// newInconsistencyError keeps what a log signed against itself. That no evidence can be made of it
// changes nothing about the error.
func newInconsistencyError(ctx context.Context, larger proof.ReadTiles, trusted, shown signedCheckpoint) *InconsistencyError {
	e := &InconsistencyError{
		Trusted: trusted.Checkpoint().Tree(), TrustedNote: trusted.Note(),
		Shown: shown.Checkpoint().Tree(), ShownNote: shown.Note(),
	}
	small, large := e.Trusted, e.Shown
	if small.Size > large.Size {
		small, large = large, small
	}
	var nodes []proof.Hash
	if small.Size < large.Size {
		left, right, err := proof.NewTileReader(larger, -1).At(large).CompactRanges(ctx, small.Size)
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

// StaleError is a newest checkpoint that a quorum cosigned long ago. What it proves
// stays proven, but it does not show that nothing came after it.
type StaleError struct {
	Size   uint64
	At     time.Time     // the newest moment since which a quorum has cosigned it
	Age    time.Duration // of that, at the time of asking
	MaxAge time.Duration
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("the ledger's newest checkpoint is %s old; the limit is %s: a quorum of witnesses last cosigned size %d at %s",
		e.Age.Round(time.Second), e.MaxAge, e.Size, e.At.Format(time.RFC3339))
}

// CheckAge is for a checkpoint that was just fetched as a ledger's newest: a
// *[StaleError] if no quorum cosigned it within maxAge. A ledger has its newest one
// cosigned again when it is idle, so an old one says that the ledger stands still or
// that newer ones are withheld from this client. Under quorum none, or with 0, any age
// is fine.
func CheckAge(newest *proof.Published, maxAge time.Duration, now time.Time) error {
	at := newestQuorumTime(newest)
	if age := now.Sub(at); maxAge > 0 && !at.IsZero() && age > maxAge {
		return &StaleError{Size: newest.Checkpoint().Size, At: at, Age: age, MaxAge: maxAge}
	}
	return nil
}

// newestQuorumTime is the greatest T such that the cosignatures stamped T or later
// satisfy the quorum: witnesses that are gone do not make a checkpoint old. Zero
// with quorum none.
func newestQuorumTime(p *proof.Published) time.Time {
	if p.Policy().QuorumIsNone() {
		return time.Time{}
	}
	var names []string
	cosignatures := p.Cosignatures()
	for i := len(cosignatures) - 1; i >= 0; i-- {
		if names = append(names, cosignatures[i].Witness); p.Policy().Satisfied(names...) {
			return cosignatures[i].Time
		}
	}
	return time.Time{} // not reached: a published checkpoint has a quorum
}
