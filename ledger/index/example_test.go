package index_test

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/index"
)

// Whoever has a map proves to somebody who has its root alone what it has, and what not.
func Example() {
	var entries []index.Entry
	for _, asn := range []string{"64500", "64501", "64511"} {
		key, err := index.NewKey("asn", asn)
		if err != nil {
			panic(err)
		}
		entries = append(entries, index.Entry{Key: key, Value: sha256.Sum256([]byte("what is known of " + asn))})
	}
	slices.SortFunc(entries, func(a, b index.Entry) int { return a.Key.Compare(b.Key) })
	m, err := index.Build(slices.Values(entries))
	if err != nil {
		panic(err)
	}

	all, _ := index.NewPrefix("asn")
	absent, _ := index.NewKey("asn", "64502")
	for _, query := range []index.Query{entries[0].Key, absent, all} {
		proof, err := m.Prove(query)
		if err != nil {
			panic(err)
		}
		received, err := index.ParseProof(proof.Format())
		if err != nil {
			panic(err)
		}
		found, err := received.Verify(m.Root(), query)
		if err != nil {
			panic(err)
		}
		fmt.Println(len(found), "keys, proven by", len(proof.Format()), "bytes")
	}
	// Output:
	// 1 keys, proven by 207 bytes
	// 0 keys, proven by 207 bytes
	// 3 keys, proven by 341 bytes
}
