package backup

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// The checkpoints of earlier times tell what was knowable when, and prove each charter under
// its own witnesses. Those of the backup come back as they were filed; those since then as
// far as others keep them. One that is lost takes nothing from the log.

// maxKept is how many checkpoints a server is asked for.
const maxKept = 1 << 14

// restoreArchive files the checkpoints of earlier times, and returns how many.
func (r *restoring) restoreArchive(ctx context.Context, published *proof.Published) (count uint64, err error) {
	if published == nil {
		return 0, nil
	}
	tiles := proof.NewTileReader(r.store.Tiles, 512).At(r.head)
	isOurs := func(note []byte) (proof.Checkpoint, bool) {
		cp, _, err := proof.ParseCheckpoint(note)
		if err != nil || cp.Origin != r.origin || cp.Size > published.Checkpoint().Size {
			return cp, false
		}
		made, err := tiles.TreeAt(ctx, cp.Size)
		return cp, err == nil && made == cp.Tree()
	}
	var last struct {
		timestamp, size uint64
		note            []byte
	}
	file := func(timestamp, size uint64, note []byte) error {
		if err := r.store.Archive(ctx, count, ledger.ArchiveBlob(timestamp, note)); err != nil {
			return err
		}
		count++
		last.timestamp, last.size, last.note = timestamp, size, note
		return nil
	}
	blobs, damage := r.sources[0].kept()
	dropped := 0
	for _, blob := range blobs {
		line, note, _ := bytes.Cut(blob, []byte("\n"))
		timestamp, err := strconv.ParseUint(string(line), 10, 64)
		cp, ours := isOurs(note)
		if err != nil || !ours || timestamp < last.timestamp || cp.Size < last.size {
			dropped++
			continue
		}
		if err := file(timestamp, cp.Size, note); err != nil {
			return count, err
		}
	}
	if damage != nil || dropped > 0 {
		r.warn("of the checkpoints of earlier times that the backup keeps some are damaged, and left out: what was knowable then is known less well (%d of %d came back)", count, r.manifest.Archived)
	}
	later, err := r.laterCheckpoints(ctx, last.timestamp, published)
	if err != nil {
		return count, err
	}
	for _, p := range later {
		cp, ours := isOurs(p.Note())
		if !ours || cp.Size < last.size || cp.Size == last.size && last.note != nil {
			continue
		}
		if err := file(max(last.timestamp, uint64(max(0, p.ExistedBy().Unix()))), cp.Size, p.Note()); err != nil {
			return count, err
		}
	}
	return count, nil
}

// laterCheckpoints are the published checkpoints that others keep of the time since the
// backup, smallest first, of which all satisfy the policies of their sizes.
func (r *restoring) laterCheckpoints(ctx context.Context, since uint64, newest *proof.Published) (all []*proof.Published, err error) {
	verify := func(note []byte) *proof.Published {
		cp, _, err := proof.ParseCheckpoint(note)
		if err != nil || cp.Size == 0 || cp.Size >= newest.Checkpoint().Size {
			return nil
		}
		policy, err := r.policy(cp.Size)
		if err != nil {
			return nil
		}
		p, err := policy.Verify(note, time.Now())
		if err != nil {
			return nil
		}
		return p
	}
	add := func(note []byte) {
		if p := verify(note); p != nil {
			all = append(all, p)
		}
	}
	for _, t := range r.signed {
		for _, note := range t.notes {
			add(note)
		}
	}
	for _, note := range r.chained {
		add(note)
	}
	for _, s := range r.sources[1:] {
		if s.kept != nil {
			blobs, _ := s.kept()
			for _, blob := range blobs {
				_, note, _ := bytes.Cut(blob, []byte("\n"))
				add(note)
			}
		}
		at := time.Now()
		for n := 0; s.keptAt != nil && n < maxKept; n++ {
			note, err := s.keptAt(ctx, at)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				break // it keeps none so old, or does not say
			}
			cp, _, err := proof.ParseCheckpoint(note)
			if err != nil {
				break
			}
			policy, err := r.policy(min(cp.Size, r.head.Size))
			if err != nil || policy == nil {
				break
			}
			p, err := policy.Verify(note, time.Now())
			if err != nil || p.ExistedBy().IsZero() || !p.ExistedBy().Before(at) && n > 0 || uint64(max(0, p.ExistedBy().Unix())) <= since {
				break
			}
			add(note)
			at = p.ExistedBy().Add(-time.Second)
		}
	}
	slices.SortFunc(all, func(a, b *proof.Published) int {
		return cmp.Or(cmp.Compare(a.Checkpoint().Size, b.Checkpoint().Size), a.ExistedBy().Compare(b.ExistedBy()))
	})
	return all, nil
}
