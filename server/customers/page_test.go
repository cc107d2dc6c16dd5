package customers_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/customers"

	private "github.com/seed-53cf897a/docket/ledger/customers"
)

var (
	titleOf = regexp.MustCompile(`(?s)<title>(.*?)</title>`)
	linkOf  = regexp.MustCompile(`(?:href|action|src)="([^"]*)"`)
)

// A look at every page: it is kept by nobody, loads nothing of others, runs no script; and
// addresses, titles and the server's log name nobody.
func TestPagesKeepThingsPrivate(t *testing.T) {
	h := newHouse(t)
	h.unlock()
	h.people()
	b := h.signIn("compliance-1")
	private := func(what, text string) {
		t.Helper()
		for _, name := range names {
			if strings.Contains(text, name) {
				t.Errorf("%s names a customer, %q: %s", what, name, text)
			}
		}
	}
	look := func(res *http.Response) {
		t.Helper()
		for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if strings.Contains(b.page, "<script") || strings.Contains(b.page, "javascript:") || strings.Contains(b.page, " style=") {
			t.Errorf("the page has a script or a style of its own:\n%s", b.page)
		}
		private("the title", titleOf.FindString(b.page))
		for _, m := range linkOf.FindAllStringSubmatch(b.page, -1) {
			if private("an address", m[1]); !strings.HasPrefix(m[1], "/") && !strings.HasPrefix(m[1], "#") {
				t.Errorf("the page leads to another place: %s", m[1])
			}
		}
	}
	for _, path := range []string{"/", "/?late=only", "/?duty=decide", "/search", "/holds", "/disclosures", "/periods", "/house", "/sign-in"} {
		look(b.get(path, http.StatusOK))
	}
	for account := range strings.FieldsSeq("acct-1 acct-2 acct-3 acct-4 acct-5") {
		look(b.get("/customers/"+h.handle(account), http.StatusOK))
	}
	b.get("/search", http.StatusOK)
	look(b.post("/search", http.StatusOK, b.filled("/search", "query", "brandt", "reason", "a question of support")))
	b.says(t, "Ilse Brandt", "acct-2", "verified", "found by: ", "part or beginning of the name")
	b.get("/search", http.StatusOK)
	b.post("/search", http.StatusOK, b.filled("/search", "query", "ilse brandt"))
	b.says(t, "found by: <bdi>exact name</bdi>")
	b.get("/house", http.StatusOK)
	b.says(t, "searched, and found 1 customer", "<bdi>brandt</bdi>", "a question of support", "compliance-1", "unlocked the vault", h.handle("acct-3"))
	private("the server's log", h.said.String())
}

// The queue says in words what is late, and whom it is about.
func TestQueuePage(t *testing.T) {
	h := newHouse(t)
	h.unlock()
	b := h.signIn("compliance-1")
	b.get("/", http.StatusOK)
	b.says(t, "No customer is in the log yet", `docket customers add --dir '/srv/it'\''s' FILE.csv`)
	h.people()
	b.get("/", http.StatusOK)
	b.says(t, "Marsh Lantern Trading", "late by", "Verify the identity", "Decide about a hit", "opened on", "wanted the same day", "to be verified within 30 days")
	b.get("/?duty=decide", http.StatusOK)
	b.says(t, "Kestrel Hosting FZ-LLC", "Hits to decide")
	if strings.Contains(b.page, "Marsh Lantern") {
		t.Error("the hits to decide show other things that are due")
	}
	b.get("/?after=nonsense", http.StatusBadRequest)
	b.get("/?duty=nonsense", http.StatusOK)
	b.says(t, "Nothing of that kind is due")
}

// A hit is decided once, by who may, in the form's own words; what was refused stands there again.
func TestDecideOnPage(t *testing.T) {
	h := newHouse(t)
	h.unlock()
	h.people()
	path := "/customers/" + h.handle("acct-3")
	flag := func() event.Flag {
		t.Helper()
		st, err := h.log.Customer(t.Context(), private.Who{By: "test"}, check[event.Handle](t)(event.ParseHandle(h.handle("acct-3"))))
		if err != nil || len(st.Flags) != 1 {
			t.Fatal(st.Flags, err)
		}
		return st.Flags[0]
	}

	reader := h.signIn("reader-1")
	reader.get(path, http.StatusOK)
	if strings.Contains(reader.page, "<form action=\"/customers") {
		t.Error("a reader is offered what is refused")
	}
	stolen := h.signIn("compliance-1")
	stolen.get(path, http.StatusOK)
	form := stolen.filled(path+"/decide", "outcome", "false-positive", "reason", "Another company.\r\nOther seat.")
	reader.post(path+"/decide", http.StatusForbidden, form)

	b := h.signIn("compliance-1") // another session: the token is of the first
	b.post(path+"/decide", http.StatusForbidden, form)
	b.says(t, "nothing was done")
	without := url.Values{"flag": form["flag"], "outcome": form["outcome"], "reason": form["reason"]}
	b.post(path+"/decide", http.StatusForbidden, without)
	if f := flag(); f.Outcome != "open" {
		t.Fatalf("a form without its token decided: %+v", f)
	}

	b.get(path, http.StatusOK)
	b.says(t, "designation/2026-014", "912 of 1000", "Decide as compliance-1", "1 hit to decide")
	b.post(path+"/decide", http.StatusUnprocessableEntity, b.filled(path+"/decide", "outcome", "true-match", "reason", "   "))
	b.says(t, "That was not done.", "reason", `value="true-match" checked`)
	good := b.filled(path+"/decide", "outcome", "false-positive", "reason", "Another company.\r\nOther seat.")
	if to := b.post(path+"/decide", http.StatusSeeOther, good).Header.Get("Location"); to != path {
		t.Errorf("leads to %s", to)
	}
	if f := flag(); f.Outcome != "false-positive" || f.By != "compliance-1" || f.Reason != "Another company.\nOther seat." {
		t.Errorf("decided %+v", f)
	}
	b.get(path, http.StatusOK)
	b.says(t, "it is somebody else", "Decided by compliance-1 about designation/2026-014")
	b.post(path+"/decide", http.StatusSeeOther, good) // sent again
	b.get(path, http.StatusOK)
	other := b.filled(path + "/hold")
	for name, value := range map[string]string{"flag": good.Get("flag"), "outcome": "true-match", "reason": "The same seat."} {
		other.Set(name, value)
	}
	b.post(path+"/decide", http.StatusConflict, other) // from a page of before
	b.says(t, "The hit is another by now", "Kestrel Hosting")
	if f := flag(); f.Outcome != "false-positive" {
		t.Errorf("decided %+v", f)
	}
	if n := strings.Count(b.page, "Decided by compliance-1"); n != 1 {
		t.Errorf("decided %d times", n)
	}
}

// A hold is placed once, however often the form is sent, and released.
func TestHoldOnPage(t *testing.T) {
	h := newHouse(t)
	h.unlock()
	h.people()
	b := h.signIn("compliance-1")
	path := "/customers/" + h.handle("acct-1")
	b.get(path, http.StatusOK)
	b.says(t, "No hold keeps this customer.", "owner 2: name", "Aki Lantern")
	hold := b.filled(path+"/hold", "reason", "litigation", "request", "disclosure/2027-04")
	for range 2 {
		b.post(path+"/hold", http.StatusSeeOther, hold)
	}
	b.get("/holds", http.StatusOK)
	b.says(t, "Marsh Lantern Trading", "disclosure/2027-04", "شركة الاستضافة السحابية")
	b.get(path, http.StatusOK)
	if n := strings.Count(b.page, "Held by compliance-1"); n != 1 {
		t.Errorf("held %d times", n)
	}
	b.post(path+"/hold", http.StatusUnprocessableEntity, b.filled(path+"/hold", "reason", "kept", "request", "not a thread"))
	b.says(t, `value="not a thread"`, ">kept</textarea>")
	b.post(path+"/release", http.StatusSeeOther, b.filled(path+"/release", "reason", "settled"))
	b.get(path, http.StatusOK)
	b.says(t, "Hold released by compliance-1", "No hold keeps this customer.")
}

// The chain is a time line: who verified what, when, by which document; log-ins fold.
func TestTimeLine(t *testing.T) {
	h := newHouse(t)
	h.unlock()
	h.people()
	b := h.signIn("reader-1")
	b.get("/customers/"+h.handle("acct-2"), http.StatusOK)
	b.says(t, "Identity verified by passport of XC; decided by compliance-2", "P-4401", "Seen in person.", "logged 58 days later", "Changed by customer: telephone", "12 log-ins from 2 addresses", "Account opened", "15 events, 12 log-ins of them", "12 Quay Street, Port Salt")
	b.get("/customers/"+h.handle("acct-4"), http.StatusOK)
	b.says(t, "Identity could not be verified, tried without a document; decided by compliance-2", "account closed", "Held by legal-1")
	b.get("/customers/"+strings.Repeat("ab", 16), http.StatusNotFound)
	b.get("/customers/"+strings.Repeat("0", 32), http.StatusBadRequest)
	b.get("/customers/nobody", http.StatusBadRequest)
	b.get("/house", http.StatusForbidden)
}

// Periods say what is published; a locked vault says so and nothing else.
func TestPeriodsAndLock(t *testing.T) {
	h := newHouse(t)
	b := h.signIn("compliance-1")
	locked := func() {
		t.Helper()
		res := b.get("/", http.StatusServiceUnavailable)
		b.says(t, "The vault is locked", `docket customers unlock --dir '/srv/it'\''s' --identity FILE`)
		if res.Header.Get("Retry-After") == "" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", res.Header)
		}
	}
	locked()
	h.unlock()
	h.people()
	b.get("/periods", http.StatusOK)
	b.says(t, "No period is closed yet")
	p, err := h.log.ClosePeriod(t.Context(), record.DateOf(h.now, h.now.Location()).AddDays(-1))
	if err != nil {
		t.Fatal(err)
	}
	b.get("/periods", http.StatusOK)
	b.says(t, "1 period to publish", "not published yet", p.Root.String())
	if err := h.log.Published(t.Context(), private.Who{By: "publisher"}, 1, record.ID{9}); err != nil {
		t.Fatal(err)
	}
	b.get("/periods", http.StatusOK)
	b.says(t, ">published<", record.ID{9}.String())
	path := "/customers/" + h.handle("acct-1")
	b.get(path, http.StatusOK)
	hold := b.filled(path+"/hold", "reason", "litigation")
	if err := h.Lock(t.Context(), private.Who{By: "owner"}); err != nil {
		t.Fatal(err)
	}
	locked()
	b.post(path+"/hold", http.StatusServiceUnavailable, hold)
	b.get(path, http.StatusServiceUnavailable)
	if strings.Contains(b.page, "Marsh") {
		t.Error("a locked vault shows a customer")
	}
	h.unlock()
	b.get(path, http.StatusOK)
	b.says(t, "No hold keeps this customer.")
}

// Who shows no key is asked for one, and led on to where they wanted, but to no other place.
func TestSignIn(t *testing.T) {
	h := newHouse(t)
	h.unlock()
	b := &browser{h: h}
	b.get("/periods", http.StatusUnauthorized)
	b.says(t, `name="to" value="/periods"`)
	b.post("/sign-in", http.StatusUnauthorized, url.Values{"key": {"docket-guess"}})
	b.says(t, "That is no key of this log")
	if strings.Contains(b.page, "docket-guess") {
		t.Error("the page shows what was typed for a key")
	}
	for _, to := range []string{"//evil.example/", `/\evil.example`, "https://evil.example/", "javascript:x", "evil"} {
		if got := b.post("/sign-in", http.StatusSeeOther, url.Values{"key": {h.keys["reader-1"]}, "to": {to}}).Header.Get("Location"); got != "/" {
			t.Errorf("after signing in with to=%s the browser goes to %s", to, got)
		}
	}
	res := b.post("/sign-in", http.StatusSeeOther, url.Values{"key": {h.keys["compliance-1"]}, "to": {"/periods"}})
	c := res.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || strings.Contains(c.Value, "docket-") || res.Header.Get("Location") != "/periods" {
		t.Errorf("the cookie is %v, and leads to %s", c, res.Header.Get("Location"))
	}
	b.get("/periods", http.StatusOK)
	other := httptest.NewRequest("POST", "/search", strings.NewReader("query=x"))
	other.Header.Set("Sec-Fetch-Site", "cross-site")
	if got := b.send(other).StatusCode; got != http.StatusForbidden {
		t.Errorf("a form of another site: %d", got)
	}
	kept := b.cookies
	b.post("/sign-out", http.StatusSeeOther, nil)
	b.cookies = kept
	b.get("/periods", http.StatusUnauthorized)

	writer := h.signIn("writer-1")
	writer.get("/", http.StatusForbidden)
	writer.says(t, "has not the role for this")

	owner := httptest.NewRecorder()
	customers.AsOwner(h.Handler()).ServeHTTP(owner, httptest.NewRequest("GET", "/", nil))
	if owner.Code != http.StatusOK || !strings.Contains(owner.Body.String(), "owner") {
		t.Errorf("over the owner's socket: %d\n%s", owner.Code, owner.Body)
	}
}

// What waits for an approval is shown in words, with the command that approves it; then what has left.
func TestDisclosuresPage(t *testing.T) {
	h := newHouse(t)
	h.unlock()
	h.people()
	b := h.signIn("discloser-1")
	b.get("/disclosures", http.StatusOK)
	b.says(t, "Nothing waits for an approval.")
	d := h.prepare("acct-2")
	b.get("/disclosures", http.StatusOK)
	b.says(t, "waits for two approvals", "disclosure/2027-7", "12 events, 12 access", "prepared by discloser-1", d.Digest, d.Recipient, "docket customers approve 1 --dir", "/customers/"+h.handle("acct-2"), "Not proven:")
	h.approve(d, 0)
	b.get("/disclosures", http.StatusOK)
	b.says(t, "waits for the second approval", "Approved by discloser-1")
	h.approve(d, 1)
	b.get("/disclosures", http.StatusOK)
	b.says(t, "approved, and not handed out yet", "Approved by discloser-2")
	if _, _, err := h.log.HandOut(t.Context(), private.Who{By: "discloser-1"}, d.Number); err != nil {
		t.Fatal(err)
	}
	b.get("/disclosures", http.StatusOK)
	b.says(t, "has left the house", "12 events of 1 customer", "approved by discloser-1 and discloser-2", "Nothing waits for an approval.")
	h.signIn("reader-1").get("/disclosures", http.StatusForbidden)
	c := h.signIn("compliance-1")
	c.get("/house", http.StatusOK)
	c.says(t, "prepared a disclosure of 12 events", "let a disclosure leave the house: 12 events", "discloser: the disclosures")
}
