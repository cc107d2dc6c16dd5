package witness

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// ErrNoCheckpoint: the witness has cosigned no checkpoint of that log.
var ErrNoCheckpoint = errors.New("this witness has cosigned no checkpoint of that log")

// Latest is the newest checkpoint of a log that the witness cosigned, with the
// signatures of the log that it verified and the cosignatures that it gave last
// (tlog-witness "Monitor Retrieval Mechanism"). Errors: [ErrUnknownLog],
// [ErrNoCheckpoint].
func (w *Witness) Latest(ctx context.Context, origin string) ([]byte, error) {
	v := w.logState(origin)
	if v == nil {
		return nil, ErrUnknownLog
	}
	return w.latestCosigned(ctx, v)
}

// latestByHash is Latest by the hash of the origin.
func (w *Witness) latestByHash(ctx context.Context, hash string) ([]byte, error) {
	w.mu.RLock()
	v := w.logsByHash[hash]
	w.mu.RUnlock()
	if v == nil || v.servedConfig() == nil {
		return nil, ErrUnknownLog
	}
	return w.latestCosigned(ctx, v)
}

func (w *Witness) latestCosigned(ctx context.Context, v *logState) ([]byte, error) {
	if !v.cosignaturesCurrent() {
		if err := w.recosignNewest(ctx, v); err != nil {
			return nil, err
		}
	}
	g := v.lastCosignatures.Load()
	if g == nil {
		return nil, ErrNoCheckpoint
	}
	note, err := w.state.checkpointAt(v.origin, g.size)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint of %s at %d: %w", v.origin, g.size, err)
	}
	if note == nil {
		return nil, ErrNoCheckpoint // it was forgotten, after a crash took newer cosignatures
	}
	sigs, err := proof.ParseSignatures(g.lines)
	if err != nil {
		return nil, fmt.Errorf("reading the cosignatures of %s: %w", v.origin, err)
	}
	return proof.AddSignatures(note, sigs...)
}

// cosignaturesCurrent tells whether the cosignatures at hand are those of the newest checkpoint.
func (v *logState) cosignaturesCurrent() bool {
	g := v.lastCosignatures.Load()
	return g != nil && g.size == v.newestSize.Load()
}

// recosignNewest makes cosignatures of the newest checkpoint when a crash took them. A
// halted log shows what it has, which may be those before.
func (w *Witness) recosignNewest(ctx context.Context, v *logState) error {
	if err := v.lock(ctx); err != nil {
		return err
	}
	defer v.unlock()
	if !v.hasNewest || v.cosignaturesCurrent() || w.isHalted(v) || w.brokenErr() != nil {
		return nil
	}
	_, err := w.cosignNewest(v, proof.Checkpoint{Origin: v.origin, Size: v.newest.Size, Root: v.newest.Root})
	return err
}

func canceled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
