package customers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/customers"
)

// The queue is kept from one page to the next, and is what a look at all customers gives,
// whatever happened between.
func TestQueueKeepsUp(t *testing.T) {
	today := record.DateOf(time.Now(), time.UTC)
	rules := check[*programme.Programme](t)(programme.Parse([]byte(programme.Template("acme", today.AddDays(-400)))))
	stricter := check[*programme.Programme](t)(programme.Parse([]byte(programme.Template("acme", today.AddDays(-1)))))
	history := check[*programme.History](t)(programme.NewHistory(rules))
	w := unlocked(t, customers.Config{
		Programme: func() (*programme.History, error) { return history, nil },
	})
	same := func(after string) int {
		t.Helper()
		whole, err := history.Queue(func(yield func(*event.State, error) bool) {
			if err := w.log.Each(t.Context(), event.Act{}, func(st event.State) error { yield(&st, nil); return nil }); err != nil {
				yield(nil, err)
			}
		}, programme.Ask{Day: today, Zone: time.UTC, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		got := want[programme.Page](t, w.post("queue", `{"limit":1000}`), http.StatusOK)
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(whole)
		if string(a) != string(b) {
			t.Errorf("after %s the queue is\n%s\nand by all customers\n%s", after, a, b)
		}
		return got.Due
	}
	account, id := 0, 0
	add := func(text string, args ...any) {
		t.Helper()
		id++
		want[customers.Taken](t, w.post("events", fmt.Sprintf(`{"id":"e%d",%s}`, id, fmt.Sprintf(text, args...))), http.StatusOK)
	}
	open := func() {
		account++
		add(`"account":"C-%d","kind":"opened","time":"2026-01-04T09:00:00Z","content":{"type":"person","name":"Ilse Marsh","country":"XB"}`, account)
	}
	same("nothing")
	open()
	open()
	before := same("two were opened")
	if before == 0 {
		t.Fatal("nothing is due of whom nobody verified")
	}
	const verified = `"account":"C-%d","kind":"verified","time":"2026-01-05T09:00:00Z","content":{"method":"documentary","outcome":"verified","document":{"kind":"passport"},"by":"compliance-1"}`
	add(verified, 1)
	if n := same("one was verified"); n >= before {
		t.Errorf("%d are due after it, and %d before", n, before)
	}
	add(`"account":"C-1","kind":"access","time":"2026-01-06T09:00:00Z","content":{"ip":"192.0.2.7","action":"login"}`)
	same("an access")
	history = check[*programme.History](t)(programme.NewHistory(rules, stricter))
	same("another version of the programme")
	add(`"account":"C-2","kind":"closed","time":"2019-01-06T09:00:00Z","content":{"reason":"by the customer","by":"support-1"}`)
	same("one was closed")
	if err := w.Lock(t.Context(), private.Who{By: "owner"}); err != nil {
		t.Fatal(err)
	}
	if got := kindOf(t, w.post("queue", "{}")); got != "locked" {
		t.Errorf("of a locked vault: %s", got)
	}
	if err := w.Unlock(t.Context(), private.Who{By: "owner"}, w.id); err != nil {
		t.Fatal(err)
	}
	open()
	same("it was locked")
}

// BenchmarkQueue is pages of the queue, of 20,000 customers who are in order but for twenty.
func BenchmarkQueue(b *testing.B) {
	rules := check[*programme.Programme](b)(programme.Parse([]byte(programme.Template("acme", record.DateOf(time.Now(), time.UTC).AddDays(-400)))))
	history := check[*programme.History](b)(programme.NewHistory(rules))
	w := unlocked(b, customers.Config{Programme: func() (*programme.History, error) { return history, nil }, Rate: customers.Rate{PerSecond: -1}})
	for at := range 40 {
		var lines strings.Builder
		for i := range 500 {
			fmt.Fprintf(&lines, `{"account":"C-%d-%d","id":"o","kind":"opened","time":"2026-01-04T09:00:00Z","content":{"type":"person","name":"Ilse Marsh","foreign":%t}}`+"\n", at, i, at == 0 && i < 20)
		}
		want[customers.Taken](b, w.post("events", lines.String()), http.StatusOK)
	}
	began := time.Now()
	want[programme.Page](b, w.post("queue", `{}`), http.StatusOK)
	first := time.Since(began)
	for i := 0; b.Loop(); i++ {
		want[customers.Taken](b, w.post("events", fmt.Sprintf(`{"account":"C-7-7","id":"a%d","kind":"access","time":"2026-01-05T09:00:00Z","content":{"ip":"192.0.2.7","action":"login"}}`, i)), http.StatusOK)
		want[programme.Page](b, w.post("queue", `{}`), http.StatusOK)
	}
	b.ReportMetric(float64(first.Microseconds())/1000, "ms/first")
}
