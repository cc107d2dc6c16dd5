package ledger_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// A ledger in memory: one blob goes in, and its receipt is verified with nothing
// but the policy.
func Example() {
	ctx := context.Background()
	skey, vkey, err := proof.GenerateKey(proof.Ed25519, "log.example/1")
	exitOn(err)
	signer, err := proof.ParseSigner(skey)
	exitOn(err)
	policy, err := proof.ParsePolicy([]byte("log " + vkey + "\nquorum none\n"))
	exitOn(err)

	disk := vfs.NewMem()
	store, err := pebblestore.Open(disk, "log", pebblestore.Options{})
	exitOn(err)
	defer store.Close()
	index, err := pebblestore.OpenBlobFold(disk, "index", policy, pebblestore.Options{})
	exitOn(err)
	defer index.Close()
	l, err := ledger.Open(ctx, store, index, ledger.Config{Origin: "log.example/1", Signers: []*proof.Signer{signer}})
	exitOn(err)

	ticket, err := l.Append(ctx, pebblestore.NewBlob([]byte("hello")))
	exitOn(err)
	exitOn(l.Commit(ctx)) // Run does both as items come
	exitOn(l.Publish(ctx))
	at, err := ticket.AwaitCommitted(ctx)
	exitOn(err)
	receipt, err := l.Receipt(ctx, at.Index)
	exitOn(err)

	v, err := receipt.Verify(policy, time.Now())
	exitOn(err)
	fmt.Printf("%q is entry %d of %d\n", v.Entry()[8:], v.Index(), v.Published().Checkpoint().Size)
	// Output: "hello" is entry 0 of 1
}

func exitOn(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
