package proof_test

import (
	"fmt"
	"os"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// A receipt and a policy are two files; with them, anybody can check offline that
// an entry is on the ledger, and since when.
func Example() {
	text, _ := os.ReadFile("testdata/golden/policy.txt")
	policy, err := proof.ParsePolicy(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, _ = os.ReadFile("testdata/golden/one.tlog-proof")
	receipt, err := proof.ParseReceipt(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	verified, err := receipt.Verify(policy, time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))
	if err != nil {
		fmt.Println(err)
		return
	}
	cp := verified.Published().Checkpoint()
	fmt.Printf("%q\n", verified.Entry())
	fmt.Printf("on ledger   %s, index %d of %d\n", cp.Origin, verified.Index(), cp.Size)
	fmt.Printf("existed by  %s\n", verified.Published().ExistedBy().Format(time.RFC3339))
	fmt.Printf("a fork needs %d dishonest witness\n", policy.ForkCost())
	// Output:
	// "entry 131"
	// on ledger   log.example/1, index 131 of 300
	// existed by  2026-11-23T18:19:06Z
	// a fork needs 1 dishonest witness
}
