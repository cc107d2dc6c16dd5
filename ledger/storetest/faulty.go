package storetest

import (
	"context"
	"errors"

	"github.com/seed-53cf897a/docket/ledger"
)

// Fault is what becomes of one write.
type Fault int

const (
	NoFault         Fault = iota // applied, and reported so
	WriteLost                    // not applied, reported failed
	WriteUnreported              // applied, yet reported failed
	WriteDelayed                 // reported failed; applied when [FaultyStore.ApplyDelayed] is called
)

// ErrInjected is what a write that was not passed reports.
var ErrInjected = errors.New("injected failure")

// FaultyStore is a store whose writes fail as Fault says. It is for one goroutine.
type FaultyStore struct {
	ledger.Store
	FaultOf func(write int) Fault // asked before each Extend, Publish and Archive, counted from 0

	writes  int
	delayed []func(context.Context, ledger.Store) error
}

// Writes is how many writes were asked for.
func (f *FaultyStore) Writes() int { return f.writes }

// Extend implements [ledger.Store].
func (f *FaultyStore) Extend(ctx context.Context, x ledger.Extension) error {
	return f.write(ctx, func(ctx context.Context, s ledger.Store) error { return s.Extend(ctx, x) })
}

// Publish implements [ledger.Store].
func (f *FaultyStore) Publish(ctx context.Context, old, next []byte) error {
	return f.write(ctx, func(ctx context.Context, s ledger.Store) error { return s.Publish(ctx, old, next) })
}

// Archive implements [ledger.Store].
func (f *FaultyStore) Archive(ctx context.Context, number uint64, blob []byte) error {
	return f.write(ctx, func(ctx context.Context, s ledger.Store) error { return s.Archive(ctx, number, blob) })
}

func (f *FaultyStore) write(ctx context.Context, w func(context.Context, ledger.Store) error) error {
	n := f.writes
	f.writes++
	switch f.FaultOf(n) {
	case WriteLost:
		return ErrInjected
	case WriteUnreported:
		if err := w(ctx, f.Store); err != nil {
			return err
		}
		return ErrInjected
	case WriteDelayed:
		f.delayed = append(f.delayed, w)
		return ErrInjected
	}
	return w(ctx, f.Store)
}

// ApplyDelayed applies the writes that were held, in order, to a store: the same one,
// reopened. It returns the first error.
func (f *FaultyStore) ApplyDelayed(ctx context.Context, s ledger.Store) error {
	held := f.delayed
	f.delayed = nil
	for _, w := range held {
		if err := w(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
