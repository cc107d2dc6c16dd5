package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/cosignatures"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// How long after a rehearsal the next one comes: twice as long each time. A new policy
// has one at once.
const (
	firstRehearsalPause = time.Minute
	maxRehearsalPause   = time.Hour
)

// Rehearsed is how the witnesses answered.
type Rehearsed = cosignatures.Rehearsed

// ErrNotPublished: there is no checkpoint yet that witnesses could be asked about.
var ErrNotPublished = errors.New("nothing is published yet")

// Rehearse asks each witness of the newest policy whether it cosigns what the newer of
// two generations of log keys signs alone ([cosignatures.Collector.Rehearse]). Before,
// unless the ledger asked them since it was opened, they are shown the published
// checkpoint with all signatures, as they are before anything new is signed. Where the
// quorum is none, no witness is asked.
//
// [ErrNotPublished], or as of [ledger.Ledger.Recosign].
func (n *Node) Rehearse(ctx context.Context) (Rehearsed, error) {
	policy, _, err := n.policy()
	if err != nil {
		return Rehearsed{}, err
	}
	if policy == nil || n.Ledger.Published() == nil {
		return Rehearsed{}, ErrNotPublished
	}
	if policy.QuorumIsNone() {
		return Rehearsed{At: time.Now(), Quorum: true}, nil
	}
	if len(n.collector.Status()) == 0 {
		if err := n.Ledger.Recosign(ctx); !canBeAsked(err) {
			return Rehearsed{}, err
		}
	}
	return n.collector.Rehearse(ctx, n.config.Keys.Next()...), nil
}

// RehearseUnder is Rehearse for the witnesses of a policy that no charter has brought yet.
// [ledger.ErrNoLogKey] if it names none of the directory's keys.
func (n *Node) RehearseUnder(ctx context.Context, policy *proof.Policy) (Rehearsed, error) {
	if n.Ledger.Published() == nil {
		return Rehearsed{}, ErrNotPublished
	}
	if policy.QuorumIsNone() {
		return Rehearsed{At: time.Now(), Quorum: true}, nil
	}
	if err := n.Ledger.Show(ctx, policy); !canBeAsked(err) {
		return Rehearsed{}, err
	}
	return n.collector.Rehearse(ctx, n.config.Keys.Next()...), nil
}

// canBeAsked: those who did answer can be asked more.
func canBeAsked(err error) bool {
	return err == nil || errors.Is(err, ledger.ErrNoQuorum) || errors.Is(err, ledger.ErrClock)
}

// MayRetire refuses to let the older generation of log keys go while a policy names
// them that something may have to satisfy. The witnesses are not asked ([Node.Rehearse]).
func (n *Node) MayRetire() error {
	policy, since, err := n.policy()
	if err != nil {
		return err
	}
	if policy == nil {
		return ErrNotPublished
	}
	named := policy.LogKeys(n.config.Keys.Origin)
	for _, k := range n.config.Keys.older() {
		for _, other := range named {
			if k.SamePublicKey(other) {
				return fmt.Errorf("the charter at index %d still names the older log key %s", since, keyText(k))
			}
		}
	}
	if waiting := n.Ledger.Backlog(); waiting > 0 {
		return fmt.Errorf("%w: %d of the newest entries wait for it, perhaps under the older keys", ErrNotPublished, waiting)
	}
	return nil
}

// policy is that of the newest charter, and its index; nil before the first.
func (n *Node) policy() (*proof.Policy, uint64, error) {
	size := n.Ledger.Head().Size
	if size == 0 {
		return nil, 0, nil
	}
	era, err := n.Register.PolicyEpochAt(size)
	if err != nil {
		return nil, 0, err
	}
	policy, err := proof.ParsePolicy([]byte(era.Policy))
	if err != nil {
		return nil, 0, fmt.Errorf("the policy of the charter at %d: %w", era.Since, err)
	}
	return policy, era.Since, nil
}

// rehearsals asks from time to time, while two generations sign, until ctx ends. Publication
// goes on with both whatever comes of it; only a person takes the older keys away.
func (n *Node) rehearsals(ctx context.Context) {
	if n.config.Keys.Older == 0 {
		return
	}
	var last uint64 // the charter under which was asked
	for pause := firstRehearsalPause; ctx.Err() == nil; pause = min(2*pause, maxRehearsalPause) {
		_, since, err := n.policy()
		if since != last {
			last, pause = since, firstRehearsalPause
		}
		var r Rehearsed
		if err == nil {
			r, err = n.Rehearse(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrNotPublished):
		case err != nil:
			n.config.Log.Error("the witnesses cannot be asked about the new log keys", "origin", n.config.Keys.Origin, "err", err)
		default:
			n.sayRehearsed(r, pause)
		}
		if !n.awaitCharter(ctx, since, pause) {
			return
		}
	}
}

// awaitCharter waits for some time, or until something is published and another charter
// than the one at this index is the newest. It returns false if the ledger ends.
func (n *Node) awaitCharter(ctx context.Context, since uint64, pause time.Duration) bool {
	waiting, cancel := context.WithTimeout(ctx, pause)
	defer cancel()
	for {
		var size uint64
		if p := n.Ledger.Published(); p != nil {
			size = p.Checkpoint().Size
		}
		if _, newest, err := n.policy(); err == nil && newest != since {
			return true
		}
		if _, err := n.Ledger.AwaitPublished(waiting, size); err != nil {
			return ctx.Err() == nil && waiting.Err() != nil
		}
	}
}

func (n *Node) sayRehearsed(r Rehearsed, pause time.Duration) {
	origin := slog.String("origin", n.config.Keys.Origin)
	unready := unreadyOf(r)
	switch {
	case len(r.Witnesses) == 0: // no witness to ask, or not yet
	case !r.Quorum:
		n.config.Log.Warn("the older log keys must go on signing: the witnesses that cosign what the new ones sign alone make no quorum", origin, "not ready", unready, "asked again in", pause.String())
	case unready != "":
		n.config.Log.Warn("a quorum cosigns what the new log keys sign alone; these witnesses would be lost with the older ones", origin, "not ready", unready, "asked again in", pause.String())
	default:
		n.config.Log.Info("every witness cosigns what the new log keys sign alone", origin, "asked again in", pause.String())
	}
}

// unreadyOf lists who is not ready, and why.
func unreadyOf(r Rehearsed) string {
	var all []string
	for _, w := range r.Witnesses {
		if !w.Ready {
			all = append(all, w.Name+": "+w.Error)
		}
	}
	return strings.Join(all, "; ")
}
