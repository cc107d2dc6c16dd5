package customers_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
)

// A provider who has every key lies about their own log. Whoever replays it with the
// plaintexts finds each lie.
func TestAuditFindsLies(t *testing.T) {
	for name, tt := range map[string]struct {
		lie  func(t *testing.T, n *node, h event.Handle) error
		want string // in one of the problems
	}{
		"nothing": {func(*testing.T, *node, event.Handle) error { return nil }, ""},
		"an event dropped in the middle of a chain": {func(t *testing.T, n *node, h event.Handle) error {
			err := n.ForgetEvents(t.Context(), h, 2)
			n.add(t, access("a-1", 9, "192.0.2.9"))
			return err
		}, "want event 3, after leaf 4"},
		"an event dropped at the end of a chain": {func(t *testing.T, n *node, h event.Handle) error {
			return n.ForgetEvents(t.Context(), h, 2)
		}, "the map leaves something out"},
		"an event that is called padding": {func(_ *testing.T, n *node, _ event.Handle) error { return n.DropRow(2) }, "leaf 2: it is no padding"},
		"events that change their places": {func(_ *testing.T, n *node, _ event.Handle) error { return n.SwapRows(1, 2) }, "leaf 1: "},
		"an event that was logged earlier": {func(t *testing.T, n *node, _ event.Handle) error {
			err := n.BackDate(t.Context(), time.Hour)
			n.add(t, access("a-1", 9, "192.0.2.9"))
			return err
		}, "it was back-dated"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			n := w.mustOpen(t)
			defer n.close()
			h := n.add(t, opened("a-1", "Ada Reed"), opened("b-2", "Bo"), access("b-2", 1, "192.0.2.7"), access("a-1", 1, "192.0.2.7"), access("a-1", 2, "192.0.2.7"))[0].Handle
			if err := n.ForgetEvents(t.Context(), h, 3); err != nil { // which it has: no lie yet
				t.Fatal(err)
			}
			if err := tt.lie(t, n, h); err != nil {
				t.Fatal(err)
			}
			if _, err := n.ClosePeriod(t.Context(), day(-1)); err != nil {
				t.Fatal(err)
			}
			r, err := n.Audit(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(r.Problems, "\n")
			if (all == "") != (tt.want == "") || !strings.Contains(all, tt.want) {
				t.Errorf("problems:\n%s\nwant one that says %q", all, tt.want)
			}
		})
	}
}
