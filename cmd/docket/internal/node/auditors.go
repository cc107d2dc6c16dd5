package node

import (
	"context"
	"sync"
	"time"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/auditors"
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

// namedAuditors are those whose cosignatures the ledger takes: those that its operator names.
func (n *Node) namedAuditors() ([]auditors.Named, error) { return n.config.Auditors, nil }
