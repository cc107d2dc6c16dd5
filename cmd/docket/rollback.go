package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
)

// rollback is what serve does about a store that is older than what is known of its
// log. With witnesses nothing but the newest backup helps. Without any, a rollback
// would go unnoticed: so it is refused too, unless the operator accepts the loss.
type rollback struct {
	app     *app
	allowed bool // --allow-rollback
	met     bool // the store was found to be older
}

// open opens a ledger's directory. If its register is ahead of its store, and that is
// allowed, the register is set aside until it is known that there are no witnesses.
func (r *rollback) open(c *cobra.Command, config node.Config) (*node.Node, error) {
	n, err := r.app.openNode(c, config)
	register, aside := filepath.Join(config.Dir, "register"), filepath.Join(config.Dir, "register.ahead")
	if _, none := os.Stat(aside); none == nil && !errors.Is(err, node.ErrInUse) {
		// An earlier start was cut off while the register that knows more was set aside.
		if n != nil {
			n.Close() // nothing was written
		}
		if err := errors.Join(os.RemoveAll(register), os.Rename(aside, register)); err != nil {
			return nil, err
		}
		n, err = r.app.openNode(c, config)
	}
	if !r.allowed || !errors.Is(err, ledger.ErrRollback) {
		return n, err
	}
	if os.Rename(register, aside) != nil {
		return nil, err // it is not the register that knows more
	}
	config.Log.Warn("the store is older than the register; going on with the store, since the operator allows it", "err", err)
	r.met = true
	n, err = r.app.openNode(c, config)
	if err == nil {
		if err = r.unwatched(n); err != nil {
			err = errors.Join(err, n.Close())
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(register), os.Rename(aside, register))
	}
	return n, os.RemoveAll(aside)
}

// unwatched refuses to roll back a log that has witnesses: they hold the history that the
// store lacks.
func (r *rollback) unwatched(n *node.Node) error {
	policy, err := n.Policy()
	if err != nil || policy == nil || policy.QuorumIsNone() {
		return err
	}
	return refusal("--allow-rollback is for a log without witnesses, and this one's would call what it signs next a second history").
		hint("bring back the newest backup of the store; nothing was signed, and the directory is as it was")
}

// check asks at the log's own URL, where there are no witnesses, before anything is signed.
func (r *rollback) check(ctx context.Context, n *node.Node, log *slog.Logger) error {
	policy, err := n.Policy()
	if err != nil {
		return err
	}
	if policy.QuorumIsNone() {
		err = n.Ahead(ctx, policy)
		if errors.Is(err, ledger.ErrRollback) && r.allowed {
			log.Warn("the store is older than what is served at the log's URL; going on, since the operator allows it", "err", err)
			r.met, err = true, nil
		}
	}
	if err == nil && r.allowed && !r.met {
		log.Warn("nothing is known to be ahead of this store; leave out --allow-rollback from the next start on")
	}
	if errors.Is(err, ledger.ErrRollback) {
		return refusal("%w", err).hint("whoever serves there has the newer store: let that one go on, or bring its store here; if it is lost for ever, --allow-rollback goes on without what it held, and whoever has seen that will call this a second history")
	}
	return err
}
