package customers_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/customers"
)

// Whoever asks for an erasure over HTTP is held by the public ledger as the command is: without a
// copy of it nobody is erased, nor while a request waits of which nobody said whom it concerns.
func TestEraseAsksLedger(t *testing.T) {
	r := unlocked(t, customers.Config{}).post("erase", `{"due":true,"dryRun":true}`)
	if kindOf(t, r) != "conflict" || !strings.Contains(r.Body.String(), "--trust") {
		t.Errorf("without a copy of the ledger: %s", r.Body)
	}

	open := []customers.OpenRequest{{Thread: "disclosure/2026-001", Status: "open", Due: record.Date{}}}
	var fails error
	w := unlocked(t, customers.Config{OpenRequests: func(context.Context) ([]customers.OpenRequest, error) { return open, fails }})
	want[customers.Taken](t, w.post("events", strings.ReplaceAll(marsh, "2026", "2019")+"\n"+
		`{"account":"C-1","id":"x1","kind":"closed","time":"2019-01-06T09:00:00Z","content":{"reason":"by the customer","by":"support-1"}}`), http.StatusOK)
	for _, body := range []string{`{"due":true}`, `{"due":true,"dryRun":true}`} {
		r := w.post("erase", body)
		if kindOf(t, r) != "conflict" || !strings.Contains(r.Body.String(), "who is meant by disclosure/2026-001 (open") {
			t.Errorf("%s while a request waits: %s", body, r.Body)
		}
	}
	if got := kindOf(t, w.post("erase", `{"due":true,"despite":["disclosure/2026-009"]}`)); got != "malformed" {
		t.Errorf("despite one that does not wait: %s", got)
	}
	fails = errors.New("the copy is damaged")
	if r := w.post("erase", `{"due":true,"despite":["disclosure/2026-001"]}`); kindOf(t, r) != "conflict" || !strings.Contains(r.Body.String(), "the copy is damaged") {
		t.Errorf("of a copy that cannot be read: %s", r.Body)
	}
	fails = nil
	erased := want[customers.Erased](t, w.post("erase", `{"due":true,"despite":["disclosure/2026-001"]}`), http.StatusOK)
	if len(erased.Customers) != 1 || erased.Customers[0].Detail != "" {
		t.Errorf("despite it: %+v", erased)
	}
}
