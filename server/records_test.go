package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// admitAll puts records straight into the ledger, many to a commit, and waits until
// all are published.
func (w *world) admitAll(records func(yield func(record.Envelope) bool)) {
	w.t.Helper()
	var tickets sync.WaitGroup
	failed := make(chan error, 1)
	for env := range records {
		v, err := record.Open(env, w.register.CandidateKeys)
		if err != nil {
			w.t.Fatal(err)
		}
		ticket, err := w.ledger.Append(w.t.Context(), v)
		if err != nil {
			w.t.Fatal(err)
		}
		w.NoteAdmitted(env)
		tickets.Go(func() {
			if _, err := ticket.AwaitCommitted(w.t.Context()); err != nil {
				select {
				case failed <- fmt.Errorf("%s: %w", v.Statement().Thread, err):
				default:
				}
			}
		})
	}
	tickets.Wait()
	select {
	case err := <-failed:
		w.t.Fatal(err)
	default:
	}
	if size := w.ledger.Head().Size; size > 0 {
		if _, err := w.ledger.AwaitPublished(w.t.Context(), size-1); err != nil {
			w.t.Fatal(err)
		}
	}
}

// enrolAgain are n later enrolments of a party, to which the law sets no end.
func (w *world) enrolAgain(party string, n int) func(func(record.Envelope) bool) {
	return func(yield func(record.Envelope) bool) {
		for i := range n {
			e := &record.Enrolment{LegalName: fmt.Sprintf("%s no. %d, Inc. (fictional)", party, i), Country: "US", Roles: []record.Role{record.RoleProvider}}
			if !yield(w.Sign(w.Statement(record.PartyThread(party), party, e), party+"/compliance", "authority/officer-1")) {
				return
			}
		}
	}
}

// However long a party's history, its chain is no failure of the server: it fits
// into a chain file, or the answer says what to do instead.
func TestChainBeyondItsBounds(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud", "borealis")
	w.mustSubmit(w.Designate("2026-014", w.NewDesignation("Kestrel Hosting")))
	w.mustSubmit(w.Respond("2026-014", "acme-cloud", &record.Response{Status: "no-relationship"}))
	id := w.Head("response/2026-014/acme-cloud")
	path := "/v1/records/" + id.String() + "/receipt?chain=true"

	const begun = 4 // charter, authority, acme-cloud, the response itself
	w.admitAll(w.enrolAgain("acme-cloud", proof.MaxChainReceipts-begun))
	r := w.get(path)
	if r.Code != http.StatusOK {
		t.Fatalf("a chain of %d receipts: %d %s", proof.MaxChainReceipts, r.Code, r.Body)
	}
	chain, err := proof.ParseChain(r.Body.Bytes())
	if err != nil || len(chain) != proof.MaxChainReceipts {
		t.Fatalf("%d receipts, %v; want %d", len(chain), err, proof.MaxChainReceipts)
	}

	w.admitAll(w.enrolAgain("acme-cloud", 1))
	w.wantRefusal(w.get(path), problemChainTooLong) // it says what to do
	if r := w.get(strings.TrimSuffix(path, "?chain=true")); r.Code != http.StatusOK {
		t.Errorf("the receipt alone: %d %s", r.Code, r.Body)
	}
}

// A chain is dear to make: it waits for its turn among the questions.
func TestChainsWaitForTheirTurn(t *testing.T) {
	w := newEnrolledWorld(t, settings{server: Config{Verifiers: 1, VerifyWait: 1}})
	path := "/v1/records/" + w.Ledger.String() + "/receipt?chain=true"
	if err := w.server.queryLimiter.acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := w.get(path)
	w.wantProblem(r, problemOverloaded)
	if r.Header().Get("Retry-After") == "" {
		t.Error("a busy server does not say when to come again")
	}
	w.server.queryLimiter.release()
	if r := w.get(path); r.Code != http.StatusOK {
		t.Errorf("%d %s", r.Code, r.Body)
	}
}

// cosigner is a witness in the ledger's process, and its line of a policy.
func cosigner(t testing.TB, name string) (ledger.CosignFunc, string) {
	t.Helper()
	skey, vkey, err := proof.GenerateKey(proof.CosignatureEd25519, name+".example")
	if err != nil {
		t.Fatal(err)
	}
	key, err := proof.ParseCosigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return func(_ context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
		cp, _, err := proof.ParseCheckpoint(ask.Signed.Note())
		if err != nil {
			return ledger.CosignResponse{}, err
		}
		s, err := key.Cosign(cp)
		return ledger.CosignResponse{Cosignatures: []proof.Signature{s}}, err
	}, fmt.Sprintf("witness %s %s\n", name, vkey)
}

// What was knowable at a moment is below the newest checkpoint stamped no later.
func TestCheckpointAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cosign, line := cosigner(t, "w1")
		w := newEnrolledWorld(t, settings{policy: line + "quorum w1\n", ledger: ledger.Config{Cosign: cosign}}, "acme-cloud")
		early := time.Now()
		time.Sleep(time.Hour)
		w.Now = time.Now()
		w.mustSubmit(w.Provider("borealis"))
		for at, size := range map[time.Time]uint64{early: 3, time.Now().Add(-time.Minute): 3, time.Now(): 4, time.Now().AddDate(1, 0, 0): 4} {
			r := w.get("/v1/checkpoints?at=" + url.QueryEscape(at.UTC().Format(time.RFC3339)))
			if r.Code != http.StatusOK || !strings.HasPrefix(r.Header().Get("Content-Type"), "text/plain") {
				t.Fatalf("%s: %d %s", at, r.Code, r.Body)
			}
			p, err := w.policy.Verify(r.Body.Bytes(), time.Now())
			if err != nil || p.Checkpoint().Size != size || p.ExistedBy().After(at) {
				t.Errorf("at %s: size %d, stamped %s, %v; want size %d", at, p.Checkpoint().Size, p.ExistedBy(), err, size)
			}
		}
		w.wantProblem(w.get("/v1/checkpoints?at=1999-01-01T00:00:00Z"), problemNotFound)
		w.wantProblem(w.get("/v1/checkpoints"), problemParameter)
		w.wantProblem(w.get("/v1/checkpoints?at=noon"), problemParameter)
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
}

// What the register says was knowable goes by the same checkpoints, and by admission
// times where there are none.
func TestKnowableAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cosign, line := cosigner(t, "w1")
		var away atomic.Bool
		w := newEnrolledWorld(t, settings{policy: line + "quorum w1\n", ledger: ledger.Config{Cosign: func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
			if away.Load() {
				return ledger.CosignResponse{}, errors.New("away")
			}
			return cosign(ctx, ask)
		}}}, "acme-cloud")
		early := time.Now().UTC().Truncate(time.Second)
		time.Sleep(time.Hour)
		w.Now = time.Now()
		away.Store(true)
		if r := w.post(w.Provider("borealis").Marshal()); r.Code != http.StatusAccepted {
			t.Fatalf("without a quorum: %d %s", r.Code, r.Body)
		}
		admitted := time.Now().UTC()
		time.Sleep(time.Hour)
		away.Store(false)
		time.Sleep(time.Hour)
		cosigned := w.ledger.Published().ExistedBy().UTC()
		for _, c := range []struct {
			at       time.Time
			knowable string
			size     float64
			proven   bool
		}{
			{early.Add(-time.Hour), "none", 0, false},
			{early, "none", 3, true},
			{admitted.Add(time.Minute), "none", 3, true},
			{cosigned, "active", 4, true},
		} {
			at := "?at=" + url.QueryEscape(c.at.Format(time.RFC3339))
			standing := strings.Replace(c.knowable, "none", "nothing", 1)
			word := fmt.Sprintf("%s, by the first %.0f records, which witnesses had cosigned at ", standing, c.size)
			if !c.proven {
				word = standing + ", by the server"
			}
			if page := w.getPage("/parties/borealis"+at, http.StatusOK); !strings.Contains(page, word) {
				t.Errorf("at %s: the page does not say %q:\n%s", c.at, word, page)
			}
			p := w.wantJSON(w.get("/v1/register/parties/borealis"+at), http.StatusOK)
			by := p["knowableBy"].(map[string]any)
			if p["knowable"] != c.knowable || by["size"] != c.size || (by["cosigned"] != nil) != c.proven {
				t.Errorf("at %s: knowable %v by %v, want %s by %v, proven %t", c.at, p["knowable"], by, c.knowable, c.size, c.proven)
			}
		}
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestCheckpointAtWithoutWitnesses(t *testing.T) {
	w := newEnrolledWorld(t, settings{})
	w.wantRefusal(w.get("/v1/checkpoints?at="+time.Now().UTC().Format(time.RFC3339)), problemNotFound) // it says why
}

// The witnesses are told of as the ledger sees them, to people and to Prometheus.
func TestWitnesses(t *testing.T) {
	all := []Witness{
		{Name: "w1", URL: "https://w1.example/x", InQuorum: true, Size: 9, At: time.Now().Add(-time.Minute), Latency: 20 * time.Millisecond},
		{Name: "w2", Failures: 3, Error: "asking w2.example to cosign: connection refused"},
	}
	w := newWorld(t, settings{server: Config{Witnesses: func() []Witness { return all }}})
	got := w.wantJSON(w.get("/v1/witnesses"), http.StatusOK)
	list := got["witnesses"].([]any)
	first, second := list[0].(map[string]any), list[1].(map[string]any)
	if len(list) != 2 || first["name"] != "w1" || first["size"] != 9.0 || first["ageSeconds"].(float64) < 60 || first["error"] != nil {
		t.Errorf("the first is %v", first)
	}
	if second["at"] != nil || second["failures"] != 3.0 || second["error"] == nil || second["inQuorum"] != false {
		t.Errorf("the second is %v", second)
	}
	text := w.metricsText()
	for _, line := range []string{`docket_witness_size{witness="w1"} 9`, `docket_witness_latency_seconds{witness="w1"} 0.02`, `docket_witness_failures{witness="w2"} 3`, `docket_witness_cosigned_age_seconds{witness="w1"} 6`} {
		if !strings.Contains(text, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	if strings.Contains(text, "refused") || strings.Contains(text, `cosigned_age_seconds{witness="w2"}`) {
		t.Error("the metrics say too much")
	}
	if got["nextKeys"] != nil || first["nextKeys"] != nil || strings.Contains(text, "next_keys") {
		t.Errorf("one generation of keys: %v", got)
	}
	next := NextKeys{AskedAt: time.Now(), Witnesses: []Readiness{{Name: "w1", Ready: true}, {Name: "w2", Error: "it does not know the new ones"}}}
	rotating := newWorld(t, settings{server: Config{Witnesses: func() []Witness { return all }, NextKeys: func() NextKeys { return next }}})
	got = rotating.wantJSON(rotating.get("/v1/witnesses"), http.StatusOK)
	of := func(i int) any { return got["witnesses"].([]any)[i].(map[string]any)["nextKeys"] }
	if got["nextKeys"].(map[string]any)["quorum"] != false || !reflect.DeepEqual(of(0), map[string]any{"ready": true}) ||
		!reflect.DeepEqual(of(1), map[string]any{"ready": false, "error": "it does not know the new ones"}) {
		t.Errorf("two generations: %v", got)
	}
	text = rotating.metricsText()
	for _, line := range []string{"docket_next_keys_quorum 0", `docket_witness_next_keys_ready{witness="w1"} 1`, `docket_witness_next_keys_ready{witness="w2"} 0`} {
		if !strings.Contains(text, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	none := newWorld(t, settings{})
	if got := none.wantJSON(none.get("/v1/witnesses"), http.StatusOK)["witnesses"].([]any); len(got) != 0 {
		t.Errorf("nobody is asked: %v", got)
	}
}

// A chain proves each charter under its own policy, after the witnesses of then are
// gone.
func TestChainAcrossCharters(t *testing.T) {
	first, firstLine := cosigner(t, "w1")
	second, secondLine := cosigner(t, "w2")
	w := newEnrolledWorld(t, settings{policy: firstLine + "quorum w1\n", ledger: ledger.Config{Cosign: func(ctx context.Context, ask ledger.CosignRequest) (ledger.CosignResponse, error) {
		if strings.Contains(ask.Policy.Text(), firstLine) {
			return first(ctx, ask)
		}
		return second(ctx, ask)
	}}}, "acme-cloud")
	old := w.policy
	text := strings.Replace(old.Text(), firstLine+"quorum w1\n", secondLine+"quorum w2\n", 1)
	var err error
	if w.policy, err = proof.ParsePolicy([]byte(text)); err != nil {
		t.Fatal(err)
	}
	w.CharterPredicate.Policy = text
	w.mustSubmit(w.Charter()) // index 3
	r := w.mustSubmit(w.Provider("borealis"))
	chain, err := proof.ParseChain(w.get("/v1/records/" + r.Header().Get("Docket-Record") + "/receipt?chain=true").Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chain {
		policy := w.policy
		if c.Index == 0 {
			policy = old
		}
		v, err := c.Verify(policy, time.Now())
		if err != nil {
			t.Fatalf("entry %d: %v", c.Index, err)
		}
		if size := v.Published().Checkpoint().Size; c.Index == 0 && size != 3 || c.Index > 0 && size != 5 {
			t.Errorf("entry %d is proven at size %d", c.Index, size)
		}
	}
}
