package record_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// A provider signs what it did; a ledger that knows the provider's key opens the
// envelope and makes an entry of it.
func ExampleOpen() {
	private, public, err := record.GenerateKey(record.AlgEd25519, nil)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := record.LoadSigner(private, nil)
	if err != nil {
		log.Fatal(err)
	}
	signed, err := record.Sign(context.Background(), responseOf(800), signer)
	if err != nil {
		log.Fatal(err)
	}
	file := signed.Marshal()

	key, err := record.ParseKey(public)
	if err != nil {
		log.Fatal(err)
	}
	envelope, err := record.ParseEnvelope(file)
	if err != nil {
		log.Fatal(err)
	}
	verified, err := record.Open(envelope, func(*record.Statement) []*record.Key { return []*record.Key{key} })
	if err != nil {
		log.Fatal(err)
	}
	entry, err := verified.Entry(time.Date(2026, 11, 23, 18, 19, 4, 123e6, time.UTC), func(*record.Key) bool { return true })
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(verified.Statement().Thread, "signed by", len(verified.Signatures()))
	fmt.Printf("%s…\n", entry.Marshal()[:36])
	// Output:
	// response/2026-014/acme-cloud signed by 1
	// {"admitted":"2026-11-23T18:19:04.123…
}
