package customers_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/server/customers"
)

// Of a batch, the good events are taken, and each of the others says what is wrong with it:
// sent again, mended, nothing is there twice.
func TestBatch(t *testing.T) {
	w := unlocked(t, customers.Config{})
	bad := `{"account":"C-1","id":"a2","kind":"access","time":"2026-01-05T09:00:00Z","content":{"ip":"nowhere","action":"login"}}`
	p := want[customers.Problem](t, w.post("events", marsh+"\n"+bad+"\n{not JSON\n"+login+"\n"), http.StatusUnprocessableEntity)
	if len(p.Events) != 4 || p.Events[0].Index == nil || p.Events[3].Index == nil {
		t.Fatalf("%+v: want the first and the last taken", p.Events)
	}
	if f := p.Events[1].Faults; len(f) != 1 || f[0].Pointer != "/content/ip" {
		t.Errorf("%+v: want a fault at /content/ip", p.Events[1])
	}
	if p.Events[2].Problem != "invalid" {
		t.Errorf("%+v: want invalid", p.Events[2])
	}
	again := want[customers.Taken](t, w.post("events", marsh+"\n"+strings.Replace(bad, "nowhere", "192.0.2.8", 1)+"\n"+login), http.StatusOK)
	for i, duplicate := range []bool{true, false, true} {
		if again.Events[i].Duplicate != duplicate {
			t.Errorf("event %d: %+v", i, again.Events[i])
		}
	}
	var many strings.Builder
	for i := range private.MaxAdd + 1 {
		fmt.Fprintf(&many, "{\"account\":\"C-1\",\"id\":\"m%d\"}\n", i)
	}
	if got := kindOf(t, w.post("events", many.String())); got != "too-large" {
		t.Errorf("1,001 events: %s", got)
	}
	if got := kindOf(t, w.post("events", "\n \n")); got != "malformed" {
		t.Errorf("no event: %s", got)
	}
	if got := kindOf(t, w.ask("", "POST", "/v1/customers/events", "text/plain", login)); got != "malformed" {
		t.Errorf("a form's media type: %s", got)
	}
}

// Bodies are bounded before they are read.
func TestLargeBody(t *testing.T) {
	w := unlocked(t, customers.Config{MaxBody: 1000})
	for _, path := range []string{"events", "find"} {
		if got := kindOf(t, w.post(path, strings.Repeat("x", 1001))); got != "too-large" {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// While the vault is locked nothing is read and no event is taken, and each answer says when to
// come again.
func TestLocked(t *testing.T) {
	w := newWorld(t, customers.Config{})
	refused := func(when string) {
		t.Helper()
		for path, body := range map[string]string{"events": marsh, "find": `{"query":"marsh"}`, "show": `{"account":"C-1"}`, "queue": "{}", "audit": "{}", "erase": `{"due":true}`} {
			r := w.post(path, body)
			if got := kindOf(t, r); r.Code != http.StatusServiceUnavailable || got != "locked" || r.Header().Get("Retry-After") == "" {
				t.Errorf("%s: %s: %d %s, Retry-After %q", when, path, r.Code, got, r.Header().Get("Retry-After"))
			}
		}
		for _, path := range []string{"stats", "periods"} {
			if r := w.ask("", "GET", "/v1/customers/"+path, "", ""); r.Code != http.StatusServiceUnavailable {
				t.Errorf("%s: %s: %d", when, path, r.Code)
			}
		}
	}
	refused("before it is unlocked")
	if r := w.ask("", "GET", "/healthz", "", ""); r.Code != http.StatusOK {
		t.Errorf("/healthz: %d", r.Code)
	}
	if r := w.ask("", "GET", "/readyz", "", ""); r.Code != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d", r.Code)
	}
	if got := kindOf(t, w.post("unlock", "AGE-SECRET-KEY-1QQQ")); got != "malformed" {
		t.Errorf("what is no key: %s", got)
	}
	other := newWorld(t, customers.Config{})
	if got := kindOf(t, w.post("unlock", other.id.String())); got != "wrong-key" {
		t.Errorf("another vault's key: %s", got)
	}
	want[struct{}](t, w.post("unlock", w.id.String()), http.StatusOK)
	want[customers.Taken](t, w.post("events", marsh), http.StatusOK)
	want[struct{}](t, w.post("lock", ""), http.StatusOK)
	refused("locked again")
	want[struct{}](t, w.post("unlock", w.id.String()), http.StatusOK)
	house := want[customers.Shown](t, w.post("house", "{}"), http.StatusOK)
	var kinds []event.Kind
	for _, e := range house.Events {
		kinds = append(kinds, e.Kind)
	}
	if got := fmt.Sprint(kinds); got != "[unlocked locked unlocked]" {
		t.Errorf("the house's events: %s", got)
	}
}

// The vault locks when nobody has called for long enough, counted from the last call.
func TestLocksWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := unlocked(t, customers.Config{LockAfter: 10 * time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); w.LockWhenIdle(ctx) }()
		for range 3 {
			time.Sleep(9 * time.Minute)
			want[customers.Stats](t, w.ask("", "GET", "/v1/customers/stats", "", ""), http.StatusOK)
		}
		time.Sleep(9 * time.Minute)
		w.ask("", "GET", "/healthz", "", "") // nobody's call
		if w.Locked() {
			t.Error("it locked before its time")
		}
		time.Sleep(2 * time.Minute)
		if !w.Locked() {
			t.Error("it is open 11 minutes after the last call")
		}
		cancel()
		<-ended
	})
}

// Each role does what it may, and nothing else; whoever is nobody learns nothing.
func TestRoles(t *testing.T) {
	keys := make(map[customers.Role]string)
	var clients []customers.Client
	for _, r := range customers.Roles() {
		key, hash := customers.NewKey()
		keys[r] = key
		clients = append(clients, customers.Client{Name: string(r) + "-1", Roles: []customers.Role{r}, KeySHA256: hash})
	}
	w := unlocked(t, customers.Config{Clients: clients})
	want[customers.Taken](t, w.post("events", marsh), http.StatusOK)
	may := map[string][]customers.Role{
		"events":              {customers.Writer, customers.Compliance},
		"find":                {customers.Reader, customers.Compliance, customers.Discloser},
		"show":                {customers.Reader, customers.Compliance, customers.Discloser},
		"queue":               {customers.Reader, customers.Compliance},
		"house":               {customers.Compliance},
		"erase":               {customers.Compliance},
		"export":              {customers.Compliance},
		"unlock":              {customers.Compliance},
		"lock":                {customers.Compliance},
		"rotate":              {customers.Compliance},
		"periods":             {customers.Compliance},
		"disclosures/prepare": {customers.Discloser}, "disclosures/approve": {customers.Discloser}, "disclosures/hand-out": {customers.Discloser},
	}
	for path, roles := range may {
		for r, key := range keys {
			allowed := false
			for _, one := range roles {
				allowed = allowed || one == r
			}
			got := w.ask(key, "POST", "/v1/customers/"+path, "application/json", `{"no such member":1}`)
			if refused := got.Code == http.StatusForbidden; refused == allowed {
				t.Errorf("%s as %s: status %d: %s", path, r, got.Code, got.Body)
			}
			want[struct{}](t, w.post("unlock", w.id.String()), http.StatusOK)
		}
		for _, key := range []string{"docket-nobody", "x"} {
			if got := w.ask(key, "POST", "/v1/customers/"+path, "application/json", "{}"); got.Code != http.StatusUnauthorized || got.Header().Get("WWW-Authenticate") == "" {
				t.Errorf("%s as nobody: status %d", path, got.Code)
			}
		}
	}
}

// Every read is logged with who it was and what for; the log of requests has no name, no
// query and no body.
func TestReadsAreLogged(t *testing.T) {
	var lines bytes.Buffer
	key, hash := customers.NewKey()
	w := unlocked(t, customers.Config{Log: slog.New(slog.NewTextHandler(&lines, nil)), Clients: []customers.Client{{Name: "reader-1", Roles: []customers.Role{customers.Reader}, KeySHA256: hash}}})
	want[customers.Taken](t, w.post("events", marsh+"\n"+login), http.StatusOK)
	found := want[customers.Found](t, w.ask(key, "POST", "/v1/customers/find", "application/json", `{"query":"marsh lantern","reason":"ticket 4711"}`), http.StatusOK)
	if len(found.Customers) != 1 {
		t.Fatalf("%+v", found)
	}
	shown := want[customers.Shown](t, w.ask(key, "POST", "/v1/customers/show", "application/json", `{"account":"C-1","reason":"ticket 4711"}`), http.StatusOK)
	if len(shown.Events) != 2 || shown.Customer == nil {
		t.Fatalf("%+v", shown)
	}
	house := want[customers.Shown](t, w.post("house", `{"limit":2}`), http.StatusOK)
	for i, kind := range []event.Kind{event.KindShown, event.KindSearched} {
		if e := house.Events[i]; e.Kind != kind || !bytes.Contains(e.Content, []byte(`"reader-1"`)) || !bytes.Contains(e.Content, []byte("reader: ticket 4711")) {
			t.Errorf("%s %s: want %s by reader-1", e.Kind, e.Content, kind)
		}
	}
	for _, secret := range []string{"Marsh", "marsh", "C-1", "192.0.2.7", "4711", key, found.Customers[0].Handle.String()} {
		if strings.Contains(lines.String(), secret) {
			t.Errorf("the log of requests has %q:\n%s", secret, lines.String())
		}
	}
}

// One client reads only so often.
func TestReadsAreBounded(t *testing.T) {
	w := unlocked(t, customers.Config{Rate: customers.Rate{PerSecond: 0.001, Burst: 2}})
	for i, status := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
		r := w.post("find", `{"query":"marsh"}`)
		if r.Code != status || status != http.StatusOK && r.Header().Get("Retry-After") == "" {
			t.Errorf("read %d: status %d, want %d", i, r.Code, status)
		}
	}
	want[customers.Taken](t, w.post("events", marsh), http.StatusOK)
}
