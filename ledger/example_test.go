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
	check(err)
	signer, err := proof.ParseSigner(skey)
	check(err)
	policy, err := proof.ParsePolicy([]byte("log " + vkey + "\nquorum none\n"))
	check(err)

	disk := vfs.NewMem()
	store, err := pebblestore.Open(disk, "log", pebblestore.Options{})
	check(err)
	defer store.Close()
	index, err := pebblestore.OpenIndex(disk, "index", policy, pebblestore.Options{})
	check(err)
	defer index.Close()
	l, err := ledger.Open(ctx, store, index, ledger.Config{Origin: "log.example/1", Signers: []*proof.Signer{signer}})
	check(err)

	ticket, err := l.Append(ctx, pebblestore.NewBlob([]byte("hello")))
	check(err)
	check(l.Commit(ctx)) // Run does both as items come
	check(l.Publish(ctx))
	at, err := ticket.Committed(ctx)
	check(err)
	receipt, err := l.Receipt(ctx, at.Index)
	check(err)

	v, err := receipt.Verify(policy, time.Now())
	check(err)
	fmt.Printf("%q is entry %d of %d\n", v.Entry()[8:], v.Index(), v.Published().Checkpoint().Size)
	// Output: "hello" is entry 0 of 1
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
