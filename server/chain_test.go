package server

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

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
			if !yield(w.Sign(w.Statement("party/"+party, party, e), party+"/compliance", "authority/officer-1")) {
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
	p := w.wantProblem(w.get(path), problemChainTooLong)
	if detail := fmt.Sprint(p["detail"]); !strings.Contains(detail, "docket trust") {
		t.Errorf("the answer does not say what to do: %s", detail)
	}
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
