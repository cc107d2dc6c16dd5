package register_test

import (
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

var start = time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)

func TestStory(t *testing.T) {
	b := registertest.NewBook(start, "acme-cloud")
	b.Must(b.Designate("2026-014", b.Order("Kestrel Hosting")))
	b.Must(b.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged"}))
	b.Must(b.Import("36", b.Listed("36", "AEROCARIBBEAN AIRLINES")))
	if got := b.Register.Size(); got != 6 {
		t.Fatalf("size %d, want 6", got)
	}
}
