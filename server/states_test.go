package server

import (
	"slices"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/web"
)

// No state stands on a page that the page cannot explain, and none is explained that is not there.
func TestEveryStateIsExplained(t *testing.T) {
	want := map[string][]string{"designation": nil, "duty": nil, "request": nil}
	for _, s := range view.Statuses {
		if s != view.StatusNone {
			want["designation"] = append(want["designation"], string(s))
		}
	}
	for _, s := range view.DutyStates {
		want["duty"] = append(want["duty"], string(s))
	}
	for _, s := range view.RequestStatuses {
		want["request"] = append(want["request"], string(s))
	}
	if len(stateMeanings) != len(want) {
		t.Errorf("%d families of states are explained, want %d", len(stateMeanings), len(want))
	}
	for of, states := range want {
		var got []string
		for _, m := range stateMeanings[of] {
			if got = append(got, m.State); m.Means == "" {
				t.Errorf("%s %s means nothing", of, m.State)
			}
		}
		slices.Sort(got)
		slices.Sort(states)
		if !slices.Equal(got, states) {
			t.Errorf("of a %s the states %v are explained, want %v", of, got, states)
		}
	}
	w := sampleWorld(t)
	for _, path := range []string{"/designations", "/how-to-verify"} {
		w.wantOnPage(path, "What the states mean", "announced it is recorded, and its first day is still to come")
	}
}

// A number has its noun, also where a page has only a pointer to it.
func TestCountOf(t *testing.T) {
	two := 2
	for _, c := range []struct {
		n          any
		noun, want string
	}{{1, "day", "1 day"}, {&two, "day", "2 days"}, {uint64(3), "entry", "3 entries"}, {0, "record", "0 records"}, {int64(2), "party", "2 parties"}} {
		if got := web.Count(c.n, c.noun); got != c.want {
			t.Errorf("web.Count(%v, %q) is %q, want %q", c.n, c.noun, got, c.want)
		}
	}
}
