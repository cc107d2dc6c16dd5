package interop

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/witness/config"
	"github.com/transparency-dev/witness/omniwitness"
	"github.com/transparency-dev/witness/persistence/inmemory"
	"golang.org/x/mod/sumdb/note"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// fixedLogs is omniwitness's memory, which tells when the first list is in.
type fixedLogs struct {
	*inmemory.Persistence
	ready chan struct{}
}

func (p fixedLogs) AddLogs(ctx context.Context, logs []config.Log) error {
	defer close(p.ready)
	return p.Persistence.AddLogs(ctx, logs)
}

// newOmniwitness runs transparency-dev's omniwitness, the whole process but for its
// flags. It fetches the list of logs over HTTP, as our LogList writes it, and signs
// with both algorithms.
func newOmniwitness(t testing.TB, name string, logs witness.LogList) (url string, vkeys []string) {
	t.Helper()
	var signers []note.Signer
	for _, alg := range []proof.Algorithm{proof.CosignatureEd25519, proof.MLDSA44} {
		skey, vkey := newKey(alg, name)
		signers = append(signers, must(fnote.NewSignerForCosignatureV1(skey)))
		vkeys = append(vkeys, vkey)
	}
	lists := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { rw.Write(logs.Format()) }))
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	memory := fixedLogs{inmemory.New(), make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- omniwitness.Main(ctx, omniwitness.OperatorConfig{
			WitnessKeys:                  signers,
			Logs:                         memory,
			WitnessNetworkConfigURLs:     []string{lists.URL},
			WitnessNetworkConfigInterval: time.Hour,
		}, memory, listener, lists.Client())
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("omniwitness ended with %v", err)
		}
		lists.Close()
	})
	select {
	case <-memory.ready:
	case err := <-ended:
		ended <- err
		t.Fatalf("omniwitness did not start: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("omniwitness did not take the list of logs")
	}
	return "http://" + listener.Addr().String(), vkeys
}

// Omniwitness reads our log list and cosigns for our client with both of its keys,
// each of which counts alone. What it has not: a monitoring endpoint.
func TestOmniwitness(t *testing.T) {
	l := newLog("log.example/1", 100)
	url, vkeys := newOmniwitness(t, "omni.example", l.list)
	text := "log " + l.vkey + "\nwitness ed " + vkeys[0] + "\nwitness ml " + vkeys[1] + "\ngroup both all ed ml\nquorum both\n"
	policy := must(proof.ParsePolicy([]byte(text)))
	c := must(wire.NewWitness(url, nil))

	// Nothing is remembered of where the witness stands: its 409 says it.
	at := uint64(0)
	for _, n := range []uint64{1, 2, 5, 64, 65, 100, 100} {
		sigs, err := c.AddCheckpoint(t.Context(), l.request(0, n))
		if at > 0 {
			var conflict *wire.ConflictError
			if !errors.As(err, &conflict) || conflict.Size != at {
				t.Fatalf("old 0 to a witness at %d: got %v, want a conflict at %d", at, err, at)
			}
			sigs, err = c.AddCheckpoint(t.Context(), l.request(conflict.Size, n))
		}
		if err != nil {
			t.Fatalf("from %d to %d: %v", at, n, err)
		}
		p, err := policy.Verify(must(proof.AddSignatures(l.note(n), sigs...)), time.Now())
		if err != nil {
			t.Fatalf("from %d to %d: %v", at, n, err)
		}
		if got := p.Checkpoint().Size; got != n {
			t.Fatalf("size %d, want %d", got, n)
		}
		at = n
	}

	_, err := c.Checkpoint(t.Context(), l.origin)
	t.Logf("the monitoring endpoint of omniwitness: %v", err)
	o := newDocketWitness(t, "w1.example", l.list)
	if _, err := must(wire.NewWitness(o.url, nil)).AddCheckpoint(t.Context(), l.request(0, 100)); err != nil {
		t.Fatal(err)
	}
	shown, err := must(wire.NewWitness(o.url, nil)).Checkpoint(t.Context(), l.origin)
	if err != nil {
		t.Fatal(err)
	}
	checkCosigned(t, shown, l.origin, 100, must(fnote.NewVerifier(l.vkey)), must(fnote.NewVerifier(o.keys[0])), must(fnote.NewVerifier(o.keys[1])))
}
