package interop

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// A Tessera log with a witness policy publishes nothing without our two witnesses,
// starts anew with no memory of where they stand, and goes on. While one of them
// does not serve it, nothing new is published.
func TestTesseraLog(t *testing.T) {
	const origin = "tessera.example/log"
	skey, vkey := newKey(proof.Ed25519, origin)
	logs := must(witness.ParseLogs(fmt.Appendf(nil, "logs/v0\nvkey %s\nqpd 2147483647\ncontact x\n", vkey)))
	w1, w2 := newDocketWitness(t, "w1.example", logs), newDocketWitness(t, "w2.example", logs)
	text := fmt.Sprintf("log %s\nwitness w1 %s %s\nwitness w2 %s %s\ngroup both all w1 w2\nquorum both\n", vkey, w1.keys[0], w1.url, w2.keys[0], w2.url)
	policy := must(proof.ParsePolicy([]byte(text)))
	dir, size := t.TempDir(), uint64(0)
	for life := range 4 {
		log := openTessera(t, dir, skey, text)
		if life == 2 {
			if err := w2.SetLogs(nil); err != nil {
				t.Fatal(err)
			}
			log.add(t, "unpublished", 5)
			if err := log.close(3 * time.Second); err == nil {
				t.Error("tessera published without the second witness")
			}
			if p := verifyCheckpoint(t, policy, log.checkpoint(t)); p.Size != size {
				t.Errorf("size %d is published, of which w2 cosigned %d", p.Size, size)
			}
			if err := w2.SetLogs(logs); err != nil {
				t.Fatal(err)
			}
			continue
		}
		for round := range 3 {
			log.await(t, log.add(t, fmt.Sprint(life, round), 7))
		}
		if err := log.close(30 * time.Second); err != nil {
			t.Fatal(err)
		}
		p := verifyCheckpoint(t, policy, log.checkpoint(t))
		if p.Size < size+21 {
			t.Fatalf("life %d: size %d after %d and 21 entries", life, p.Size, size)
		}
		size = p.Size
		for _, w := range []docketWitness{w1, w2} {
			shown := must(must(wire.NewWitness(w.url, nil)).Checkpoint(t.Context(), origin))
			if cp, _, err := proof.ParseCheckpoint(shown); err != nil || cp != p {
				t.Errorf("life %d: the witness shows %+v (%v), published is %+v", life, cp, err, p)
			}
		}
	}
}

func verifyCheckpoint(t *testing.T, policy *proof.Policy, checkpoint []byte) proof.Checkpoint {
	t.Helper()
	p, err := policy.Verify(checkpoint, time.Now())
	if err != nil {
		t.Fatalf("%v\n%s", err, checkpoint)
	}
	return p.Checkpoint()
}

// tesseraLog is one life of a Tessera log in a directory.
type tesseraLog struct {
	ctx      context.Context
	cancel   context.CancelFunc
	appender *tessera.Appender
	shutdown func(context.Context) error
	reader   tessera.LogReader
}

// openTessera opens the log with the quorum of our policy's text, as tessera reads it.
func openTessera(t *testing.T, dir, skey, policy string) *tesseraLog {
	t.Helper()
	l := &tesseraLog{}
	l.ctx, l.cancel = context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(l.cancel)
	opts := tessera.NewAppendOptions().
		WithCheckpointSigner(must(note.NewSigner(skey))).
		WithBatching(10, 20*time.Millisecond).
		WithCheckpointInterval(100*time.Millisecond).
		WithWitnesses(must(tessera.NewWitnessGroupFromPolicy([]byte(policy))), &tessera.WitnessOptions{Timeout: 10 * time.Second})
	var err error
	l.appender, l.shutdown, l.reader, err = tessera.NewAppender(l.ctx, must(posix.New(l.ctx, posix.Config{Path: dir})), opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// add adds n entries and waits until they have their places.
func (l *tesseraLog) add(t *testing.T, name string, n int) []tessera.IndexFuture {
	t.Helper()
	futures := make([]tessera.IndexFuture, n)
	for i := range futures {
		futures[i] = l.appender.Add(l.ctx, tessera.NewEntry(fmt.Appendf(nil, "entry %s/%d", name, i)))
	}
	for _, f := range futures {
		if _, err := f(); err != nil {
			t.Fatal(err)
		}
	}
	return futures
}

// await waits until a published checkpoint has the entries.
func (l *tesseraLog) await(t *testing.T, futures []tessera.IndexFuture) {
	t.Helper()
	published := tessera.NewPublicationAwaiter(l.ctx, l.reader.ReadCheckpoint, 20*time.Millisecond)
	var all sync.WaitGroup
	for _, f := range futures {
		all.Go(func() {
			if _, _, err := published.Await(l.ctx, f); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// close ends the life: cleanly, if what was added can be published in that time.
func (l *tesseraLog) close(within time.Duration) error {
	ctx, cancel := context.WithTimeout(l.ctx, within)
	defer cancel()
	defer l.cancel()
	return l.shutdown(ctx)
}

func (l *tesseraLog) checkpoint(t *testing.T) []byte {
	t.Helper()
	text, err := l.reader.ReadCheckpoint(context.WithoutCancel(l.ctx))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
