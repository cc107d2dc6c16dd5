package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// complete brings what is made up to the largest tree that is known to be signed, asks the
// witnesses of the charter that is then the newest, and does so again until neither brings
// anything new. Last come the entries that were committed and not published.
func (r *restoring) complete(ctx context.Context) (quorum string, err error) {
	asked := make(map[string]bool)
	quorum = "none"
	for tailDone := false; ; {
		r.sift()
		if err := r.checkSigned(ctx); err != nil {
			return "", err
		}
		if t := r.largest(); t.Size > r.head.Size {
			if err := r.extend(ctx, t); err != nil {
				return "", err
			}
			continue
		}
		if policy, err := r.policy(r.head.Size); err != nil {
			return "", err
		} else if policy != nil && !asked[policy.Text()] {
			asked[policy.Text()] = true
			if quorum, err = r.hear(ctx, policy); err != nil {
				return "", err
			}
			continue
		}
		if tail := r.longestTail(); tail.Size > r.head.Size && !tailDone {
			tailDone = true
			if err := r.extend(ctx, tail); errors.As(err, new(*MissingError)) {
				r.warn("the entries from %d on, which were committed and not published when the backup was made, cannot be read, and are left out", r.head.Size)
			} else if err != nil {
				return "", err
			}
			continue
		}
		r.sayUnproven()
		return quorum, nil
	}
}

// longestTail is the largest tree that was committed somewhere.
func (r *restoring) longestTail() (longest proof.Tree) {
	for _, s := range r.tails {
		if s.tail.Size > longest.Size {
			longest = s.tail
		}
	}
	return longest
}

// errTail: the entries of the backup that were not published are not those that were later.
var errTail = errors.New("the backup's unpublished entries are of another history")

// restoreBatch is how many entries are stored and judged at once.
const restoreBatch = 1024

// extend brings what is made up to a tree.
func (r *restoring) extend(ctx context.Context, to proof.Tree) error {
	if r.Room != nil {
		if err := r.Room(to.Size - r.head.Size); err != nil {
			return err
		}
	}
	trees := r.trees()
	for _, s := range r.sources {
		if err := s.settle(ctx, trees); err != nil {
			return err
		}
	}
	cuts := []uint64{to.Size}
	for _, t := range trees {
		cuts = append(cuts, t.Size)
	}
	slices.Sort(cuts)
	var missing []Range
	for at := r.tree.Size(); at < to.Size; {
		end := min((at/proof.TileWidth+1)*proof.TileWidth, to.Size)
		i, _ := slices.BinarySearch(cuts, at+1)
		end = min(end, cuts[i])
		entries, err := r.find(ctx, at, end)
		if w := (*wire.WithheldError)(nil); errors.As(err, &w) && end-at > 1 && w.Index >= at && w.Index < end {
			end = max(w.Index, at+1) // the others of them may be there
			entries, err = r.find(ctx, at, end)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			if n := len(missing); n > 0 && missing[n-1].End == at {
				missing[n-1].End = end
			} else {
				missing = append(missing, Range{at, end})
			}
		case len(missing) == 0:
			if err := r.append(ctx, entries); err != nil {
				return err
			}
		}
		at = end
		if r.Progress != nil {
			r.Progress(at, to.Size)
		}
	}
	r.sayFailed()
	if missing != nil {
		if err := r.flush(ctx); err != nil {
			return err
		}
		e := &MissingError{Ranges: missing, Signed: to}
		if s := r.signed[to]; s != nil {
			e.ShownBy = s.by
		}
		for _, s := range r.sources {
			if unreachable(s.silent) {
				e.Silent = append(e.Silent, s.name)
			}
		}
		return e
	}
	return r.flush(ctx)
}

// find asks one source after the other; what was not published is the last to be believed.
func (r *restoring) find(ctx context.Context, start, end uint64) (entries [][]byte, err error) {
	var withheld error // says which of them are there
	for _, s := range r.sources {
		if entries, err = s.entries(ctx, start, end); err == nil || ctx.Err() != nil {
			return entries, err
		}
		if w := (*wire.WithheldError)(nil); errors.As(err, &w) {
			withheld = err
		}
	}
	for _, s := range r.tails {
		if entries, err = s.entries(ctx, start, end); err == nil || ctx.Err() != nil {
			r.tailUsed = true
			return entries, err
		}
	}
	if withheld != nil {
		return nil, withheld
	}
	return nil, err
}

// sayFailed tells once of each source that what it hands out is not what the log signed.
func (r *restoring) sayFailed() {
	for _, s := range r.sources {
		if s.failed != nil {
			r.warn("%s does not hand out all that it should: %v", s.name, s.failed)
			s.failed = nil
		}
	}
}

// append adds entries.
func (r *restoring) append(ctx context.Context, entries [][]byte) error {
	for _, e := range entries {
		if err := r.tree.Append(proof.LeafHash(e)); err != nil {
			return err
		}
	}
	if r.pending = append(r.pending, entries...); len(r.pending) < restoreBatch {
		return nil
	}
	return r.flush(ctx)
}

// flush stores and judges what was added.
func (r *restoring) flush(ctx context.Context) error {
	if len(r.pending) == 0 {
		return nil
	}
	next, err := r.tree.Tree()
	if err != nil {
		return err
	}
	if err := r.fold.Replay(ctx, r.pending, next); err != nil {
		return fmt.Errorf("judging the entries [%d, %d): %w", r.head.Size, next.Size, err)
	}
	if err := r.store.Extend(ctx, ledger.Extension{Old: r.head, New: next, Entries: r.pending, Tiles: r.tree.TakeTiles()}); err != nil {
		return err
	}
	r.head, r.pending = next, nil
	for at := next.Size; at > 0; { // charters among them name keys of the log
		p, since, err := r.fold.Policy(at)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(r.policies, func(known *proof.Policy) bool { return known.Text() == p.Text() }) {
			r.policies = append(r.policies, p)
		}
		at = since
	}
	return nil
}
