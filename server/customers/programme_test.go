package customers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/customers"
)

// Each content of the programme that is used is logged once, and an altered one says what it
// altered, across another unlocking too.
func TestProgrammeIsLogged(t *testing.T) {
	from := record.DateOf(time.Now(), time.UTC).AddDays(-30)
	text := programme.Template("acme", from)
	w := unlocked(t, customers.Config{Programme: func() (*programme.History, error) {
		p, err := programme.Parse([]byte(text))
		if err != nil {
			return nil, err
		}
		return programme.NewHistory(p)
	}})
	acts := func() (all []string) {
		t.Helper()
		for _, e := range want[customers.Shown](t, w.post("house", `{"limit":1000}`), http.StatusOK).Events {
			if e.Kind == "programme" {
				all = append(all, string(e.Content))
			}
		}
		return all
	}
	if got := acts(); len(got) != 1 || !strings.Contains(got[0], `"from":"`+from.String()+`"`) || !strings.Contains(got[0], `"digest":"`) {
		t.Fatalf("after unlocking: %s", got)
	}
	for range 2 {
		want[programme.Page](t, w.post("queue", `{}`), http.StatusOK)
	}
	if got := acts(); len(got) != 1 {
		t.Fatalf("the same content is logged again: %s", got)
	}
	text += "# and a word more\n"
	want[programme.Page](t, w.post("queue", `{}`), http.StatusOK)
	got := acts()
	if len(got) != 2 || !strings.Contains(got[0], "altered while it was in force") || !strings.Contains(got[0], "not the content of before") {
		t.Fatalf("altered: %s", got)
	}
	if err := w.Lock(t.Context(), private.Who{By: "owner"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Unlock(t.Context(), private.Who{By: "owner"}, w.id); err != nil {
		t.Fatal(err)
	}
	if got := acts(); len(got) != 2 {
		t.Fatalf("after another unlocking: %s", got)
	}
}
