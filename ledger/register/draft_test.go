package register_test

import (
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// A ledger that never rests judges each batch on top of one that is not advanced yet: a
// draft reads through that one alone, however many came before.
func TestStackedDraftsDoNotAccumulate(t *testing.T) {
	b := registertest.NewFixture(start, "acme-cloud")
	b.Must(b.Designate("1", b.NewDesignation("Kestrel")))
	var below *register.Draft
	root := b.Root
	for i := range 20 {
		env := b.Respond("1", "acme-cloud", &record.Response{Status: []string{"acknowledged", "licensed"}[i%2]})
		v, err := record.Open(env, b.Register.CandidateKeys)
		if err != nil {
			t.Fatal(err)
		}
		d := b.Register.Begin(b.Now)
		if below != nil {
			d = below.Next(b.Now)
		}
		e, err := d.Judge(v)
		if err != nil {
			t.Fatal(err)
		}
		b.NoteAdmitted(env)
		if n := d.PendingDrafts(); n > 1 {
			t.Fatalf("draft %d reads through %d others, of which one is not advanced", i, n)
		}
		if below != nil {
			if err := b.Register.Advance(below, root); err != nil {
				t.Fatal(err)
			}
		}
		below, root = d, registertest.NextRoot(root, e)
	}
	if err := b.Register.Advance(below, root); err != nil {
		t.Fatal(err)
	}
	if got := b.Register.Size(); got != 24 {
		t.Errorf("size %d, want 24", got)
	}
}
