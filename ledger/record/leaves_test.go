package record_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Leaves and their differences, of a statement with objects, a list and a number.
func TestLeaves(t *testing.T) {
	of := func(name string, program ...string) *record.Statement {
		return &record.Statement{
			Kind: record.KindDesignation, Common: record.Common{Thread: "designation/1", Issuer: "authority"}, Subject: record.Subject{SHA256: [32]byte{1}},
			Predicate: &record.Designation{Measure: "person", Action: "prohibit", Target: record.Target{Schema: "Organization", Name: name}, Program: program},
		}
	}
	old, new := of("Kestrel", "K", "KL"), of("Kestrel Ltd", "K")
	leaves := old.Leaves()
	for _, want := range []record.Leaf{
		{Pointer: "/subject", Value: "01" + fmt.Sprintf("%062d", 0)}, {Pointer: "/target/name", Value: "Kestrel"},
		{Pointer: "/program/1", Value: "KL"}, {Pointer: "/program/#", Value: "2"},
	} {
		if !slices.Contains(leaves, want) {
			t.Errorf("%v is missing in %v", want, leaves)
		}
	}
	if slices.ContainsFunc(leaves, func(l record.Leaf) bool { return l.Pointer == "/issuedAt" || l.Pointer == "/follows" }) {
		t.Errorf("what each record says anew is among %v", leaves)
	}
	if same := record.DiffLeaves(leaves, of("Kestrel", "K", "KL").Leaves()); len(same) > 0 {
		t.Errorf("the same: %v", same)
	}
	got := fmt.Sprint(record.DiffLeaves(leaves, new.Leaves()))
	if want := "[/target/name: Kestrel → Kestrel Ltd /program/#: 2 → 1 /program/1: − KL]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(record.DiffLeaves(new.Leaves(), leaves)), "[/target/name: Kestrel Ltd → Kestrel /program/1: + KL /program/#: 1 → 2]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
