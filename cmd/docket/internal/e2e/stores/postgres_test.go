package stores

import (
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/pgstore/pgstoretest"
)

// TestPostgres kills the primary of a database under load, −9, and promotes the standby that
// followed it synchronously; and the writer before and after, and the replicas. Every machine has
// all servers in its URL, and is started again, as by its supervisor, where it ended.
func TestPostgres(t *testing.T) {
	primary := pgstoretest.Start(t)
	followers := []*pgstoretest.Server{primary.Standby()}
	for range *rounds { // of which there is one at all times
		followers = append(followers, primary.Reserve())
	}
	l := newCluster(t, primary.URL(followers...), nil, 1)
	k := newKills(t, l)
	k.follow("--store", l.store)
	k.follow("--from", k.replicas[0].url) // whoever writes
	k.submit(4, k.all()...)
	for n := range *rounds {
		k.killWriter()
		for _, p := range k.replicas {
			k.killReplica(p)
		}
		k.killPrimary(primary, followers[n])
		primary = followers[n]
		primary.Follow(followers[n+1])
		k.revived()
		k.killWriter()
		k.freezeWriter()
	}
	k.finish()
	k.writer.terminate()
}

// killPrimary kills a database's server while commits wait for the one that follows it, which takes its
// place. Whatever does not wait is lost: so it has to be the log that waits, and not only who reads it.
func (k *kills) killPrimary(primary, follower *pgstoretest.Server) {
	k.t.Helper()
	thaw := follower.Freeze()
	primary.Await("SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query ~ 'UPDATE (head|published)'", "t")
	primary.Kill()
	k.killed++
	thaw()
	follower.Promote()
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
