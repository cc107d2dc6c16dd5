package customers_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	private "github.com/seed-53cf897a/docket/ledger/customers"
	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/programme"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/server/customers"
)

// house is a world with clients of all roles, two disclosers, and five customers.
type house struct {
	*world
	keys map[string]string    // of clients, by name
	hold []ed25519.PrivateKey // of the disclosers
	said syncBuffer           // what the server logged
	now  time.Time
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func check[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// newHouse is one without customers, and locked.
func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{keys: make(map[string]string), now: time.Now().UTC().Truncate(time.Second)}
	rules := check[*programme.Programme](t)(programme.Parse([]byte(programme.Template("acme", record.DateOf(h.now, time.UTC).AddDays(-400)))))
	history := check[*programme.History](t)(programme.NewHistory(rules))
	var clients []customers.Client
	for _, role := range customers.Roles() {
		key, hash := customers.NewKey()
		name := string(role) + "-1"
		h.keys[name] = key
		clients = append(clients, customers.Client{Name: name, Roles: []customers.Role{role}, KeySHA256: hash})
	}
	h.world = newWorld(t, customers.Config{
		Programme: func() (*programme.History, error) { return history, nil },
		Clients:   clients, Dir: "/srv/it's", Log: slog.New(slog.NewTextHandler(&h.said, nil)),
	})
	for range 2 {
		public, private, _ := ed25519.GenerateKey(nil)
		h.hold = append(h.hold, private)
		h.disclosers = append(h.disclosers, check[*record.Key](t)(record.NewKey(public)))
	}
	return h
}

func (h *house) unlock() {
	h.t.Helper()
	if err := h.Unlock(h.t.Context(), private.Who{By: "owner"}, h.id); err != nil {
		h.t.Fatal(err)
	}
}

// ago is an event of an account, so many days back.
func (h *house) ago(account string, days int, c event.Content) event.Input {
	return event.Input{Account: account, ID: fmt.Sprintf("%s-%d", c.Kind(), days), Kind: c.Kind(), Time: h.now.AddDate(0, 0, -days), Content: c}
}

// names are those that may stand on pages alone.
var names = []string{"Marsh Lantern", "Ilse Brandt", "Kestrel", "شركة", "<script>", "brandt", "P-4401", "acct-"}

// people five customers: one late, one in order, one who was hit, one who is held, one who tries everything.
func (h *house) people() {
	h.t.Helper()
	yes := true
	expires := record.DateOf(h.now, time.UTC).AddDays(900)
	score := int64(912)
	in := []event.Input{
		h.ago("acct-1", 120, &event.Opened{Account: "acct-1", Type: "entity", Name: "Marsh Lantern Trading", Country: "XB", Email: []string{"desk@marsh.example"}, Foreign: &yes,
			Owners: []event.Owner{{Name: "Tove Marsh", Country: "XB"}, {Name: "Aki Lantern", Country: "XC"}}}),
		h.ago("acct-2", 60, &event.Opened{Account: "acct-2", Type: "person", Name: "Ilse Brandt", Country: "XC", Address: &event.Address{Full: "12 Quay Street, Port Salt", Country: "XC"}, Email: []string{"ilse@brandt.example"},
			Telephone: []string{"+99 555 0101"}, IP: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, Payment: []event.Payment{{Kind: "card", Reference: "4242"}}, Foreign: &yes}),
		h.ago("acct-2", 58, &event.Verified{Method: "documentary", Outcome: "verified", By: "compliance-2", Document: &event.IdentityDocument{Kind: "passport", Issuer: "XC", Number: "P-4401", ExpiresOn: &expires}, Note: "Seen in person."}),
		h.ago("acct-2", 20, &event.Changed{Set: schema.ObjectOf("telephone", []any{"+99 555 0199"}), By: "customer"}),
		h.ago("acct-3", 30, &event.Opened{Account: "acct-3", Type: "entity", Name: "Kestrel Hosting FZ-LLC", Country: "XB", Foreign: &yes}),
		h.ago("acct-3", 29, &event.Flagged{What: "hit", Record: sha256.Sum256([]byte("designation")), Thread: "designation/2026-014", Matched: "/name", Score: &score, Outcome: "open"}),
		h.ago("acct-4", 90, &event.Opened{Account: "acct-4", Type: "person", Name: "شركة الاستضافة السحابية", Country: "XD", Foreign: &yes}),
		h.ago("acct-4", 50, &event.Verified{Method: "non-documentary", Outcome: "unverifiable", By: "compliance-2", Note: "No answer."}),
		h.ago("acct-4", 40, &event.Held{Reason: "litigation", Request: "disclosure/2027-03", By: "legal-1"}),
		h.ago("acct-4", 10, &event.Closed{Reason: "by the house", By: "compliance-2"}),
		h.ago("acct-5", 1, &event.Opened{Account: "acct-5", Type: "person", Name: `<script>alert("1")</script>"'>` + strings.Repeat("Wolkenbetreibergesellschaft", 8), Country: "XB", Foreign: &yes}),
	}
	for minute := range 12 {
		access := h.ago("acct-2", 15, &event.Access{IP: netip.AddrFrom4([4]byte{192, 0, 2, byte(7 + minute%2)}), Action: "login"})
		access.ID, access.Time = fmt.Sprintf("login-%d", minute), access.Time.Add(time.Duration(minute)*time.Minute)
		in = append(in, access)
	}
	results, err := h.log.Add(h.t.Context(), in)
	if err != nil {
		h.t.Fatal(err)
	}
	for i, r := range results {
		if r.Err != nil {
			h.t.Fatalf("%s of %s: %v", in[i].Kind, in[i].Account, r.Err)
		}
	}
}

// prepare prepares a disclosure of a customer's log-ins.
func (h *house) prepare(account string) *private.Disclosure {
	h.t.Helper()
	_, recipient, err := vault.NewIdentity()
	if err != nil {
		h.t.Fatal(err)
	}
	due := record.DateOf(h.now, time.UTC).AddDays(30)
	payload := check[[]byte](h.t)(record.EncodeStatement(&record.Statement{
		Kind: record.KindDisclosureRequest, Subject: record.Subject{SHA256: [32]byte{1}},
		Common:    record.Common{Ledger: record.ID{1}, Thread: "disclosure/2027-7", Issuer: "authority", IssuedAt: h.now},
		Predicate: &record.DisclosureRequest{Status: "requested", Type: record.Sealable{Text: "warrant"}, Provider: record.Sealable{Text: "acme-cloud"}, Jurisdiction: "XA", DueOn: &due, Recipient: recipient},
	}))
	request := bundle.Record{ID: record.IDOf(payload), Index: 1, Admitted: h.now, Statement: check[*record.Statement](h.t)(record.ParseStatement(payload))}
	handle := check[event.Handle](h.t)(h.log.Handle(h.t.Context(), account))
	return check[*private.Disclosure](h.t)(h.log.Prepare(h.t.Context(), private.Who{By: "discloser-1", Role: "discloser"}, private.Ask{
		Public: bundle.Public{Request: request}, Recipient: recipient, Handles: []event.Handle{handle}, Asked: bundle.Asked{Kinds: []string{"access"}},
	}))
}

// approve is one holder's approval.
func (h *house) approve(d *private.Disclosure, holder int) {
	h.t.Helper()
	key := check[*record.Key](h.t)(record.NewKey(h.hold[holder].Public()))
	check[*private.Disclosure](h.t)(h.log.Approve(h.t.Context(), private.Who{By: fmt.Sprintf("discloser-%d", holder+1)}, d.Number, key.ID(), ed25519.Sign(h.hold[holder], h.log.Message(d))))
}

func (h *house) handle(account string) string {
	h.t.Helper()
	return check[event.Handle](h.t)(h.log.Handle(h.t.Context(), account)).String()
}

// browser is what somebody at a page sends: with cookies, without scripts.
type browser struct {
	h       *house
	cookies []*http.Cookie
	page    string // the last one
}

func (b *browser) send(req *http.Request) *http.Response {
	b.h.t.Helper()
	for _, c := range b.cookies {
		req.AddCookie(c)
	}
	w := httptest.NewRecorder()
	b.h.Handler().ServeHTTP(w, req)
	res := w.Result()
	if got := res.Cookies(); len(got) > 0 {
		b.cookies = got
	}
	b.page = string(check[[]byte](b.h.t)(io.ReadAll(res.Body)))
	return res
}

func (b *browser) get(path string, want int) *http.Response {
	b.h.t.Helper()
	res := b.send(httptest.NewRequest("GET", path, nil))
	if res.StatusCode != want {
		b.h.t.Fatalf("GET %s: %d, want %d\n%s", path, res.StatusCode, want, b.page)
	}
	return res
}

func (b *browser) post(path string, want int, form url.Values) *http.Response {
	b.h.t.Helper()
	req := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res := b.send(req)
	if res.StatusCode != want {
		b.h.t.Fatalf("POST %s: %d, want %d\n%s", path, res.StatusCode, want, b.page)
	}
	return res
}

// signIn is a browser of a client.
func (h *house) signIn(name string) *browser {
	h.t.Helper()
	b := &browser{h: h}
	b.post("/sign-in", http.StatusSeeOther, url.Values{"key": {h.keys[name]}})
	return b
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// filled is the first form of the last page that goes to a path, with fields filled in.
func (b *browser) filled(path string, fields ...string) url.Values {
	b.h.t.Helper()
	_, form, ok := strings.Cut(b.page, `action="`+path+`"`)
	if !ok {
		b.h.t.Fatalf("no form for %s on the page\n%s", path, b.page)
	}
	form, _, _ = strings.Cut(form, "</form>")
	values := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(form, -1) {
		values.Set(m[1], html.UnescapeString(m[2]))
	}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	return values
}

func (b *browser) says(t testing.TB, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(html.UnescapeString(b.page), want) {
			t.Errorf("the page does not say %q:\n%s", want, b.page)
		}
	}
}
