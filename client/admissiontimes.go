package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// MaxDelay is how long before the time of a cosigned checkpoint an entry may have
// been admitted that the checkpoint does not hold yet. It is generous: a ledger
// without a quorum goes on admitting for a while.
const MaxDelay = time.Hour

// admittedInTime refuses an admission time, the ledger's own word, that is after the time
// by which a quorum says that the entry existed: as far as clocks may differ, no entry is
// admitted after witnesses have seen it. Under quorum none no time is proven.
func admittedInTime(admitted time.Time, p *proof.Published) error {
	by := p.ExistedBy()
	if by.IsZero() || !admitted.After(by.Add(proof.MaxClockSkew)) {
		return nil
	}
	return fmt.Errorf("the ledger says that it was admitted at %s, and a quorum had cosigned size %d, which holds it, at %s already: the ledger's clock was wrong, or it tells an untrue time",
		admitted.UTC().Format(time.RFC3339), p.Checkpoint().Size, by.UTC().Format(time.RFC3339))
}

// checkAdmissionTimes holds the admission times, which are the ledger's own word, against the
// quorum times of the checkpoints that were published meanwhile: an entry cannot
// have been admitted long before a checkpoint that does not hold it, nor after one
// that does.
func (a Audit) checkAdmissionTimes(ctx context.Context, r *AuditReport, reg *register.Register) error {
	if r.Published == nil || r.Checked == 0 || r.Published.Checkpoint().Tree() != r.Tree {
		return nil // that is a finding already
	}
	var known []quorumTime
	for _, p := range []*proof.Published{r.Published, a.Trusted} {
		if p != nil && !p.ExistedBy().IsZero() && r.Fork == nil {
			known = append(known, quorumTimeOf(p))
		}
	}
	k, asked := a.Source.(checkpointArchive)
	if asked && len(known) > 0 {
		kept, err := a.fetchArchived(ctx, k, r, reg)
		if err != nil {
			return err
		}
		r.Archived = len(kept)
		known = append(known, kept...)
	}
	switch {
	case r.Archived > 0 || len(known) == 0:
	case asked:
		r.Notes = append(r.Notes, "the ledger was asked for the checkpoints that it published before, and showed none that holds: admission times were held against the newest alone")
	default:
		r.Notes = append(r.Notes, "older checkpoints are not kept here: admission times were held against the newest alone; docket audit URL asks the ledger for them")
	}
	slices.SortFunc(known, func(a, b quorumTime) int { return a.existedBy.Compare(b.existedBy) })
	return compareAdmissionTimes(r, reg, known)
}

// compareAdmissionTimes finds each entry once, with the first checkpoint that shows it.
func compareAdmissionTimes(r *AuditReport, reg *register.Register, known []quorumTime) error {
	size := min(r.Checked, reg.Size())
	var included, late uint64 // entries below were compared
	for _, k := range known {
		// Admission times never go back: those at fault stand together.
		first, last, err := faultySpan(reg, included, min(k.size, size), func(admitted time.Time) bool { return admitted.After(k.existedBy.Add(proof.MaxClockSkew)) }, true)
		if err != nil {
			return err
		}
		if first < last {
			if err := r.addWrongTime(reg, first, last, "is after a quorum cosigned the checkpoint of size %d, which holds it, at %s", k.size, k.existedBy); err != nil {
				return err
			}
		}
		included = max(included, min(k.size, size))

		// One witness of the quorum may have stood there for long when it stamped, and the
		// log gone on with the others: what counts is the stamp that a whole quorum reaches.
		first, last, err = faultySpan(reg, max(k.size, late), size, func(admitted time.Time) bool { return admitted.Before(k.newestSince.Add(-MaxDelay)) }, false)
		if err != nil {
			return err
		}
		if first < last {
			if err := r.addWrongTime(reg, first, last, "is more than 1 h before a quorum cosigned the checkpoint of size %d, which does not hold it, at %s: the ledger's clock was wrong, or it kept the entry back", k.size, k.newestSince); err != nil {
				return err
			}
			late = last
		}
	}
	return nil
}

// faultySpan is the run of entries in [from, to) whose admission time is at fault: it ends
// at to (fromEnd), or begins at from.
func faultySpan(reg *register.Register, from, to uint64, fault func(admitted time.Time) bool, fromEnd bool) (first, last uint64, err error) {
	if from >= to {
		return from, from, nil
	}
	at := func(index uint64) (bool, error) {
		row, err := reg.Record(index)
		if err != nil {
			return false, err
		}
		return fault(row.Admitted), nil
	}
	if fromEnd {
		for first, last = to, to; first > from; first-- {
			if bad, err := at(first - 1); err != nil || !bad {
				return first, last, err
			}
		}
		return first, last, nil
	}
	for first, last = from, from; last < to; last++ {
		if bad, err := at(last); err != nil || !bad {
			return first, last, err
		}
	}
	return first, last, nil
}

func (r *AuditReport) addWrongTime(reg *register.Register, first, last uint64, why string, size uint64, at time.Time) error {
	row, err := reg.Record(first)
	if err != nil {
		return err
	}
	others := ""
	if last-first > 1 {
		others = fmt.Sprintf(" (and so on to entry %d)", last-1)
	}
	r.addFinding("entry %d%s: its admission time %s "+why, first, others, row.Admitted.UTC().Format(time.RFC3339), size, at.UTC().Format(time.RFC3339))
	return nil
}

// fetchArchived fetches the kept checkpoints; what does not add up among them is a
// finding.
func (a Audit) fetchArchived(ctx context.Context, source checkpointArchive, r *AuditReport, reg *register.Register) ([]quorumTime, error) {
	begin, err := reg.Record(0)
	if err != nil {
		return nil, err
	}
	policies, err := chartersOfRegister(reg)
	if err != nil {
		return nil, err
	}
	// Cosignatures are stamped by the second: one of the very first is stamped earlier
	// than the entry that it holds was admitted.
	log := archiveReader{source: source, policies: policies, tiles: a.Source.Tiles, newest: r.Published, limit: 1 << 14}
	kept, faults, err := log.fetchBetween(ctx, quorumTime{existedBy: begin.Admitted.Truncate(time.Second)}, r.Published.ExistedBy())
	if err != nil {
		return nil, err
	}
	for _, fault := range faults {
		if errors.As(fault, &r.Fork) {
			r.addFinding("%v", fault)
			continue
		}
		r.addSourceFinding("%v", fault)
	}
	return kept, nil
}

// chartersOfRegister are the policies of the charters that a replay met.
func chartersOfRegister(reg *register.Register) (charters, error) {
	rows, err := reg.Charters()
	if err != nil {
		return nil, err
	}
	var all charters
	for _, row := range rows {
		era, err := reg.PolicyEpochAt(row.Index + 1)
		if err != nil {
			return nil, err
		}
		policy, err := proof.ParsePolicy([]byte(era.Policy))
		if err != nil {
			return nil, err
		}
		all = append(all, charter{index: row.Index, id: row.ID, policy: policy})
	}
	return all, nil
}
