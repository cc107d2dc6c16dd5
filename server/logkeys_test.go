package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// A charter that names no key of this log would be the last record: it is refused,
// in a dry run too. One that names new keys beside the present one is not; and what
// the register says against a charter comes first.
func TestCharterWithoutAKeyOfThisLog(t *testing.T) {
	w := newEnrolledWorld(t, settings{})
	present := w.CharterPredicate.Policy
	_, vkey, err := proof.GenerateKey(proof.MLDSA44, origin)
	if err != nil {
		t.Fatal(err)
	}
	size := w.ledger.Head().Size
	w.CharterPredicate.Policy = "log " + vkey + "\nquorum none\n"
	alone := w.Charter()
	for _, query := range []string{"dry-run=true", "dry-run=false"} {
		p := w.wantProblem(w.post(alone.Marshal(), query), problemLogKeys)
		if !strings.Contains(p["detail"].(string), "docket init --next") || w.ledger.Head().Size != size {
			t.Errorf("%s: %v, size %d", query, p, w.ledger.Head().Size)
		}
	}
	half := alone
	half.Signatures = half.Signatures[:1]
	w.wantProblem(w.post(half.Marshal()), problemForbidden)
	w.CharterPredicate.Origin = "docket.example/other"
	w.wantProblem(w.post(w.Charter().Marshal()), problemInvalid)
	w.CharterPredicate.Origin = origin

	w.CharterPredicate.Policy = "log " + vkey + "\n" + present
	w.mustSubmit(w.Charter())
	if r := w.get("/checkpoint"); r.Code != http.StatusOK || w.server.publishedSize() != size+1 {
		t.Errorf("under both: %d, size %d", r.Code, w.server.publishedSize())
	}
}
