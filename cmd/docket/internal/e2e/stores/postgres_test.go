package stores

import (
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/pgstore/pgstoretest"
)

// TestPostgres kills the primary of a database under load, −9, and promotes the standby that
// followed it synchronously; and the writer before and after, and the replicas. Every machine has
// both servers in its URL, and is started again, as by its supervisor, where it ended.
func TestPostgres(t *testing.T) {
	primary := pgstoretest.Start(t)
	follower := primary.Standby()
	l := newCluster(t, primary.URL(follower), nil, 1)
	k := newKills(t, l)
	k.follow("--store", l.store)
	k.follow("--from", k.replicas[0].url) // whoever writes
	k.submit(4, k.all()...)
	k.killWriter()
	for _, p := range k.replicas {
		k.killReplica(p)
	}

	thaw := follower.Freeze() // whatever does not wait for it now is lost
	primary.Await("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "t")
	primary.Kill()
	thaw()
	follower.Promote()
	follower.Standby() // of which there is one at all times
	k.revived()
	k.killWriter()
	k.freezeWriter()
	k.finish()
	k.writer.terminate()
}

// revived waits until records have receipts again, and revives who has ended meanwhile. Either
// machine may be the writer then.
func (k *kills) revived() {
	k.t.Helper()
	out, done := bounded(k.t).Done(), make(chan struct{})
	go func() {
		defer close(done)
		k.loads[0].await(int64(len(k.loads[0].all)) + 1)
	}()
	for {
		select {
		case <-done:
			k.writer.revive()
			k.standby.revive()
			if !writes(k.t, k.writer) {
				k.writer, k.standby = k.standby, k.writer
				k.promotions++
			}
			return
		case <-out:
			k.t.Fatal("nobody writes any more")
		case <-time.After(100 * time.Millisecond):
			k.writer.revive()
			k.standby.revive()
		}
	}
}
