package sharedsim

import (
	"context"
	"errors"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// user is a client that knows the URLs of all machines, and keeps a copy.
type user struct {
	*client.Client
	sim     *simulation
	name    string
	disk    *vfs.MemFS
	trust   *client.Trust // nil before the first sync
	lastErr error         // of its last call
}

// patienceOfUser is how long a client waits for anything: longer than for another writer.
const patienceOfUser = 30 * time.Second

// submit has the client submit a record, while those who write do their work.
func (u *user) submit(env record.Envelope) error {
	type outcome struct {
		*client.Submission
		err error
	}
	done := make(chan outcome, 1)
	ctx, cancel := context.WithTimeout(u.sim.ctx, patienceOfUser)
	defer cancel()
	go func() {
		s, err := u.Submit(ctx, env.Marshal(), client.SinglePolicy{Only: u.sim.policy}, client.Retry{})
		done <- outcome{s, err}
	}()
	var got outcome
	for waiting := true; waiting; {
		synctest.Wait()
		select {
		case got = <-done:
			waiting = false
		default:
			if err := u.sim.drive(); err != nil {
				cancel()
				<-done
				return err
			}
			time.Sleep(time.Second)
		}
	}
	id := record.IDOf(env.Payload)
	u.lastErr = got.err
	var fork *client.InconsistencyError
	switch {
	case errors.As(got.err, &fork):
		return fmt.Errorf("%w: %s finds a fork: %w", errLaw, u.name, got.err)
	case got.err != nil:
		u.sim.tracef("%s submits %.8s: %v", u.name, id, got.err)
		u.sim.countEvent("not submitted")
	case got.Receipt == nil:
		u.sim.tracef("%s submits %.8s: committed, it is said", u.name, id)
		u.sim.countEvent("committed")
	default:
		u.sim.tracef("%s submits %.8s: index %d of size %d, existed %v", u.name, id, got.Receipt.Index(), got.Receipt.Published().Checkpoint().Size, got.Existed)
		u.sim.countEvent("submitted")
		return u.sim.laws.noteReceipt(id, got.Receipt)
	}
	return nil
}

// sync brings the client's copy up, from whichever machine answers.
func (u *user) sync() (err error) {
	ctx, cancel := context.WithTimeout(u.sim.ctx, patienceOfUser)
	defer cancel()
	if u.trust == nil {
		if u.trust, u.lastErr = client.CreateTrust(ctx, u.disk, "trust", u.Client, u.sim.writing.Ledger); u.lastErr != nil {
			u.trust = nil
		}
	}
	if u.trust != nil {
		u.lastErr = u.trust.Sync(ctx, u.Client, nil)
	}
	u.sim.tracef("%s syncs: %v", u.name, u.lastErr)
	var fork *client.InconsistencyError
	if errors.As(u.lastErr, &fork) {
		return fmt.Errorf("%w: %s finds a fork: %w", errLaw, u.name, u.lastErr)
	}
	if u.lastErr == nil {
		u.sim.countEvent("synced")
		return u.sim.laws.checkTree("the copy of "+u.name, u.trust.Checkpoint().Checkpoint().Tree())
	}
	return nil
}

func (u *user) close() {
	if u.trust != nil {
		u.trust.Close()
	}
}
