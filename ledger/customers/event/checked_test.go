package event_test

import (
	"bytes"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
)

// However an input is written, its event has the leaf and the plaintext of its content in its one way.
func TestChecked(t *testing.T) {
	for _, raw := range []string{
		`{"account":"a","id":"1","kind":"access","time":"2027-01-04T09:30:12.25Z","content":{"ip":"192.0.2.7","action":"login"}}`,
		`{"time":"2027-01-04T09:30:12.25Z","content":{"action":"login","port":443,"ip":"::ffff:192.0.2.7","agent":"a\u0062"},"account":"a","id":"1","kind":"access"}`,
		`{"account":"a","id":"1","kind":"opened","time":"2027-01-04T09:30:12.25Z","content":{"type":"person","name":"Ada Reed","ip":["2001:DB8:0::1"],"owners":[]}}`,
		`{"account":"a","id":"1","kind":"opened","time":"2027-01-04T09:30:12.25Z","content":{"type":"person","name":"Ada Reed","email":["ada@mail.example"]}}`,
	} {
		c, faults := event.ParseChecked([]byte(raw))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		p := testScope.PrepareInput(event.NewHandle(), c)
		p.Logged, p.Number, p.Before = p.Time, 3, 17
		if got, want := p.Leaf(), testScope.Leaf(p.Event); !bytes.Equal(got, want) {
			t.Errorf("%s: leaf %s, want %s", raw, got, want)
		}
		if got, want := p.Append(nil), p.Event.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("%s: plaintext %q, want %q", raw, got, want)
		}
	}
	if _, faults := event.ParseChecked([]byte(`{"account":"a","id":"1","kind":"access","time":"2027-01-04T09:30:12Z","content":{"ip":"nowhere","action":"login"}}`)); len(faults) != 1 {
		t.Errorf("faults %v, want one", faults)
	}
}
