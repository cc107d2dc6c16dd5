package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// hosts reaches several servers, each by a network of its own.
type hosts map[string]*network

func (h hosts) RoundTrip(r *http.Request) (*http.Response, error) { return h[r.URL.Host].RoundTrip(r) }

// servers are two servers of a world's ledger, as a client reaches them that was given the URLs of
// both; told is what it said of them.
type servers struct {
	a, b *network
	*Client
	told []string
}

func (w *world) servers() *servers {
	w.t.Helper()
	s := &servers{a: &network{handler: w.net.handler}, b: &network{handler: w.net.handler}}
	all, err := wire.NewServers(hosts{"a.example": s.a, "b.example": s.b}, "http://a.example", "http://b.example", "http://a.example/")
	if err != nil {
		w.t.Fatal(err)
	}
	all.OnSwitch = func(from, to string, why error) { s.told = append(s.told, fmt.Sprintf("%s → %s: %v", from, to, why)) }
	s.Client = At(all)
	return s
}

// wantTold fails unless the client said so many times that it went on with another server, the
// last time for a reason with those words.
func (s *servers) wantTold(t *testing.T, times int, words string) {
	t.Helper()
	if len(s.told) != times || times > 0 && !strings.Contains(s.told[times-1], words) {
		t.Errorf("told %q, want %d times, the last with %q", s.told, times, words)
	}
}

func lose(*http.Request) error { return errLost }

// answering answers everything with one status.
func answering(status int) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		w := httptest.NewRecorder()
		http.Error(w, "not here", status)
		res := w.Result()
		res.Request = r
		return res
	}
}

// behind makes a server one that stands still: it goes on to show the newest checkpoint as it
// is now, and knows no record that comes later.
func (w *world) behind(n *network) {
	old := (&network{handler: n.handler})
	r, err := old.RoundTrip(httptest.NewRequest(http.MethodGet, "http://x/checkpoint", nil))
	if err != nil {
		w.t.Fatal(err)
	}
	note, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	n.rewriteResponse = func(r *http.Request, answer []byte) []byte {
		if r.URL.Path == "/checkpoint" {
			return note
		}
		return answer
	}
	n.respond = func(r *http.Request) *http.Response {
		if strings.HasPrefix(r.URL.Path, "/v1/records/") {
			return answering(http.StatusNotFound)(r)
		}
		return nil
	}
}

// Whatever is asked is asked of the next server where one is away, and of none more than needed.
func TestClientGoesOnWithAnotherServer(t *testing.T) {
	for _, c := range []struct {
		name, words string
		damage      func(*network)
	}{
		{"dead", "connection lost", func(n *network) { n.fail = lose }},
		{"fails", "500", func(n *network) { n.respond = answering(500) }},
		{"stands by", "503", func(n *network) { n.respond = answering(503) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.servers()
			trust := w.trust(vfs.NewMem(), "trust")
			c.damage(s.a)
			must(t, trust.Sync(t.Context(), s.Client, nil))
			s.wantTold(t, 1, c.words)
			asked := len(s.a.paths)
			w.admit(w.Provider("acme-cloud"))
			must(t, trust.Sync(t.Context(), s.Client, nil))
			if _, err := s.Receipt(t.Context(), w.Ledger, trust); err != nil {
				t.Error(err)
			}
			if len(s.a.paths) != asked {
				t.Errorf("the one that is away was asked for %q again", s.a.paths[asked:])
			}
			s.wantTold(t, 1, c.words)

			s.a.fail, s.a.respond = nil, nil
			s.b.fail = lose
			must(t, trust.Sync(t.Context(), s.Client, nil))
			s.wantTold(t, 2, "b.example → http://a.example: ")
		})
	}
}

// A sync that a server leaves in the middle goes on where it was, at the next.
func TestSyncGoesOnAtAnotherServer(t *testing.T) {
	w := newWorld(t)
	w.growTo(600)
	s := w.servers()
	trust := w.trust(vfs.NewMem(), "trust")
	var dead atomic.Bool
	s.a.fail = func(r *http.Request) error {
		if dead.Load() || strings.HasSuffix(r.URL.Path, "tile/entries/001") {
			dead.Store(true)
			return errLost
		}
		return nil
	}
	must(t, trust.Sync(t.Context(), s.Client, nil))
	w.wantSameRegister(trust)
	s.wantTold(t, 1, "connection lost")
}

// One that is behind what was seen is left for another; what it lacks is looked for there.
func TestClientLeavesAServerThatIsBehind(t *testing.T) {
	w := newWorld(t)
	s := w.servers()
	w.behind(s.a)
	late := w.Provider("acme-cloud")
	w.admit(late)
	id := record.IDOf(late.Payload)
	stale := s.a
	for name, trust := range map[string]*Trust{"a copy": w.syncedTrust(), "no copy": w.trust(vfs.NewMem(), "trust")} {
		must(t, trust.Refresh(t.Context(), w.client()))
		s := w.servers()
		s.a.rewriteResponse, s.a.respond = stale.rewriteResponse, stale.respond
		if _, err := s.Receipt(t.Context(), id, trust); err != nil {
			t.Errorf("%s: a receipt that one of two lacks: %v", name, err)
		}
		s.wantTold(t, 0, "")
		if err := trust.Refresh(t.Context(), s.Client); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.wantTold(t, 1, "is behind")
	}

	s = w.servers()
	trust := w.syncedTrust()
	w.behind(s.a)
	w.behind(s.b)
	w.admit(w.Provider("borealis"))
	must(t, trust.Sync(t.Context(), w.client(), nil))
	var behind *BehindError
	if err := trust.Sync(t.Context(), s.Client, nil); !errors.As(err, &behind) || !strings.Contains(err.Error(), "none of the 2 servers") {
		t.Errorf("all are behind: %v", err)
	}
	s.wantTold(t, 0, "")
}

// One whose newest checkpoint is older than may be is left for another, which may show a newer one. Where
// none does, what there is is taken in.
func TestSyncLeavesAServerThatIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWitnessedWorld(t)
		old := &network{handler: w.net.handler}
		w.behind(old)
		w.advanceClock(2 * time.Hour)
		w.admitDesignation("0001")
		cutOff := func(n *network) { n.rewriteResponse = old.rewriteResponse }
		dead := func(n *network) { n.fail = lose }
		for _, c := range []struct {
			name   string
			b      func(*network)
			maxAge time.Duration
			size   uint64
			told   int
			words  string
		}{
			{"any age", func(*network) {}, 0, 4, 0, ""},
			{"not too old", func(*network) {}, 3 * time.Hour, 4, 0, ""},
			{"too old", func(*network) {}, time.Hour, 5, 1, "is 2h0m0s old; the limit is 1h0m0s"},
			{"both too old", cutOff, time.Hour, 4, 1, "is 2h0m0s old"},
			{"the other is dead", dead, time.Hour, 4, 2, "connection lost"},
		} {
			for what, sync := range map[string]func(*Trust, *Client) error{
				"sync":    func(trust *Trust, all *Client) error { return trust.Sync(t.Context(), all, nil) },
				"verify":  func(trust *Trust, all *Client) error { _, err := trust.VerifyCopy(t.Context(), all, nil); return err },
				"refresh": func(trust *Trust, all *Client) error { return trust.Refresh(t.Context(), all) },
			} {
				s := w.servers()
				cutOff(s.a)
				c.b(s.b)
				trust := w.trust(vfs.NewMem(), "trust")
				trust.MaxAge = c.maxAge
				if err := sync(trust, s.Client); err != nil || trust.size() != c.size {
					t.Errorf("%s, %s: size %d, %v; want %d", c.name, what, trust.size(), err, c.size)
				}
				s.wantTold(t, c.told, c.words)
			}
		}
		// What was mended by the one that is left counts.
		files := vfs.NewMem()
		trust := w.trust(files, "trust")
		s := w.servers()
		cutOff(s.a)
		must(t, trust.Sync(t.Context(), s.Client, nil))
		must(t, disk.WriteFile(files, "trust/tile/entries/000.p/4", []byte("spoilt"), 0o644, disk.SyncNow))
		trust.MaxAge = time.Hour
		if mended, err := trust.VerifyCopy(t.Context(), s.Client, nil); mended != 1 || err != nil || trust.size() != 5 {
			t.Errorf("mended %d bundles, %v, size %d", mended, err, trust.size())
		}
	})
}

// What is wrong is evidence, and no other server is asked in its place.
func TestClientHidesNoWrongAnswer(t *testing.T) {
	w := newWorld(t)
	trust := w.syncedTrust()
	w.admit(w.Provider("acme-cloud"))
	fork := newWorld(t)
	fork.admit(fork.Provider("borealis"), fork.Provider("cumulus"), fork.Provider("drizzle"))

	s := w.servers()
	s.a.handler = fork.net.handler
	var split *InconsistencyError
	if err := trust.Sync(t.Context(), s.Client, nil); !errors.As(err, &split) || split.Evidence == nil {
		t.Errorf("a fork: %v", err)
	}
	if len(s.b.paths) > 0 {
		t.Errorf("after a fork the other server was asked for %q", s.b.paths)
	}

	s = w.servers()
	s.a.rewriteResponse = func(r *http.Request, answer []byte) []byte {
		if r.URL.Path == "/checkpoint" {
			return []byte(strings.Replace(string(answer), "\n— ", "\n— x", 1))
		}
		return answer
	}
	if err := trust.Sync(t.Context(), s.Client, nil); err == nil || len(s.b.paths) > 0 {
		t.Errorf("a bad signature: %v; the other server was asked for %q", err, s.b.paths)
	}
	s.wantTold(t, 0, "")
}

// A record whose answer was lost is sent to the next server, and is on the ledger once; a
// mirror that takes none does not stand in its way; a refusal is the answer.
func TestSubmitGoesOnWithAnotherServer(t *testing.T) {
	w := newWorld(t)
	w.runLedger()
	trust := w.syncedTrust()
	size := w.ledger.Head().Size
	s := w.servers()
	lost := 0
	inner := s.a.handler
	s.a.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			lost++
			inner.ServeHTTP(httptest.NewRecorder(), r)
			http.Error(rw, "the answer is lost", http.StatusBadGateway)
			return
		}
		inner.ServeHTTP(rw, r)
	})
	env := w.Provider("acme-cloud").Marshal()
	got, err := s.Submit(t.Context(), env, trust, Retry{})
	if err != nil || got.Receipt == nil || got.Receipt.Index() != size || lost != 1 || w.ledger.Head().Size != size+1 {
		t.Fatalf("submitted: %+v, %v; %d answers were lost; the ledger has %d entries, want %d", got, err, lost, w.ledger.Head().Size, size+1)
	}
	s.wantTold(t, 1, "502")

	s = w.servers()
	s.a.respond = func(r *http.Request) *http.Response {
		if r.Method == http.MethodPost {
			return answering(http.StatusMethodNotAllowed)(r)
		}
		return nil
	}
	if _, err := s.Commit(t.Context(), w.Provider("borealis").Marshal(), Retry{}); err != nil {
		t.Errorf("a mirror and a ledger: %v", err)
	}

	s = w.servers()
	var refused *Problem
	if _, err := s.Submit(t.Context(), []byte(strings.Replace(string(env), `"sig":"`, `"sig":"AA`, 1)), trust, Retry{}); err == nil {
		t.Error("a broken signature was taken")
	} else if errors.As(err, &refused) && len(s.b.paths) > 0 {
		t.Errorf("after a refusal the other was asked for %q", s.b.paths)
	}

	// A replica that is a little behind whom it sends records on to is stayed with.
	s = w.servers()
	w.behind(s.a)
	if got, err := s.Submit(t.Context(), w.Provider("cumulus").Marshal(), trust, Retry{}); err != nil || got.Receipt == nil || got.Receipt.Published().Checkpoint().Size != w.ledger.Head().Size {
		t.Errorf("by a replica that is behind: %+v, %v", got, err)
	}
	must(t, trust.Sync(t.Context(), s.Client, nil))
	s.wantTold(t, 0, "")
	if len(s.b.paths) > 0 {
		t.Errorf("the other one was asked for %q", s.b.paths)
	}

	s = w.servers()
	s.a.fail, s.b.respond = lose, answering(503)
	var busy *Problem
	if _, err := s.Submit(t.Context(), env, trust, Retry{}); !errors.As(err, &busy) || busy.Status != 503 || !strings.Contains(err.Error(), "connection lost") {
		t.Errorf("all are away: %v", err)
	}
	s.wantTold(t, 0, "")
}

// An audit leaves a server that is behind what was trusted, and goes on with the next where one
// dies.
func TestAuditGoesOnWithAnotherServer(t *testing.T) {
	w := newWorld(t)
	s := w.servers()
	w.behind(s.a)
	w.admit(w.Provider("acme-cloud"))
	trust := w.syncedTrust()
	audit := func() *AuditReport {
		t.Helper()
		r, err := Audit{Source: s.Source(), Charter: w.Ledger, Trusted: trust.Checkpoint(), TrustedPolicies: trust, TrustedTiles: trust.copyDir().Tiles,
			RegisterFiles: vfs.NewMem(), RegisterDir: "r"}.Run(t.Context())
		must(t, err)
		return r
	}
	if r := audit(); len(r.Findings) > 0 || r.Behind != nil || r.Checked != 3 {
		t.Errorf("one of two is behind: %+v", r)
	}
	s.wantTold(t, 1, "is behind")
	w.behind(s.b)
	w.admit(w.Provider("borealis"))
	must(t, trust.Sync(t.Context(), w.client(), nil))
	if r := audit(); r.Behind == nil {
		t.Errorf("both are behind: %+v", r)
	}
	s = w.servers()
	s.a.fail = lose
	if r := audit(); len(r.Findings) > 0 || r.Checked != 4 {
		t.Errorf("one of two is dead: %+v", r)
	}
}
