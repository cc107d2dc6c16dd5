package stores

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// rounds is how often each thing dies: once in CI, more for a longer run.
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
	k.watch.addPublic(public)
	k.killWriter()
	k.follow("--from", k.writer.url) // which writes again at the end of each round
	k.follow("--store", l.store)
	k.submit(12, k.all()...)
	for range *rounds {
		k.kill(k.standby)
		for _, p := range k.replicas {
			k.killReplica(p)
		}
		k.killWriter()
		for _, p := range g.all {
			k.kill(p)
		}
		for _, p := range l.witnesses {
			k.killWitness(p)
		}
		k.freezeWriter()
	}
	published := k.finish()
	checkStatic(l, public, published)
	k.writer.terminate()
}

// kills is a ledger under load, of which one process after the other dies.
type kills struct {
	t               testing.TB
	l               *cluster
	writer, standby *process
	replicas        []*process
	loads           []*load
	watch           *watch
	rng             *rand.Rand
	seed            uint64
	first           []byte // a checkpoint from before all that happens

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
	k.watch = startWatch(l, k.writer, k.standby)
	k.submit(4, k.writer, k.standby)
	k.more()
	k.first = must(newClient(t, k.writer).Source().Checkpoint(t.Context()))
	return k
}

// follow starts one more replica, which follows a server (--from) or the store (--store).
func (k *kills) follow(flag, of string) {
	k.t.Helper()
	p := k.l.startReplica(fmt.Sprintf("replica-%d", len(k.replicas)+1), flag, of)
	k.replicas = append(k.replicas, p)
	k.watch.addMachine(p)
}

// all are those to whom a record may be sent.
func (k *kills) all() []*process {
	return append([]*process{k.writer, k.standby}, k.replicas...)
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

// killReplica kills a replica of what the writer writes. It comes back with what it had, and goes
// on to what is published then.
func (k *kills) killReplica(p *process) {
	k.t.Helper()
	k.kill(p)
	awaitTree(k.t, p, newestTree(k.t, k.writer))
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

// finish holds everything against the log as it is in the end, as each replica comes to show it,
// and the writer does.
func (k *kills) finish() proof.Tree {
	k.t.Helper()
	var receipts []told
	for _, l := range k.loads {
		receipts = append(receipts, l.stop()...)
	}
	published := newestTree(k.t, k.writer)
	for _, p := range k.replicas {
		if shown := awaitTree(k.t, p, published); shown != published {
			k.t.Errorf("%s shows %v, and the writer %v", p.name, shown, published)
		}
	}
	check(k.l, append(k.replicas, k.writer), receipts, k.watch.stop(), 2)
	k.t.Logf("%d killed, %d promotions (seed %d)", k.killed, k.promotions, k.seed)
	return published
}

// awaitTree waits until a server shows as many entries as a tree has, and returns what it shows.
func awaitTree(t testing.TB, p *process, tree proof.Tree) (shown proof.Tree) {
	t.Helper()
	c, out := newClient(t, p), bounded(t).Done()
	for {
		if shown = treeOf(t, p, c); shown.Size >= tree.Size {
			return shown
		}
		select {
		case <-out:
			t.Fatalf("%s never came to %v: it shows %v\n%s", p.name, tree, shown, p.lastWords())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// newestTree is what a machine has published.
func newestTree(t testing.TB, p *process) proof.Tree {
	t.Helper()
	return treeOf(t, p, newClient(t, p))
}

func treeOf(t testing.TB, p *process, c *client.Client) proof.Tree {
	t.Helper()
	note, err := c.Source().Checkpoint(t.Context())
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
	health, err := newClient(t, p).GetUnverified(t.Context(), "/readyz")
	return err == nil && !strings.Contains(string(health), `"role":"standby"`)
}
