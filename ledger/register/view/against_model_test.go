package view_test

import (
	"flag"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

var modelSeeds = flag.Uint64("model.seeds", 8, "random histories that the register and the model are compared over")

// TestRegisterAgainstModel: of random records of every kind, most of them signed as they
// should be and many against the rules, the register admits those that the model admits, and
// refuses the others for a reason of the model's class; and both answer alike what is asked
// as of any size, at any later time.
func TestRegisterAgainstModel(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine, and long: run without -short")
	}
	seeds, steps := *modelSeeds, 250
	admitted, refused := make(map[record.Kind]int), make(map[record.Kind]int)
	lines := 0
	for seed := range seeds {
		a := registertest.NewAuthor(start, 1000+seed)
		m := newModel(t, a.Fixture)
		for range steps {
			st, keys := a.Propose()
			if st == nil {
				continue
			}
			if env := a.Sign(st, keys...); m.agree(t, a.Fixture, env) {
				a.Admit(st, env)
				admitted[st.Kind]++
			} else {
				refused[st.Kind]++
			}
		}
		for range 12 {
			lines += compared{m, a.Register, a.Rand}.agreeOnAnswers(t)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("admitted %v, refused %v, compared %d lines of answers", admitted, refused, lines)
	for _, kind := range record.Kinds() {
		if admitted[kind] == 0 || refused[kind] == 0 {
			t.Errorf("of %s, %d were admitted and %d refused: the histories are too dull", kind, admitted[kind], refused[kind])
		}
	}
}

// newModel is the model of what a fixture has admitted so far.
func newModel(t *testing.T, b *registertest.Fixture) *model {
	t.Helper()
	m := new(model)
	for _, e := range b.Entries {
		st, err := record.ParseStatement(e.Envelope.Payload)
		if err != nil {
			t.Fatal(err)
		}
		m.add(st, e.Envelope, e.Admitted)
	}
	return m
}
