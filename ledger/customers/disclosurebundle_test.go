package customers_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// What no bundle has room for is refused with what would have, by the number of events before
// one of them is read: the chain that claims them has none.
func TestBundleTooLarge(t *testing.T) {
	s := newScene(t)
	refused := func(what string, words ...string) {
		t.Helper()
		_, err := s.Prepare(t.Context(), officer, s.ask)
		var refusal *record.Refusal
		if !errors.As(err, &refusal) || refusal.Class != record.Invalid {
			t.Fatalf("%s: %v, want a refusal", what, err)
		}
		for _, w := range words {
			if !containsText(err, w) {
				t.Errorf("%s: %v, want %q in it", what, err, w)
			}
		}
	}
	chains := s.ask.Chains
	s.ask.Chains = [][]byte{make([]byte, bundle.MaxBytes)}
	refused("more than 64 MiB", "larger than 64 MiB", "a shorter time (--from, --until)")
	s.ask.Handles = []event.Handle{s.ada, s.bo}
	refused("more than 64 MiB of two", "fewer customers (--handle)")
	s.ask.Chains = chains
	const room = bundle.MaxBytes / 700
	for _, h := range s.ask.Handles {
		if err := s.ClaimEvents(h, room/2+1); err != nil {
			t.Fatal(err)
		}
	}
	refused("two customers", fmt.Sprintf("have %d events, and a bundle has room for %d", 2*(room/2+1), room), "(--handle)")
	s.ask.Handles = s.ask.Handles[:1]
	if err := s.ClaimEvents(s.ada, room+1); err != nil {
		t.Fatal(err)
	}
	refused("one customer", fmt.Sprintf("has %d events", room+1), "Agree on another way with the authority")
}
