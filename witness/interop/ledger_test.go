package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/server"
	"github.com/seed-53cf897a/docket/witness"
)

// testDocket is a whole ledger behind HTTP. It signs with both algorithms, and publishes
// what two witnesses cosigned: one of ours and one of transparency-dev's.
type testDocket struct {
	*registertest.World
	t      testing.TB
	url    string
	origin string
	vkey   string // the Ed25519 one
	policy *proof.Policy
	count  int // of designations imported
}

func newDocket(t testing.TB) *testDocket {
	t.Helper()
	d := &testDocket{t: t, origin: "docket.example/interop"}
	ed, edVkey := newKey(proof.Ed25519, d.origin)
	ml, mlVkey := newKey(proof.MLDSA44, d.origin)
	d.vkey = edVkey
	logs := must(witness.ParseLogs(fmt.Appendf(nil, "logs/v0\nvkey %s\nqpd 2147483647\ncontact x\n\nvkey %s\nqpd 2147483647\ncontact x\n", edVkey, mlVkey)))
	ours := newDocketWitness(t, "w1.example", logs)
	theirs, vkey := newPeerWitness(t, "w3.example", logs)
	text := fmt.Sprintf("log %s\nlog %s\nwitness ours %s %s\nwitness theirs %s %s\ngroup both all ours theirs\nquorum both\n",
		edVkey, mlVkey, ours.keys[0], ours.url, vkey, theirs)
	d.policy = must(proof.ParsePolicy([]byte(text)))
	d.World = registertest.New(time.Now(), d.origin, text)

	disk := vfs.NewMem()
	store := must(pebblestore.Open(disk, "store", pebblestore.Options{}))
	reg := must(register.Open(disk, "register", registertest.SmallOptions()))
	signers := []*proof.Signer{must(proof.ParseSigner(ed)), must(proof.ParseSigner(ml))}
	l, err := ledger.Open(t.Context(), store, ledger.RegisterFold(reg), ledger.Config{Origin: d.origin, Signers: signers, Cosign: cosign})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var run sync.WaitGroup
	run.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Errorf("the ledger ended with %v", err)
		}
	})
	s := httptest.NewServer(must(server.New(server.Config{Ledger: l, Register: reg})).Handler())
	d.url = s.URL
	t.Cleanup(func() {
		s.Close()
		cancel()
		run.Wait()
		reg.Close()
		store.Close()
	})
	d.publish(d.Charter())
	d.publish(d.Authority())
	return d
}

// cosign asks each witness of the policy, with no memory of where it stands: every
// time its 409 says it.
func cosign(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
	var answer ledger.CosignResponse
	var problems []error
	for _, w := range ask.Policy.Witnesses() {
		c := must(wire.NewWitness(w.URL, nil))
		sigs, err := c.AddCheckpoint(ctx, wire.AddCheckpoint{Note: ask.Signed.Note()})
		if conflict := (*wire.ConflictError)(nil); errors.As(err, &conflict) {
			var path []proof.Hash
			if path, err = ask.ConsistencyProof(ctx, conflict.Size); err == nil {
				sigs, err = c.AddCheckpoint(ctx, wire.AddCheckpoint{Old: conflict.Size, Path: path, Note: ask.Signed.Note()})
			}
		}
		answer.Cosignatures = append(answer.Cosignatures, sigs...)
		problems = append(problems, err)
	}
	return answer, errors.Join(problems...)
}

// publish submits a record and returns its receipt.
func (d *testDocket) publish(env record.Envelope) []byte {
	d.t.Helper()
	status, receipt := d.post(env, "")
	if status != http.StatusCreated {
		d.t.Fatalf("submitting: %d\n%s", status, receipt)
	}
	d.NoteAdmitted(env)
	d.Now = time.Now()
	return receipt
}

func (d *testDocket) post(env record.Envelope, query string) (int, []byte) {
	res, err := http.Post(d.url+"/v1/records"+query, "application/json", bytes.NewReader(env.Marshal()))
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return res.StatusCode, said
}

// appendRecords adds n imported designations, published together with one more, whose receipt
// it returns.
func (d *testDocket) appendRecords(n int) []byte {
	d.t.Helper()
	envelopes := make([]record.Envelope, n)
	for i := range envelopes {
		envelopes[i] = d.importRecord()
	}
	var all sync.WaitGroup
	for from := range 8 {
		all.Go(func() {
			for i := from; i < n; i += 8 {
				status, said := d.post(envelopes[i], "?wait=committed")
				if status != http.StatusAccepted && status != http.StatusCreated {
					d.t.Errorf("submitting: %d\n%s", status, said)
				}
			}
		})
	}
	all.Wait()
	return d.publish(d.importRecord())
}

func (d *testDocket) importRecord() record.Envelope {
	d.count++
	id := fmt.Sprint(10000 + d.count)
	return d.ImportListed(id, d.NewListedDesignation(id, "Example Trading "+id))
}
