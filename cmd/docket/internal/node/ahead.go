package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// Policy is that of the newest charter; nil without one.
func (n *Node) Policy() (*proof.Policy, error) { return n.policyFor(n.Ledger.Head().Size) }

// policyFor is that of the newest charter below a size, up to which the register was brought.
func (n *Node) policyFor(size uint64) (*proof.Policy, error) {
	if size == 0 {
		return nil, nil
	}
	era, err := n.Register.PolicyEpochAt(size)
	if err != nil {
		return nil, err
	}
	policy, err := proof.ParsePolicy([]byte(era.Policy))
	if err != nil {
		return nil, fmt.Errorf("the policy of the charter at %d: %w", era.Since, err)
	}
	return policy, nil
}

// urlWait is how long a log's own URL is waited for.
const urlWait = 5 * time.Second

// Ahead asks, before anything is signed, at the URLs that a policy without witnesses gives
// for the log whether more of it is served there: an older copy of a store is not to go
// on beside that, and no witness would notice. [ledger.ErrRollback] if a checkpoint of the
// log's own signature is of a larger tree, or of another one of the same size. Who does
// not answer says nothing, which is logged.
func (n *Node) Ahead(ctx context.Context, policy *proof.Policy) error {
	head := n.Ledger.Head()
	for _, log := range policy.Logs() {
		if log.Key.Name() != n.config.Keys.Origin || log.URL == "" {
			continue
		}
		shown, err := n.shownAt(ctx, log.URL, policy)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			n.config.Log.Info("there are no witnesses, and nobody at the log's URL says whether more of it is served there", "origin", log.Key.Name(), "url", log.URL, "err", err)
		case shown.Size > head.Size:
			return fmt.Errorf("%w: it holds %d entries, and at %s %d are served, signed by this log", ledger.ErrRollback, head.Size, log.URL, shown.Size)
		case shown.Size == head.Size && shown.Root != head.Root:
			return fmt.Errorf("%w: its %d entries have the root %s, and at %s as many are served that have %s, signed by this log", ledger.ErrRollback, head.Size, head.Root, log.URL, shown.Root)
		}
	}
	return nil
}

// shownAt is the tree that is served at a URL, if the log has signed it.
func (n *Node) shownAt(ctx context.Context, url string, policy *proof.Policy) (proof.Checkpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, urlWait)
	defer cancel()
	log, err := wire.NewLog(url, n.config.Cosignatures.Transport)
	if err != nil {
		return proof.Checkpoint{}, err
	}
	note, err := log.Checkpoint(ctx)
	if err != nil {
		return proof.Checkpoint{}, err
	}
	shown, err := policy.Verify(note, time.Now())
	if err != nil {
		return proof.Checkpoint{}, errors.Join(errors.New("what is served there is not signed by this log"), err)
	}
	return shown.Checkpoint(), nil
}
