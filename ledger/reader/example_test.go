package reader_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/pebblestore"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/reader"
)

// A ledger writes into a store, and a reader follows what it publishes there.
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

	r := reader.New(store, reader.Config{Verify: func(note []byte) (*proof.Published, error) {
		return policy.Verify(note, time.Now())
	}})
	for _, word := range []string{"first", "second"} {
		_, err := l.Append(ctx, pebblestore.NewBlob([]byte(word)))
		exitOn(err)
		exitOn(l.Commit(ctx))
		exitOn(l.Publish(ctx))
		exitOn(r.Refresh(ctx))
		receipt, err := r.Receipt(ctx, r.PublishedSize()-1)
		exitOn(err)
		v, err := receipt.Verify(policy, time.Now())
		exitOn(err)
		fmt.Printf("%q is entry %d of %d\n", v.Entry()[8:], v.Index(), v.Published().Checkpoint().Size)
	}
	// Output:
	// "first" is entry 0 of 1
	// "second" is entry 1 of 2
}

func exitOn(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
