package stores

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
)

// rounds is how often each thing dies in TestKills: once in CI, more for a longer run.
var rounds = flag.Int("rounds", 1, "how often each process is killed, and the writer frozen")

// TestKills kills each process of a ledger in a bucket in turn, with −9, while records are
// submitted: the writer, the one that stands by, the gateways of the object store, the
// witnesses; and freezes the writer until the other one has taken its place. What it writes
// when it wakes up conflicts.
func TestKills(t *testing.T) {
	g := startGateways(t, 2)
	k := newKills(t, newCluster(t, g.store("log"), storeKeys(), 3), 6)
	for range *rounds {
		k.killWriter()
		k.kill(k.standby)
		for _, p := range g.all {
			k.kill(p)
		}
		for _, p := range k.l.witnesses {
			k.kill(p)
		}
		k.freezeWriter()
	}
	k.finish()
}

// kills is a ledger under load, of which one process after the other dies.
type kills struct {
	t               testing.TB
	l               *cluster
	writer, standby *process
	load            *load
	watch           *watch
	rng             *rand.Rand
	seed            uint64

	killed, promotions int
}

// newKills starts two machines that stand by for each other, and submitters.
func newKills(t testing.TB, l *cluster, submitters int) *kills {
	t.Helper()
	k := &kills{t: t, l: l, seed: rand.Uint64()}
	k.rng = rand.New(rand.NewPCG(k.seed, 15))
	k.writer, k.standby = k.machine("a"), k.machine("b")
	k.writer.start()
	l.enrol(newClient(t, k.writer))
	k.standby.start()
	k.watch = startWatch(l, k.writer.url+"/checkpoint", k.standby.url+"/checkpoint")
	k.load = startLoad(l, submitters, k.writer, k.standby)
	k.more()
	return k
}

func (k *kills) machine(name string) *process {
	return k.l.machine(name, true, "--standby", "--store", k.l.store, "--lease", "1s")
}

// more waits until some more receipts were handed out: things die at another moment each time.
func (k *kills) more() { k.load.wait(1 + k.rng.Int64N(20)) }

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
	k.load.wait(int64(len(k.load.all)) + 1) // those that were on their way, and one that was not
	k.writer, k.standby = k.standby, k.writer
	k.promotions++
}

// finish holds everything against the log as it is in the end.
func (k *kills) finish() {
	k.t.Helper()
	receipts := k.load.stop()
	seen := k.watch.stop()
	check(k.l, newClient(k.t, k.writer), receipts, seen, 2)
	k.t.Logf("%d killed, %d promotions (seed %d)", k.killed, k.promotions, k.seed)
	k.writer.terminate()
}
