package event_test

import (
	"slices"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// TestRemembered: a state keeps of verifications and changes what dates are computed from,
// and stays small however many come, in whatever order they are logged.
func TestRemembered(t *testing.T) {
	start := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	verify := func(method, outcome string) event.Content {
		return &event.Verified{Method: method, Outcome: outcome, By: "compliance-1", Document: &event.IdentityDocument{Kind: "passport"}}
	}
	rename := &event.Changed{Set: schema.ObjectOf("name", "Ada Rush")}
	type step struct {
		day     int
		content event.Content
	}
	for _, tt := range []struct {
		name                   string
		steps                  []step
		verifications, changes []int // the days that are kept
	}{
		{"the first and the newest that failed", []step{{1, verify("other", "unverifiable")}, {2, verify("other", "unverifiable")}, {3, verify("documentary", "unverifiable")}}, []int{1, 3}, nil},
		{"none that failed before one that succeeded", []step{{1, verify("other", "unverifiable")}, {3, verify("other", "verified")}, {2, verify("other", "unverifiable")}, {4, verify("other", "unverifiable")}}, []int{3, 4}, nil},
		{"the first and the newest that succeeded, of each method", []step{{1, verify("other", "verified")}, {2, verify("documentary", "verified")}, {3, verify("other", "verified")}, {4, verify("other", "verified")}}, []int{1, 2, 4}, nil},
		{"logged late", []step{{1, verify("other", "verified")}, {4, verify("other", "verified")}, {3, verify("other", "verified")}}, []int{1, 4}, nil},
		{"the first and the newest change", []step{{1, rename}, {2, rename}, {3, rename}}, nil, []int{1, 3}},
		{"the first change after a verification", []step{{1, rename}, {2, verify("other", "verified")}, {3, rename}, {4, rename}, {5, rename}}, []int{2}, []int{1, 3, 5}},
		{"and of each method", []step{{1, rename}, {2, verify("other", "verified")}, {3, rename}, {4, verify("documentary", "verified")}, {5, rename}, {6, rename}}, []int{2, 4}, []int{1, 3, 5, 6}},
		{"a change logged late", []step{{2, verify("other", "verified")}, {6, rename}, {5, rename}, {4, rename}}, []int{2}, []int{4, 6}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := live(t, opened)
			if err != nil {
				t.Fatal(err)
			}
			for i, st := range tt.steps {
				e := &event.Event{Header: event.Header{Handle: testHandle, Kind: st.content.Kind(), Time: day(st.day), Logged: day(100), Number: s.Leaves, Before: s.Last}, Content: st.content}
				if s, err = s.Apply(e, uint64(1000+i)); err != nil {
					t.Fatal(err)
				}
			}
			var verified, changed []int
			for _, v := range s.Verifications {
				verified = append(verified, int(v.At.Sub(start).Hours()/24))
			}
			for _, c := range s.Changes["name"] {
				changed = append(changed, int(c.Sub(start).Hours()/24))
			}
			if !slices.Equal(verified, tt.verifications) || !slices.Equal(changed, tt.changes) {
				t.Errorf("verifications of days %v, changes of days %v; want %v and %v", verified, changed, tt.verifications, tt.changes)
			}
		})
	}

	s, err := live(t, opened)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		c := []event.Content{rename, verify([]string{"documentary", "non-documentary", "other"}[i%3], "verified"), verify("other", "unverifiable")}[i*7%3]
		at := day(i * 37 % 300)
		if s, err = s.Apply(&event.Event{Header: event.Header{Handle: testHandle, Kind: c.Kind(), Time: at, Logged: day(400), Number: s.Leaves, Before: s.Last}, Content: c}, uint64(1000+i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.Verifications) > 8 || len(s.Changes["name"]) > 10 {
		t.Errorf("%d verifications and %d changes are kept", len(s.Verifications), len(s.Changes["name"]))
	}
}

// TestFlaggedAgain: a hit that nobody has looked at keeps its first day; one that was
// decided, and hits again, has another.
func TestFlaggedAgain(t *testing.T) {
	s, err := live(t, opened)
	if err != nil {
		t.Fatal(err)
	}
	hit := &event.Flagged{What: "hit", Thread: "designation/2026-014", Matched: "/name", Outcome: "open"}
	decision := &event.Flagged{What: "decision", Thread: "designation/2026-014", Matched: "/name", Outcome: "false-positive", By: "compliance-1", Reason: "another"}
	for i, c := range []event.Content{hit, hit, decision, hit} {
		at := testTime.AddDate(0, 0, i)
		if s, err = s.Apply(&event.Event{Header: event.Header{Handle: testHandle, Kind: event.KindFlagged, Time: at, Logged: at, Number: s.Leaves, Before: s.Last}, Content: c}, uint64(1000+i)); err != nil {
			t.Fatal(err)
		}
		want := testTime
		if i == 3 {
			want = at
		}
		if len(s.Flags) != 1 || !s.Flags[0].At.Equal(want) {
			t.Fatalf("after %d: %+v", i, s.Flags)
		}
	}
}
