package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/seed-53cf897a/docket/ledger/public"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register"
)

func TestConcurrencyLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newConcurrencyLimiter("records", 1, 1, time.Second)
		ctx := t.Context()
		if err := g.acquire(ctx); err != nil {
			t.Fatal(err)
		}

		turn := make(chan error, 1)
		go func() { turn <- g.acquire(ctx) }()
		synctest.Wait()
		wantBusy(t, "the queue is full", g.acquire(ctx))
		g.release()
		if err := <-turn; err != nil {
			t.Fatalf("whoever waited got %v, want the slot that was given back", err)
		}

		start := time.Now()
		wantBusy(t, "no turn in time", g.acquire(ctx))
		if took := time.Since(start); took != time.Second {
			t.Errorf("waited %s, want the gate's patience of 1s", took)
		}

		cut, cancel := context.WithCancel(ctx)
		cancel()
		if err := g.acquire(cut); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's end", err)
		}
		if n := g.waiting.Load(); n != 0 {
			t.Errorf("%d still counted as waiting", n)
		}
	})
}

func wantBusy(t *testing.T, why string, err error) {
	t.Helper()
	var p *problem
	if !errors.As(err, &p) || p.kind != problemOverloaded || p.retryAfter <= 0 {
		t.Errorf("%s: got %v, want %s with a time to retry", why, err, problemOverloaded)
	}
}

func TestBucketsRefillAndSayHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTokenBuckets(Rate{PerSecond: 2, Burst: 3}, 10)
		for i := range 3 {
			if _, empty := b.wait("acme"); empty {
				t.Fatalf("a bucket of 3 is empty after %d", i)
			}
			b.take("acme", 1)
		}
		wait, empty := b.wait("acme")
		if !empty || wait != 500*time.Millisecond {
			t.Fatalf("an empty bucket says %v, %v; want a wait of 500ms", wait, empty)
		}
		if _, empty := b.wait("borealis"); empty {
			t.Error("one key's bucket drained another's")
		}
		time.Sleep(wait)
		if _, empty := b.wait("acme"); empty {
			t.Error("empty after the wait that it asked for")
		}
		// Whoever was let in while there was a token pays, though there is none any more.
		for range 5 {
			b.take("acme", 1)
		}
		if wait, empty := b.wait("acme"); !empty || wait != 2500*time.Millisecond {
			t.Errorf("in debt: %v, %v; want 2.5s", wait, empty)
		}
	})
}

func TestBucketsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTokenBuckets(Rate{PerSecond: 1, Burst: 2}, 8)
		b.take("busy", 1)
		b.take("busy", 1)
		for i := range 100 {
			b.take(fmt.Sprint("once-", i), 1)
			if n := len(b.byKey); n > 8 {
				t.Fatalf("%d buckets, bound 8", n)
			}
		}
		time.Sleep(time.Second) // all but busy's are full again, and may be forgotten
		b = newTokenBuckets(Rate{PerSecond: 1, Burst: 2}, 4)
		b.take("busy", 1)
		b.take("busy", 1)
		for i := range 3 {
			b.take(fmt.Sprint("idle-", i), 1)
		}
		time.Sleep(time.Second)
		b.take("new", 1)
		if _, empty := b.wait("busy"); empty {
			t.Error("busy has one token again by now")
		}
		if b.byKey["busy"] == nil {
			t.Error("a bucket in use was forgotten while full ones could be")
		}
	})
}

func TestNoBuckets(t *testing.T) {
	b := newTokenBuckets(Rate{PerSecond: -1}, 8)
	for range 1000 {
		b.take("any", 1)
		if _, empty := b.wait("any"); empty {
			t.Fatal("an unlimited rate refused")
		}
	}
}

// A rate that never gives a token back would lock out for good whoever used up his
// burst.
func TestInvalidRates(t *testing.T) {
	for _, r := range []Rate{{PerSecond: -1}, {PerSecond: -1, Burst: 7}, {PerSecond: 0.001}, {PerSecond: 50, Burst: 500}} {
		if err := r.Check(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if (Rate{}).Check() == nil {
		t.Error("no record at all, ever, was taken for a rate")
	}
	for _, r := range []Rate{{Burst: 500}, {Burst: -1}, {PerSecond: math.NaN(), Burst: 1}, {PerSecond: math.Inf(1), Burst: 1}, {PerSecond: 5, Burst: -1}} {
		if r.Check() == nil {
			t.Errorf("%+v was taken", r)
		}
		for _, c := range []Config{{IssuerRate: r}, {ImporterRate: r}, {RefusalRate: r}} {
			c.Ledger, c.Register = new(public.Ledger), new(register.Register)
			if _, err := New(c); err == nil {
				t.Errorf("%+v was taken for a server", r)
			}
		}
	}
}

// postFrom posts a record from a network address.
func (w *world) postFrom(remote string, env record.Envelope) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest("POST", "/v1/records", bytes.NewReader(env.Marshal()))
	r.Header.Set("Content-Type", typeJSON)
	r.RemoteAddr = remote
	return w.do(r)
}

func TestIssuersAreLimitedByThemselvesAlone(t *testing.T) {
	w := newWorld(t, settings{server: Config{IssuerRate: Rate{PerSecond: 0.001, Burst: 6}, RefusalRate: Rate{PerSecond: 0.001, Burst: 3}}})
	w.mustSubmit(w.Charter())
	w.mustSubmit(w.Authority())
	w.mustSubmit(w.Provider("acme-cloud"))
	w.mustSubmit(w.Provider("borealis"))
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))

	// A forger with acme-cloud's name uses up his own address's tokens, not acme-cloud's.
	forged := func(from string) *httptest.ResponseRecorder {
		return w.postFrom(from, w.Sign(w.Statement("response/2026-014/acme-cloud", "acme-cloud", &record.Response{Status: "acknowledged", Screening: &record.Digest{SHA256: record.IDOf([]byte(from)).String()}}), "stranger/key"))
	}
	for i := range 3 {
		w.wantProblem(forged(fmt.Sprintf("192.0.2.7:%d", 1000+i)), problemForbidden)
	}
	refused := forged("192.0.2.7:2000")
	w.wantProblem(refused, problemTooMany)
	if refused.Header().Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	w.wantProblem(forged("[2001:db8::1]:1000"), problemForbidden)

	w.mustSubmit(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged"}))
	for i := range 8 {
		env := w.Respond("2026-014", "acme-cloud", &record.Response{Status: "no-relationship"})
		r := w.post(env.Marshal())
		if r.Code == http.StatusTooManyRequests {
			if i < 3 {
				t.Errorf("limited after %d records, burst is 6", i)
			}
			w.wantRefusal(r, problemTooMany) // it says whose limit
			w.mustSubmit(w.Respond("2026-014", "borealis", &record.Response{Status: "acknowledged"}))
			return
		}
		w.NoteAdmitted(env)
	}
	t.Error("never limited")
}

// A record may name an issuer whose keys never saw it, and be signed by keys that
// it lists itself, or by another party's. Whoever sends such is charged himself.
func TestNobodyIsChargedForWhatHisKeysDidNotSign(t *testing.T) {
	const burst = 6
	w := newWorld(t, settings{server: Config{IssuerRate: Rate{PerSecond: 0.001, Burst: burst}, RefusalRate: Rate{PerSecond: 0.001, Burst: 3}}})
	w.mustSubmit(w.Charter())
	w.mustSubmit(w.Authority())
	w.mustSubmit(w.Provider("acme-cloud"))
	w.mustSubmit(w.Provider("borealis"))
	w.mustSubmit(w.Provider("cirrus"))
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	w.mustSubmit(w.Sign(w.Statement("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: w.KeyID("acme-cloud/ci")}}}), "acme-cloud/compliance"))

	enrol := func(id, key string) *record.Enrolment {
		return &record.Enrolment{LegalName: id, Country: "US", Roles: []record.Role{record.RoleProvider}, Keys: []record.PartyKey{w.Officer(key)}}
	}
	usurped := w.CharterPredicate
	usurped.RootKeys = []record.RootKey{w.RootKey("usurper")}
	usurped.Thresholds.Root = 1
	grab := &record.Keys{Add: []record.PartyKey{w.Officer("authority/mole", record.FuncDesignator)}}
	for i, c := range []struct {
		name   string
		thread record.Thread
		issuer string
		say    record.Predicate
		keys   []string
		judged int
	}{
		{"an enrolment of a party that is there", "party/acme-cloud", "acme-cloud", enrol("acme-cloud", "stranger/key"), []string{"stranger/key"}, 3},
		{"an enrolment of a party that is not", "party/newcomer", "newcomer", enrol("newcomer", "stranger/key"), []string{"stranger/key"}, 3},
		{"an enrolment with a revoked key", "party/acme-cloud", "acme-cloud", enrol("acme-cloud", "acme-cloud/ci"), []string{"acme-cloud/ci"}, 3},
		{"a charter", "charter", "authority", &usurped, []string{"root/usurper"}, 3},
		{"keys for the authority", "party/authority", "authority", grab, []string{"authority/mole"}, 3},
		{"a provider's keys in the authority's name", "party/cirrus", "authority", &record.Keys{Add: []record.PartyKey{w.Officer("cirrus/mole")}}, []string{"cirrus/compliance", "cirrus/mole"}, 3},
		{"a stranger's keys in the authority's name", "party/borealis", "authority", &record.Keys{Add: []record.PartyKey{w.Officer("borealis/mole")}}, []string{"borealis/mole"}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, address := w.forTest(t), fmt.Sprintf("198.51.100.%d", i+1)
			size := w.server.publishedSize()
			judged, limited := 0, 0
			for n := range 2 * burst {
				st := w.Statement(c.thread, c.issuer, c.say)
				st.Note = fmt.Sprint(n)
				switch r := w.postFrom(address+":1000", w.Sign(st, c.keys...)); {
				case r.Code == http.StatusTooManyRequests:
					said := w.wantProblem(r, problemTooMany)["detail"].(string)
					if limited++; limited == 1 {
						refusaltest.Words(t, said)
					}
					if !strings.Contains(said, " "+address+" ") {
						t.Errorf("%s does not say that %s is charged", said, address)
					}
				case r.Code < 400 || r.Code >= 500:
					t.Fatalf("%d %s", r.Code, r.Body)
				default:
					judged++
				}
			}
			if judged != c.judged {
				t.Errorf("%d were judged, want the burst of %d", judged, c.judged)
			}
			if w.ledger.Head().Size != size {
				t.Error("something was admitted")
			}
		})
	}

	// Whoever was named has all that is left of his own burst.
	w.mustSubmit(w.Sign(w.Statement("response/2026-014/acme-cloud", "acme-cloud", &record.Response{Status: "acknowledged"}), "acme-cloud/compliance"))
	w.mustSubmit(w.Designate("2026-015", w.NewDesignation("Lumen Resale")))
	w.mustSubmit(w.Respond("2026-014", "borealis", &record.Response{Status: "acknowledged"}))
}

// Whoever holds one of a party's keys uses up what they share, and nothing of the others'
// reserves: so an officer revokes an automation key that floods the ledger, and two
// officers designate whatever a registrar does meanwhile.
func TestStolenKeyLeavesOtherKeysTheirRate(t *testing.T) {
	w := newWorld(t, settings{server: Config{IssuerRate: Rate{PerSecond: 0.001, Burst: 100}}})
	w.mustSubmit(w.Charter())
	w.mustSubmit(w.Authority())
	w.mustSubmit(w.Provider("acme-cloud"))
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))

	flood := func(next func(i int) record.Envelope) {
		t.Helper()
		for i := range 110 {
			env := next(i)
			r := w.post(env.Marshal())
			if r.Code == http.StatusTooManyRequests {
				w.wantRefusal(r, problemTooMany) // it says whose limit
				return
			}
			if r.Code != http.StatusCreated {
				t.Fatalf("%d %s", r.Code, r.Body)
			}
			w.NoteAdmitted(env)
		}
		t.Error("the limit was never reached")
	}
	flood(func(i int) record.Envelope {
		return w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged", Detail: &record.Commitment{Commit: record.IDOf(fmt.Append(nil, i)).String()}})
	})
	w.mustSubmit(w.Sign(w.Statement("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: w.KeyID("acme-cloud/ci")}}}), "acme-cloud/compliance"))
	w.mustSubmit(w.Sign(w.Statement("response/2026-014/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}), "acme-cloud/compliance"))

	flood(func(i int) record.Envelope {
		s := &record.Standing{Status: []string{"suspended", "active"}[i%2], EffectiveOn: w.today(), Reason: "talks"}
		return w.Sign(w.Statement("party/acme-cloud", record.Authority, s), "authority/officer-1")
	})
	w.mustSubmit(w.Sign(w.Statement("designation/2026-015", record.Authority, w.NewDesignation("Lumen Resale")), "authority/officer-2", "authority/officer-3"))
	w.mustSubmit(w.Designate("2026-016", w.NewDesignation("Marrow Net"))) // officer-1 has nothing left; officer-2 has
}

// A party's limit bounds what it adds in bytes too: a record counts once for each 4 KiB.
func TestLargeRecordsCountSeveralTimes(t *testing.T) {
	w := newWorld(t, settings{server: Config{IssuerRate: Rate{PerSecond: 0.001, Burst: 40}}})
	w.mustSubmit(w.Charter())
	w.mustSubmit(w.Authority())
	w.mustSubmit(w.Provider("acme-cloud"))
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	large := func(i int) record.Envelope {
		st := w.Statement("response/2026-014/acme-cloud", "acme-cloud", &record.Response{Status: "acknowledged"})
		st.Document = &record.Document{Name: fmt.Sprint(i)}
		for n := range 17 {
			st.Document.URL = append(st.Document.URL, fmt.Sprintf("https://acme-cloud.example/%01950d", n))
		}
		return w.Sign(st, "acme-cloud/ci")
	}
	for i := range 6 { // 9 each, the fifth on credit; then the key's reserve
		w.mustSubmit(large(i))
	}
	w.wantRefusal(w.post(large(6).Marshal()), problemTooMany) // it says the limit with its unit
	w.mustSubmit(w.Sign(w.Statement("response/2026-014/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}), "acme-cloud/compliance"))
}

// A draft that its signer dated ahead may be in anybody's hands: sending it spends nothing
// of his.
func TestEarlyDraftsAreChargedToTheAddress(t *testing.T) {
	w := newWorld(t, settings{server: Config{IssuerRate: Rate{PerSecond: 0.001, Burst: 5}, RefusalRate: Rate{PerSecond: 0.001, Burst: 20}}})
	w.mustSubmit(w.Charter())
	w.mustSubmit(w.Authority())
	w.mustSubmit(w.Provider("acme-cloud"))
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	draft := w.Statement("response/2026-014/acme-cloud", "acme-cloud", &record.Response{Status: "acknowledged"})
	draft.IssuedAt = draft.IssuedAt.Add(time.Hour)
	for i := range 21 {
		r := w.postFrom(fmt.Sprintf("192.0.2.7:%d", 1000+i), w.Sign(draft, "acme-cloud/ci"))
		if i < 20 {
			w.wantProblem(r, problemTooEarly)
		} else {
			w.wantRefusal(r, problemTooMany) // it is the limit of the address
		}
	}
	w.mustSubmit(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged"}))
}

// Who introduces others pays for them: their own names are free to invent.
func TestSponsorIsCharged(t *testing.T) {
	w := newWorld(t, settings{server: Config{IssuerRate: Rate{PerSecond: 0.001, Burst: 6}}})
	w.mustSubmit(w.Charter())
	w.mustSubmit(w.Authority())
	w.mustSubmit(w.Provider("acme-cloud"))
	resell := func(i int) record.Envelope {
		id := fmt.Sprintf("reseller-%d", i)
		e := &record.Enrolment{LegalName: id, Country: "US", Roles: []record.Role{record.RoleReseller}, Keys: []record.PartyKey{w.Officer(id + "/desk")}}
		return w.Sign(w.Statement(record.PartyThread(id), id, e), id+"/desk", "acme-cloud/compliance")
	}
	for i := range 6 + 1 { // one is the key's reserve
		w.mustSubmit(resell(i))
	}
	w.wantRefusal(w.post(resell(7).Marshal()), problemTooMany) // it is the sponsor's limit
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
}

// What a party has signed may be in anybody's hands, and good for nothing here: sent
// again and again, from anywhere, it costs that party nothing.
func TestReplaysAreChargedToTheAddress(t *testing.T) {
	w := newWorld(t, settings{server: Config{IssuerRate: Rate{PerSecond: 0.001, Burst: 6}, RefusalRate: Rate{PerSecond: 0.001, Burst: 3}}})
	w.mustSubmit(w.Charter())
	w.mustSubmit(w.Authority())
	w.mustSubmit(w.Provider("acme-cloud"))
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	response := func() *record.Statement {
		return w.Statement("response/2026-014/acme-cloud", "acme-cloud", &record.Response{Status: "acknowledged"})
	}
	elsewhere, stale, draft := response(), response(), w.Statement("designation/2026-015", "authority", w.NewDesignation("Lumen Resale"))
	elsewhere.Ledger = record.IDOf([]byte("last year's ledger"))
	stale.Follows = record.IDOf([]byte("what stood there before"))
	for name, env := range map[string]record.Envelope{
		"of another ledger": w.Sign(elsewhere, "acme-cloud/ci"), "stale": w.Sign(stale, "acme-cloud/ci"), "half signed": w.Sign(draft, "authority/officer-1"),
	} {
		for i := range 12 {
			if r := w.postFrom(fmt.Sprintf("198.51.100.%d:1000", i), env); r.Code < 400 || r.Code >= 500 {
				t.Fatalf("%s: %d %s", name, r.Code, r.Body)
			}
		}
	}
	w.mustSubmit(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged"}))
	w.mustSubmit(w.Designate("2026-015", w.NewDesignation("Lumen Resale")))
	// The address pays instead.
	for i := range 5 {
		kind := problemConflict
		if i >= 3 {
			kind = problemTooMany
		}
		w.wantProblem(w.postFrom("203.0.113.9:1000", w.Sign(stale, "acme-cloud/ci")), kind)
	}
}

// Behind a proxy that is named, the client is who it says; nobody else is believed.
func TestAddressBehindAProxy(t *testing.T) {
	for _, c := range []struct{ remote, forwarded, want string }{
		{"192.0.2.1:1000", "", "192.0.2.1"},
		{"192.0.2.1:1000", "203.0.113.7", "192.0.2.1"},
		{"10.0.0.5:1000", "203.0.113.7", "203.0.113.7"},
		{"10.0.0.5:1000", "198.51.100.1, 203.0.113.7", "203.0.113.7"},
		{"10.0.0.5:1000", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"},
		{"10.0.0.5:1000", "nonsense", "10.0.0.5"},
	} {
		w := newWorld(t, settings{server: Config{Proxies: []string{"10.0.0.0/8"}, RefusalRate: Rate{PerSecond: 0.001, Burst: 1}}})
		w.mustSubmit(w.Charter())
		w.mustSubmit(w.Authority())
		post := func() *httptest.ResponseRecorder {
			env := w.Sign(w.Statement("party/acme-cloud", "acme-cloud", &record.Keys{Add: []record.PartyKey{w.Officer("stranger/key")}}), "stranger/key")
			r := httptest.NewRequest("POST", "/v1/records", bytes.NewReader(env.Marshal()))
			r.Header.Set("Content-Type", typeJSON)
			r.RemoteAddr = c.remote
			if c.forwarded != "" {
				r.Header.Set("X-Forwarded-For", c.forwarded)
			}
			return w.do(r)
		}
		post()
		if got := w.wantProblem(post(), problemTooMany); !strings.Contains(got["detail"].(string), " "+c.want+" ") {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if _, err := New(Config{Ledger: newWorld(t, settings{}).ledger, Proxies: []string{"a proxy"}}); err == nil {
		t.Error("a proxy without an address is accepted")
	}
}

func TestAnswerMemory(t *testing.T) {
	o := newAnswerMemory(8 << 20)
	var broken []string
	take := func(address string, size int) (func(), error) {
		return o.reserve(address, size, func() { broken = append(broken, address) })
	}
	first, err := take("192.0.2.1", 900<<10)
	if err != nil {
		t.Fatal(err)
	}
	_, err = take("192.0.2.1", 200<<10)
	wantBusy(t, "beyond the share of one address", err)
	if _, err := take("192.0.2.1", maxUncountedAnswer); err != nil {
		t.Errorf("a small answer is refused: %v", err)
	}
	large, err := take("192.0.2.2", 7<<20)
	if err != nil {
		t.Fatalf("an address with nothing on its way is refused one large answer: %v", err)
	}
	if len(broken) > 0 {
		t.Errorf("answers to %v were broken off while there was room", broken)
	}
	third, err := take("192.0.2.3", 500<<10)
	if err != nil || fmt.Sprint(broken) != "[192.0.2.1]" {
		t.Errorf("beyond the whole: %v, broken off %v, want the first", err, broken)
	}
	large()
	large() // counts once
	first() // was broken off
	if o.total != 500<<10 || len(o.byAddress) != 1 || o.inFlight.Len() != 1 {
		t.Errorf("%d bytes of %d addresses in %d answers are counted, want the one under way", o.total, len(o.byAddress), o.inFlight.Len())
	}
	third()
	if o.total != 0 || len(o.byAddress) != 0 || o.inFlight.Len() != 0 {
		t.Errorf("%d bytes of %d addresses in %d answers are still counted", o.total, len(o.byAddress), o.inFlight.Len())
	}
}

// Those who read nothing, from many addresses, keep nobody from an answer: theirs are broken
// off.
func TestSlowReadersDoNotBlockOthers(t *testing.T) {
	gin.SetMode(gin.ReleaseMode)
	const size = 24 << 20 // more than the connections themselves take
	s := &Server{log: slog.New(slog.DiscardHandler), answerMemory: newAnswerMemory(3 * size)}
	s.metrics = newMetrics(s)
	e := gin.New()
	e.GET("/x", s.ginHandler("/x", func(x *request) error {
		return x.answerBytes(http.StatusOK, typeText, make([]byte, size))
	}, (*request).answerProblem))
	for name, tls := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(e)
			if server.EnableHTTP2 = tls; tls {
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			get := func(from string) (*http.Response, error) {
				transport := server.Client().Transport.(*http.Transport).Clone()
				transport.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext
				t.Cleanup(transport.CloseIdleConnections)
				return (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get(server.URL + "/x")
			}
			var held []*http.Response
			for i := range 4 {
				res, err := get(fmt.Sprintf("127.0.0.%d", 2+i))
				if err != nil || res.StatusCode != 200 {
					t.Fatal(res, err)
				}
				defer res.Body.Close()
				held = append(held, res)
			}
			res, err := get("127.0.0.9")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if n, err := io.Copy(io.Discard, res.Body); res.StatusCode != 200 || n != size || err != nil {
				t.Errorf("behind answers that nobody reads: %d, %d bytes, %v", res.StatusCode, n, err)
			}
			if _, err := io.Copy(io.Discard, held[0].Body); err == nil {
				t.Error("the answer that was begun first is whole")
			}
		})
	}
}

// stalledWriter is a client that reads nothing until it is let go.
type stalledWriter struct {
	*httptest.ResponseRecorder
	letGo <-chan struct{}
}

func (w stalledWriter) Write(p []byte) (int, error) {
	<-w.letGo
	return w.ResponseRecorder.Write(p)
}

// Whoever does not read his answer keeps nobody else's question waiting: his turn
// ends before the answer is sent, and only its bytes are counted.
func TestSlowReadersReleaseTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gin.SetMode(gin.ReleaseMode)
		s := &Server{queryLimiter: newConcurrencyLimiter("questions", 1, 4, time.Second), answerMemory: newAnswerMemory(8 << 20)}
		s.metrics = newMetrics(s)
		s.log = slog.New(slog.DiscardHandler)
		h := s.ginHandler("/x", s.queryLimiter.limit(func(x *request) error {
			return x.answerBytes(http.StatusOK, typeText, []byte(strings.Repeat("a", 1<<20)))
		}), (*request).answerProblem)
		e := gin.New()
		e.GET("/x", h)

		letGo, ended := make(chan struct{}), make(chan struct{})
		for i := range 7 {
			go func() {
				defer func() { ended <- struct{}{} }()
				r := httptest.NewRequest("GET", "/x", nil)
				r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", 10+i)
				e.ServeHTTP(stalledWriter{httptest.NewRecorder(), letGo}, r)
			}()
		}
		synctest.Wait()
		next := httptest.NewRecorder()
		e.ServeHTTP(next, httptest.NewRequest("GET", "/x", nil))
		if next.Code != http.StatusOK {
			t.Errorf("behind answers that nobody reads a question gets %d %s, want its answer", next.Code, next.Body)
		}
		close(letGo)
		for range 7 {
			<-ended
		}
		if s.answerMemory.total != 0 || len(s.queryLimiter.slots) != 0 {
			t.Errorf("%d bytes and %d turns are still held", s.answerMemory.total, len(s.queryLimiter.slots))
		}
	})
}

// largeLedger is a ledger on which everything that anybody can make long is long: one party
// with n enrolments and keys of its registrar's, one with n answers on one thread and n
// certifications, a designation with n amendments and events, and n/4 parties and
// designations.
func largeLedger(t testing.TB, set settings, n int) *world {
	t.Helper()
	w := newEnrolledWorld(t, set, "acme-cloud", "borealis")
	order := w.NewDesignation("Kestrel Hosting")
	w.mustSubmit(w.Designate("2026-014", order))
	w.admitAll(w.enrolAgain("acme-cloud", n))
	w.admitAll(func(yield func(record.Envelope) bool) {
		for i := range n {
			k := &record.Keys{Add: []record.PartyKey{w.Officer(fmt.Sprintf("acme-cloud/lost#%d", i))}}
			if i > 0 {
				k.Revoke = []record.KeyRevocation{{KeyID: w.KeyID(fmt.Sprintf("acme-cloud/lost#%d", i-1))}}
			}
			if !yield(w.Sign(w.Statement("party/acme-cloud", record.Authority, k), fmt.Sprintf("acme-cloud/lost#%d", i), "authority/officer-1")) {
				return
			}
		}
	})
	w.admitAll(func(yield func(record.Envelope) bool) {
		for i := range n {
			answer := &record.Response{Status: "acknowledged", Detail: &record.Commitment{Commit: record.IDOf(fmt.Append(nil, i)).String()}}
			if !yield(w.Respond("2026-014", "acme-cloud", answer)) {
				return
			}
		}
	})
	day := w.today()
	w.admitAll(func(yield func(record.Envelope) bool) {
		for i := range n {
			c := &record.CIPCertification{PeriodFrom: day.AddDays(-400 - n + i), PeriodUntil: day.AddDays(-1 - n + i), Initial: i == 0}
			if !yield(w.Sign(w.Statement("cip/acme-cloud", "acme-cloud", c), "acme-cloud/compliance")) {
				return
			}
		}
	})
	w.admitAll(func(yield func(record.Envelope) bool) {
		for i := range n {
			var p record.Predicate
			switch i % 4 {
			case 0:
				p = &record.Suspension{EffectiveOn: day, Reason: "talks"}
			case 1:
				p = &record.Reinstatement{EffectiveOn: day, Reason: "talks ended"}
			case 2:
				p = &record.Amendment{Type: "alias", Reason: "also known so", Add: schema.Object{{Name: "target", Value: schema.Object{{Name: "alias", Value: []any{schema.Object{{Name: "name", Value: "Kestrel"}, {Name: "type", Value: "aka"}}}}}}}}
			default:
				p = &record.Amendment{Type: "alias", Reason: "no more", Drop: schema.Object{{Name: "target", Value: schema.Object{{Name: "alias", Value: []any{schema.Object{{Name: "name", Value: "Kestrel"}, {Name: "type", Value: "aka"}}}}}}}}
			}
			if !yield(w.Sign(w.Statement("designation/2026-014", record.Authority, p), "authority/officer-1", "authority/officer-2")) {
				return
			}
		}
	})
	w.admitAll(func(yield func(record.Envelope) bool) {
		for i := range n / 4 {
			r := w.NewRequest("acme-cloud")
			if i == 0 {
				r.Jurisdiction = "XC"
			}
			if !yield(w.Request(fmt.Sprintf("%04d", i), r)) {
				return
			}
		}
	})
	w.admitAll(func(yield func(record.Envelope) bool) {
		for i := range n / 4 {
			if !yield(w.Provider(fmt.Sprintf("provider-%04d", i))) || !yield(w.Designate(fmt.Sprintf("2027-%04d", i), order)) {
				return
			}
		}
	})
	return w
}

// streamBatches is in how many a stream of 150 records is read, each the work of a question.
const streamBatches = 2

// queryCosts are what a stranger may ask of each route on that ledger; lists is how many
// of a route's lists each take the work of a question (0: it asks the register nothing
// but for single rows).
func queryCosts(w *world) map[string]struct {
	lists int
	paths []string
} {
	id := w.Head("designation/2026-014").String()
	long := w.Head("party/acme-cloud").String()
	past := url.QueryEscape(time.Now().Add(-time.Minute).UTC().Format(time.RFC3339))
	return map[string]struct {
		lists int
		paths []string
	}{
		"/checkpoint": {0, []string{"/checkpoint"}},
		"/tile/*path": {0, []string{"/tile/0/000", "/tile/entries/000", "/tile/entries/999"}},

		"/v1/records": {1, []string{"/v1/records", "/v1/records?limit=1000", "/v1/records?thread=party/acme-cloud", "/v1/records?kind=charter", "/v1/records?kind=keys&issuer=acme-cloud",
			"/v1/records?issuer=authority&kind=charter", "/v1/records?issuer=nobody", "/v1/records?thread=cip/acme-cloud&kind=charter"}},
		"/v1/records/:id":         {0, []string{"/v1/records/" + id, "/v1/records/" + strings.Repeat("0", 64)}},
		"/v1/records/:id/receipt": {0, []string{"/v1/records/" + id + "/receipt", "/v1/records/" + id + "/receipt?chain=true", "/v1/records/" + long + "/receipt?chain=true"}},
		"/v1/entries/:index":      {0, []string{"/v1/entries/0", "/v1/entries/7", "/v1/entries/999999"}},
		"/v1/checkpoints":         {0, []string{"/v1/checkpoints?at=" + past}},
		"/v1/auditors":            {0, []string{"/v1/auditors"}},
		"/v1/witnesses":           {0, []string{"/v1/witnesses"}},

		"/v1/register/designations": {1, []string{"/v1/register/designations", "/v1/register/designations?limit=1000", "/v1/register/designations?status=revoked", "/v1/register/designations?name=kestrel+hosting&limit=1000",
			"/v1/register/designations?country=NO", "/v1/register/designations?name=nobody", "/v1/register/designations?limit=1000&at=" + past, "/v1/register/designations?size=1"}},
		"/v1/register/designations/:id": {1, []string{"/v1/register/designations/2026-014", "/v1/register/designations/2026-014?at=" + past, "/v1/register/designations/2027-9999"}},
		"/v1/register/licences":         {1, []string{"/v1/register/licences?limit=1000", "/v1/register/licences?jurisdiction=XB&status=active"}},
		"/v1/register/licences/:id":     {1, []string{"/v1/register/licences/2027-003"}},
		"/v1/register/parties":          {1, []string{"/v1/register/parties", "/v1/register/parties?limit=1000", "/v1/register/parties?status=withdrawn", "/v1/register/parties?limit=1000&at=" + past}},
		"/v1/register/parties/:id":      {1, []string{"/v1/register/parties/acme-cloud", "/v1/register/parties/authority", "/v1/register/parties/acme-cloud?at=" + past, "/v1/register/parties/provider-9999"}},
		"/v1/register/parties/:id/keys": {1, []string{"/v1/register/parties/acme-cloud/keys", "/v1/register/parties/acme-cloud/keys?limit=1000", "/v1/register/parties/nobody/keys"}},
		"/v1/register/duties": {1, []string{"/v1/register/duties", "/v1/register/duties?limit=1000", "/v1/register/duties?state=paused", "/v1/register/duties?designation=2026-014", "/v1/register/duties?kind=certify&state=late&limit=1000",
			"/v1/register/duties?kind=conclude", "/v1/register/duties?designation=2029-001", "/v1/register/duties?limit=1000&at=" + past}},
		"/v1/records.csv":               {2, []string{"/v1/records.csv?limit=1000", "/v1/records.csv?kind=designation"}},
		"/v1/register/designations.csv": {2, []string{"/v1/register/designations.csv?limit=1000", "/v1/register/designations.csv?status=revoked"}},
		"/v1/register/licences.csv":     {2, []string{"/v1/register/licences.csv?limit=1000"}},
		"/v1/register/parties.csv":      {2, []string{"/v1/register/parties.csv?limit=1000"}},
		"/v1/register/duties.csv":       {2, []string{"/v1/register/duties.csv?limit=1000", "/v1/register/duties.csv?party=acme-cloud&state=late"}},
		"/v1/register/requests.csv":     {2, []string{"/v1/register/requests.csv?limit=1000"}},
		"/v1/register/cooperation.csv":  {2, []string{"/v1/register/cooperation.csv?jurisdiction=XC"}},
		"/v1/register/search.csv":       {2, []string{"/v1/register/search.csv?q=kestrel&limit=1000"}},
		"/v1/register/identifiers.csv":  {2, []string{"/v1/register/identifiers.csv?scheme=asn&value=64511&limit=1000", "/v1/register/identifiers.csv?scheme=asn"}},
		"/v1/register/duties.ics":       {1, []string{"/v1/register/duties.ics?party=acme-cloud", "/v1/register/duties.ics", "/v1/register/duties.ics?kind=certify&state=late"}},
		"/v1/register/duties/:id":       {1, []string{"/v1/register/duties/acme-cloud?limit=1000", "/v1/register/duties/acme-cloud?kind=certify", "/v1/register/duties/provider-0001?state=overdue", "/v1/register/duties/nobody"}},
		"/v1/stream":                    {streamBatches, []string{"/v1/stream?from=0&limit=150"}},
		"/v1/register/changes":          {2, []string{"/v1/register/changes?from=0", "/v1/register/changes?from=6&limit=1000", "/v1/register/changes", "/v1/register/changes?from=7&to=9", "/v1/register/changes?from=2020-01-01"}},
		"/v1/register/changes.csv":      {2, []string{"/v1/register/changes.csv?from=0&limit=1000"}},
		"/v1/register/changes.atom":     {2, []string{"/v1/register/changes.atom?from=0&limit=1000"}},
		"/v1/register/requests":         {1, []string{"/v1/register/requests", "/v1/register/requests?limit=1000", "/v1/register/requests?jurisdiction=XB&status=open", "/v1/register/requests?party=acme-cloud&limit=1000"}},
		"/v1/register/requests/:id":     {1, []string{"/v1/register/requests/0001", "/v1/register/requests/0001?at=" + past, "/v1/register/requests/none"}},
		"/v1/register/cooperation":      {1, []string{"/v1/register/cooperation?jurisdiction=XC", "/v1/register/cooperation?jurisdiction=XZ"}},
		"/v1/register/search": {1, []string{"/v1/register/search?q=k", "/v1/register/search?q=kestrel+hosting&limit=1000", "/v1/register/search?q=provider&limit=1000", "/v1/register/search?q=hosting&status=revoked&at=" + past,
			"/v1/register/search?q=2", "/v1/register/search?q=nobody-of-that-name", "/v1/register/search?q=" + id[:8], "/v1/register/search?q=response/", "/v1/register/search?q=AS64511&limit=1000", "/v1/register/search?q=" + url.QueryEscape(strings.Repeat("华为", 150))}},
		"/v1/snapshot":                            {0, []string{"/v1/snapshot"}},
		"/v1/snapshot/:size/:file":                {0, []string{"/v1/snapshot/7/MANIFEST-000001"}},
		"/v1/register/policy":                     {1, []string{"/v1/register/policy"}},
		"/v1/register/identifiers/:scheme/:value": {1, []string{"/v1/register/identifiers/name/kestrel", "/v1/register/identifiers/asn/64511?limit=1000", "/v1/register/identifiers/lei/x"}},
		"/schemas/:kind/v1":                       {0, []string{"/schemas/designation/v1"}},
		"/openapi.json":                           {0, []string{"/openapi.json"}},
		"/healthz":                                {0, []string{"/healthz"}},
		"/readyz":                                 {0, []string{"/readyz"}},
		"/metrics":                                {0, []string{"/metrics"}},
		"/":                                       {2, []string{"/", "/?at=" + past, "/?size=7"}},
		"/search":                                 {1, []string{"/search?q=kestrel&limit=1000", "/search?q=provider&kind=party", "/search"}},
		"/designations":                           {2, []string{"/designations", "/designations?status=revoked&limit=1000", "/designations?country=NO&at=" + past, "/designations?name=kestrel"}},
		"/duties":                                 {1, []string{"/duties", "/duties?party=acme-cloud&limit=1000", "/duties?designation=2026-014", "/duties?state=overdue&at=" + past}},
		"/licences":                               {2, []string{"/licences", "/licences?status=active&limit=1000"}},
		"/requests":                               {2, []string{"/requests", "/requests?status=open&limit=1000"}},
		"/cooperation":                            {1, []string{"/cooperation", "/cooperation?jurisdiction=XC"}},
		"/records":                                {1, []string{"/records", "/records?limit=1000", "/records?kind=designation&limit=1000", "/records?issuer=acme-cloud", "/records?below=7"}},
		"/changes":                                {2, []string{"/changes", "/changes?from=0&limit=1000", "/changes?from=7&to=9"}},
		"/lists":                                  {2, []string{"/lists", "/lists?at=" + past}},
		"/checkpoints":                            {0, []string{"/checkpoints"}},
		"/schemas":                                {0, []string{"/schemas"}},
		"/api":                                    {0, []string{"/api"}},
		"/how-to-verify":                          {0, []string{"/how-to-verify"}},
		"/designations/:id":                       {6, []string{"/designations/2026-014", "/designations/2027-9999"}},
		"/parties":                                {1, []string{"/parties?limit=1000"}},
		"/parties/:id":                            {5, []string{"/parties/acme-cloud", "/parties/authority", "/parties/nobody"}},
		"/licences/:id":                           {2, []string{"/licences/2027-001", "/licences/nobody"}},
		"/requests/:id":                           {3, []string{"/requests/2027-001", "/requests/1", "/requests/nobody"}},
		"/threads/*thread":                        {2, []string{"/threads/response/2026-014/acme-cloud", "/threads/charter", "/threads/cip/acme-cloud", "/threads/x", "/threads/party/acme-cloud"}},
		"/jurisdictions/:code":                    {3, []string{"/jurisdictions/XB", "/jurisdictions/XC", "/jurisdictions/nowhere"}},
		"/identifiers/:scheme/:value":             {1, []string{"/identifiers/domain/kestrel.example", "/identifiers/name/kestrel?limit=1000", "/identifiers/x/y"}},
		"/records/:id":                            {1, []string{"/records/" + id, "/records/" + long}},
		"/verify.html":                            {0, []string{"/verify.html"}},
		"/style.css":                              {0, []string{"/style.css"}},
		"/icon.svg":                               {0, []string{"/icon.svg"}},
		"/check.js":                               {0, []string{"/check.js"}},
		"/find.js":                                {0, []string{"/find.js"}},
	}
}

// requestCost is what one request cost.
type requestCost struct {
	status int
	bytes  int    // of the answer
	rows   uint64 // read from the register
	memory uint64 // bytes allocated in all, by whatever ran meanwhile
	took   time.Duration
}

func (w *world) cost(method, path string) requestCost {
	w.t.Helper()
	r := httptest.NewRequest(method, "/", nil)
	if err := setTarget(r, path); err != nil {
		w.t.Fatal(err)
	}
	out := httptest.NewRecorder()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rows, start := w.register.RowsRead(), time.Now()
	w.server.Handler().ServeHTTP(out, r)
	took := time.Since(start)
	a := requestCost{status: out.Code, bytes: out.Body.Len(), rows: w.register.RowsRead() - rows, took: took}
	runtime.ReadMemStats(&after)
	a.memory = after.TotalAlloc - before.TotalAlloc
	return a
}

// maxSingleRows is how many rows a request reads beside its lists: of records, keys and
// charters one by one, of a chain's records at most as many as a chain may have.
const maxSingleRows = 40

// No anonymous question costs more than its bound, whatever anybody has made long: rows
// read, and bytes allocated. A route without a row in the table fails.
func TestEveryQueryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("with the race detector the same question allocates more, and nothing here runs side by side")
	}
	work := register.ReadBudget{Rows: 600, Bytes: 256 << 10}
	// With caches as in use: in smaller ones Pebble's own blocks would count, where they lie on Go's heap.
	w := largeLedger(t, settings{server: Config{QueryBudget: work}, fast: true}, 1200)
	table := queryCosts(w)
	for _, route := range w.server.routes() {
		if route.method != http.MethodGet {
			continue
		}
		row, ok := table[route.path]
		if !ok {
			t.Errorf("GET %s: nobody has said what it may cost", route.path)
			continue
		}
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for _, path := range row.paths {
				most := uint64(row.lists*work.Rows + maxSingleRows)
				memory := uint64(row.lists*16*work.Bytes + 8<<20)
				if strings.Contains(path, "chain=true") {
					most, memory = 5*1024, 64<<20
				}
				got := w.cost(method, path)
				if got.status >= http.StatusInternalServerError {
					t.Errorf("%s %s: %d", method, path, got.status)
				}
				if got.status == http.StatusUnprocessableEntity && !strings.Contains(path, "chain=true") {
					t.Errorf("%s %s is refused as too much", method, path)
				}
				if got.rows > most {
					t.Errorf("%s %s read %d rows, the bound is %d", method, path, got.rows, most)
				}
				if got.memory > memory {
					t.Errorf("%s %s allocated %d bytes, the bound is %d", method, path, got.memory, memory)
				}
				if testing.Verbose() {
					t.Logf("%s %.90s: %d, %d bytes, %d rows, %d kB allocated, %s", method, path, got.status, got.bytes, got.rows, got.memory>>10, got.took.Round(time.Microsecond))
				}
			}
		}
	}
}

// TestCooperationIsWhole: a count of a part of the requests would be wrong, so that there is none
// where the whole takes too much work.
func TestCooperationIsWhole(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{QueryBudget: register.ReadBudget{Rows: 30, Bytes: 256 << 10}}}, "acme-cloud")
	for i := range 20 {
		w.mustSubmit(w.Request(fmt.Sprint(i), w.NewRequest("acme-cloud")))
	}
	w.wantProblem(w.get("/v1/register/cooperation"), problemTooMuchWork)
	if got := w.list("/v1/register/requests", "requests", "thread"); len(got) != 20 {
		t.Errorf("in pages there are %d", len(got))
	}
}

// BenchmarkLargeLedger reports what the dearest questions cost on a ledger of some
// DOCKET_LARGE × 5.5 entries (200 if it is not set).
func BenchmarkLargeLedger(b *testing.B) {
	n, err := strconv.Atoi(os.Getenv("DOCKET_LARGE"))
	if err != nil {
		n = 200
	}
	w := largeLedger(b, settings{fast: true}, n)
	b.Logf("%d entries", w.server.publishedSize())
	for route, row := range queryCosts(w) {
		for _, path := range row.paths {
			b.Run(strings.ReplaceAll(route, "/", "_")+"/"+url.PathEscape(path), func(b *testing.B) {
				var sum requestCost
				for b.Loop() {
					got := w.cost(http.MethodGet, path)
					sum.rows, sum.memory, sum.bytes = max(sum.rows, got.rows), max(sum.memory, got.memory), max(sum.bytes, got.bytes)
				}
				b.ReportMetric(float64(sum.rows), "rows")
				b.ReportMetric(float64(sum.memory)/(1<<20), "MiB")
				b.ReportMetric(float64(sum.bytes), "bytes")
			})
		}
	}
}
