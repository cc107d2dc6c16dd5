package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// maxArchivedPerWalk is how many kept checkpoints one walk of a sync takes one by one; the
// first sync of a busy ledger, old by years, then asks some thousand times.
const maxArchivedPerWalk = 512

// archiveTimeout is how long a sync goes through the kept checkpoints, however slowly their
// source answers; the copy is there before.
const archiveTimeout = 5 * time.Minute

// ViewAt is the view of the copy at a size. How much was knowable at an instant it takes
// from the quorum times that sync has kept.
func (t *Trust) ViewAt(size uint64) (*register.View, error) {
	r, err := t.Register()
	if err != nil {
		return nil, err
	}
	v, err := r.ViewAt(size)
	if err != nil {
		return nil, err
	}
	return v.WithCheckpointTimes(t.cosignedBy), nil
}

// cosignedBy says how much a quorum had cosigned by an instant, of the checkpoints that
// sync came to trust and of those that the ledger kept.
func (t *Trust) cosignedBy(at time.Time) (register.Knowable, error) {
	times, err := t.readTimes()
	if err != nil {
		return register.Knowable{}, err
	}
	k := times.merged(timesIfAny(t.checkpoint)...).newestBy(at) // the trusted one is of a sync that may have kept none
	return register.Knowable{Size: k.size, Cosigned: k.existedBy}, nil
}

// ExistedBy is the earliest time by which, as this trust directory knows, a quorum had
// cosigned a tree that holds the entry at an index; zero if it knows of none. It speaks of
// the one history that is trusted.
func (t *Trust) ExistedBy(index uint64) (time.Time, error) {
	times, err := t.readTimes()
	if err != nil {
		return time.Time{}, err
	}
	for _, k := range times.merged(timesIfAny(t.checkpoint)...) {
		if k.size > index {
			return k.existedBy, nil
		}
	}
	return time.Time{}, nil
}

// fetchQuorumTimes are the quorum times known and those that lead up to the trusted checkpoint:
// of the one that was trusted before, of that one, and of the checkpoints that the
// ledger has kept in between. Nil says that there are none: a copy that has come as far
// before has them all, however often the checkpoint was cosigned since, and asks
// nothing.
func (t *Trust) fetchQuorumTimes(ctx context.Context, c *Client, r *register.Register, before *proof.Published) (quorumTimes, error) {
	next := t.checkpoint
	known, err := t.readTimes()
	if damage := (*DamageError)(nil); errors.As(err, &damage) {
		known = nil // they are learnt anew
	} else if err != nil {
		return nil, err
	}
	last := known.last()
	if last.size >= next.Checkpoint().Size || !slices.ContainsFunc(t.charters, func(c charter) bool { return !c.policy.QuorumIsNone() }) {
		return nil, nil
	}
	if last.size == 0 {
		begin, err := r.Record(0)
		if err != nil {
			return nil, err
		}
		last.existedBy = begin.Admitted
	}
	until := next.ExistedBy().Add(-time.Second)
	if next.ExistedBy().IsZero() { // without witnesses now, and perhaps not always
		until = t.now()
	}
	log := archiveReader{source: serverSource{c.log, c}, policies: t.charters, newest: next, tiles: copyDir{files: t.files, dir: t.dir}.tiles, limit: maxArchivedPerWalk}
	ctx, stop := context.WithTimeout(ctx, archiveTimeout)
	defer stop()
	kept, faults, err := log.fetchBetween(ctx, last, until)
	if err := errors.Join(append(faults, err)...); err != nil {
		return nil, err
	}
	return known.merged(slices.Concat(kept, timesIfAny(before), timesIfAny(next))...), nil
}

// writeTimes replaces the quorum times known.
func (t *Trust) writeTimes(times quorumTimes) error {
	if times == nil {
		return nil
	}
	return writeFile(t.files, t.path(timesFile), times.format(), true)
}

func (t *Trust) readTimes() (quorumTimes, error) {
	text, err := readFile(t.files, t.path(timesFile))
	if missing(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	times, err := parseQuorumTimes(text)
	if err != nil {
		return nil, &DamageError{Dir: t.dir, Where: " in " + timesFile, Err: err}
	}
	return times, nil
}

func timesIfAny(p *proof.Published) []checkpointTimes {
	if p == nil {
		return nil
	}
	return []checkpointTimes{timesOf(p)}
}
