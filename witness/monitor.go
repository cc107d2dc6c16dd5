package witness

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// ErrNothingYet: the witness has cosigned no checkpoint of that log.
var ErrNothingYet = errors.New("this witness has cosigned no checkpoint of that log")

// Latest is the newest checkpoint of a log that the witness cosigned, with the
// signatures of the log that it verified and the cosignatures that it gave last
// (tlog-witness "Monitor Retrieval Mechanism"). Errors: [ErrUnknownLog],
// [ErrNothingYet].
func (w *Witness) Latest(ctx context.Context, origin string) ([]byte, error) {
	v := w.ward(origin)
	if v == nil {
		return nil, ErrUnknownLog
	}
	return w.shown(ctx, v)
}

// monitor is Latest by the hash of the origin.
func (w *Witness) monitor(ctx context.Context, hash string) ([]byte, error) {
	w.mu.RLock()
	v := w.hashed[hash]
	w.mu.RUnlock()
	if v == nil || v.served() == nil {
		return nil, ErrUnknownLog
	}
	return w.shown(ctx, v)
}

func (w *Witness) shown(ctx context.Context, v *ward) ([]byte, error) {
	if !v.shows() {
		if err := w.signAgain(ctx, v); err != nil {
			return nil, err
		}
	}
	g := v.given.Load()
	if g == nil {
		return nil, ErrNothingYet
	}
	note, err := w.state.at(v.origin, g.size)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint of %s at %d: %w", v.origin, g.size, err)
	}
	if note == nil {
		return nil, ErrNothingYet // it was forgotten, after a crash took newer cosignatures
	}
	sigs, err := proof.ParseSignatures(g.lines)
	if err != nil {
		return nil, fmt.Errorf("reading the cosignatures of %s: %w", v.origin, err)
	}
	return proof.AddSignatures(note, sigs...)
}

// shows tells whether the cosignatures at hand are those of the newest checkpoint.
func (v *ward) shows() bool {
	g := v.given.Load()
	return g != nil && g.size == v.size.Load()
}

// signAgain makes cosignatures of the newest checkpoint when a crash took them. A
// halted log shows what it has, which may be those before.
func (w *Witness) signAgain(ctx context.Context, v *ward) error {
	if err := v.take(ctx); err != nil {
		return err
	}
	defer v.give()
	if !v.known || v.shows() || w.isHalted(v) || w.doubted() != nil {
		return nil
	}
	_, err := w.sign(v, proof.Checkpoint{Origin: v.origin, Size: v.newest.Size, Root: v.newest.Root})
	return err
}

func canceled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
