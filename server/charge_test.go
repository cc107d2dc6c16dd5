package server

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

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
			if got := w.wantProblem(r, problemTooMany); !strings.Contains(got["detail"].(string), "acme-cloud") {
				t.Errorf("%v does not say whose limit", got)
			}
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
		name           string
		thread, issuer string
		say            record.Predicate
		keys           []string
		charged        string
		judged         int
	}{
		{"an enrolment of a party that is there", "party/acme-cloud", "acme-cloud", enrol("acme-cloud", "stranger/key"), []string{"stranger/key"}, "too much that came from 198.51.100.", 3},
		{"an enrolment of a party that is not", "party/newcomer", "newcomer", enrol("newcomer", "stranger/key"), []string{"stranger/key"}, "too much that came from 198.51.100.", 3},
		{"an enrolment with a revoked key", "party/acme-cloud", "acme-cloud", enrol("acme-cloud", "acme-cloud/ci"), []string{"acme-cloud/ci"}, "too much that came from 198.51.100.", 3},
		{"a charter", "charter", "authority", &usurped, []string{"root/usurper"}, "too much that came from 198.51.100.", 3},
		{"keys for the authority", "party/authority", "authority", grab, []string{"authority/mole"}, "too much that came from 198.51.100.", 3},
		{"a provider's keys in the authority's name", "party/cirrus", "authority", &record.Keys{Add: []record.PartyKey{w.Officer("cirrus/mole")}}, []string{"cirrus/compliance", "cirrus/mole"}, "too much that came from 198.51.100.", 3},
		{"a stranger's keys in the authority's name", "party/borealis", "authority", &record.Keys{Add: []record.PartyKey{w.Officer("borealis/mole")}}, []string{"borealis/mole"}, "too much that came from 198.51.100.", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, from := w.forTest(t), fmt.Sprintf("198.51.100.%d:1000", i+1)
			size := w.server.publishedSize()
			judged := 0
			for n := range 2 * burst {
				st := w.Statement(c.thread, c.issuer, c.say)
				st.Note = fmt.Sprint(n)
				switch r := w.postFrom(from, w.Sign(st, c.keys...)); {
				case r.Code == http.StatusTooManyRequests:
					if got := w.wantProblem(r, problemTooMany); !strings.HasPrefix(got["detail"].(string), c.charged) {
						t.Errorf("%v, want %s", got, c.charged)
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

	flood := func(limit string, next func(i int) record.Envelope) {
		t.Helper()
		for i := range 110 {
			env := next(i)
			r := w.post(env.Marshal())
			if r.Code == http.StatusTooManyRequests {
				if got := w.wantProblem(r, problemTooMany); !strings.Contains(got["detail"].(string), limit) {
					t.Errorf("%v, want %s", got, limit)
				}
				return
			}
			if r.Code != http.StatusCreated {
				t.Fatalf("%d %s", r.Code, r.Body)
			}
			w.NoteAdmitted(env)
		}
		t.Errorf("%s: never reached", limit)
	}
	flood("for ci alone, ", func(i int) record.Envelope {
		return w.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged", Detail: &record.Commitment{Commit: record.IDOf(fmt.Append(nil, i)).String()}})
	})
	w.mustSubmit(w.Sign(w.Statement("party/acme-cloud", "acme-cloud", &record.Keys{Revoke: []record.KeyRevocation{{KeyID: w.KeyID("acme-cloud/ci")}}}), "acme-cloud/compliance"))
	w.mustSubmit(w.Sign(w.Statement("response/2026-014/acme-cloud", "acme-cloud", &record.Response{Status: "no-relationship"}), "acme-cloud/compliance"))

	flood("for officer-1 alone, ", func(i int) record.Envelope {
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
	if got := w.wantProblem(w.post(large(6).Marshal()), problemTooMany); !strings.Contains(got["detail"].(string), "the limit of acme-cloud is 0.001 records of 4 KiB a second") {
		t.Errorf("%v, want the limit with its unit", got)
	}
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
		} else if got := w.wantProblem(r, problemTooMany); !strings.HasPrefix(got["detail"].(string), "too much that came from 192.0.2.7") {
			t.Errorf("%v, want the limit of the address", got)
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
		return w.Sign(w.Statement("party/"+id, id, e), id+"/desk", "acme-cloud/compliance")
	}
	for i := range 6 + 1 { // one is the key's reserve
		w.mustSubmit(resell(i))
	}
	if got := w.wantProblem(w.post(resell(7).Marshal()), problemTooMany); !strings.Contains(got["detail"].(string), "the limit of acme-cloud") {
		t.Errorf("%v, want the sponsor's limit", got)
	}
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
		if got := w.wantProblem(post(), problemTooMany); !strings.Contains(got["detail"].(string), "from "+c.want+" was") {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if _, err := New(Config{Ledger: newWorld(t, settings{}).ledger, Proxies: []string{"a proxy"}}); err == nil {
		t.Error("a proxy without an address is accepted")
	}
}
