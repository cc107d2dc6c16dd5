package stores

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// rounds is how often each thing dies in TestKills: once in CI, more for a longer run.
var rounds = flag.Int("rounds", 1, "how often each process is killed, and the writer frozen")

// TestKills kills each process of a ledger in a bucket in turn, with −9, while records are
// submitted: the writer, the one that stands by, the replicas, the gateways of the object
// store, the witnesses; and freezes the writer until the other one has taken its place. What it
// writes when it wakes up conflicts. In the end what is public in the bucket is a whole log
// to any reader of such logs.
func TestKills(t *testing.T) {
	g := startGateways(t, 2)
	l := newCluster(t, g.store("log"), storeKeys(), 3)
	k := newKills(t, l)
	public := serveStatic(t, g, "log")
	k.watch.add(public + "/checkpoint")
	replicas := map[*process]*process{k.writer: l.startReplica("replica-1", k.writer)}
	k.killWriter()
	replicas[k.writer] = l.startReplica("replica-2", k.writer)
	for _, p := range replicas {
		k.watch.add(p.url + "/checkpoint")
	}
	k.submit(12, k.writer, k.standby, replicas[k.writer], replicas[k.standby])
	for range *rounds {
		k.kill(k.standby)
		for _, p := range replicas {
			k.kill(p)
		}
		k.killWriter()
		for _, p := range g.all {
			k.kill(p)
		}
		for _, p := range l.witnesses {
			k.kill(p)
		}
		k.freezeWriter()
	}
	published := k.finish(replicas[k.writer])
	checkStatic(l, public, published)
	k.writer.terminate()
}

// kills is a ledger under load, of which one process after the other dies.
type kills struct {
	t               testing.TB
	l               *cluster
	writer, standby *process
	loads           []*load
	watch           *watch
	rng             *rand.Rand
	seed            uint64

	killed, promotions int
}

// newKills starts two machines that stand by for each other, and some who submit to either.
func newKills(t testing.TB, l *cluster) *kills {
	t.Helper()
	k := &kills{t: t, l: l, seed: rand.Uint64()}
	k.rng = rand.New(rand.NewPCG(k.seed, 15))
	k.writer, k.standby = l.machine("a"), l.machine("b")
	k.writer.start()
	l.enrol(newClient(t, k.writer))
	k.standby.start()
	k.watch = startWatch(l, k.writer.url+"/checkpoint", k.standby.url+"/checkpoint")
	k.submit(4, k.writer, k.standby)
	k.more()
	return k
}

// submit lets n more submit to these machines.
func (k *kills) submit(n int, machines ...*process) {
	k.loads = append(k.loads, startLoad(k.l, n, machines...))
}

// more waits until some more receipts were handed out: things die at another moment each time.
func (k *kills) more() {
	k.t.Helper()
	k.loads[0].wait(1 + k.rng.Int64N(8))
}

// kill kills one that is not the writer. The ledger goes on without it, and it comes back.
func (k *kills) kill(p *process) {
	k.t.Helper()
	p.kill()
	k.killed++
	k.more()
	p.start()
	k.more()
}

// killWriter kills the writer. The other one takes its place, and it comes back to stand by.
func (k *kills) killWriter() {
	k.t.Helper()
	k.writer.kill()
	k.killed++
	k.promoted()
	k.standby.start()
	k.more()
}

// freezeWriter stops the writer in its midst, and lets it go on once the other one has taken its
// place: it ends by itself, and well, since another one took over.
func (k *kills) freezeWriter() {
	k.t.Helper()
	k.writer.freeze()
	k.promoted()
	k.standby.thaw()
	k.standby.endsWell()
	if said := k.standby.lastWords(); !strings.Contains(said, `"another writer took over"`) {
		k.t.Errorf("%s ended without a word:\n%s", k.standby.name, said)
	}
	k.standby.start()
	k.more()
}

// promoted waits until records have receipts again, which only another writer gives.
func (k *kills) promoted() {
	k.t.Helper()
	k.loads[0].wait(int64(len(k.loads[0].all)) + 1) // those that were on their way, and one that was not
	k.writer, k.standby = k.standby, k.writer
	k.promotions++
}

// finish holds everything against the log as it is in the end, as a replica of the writer shows
// it, or the writer where there is none.
func (k *kills) finish(shown *process) proof.Tree {
	k.t.Helper()
	var receipts []*client.Receipt
	for _, l := range k.loads {
		receipts = append(receipts, l.stop()...)
	}
	published := newestTree(k.t, k.writer)
	out := bounded(k.t).Done()
	for newestTree(k.t, shown) != published {
		select {
		case <-out:
			k.t.Fatalf("%s never came to %v", shown.name, published)
		case <-time.After(20 * time.Millisecond):
		}
	}
	check(k.l, newClient(k.t, shown), receipts, k.watch.stop(), 2)
	k.t.Logf("%d killed, %d promotions (seed %d)", k.killed, k.promotions, k.seed)
	return published
}

// newestTree is what a machine has published.
func newestTree(t testing.TB, p *process) proof.Tree {
	t.Helper()
	note, err := newClient(t, p).Source().Checkpoint(t.Context())
	if err != nil {
		t.Fatalf("%s: %v\n%s", p.name, err, p.lastWords())
	}
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		t.Fatal(err)
	}
	return cp.Tree()
}

// writes is whether a machine is the writer, and not one that stands by.
func writes(t testing.TB, p *process) bool {
	t.Helper()
	_, err := newClient(t, p).Source().Checkpoint(t.Context())
	return err == nil
}
