package view_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// A key is that of the auditor who named it first, with what that says of it last; by naming
// another it takes that one back, which is nobody else's even so; each assessment is read once.
func TestAuditorKeys(t *testing.T) {
	b := registertest.NewFixture(time.Date(2027, 1, 4, 12, 0, 0, 0, time.UTC), "acme-cloud")
	t.Cleanup(func() { b.Register.Close() })
	b.Must(b.Auditor("vigil"))
	b.Must(b.Auditor("north"))
	vkeys := make([]string, 3)
	for i := range vkeys {
		_, vkey, err := proof.GenerateKey(proof.MLDSA44, fmt.Sprintf("k%d.example", i))
		if err != nil {
			t.Fatal(err)
		}
		vkeys[i] = vkey
	}
	number := 0
	assess := func(issuer, vkey, statement string) {
		number++
		a := b.NewAssessment("acme-cloud")
		a.VKey, a.Statement = vkey, statement
		b.Must(b.Sign(b.Statement(record.AssessmentThread(fmt.Sprint(number), issuer), issuer, a), issuer+"/lead"))
	}
	var read []uint64
	entry := func(index uint64) ([]byte, error) {
		read = append(read, index)
		return b.Entries[index].Marshal(), nil
	}
	var list view.AuditorKeyList
	want := func(keys ...string) {
		t.Helper()
		if err := list.Extend(latestView(t, b), entry); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, k := range list.Keys {
			got = append(got, k.Party+" "+k.VKey+" "+k.Statement)
		}
		wantLines(t, "keys", got, keys...)
	}
	want()
	assess("vigil", "", "")
	assess("vigil", vkeys[0], "judged")
	assess("north", vkeys[0], "lies")
	want("vigil " + vkeys[0] + " judged")
	assess("vigil", vkeys[0], "judged all")
	want("vigil " + vkeys[0] + " judged all")
	assess("north", vkeys[1], "judged")
	want("vigil "+vkeys[0]+" judged all", "north "+vkeys[1]+" judged")
	assess("vigil", vkeys[2], "judged")
	assess("vigil", "", "")
	assess("north", vkeys[0], "lies")
	want("north "+vkeys[1]+" judged", "vigil "+vkeys[2]+" judged")
	assess("vigil", vkeys[0], "judged again")
	want("north "+vkeys[1]+" judged", "vigil "+vkeys[0]+" judged again")
	if len(read) != number {
		t.Errorf("%d assessments, read %d times", number, len(read))
	}
}
