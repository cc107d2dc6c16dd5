package node

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// Auditors that give a URL are asked there for what they cosigned last, as a witness shows
// it (tlog-witness, "Monitor Retrieval Mechanism"). They work at their own pace: none is
// waited for by what is published.
const (
	auditorInterval = 10 * time.Minute
	auditorTimeout  = 30 * time.Second
)

// askAuditors asks them from time to time, until ctx ends.
func (n *Node) askAuditors(ctx context.Context) {
	failing := make(map[string]bool) // by URL: what goes on is said once
	for {
		named, err := n.namedAuditors()
		if err != nil {
			n.config.Log.Error("reading whom the ledger names as auditors", "err", err)
		}
		var mu sync.Mutex // guards failing
		var asking sync.WaitGroup
		for _, a := range named {
			if a.URL == "" {
				continue
			}
			asking.Go(func() {
				taken, err := n.askAuditor(ctx, a)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case ctx.Err() != nil:
				case err != nil && !failing[a.URL]:
					n.config.Log.Warn("an auditor gives no cosignature", "auditor", a.Key.Label(), "url", a.URL, "err", err)
				case taken:
					n.config.Log.Info("an auditor has cosigned", "auditor", a.Key.Label())
				}
				failing[a.URL] = err != nil
			})
		}
		asking.Wait()
		select {
		case <-ctx.Done():
			return
		case <-time.After(auditorInterval):
		}
	}
}

func (n *Node) askAuditor(ctx context.Context, a auditors.Named) (taken bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, auditorTimeout)
	defer cancel()
	at, err := wire.NewWitness(a.URL, n.config.Transport)
	if err != nil {
		return false, err
	}
	note, err := at.Checkpoint(ctx, n.config.Keys.Origin)
	if err != nil {
		return false, err
	}
	_, taken, err = n.Auditors.Take(ctx, note)
	return taken, err
}

// namedAuditors are those whose cosignatures the ledger takes: whom its operator names, and
// whom assessments name that are published.
func (n *Node) namedAuditors() ([]auditors.Named, error) {
	v, err := view.At(n.Register, n.Ledger.PublishedSize())
	if err != nil {
		return nil, err
	}
	n.assessed.mu.Lock()
	defer n.assessed.mu.Unlock()
	if err := n.assessed.list.Extend(v, func(index uint64) ([]byte, error) { return n.Ledger.Entry(context.Background(), index) }); err != nil {
		return nil, err
	}
	all := slices.Clone(n.config.Auditors)
	for _, k := range n.assessed.list.Keys {
		key, err := proof.ParseAuditorKey(k.VKey)
		if err != nil || slices.ContainsFunc(all, func(a auditors.Named) bool { return a.Key.SamePublicKey(key) || a.Key.Label() == key.Label() }) {
			continue // it is none of a cosigner, or is named already
		}
		all = append(all, auditors.Named{Key: key, Statement: k.Statement, By: k.ID.String()})
	}
	return all, nil
}

// CheckAuditors refuses an auditor whom the operator names by a key, or under a name, that is
// somebody else's on this ledger. [auditors.ErrOtherRole].
func (n *Node) CheckAuditors() error { return n.checkAuditors(n.Ledger.Head().Size) }

func (n *Node) checkAuditors(size uint64) error {
	policy, err := n.policyFor(size)
	if err != nil || policy == nil {
		return err
	}
	for _, a := range n.config.Auditors {
		if role := policy.InRole(a.Key); role != "" {
			return fmt.Errorf("%w: %s is of the %s in the policy", auditors.ErrOtherRole, a.Key.Label(), role)
		}
		owner, err := n.Register.OwnerOfNoteKey(a.Key)
		if err != nil {
			return err
		}
		if owner != "" {
			return fmt.Errorf("%w: %s is that of %s", auditors.ErrOtherRole, a.Key.Label(), owner)
		}
	}
	return nil
}

// assessed are the keys that assessments name, as far as they were read.
type assessed struct {
	mu   sync.Mutex // guards list
	list view.AuditorKeyList
}
