package storetest

import (
	"context"
	"errors"

	"github.com/seed-53cf897a/docket/ledger"
)

// Fault is what becomes of one write.
type Fault int

const (
	Pass Fault = iota // applied, and reported so
	Lose              // not applied, reported failed
	Lie               // applied, yet reported failed
	Hold              // reported failed; applied when [Faulty.Release] is called
)

// ErrInjected is what a write that was not passed reports.
var ErrInjected = errors.New("injected failure")

// Faulty is a store whose writes fail as Fault says. It is for one goroutine.
type Faulty struct {
	ledger.Store
	Fault func(write int) Fault // asked before each Extend, Publish and Keep, counted from 0

	writes int
	held   []func(context.Context, ledger.Store) error
}

// Writes is how many writes were asked for.
func (f *Faulty) Writes() int { return f.writes }

// Extend implements [ledger.Store].
func (f *Faulty) Extend(ctx context.Context, x ledger.Extension) error {
	return f.write(ctx, func(ctx context.Context, s ledger.Store) error { return s.Extend(ctx, x) })
}

// Publish implements [ledger.Store].
func (f *Faulty) Publish(ctx context.Context, old, next []byte) error {
	return f.write(ctx, func(ctx context.Context, s ledger.Store) error { return s.Publish(ctx, old, next) })
}

// Keep implements [ledger.Store].
func (f *Faulty) Keep(ctx context.Context, k ledger.Kept) error {
	return f.write(ctx, func(ctx context.Context, s ledger.Store) error { return s.Keep(ctx, k) })
}

func (f *Faulty) write(ctx context.Context, w func(context.Context, ledger.Store) error) error {
	n := f.writes
	f.writes++
	switch f.Fault(n) {
	case Lose:
		return ErrInjected
	case Lie:
		if err := w(ctx, f.Store); err != nil {
			return err
		}
		return ErrInjected
	case Hold:
		f.held = append(f.held, w)
		return ErrInjected
	}
	return w(ctx, f.Store)
}

// Release applies the writes that were held, in order, to a store: the same one,
// reopened. It returns the first error.
func (f *Faulty) Release(ctx context.Context, s ledger.Store) error {
	held := f.held
	f.held = nil
	for _, w := range held {
		if err := w(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
