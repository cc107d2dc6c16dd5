package ledger_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// What is new is published at once while the witnesses do not cosign again what was
// published: whether they refuse, or one is waited for that does not answer.
func TestPublishPreemptsRecosign(t *testing.T) {
	for name, again := range map[string]func(context.Context) error{
		"refused": func(context.Context) error { return errors.New("too many requests") },
		"waiting": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := newWitnessedEnv(t)
				var beats atomic.Int64
				w.config.Cosign = func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
					if ask.Resubmission {
						beats.Add(1)
						return ledger.CosignResponse{}, again(ctx)
					}
					return p.cosign(ctx, ask)
				}
				n := w.mustOpen(t)
				defer n.close()
				defer n.startRun(t)()
				for i := range 4 {
					begun := time.Now()
					n.appendAll(t, numberedBlobs(i, i+1)...)
					must(n.AwaitPublished(t.Context(), uint64(i)))
					if took := time.Since(begun); took > 0 {
						t.Errorf("published after %s", took)
					}
					before := beats.Load()
					time.Sleep(10*time.Minute + 45*time.Second) // a heartbeat, and what it tries again
					if n := beats.Load() - before; n == 0 || name == "refused" && n < 3 {
						t.Errorf("%d heartbeats", n)
					}
				}
			})
		})
	}
}

// A cosignature from before the opening says nothing about what its witness has seen
// by now. Until a quorum gives later ones nothing new is signed; ten seconds before the
// opening are granted, since a witness may repeat what it gave then.
func TestResubmissionIgnoresOldCosignatures(t *testing.T) {
	for early, counts := range map[time.Duration]bool{0: true, proof.MaxCosignatureReuse: true, proof.MaxCosignatureReuse + time.Second: false, 4 * time.Minute: false} {
		t.Run(early.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := newWitnessedEnv(t)
				n := w.mustOpen(t)
				n.addAll(t, numberedBlobs(0, 3)...)
				time.Sleep(time.Hour)
				n = w.reopen(t, n)
				defer func() { n.close() }()
				p.clockOffset[0], p.clockOffset[1], p.unresponsive[2] = -early, -early, true
				p.requests = nil
				if err := n.CheckClock(t.Context()); err != nil {
					t.Errorf("it says what time it is all the same: %v", err)
				}
				n.appendAll(t, numberedBlobs(3, 5)...)
				err := errors.Join(n.Commit(t.Context()), n.Publish(t.Context()))
				if counts != (err == nil) || !counts && !errors.Is(err, ledger.ErrNoQuorum) || n.Err() != nil {
					t.Errorf("published %d: %v, %v", n.Published().Checkpoint().Size, err, n.Err())
				}
				if a := p.requests[0]; !a.Resubmission || a.NotBefore.After(time.Now().Add(-proof.MaxCosignatureReuse)) || a.NotBefore.Before(time.Now().Add(-proof.MaxCosignatureReuse-time.Second)) {
					t.Errorf("asked first with %v, not before %v", a.Resubmission, a.NotBefore)
				}
				if !counts {
					for _, a := range p.requests {
						if !a.Resubmission {
							t.Error("something new was signed")
						}
					}
					time.Sleep(early) // by the witnesses' clocks it is after the opening now
					n.commitAndPublish(t)
				}
				p.clockOffset[0], p.clockOffset[1] = -4*time.Minute, -4*time.Minute
				if err := n.Recosign(t.Context()); err != nil {
					t.Errorf("once is enough: %v", err)
				}
			})
		})
	}
}
