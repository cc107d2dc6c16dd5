package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Refresh fetches the newest checkpoint, and the charters if there are new ones,
// without the entries. It believes the checkpoint only if it continues the trusted
// one: a rollback or a fork is a *[ForkError] that names both.
func (t *Trust) Refresh(ctx context.Context, c *Client) error {
	next, err := t.fetch(ctx, c)
	if err != nil {
		return err
	}
	if err := t.continues(ctx, c, next); err != nil {
		return err
	}
	return t.believe(next)
}

// Sync brings the replayed copy to the ledger's newest checkpoint: every entry
// fetched, hashed, its signatures verified, folded; then the root compared, and those
// of the checkpoints that the ledger has kept meanwhile: the times of their quorums
// say what was knowable when. It is incremental and can be interrupted at any point.
// progress, if not nil, is told the size reached and the size to reach.
func (t *Trust) Sync(ctx context.Context, c *Client, progress func(reached, size uint64)) error {
	next, err := t.fetch(ctx, c)
	if err != nil {
		return err
	}
	if err := t.continues(ctx, c, next); err != nil {
		return err // before the copy takes in a single entry of another history
	}
	if err := t.Close(); err != nil {
		return err
	}
	r, err := t.openRegister()
	if err != nil {
		return err
	}
	if err := t.replay(ctx, c, r, next, progress); err != nil {
		return errors.Join(err, r.Close())
	}
	t.register = r
	return nil
}

// continues proves, by the server's own tiles, that a checkpoint continues the
// trusted one.
func (t *Trust) continues(ctx context.Context, c *Client, next *proof.Published) error {
	last := t.checkpoint
	if last == nil || next.Checkpoint().Size <= last.Checkpoint().Size {
		return nil // fetch has compared them
	}
	from, err := proof.NewBuilder(c.log.Tiles, -1).TreeAt(ctx, last.Checkpoint().Size, next.Checkpoint().Tree())
	if err != nil {
		return fmt.Errorf("proving that size %d continues size %d: %w", next.Checkpoint().Size, last.Checkpoint().Size, err)
	}
	if from != last.Checkpoint().Tree() {
		return t.fork(ctx, c, next)
	}
	return nil
}

// replay follows the log to the checkpoint and then believes it.
func (t *Trust) replay(ctx context.Context, c *Client, r *register.Register, next *proof.Published, progress func(reached, size uint64)) error {
	files, want := copyDir{t.files, t.dir}, next.Checkpoint().Tree()
	grown, err := files.resume(r)
	if err != nil {
		return err
	}
	if grown.size() > want.Size { // a run beyond what was ever believed, or a lie of an earlier server
		if err := files.forget(r); err != nil {
			return err
		}
		grown = newTree()
	}
	f := &follower{read: c.log.Bundle, tree: grown, register: r, keep: files.keep}
	if progress != nil {
		f.progress = func(reached uint64) { progress(reached, want.Size) }
	}
	if err := t.passes(ctx, f); err != nil {
		return err
	}
	got, err := f.to(ctx, want.Size)
	if err != nil {
		return err
	}
	if got.Root != want.Root {
		err := fmt.Errorf("%w: at size %d they make %s, it says %s", errHistory, want.Size, got.Root, want.Root)
		return errors.Join(err, files.forget(r))
	}
	if err := t.agreeOnCharters(ctx, c, r); err != nil {
		return err
	}
	if next, err = t.verify(next.Note()); err != nil { // by the policy of the charters that were just read
		return err
	}
	last := t.checkpoint
	if err := t.believe(next); err != nil {
		return err
	}
	// The entries are what counts: a ledger that cannot say when which size was cosigned
	// takes nobody's copy away. It is asked again by the next sync.
	times, err := t.newTimes(ctx, c, r, last)
	if fork := (*ForkError)(nil); errors.As(err, &fork) || ctx.Err() != nil {
		return err
	} else if err != nil {
		t.untimed = fmt.Errorf("what was knowable when could not be learnt: %w", err)
		return nil
	}
	t.untimed = nil
	return t.keepTimes(times)
}

// Untimed is why the last sync did not learn the quorum times of the sizes that it
// brought; nil if it did. Until another one does, what was knowable goes by the times
// known before.
func (t *Trust) Untimed() error { return t.untimed }

// passes takes a copy that is behind the trusted checkpoint over it: the entries
// must make its root on the way, or the log has two histories.
func (t *Trust) passes(ctx context.Context, f *follower) error {
	if t.checkpoint == nil || f.tree.size() > t.checkpoint.Checkpoint().Size {
		return nil
	}
	last := t.checkpoint.Checkpoint().Tree()
	got, err := f.to(ctx, last.Size)
	if err != nil {
		return err
	}
	if got != last {
		return &ForkError{Trusted: last, Shown: got, TrustedNote: t.checkpoint.Note()}
	}
	return nil
}

// fetch gets the newest checkpoint and believes its signatures, not yet its
// history. If the known policies do not satisfy it, a charter may have replaced
// them: then the chain is fetched anew.
func (t *Trust) fetch(ctx context.Context, c *Client) (*proof.Published, error) {
	note, err := c.log.Checkpoint(ctx)
	if err != nil {
		return nil, unpublished(err)
	}
	next, err := t.verify(note)
	if err != nil {
		if more := t.refreshCharters(ctx, c); more != nil {
			return nil, errors.Join(err, more)
		}
		if next, err = t.verify(note); err != nil {
			return nil, err
		}
	}
	if t.checkpoint == nil {
		return next, nil
	}
	if last, shown := t.checkpoint.Checkpoint().Tree(), next.Checkpoint().Tree(); shown.Size < last.Size || shown.Size == last.Size && shown.Root != last.Root {
		return nil, t.fork(ctx, c, next)
	}
	return next, nil
}

func (t *Trust) refreshCharters(ctx context.Context, c *Client) error {
	raw, err := c.Chain(ctx, t.pin.Charter)
	if err != nil {
		return fmt.Errorf("fetching the charters: %w", err)
	}
	known := t.charters
	if err := t.readCharters(raw); err != nil {
		return err
	}
	if len(t.charters) < len(known) {
		t.charters = known
		return errors.New("the ledger hides a charter that is known here")
	}
	return writeFile(t.files, t.path(chartersFile), raw, true)
}

// agreeOnCharters compares the chain with the charters that the replay met, and
// fetches it anew where it is shorter.
func (t *Trust) agreeOnCharters(ctx context.Context, c *Client, r *register.Register) error {
	met, err := r.Charters()
	if err != nil {
		return err
	}
	if len(met) > len(t.charters) {
		if err := t.refreshCharters(ctx, c); err != nil {
			return err
		}
	}
	if !slices.EqualFunc(met, t.charters, func(m register.RecordRow, k charter) bool { return m.Index == k.index && m.ID == k.id }) {
		return fmt.Errorf("%d charters are among the ledger's entries, and its chain of charters has %d others", len(met), len(t.charters))
	}
	return nil
}

// believe makes a checkpoint the trusted one.
func (t *Trust) believe(next *proof.Published) error {
	if err := writeFile(t.files, t.path(checkpointFile), next.Note(), true); err != nil {
		return err
	}
	t.checkpoint = next
	return nil
}

// Receipt makes a receipt from the copy alone, against the trusted checkpoint.
func (t *Trust) Receipt(ctx context.Context, id record.ID) (proof.Receipt, error) {
	r, err := t.Copy()
	if err != nil {
		return proof.Receipt{}, err
	}
	index, ok, err := r.Lookup(id)
	if err != nil {
		return proof.Receipt{}, err
	}
	if !ok {
		return proof.Receipt{}, fmt.Errorf("no record %s among all %d entries", id, r.Size())
	}
	entry, in, err := t.included(ctx, index)
	if err != nil {
		return proof.Receipt{}, err
	}
	return proof.Receipt{Entry: entry, Index: index, Path: in.Path, Checkpoint: t.checkpoint.Note()}, nil
}

// included reads an entry of the copy with its path to the trusted root, which
// checks both: the files may have been damaged since they were written.
func (t *Trust) included(ctx context.Context, index uint64) ([]byte, proof.Inclusion, error) {
	files, tree := copyDir{t.files, t.dir}, t.checkpoint.Checkpoint().Tree()
	in, err := proof.NewBuilder(files.tiles, -1).InclusionProof(ctx, index, tree)
	if err != nil {
		return nil, in, t.damaged(index, err)
	}
	for id := range proof.Bundles(index, tree.Size) {
		entries, err := files.bundle(ctx, id)
		if err != nil {
			return nil, in, t.damaged(index, err)
		}
		entry := entries[index%proof.TileWidth]
		if proof.LeafHash(entry) != in.Leaf {
			return nil, in, t.damaged(index, fmt.Errorf("%s holds another entry than was verified", id))
		}
		return entry, in, nil
	}
	return nil, in, fmt.Errorf("no entry %d among %d", index, tree.Size)
}

// damaged is what a copy is whose files do not make its root any more.
func (t *Trust) damaged(index uint64, err error) error {
	return fmt.Errorf("the copy in %s is damaged at index %d (delete its folders tile and %s, then sync): %w", t.dir, index, registerDir, err)
}

// Entry reads one entry of the copy, checked against the trusted root.
func (t *Trust) Entry(ctx context.Context, index uint64) ([]byte, error) {
	size := t.Covers()
	if index >= size {
		return nil, fmt.Errorf("index %d is not covered by the copy, which has %d entries", index, size)
	}
	entry, _, err := t.included(ctx, index)
	return entry, err
}
