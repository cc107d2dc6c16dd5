package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

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
				p = &record.Amendment{Type: "alias", Reason: "also known so", Add: record.Object{{Name: "target", Value: record.Object{{Name: "alias", Value: []any{record.Object{{Name: "name", Value: "Kestrel"}, {Name: "type", Value: "aka"}}}}}}}}
			default:
				p = &record.Amendment{Type: "alias", Reason: "no more", Drop: record.Object{{Name: "target", Value: record.Object{{Name: "alias", Value: []any{record.Object{{Name: "name", Value: "Kestrel"}, {Name: "type", Value: "aka"}}}}}}}}
			}
			if !yield(w.Sign(w.Statement("designation/2026-014", record.Authority, p), "authority/officer-1", "authority/officer-2")) {
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
		"/v1/checkpoints":         {0, []string{"/v1/checkpoints?at=" + past}},
		"/v1/witnesses":           {0, []string{"/v1/witnesses"}},

		"/v1/register/designations": {1, []string{"/v1/register/designations", "/v1/register/designations?limit=1000", "/v1/register/designations?status=revoked", "/v1/register/designations?name=kestrel+hosting&limit=1000",
			"/v1/register/designations?country=NO", "/v1/register/designations?name=nobody", "/v1/register/designations?limit=1000&at=" + past, "/v1/register/designations?size=1"}},
		"/v1/register/designations/:id": {1, []string{"/v1/register/designations/2026-014", "/v1/register/designations/2026-014?at=" + past, "/v1/register/designations/2027-9999"}},
		"/v1/register/parties":          {1, []string{"/v1/register/parties", "/v1/register/parties?limit=1000", "/v1/register/parties?status=withdrawn", "/v1/register/parties?limit=1000&at=" + past}},
		"/v1/register/parties/:id":      {1, []string{"/v1/register/parties/acme-cloud", "/v1/register/parties/authority", "/v1/register/parties/acme-cloud?at=" + past, "/v1/register/parties/provider-9999"}},
		"/v1/register/parties/:id/keys": {1, []string{"/v1/register/parties/acme-cloud/keys", "/v1/register/parties/acme-cloud/keys?limit=1000", "/v1/register/parties/nobody/keys"}},
		"/v1/register/duties": {1, []string{"/v1/register/duties", "/v1/register/duties?limit=1000", "/v1/register/duties?state=paused", "/v1/register/duties?designation=2026-014", "/v1/register/duties?kind=certify&state=late&limit=1000",
			"/v1/register/duties?kind=conclude", "/v1/register/duties?designation=2029-001", "/v1/register/duties?limit=1000&at=" + past}},
		"/v1/register/duties/:id":                 {1, []string{"/v1/register/duties/acme-cloud?limit=1000", "/v1/register/duties/acme-cloud?kind=certify", "/v1/register/duties/provider-0001?state=overdue", "/v1/register/duties/nobody"}},
		"/v1/register/policy":                     {1, []string{"/v1/register/policy"}},
		"/v1/register/identifiers/:scheme/:value": {1, []string{"/v1/register/identifiers/name/kestrel", "/v1/register/identifiers/asn/64511?limit=1000", "/v1/register/identifiers/lei/x"}},
		"/schemas/:kind/v1":                       {0, []string{"/schemas/designation/v1"}},
		"/openapi.json":                           {0, []string{"/openapi.json"}},
		"/healthz":                                {0, []string{"/healthz"}},
		"/readyz":                                 {0, []string{"/readyz"}},
		"/metrics":                                {0, []string{"/metrics"}},
		"/":                                       {1 + statusCountsBudgetFactor, []string{"/", "/?status=revoked", "/?name=kestrel"}},
		"/designations":                           {1, []string{"/designations", "/designations?status=revoked&limit=1000"}},
		"/designations/:id":                       {3, []string{"/designations/2026-014", "/designations/2027-9999"}},
		"/parties":                                {1, []string{"/parties?limit=1000"}},
		"/parties/:id":                            {5, []string{"/parties/acme-cloud", "/parties/authority", "/parties/nobody"}},
		"/records/:id":                            {1, []string{"/records/" + id, "/records/" + long}},
		"/style.css":                              {0, []string{"/style.css"}},
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
	w := largeLedger(t, settings{server: Config{QueryBudget: work}}, 1200)
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
