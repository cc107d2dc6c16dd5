package node

import (
	"context"
	"errors"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Follower is a ledger's directory whose process stands by while another one writes to the
// ledger's shared store: it brings its register up, and becomes a [Node] once it is to write.
// Its methods are called one at a time.
type Follower struct {
	n      *Node
	lc     ledger.Config
	reads  time.Duration
	follow *ledger.Follower[record.Verified]
}

// Follow opens a directory for who stands by. c.Store is read, and not taken; one call that
// reads it may take so long. The caller closes it. Errors as of [Open].
func Follow(ctx context.Context, c Config, reads time.Duration) (*Follower, error) {
	n, lc, err := begin(ctx, c)
	if err != nil {
		return nil, err
	}
	f := &Follower{n: n, lc: lc, reads: reads}
	if err := f.begin(false); err != nil {
		return nil, errors.Join(err, n.release())
	}
	return f, nil
}

// begin opens the register, or another one in its place.
func (f *Follower) begin(anew bool) (err error) {
	if f.n.Register == nil || anew {
		reg, err := f.n.openRegister(anew)
		if err != nil {
			return err
		}
		if f.n.Register != nil {
			f.n.Register.Close() // it is damaged, and derived
		}
		f.n.Register = reg
	}
	lc := f.lc
	lc.StoreTimeout = f.reads
	f.follow, err = ledger.Follow(f.n.config.Store, public.Fold(f.n.Register), lc)
	return err
}

// CatchUp implements standby.Candidate. A register that is found to be damaged is made anew.
func (f *Follower) CatchUp(ctx context.Context) error {
	err := f.follow.CatchUp(ctx)
	if !errors.Is(err, ledger.ErrFold) {
		return err
	}
	f.n.config.Log.Warn("the register is damaged, and is made anew from the entries", "origin", f.n.config.Keys.Origin, "err", err)
	if err := f.begin(true); err != nil {
		return err
	}
	return f.follow.CatchUp(ctx)
}

// Show implements standby.Candidate.
func (f *Follower) Show(ctx context.Context) error { return f.follow.Show(ctx) }

// Published is what the register was brought to last; nil before the first.
func (f *Follower) Published() *proof.Published { return f.follow.Published() }

// Open opens the ledger with the register as it is. take takes the store. The node is the
// caller's to close then, and the Follower is over. After an error it goes on following.
func (f *Follower) Open(ctx context.Context, take func(context.Context) error) (*Node, error) {
	lc := f.lc
	lc.Take = take
	err := f.n.openLedger(ctx, lc)
	if err == nil {
		return f.n, nil
	}
	return nil, errors.Join(err, f.begin(false))
}

// Close releases the directory, unless a node has it.
func (f *Follower) Close() error {
	if f.n.Ledger != nil {
		return nil
	}
	return f.n.Close()
}
