package register_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// TestFormerNames: at each size, a list's entity has as former names those that it bore
// below it and does not bear there, and is found by each name as what it is: now, an
// alias, a weak one, a former one, or gone.
func TestFormerNames(t *testing.T) {
	const thread = "designation/ofac-sdn-36"
	names := []string{"AERO", "Aero", "CARIBBEAN", "AERO CARIBBEAN", "Líneas"}
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed, 3))
		b := registertest.NewFixture(start)
		d := b.NewListedDesignation("36", names[0])
		b.Must(b.ImportListed("36", d))
		type state struct {
			size uint64
			name string
			weak map[string]bool // aliases
		}
		states := []state{{b.Register.Size(), names[0], nil}}
		var borne []string
		want := func(i int) (former []string, use map[string]string) {
			now := states[i]
			use = make(map[string]string)
			for _, s := range states[:i+1] {
				for a := range s.weak {
					use[rules1.NameKey(a)] = "gone"
				}
			}
			borne = borne[:0]
			for _, s := range states[:i+1] {
				if s.name != now.name && !slices.Contains(borne, s.name) {
					borne = append(borne, s.name)
				}
			}
			for a, weak := range now.weak {
				if weak && use[rules1.NameKey(a)] != "alias" {
					use[rules1.NameKey(a)] = "weak-alias"
				} else {
					use[rules1.NameKey(a)] = "alias"
				}
			}
			for _, n := range borne {
				if use[rules1.NameKey(n)] != "alias" {
					use[rules1.NameKey(n)] = "former"
				}
			}
			use[rules1.NameKey(now.name)] = "current"
			return slices.Clone(borne), use
		}
		for range 60 {
			last := states[len(states)-1]
			next := state{name: last.name, weak: make(map[string]bool)}
			for a, weak := range last.weak {
				next.weak[a] = weak
			}
			pick := names[rng.IntN(len(names))]
			var a *record.Amendment
			weak, listed := last.weak[pick]
			item := func(name string, weak bool) record.Object {
				o := record.Object{{Name: "name", Value: name}, {Name: "type", Value: "aka"}}
				if weak {
					o = append(o, record.Object{{Name: "weak", Value: true}}...)
				}
				return record.Object{{Name: "target", Value: record.Object{{Name: "alias", Value: []any{o}}}}}
			}
			switch {
			case rng.IntN(2) == 0:
				if pick == last.name {
					continue
				}
				next.name = pick
				a = &record.Amendment{Type: "correction", Reason: "r", Set: setMember("target", setMember("name", pick))}
			case listed:
				delete(next.weak, pick)
				a = &record.Amendment{Type: "alias", Reason: "r", Drop: item(pick, weak)}
			default:
				next.weak[pick] = rng.IntN(2) == 0
				a = &record.Amendment{Type: "alias", Reason: "r", Add: item(pick, next.weak[pick])}
			}
			b.Must(b.ImportListed("36", a))
			next.size = b.Register.Size()
			states = append(states, next)
		}
		for i, s := range states {
			v, err := b.Register.ViewAt(s.size)
			if err != nil {
				t.Fatal(err)
			}
			former, use := want(i)
			d, err := v.Designation(thread, b.Now)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(former)
			if got := slices.Sorted(slices.Values(d.FormerName)); !slices.Equal(got, former) {
				t.Fatalf("seed %d, size %d: former names %q, want %q", seed, s.size, got, former)
			}
			for key, want := range use {
				found, err := v.Identifier("name", key, b.Now)
				if err != nil {
					t.Fatal(err)
				}
				if len(found.Matches) != 1 || found.Matches[0].Use != want {
					t.Fatalf("seed %d, size %d: %q is found as %+v, want %s", seed, s.size, key, fmt.Sprint(found.Matches), want)
				}
			}
		}
	}
}
