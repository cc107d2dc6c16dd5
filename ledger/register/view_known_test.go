package register_test

import (
	"errors"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/register"
)

// What was knowable goes by what had been cosigned, where anybody says that: an entry
// is not knowable for having been admitted, and is for having been cosigned, whatever
// its admission time says. In force at T stays what it is.
func TestKnowableByQuorum(t *testing.T) {
	b := sampleLedger(t, nil)
	v := latestView(t, b)
	first, err := v.Designation("2026-014", b.Now)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := v.Record(first.Opened)
	if err != nil {
		t.Fatal(err)
	}
	index, at := opened.Index, opened.Admitted
	enrolled, err := v.Head("party/cirrus-hosting")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		at       time.Time
		says     register.Knowable
		size     uint64 // that was knowable, and whether by quorum
		proven   bool
		knowable register.Status
		standing string // of the party enrolled later
	}{
		"admitted, not cosigned":        {at.Add(time.Hour), register.Knowable{Size: index, Cosigned: at}, index, true, register.StatusNone, "none"},
		"cosigned":                      {at.Add(time.Hour), register.Knowable{Size: index + 1, Cosigned: at}, index + 1, true, register.StatusAnnounced, "none"},
		"cosigned by a clock behind":    {at.Add(-time.Minute), register.Knowable{Size: index + 1, Cosigned: at.Add(-time.Minute)}, index + 1, true, register.StatusAnnounced, "none"},
		"a party by a clock behind":     {enrolled.Admitted.Add(-time.Minute), register.Knowable{Size: enrolled.Index + 1, Cosigned: at}, enrolled.Index + 1, true, register.StatusSuspended, "active"},
		"nobody says":                   {at.Add(time.Hour), register.Knowable{Size: v.Size()}, index + 3, false, register.StatusAnnounced, "none"},
		"nobody says more than a bound": {at.Add(time.Hour), register.Knowable{Size: index}, index, false, register.StatusNone, "none"},
		"more than the view has":        {b.Now, register.Knowable{Size: v.Size() + 9, Cosigned: b.Now}, v.Size(), true, register.StatusSuspended, "active"},
	} {
		by := v.WithCheckpointTimes(func(asked time.Time) (register.Knowable, error) {
			if !asked.Equal(c.at) {
				t.Errorf("%s: asked of %s, want %s", name, asked, c.at)
			}
			return c.says, nil
		})
		d, err := by.Designation("2026-014", c.at)
		if err != nil {
			t.Fatal(err)
		}
		want := register.Knowable{Size: c.size}
		if c.proven {
			want.Cosigned = c.says.Cosigned
		}
		if d.KnowableBy != want || d.Knowable != c.knowable {
			t.Errorf("%s: knowable %s by %v, want %s by %v", name, d.Knowable, d.KnowableBy, c.knowable, want)
		}
		without, err := v.Designation("2026-014", c.at)
		if err != nil {
			t.Fatal(err)
		}
		if d.Status != without.Status {
			t.Errorf("%s: in force %s, without witnesses %s", name, d.Status, without.Status)
		}
		p, err := by.Party("cirrus-hosting", c.at)
		if err != nil {
			t.Fatal(err)
		}
		if p.Knowable != c.standing || p.KnowableBy != want {
			t.Errorf("%s: the party's standing is knowable as %s by %v, want %s", name, p.Knowable, p.KnowableBy, c.standing)
		}
	}
	broken := errors.New("broken")
	if _, err := v.WithCheckpointTimes(func(time.Time) (register.Knowable, error) { return register.Knowable{}, broken }).Designation("2026-014", b.Now); !errors.Is(err, broken) {
		t.Errorf("asking failed: %v", err)
	}
}
