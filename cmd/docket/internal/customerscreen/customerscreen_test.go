package customerscreen_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/customerscreen"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/screening"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/screen"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

var start = time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)

// world is a register with a designated company and a designated jurisdiction.
type world struct {
	*registertest.Fixture
	t testing.TB
}

func newWorld(t testing.TB) *world {
	w := &world{registertest.NewFixture(start, "acme-cloud"), t}
	t.Cleanup(func() { w.Register.Close() })
	kestrel := w.NewDesignation("Kestrel Hosting FZ-LLC")
	kestrel.Target.LEI = "9999DOCKETDEMO000118"
	w.Must(w.Designate("2026-014", kestrel))
	kestria := w.NewDesignation("Kestria")
	kestria.Measure, kestria.Findings = "jurisdiction", []string{"no-mutual-legal-assistance"}
	kestria.Target = record.Target{Schema: "Jurisdiction", Name: "Kestria", Country: "XK"}
	w.Must(w.Designate("2026-015", kestria))
	return w
}

func (w *world) screener() *screening.Screener {
	w.t.Helper()
	v, err := view.Latest(w.Register)
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := screening.NewDesignations(v, start.AddDate(0, 0, 1), screening.InEffect)
	if err != nil {
		w.t.Fatal(err)
	}
	return &screening.Screener{Designations: d, Threshold: screen.Threshold}
}

// amend makes a newer record on a designation's thread.
func (w *world) amend(name string) {
	w.t.Helper()
	p := &record.Amendment{Type: "correction", Reason: "Misprint.", Set: schema.ObjectOf("program", []any{"CIP"})}
	w.Must(w.Sign(w.Statement(record.DesignationThread(name), record.Authority, p), "authority/officer-1", "authority/officer-2"))
}

// customer is a log of one customer, which takes an event once.
type customer struct {
	t     testing.TB
	state event.State
	ids   map[string]bool
}

func newCustomer(t testing.TB, c event.Opened) *customer {
	c.Account, c.Type = "acct-1", "entity"
	log := &customer{t: t, ids: make(map[string]bool)}
	log.take(event.Input{Account: c.Account, ID: "1", Kind: event.KindOpened, Time: start, Content: &c})
	return log
}

// take appends what is new, and says how many events that was.
func (c *customer) take(inputs ...event.Input) (taken int) {
	c.t.Helper()
	for _, in := range inputs {
		if faults := in.Check(); faults != nil {
			c.t.Fatalf("%s: %v", in.Append(nil), faults)
		}
		if c.ids[in.ID] {
			continue
		}
		e := &event.Event{Header: event.Header{Kind: in.Kind, Handle: event.Handle{1}, Time: in.Time, Logged: in.Time, Number: c.state.Leaves, Before: c.state.Last}, ID: in.ID, Content: in.Content}
		next, err := c.state.Apply(e, c.state.Leaves+c.state.Last+1)
		if err != nil {
			c.t.Fatal(err)
		}
		c.state, c.ids[in.ID] = next, true
		taken++
	}
	return taken
}

func (c *customer) change(number int, members ...any) {
	c.t.Helper()
	c.take(event.Input{Account: "acct-1", ID: fmt.Sprintf("c%d", number), Kind: event.KindChanged, Time: start.Add(time.Hour), Content: &event.Changed{Set: schema.ObjectOf(members...)}})
}

func (c *customer) open() (flags []string) {
	for _, f := range c.state.Flags {
		if f.Outcome == "open" {
			flags = append(flags, f.Thread+f.Matched)
		}
	}
	slices.Sort(flags)
	return flags
}

func TestHits(t *testing.T) {
	s := newWorld(t).screener()
	for _, tt := range []struct {
		name string
		of   event.Opened
		want string // designation, pointer, score
	}{
		{"nobody", event.Opened{Name: "Ana Reed", Country: "XA"}, ""},
		{"by name", event.Opened{Name: "Kestrel Hosting", Country: "XB"}, "designation/2026-014/name scored"},
		{"by LEI", event.Opened{Name: "Somebody", LEI: "9999DOCKETDEMO000118"}, "designation/2026-014/name scored"},
		{"by country", event.Opened{Name: "Ana Reed", Country: "XK"}, "designation/2026-015/country"},
		{"by name and country", event.Opened{Name: "Kestrel Hosting", Country: "XK"}, "designation/2026-014/name scored; designation/2026-015/country"},
		{"by an owner", event.Opened{Name: "Marsh Lantern", Owners: []event.Owner{{Name: "Ana Reed"}, {Name: "Kestrel Hosting FZ-LLC"}}}, "designation/2026-014/owners/1/name scored"},
		{"by an owner's country", event.Opened{Name: "Marsh Lantern", Owners: []event.Owner{{Name: "Ana Reed", Country: "XK"}}}, "designation/2026-015/owners/0/country"},
		{"by an owner's address", event.Opened{Name: "Marsh Lantern", Owners: []event.Owner{{Name: "Ana Reed", Country: "XA", Address: &event.Address{Full: "1 Quay", Country: "XK"}}}}, "designation/2026-015/owners/0/address/country"},
		{"by an address", event.Opened{Name: "Marsh Lantern", Country: "XA", Address: &event.Address{Full: "1 Quay", Country: "XK"}}, "designation/2026-015/address/country"},
		{"by a place of business, once", event.Opened{Name: "Marsh Lantern", Country: "XK", Address: &event.Address{Full: "1 Quay", Country: "XK"}, BusinessPlace: &event.Address{Full: "2 Quay", Country: "XK"}}, "designation/2026-015/country"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCustomer(t, tt.of)
			var got []string
			for _, in := range customerscreen.Hits(&c.state, s, start) {
				f := in.Content.(*event.Flagged)
				text := f.Thread + f.Matched
				if f.Score != nil && *f.Score >= 700 && *f.Score < 1000 {
					text += " scored"
				}
				got = append(got, text)
				if f.Record.IsZero() || f.Outcome != "open" || in.Account != "acct-1" {
					t.Errorf("%s", in.Append(nil))
				}
			}
			if got := strings.Join(got, "; "); got != tt.want {
				t.Errorf("hits: %q, want %q", got, tt.want)
			}
		})
	}
}

// TestScreenedAgain: again adds nothing; a decision stands until the designation or what was
// compared is another.
func TestScreenedAgain(t *testing.T) {
	w := newWorld(t)
	c := newCustomer(t, event.Opened{Name: "Kestrel Hosting", Country: "XA", Owners: []event.Owner{{Name: "Ana Reed", Country: "XK"}}})
	again := func(later time.Duration) int {
		return c.take(customerscreen.Hits(&c.state, w.screener(), start.Add(later))...)
	}
	if n := again(time.Hour); n != 2 {
		t.Fatalf("%d hits, want 2", n)
	}
	if n := again(2 * time.Hour); n != 0 {
		t.Fatalf("again: %d hits, want none", n)
	}
	for _, f := range c.state.Flags {
		d, faults := customerscreen.Decide(&c.state, f, "false-positive", "compliance-1", "another company", start.Add(3*time.Hour))
		if faults != nil || c.take(d) != 1 || c.take(d) != 0 {
			t.Fatalf("a decision about %s: %v", f.Thread, faults)
		}
	}
	if open := c.open(); open != nil {
		t.Fatalf("decided, and open: %v", open)
	}
	if n := again(4 * time.Hour); n != 0 || c.open() != nil {
		t.Fatalf("decided: %d hits come back, open are %v", n, c.open())
	}
	c.change(1, "email", []any{"desk@kestrel.example"})
	if n := again(5 * time.Hour); n != 0 {
		t.Fatalf("an element that is not compared: %d hits come back", n)
	}
	w.amend("2026-014")
	if n := again(6 * time.Hour); n != 1 || !slices.Equal(c.open(), []string{"designation/2026-014/name"}) {
		t.Fatalf("a newer record of the designation: %d hits, open are %v", n, c.open())
	}
	d, _ := customerscreen.Decide(&c.state, c.state.Flags[0], "false-positive", "compliance-1", "another company", start.Add(7*time.Hour))
	if c.take(d) != 1 || c.open() != nil {
		t.Fatal("the same decision about the new hit is taken for the old one")
	}
	c.change(2, "country", "XC")
	if n := again(8 * time.Hour); n != 1 || !slices.Equal(c.open(), []string{"designation/2026-014/name"}) {
		t.Fatalf("another country of the customer: %d hits, open are %v", n, c.open())
	}
	d, _ = customerscreen.Decide(&c.state, c.state.Flags[0], "false-positive", "compliance-1", "another company", start.Add(9*time.Hour))
	c.take(d)
	c.change(4, "name", "Marsh Lantern")
	if n := again(9 * time.Hour); n != 1 || !slices.Equal(c.open(), []string{"designation/2026-014/name"}) {
		t.Fatalf("another name, and the former one that hits: %d hits, open are %v", n, c.open())
	}
	// An owner who was compared is the same, wherever he stands among them.
	c.change(3, "owners", []any{schema.ObjectOf("name", "Per Reed"), schema.ObjectOf("name", "Ana Reed", "country", "XK")})
	if n := again(9 * time.Hour); n != 0 {
		t.Fatalf("an owner more: %d hits come back", n)
	}
}

func TestDecideRefuses(t *testing.T) {
	c := newCustomer(t, event.Opened{Name: "Kestrel Hosting"})
	c.take(customerscreen.Hits(&c.state, newWorld(t).screener(), start)...)
	for want, d := range map[string][3]string{
		"/content/outcome": {"perhaps", "compliance-1", "looked"}, "/content/by": {"false-positive", "", "looked"}, "/content/reason": {"true-match", "compliance-1", ""},
	} {
		if _, faults := customerscreen.Decide(&c.state, c.state.Flags[0], d[0], d[1], d[2], start); len(faults) == 0 || faults[0].Pointer != want {
			t.Errorf("%q: %v, want a fault of %s", d, faults, want)
		}
	}
}
