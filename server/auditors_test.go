package server

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// auditor is a key of an auditor.
func newAuditor(t *testing.T, name string) *proof.Cosigner {
	t.Helper()
	skey, _, err := proof.GenerateKey(proof.CosignatureEd25519, name)
	if err != nil {
		t.Fatal(err)
	}
	k, err := proof.ParseCosigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// cosigned is a note with another cosignature.
func cosigned(t *testing.T, note []byte, by *proof.Cosigner) []byte {
	t.Helper()
	cp, _, err := proof.ParseCheckpoint(note)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := by.Cosign(cp)
	if err != nil {
		t.Fatal(err)
	}
	with, err := proof.AddSignatures(note, sig)
	if err != nil {
		t.Fatal(err)
	}
	return with
}

// addAuditors gives the server those who are named.
func (w *world) addAuditors(files vfs.FS, keys ...*proof.Cosigner) {
	w.t.Helper()
	var named []auditors.Named
	for _, k := range keys {
		named = append(named, auditors.Named{Key: k.Key(), Statement: "judged"})
	}
	w.server.metrics.registry.Unregister(auditorMetrics{w.server.cfg.Auditors})
	w.server.cfg.Auditors = auditors.New(auditors.Config{Files: files, Dir: "auditors", Checkpoint: w.ledger.CheckpointOf, Named: func() ([]auditors.Named, error) { return named, nil }})
	w.server.metrics.registry.MustRegister(auditorMetrics{w.server.cfg.Auditors})
}

func (w *world) handIn(note []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/v1/auditors", bytes.NewReader(note))
	r.Header.Set("Content-Type", typeText)
	return w.do(r)
}

// The ledger takes the cosignature of an auditor that it names on any checkpoint that it
// published, keeps the newest, across restarts, and gives receipts against it.
func TestAuditors(t *testing.T) {
	w := newEnrolledWorld(t, settings{}, "acme-cloud")
	vigil, stranger, silent := newAuditor(t, "vigil.example/docket"), newAuditor(t, "stranger.example"), newAuditor(t, "silent.example")
	w.wantProblem(w.handIn(cosigned(t, w.ledger.Published().Note(), vigil)), problemForbidden)
	files := vfs.NewCrashableMem()
	w.addAuditors(files, vigil, silent)
	small := w.ledger.Published()
	w.mustSubmit(w.Provider("borealis"))
	large := w.ledger.Published()

	listed := func() (sizes []any) {
		t.Helper()
		for _, a := range w.wantJSON(w.get("/v1/auditors"), http.StatusOK)["auditors"].([]any) {
			sizes = append(sizes, a.(map[string]any)["size"])
		}
		return sizes
	}
	receipt := func(index string, by *proof.Cosigner) *httptest.ResponseRecorder {
		return w.get("/v1/records/" + w.Head(record.PartyThread(index)).String() + "/receipt?auditor=" + url.QueryEscape(by.Key().Label()))
	}
	w.wantProblem(receipt("acme-cloud", vigil), problemUnpublished)
	w.wantProblem(receipt("acme-cloud", stranger), problemNotFound)
	w.wantProblem(w.get("/v1/records/"+w.Head("party/borealis").String()+"/receipt?chain=true&auditor=x"), problemParameter)

	// One that was published before, as it was, or with a stranger's line beside.
	w.wantJSON(w.handIn(cosigned(t, cosigned(t, small.Note(), vigil), stranger)), http.StatusCreated)
	if got := listed(); got[0] != 3.0 || got[1] != 0.0 {
		t.Errorf("sizes %v", got)
	}
	r := receipt("acme-cloud", vigil)
	v := w.verifyReceipt(r.Body.Bytes())
	if at, err := proof.CosignedBy(v.Published().Note(), vigil.Key(), time.Now()); err != nil || at.IsZero() || v.Published().Checkpoint().Size != 3 {
		t.Errorf("cosigned %v: %v", at, err)
	}
	if strings.Contains(r.Body.String(), "stranger") {
		t.Error("a stranger's line was kept")
	}
	w.wantProblem(receipt("borealis", vigil), problemUnpublished)

	w.wantJSON(w.handIn(cosigned(t, large.Note(), vigil)), http.StatusCreated)
	w.wantJSON(w.handIn(cosigned(t, small.Note(), vigil)), http.StatusOK)
	w.addAuditors(files.CrashClone(vfs.CrashCloneCfg{}), vigil, silent)
	if got := listed(); got[0] != 4.0 || got[1] != 0.0 {
		t.Errorf("after a crash: sizes %v", got)
	}
	for _, want := range []string{`docket_auditor_size{auditor="` + vigil.Key().Label() + `"} 4`, `docket_auditor_size{auditor="` + silent.Key().Label() + `"} 0`} {
		if got := w.metricsText(); !strings.Contains(got, want) || strings.Count(got, "docket_auditor_cosigned_age_seconds{") != 1 {
			t.Errorf("the metrics do not say %s", want)
		}
	}
	if v := w.verifyReceipt(receipt("borealis", vigil).Body.Bytes()); v.Published().Checkpoint().Size != 4 {
		t.Errorf("size %d", v.Published().Checkpoint().Size)
	}

	// What is no auditor's word on this ledger.
	cp := large.Checkpoint()
	other, bigger := cp, cp
	other.Root[0] ^= 1
	bigger.Size++
	note := func(cp proof.Checkpoint) []byte {
		sig, err := vigil.Cosign(cp)
		if err != nil {
			t.Fatal(err)
		}
		n, err := proof.FormatNote(cp, sig)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if r := w.handIn(note(cp)); r.Code != http.StatusOK && r.Code != http.StatusCreated { // the published one; a second later it is newer
		t.Errorf("without the log's signature: %d %s", r.Code, r.Body)
	}
	w.wantProblem(w.handIn(note(other)), problemCosignature)
	w.wantProblem(w.handIn(note(bigger)), problemNotFound)
	elsewhere := cp
	elsewhere.Origin = "elsewhere.example"
	w.wantProblem(w.handIn(note(elsewhere)), problemCosignature)
	spoilt, err := proof.AddSignatures(large.Note(), proof.Signature{Name: vigil.Key().Name(), ID: vigil.Key().ID(), Sig: make([]byte, 72)})
	if err != nil {
		t.Fatal(err)
	}
	w.wantProblem(w.handIn(spoilt), problemCosignature)
	w.wantProblem(w.handIn(cosigned(t, large.Note(), stranger)), problemForbidden)
	w.wantProblem(w.handIn([]byte("no note")), problemMalformed)
	w.wantProblem(w.handIn(make([]byte, proof.MaxNoteBytes+1)), problemTooLarge)
	if got := listed(); got[0] != 4.0 {
		t.Errorf("after all of that: %v", got)
	}
}

// Nobody makes the server verify more than his share of cosignatures.
func TestAuditorsAreRateLimited(t *testing.T) {
	vigil := newAuditor(t, "vigil.example")
	w := newEnrolledWorld(t, settings{server: Config{RefusalRate: Rate{0.001, 3}}})
	w.addAuditors(vfs.NewMem(), vigil)
	note := cosigned(t, w.ledger.Published().Note(), vigil)
	w.wantJSON(w.handIn(note), http.StatusCreated)
	for range 2 {
		w.wantJSON(w.handIn(note), http.StatusOK)
	}
	w.wantProblem(w.handIn(note), problemTooMany)
}
